/* SPDX-License-Identifier: Apache-2.0
 * The index (index.h). A hash by id (open addressing, linear), a binary heap of idle entries by
 * due time, and two FIFOs: new messages, and those asked for.
 *
 * Where an entry is: slot is its place in the heap plus one; 0 = not in the heap; IN_NEW and IN_ASKED
 * = in that FIFO. Frozen, idle, not asked: nowhere. Running: nowhere. */
#include "queue/index.h"

#include <stdlib.h>

#include "base/banned.h"

enum { NOWHERE = 0 };
static const uint32_t IN_NEW = UINT32_MAX, IN_ASKED = UINT32_MAX - 1;

struct fifo {
	struct list all;
	size_t count;
};

struct name {
	struct name *next;
	char text[];
};

struct queue_index {
	struct index_entry **hash; /* NULL = free, GONE = removed */
	uint32_t size, used;       /* size is a power of two; used counts removed ones */
	struct index_entry **heap;
	uint32_t heap_count, heap_room;
	struct fifo fresh, asked;
	struct name *names;
	size_t messages, frozen, running, bytes;
	unsigned max_running;
};

/* A place in the hash that was left: searches go on behind it. */
#define GONE ((struct index_entry *)(uintptr_t)1)

static void fifo_init(struct fifo *f)
{
	list_init(&f->all);
	f->count = 0;
}

struct queue_index *index_new(unsigned max_running)
{
	struct queue_index *x = calloc(1, sizeof *x);
	must(x);
	x->max_running = max_running;
	fifo_init(&x->fresh);
	fifo_init(&x->asked);
	return x;
}

void index_set_limit(struct queue_index *x, unsigned max_running)
{
	x->max_running = max_running;
}

static void free_entry(struct queue_index *x, struct index_entry *e)
{
	x->bytes -= sizeof *e + strlen(e->sender) + 1;
	free(e->sender);
	free(e);
}

void index_free(struct queue_index *x)
{
	if (!x)
		return;
	for (uint32_t i = 0; i < x->size; i++)
		if (x->hash[i] && x->hash[i] != GONE)
			free_entry(x, x->hash[i]);
	for (struct name *n = x->names, *next; n; n = next) {
		next = n->next;
		free(n);
	}
	free(x->hash);
	free(x->heap);
	free(x);
}

static const char *intern(struct queue_index *x, struct str queue)
{
	for (struct name *n = x->names; n; n = n->next)
		if (str_eqc(queue, n->text))
			return n->text;
	struct name *n = malloc(sizeof *n + queue.len + 1);
	must(n);
	memcpy(n->text, queue.len ? queue.p : "", queue.len);
	n->text[queue.len] = '\0';
	n->next = x->names;
	x->names = n;
	x->bytes += sizeof *n + queue.len + 1;
	return n->text;
}

/* --- Hash. */
static struct index_entry **find_slot(const struct queue_index *x, struct str id)
{
	uint32_t at = (uint32_t)str_hash(id) & (x->size - 1);
	struct index_entry **free_slot = NULL;
	for (;; at = (at + 1) & (x->size - 1)) {
		struct index_entry **p = &x->hash[at];
		if (!*p)
			return free_slot ? free_slot : p;
		if (*p == GONE) {
			if (!free_slot)
				free_slot = p;
		} else if (str_eqc(id, (*p)->id)) {
			return p;
		}
	}
}

static void grow_hash(struct queue_index *x)
{
	if (x->size && (uint64_t)x->used * 4 < (uint64_t)x->size * 3)
		return;
	struct index_entry **old = x->hash;
	uint32_t old_size = x->size;
	/* Twice what lives: sheds the marks of removed ones too. */
	uint32_t size = 64;
	while (size < (x->messages + 1) * 2)
		size *= 2;
	x->hash = calloc(size, sizeof *x->hash);
	must(x->hash);
	x->size = size;
	x->used = 0;
	for (uint32_t i = 0; i < old_size; i++) {
		if (!old[i] || old[i] == GONE)
			continue;
		*find_slot(x, str_c(old[i]->id)) = old[i];
		x->used++;
	}
	x->bytes += size * sizeof *x->hash;
	x->bytes -= old_size * sizeof *x->hash;
	free(old);
}

