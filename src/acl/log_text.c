/* SPDX-License-Identifier: Apache-2.0
 * Words about the client, and foreign text, as log lines have them (manual 53). */
#include "acl/acl_priv.h"
#include "net/addr.h"
#include "base/banned.h"

static void address(struct strbuf *sb, struct str ip, int port, bool with_port)
{
	sb_printf(sb, "[%.*s]", STR_ARG(ip));
	if (with_port && port > 0)
		sb_printf(sb, ":%d", port);
}

/* "name (helo) [ip]": the HELO name only where it says something else. */
static void full_host(struct strbuf *sb, const struct config *cfg, const struct peer *p)
{
	bool helo = str_is_set(p->helo) && !str_empty(p->helo);
	struct str literal = p->helo;

	if (helo && str_starts(literal, "[") && str_ends(literal, "]"))
		literal = str_sub(literal, 1, literal.len - 2);
	if (helo && str_is_set(p->host_name) && str_ieq(p->helo, p->host_name))
		helo = false;
	if (helo && !str_is_set(p->host_name) && str_ieq(literal, p->host_address))
		helo = false;
	if (str_is_set(p->host_name))
		sb_printf(sb, "%.*s ", STR_ARG(p->host_name));
	if (helo)
		sb_printf(sb, "(%.*s) ", STR_ARG(p->helo));
	address(sb, p->host_address, p->host_port, config_logs(cfg, LOGSEL_INCOMING_PORT));
}

struct str acl_log_host(struct eval *ev)
{
	const struct peer *p = ev->lx.peer;
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, LIMIT_LOG_LINE);
	if (p && str_is_set(p->host_address)) {
		sb_addc(&sb, "H=");
		full_host(&sb, ev->lx.config, p);
		if (str_is_set(p->interface_address) && config_logs(ev->lx.config, LOGSEL_INCOMING_INTERFACE)) {
			sb_addc(&sb, " I=");
			address(&sb, p->interface_address, p->interface_port, true);
		}
	}
	if (p && str_is_set(p->ident) && !str_empty(p->ident))
		sb_printf(&sb, "%sU=%.*s", sb.len ? " " : "", STR_ARG(p->ident));
	if (sb.len == 0)
		sb_addc(&sb, "U=unknown");
	return acl_log_text(ev, sb_str(&sb));
}

struct str acl_log_text(struct eval *ev, struct str s)
{
	bool top = ev->lx.config->main.print_topbitchars;
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (ch_print(c) || c == '\t' || (top && c >= 0x80))
			sb_ch(&sb, (char)c);
		else if (c == '\n')
			sb_addc(&sb, "\\n");
		else if (c == '\r')
			sb_addc(&sb, "\\r");
		else
			sb_printf(&sb, "\\%03o", c);
	}
	return sb_str(&sb);
}
