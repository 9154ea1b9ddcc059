/* SPDX-License-Identifier: Apache-2.0
 * A session's life: what has arrived is executed command by command, replies are collected and
 * leave in one write when nothing more is there; then the session parks. It never waits for a
 * command: half of one stays in the stream's buffer and the session parks with it (server.h). */
#include "smtp/server_priv.h"

#include <errno.h>

#include "base/banned.h"

struct smtp_session *smtp_session_new(struct arena *arena, struct stream *s, const struct smtp_policy *p, void *policy_arg, const struct smtp_server_opts *o)
{
	struct smtp_session *ss = arena_new_of(arena, struct smtp_session);
	ss->stream = s;
	ss->policy = p;
	ss->arg = policy_arg;
	ss->opts = *o;
	ss->rset_free = ss->helo_free = ss->starttls_free = ss->auth_free = true;
	return ss;
}

struct smtp_server_opts *smtp_session_opts(struct smtp_session *ss)
{
	return &ss->opts;
}

enum smtp_session_state smtp_session_state(const struct smtp_session *ss)
{
	return ss->state;
}

struct str smtp_session_command(const struct smtp_session *ss)
{
	return ss->line;
}

struct str smtp_session_verb(const struct smtp_session *ss)
{
	struct str rest;
	return str_cut(ss->line, ' ', &rest);
}

unsigned smtp_session_lines(const struct smtp_session *ss)
{
	return ss->lines;
}

unsigned smtp_session_synprot_errors(const struct smtp_session *ss)
{
	return ss->synprot;
}

bool smtp_session_pipelined(const struct smtp_session *ss)
{
	return ss->pipelined;
}

void smtp_session_reply(struct smtp_session *ss, int code, struct str text)
{
	smtp_reply(ss, code, text);
	if (stream_flush(ss->stream) != ST_OK)
		ss->write_failed = true;
}

void smtp_new_transaction(struct smtp_session *ss)
{
	ss->rset_free = ss->helo_free = ss->starttls_free = true;
}

void smtp_end(struct smtp_session *ss)
{
	ss->state = SMTP_CLOSED;
}

void smtp_lost(struct smtp_session *ss, const char *how)
{
	if (ss->state == SMTP_CLOSED)
		return;
	if (ss->bdat != BDAT_NONE) {
		ss->bdat = BDAT_NONE;
		(void)ss->policy->data_end(ss->arg, SMTP_EOD_LOST);
	}
	ss->policy->lost(ss->arg, how);
	smtp_end(ss);
}

/* The text of input that came too soon, for the log. */
static struct str early_input(struct smtp_session *ss)
{
	struct str in = STR_NONE;
	if (stream_peek(ss->stream, &in) != ST_OK)
		return STR_NONE;
	return str_sub(in, 0, 150);
}

bool smtp_sync_broken(struct smtp_session *ss, bool always)
{
	if (!always && (!ss->opts.enforce_sync || ss->opts.local))
		return false;
	if (!stream_pending(ss->stream, true))
		return false;
	smtp_reply(ss, 554, STR("SMTP synchronization error"));
	if (ss->policy->protocol_error)
		ss->policy->protocol_error(ss->arg, SMTP_TROUBLE_SYNC, early_input(ss));
	smtp_lost(ss, "synchronization-error");
	return true;
}

static enum smtp_run done(struct smtp_session *ss)
{
	if (!ss->write_failed && stream_flush(ss->stream) != ST_OK)
		ss->write_failed = true;
	ss->state = SMTP_CLOSED;
	return SMTP_DONE;
}

static enum smtp_run park(struct smtp_session *ss)
{
	if (stream_flush(ss->stream) != ST_OK) {
		smtp_lost(ss, "connection-lost");
		return SMTP_DONE;
	}
	stream_park(ss->stream);
	return SMTP_PARK;
}

enum smtp_run smtp_session_start(struct smtp_session *ss)
{
	const struct smtp_server_opts *o = &ss->opts;
	if (o->enforce_sync && !o->local && !o->early_pipelining && stream_pending(ss->stream, true)) {
		smtp_reply(ss, 554, STR("SMTP synchronization error"));
		if (ss->policy->protocol_error)
			ss->policy->protocol_error(ss->arg, SMTP_TROUBLE_SYNC_GREETING, early_input(ss));
		smtp_lost(ss, "synchronization-error");
		return done(ss);
	}
	struct smtp_answer a = ss->policy->connect(ss->arg);
	smtp_give(ss, a, 220, "ESMTP");
	if (ss->state == SMTP_CLOSED || a.code >= 400)
		return done(ss);
	return park(ss);
}

/* A whole line stands in the buffer (or more than a command may be). */
static bool line_buffered(struct smtp_session *ss)
{
	struct str in;
	if (!stream_pending(ss->stream, false))
		return false;
	if (stream_peek(ss->stream, &in) != ST_OK)
		return false;
	return memchr(in.p, '\n', in.len) != NULL || in.len > LIMIT_SMTP_COMMAND;
}

static void lone_lf(struct smtp_session *ss)
{
	smtp_fault(ss, SMTP_SYNTAX_ERROR, 500, "5.5.2 line must end in CRLF");
}

static void run_line(struct smtp_session *ss)
{
	struct str line;
	enum line_end end;
	stream_set_timeout(ss->stream, ss->opts.command_timeout_ms);
	enum status st = stream_read_line(ss->stream, LIMIT_SMTP_COMMAND, &line, &end);
	ss->lines++;
	if (st == ST_OK && end == LINE_LF && !ss->opts.local && ss->opts.bare == BARE_REJECT)
		lone_lf(ss);
	else if (st == ST_OK)
		smtp_command_run(ss, line);
	else if (st == ST_LIMIT)
		smtp_command_run(ss, STR("(line too long)"));
	else
		smtp_lost(ss, st == ST_TIMEOUT ? "command-timeout" : "connection-lost");
	ss->line = STR_NONE;
}

enum smtp_run smtp_session_run(struct smtp_session *ss)
{
	bool worked = false;
	while (ss->state != SMTP_CLOSED && !ss->write_failed) {
		if (line_buffered(ss)) {
			ss->pipelined |= worked;
			run_line(ss);
			worked = true;
			continue;
		}
		if (worked && !stream_pending(ss->stream, false))
			return park(ss);
		enum status st = stream_fill(ss->stream);
		if (st == ST_ERRNO(EAGAIN))
			return park(ss);
		if (st != ST_OK) {
			ss->write_failed = stream_flush(ss->stream) != ST_OK;
			smtp_lost(ss, "connection-lost");
		}
	}
	if (ss->write_failed)
		smtp_lost(ss, "connection-lost");
	return done(ss);
}

void smtp_session_timeout(struct smtp_session *ss)
{
	smtp_lost(ss, "command-timeout");
	(void)done(ss);
}

void smtp_session_shutdown(struct smtp_session *ss, struct str text)
{
	if (ss->state == SMTP_CLOSED)
		return;
	smtp_reply(ss, 421, text);
	smtp_lost(ss, "signal-exit");
	(void)done(ss);
}
