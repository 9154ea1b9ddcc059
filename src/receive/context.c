/* SPDX-License-Identifier: Apache-2.0
 * Contexts for expansions, list matching and ACL runs: of the message under way, or, between
 * messages, of the connection alone. Options that need no expansion cost nothing here. */
#include "receive/receive_priv.h"

#include <errno.h>

#include "base/banned.h"

/* A name that was looked up while an ACL or list ran lives in that run's arena: keep it. */
void rs_keep_peer(struct receive_session *rs)
{
	struct peer *p = &rs->peer;
	bool changed = false;
	if (p->host_name.p != rs->kept_name.p) {
		p->host_name = rs->kept_name = str_is_set(p->host_name) ? str_dup(rs->arena, p->host_name) : STR_NONE;
		changed = true;
	}
	if (p->host_aliases.p != rs->kept_aliases.p)
		p->host_aliases = rs->kept_aliases = str_is_set(p->host_aliases) ? str_dup(rs->arena, p->host_aliases) : STR_NONE;
	if (changed)
		rs_set_rcvhost(rs);
}

void rs_command_begins(struct receive_session *rs)
{
	rs_keep_peer(rs);
	if (rs->marked)
		arena_release(rs->env->scratch, rs->mark);
}

static void delay(void *arg, int seconds, bool flush)
{
	struct receive_session *rs = arg;
	if (flush && rs->stream && stream_flush(rs->stream) != ST_OK)
		return;
	struct timespec ts = {.tv_sec = seconds};
	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		continue;
}

static void flush(void *arg)
{
	struct receive_session *rs = arg;
	if (rs->stream && stream_flush(rs->stream) != ST_OK)
		rs->ended = true;
}

static struct message *between_messages(struct receive_session *rs, struct arena *a)
{
	struct message *m = message_new(a);
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(&rs->acl_conn.acl_c, &pos)) != NULL;)
		map_put(&m->acl_c, s->key, s->value);
	return m;
}

void moment_open(struct moment *mo, struct receive_session *rs)
{
	struct receive_tx *tx = rs->tx;
	struct arena *a = tx ? tx->arena : rs->env->scratch;
	memset(&mo->frame, 0, sizeof mo->frame);
	mo->arena = a;
	eval_init(&mo->ev, rs->cfg, rs->env, a);
	eval_set_message(&mo->ev, tx ? tx->m : between_messages(rs, a));
	eval_set_peer(&mo->ev, &rs->peer);
	mo->ev.space[SPACE_SESSION] = &rs->view;
	mo->ev.lx.cache = tx ? tx->cache : NULL;
	mo->ev.body_fd = -1;
	if (!tx)
		acl_transaction_init(&mo->own_tx, a);
	mo->frame.effects = &rs->effects;
	mo->frame.tx = tx ? &tx->acl : &mo->own_tx;
	mo->frame.conn = &rs->acl_conn;
	mo->frame.session = rs;
	mo->frame.test_host = rs->test_host;
	mo->frame.no_callout = rs->test_host && !rs->test_callout;
	mo->frame.delay = delay;
	mo->frame.delay_arg = rs;
	mo->frame.flush = flush;
	mo->frame.flush_arg = rs;
	if (rs->smtp) {
		struct str rest;
		struct str line = str_dup(a, smtp_session_command(rs->smtp));
		mo->frame.smtp_command = line;
		(void)str_cut(line, ' ', &rest);
		mo->frame.smtp_argument = str_trim(rest);
	}
	if (tx) {
		mo->frame.rcpt_count = tx->rcpt_count;
		mo->frame.rcpt_defer_count = tx->rcpt_defer_count;
		mo->frame.rcpt_fail_count = tx->rcpt_fail_count;
		mo->frame.recipients_count = (int32_t)tx->m->recipients;
	}
}

/* Text in which nothing can be expanded. */
static bool is_plain(struct str s)
{
	return str_chr(s, '$') < 0 && str_chr(s, '\\') < 0;
}

bool rs_expand(struct receive_session *rs, const struct xstr *x, struct str def, struct str *ret)
{
	if (!str_is_set(x->text)) {
		*ret = def;
		return true;
	}
	if (is_plain(x->text)) {
		*ret = x->text;
		return true;
	}
	struct moment mo;
	moment_open(&mo, rs);
	switch (expand(&mo.ev, x, ret)) {
	case EXPAND_OK: return true;
	case EXPAND_FORCED: *ret = def; return true;
	case EXPAND_FAILED:
	case EXPAND_DEFER: break;
	}
	rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "failed to expand \"%.*s\": %.*s", STR_ARG(x->text), STR_ARG(mo.ev.lx.error));
	return false;
}

bool rs_host_in(struct receive_session *rs, const struct xstr *list)
{
	if (str_empty(list->text))
		return false;
	if (str_eqc(list->text, "*"))
		return true;
	struct moment mo;
	moment_open(&mo, rs);
	bool yes = match_peer(&mo.ev.lx, list, 0, NULL) == MATCH_YES;
	rs_keep_peer(rs);
	return yes;
}

bool rs_expand_size(struct receive_session *rs, const struct xstr *x, int64_t def, int64_t *ret)
{
	struct str s;
	*ret = def;
	if (!rs_expand(rs, x, STR_NONE, &s))
		return false;
	s = str_trim(s);
	if (str_empty(s))
		return true;
	int64_t unit = 1, n;
	switch (s.p[s.len - 1]) {
	case 'k': case 'K': unit = 1024; break;
	case 'm': case 'M': unit = 1024 * 1024; break;
	case 'g': case 'G': unit = 1024 * 1024 * 1024; break;
	}
	if (unit > 1)
		s.len--;
	if (!str_int(s, &n) || n < 0 || n > INT64_MAX / unit) {
		rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "\"%.*s\" is not a number", STR_ARG(x->text));
		return false;
	}
	*ret = n * unit;
	return true;
}