struct index_entry *index_find(struct queue_index *x, struct str id)
{
	if (!x->size)
		return NULL;
	struct index_entry *e = *find_slot(x, id);
	return e == GONE || (e && e->removed) ? NULL : e;
}

/* --- Heap: earliest due on top, then earliest arrival. */
static bool before(const struct index_entry *a, const struct index_entry *b)
{
	return a->due != b->due ? a->due < b->due : a->arrived_us < b->arrived_us;
}

static void heap_set(struct queue_index *x, uint32_t at, struct index_entry *e)
{
	x->heap[at] = e;
	e->slot = at + 1;
}

static void heap_up(struct queue_index *x, uint32_t at)
{
	struct index_entry *e = x->heap[at];
	for (; at && before(e, x->heap[(at - 1) / 2]); at = (at - 1) / 2)
		heap_set(x, at, x->heap[(at - 1) / 2]);
	heap_set(x, at, e);
}

static void heap_down(struct queue_index *x, uint32_t at)
{
	struct index_entry *e = x->heap[at];
	for (;;) {
		uint32_t child = at * 2 + 1;
		if (child >= x->heap_count)
			break;
		if (child + 1 < x->heap_count && before(x->heap[child + 1], x->heap[child]))
			child++;
		if (!before(x->heap[child], e))
			break;
		heap_set(x, at, x->heap[child]);
		at = child;
	}
	heap_set(x, at, e);
}

static void heap_push(struct queue_index *x, struct index_entry *e)
{
	if (x->heap_count == x->heap_room) {
		uint32_t room = x->heap_room ? x->heap_room * 2 : 64;
		x->heap = reallocarray(x->heap, room, sizeof *x->heap);
		must(x->heap);
		x->bytes += (room - x->heap_room) * sizeof *x->heap;
		x->heap_room = room;
	}
	x->heap[x->heap_count] = e;
	heap_up(x, x->heap_count++);
}

static bool in_heap(const struct index_entry *e)
{
	return e->slot != NOWHERE && e->slot != IN_NEW && e->slot != IN_ASKED;
}

static void heap_take(struct queue_index *x, struct index_entry *e)
{
	uint32_t at = e->slot - 1;
	struct index_entry *last = x->heap[--x->heap_count];
	e->slot = NOWHERE;
	if (last == e)
		return;
	heap_set(x, at, last);
	heap_up(x, at);
	heap_down(x, last->slot - 1);
}

/* --- FIFOs. */
static void fifo_push(struct fifo *f, struct index_entry *e, uint32_t mark)
{
	e->slot = mark;
	list_push(&f->all, &e->link);
	f->count++;
}

static void fifo_take(struct fifo *f, struct index_entry *e)
{
	list_remove(&e->link);
	f->count--;
	e->slot = NOWHERE;
}

static struct index_entry *fifo_pop(struct fifo *f)
{
	if (list_empty(&f->all))
		return NULL;
	struct index_entry *e = list_entry(f->all.next, struct index_entry, link);
	fifo_take(f, e);
	return e;
}

/* --- Where an entry belongs by its facts. */
static void leave(struct queue_index *x, struct index_entry *e)
{
	if (in_heap(e))
		heap_take(x, e);
	else if (e->slot == IN_NEW)
		fifo_take(&x->fresh, e);
	else if (e->slot == IN_ASKED)
		fifo_take(&x->asked, e);
}

static void settle(struct queue_index *x, struct index_entry *e)
{
	if (e->state == INDEX_RUNNING)
		return;
	if (e->asked)
		fifo_push(&x->asked, e, IN_ASKED);
	else if (e->frozen_at)
		e->slot = NOWHERE;
	else if (e->is_new)
		fifo_push(&x->fresh, e, IN_NEW);
	else
		heap_push(x, e);
}

