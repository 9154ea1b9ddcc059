/* SPDX-License-Identifier: Apache-2.0
 * A message under way: begun by MAIL, forgotten by RSET, HELO, the end of its data or of the
 * session. Its arena is kept for the next message of a burst. */
#include "receive/receive_priv.h"

#include "base/banned.h"

struct receive_tx *tx_begin(struct receive_session *rs)
{
	if (!rs->tx_arena)
		rs->tx_arena = arena_new("message", LIMIT_ARENA_MESSAGE, 16384, 0);
	struct receive_tx *tx = arena_new_of(rs->tx_arena, struct receive_tx);
	tx->arena = rs->tx_arena;
	tx->m = message_new(tx->arena);
	tx->m->login = rs->caller ? rs->caller->login : rs->cfg->exim_user_name;
	tx->m->uid = rs->caller ? rs->caller->uid : rs->env->exim_uid;
	tx->m->gid = rs->caller ? rs->caller->gid : rs->env->exim_gid;
	tx->started_us = clock_us(&rs->env->clock);
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(&rs->acl_conn.acl_c, &pos)) != NULL;)
		map_put(&tx->m->acl_c, s->key, s->value);
	acl_transaction_init(&tx->acl, tx->arena);
	tx->cache = match_cache_new(tx->arena);
	rs->tx = tx;
	return tx;
}

static void log_incomplete(struct receive_session *rs, const char *why)
{
	struct receive_tx *tx = rs->tx;
	if (!config_logs(rs->cfg, LOGSEL_SMTP_INCOMPLETE_TRANSACTION))
		return;
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, LIMIT_LOG_LINE);
	sb_printf(&sb, "%.*s incomplete transaction (%s) from <%.*s>", STR_ARG(rs_who(rs)), why, STR_ARG(tx->m->sender));
	for (size_t i = 0; i < tx->m->recipients; i++)
		sb_printf(&sb, "%s %.*s", i ? "" : " for", STR_ARG(tx->m->recipient[i].address));
	rs_log_text(rs, LOGTO_MAIN, STR_NONE, sb_str(&sb), STR_NONE);
}

void tx_end(struct receive_session *rs, const char *why)
{
	if (!rs->tx)
		return;
	if (why)
		log_incomplete(rs, why);
	if (rs->tx->writer)
		spool_abort(rs->tx->writer);
	rs_keep_peer(rs);
	rs->tx = NULL;
	acl_effects_next(&rs->effects);
	arena_reset(rs->tx_arena);
}

/* $received_protocol: what was spoken (RFC 3848), with "local-" in front for standard input. */
void rs_set_protocol(struct receive_session *rs)
{
	struct peer *p = &rs->peer;
	if (rs->caller && str_is_set(rs->caller->protocol)) {
		p->received_protocol = rs->caller->protocol;
		return;
	}
	const char *base = rs->batch ? "bsmtp" : p->esmtp ? "esmtp" : "smtp";
	bool smtp_word = (p->esmtp || p->tls.on_connect) && !rs->batch;
	char text[40];
	(void)snprintf(text, sizeof text, "%s%s%s%s%s", str_empty(p->host_address) ? "local-" : "", p->smtputf8 && p->esmtp ? "utf8" : "",
	    base, smtp_word && p->tls.active ? "s" : "", smtp_word && !str_empty(p->auth_name) ? "a" : "");
	if (!str_eqc(p->received_protocol, text))
		p->received_protocol = str_dup(rs->arena, str_c(text));
}
