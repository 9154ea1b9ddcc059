/* SPDX-License-Identifier: Apache-2.0
 * Inside of receive/, for its sibling files.
 *
 * Lifetimes: the session's arena holds the peer and what lasts for the connection; the message's
 * arena exists from MAIL to the answer behind the data (kept for the next message of the same
 * burst, given back when the session parks without a transaction); env->scratch holds what one
 * command needs, released when the next command begins, so that its reply is written by then. */
#pragma once
#include "acl/acl.h"
#include "message/address.h"
#include "receive/build.h"
#include "receive/receive.h"
#include "receive/view.h"
#include "route/route.h"

/* One message under way, from MAIL on (or from the start of receive_local). */
struct receive_tx {
	struct arena *arena;
	struct message *m;
	struct acl_transaction acl;
	struct match_cache *cache;
	int rcpt_count, rcpt_defer_count, rcpt_fail_count;
	bool discarded, rcpt_discarded, rcpt_differ;  /* rcpt_differ: refused recipients had different replies */
	bool too_many_logged, last_was_rcpt;
	bool prdr, chunking, auth_ignored;
	bool qualify_sender, qualify_recipient; /* unqualified addresses may be completed */
	struct str discarded_by;      /* name of the ACL that discarded recipients */
	struct str rcpt_reply;        /* what the refused recipients were told */
	int64_t size_limit, announced;
	int64_t started_us;
	struct spool_writer *writer;
	struct build build;
	struct header *received;      /* our Received: header */
	char *received_date;          /* in its text, to be set to the time of acceptance */
	bool cut_in_header;           /* BDAT: the last line was not complete */
	bool write_failed, over;      /* over: more than message_size_limit */
	bool made_message_id, no_header_qualify, fixed;
	struct str reference;         /* -oMm: the message that a bounce is about */
};

struct receive_session {
	struct arena *arena;
	struct stream *stream;
	struct smtp_session *smtp;
	const struct config *cfg;
	struct env *env;
	struct env *test_env;         /* -bh: the env with a log of its own */
	struct spool *spool;
	struct receive_sink sink;
	const struct local_caller *caller;
	struct arena_mark mark;       /* of env->scratch, when this run began */
	struct peer peer;
	struct acl_connection acl_conn;
	struct acl_effects effects;
	struct receive_view view;
	struct receive_tx *tx;
	struct arena *tx_arena;
	struct str kept_name, kept_aliases; /* peer's, in the session's arena */
	int64_t connected_us, timeout_ms;
	unsigned connections, from_host, messages, queued;
	bool local, inetd, batch, test_host, tls_on_connect, marked, ended, started;
	bool test_callout;
	bool auth_offered, auth_tried, tls_offered, dsn_offered, utf8_offered, prdr_offered, early_offered, early_used;
	bool helo_given, mail_given, helo_required_known, helo_required;
	bool load_latched, counted;
	bool orphan_rcpt;             /* a RCPT was refused since no sender stood */
	int test_fd;                  /* -bh: where the body goes */
	bool sender_unqualified_known, sender_unqualified, recipient_unqualified_known, recipient_unqualified;
	bool notquit_done, batch_failed, batch_begun, batch_in_data;
	bool many_unknown, broken;     /* broken: the session did not end with QUIT; not if unknown commands ended it */
	unsigned batch_line, batch_done; /* -bS: where the transaction began; messages taken */
};

/* --- context.c: what an expansion or an ACL run is given. */
struct moment {
	struct eval ev;
	struct acl_frame frame;
	struct acl_transaction own_tx;
	struct arena *arena;
};
void moment_open(struct moment *mo, struct receive_session *rs);
/* Options: the expanded text, `def` when unset; a failure is logged and gives false. */
bool rs_expand(struct receive_session *rs, const struct xstr *x, struct str def, struct str *ret);
/* Does the client match this host list? Deferral counts as no. */
bool rs_host_in(struct receive_session *rs, const struct xstr *list);
/* "  10M" with K, M, G as Exim reads integer options that expand. */
bool rs_expand_size(struct receive_session *rs, const struct xstr *x, int64_t def, int64_t *ret);
void rs_command_begins(struct receive_session *rs);
void rs_keep_peer(struct receive_session *rs);

