/* SPDX-License-Identifier: Apache-2.0
 * The smtp transport against scripted servers (manual 30, 32.2). */
#include <errno.h>
#include <unistd.h>

#include "queue/errnos.h"
#include "transport/kit.h"

#define EHLO "S 220 there ESMTP\nC EHLO me.test\nS 250-there\nS 250-SIZE\n"
static const char plain[] = "t:\n driver = smtp\n hosts_try_dane =\n command_timeout = 5s\n";
static struct kit k;
static struct server s;

static struct address *one(const char *to)
{
	struct address *ad = kit_address(&k, to);
	kit_host(&k, ad, s.port);
	return ad;
}

static void a_message_without_pipelining(void)
{
	kit_open(&k, plain, ".dot\nFrom bare\rcr\nlast\n");
	server_start(&s, EHLO "S 250 HELP\nC MAIL FROM:<sender@x.test> SIZE=1137\nS 250 ok\nC RCPT TO:<a@b.test>\nS 250 ok\n"
	                      "C DATA\nS 354 go\nD\nS 250 OK id=1\nC QUIT\n");
	k.m->size = 113;
	struct address *ad = one("a@b.test");
	kit_run(&k, "t", ad);
	server_end(&s);
	check_int(ad->state, ADDRESS_DELIVERED);
	check_str(ad->smtp_reply, "250 OK id=1");
	check_str(ad->log_extra, "H=there.test [127.0.0.1]");
	check_str(str_n(s.data, s.data_len),
	    "Received: by test\r\nFrom: <sender@x.test>\r\nX-Rm: 1\r\nSubject: test\r\n\tfolded\r\n\r\n"
	    "..dot\r\nFrom bare cr\r\nlast\r\n.\r\n");
	kit_close(&k);
}

static void pipelined_recipients_each_with_their_answer(void)
{
	kit_open(&k, plain, "body\n");
	server_start(&s, EHLO "S 250 PIPELINING\nC MAIL FROM:<sender@x.test> SIZE=1124\nC RCPT TO:<a@b.test>\nC RCPT TO:<b@b.test>\n"
	                      "C RCPT TO:<c@b.test>\nC DATA\nS 250 ok\nS 451 later\nS 550-no\nS 550 such\nS 250 ok\nS 354 go\nD\nS 250 done\nC QUIT\n");
	k.m->size = 100;
	struct address *a = one("a@b.test"), *b = one("b@b.test"), *c = one("c@b.test");
	a->next = b;
	b->next = c;
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DEFERRED);
	check_int(a->basic_errno, DERR_RCPT4XX);
	check_int(a->more_errno, 51 << 8 | 'A');
	check_str(a->message, "SMTP error from remote mail server after RCPT TO:<a@b.test>: 451 later");
	check_int(b->state, ADDRESS_FAILED);
	check_str(b->message, "SMTP error from remote mail server after RCPT TO:<b@b.test>: 550-no\n550 such");
	check_int(c->state, ADDRESS_DELIVERED);
	kit_close(&k);
}

static void all_refused_with_data_already_sent(void)
{
	kit_open(&k, plain, "body\n");
	server_start(&s, EHLO "S 250 PIPELINING\nC MAIL FROM:<sender@x.test> SIZE=1124\nC RCPT TO:<a@b.test>\nC DATA\n"
	                      "S 250 ok\nS 550 no\nS 354 go\nC .\nS 554 no recipients\nC QUIT\n");
	k.m->size = 100;
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_FAILED);
	kit_close(&k);
}

