/* SPDX-License-Identifier: Apache-2.0
 * The loop: epoll one-shot, a heap of deadlines, an eventfd to wake it.
 *
 * Why a watch may be freed by its owner at any time after loop_cancel said true: epoll's events
 * carry no pointer but descriptor and generation; both are looked up in `slot` under the lock, and
 * each arming takes a new generation. An event fetched before the cancel finds an older
 * generation and is dropped. fire() runs without the lock, so it may arm, post or free. */
#include "net/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/banned.h"

#define EVENTS 128

struct slot {
	struct watch *w;
	uint32_t generation;
};

struct posted {
	struct list link;
	void (*fn)(void *arg);
	void *arg;
};

struct loop {
	pthread_mutex_t lock;
	struct clock *clock;
	int epoll, wake;
	struct slot *slot; /* by descriptor */
	uint32_t slots;
	struct watch **heap; /* [1..heap_len], by deadline; watch.heap_at = 0: not in it */
	uint32_t heap_len, heap_room;
	struct list ready; /* armed on what epoll does not take (regular files): always ready */
	struct list posts;
	int64_t sleeps_until; /* monotonic; the loop looks again then, at the latest; 0: it is awake */
	bool stop, woken;
};

struct loop *loop_new(struct clock *clock)
{
	struct loop *l = calloc(1, sizeof *l);
	must(l != NULL);
	pthread_mutex_init(&l->lock, NULL);
	l->clock = clock;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	must(l->epoll >= 0 && l->wake >= 0);
	struct epoll_event ev = {.events = EPOLLIN, .data.u64 = UINT64_MAX};
	must(epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &ev) == 0);
	list_init(&l->ready);
	list_init(&l->posts);
	return l;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	list_each_safe(p, next, &l->posts)
		free(list_entry(p, struct posted, link));
	close(l->epoll);
	close(l->wake);
	free(l->slot);
	free(l->heap);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* --- the heap; the lock is held --- */

static void heap_set(struct loop *l, uint32_t at, struct watch *w)
{
	l->heap[at] = w;
	w->heap_at = at;
}

static void sift_up(struct loop *l, uint32_t at, struct watch *w)
{
	for (; at > 1 && l->heap[at / 2]->deadline_ms > w->deadline_ms; at /= 2)
		heap_set(l, at, l->heap[at / 2]);
	heap_set(l, at, w);
}

static void sift_down(struct loop *l, uint32_t at, struct watch *w)
{
	for (;;) {
		uint32_t kid = at * 2;
		if (kid > l->heap_len)
			break;
		if (kid < l->heap_len && l->heap[kid + 1]->deadline_ms < l->heap[kid]->deadline_ms)
			kid++;
		if (l->heap[kid]->deadline_ms >= w->deadline_ms)
			break;
		heap_set(l, at, l->heap[kid]);
		at = kid;
	}
	heap_set(l, at, w);
}

static void heap_add(struct loop *l, struct watch *w)
{
	if (l->heap_len + 2 > l->heap_room) {
		l->heap_room = l->heap_room ? l->heap_room * 2 : 64;
		struct watch **p = realloc(l->heap, l->heap_room * sizeof(struct watch *));
		must(p != NULL);
		l->heap = p;
	}
	sift_up(l, ++l->heap_len, w);
}

static void heap_drop(struct loop *l, struct watch *w)
{
	uint32_t at = w->heap_at;
	if (at == 0)
		return;
	w->heap_at = 0;
	struct watch *last = l->heap[l->heap_len--];
	if (last == w)
		return;
	if (at > 1 && l->heap[at / 2]->deadline_ms > last->deadline_ms)
		sift_up(l, at, last);
	else
		sift_down(l, at, last);
}

/* --- arming --- */

static void wake(struct loop *l)
{
	if (!l->woken) {
		uint64_t one = 1;
		l->woken = true;
		must(write(l->wake, &one, sizeof one) == (ssize_t)sizeof one);
	}
}

static struct slot *slot_of(struct loop *l, int fd)
{
	uint32_t at = (uint32_t)fd;
	if (at >= l->slots) {
		uint32_t n = l->slots ? l->slots : 64;
		while (n <= at)
			n *= 2;
		struct slot *p = realloc(l->slot, n * sizeof *p);
		must(p != NULL);
		memset(p + l->slots, 0, (n - l->slots) * sizeof *p);
		l->slot = p;
		l->slots = n;
	}
	return &l->slot[at];
}

/* False if epoll does not take such a descriptor. */
static bool epoll_set(struct loop *l, struct watch *w, uint32_t events)
{
	struct slot *slot = slot_of(l, w->fd);
	slot->w = w;
	slot->generation++;
	struct epoll_event ev = {.events = events | EPOLLONESHOT | EPOLLRDHUP,
		.data.u64 = (uint64_t)slot->generation << 32 | (uint32_t)w->fd};
	int op = w->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
	int rc = epoll_ctl(l->epoll, op, w->fd, &ev);
	/* The number was closed and used again behind our back, either way. */
	if (rc < 0 && errno == EEXIST)
		rc = epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &ev);
	else if (rc < 0 && errno == ENOENT)
		rc = epoll_ctl(l->epoll, EPOLL_CTL_ADD, w->fd, &ev);
	w->added = rc == 0;
	return rc == 0;
}

