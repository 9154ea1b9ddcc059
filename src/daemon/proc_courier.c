/* SPDX-License-Identifier: Apache-2.0
 * Sees: the spool (read, write), the network (connect), the agent for everything that is done as a
 * user. Never: a listening socket. The loop thread owns the index of the queue, so it needs no
 * lock; pool threads run one delivery attempt each and post the result back.
 *
 * A message in the index waits (new, asked for, due at a time, or for a queue run: due never) or
 * runs. Only the loop thread moves it. What is not in the index is still on disk: a queue run
 * reads the spool again, so messages put there by other programs are found. */
#include "daemon/proc_courier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/limits.h"
#include "daemon/jail.h"
#include "daemon/lend.h"
#include "daemon/proc_agent.h"
#include "daemon/reload.h"
#include "deliver/deliver.h"
#include "ipc/messages.h"
#include "net/loop.h"
#include "queue/index.h"
#include "receive/receive.h"
#include "base/banned.h"

enum { WORKERS = 100 };
#define NEVER INT64_MAX
#define LOCKED_RETRY_S 5     /* another program, or a child of a courier that died, has the message */
#define STOP_MS 20000        /* an orderly stop waits so long for attempts under way */
#define TIDY_SPOOL_MS 600000 /* how often debris is looked for */
#define DEBRIS_AGE_S 600

struct courier;
struct peer_link {
	struct watch watch;
	struct courier *c;
	struct channel *channel;
	struct peer_link *next;
};
/* One attempt, in a pool thread. */
struct attempt {
	struct job job;
	struct courier *c;
	struct index_entry *entry;
	struct run *run;       /* that asked for it, or NULL */
	struct config *config;
	struct arena *arena;
	struct deliver_job deliver;
	enum deliver_outcome outcome;
};
/* One queue run: read the spool, make ready what it selects, say when the last of it is done. */
struct run {
	struct job job;
	struct courier *c;
	struct arena *arena;
	struct msg_run_queue what;
	struct config *config;
	struct str *id;
	size_t count, room;
	unsigned outstanding;
	bool scanned, at_start;
	char title[512];
};
struct courier {
	struct courier_start *start;
	struct world *world;
	struct loop *loop;
	struct pool *pool;
	struct lender *lender;
	struct channel *master;
	struct watch master_watch, due_watch, tidy_watch, debris_watch, stop_watch;
	struct job debris_job;
	struct peer_link *peers;
	struct queue_index *index;
	unsigned running;
	bool stopping, periodic; /* periodic: queue runs happen, so due times are kept */
};

static int64_t mono(const struct courier *c)
{
	struct clock clock = c->world->env.clock;
	return clock_mono_ms(&clock);
}

static void start_ready(struct courier *c);
static void run_finish(struct run *r);

/* --- Attempts ------------------------------------------------------------------------------------ */

/* When the index is to give it out again; NEVER: only when a queue run or a command asks. */
static int64_t due_after(const struct attempt *at)
{
	if (at->outcome == DELIVER_LOCKED)
		return clock_s(&at->c->world->env.clock) + LOCKED_RETRY_S;
	if (at->outcome == DELIVER_PENDING && at->c->periodic && at->deliver.next_due_s > 0)
		return at->deliver.next_due_s;
	return NEVER;
}

static void attempt_done(void *arg)
{
	struct attempt *at = arg;
	struct courier *c = at->c;
	struct run *run = at->run;
	bool gone = at->outcome == DELIVER_COMPLETED || at->outcome == DELIVER_GONE;
	c->running--;
	index_done(c->index, at->entry, due_after(at), gone ? 0 : 1, 0);
	config_unref(at->config);
	arena_free(at->arena);
	free(at);
	if (run && --run->outstanding == 0 && run->scanned)
		run_finish(run);
	start_ready(c);
}

static void attempt_run(struct job *j)
{
	struct attempt *at = container_of(j, struct attempt, job);
	struct env *env = lender_take(at->c->lender);
	at->deliver.env = env;
	at->outcome = deliver_message(&at->deliver);
	lender_give(at->c->lender, env);
	loop_post(at->c->loop, attempt_done, at);
}