struct index_entry *index_add(struct queue_index *x, const struct index_facts *f)
{
	if (f->id.len >= MSG_ID_MAX)
		return NULL;
	grow_hash(x);
	struct index_entry **slot = find_slot(x, f->id);
	if (*slot && *slot != GONE)
		return NULL;
	struct index_entry *e = calloc(1, sizeof *e);
	must(e);
	memcpy(e->id, f->id.p, f->id.len);
	list_init(&e->link);
	e->queue = intern(x, f->queue);
	e->sender = strndup(f->sender.len ? f->sender.p : "", f->sender.len);
	must(e->sender);
	e->arrived_us = f->arrived_us;
	e->due = f->due;
	e->frozen_at = f->frozen_at;
	e->size = f->size;
	e->recipients = f->recipients;
	e->is_new = f->is_new;
	x->used += *slot == NULL;
	*slot = e;
	x->messages++;
	x->frozen += e->frozen_at != 0;
	x->bytes += sizeof *e + strlen(e->sender) + 1;
	settle(x, e);
	return e;
}

static void forget(struct queue_index *x, struct index_entry *e)
{
	*find_slot(x, str_c(e->id)) = GONE;
	x->messages--;
	x->frozen -= e->frozen_at != 0;
	free_entry(x, e);
}

void index_remove(struct queue_index *x, struct index_entry *e)
{
	if (e->state == INDEX_RUNNING) {
		e->removed = true; /* whoever runs it holds the pointer: index_done frees it */
		return;
	}
	leave(x, e);
	forget(x, e);
}

struct index_entry *index_next(struct queue_index *x, int64_t now)
{
	if (x->max_running && x->running >= x->max_running)
		return NULL;
	struct index_entry *e = fifo_pop(&x->asked);
	if (!e)
		e = fifo_pop(&x->fresh);
	if (!e && x->heap_count && x->heap[0]->due <= now) {
		e = x->heap[0];
		heap_take(x, e);
	}
	if (!e)
		return NULL;
	e->state = INDEX_RUNNING;
	e->asked = e->is_new = false;
	x->running++;
	return e;
}

int64_t index_next_due(const struct queue_index *x)
{
	if (x->asked.count || x->fresh.count)
		return 0;
	return x->heap_count ? x->heap[0]->due : INT64_MAX;
}

static void set_frozen(struct queue_index *x, struct index_entry *e, int64_t frozen_at)
{
	x->frozen += (frozen_at != 0);
	x->frozen -= (e->frozen_at != 0);
	e->frozen_at = frozen_at;
}

void index_done(struct queue_index *x, struct index_entry *e, int64_t due, uint32_t recipients_left, int64_t frozen_at)
{
	must(e->state == INDEX_RUNNING);
	e->state = INDEX_IDLE;
	x->running--;
	if (e->removed || recipients_left == 0) {
		forget(x, e);
		return;
	}
	e->due = due;
	e->recipients = recipients_left;
	set_frozen(x, e, frozen_at);
	settle(x, e);
}

void index_ask(struct queue_index *x, struct index_entry *e)
{
	bool waits = e->slot == IN_ASKED;
	e->asked = true;
	if (e->state == INDEX_RUNNING || waits)
		return; /* when running: settles among the asked when done */
	leave(x, e);
	settle(x, e);
}

void index_set_due(struct queue_index *x, struct index_entry *e, int64_t due)
{
	leave(x, e);
	e->due = due;
	settle(x, e);
}

void index_set_frozen(struct queue_index *x, struct index_entry *e, int64_t frozen_at)
{
	leave(x, e);
	set_frozen(x, e, frozen_at);
	settle(x, e);
}

struct index_counts index_count(const struct queue_index *x)
{
	return (struct index_counts){.messages = x->messages,
	    .frozen = x->frozen,
	    .running = x->running,
	    .fresh = x->fresh.count,
	    .bytes = x->bytes + sizeof *x};
}

static int by_id(const void *a, const void *b)
{
	const struct index_entry *const *x = a, *const *y = b;
	return strcmp((*x)->id, (*y)->id);
}

void index_each(const struct queue_index *x, bool (*fn)(void *arg, const struct index_entry *e), void *arg)
{
	struct index_entry **all = calloc(x->messages + 1, sizeof *all);
	must(all);
	size_t n = 0;
	for (uint32_t i = 0; i < x->size; i++)
		if (x->hash[i] && x->hash[i] != GONE && !x->hash[i]->removed)
			all[n++] = x->hash[i];
	qsort(all, n, sizeof *all, by_id);
	for (size_t i = 0; i < n && fn(arg, all[i]); i++)
		continue;
	free(all);
}
