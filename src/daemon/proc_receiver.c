/* SPDX-License-Identifier: Apache-2.0
 * Sees: the network, the spool (write), what the configuration's lookups read. Never: root, other
 * users, the courier's memory. One thread runs the loop (accept, parked sessions, the master's
 * messages); pool threads run bursts of commands. A session is in exactly one of three hands:
 * parked in the loop, queued for or running in the pool, or being freed by its last job. */
#include "daemon/proc_receiver.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "daemon/jail.h"
#include "daemon/lend.h"
#include "daemon/local_service.h"
#include "daemon/proc_agent.h"
#include "daemon/reload.h"
#include "ipc/messages.h"
#include "net/loop.h"
#include "receive/receive.h"
#include "base/banned.h"

#define POOL_THREADS 64
#define LOCAL_THREADS 16
#define ACCEPT_BURST 64
#define UNTOLD_MAX 200000
#define LINGER_MS 2
#define NO_ROOM_MS 100 /* out of descriptors: look again then */
#define DROP_EVERY_MS 60000
#define DRAIN_MS 30000 /* an orderly stop waits so long for transactions under way */

struct receiver;
struct untold { /* a frame that no courier took */
	struct list link;
	uint32_t len;
	char frame[];
};
struct door { /* one listening socket */
	struct watch watch;
	struct receiver *r;
	bool tls_on_connect, local;
};
struct conn {
	struct watch watch;
	struct job job;
	struct list link; /* in receiver.conns */
	struct receiver *r;
	struct stream *stream;
	struct receive_session *session;
	struct config *config;
	struct ip_addr ip;
	unsigned all, same_host;
	bool tls_on_connect, timed_out;
	_Atomic bool stopping;
};
struct receiver {
	struct receiver_start *start;
	struct world *world;
	struct loop *loop;
	struct pool *pool, *local_pool; /* local callers cannot take the threads of the network */
	struct lender *lender;
	struct channel *master;
	struct watch master_watch;
	struct channel *courier;   /* replaced when the courier restarts */
	struct list untold;        /* what the next courier must hear of */
	unsigned untold_count;
	pthread_mutex_t courier_lock, conns_lock;
	pthread_rwlock_t config_lock;
	struct list conns;
	_Atomic unsigned live;
	struct door door[LISTENERS_MAX + 1];
	size_t doors;
	bool stopping;
	struct watch drain_watch, drop_watch;
};

/* The courier is not there: the next one is told. Its own scan may have looked before the message
 * was on disk, so it cannot be relied on. The lock is held. */
static void keep_untold(struct receiver *r, struct str frame)
{
	if (r->untold_count >= UNTOLD_MAX)
		return; /* the next queue run finds it */
	struct untold *u = malloc(sizeof *u + frame.len);
	must(u != NULL);
	u->len = frame.len;
	memcpy(u->frame, frame.p, frame.len);
	list_push(&r->untold, &u->link);
	r->untold_count++;
}

/* A new message: tell the courier. */
static void tell_courier(void *arg, const struct message *m, unsigned how)
{
	struct receiver *r = arg;
	char room[256];
	struct arena *a = arena_new("queued", 1 << 16, sizeof room, 0);
	struct strbuf sb;
	sb_init(&sb, a, 4096);
	if (r->start->queue_only)
		how = (how & ~(unsigned)RECEIVE_DELIVER) | RECEIVE_QUEUE_ONLY;
	msg_queued_put(&sb, &(struct msg_queued){.id = str_c(m->id), .queue = m->queue_name, .how = how});
	pthread_mutex_lock(&r->courier_lock);
	if (!r->courier || channel_send(r->courier, IPC_QUEUED, 0, sb_str(&sb), NULL, 0) != ST_OK)
		keep_untold(r, sb_str(&sb));
	pthread_mutex_unlock(&r->courier_lock);
	arena_free(a);
}

static struct config *current_config(struct receiver *r)
{
	pthread_rwlock_rdlock(&r->config_lock);
	struct config *c = config_ref(r->world->config);
	pthread_rwlock_unlock(&r->config_lock);
	return c;
}

