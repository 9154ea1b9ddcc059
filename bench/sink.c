/* SPDX-License-Identifier: Apache-2.0
 * An SMTP server that takes everything and keeps nothing: the far end of relay benches and of
 * the crash tester. Loopback only. Prints "port N" when it listens; on SIGTERM, SIGINT or after
 * -n messages prints "sessions S messages M recipients R bytes B" and ends.
 *
 *   sink [-p port] [-t threads] [-n messages] [-i idfile] [-c] [-P] [-d microseconds]
 *     -c  offer CHUNKING        -P  do not offer PIPELINING
 *     -i  append the value of each message's X-Bench-Id: header, before the 250 is sent
 *     -d  wait that long before answering the end of data
 *     -r  refuse every recipient whose local part begins with "defer" (451) or "fail" (550)
 *     -m  messages a session before it is closed with 421 (0 = no limit)
 * Each thread has its own SO_REUSEPORT listener and epoll set: nothing is shared but counters. */
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/epoll.h>

enum { IN_MAX = 65536, OUT_MAX = 65536, ID_MAX = 200 };
enum state { COMMANDS, DATA, BDAT, CLOSING };

struct session {
	int fd;
	enum state state;
	size_t in_len, out_len;
	long chunk;       /* octets of the BDAT chunk still to come */
	bool last, in_mail;
	long rcpts, messages;
	char id[ID_MAX];
	char in[IN_MAX], out[OUT_MAX];
};
static struct {
	long port, threads, stop_after, delay_us, per_session;
	bool chunking, no_pipelining, refuse;
	int id_fd, stop_pipe[2];
	atomic_long sessions, messages, recipients, bytes;
} sink = {.threads = 1, .id_fd = -1};

static void say(struct session *s, const char *text)
{
	size_t n = strlen(text);
	if (n > sizeof s->out - s->out_len) {
		s->state = CLOSING; /* a peer that does not read its answers */
		return;
	}
	memcpy(s->out + s->out_len, text, n);
	s->out_len += n;
}

/* The id header, when it stands whole in this piece of data. */
static void find_id(struct session *s, const char *p, size_t n)
{
	static const char key[] = "X-Bench-Id: ";
	const char *at = s->id[0] ? NULL : memmem(p, n, key, sizeof key - 1);
	if (!at)
		return;
	at += sizeof key - 1;
	size_t len = 0;
	while (at + len < p + n && at[len] != '\r' && at[len] != '\n' && len < ID_MAX - 2)
		len++;
	memcpy(s->id, at, len);
	s->id[len] = '\0';
}

static void message_done(struct session *s)
{
	if (sink.id_fd >= 0) {
		size_t n = strlen(s->id);
		s->id[n] = '\n';
		if (write(sink.id_fd, s->id, n + 1) != (ssize_t)n + 1)
			bench_die("idfile");
	}
	s->id[0] = '\0';
	if (sink.delay_us)
		usleep((useconds_t)sink.delay_us);
	say(s, "250 ok\r\n");
	atomic_fetch_add(&sink.recipients, s->rcpts);
	s->rcpts = 0;
	s->in_mail = false;
	long done = atomic_fetch_add(&sink.messages, 1) + 1;
	if (sink.stop_after && done == sink.stop_after && write(sink.stop_pipe[1], "x", 1) != 1)
		bench_die("stop");
	if (sink.per_session && ++s->messages >= sink.per_session) {
		say(s, "421 enough\r\n");
		s->state = CLOSING;
	}
}

static void do_rcpt(struct session *s, const char *line, size_t n)
{
	const char *at = memchr(line, '<', n);
	if (sink.refuse && at && !strncasecmp(at + 1, "defer", 5)) {
		say(s, "451 not now\r\n");
	} else if (sink.refuse && at && !strncasecmp(at + 1, "fail", 4)) {
		say(s, "550 not here\r\n");
	} else {
		s->rcpts++;
		say(s, "250 ok\r\n");
	}
}

