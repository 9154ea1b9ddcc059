/* SPDX-License-Identifier: Apache-2.0
 * The agent's clients: many threads, one channel. Each call has a serial; of the threads that
 * wait, one reads the channel and hands replies to their owners; when its own has come it passes
 * the reading on to another. So no thread of our own is needed, and an idle client costs nothing.
 * When the server dies, the calls on its channel fail (temporarily: what their children did is not
 * known), and the next call asks for a new channel. */
#include "ipc/msg_agent.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/banned.h"

/* One channel to a server of the agent, and the calls under way on it. Once it broke, or was
 * renewed, it lives on until the last of those has its answer. */
struct line {
	struct channel *channel;
	struct list calls;
	bool reading; /* one of the callers is at the channel */
	bool broken;
};

struct agent {
	pthread_mutex_t lock;
	struct line *line; /* for new calls; NULL = none */
	uint32_t serial;
	int (*attach)(void *arg);
	void *attach_arg;
};

struct call {
	struct list link;
	pthread_cond_t woken;
	uint32_t serial;
	bool done;
	struct arena *into; /* holds the reply; its thread sleeps while another fills it */
	struct str payload;
};

static struct line *line_new(int fd)
{
	struct line *l = calloc(1, sizeof *l);
	must(l != NULL);
	l->channel = channel_new(fd);
	list_init(&l->calls);
	return l;
}

static void line_free(struct line *l)
{
	channel_close(l->channel);
	free(l);
}

struct agent *agent_client_new(int fd)
{
	struct agent *ag = calloc(1, sizeof *ag);
	must(ag != NULL);
	if (fd >= 0)
		ag->line = line_new(fd);
	pthread_mutex_init(&ag->lock, NULL);
	return ag;
}

void agent_client_free(struct agent *ag)
{
	if (!ag)
		return;
	if (ag->line) {
		must(list_empty(&ag->line->calls));
		line_free(ag->line);
	}
	pthread_mutex_destroy(&ag->lock);
	free(ag);
}

/* The lock is held: new calls go elsewhere. */
static void drop_line(struct agent *ag)
{
	struct line *l = ag->line;
	ag->line = NULL;
	if (l && list_empty(&l->calls))
		line_free(l);
}

void agent_client_attach_by(struct agent *ag, int (*attach)(void *arg), void *arg, bool renew)
{
	pthread_mutex_lock(&ag->lock);
	ag->attach = attach;
	ag->attach_arg = arg;
	if (renew)
		drop_line(ag);
	pthread_mutex_unlock(&ag->lock);
}

/* The lock is held. A reply whose caller is unknown is a lie: it breaks the channel. */
static bool hand_over(struct line *l, const struct frame *f)
{
	list_each(at, &l->calls) {
		struct call *c = list_entry(at, struct call, link);
		if (c->serial != f->serial || c->done)
			continue;
		c->payload = str_dup(c->into, f->payload);
		c->done = true;
		pthread_cond_signal(&c->woken);
		return true;
	}
	return false;
}

/* The lock is held on entry and exit, not while the channel is read. */
static void read_one(struct agent *ag, struct line *l)
{
	struct arena *a = arena_new("agent reply", 4u << 20, 0, 0);
	struct frame f = {0};
	l->reading = true;
	pthread_mutex_unlock(&ag->lock);
	enum status st = channel_recv(l->channel, a, -1, &f);
	pthread_mutex_lock(&ag->lock);
	l->reading = false;
	if (st == ST_OK) {
		frame_close_fds(&f);
		if (f.type != MSG_AGENT_REPLY || !hand_over(l, &f))
			l->broken = true;
	} else {
		l->broken = true;
	}
	arena_free(a);
	if (l->broken)
		list_each(at, &l->calls)
			pthread_cond_signal(&list_entry(at, struct call, link)->woken);
}

/* Wait for the reply to c; true if it came. Takes c off the line, and the line away if c was the
 * last on one that new calls do not use. */
static bool await(struct agent *ag, struct line *l, struct call *c)
{
	pthread_mutex_lock(&ag->lock);
	while (!c->done && !l->broken) {
		if (!l->reading)
			read_one(ag, l);
		else
			pthread_cond_wait(&c->woken, &ag->lock);
	}
	list_remove(&c->link);
	if (!l->reading && !list_empty(&l->calls))
		pthread_cond_signal(&list_entry(l->calls.next, struct call, link)->woken);
	if (l != ag->line && list_empty(&l->calls))
		line_free(l);
	pthread_mutex_unlock(&ag->lock);
	return c->done;
}

/* The line that c goes on, a new one when the last broke; NULL: there is none to be had. */
static struct line *enlist(struct agent *ag, struct call *c)
{
	pthread_mutex_lock(&ag->lock);
	if (ag->line && ag->line->broken && ag->attach)
		drop_line(ag);
	if (!ag->line && ag->attach) {
		int fd = ag->attach(ag->attach_arg);
		ag->line = fd < 0 ? NULL : line_new(fd);
	}
	struct line *l = ag->line;
	if (l) {
		c->serial = ++ag->serial;
		list_push(&l->calls, &c->link);
	}
	pthread_mutex_unlock(&ag->lock);
	return l;
}

/* False: no reply came. */
static bool exchange(struct agent *ag, struct call *c, struct str request, const int *fds, unsigned nfds)
{
	struct line *l = enlist(ag, c);
	if (!l)
		return false;
	if (channel_send(l->channel, MSG_AGENT_REQUEST, c->serial, request, fds, nfds) != ST_OK) {
		pthread_mutex_lock(&ag->lock);
		l->broken = true;
		pthread_mutex_unlock(&ag->lock);
	}
	return await(ag, l, c);
}

enum status agent_call(struct agent *ag, struct arena *a, enum agent_task task, const struct agent_who *who,
    struct str request, const int *fds, unsigned nfds, int64_t timeout_ms, struct str *ret_reply, struct why *why)
{
	struct strbuf sb;
	struct agent_request q = {.task = task, .who = *who, .timeout_ms = timeout_ms, .payload = request};
	struct agent_reply p;
	if (!ag) {
		why_set(why, true, "there is no agent process to act as uid %d", who->uid);
		return ST_ERRNO(EPERM);
	}
	struct arena *tmp = arena_new("agent call", 8u << 20, 0, 0);
	sb_init(&sb, tmp, LIMIT_IPC_FRAME);
	agent_request_pack(&sb, &q);
	struct call c = {.into = tmp, .woken = PTHREAD_COND_INITIALIZER};
	enum status st = ST_LIMIT;
	if (sb.over) {
		why_set(why, false, "request to the agent is too large");
		goto out;
	}
	if (!exchange(ag, &c, sb_str(&sb), fds, nfds) || !agent_reply_unpack(c.payload, &p)) {
		why_set(why, true, "the agent process has gone");
		st = ST_EOF;
		goto out;
	}
	st = p.status;
	if (st == ST_OK)
		*ret_reply = str_dup(a, p.payload);
	else if (why)
		*why = p.why;
out:
	pthread_cond_destroy(&c.woken);
	arena_free(tmp);
	return st;
}