static void stop_if_drained(struct receiver *r)
{
	if (r->stopping && atomic_load(&r->live) == 0)
		loop_stop(r->loop);
}

static void check_drained(void *arg)
{
	stop_if_drained(arg);
}

static void conn_free(struct conn *c)
{
	struct receiver *r = c->r;
	loop_forget(r->loop, &c->watch);
	receive_session_free(c->session);
	stream_close(c->stream);
	counters_leave(r->start->counters, &c->ip);
	config_unref(c->config);
	pthread_mutex_lock(&r->conns_lock);
	list_remove(&c->link);
	pthread_mutex_unlock(&r->conns_lock);
	free(c);
	if (atomic_fetch_sub(&r->live, 1) == 1)
		loop_post(r->loop, check_drained, r);
}

static void park(struct conn *c)
{
	int64_t ms = receive_session_park_ms(c->session);
	c->watch.deadline_ms = ms > 0 ? clock_mono_ms(&c->r->world->env.clock) + ms : 0;
	loop_arm(c->r->loop, &c->watch, EPOLLIN | EPOLLRDHUP);
}

static void session_begin(struct conn *c, struct env *env)
{
	struct receive_opts o = {.config = c->config,
	    .env = env,
	    .spool = c->r->world->spool,
	    .sink = {.queued = tell_courier, .arg = c->r},
	    .tls_on_connect = c->tls_on_connect,
	    .connections = c->all,
	    .connections_from_host = c->same_host,
	    .counters = c->r->start->counters};
	c->session = receive_session_new(c->stream, &o);
}

/* A client that answers at once is served on by the same thread: the way to the loop and back
 * costs more than such a wait. Not while others wait for a thread. */
static enum smtp_run linger(struct conn *c, struct env *env, enum smtp_run run)
{
	while (run == SMTP_PARK && !c->stopping && pool_backlog(c->r->pool) == 0 && stream_wait(c->stream, LINGER_MS) == ST_OK) {
		arena_reset(env->scratch);
		run = receive_session_resume(c->session, false);
	}
	if (run == SMTP_PARK && c->stopping) {
		receive_session_shutdown(c->session);
		run = SMTP_DONE;
	}
	return run;
}

/* In a pool thread. */
static void conn_run(struct job *j)
{
	struct conn *c = container_of(j, struct conn, job);
	struct env *env = lender_take(c->r->lender);
	enum smtp_run run;
	if (!c->session) {
		session_begin(c, env);
		run = receive_session_start(c->session);
	} else {
		receive_session_use_env(c->session, env);
		run = SMTP_DONE;
		if (c->stopping)
			receive_session_shutdown(c->session);
		else
			run = receive_session_resume(c->session, c->timed_out);
	}
	run = linger(c, env, run);
	struct lender *lender = c->r->lender;
	if (run == SMTP_PARK)
		park(c); /* from here another thread may have it */
	else
		conn_free(c);
	lender_give(lender, env);
}

static void conn_ready(struct watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, watch);
	c->timed_out = events == 0;
	pool_submit(c->r->pool, &c->job);
}

static void conn_new(struct door *d, int fd, const struct sockaddr_storage *from)
{
	struct receiver *r = d->r;
	struct conn *c = calloc(1, sizeof *c);
	must(c != NULL);
	int port;
	c->r = r;
	c->tls_on_connect = d->tls_on_connect;
	c->stream = stream_new(fd, fd);
	c->watch.fd = fd;
	c->watch.fire = conn_ready;
	c->job.run = conn_run;
	c->config = current_config(r);
	ip_from_sockaddr((const struct sockaddr *)from, &c->ip, &port);
	counters_enter(r->start->counters, &c->ip, &c->all, &c->same_host);
	atomic_fetch_add(&r->live, 1);
	pthread_mutex_lock(&r->conns_lock);
	list_push(&r->conns, &c->link);
	pthread_mutex_unlock(&r->conns_lock);
	pool_submit(r->pool, &c->job);
}

