/* SPDX-License-Identifier: Apache-2.0
 * How many messages a second the spool takes: N threads, each writing M messages of 4 KB as a receiver
 * does (create, append, commit). Prints messages/s, CPU time a message, and how the flushes were made.
 *   bench_spool_commit DIR THREADS MESSAGES [split] */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "spool/ops.h"

#include "base/banned.h"

struct bench {
	struct spool *s;
	int each;
};

/* The calls of the real operations, counted. */
static int syncs, sync_files;
static int count_syncfs(struct spool_ops *o, int fd)
{
	__atomic_add_fetch(&syncs, 1, __ATOMIC_RELAXED);
	return spool_ops_system.syncfs(o, fd);
}
static int count_fdatasync(struct spool_ops *o, int fd)
{
	__atomic_add_fetch(&sync_files, 1, __ATOMIC_RELAXED);
	return spool_ops_system.fdatasync(o, fd);
}

static void *worker(void *arg)
{
	struct bench *b = arg;
	char body[4096];
	memset(body, 'x', sizeof body);
	for (size_t i = 77; i < sizeof body; i += 78)
		body[i] = '\n';
	for (int i = 0; i < b->each; i++) {
		struct arena *a = arena_new("bench", 1 << 20, 0, 0);
		struct message *m = message_new(a);
		struct spool_writer *w = NULL;
		struct why why;
		if (spool_create(b->s, STR(""), m->id, &w, &why) != ST_OK) {
			fprintf(stderr, "%s\n", why.text);
			exit(1);
		}
		m->login = STR("bench");
		m->sender = STR("a@b.ex");
		message_add_recipient(m, STR("c@d.ex"));
		headers_add(&m->headers, a, STR("Subject: bench\n"), HDR_OTHER);
		if (spool_append(w, body, sizeof body) != ST_OK || spool_commit(w, m, &why) != ST_OK) {
			fprintf(stderr, "%s\n", why.text);
			exit(1);
		}
		arena_free(a);
	}
	return NULL;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	if (argc < 4) {
		fprintf(stderr, "usage: %s DIR THREADS MESSAGES [split]\n", argv[0]);
		return 2;
	}
	struct env env;
	struct why why;
	env_init(&env);
	int threads = (int)strtol(argv[2], NULL, 10), total = (int)strtol(argv[3], NULL, 10);
	struct spool_config cfg = {.directory = str_c(argv[1]), .split = argc > 4, .uid = -1, .gid = -1, .localhost_number = -1};
	struct bench b = {.s = spool_open(&cfg, &env, &why), .each = total / threads};
	if (!b.s) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	struct spool_ops ops = spool_ops_system;
	ops.syncfs = count_syncfs;
	ops.fdatasync = count_fdatasync;
	spool_set_ops(b.s, &ops);
	pthread_t *t = calloc((size_t)threads, sizeof *t);
	int64_t from = clock_mono_ms(&env.clock);
	for (int i = 0; i < threads; i++)
		if (pthread_create(&t[i], NULL, worker, &b))
			return 1;
	for (int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	double wall = (double)(clock_mono_ms(&env.clock) - from) / 1e3;
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	int done = b.each * threads;
	printf("%d threads, %d messages: %.0f messages/s, %.3f ms CPU each (%.3f user, %.3f system), %d syncfs, %d fdatasync\n", threads, done,
	    done / wall, 1e3 * (seconds(u.ru_utime) + seconds(u.ru_stime)) / done, 1e3 * seconds(u.ru_utime) / done,
	    1e3 * seconds(u.ru_stime) / done, syncs, sync_files);
	spool_close(b.s);
	free(t);
	return 0;
}
