/* SPDX-License-Identifier: Apache-2.0
 * The caller's end of local submission (ipc/msg_submit.h has the protocol). While no daemon
 * listens the message waits in <spool>/drop, a folder that anyone may create files in and nobody
 * but the mail user may read (mode 1733): each file is owned by its submitter, which is how the
 * daemon knows him later; it is complete once it carries its final name. */
#include "cli/submit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "ipc/msg_submit.h"
#include "base/banned.h"

static void fill(struct msg_submit *m, struct program *p, const struct local_caller *c)
{
	*m = (struct msg_submit){.kind = p->args->mode == MODE_SMTP ? SUBMIT_SMTP
	            : p->args->mode == MODE_BATCH_SMTP              ? SUBMIT_BATCH
	                                                            : SUBMIT_MESSAGE,
	    .dot_ends = c->dot_ends,
	    .extract = c->extract_recipients,
	    .error_mode = (uint8_t)c->error_mode,
	    .deliver_mode = (uint8_t)c->deliver_mode,
	    .no_delivery = c->no_delivery,
	    .sender_given = c->sender_given,
	    .sender = c->sender,
	    .full_name = c->full_name,
	    .cwd = c->cwd,
	    .queue = c->queue_name,
	    .protocol = p->args->o_protocol,
	    .ident = p->args->o_ident,
	    .host_name = p->args->o_host_name,
	    .host_address = p->args->o_host_address,
	    .interface_address = p->args->o_interface,
	    .auth_id = p->args->o_auth_id,
	    .auth_name = p->args->o_auth_name,
	    .auth_sender = p->args->o_auth_sender};
	for (size_t i = 0; i < p->args->args && i < SUBMIT_RECIPIENTS_MAX; i++)
		m->recipient[m->recipients++] = p->args->arg[i];
}

static bool put(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		p += done;
		n -= (size_t)done;
	}
	return true;
}

static bool put_request(int fd, struct arena *a, const struct msg_submit *m)
{
	struct strbuf sb;
	sb_init(&sb, a, SUBMIT_REQUEST_MAX);
	msg_submit_put(&sb, m);
	struct str text = sb_str(&sb);
	uint8_t head[4] = {(uint8_t)(text.len >> 24), (uint8_t)(text.len >> 16), (uint8_t)(text.len >> 8), (uint8_t)text.len};
	return !sb.over && put(fd, (const char *)head, sizeof head) && put(fd, text.p, text.len);
}

/* Standard input to the daemon until it ends. For messages a lone dot may end it (no -i): the
 * daemon decides, so all is sent; it stops reading when it has enough. */
static bool copy_input(int to)
{
	char buf[8192];
	ssize_t n;
	while ((n = read(0, buf, sizeof buf)) > 0)
		if (!put(to, buf, (size_t)n))
			return errno == EPIPE;
	return n == 0;
}

static bool get_exactly(int fd, char *p, size_t n)
{
	while (n) {
		ssize_t got = read(fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static int message_result(struct program *p, int fd)
{
	uint8_t head[4];
	struct msg_submit_reply reply;
	uint32_t n = 0;
	char *text = NULL;
	if (get_exactly(fd, (char *)head, sizeof head)) {
		n = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
		if (n && n <= LIMIT_IPC_FRAME + 4096) {
			text = arena_alloc(p->arena, n);
			if (get_exactly(fd, text, n) && msg_submit_reply_get(str_n(text, n), &reply)) {
				(void)!put(2, reply.error_text.p, reply.error_text.len);
				return (int)reply.exit_status;
			}
		}
	}
	program_say("the mail daemon closed the connection: the message was not accepted");
	return 75; /* EX_TEMPFAIL: the caller keeps it */
}

/* -bs, -bS: bytes both ways until the daemon closes. */
static int relay_session(int fd)
{
	char buf[8192];
	bool input = true;
	for (;;) {
		struct pollfd pfd[2] = {{.fd = fd, .events = POLLIN}, {.fd = input ? 0 : -1, .events = POLLIN}};
		if (poll(pfd, 2, -1) < 0 && errno != EINTR)
			return 75;
		if (pfd[0].revents) {
			ssize_t n = read(fd, buf, sizeof buf);
			if (n <= 0)
				return n < 0 ? 75 : 0;
			if (!put(1, buf, (size_t)n))
				return 75;
		}
		if (input && pfd[1].revents) {
			ssize_t n = read(0, buf, sizeof buf);
			if (n > 0 ? !put(fd, buf, (size_t)n) : shutdown(fd, SHUT_WR) < 0)
				return 75;
			input = n > 0;
		}
	}
}

/* No daemon: <spool>/drop/<time>.<pid>.part, flushed, then renamed to .msg, folder flushed. */
static int keep_for_later(struct program *p, const struct msg_submit *m)
{
	struct str spool = p->world.config->spool_directory;
	char *dir = arena_printf(p->arena, "%.*s/drop", STR_ARG(spool));
	char *part = arena_printf(p->arena, "%lld.%d.part", (long long)clock_us(&p->world.env.clock), (int)getpid());
	char *done = arena_printf(p->arena, "%.*s.msg", (int)strlen(part) - 5, part);
	int dirfd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0) {
		program_say("no mail daemon is running and %s cannot be used: %s", dir, strerrordesc_np(errno));
		return 75;
	}
	int fd = openat(dirfd, part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	bool ok = fd >= 0 && put_request(fd, p->arena, m) && copy_input(fd) && fsync(fd) == 0;
	ok = ok && renameat(dirfd, part, dirfd, done) == 0;
	if (ok)
		(void)syncfs(fd); /* the folder cannot be opened for reading, so the whole is flushed */
	else {
		program_say("cannot keep the message in %s: %s", dir, strerrordesc_np(errno));
		if (fd >= 0)
			(void)unlinkat(dirfd, part, 0);
	}
	if (fd >= 0)
		close(fd);
	close(dirfd);
	return ok ? 0 : 75;
}

int submit_to_daemon(struct program *p, const struct local_caller *caller)
{
	struct msg_submit *m = arena_new_of(p->arena, struct msg_submit);
	struct why why = {0};
	struct stream *st;
	if (p->args->mode == MODE_RECEIVE && p->args->args > SUBMIT_RECIPIENTS_MAX) {
		program_say("more than %d recipients on the command line", SUBMIT_RECIPIENTS_MAX);
		return 1;
	}
	fill(m, p, caller);
	char *path = arena_printf(p->arena, "%.*s/submit", STR_ARG(p->world.config->spool_directory));
	if (net_connect_unix(path, 5000, &st, &why) != ST_OK) {
		if (m->kind == SUBMIT_MESSAGE)
			return keep_for_later(p, m);
		program_say("no mail daemon is running (%s): start it, or submit without SMTP", why.text);
		return 75;
	}
	int fd = stream_fd(st);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	if (!put_request(fd, p->arena, m)) {
		program_say("cannot reach the mail daemon: %s", strerrordesc_np(errno));
		return 75;
	}
	if (m->kind != SUBMIT_MESSAGE)
		return relay_session(fd);
	if (!copy_input(fd) || shutdown(fd, SHUT_WR) < 0)
		program_say("cannot send the whole message: %s", strerrordesc_np(errno));
	return message_result(p, fd);
}
