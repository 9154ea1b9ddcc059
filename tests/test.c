/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

struct test_state test_state;
static int64_t now_us = 1709896953456789;

void test_fail(const char *file, int line, const char *what)
{
	test_state.checks_failed++;
	printf("%s:%d: failed: %s\n", file, line, what);
}

void test_int(const char *file, int line, const char *what, long long got, long long want)
{
	if (got == want)
		return;
	test_state.checks_failed++;
	printf("%s:%d: %s is %lld, not %lld\n", file, line, what, got, want);
}

void test_str(const char *file, int line, const char *what, struct str got, const char *want)
{
	if (want ? str_is_set(got) && str_eqc(got, want) : !str_is_set(got))
		return;
	test_state.checks_failed++;
	printf("%s:%d: %s is %s'%.*s', not '%s'\n", file, line, what, str_is_set(got) ? "" : "unset ", STR_ARG(got),
	    want ? want : "(unset)");
}

static int64_t fixed_wall(struct clock *c)
{
	(void)c;
	return now_us;
}

static int64_t fixed_mono(struct clock *c)
{
	(void)c;
	return now_us / 1000;
}

struct clock test_clock(void)
{
	return (struct clock){.wall_us = fixed_wall, .mono_ms = fixed_mono};
}

void test_clock_set(int64_t wall_us)
{
	now_us = wall_us;
}

static uint32_t counting_random(struct env *env)
{
	(void)env;
	static uint32_t n;
	return n++;
}

void test_env(struct env *env)
{
	env_init(env);
	env->clock = test_clock();
	env->random = counting_random;
	env->log = log_new(&env->clock);
	static const struct log_config nowhere = {.paths = STR("/dev/null")};
	log_configure(env->log, &nowhere);
	env->scratch = arena_new("test scratch", 1u << 28, 0, 0);
	env->real_uid = env->exim_uid = (int32_t)geteuid();
	env->real_gid = env->exim_gid = (int32_t)getegid();
}

void test_env_done(struct env *env)
{
	log_free(env->log);
	arena_free(env->scratch);
}

const char *test_shared(void)
{
	const char *dir = getenv("EXIMIUS_SHARED");
	if (!dir)
		dir = "../shared";
	return access(dir, R_OK) == 0 ? dir : NULL;
}

int test_main(const struct test_row *rows, size_t n)
{
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < n; i++) {
		test_state.checks_failed = 0;
		rows[i].run();
		if (test_state.checks_failed) {
			test_state.failed++;
			printf("FAIL %s\n", rows[i].name);
		} else
			test_state.passed++;
	}
	printf("%d passed, %d failed\n", test_state.passed, test_state.failed);
	return test_state.failed != 0;
}
