/* SPDX-License-Identifier: Apache-2.0
 * Destinations: where mail goes to (a host list and terms, named by a key), how many connections
 * each may have at once, and who waits for one. Fair twice: destinations take turns, and within
 * one the senders take turns, so neither a slow host nor a bulk sender stands in others' way.
 *
 * A waiter sits in the struct of whoever waits. Give-out order within one sender is arrival.
 * Threads: owner (the courier's scheduler holds a lock of its own around it). */
#pragma once
#include "base/list.h"
#include "base/str.h"

struct destinations;

struct destination_limits {
	unsigned connections; /* at once, for each destination; 0 = no limit */
	unsigned total;       /* at once, all together; 0 = no limit */
	int64_t spacing_ms;   /* between two starts to one destination; 0 = none */
};

struct destination_waiter {
	struct list link;
	struct destination_lane *lane; /* NULL = not waiting */
};

enum destination_verdict {
	DESTINATION_GO,   /* counted: call destination_release when the connection is gone */
	DESTINATION_FULL, /* at its limit, or others wait already */
	DESTINATION_HELD  /* backing off, or spaced: not before destination_next_ms() */
};

struct destinations *destinations_new(const struct destination_limits *limits);
void destinations_free(struct destinations *d);
/* For this destination alone; the last word holds. */
void destination_set_limit(struct destinations *d, struct str key, unsigned connections);

/* May one more connection begin now? */
enum destination_verdict destination_acquire(struct destinations *d, struct str key, int64_t now_ms);
void destination_release(struct destinations *d, struct str key);

/* Wait for a turn. */
void destination_wait(struct destinations *d, struct str key, struct str sender, struct destination_waiter *w);
void destination_cancel(struct destinations *d, struct destination_waiter *w);
/* The next waiter whose turn it is, its connection counted as by acquire; NULL if none may go now.
 * *ret_key (may be NULL) stays valid until the destination is released. */
struct destination_waiter *destination_next(struct destinations *d, int64_t now_ms, struct str *ret_key);
/* When a held destination with waiters may go; INT64_MAX = none. */
int64_t destination_next_ms(const struct destinations *d);

/* Back-off: nothing starts before then. 0 takes it back. */
void destination_hold(struct destinations *d, struct str key, int64_t until_ms);

/* Forget destinations where nothing runs or waits and whose time has come. Now and then. */
void destination_sweep(struct destinations *d, int64_t now_ms);

struct destination_counts {
	size_t destinations, waiting, running, held;
};
struct destination_counts destination_count(const struct destinations *d);
