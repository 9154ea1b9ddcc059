/* SPDX-License-Identifier: Apache-2.0
 * The pool of threads. Threads are started when there is work and none is idle, up to the number
 * given: a process that has little to do stays small. */
#include "net/loop.h"

#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/banned.h"

#define STACK_DEFAULT (256u << 10)

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct list jobs;
	unsigned backlog, idle, started, max;
	bool stop;
	size_t stack;
	char name[16];
	pthread_t *thread;
};

static void *work(void *arg)
{
	struct pool *p = arg;
	pthread_setname_np(pthread_self(), p->name);
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (list_empty(&p->jobs) && !p->stop) {
			p->idle++;
			pthread_cond_wait(&p->more, &p->lock);
			p->idle--;
		}
		if (list_empty(&p->jobs))
			break;
		struct job *j = list_entry(p->jobs.next, struct job, link);
		list_remove(&j->link);
		p->backlog--;
		pthread_mutex_unlock(&p->lock);
		j->run(j);
		pthread_mutex_lock(&p->lock);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct pool *pool_new(const char *name, unsigned threads, size_t stack_size)
{
	struct pool *p = calloc(1, sizeof *p);
	must(p != NULL && threads > 0);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	list_init(&p->jobs);
	p->max = threads;
	p->stack = stack_size ? stack_size : STACK_DEFAULT;
	snprintf(p->name, sizeof p->name, "%s", name);
	p->thread = calloc(threads, sizeof *p->thread);
	must(p->thread != NULL);
	return p;
}

/* The lock is held. With at least one thread running, failing to start another only slows. */
static void start_one(struct pool *p)
{
	pthread_attr_t attr;
	pthread_attr_init(&attr);
	if (p->stack >= (size_t)PTHREAD_STACK_MIN)
		(void)pthread_attr_setstacksize(&attr, p->stack);
	if (pthread_create(&p->thread[p->started], &attr, work, p) == 0)
		p->started++;
	pthread_attr_destroy(&attr);
	must(p->started > 0);
}

void pool_submit(struct pool *p, struct job *j)
{
	pthread_mutex_lock(&p->lock);
	list_push(&p->jobs, &j->link);
	p->backlog++;
	if (p->backlog > p->idle && p->started < p->max)
		start_one(p);
	bool sleeper = p->idle > 0;
	pthread_mutex_unlock(&p->lock);
	if (sleeper) /* behind the lock, so that the thread that wakes finds it free */
		pthread_cond_signal(&p->more);
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->thread[i], NULL);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p->thread);
	free(p);
}

unsigned pool_backlog(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	unsigned n = p->backlog;
	pthread_mutex_unlock(&p->lock);
	return n;
}
