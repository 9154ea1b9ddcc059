/* SPDX-License-Identifier: Apache-2.0
 * A load generator: N sessions at once send M messages of a size to a loopback port, pipelined
 * where the server offers it. Prints one line:
 *   "messages M accepted A deferred D failed F lost L seconds S rate R"
 *
 *   source [-p port] [-s sessions] [-m messages] [-b bytes] [-1] [-f sender] [-t recipient]
 *          [-r recipients] [-i idfile] [-x prefix] [-k]
 *     -1  one message per session     -i  append the id of each message answered 250
 *     -t  recipient; "%d" in it becomes the message's number
 *     -k  go on with a new session when one is lost (the crash tester); else it counts as lost
 * Every message carries X-Bench-Id: PREFIX-NUMBER. Threads: one a session. */
#include "bench.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static struct {
	long port, sessions, messages, bytes, recipients;
	bool one_each, keep_on;
	int id_fd;
	const char *sender, *recipient, *prefix;
	char *body; /* CRLF lines, no dots at line starts */
	atomic_long next, accepted, deferred, failed, lost;
} load = {.port = 25, .sessions = 1, .messages = 100, .bytes = 4096, .recipients = 1, .id_fd = -1,
    .sender = "source@bench.test", .recipient = "sink@bench.test", .prefix = "m"};

struct talk {
	int fd;
	size_t len, at;
	bool pipelining;
	char in[16384];
};

/* The code of the next reply, its last line eaten; -1 when the peer is gone. */
static int reply(struct talk *t)
{
	for (;;) {
		char *from = t->in + t->at, *lf = memchr(from, '\n', t->len - t->at);
		if (lf) {
			size_t n = (size_t)(lf - from);
			t->at += n + 1;
			if (memmem(from, n, "PIPELINING", 10))
				t->pipelining = true;
			if (n >= 4 && from[3] == '-')
				continue;
			return n >= 3 ? (from[0] - '0') * 100 + (from[1] - '0') * 10 + (from[2] - '0') : -1;
		}
		memmove(t->in, from, t->len - t->at);
		t->len -= t->at;
		t->at = 0;
		ssize_t n = t->len < sizeof t->in ? recv(t->fd, t->in + t->len, sizeof t->in - t->len, 0) : -1;
		if (n <= 0)
			return -1;
		t->len += (size_t)n;
	}
}

