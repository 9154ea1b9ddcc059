/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/stream.h"

static int far; /* the other end */

static struct stream *open_pair(void)
{
	int fd[2];
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	far = fd[1];
	struct stream *s = stream_new(fd[0], fd[0]);
	stream_set_timeout(s, 5000);
	return s;
}

static void say(const char *text)
{
	check_int(write(far, text, strlen(text)), (long long)strlen(text));
}

static void lines_and_how_they_end(void)
{
	struct stream *s = open_pair();
	struct str l;
	enum line_end end;
	say("EHLO a\r\nbare\nwith\rcr\r\n\r\nlast");
	close(far);
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_str(l, "EHLO a");
	check_int(end, LINE_CRLF);
	check(l.taint);
	check(stream_pending(s, false));
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_str(l, "bare");
	check_int(end, LINE_LF);
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_str(l, "with\rcr");
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_str(l, "");
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_str(l, "last");
	check_int(end, LINE_EOF);
	check_int(stream_read_line(s, 100, &l, &end), ST_EOF);
	check_int((long long)stream_bytes_in(s), 28);
	stream_close(s);
}

static void filling_never_waits(void)
{
	struct stream *s = open_pair();
	struct str got;
	check_int(stream_fill(s), ST_ERRNO(EAGAIN));
	say("MAIL FR");
	check_int(stream_fill(s), ST_OK);
	check_int(stream_fill(s), ST_ERRNO(EAGAIN));
	say("OM:<>\r\n");
	check_int(stream_fill(s), ST_OK);
	check_int(stream_peek(s, &got), ST_OK);
	check_str(got, "MAIL FROM:<>\r\n");
	close(far);
	check_int(stream_fill(s), ST_EOF);
	stream_close(s);
}

static void long_lines_are_refused_whole(void)
{
	struct stream *s = open_pair();
	struct str l;
	enum line_end end;
	say("12345678\r\n123456789\r\n12345678\n");
	check_int(stream_read_line(s, 8, &l, &end), ST_OK);
	check_str(l, "12345678");
	check_int(stream_read_line(s, 8, &l, &end), ST_LIMIT);
	check_int(stream_read_line(s, 8, &l, &end), ST_OK);
	check_int(end, LINE_LF);
	char big[2000];
	memset(big, 'x', sizeof big);
	for (int i = 0; i < 30; i++)
		check_int(write(far, big, sizeof big), sizeof big);
	say("\nafter\r\n");
	check_int(stream_read_line(s, 1000, &l, &end), ST_LIMIT);
	check_int(stream_read_line(s, 1000, &l, &end), ST_OK);
	check_str(l, "after");
	for (int i = 0; i < 30; i++)
		check_int(write(far, big, sizeof big), sizeof big);
	check_int(stream_read_line(s, 100, &l, &end), ST_EOF); /* past 64 times the limit: no peace */
	close(far);
	stream_close(s);
}

static void a_line_may_be_longer_than_the_buffer(void)
{
	struct stream *s = open_pair();
	struct str l;
	enum line_end end;
	char *big = malloc(60000);
	memset(big, 'y', 60000);
	check_int(write(far, big, 60000), 60000);
	say("\r\nnext\r\n");
	check_int(stream_read_line(s, 60000, &l, &end), ST_OK);
	check_int(l.len, 60000);
	check_int(stream_read_line(s, 10, &l, &end), ST_OK);
	check_str(l, "next");
	free(big);
	close(far);
	stream_close(s);
}

static void reading_times_out(void)
{
	struct stream *s = open_pair();
	struct str l;
	enum line_end end;
	stream_set_timeout(s, 20);
	say("half");
	check_int(stream_read_line(s, 100, &l, &end), ST_TIMEOUT);
	say(" a line\r\n");
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_str(l, "half a line");
	check_int(stream_wait(s, 10), ST_TIMEOUT);
	check_int(stream_wait(s, 0), ST_TIMEOUT);
	check(!stream_pending(s, true));
	say("x");
	check(!stream_pending(s, false));
	check(stream_pending(s, true));
	check_int(stream_wait(s, 10), ST_OK);
	char c;
	check_int(stream_read(s, &c, 1), ST_OK);
	close(far);
	check(!stream_pending(s, true));
	check_int(stream_wait(s, 1000), ST_EOF);
	stream_close(s);
}

static void peek_consume_and_exact_reads(void)
{
	struct stream *s = open_pair();
	struct str got;
	char buf[8] = "";
	say("abcdef");
	check_int(stream_peek(s, &got), ST_OK);
	check_str(got, "abcdef");
	stream_consume(s, 2);
	check_int(stream_read(s, buf, 3), ST_OK);
	check(memcmp(buf, "cde", 3) == 0);
	say("gh");
	check_int(stream_read(s, buf, 3), ST_OK);
	check(memcmp(buf, "fgh", 3) == 0);
	say("z");
	close(far);
	check_int(stream_read(s, buf, 2), ST_EOF);
	stream_close(s);
}

static void an_idle_stream_is_small(void)
{
	struct stream *s = open_pair();
	struct str l;
	enum line_end end;
	say("NOOP\r\n");
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_int(stream_put(s, STR("250 OK\r\n")), ST_OK);
	check_int(stream_flush(s), ST_OK);
	check(stream_footprint(s) > 16384);
	stream_park(s);
	check(stream_footprint(s) < 1024);
	say("a\r\nb\r\n");
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	stream_park(s); /* b stays */
	check_int(stream_read_line(s, 100, &l, &end), ST_OK);
	check_str(l, "b");
	close(far);
	stream_close(s);
}