static void attempt_start(struct courier *c, struct index_entry *e)
{
	struct attempt *at = calloc(1, sizeof *at);
	must(at != NULL);
	at->c = c;
	at->entry = e;
	at->run = e->owner;
	at->config = config_ref(c->world->config);
	at->arena = arena_new("attempt", 1 << 16, 512, 0);
	at->job.run = attempt_run;
	at->deliver = (struct deliver_job){.config = at->config,
	    .spool = c->world->spool,
	    .pool = c->world->conns,
	    .queue_name = str_c(e->queue),
	    .id = str_c(e->id),
	    .flags = e->flags | (c->start->dont_deliver ? DELIVER_DONT : 0)};
	if (at->run) {
		at->deliver.only_sender = at->run->what.sender;
		at->deliver.only_recipient = at->run->what.recipient;
	}
	e->owner = NULL;
	e->flags = DELIVER_QUEUE_RUN; /* next time, unless somebody says otherwise */
	c->running++;
	pool_submit(c->pool, &at->job);
}

static void start_ready(struct courier *c)
{
	struct index_entry *e;
	int64_t now = clock_s(&c->world->env.clock);
	while (!c->stopping && (e = index_next(c->index, now)))
		attempt_start(c, e);
	if (c->stopping && c->running == 0)
		loop_stop(c->loop);
	int64_t due = index_next_due(c->index);
	if (due > 0 && due != NEVER && !c->stopping) {
		loop_cancel(c->loop, &c->due_watch);
		c->due_watch.deadline_ms = mono(c) + (due > now ? due - now : 0) * 1000 + 1;
		loop_arm(c->loop, &c->due_watch, 0);
	}
}

static void due_now(struct watch *w, uint32_t events)
{
	(void)events;
	start_ready(container_of(w, struct courier, due_watch));
}

static void tidy(struct watch *w, uint32_t events)
{
	struct courier *c = container_of(w, struct courier, tidy_watch);
	(void)events;
	conn_pool_tidy(c->world->conns);
	c->tidy_watch.deadline_ms = mono(c) + 1000;
	loop_arm(c->loop, &c->tidy_watch, 0);
}

/* What receivers that died left behind (spool/format.h, invariant 4). */
static void debris_run(struct job *j)
{
	struct courier *c = container_of(j, struct courier, debris_job);
	unsigned removed;
	enum status st = spool_tidy(c->world->spool, DEBRIS_AGE_S, &removed);
	if (st != ST_OK)
		log_write(c->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "cannot look for debris in the spool: %s", status_text(st));
	c->debris_watch.deadline_ms = mono(c) + TIDY_SPOOL_MS;
	loop_arm(c->loop, &c->debris_watch, 0);
}

static void debris_due(struct watch *w, uint32_t events)
{
	struct courier *c = container_of(w, struct courier, debris_watch);
	(void)events;
	c->debris_job.run = debris_run;
	pool_submit(c->pool, &c->debris_job);
}

static void stop_over(struct watch *w, uint32_t events)
{
	(void)events;
	loop_stop(container_of(w, struct courier, stop_watch)->loop);
}

/* Attempts under way end in their own time, up to a limit: what they did is in the journals, what
 * they did not is still in the queue. */
static void begin_stop(struct courier *c)
{
	if (!c->stopping) {
		c->stop_watch = (struct watch){.fd = -1, .fire = stop_over, .deadline_ms = mono(c) + STOP_MS};
		loop_arm(c->loop, &c->stop_watch, 0);
	}
	c->stopping = true;
	start_ready(c);
}

/* --- Queue runs ---------------------------------------------------------------------------------- */

/* Was it never attempted (-qi, and after a crash)? Such messages say so in their -H file. */
static bool never_tried(const struct run *r, const struct spool_entry *e)
{
	struct arena *a = arena_new("first", LIMIT_ARENA_MESSAGE, 0, 0);
	struct message *m;
	struct why why;
	bool yes = spool_read_header(r->c->world->spool, r->what.queue, str_c(e->id), a, &m, &why) == SPOOL_FOUND &&
		m->deliver_firsttime && !m->frozen_at;
	arena_free(a);
	return yes;
}

static bool collect(void *arg, const struct spool_entry *e)
{
	struct run *r = arg;
	if (!e->has_header || ((r->what.flags & RUN_FIRST_ONLY) && !never_tried(r, e)))
		return true;
	if (r->count == r->room) {
		size_t room = r->room ? r->room * 2 : 256;
		struct str *more = arena_array_of(r->arena, room, struct str);
		if (r->count)
			memcpy(more, r->id, r->count * sizeof *more);
		r->id = more;
		r->room = room;
	}
	r->id[r->count++] = str_dup(r->arena, str_c(e->id));
	return true;
}

static unsigned run_flags(const struct run *r)
{
	return DELIVER_QUEUE_RUN | (r->what.flags & RUN_FORCE ? DELIVER_FORCE : 0) |
		(r->what.flags & RUN_FORCE_FROZEN ? DELIVER_FORCE_FROZEN : 0) |
		(r->what.flags & RUN_LOCAL_ONLY ? DELIVER_LOCAL_ONLY : 0);
}