static void do_bdat(struct session *s, const char *line, size_t n)
{
	char copy[64] = "";
	memcpy(copy, line, n < sizeof copy - 1 ? n : sizeof copy - 1);
	char *end;
	s->chunk = strtol(copy + 5, &end, 10);
	s->last = strcasestr(end, "LAST") != NULL;
	s->state = s->chunk < 0 ? CLOSING : BDAT;
}

static void command(struct session *s, const char *line, size_t n)
{
	if (n >= 4 && !strncasecmp(line, "EHLO", 4)) {
		say(s, "250-sink\r\n250-SIZE 104857600\r\n250-8BITMIME\r\n");
		if (!sink.no_pipelining)
			say(s, "250-PIPELINING\r\n");
		say(s, sink.chunking ? "250-CHUNKING\r\n250 HELP\r\n" : "250 HELP\r\n");
	} else if (n >= 4 && !strncasecmp(line, "DATA", 4)) {
		say(s, s->rcpts ? "354 go on\r\n" : "503 no recipients\r\n");
		if (s->rcpts)
			s->state = DATA;
	} else if (n >= 5 && !strncasecmp(line, "BDAT ", 5)) {
		do_bdat(s, line, n);
	} else if (n >= 4 && !strncasecmp(line, "QUIT", 4)) {
		say(s, "221 bye\r\n");
		s->state = CLOSING;
	} else if (n >= 5 && !strncasecmp(line, "RCPT ", 5)) {
		do_rcpt(s, line, n);
	} else if (n >= 5 && (!strncasecmp(line, "MAIL ", 5) || !strncasecmp(line, "RSET", 4))) {
		s->rcpts = 0;
		say(s, "250 ok\r\n");
	} else {
		say(s, "250 ok\r\n");
	}
}

/* Each takes what it can from the front of the input; 0 = more bytes are needed. */
static size_t take_line(struct session *s, const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);
	if (!lf) {
		if (n == IN_MAX)
			s->state = CLOSING;
		return 0;
	}
	command(s, p, (size_t)(lf - p));
	return (size_t)(lf - p) + 1;
}

static size_t take_data(struct session *s, const char *p, size_t n)
{
	find_id(s, p, n);
	if (!s->in_mail && n >= 3 && !memcmp(p, ".\r\n", 3)) {
		s->state = COMMANDS;
		message_done(s);
		return 3;
	}
	const char *end = memmem(p, n, "\r\n.\r\n", 5);
	if (end) {
		s->state = COMMANDS;
		atomic_fetch_add(&sink.bytes, end - p + 2);
		message_done(s);
		return (size_t)(end - p) + 5;
	}
	s->in_mail = true;
	if (n <= 4)
		return 0;
	atomic_fetch_add(&sink.bytes, (long)n - 4);
	return n - 4; /* the marker may be cut in two */
}

static size_t take_chunk(struct session *s, const char *p, size_t n)
{
	size_t take = (size_t)s->chunk < n ? (size_t)s->chunk : n;
	find_id(s, p, take);
	atomic_fetch_add(&sink.bytes, (long)take);
	s->chunk -= (long)take;
	if (s->chunk == 0) {
		s->state = COMMANDS;
		if (s->last)
			message_done(s);
		else
			say(s, "250 chunk\r\n");
	}
	return take;
}

static void work(struct session *s)
{
	size_t at = 0;
	while (s->state != CLOSING && (at < s->in_len || (s->state == BDAT && s->chunk == 0))) {
		enum state before = s->state;
		size_t n = s->in_len - at, took;
		if (before == COMMANDS)
			took = take_line(s, s->in + at, n);
		else if (before == DATA)
			took = take_data(s, s->in + at, n);
		else
			took = take_chunk(s, s->in + at, n);
		if (took == 0 && s->state == before)
			break;
		at += took;
	}
	memmove(s->in, s->in + at, s->in_len - at);
	s->in_len -= at;
}