static void a_small_message_by_bdat_costs_one_round_trip(void)
{
	kit_open(&k, plain, ".dot\n");
	server_start(&s, EHLO "S 250-PIPELINING\nS 250 CHUNKING\nC MAIL FROM:<sender@x.test> SIZE=1124\nC RCPT TO:<a@b.test>\n"
	                      "C BDAT 83 LAST\nB 83\nS 250 ok\nS 250 ok\nS 250 83 bytes\nC QUIT\n");
	k.m->size = 100;
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DELIVERED);
	check_str(str_n(s.data, s.data_len),
	    "Received: by test\r\nFrom: <sender@x.test>\r\nX-Rm: 1\r\nSubject: test\r\n\tfolded\r\n\r\n.dot\r\n");
	check_str(a->log_extra, "H=there.test [127.0.0.1] K");
	kit_close(&k);
}

static void large_chunks_are_answered_one_by_one(void)
{
	static char body[700001];
	for (size_t i = 0; i < sizeof body - 1; i++)
		body[i] = i % 70 == 69 ? '\n' : 'x';
	kit_open(&k, plain, body);
	server_start(&s, EHLO "S 250-PIPELINING\nS 250 CHUNKING\nC MAIL FROM:<sender@x.test> SIZE=701101\nC RCPT TO:<a@b.test>\n"
	                      "S 250 ok\nS 250 ok\nC BDAT 265965\nB 265965\nS 250 ok\nC BDAT 265889\nB 265889\nS 250 ok\nC BDAT 178223 LAST\nB 178223\nS 250 fine\nC QUIT\n");
	k.m->size = 700077;
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DELIVERED);
	kit_close(&k);
}

static void a_message_error_leads_to_the_next_host(void)
{
	static struct server second;
	kit_open(&k, plain, "body\n");
	server_start(&s, EHLO "S 250 PIPELINING\nC MAIL FROM:<sender@x.test> SIZE=1124\nC RCPT TO:<a@b.test>\nC DATA\n"
	                      "S 450 no mail\n");
	server_start(&second, EHLO "S 250 HELP\nC MAIL FROM:<sender@x.test> SIZE=1124\nS 250 ok\nC RCPT TO:<a@b.test>\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 yes\n");
	k.m->size = 100;
	struct address *a = one("a@b.test");
	kit_host(&k, a, second.port);
	kit_run(&k, "t", a);
	server_end(&s);
	server_end(&second);
	check_int(a->state, ADDRESS_DELIVERED);
	check(strstr(kit_log(&k), "H=there.test [127.0.0.1]: SMTP error from remote mail server after pipelined MAIL FROM:<sender@x.test> SIZE=1124: 450 no mail\n"));
	kit_close(&k);
}

static void nobody_listens(void)
{
	kit_open(&k, plain, "body\n");
	struct address *a = kit_address(&k, "a@b.test");
	kit_host(&k, a, 1);
	kit_run(&k, "t", a);
	check_int(a->state, ADDRESS_DEFERRED);
	check_int(a->basic_errno, ECONNREFUSED);
	check(!str_is_set(a->message));
	check(strstr(kit_log(&k), "1xV5DT-000000002yI-2T00 H=there.test [127.0.0.1] Connection refused\n"));
	kit_close(&k);
}

static void a_connection_lost_after_data_defers(void)
{
	kit_open(&k, plain, "body\n");
	server_start(&s, EHLO "S 250 HELP\nC MAIL FROM:<sender@x.test> SIZE=1124\nS 250 ok\nC RCPT TO:<a@b.test>\nS 250 ok\nC DATA\nS 354 go\nD\n");
	k.m->size = 100;
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DEFERRED);
	check_int(a->basic_errno, DERR_SMTPCLOSED);
	check_str(a->message, "Remote host closed connection in response to end of data");
	check_str(a->log_extra, "H=there.test [127.0.0.1]");
	kit_close(&k);
}