void loop_arm(struct loop *l, struct watch *w, uint32_t events)
{
	pthread_mutex_lock(&l->lock);
	must(!w->armed);
	w->armed = true;
	w->heap_at = 0;
	list_init(&w->link);
	if (w->deadline_ms) {
		heap_add(l, w);
		if (w->deadline_ms < l->sleeps_until)
			wake(l);
	}
	if (w->fd >= 0 && !epoll_set(l, w, events)) {
		list_push(&l->ready, &w->link);
		wake(l);
	}
	pthread_mutex_unlock(&l->lock);
}

/* The lock is held; after this only the caller knows of w. */
static void take(struct loop *l, struct watch *w)
{
	w->armed = false;
	heap_drop(l, w);
	list_remove(&w->link);
	if (w->fd >= 0 && (uint32_t)w->fd < l->slots && l->slot[w->fd].w == w)
		l->slot[w->fd].w = NULL;
}

bool loop_cancel(struct loop *l, struct watch *w)
{
	pthread_mutex_lock(&l->lock);
	bool was = w->armed;
	if (was)
		take(l, w);
	pthread_mutex_unlock(&l->lock);
	return was;
}

void loop_forget(struct loop *l, struct watch *w)
{
	pthread_mutex_lock(&l->lock);
	if (w->armed)
		take(l, w);
	if (w->added)
		(void)epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL);
	w->added = false;
	pthread_mutex_unlock(&l->lock);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct posted *p = calloc(1, sizeof *p);
	must(p != NULL);
	p->fn = fn;
	p->arg = arg;
	pthread_mutex_lock(&l->lock);
	list_push(&l->posts, &p->link);
	wake(l);
	pthread_mutex_unlock(&l->lock);
}

void loop_stop(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	wake(l);
	pthread_mutex_unlock(&l->lock);
}

/* --- running --- */

/* The watch that an epoll event is for, if it still waits. */
static struct watch *claim(struct loop *l, uint64_t key)
{
	uint32_t fd = (uint32_t)key, generation = (uint32_t)(key >> 32);
	struct watch *w = NULL;
	pthread_mutex_lock(&l->lock);
	if (fd < l->slots && l->slot[fd].generation == generation)
		w = l->slot[fd].w;
	if (w)
		take(l, w);
	pthread_mutex_unlock(&l->lock);
	return w;
}

static struct watch *claim_ready(struct loop *l)
{
	struct watch *w = NULL;
	pthread_mutex_lock(&l->lock);
	if (!list_empty(&l->ready)) {
		w = list_entry(l->ready.next, struct watch, link);
		take(l, w);
	}
	pthread_mutex_unlock(&l->lock);
	return w;
}

static struct watch *claim_due(struct loop *l, int64_t now)
{
	struct watch *w = NULL;
	pthread_mutex_lock(&l->lock);
	if (l->heap_len && l->heap[1]->deadline_ms <= now) {
		w = l->heap[1];
		take(l, w);
	}
	pthread_mutex_unlock(&l->lock);
	return w;
}

static void run_posts(struct loop *l)
{
	struct list mine;
	list_init(&mine);
	pthread_mutex_lock(&l->lock);
	if (l->woken) {
		uint64_t n;
		(void)!read(l->wake, &n, sizeof n);
		l->woken = false;
	}
	if (!list_empty(&l->posts)) {
		list_link(&l->posts, &mine);
		list_remove(&l->posts);
	}
	pthread_mutex_unlock(&l->lock);
	list_each_safe(at, next, &mine) {
		struct posted *p = list_entry(at, struct posted, link);
		p->fn(p->arg);
		free(p);
	}
}

static int wait_ms(struct loop *l, int64_t ms)
{
	pthread_mutex_lock(&l->lock);
	if (!list_empty(&l->ready))
		ms = 0;
	if (l->heap_len) {
		int64_t left = l->heap[1]->deadline_ms - clock_mono_ms(l->clock);
		left = left < 0 ? 0 : left;
		if (ms < 0 || left < ms)
			ms = left;
	}
	l->sleeps_until = ms < 0 ? INT64_MAX : clock_mono_ms(l->clock) + ms;
	pthread_mutex_unlock(&l->lock);
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

void loop_once(struct loop *l, int64_t ms)
{
	struct epoll_event ev[EVENTS];
	struct watch *w;
	int n = epoll_wait(l->epoll, ev, EVENTS, wait_ms(l, ms));
	must(n >= 0 || errno == EINTR);
	for (int i = 0; i < n; i++)
		if (ev[i].data.u64 != UINT64_MAX && (w = claim(l, ev[i].data.u64)))
			w->fire(w, ev[i].events);
	for (int i = 0; i < EVENTS && (w = claim_ready(l)); i++)
		w->fire(w, EPOLLIN | EPOLLOUT);
	int64_t now = clock_mono_ms(l->clock);
	while ((w = claim_due(l, now)))
		w->fire(w, 0);
	run_posts(l);
}

static bool stopping(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	bool stop = l->stop;
	l->stop = false;
	pthread_mutex_unlock(&l->lock);
	return stop;
}

void loop_run(struct loop *l)
{
	while (!stopping(l))
		loop_once(l, -1);
}
