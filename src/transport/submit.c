/* SPDX-License-Identifier: Apache-2.0
 * Messages that transports send of their own: automatic replies (manual 27), quota warnings
 * (manual 26). The driver, as the user, writes the text; the parent makes a message of it: empty
 * sender, recipients from its header lines, through the spool like any other. */
#include <pwd.h>

#include "base/limits.h"
#include "build_config.h"
#include "ipc/channel.h"
#include "message/address.h"
#include "transport/steps.h"

#include "base/banned.h"

void submission_pack(struct strbuf *sb, const struct submission *s)
{
	pk_str(sb, s->text);
	pk_str(sb, s->references_id);
	pk_u8(sb, s->from_default);
}

/* ---- the parent's side ---- */

static struct str qualified(const struct delivery *d, struct arena *a, struct str address)
{
	if (str_is_set(addr_split(address).domain))
		return address;
	return str_cat(a, address, STR("@"), d->config->qualify_recipient);
}

static void add_recipients(const struct delivery *d, struct message *m, const struct header *h)
{
	struct rd r = rd_of(header_value(h));
	struct str text, address;
	struct addr_parts parts;
	const char *error;
	while (m->recipients < LIMIT_RECIPIENTS && addr_list_next(&r, &text, NULL)) {
		if (addr_parse(m->arena, text, ADDR_ALLOW_UNQUALIFIED | ADDR_IN_HEADER | ADDR_ALLOW_LITERAL, &address, &parts, &error))
			message_add_recipient(m, qualified(d, m->arena, address));
	}
}

static void find_recipients(const struct delivery *d, struct message *m)
{
	for (const struct header *h = m->headers.first; h; h = h->next) {
		if (header_is(h, "To") || header_is(h, "Cc") || header_is(h, "Bcc"))
			add_recipients(d, m, h);
	}
	headers_remove(&m->headers, STR("Bcc"), 0);
}

static bool has(const struct message *m, const char *name)
{
	for (const struct header *h = m->headers.first; h; h = h->next) {
		if (header_is(h, name))
			return true;
	}
	return false;
}

static void put_header(struct message *m, bool front, const char *fmt, ...) printf_like(3, 4);
static void put_header(struct message *m, bool front, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;
	sb_init(&sb, m->arena, LIMIT_HEADER_DEFAULT);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	struct str text = sb_str(&sb);
	if (front)
		headers_add_front(&m->headers, m->arena, text, header_kind_of(text));
	else
		headers_add(&m->headers, m->arena, text, header_kind_of(text));
}

static void complete_headers(const struct delivery *d, struct message *m, const struct submission *s)
{
	struct str date = clock_rfc5322(m->arena, (time_t)(m->received_us / 1000000), false), host = d->config->primary_hostname;
	if (!has(m, "Message-Id"))
		put_header(m, false, "Message-Id: <E%s@%.*s>\n", m->id, STR_ARG(host));
	if (!has(m, "From") && s->from_default)
		put_header(m, false, "From: Mail Delivery System <Mailer-Daemon@%.*s>\n", STR_ARG(d->config->qualify_domain));
	else if (!has(m, "From"))
		put_header(m, false, "From: %.*s@%.*s\n", STR_ARG(m->login), STR_ARG(d->config->qualify_domain));
	if (!has(m, "Auto-Submitted"))
		put_header(m, false, "Auto-Submitted: auto-replied\n");
	if (!has(m, "Date"))
		put_header(m, false, "Date: %.*s\n", STR_ARG(date));
	struct eval ev;
	struct str received;
	eval_init(&ev, d->config, d->env, m->arena);
	eval_set_message(&ev, m);
	eval_set_peer(&ev, &m->peer);
	if (expand(&ev, &d->config->main.received_header_text, &received) != EXPAND_OK)
		received = str_printf(m->arena, "Received: by %.*s\n\tid %s", STR_ARG(host), m->id);
	if (!str_empty(received))
		put_header(m, true, "%.*s;\n\t%.*s\n", STR_ARG(received), STR_ARG(date));
}

