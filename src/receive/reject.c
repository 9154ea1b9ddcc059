/* SPDX-License-Identifier: Apache-2.0
 * What the reject log holds below a refusal (manual 53.9): envelope and header lines. */
#include "receive/receive_priv.h"

#include "base/banned.h"

#define BLOCK_MAX 65536u

struct str rs_reject_block(struct receive_session *rs)
{
	const struct message *m = rs->tx->m;
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, BLOCK_MAX);
	sb_printf(&sb, "Envelope-from: <%.*s>\n", STR_ARG(m->sender));
	for (size_t i = 0; i < m->recipients && sb.len < BLOCK_MAX / 2; i++)
		sb_printf(&sb, "%s<%.*s>\n", i ? "    " : "Envelope-to: ", STR_ARG(m->recipient[i].address));
	for (const struct header *h = m->headers.first; h; h = h->next) {
		if (sb.len + h->text.len + 4 > BLOCK_MAX)
			break;
		sb_printf(&sb, "%c ", h->kind);
		sb_add(&sb, h->text);
	}
	for (const struct acl_header *h = rs->effects.headers_add; h && sb.len + h->text.len + 4 <= BLOCK_MAX; h = h->next)
		sb_printf(&sb, "  %.*s", STR_ARG(h->text)); /* what an ACL would have added */
	struct str s = sb_str(&sb);
	if (s.len && s.p[s.len - 1] == '\n')
		s.len--;
	return s;
}
