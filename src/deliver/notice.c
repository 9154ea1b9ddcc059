/* SPDX-License-Identifier: Apache-2.0
 * Messages that the system itself writes: a null sender, header lines in Exim's order, a body, and
 * the way into the spool as a message like any other. When notice_send says true, the message is
 * durable; only then may what it answers count as settled. */
#include "deliver/attempt.h"

#include <pwd.h>
#include <unistd.h>

#include "base/limits.h"
#include "message/address.h"

#include "base/banned.h"

#define NOTICE_HEAD_MAX (1u << 20)
#define NOTICE_BODY_MAX (64u << 20)

void notice_begin(struct notice *n, struct attempt *at, struct str to)
{
	n->at = at;
	n->boundary = NULL;
	n->to[0] = to;
	n->tos = 1;
	sb_init(&n->head, at->arena, NOTICE_HEAD_MAX);
	sb_init(&n->body, at->arena, NOTICE_BODY_MAX);
}

void notice_from(struct notice *n)
{
	struct str from;
	const struct xstr *x = &n->at->cfg->main.dsn_from;
	if (expand(&n->at->ev, x, &from) != EXPAND_OK || str_empty(from)) {
		attempt_log(n->at, LOGTO_MAIN | LOGTO_PANIC, "failed to expand dsn_from: %.*s", STR_ARG(n->at->ev.lx.error));
		from = str_cat(n->at->arena, STR("Mail Delivery System <Mailer-Daemon@"), n->at->cfg->qualify_domain, STR(">"));
	}
	sb_printf(&n->head, "From: %.*s\n", STR_ARG(from));
}

void notice_reply_to(struct notice *n)
{
	struct str r = n->at->cfg->main.errors_reply_to.text;
	if (!str_empty(r))
		sb_printf(&n->head, "Reply-To: %.*s\n", STR_ARG(r));
}

/* RFC 5322 3.6.4: the id of the message that this is about, and what it referred to. */
void notice_references(struct notice *n)
{
	struct str id = STR_NONE, refs = STR_NONE;
	for (const struct header *h = n->at->m->headers.first; h; h = h->next) {
		if (header_is(h, "Message-ID"))
			id = str_trim(header_value(h));
		else if (header_is(h, "References"))
			refs = str_trim(header_value(h));
	}
	if (str_empty(id))
		return;
	if (!str_empty(refs) && refs.len < 4096)
		sb_printf(&n->head, "References: %.*s\n  %.*s\n", STR_ARG(refs), STR_ARG(id));
	else
		sb_printf(&n->head, "References: %.*s\n", STR_ARG(id));
}

void notice_multipart(struct notice *n)
{
	struct env *env = n->at->env;
	n->boundary = arena_printf(n->at->arena, "%lld-eximdsn-%u", (long long)clock_s(&env->clock), env->random(env));
	sb_printf(&n->head, "Content-Type: multipart/report; report-type=delivery-status; boundary=%s\nMIME-Version: 1.0\n", n->boundary);
	sb_printf(&n->body, "--%s\nContent-type: text/plain; charset=us-ascii\n\n", n->boundary);
}

/* errors_copy (manual 14): "pattern addresses : pattern addresses". */
void notice_errors_copy(struct notice *n)
{
	struct attempt *at = n->at;
	struct str rest = at->cfg->main.errors_copy.text, item;
	int sep = 0;
	while (str_is_set(rest) && list_next(at->arena, &rest, &sep, &item)) {
		struct rd r = rd_of(item);
		struct str pattern = rd_word(&r), list, one;
		if (match_list_text(&at->ev.lx, LIST_ADDRESS, pattern, n->to[0], MATCH_CASELESS_LOCAL, NULL) != MATCH_YES)
			continue;
		/* Manual 14: $local_part and $domain are those of the bounce's recipient. */
		struct addr_parts parts = addr_split(n->to[0]);
		struct addr_view view = {.local_part = parts.local_part, .domain = parts.domain};
		at->ev.space[SPACE_ADDRESS] = &view;
		enum expand_status st = expand_text(&at->ev, str_trim(rd_rest(&r)), &list);
		at->ev.space[SPACE_ADDRESS] = NULL;
		if (st != EXPAND_OK)
			continue;
		while (str_is_set(list)) {
			one = str_trim(str_cut(list, ',', &list));
			if (!str_empty(one) && n->tos < countof(n->to))
				n->to[n->tos++] = str_chr(one, '@') < 0 ? str_cat(at->arena, one, STR("@"), at->cfg->qualify_recipient) : one;
		}
	}
}

/* --- The returned copy ----------------------------------------------------------------------- */
static void add_headers(struct notice *n)
{
	sb_printf(&n->body, "Return-path: <%.*s>\n", STR_ARG(n->at->m->sender));
	for (const struct header *h = n->at->m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD)
			sb_add(&n->body, h->text);
	sb_ch(&n->body, '\n');
}

static void add_body(struct notice *n)
{
	struct attempt *at = n->at;
	char buf[8192];
	int64_t off = at->ev.body_offset, end = off + at->m->body_size;
	while (off < end) {
		size_t want = end - off < (int64_t)sizeof buf ? (size_t)(end - off) : sizeof buf;
		ssize_t got = pread(at->ev.body_fd, buf, want, off);
		if (got <= 0)
			break;
		for (ssize_t i = 0; i < got; i++)
			if (!(at->m->wireformat && buf[i] == '\r'))
				sb_ch(&n->body, buf[i]);
		off += got;
	}
}

