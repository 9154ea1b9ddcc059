/* SPDX-License-Identifier: Apache-2.0
 * Retry records in the hints (manual 32, 54.11): what failed, since when, when to try again. And
 * the decisions made from them. All functions: Threads: any.
 *
 * Keys, as exim_dumpdb shows them:
 *   R:domain            routing a domain            R:local@domain   with retry_use_local_part
 *   R:address:<sender>  a 4xx to RCPT               R:address        without address_retry_include_sender
 *   T:local@domain      a local delivery
 *   T:name:ip[:port]    a host; no ip without retry_include_ip_address, port only when it is not 25
 *   T:name:ip[:port]:id a host for one message (4xx to MAIL or DATA, ...) */
#pragma once
#include "hints/hints.h"
#include "queue/retry_rule.h"

struct str retry_key_routing(struct arena *a, struct str address_or_domain);
struct str retry_key_rcpt(struct arena *a, struct str address, struct str sender, bool include_sender);
struct str retry_key_local(struct arena *a, struct str address);
struct str retry_key_host(struct arena *a, struct str name, struct str ip, int port, struct str message_id);

struct retry_record {
	int64_t stamp;        /* when it was written */
	int basic_errno, more_errno;
	int64_t first_failed, last_try, next_try;
	bool expired;         /* the last cutoff has passed */
	struct str text;
};
/* As stored: one line of numbers, then the text. Foreign bytes are refused. */
struct str retry_record_format(struct arena *a, const struct retry_record *r);
bool retry_record_parse(struct str value, struct retry_record *ret);

/* The moment of a delivery attempt. */
struct retry_moment {
	struct hints *hints;
	const struct retry_rules *rules;
	const struct retry_matcher *matcher;
	struct arena *arena;
	int64_t now;
	int64_t arrived;      /* the message's reception */
	int64_t data_expire;  /* retry_data_expire; older records count as absent */
	int64_t interval_max; /* retry_interval_max */
	uint32_t random;
	bool queue_run;       /* false: first delivery, which always routes and always tries local deliveries */
	bool forced;          /* -qf, -M: retry times are not looked at */
	bool delay_after_cutoff; /* of the smtp transport */
};

enum retry_due {
	RETRY_DUE,            /* try */
	RETRY_NOT_YET,        /* "retry time not reached" */
	RETRY_PAST_CUTOFF     /* "retry timeout exceeded": fail without a try */
};
/* Each: the record found is in *ret (ret->text in m->arena) when the result is not DUE for lack of one; may be NULL. */
bool retry_read(const struct retry_moment *m, struct str key, struct retry_record *ret);
/* Routing, local deliveries and RCPT keys. `what` gives key and domain for rules; its errno is taken from the record. */
enum retry_due retry_check_address(const struct retry_moment *m, struct str key, const struct retry_failure *what, struct retry_record *ret);
/* A host: its own key and the key with the message's id. */
enum retry_due retry_check_host(const struct retry_moment *m, struct str host_key, struct str message_key,
    const struct retry_failure *what, struct retry_record *ret);

struct retry_outcome {
	bool rule_found;      /* false: no rule or one without sets: the error is permanent (manual 32) */
	bool expired;         /* past the last cutoff: fail the address (remote: if so for all its hosts) */
	bool outlived;        /* the message is older than the cutoff: fail it, no new time was set */
	int64_t next_try;
};
/* A temporary failure: record written. message_error: errors of a message rather than a host (4xx to MAIL and DATA,
 * quota): a message that arrived before the first failure counts from its arrival (manual 32.11). */
struct retry_outcome retry_note_failure(const struct retry_moment *m, struct str key, const struct retry_failure *f, struct str text,
    bool message_error);
/* It worked: the clock is reset. */
void retry_note_success(const struct retry_moment *m, struct str key);
