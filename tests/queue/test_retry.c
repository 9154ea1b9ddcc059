/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>

#include "queue/retry_rule.h"

static struct arena *a;

/* Address lists of one item: "*@domain", "domain", "local@domain", "#" in front. */
static bool in_list(const struct retry_matcher *m, const struct xstr *list, struct str address, bool sender)
{
	(void)m;
	struct str item = list->text;
	bool negated = str_starts(item, "!");
	if (negated)
		item = str_from(item, 1);
	struct str domain = str_from(address, (size_t)(str_rchr(address, '@') + 1));
	bool yes = str_starts(item, "*@") ? str_ieq(str_from(item, 2), domain)
	    : str_rchr(item, '@') < 0 && !sender ? str_ieq(item, domain)
						 : str_ieq(item, address);
	return yes != negated;
}
static const struct retry_matcher matcher = {.in_list = in_list};

static const struct retry_rules *parse(const char *const *line, size_t n, struct why *why)
{
	struct config_line *first = NULL, **tail = &first;
	for (size_t i = 0; i < n; i++) {
		*tail = arena_new_of(a, struct config_line);
		**tail = (struct config_line){.text = str_c(line[i]), .file = "rt.cfg", .line = (int)i + 4};
		tail = &(*tail)->next;
	}
	const struct retry_rules *rules = NULL;
	return retry_rules_parse(first, a, &rules, why) ? rules : NULL;
}

/* As Exim 4.96 answers -brt or refuses. */
static const struct {
	const char *line, *want;
} lines[] = {
    {"* * F,2h,15m; G,16h,1h,1.5; F,4d,6h", "*  *  F,2h,15m; G,16h,1h,1.5; F,4d,6h; "},
    {"* *", "*  *  "},
    {"* * F,1h,1m;", "*  *  F,1h,1m; "},
    {"* * f,1h,5m", "*  *  F,1h,5m; "},
    {"* * G,1h,1m,1.56789", "*  *  G,1h,1m,1.567; "},
    {"!c.ex * G,1h,1m,2", "!c.ex  *  G,1h,1m,2.0; "},
    {"\"*\" * F,2h,10m", "*  *  F,2h,10m; "},
    {"* * F,2h,1h;F,1h,5m", "*  *  F,2h,1h; F,1h,5m; "},
    {"* RCPT_4xx F,1h,1m", "*  RCPT_4xx  F,1h,1m; "},
    {"* timeout_DNS F,1h,1m", "*  timeout_DNS  F,1h,1m; "},
    {"* * X,2h,15m", "#unknown retry rule letter"},
    {"* * F,2h", "#comma expected"},
    {"* bogus F,2h,15m", "#unknown or malformed retry error \"bogus\""},
    {"*", "#missing error type in retry rule"},
    {"* * F,2h,15m,3", "#semicolon expected"},
    {"* * G,2h,15m", "#comma expected"},
    {"* * F,xx,15m", "#bad parameters for retry rule"},
    {"* rcpt_45 F,1h,1m", "#rcpt_4 must be followed by xx, dx, or dd, where x is literal and d is any digit"},
    {"* rcpt_4x1 F,1h,1m", "#rcpt_4 must be followed by xx, dx, or dd, where x is literal and d is any digit"},
    {"* quota_zz F,1h,1m", "#bad time value"},
    {"* senders=a@b F,1h,1m", "#unknown or malformed retry error \"senders=a@b\""},
    {"* * F,1h,1m G,2h,3m,1.5", "#semicolon expected"},
    {"* timeout_X F,1h,1m", "#\"A\", \"MX\", or \"connect\" expected after \"timeout\""},
    {"* * G,1h,1m,0.5", "#bad parameters for retry rule"},
    {"* * G,1h,0s,2", "#bad parameters for retry rule"},
    {"* * F 1h 5m", "#comma expected"},
};

static void rules_are_read_or_refused_in_exims_words(void)
{
	a = arena_new("t", 16 << 20, 0, 0);
	for (size_t i = 0; i < countof(lines); i++) {
		struct why why = {.text = ""};
		const struct retry_rules *rules = parse(&lines[i].line, 1, &why);
		const char *want = lines[i].want;
		if (*want == '#') {
			check(!rules);
			check_str(str_c(why.text), str_printf(a, "Exim configuration error in line 4 of rt.cfg:\n  %s", want + 1).p);
		} else if (rules) {
			check_str(retry_rule_format(a, rules->first), want);
		} else {
			printf("%s: %s\n", lines[i].line, why.text);
			check(rules != NULL);
		}
	}
	arena_free(a);
}

static const struct retry_rules *rules;

static int line_for(const char *key, const char *domain, int basic, int more, const char *sender)
{
	struct retry_failure f = {.key = str_c(key), .domain = domain ? str_c(domain) : STR_NONE, .basic_errno = basic, .more_errno = more};
	f.sender_known = sender != NULL;
	f.sender = sender ? str_c(sender) : STR_NONE;
	const struct retry_rule *r = retry_rule_find(rules, &matcher, a, &f);
	return r ? r->line - 3 : 0;
}

