/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "fake.h"

#include <poll.h>
#include <stdlib.h>

static const struct smtp_server_opts strict = {.enforce_sync = true, .max_synprot_errors = 3,
	.max_unknown_commands = 3, .max_nonmail = 10, .command_timeout_ms = 2000, .data_timeout_ms = 2000};
static const struct smtp_server_opts lax = {.local = true, .bare = BARE_EXIM, .max_synprot_errors = -1,
	.max_unknown_commands = -1, .max_nonmail = -1, .command_timeout_ms = 2000, .data_timeout_ms = 2000};

static char got[65536];
static const char *hear(struct fake *f)
{
	size_t len = 0;
	struct pollfd p = {.fd = f->far, .events = POLLIN};
	while (len < sizeof got - 1 && poll(&p, 1, 0) > 0) {
		ssize_t n = read(f->far, got + len, sizeof got - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	got[len] = '\0';
	return got;
}

static enum smtp_run say(struct fake *f, const char *text)
{
	check_int(write(f->far, text, strlen(text)), (long long)strlen(text));
	return smtp_session_run(f->ss);
}

/* steps: what is sent and what comes back, in turn. */
struct row {
	const char *name;
	const struct smtp_server_opts *opts;
	const char *step[12];
	bool closed;
	const char *told; /* contained in what the policy was told */
};

#define EHLO "EHLO a\r\n", "250-hi\r\n250-PIPELINING\r\n250 HELP\r\n"
static const struct row table[] = {
	{"a message", &strict, {EHLO, "MAIL FROM:<a@b> SIZE=3\r\nRCPT TO:<c@d>\r\nDATA\r\n",
		"250 OK\r\n250 Accepted\r\n354 Enter message, ending with \".\" on a line by itself\r\n"}, false, "mail a@b[SIZE=3];rcpt c@d[];data;"},
	{"quit", &strict, {"QUIT\r\n", "221 bye\r\n"}, true, ""},
	{"case and blanks", &strict, {"helo  x \r\n", "250 hi\r\n", "mail from: <a@b> \r\n", "250 OK\r\n"}, false, "helo x;mail a@b[];"},
	{"unknown words", &strict, {"FOO\r\n", "500 unrecognized command\r\n", "EHLO\tx\r\n", "500 unrecognized command\r\n", "MAIL\r\n",
		"500 unrecognized command\r\n", "\r\n", "500 Too many unrecognized commands\r\n"}, true, "lost bad-commands"},
	{"mistakes are counted", &strict, {"QUIT x\r\n", "501 unexpected argument data\r\n", "RSET x\r\n", "501 unexpected argument data\r\n",
		"DATA x\r\n", "501 unexpected argument data\r\n", "RSET x\r\n",
		"501-unexpected argument data\r\n501 Too many syntax or protocol errors\r\n"}, true, "lost synprot-error"},
	{"second sender", &strict, {EHLO, "MAIL FROM:<>\r\nMAIL FROM:<>\r\n", "250 OK\r\n503 sender already given\r\n"}, false, ""},
	{"no operand", &strict, {EHLO, "MAIL FROM:\r\n", "501 MAIL must have an address operand\r\n", "MAIL FROM:<>\r\nRCPT TO: \r\n",
		"250 OK\r\n501 RCPT must have an address operand\r\n"}, false, ""},
	{"helo without pipelining", &strict, {"HELO a\r\n", "250 hi\r\n", "MAIL FROM:<>\r\nRCPT TO:<a>\r\n", "554 SMTP synchronization error\r\n"}, true,
		"lost synchronization-error"},
	{"input behind EHLO", &strict, {"EHLO a\r\nMAIL FROM:<>\r\n", "554 SMTP synchronization error\r\n"}, true, "trouble 6;"},
	{"stuffed DATA", &strict, {EHLO, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\nSubject: x\r\n\r\n.\r\n",
		"250 OK\r\n250 Accepted\r\n554 SMTP synchronization error\r\n"}, true, ""},
	{"input behind STARTTLS", &strict, {EHLO, "STARTTLS\r\nRSET\r\n", "554 SMTP synchronization error\r\n"}, true, ""},
	{"input behind AUTH", &strict, {EHLO, "AUTH PLAIN\r\nZm9v\r\n", "554 SMTP synchronization error\r\n"}, true, ""},
	{"lone LF", &strict, {"EHLO a\n", "500 5.5.2 line must end in CRLF\r\n"}, false, ""},
	{"lone LF from here", &lax, {"HELO a\nNOOP\n", "250 hi\r\n250 OK\r\n"}, false, ""},
	{"NUL-free help text", &lax, {"HELP a\x01z\n", "252 a?z\r\n"}, false, ""},
	{"bdat", &strict, {EHLO, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 3\r\nabc", "250 OK\r\n250 Accepted\r\n250 3 byte chunk received\r\n",
		"NOOP\r\n", "250 OK\r\n", "BDAT 3 LAST\r\nd\r\n", "250 OK id=x\r\n"}, false, "end 0;"},
	{"bdat then data", &strict, {EHLO, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 3\r\nabc", "250 OK\r\n250 Accepted\r\n250 3 byte chunk received\r\n",
		"DATA\r\n", "503 only BDAT permissible after non-LAST BDAT\r\n", "NOOP\r\n", "503 only RSET accepted now\r\n", "RSET\r\n", "250 Reset OK\r\n"}, false, ""},
	{"bdat refused, octets swallowed", &strict, {EHLO, "BDAT 6\r\nQUIT\r\nRSET\r\n", "503 valid RCPT command must precede DATA\r\n250 Reset OK\r\n"}, false, ""},
	{"bdat sizes", &strict, {EHLO, "BDAT\r\n", "501 missing size for BDAT command\r\n", "BDAT x\r\n", "501 missing size for BDAT command\r\n",
		"BDAT 99999999999999999999\r\n", "501 missing size for BDAT command\r\n"}, false, ""},
	{"bdat not offered", &strict, {"HELO a\r\n", "250 hi\r\n", "BDAT 4\r\n", "503 BDAT command used when CHUNKING not advertised\r\n"}, false, ""},
	{"starttls", &strict, {EHLO, "STARTTLS\r\n", "220 TLS go ahead\r\n"}, false, "tls;"},
	{"rset forgets", &strict, {EHLO, "MAIL FROM:<>\r\nRSET\r\nRCPT TO:<a>\r\n", "250 OK\r\n250 Reset OK\r\n503 sender not yet given\r\n"}, false, ""},
	{"nothing behind vrfy", &strict, {"VRFY a\r\n", "252 a\r\n", "EXPN a\r\n", "500 unrecognized command\r\n"}, false, ""},
};

static void sessions(void)
{
	for (size_t i = 0; i < countof(table); i++) {
		struct fake f;
		fake_open(&f, table[i].opts);
		enum smtp_run run = smtp_session_start(f.ss);
		check_int(run, SMTP_PARK);
		check_str(str_c(hear(&f)), "220 test ESMTP\r\n");
		bool blocking = strstr(table[i].name, "a message") != NULL;
		for (size_t k = 0; k < countof(table[i].step) && table[i].step[k]; k += 2) {
			bool last = k + 2 >= countof(table[i].step) || !table[i].step[k + 2];
			if (blocking && last) /* what follows DATA is there when it is read */
				smtp_session_opts(f.ss)->data_timeout_ms = 10;
			run = say(&f, table[i].step[k]);
			const char *want = table[i].step[k + 1], *heard = hear(&f);
			if (blocking && last ? strncmp(heard, want, strlen(want)) != 0 : strcmp(heard, want) != 0) {
				fprintf(stderr, "session \"%s\", step %zu\n", table[i].name, k / 2);
				check_str(str_c(heard), want);
			}
		}
		if (!blocking)
			check_int(run, table[i].closed ? SMTP_DONE : SMTP_PARK);
		if (str_find(sb_str(&f.told), str_c(table[i].told)) < 0)
			check_str(sb_str(&f.told), table[i].told);
		fake_close(&f);
	}
}

/* DATA reads on while the client writes: what stands behind the end is the next command. */
static void one_message_then_the_next_command(void)
{
	struct fake f;
	fake_open(&f, &lax);
	check_int(smtp_session_start(f.ss), SMTP_PARK);
	check_int(say(&f, "HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: x\r\n\r\n..a\r\n.\r\nNOOP\r\nQUIT\r\n"), SMTP_DONE);
	check_str(sb_str(&f.body), "Subject: x\n\n.a\n");
	const char *h = hear(&f);
	check(strstr(h, "250 OK id=x\r\n250 OK\r\n221 bye\r\n") != NULL);
	fake_close(&f);
}

static void false_ends_give_one_message_and_a_refusal(void)
{
	static const char *const ends[] = {"\n.\n", "\n.\r", "\r.\n", "\r.\r", "\n.\r\n", "\r.\r\n", "\r\n.\r\r\n", "\r\r\n.\r\r\n"};
	for (size_t i = 0; i < countof(ends); i++) {
		struct fake f;
		char text[512];
		struct smtp_server_opts o = strict;
		o.enforce_sync = false;
		o.pipelining = true;
		fake_open(&f, &o);
		check_int(smtp_session_start(f.ss), SMTP_PARK);
		snprintf(text, sizeof text,
		    "EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nS: x\r\n\r\nb%sMAIL FROM:<evil@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nS: y\r\n\r\n.\r\nQUIT\r\n", ends[i]);
		check_int(say(&f, text), SMTP_DONE);
		check(str_find(sb_str(&f.told), STR("evil")) < 0);
		check(strstr(hear(&f), "550 5.5.2 bare\r\n221 bye\r\n") != NULL);
		fake_close(&f);
	}
}

static void half_a_command_waits_without_a_thread(void)
{
	struct fake f;
	fake_open(&f, &strict);
	check_int(smtp_session_start(f.ss), SMTP_PARK);
	(void)hear(&f);
	check_int(say(&f, "HELO "), SMTP_PARK);
	check_str(str_c(hear(&f)), "");
	check_int(say(&f, "x\r\n"), SMTP_PARK);
	check_str(str_c(hear(&f)), "250 hi\r\n");
	close(f.far);
	f.far = -1;
	check_int(smtp_session_run(f.ss), SMTP_DONE);
	check(str_find(sb_str(&f.told), STR("lost connection-lost;")) >= 0);
	fake_close(&f);
}

static void input_before_the_greeting_is_refused(void)
{
	struct fake f;
	fake_open(&f, &strict);
	check_int(write(f.far, "EHLO x\r\n", 8), 8);
	check_int(smtp_session_start(f.ss), SMTP_DONE);
	check_str(str_c(hear(&f)), "554 SMTP synchronization error\r\n");
	fake_close(&f);
	struct smtp_server_opts early = strict;
	early.early_pipelining = true;
	fake_open(&f, &early);
	check_int(write(f.far, "EHLO x\r\n", 8), 8);
	check_int(smtp_session_start(f.ss), SMTP_PARK);
	check_str(str_c(hear(&f)), "220 test ESMTP\r\n");
	fake_close(&f);
}

static void a_client_that_vanishes_in_its_message(void)
{
	struct fake f;
	fake_open(&f, &lax);
	check_int(smtp_session_start(f.ss), SMTP_PARK);
	check_int(write(f.far, "HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<c>\r\nDATA\r\nS: x\r\n", 48), 48);
	shutdown(f.far, SHUT_WR);
	check_int(smtp_session_run(f.ss), SMTP_DONE);
	check(str_find(sb_str(&f.told), STR("end 1;")) >= 0);
	fake_close(&f);
}

static void auth_lines_pass_through(void)
{
	struct fake f;
	fake_open(&f, &lax);
	check_int(smtp_session_start(f.ss), SMTP_PARK);
	check_int(say(&f, "EHLO a\r\nAUTH X-Y\r\nYmFy\r\nNOOP\r\n"), SMTP_PARK);
	check(str_find(sb_str(&f.told), STR("auth X-Y YmFy;")) >= 0);
	check(strstr(hear(&f), "334 Zm9v\r\n235 Authentication succeeded\r\n250 OK\r\n") != NULL);
	check_str(smtp_session_history(f.ss, f.arena), "EHLO,AUTH,NOOP");
	fake_close(&f);
}

static void nonmail_commands_are_limited(void)
{
	struct fake f;
	fake_open(&f, &strict);
	check_int(smtp_session_start(f.ss), SMTP_PARK);
	check_int(say(&f, "EHLO a\r\n"), SMTP_PARK);
	for (int i = 0; i < 10; i++)
		check_int(say(&f, "NOOP\r\n"), SMTP_PARK);
	(void)hear(&f);
	check_int(say(&f, "NOOP\r\n"), SMTP_DONE);
	check_str(str_c(hear(&f)), "554 Too many nonmail commands\r\n");
	fake_close(&f);
}

static void parameters_from_the_end(void)
{
	struct str rest = STR("<a b@c> SIZE=12 BODY=8BITMIME  SMTPUTF8 "), name, value;
	check(smtp_param_last(&rest, &name, &value));
	check_str(name, "SMTPUTF8");
	check(!str_is_set(value));
	check(smtp_param_last(&rest, &name, &value));
	check_str(value, "8BITMIME");
	check(smtp_param_last(&rest, &name, &value));
	check_str(name, "SIZE");
	check_str(str_rtrim(rest), "<a b@c>");
	rest = STR("<a@c>");
	check(!smtp_param_last(&rest, &name, &value));
}

TEST_MAIN({"sessions", sessions}, {"one message, then the next command", one_message_then_the_next_command},
    {"false ends give one message and a refusal", false_ends_give_one_message_and_a_refusal},
    {"half a command waits without a thread", half_a_command_waits_without_a_thread},
    {"input before the greeting is refused", input_before_the_greeting_is_refused},
    {"a client that vanishes in its message", a_client_that_vanishes_in_its_message},
    {"AUTH lines pass through", auth_lines_pass_through}, {"non-mail commands are limited", nonmail_commands_are_limited},
    {"parameters from the end", parameters_from_the_end})
