/* SPDX-License-Identifier: Apache-2.0
 * Sockets made: outgoing connections with a deadline, listeners on TCP and UNIX addresses. */
#include "net/stream_priv.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <netinet/ip.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/banned.h"

static enum status fail(struct why *why, int err, const char *what)
{
	why_set(why, true, "%s: %s", what, status_text(ST_ERRNO(err)));
	if (why)
		why->errnum = err;
	return ST_ERRNO(err);
}

static enum status close_failed(int fd, struct why *why, const char *what)
{
	int err = errno;
	close(fd);
	return fail(why, err, what);
}

static void set_int(int fd, int level, int name, int value)
{
	/* Tuning only: a kernel that refuses costs speed, not mail. */
	(void)setsockopt(fd, level, name, &value, sizeof value);
}

static void tune(int fd, int family, const struct connect_opts *o)
{
	if (o->keepalive)
		set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	if (o->nodelay)
		set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	if (o->dscp >= 0 && family == AF_INET)
		set_int(fd, IPPROTO_IP, IP_TOS, o->dscp);
	else if (o->dscp >= 0)
		set_int(fd, IPPROTO_IPV6, IPV6_TCLASS, o->dscp);
}

/* Finish a non-blocking connect. */
static enum status await_connect(int fd, const struct sockaddr *sa, socklen_t len, int64_t timeout_ms)
{
	if (connect(fd, sa, len) == 0)
		return ST_OK;
	if (errno != EINPROGRESS && errno != EINTR)
		return ST_ERRNO(errno);
	enum status st = stream_poll(fd, POLLOUT, stream_deadline(timeout_ms));
	if (st != ST_OK)
		return st;
	int err = 0;
	socklen_t n = sizeof err;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &n) < 0)
		err = errno;
	return ST_ERRNO(err);
}

static enum status finish_connect(int fd, const struct sockaddr *sa, socklen_t len, int64_t timeout_ms,
    struct stream **ret, struct why *why)
{
	enum status st = await_connect(fd, sa, len, timeout_ms);
	if (st == ST_OK) {
		*ret = stream_new(fd, fd);
		return ST_OK;
	}
	close(fd);
	if (st == ST_TIMEOUT) {
		(void)fail(why, ETIMEDOUT, "connect");
		return st;
	}
	return fail(why, -(int)st, "connect");
}

enum status net_connect(const struct ip_addr *ip, int port, const struct connect_opts *o, struct stream **ret,
    struct why *why)
{
	struct sockaddr_storage sa;
	if (ip->family == 0)
		return fail(why, EAFNOSUPPORT, "connect");
	int fd = socket(ip->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(why, errno, "socket");
	tune(fd, ip->family, o);
	if (o->from.family || o->from_port) {
		struct ip_addr from = o->from;
		if (from.family == 0)
			from.family = ip->family;
		if (o->from_port)
			set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
		else
			set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
		socklen_t n = ip_to_sockaddr(&from, o->from_port, &sa);
		if (bind(fd, (const struct sockaddr *)&sa, n) < 0)
			return close_failed(fd, why, "unable to bind outgoing SMTP call");
	}
	socklen_t n = ip_to_sockaddr(ip, port, &sa);
	return finish_connect(fd, (const struct sockaddr *)&sa, n, o->timeout_ms, ret, why);
}

static bool unix_address(const char *path, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	size_t n = strlen(path);
	if (n >= sizeof ret->sun_path)
		return false;
	memcpy(ret->sun_path, path, n);
	return true;
}

enum status net_connect_unix(const char *path, int64_t timeout_ms, struct stream **ret, struct why *why)
{
	struct sockaddr_un sa;
	if (!unix_address(path, &sa))
		return fail(why, ENAMETOOLONG, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail(why, errno, "socket");
	/* A blocking connect waits for a place in the listener's queue; SO_SNDTIMEO bounds it. */
	struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	if (timeout_ms > 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv);
	int rc = connect(fd, (const struct sockaddr *)&sa, sizeof sa);
	if (rc < 0 && errno == EAGAIN) {
		close(fd);
		(void)fail(why, ETIMEDOUT, "connect");
		return ST_TIMEOUT;
	}
	if (rc < 0)
		return close_failed(fd, why, "connect");
	*ret = stream_new(fd, fd);
	return ST_OK;
}

enum status net_listen(const struct ip_addr *ip, int port, int backlog, bool reuse_port, int *ret_fd, struct why *why)
{
	struct sockaddr_storage sa;
	int fd = socket(ip->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(why, errno, "socket");
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (reuse_port)
		set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	if (ip->family == AF_INET6)
		set_int(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1); /* the wildcard v4 socket stands beside it */
	socklen_t n = ip_to_sockaddr(ip, port, &sa);
	if (bind(fd, (const struct sockaddr *)&sa, n) < 0)
		return close_failed(fd, why, "bind");
	if (listen(fd, backlog) < 0)
		return close_failed(fd, why, "listen");
	*ret_fd = fd;
	return ST_OK;
}

/* A socket file that nobody listens on is a leftover of a crash. */
static bool is_leftover(const char *path, const struct sockaddr_un *sa)
{
	struct stat st;
	if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	bool dead = connect(fd, (const struct sockaddr *)sa, sizeof *sa) < 0 && errno == ECONNREFUSED;
	close(fd);
	return dead;
}

enum status net_listen_unix(const char *path, unsigned mode, int backlog, int *ret_fd, struct why *why)
{
	struct sockaddr_un sa;
	if (!unix_address(path, &sa))
		return fail(why, ENAMETOOLONG, path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail(why, errno, "socket");
	if (is_leftover(path, &sa))
		(void)unlink(path);
	/* Before bind the inode takes the descriptor's mode: the file never stands wider than asked. */
	if (fchmod(fd, mode) < 0)
		return close_failed(fd, why, "fchmod");
	if (bind(fd, (const struct sockaddr *)&sa, sizeof sa) < 0)
		return close_failed(fd, why, "bind");
	if (chmod(path, mode) < 0 || listen(fd, backlog) < 0)
		return close_failed(fd, why, "listen");
	*ret_fd = fd;
	return ST_OK;
}
