/* SPDX-License-Identifier: Apache-2.0
 * plaintext (manual 34): PLAIN, LOGIN and whatever else asks for strings in clear. The server
 * takes NUL-separated strings from the first data and from as many prompts as are still needed;
 * server_condition decides. The client sends client_send, item by item. */
#include "sasl/sasl_priv.h"
#include "base/limits.h"
#include "base/banned.h"

struct plaintext_options {
	struct xstr server_prompts, client_send;
	bool client_ignore_invalid_base64;
};

static bool is_server(const struct driver_instance *di)
{
	return str_is_set(sasl_generic(di)->server_condition.text);
}

static bool is_client(const struct driver_instance *di)
{
	const struct plaintext_options *o = di->options;

	return str_is_set(o->client_send.text);
}

static enum sasl_result server(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial,
    bool has_initial, struct str *ret_message)
{
	const struct plaintext_options *o = di->options;
	struct str prompts = STR_NONE, prompt, answer;
	unsigned have = has_initial ? sasl_split(ev, initial, 0) : 0, asked = 0;
	int sep = 0;

	if (str_is_set(o->server_prompts.text) && expand(ev, &o->server_prompts, &prompts) != EXPAND_OK) {
		*ret_message = ev->lx.error;
		return SASL_DEFER;
	}
	while (str_is_set(prompts) && list_next(ev->lx.arena, &prompts, &sep, &prompt)) {
		enum sasl_result r;

		if (++asked <= have)
			continue;
		r = t->challenge(t, prompt, &answer);
		if (r != SASL_OK)
			return r;
		have = sasl_split(ev, answer, have);
	}
	if (have == 0) /* no data at all: nothing that a condition could judge */
		return SASL_FAIL;
	return sasl_condition(ev, di, ret_message);
}

/* One "^" is a NUL, "^^" is "^" (34.4). */
static struct str carets(struct arena *a, struct str s)
{
	struct strbuf sb;

	sb_init(&sb, a, LIMIT_SMTP_AUTH_DATA);
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] != '^')
			sb_ch(&sb, s.p[i]);
		else if (i + 1 < s.len && s.p[i + 1] == '^')
			sb_ch(&sb, s.p[++i]);
		else
			sb_ch(&sb, '\0');
	}
	return sb_str(&sb);
}

static enum sasl_result client(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str *ret_message)
{
	const struct plaintext_options *o = di->options;
	struct str list = o->client_send.text, item, text, challenge = STR_NONE;
	struct str mechanism = str_is_set(sasl_generic(di)->public_name.text) ? sasl_generic(di)->public_name.text : di->name;
	unsigned prompt = 0;
	bool first = true;
	int sep = 0, code = 0;

	while (list_next(ev->lx.arena, &list, &sep, &item)) {
		enum expand_status st = expand_text(ev, item, &text);
		enum sasl_result r;

		if (st == EXPAND_FORCED && first)
			return SASL_CANCELLED;
		if (st != EXPAND_OK) {
			*ret_message = str_printf(ev->lx.arena, "expansion of \"%.*s\" failed in %.*s authenticator: %.*s", STR_ARG(item),
			    STR_ARG(di->name), STR_ARG(ev->lx.error));
			return SASL_ERROR;
		}
		text = carets(ev->lx.arena, text);
		r = t->respond(t, mechanism, first, first && str_empty(text) ? STR_NONE : text, &challenge, &code);
		if (r == SASL_BAD64 && o->client_ignore_invalid_base64) {
			challenge = STR("");
			code = 334;
		} else if (r != SASL_OK) {
			*ret_message = r == SASL_BAD64 ? STR("invalid base64 string in server response") : STR_NONE;
			return r == SASL_BAD64 ? SASL_CANCELLED : r;
		}
		first = false;
		if (code != 334)
			return sasl_final(code);
		if (prompt < 3)
			sasl_set_auth(ev, ++prompt, challenge);
	}
	*ret_message = STR("Too few items in client_send in authenticator");
	return SASL_CANCELLED;
}

#define ROW(name, TYPE, field, def, flags, doc) OPT_ROW(struct plaintext_options, name, TYPE, field, def, flags, doc)
static const struct opt_row options[] = {
	ROW("client_ignore_invalid_base64", BOOL, client_ignore_invalid_base64, "false", 0, "Go on when a prompt is no base64"),
	ROW("client_send", STRING, client_send, NULL, 0, "Strings to send, separated by colons, each expanded"),
	ROW("server_prompts", LIST, server_prompts, NULL, OPT_EXPAND, "What the client is asked"),
};

extern const struct sasl_driver sasl_plaintext;
const struct sasl_driver sasl_plaintext = {
	.info = {.name = "plaintext", .options = options, .option_count = countof(options), .options_size = sizeof(struct plaintext_options)},
	.is_server = is_server, .is_client = is_client, .server = server, .client = client,
};