/* False when the session is over. */
static bool serve(struct session *s)
{
	ssize_t n = recv(s->fd, s->in + s->in_len, sizeof s->in - s->in_len, MSG_DONTWAIT);
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	s->in_len += (size_t)n;
	work(s);
	size_t at = 0;
	while (at < s->out_len) { /* answers are short: a blocking send is honest enough */
		ssize_t w = send(s->fd, s->out + at, s->out_len - at, MSG_NOSIGNAL);
		if (w <= 0)
			return false;
		at += (size_t)w;
	}
	s->out_len = 0;
	return s->state != CLOSING;
}

static void welcome(int ep, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return;
	bench_nodelay(fd);
	struct session *s = calloc(1, sizeof *s);
	if (!s)
		bench_die("memory");
	s->fd = fd;
	atomic_fetch_add(&sink.sessions, 1);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = s};
	static const char banner[] = "220 sink ESMTP\r\n";
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0 ||
	    send(fd, banner, sizeof banner - 1, MSG_NOSIGNAL) < 0) {
		close(fd);
		free(s);
	}
}

static int listen_here(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;
	struct sockaddr_in sa = bench_loopback(sink.port);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0 || listen(fd, 1024) < 0)
		bench_die("listen");
	socklen_t n = sizeof sa;
	if (getsockname(fd, (struct sockaddr *)&sa, &n) < 0)
		bench_die("getsockname");
	sink.port = ntohs(sa.sin_port);
	return fd;
}

static void *thread_main(void *arg)
{
	int listener = *(int *)arg, ep = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL}, got[64];
	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev) < 0)
		bench_die("epoll");
	for (;;) {
		int n = epoll_wait(ep, got, 64, -1);
		for (int i = 0; i < n; i++) {
			struct session *s = got[i].data.ptr;
			if (!s) {
				welcome(ep, listener);
			} else if (!serve(s)) {
				close(s->fd);
				free(s);
			}
		}
	}
	return NULL;
}

static void on_signal(int sig)
{
	(void)sig;
	ssize_t n = write(sink.stop_pipe[1], "x", 1);
	(void)n;
}

static void read_options(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "p:t:n:i:cPd:rm:")) != -1) {
		switch (c) {
		case 'p': sink.port = bench_number(optarg, "-p", 0, 65535); break;
		case 't': sink.threads = bench_number(optarg, "-t", 1, 64); break;
		case 'n': sink.stop_after = bench_number(optarg, "-n", 1, 1L << 40); break;
		case 'd': sink.delay_us = bench_number(optarg, "-d", 0, 10000000); break;
		case 'm': sink.per_session = bench_number(optarg, "-m", 0, 1L << 40); break;
		case 'c': sink.chunking = true; break;
		case 'P': sink.no_pipelining = true; break;
		case 'r': sink.refuse = true; break;
		case 'i':
			sink.id_fd = open(optarg, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
			if (sink.id_fd < 0)
				bench_die(optarg);
			break;
		default: exit(2);
		}
	}
}

int main(int argc, char **argv)
{
	static int listener[64];
	read_options(argc, argv);
	if (pipe(sink.stop_pipe) < 0)
		bench_die("pipe");
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	for (long i = 0; i < sink.threads; i++)
		listener[i] = listen_here();
	for (long i = 0; i < sink.threads; i++) {
		pthread_t t;
		if (pthread_create(&t, NULL, thread_main, &listener[i]) != 0)
			bench_die("thread");
	}
	printf("port %ld\n", sink.port);
	fflush(stdout);
	char c;
	while (read(sink.stop_pipe[0], &c, 1) < 0 && errno == EINTR)
		continue;
	printf("sessions %ld messages %ld recipients %ld bytes %ld\n", atomic_load(&sink.sessions),
	    atomic_load(&sink.messages), atomic_load(&sink.recipients), atomic_load(&sink.bytes));
	return 0;
}
