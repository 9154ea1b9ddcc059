/* SPDX-License-Identifier: Apache-2.0
 * Callouts against a server that answers from a script: the conversation, the verdict, what is
 * told, and what the next one knows without asking. Words as exim4 -bhc has them. */
#include "acl/fixture.h"
#include "message/address.h"
#include "net/stream.h"
#include "verify/verify.h"
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

static int server_port;

struct address *address_new(struct arena *a, struct str text, int recipient)
{
	struct address *ad = arena_new_of(a, struct address);
	struct addr_parts p = addr_split(text);

	ad->address = text;
	ad->recipient = recipient;
	ad->view.local_part = p.local_part;
	ad->view.domain = p.domain;
	return ad;
}

enum route_verdict route_address(struct route_job *job, struct address *ad)
{
	ad->hosts = arena_new_of(job->arena, struct route_host);
	*ad->hosts = (struct route_host){.name = STR("far.ex"), .address = STR("127.0.0.1"), .port = server_port, .mx = -1};
	return ROUTE_ACCEPT;
}

enum host_lookup host_find(struct route_job *job, struct str name, const struct host_find_opts *o, struct route_host **ret, struct str *ret_fqdn, struct why *why)
{
	(void)job, (void)name, (void)o, (void)ret, (void)ret_fqdn, (void)why;
	return HOST_NOT_FOUND;
}

/* Replies in order, "|" between them; "-" closes. The commands heard are kept. */
struct server {
	int fd;
	const char *replies;
	char heard[1024];
};

static void *serve(void *arg)
{
	struct server *s = arg;
	struct str rest = str_c(s->replies);
	char line[512];
	int fd = accept(s->fd, NULL, NULL);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r+");

	while (f && str_is_set(rest)) {
		struct str r = str_cut(rest, '|', &rest);
		if (str_eqc(r, "-"))
			break;
		fprintf(f, "%.*s\r\n", STR_ARG(r));
		fflush(f);
		if (!fgets(line, sizeof line, f))
			break;
		line[strcspn(line, "\r\n")] = 0;
		size_t n = strlen(s->heard);
		snprintf(s->heard + n, sizeof s->heard - n, "%s|", line);
	}
	if (f)
		fclose(f);
	return NULL;
}

static int listen_any(void)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (bind(fd, (struct sockaddr *)&sin, sizeof sin) < 0 || listen(fd, 4) < 0 || getsockname(fd, (struct sockaddr *)&sin, &len) < 0)
		return -1;
	server_port = ntohs(sin.sin_port);
	return fd;
}

