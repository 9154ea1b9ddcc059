/* SPDX-License-Identifier: Apache-2.0
 * DATA (RFC 5321 4.1.1.4): the policy says 354; then text until CRLF.CRLF (dot.h). What a client
 * sends behind DATA before our 354 is taken for an attempt at smuggling (smuggling.md). */
#include "smtp/server_priv.h"

#include "base/banned.h"

#define DATA_STEP 4096u

/* Feed what is buffered; *ret_used octets were taken. False when the policy wants no more. */
static bool feed(struct smtp_session *ss, struct str in, bool keep, size_t *ret_used)
{
	char out[2 * DATA_STEP + DOT_MORE];
	size_t n = in.len < DATA_STEP ? in.len : DATA_STEP, len;
	*ret_used = dot_feed(&ss->dot, in.p, n, out, &len);
	return keep && len ? ss->policy->data_chunk(ss->arg, out, len) : keep;
}

static void count_lines(struct smtp_session *ss, const char *p, size_t n)
{
	const char *end = p + n;
	while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		p++;
		ss->lines++;
	}
}

static enum smtp_eod failed(enum status st)
{
	return st == ST_TIMEOUT ? SMTP_EOD_TIMEOUT : SMTP_EOD_LOST;
}

enum smtp_eod smtp_read_data(struct smtp_session *ss, int64_t limit)
{
	bool keep = true;
	int64_t left = limit;
	stream_set_timeout(ss->stream, ss->opts.data_timeout_ms);
	while (limit < 0 ? !ss->dot.done : left > 0) {
		struct str in;
		enum status st = stream_peek(ss->stream, &in);
		if (st != ST_OK)
			return failed(st);
		if (limit >= 0 && in.len > left)
			in.len = (uint32_t)left;
		size_t at = 0;
		while (at < in.len && !ss->dot.done) {
			size_t used;
			keep = feed(ss, str_from(in, at), keep, &used);
			if (ss->opts.batch)
				count_lines(ss, in.p + at, used);
			at += used;
		}
		left -= (int64_t)at;
		stream_consume(ss->stream, at);
	}
	bool foul = ss->dot.bare || ss->dot.nul;
	return ss->opts.bare == BARE_REJECT && foul ? SMTP_EOD_BARE : SMTP_EOD_OK;
}

void smtp_cmd_data(struct smtp_session *ss, struct str args)
{
	(void)args;
	if (smtp_sync_broken(ss, false))
		return;
	struct smtp_answer a = ss->policy->data_begin(ss->arg, false);
	if (a.code && a.code != 354) {
		smtp_give(ss, a, 354, "");
		return;
	}
	smtp_give(ss, a, 354, "Enter message, ending with \".\" on a line by itself");
	if (stream_flush(ss->stream) != ST_OK) {
		ss->write_failed = true;
		return;
	}
	dot_init(&ss->dot, ss->opts.bare, true);
	enum smtp_eod how = smtp_read_data(ss, -1);
	ss->state = SMTP_GREETED;
	a = ss->policy->data_end(ss->arg, how);
	smtp_new_transaction(ss);
	smtp_give(ss, a, 250, "OK");
	if (how == SMTP_EOD_LOST || how == SMTP_EOD_TIMEOUT)
		smtp_end(ss);
}
