/* SPDX-License-Identifier: Apache-2.0
 * Destinations (destination.h). A destination exists while something runs, waits, is held or limited there.
 * Those with waiters are in the ring `turn`; one that got its turn goes to the end of the ring. In
 * each, the senders' lanes form a ring that turns the same way. */
#include "queue/destination.h"

#include <stdlib.h>

#include "base/map.h"

#include "base/banned.h"

struct destination_lane {
	struct list link;     /* in the destination's ring */
	struct list waiters;
	struct destination *to;
	struct str key;       /* in the map of lanes: the destination's place, then the sender */
	char text[];
};

struct destination {
	struct list link;     /* in the ring of turns while it has waiters */
	struct list lanes;
	unsigned running, limit;
	bool limited;         /* a limit of its own */
	size_t waiting;
	int64_t not_before_ms;
	struct str key;
	char text[];
};

struct destinations {
	struct destination_limits limits;
	struct map by_key, lanes;
	struct list turn;
	size_t waiting;
	unsigned running;
};

struct destinations *destinations_new(const struct destination_limits *limits)
{
	struct destinations *d = calloc(1, sizeof *d);
	must(d);
	d->limits = *limits;
	map_init(&d->by_key, NULL, true);
	map_init(&d->lanes, NULL, false);
	list_init(&d->turn);
	return d;
}

static void free_lane(struct destinations *d, struct destination_lane *lane)
{
	list_remove(&lane->link);
	map_remove(&d->lanes, lane->key);
	free(lane);
}

void destinations_free(struct destinations *d)
{
	if (!d)
		return;
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(&d->by_key, &pos));) {
		struct destination *to = s->value;
		while (!list_empty(&to->lanes)) {
			struct destination_lane *lane = list_entry(to->lanes.next, struct destination_lane, link);
			list_each(w, &lane->waiters) list_entry(w, struct destination_waiter, link)->lane = NULL;
			free_lane(d, lane);
		}
		free(to);
	}
	map_done(&d->by_key);
	map_done(&d->lanes);
	free(d);
}

static struct destination *get(struct destinations *d, struct str key)
{
	struct destination *to = map_get(&d->by_key, key);
	if (to)
		return to;
	to = calloc(1, sizeof *to + key.len + 1);
	must(to);
	memcpy(to->text, key.len ? key.p : "", key.len);
	to->key = str_n(to->text, key.len);
	to->limit = d->limits.connections;
	list_init(&to->link);
	list_init(&to->lanes);
	map_put(&d->by_key, to->key, to);
	return to;
}

/* Nothing to remember: gone. */
static void drop_idle(struct destinations *d, struct destination *to, int64_t now_ms)
{
	if (to->running || to->waiting || to->limited || to->not_before_ms > now_ms)
		return;
	map_remove(&d->by_key, to->key);
	free(to);
}

void destination_set_limit(struct destinations *d, struct str key, unsigned connections)
{
	struct destination *to = get(d, key);
	to->limit = connections;
	to->limited = true;
}

static bool full(const struct destinations *d, const struct destination *to)
{
	return (to->limit && to->running >= to->limit) || (d->limits.total && d->running >= d->limits.total);
}

static void start(struct destinations *d, struct destination *to, int64_t now_ms)
{
	to->running++;
	d->running++;
	to->not_before_ms = d->limits.spacing_ms ? now_ms + d->limits.spacing_ms : 0;
}

enum destination_verdict destination_acquire(struct destinations *d, struct str key, int64_t now_ms)
{
	struct destination *to = get(d, key);
	if (to->not_before_ms > now_ms)
		return DESTINATION_HELD;
	if (full(d, to) || to->waiting) {
		drop_idle(d, to, now_ms);
		return DESTINATION_FULL;
	}
	start(d, to, now_ms);
	return DESTINATION_GO;
}

