/* SPDX-License-Identifier: Apache-2.0
 * Group commit: many threads, one spool. Run under TSan too (meson -Db_sanitize=thread). */
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spool/spool_priv.h"

enum { THREADS = 16, EACH = 20 };

struct counting {
	struct spool_ops ops;
	struct spool *s;
	int single, folder, whole; /* atomic: calls */
	int hold_until;            /* the first flush waits until so many others queue behind it */
};

/* The first flush of all goes on only when the others have queued. */
static void hold(struct counting *c)
{
	unsigned want = (unsigned)__atomic_exchange_n(&c->hold_until, 0, __ATOMIC_ACQ_REL);
	for (unsigned have = 0; want && have < want; sched_yield()) {
		pthread_mutex_lock(&c->s->sync.lock);
		have = c->s->sync.count;
		pthread_mutex_unlock(&c->s->sync.lock);
	}
}

static int c_fdatasync(struct spool_ops *o, int fd)
{
	struct counting *c = (struct counting *)o;
	__atomic_add_fetch(&c->single, 1, __ATOMIC_RELAXED);
	hold(c);
	return 0;
}

static int c_fsync(struct spool_ops *o, int fd)
{
	__atomic_add_fetch(&((struct counting *)o)->folder, 1, __ATOMIC_RELAXED);
	return 0;
}

static int c_syncfs(struct spool_ops *o, int fd)
{
	__atomic_add_fetch(&((struct counting *)o)->whole, 1, __ATOMIC_RELAXED);
	return 0;
}

struct box {
	struct env env;
	char dir[64];
	struct spool *s;
	struct counting c;
};

static void box_open(struct box *b)
{
	struct why why;
	*b = (struct box){.s = NULL};
	test_env(&b->env);
	snprintf(b->dir, sizeof b->dir, "%s", "/tmp/spool-group.XXXXXX");
	check(mkdtemp(b->dir) != NULL);
	struct spool_config cfg = {.directory = str_c(b->dir), .split = true, .uid = -1, .gid = -1, .localhost_number = -1};
	b->s = spool_open(&cfg, &b->env, &why);
	check(b->s != NULL);
	b->c = (struct counting){.ops = spool_ops_system, .s = b->s};
	b->c.ops.fdatasync = c_fdatasync;
	b->c.ops.fsync = c_fsync;
	b->c.ops.syncfs = c_syncfs;
	spool_set_ops(b->s, &b->c.ops);
}

static void box_close(struct box *b)
{
	spool_close(b->s);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", b->dir, (char *)NULL);
		_exit(1);
	}
	check(waitpid(pid, NULL, 0) == pid);
	test_env_done(&b->env);
}

static void *flush_one(void *arg)
{
	struct box *b = arg;
	int fd = 0;
	enum status st = spool_flush(b->s, &fd, 1, false);
	return (void *)(intptr_t)st;
}

static void those_who_queue_share_one_flush(void)
{
	struct box b;
	pthread_t t[THREADS];
	box_open(&b);
	b.c.hold_until = THREADS - 1;
	for (int i = 0; i < THREADS; i++)
		check_int(pthread_create(&t[i], NULL, flush_one, &b), 0);
	for (int i = 0; i < THREADS; i++) {
		void *st = NULL;
		pthread_join(t[i], &st);
		check(st == NULL);
	}
	check_int(b.c.single, 1); /* the first, alone */
	check_int(b.c.whole, 1);  /* all others together */
	box_close(&b);
}

static void *write_some(void *arg)
{
	struct box *b = arg;
	struct why why;
	int failed = 0;
	for (int i = 0; i < EACH; i++) {
		struct spool_writer *w = NULL;
		char id[MSG_ID_MAX];
		struct arena *a = arena_new("t", 1 << 20, 0, 0);
		struct message *m = message_new(a);
		if (spool_create(b->s, STR(""), id, &w, &why)) {
			failed++;
		} else {
			memcpy(m->id, id, sizeof id);
			m->login = STR("x");
			message_add_recipient(m, STR("a@b"));
			failed += spool_append(w, "hello\n", 6) != ST_OK;
			failed += spool_commit(w, m, &why) != ST_OK;
		}
		arena_free(a);
	}
	return (void *)(intptr_t)failed;
}

static bool count(void *arg, const struct spool_entry *e)
{
	*(int *)arg += e->has_header;
	return true;
}

static void many_threads_lose_nothing(void)
{
	struct box b;
	struct why why;
	pthread_t t[THREADS];
	int found = 0;
	box_open(&b);
	for (int i = 0; i < THREADS; i++)
		check_int(pthread_create(&t[i], NULL, write_some, &b), 0);
	for (int i = 0; i < THREADS; i++) {
		void *failed = NULL;
		pthread_join(t[i], &failed);
		check(failed == NULL);
	}
	check_int(spool_scan(b.s, STR(""), count, &found, &why), ST_OK);
	check_int(found, THREADS * EACH);
	box_close(&b);
}

TEST_MAIN({"those who queue share one flush", those_who_queue_share_one_flush},
    {"many threads lose nothing", many_threads_lose_nothing})
