/* SPDX-License-Identifier: Apache-2.0
 * "From user date" in front of the headers (manual 48.4): recognised by uucp_from_pattern, taken
 * away; from a trusted local caller without -f it names the sender (uucp_from_sender). */
#include "receive/receive_priv.h"

#include "base/banned.h"

static bool allowed(struct receive_session *rs)
{
	const struct main_options *m = &rs->cfg->main;
	if (!rs->smtp)
		return true;
	if (str_empty(rs->peer.host_address))
		return m->ignore_fromline_local;
	return rs_host_in(rs, &m->ignore_fromline_hosts);
}

static void take_sender(struct receive_session *rs, struct moment *mo)
{
	const struct xstr *option = &rs->cfg->main.uucp_from_sender;
	struct receive_tx *tx = rs->tx;
	struct str text, address;
	struct addr_parts parts = {0};
	const char *error;
	if (rs->smtp || !rs->caller || !rs->caller->trusted || rs->caller->sender_given)
		return;
	if (expand(&mo->ev, option, &text) != EXPAND_OK || !addr_parse(tx->arena, text, rs_address_flags(rs) | ADDR_ALLOW_EMPTY, &address, &parts, &error))
		return;
	if (!str_empty(address) && !str_is_set(parts.domain))
		address = rs_qualify(tx->arena, address, rs->cfg->qualify_domain);
	tx->m->sender = tx->m->original_sender = str_tainted(str_dup(tx->arena, address));
	tx->m->sender_local = false;
	rs->peer.auth_sender = STR_NONE;
}

bool rs_from_line(struct receive_session *rs, struct str line)
{
	struct moment mo;
	if (!allowed(rs))
		return false;
	moment_open(&mo, rs);
	mo.ev.lx.captures = &mo.ev.captures;
	if (match_regex(&mo.ev.lx, rs->cfg->main.uucp_from_pattern.text, line, true) != 1)
		return false;
	take_sender(rs, &mo);
	return true;
}