/* allow_localhost is about the transport's own hosts; a router's host was judged by its self option. */
static void a_host_of_the_transport_that_is_this_one(void)
{
	kit_open(&k, "t:\n driver = smtp\n hosts = 127.0.0.1\n port = 1\nu:\n driver = smtp\n hosts = 127.0.0.1\n port = 1\n allow_localhost\n", "body\n");
	struct address *a = kit_address(&k, "a@b.test");
	kit_run(&k, "t", a);
	check_int(a->state, ADDRESS_DEFERRED);
	check_int(a->basic_errno, DERR_HOST_IS_LOCAL);
	a = kit_address(&k, "a@b.test");
	kit_run(&k, "u", a);
	check_int(a->basic_errno, ECONNREFUSED);
	kit_close(&k);
}

static void greetings_that_refuse(void)
{
	kit_open(&k, plain, "body\n");
	server_start(&s, "S 554 go away\nC QUIT\n");
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_FAILED);
	check_str(a->message, "SMTP error from remote mail server after initial connection: 554 go away");
	server_start(&s, "S 421 busy\n");
	a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DEFERRED);
	check_str(a->message, "SMTP error from remote mail server after initial connection: 421 busy");
	server_start(&s, "S \n");
	a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->basic_errno, DERR_SMTPFORMAT);
	check_str(a->message, "Malformed SMTP reply (an empty line) in response to initial connection");
	kit_close(&k);
}

#define TURN(n) "C MAIL FROM:<sender@x.test> SIZE=1124\nC RCPT TO:<a@b.test>\nC DATA\nS 250 ok\nS 250 ok\nS 354 go\nD\nS 250 ok " #n "\n"

static void idle_connections_are_used_again(void)
{
	kit_open(&k, plain, "body\n");
	k.d.pool = conn_pool_new(&k.env, 4, 60000);
	struct conn_pool *pool = k.d.pool;
	server_start(&s, EHLO "S 250 PIPELINING\n" TURN(1) TURN(2) "X\n" EHLO "S 250 PIPELINING\n" TURN(3) "C QUIT\n");
	k.m->size = 100;
	for (int i = 0; i < 3; i++) {
		struct address *a = one("a@b.test");
		k.d.pool = pool;
		kit_run(&k, "t", a);
		check_int(a->state, ADDRESS_DELIVERED);
		check_str(a->log_extra, i == 1 ? "H=there.test [127.0.0.1]*" : "H=there.test [127.0.0.1]");
		char want[] = {'2', '5', '0', ' ', 'o', 'k', ' ', (char)('1' + i), '\0'};
		check_str(a->smtp_reply, want);
	}
	conn_pool_free(pool);
	server_end(&s);
	kit_close(&k);
}

/* A peer that takes the envelope of the second message and goes: nothing was answered, so a fresh
 * connection is asked, once. */
static void a_pooled_connection_that_dies_at_mail(void)
{
	kit_open(&k, plain, "body\n");
	struct conn_pool *pool = conn_pool_new(&k.env, 4, 60000);
	server_start(&s, EHLO "S 250 PIPELINING\n" TURN(1) "C MAIL FROM:<sender@x.test> SIZE=1124\nX\n" EHLO "S 250 PIPELINING\n" TURN(2) "C QUIT\n");
	k.m->size = 100;
	for (int i = 0; i < 2; i++) {
		struct address *a = one("a@b.test");
		k.d.pool = pool;
		kit_run(&k, "t", a);
		check_int(a->state, ADDRESS_DELIVERED);
	}
	conn_pool_free(pool);
	server_end(&s);
	kit_close(&k);
}

static void lmtp_answers_for_each_recipient(void)
{
	kit_open(&k, "t:\n driver = smtp\n protocol = lmtp\n allow_localhost\n hosts_try_dane =\n", "body\n");
	server_start(&s, "S 220 lmtp\nC LHLO me.test\nS 250-there\nS 250 PIPELINING\nC MAIL FROM:<sender@x.test>\nC RCPT TO:<a@b.test>\n"
	                 "C RCPT TO:<b@b.test>\nC RCPT TO:<c@b.test>\nC DATA\nS 250 ok\nS 250 ok\nS 250 ok\nS 250 ok\nS 354 go\nD\n"
	                 "S 250 first\nS 452 full\nS 550 never\nC QUIT\n");
	struct address *a = one("a@b.test"), *b = one("b@b.test"), *c = one("c@b.test");
	a->next = b;
	b->next = c;
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DELIVERED);
	check_int(b->state, ADDRESS_DEFERRED);
	check_int(c->state, ADDRESS_FAILED);
	check_str(c->message, "LMTP error after end of data: 550 never");
	kit_close(&k);
}