/* --- log_text.c */
void rs_log(struct receive_session *rs, unsigned where, const char *fmt, ...) printf_like(3, 4);
void rs_log_id(struct receive_session *rs, unsigned where, const char *fmt, ...) printf_like(3, 4);
void rs_log_text(struct receive_session *rs, unsigned where, struct str id, struct str text, struct str more);
/* "H=name (helo) [ip]:port I=[ip]:port U=ident": how lines about the client begin. */
struct str rs_who(struct receive_session *rs);
/* "name (helo) [ip]:port I=[ip]:port", the user's name for a local caller: behind "from". */
struct str rs_from(struct receive_session *rs);
struct str rs_duration(struct receive_session *rs); /* "D=0.003s" */
/* " X=... CV=... DN=... SNI=...", as asked for; begins with a blank or is empty. */
struct str rs_tls_text(struct receive_session *rs, bool arrival);
struct str rs_auth_text(struct receive_session *rs);
struct str rs_client(struct arena *a, const struct peer *p, bool ports); /* "name (helo) [ip]:port" */

/* --- answer.c */
struct smtp_answer answer(int code, const char *text);
struct smtp_answer answer_str(int code, struct str text);
struct smtp_answer answer_fault(enum smtp_fault fault, int code, struct str text);
/* Run the ACL of an option. The verdict; *ret: the answer, already logged when it refuses.
 * `what`: "MAIL <a@b>", behind "rejected" in the log. ok_code/ok_text: the usual good answer. */
enum acl_verdict rs_acl(struct receive_session *rs, struct moment *mo, enum acl_where where, const struct xstr *option,
    struct str what, int ok_code, struct str ok_text, struct smtp_answer *ret);
/* "550 text" in an ACL's message: the code leaves the text. */
struct smtp_answer answer_with_code(int code, struct str text);
/* Long lines of the text divided as Exim divides them. */
struct smtp_answer answer_folded(struct arena *a, struct smtp_answer answer);

/* --- connect.c */
struct str rs_hostname(struct receive_session *rs); /* $smtp_active_hostname */
bool rs_early_pipelining(struct receive_session *rs);
void rs_choose_bare(struct receive_session *rs);
/* --- proxy.c */
bool rs_proxy(struct receive_session *rs, struct smtp_answer *ret);
/* --- ident.c: RFC 1413, where rfc1413_hosts asks for it. */
void rs_ask_ident(struct receive_session *rs);

/* --- rcvhost.c */
void rs_set_rcvhost(struct receive_session *rs);

/* --- connect.c, hello.c, mail.c, rcpt.c, data.c, commands.c, auth.c, tls.c: the policy. */
struct smtp_answer policy_connect(void *arg);
struct smtp_answer policy_helo(void *arg, struct str name, bool ehlo);
struct smtp_answer policy_mail(void *arg, const struct smtp_path_cmd *c);
struct smtp_answer policy_rcpt(void *arg, const struct smtp_path_cmd *c);
struct smtp_answer policy_data_begin(void *arg, bool bdat);
bool policy_data_chunk(void *arg, const char *p, size_t n);
struct smtp_answer policy_data_end(void *arg, enum smtp_eod how);
struct smtp_answer policy_starttls(void *arg);
bool policy_tls_accept(void *arg);
struct smtp_answer policy_auth(void *arg, struct str mechanism, struct str initial);
struct smtp_answer policy_rset(void *arg);
struct smtp_answer policy_noop(void *arg, struct str text);
struct smtp_answer policy_vrfy(void *arg, struct str text);
struct smtp_answer policy_expn(void *arg, struct str text);
struct smtp_answer policy_etrn(void *arg, struct str text);
struct smtp_answer policy_help(void *arg, struct str text);
struct smtp_answer policy_quit(void *arg);
void policy_lost(void *arg, const char *how);
void policy_batch_error(void *arg, int code, struct str text);
void policy_protocol_error(void *arg, enum smtp_trouble kind, struct str detail);
extern const struct smtp_policy receive_policy;

