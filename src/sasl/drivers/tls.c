/* SPDX-License-Identifier: Apache-2.0
 * tls (manual 42): no SMTP mechanism; run once after a handshake, it authenticates by what the
 * client's certificate says. */
#include "sasl/sasl_priv.h"
#include "base/banned.h"

struct tls_options {
	struct xstr server_param1, server_param, server_param2, server_param3;
};

static bool is_server(const struct driver_instance *di)
{
	const struct tls_options *o = di->options;

	return str_is_set(o->server_param1.text) || str_is_set(o->server_param.text) ||
	    str_is_set(sasl_generic(di)->server_condition.text);
}

static enum sasl_result server(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial,
    bool has_initial, struct str *ret_message)
{
	const struct tls_options *o = di->options;
	const struct xstr *const params[] = {str_is_set(o->server_param1.text) ? &o->server_param1 : &o->server_param, &o->server_param2,
	    &o->server_param3};
	enum sasl_result r = sasl_params(ev, params, countof(params), 1, ret_message);

	(void)t, (void)initial, (void)has_initial;
	return r == SASL_OK ? sasl_condition(ev, di, ret_message) : r;
}

static bool check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	for (const struct driver_instance *other = cfg->drivers[DRIVER_AUTHENTICATOR]; other; other = other->next) {
		if (other == di || other->driver != di->driver)
			continue;
		why_set(why, false, "%.*s authenticator: only one tls authenticator is allowed", STR_ARG(di->name));
		return false;
	}
	return true;
}

#define ROW(name, TYPE, field, def, flags, doc) OPT_ROW(struct tls_options, name, TYPE, field, def, flags, doc)
static const struct opt_row options[] = {
	ROW("server_param", STRING, server_param, NULL, OPT_EXPAND, "The same as server_param1"),
	ROW("server_param1", STRING, server_param1, NULL, OPT_EXPAND, "Value for $auth1"),
	ROW("server_param2", STRING, server_param2, NULL, OPT_EXPAND, "Value for $auth2"),
	ROW("server_param3", STRING, server_param3, NULL, OPT_EXPAND, "Value for $auth3"),
};

extern const struct sasl_driver sasl_tls;
const struct sasl_driver sasl_tls = {
	.info = {.name = "tls", .options = options, .option_count = countof(options), .options_size = sizeof(struct tls_options), .check = check},
	.no_mechanism = true, .is_server = is_server, .server = server,
};
