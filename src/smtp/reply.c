/* SPDX-License-Identifier: Apache-2.0
 * Replies (RFC 5321 4.2): every line carries the code, all but the last a hyphen. A text never
 * brings its own CR or LF onto the wire: LF divides lines, other control bytes become "?". */
#include "smtp/server_priv.h"

#include "base/banned.h"

static void put(struct smtp_session *ss, const char *p, size_t n)
{
	if (stream_write(ss->stream, p, n) != ST_OK)
		ss->write_failed = true;
}

static void put_line(struct smtp_session *ss, int code, struct str line, bool more)
{
	char head[8];
	if (line.len > LIMIT_SMTP_REPLY_LINE)
		line.len = LIMIT_SMTP_REPLY_LINE;
	int n = snprintf(head, sizeof head, "%03d%c", code % 1000, more ? '-' : ' ');
	put(ss, head, (size_t)n);
	size_t from = 0;
	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.p[i];
		if ((c < 0x20 && c != '\t') || c == 0x7f) {
			put(ss, line.p + from, i - from);
			put(ss, "?", 1);
			from = i + 1;
		}
	}
	put(ss, line.p + from, line.len - from);
	put(ss, "\r\n", 2);
}

/* A batch has nobody who listens: the first bad reply ends it. */
static void batch_reply(struct smtp_session *ss, int code, struct str text)
{
	if (code < 400 || ss->state == SMTP_CLOSED)
		return;
	smtp_end(ss);
	if (ss->policy->batch_error)
		ss->policy->batch_error(ss->arg, code, text);
}

void smtp_reply(struct smtp_session *ss, int code, struct str text)
{
	if (ss->opts.batch) {
		batch_reply(ss, code, text);
		return;
	}
	struct str rest = text.len > LIMIT_SMTP_REPLY_TEXT ? str_sub(text, 0, LIMIT_SMTP_REPLY_TEXT) : text;
	do {
		struct str line = str_cut(rest, '\n', &rest);
		if (line.len && line.p[line.len - 1] == '\r')
			line.len--;
		put_line(ss, code, line, str_is_set(rest));
	} while (str_is_set(rest));
}

static void reply_two(struct smtp_session *ss, int code, struct str text, struct str last)
{
	if (ss->opts.batch) {
		batch_reply(ss, code, text);
		return;
	}
	struct str rest = text;
	do
		put_line(ss, code, str_cut(rest, '\n', &rest), true);
	while (str_is_set(rest));
	put_line(ss, code, last, false);
}

/* A mistake of the client: counted; over the limit the session ends (manual 14). */
static void give_fault(struct smtp_session *ss, struct smtp_answer a)
{
	bool limited = ss->opts.max_synprot_errors >= 0;
	bool many = limited && ++ss->synprot > (unsigned)ss->opts.max_synprot_errors;
	struct str text = str_is_set(a.fault_text) ? a.fault_text : a.text;
	if (many && a.fault != SMTP_COUNTED_ERROR)
		reply_two(ss, a.code, a.text, STR("Too many syntax or protocol errors"));
	else
		smtp_reply(ss, a.code, a.text);
	if (ss->policy->protocol_error && a.fault != SMTP_COUNTED_ERROR)
		ss->policy->protocol_error(ss->arg,
		    a.fault == SMTP_SYNTAX_ERROR ? SMTP_TROUBLE_SYNTAX : SMTP_TROUBLE_PROTOCOL, text);
	if (!many)
		return;
	if (ss->policy->protocol_error)
		ss->policy->protocol_error(ss->arg, SMTP_TROUBLE_MANY_SYNPROT, text);
	smtp_lost(ss, "synprot-error");
}

void smtp_give(struct smtp_session *ss, struct smtp_answer a, int code, const char *text)
{
	if (a.code == 0)
		a.code = code;
	if (a.code == code && !str_is_set(a.text))
		a.text = str_c(text);
	if (a.fault != SMTP_NO_FAULT)
		give_fault(ss, a);
	else if (!a.silent)
		smtp_reply(ss, a.code, a.text);
	if (a.drop)
		smtp_end(ss);
}

void smtp_fault(struct smtp_session *ss, enum smtp_fault fault, int code, const char *text)
{
	smtp_give(ss, (struct smtp_answer){.code = code, .text = str_c(text), .fault = fault}, code, text);
}
