/* SPDX-License-Identifier: Apache-2.0
 * The stream: one input buffer, one output buffer, a layer below. Reading: bytes come into `in`
 * by fill() only, so what is buffered is known in one place. Both buffers exist only while they
 * hold something (stream_park), an idle stream is its struct alone.
 * Writes to a dead peer would raise SIGPIPE for pipes and sendfile: processes ignore it. */
#include "net/stream_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/tls.h"

#include "base/banned.h"

#define IN_BUFFER 16384u
#define OUT_BUFFER 16384u
#define OUT_FIRST 1024u
#define SEND_CHUNK (1 << 20)
/* What a pipe takes without blocking once poll says writable (pipe(7): PIPE_BUF). Pipes stay
 * blocking since standard input and output are shared with the caller's shell. */
#define PIPE_CHUNK 4096u

int64_t stream_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

enum status stream_poll(int fd, short events, int64_t deadline)
{
	for (;;) {
		int64_t ms = -1;
		if (deadline) {
			ms = deadline - stream_now_ms();
			ms = ms < 0 ? 0 : ms > INT32_MAX ? INT32_MAX : ms;
		}
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, (int)ms);
		if (n > 0)
			return p.revents & POLLNVAL ? ST_ERRNO(EBADF) : ST_OK;
		if (n == 0 && ms != INT32_MAX)
			return ST_TIMEOUT;
		if (n < 0 && errno != EINTR)
			return ST_ERRNO(errno);
	}
}

