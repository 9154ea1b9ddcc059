/* SPDX-License-Identifier: Apache-2.0
 * BDAT (RFC 3030): octets by count. The octets announced are swallowed whatever the answer is, so
 * that message text is never read as commands; except where CHUNKING was not offered, when the
 * client cannot mean BDAT. */
#include "smtp/server_priv.h"

#include "base/rd.h"

#include "base/banned.h"

static bool parse_args(struct str args, int64_t *ret_size, bool *ret_last)
{
	struct rd r = rd_of(args);
	*ret_size = (int64_t)rd_number(&r, INT64_MAX / 4);
	if (r.bad || (!rd_done(&r) && rd_peek(&r) != ' '))
		return false;
	*ret_last = str_ieqc(str_trim(rd_rest(&r)), "LAST");
	return true;
}

static enum smtp_eod swallow(struct smtp_session *ss, int64_t size)
{
	stream_set_timeout(ss->stream, ss->opts.data_timeout_ms);
	while (size > 0) {
		struct str in;
		enum status st = stream_peek(ss->stream, &in);
		if (st != ST_OK)
			return st == ST_TIMEOUT ? SMTP_EOD_TIMEOUT : SMTP_EOD_LOST;
		size_t n = in.len > size ? (size_t)size : in.len;
		stream_consume(ss->stream, n);
		size -= (int64_t)n;
	}
	return SMTP_EOD_OK;
}

static void finish(struct smtp_session *ss, enum smtp_eod how)
{
	ss->bdat = BDAT_NONE;
	ss->state = SMTP_GREETED;
	struct smtp_answer a = ss->policy->data_end(ss->arg, how);
	smtp_new_transaction(ss);
	smtp_give(ss, a, 250, "OK");
	if (how == SMTP_EOD_LOST || how == SMTP_EOD_TIMEOUT)
		smtp_end(ss);
}

static void take_chunk(struct smtp_session *ss, int64_t size, bool last)
{
	enum smtp_eod how = smtp_read_data(ss, size);
	ss->bdat_total += size;
	ss->bdat_last = size;
	if (how == SMTP_EOD_LOST || how == SMTP_EOD_TIMEOUT) {
		finish(ss, how);
		return;
	}
	if (last) {
		char end[DOT_MORE];
		size_t n = dot_finish(&ss->dot, end);
		if (n)
			(void)ss->policy->data_chunk(ss->arg, end, n);
		if (ss->opts.bare == BARE_REJECT && (ss->dot.bare || ss->dot.nul))
			how = SMTP_EOD_BARE;
		finish(ss, how);
		return;
	}
	struct smtp_answer a = {0};
	if (ss->policy->bdat_chunk_done)
		a = ss->policy->bdat_chunk_done(ss->arg, size);
	char text[64];
	(void)snprintf(text, sizeof text, "%lld byte chunk received", (long long)size);
	smtp_give(ss, a, 250, text);
}

void smtp_cmd_bdat(struct smtp_session *ss, struct str args)
{
	int64_t size;
	bool last;
	if (!ss->opts.chunking) {
		smtp_fault(ss, SMTP_PROTOCOL_ERROR, 503, "BDAT command used when CHUNKING not advertised");
		return;
	}
	if (!parse_args(args, &size, &last)) {
		smtp_fault(ss, SMTP_PROTOCOL_ERROR, 501, "missing size for BDAT command");
		return;
	}
	if (ss->bdat == BDAT_NONE) {
		struct smtp_answer a = ss->policy->data_begin(ss->arg, true);
		if (a.code && a.code != 354) {
			if (swallow(ss, size) != SMTP_EOD_OK)
				smtp_lost(ss, "connection-lost");
			else
				smtp_give(ss, a, 354, "");
			return;
		}
		dot_init(&ss->dot, ss->opts.bare, false);
		ss->bdat = BDAT_CHUNKS;
		ss->bdat_total = 0;
	}
	take_chunk(ss, size, last);
}

int64_t smtp_session_chunk(const struct smtp_session *ss, int64_t *ret_total)
{
	*ret_total = ss->bdat_total;
	return ss->bdat_last;
}
