/* SPDX-License-Identifier: Apache-2.0
 * Envelope addresses of SMTP commands: rewritten as text (manual 31, flag S), parsed, completed
 * with a domain where that is allowed (48.3). */
#include "receive/receive_priv.h"

#include "route/route.h"

#include "base/banned.h"

unsigned rs_address_flags(struct receive_session *rs)
{
	const struct main_options *m = &rs->cfg->main;
	unsigned f = ADDR_ALLOW_UNQUALIFIED;
	if (m->allow_domain_literals)
		f |= ADDR_ALLOW_LITERAL;
	if (rs->peer.smtputf8 || m->allow_utf8_domains)
		f |= ADDR_ALLOW_UTF8;
	if (m->strip_trailing_dot)
		f |= ADDR_STRIP_DOT;
	if (m->strip_excess_angle_brackets)
		f |= ADDR_STRIP_BRACKETS;
	return f;
}

struct str rs_rewrite(struct receive_session *rs, struct str address, unsigned which)
{
	bool changed = false;
	if (!rs->cfg->rewrite)
		return address;
	struct moment mo;
	moment_open(&mo, rs);
	struct str to = rewrite_one(&mo.ev, address, which, &changed);
	return changed ? to : address;
}

bool rs_parse_address(struct receive_session *rs, struct str text, unsigned flags, struct str *ret, struct addr_parts *parts, const char **error)
{
	struct arena *a = rs->tx ? rs->tx->arena : rs->env->scratch;
	struct str from = rs_rewrite(rs, text, REWRITE_SMTP);
	if (!addr_parse(a, str_trim(from), rs_address_flags(rs) | flags, ret, parts, error))
		return false;
	*ret = str_tainted(*ret);
	return true;
}

bool rs_may_be_unqualified(struct receive_session *rs, bool sender)
{
	const struct main_options *m = &rs->cfg->main;
	bool *known = sender ? &rs->sender_unqualified_known : &rs->recipient_unqualified_known;
	bool *may = sender ? &rs->sender_unqualified : &rs->recipient_unqualified;
	if (!*known) {
		*may = (rs->local && !rs->test_host) || str_empty(rs->peer.host_address) || rs_host_in(rs, sender ? &m->sender_unqualified_hosts : &m->recipient_unqualified_hosts);
		*known = true;
	}
	return *may;
}

struct str rs_qualify(struct arena *a, struct str local, struct str domain)
{
	return str_tainted(str_cat(a, local, STR("@"), domain));
}
