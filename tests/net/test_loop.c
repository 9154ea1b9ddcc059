/* SPDX-License-Identifier: Apache-2.0
 * Also the TSan test: sessions that bounce between the loop's thread and a pool. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"

static uint32_t last_events;
static int fired;

static void note(struct watch *w, uint32_t events)
{
	(void)w;
	last_events = events;
	fired++;
}

static void a_watch_fires_once(void)
{
	struct clock c = clock_system;
	struct loop *l = loop_new(&c);
	int fd[2];
	check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	struct watch w = {.fd = fd[0], .fire = note};
	fired = 0;
	loop_arm(l, &w, EPOLLIN);
	loop_once(l, 0);
	check_int(fired, 0);
	check_int(write(fd[1], "x", 1), 1);
	loop_once(l, 1000);
	check_int(fired, 1);
	check(last_events & EPOLLIN);
	loop_once(l, 0);
	check_int(fired, 1); /* not armed again */
	loop_arm(l, &w, EPOLLIN);
	loop_once(l, 1000);
	check_int(fired, 2);
	loop_arm(l, &w, EPOLLIN);
	check(loop_cancel(l, &w));
	check(!loop_cancel(l, &w));
	loop_once(l, 0);
	check_int(fired, 2);
	loop_forget(l, &w);
	close(fd[0]);
	close(fd[1]);
	loop_free(l);
}

static int order[8], orders;

static void note_order(struct watch *w, uint32_t events)
{
	check_int(events, 0);
	order[orders++] = (int)w->deadline_ms % 1000;
}

static void deadlines_fire_in_order(void)
{
	struct clock c = test_clock();
	test_clock_set(1000000000);
	struct loop *l = loop_new(&c);
	static const int ms[] = {500, 100, 300, 200, 400};
	struct watch w[5] = {0};
	orders = 0;
	for (int i = 0; i < 5; i++) {
		w[i] = (struct watch){.fd = -1, .deadline_ms = 1000000 + ms[i], .fire = note_order};
		loop_arm(l, &w[i], 0);
	}
	check(loop_cancel(l, &w[2]));
	loop_once(l, 0);
	check_int(orders, 0);
	test_clock_set(1000250000);
	loop_once(l, 0);
	check_int(orders, 2);
	test_clock_set(1000999000);
	loop_once(l, -1);
	check_int(orders, 4);
	static const int want[] = {100, 200, 400, 500};
	for (int i = 0; i < 4; i++)
		check_int(order[i], want[i]);
	loop_free(l);
}

static void regular_files_are_always_ready(void)
{
	struct clock c = clock_system;
	struct loop *l = loop_new(&c);
	FILE *f = tmpfile();
	struct watch w = {.fd = fileno(f), .fire = note};
	fired = 0;
	loop_arm(l, &w, EPOLLIN);
	loop_once(l, -1);
	check_int(fired, 1);
	check(last_events & EPOLLIN);
	fclose(f);
	loop_free(l);
}

static void a_reused_descriptor_number_is_a_new_watch(void)
{
	struct clock c = clock_system;
	struct loop *l = loop_new(&c);
	int one[2], two[2];
	check_int(pipe(one), 0);
	struct watch w = {.fd = one[0], .fire = note};
	fired = 0;
	loop_arm(l, &w, EPOLLIN);
	check(loop_cancel(l, &w));
	close(one[0]);
	close(one[1]); /* without loop_forget */
	check_int(pipe(two), 0);
	check_int(two[0], one[0]);
	check_int(write(two[1], "x", 1), 1);
	loop_once(l, 0);
	check_int(fired, 0);
	loop_arm(l, &w, EPOLLIN);
	loop_once(l, 1000);
	check_int(fired, 1);
	close(two[0]);
	close(two[1]);
	loop_free(l);
}

/* --- sessions: each reads a byte in a pool thread, answers, parks again --- */

enum { SESSIONS = 40, ROUNDS = 50 };
static struct loop *loop;
static struct pool *pool;
static atomic_int done;

struct session {
	struct watch watch;
	struct job job;
	int rounds;
	int peer;
};

static void session_run(struct job *j)
{
	struct session *s = container_of(j, struct session, job);
	char c;
	must(read(s->watch.fd, &c, 1) == 1);
	if (++s->rounds == ROUNDS) {
		loop_forget(loop, &s->watch);
		close(s->watch.fd);
		close(s->peer);
		free(s);
		if (atomic_fetch_add(&done, 1) + 1 == SESSIONS)
			loop_stop(loop);
		return;
	}
	must(write(s->peer, &c, 1) == 1);
	loop_arm(loop, &s->watch, EPOLLIN);
}

static void session_ready(struct watch *w, uint32_t events)
{
	struct session *s = container_of(w, struct session, watch);
	must(events != 0);
	pool_submit(pool, &s->job);
}

static void begin(void *arg)
{
	struct session *s = arg;
	must(write(s->peer, "x", 1) == 1);
	loop_arm(loop, &s->watch, EPOLLIN);
}

static void *run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

static void sessions_bounce_between_loop_and_pool(void)
{
	struct clock c = clock_system;
	loop = loop_new(&c);
	pool = pool_new("test", 4, 0);
	pthread_t t;
	check_int(pthread_create(&t, NULL, run_loop, loop), 0);
	for (int i = 0; i < SESSIONS; i++) {
		int fd[2];
		must(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
		struct session *s = calloc(1, sizeof *s);
		s->watch = (struct watch){.fd = fd[0], .fire = session_ready, .deadline_ms = clock_mono_ms(&c) + 60000};
		s->job.run = session_run;
		s->peer = fd[1];
		loop_post(loop, begin, s);
	}
	pthread_join(t, NULL);
	check_int(atomic_load(&done), SESSIONS);
	check_int(pool_backlog(pool), 0);
	pool_free(pool);
	loop_free(loop);
}

static atomic_int jobs_done;

static void count_job(struct job *j)
{
	(void)j;
	atomic_fetch_add(&jobs_done, 1);
}

static void a_pool_finishes_what_is_queued(void)
{
	struct pool *p = pool_new("test", 3, 0);
	static struct job job[200];
	for (size_t i = 0; i < countof(job); i++) {
		job[i].run = count_job;
		pool_submit(p, &job[i]);
	}
	pool_free(p);
	check_int(atomic_load(&jobs_done), 200);
}

TEST_MAIN({"a watch fires once", a_watch_fires_once}, {"deadlines fire in order", deadlines_fire_in_order},
    {"regular files are always ready", regular_files_are_always_ready},
    {"a reused descriptor number is a new watch", a_reused_descriptor_number_is_a_new_watch},
    {"sessions bounce between loop and pool", sessions_bounce_between_loop_and_pool},
    {"a pool finishes what is queued", a_pool_finishes_what_is_queued})
