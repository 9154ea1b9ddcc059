/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/lend.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/banned.h"

struct lent {
	struct list link;
	struct env env;
};
struct lender {
	const struct world *world;
	pthread_mutex_t lock;
	struct list idle;
};

struct lender *lender_new(const struct world *w)
{
	struct lender *l = calloc(1, sizeof *l);
	must(l != NULL);
	l->world = w;
	pthread_mutex_init(&l->lock, NULL);
	list_init(&l->idle);
	return l;
}

void lender_free(struct lender *l)
{
	while (!list_empty(&l->idle)) {
		struct lent *e = list_entry(l->idle.next, struct lent, link);
		list_remove(&e->link);
		world_thread_env_done(&e->env);
		free(e);
	}
	pthread_mutex_destroy(&l->lock);
	free(l);
}

struct env *lender_take(struct lender *l)
{
	struct lent *e = NULL;
	pthread_mutex_lock(&l->lock);
	if (!list_empty(&l->idle)) {
		e = list_entry(l->idle.next, struct lent, link);
		list_remove(&e->link);
	}
	pthread_mutex_unlock(&l->lock);
	if (e) {
		e->env.agent = __atomic_load_n(&l->world->env.agent, __ATOMIC_ACQUIRE);
		return &e->env;
	}
	e = calloc(1, sizeof *e);
	must(e != NULL);
	world_thread_env(l->world, &e->env);
	return &e->env;
}

void lender_give(struct lender *l, struct env *env)
{
	struct lent *e = container_of(env, struct lent, env);
	arena_reset(env->scratch);
	pthread_mutex_lock(&l->lock);
	list_unshift(&l->idle, &e->link);
	pthread_mutex_unlock(&l->lock);
}
