/* SPDX-License-Identifier: Apache-2.0
 * ACLs (manual chapter 44): compiled once per snapshot, run with an eval.
 *
 * Who keeps what: receive/ holds one struct acl_connection per connection, one struct
 * acl_transaction and one struct acl_effects per message (all reset by MAIL, RSET, HELO as 44.10
 * says), and fills a struct acl_frame for each run. */
#pragma once
#include "acl/control.h"
#include "config/config.h"
#include "expand/expand.h"

enum acl_where {
	ACL_UNKNOWN, ACL_CONNECT, ACL_HELO, ACL_AUTH, ACL_MAIL, ACL_MAILAUTH, ACL_RCPT, ACL_PREDATA, ACL_DATA, ACL_MIME,
	ACL_DKIM, ACL_PRDR, ACL_STARTTLS, ACL_ETRN, ACL_ATRN, ACL_EXPN, ACL_VRFY, ACL_QUIT, ACL_NOTQUIT,
	ACL_NOT_SMTP, ACL_NOT_SMTP_START, ACL_NOT_SMTP_MIME, ACL_WELLKNOWN, ACL_DELIVERY, ACL_WHERES
};
enum acl_verdict { ACL_OK, ACL_FAIL, ACL_DROP, ACL_DISCARD, ACL_DEFER, ACL_ERROR };

/* A header line that waits to be added (44.15). */
enum acl_header_at { ACL_AT_END, ACL_AT_START, ACL_AFTER_RECEIVED, ACL_AT_START_RFC };
struct acl_header {
	struct acl_header *next;
	struct str text; /* "Name: value\n" */
	enum acl_header_at at;
};

/* What controls and modifiers leave behind for receive/. Those marked C last for the connection:
 * receive/ keeps them when it clears the rest for the next message (acl_effects_next). */
struct acl_effects {
	uint64_t control;          /* bits 1 << enum acl_control of all that were obeyed */
	struct str queue_name;     /* queue= */
	bool queue_name_set;
	bool freeze, freeze_no_tell;
	bool queue_only, queue_first_pass;
	bool no_delay_flush, no_callout_flush, no_pipelining, allow_auth_unadvertised, no_multiline; /* C */
	int8_t enforce_sync;       /* C: 0 = as configured, 1 on, -1 off */
	int dscp;                  /* C: value + 1; 0 = leave */
	bool fakedefer, fakereject;
	struct str fake_text;      /* unset: the manual's text */
	bool submission, submission_sender_retain;
	struct str submission_domain, submission_name;
	bool suppress_local_fixups, no_mbox_unspool;
	bool utf8_downconvert_set;
	int8_t utf8_downconvert;
	bool dkim_disable_verify, dmarc_disable_verify, dmarc_enable_forensic;
	bool cutthrough, cutthrough_defer_pass, cutthrough_sender_transport;
	unsigned log_reject;       /* LOGTO_ bits for this ACL's rejection; set by each acl_run */
	struct acl_header *headers_add;
	struct str headers_remove; /* colon list of names, globs and regular expressions */
};
/* Forget what belongs to one message; C above stays. */
void acl_effects_next(struct acl_effects *e);

/* A sender or header address that was verified: kept for the message. */
struct acl_verified {
	struct acl_verified *next;
	struct str address;
	unsigned flags;        /* enum verify_flags it was verified with */
	int result;            /* enum verify_result */
	struct str user_message, log_message, failure_kind, address_data;
	bool told, no_details;
};
struct acl_transaction {
	struct arena *arena;   /* the message's */
	struct acl_verified *verified;
	struct acl_verified *sender_failed; /* the latest sender that did not verify, for the details of 44.24 */
	struct map warned;     /* log lines that warn verbs wrote already */
	struct map rates;      /* ratelimit keys done in this message */
};
struct acl_connection {
	struct arena *arena;   /* the connection's */
	struct map acl_c;      /* name without "acl_c" -> struct str *; copy into each new message's acl_c */
	struct map rates;      /* ratelimit keys counted per connection */
	struct str csa_status;
};
void acl_connection_init(struct acl_connection *c, struct arena *a);
void acl_transaction_init(struct acl_transaction *t, struct arena *a);

/* What the caller tells about the moment (SPACE_ACL): zeroed for each command. */
struct acl_frame {
	enum acl_where where;
	struct acl_effects *effects;
	struct acl_transaction *tx;
	struct acl_connection *conn;
	struct str smtp_command, smtp_argument;      /* $smtp_command ... */
	struct str recipient;                        /* RCPT: whole address in its case, for verify = recipient */
	int32_t rcpt_count, rcpt_defer_count, rcpt_fail_count, recipients_count;
	bool test_host;                              /* -bh: delays are told, not waited for */
	bool no_callout;                             /* -bh: addresses are verified without them */
	struct str arg[9];
	int32_t narg;
	/* Filled while running: */
	struct str verify_message, sender_verify_failure, recipient_verify_failure;
	struct str dnslist_domain, dnslist_text, dnslist_value, dnslist_matched;
	struct str sender_rate, sender_rate_limit, sender_rate_period;
	struct str sender_data, recipient_data;
	bool temp_details; /* a temporary answer carries its text to the client */
	void (*delay)(void *arg, int seconds, bool flush); void *delay_arg; /* `delay` modifier; NULL: sleep */
	void (*flush)(void *arg); void *flush_arg;                          /* before a callout; NULL: nothing */
	struct map command_rates; /* ratelimit keys done in this command */
	int depth;
	struct addr_view own_view; /* stands in SPACE_ADDRESS where the caller has none */
	void *session; /* receive/ */
};

/* Run the ACL that an option names (expanded: a name, a file, or inline text; manual 44.3).
 * The option must be set: what an unset one means is the caller's (44.5).
 * ret_user: the text for the client, unset = the caller's words ("Administrative prohibition",
 * "Temporary local problem - please try later", the usual success text); it may begin with a code
 * of its own, whose first digit is checked here. ret_log: for the log; unset = none.
 * Texts live in ev->lx.arena. Threads: owner. */
enum acl_verdict acl_run(struct eval *ev, struct acl_frame *f, const struct xstr *option, struct str *ret_user, struct str *ret_log);
enum acl_verdict acl_run_named(struct eval *ev, struct acl_frame *f, struct str name, struct str *ret_user, struct str *ret_log);

/* Before a rejection is answered and logged (44.24): what is told of a sender that did not verify.
 * ret_client: lines to put in front of the answer, unset = none; ret_log: a log entry of its own (what
 * follows the words about the host), unset = none. Each failure is told once per message. */
void acl_sender_details(struct eval *ev, struct acl_frame *f, enum acl_verdict v, struct str *ret_client, struct str *ret_log);
/* Take the headers that wait out of, and put those that wait into, the message (44.15, 44.16), and forget them. */
void acl_headers_apply(struct eval *ev, struct message *m, struct acl_effects *e);
/* "H=name (helo) [1.2.3.4]:25 I=[5.6.7.8]:25 U=ident", as log lines about the client begin (manual 53). */
struct str acl_log_host(struct eval *ev);

/* Schema compile hook: errors in Exim's words with file and line. */
bool acl_compile_all(struct config *cfg, struct env *env, struct why *why);
extern const struct expand_var acl_vars[];
extern const struct expand_item acl_items[];           /* ${acl{...}} */
extern const struct expand_condition_row acl_conditions[]; /* ${if acl{...}} */
const char *acl_where_name(enum acl_where w); /* "RCPT", "connection" ... as in logs */
