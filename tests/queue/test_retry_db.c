/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "queue/retry_db.h"

static bool any(const struct retry_matcher *m, const struct xstr *list, struct str address, bool sender)
{
	(void)m;
	(void)sender;
	struct str domain = str_from(address, (size_t)(str_rchr(address, '@') + 1));
	return str_eq(list->text, domain);
}
static const struct retry_matcher matcher = {.in_list = any};

struct box {
	struct arena *a;
	char dir[64];
	struct retry_moment m;
};

static const int64_t day = 86400, start = 1700000000;

static void box_open(struct box *b)
{
	static struct config_line lines[] = {
	    {.text = {.p = "none.ex *", .len = 9}, .file = "f", .line = 1, .next = &lines[1]},
	    {.text = {.p = "* * F,2h,15m; G,16h,1h,1.5; F,4d,6h", .len = 35}, .file = "f", .line = 2},
	};
	struct why why = {.text = ""};
	b->a = arena_new("t", 16 << 20, 0, 0);
	snprintf(b->dir, sizeof b->dir, "%s", "/tmp/retry-test.XXXXXX");
	check(mkdtemp(b->dir) != NULL);
	b->m = (struct retry_moment){.hints = hints_open(b->dir, true, &why), .matcher = &matcher, .arena = b->a, .now = start, .arrived = start,
	    .data_expire = 7 * day, .interval_max = day, .queue_run = true, .delay_after_cutoff = true};
	check(b->m.hints != NULL);
	check(retry_rules_parse(lines, b->a, &b->m.rules, &why));
}

static void box_close(struct box *b)
{
	hints_close(b->m.hints);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", b->dir, (char *)NULL);
		_exit(1);
	}
	check(waitpid(pid, NULL, 0) == pid);
	arena_free(b->a);
}

/* As exim_dumpdb shows the keys of Exim 4.96. */
static void keys_are_exims(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	check_str(retry_key_routing(a, STR("LOC.ex")), "R:loc.ex");
	check_str(retry_key_rcpt(a, STR("Bad@R.ex"), STR("From@S.ex"), true), "R:Bad@r.ex:<From@S.ex>");
	check_str(retry_key_rcpt(a, STR("bad2@r.ex"), STR(""), true), "R:bad2@r.ex:<>");
	check_str(retry_key_rcpt(a, STR("bad2@r.ex"), STR("x@y"), false), "R:bad2@r.ex");
	check_str(retry_key_local(a, STR("ok@LOC.ex")), "T:ok@loc.ex");
	check_str(retry_key_host(a, STR("MX.ex"), STR("10.0.0.1"), 25, STR_NONE), "T:mx.ex:10.0.0.1");
	check_str(retry_key_host(a, STR("MX.ex"), STR_NONE, 0, STR_NONE), "T:mx.ex");
	check_str(retry_key_host(a, STR("h"), STR("10.0.0.1"), 34387, STR("1xV5Mr-0002VW-1z")), "T:h:10.0.0.1:34387:1xV5Mr-0002VW-1z");
	arena_free(a);
}

static void records_are_read_back_or_refused(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	struct retry_record r = {.stamp = 5, .basic_errno = -44, .more_errno = 13121, .first_failed = 1, .last_try = 2, .next_try = 3,
	    .expired = true, .text = STR("H=x: 451 no\nmore")}, back;
	check(retry_record_parse(retry_record_format(a, &r), &back));
	check_int(back.basic_errno, -44);
	check_int(back.more_errno, 13121);
	check(back.expired && back.next_try == 3);
	check_str(back.text, "H=x: 451 no\nmore");
	static const char *const bad[] = {"", "1 2 3", "2 5 -44 1 1 2 3 1\nx", "1 5 -44 1 1 2 3 2\nx", "1 5 -44 1 -1 2 3 1\nx", "1 5 -44 1 1 2 99999999999999999999 1\nx"};
	for (size_t i = 0; i < countof(bad); i++)
		check(!retry_record_parse(str_c(bad[i]), &back));
	arena_free(a);
}

