/* SPDX-License-Identifier: Apache-2.0
 * What several transport drivers share; a driver includes this and transport.h, never another. */
#pragma once
#include "queue/errnos.h"
#include "transport/transport.h"

static inline const char *transport_name(const struct delivery *d)
{
	return d->transport->name.p; /* NUL-terminated: names come from the configuration's arena */
}
static inline const struct transport_generic *transport_generic(const struct delivery *d)
{
	return d->transport->generic;
}

/* ---- results (transport/result.c): given to every address that has none yet ---- */
bool result_pending(const struct address *ad);
void result_set(struct address *ad, enum address_state st, int err, struct str message);
void result_all(struct delivery *d, enum address_state st, int err, struct str message);
void result_defer(struct delivery *d, int err, const char *fmt, ...) printf_like(3, 4);
void result_fail(struct delivery *d, int err, const char *fmt, ...) printf_like(3, 4);
void result_done(struct delivery *d);
/* Defer, and freeze the message for a person to look. */
void result_freeze(struct delivery *d, int err, const char *fmt, ...) printf_like(3, 4);

/* One entry for the log, with the message's id; in the child it travels back with the results. */
void delivery_log(struct delivery *d, unsigned where, const char *fmt, ...) printf_like(3, 4);
/* What expansions see: the message, its sender's connection, the one address, or of several what
 * they have in common (manual 23.4). `common` is filled and must live as long as d. */
void delivery_views(struct delivery *d, struct addr_view *common);

/* ---- messages that a transport sends (transport/submit.c) ---- */
struct submission {
	struct str text;      /* header lines, an empty line, body; recipients are those of To:, Cc:, Bcc: */
	bool from_default;    /* From: Mail Delivery System where the text has none */
	struct str references_id; /* R= of the log: the message that caused it */
};
/* False: logged. In the child it is only noted down; the parent sends it. */
bool delivery_submit(struct delivery *d, const struct submission *s);
void submission_pack(struct strbuf *sb, const struct submission *s);
void submissions_send(struct delivery *d, struct str packed);

/* ---- options (transport/option.c) ---- */
/* Expand an option; `what` as in Exim's texts: "file or directory name". False: all addresses were
 * deferred with the text. A forced failure counts as one too. */
bool option_expand(struct delivery *d, const struct xstr *x, const char *what, struct str *ret);
/* As above, but a forced failure leaves *ret unset. */
bool option_expand_soft(struct delivery *d, const struct xstr *x, const char *what, struct str *ret);
/* Refuse tainted text where a file, directory or command is named; defers all. */
bool option_untainted(struct delivery *d, struct str s, const char *what);
/* "10", "4K", "2M", "1G", as message_size_limit and mailbox_size want; false if it is none. */
bool option_size(struct str s, int64_t *ret);

/* ---- commands (transport/command.c, manual 29.3) ---- */
struct command {
	const char **argv; /* NULL-terminated */
	size_t argc;
};
enum command_flags { COMMAND_EXPAND = 1, COMMAND_UNTAINTED = 2, COMMAND_ADDRESS_PIPE = 4 };
/* Split and expand; `what` ("transport filter", "t1 transport") stands in error texts. */
bool command_parse(struct delivery *d, struct str line, unsigned flags, const char *what, struct command *ret, struct why *why);

/* ---- running a program (transport/spawn.c): in the agent's child only, which has one thread ---- */
struct spawn {
	const char *const *argv;
	const char *const *envp;
	int in, out, err;    /* descriptors of the new process; -1 = /dev/null */
	uint32_t umask;
	bool core;           /* permit_coredump */
};
/* A process group of its own; -1 with errno. A failed exec ends it with status 127 and *ret_exec_errno. */
int spawn_start(const struct spawn *sp, int *ret_exec_errno);
/* Wait at most ms (0 = for ever); 1 done, 0 timeout, -1 error. */
int spawn_wait(int pid, int64_t ms, int *ret_status);
void spawn_kill(int pid);

/* ---- transport filter (transport/filter.c, manual 24) ---- */
/* The argv of the generic option; NULL argv when unset or empty. False: why. */
bool transport_filter_argv(struct delivery *d, const char *const **ret, struct why *why);
/* Run it: reads in_fd from its beginning, writes out_fd; as the user in the child, through the
 * agent in the courier. */
bool transport_filter_run(struct delivery *d, const char *const *argv, int in_fd, int out_fd, struct why *why);

/* ---- the envelope as text (transport/envelope.c) ---- */
/* What RCPT TO gets: affixes kept or not (rcpt_include_affixes). */
struct str envelope_rcpt(const struct delivery *d, struct address *ad);
/* "Envelope-to:" header for all of d's addresses. */
struct str envelope_to_header(struct delivery *d);
/* MAIL, RCPT and DATA lines of batched SMTP (manual 49.4.1), lines ended as asked. */
struct str envelope_bsmtp(struct delivery *d, bool crlf);
