/* SPDX-License-Identifier: Apache-2.0
 * Client side of SMTP (RFC 5321) and LMTP (RFC 2033): commands out, replies in, counted against
 * each other. Replies are foreign bytes: lines and whole replies are bounded (base/limits.h), a
 * line that is no reply ends the conversation (code 0), and nothing that a caller puts into a
 * command can begin another one: CR, LF and NUL are refused. */
#include "smtp/client.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>

#include "base/limits.h"
#include "base/rd.h"

#include "base/banned.h"

void smtp_client_init(struct smtp_client *c, struct stream *s, struct arena *arena, bool lmtp)
{
	*c = (struct smtp_client){.stream = s, .arena = arena, .lmtp = lmtp};
}

static struct arena *reply_arena(const struct smtp_client *c)
{
	return c->tx ? c->tx : c->arena;
}

/* Reply-line = 3DIGIT ( "-" / SP ) text / 3DIGIT (RFC 5321 4.2); -1 if it is none. */
static int line_code(struct str line, bool *ret_more)
{
	if (line.len < 3 || line.p[0] < '2' || line.p[0] > '5' || !ch_digit(line.p[1]) || !ch_digit(line.p[2]))
		return -1;
	if (line.len > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -1;
	*ret_more = line.len > 3 && line.p[3] == '-';
	return (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
}

/* What came instead of a reply: for the log, cut. */
static struct smtp_reply malformed(struct smtp_client *c, struct strbuf *text, struct str line, enum status st)
{
	if (text->len)
		sb_ch(text, '\n');
	sb_add(text, str_sub(line, 0, 1024));
	struct str all = sb_str(text);
	return (struct smtp_reply){.st = st, .text = all, .first_line = all};
}

/* The answer is a round trip away: waiting first saves a read that would find nothing. Whatever
 * poll says, the read that follows has the deadline and tells what is wrong. */
static void await_answer(struct smtp_client *c)
{
	struct pollfd p = {.fd = stream_fd(c->stream), .events = POLLIN};
	int64_t ms = c->command_timeout_ms;
	if (!stream_pending(c->stream, false))
		(void)poll(&p, 1, ms <= 0 ? -1 : ms > INT_MAX ? INT_MAX : (int)ms);
}

struct smtp_reply smtp_client_reply(struct smtp_client *c)
{
	struct strbuf text;
	struct smtp_reply r = {0};
	bool more = true;
	sb_init(&text, reply_arena(c), LIMIT_SMTP_REPLY_TEXT);
	stream_set_timeout(c->stream, c->command_timeout_ms);
	if (c->outstanding)
		c->outstanding--;
	size_t first = 0;
	await_answer(c);
	while (more) {
		struct str line;
		enum line_end end;
		r.st = stream_read_line(c->stream, LIMIT_SMTP_REPLY_LINE, &line, &end);
		if (r.st == ST_OK && end == LINE_EOF)
			r.st = ST_EOF;
		if (r.st != ST_OK)
			return malformed(c, &text, STR_NONE, r.st);
		int code = line_code(line, &more);
		if (code < 0 || (r.code && code != r.code))
			return malformed(c, &text, line, ST_MALFORMED);
		r.code = code;
		if (text.len)
			sb_ch(&text, '\n');
		sb_add(&text, line);
		if (!first)
			first = line.len;
		if (text.over)
			return malformed(c, &text, STR_NONE, ST_LIMIT);
	}
	r.text = sb_str(&text);
	r.first_line = str_sub(r.text, 0, first);
	return r;
}

static enum status put_v(struct smtp_client *c, const char *fmt, va_list ap)
{
	struct strbuf sb;
	sb_init(&sb, reply_arena(c), LIMIT_SMTP_COMMAND);
	sb_vprintf(&sb, fmt, ap);
	struct str line = sb_str(&sb);
	if (sb.over)
		return ST_LIMIT;
	for (size_t i = 0; i < line.len; i++) {
		if (line.p[i] == '\r' || line.p[i] == '\n' || line.p[i] == '\0')
			return ST_MALFORMED;
	}
	c->last_command = line;
	sb_addn(&sb, "\r\n", 2);
	c->outstanding++;
	return stream_write(c->stream, sb.p, sb.len);
}

enum status smtp_client_put(struct smtp_client *c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	enum status st = put_v(c, fmt, ap);
	va_end(ap);
	return st;
}

enum status smtp_client_flush(struct smtp_client *c)
{
	stream_set_timeout(c->stream, c->command_timeout_ms);
	return stream_flush(c->stream);
}

struct smtp_reply smtp_client_cmd(struct smtp_client *c, const char *fmt, ...)
{
	va_list ap;
	must(c->outstanding == 0);
	va_start(ap, fmt);
	enum status st = put_v(c, fmt, ap);
	va_end(ap);
	if (st == ST_OK)
		st = smtp_client_flush(c);
	if (st != ST_OK) {
		c->outstanding = 0;
		return (struct smtp_reply){.st = st};
	}
	return smtp_client_reply(c);
}

/* ---- EHLO (RFC 5321 4.1.1.1 and the extensions' own) ---- */

static const struct {
	const char *keyword;
	unsigned bit;
} extensions[] = {
    {"8BITMIME", SMTP_EXT_8BITMIME}, {"PIPELINING", SMTP_EXT_PIPELINING}, {"CHUNKING", SMTP_EXT_CHUNKING},
    {"STARTTLS", SMTP_EXT_STARTTLS}, {"DSN", SMTP_EXT_DSN}, {"SMTPUTF8", SMTP_EXT_SMTPUTF8},
    {"PRDR", SMTP_EXT_PRDR}, {"REQUIRETLS", SMTP_EXT_REQUIRETLS}, {"IGNOREQUOTA", SMTP_EXT_IGNOREQUOTA},
    {"PIPECONNECT", SMTP_EXT_PIPECONNECT}, {"PIPE_CONNECT", SMTP_EXT_PIPECONNECT},
    {"X_PIPE_CONNECT", SMTP_EXT_PIPECONNECT},
};

/* MAILMAX=n RCPTMAX=n RCPTDOMAINMAX=n (RFC 9422 4). */
static void parse_limits(struct rd *r, struct smtp_caps *ret)
{
	for (struct str w = rd_word(r); w.len; w = rd_word(r)) {
		struct str value;
		struct str name = str_cut(w, '=', &value);
		uint64_t n;
		if (!str_uint(value, 1000000, &n))
			continue;
		if (str_ieqc(name, "MAILMAX"))
			ret->mailmax = (int)n;
		else if (str_ieqc(name, "RCPTMAX"))
			ret->rcptmax = (int)n;
		else if (str_ieqc(name, "RCPTDOMAINMAX"))
			ret->rcptdomainmax = (int)n;
	}
}

/* "AUTH PLAIN LOGIN", and "AUTH=PLAIN LOGIN" of old servers; both may come: joined, upper case. */
static void parse_auth(struct arena *a, struct rd *r, struct smtp_caps *ret)
{
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_SMTP_REPLY_TEXT * 2);
	sb_add(&sb, ret->auth);
	for (struct str w = rd_word(r); w.len; w = rd_word(r)) {
		if (sb.len)
			sb_ch(&sb, ' ');
		sb_add(&sb, str_upper(a, w));
	}
	ret->auth = sb_str(&sb);
	ret->ext |= SMTP_EXT_AUTH;
}

static void parse_keyword(struct arena *a, struct str line, struct smtp_caps *ret)
{
	struct rd r = rd_of(line);
	uint64_t n;
	if (rd_accept_itext(&r, "AUTH=")) {
		parse_auth(a, &r, ret);
		return;
	}
	struct str word = rd_word(&r);
	if (str_ieqc(word, "SIZE")) {
		ret->ext |= SMTP_EXT_SIZE;
		ret->size = str_uint(rd_word(&r), INT64_MAX, &n) ? (int64_t)n : 0;
	} else if (str_ieqc(word, "AUTH")) {
		parse_auth(a, &r, ret);
	} else if (str_ieqc(word, "LIMITS")) {
		ret->ext |= SMTP_EXT_LIMITS;
		parse_limits(&r, ret);
	}
	for (size_t i = 0; i < countof(extensions); i++) {
		if (str_ieqc(word, extensions[i].keyword))
			ret->ext |= extensions[i].bit;
	}
}

void smtp_caps_parse(struct arena *a, struct str ehlo_text, struct smtp_caps *ret)
{
	struct rd r = rd_of(ehlo_text);
	*ret = (struct smtp_caps){0};
	(void)rd_line(&r); /* the greeting: a name and whatever */
	while (!rd_done(&r)) {
		struct str line = rd_line(&r);
		if (line.len > 4)
			parse_keyword(a, str_from(line, 4), ret);
	}
}

struct smtp_reply smtp_client_hello(struct smtp_client *c, struct str name)
{
	c->caps = (struct smtp_caps){0};
	c->esmtp = true;
	struct smtp_reply r = smtp_client_cmd(c, "%s %.*s", c->lmtp ? "LHLO" : "EHLO", STR_ARG(name));
	if (r.code >= 500 && r.code != 521 && !c->lmtp) { /* RFC 5321 3.2: an old server */
		c->esmtp = false;
		return smtp_client_helo(c, name);
	}
	if (r.code >= 200 && r.code < 300)
		smtp_caps_parse(c->arena, r.text, &c->caps);
	c->helo_reply = str_dup(c->arena, r.text);
	return r;
}

struct smtp_reply smtp_client_helo(struct smtp_client *c, struct str name)
{
	c->esmtp = false;
	c->caps = (struct smtp_caps){0};
	struct smtp_reply r = smtp_client_cmd(c, "HELO %.*s", STR_ARG(name));
	c->helo_reply = str_dup(c->arena, r.text);
	return r;
}
