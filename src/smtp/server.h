/* SPDX-License-Identifier: Apache-2.0
 * The server's side of SMTP: command grammar, states, synchronisation, replies. It asks a policy
 * (struct smtp_policy, filled in by receive/) what to answer; it knows no configuration.
 *
 * A session between commands holds no thread: smtp_session_run executes what can be executed
 * without waiting and returns SMTP_PARK when the next byte must be waited for between commands;
 * inside DATA, BDAT, AUTH and TLS handshakes the thread waits (bounded by timeouts).
 *
 * States:  CONNECTED -helo-> GREETED -mail-> MAIL -rcpt-> RCPT -data/bdat last-> GREETED
 *          any -quit/error/timeout-> CLOSED;  GREETED -starttls-> CONNECTED (all forgotten) */
#pragma once
#include "base/env.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "net/stream.h"

struct smtp_session;

/* A policy's answer: code 0 = the default positive reply. Text may have several lines (\n); a
 * leading "xyz " or "xyz-" code and enhanced status inside the text are the policy's business. */
enum smtp_fault { SMTP_NO_FAULT, SMTP_SYNTAX_ERROR, SMTP_PROTOCOL_ERROR, SMTP_COUNTED_ERROR /* counted, the policy told it itself */ };
struct smtp_answer {
	int code;
	struct str text;
	bool drop;    /* close after sending */
	bool silent;  /* send nothing */
	/* The client's mistake: counted (smtp_max_synprot_errors), told to protocol_error. */
	enum smtp_fault fault;
	struct str fault_text; /* for the log when it differs from text */
};

enum smtp_session_state { SMTP_CONNECTED, SMTP_GREETED, SMTP_MAIL, SMTP_RCPT, SMTP_CLOSED };
enum smtp_run { SMTP_PARK, SMTP_DONE };

/* MAIL and RCPT as parsed: path text inside <> and parameters not interpreted here beyond syntax.
 * Exim reads parameters from the end of the line, as long as it knows them (smtp_param_last), and
 * takes what is left for the address: a policy that is to answer as Exim starts from `raw`. */
struct smtp_path_cmd {
	struct str raw;        /* everything after "FROM:" / "TO:" */
	struct str address;    /* as written between <>, or bare when tolerated */
	struct str params;     /* the rest, blank-separated esmtp parameters */
};
enum smtp_eod { SMTP_EOD_OK, SMTP_EOD_LOST, SMTP_EOD_TIMEOUT, SMTP_EOD_TOO_BIG, SMTP_EOD_BARE, SMTP_EOD_WRITE_ERROR };

enum smtp_trouble {
	SMTP_TROUBLE_SYNTAX,         /* detail: what is wrong with the command */
	SMTP_TROUBLE_PROTOCOL,
	SMTP_TROUBLE_MANY_SYNPROT,   /* the limit was passed: the session ends */
	SMTP_TROUBLE_MANY_UNKNOWN,
	SMTP_TROUBLE_MANY_NONMAIL,
	SMTP_TROUBLE_SYNC_GREETING,  /* input before the banner; detail: the input */
	SMTP_TROUBLE_SYNC            /* input too soon behind a command; detail: the input */
};