static ssize_t plain_read(struct stream *s, void *p, size_t n, short *want)
{
	*want = POLLIN;
	if (s->in_socket)
		return recv(s->in_fd, p, n, MSG_DONTWAIT);
	struct pollfd ready = {.fd = s->in_fd, .events = POLLIN};
	if (poll(&ready, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return read(s->in_fd, p, n);
}

static ssize_t plain_write(struct stream *s, const void *p, size_t n, short *want)
{
	*want = POLLOUT;
	if (s->out_socket)
		return send(s->out_fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	struct pollfd ready = {.fd = s->out_fd, .events = POLLOUT};
	if (poll(&ready, 1, 0) == 0) {
		errno = EAGAIN;
		return -1;
	}
	return write(s->out_fd, p, n < PIPE_CHUNK ? n : PIPE_CHUNK);
}

static bool plain_pending(struct stream *s)
{
	(void)s;
	return false;
}

static void plain_nothing(struct stream *s)
{
	(void)s;
}

static size_t plain_footprint(const struct stream *s)
{
	(void)s;
	return 0;
}

const struct stream_layer stream_plain = {
	.read = plain_read,
	.write = plain_write,
	.pending = plain_pending,
	.farewell = plain_nothing,
	.release = plain_nothing,
	.footprint = plain_footprint,
};

static bool is_socket(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

struct stream *stream_new(int in_fd, int out_fd)
{
	struct stream *s = calloc(1, sizeof *s);
	must(s != NULL);
	s->in_fd = in_fd;
	s->out_fd = out_fd;
	s->in_socket = is_socket(in_fd);
	s->out_socket = out_fd == in_fd ? s->in_socket : is_socket(out_fd);
	s->layer = &stream_plain;
	if (s->in_socket)
		(void)fcntl(in_fd, F_SETFL, fcntl(in_fd, F_GETFL) | O_NONBLOCK);
	if (s->out_socket && out_fd != in_fd)
		(void)fcntl(out_fd, F_SETFL, fcntl(out_fd, F_GETFL) | O_NONBLOCK);
	return s;
}

void stream_drop(struct stream *s)
{
	if (!s)
		return;
	s->layer->release(s);
	free(s->in);
	free(s->out);
	close(s->in_fd);
	if (s->out_fd != s->in_fd)
		close(s->out_fd);
	free(s);
}

void stream_close(struct stream *s)
{
	if (!s)
		return;
	if (stream_flush(s) == ST_OK)
		s->layer->farewell(s);
	stream_drop(s);
}

int stream_fd(const struct stream *s)
{
	return s->in_fd;
}

void stream_park(struct stream *s)
{
	if (s->in_at == s->in_end) {
		free(s->in);
		s->in = NULL;
		s->in_at = s->in_end = s->in_room = 0;
	}
	if (s->out_len == 0) {
		free(s->out);
		s->out = NULL;
		s->out_room = 0;
	}
}

size_t stream_footprint(const struct stream *s)
{
	return sizeof *s + s->in_room + s->out_room + s->layer->footprint(s);
}

void stream_set_timeout(struct stream *s, int64_t ms)
{
	s->timeout_ms = ms;
}

/* Room behind in_end for at least one byte more, moving or growing; `whole`: bytes that must fit
 * into the buffer at once. */
static void make_room(struct stream *s, size_t whole)
{
	if (s->in_at == s->in_end)
		s->in_at = s->in_end = 0;
	if (whole < IN_BUFFER)
		whole = IN_BUFFER;
	must(whole < UINT32_MAX);
	if (s->in_room < whole) {
		char *p = malloc(whole);
		must(p != NULL);
		if (s->in_end > s->in_at)
			memcpy(p, s->in + s->in_at, s->in_end - s->in_at);
		free(s->in);
		s->in = p;
		s->in_room = (uint32_t)whole;
		s->in_end -= s->in_at;
		s->in_at = 0;
	} else if (s->in_room - s->in_at < whole) {
		memmove(s->in, s->in + s->in_at, s->in_end - s->in_at);
		s->in_end -= s->in_at;
		s->in_at = 0;
	}
}

/* Read what comes, up to n bytes, into p; waits until the deadline. */
static enum status take_bytes(struct stream *s, void *p, size_t n, int64_t deadline, size_t *ret_n)
{
	if (s->eof)
		return ST_EOF;
	for (;;) {
		short want = POLLIN;
		ssize_t got = s->layer->read(s, p, n, &want);
		if (got > 0) {
			s->bytes_in += (uint64_t)got;
			*ret_n = (size_t)got;
			return ST_OK;
		}
		if (got == 0) {
			s->eof = true;
			return ST_EOF;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return ST_ERRNO(errno);
		enum status st = stream_poll(want == POLLOUT ? s->out_fd : s->in_fd, want, deadline);
		if (st != ST_OK)
			return st;
	}
}

static enum status fill(struct stream *s, size_t whole, int64_t deadline)
{
	size_t n = 0;
	make_room(s, whole);
	enum status st = take_bytes(s, s->in + s->in_end, s->in_room - s->in_end, deadline, &n);
	if (st == ST_OK)
		s->in_end += (uint32_t)n;
	return st;
}

/* Throw away up to the next LF, at most `bound` bytes. */
static enum status discard_line(struct stream *s, size_t bound, int64_t deadline)
{
	for (;;) {
		size_t have = s->in_end - s->in_at;
		const char *lf = have ? memchr(s->in + s->in_at, '\n', have) : NULL;
		if (lf) {
			s->in_at = (uint32_t)(lf + 1 - s->in);
			return ST_LIMIT;
		}
		s->in_at = s->in_end;
		if (have > bound)
			return ST_EOF;
		bound -= have;
		enum status st = fill(s, 0, deadline);
		if (st != ST_OK)
			return st;
	}
}

static void give_line(struct stream *s, size_t len, size_t used, struct str *ret)
{
	*ret = str_tainted(str_n(s->in + s->in_at, len));
	s->in_at += (uint32_t)used;
}

enum status stream_read_line(struct stream *s, size_t max, struct str *ret, enum line_end *ret_end)
{
	int64_t deadline = stream_deadline(s->timeout_ms);
	size_t looked = 0;
	for (;;) {
		size_t have = s->in_end - s->in_at;
		const char *from = s->in ? s->in + s->in_at : NULL;
		const char *lf = have > looked ? memchr(from + looked, '\n', have - looked) : NULL;
		if (lf) {
			size_t len = (size_t)(lf - from), used = len + 1;
			bool cr = len > 0 && from[len - 1] == '\r';
			len -= cr;
			if (len > max) {
				s->in_at += (uint32_t)used;
				return ST_LIMIT;
			}
			give_line(s, len, used, ret);
			*ret_end = cr ? LINE_CRLF : LINE_LF;
			return ST_OK;
		}
		if (have > max + 1)
			return discard_line(s, 64 * max, deadline);
		looked = have;
		enum status st = fill(s, max + 2, deadline);
		if (st == ST_EOF && have && have <= max) {
			give_line(s, have, have, ret);
			*ret_end = LINE_EOF;
			return ST_OK;
		}
		if (st != ST_OK)
			return st;
	}
}

enum status stream_peek(struct stream *s, struct str *ret)
{
	if (s->in_at == s->in_end) {
		enum status st = fill(s, 0, stream_deadline(s->timeout_ms));
		if (st != ST_OK)
			return st;
	}
	*ret = str_tainted(str_n(s->in + s->in_at, s->in_end - s->in_at));
	return ST_OK;
}

void stream_consume(struct stream *s, size_t n)
{
	must(n <= s->in_end - s->in_at);
	s->in_at += (uint32_t)n;
}

enum status stream_fill(struct stream *s)
{
	if (s->eof)
		return ST_EOF;
	make_room(s, s->in_end - s->in_at + 1024);
	for (;;) {
		short want = POLLIN;
		ssize_t got = s->layer->read(s, s->in + s->in_end, s->in_room - s->in_end, &want);
		if (got > 0) {
			s->bytes_in += (uint64_t)got;
			s->in_end += (uint32_t)got;
			return ST_OK;
		}
		if (got == 0) {
			s->eof = true;
			return ST_EOF;
		}
		if (errno != EINTR)
			return ST_ERRNO(errno);
	}
}

enum status stream_read(struct stream *s, void *buf, size_t n)
{
	int64_t deadline = stream_deadline(s->timeout_ms);
	char *to = buf;
	size_t have = s->in_end - s->in_at;
	size_t first = have < n ? have : n;
	if (first) {
		memcpy(to, s->in + s->in_at, first);
		s->in_at += (uint32_t)first;
	}
	for (size_t at = first; at < n;) {
		size_t got = 0;
		enum status st = take_bytes(s, to + at, n - at, deadline, &got);
		if (st != ST_OK)
			return st;
		at += got;
	}
	return ST_OK;
}

bool stream_pending(struct stream *s, bool poll_fd)
{
	if (s->in_at < s->in_end || s->layer->pending(s))
		return true;
	if (!poll_fd)
		return false;
	struct pollfd p = {.fd = s->in_fd, .events = POLLIN};
	if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLIN))
		return false;
	char c;
	return !s->in_socket || recv(s->in_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

enum status stream_wait(struct stream *s, int64_t ms)
{
	if (s->in_at < s->in_end || s->layer->pending(s))
		return ST_OK;
	if (s->eof)
		return ST_EOF;
	struct pollfd p = {.fd = s->in_fd, .events = POLLIN};
	enum status st = ST_OK;
	if (ms > 0)
		st = stream_poll(s->in_fd, POLLIN, stream_deadline(ms));
	else if (poll(&p, 1, 0) == 0)
		st = ST_TIMEOUT;
	if (st != ST_OK)
		return st;
	char c;
	if (s->in_socket)
		return recv(s->in_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0 ? ST_EOF : ST_OK;
	return poll(&p, 1, 0) > 0 && (p.revents & POLLHUP) && !(p.revents & POLLIN) ? ST_EOF : ST_OK;
}

/* Send n bytes, waiting as needed; the first failure sticks. */
static enum status send_all(struct stream *s, const char *p, size_t n)
{
	int64_t deadline = stream_deadline(s->timeout_ms);
	while (n && s->write_error == ST_OK) {
		short want = POLLOUT;
		ssize_t sent = s->layer->write(s, p, n, &want);
		if (sent >= 0) {
			p += sent;
			n -= (size_t)sent;
			s->bytes_out += (uint64_t)sent;
		} else if (errno == EAGAIN) {
			s->write_error = stream_poll(want == POLLIN ? s->in_fd : s->out_fd, want, deadline);
		} else if (errno != EINTR) {
			s->write_error = ST_ERRNO(errno);
		}
	}
	return s->write_error;
}

enum status stream_flush(struct stream *s)
{
	if (s->out_len && s->write_error == ST_OK) {
		uint32_t n = s->out_len;
		s->out_len = 0;
		return send_all(s, s->out, n);
	}
	return s->write_error;
}

static void grow_out(struct stream *s, size_t need)
{
	size_t room = s->out_room ? s->out_room : OUT_FIRST;
	while (room < need)
		room *= 2;
	if (room <= s->out_room)
		return;
	char *p = realloc(s->out, room);
	must(p != NULL);
	s->out = p;
	s->out_room = (uint32_t)room;
}

enum status stream_write(struct stream *s, const void *p, size_t n)
{
	if (s->write_error != ST_OK || n == 0)
		return s->write_error;
	if (s->out_len + n > OUT_BUFFER) {
		enum status st = stream_flush(s);
		if (st != ST_OK)
			return st;
		if (n >= OUT_BUFFER)
			return send_all(s, p, n);
	}
	grow_out(s, s->out_len + n);
	memcpy(s->out + s->out_len, p, n);
	s->out_len += (uint32_t)n;
	return ST_OK;
}

enum status stream_put(struct stream *s, struct str text)
{
	return stream_write(s, text.p, text.len);
}

enum status stream_printf(struct stream *s, const char *fmt, ...)
{
	char small[1024], *text = small;
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(small, sizeof small, fmt, ap);
	va_end(ap);
	must(n >= 0);
	if ((size_t)n >= sizeof small) {
		text = malloc((size_t)n + 1);
		must(text != NULL);
		vsnprintf(text, (size_t)n + 1, fmt, again);
	}
	va_end(again);
	enum status st = stream_write(s, text, (size_t)n);
	if (text != small)
		free(text);
	return st;
}

/* By way of a buffer: where TLS stands on the socket, or the kernel cannot sendfile. */
static enum status copy_file(struct stream *s, int fd, int64_t offset, int64_t n)
{
	char *buf = malloc(OUT_BUFFER * 2);
	must(buf != NULL);
	enum status st = ST_OK;
	while (n > 0 && st == ST_OK) {
		size_t chunk = n < (int64_t)OUT_BUFFER * 2 ? (size_t)n : OUT_BUFFER * 2;
		ssize_t got = pread(fd, buf, chunk, offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			st = got == 0 ? ST_EOF : ST_ERRNO(errno);
			break;
		}
		st = send_all(s, buf, (size_t)got);
		offset += got;
		n -= got;
	}
	free(buf);
	return st;
}

enum status stream_send_file(struct stream *s, int fd, int64_t offset, int64_t n)
{
	enum status st = stream_flush(s);
	if (st != ST_OK)
		return st;
	if (s->layer != &stream_plain || !s->out_socket)
		return copy_file(s, fd, offset, n);
	off_t at = offset;
	while (n > 0) {
		ssize_t sent = sendfile(s->out_fd, fd, &at, n < SEND_CHUNK ? (size_t)n : SEND_CHUNK);
		if (sent > 0) {
			n -= sent;
			s->bytes_out += (uint64_t)sent;
		} else if (sent == 0) {
			return ST_EOF; /* the file is shorter than said: the caller's data is not whole */
		} else if (errno == EAGAIN) {
			st = stream_poll(s->out_fd, POLLOUT, stream_deadline(s->timeout_ms));
			if (st != ST_OK)
				return s->write_error = st;
		} else if (errno == EINVAL || errno == ENOSYS) {
			return copy_file(s, fd, at, n);
		} else if (errno != EINTR) {
			return s->write_error = ST_ERRNO(errno);
		}
	}
	return ST_OK;
}

void stream_shutdown_write(struct stream *s)
{
	if (stream_flush(s) == ST_OK)
		s->layer->farewell(s);
	if (s->out_socket) {
		shutdown(s->out_fd, SHUT_WR);
	} else if (s->out_fd != s->in_fd) {
		close(s->out_fd);
		s->out_fd = s->in_fd;
	}
	if (s->write_error == ST_OK)
		s->write_error = ST_ERRNO(EPIPE);
}

uint64_t stream_bytes_in(const struct stream *s)
{
	return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
	return s->bytes_out;
}

const struct tls_info *stream_tls(const struct stream *s)
{
	return s->tls;
}
