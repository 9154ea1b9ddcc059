/* SPDX-License-Identifier: Apache-2.0
 * Frames over a UNIX stream socket pair. Layout of a frame (host order: both ends run here):
 *
 *   offset  size  field
 *   0       2     type
 *   2       2     flags
 *   4       4     serial
 *   8       4     length of the payload
 *   12      n     payload
 *
 * Descriptors ride on the header's bytes. The receiver asks for exactly 12 bytes and then exactly
 * `length`, so it never reads into the next frame. What does not fit ends the channel for good. */
#include "ipc/channel.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/banned.h"

#define HEADER 12
/* Once a frame has begun, its rest must come within this time. */
#define REST_MS 60000

struct channel {
	int fd;
	bool broken; /* receiving side */
	pthread_mutex_t send_lock;
	bool send_broken;
};

enum status channel_pair(int fd[2])
{
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0 ? ST_ERRNO(errno) : ST_OK;
}

struct channel *channel_new(int fd)
{
	struct channel *c = calloc(1, sizeof *c);
	must(c != NULL);
	c->fd = fd;
	pthread_mutex_init(&c->send_lock, NULL);
	return c;
}

void channel_close(struct channel *c)
{
	if (!c)
		return;
	close(c->fd);
	pthread_mutex_destroy(&c->send_lock);
	free(c);
}

int channel_fd(const struct channel *c)
{
	return c->fd;
}

void frame_close_fds(struct frame *f)
{
	for (unsigned i = 0; i < f->fds; i++)
		if (f->fd[i] >= 0)
			close(f->fd[i]);
	f->fds = 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static enum status wait_for(int fd, short events, int64_t ms)
{
	int64_t end = ms < 0 ? 0 : now_ms() + ms;
	for (;;) {
		int64_t left = ms < 0 ? -1 : end - now_ms();
		left = ms >= 0 && left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : left;
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return ST_OK;
		if (n == 0)
			return ST_TIMEOUT;
		if (errno != EINTR)
			return ST_ERRNO(errno);
	}
}

/* Send all of two pieces; `ctl` goes with the first byte. The lock is held. */
static enum status send_pieces(int fd, struct iovec *iov, void *ctl, size_t ctl_len)
{
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2, .msg_control = ctl_len ? ctl : NULL, .msg_controllen = ctl_len};
	while (iov[0].iov_len + iov[1].iov_len) {
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			enum status st = wait_for(fd, POLLOUT, -1);
			if (st != ST_OK)
				return st;
			continue;
		}
		if (n < 0)
			return errno == EPIPE || errno == ECONNRESET ? ST_EOF : ST_ERRNO(errno);
		m.msg_control = NULL;
		m.msg_controllen = 0;
		for (int i = 0; i < 2; i++) {
			size_t k = (size_t)n < iov[i].iov_len ? (size_t)n : iov[i].iov_len;
			iov[i].iov_base = (char *)iov[i].iov_base + k;
			iov[i].iov_len -= k;
			n -= (ssize_t)k;
		}
	}
	return ST_OK;
}

enum status channel_send(struct channel *c, uint16_t type, uint32_t serial, struct str payload, const int *fds, unsigned nfds)
{
	if (payload.len > LIMIT_IPC_FRAME || nfds > LIMIT_IPC_FDS)
		return ST_LIMIT;
	char head[HEADER] = {0};
	memcpy(head, &type, 2);
	memcpy(head + 4, &serial, 4);
	memcpy(head + 8, &payload.len, 4);
	_Alignas(struct cmsghdr) char ctl[CMSG_SPACE(LIMIT_IPC_FDS * sizeof(int))] = {0};
	size_t ctl_len = 0;
	if (nfds) {
		struct cmsghdr *h = (struct cmsghdr *)(void *)ctl;
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(h), fds, nfds * sizeof(int));
		ctl_len = CMSG_SPACE(nfds * sizeof(int));
	}
	struct iovec iov[2] = {{head, HEADER}, {.iov_base = NULL, .iov_len = payload.len}};
	memcpy(&iov[1].iov_base, &payload.p, sizeof(void *)); /* sendmsg only reads */
	pthread_mutex_lock(&c->send_lock);
	enum status st = c->send_broken ? ST_EOF : send_pieces(c->fd, iov, ctl, ctl_len);
	/* Part of a frame may stand in the socket: nothing can follow it. */
	if (st != ST_OK)
		c->send_broken = true;
	pthread_mutex_unlock(&c->send_lock);
	return st;
}

/* Collect passed descriptors; false if they are more than allowed. */
static bool take_fds(struct msghdr *m, struct frame *f)
{
	bool good = !(m->msg_flags & MSG_CTRUNC);
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		unsigned n = (unsigned)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
			if (f->fds < countof(f->fd)) {
				f->fd[f->fds++] = fd;
			} else {
				close(fd);
				good = false;
			}
		}
	}
	return good;
}

/* Exactly n bytes; descriptors that come along go into f. */
static enum status recv_exact(struct channel *c, char *p, size_t n, struct frame *f, bool at_start, int64_t ms)
{
	size_t got = 0;
	while (got < n) {
		enum status st = wait_for(c->fd, POLLIN, at_start && got == 0 ? ms : REST_MS);
		if (st != ST_OK)
			return st == ST_TIMEOUT && !(at_start && got == 0) ? ST_MALFORMED : st;
		_Alignas(struct cmsghdr) char ctl[CMSG_SPACE(LIMIT_IPC_FDS * sizeof(int))];
		struct iovec iov = {p + got, n - got};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof ctl};
		ssize_t k = recvmsg(c->fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
		if (k < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (k < 0)
			return errno == ECONNRESET ? ST_EOF : ST_ERRNO(errno);
		if (!take_fds(&m, f))
			return ST_MALFORMED;
		if (k == 0)
			return at_start && got == 0 ? ST_EOF : ST_MALFORMED;
		got += (size_t)k;
	}
	return ST_OK;
}

static enum status recv_frame(struct channel *c, struct arena *a, int64_t ms, struct frame *f)
{
	char head[HEADER];
	uint32_t length;
	enum status st = recv_exact(c, head, HEADER, f, true, ms);
	if (st != ST_OK)
		return st;
	memcpy(&f->type, head, 2);
	memcpy(&f->flags, head + 2, 2);
	memcpy(&f->serial, head + 4, 4);
	memcpy(&length, head + 8, 4);
	if (length > LIMIT_IPC_FRAME)
		return ST_MALFORMED;
	char *p = arena_alloc(a, (size_t)length + 1);
	f->payload = str_n(p, length);
	return recv_exact(c, p, length, f, false, 0);
}

enum status channel_recv(struct channel *c, struct arena *a, int64_t ms, struct frame *ret)
{
	if (c->broken)
		return ST_EOF;
	struct frame f = {0};
	enum status st = recv_frame(c, a, ms, &f);
	if (st == ST_OK) {
		*ret = f;
		return ST_OK;
	}
	frame_close_fds(&f);
	if (st != ST_TIMEOUT) {
		c->broken = true;
		shutdown(c->fd, SHUT_RDWR); /* the other end must not wait for ever */
	}
	return st;
}
