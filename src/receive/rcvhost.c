/* SPDX-License-Identifier: Apache-2.0
 * $sender_rcvhost: how the client is named in Received: header lines. With a verified name
 * "name ([ip]:port helo=x ident=y)", else "[ip] (port=25 helo=x ident=y)"; parts that are not
 * known, or the helo when it is the name, are left out. */
#include "receive/receive_priv.h"

#include "base/banned.h"

static void add_part(struct strbuf *sb, const char *name, struct str value, char first, bool *any)
{
	if (str_empty(value))
		return;
	sb_ch(sb, *any ? ' ' : first);
	sb_printf(sb, "%s=%.*s", name, STR_ARG(value));
	*any = true;
}

/* HELO [1.2.3.4] from that very address says nothing new. */
static bool is_own_literal(const struct peer *p)
{
	if (p->helo.len < 3 || p->helo.p[0] != '[' || p->helo.p[p->helo.len - 1] != ']')
		return false;
	struct str in = str_sub(p->helo, 1, p->helo.len - 2);
	if (str_istarts(in, "IPv4:") || str_istarts(in, "IPv6:"))
		in = str_from(in, 5);
	return str_ieq(in, p->host_address);
}

void rs_set_rcvhost(struct receive_session *rs)
{
	struct peer *p = &rs->peer;
	if (str_empty(p->host_address))
		return;
	struct arena *a = rs->env->scratch;
	bool named = !str_empty(p->host_name), any = named;
	bool port = config_logs(rs->cfg, LOGSEL_INCOMING_PORT) && p->host_port;
	struct str helo = (named && str_ieq(p->helo, p->host_name)) || is_own_literal(p) ? STR_NONE : p->helo;
	struct strbuf sb;
	sb_init(&sb, a, 8192);
	sb.taint = 1;
	if (named) {
		sb_printf(&sb, "%.*s ([%.*s]", STR_ARG(p->host_name), STR_ARG(p->host_address));
		if (port)
			sb_printf(&sb, ":%d", p->host_port);
	} else {
		sb_printf(&sb, "[%.*s]", STR_ARG(p->host_address));
		if (port || !str_empty(helo) || !str_empty(p->ident))
			sb_addc(&sb, " (");
		if (port) {
			sb_printf(&sb, "port=%d", p->host_port);
			any = true;
		}
	}
	bool inside = named || port || !str_empty(helo) || !str_empty(p->ident);
	if (!any && inside) {
		/* the parenthesis stands already: the first part needs no blank */
		const char *name = str_empty(helo) ? "ident" : "helo";
		sb_printf(&sb, "%s=%.*s", name, STR_ARG(str_empty(helo) ? p->ident : helo));
		any = true;
		if (!str_empty(helo))
			add_part(&sb, "ident", p->ident, ' ', &any);
	} else {
		add_part(&sb, "helo", helo, ' ', &any);
		add_part(&sb, "ident", p->ident, ' ', &any);
	}
	if (inside)
		sb_ch(&sb, ')');
	struct str s = sb_str(&sb);
	if (!str_eq(s, p->rcvhost))
		p->rcvhost = str_dup(rs->arena, s);
}