static bool put(struct talk *t, const char *p, size_t n)
{
	while (n) {
		ssize_t w = send(t->fd, p, n, MSG_NOSIGNAL);
		if (w <= 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static bool begin(struct talk *t)
{
	struct sockaddr_in sa = bench_loopback(load.port);
	struct timeval limit = {.tv_sec = 120};
	t->len = t->at = 0;
	t->pipelining = false;
	t->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (t->fd < 0)
		bench_die("socket");
	if (setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
	    connect(t->fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
		bench_nodelay(t->fd);
		if (reply(t) == 220 && put(t, "EHLO source.bench.test\r\n", 24) && reply(t) == 250)
			return true;
	}
	close(t->fd);
	t->fd = -1;
	return false;
}

static void end(struct talk *t, bool politely)
{
	if (t->fd < 0)
		return;
	if (politely && put(t, "QUIT\r\n", 6))
		(void)reply(t);
	close(t->fd);
	t->fd = -1;
}

static size_t envelope(char *to, size_t room, long number)
{
	size_t n = (size_t)snprintf(to, room, "MAIL FROM:<%s>\r\n", load.sender);
	for (long i = 0; i < load.recipients; i++) {
		const char *mark = strstr(load.recipient, "%d");
		int before = mark ? (int)(mark - load.recipient) : (int)strlen(load.recipient);
		n += (size_t)snprintf(to + n, room - n, "RCPT TO:<%.*s", before, load.recipient);
		if (mark)
			n += (size_t)snprintf(to + n, room - n, "%ld%s", number * load.recipients + i, mark + 2);
		n += (size_t)snprintf(to + n, room - n, ">\r\n");
	}
	return n + (size_t)snprintf(to + n, room - n, "DATA\r\n");
}

/* MAIL to DATA; the worst code that is not 2xx or 354, 354 when data may go, -1 when lost. */
static int open_message(struct talk *t, long number)
{
	static _Thread_local char text[65536];
	size_t n = envelope(text, sizeof text, number);
	int worst = 0, code = 0;
	if (t->pipelining && !put(t, text, n))
		return -1;
	const char *line = text;
	for (long i = 0; i < load.recipients + 2; i++) {
		const char *next = strchr(line, '\n') + 1;
		if (!t->pipelining && !put(t, line, (size_t)(next - line)))
			return -1;
		line = next;
		code = reply(t);
		if (code < 0)
			return -1;
		if (code >= 400 && code > worst)
			worst = code;
	}
	return code == 354 ? 354 : worst;
}

static int send_message(struct talk *t, long number)
{
	int code = open_message(t, number);
	if (code != 354)
		return code;
	char head[1024];
	int n = snprintf(head, sizeof head,
	    "From: <%s>\r\nTo: <%s>\r\nSubject: bench %ld\r\nX-Bench-Id: %s-%ld\r\n\r\n", load.sender,
	    load.recipient, number, load.prefix, number);
	if (n < 0 || (size_t)n >= sizeof head || !put(t, head, (size_t)n) ||
	    !put(t, load.body, strlen(load.body)))
		return -1;
	return reply(t);
}

static void note(long number)
{
	char line[300];
	int n = snprintf(line, sizeof line, "%s-%ld\n", load.prefix, number);
	if (load.id_fd >= 0 && write(load.id_fd, line, (size_t)n) != n)
		bench_die("idfile");
}

/* A server that is down for a moment (the crash tester) is asked again; bounded. */
static bool begin_patiently(struct talk *t)
{
	for (int i = 0; i < (load.keep_on ? 600 : 1); i++) {
		if (begin(t))
			return true;
		if (load.keep_on)
			usleep(50000);
	}
	return false;
}

static void *session(void *arg)
{
	struct talk *t = arg;
	t->fd = -1;
	for (;;) {
		long number = atomic_fetch_add(&load.next, 1);
		if (number >= load.messages)
			break;
		int code = t->fd >= 0 || begin_patiently(t) ? send_message(t, number) : -1;
		if (code >= 200 && code < 300) {
			atomic_fetch_add(&load.accepted, 1);
			note(number);
		} else {
			atomic_fetch_add(code < 0 ? &load.lost : code < 500 ? &load.deferred : &load.failed, 1);
		}
		if (code < 200 || code >= 300 || load.one_each)
			end(t, code > 0);
	}
	end(t, true);
	return NULL;
}

static char *make_body(long bytes)
{
	char *p = malloc((size_t)bytes + 128);
	if (!p)
		bench_die("memory");
	long n = 0;
	while (n < bytes) {
		long line = bytes - n < 76 ? bytes - n : 76;
		for (long i = 0; i < line - 2; i++, n++)
			p[n] = (char)('a' + n % 26);
		p[n++] = '\r';
		p[n++] = '\n';
	}
	memcpy(p + n, ".\r\n", 4);
	return p;
}

static void read_options(int argc, char **argv)
{
	int c;
	while ((c = getopt(argc, argv, "p:s:m:b:1f:t:r:i:x:k")) != -1) {
		switch (c) {
		case 'p': load.port = bench_number(optarg, "-p", 1, 65535); break;
		case 's': load.sessions = bench_number(optarg, "-s", 1, 10000); break;
		case 'm': load.messages = bench_number(optarg, "-m", 1, 1L << 40); break;
		case 'b': load.bytes = bench_number(optarg, "-b", 0, 1L << 28); break;
		case 'r': load.recipients = bench_number(optarg, "-r", 1, 100); break;
		case '1': load.one_each = true; break;
		case 'k': load.keep_on = true; break;
		case 'f': load.sender = optarg; break;
		case 't': load.recipient = optarg; break;
		case 'x': load.prefix = optarg; break;
		case 'i':
			load.id_fd = open(optarg, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
			if (load.id_fd < 0)
				bench_die(optarg);
			break;
		default: exit(2);
		}
	}
	if (strlen(load.sender) > 200 || strlen(load.recipient) > 200 || strlen(load.prefix) > 100) {
		fprintf(stderr, "addresses and prefix: at most 200 and 100 characters\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	load.body = make_body(load.bytes);
	struct talk *talk = calloc((size_t)load.sessions, sizeof *talk);
	pthread_t *thread = calloc((size_t)load.sessions, sizeof *thread);
	struct timespec from, to;
	pthread_attr_t small;
	if (!talk || !thread || pthread_attr_init(&small) || pthread_attr_setstacksize(&small, 262144))
		bench_die("memory");
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (long i = 0; i < load.sessions; i++) {
		if (pthread_create(&thread[i], &small, session, &talk[i]) != 0)
			bench_die("thread");
	}
	for (long i = 0; i < load.sessions; i++)
		pthread_join(thread[i], NULL);
	clock_gettime(CLOCK_MONOTONIC, &to);
	double s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
	long accepted = atomic_load(&load.accepted);
	printf("messages %ld accepted %ld deferred %ld failed %ld lost %ld seconds %.3f rate %.0f\n", load.messages,
	    accepted, atomic_load(&load.deferred), atomic_load(&load.failed), atomic_load(&load.lost), s,
	    s > 0 ? (double)accepted / s : 0);
	free(thread);
	free(talk);
	free(load.body);
	return accepted == load.messages ? 0 : 1;
}
