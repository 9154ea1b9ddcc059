/* SPDX-License-Identifier: Apache-2.0
 * The courier's memory of the queue: one entry for each message, some two hundred bytes. Answers
 * "which message next", in the order: what somebody asked for, new messages as they came, then
 * what is due, earliest first. At most max_running are out at a time.
 *
 * An entry is idle, running (index_next gave it out) or gone. Frozen ones never come from index_next
 * unless asked for. The entry is the index's; pointers stay valid until index_remove.
 * Threads: owner (the courier's scheduler holds a lock of its own around it). */
#pragma once
#include "base/list.h"
#include "message/message.h"

enum index_state { INDEX_IDLE, INDEX_RUNNING };

struct index_entry {
	char id[MSG_ID_MAX];
	const char *queue;      /* "" = main; interned in the index */
	int64_t arrived_us;
	int64_t due;            /* seconds; when idle and not new */
	int64_t frozen_at;      /* 0 = not */
	int64_t size;
	char *sender;           /* of the index */
	uint32_t recipients;    /* left to do */
	uint32_t slot;          /* place in the heap; see index.c */
	uint8_t state;          /* enum index_state */
	bool is_new;            /* no attempt yet: comes first, in order of arrival */
	bool asked;             /* -M, -R, ...: comes before all others */
	bool removed;           /* index_remove while running: gone when it is done */
	uint32_t flags;         /* the scheduler's: how the next attempt is to be made */
	void *owner;            /* the scheduler's: who asked (a queue run), or NULL */
	struct list link;       /* in a FIFO; else alone */
};

struct index_counts {
	size_t messages, frozen, running, fresh;
	size_t bytes;           /* memory held */
};

struct queue_index;
struct queue_index *index_new(unsigned max_running);
void index_free(struct queue_index *x);
void index_set_limit(struct queue_index *x, unsigned max_running);

/* Facts of a message that came or was found in the spool. */
struct index_facts {
	struct str id, queue, sender;
	int64_t arrived_us, due, frozen_at, size;
	uint32_t recipients;
	bool is_new;
};
/* NULL if it is there already. */
struct index_entry *index_add(struct queue_index *x, const struct index_facts *f);
struct index_entry *index_find(struct queue_index *x, struct str id);
void index_remove(struct queue_index *x, struct index_entry *e);

/* The next to run at `now` (seconds), taken out and marked running; NULL when none is due or the limit is reached. */
struct index_entry *index_next(struct queue_index *x, int64_t now);
/* When to ask again: due time of the first (0 = at once, INT64_MAX = nothing waits). */
int64_t index_next_due(const struct queue_index *x);
/* An attempt is over: idle again, due then. */
void index_done(struct queue_index *x, struct index_entry *e, int64_t due, uint32_t recipients_left, int64_t frozen_at);
/* Somebody asks for it now: thawed messages, -M, -R, ETRN, -qff for frozen ones. */
void index_ask(struct queue_index *x, struct index_entry *e);
/* Due at another time (a host is up again, retry data changed). */
void index_set_due(struct queue_index *x, struct index_entry *e, int64_t due);
void index_set_frozen(struct queue_index *x, struct index_entry *e, int64_t frozen_at);

struct index_counts index_count(const struct queue_index *x);
/* All, oldest id first; fn false = stop. For listings: takes O(n log n). */
void index_each(const struct queue_index *x, bool (*fn)(void *arg, const struct index_entry *e), void *arg);