static void door_open(struct watch *w, uint32_t events)
{
	struct door *d = container_of(w, struct door, watch);
	int64_t now = clock_mono_ms(&d->r->world->env.clock);
	bool full = false;
	(void)events;
	for (int i = 0; i < ACCEPT_BURST; i++) {
		struct sockaddr_storage from = {0};
		socklen_t n = sizeof from;
		int fd = accept4(d->watch.fd, (struct sockaddr *)&from, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0) {
			full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
			break;
		}
		if (d->local)
			local_service_new(d->r->world, current_config(d->r), d->r->local_pool, d->r->lender, fd, tell_courier, d->r);
		else
			conn_new(d, fd, &from);
	}
	/* Callers wait in the kernel's queue until sessions end. */
	d->watch.deadline_ms = full ? now + NO_ROOM_MS : 0;
	if (!d->r->stopping)
		loop_arm(d->r->loop, &d->watch, full ? 0 : EPOLLIN);
}

static void add_door(struct receiver *r, int fd, bool tls_on_connect, bool local)
{
	if (fd < 0)
		return;
	struct door *d = &r->door[r->doors++];
	*d = (struct door){.r = r, .tls_on_connect = tls_on_connect, .local = local, .watch = {.fd = fd, .fire = door_open}};
	loop_arm(r->loop, &d->watch, EPOLLIN);
}

static void close_doors(struct receiver *r, bool keep_local)
{
	size_t kept = 0;
	for (size_t i = 0; i < r->doors; i++) {
		struct door *d = &r->door[i];
		loop_cancel(r->loop, &d->watch);
		loop_forget(r->loop, &d->watch);
		if (keep_local && d->local)
			r->door[kept++] = *d;
		else
			close(d->watch.fd);
	}
	r->doors = kept;
	for (size_t i = 0; i < kept; i++)
		loop_arm(r->loop, &r->door[i].watch, EPOLLIN);
}

static void drain_over(struct watch *w, uint32_t events)
{
	(void)events;
	loop_stop(container_of(w, struct receiver, drain_watch)->loop);
}

/* Orderly stop: no new connections; parked sessions get 421; those at work finish their command. */
static void begin_stop(struct receiver *r)
{
	r->stopping = true;
	close_doors(r, false);
	pthread_mutex_lock(&r->conns_lock);
	list_each(pos, &r->conns) {
		struct conn *c = list_entry(pos, struct conn, link);
		c->stopping = true;
		if (loop_cancel(r->loop, &c->watch))
			pool_submit(r->pool, &c->job);
	}
	pthread_mutex_unlock(&r->conns_lock);
	r->drain_watch = (struct watch){.fd = -1, .fire = drain_over,
	    .deadline_ms = clock_mono_ms(&r->world->env.clock) + DRAIN_MS};
	loop_arm(r->loop, &r->drain_watch, 0);
	stop_if_drained(r);
}

static void take_courier(struct receiver *r, int fd)
{
	pthread_mutex_lock(&r->courier_lock);
	channel_close(r->courier);
	r->courier = channel_new(fd);
	list_each_safe(at, next, &r->untold) {
		struct untold *u = list_entry(at, struct untold, link);
		if (channel_send(r->courier, IPC_QUEUED, 0, str_n(u->frame, u->len), NULL, 0) != ST_OK)
			break;
		list_remove(&u->link);
		r->untold_count--;
		free(u);
	}
	pthread_mutex_unlock(&r->courier_lock);
}

static void take_config(struct receiver *r, const struct frame *f)
{
	struct why why;
	struct config *fresh = reload_parse(r->start->schema, &r->world->env, f->fd[0], &why);
	if (!fresh) {
		log_write(r->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "reload: %s", why.text);
		return;
	}
	pthread_rwlock_wrlock(&r->config_lock);
	struct config *old = r->world->config;
	r->world->config = fresh;
	pthread_rwlock_unlock(&r->config_lock);
	config_unref(old);
	world_configure_log(r->world);
	world_reconfigure(r->world);
	close_doors(r, true); /* IPC_LISTEN frames follow */
}

