/* SPDX-License-Identifier: Apache-2.0
 * All of a message is there: headers are put in order (manual 48), ACLs judge it (44.5), then it
 * becomes durable, is logged and handed on. Only a message that spool_commit took is answered
 * with 250. */
#include "receive/receive_priv.h"

#include "base/banned.h"

/* Facts that the -H file keeps about the message as a whole. */
static void note_facts(struct receive_session *rs)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	const struct build *b = &tx->build;
	struct str auth_sender = m->peer.auth_sender;
	rs_keep_peer(rs);
	rs->peer.pipelining_used = rs->smtp && smtp_session_pipelined(rs->smtp);
	m->peer = rs->peer;
	if (str_is_set(auth_sender))
		m->peer.auth_sender = rs->peer.auth_sender;
	m->body_size = b->body_size;
	m->body_lines = b->body_lines;
	m->body_zeros = b->body_zeros;
	m->max_line = b->max_line;
	m->body_8bit = b->eight_bit;
	m->deliver_firsttime = true;
	if (rs->effects.utf8_downconvert_set)
		m->utf8_downconvert = rs->effects.utf8_downconvert;
}

static void count_size(struct message *m)
{
	m->size = m->body_size + 1;
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD)
			m->size += h->text.len;
}

static void show_body(struct receive_session *rs, struct moment *mo)
{
	struct receive_tx *tx = rs->tx;
	mo->ev.body_fd = rs->test_fd;
	mo->ev.body_offset = 0;
	mo->ev.body_size = tx->m->body_size;
	if (tx->writer && spool_body_fd(tx->writer, &mo->ev.body_fd, &mo->ev.body_offset, &mo->ev.body_size) != ST_OK)
		mo->ev.body_fd = -1;
}

/* One recipient's answer of PRDR (draft-hall-prdr): acl_smtp_data_prdr decides. */
static bool prdr_one(struct receive_session *rs, struct recipient *r, struct smtp_answer *a)
{
	struct moment mo;
	struct addr_view view = {.address = r->address, .uid = -1, .gid = -1};
	struct addr_parts parts = addr_split(r->address);
	moment_open(&mo, rs);
	show_body(rs, &mo);
	view.local_part = view.original_local_part = parts.local_part;
	view.domain = view.original_domain = parts.domain;
	mo.ev.space[SPACE_ADDRESS] = &view;
	mo.frame.recipient = r->address;
	mo.frame.where = ACL_PRDR;
	struct str user = STR_NONE, log = STR_NONE;
	enum acl_verdict v = acl_run(&mo.ev, &mo.frame, &rs->cfg->main.acl_smtp_data_prdr, &user, &log);
	bool good = v == ACL_OK || v == ACL_DISCARD, later = v == ACL_DEFER || v == ACL_ERROR;
	if (!str_is_set(user)) {
		user = str_printf(rs->tx->arena, "PRDR R=<%.*s> %s", STR_ARG(r->address), good ? "acceptance" : later ? "temporary refusal" : "refusal");
		rs_log_id(rs, LOGTO_MAIN, "%.*s", STR_ARG(user));
	} else {
		rs_log_id(rs, LOGTO_MAIN, "PRDR %.*s %.*s", STR_ARG(r->address), STR_ARG(user));
	}
	*a = answer_with_code(good ? 250 : later ? 450 : 550, user);
	return v == ACL_OK;
}

/* Replies go out as they are known; refused recipients leave the message. False: none is left. */
static bool prdr_all(struct receive_session *rs, bool *ret_some)
{
	struct message *m = rs->tx->m;
	size_t kept = 0, all = m->recipients;
	smtp_session_reply(rs->smtp, 353, STR("PRDR content analysis beginning"));
	for (size_t i = 0; i < all; i++) {
		struct smtp_answer a;
		bool good = prdr_one(rs, &m->recipient[i], &a);
		smtp_session_reply(rs->smtp, a.code, a.text);
		if (good)
			m->recipient[kept++] = m->recipient[i];
	}
	m->recipients = kept;
	*ret_some = kept < all;
	return kept > 0;
}

static bool run_data_acl(struct receive_session *rs, struct smtp_answer *ret)
{
	const struct main_options *o = &rs->cfg->main;
	bool smtp = rs->smtp != NULL;
	const struct xstr *acl = smtp ? &o->acl_smtp_data : &o->acl_not_smtp;
	struct receive_tx *tx = rs->tx;
	if (!str_is_set(acl->text) || (smtp && tx->m->recipients == 0))
		return true;
	struct moment mo;
	moment_open(&mo, rs);
	show_body(rs, &mo);
	struct str what = smtp ? STR("after DATA") : STR("by non-SMTP ACL");
	switch (rs_acl(rs, &mo, smtp ? ACL_DATA : ACL_NOT_SMTP, acl, what, 250, STR_NONE, ret)) {
	case ACL_OK: return true;
	case ACL_DISCARD:
		tx->m->recipients = 0;
		tx->discarded_by = smtp ? STR("DATA ACL") : STR("non-SMTP ACL");
		return true;
	case ACL_FAIL:
	case ACL_DROP:
	case ACL_DEFER:
	case ACL_ERROR: break;
	}
	return false;
}

