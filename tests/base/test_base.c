/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "base/map.h"
#include "base/rd.h"
#include "base/strbuf.h"

static void arena_keeps_memory_zeroed_after_release(void)
{
	struct arena *a = arena_new("t", 1 << 20, 256, 0);
	struct arena_mark m = arena_mark(a);
	char *p = arena_alloc(a, 100);
	memset(p, 'x', 100);
	arena_release(a, m);
	char *q = arena_alloc(a, 100);
	check(p == q || q != NULL);
	for (int i = 0; i < 100; i++)
		check(q[i] == 0);
	arena_free(a);
}

static void count_up(void *arg)
{
	++*(int *)arg;
}

static void arena_runs_cleanups_of_a_mark_only(void)
{
	struct arena *a = arena_new("t", 1 << 20, 256, 0);
	int outer = 0, inner = 0;
	arena_on_reset(a, count_up, &outer);
	struct arena_mark m = arena_mark(a);
	arena_on_reset(a, count_up, &inner);
	arena_alloc(a, 5000);
	arena_release(a, m);
	check_int(inner, 1);
	check_int(outer, 0);
	arena_free(a);
	check_int(outer, 1);
}

static void strbuf_stops_at_its_ceiling_and_keeps_taint(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	struct strbuf sb;
	sb_init(&sb, a, 10);
	sb_addc(&sb, "12345");
	sb_add(&sb, str_tainted(STR("678")));
	check(sb_str(&sb).taint);
	sb_addc(&sb, "901");
	check(sb.over);
	check_str(sb_str(&sb), "12345678");
	arena_free(a);
}

static void reader_error_sticks(void)
{
	struct rd r = rd_of(STR("12 ab"));
	check_int((long long)rd_number(&r, 100), 12);
	check_str(rd_word(&r), "ab");
	check(!r.bad);
	rd_expect(&r, ';');
	check(r.bad);
	check(!rd_accept(&r, 'a'));
}

static void map_finds_removes_and_grows(void)
{
	struct map m;
	struct arena *a = arena_new("t", 1 << 22, 0, 0);
	map_init(&m, NULL, true);
	for (intptr_t i = 1; i <= 1000; i++)
		map_put(&m, str_printf(a, "Key%d", (int)i), (void *)i);
	check_int((intptr_t)map_get(&m, STR("kEY77")), 77);
	for (int i = 1; i <= 999; i++)
		map_remove(&m, str_printf(a, "key%d", i));
	check(map_get(&m, STR("key77")) == NULL);
	check_int((intptr_t)map_get(&m, STR("key1000")), 1000);
	map_done(&m);
	arena_free(a);
}

static void intervals_read_and_print(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	check_int(interval_parse(STR("1w2d3h4m5s")), 788645);
	check_int(interval_parse(STR("5")), -1);
	check_int(interval_parse(STR("1h m")), -1);
	check_int(interval_parse(STR("99999999999999999999w")), -1);
	check_str(interval_format(a, 788645), "1w2d3h4m5s");
	check_str(interval_format(a, 0), "0s");
	check_str(clock_rfc5322(a, 1709896953, true), "Fri, 08 Mar 2024 11:22:33 +0000");
	arena_free(a);
}

TEST_MAIN({"arena keeps memory zeroed after release", arena_keeps_memory_zeroed_after_release},
    {"arena runs cleanups of a mark only", arena_runs_cleanups_of_a_mark_only},
    {"strbuf stops at its ceiling and keeps taint", strbuf_stops_at_its_ceiling_and_keeps_taint},
    {"reader error sticks", reader_error_sticks},
    {"map finds, removes and grows", map_finds_removes_and_grows},
    {"intervals read and print", intervals_read_and_print})
