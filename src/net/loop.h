/* SPDX-License-Identifier: Apache-2.0
 * loop: epoll with timers, for parking what waits. A watch fires once and must be re-armed: the
 * owner gets its object back and no other thread can see it meanwhile.
 * Threads: loop_run in one; loop_arm, loop_cancel and loop_stop from any. */
#pragma once
#include "base/clock.h"
#include "base/list.h"
#include "base/status.h"

struct loop;

/* Embedded in what waits (a session, a channel); zero it before first use. */
struct watch {
	struct list link;
	int fd;
	int64_t deadline_ms; /* monotonic; 0 = none */
	uint32_t heap_at;
	bool armed, added;
	/* why: readiness in EPOLL* bits, 0 = the deadline passed. */
	void (*fire)(struct watch *w, uint32_t events);
};

struct loop *loop_new(struct clock *clock);
void loop_free(struct loop *l);
/* Wait for `events` (EPOLLIN...) on w->fd until w->deadline_ms, then call w->fire once. */
void loop_arm(struct loop *l, struct watch *w, uint32_t events);
/* Take it back without firing; false if it fired (or is about to) already. */
bool loop_cancel(struct loop *l, struct watch *w);
/* Remove the descriptor from epoll before it is closed. */
void loop_forget(struct loop *l, struct watch *w);
/* Run until loop_stop. */
void loop_run(struct loop *l);
/* One round, waiting at most ms (-1 = for ever). */
void loop_once(struct loop *l, int64_t ms);
void loop_stop(struct loop *l);
/* Call fn(arg) in the loop's thread soon. Threads: any. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* A pool of threads that run jobs first come first served. The queue is bounded by the number of
 * sessions and deliveries, which have limits of their own. */
struct pool;
struct job {
	struct list link;
	void (*run)(struct job *j);
};
struct pool *pool_new(const char *name, unsigned threads, size_t stack_size);
void pool_submit(struct pool *p, struct job *j);
/* Finish what is queued, join all. */
void pool_free(struct pool *p);
unsigned pool_backlog(struct pool *p);
