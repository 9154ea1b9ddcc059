/* SPDX-License-Identifier: Apache-2.0
 * The agent's clients: many threads, one channel. Each call has a serial; of the threads that
 * wait, one reads the channel and hands replies to their owners; when its own has come it passes
 * the reading on to another. So no thread of our own is needed, and an idle client costs nothing. */
#include "ipc/msg_agent.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/banned.h"

struct agent {
	struct channel *channel;
	pthread_mutex_t lock;
	struct list calls;
	uint32_t serial;
	bool reading; /* one of the callers is at the channel */
	bool broken;
};

struct call {
	struct list link;
	pthread_cond_t woken;
	uint32_t serial;
	bool done;
	struct arena *into; /* holds the reply; its thread sleeps while another fills it */
	struct str payload;
};

struct agent *agent_client_new(int fd)
{
	struct agent *ag = calloc(1, sizeof *ag);
	must(ag != NULL);
	ag->channel = channel_new(fd);
	pthread_mutex_init(&ag->lock, NULL);
	list_init(&ag->calls);
	return ag;
}

void agent_client_free(struct agent *ag)
{
	if (!ag)
		return;
	must(list_empty(&ag->calls));
	channel_close(ag->channel);
	pthread_mutex_destroy(&ag->lock);
	free(ag);
}

/* The lock is held. A reply whose caller is unknown is a lie: it breaks the channel. */
static bool hand_over(struct agent *ag, const struct frame *f)
{
	list_each(at, &ag->calls) {
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
static void read_one(struct agent *ag)
{
	struct arena *a = arena_new("agent reply", 4u << 20, 0, 0);
	struct frame f = {0};
	ag->reading = true;
	pthread_mutex_unlock(&ag->lock);
	enum status st = channel_recv(ag->channel, a, -1, &f);
	pthread_mutex_lock(&ag->lock);
	ag->reading = false;
	if (st == ST_OK) {
		frame_close_fds(&f);
		if (f.type != MSG_AGENT_REPLY || !hand_over(ag, &f))
			ag->broken = true;
	} else {
		ag->broken = true;
	}
	arena_free(a);
	if (ag->broken)
		list_each(at, &ag->calls)
			pthread_cond_signal(&list_entry(at, struct call, link)->woken);
}

/* Wait for the reply to c; true if it came. */
static bool await(struct agent *ag, struct call *c)
{
	pthread_mutex_lock(&ag->lock);
	while (!c->done && !ag->broken) {
		if (!ag->reading)
			read_one(ag);
		else
			pthread_cond_wait(&c->woken, &ag->lock);
	}
	list_remove(&c->link);
	if (!ag->reading && !list_empty(&ag->calls))
		pthread_cond_signal(&list_entry(ag->calls.next, struct call, link)->woken);
	pthread_mutex_unlock(&ag->lock);
	return c->done;
}

static void enlist(struct agent *ag, struct call *c)
{
	pthread_mutex_lock(&ag->lock);
	c->serial = ++ag->serial;
	list_push(&ag->calls, &c->link);
	pthread_mutex_unlock(&ag->lock);
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
	enlist(ag, &c);
	if (channel_send(ag->channel, MSG_AGENT_REQUEST, c.serial, sb_str(&sb), fds, nfds) != ST_OK) {
		pthread_mutex_lock(&ag->lock);
		ag->broken = true;
		pthread_mutex_unlock(&ag->lock);
	}
	if (!await(ag, &c) || !agent_reply_unpack(c.payload, &p)) {
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