static void a_failed_write_sticks(void)
{
	struct stream *s = open_pair();
	close(far);
	check_int(stream_printf(s, "%d\r\n", 1), ST_OK);
	check_int(stream_flush(s), ST_ERRNO(EPIPE));
	check_int(stream_put(s, STR("more")), ST_ERRNO(EPIPE));
	check_int(stream_flush(s), ST_ERRNO(EPIPE));
	stream_close(s);
}

static void writing_times_out(void)
{
	struct stream *s = open_pair();
	stream_set_timeout(s, 20);
	char *big = calloc(1, 4 << 20);
	check_int(stream_write(s, big, 4 << 20), ST_TIMEOUT);
	free(big);
	close(far);
	stream_drop(s);
}

static void *drain(void *arg)
{
	size_t *total = arg;
	char buf[8192];
	for (ssize_t n; (n = read(far, buf, sizeof buf)) > 0;)
		*total += (size_t)n;
	return NULL;
}

static void files_are_sent_from_where_asked(void)
{
	struct stream *s = open_pair();
	FILE *f = tmpfile();
	char *big = malloc(300000);
	memset(big, 'q', 300000);
	check_int((long long)fwrite(big, 1, 300000, f), 300000);
	fflush(f);
	free(big);
	size_t total = 0;
	pthread_t t;
	check_int(pthread_create(&t, NULL, drain, &total), 0);
	check_int(stream_put(s, STR("head")), ST_OK);
	check_int(stream_send_file(s, fileno(f), 100, 299900), ST_OK);
	check_int(stream_send_file(s, fileno(f), 299999, 2), ST_EOF);
	stream_shutdown_write(s);
	pthread_join(t, NULL);
	check_int((long long)total, 4 + 299900 + 1);
	check_int((long long)stream_bytes_out(s), 4 + 299900 + 1);
	fclose(f);
	close(far);
	stream_close(s);
}

static void pipes_serve_as_well(void)
{
	int in[2], out[2];
	check_int(pipe(in), 0);
	check_int(pipe(out), 0);
	struct stream *s = stream_new(in[0], out[1]);
	stream_set_timeout(s, 2000);
	struct str l;
	enum line_end end;
	check_int(write(in[1], "hi\n", 3), 3);
	check_int(stream_read_line(s, 10, &l, &end), ST_OK);
	check_str(l, "hi");
	check_int(stream_wait(s, 10), ST_TIMEOUT);
	close(in[1]);
	check_int(stream_wait(s, 1000), ST_EOF);
	check_int(stream_put(s, STR("out")), ST_OK);
	stream_shutdown_write(s);
	char buf[10];
	check_int(read(out[0], buf, 10), 3);
	check_int(read(out[0], buf, 10), 0);
	close(out[0]);
	stream_close(s);
}

static void connecting_and_listening(void)
{
	struct ip_addr lo;
	struct why why = {0};
	int fd = -1;
	check(ip_parse(STR("127.0.0.1"), &lo));
	check_int(net_listen(&lo, 0, 5, false, &fd, &why), ST_OK);
	struct sockaddr_in sa;
	socklen_t n = sizeof sa;
	check_int(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	int port = ntohs(sa.sin_port);
	struct connect_opts o = {.timeout_ms = 5000, .keepalive = true, .nodelay = true, .dscp = -1, .from = lo};
	struct stream *s = NULL;
	check_int(net_connect(&lo, port, &o, &s, &why), ST_OK);
	check(s != NULL);
	stream_close(s);
	close(fd);
	s = NULL;
	check_int(net_connect(&lo, port, &o, &s, &why), ST_ERRNO(ECONNREFUSED));
	check(s == NULL);
	check(strstr(why.text, "Connection refused") != NULL);
	check_int(why.errnum, ECONNREFUSED);
	check(why.temporary);
}

static void unix_sockets_replace_a_leftover_only(void)
{
	char dir[] = "/tmp/eximius-net-XXXXXX", path[64];
	check(mkdtemp(dir) != NULL);
	snprintf(path, sizeof path, "%s/s", dir);
	struct why why = {0};
	struct stream *s = NULL;
	int fd = -1, again = -1;
	check_int(net_listen_unix(path, 0600, 5, &fd, &why), ST_OK);
	check_int(net_connect_unix(path, 1000, &s, &why), ST_OK);
	stream_close(s);
	check_int(net_listen_unix(path, 0600, 5, &again, &why), ST_ERRNO(EADDRINUSE));
	close(fd);
	check_int(net_connect_unix(path, 1000, &s, &why), ST_ERRNO(ECONNREFUSED));
	check_int(net_listen_unix(path, 0600, 5, &fd, &why), ST_OK);
	close(fd);
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	static const struct test_row rows[] = {{"lines and how they end", lines_and_how_they_end},
		{"filling never waits", filling_never_waits},
		{"long lines are refused whole", long_lines_are_refused_whole},
		{"a line may be longer than the buffer", a_line_may_be_longer_than_the_buffer},
		{"reading times out", reading_times_out}, {"peek, consume and exact reads", peek_consume_and_exact_reads},
		{"an idle stream is small", an_idle_stream_is_small}, {"a failed write sticks", a_failed_write_sticks},
		{"writing times out", writing_times_out}, {"files are sent from where asked", files_are_sent_from_where_asked},
		{"pipes serve as well", pipes_serve_as_well}, {"connecting and listening", connecting_and_listening},
		{"unix sockets replace a leftover only", unix_sockets_replace_a_leftover_only}};
	signal(SIGPIPE, SIG_IGN);
	return test_main(rows, countof(rows));
}