/* All calls come in the session's thread; arg is policy_arg of smtp_session_new. */
struct smtp_policy {
	struct smtp_answer (*connect)(void *arg);                 /* banner; code >= 400 refuses */
	struct smtp_answer (*helo)(void *arg, struct str name, bool ehlo); /* text: whole reply, lines by \n */
	struct smtp_answer (*mail)(void *arg, const struct smtp_path_cmd *c);
	struct smtp_answer (*rcpt)(void *arg, const struct smtp_path_cmd *c);
	/* DATA or the first BDAT: code 354 goes on. chunk: announced octets for BDAT, -1 for DATA. */
	struct smtp_answer (*data_begin)(void *arg, bool bdat);
	/* Message bytes, dots unstuffed, lines ended by LF; false = keep reading but discard. */
	bool (*data_chunk)(void *arg, const char *p, size_t n);
	struct smtp_answer (*data_end)(void *arg, enum smtp_eod how); /* the final 250/4xx/5xx; PRDR answers inside text */
	struct smtp_answer (*bdat_chunk_done)(void *arg, int64_t size);
	struct smtp_answer (*starttls)(void *arg);                /* 220 goes on to (*tls_accept) */
	bool (*tls_accept)(void *arg);                            /* do the handshake on the stream */
	struct smtp_answer (*auth)(void *arg, struct str mechanism, struct str initial); /* talks through smtp_session_challenge */
	struct smtp_answer (*rset)(void *arg);
	struct smtp_answer (*noop)(void *arg, struct str text);
	struct smtp_answer (*vrfy)(void *arg, struct str text);
	struct smtp_answer (*expn)(void *arg, struct str text);
	struct smtp_answer (*etrn)(void *arg, struct str text);
	struct smtp_answer (*help)(void *arg, struct str text);
	struct smtp_answer (*other)(void *arg, struct str verb, struct str text); /* XCLIENT, ATRN ...; code 0 = unknown command */
	struct smtp_answer (*quit)(void *arg);
	void (*lost)(void *arg, const char *how); /* "lost", "command-timeout", ...: acl_smtp_notquit, log */
	/* Told of protocol trouble, for the log; the session's command text and history can be asked. */
	void (*protocol_error)(void *arg, enum smtp_trouble kind, struct str detail);
	/* -bS: a reply that is no good one; the session ends. */
	void (*batch_error)(void *arg, int code, struct str text);
};
enum bare_newline { BARE_REJECT, BARE_SPACE, BARE_NORMALIZE, BARE_EXIM };

struct smtp_server_opts {
	bool tls_offered, auth_offered, pipelining, chunking, enforce_sync, lmtp_like;
	bool early_pipelining; /* PIPECONNECT: input may stand before the banner and the EHLO reply */
	bool local;            /* -bs: standard input; -bS: no replies */
	bool batch;
	enum bare_newline bare; /* what to do with bare CR, LF, NUL (smuggling.md) */
	int max_synprot_errors, max_unknown_commands, max_nonmail;
	int64_t command_timeout_ms, data_timeout_ms;
	int64_t size_limit;    /* bytes, 0 = none; receive/ enforces the announced SIZE */
};
/* The session lives in `arena`, the stream stays the caller's. */
struct smtp_session *smtp_session_new(struct arena *arena, struct stream *s, const struct smtp_policy *p, void *policy_arg, const struct smtp_server_opts *o);
/* Send the banner (after policy->connect). */
enum smtp_run smtp_session_start(struct smtp_session *ss);
enum smtp_run smtp_session_run(struct smtp_session *ss);
/* Parked for too long: 421 and close. */
void smtp_session_timeout(struct smtp_session *ss);
/* Orderly stop of the daemon: 421 when between commands. */
void smtp_session_shutdown(struct smtp_session *ss, struct str text);
struct smtp_server_opts *smtp_session_opts(struct smtp_session *ss); /* policy may change offers after EHLO/TLS/AUTH */
enum smtp_session_state smtp_session_state(const struct smtp_session *ss);
/* During policy->auth: send "334 <challenge>" and read one line. ST_LIMIT for too long. */
enum status smtp_session_challenge(struct smtp_session *ss, struct str challenge_b64, struct arena *a, struct str *ret_line);
/* Facts for the log: the command under way as sent, the latest commands as "EHLO,MAIL,RCPT"
 * (at most 20, "..." in front when there were more), errors so far. */
struct str smtp_session_command(const struct smtp_session *ss);
struct str smtp_session_verb(const struct smtp_session *ss); /* its first word */
struct str smtp_session_history(const struct smtp_session *ss, struct arena *a);
unsigned smtp_session_synprot_errors(const struct smtp_session *ss);
bool smtp_session_pipelined(const struct smtp_session *ss); /* a command was there before its predecessor's reply left */
unsigned smtp_session_lines(const struct smtp_session *ss); /* -bS: lines read so far */
/* Octets of the latest BDAT command, and of all since the first one of this message. */
int64_t smtp_session_chunk(const struct smtp_session *ss, int64_t *ret_total);
/* Cut the last blank-separated word off *rest: name and value of "NAME=value" (value unset without
 * "="). False when none follows the path. Taint is kept. */
bool smtp_param_last(struct str *rest, struct str *ret_name, struct str *ret_value);
/* Early reply lines (ACL delay, multi-line); flushes. */
void smtp_session_reply(struct smtp_session *ss, int code, struct str text);
