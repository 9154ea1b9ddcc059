/* SPDX-License-Identifier: Apache-2.0
 * One anonymous shared mapping with a table per receiver. Only the receiver itself writes its
 * table (under a lock of its own process), others read and add up; so a process that dies with
 * the lock held harms nobody, and the master clears its table before it starts the next. */
#include "daemon/counters.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/banned.h"

enum { RECEIVERS = 64, HOSTS = 8192 };

struct host_count {
	_Atomic uint64_t key; /* hash of the address, never 0 when used */
	_Atomic uint32_t count;
};
struct table {
	_Atomic uint32_t connections;
	pthread_mutex_t lock;
	struct host_count host[HOSTS];
};
struct counters {
	unsigned self; /* per process: copied by fork, set by counters_be */
	struct table *table;
};

static uint64_t key_of(const struct ip_addr *ip)
{
	uint64_t h = 1469598103934665603u;
	for (size_t i = 0; i < sizeof ip->byte; i++)
		h = (h ^ ip->byte[i]) * 1099511628211u;
	return h | 1;
}

static void clear_table(struct table *t)
{
	memset(t, 0, sizeof *t);
	pthread_mutex_init(&t->lock, NULL);
}

struct counters *counters_new(void)
{
	size_t size = sizeof(struct counters);
	struct counters *c = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(c != MAP_FAILED);
	c->table = mmap(NULL, sizeof(struct table) * RECEIVERS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must(c->table != MAP_FAILED);
	pthread_mutex_init(&c->table[0].lock, NULL);
	return c;
}

void counters_be(struct counters *c, unsigned receiver)
{
	must(receiver < RECEIVERS);
	c->self = receiver;
	pthread_mutex_init(&c->table[receiver].lock, NULL);
}

void counters_forget(struct counters *c, unsigned receiver)
{
	clear_table(&c->table[receiver]);
}

/* The slot of a key in one table, or a free one when `make`; NULL if full. */
static struct host_count *slot_of(struct table *t, uint64_t key, bool make)
{
	struct host_count *free_slot = NULL;
	for (unsigned i = 0; i < 64; i++) {
		struct host_count *h = &t->host[(key + i) % HOSTS];
		uint64_t k = atomic_load(&h->key);
		if (k == key)
			return h;
		if (!free_slot && (k == 0 || atomic_load(&h->count) == 0))
			free_slot = h;
		if (k == 0)
			break;
	}
	if (make && free_slot) {
		atomic_store(&free_slot->count, 0);
		atomic_store(&free_slot->key, key);
	}
	return make ? free_slot : NULL;
}

unsigned counters_connections(const struct counters *c)
{
	unsigned n = 0;
	for (unsigned r = 0; r < RECEIVERS; r++)
		n += atomic_load(&c->table[r].connections);
	return n;
}

void counters_enter(struct counters *c, const struct ip_addr *host, unsigned *ret_all, unsigned *ret_host)
{
	struct table *own = &c->table[c->self];
	uint64_t key = key_of(host);
	pthread_mutex_lock(&own->lock);
	atomic_fetch_add(&own->connections, 1);
	struct host_count *h = slot_of(own, key, true);
	if (h)
		atomic_fetch_add(&h->count, 1);
	pthread_mutex_unlock(&own->lock);
	*ret_host = 0;
	for (unsigned r = 0; r < RECEIVERS; r++) {
		if (r != c->self && atomic_load(&c->table[r].connections) == 0)
			continue;
		struct host_count *o = slot_of(&c->table[r], key, false);
		if (o)
			*ret_host += atomic_load(&o->count);
	}
	*ret_all = counters_connections(c);
}

void counters_leave(struct counters *c, const struct ip_addr *host)
{
	struct table *own = &c->table[c->self];
	pthread_mutex_lock(&own->lock);
	if (atomic_load(&own->connections))
		atomic_fetch_sub(&own->connections, 1);
	struct host_count *h = slot_of(own, key_of(host), false);
	if (h && atomic_load(&h->count))
		atomic_fetch_sub(&h->count, 1);
	pthread_mutex_unlock(&own->lock);
}
