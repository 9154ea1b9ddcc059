/* SPDX-License-Identifier: Apache-2.0
 * ACLs (manual chapter 44): compiled once per snapshot, run with an eval. */
#pragma once
#include "expand/expand.h"
#include "config/config.h"

enum acl_where {
	ACL_UNKNOWN, ACL_CONNECT, ACL_HELO, ACL_AUTH, ACL_MAIL, ACL_MAILAUTH, ACL_RCPT, ACL_PREDATA, ACL_DATA, ACL_MIME,
	ACL_DKIM, ACL_PRDR, ACL_STARTTLS, ACL_ETRN, ACL_ATRN, ACL_EXPN, ACL_VRFY, ACL_QUIT, ACL_NOTQUIT,
	ACL_NOT_SMTP, ACL_NOT_SMTP_START, ACL_NOT_SMTP_MIME, ACL_WELLKNOWN, ACL_DELIVERY, ACL_WHERES
};
enum acl_verdict { ACL_OK, ACL_FAIL, ACL_DROP, ACL_DISCARD, ACL_DEFER, ACL_ERROR };

/* What controls and modifiers leave behind for receive/; in the message's (or connection's) life. */
struct acl_effects {
	unsigned control[2];       /* bits of enum acl_control_bit, acl/control.h */
	struct str queue_name;     /* queue= */
	bool freeze; struct str freeze_tell;
	bool queue_only, queue_first_pass, no_delay_flush, no_callout_flush, no_pipelining, no_enforce_sync;
	bool fakedefer, fakereject; struct str fake_text;
	bool submission; struct str submission_domain, submission_name; bool submission_sender_retain;
	bool suppress_local_fixups, caseful_local_part, allow_auth_unadvertised, no_mbox_unspool, utf8_downconvert; int utf8_mode;
	bool dsn_lasthop, no_multiline, dkim_disable_verify, dmarc_disable_verify, dmarc_enable_forensic, cutthrough, cutthrough_defer_pass;
	bool log_reject_main, log_reject_reject, log_reject_panic, logreject_set; /* log_reject_target */
	struct str headers_add, headers_remove;  /* add_header / warn message: newline-terminated lines with position marks as acl/headers.h says */
	int debug_level;
};
/* What the caller tells about the moment (SPACE_ACL). */
struct acl_frame {
	enum acl_where where;
	struct acl_effects *effects;
	struct str smtp_command, smtp_argument;      /* $smtp_command ... */
	struct str recipient;                        /* RCPT: whole address, for verify = recipient */
	struct recipient_verify *verify_cache;       /* results kept within the message */
	int rcpt_count, rcpt_defer_count, rcpt_fail_count, recipients_count;
	struct str arg[9]; int narg;
	/* Filled while running: */
	struct str verify_message, sender_verify_failure, recipient_verify_failure, sender_address_data;
	struct str dnslist_domain, dnslist_text, dnslist_value, dnslist_matched;
	struct str sender_rate, sender_rate_limit, sender_rate_period;
	struct str sender_domain_data, domain_data, local_part_data, sender_data;
	void (*delay)(void *arg, int seconds); void *delay_arg; /* `delay` modifier */
	bool endpass_seen;
	int depth;
	void *session; /* receive/ */
};
/* Run the ACL that an option names (expanded: a name, a file, or inline text; manual 44.3).
 * ret_user: text for the client (may hold its own code), ret_log: for the log. Threads: owner. */
enum acl_verdict acl_run(struct eval *ev, struct acl_frame *f, const struct xstr *option, struct str *ret_user, struct str *ret_log);
enum acl_verdict acl_run_named(struct eval *ev, struct acl_frame *f, struct str name, struct str *ret_user, struct str *ret_log);
/* Schema compile hook: errors in Exim's words with file and line. */
bool acl_compile_all(struct config *cfg, struct env *env, struct why *why);
extern const struct expand_var acl_vars[];
extern const struct expand_item acl_items[];           /* ${acl{...}} */
extern const struct expand_condition_row acl_conditions[]; /* ${if acl{...}} */
const char *acl_where_name(enum acl_where w); /* "RCPT", "connection" ... as in logs */
