/* SPDX-License-Identifier: Apache-2.0
 * The agent process: one thread, one poll over the channel, the children's reply pipes and their
 * pidfds. It reads the envelope of a request, never the payload. A child is over when its pidfd
 * says so; what it left in its pipe is then drained, so a grandchild that keeps the pipe open holds
 * nobody up. */
#include "ipc/msg_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/banned.h"

#define WAITING_MAX 4096 /* requests that wait for a child's place */
#define REPLY_MAX (LIMIT_IPC_FRAME + 4)

struct work {
	struct list link;
	struct arena *arena;
	struct frame frame;
	struct agent_request request;
	const struct agent_row *row;
	/* once started: */
	pid_t pid;
	int pidfd, pipe;
	int64_t deadline;
	bool timed_out;
	struct strbuf got;
};

struct serving {
	const struct agent_server *s;
	struct channel *channel; /* NULL once closed */
	struct list waiting, running;
	unsigned waiting_count, running_count;
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void work_free(struct work *w)
{
	frame_close_fds(&w->frame);
	arena_free(w->arena); /* holds w itself */
}

static void end_channel(struct serving *v)
{
	channel_close(v->channel);
	v->channel = NULL;
}

static void send_reply(struct serving *v, struct work *w, struct str packed)
{
	if (v->channel && channel_send(v->channel, MSG_AGENT_REPLY, w->frame.serial, packed, NULL, 0) != ST_OK)
		end_channel(v);
	work_free(w);
}

static void refuse(struct serving *v, struct work *w, enum status st, const struct why *why)
{
	struct agent_reply p = {.status = st, .why = *why};
	struct strbuf sb;
	sb_init(&sb, w->arena, LIMIT_IPC_FRAME);
	agent_reply_pack(&sb, &p);
	send_reply(v, w, sb_str(&sb));
}

static const struct agent_row *row_of(const struct agent_server *s, enum agent_task task)
{
	for (size_t i = 0; i < s->row_count; i++)
		if (s->rows[i].task == task)
			return &s->rows[i];
	return NULL;
}

/* Exim: never_users (manual 14). False: refused, why says so. */
static bool allowed(const struct agent_server *s, const struct work *w, struct why *why)
{
	if (!w->row) {
		why_set(why, false, "the agent has no task %d", (int)w->request.task);
		why->errnum = ENOSYS;
		return false;
	}
	for (size_t i = 0; i < s->never_count && !w->row->never_exempt; i++)
		if (s->never_uids[i] == w->request.who.uid) {
			why_set(why, true, "User %d set for local delivery is on the never_users list", w->request.who.uid);
			why->errnum = EPERM;
			return false;
		}
	return true;
}

static void run_child(struct serving *v, struct work *w, int pipe_in)
{
	agent_child(v->s, w->row, &w->request, w->frame.fd, w->frame.fds, pipe_in);
}

static void start(struct serving *v, struct work *w)
{
	struct why why = {0};
	int p[2];
	if (pipe2(p, O_CLOEXEC) < 0) {
		int err = errno;
		why_set(&why, true, "the agent cannot make a pipe: %s", status_text(ST_ERRNO(err)));
		refuse(v, w, ST_ERRNO(err), &why);
		return;
	}
	w->pid = fork();
	if (w->pid == 0)
		run_child(v, w, p[1]);
	int err = errno;
	close(p[1]);
	if (w->pid > 0) {
		setpgid(w->pid, w->pid); /* whichever of us comes first */
		w->pidfd = pidfd_open(w->pid, 0);
		err = errno;
	}
	if (w->pid < 0 || w->pidfd < 0) {
		close(p[0]);
		if (w->pid > 0) {
			kill(w->pid, SIGKILL);
			waitpid(w->pid, NULL, 0);
		}
		why_set(&why, true, "the agent cannot fork: %s", status_text(ST_ERRNO(err)));
		refuse(v, w, ST_ERRNO(err), &why);
		return;
	}
	(void)fcntl(p[0], F_SETFL, O_NONBLOCK);
	w->pipe = p[0];
	w->deadline = w->request.timeout_ms > 0 ? now_ms() + w->request.timeout_ms : 0;
	sb_init(&w->got, w->arena, REPLY_MAX);
	frame_close_fds(&w->frame);
	list_push(&v->running, &w->link);
	v->running_count++;
}

static void kill_work(struct work *w)
{
	kill(-w->pid, SIGKILL);
	kill(w->pid, SIGKILL); /* its group may not be made yet */
}

/* Take what the pipe holds; at its end the descriptor is closed. */
static void drain(struct work *w)
{
	char buf[8192];
	while (w->pipe >= 0) {
		ssize_t n = read(w->pipe, buf, sizeof buf);
		if (n > 0) {
			sb_addn(&w->got, buf, (size_t)n);
			if (w->got.over)
				kill_work(w);
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			close(w->pipe);
			w->pipe = -1;
		} else if (errno == EAGAIN) {
			return;
		}
	}
}

/* The whole packed reply, if that is what came. */
static bool whole_reply(struct work *w, struct str *ret)
{
	struct rd r = rd_of(sb_str(&w->got));
	uint32_t len = up_u32(&r);
	*ret = rd_take(&r, len);
	return !r.bad && rd_done(&r) && len > 0;
}

static void finish(struct serving *v, struct work *w)
{
	int status = 0;
	struct why why = {0};
	struct str packed;
	while (waitpid(w->pid, &status, 0) < 0 && errno == EINTR)
		;
	drain(w);
	close(w->pidfd);
	if (w->pipe >= 0)
		close(w->pipe);
	list_remove(&w->link);
	v->running_count--;
	if (w->timed_out) {
		why_set(&why, true, "timed out after %llds; killed", (long long)(w->request.timeout_ms / 1000));
		why.errnum = ETIMEDOUT;
		refuse(v, w, ST_TIMEOUT, &why);
	} else if (whole_reply(w, &packed)) {
		send_reply(v, w, packed);
	} else {
		if (WIFSIGNALED(status))
			why_set(&why, true, "the agent's child was ended by signal %d (%s)", WTERMSIG(status),
			    sigdescr_np(WTERMSIG(status)));
		else
			why_set(&why, true, "the agent's child ended with status %d and no answer", WEXITSTATUS(status));
		why.errnum = EIO;
		refuse(v, w, ST_ERRNO(EIO), &why);
	}
}

static void take_request(struct serving *v)
{
	struct arena *a = arena_new("agent request", 8u << 20, 0, 0);
	struct work *w = arena_new_of(a, struct work);
	struct why why = {0};
	w->arena = a;
	w->pipe = w->pidfd = -1;
	enum status st = channel_recv(v->channel, a, 0, &w->frame);
	if (st == ST_TIMEOUT) {
		work_free(w);
		return;
	}
	/* A malformed request ends the channel: no guessing at a boundary of privilege. */
	if (st != ST_OK || w->frame.type != MSG_AGENT_REQUEST || !agent_request_unpack(w->frame.payload, &w->request)) {
		work_free(w);
		end_channel(v);
		return;
	}
	w->row = row_of(v->s, w->request.task);
	if (!allowed(v->s, w, &why)) {
		refuse(v, w, ST_ERRNO(why.errnum), &why);
	} else if (v->waiting_count >= WAITING_MAX) {
		why_set(&why, true, "the agent has too much to do");
		refuse(v, w, ST_ERRNO(EAGAIN), &why);
	} else {
		list_push(&v->waiting, &w->link);
		v->waiting_count++;
	}
}

static void start_waiting(struct serving *v)
{
	while (v->running_count < AGENT_CHILDREN && !list_empty(&v->waiting)) {
		struct work *w = list_entry(v->waiting.next, struct work, link);
		list_remove(&w->link);
		v->waiting_count--;
		start(v, w);
	}
}

/* Kill what is over its time; ms until the next such moment, -1 = none. */
static int check_deadlines(struct serving *v)
{
	int64_t now = now_ms(), next = INT64_MAX;
	list_each(at, &v->running) {
		struct work *w = list_entry(at, struct work, link);
		if (!w->deadline || w->timed_out)
			continue;
		if (w->deadline <= now) {
			w->timed_out = true;
			kill_work(w);
		} else if (w->deadline < next) {
			next = w->deadline;
		}
	}
	return next == INT64_MAX ? -1 : next - now > INT32_MAX ? INT32_MAX : (int)(next - now);
}

static void serve_once(struct serving *v)
{
	struct pollfd p[1 + 2 * AGENT_CHILDREN];
	nfds_t n = 0;
	int ms = check_deadlines(v);
	p[n++] = (struct pollfd){.fd = v->channel ? channel_fd(v->channel) : -1, .events = POLLIN};
	list_each(at, &v->running) {
		const struct work *w = list_entry(at, struct work, link);
		p[n++] = (struct pollfd){.fd = w->pidfd, .events = POLLIN};
		p[n++] = (struct pollfd){.fd = w->pipe, .events = POLLIN};
	}
	if (poll(p, n, ms) <= 0)
		return;
	nfds_t i = 1;
	list_each_safe(at, next, &v->running) {
		struct work *w = list_entry(at, struct work, link);
		if (p[i + 1].revents)
			drain(w);
		if (p[i].revents)
			finish(v, w);
		i += 2;
	}
	if (p[0].revents && v->channel)
		take_request(v);
}

void agent_serve(const struct agent_server *s, int fd)
{
	struct serving v = {.s = s, .channel = channel_new(fd)};
	list_init(&v.waiting);
	list_init(&v.running);
	/* After the channel's end, work that began is finished: half a delivery helps nobody. */
	while (v.channel || v.running_count) {
		serve_once(&v);
		if (v.channel)
			start_waiting(&v);
	}
	list_each_safe(at, next, &v.waiting)
		work_free(list_entry(at, struct work, link));
}