static void tls_that_is_required_but_not_offered(void)
{
	kit_open(&k, "t:\n driver = smtp\n allow_localhost\n hosts_require_tls = *\n", "body\n");
	server_start(&s, EHLO "S 250 HELP\n");
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DEFERRED);
	check_int(a->basic_errno, DERR_TLSREQUIRED);
	check_str(a->message, "a TLS session is required, but the server did not offer TLS support");
	kit_close(&k);
}

static void bytes_behind_starttls_are_refused(void)
{
	kit_open(&k, plain, "body\n");
	server_start(&s, EHLO "S 250 STARTTLS\nC STARTTLS\nS 220 go~250 injected\n");
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DEFERRED);
	kit_close(&k);
}

static void authentication(void)
{
	kit_open(&k,
	    "t:\n driver = smtp\n allow_localhost\n hosts_require_auth = *\n hosts_try_dane =\nbegin authenticators\np:\n driver = plaintext\n"
	    " public_name = PLAIN\n client_send = ^user^secret\n",
	    "body\n");
	server_start(&s, EHLO "S 250 AUTH PLAIN LOGIN\nC AUTH PLAIN AHVzZXIAc2VjcmV0\nS 235 welcome\nC MAIL FROM:<sender@x.test> SIZE=1124\nS 250 ok\n"
	                      "C RCPT TO:<a@b.test>\nS 250 ok\nC DATA\nS 354 go\nD\nS 250 ok\nC QUIT\n");
	k.m->size = 100;
	struct address *a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DELIVERED);
	check_str(a->log_extra, "H=there.test [127.0.0.1] A=p");
	server_start(&s, EHLO "S 250 AUTH PLAIN\nC AUTH PLAIN AHVzZXIAc2VjcmV0\nS 535 no way\n");
	a = one("a@b.test");
	kit_run(&k, "t", a);
	server_end(&s);
	check_int(a->state, ADDRESS_DEFERRED);
	check_int(a->basic_errno, DERR_AUTHFAIL);
	check_str(a->message, "authentication required but authentication attempt(s) failed");
	check(strstr(kit_log(&k), "p authenticator failed H=there.test [127.0.0.1] 535 no way"));
	kit_close(&k);
}

TEST_MAIN({"a message without pipelining", a_message_without_pipelining},
    {"pipelined recipients, each with its answer", pipelined_recipients_each_with_their_answer},
    {"all refused, DATA already sent", all_refused_with_data_already_sent},
    {"a small message by BDAT costs one round trip", a_small_message_by_bdat_costs_one_round_trip},
    {"large chunks are answered one by one", large_chunks_are_answered_one_by_one},
    {"a message error leads to the next host", a_message_error_leads_to_the_next_host},
    {"nobody listens", nobody_listens},
    {"a connection lost after data defers", a_connection_lost_after_data_defers},
    {"a host of the transport that is this one", a_host_of_the_transport_that_is_this_one},
    {"greetings that refuse", greetings_that_refuse},
    {"idle connections are used again", idle_connections_are_used_again},
    {"a pooled connection that dies at MAIL", a_pooled_connection_that_dies_at_mail},
    {"LMTP answers for each recipient", lmtp_answers_for_each_recipient},
    {"TLS that is required but not offered", tls_that_is_required_but_not_offered},
    {"bytes behind STARTTLS are refused", bytes_behind_starttls_are_refused},
    {"authentication", authentication})