static void run_log(const struct run *r, const char *word)
{
	if (config_logs(r->config, LOGSEL_QUEUE_RUN) && !r->at_start)
		log_write(r->c->world->env.log, LOGTO_MAIN, STR_NONE, "%s%s", word, r->title);
}

static void run_finish(struct run *r)
{
	run_log(r, "End");
	config_unref(r->config);
	arena_free(r->arena);
	free(r);
}

/* In the loop: the spool was read. */
static void run_scanned(void *arg)
{
	struct run *r = arg;
	struct courier *c = r->c;
	for (size_t i = 0; i < r->count; i++) {
		struct index_entry *e = index_find(c->index, r->id[i]);
		if (!e)
			e = index_add(c->index, &(struct index_facts){.id = r->id[i], .queue = r->what.queue, .due = NEVER, .recipients = 1});
		if (!e || e->state == INDEX_RUNNING || e->owner)
			continue; /* at work, or waiting for another run */
		e->flags = run_flags(r);
		e->owner = r;
		r->outstanding++;
		index_ask(c->index, e);
	}
	r->scanned = true;
	if (r->outstanding == 0)
		run_finish(r);
	start_ready(c);
}

static void run_scan(struct job *j)
{
	struct run *r = container_of(j, struct run, job);
	struct why why = {0};
	if (spool_scan(r->c->world->spool, r->what.queue, collect, r, &why) != ST_OK)
		log_write(r->c->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "queue run: %s", why.text);
	loop_post(r->c->loop, run_scanned, r);
}

static void run_begin(struct courier *c, const struct msg_run_queue *what)
{
	struct run *r = calloc(1, sizeof *r);
	must(r != NULL);
	r->c = c;
	r->arena = arena_new("queue run", LIMIT_ARENA_MESSAGE, 0, 0);
	r->config = config_ref(c->world->config);
	r->what = *what;
	r->what.queue = str_is_set(what->queue) ? str_dup(r->arena, what->queue) : STR("");
	r->what.sender = str_dup(r->arena, what->sender);
	r->what.recipient = str_dup(r->arena, what->recipient);
	r->job.run = run_scan;
	snprintf(r->title, sizeof r->title, "%s%.*s%s queue run: pid=%d", r->what.queue.len ? " '" : "",
	    STR_ARG(r->what.queue), r->what.queue.len ? "'" : "", (int)getpid());
	run_log(r, "Start");
	pool_submit(c->pool, &r->job);
}

/* --- Messages from the others -------------------------------------------------------------------- */

static void take_queued(struct courier *c, const struct msg_queued *m)
{
	bool waits = (m->how & (RECEIVE_QUEUE_ONLY | RECEIVE_FROZEN)) != 0;
	struct index_entry *e = index_add(c->index, &(struct index_facts){.id = m->id,
	    .queue = str_is_set(m->queue) ? m->queue : STR(""), .due = NEVER, .recipients = 1, .is_new = !waits});
	if (!e) {
		/* A queue run found it first, maybe while its receiver still held the lock: once more. */
		e = index_find(c->index, m->id);
		if (e && !waits && !e->owner) {
			e->flags = DELIVER_FIRST;
			index_ask(c->index, e);
			start_ready(c);
		}
		return;
	}
	e->flags = waits ? DELIVER_QUEUE_RUN : DELIVER_FIRST | (m->how & RECEIVE_QUEUE_SMTP ? DELIVER_LOCAL_ONLY : 0);
	start_ready(c);
}

static void link_close(struct peer_link *l)
{
	struct courier *c = l->c;
	for (struct peer_link **p = &c->peers; *p; p = &(*p)->next)
		if (*p == l) {
			*p = l->next;
			break;
		}
	loop_forget(c->loop, &l->watch);
	channel_close(l->channel);
	free(l);
}

/* Many frames may wait: take them all before going back to the loop. A receiver that says anything
 * but IPC_QUEUED loses its channel, not we our life. */
static void from_receiver(struct watch *w, uint32_t events)
{
	struct peer_link *l = container_of(w, struct peer_link, watch);
	struct courier *c = l->c;
	struct arena *a = c->world->env.scratch;
	(void)events;
	for (int i = 0; i < 256; i++) {
		struct frame f;
		struct msg_queued m;
		struct arena_mark mark = arena_mark(a);
		enum status st = channel_recv(l->channel, a, 0, &f);
		bool ok = st == ST_OK && f.type == IPC_QUEUED && f.fds == 0 && msg_queued_get(f.payload, &m) && msgid_valid(m.id);
		if (ok)
			take_queued(c, &m);
		else if (st == ST_OK)
			frame_close_fds(&f);
		arena_release(a, mark);
		if (st == ST_TIMEOUT)
			break;
		if (!ok) {
			link_close(l);
			return;
		}
	}
	loop_arm(c->loop, w, EPOLLIN);
}

