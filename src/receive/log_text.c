/* SPDX-License-Identifier: Apache-2.0
 * Words about the client in log lines (manual 53.13): "H=name (helo) [1.2.3.4]:25 I=[5.6.7.8]:25
 * U=ident", and the same without marks behind "from". In a -bh test entries go to standard error. */
#include "receive/receive_priv.h"

#include <unistd.h>

#include "base/banned.h"

struct str rs_client(struct arena *a, const struct peer *p, bool ports)
{
	struct strbuf sb;
	sb_init(&sb, a, 4096);
	if (!str_empty(p->host_name))
		sb_printf(&sb, "%.*s ", STR_ARG(p->host_name));
	if (!str_empty(p->helo) && !str_ieq(p->helo, p->host_name)) {
		bool same_literal = p->helo.len == p->host_address.len + 2 && p->helo.p[0] == '[' &&
		    str_eq(str_sub(p->helo, 1, p->host_address.len), p->host_address);
		if (!same_literal || str_empty(p->host_name))
			sb_printf(&sb, "(%.*s) ", STR_ARG(p->helo));
	}
	sb_printf(&sb, "[%.*s]", STR_ARG(p->host_address));
	if (ports && p->host_port)
		sb_printf(&sb, ":%d", p->host_port);
	return sb_str(&sb);
}

static void add_interface(struct receive_session *rs, struct strbuf *sb)
{
	const struct peer *p = &rs->peer;
	if (!config_logs(rs->cfg, LOGSEL_INCOMING_INTERFACE) || str_empty(p->interface_address))
		return;
	sb_printf(sb, " I=[%.*s]:%d", STR_ARG(p->interface_address), p->interface_port);
}

static struct str user_name(struct receive_session *rs)
{
	return str_empty(rs->peer.ident) ? STR("local process") : rs->peer.ident;
}

struct str rs_from(struct receive_session *rs)
{
	if (str_empty(rs->peer.host_address))
		return user_name(rs);
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, 8192);
	sb_add(&sb, rs_client(rs->env->scratch, &rs->peer, config_logs(rs->cfg, LOGSEL_INCOMING_PORT)));
	add_interface(rs, &sb);
	if (!str_empty(rs->peer.ident))
		sb_printf(&sb, " U=%.*s", STR_ARG(rs->peer.ident));
	return sb_str(&sb);
}

struct str rs_who(struct receive_session *rs)
{
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, 8192);
	if (str_empty(rs->peer.host_address)) {
		sb_printf(&sb, "U=%.*s", STR_ARG(user_name(rs)));
		return sb_str(&sb);
	}
	sb_addc(&sb, "H=");
	sb_add(&sb, rs_client(rs->env->scratch, &rs->peer, config_logs(rs->cfg, LOGSEL_INCOMING_PORT)));
	add_interface(rs, &sb);
	if (!str_empty(rs->peer.ident))
		sb_printf(&sb, " U=%.*s", STR_ARG(rs->peer.ident));
	return sb_str(&sb);
}

struct str rs_duration(struct receive_session *rs)
{
	int64_t us = clock_us(&rs->env->clock) - rs->connected_us;
	if (us < 0)
		us = 0;
	if (config_logs(rs->cfg, LOGSEL_MILLISEC))
		return str_printf(rs->env->scratch, "D=%lld.%03llds", (long long)(us / 1000000), (long long)(us / 1000 % 1000));
	struct str whole = interval_format(rs->env->scratch, us / 1000000);
	return str_printf(rs->env->scratch, "D=%.*s", STR_ARG(whole));
}

struct str rs_tls_text(struct receive_session *rs, bool arrival)
{
	const struct peer *p = &rs->peer;
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, 8192);
	if (!p->tls.active)
		return STR("");
	if (config_logs(rs->cfg, LOGSEL_TLS_CIPHER) && !str_empty(p->tls.cipher)) {
		sb_printf(&sb, " X=%.*s", STR_ARG(p->tls.cipher));
		if (p->tls.resumption && config_logs(rs->cfg, LOGSEL_TLS_RESUMPTION))
			sb_ch(&sb, '*');
	}
	bool asked = p->tls.verified || !str_empty(p->tls.peer_dn);
	if (config_logs(rs->cfg, LOGSEL_TLS_CERTIFICATE_VERIFIED) && asked)
		sb_printf(&sb, " CV=%s", p->tls.verified ? "yes" : "no");
	if (config_logs(rs->cfg, LOGSEL_TLS_PEERDN) && !str_empty(p->tls.peer_dn))
		sb_printf(&sb, " DN=\"%.*s\"", STR_ARG(p->tls.peer_dn));
	if (arrival && config_logs(rs->cfg, LOGSEL_TLS_SNI) && !str_empty(p->tls.sni))
		sb_printf(&sb, " SNI=\"%.*s\"", STR_ARG(p->tls.sni));
	return sb_str(&sb);
}

struct str rs_auth_text(struct receive_session *rs)
{
	const struct peer *p = &rs->peer;
	if (str_empty(p->auth_name))
		return STR("");
	if (str_empty(p->auth_id))
		return str_printf(rs->env->scratch, " A=%.*s", STR_ARG(p->auth_name));
	return str_printf(rs->env->scratch, " A=%.*s:%.*s", STR_ARG(p->auth_name), STR_ARG(p->auth_id));
}

void rs_log_text(struct receive_session *rs, unsigned where, struct str id, struct str text, struct str more)
{
	if (!rs->test_host) {
		log_block(rs->env->log, where, id, text, more);
		return;
	}
	dprintf(STDERR_FILENO, "LOG: %.*s%s%.*s\n", STR_ARG(id), id.len ? " " : "", STR_ARG(text));
}

static void write_log(struct receive_session *rs, unsigned where, struct str id, const char *fmt, va_list ap)
{
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, LIMIT_LOG_LINE * 8);
	sb_vprintf(&sb, fmt, ap);
	rs_log_text(rs, where, id, sb_str(&sb), STR_NONE);
}

void rs_log(struct receive_session *rs, unsigned where, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	write_log(rs, where, STR_NONE, fmt, ap);
	va_end(ap);
}

void rs_log_id(struct receive_session *rs, unsigned where, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	write_log(rs, where, rs->tx ? str_c(rs->tx->m->id) : STR_NONE, fmt, ap);
	va_end(ap);
}