static void sum_up(struct message *m, struct str body)
{
	size_t headers = 0;
	for (const struct header *h = m->headers.first; h; h = h->next) {
		if (h->kind != HDR_OLD)
			headers += h->text.len;
	}
	for (size_t i = 0; i < body.len; i++)
		m->body_lines += body.p[i] == '\n';
	m->body_size = body.len;
	m->size = (int64_t)(headers + 1 + body.len);
}

static struct str our_login(struct arena *a, const struct config *c)
{
	struct passwd pw, *found = NULL;
	char buf[4096];
	if (getpwuid_r((uid_t)c->exim_uid, &pw, buf, sizeof buf, &found) == 0 && found)
		return str_dup(a, str_c(pw.pw_name));
	return STR(EXIMIUS_USER);
}

static struct message *make_message(struct delivery *d, struct arena *a, const struct submission *s, struct str *ret_body)
{
	struct message *m = message_new(a);
	struct rd r = rd_of(s->text);
	bool clean = headers_parse(&m->headers, a, &r);
	(void)clean; /* a line that is no header begins the body */
	(void)rd_accept_text(&r, "\n");
	*ret_body = rd_take(&r, rd_left(&r));
	if (ret_body->len && ret_body->p[ret_body->len - 1] != '\n')
		*ret_body = str_cat(a, *ret_body, STR("\n"));
	m->sender = STR("");
	m->sender_set = true;
	m->uid = d->config->exim_uid;
	m->gid = d->config->exim_gid;
	m->login = our_login(a, d->config);
	m->local_error = true;
	m->peer.local = true;
	m->peer.ident = m->login;
	m->peer.received_protocol = STR("local");
	m->deliver_firsttime = true;
	m->received_us = clock_us(&d->env->clock);
	find_recipients(d, m);
	return m;
}

static bool submit(struct delivery *d, struct arena *a, const struct submission *s, struct why *why)
{
	struct str body;
	struct spool_writer *w;
	struct message *m = make_message(d, a, s, &body);
	if (m->recipients == 0) {
		why_set(why, false, "it has no recipients");
		return false;
	}
	if (!d->spool) {
		why_set(why, true, "there is no spool");
		return false;
	}
	if (spool_create(d->spool, STR(""), m->id, &w, why) != ST_OK)
		return false;
	complete_headers(d, m, s);
	sum_up(m, body);
	if (spool_append(w, body.p, body.len) != ST_OK) {
		spool_abort(w);
		why_set(why, true, "failed to write the message body");
		return false;
	}
	if (spool_commit(w, m, why) != ST_OK)
		return false;
	log_write(d->env->log, LOGTO_MAIN, str_c(m->id), "<= <> R=%.*s U=%.*s P=local S=%lld", STR_ARG(s->references_id),
	    STR_ARG(m->login), (long long)m->size);
	if (d->submitted)
		d->submitted(d, m);
	return true;
}

bool delivery_submit(struct delivery *d, const struct submission *s)
{
	struct submission one = *s;
	struct why why = {0};
	if (!str_is_set(one.references_id))
		one.references_id = str_c(d->message->id);
	if (d->submit_to) {
		submission_pack(d->submit_to, &one);
		return !d->submit_to->over;
	}
	struct arena *a = arena_new("submission", LIMIT_ARENA_MESSAGE, 0, 0);
	bool ok = submit(d, a, &one, &why);
	arena_free(a);
	if (!ok)
		delivery_log(d, LOGTO_MAIN | LOGTO_PANIC, "Failed to send message from %s transport: %s", transport_name(d), why.text);
	return ok;
}

void submissions_send(struct delivery *d, struct str packed)
{
	struct rd r = rd_of(packed);
	while (!rd_done(&r)) {
		struct submission s = {.text = up_str(&r)};
		s.references_id = up_str(&r);
		s.from_default = up_u8(&r);
		if (!r.bad)
			(void)delivery_submit(d, &s);
	}
}