static void a_failing_host_waits_expires_and_recovers(void)
{
	struct box b;
	box_open(&b);
	struct retry_moment *m = &b.m;
	struct str key = retry_key_host(b.a, STR("mx.ex"), STR("10.0.0.1"), 25, STR_NONE);
	struct str of_message = retry_key_host(b.a, STR("mx.ex"), STR("10.0.0.1"), 25, STR("id"));
	struct retry_failure f = {.key = STR("mx.ex"), .domain = STR("d.ex"), .basic_errno = ECONNREFUSED};
	struct retry_record r;
	check_int(retry_check_host(m, key, of_message, &f, &r), RETRY_DUE);
	struct retry_outcome out = retry_note_failure(m, key, &f, STR("Connection refused"), false);
	check(out.rule_found && !out.expired && !out.outlived);
	check_int(out.next_try, start + 900);
	check_int(retry_check_host(m, key, of_message, &f, &r), RETRY_NOT_YET);
	check_int(r.basic_errno, ECONNREFUSED);
	check_str(r.text, "Connection refused");
	m->forced = true;
	check_int(retry_check_host(m, key, of_message, &f, NULL), RETRY_DUE);
	m->forced = false;
	m->now = start + 900;
	check_int(retry_check_host(m, key, of_message, &f, NULL), RETRY_DUE);
	retry_note_success(m, key);
	m->now = start + 1;
	check_int(retry_check_host(m, key, of_message, &f, NULL), RETRY_DUE);

	/* For one message only. */
	out = retry_note_failure(m, of_message, &f, STR("450"), true);
	check_int(retry_check_host(m, key, of_message, &f, NULL), RETRY_NOT_YET);
	check_int(retry_check_host(m, key, STR_NONE, &f, NULL), RETRY_DUE);

	/* New messages keep it failing beyond the last cutoff. */
	m->now = start;
	for (int i = 0; i <= 17; i++) {
		m->arrived = m->now;
		out = retry_note_failure(m, key, &f, STR("refused"), false);
		check(out.expired == (m->now - start >= 4 * day));
		m->now += 6 * 3600;
	}
	check(out.expired);
	m->now -= 6 * 3600 - 60;
	m->arrived = m->now;
	check_int(retry_check_host(m, key, STR_NONE, &f, NULL), RETRY_PAST_CUTOFF);
	m->delay_after_cutoff = false;
	check_int(retry_check_host(m, key, STR_NONE, &f, NULL), RETRY_DUE); /* not tried since it arrived */
	m->arrived -= 120;
	check_int(retry_check_host(m, key, STR_NONE, &f, NULL), RETRY_PAST_CUTOFF);
	m->now += 8 * day; /* too old to count */
	check_int(retry_check_host(m, key, STR_NONE, &f, NULL), RETRY_DUE);
	box_close(&b);
}

static void addresses_wait_in_queue_runs_only(void)
{
	struct box b;
	box_open(&b);
	struct retry_moment *m = &b.m;
	struct str key = retry_key_local(b.a, STR("u@d.ex"));
	struct retry_failure f = {.key = STR("u@d.ex"), .basic_errno = ENOENT};
	retry_note_failure(m, key, &f, STR("x"), false);
	check_int(retry_check_address(m, key, &f, NULL), RETRY_NOT_YET);
	m->queue_run = false;
	check_int(retry_check_address(m, key, &f, NULL), RETRY_DUE);
	m->queue_run = true;
	/* A message older than the cutoff is tried once more, and then given up. */
	m->arrived = start - 5 * day;
	check_int(retry_check_address(m, key, &f, NULL), RETRY_DUE);
	struct retry_record before, after;
	check(retry_read(m, key, &before));
	struct retry_outcome out = retry_note_failure(m, key, &f, STR("x"), false);
	check(out.outlived);
	check(retry_read(m, key, &after));
	check_int(after.next_try, before.next_try);
	/* Message errors count from the arrival of the message. */
	struct str other = retry_key_local(b.a, STR("v@d.ex"));
	m->arrived = start - 3 * 3600;
	out = retry_note_failure(m, other, &f, STR("quota"), true);
	check_int(out.next_try, start + 3600); /* the second set */
	box_close(&b);
}

static void without_sets_a_temporary_error_is_permanent(void)
{
	struct box b;
	box_open(&b);
	struct retry_failure f = {.key = STR("u@none.ex"), .basic_errno = ENOENT};
	check(!retry_note_failure(&b.m, STR("T:u@none.ex"), &f, STR("x"), false).rule_found);
	struct retry_record r;
	check(!retry_read(&b.m, STR("T:u@none.ex"), &r));
	b.m.rules = NULL;
	f.key = STR("u@d.ex");
	check(!retry_note_failure(&b.m, STR("T:u@d.ex"), &f, STR("x"), false).rule_found);
	box_close(&b);
}

TEST_MAIN({"keys are Exim's", keys_are_exims}, {"records are read back or refused", records_are_read_back_or_refused},
    {"a failing host waits, expires and recovers", a_failing_host_waits_expires_and_recovers},
    {"addresses wait in queue runs only", addresses_wait_in_queue_runs_only},
    {"without sets a temporary error is permanent", without_sets_a_temporary_error_is_permanent})