/* Exim rounds the limit up to its buffer of 8K. */
static bool too_big(const struct attempt *at)
{
	int64_t limit = at->cfg->main.bounce_return_size_limit;
	return limit > 0 && at->m->size > (limit / 8192 + 1) * 8192;
}

void notice_copy(struct notice *n, bool full)
{
	struct attempt *at = n->at;
	bool line = at->cfg->main.bounce_return_linesize_limit > 0 && at->m->max_line > at->cfg->main.bounce_return_linesize_limit;
	bool limited = full && (too_big(at) || line);
	full = full && !limited && at->cfg->main.bounce_return_body;
	sb_printf(&n->body, "--%s\nContent-type: %s\n", n->boundary, full ? "message/rfc822" : "text/rfc822-headers");
	if (limited)
		sb_addc(&n->body, "X-Exim-DSN-Information: Due to administrative limits only headers are returned\n");
	sb_ch(&n->body, '\n');
	add_headers(n);
	if (full)
		add_body(n);
	sb_printf(&n->body, "\n--%s--\n", n->boundary);
}

/* --- Into the spool -------------------------------------------------------------------------- */
static struct str our_login(struct attempt *at, int32_t uid)
{
	struct passwd pw, *found = NULL;
	char buf[4096];
	if (getpwuid_r((uid_t)uid, &pw, buf, sizeof buf, &found) == 0 && found)
		return str_dup(at->arena, str_c(pw.pw_name));
	return str_printf(at->arena, "%d", uid);
}

static void put(struct message *m, bool front, char kind, struct str text)
{
	if (front)
		headers_add_front(&m->headers, m->arena, text, kind);
	else
		headers_add(&m->headers, m->arena, text, kind);
}

static void add_trace(struct attempt *at, struct message *m)
{
	struct eval ev;
	struct str text, date = clock_rfc5322(at->arena, (time_t)(m->received_us / 1000000), false);
	eval_init(&ev, at->cfg, at->env, at->arena);
	eval_set_message(&ev, m);
	eval_set_peer(&ev, &m->peer);
	if (expand(&ev, &at->cfg->main.received_header_text, &text) != EXPAND_OK)
		text = str_printf(at->arena, "Received: by %.*s\n\tid %s", STR_ARG(at->cfg->primary_hostname), m->id);
	if (!str_empty(text))
		put(m, true, HDR_RECEIVED, str_cat(m->arena, text, STR(";\n\t"), date, STR("\n")));
	put(m, false, HDR_ID, str_printf(m->arena, "Message-Id: <E%s@%.*s>\n", m->id, STR_ARG(at->cfg->primary_hostname)));
	put(m, false, HDR_OTHER, str_cat(m->arena, STR("Date: "), date, STR("\n")));
}

static void sum_up(struct message *m, struct str body)
{
	int line = 0;
	for (uint32_t i = 0; i < body.len; i++) {
		line++;
		m->body_8bit = m->body_8bit || (unsigned char)body.p[i] >= 128;
		if (body.p[i] != '\n')
			continue;
		m->body_lines++;
		m->max_line = line > m->max_line ? line : m->max_line;
		line = 0;
	}
	m->body_size = body.len;
	m->size = (int64_t)m->headers.size + 1 + body.len;
}

static struct message *envelope(struct notice *n, const char *id)
{
	struct attempt *at = n->at;
	struct message *m = message_new(at->arena);
	memcpy(m->id, id, sizeof m->id);
	m->queue_name = STR("");
	m->sender = STR("");
	m->sender_set = m->local_error = m->deliver_firsttime = true;
	m->received_us = m->received_done_us = clock_us(&at->env->clock);
	m->uid = at->cfg->exim_uid;
	m->gid = at->cfg->exim_gid;
	m->login = our_login(at, m->uid);
	m->peer.local = true;
	m->peer.ident = m->login;
	m->peer.received_protocol = STR("local");
	for (size_t i = 0; i < n->tos; i++)
		message_add_recipient(m, n->to[i])->parent = -1;
	struct rd r = rd_of(sb_str(&n->head));
	if (!headers_parse(&m->headers, at->arena, &r))
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "malformed header lines in a message of the system");
	add_trace(at, m);
	sum_up(m, sb_str(&n->body));
	return m;
}

bool notice_send(struct notice *n, struct str reference_id)
{
	struct attempt *at = n->at;
	struct spool_writer *w = NULL;
	struct why why;
	char id[MSG_ID_MAX];
	if (n->head.over || n->body.over) {
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "a message to %.*s became too big", STR_ARG(n->to[0]));
		return false;
	}
	if (spool_create(at->job->spool, STR(""), id, &w, &why) != ST_OK) {
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "cannot write a message to %.*s: %s", STR_ARG(n->to[0]), why.text);
		return false;
	}
	struct message *m = envelope(n, id);
	struct str body = sb_str(&n->body);
	if (spool_append(w, body.p, body.len) != ST_OK) {
		spool_abort(w);
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "cannot write a message to %.*s", STR_ARG(n->to[0]));
		return false;
	}
	if (spool_commit(w, m, &why) != ST_OK) {
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "cannot write a message to %.*s: %s", STR_ARG(n->to[0]), why.text);
		return false;
	}
	log_write(at->env->log, LOGTO_MAIN, str_c(m->id), "<= <>%s%.*s U=%.*s P=local S=%lld", str_empty(reference_id) ? "" : " R=",
	    STR_ARG(reference_id), STR_ARG(m->login), (long long)m->size);
	attempt_made(at, m);
	return true;
}