/* --- transaction.c */
struct receive_tx *tx_begin(struct receive_session *rs);
/* Forget the message; `why` names what ended it, for smtp_incomplete_transaction (NULL = done). */
void tx_end(struct receive_session *rs, const char *why);
void rs_set_protocol(struct receive_session *rs);

/* --- mail.c, hello.c */
bool rs_xtext_decode(struct arena *a, struct str s, struct str *ret);
void rs_override_sender(struct receive_session *rs);
bool rs_untrusted_may_set(struct receive_session *rs, struct str sender);

/* --- address.c: envelope addresses. */
unsigned rs_address_flags(struct receive_session *rs);
/* Parse an address as given in a command; *error in Exim's words. */
bool rs_parse_address(struct receive_session *rs, struct str text, unsigned flags, struct str *ret, struct addr_parts *parts, const char **error);
struct str rs_rewrite(struct receive_session *rs, struct str address, unsigned which);
bool rs_may_be_unqualified(struct receive_session *rs, bool sender);
struct str rs_qualify(struct arena *a, struct str local, struct str domain);

/* --- data.c */
bool rs_open_data(struct receive_session *rs, struct why *why);
void rs_close_data(struct receive_session *rs);
struct smtp_answer rs_data_trouble(struct receive_session *rs, enum smtp_eod how);
/* --- from_line.c: a leading "From user date" line (manual 48.4); true = it was one. */
bool rs_from_line(struct receive_session *rs, struct str line);
/* --- commands.c: run acl_smtp_notquit once. */
void rs_notquit(struct receive_session *rs, const char *reason);

/* --- finish.c: what is done once all of a message is there. */
enum finish { FINISH_OK, FINISH_REJECTED };
/* Run the checks, write the message durably, log, hand it on. *ret: the answer to the client. */
enum finish rs_finish(struct receive_session *rs, struct smtp_answer *ret);

/* --- headers.c: received header, fixups. */
void rs_add_received(struct receive_session *rs);
void rs_received_now(struct receive_session *rs); /* the time of acceptance */
void rs_fix_headers(struct receive_session *rs);
/* --- recipients.c */
enum extract { EXTRACT_OK, EXTRACT_NONE, EXTRACT_BAD };
struct bad_address {
	struct bad_address *next;
	struct str text, error;
};
enum extract rs_extract_recipients(struct receive_session *rs, bool remove_arguments, struct bad_address **ret_bad);

/* --- arrival.c: the "<=" line; reject.c: the block in the reject log. */
void rs_log_arrival(struct receive_session *rs);
struct str rs_reject_block(struct receive_session *rs);

/* --- local_error.c: telling the submitter that the message was not taken (manual 5 -oe...). */
enum local_trouble { LOCAL_NO_RECIPIENTS, LOCAL_ALL_REMOVED, LOCAL_BAD_ARGUMENT, LOCAL_BAD_HEADERS, LOCAL_TOO_BIG, LOCAL_HEADER_TOO_LONG, LOCAL_REJECTED,
	LOCAL_DEFERRED, LOCAL_SPOOL };
struct local_report {
	enum local_trouble kind;
	struct str text;                /* the reason, or the argument */
	struct str error;
	const struct bad_address *bad;
	bool some_good;                 /* LOCAL_BAD_HEADERS: the message goes on to the others */
};
/* Tell, by mail or on err_fd; the exit status. */
int rs_local_report(struct receive_session *rs, const struct receive_opts *o, int err_fd, const struct local_report *r);
/* Submit a message made here: a bounce about the one under way. */
bool rs_submit_bounce(struct receive_session *rs, const struct receive_opts *o, struct str to, struct str text);

/* --- handover.c: is this message to be delivered now? */
unsigned rs_how(struct receive_session *rs);
