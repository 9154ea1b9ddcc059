/* SPDX-License-Identifier: Apache-2.0
 * external (manual 41, RFC 4422 appendix A): the client asserts an identity; whether it is so is
 * known from elsewhere, a TLS certificate mostly. */
#include "sasl/sasl_priv.h"
#include "base/banned.h"

struct external_options {
	struct xstr server_param2, server_param3, client_send;
};

static bool is_server(const struct driver_instance *di)
{
	return str_is_set(sasl_generic(di)->server_condition.text);
}

static bool is_client(const struct driver_instance *di)
{
	const struct external_options *o = di->options;

	return str_is_set(o->client_send.text);
}

static enum sasl_result server(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial,
    bool has_initial, struct str *ret_message)
{
	const struct external_options *o = di->options;
	const struct xstr *const params[] = {&o->server_param2, &o->server_param3};
	enum sasl_result r = SASL_OK;

	if (!has_initial)
		r = t->challenge(t, STR(""), &initial);
	if (r != SASL_OK)
		return r;
	sasl_set_auth(ev, 1, str_cut(initial, '\0', &(struct str){0}));
	r = sasl_params(ev, params, countof(params), 2, ret_message);
	return r == SASL_OK ? sasl_condition(ev, di, ret_message) : r;
}

static enum sasl_result client(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str *ret_message)
{
	const struct external_options *o = di->options;
	struct str mechanism = str_is_set(sasl_generic(di)->public_name.text) ? sasl_generic(di)->public_name.text : di->name;
	struct str identity, challenge;
	enum expand_status st = expand(ev, &o->client_send, &identity);
	enum sasl_result r;
	int code = 0;

	if (st == EXPAND_FORCED)
		return SASL_CANCELLED;
	if (st != EXPAND_OK) {
		*ret_message = str_printf(ev->lx.arena, "expansion of \"%.*s\" failed in %.*s authenticator: %.*s", STR_ARG(o->client_send.text),
		    STR_ARG(di->name), STR_ARG(ev->lx.error));
		return SASL_ERROR;
	}
	r = t->respond(t, mechanism, true, str_is_set(identity) ? identity : STR(""), &challenge, &code);
	if (r == SASL_BAD64)
		return SASL_CANCELLED;
	return r == SASL_OK ? sasl_final(code) : r;
}

#define ROW(name, TYPE, field, def, flags, doc) OPT_ROW(struct external_options, name, TYPE, field, def, flags, doc)
static const struct opt_row options[] = {
	ROW("client_send", STRING, client_send, NULL, OPT_EXPAND, "Identity to assert"),
	ROW("server_param2", STRING, server_param2, NULL, OPT_EXPAND, "Value for $auth2"),
	ROW("server_param3", STRING, server_param3, NULL, OPT_EXPAND, "Value for $auth3"),
};

extern const struct sasl_driver sasl_external;
const struct sasl_driver sasl_external = {
	.info = {.name = "external", .options = options, .option_count = countof(options), .options_size = sizeof(struct external_options)},
	.is_server = is_server, .is_client = is_client, .server = server, .client = client,
};