#define NOTHING "" /* no connection may be made */
static const struct {
	const char *address;
	unsigned flags;
	const char *replies, *heard;
	enum verify_result want;
	const char *kind, *user, *log;
} cases[] = {
	{"ok@d1.ex", VERIFY_SENDER, "220 hi|250 ok|250 ok|250 ok|221 bye", "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<ok@d1.ex>|QUIT|", VERIFY_OK, NULL, NULL, NULL},
	{"ok@d1.ex", VERIFY_SENDER, NOTHING, "", VERIFY_OK, NULL, NULL, NULL},
	{"no@d1.ex", VERIFY_SENDER, "220 hi|250 ok|250 ok|550-no\r\n550 such|221 bye", "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<no@d1.ex>|QUIT|", VERIFY_FAIL, "recipient",
	    "Called:   127.0.0.1\nSent:     RCPT TO:<no@d1.ex>\nResponse: 550-no\n550 such",
	    "far.ex [127.0.0.1] : SMTP error from remote mail server after RCPT TO:<no@d1.ex>: 550-no\n550 such"},
	{"no@d1.ex", VERIFY_SENDER, NOTHING, "", VERIFY_FAIL, "recipient", "Previous (cached) callout verification failure", NULL},
	{"no@d1.ex", VERIFY_SENDER | VERIFY_NO_CACHE, "220 hi|250 ok|250 ok|250 ok|221 bye", "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<no@d1.ex>|QUIT|", VERIFY_OK, NULL, NULL, NULL},
	{"r@d2.ex", 0, "220 hi|250 ok|550 nomail|221 bye", "EHLO mail.ex|MAIL FROM:<>|QUIT|", VERIFY_FAIL, "mail", "Callout verification failed:\n550 nomail",
	    "far.ex [127.0.0.1] : response to \"MAIL FROM:<>\" was: 550 nomail"},
	{"other@d2.ex", 0, NOTHING, "", VERIFY_FAIL, "mail", "(result of an earlier callout reused).", NULL},
	{"r@d2.ex", VERIFY_USE_SENDER, "220 hi|250 ok|250 ok|250 ok|221 bye", "EHLO mail.ex|MAIL FROM:<s@s.ex>|RCPT TO:<r@d2.ex>|QUIT|", VERIFY_OK, NULL, NULL, NULL},
	{"l@d3.ex", 0, "220 hi|250 ok|250 ok|451 later|221 bye", "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<l@d3.ex>|QUIT|", VERIFY_DEFER, NULL, "Could not complete recipient verify callout",
	    "Could not complete recipient verify callout: far.ex [127.0.0.1] : SMTP error from remote mail server after RCPT TO:<l@d3.ex>: 451 later"},
	{"l@d3.ex", VERIFY_CALLOUT_DEFER_OK, "421 busy", "", VERIFY_OK, NULL, NULL, NULL},
	{"h@d4.ex", VERIFY_SENDER, "220 hi|502 what|250 old|250 ok|250 ok|221 bye", "EHLO mail.ex|HELO mail.ex|MAIL FROM:<>|RCPT TO:<h@d4.ex>|QUIT|", VERIFY_OK, NULL, NULL, NULL},
	{"p@d5.ex", VERIFY_SENDER | VERIFY_POSTMASTER | VERIFY_FULL_POSTMASTER, "220 hi|250 ok|250 ok|250 ok|250 rset|250 ok|550 no|250 ok|221 bye",
	    "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<p@d5.ex>|RSET|MAIL FROM:<>|RCPT TO:<postmaster@d5.ex>|RCPT TO:<postmaster>|QUIT|", VERIFY_OK, NULL, NULL, NULL},
	{"p@d6.ex", VERIFY_SENDER | VERIFY_POSTMASTER, "220 hi|250 ok|250 ok|250 ok|250 rset|250 ok|550 NOT OK|221 bye",
	    "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<p@d6.ex>|RSET|MAIL FROM:<>|RCPT TO:<postmaster@d6.ex>|QUIT|", VERIFY_FAIL, "postmaster",
	    "Called:   127.0.0.1\nSent:     RCPT TO:<postmaster@d6.ex>\nResponse: 550 NOT OK", NULL},
	{"q@d6.ex", VERIFY_SENDER | VERIFY_POSTMASTER, NOTHING, "", VERIFY_FAIL, "postmaster", "(result of earlier verification reused).", NULL},
	{"x@d7.ex", VERIFY_SENDER | VERIFY_RANDOM, "220 hi|250 ok|250 ok|250 any|221 bye", "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<rnd@d7.ex>|QUIT|", VERIFY_OK, "random", NULL, NULL},
	{"y@d7.ex", VERIFY_SENDER | VERIFY_RANDOM, NOTHING, "", VERIFY_OK, "random", NULL, NULL},
	{"z@d8.ex", VERIFY_SENDER | VERIFY_RANDOM, "220 hi|250 ok|250 ok|550 no|250 rset|250 ok|250 ok|221 bye",
	    "EHLO mail.ex|MAIL FROM:<>|RCPT TO:<rnd@d8.ex>|RSET|MAIL FROM:<>|RCPT TO:<z@d8.ex>|QUIT|", VERIFY_OK, NULL, NULL, NULL},
};

static void conversations(void)
{
	struct fixture x;
	struct why why = {0};

	check(fixture_load(&x, "callout_random_local_part = rnd\n", "a:\n accept\n", &why));
	for (size_t i = 0; i < countof(cases); i++) {
		struct verify_opts o = {.flags = cases[i].flags | VERIFY_CALLOUT, .callout_s = 20, .callout_overall_s = -1, .callout_connect_s = -1};
		struct server s = {.fd = listen_any(), .replies = cases[i].replies};
		struct verify_answer va;
		pthread_t t;
		bool expected = cases[i].replies[0] != 0;

		if (expected)
			check_int(pthread_create(&t, NULL, serve, &s), 0);
		check_int(verify_address(&x.ev, str_c(cases[i].address), &o, &va), cases[i].want);
		if (expected)
			pthread_join(t, NULL);
		struct pollfd p = {.fd = s.fd, .events = POLLIN};
		check_int(poll(&p, 1, 0), 0); /* nobody waits unheard */
		close(s.fd);
		if (expected && cases[i].heard[0])
			check_str(str_c(s.heard), cases[i].heard);
		if (cases[i].kind)
			check_str(va.failure_kind, cases[i].kind);
		if (cases[i].user)
			check_str(va.user_message, cases[i].user);
		if (cases[i].log)
			check_str(va.log_message, cases[i].log);
	}
	fixture_done(&x);
}

static void refused_connection(void)
{
	struct fixture x;
	struct why why = {0};
	struct verify_opts o = {.flags = VERIFY_SENDER | VERIFY_CALLOUT, .callout_s = 5, .callout_overall_s = -1, .callout_connect_s = -1};
	struct verify_answer va;

	check(fixture_load(&x, "", "a:\n accept\n", &why));
	close(listen_any());
	check_int(verify_address(&x.ev, STR("a@b.ex"), &o, &va), VERIFY_DEFER);
	check_str(va.user_message, "Could not complete sender verify callout");
	check_str(va.log_message, "Could not complete sender verify callout: far.ex [127.0.0.1] : Connection refused");
	fixture_done(&x);
}

TEST_MAIN({"conversations", conversations}, {"refused connection", refused_connection})
