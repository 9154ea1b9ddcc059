/* SPDX-License-Identifier: Apache-2.0
 * One delivery attempt of one message: route what is left, group by transport and host list, run
 * the transports, record results, retry hints, bounces and warnings (manual 3, 32, 48-50). */
#pragma once
#include "base/env.h"
#include "config/config.h"
#include "spool/spool.h"
#include "transport/transport.h"

enum deliver_flags {
	DELIVER_FORCE = 1,        /* ignore retry times: -M, -qf, -qff */
	DELIVER_FORCE_FROZEN = 2, /* frozen ones too: -M, -qff */
	DELIVER_NO_RETRY_TEST = 4,
	DELIVER_LOCAL_ONLY = 8,   /* -ql, queue_smtp_domains */
	DELIVER_FIRST = 16,       /* immediately after reception: always routes, always tries local ones */
	DELIVER_QUEUE_RUN = 32,
	DELIVER_FAIL_ALL = 64,    /* -Mg: give up, bounce */
	DELIVER_DONT = 128        /* -N */
};
enum deliver_outcome {
	DELIVER_COMPLETED,   /* all done; files removed */
	DELIVER_PENDING,     /* some address is left; next_due says when */
	DELIVER_FROZEN,
	DELIVER_LOCKED,      /* another process has it */
	DELIVER_GONE,
	DELIVER_ERROR        /* damaged or unreadable; logged, left alone */
};
struct deliver_job {
	struct str cancelled_by;       /* with DELIVER_FAIL_ALL: whose order it is */
	const struct config *config;
	struct env *env;
	struct spool *spool;
	struct conn_pool *pool;   /* NULL = no reuse */
	struct str queue_name, id;
	unsigned flags;
	struct str only_sender, only_recipient; /* -S / -R partial texts, unset = all */
	struct str also_queue;
	/* Out: */
	int64_t next_due_s;       /* earliest retry time; 0 = next queue run */
	unsigned delivered, deferred, failed;
	/* Destinations the caller may have more messages for (connection reuse by schedule): */
	void (*on_waiting)(void *arg, struct str host_key, struct str id); void *arg;
	/* Told of each message that this attempt made (bounces, warnings, replies), already durable: the
	 * caller queues it. NULL = it is delivered here, when this attempt is over. */
	void (*made)(void *arg, const struct message *m);
};
/* Runs to the end in this thread. Everything is logged. */
enum deliver_outcome deliver_message(struct deliver_job *job);
/* Same for a message just committed by this process (already locked, header in memory). */
enum deliver_outcome deliver_opened(struct deliver_job *job, struct message *m, struct spool_msg *sm);

/* $bounce_recipient, $bounce_return_size_limit, $warn_message_delay, $warn_message_recipients. */
extern const struct expand_var deliver_vars[];
