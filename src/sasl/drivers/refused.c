/* SPDX-License-Identifier: Apache-2.0
 * Authenticators that the manual knows and this program does not serve yet (chapters 36, 38 to
 * 40): a configuration that names one is refused, in words that say so. */
#include "sasl/sasl_priv.h"
#include "base/banned.h"

static bool refuse(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	why_set(why, false, "%.*s authenticator: driver \"%s\" is not supported yet", STR_ARG(di->name), di->driver->name);
	return false;
}

struct no_options {
	char none;
};
static const struct opt_row cyrus_rows[] = {
	OPT_ROW_REFUSED("server_hostname", STRING, "Host name given to the library"),
	OPT_ROW_REFUSED("server_mech", STRING, "Mechanism"),
	OPT_ROW_REFUSED("server_realm", STRING, "Realm"),
	OPT_ROW_REFUSED("server_service", STRING, "Service name"),
};
static const struct opt_row gsasl_rows[] = {
	OPT_ROW_REFUSED("client_authz", STRING, "Authorisation id sent"),
	OPT_ROW_REFUSED("client_channelbinding", BOOL, "Use channel binding as a client"),
	OPT_ROW_REFUSED("client_password", STRING, "Password"),
	OPT_ROW_REFUSED("client_spassword", STRING, "Salted password for SCRAM"),
	OPT_ROW_REFUSED("client_username", STRING, "User name"),
	OPT_ROW_REFUSED("server_channelbinding", BOOL, "Use channel binding as a server"),
	OPT_ROW_REFUSED("server_hostname", STRING, "Host name given to the library"),
	OPT_ROW_REFUSED("server_key", STRING, "SCRAM ServerKey"),
	OPT_ROW_REFUSED("server_mech", STRING, "Mechanism"),
	OPT_ROW_REFUSED("server_password", STRING, "Cleartext password"),
	OPT_ROW_REFUSED("server_realm", STRING, "Realm"),
	OPT_ROW_REFUSED("server_scram_iter", STRING, "SCRAM iteration count"),
	OPT_ROW_REFUSED("server_scram_salt", STRING, "SCRAM salt"),
	OPT_ROW_REFUSED("server_service", STRING, "Service name"),
	OPT_ROW_REFUSED("server_skey", STRING, "SCRAM StoredKey"),
};
static const struct opt_row heimdal_rows[] = {
	OPT_ROW_REFUSED("server_hostname", STRING, "Host part of the principal"),
	OPT_ROW_REFUSED("server_keytab", STRING, "Keytab file"),
	OPT_ROW_REFUSED("server_service", STRING, "Service part of the principal"),
};
static const struct opt_row spa_rows[] = {
	OPT_ROW_REFUSED("client_domain", STRING, "Domain"),
	OPT_ROW_REFUSED("client_password", STRING, "Password"),
	OPT_ROW_REFUSED("client_username", STRING, "User name"),
	OPT_ROW_REFUSED("server_password", STRING, "Password of the user"),
};

#define REFUSED(driver, rows) \
	extern const struct sasl_driver sasl_##driver; \
	const struct sasl_driver sasl_##driver = { \
		.info = {.name = #driver, .options = rows, .option_count = countof(rows), .options_size = sizeof(struct no_options), .check = refuse}, \
	}
REFUSED(cyrus_sasl, cyrus_rows);
REFUSED(gsasl, gsasl_rows);
REFUSED(heimdal_gssapi, heimdal_rows);
REFUSED(spa, spa_rows);
