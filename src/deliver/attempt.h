/* SPDX-License-Identifier: Apache-2.0
 * Between the files of deliver/: one attempt at one message. Text lives in the message's arena. */
#pragma once
#include "deliver/deliver.h"
#include "queue/retry_db.h"
#include "route/route.h"

struct msglog_line {
	struct msglog_line *next;
	struct str text;
};
struct made_message { /* to be delivered when the attempt is over */
	struct made_message *next;
	char id[MSG_ID_MAX];
};
struct attempt {
	struct deliver_job *job;
	const struct config *cfg;
	struct env *env;
	struct message *m;
	struct spool_msg *sm;
	struct arena *arena;
	struct eval ev;
	struct route_job route;
	struct retry_matcher matcher;
	struct retry_moment moment;
	int64_t now_us;
	struct address **top;      /* the recipients of this attempt */
	size_t tops;
	struct address *failed, *deferred, *delivered; /* last one first */
	struct msglog_line *lines, **lines_tail; /* of msglog, kept until it is known whether the message stays */
	struct made_message *made;
	bool envelope_changed;     /* -H must be written though nothing was delivered */
	bool freeze;
	struct str freeze_text;    /* what stands in the log behind "Frozen" */
	bool first;                /* nobody tried this message before */
	bool alone;                /* one recipient: its success ends the message, so -J is not needed */
};

/* log_line.c: entries of the main log and of msglog (manual 53.7 to 53.12). */
void log_delivered(struct attempt *at, const struct address *ad, const char *flag);
void log_deferred(struct attempt *at, const struct address *ad);
void log_failed(struct attempt *at, const struct address *ad);
void log_completed(struct attempt *at);
/* "strerror: message" of a result, newlines kept. */
struct str result_text(struct arena *a, const struct address *ad);
void attempt_log(struct attempt *at, unsigned where, const char *fmt, ...) printf_like(3, 4);
void attempt_msglog(struct attempt *at, const char *fmt, ...) printf_like(2, 3);
void attempt_msglog_write(struct attempt *at);
/* "3s", "2m5s", or "0.123s" with the millisec selector. */
struct str log_duration(struct attempt *at, int64_t us);

/* result.c: what follows from the state of an address. */
void settle(struct attempt *at, struct address *ad);       /* it needs nothing more: done map, -J */
void result_take(struct attempt *at, struct address *ad, const char *flag);
void fail_now(struct attempt *at, struct address *ad);     /* log and put on the failed list */
void defer_now(struct attempt *at, struct address *ad);
/* All of `ad`'s tree is settled. */
bool tree_settled(const struct address *ad);

/* retry.c: retry times before, retry records after (manual 32). */
void retry_begin(struct attempt *at);
bool retry_before_routing(struct attempt *at, struct address *ad);
void retry_after_routing(struct attempt *at, struct address *ad);
/* False: deferred or failed for its retry time; state and message are set. */
bool retry_before_local(struct attempt *at, struct address *ad);
/* Write records for a batch that ran (those of hosts are the transport's, who knows which it asked);
 * deferred addresses whose time is over become failed. */
void retry_after_run(struct attempt *at, struct delivery *d, struct address *const *batch, size_t n);

void attempt_made(struct attempt *at, const struct message *m); /* tell of a message that was made */

/* transport_runs.c: batches of addresses, one run each. */
void run_transports(struct attempt *at);

/* bounce.c, bounce_text.c, notice.c */
void send_bounces(struct attempt *at);
void send_warning(struct attempt *at);
void send_success(struct attempt *at);
void freeze_message(struct attempt *at);

/* A message of the system on its way into the spool. */
struct notice {
	struct attempt *at;
	struct strbuf head, body;
	const char *boundary;
	struct str to[64];
	size_t tos;
};
void notice_begin(struct notice *n, struct attempt *at, struct str to);
/* To:, From:, Reply-To:, References: as all notices have them. */
void notice_from(struct notice *n);
void notice_reply_to(struct notice *n);
void notice_references(struct notice *n);
void notice_multipart(struct notice *n);
/* The returned copy: all of the message, or its headers only. */
void notice_copy(struct notice *n, bool full);
/* Durable on true; logged; told to job->made or kept for the end. */
bool notice_send(struct notice *n, struct str reference_id);
void notice_errors_copy(struct notice *n);

/* bounce_text.c: the parts that tests look at. */
void bounce_address(struct strbuf *sb, const struct address *ad);
void bounce_error(struct strbuf *sb, const struct address *ad, const char *label);
void dsn_recipient(struct attempt *at, struct strbuf *sb, const struct address *ad, const char *action, char class);

/* SPACE_BOUNCE */
struct bounce_view {
	struct str recipient, warn_delay, warn_recipients;
	int64_t return_size_limit;
};