static void apply_acl_headers(struct receive_session *rs)
{
	struct moment mo;
	if (!rs->effects.headers_add && !str_is_set(rs->effects.headers_remove))
		return;
	moment_open(&mo, rs);
	acl_headers_apply(&mo.ev, rs->tx->m, &rs->effects);
}

/* control = freeze, queue..., as the ACLs left them. */
static void apply_controls(struct receive_session *rs)
{
	struct message *m = rs->tx->m;
	const struct acl_effects *e = &rs->effects;
	if (e->freeze)
		m->frozen_at = clock_s(&rs->env->clock);
	m->queue_name = e->queue_name_set ? str_dup(m->arena, e->queue_name) : m->queue_name;
}

/* The reply to an accepted message. */
static struct smtp_answer accepted(struct receive_session *rs, struct smtp_answer acl, bool some_refused)
{
	struct receive_tx *tx = rs->tx;
	const struct acl_effects *e = &rs->effects;
	if (e->fakereject || e->fakedefer) {
		struct str text = str_is_set(e->fake_text) ? e->fake_text :
		    STR("Your message has been rejected but is being kept for evaluation.\nIf it was a legitimate message, it may still be delivered to the target recipient(s).");
		return answer_folded(tx->arena, answer_with_code(e->fakedefer ? 450 : 550, text));
	}
	if (str_is_set(acl.text))
		return acl;
	if (some_refused)
		return answer_str(250, str_printf(tx->arena, "id=%s message accepted for some recipients", tx->m->id));
	struct str total = STR("");
	if (tx->chunking) {
		/* Exim counts octets twice when the data breaks off inside of a header line */
		int64_t sum, last = smtp_session_chunk(rs->smtp, &sum);
		total = str_printf(tx->arena, " %lld byte chunk, total %lld\n", (long long)last, (long long)(tx->cut_in_header ? 2 * sum : sum));
	}
	return answer_str(250, str_printf(tx->arena, "%.*sOK id=%s", STR_ARG(total), tx->m->id));
}

static bool write_message(struct receive_session *rs, struct smtp_answer *ret)
{
	struct receive_tx *tx = rs->tx;
	struct why why = {0};
	if (!tx->writer)
		return true;
	struct spool_writer *w = tx->writer;
	tx->writer = NULL;
	if (tx->m->recipients == 0) {
		spool_abort(w);
		return true;
	}
	if (spool_commit(w, tx->m, &why) == ST_OK)
		return true;
	rs_log_id(rs, LOGTO_MAIN | LOGTO_PANIC, "message from %.*s could not be kept: %s", STR_ARG(rs_from(rs)), why.text);
	*ret = answer(451, "Error while writing spool file");
	return false;
}

static void hand_on(struct receive_session *rs)
{
	struct receive_tx *tx = rs->tx;
	if (tx->m->recipients == 0) {
		rs_log_id(rs, LOGTO_MAIN, "=> blackhole (%.*s discarded recipients)", STR_ARG(tx->discarded_by));
		rs_log_id(rs, LOGTO_MAIN, "Completed");
		return;
	}
	if (rs->sink.queued && !rs->test_host)
		rs->sink.queued(rs->sink.arg, tx->m, rs_how(rs));
}

enum finish rs_finish(struct receive_session *rs, struct smtp_answer *ret)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	bool some_refused = false;
	struct smtp_answer acl = {0};
	note_facts(rs);
	rs_override_sender(rs);
	if (!tx->fixed)
		rs_fix_headers(rs);
	rs_add_received(rs);
	apply_acl_headers(rs);
	count_size(m);
	tx->prdr &= m->recipients > 1; /* with one recipient there is nothing to tell apart */
	if (tx->prdr && rs->smtp && !prdr_all(rs, &some_refused)) {
		*ret = answer(550, "message not accepted for any recipient");
		return FINISH_REJECTED;
	}
	if (!run_data_acl(rs, &acl)) {
		*ret = acl;
		return FINISH_REJECTED;
	}
	apply_acl_headers(rs);
	apply_controls(rs);
	rs_received_now(rs);
	count_size(m);
	m->received_done_us = clock_us(&rs->env->clock);
	if (!write_message(rs, ret))
		return FINISH_REJECTED;
	rs_log_arrival(rs);
	hand_on(rs);
	rs->batch_done++;
	*ret = accepted(rs, acl, some_refused);
	return FINISH_OK;
}
