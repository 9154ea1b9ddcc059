/* SPDX-License-Identifier: Apache-2.0
 * The pool of idle connections. One lock over a small table of rings by key: held for the time of
 * a look-up, never over a system call that waits. A connection whose peer closed it, or said
 * something unasked (421), is found out by poll before use and dropped: nothing was sent on it. */
#include "transport/pool.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"

#include "base/banned.h"

enum { BUCKETS = 256 };
struct conn_pool {
	pthread_mutex_t lock;
	struct env *env;
	struct list bucket[BUCKETS]; /* newest first: the oldest are left to time out */
	unsigned idle, max_idle;
	int64_t idle_ms;
};

struct conn *conn_new(struct stream *s)
{
	struct arena *a = arena_new("smtp connection", LIMIT_ARENA_SESSION, 4096, 0);
	struct conn *c = arena_new_of(a, struct conn);
	c->arena = a;
	c->stream = s;
	list_init(&c->link);
	return c;
}

void conn_drop(struct conn *c)
{
	if (!c)
		return;
	stream_drop(c->stream);
	arena_free(c->arena);
}

void conn_quit(struct conn *c)
{
	enum { LAST_WORDS_MS = 1000 };
	if (!c)
		return;
	stream_set_timeout(c->stream, LAST_WORDS_MS);
	if (stream_put(c->stream, STR("QUIT\r\n")) != ST_OK || stream_flush(c->stream) != ST_OK) {
		conn_drop(c);
		return;
	}
	stream_close(c->stream);
	arena_free(c->arena);
}

void conn_quit_wait(struct conn *c)
{
	enum { LAST_WORDS_MS = 1000 };
	struct str text;
	stream_set_timeout(c->stream, LAST_WORDS_MS);
	if (stream_put(c->stream, STR("QUIT\r\n")) == ST_OK && stream_flush(c->stream) == ST_OK)
		(void)!stream_peek(c->stream, &text);
	conn_drop(c);
}

struct conn_pool *conn_pool_new(struct env *env, unsigned max_idle, int64_t idle_ms)
{
	struct conn_pool *p = calloc(1, sizeof *p);
	must(p != NULL);
	pthread_mutex_init(&p->lock, NULL);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&p->bucket[i]);
	p->env = env;
	p->max_idle = max_idle;
	p->idle_ms = idle_ms;
	return p;
}

static void quit_all(struct list *from)
{
	list_each_safe(at, next, from) {
		list_remove(at);
		conn_quit(list_entry(at, struct conn, link));
	}
}

void conn_pool_free(struct conn_pool *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		quit_all(&p->bucket[i]);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct list *bucket_of(struct conn_pool *p, struct str key)
{
	return &p->bucket[str_hash(key) % BUCKETS];
}

static bool alive(const struct conn *c)
{
	struct pollfd f = {.fd = stream_fd(c->stream), .events = POLLIN | POLLRDHUP};
	return !stream_pending(c->stream, false) && poll(&f, 1, 0) == 0;
}

static struct conn *find(struct conn_pool *p, struct str key, int64_t now_ms)
{
	struct conn *found = NULL;
	pthread_mutex_lock(&p->lock);
	list_each(at, bucket_of(p, key)) {
		struct conn *c = list_entry(at, struct conn, link);
		if (str_eq(c->key, key) && c->idle_since_ms + p->idle_ms > now_ms) {
			list_remove(&c->link);
			p->idle--;
			found = c;
			break;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}

struct conn *conn_pool_take(struct conn_pool *p, struct str key)
{
	struct conn *c;
	if (!p)
		return NULL;
	while ((c = find(p, key, clock_mono_ms(&p->env->clock))) != NULL) {
		if (alive(c)) {
			c->reused = true;
			return c;
		}
		conn_drop(c);
	}
	return NULL;
}

/* The lock is held. Take out what is too old, or, when `one` is set, the oldest of all. */
static void sort_out(struct conn_pool *p, int64_t now_ms, bool one, struct list *out)
{
	struct conn *oldest = NULL;
	for (size_t i = 0; i < BUCKETS; i++) {
		list_each_safe(at, next, &p->bucket[i]) {
			struct conn *c = list_entry(at, struct conn, link);
			if (c->idle_since_ms + p->idle_ms <= now_ms) {
				list_remove(&c->link);
				list_push(out, &c->link);
				p->idle--;
			} else if (!oldest || c->idle_since_ms < oldest->idle_since_ms) {
				oldest = c;
			}
		}
	}
	if (one && list_empty(out) && oldest) {
		list_remove(&oldest->link);
		list_push(out, &oldest->link);
		p->idle--;
	}
}

void conn_pool_give(struct conn_pool *p, struct conn *c)
{
	struct list out;
	list_init(&out);
	c->idle_since_ms = clock_mono_ms(&p->env->clock);
	stream_park(c->stream);
	pthread_mutex_lock(&p->lock);
	if (p->idle >= p->max_idle)
		sort_out(p, c->idle_since_ms, true, &out);
	list_unshift(bucket_of(p, c->key), &c->link);
	p->idle++;
	pthread_mutex_unlock(&p->lock);
	quit_all(&out);
}

void conn_pool_tidy(struct conn_pool *p)
{
	struct list out;
	list_init(&out);
	pthread_mutex_lock(&p->lock);
	sort_out(p, clock_mono_ms(&p->env->clock), false, &out);
	pthread_mutex_unlock(&p->lock);
	quit_all(&out);
}