static void the_first_rule_that_fits_is_taken(void)
{
	static const char *const text[] = {
	    "p.q.r.example refused F,24h,30m", /* 1 */
	    "alice@w.ex quota_5d F,7d,3h",
	    "w.ex quota_5d",
	    "* rcpt_452 senders=b@s.ex F,1h,10m", /* 4 */
	    "* rcpt_45x F,1h,11m",
	    "* mail_4xx F,1h,12m",
	    "* refused_A F,2h,20m", /* 7 */
	    "* timeout_connect_MX F,1h,1m",
	    "* timeout_connect F,1h,1m",
	    "* timeout_A F,1h,1m", /* 10 */
	    "* quota F,1h,1m",
	    "* lost_connection F,1h,1m",
	    "a.b.c.example * F,4d,45m", /* 13 */
	};
	struct why why;
	a = arena_new("t", 16 << 20, 0, 0);
	rules = parse(text, countof(text), &why);
	check(rules != NULL);
	check_int(line_for("p.q.r.example", "a.b.c.example", ECONNREFUSED, 'M', NULL), 1);
	check_int(line_for("x.y.z.example", "a.b.c.example", ECONNREFUSED, 'M', NULL), 13);
	check_int(line_for("x.y.z.example", "other.ex", ECONNREFUSED, 'A', NULL), 7);
	check_int(line_for("x.y.z.example", "other.ex", ECONNREFUSED, 'M', NULL), 0);
	check_int(line_for("alice@w.ex", NULL, DERR_EXIMQUOTA, 6 * 86400, NULL), 2);
	check_int(line_for("bob@w.ex", NULL, DERR_EXIMQUOTA, 6 * 86400, NULL), 3);
	check_int(line_for("bob@w.ex", NULL, ENOSPC, 100, NULL), 11);
	check_int(line_for("x@y.ex", NULL, DERR_RCPT4XX, 52 << 8 | 'A', "b@s.ex"), 4);
	check_int(line_for("x@y.ex", NULL, DERR_RCPT4XX, 52 << 8 | 'A', "c@s.ex"), 5);
	check_int(line_for("x@y.ex", NULL, DERR_RCPT4XX, 52 << 8, NULL), 5);
	check_int(line_for("x@y.ex", NULL, DERR_RCPT4XX, 21 << 8, NULL), 0);
	check_int(line_for("x@y.ex", NULL, DERR_MAIL4XX, 21 << 8, NULL), 6);
	check_int(line_for("h.ex", NULL, ETIMEDOUT, MORE_CONNECT_TIMEOUT | 'M', NULL), 8);
	check_int(line_for("h.ex", NULL, ETIMEDOUT, MORE_CONNECT_TIMEOUT | 'A', NULL), 9);
	check_int(line_for("h.ex", NULL, ETIMEDOUT, 'A', NULL), 10);
	check_int(line_for("h.ex", NULL, ETIMEDOUT, 'M', NULL), 0);
	check_int(line_for("h.ex", NULL, DERR_SMTPCLOSED, 0, NULL), 12);
	arena_free(a);
}

static void next_times_follow_the_sets(void)
{
	static const char *const text[] = {"* * F,2h,15m; G,16h,1h,1.5; F,4d,6h", "* * H,2d,10m,2", "* *"};
	struct why why;
	a = arena_new("t", 16 << 20, 0, 0);
	rules = parse(text, countof(text), &why);
	const struct retry_rule *r = rules->first, *h = r->next;
	const int64_t day = 86400, t = 1000000;
	check_int(retry_compute(r, t, t, 0, day, 0).next_try, t + 900);
	check_int(retry_compute(r, t + 7199, t, 900, day, 0).next_try, t + 7199 + 900);
	check_int(retry_compute(r, t + 7200, t, 900, day, 0).next_try, t + 7200 + 3600);
	check_int(retry_compute(r, t + 10800, t, 3600, day, 0).next_try, t + 10800 + 5400);
	check_int(retry_compute(r, t + 16200, t, 5400, day, 0).next_try, t + 16200 + 8100);
	check_int(retry_compute(r, t + 16200, t, 5400, 6000, 0).next_try, t + 16200 + 6000);
	check_int(retry_compute(r, t + 60000, t, 8100, day, 0).next_try, t + 60000 + 21600);
	check(!retry_compute(r, t + 4 * day - 1, t, 21600, day, 0).expired);
	struct retry_next last = retry_compute(r, t + 4 * day, t, 21600, day, 0);
	check(last.expired);
	check_int(last.next_try, t + 4 * day + 21600);
	check_int(retry_compute(h, t, t, 0, day, 12345).next_try, t + 600);
	for (uint32_t i = 0; i < 5000; i++) {
		int64_t gap = retry_compute(h, t, t, 700, day, i * 2654435761u).next_try - t;
		check(gap >= 600 && gap <= 1400);
	}
	check(retry_compute(h->next, t, t, 0, day, 0).expired);
	check_int(retry_rule_cutoff(r), 4 * day);
	arena_free(a);
}

TEST_MAIN({"rules are read or refused in Exim's words", rules_are_read_or_refused_in_exims_words},
    {"the first rule that fits is taken", the_first_rule_that_fits_is_taken},
    {"next times follow the sets", next_times_follow_the_sets})
