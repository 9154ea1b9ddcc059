/* SPDX-License-Identifier: Apache-2.0 */
#include "smtp/client.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "test.h"

static struct arena *a;
static int far;
static struct smtp_client client;

static void open_pair(void)
{
	int fd[2];
	a = arena_new("test", 1 << 26, 0, 0);
	check_int(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	far = fd[1];
	smtp_client_init(&client, stream_new(fd[0], fd[0]), a, false);
	client.command_timeout_ms = 3000;
}

static void close_pair(void)
{
	stream_drop(client.stream);
	close(far);
	arena_free(a);
}

static void say(const char *text)
{
	check_int(write(far, text, strlen(text)), (long long)strlen(text));
}

static void replies_of_several_lines(void)
{
	open_pair();
	say("250-one\r\n250-two\r\n250 three\r\n550 no\r\n354\r\n");
	struct smtp_reply r = smtp_client_reply(&client);
	check_int(r.code, 250);
	check_str(r.text, "250-one\n250-two\n250 three");
	check_str(r.first_line, "250-one");
	check_int(smtp_client_reply(&client).code, 550);
	r = smtp_client_reply(&client);
	check_int(r.code, 354);
	check_str(r.text, "354");
	close_pair();
}

static void what_is_no_reply(void)
{
	static const struct {
		const char *text;
		enum status st;
	} cases[] = {{"hello\r\n", ST_MALFORMED}, {"\r\n", ST_MALFORMED}, {"25\r\n", ST_MALFORMED}, {"650 x\r\n", ST_MALFORMED},
	    {"250-a\r\n251 b\r\n", ST_MALFORMED}, {"250x\r\n", ST_MALFORMED}, {"1000 x\r\n", ST_MALFORMED}};
	for (size_t i = 0; i < countof(cases); i++) {
		open_pair();
		say(cases[i].text);
		struct smtp_reply r = smtp_client_reply(&client);
		check_int(r.code, 0);
		check_int(r.st, cases[i].st);
		close_pair();
	}
	open_pair();
	say("250-a\r\n");
	shutdown(far, SHUT_WR);
	struct smtp_reply r = smtp_client_reply(&client);
	check_int(r.code, 0);
	check_int(r.st, ST_EOF);
	close_pair();
}

static void replies_are_bounded(void)
{
	static char line[LIMIT_SMTP_REPLY_LINE + 100];
	open_pair();
	memset(line, 'x', sizeof line - 1);
	say("250 ");
	say(line);
	say("\r\n");
	check_int(smtp_client_reply(&client).st, ST_LIMIT);
	close_pair();
	open_pair();
	/* One write: many small ones would fill the socket before anybody reads. */
	static char all[80000];
	size_t n = 0;
	for (int i = 0; i < 70; i++)
		n += (size_t)snprintf(all + n, sizeof all - n, "250-%.1000s\r\n", line);
	(void)snprintf(all + n, sizeof all - n, "250 end\r\n");
	say(all);
	enum status st = smtp_client_reply(&client).st;
	check_int(st, ST_LIMIT);
	close_pair();
}

static void a_silent_server_times_out(void)
{
	open_pair();
	client.command_timeout_ms = 30;
	check_int(smtp_client_cmd(&client, "NOOP").st, ST_TIMEOUT);
	close_pair();
}

static void commands_hold_no_line_ends(void)
{
	char buf[100];
	open_pair();
	check_int(smtp_client_put(&client, "RCPT TO:<%s>", "a\r\nDATA"), ST_MALFORMED);
	check_int(smtp_client_put(&client, "RCPT TO:<%s>", "a\nb"), ST_MALFORMED);
	check_int(client.outstanding, 0);
	check_int(smtp_client_put(&client, "MAIL FROM:<>"), ST_OK);
	check_int(smtp_client_put(&client, "RCPT TO:<a@b>"), ST_OK);
	check_int(client.outstanding, 2);
	check_int(smtp_client_flush(&client), ST_OK);
	check_int(read(far, buf, sizeof buf), 29);
	check(memcmp(buf, "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\n", 29) == 0);
	close_pair();
}

static void what_ehlo_tells(void)
{
	struct smtp_caps c;
	a = arena_new("test", 1 << 20, 0, 0);
	smtp_caps_parse(a, STR("250-there PIPELINING\n250-SIZE 5000\n250-8bitmime\n250-AUTH plain LOGIN\n250-AUTH=CRAM-MD5\n"
	                       "250-LIMITS MAILMAX=5 RCPTMAX=x RCPTDOMAINMAX=1 OTHER=3\n250-DSN extra\n250 X-UNKNOWN"), &c);
	check_int(c.ext, SMTP_EXT_SIZE | SMTP_EXT_8BITMIME | SMTP_EXT_AUTH | SMTP_EXT_LIMITS | SMTP_EXT_DSN);
	check_int(c.size, 5000);
	check_str(c.auth, "PLAIN LOGIN CRAM-MD5");
	check_int(c.mailmax, 5);
	check_int(c.rcptmax, 0);
	check_int(c.rcptdomainmax, 1);
	arena_free(a);
}

static void an_old_server_gets_helo(void)
{
	char buf[100];
	open_pair();
	say("502 what\r\n250 old\r\n");
	struct smtp_reply r = smtp_client_hello(&client, STR("me.test"));
	check_int(r.code, 250);
	check(!client.esmtp);
	check_int(client.caps.ext, 0);
	check_int(read(far, buf, sizeof buf), 28);
	check(memcmp(buf, "EHLO me.test\r\nHELO me.test\r\n", 28) == 0);
	close_pair();
}

/* Every vector of the smuggling rules' client side, whole and cut into single bytes. */
static void nothing_in_a_body_can_end_it(void)
{
	static const struct {
		const char *in;
		size_t n;
		const char *out;
	} cases[] = {
#define CASE(i, o) {i, sizeof(i) - 1, o}
	    CASE("a\n.\nb\n", "a\r\n..\r\nb\r\n.\r\n"), CASE("a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"),
	    CASE("a\n.\rb\n", "a\r\n.. b\r\n.\r\n"), CASE("a\r.\nb\n", "a .\r\nb\r\n.\r\n"), CASE("a\r.\rb\n", "a . b\r\n.\r\n"),
	    CASE("a\n.\r\nb\n", "a\r\n..\r\nb\r\n.\r\n"), CASE("a\r.\r\nb\n", "a .\r\nb\r\n.\r\n"),
	    CASE("a\r\n\0.\r\nb\n", "a\r\n .\r\nb\r\n.\r\n"), CASE("a\r\n.\r\r\nb\n", "a\r\n.. \r\nb\r\n.\r\n"),
	    CASE("a\r\r\n.\r\r\nb\n", "a \r\n.. \r\nb\r\n.\r\n"), CASE("", ".\r\n"), CASE(".", "..\r\n.\r\n"), CASE("x", "x\r\n.\r\n"),
	    CASE("x\r", "x \r\n.\r\n"), CASE("\r", " \r\n.\r\n"), CASE("\n", "\r\n.\r\n"), CASE("..\n", "...\r\n.\r\n"),
#undef CASE
	};
	a = arena_new("test", 1 << 20, 0, 0);
	for (size_t i = 0; i < countof(cases); i++) {
		for (size_t piece = 1; piece <= cases[i].n + 1; piece++) {
			struct strbuf sb;
			sb_init(&sb, a, 1000);
			struct smtp_body b = {.memory = &sb, .dots = true, .at_line_start = true};
			for (size_t at = 0; at < cases[i].n; at += piece)
				check_int(smtp_body_write(&b, cases[i].in + at, cases[i].n - at < piece ? cases[i].n - at : piece), ST_OK);
			check_int(smtp_body_end(&b), ST_OK);
			check_str(sb_str(&sb), cases[i].out);
			check_int(b.bytes, (long long)strlen(cases[i].out) - 3);
		}
	}
	arena_free(a);
}

TEST_MAIN({"replies of several lines", replies_of_several_lines}, {"what is no reply", what_is_no_reply},
    {"replies are bounded", replies_are_bounded}, {"a silent server times out", a_silent_server_times_out},
    {"commands hold no line ends", commands_hold_no_line_ends}, {"what EHLO tells", what_ehlo_tells},
    {"an old server gets HELO", an_old_server_gets_helo}, {"nothing in a body can end it", nothing_in_a_body_can_end_it})
