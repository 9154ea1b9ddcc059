/* SPDX-License-Identifier: Apache-2.0
 * Authentication as a client (manual 33.4): the configured authenticators in their order, those
 * whose mechanism the server offers, until one succeeds. */
#include "message/encode.h"
#include "sasl/sasl.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

static bool offered(struct str list, struct str mechanism)
{
	struct str rest = list;
	while (str_is_set(rest)) {
		if (str_ieq(str_cut(rest, ' ', &rest), mechanism))
			return true;
	}
	return false;
}

struct talk {
	struct sasl_talk t;
	struct smtp_job *j;
	struct smtp_reply last;
};

static enum sasl_result respond(struct sasl_talk *t, struct str mechanism, bool first, struct str response, struct str *ret_challenge,
    int *ret_final)
{
	struct talk *k = container_of(t, struct talk, t);
	struct smtp_client *cl = &k->j->conn->client;
	struct arena *a = k->j->tx;
	*ret_final = 0;
	*ret_challenge = STR_NONE;
	if (first && !str_is_set(response))
		k->last = smtp_client_cmd(cl, "AUTH %.*s", STR_ARG(mechanism));
	else if (first) /* RFC 4954 4: an empty initial response is "=" */
		k->last = smtp_client_cmd(cl, "AUTH %.*s %.*s", STR_ARG(mechanism), STR_ARG(response.len ? base64_encode(a, response) : STR("=")));
	else
		k->last = smtp_client_cmd(cl, "%.*s", STR_ARG(base64_encode(a, response)));
	if (k->last.code == 0)
		return SASL_ERROR;
	if (k->last.code != 334) {
		*ret_final = k->last.code;
		return k->last.code >= 200 && k->last.code < 300 ? SASL_OK : SASL_FAIL;
	}
	return base64_decode(a, str_from(k->last.first_line, 4), ret_challenge) ? SASL_OK : SASL_BAD64;
}

/* False: the connection is lost. */
static bool try_one(struct smtp_job *j, const struct driver_instance *di, const struct sasl_driver *driver, bool *ret_ok)
{
	struct talk k = {.t = {.respond = respond}, .j = j};
	struct str message = STR_NONE, host = smtp_log_host(j);
	enum sasl_result got = driver->client(j->d->eval, di, &k.t, &message);
	const char *name = di->name.p;
	*ret_ok = got == SASL_OK;
	switch (got) {
	case SASL_OK:
		j->conn->auth_name = str_dup(j->conn->arena, di->name);
		return true;
	case SASL_FAIL:
	case SASL_UNEXPECTED:
		delivery_log(j->d, LOGTO_MAIN, "%s authenticator failed %.*s %.*s", name, STR_ARG(host), STR_ARG(k.last.text));
		return true;
	case SASL_CANCELLED:
		delivery_log(j->d, LOGTO_MAIN, "%s authenticator cancelled authentication %.*s %.*s", name, STR_ARG(host), STR_ARG(message));
		return true;
	case SASL_BAD64:
		delivery_log(j->d, LOGTO_MAIN, "%s authenticator cancelled authentication %.*s Invalid base64 string in server response \"%.*s\"",
		    name, STR_ARG(host), STR_ARG(k.last.text));
		if (smtp_client_cmd(&j->conn->client, "*").code == 0) {
			j->fault.lost = true;
			return false;
		}
		return true;
	case SASL_DEFER:
		delivery_log(j->d, LOGTO_MAIN, "%s authenticator failed %.*s %.*s", name, STR_ARG(host), STR_ARG(message));
		return true;
	case SASL_ERROR: break;
	}
	smtp_fault_reply(j, &k.last, str_cat(j->tx, STR("AUTH "), ((const struct sasl_generic *)di->generic)->public_name.text), STAGE_HOST);
	j->fault.lost = true;
	return false;
}

static bool wanted(struct smtp_job *j, const struct driver_instance *di)
{
	const struct sasl_generic *g = di->generic;
	const struct sasl_driver *driver = (const struct sasl_driver *)(const void *)di->driver;
	bool yes = true;
	if (!driver->client || !offered(j->conn->client.caps.auth, g->public_name.text))
		return false;
	return str_empty(g->client_condition.text) || (expand_condition(j->d->eval, &g->client_condition, &yes) == EXPAND_OK && yes);
}

bool smtp_authenticate(struct smtp_job *j)
{
	bool ok = false, attempted = false;
	if (!j->terms.try_auth)
		return true;
	if (!(j->conn->client.caps.ext & SMTP_EXT_AUTH)) {
		if (!j->terms.require_auth)
			return true;
		smtp_fault_text(j, DERR_AUTHFAIL, "authentication required but server did not advertise AUTH support");
		return false;
	}
	for (const struct driver_instance *di = j->d->config->drivers[DRIVER_AUTHENTICATOR]; di && !ok; di = di->next) {
		if (!wanted(j, di))
			continue;
		attempted = true;
		if (!try_one(j, di, (const struct sasl_driver *)(const void *)di->driver, &ok))
			return false;
	}
	j->conn->authenticated = ok;
	if (ok || !j->terms.require_auth)
		return true;
	smtp_fault_text(j, DERR_AUTHFAIL, attempted ? "authentication required but authentication attempt(s) failed" :
	        "authentication required but server did not advertise AUTH support");
	return false;
}
