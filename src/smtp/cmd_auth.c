/* SPDX-License-Identifier: Apache-2.0
 * AUTH (RFC 4954): the exchange is the policy's; lines of it pass through here. */
#include "smtp/server_priv.h"

#include "base/banned.h"

void smtp_cmd_auth(struct smtp_session *ss, struct str args)
{
	struct str initial;
	struct str mechanism = str_cut(args, ' ', &initial);
	struct smtp_answer a = ss->policy->auth(ss->arg, mechanism, str_is_set(initial) ? str_trim(initial) : initial);
	if (ss->state != SMTP_CLOSED)
		smtp_give(ss, a, 235, "Authentication succeeded");
}

enum status smtp_session_challenge(struct smtp_session *ss, struct str challenge_b64, struct arena *a, struct str *ret_line)
{
	enum line_end end;
	struct str line;
	smtp_reply(ss, 334, challenge_b64);
	enum status st = stream_flush(ss->stream);
	if (st != ST_OK)
		return st;
	stream_set_timeout(ss->stream, ss->opts.command_timeout_ms);
	st = stream_read_line(ss->stream, LIMIT_SMTP_AUTH_DATA, &line, &end);
	if (st != ST_OK)
		return st;
	if (end == LINE_EOF)
		return ST_EOF;
	if (smtp_sync_broken(ss, false))
		return ST_MALFORMED;
	*ret_line = str_dup(a, str_rtrim(line));
	return ST_OK;
}