static void link_new(struct courier *c, int fd)
{
	struct peer_link *l = calloc(1, sizeof *l);
	must(l != NULL);
	*l = (struct peer_link){.c = c, .channel = channel_new(fd), .next = c->peers, .watch = {.fd = fd, .fire = from_receiver}};
	c->peers = l;
	loop_arm(c->loop, &l->watch, EPOLLIN);
}

static void take_config(struct courier *c, int fd)
{
	struct why why;
	struct config *fresh = reload_parse(c->start->schema, &c->world->env, fd, &why);
	if (!fresh) {
		log_write(c->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "reload: %s", why.text);
		return;
	}
	struct config *old = c->world->config;
	c->world->config = fresh;
	config_unref(old);
	world_configure_log(c->world);
	world_reconfigure(c->world);
}

static bool handle(struct courier *c, struct frame *f)
{
	struct msg_run_queue run;
	switch (f->type) {
	case IPC_PEER:
		if (f->fds != 1)
			return false;
		link_new(c, f->fd[0]);
		f->fds = 0;
		return true;
	case IPC_CONFIG:
		if (f->fds != 1)
			return false;
		take_config(c, f->fd[0]);
		return true;
	case IPC_RUN_QUEUE:
		if (!msg_run_queue_get(f->payload, &run))
			return false;
		c->periodic = true;
		run_begin(c, &run);
		return true;
	case IPC_AGENT:
		if (f->fds != 1)
			return false;
		agent_process_replace(c->world, f->fd[0]);
		f->fds = 0;
		return true;
	case IPC_STOP: begin_stop(c); return true;
	default: return false;
	}
}

static void from_master(struct watch *w, uint32_t events)
{
	struct courier *c = container_of(w, struct courier, master_watch);
	struct arena *a = c->world->env.scratch;
	struct arena_mark mark = arena_mark(a);
	struct frame f;
	(void)events;
	bool ok = channel_recv(c->master, a, 0, &f) == ST_OK;
	if (ok) {
		ok = handle(c, &f);
		frame_close_fds(&f);
	}
	arena_release(a, mark);
	if (ok)
		loop_arm(c->loop, w, EPOLLIN);
	else
		begin_stop(c);
}

static void after_jail(struct courier *c)
{
	struct why why = {0};
	if (!world_open(c->world, WORLD_SPOOL | WORLD_HINTS | WORLD_RESOLVER | WORLD_TLS | WORLD_POOL, &why)) {
		log_write(c->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "courier: %s", why.text);
		_exit(1);
	}
	c->loop = loop_new(&c->world->env.clock);
	c->pool = pool_new("deliver", WORKERS, 0);
	c->lender = lender_new(c->world);
	c->index = index_new(WORKERS);
	c->due_watch = (struct watch){.fd = -1, .fire = due_now};
	c->tidy_watch = (struct watch){.fd = -1, .fire = tidy, .deadline_ms = mono(c) + 1000};
	loop_arm(c->loop, &c->tidy_watch, 0);
	c->debris_watch = (struct watch){.fd = -1, .fire = debris_due, .deadline_ms = mono(c) + 1};
	loop_arm(c->loop, &c->debris_watch, 0);
	c->master_watch = (struct watch){.fd = channel_fd(c->master), .fire = from_master};
	loop_arm(c->loop, &c->master_watch, EPOLLIN);
	(void)!channel_send(c->master, IPC_READY, 0, STR(""), NULL, 0);
}

void proc_courier_main(struct courier_start *s)
{
	struct courier c = {.start = s, .world = s->world, .master = channel_new(s->master_fd)};
	struct why why = {0};
	prctl(PR_SET_NAME, "exm-courier");
	(void)agent_process_attach(s->world);
	if (!jail_enter(s->world, JAIL_COURIER, &why)) {
		log_write(s->world->env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "courier: %s", why.text);
		_exit(1);
	}
	after_jail(&c);
	if (s->restarted && !s->world->config->main.queue_only)
		run_begin(&c, &(struct msg_run_queue){.flags = RUN_FIRST_ONLY});
	loop_run(c.loop);
	_exit(0);
}
