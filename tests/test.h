/* SPDX-License-Identifier: Apache-2.0
 * The unit tests' kit: a test is a function that checks; main lists them. A failed check prints
 * where and what, and the program's exit status is 1. The last line is "N passed, N failed". */
#pragma once
#include "base/env.h"
#include "base/str.h"
#include <stdio.h>

struct test_state {
	int checks_failed, passed, failed;
};
extern struct test_state test_state;

#define check(cond) ((cond) ? (void)0 : test_fail(__FILE__, __LINE__, #cond))
#define check_int(got, want) test_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define check_str(got, want) test_str(__FILE__, __LINE__, #got, (got), (want))
void test_fail(const char *file, int line, const char *what);
void test_int(const char *file, int line, const char *what, long long got, long long want);
void test_str(const char *file, int line, const char *what, struct str got, const char *want);

/* A fixed clock: 2024-03-08 11:22:33.456789 UTC, moved by tests. */
struct clock test_clock(void);
void test_clock_set(int64_t wall_us);
/* An environment with that clock, a log to nowhere, random that counts up, a scratch arena. */
void test_env(struct env *env);
void test_env_done(struct env *env);
/* Path of the conformance data: $EXIMIUS_SHARED or ../shared; NULL where it is not there. */
const char *test_shared(void);

struct test_row {
	const char *name;
	void (*run)(void);
};
int test_main(const struct test_row *rows, size_t n);
#define TEST_MAIN(...) \
	int main(void) \
	{ \
		static const struct test_row rows[] = {__VA_ARGS__}; \
		return test_main(rows, sizeof rows / sizeof rows[0]); \
	}
