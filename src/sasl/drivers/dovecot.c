/* SPDX-License-Identifier: Apache-2.0
 * dovecot (manual 37): Dovecot's auth server decides, over its UNIX socket, in its
 * authentication client protocol 1.1: lines of tab-separated fields. After the greeting (which
 * names the mechanisms) one AUTH, any number of CONT both ways, then OK or FAIL. */
#include "sasl/sasl_priv.h"
#include "base/limits.h"
#include "message/encode.h"
#include "net/stream.h"
#include "base/banned.h"
#include <unistd.h>

struct dovecot_options {
	struct xstr server_socket;
	bool server_tls;
};

#define DOVECOT_LINE 16384
#define DOVECOT_TIMEOUT_MS 300000
#define DOVECOT_GREETING_LINES 200

struct dovecot {
	struct eval *ev;
	struct stream *s;
	struct str mechanism;
};

static bool is_server(const struct driver_instance *di)
{
	const struct dovecot_options *o = di->options;

	return str_is_set(o->server_socket.text);
}

static bool line(struct dovecot *d, struct str *ret)
{
	enum line_end end;
	struct str l;

	if (stream_read_line(d->s, DOVECOT_LINE, &l, &end) != ST_OK || end == LINE_EOF)
		return false;
	*ret = str_dup(d->ev->lx.arena, l);
	return true;
}

/* Version, mechanisms, DONE. False: no server that we understand, or not with this mechanism. */
static bool greeting(struct dovecot *d, struct str *ret_message)
{
	bool version = false, mech = false;
	struct str l, word, rest;

	for (int i = 0; i < DOVECOT_GREETING_LINES && line(d, &l); i++) {
		word = str_cut(l, '\t', &rest);
		if (str_eqc(word, "VERSION"))
			version = str_eqc(str_cut(rest, '\t', &rest), "1");
		else if (str_eqc(word, "MECH"))
			mech = mech || str_ieq(str_cut(rest, '\t', &rest), d->mechanism);
		else if (str_eqc(word, "DONE"))
			break;
	}
	if (!version)
		*ret_message = STR("authentication socket protocol error: unknown version");
	else if (!mech)
		*ret_message = str_printf(d->ev->lx.arena, "authentication mechanism %.*s is not offered by the authentication socket",
		    STR_ARG(d->mechanism));
	return version && mech;
}

static bool is_secured(const struct peer *p)
{
	return p && (p->tls.active || (str_is_set(p->host_address) && str_eq(p->host_address, p->interface_address)));
}

static bool send_auth(struct dovecot *d, struct str initial, bool has_initial)
{
	const struct peer *p = d->ev->lx.peer;
	struct strbuf sb;

	sb_init(&sb, d->ev->lx.arena, 2 * LIMIT_SMTP_AUTH_DATA);
	sb_printf(&sb, "VERSION\t1\t1\nCPID\t%d\nAUTH\t1\t%.*s\tservice=smtp", (int)getpid(), STR_ARG(d->mechanism));
	if (is_secured(p))
		sb_addc(&sb, "\tsecured");
	if (p && p->tls.verified)
		sb_addc(&sb, "\tvalid-client-cert");
	if (p && str_is_set(p->host_address))
		sb_printf(&sb, "\trip=%.*s", STR_ARG(p->host_address));
	if (p && str_is_set(p->interface_address))
		sb_printf(&sb, "\tlip=%.*s", STR_ARG(p->interface_address));
	sb_addc(&sb, "\tnologin");
	if (has_initial)
		sb_printf(&sb, "\tresp=%.*s", STR_ARG(base64_encode(d->ev->lx.arena, initial)));
	sb_ch(&sb, '\n');
	return !sb.over && stream_put(d->s, sb_str(&sb)) == ST_OK && stream_flush(d->s) == ST_OK;
}

/* Fields of an OK or FAIL line: user=NAME; "temp" says that trying again may help. */
static bool fields(struct dovecot *d, struct str rest)
{
	bool temp = false;

	while (str_is_set(rest)) {
		struct str f = str_cut(rest, '\t', &rest);

		if (str_starts(f, "user="))
			sasl_set_auth(d->ev, 1, str_tainted(str_from(f, 5)));
		else if (str_eqc(f, "temp"))
			temp = true;
	}
	return temp;
}

static enum sasl_result exchange(struct dovecot *d, struct sasl_talk *t)
{
	struct str l, word, rest, challenge, answer;
	enum sasl_result r;

	while (line(d, &l)) {
		word = str_cut(l, '\t', &rest);
		if (!str_is_set(rest) || !str_eqc(str_cut(rest, '\t', &rest), "1"))
			continue; /* not about our request */
		if (str_eqc(word, "OK")) {
			fields(d, rest);
			return SASL_OK;
		}
		if (str_eqc(word, "FAIL"))
			return fields(d, rest) ? SASL_DEFER : SASL_FAIL;
		if (!str_eqc(word, "CONT") || !base64_decode(d->ev->lx.arena, str_is_set(rest) ? rest : STR(""), &challenge))
			return SASL_DEFER;
		r = t->challenge(t, challenge, &answer);
		if (r != SASL_OK)
			return r;
		if (stream_printf(d->s, "CONT\t1\t%.*s\n", STR_ARG(base64_encode(d->ev->lx.arena, answer))) != ST_OK ||
		    stream_flush(d->s) != ST_OK)
			return SASL_DEFER;
	}
	return SASL_DEFER;
}

static enum sasl_result server(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial,
    bool has_initial, struct str *ret_message)
{
	const struct dovecot_options *o = di->options;
	struct dovecot d = {.ev = ev};
	enum sasl_result r = SASL_DEFER;
	struct why why = {0};

	d.mechanism = str_is_set(sasl_generic(di)->public_name.text) ? sasl_generic(di)->public_name.text : di->name;
	if (net_connect_unix(str_cstr(ev->lx.arena, o->server_socket.text), DOVECOT_TIMEOUT_MS, &d.s, &why) != ST_OK) {
		*ret_message = str_printf(ev->lx.arena, "authentication socket: %s", why.text);
		return SASL_DEFER;
	}
	stream_set_timeout(d.s, DOVECOT_TIMEOUT_MS);
	if (greeting(&d, ret_message) && send_auth(&d, initial, has_initial))
		r = exchange(&d, t);
	else if (!str_is_set(*ret_message))
		*ret_message = STR("authentication socket connection error");
	stream_close(d.s);
	return r == SASL_OK ? sasl_condition(ev, di, ret_message) : r;
}

static bool check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	const struct dovecot_options *o = di->options;

	(void)cfg;
	if (o->server_tls || (str_is_set(o->server_socket.text) && !str_starts(o->server_socket.text, "/"))) {
		why_set(why, false, "%.*s authenticator: server_socket over the network is not supported yet", STR_ARG(di->name));
		return false;
	}
	return true;
}

#define ROW(name, TYPE, field, def, flags, doc) OPT_ROW(struct dovecot_options, name, TYPE, field, def, flags, doc)
static const struct opt_row options[] = {
	ROW("server_socket", STRING, server_socket, NULL, 0, "UNIX socket of Dovecot's auth-client"),
	ROW("server_tls", BOOL, server_tls, "false", 0, "TLS to the auth server over the network"),
};

extern const struct sasl_driver sasl_dovecot;
const struct sasl_driver sasl_dovecot = {
	.info = {.name = "dovecot", .options = options, .option_count = countof(options), .options_size = sizeof(struct dovecot_options), .check = check},
	.is_server = is_server, .server = server,
};
