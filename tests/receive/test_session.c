/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/schema.h"
#include "receive/receive.h"

static const char text[] =
	"primary_hostname = mail.test.ex\nspool_directory = /nonexistent\ntls_advertise_hosts =\nkeep_environment =\n"
	"acl_smtp_connect = c\nacl_smtp_mail = a\nacl_smtp_rcpt = a\n"
	"begin acl\nc:\n  accept set acl_c0 = $sender_host_address\na:\n  deny senders = bad@x.test\n message = no\n  accept set acl_c0 = $sender_host_address\n";

struct world {
	struct env env;
	struct config_schema schema;
	struct config *cfg;
};

static void open_world(struct world *w)
{
	struct why why = {0};
	struct config_source src = {.exim_uid = -1, .exim_gid = -1};
	test_env(&w->env);
	eximius_schema(&w->schema);
	w->cfg = config_parse(&w->schema, &w->env, str_c(text), STR("test"), &src, &why);
	if (!w->cfg)
		fprintf(stderr, "%s\n", why.text);
	must(w->cfg != NULL);
}

static void close_world(struct world *w)
{
	config_unref(w->cfg);
	test_env_done(&w->env);
}

struct client {
	struct receive_session *rs;
	struct stream *stream;
	int far;
	char got[4096];
};

static void connect_client(struct world *w, struct client *c)
{
	int fd[2];
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	c->far = fd[1];
	c->stream = stream_new(fd[0], fd[0]);
	struct receive_opts o = {.config = w->cfg, .env = &w->env, .sender_host_address = STR("192.0.2.7"), .sender_host_port = 4711,
		.interface_address = STR("192.0.2.1"), .interface_port = 25, .connections = 1, .connections_from_host = 1};
	c->rs = receive_session_new(c->stream, &o);
}

static const char *hear(struct client *c)
{
	size_t len = 0;
	struct pollfd p = {.fd = c->far, .events = POLLIN};
	while (len < sizeof c->got - 1 && poll(&p, 1, 0) > 0) {
		ssize_t n = read(c->far, c->got + len, sizeof c->got - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	c->got[len] = '\0';
	return c->got;
}

static enum smtp_run say(struct client *c, const char *line)
{
	check_int(write(c->far, line, strlen(line)), (long long)strlen(line));
	return receive_session_resume(c->rs, false);
}

static void drop(struct client *c)
{
	receive_session_free(c->rs);
	stream_drop(c->stream);
	close(c->far);
}

static void a_conversation_up_to_the_data(void)
{
	struct world w;
	struct client c;
	open_world(&w);
	connect_client(&w, &c);
	check_int(receive_session_start(c.rs), SMTP_PARK);
	check(strncmp(hear(&c), "220 mail.test.ex ESMTP ", 23) == 0);
	check_int(say(&c, "EHLO client.test\r\n"), SMTP_PARK);
	check(strstr(hear(&c), "250-mail.test.ex Hello client.test [192.0.2.7]\r\n") != NULL);
	check_int(say(&c, "MAIL FROM:<bad@x.test>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n"), SMTP_PARK);
	check_str(str_c(hear(&c)),
	    "550 no\r\n503 sender not yet given\r\n503-All RCPT commands were rejected with this error:\r\n503-503 sender not yet given\r\n"
	    "503 valid RCPT command must precede DATA\r\n");
	check_int(say(&c, "MAIL FROM:<good@x.test> SIZE=99999999\r\nRSET\r\nMAIL FROM:<good@x.test>\r\nRCPT TO:<a@b.c>\r\n"), SMTP_PARK);
	check_str(str_c(hear(&c)), "552 Message size exceeds maximum permitted\r\n250 Reset OK\r\n250 OK\r\n250 Accepted\r\n");
	check_int(say(&c, "QUIT\r\n"), SMTP_DONE);
	check_str(str_c(hear(&c)), "221 mail.test.ex closing connection\r\n");
	drop(&c);
	close_world(&w);
}

/* What waits for a command costs little: stream, policy, arenas, all of it. */
static void an_idle_session_is_small(void)
{
	enum { SESSIONS = 100 };
	struct world w;
	static struct client c[SESSIONS];
	open_world(&w);
	connect_client(&w, &c[0]); /* what is made once is made now */
	check_int(receive_session_start(c[0].rs), SMTP_PARK);
	check_int(say(&c[0], "EHLO client.test\r\n"), SMTP_PARK);
	drop(&c[0]);
	size_t before = mallinfo2().uordblks, told = 0;
	for (int i = 0; i < SESSIONS; i++) {
		connect_client(&w, &c[i]);
		check_int(receive_session_start(c[i].rs), SMTP_PARK);
		check_int(say(&c[i], "EHLO client.test\r\n"), SMTP_PARK);
		check_int(say(&c[i], "MAIL FROM:<good@x.test>\r\nRSET\r\n"), SMTP_PARK);
		told += receive_session_footprint(c[i].rs);
	}
	size_t each = (mallinfo2().uordblks - before) / SESSIONS;
	printf("an idle session: %zu bytes (told %zu)\n", each, told / SESSIONS);
	check(each < 12000);
	check(told / SESSIONS < 12000);
	for (int i = 0; i < SESSIONS; i++)
		drop(&c[i]);
	close_world(&w);
}

static void one_that_waits_too_long(void)
{
	struct world w;
	struct client c;
	open_world(&w);
	connect_client(&w, &c);
	check_int(receive_session_start(c.rs), SMTP_PARK);
	check_int(receive_session_park_ms(c.rs), 300000);
	(void)hear(&c);
	check_int(receive_session_resume(c.rs, true), SMTP_DONE);
	check_str(str_c(hear(&c)), "421 mail.test.ex: SMTP command timeout - closing connection\r\n");
	drop(&c);
	connect_client(&w, &c);
	check_int(receive_session_start(c.rs), SMTP_PARK);
	(void)hear(&c);
	receive_session_shutdown(c.rs);
	check_str(str_c(hear(&c)), "421 mail.test.ex: SMTP service not available - shutting down\r\n");
	drop(&c);
	close_world(&w);
}

TEST_MAIN({"a conversation up to the data", a_conversation_up_to_the_data}, {"an idle session is small", an_idle_session_is_small},
    {"one that waits too long", one_that_waits_too_long})
