/* SPDX-License-Identifier: Apache-2.0
 * -t: recipients out of To:, Cc: and Bcc: (or their Resent- forms), without those that the command
 * line names (manual 5 -t, 14 extract_addresses_remove_arguments). Bcc: lines are taken away. */
#include "receive/receive_priv.h"

#include "base/banned.h"

static bool is_wanted(const struct header *h, bool resent)
{
	if (h->kind != HDR_TO && h->kind != HDR_CC && h->kind != HDR_BCC)
		return false;
	return str_istarts(h->text, "Resent-") == resent;
}

static bool any_resent(const struct message *m)
{
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD && str_istarts(h->text, "Resent-") && (h->kind == HDR_TO || h->kind == HDR_CC || h->kind == HDR_BCC))
			return true;
	return false;
}

static void add_bad(struct receive_session *rs, struct bad_address ***at, struct str text, struct str error)
{
	struct bad_address *b = arena_new_of(rs->tx->arena, struct bad_address);
	b->text = str_dup(rs->tx->arena, str_trim(text));
	b->error = error;
	**at = b;
	*at = &b->next;
}

static bool known(const struct message *m, struct str address)
{
	for (size_t i = 0; i < m->recipients; i++)
		if (str_ieq(m->recipient[i].address, address))
			return true;
	return false;
}

static void take_one(struct receive_session *rs, struct str member, const struct map *without, struct bad_address ***bad)
{
	struct receive_tx *tx = rs->tx;
	struct addr_parts parts = {0};
	struct str address;
	const char *error;
	if (str_empty(str_trim(member)))
		return;
	if (!addr_parse(tx->arena, member, rs_address_flags(rs) | ADDR_IN_HEADER | ADDR_ALLOW_UNQUALIFIED, &address, &parts, &error)) {
		add_bad(rs, bad, member, str_c(error));
		return;
	}
	if (!str_is_set(parts.domain)) {
		if (tx->no_header_qualify && !rs_may_be_unqualified(rs, false)) {
			add_bad(rs, bad, member, STR("unqualified address not allowed"));
			return;
		}
		address = rs_qualify(tx->arena, address, rs->cfg->qualify_recipient);
	}
	if (map_has(without, address)) {
		message_set_done(tx->m, address);
		return;
	}
	if (!known(tx->m, address))
		(void)message_add_recipient(tx->m, str_tainted(str_dup(tx->arena, address)));
}

enum extract rs_extract_recipients(struct receive_session *rs, bool remove_arguments, struct bad_address **ret_bad)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	struct bad_address **bad = ret_bad;
	struct map without;
	*ret_bad = NULL;
	map_init(&without, tx->arena, true);
	if (remove_arguments) {
		for (size_t i = 0; i < m->recipients; i++)
			map_put(&without, m->recipient[i].address, &without);
		m->recipients = 0;
	}
	bool resent = any_resent(m);
	for (struct header *h = m->headers.first; h; h = h->next) {
		if (!is_wanted(h, resent))
			continue;
		struct rd r = rd_of(header_value(h));
		struct str member;
		while (addr_list_next(&r, &member, NULL))
			take_one(rs, member, &without, &bad);
	}
	for (struct header *h = m->headers.first; h; h = h->next)
		if (h->kind == HDR_BCC)
			h->kind = HDR_OLD;
	if (*ret_bad)
		return EXTRACT_BAD;
	return m->recipients ? EXTRACT_OK : EXTRACT_NONE;
}