/* What the master may say; any other frame ends the process: no guessing at a boundary. */
static bool handle(struct receiver *r, struct frame *f)
{
	struct msg_listen listen;
	switch (f->type) {
	case IPC_PEER:
		if (f->fds != 1)
			return false;
		take_courier(r, f->fd[0]);
		f->fds = 0;
		return true;
	case IPC_CONFIG:
		if (f->fds != 1)
			return false;
		take_config(r, f);
		return true;
	case IPC_LISTEN:
		if (f->fds != 1 || !msg_listen_get(f->payload, &listen) || r->doors > LISTENERS_MAX)
			return false;
		add_door(r, f->fd[0], listen.tls_on_connect, false);
		f->fds = 0;
		return true;
	case IPC_AGENT:
		if (f->fds != 1)
			return false;
		agent_process_replace(r->world, f->fd[0]);
		f->fds = 0;
		return true;
	case IPC_STOP: begin_stop(r); return true;
	default: return false;
	}
}

static void from_master(struct watch *w, uint32_t events)
{
	struct receiver *r = container_of(w, struct receiver, master_watch);
	struct frame f;
	(void)events;
	struct arena_mark mark = arena_mark(r->world->env.scratch);
	if (channel_recv(r->master, r->world->env.scratch, 0, &f) != ST_OK) {
		loop_stop(r->loop); /* the master is gone: so are we */
		r->stopping = true;
		return;
	}
	bool ok = handle(r, &f);
	frame_close_fds(&f);
	arena_release(r->world->env.scratch, mark);
	if (ok)
		loop_arm(r->loop, w, EPOLLIN);
	else
		loop_stop(r->loop);
}

/* A caller may have missed us while we were starting or restarting, so the folder is looked into again. */
static void look_into_drop(struct watch *w, uint32_t events)
{
	struct receiver *r = container_of(w, struct receiver, drop_watch);
	(void)events;
	if (r->stopping)
		return;
	local_service_drop(r->world, current_config(r), r->local_pool, r->lender, tell_courier, r);
	w->deadline_ms = clock_mono_ms(&r->world->env.clock) + DROP_EVERY_MS;
	loop_arm(r->loop, w, 0);
}

static void after_jail(struct receiver *r)
{
	struct why why = {0};
	if (!world_open(r->world, WORLD_SPOOL | WORLD_HINTS | WORLD_RESOLVER | WORLD_TLS, &why)) {
		log_write(r->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "receiver: %s", why.text);
		_exit(1);
	}
	r->loop = loop_new(&r->world->env.clock);
	r->pool = pool_new("smtp-in", POOL_THREADS, 0);
	r->local_pool = pool_new("smtp-local", LOCAL_THREADS, 0);
	r->lender = lender_new(r->world);
	for (size_t i = 0; i < r->start->listeners.count; i++)
		add_door(r, r->start->fds[i], r->start->listeners.l[i].tls_on_connect, false);
	add_door(r, r->start->submit_fd, false, true);
	r->master_watch = (struct watch){.fd = channel_fd(r->master), .fire = from_master};
	loop_arm(r->loop, &r->master_watch, EPOLLIN);
	if (r->start->number == 0) {
		r->drop_watch = (struct watch){.fd = -1, .fire = look_into_drop};
		look_into_drop(&r->drop_watch, 0);
	}
	(void)!channel_send(r->master, IPC_READY, 0, STR(""), NULL, 0);
}

void proc_receiver_main(struct receiver_start *s)
{
	struct receiver r = {.start = s, .world = s->world, .master = channel_new(s->master_fd)};
	struct why why = {0};
	list_init(&r.conns);
	list_init(&r.untold);
	pthread_mutex_init(&r.courier_lock, NULL);
	pthread_rwlock_init(&r.config_lock, NULL);
	pthread_mutex_init(&r.conns_lock, NULL);
	prctl(PR_SET_NAME, "exm-receiver");
	counters_be(s->counters, s->number);
	(void)agent_process_attach(s->world);
	if (!jail_enter(s->world, JAIL_RECEIVER, &why)) {
		log_write(s->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "receiver: %s", why.text);
		_exit(1);
	}
	after_jail(&r);
	loop_run(r.loop);
	/* Threads may still wait for slow peers: the process ends with them, what they had not
	 * answered with 250 was never accepted. */
	_exit(0);
}