void destination_release(struct destinations *d, struct str key)
{
	struct destination *to = map_get(&d->by_key, key);
	must(to && to->running && d->running);
	to->running--;
	d->running--;
	/* What is spaced or held stays until its time is asked for again; INT64_MIN: keep if any time is set. */
	drop_idle(d, to, to->not_before_ms ? INT64_MIN : 0);
}

/* Found by destination and sender together: a big destination has many senders. */
static struct destination_lane *lane_of(struct destinations *d, struct destination *to, struct str sender)
{
	size_t len = sizeof to + sender.len;
	struct destination_lane *lane = calloc(1, sizeof *lane + len + 1);
	must(lane);
	memcpy(lane->text, &to, sizeof to);
	memcpy(lane->text + sizeof to, sender.len ? sender.p : "", sender.len);
	lane->key = str_n(lane->text, len);
	struct destination_lane *there = map_get(&d->lanes, lane->key);
	if (there) {
		free(lane);
		return there;
	}
	lane->to = to;
	list_init(&lane->waiters);
	list_push(&to->lanes, &lane->link);
	map_put(&d->lanes, lane->key, lane);
	return lane;
}

void destination_wait(struct destinations *d, struct str key, struct str sender, struct destination_waiter *w)
{
	struct destination *to = get(d, key);
	w->lane = lane_of(d, to, sender);
	list_push(&w->lane->waiters, &w->link);
	if (to->waiting++ == 0)
		list_push(&d->turn, &to->link);
	d->waiting++;
}

/* Out of its lane; empty lanes and rings are left. */
static void unwait(struct destinations *d, struct destination_waiter *w)
{
	struct destination_lane *lane = w->lane;
	struct destination *to = lane->to;
	list_remove(&w->link);
	w->lane = NULL;
	d->waiting--;
	if (list_empty(&lane->waiters))
		free_lane(d, lane);
	if (--to->waiting == 0)
		list_remove(&to->link);
}

void destination_cancel(struct destinations *d, struct destination_waiter *w)
{
	if (!w->lane)
		return;
	struct destination *to = w->lane->to;
	unwait(d, w);
	drop_idle(d, to, to->not_before_ms ? INT64_MIN : 0);
}

/* The waiter at the head of the lane whose turn it is; the lane goes to the end. */
static struct destination_waiter *take_waiter(struct destinations *d, struct destination *to)
{
	struct destination_lane *lane = list_entry(to->lanes.next, struct destination_lane, link);
	struct destination_waiter *w = list_entry(lane->waiters.next, struct destination_waiter, link);
	list_remove(&lane->link);
	list_push(&to->lanes, &lane->link);
	unwait(d, w);
	return w;
}

struct destination_waiter *destination_next(struct destinations *d, int64_t now_ms, struct str *ret_key)
{
	list_each(l, &d->turn) {
		struct destination *to = list_entry(l, struct destination, link);
		if (full(d, to) || to->not_before_ms > now_ms)
			continue;
		list_remove(&to->link);
		list_push(&d->turn, &to->link);
		struct destination_waiter *w = take_waiter(d, to);
		start(d, to, now_ms);
		if (ret_key)
			*ret_key = to->key;
		return w;
	}
	return NULL;
}

int64_t destination_next_ms(const struct destinations *d)
{
	int64_t first = INT64_MAX;
	list_each(l, &d->turn) {
		const struct destination *to = list_entry(l, struct destination, link);
		if (!full(d, to) && to->not_before_ms < first)
			first = to->not_before_ms;
	}
	return first;
}

void destination_hold(struct destinations *d, struct str key, int64_t until_ms)
{
	get(d, key)->not_before_ms = until_ms;
}

void destination_sweep(struct destinations *d, int64_t now_ms)
{
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(&d->by_key, &pos));)
		drop_idle(d, s->value, now_ms);
}

struct destination_counts destination_count(const struct destinations *d)
{
	struct destination_counts n = {.destinations = d->by_key.live, .waiting = d->waiting, .running = d->running};
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(&d->by_key, &pos));)
		n.held += ((struct destination *)s->value)->not_before_ms != 0;
	return n;
}
