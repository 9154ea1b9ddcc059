/* SPDX-License-Identifier: Apache-2.0
 * Retry rules from a configuration, their patterns matched as address lists (manual 32.2 to 32.4, 32.6). */
#include "expand/expand.h"
#include "lookup/lookup.h"
#include "queue/retry_rule.h"
#include "test.h"

#include <errno.h>

static const char conf_text[] =
    "primary_hostname = mail.test.ex\n"
    "domainlist ours = one.ex : two.ex\n"
    "begin retry\n"
    "lookingglass.ex        *  F,24h,30m\n"                          /* 4 */
    "alice@lg.ex            *  F,1h,1m\n"                            /* 5 */
    "^\\N[^@]+@xyz\\d+\\.abc\\.example$\\N  *  G,1h,10m,2\n"         /* 6 */
    "^\\N(?:a|b)c@colon\\.ex$\\N  *  F,1h,2m\n"                      /* 7 */
    "*@+ours                *  F,1h,3m\n"                            /* 8 */
    "${lc:EXPANDED.EX}      *  F,1h,4m\n"                            /* 9 */
    "*   rcpt_4xx   senders=:   F,1h,30m\n"                          /* 10 */
    "a.domain  *  senders=\"*@xb.dom : yc.dom\"  G,8h,10m,1.5\n"     /* 11 */
    "192.168.34.23          *  F,1h,5m\n"                            /* 12 */
    "!not.ex                refused  F,1h,6m\n";                     /* 13 */

static bool (*const hooks[])(struct config *cfg, struct env *env, struct why *why) = {expand_compile_all, match_compile_all,
    retry_compile_all};
static const struct config_schema schema = {.compile = hooks, .compile_count = countof(hooks)};

static const struct {
	const char *key, *domain;
	int basic_errno, more_errno;
	const char *sender;
	int line; /* 0 = no rule */
} cases[] = {
    {"x@lookingglass.ex", NULL, ENOENT, 0, NULL, 4},
    {"LookingGlass.EX", NULL, ENOENT, 0, NULL, 4},
    {"mx.elsewhere.ex", "lookingglass.ex", ENOENT, 0, NULL, 4},
    {"alice@lg.ex", NULL, ENOENT, 0, NULL, 5},
    {"bob@lg.ex", NULL, ENOENT, 0, NULL, 0},
    {"lg.ex", NULL, ENOENT, 0, NULL, 0},
    {"xyz42.abc.example", NULL, ENOENT, 0, NULL, 6},
    {"bc@colon.ex", NULL, ENOENT, 0, NULL, 7},
    {"dc@colon.ex", NULL, ENOENT, 0, NULL, 0},
    {"two.ex", NULL, ENOENT, 0, NULL, 8},
    {"expanded.ex", NULL, ENOENT, 0, NULL, 9},
    {"u@far.ex", NULL, DERR_RCPT4XX, 51 << 8, "", 10},
    {"u@far.ex", NULL, DERR_RCPT4XX, 51 << 8, "a@b.ex", 0},
    {"u@far.ex", NULL, DERR_RCPT4XX, 51 << 8, NULL, 0},
    {"a.domain", NULL, ENOENT, 0, "q@xb.dom", 11},
    {"a.domain", NULL, ENOENT, 0, "q@yc.dom", 11},
    {"a.domain", NULL, ENOENT, 0, "q@zd.dom", 0},
    {"192.168.34.23", "d.ex", ENOENT, 0, NULL, 12},
    {"h.other.ex", "x.ex", ECONNREFUSED, 0, NULL, 13},
    {"not.ex", NULL, ECONNREFUSED, 0, NULL, 0},
};

static void patterns_are_address_lists_of_one_item(void)
{
	struct env env;
	struct eval ev;
	struct why why = {.text = ""};
	test_env(&env);
	struct arena *a = arena_new("retry", 64u << 20, 0, 0);
	env.lookups = lookup_cache_new();
	struct config *cfg = config_parse(&schema, &env, str_c(conf_text), STR("/test"), NULL, &why);
	if (!cfg)
		printf("%s\n", why.text);
	check(cfg != NULL);
	if (!cfg)
		return;
	eval_init(&ev, cfg, &env, a);
	struct retry_matcher m = retry_matcher_lists(&ev.lx);
	for (size_t i = 0; i < countof(cases); i++) {
		struct retry_failure f = {.key = str_c(cases[i].key), .domain = str_c(cases[i].domain), .basic_errno = cases[i].basic_errno,
		    .more_errno = cases[i].more_errno, .sender = str_c(cases[i].sender), .sender_known = cases[i].sender != NULL};
		const struct retry_rule *r = retry_rule_find(cfg->compiled_retry, &m, a, &f);
		if ((r ? r->line : 0) != cases[i].line)
			printf("case %zu: %s\n", i, cases[i].key);
		check_int(r ? r->line : 0, cases[i].line);
	}
	config_unref(cfg);
	lookup_cache_free(env.lookups);
	arena_free(a);
	test_env_done(&env);
}

static void a_bad_rule_stops_the_configuration(void)
{
	struct env env;
	struct why why = {.text = ""};
	test_env(&env);
	env.lookups = lookup_cache_new();
	check(config_parse(&schema, &env, STR("primary_hostname = a.ex\nbegin retry\n* * X,1h,1m\n"), STR("/test"), NULL, &why) == NULL);
	check(strstr(why.text, "unknown retry rule letter") != NULL);
	check(strstr(why.text, "line 3 of /test") != NULL);
	lookup_cache_free(env.lookups);
	test_env_done(&env);
}

TEST_MAIN({"patterns are address lists of one item", patterns_are_address_lists_of_one_item},
    {"a bad rule stops the configuration", a_bad_rule_stops_the_configuration})
