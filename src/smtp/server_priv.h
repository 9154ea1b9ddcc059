/* SPDX-License-Identifier: Apache-2.0
 * Inside of a server session, for its sibling files: a file a command, each a function of
 * smtp_commands[] in command.c. */
#pragma once
#include "smtp/dot.h"
#include "smtp/server.h"

#define SMTP_HISTORY 20 /* commands kept for the log (manual 53, smtp_no_mail) */

struct smtp_command {
	const char *verb; /* as sent, upper case; may hold one blank and end in a colon */
	const char *name; /* in the history */
	void (*run)(struct smtp_session *ss, struct str args);
	bool nonmail;     /* counted by smtp_accept_max_nonmail */
	bool sync;        /* nothing may be sent behind it before its reply (smuggling.md) */
	bool no_args;
	bool bdat_goes_on; /* permitted between the chunks of a message */
};

enum bdat_state { BDAT_NONE, BDAT_CHUNKS, BDAT_FAILED };
struct smtp_session {
	struct stream *stream;
	const struct smtp_policy *policy;
	void *arg;
	struct smtp_server_opts opts;
	enum smtp_session_state state;
	enum bdat_state bdat;
	bool esmtp, pipelined;
	bool write_failed;
	bool rset_free, helo_free, starttls_free, auth_free; /* one uncounted occurrence each (manual 14) */
	unsigned lines;                /* batch: read so far */
	unsigned synprot, unknown, nonmail;
	unsigned history_count;
	uint8_t history[SMTP_HISTORY]; /* index of smtp_commands, ring */
	int64_t bdat_total, bdat_last;
	struct str line;               /* valid while a command runs */
	struct dot dot;
};

extern const struct smtp_command smtp_commands[];
extern const size_t smtp_command_count;

/* command.c: find and run. */
void smtp_command_run(struct smtp_session *ss, struct str line);
/* reply.c: write (buffered), with `code` on each line; nothing in batch mode. */
void smtp_reply(struct smtp_session *ss, int code, struct str text);
/* Give the policy's answer, or the default one; counts faults, closes when told to. */
void smtp_give(struct smtp_session *ss, struct smtp_answer a, int code, const char *text);
void smtp_fault(struct smtp_session *ss, enum smtp_fault fault, int code, const char *text);
/* Input stands behind a command that must be last in its group: 554, the session ends. */
bool smtp_sync_broken(struct smtp_session *ss, bool always);
void smtp_end(struct smtp_session *ss);
/* End for a reason that is no QUIT: the policy hears it. */
void smtp_lost(struct smtp_session *ss, const char *how);
void smtp_new_transaction(struct smtp_session *ss);
/* cmd_data.c: read message text until the data ends, or `limit` octets (-1 = DATA). */
enum smtp_eod smtp_read_data(struct smtp_session *ss, int64_t limit);

void smtp_cmd_helo(struct smtp_session *ss, struct str args);
void smtp_cmd_ehlo(struct smtp_session *ss, struct str args);
void smtp_cmd_mail(struct smtp_session *ss, struct str args);
void smtp_cmd_rcpt(struct smtp_session *ss, struct str args);
void smtp_cmd_data(struct smtp_session *ss, struct str args);
void smtp_cmd_bdat(struct smtp_session *ss, struct str args);
void smtp_cmd_starttls(struct smtp_session *ss, struct str args);
void smtp_cmd_auth(struct smtp_session *ss, struct str args);
void smtp_cmd_rset(struct smtp_session *ss, struct str args);
void smtp_cmd_noop(struct smtp_session *ss, struct str args);
void smtp_cmd_vrfy(struct smtp_session *ss, struct str args);
void smtp_cmd_expn(struct smtp_session *ss, struct str args);
void smtp_cmd_etrn(struct smtp_session *ss, struct str args);
void smtp_cmd_help(struct smtp_session *ss, struct str args);
void smtp_cmd_quit(struct smtp_session *ss, struct str args);
/* smtp_path_cmd from what follows the colon. */
struct smtp_path_cmd smtp_path_parse(struct str args);
