/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "queue/index.h"

static struct index_entry *add(struct queue_index *x, int n, int64_t due, bool is_new)
{
	char id[MSG_ID_MAX];
	msgid_make(id, 1700000000000000 + n, 77, -1);
	struct index_facts f = {.id = str_c(id), .queue = STR(""), .sender = STR("s@x"), .arrived_us = n, .due = due, .recipients = 2, .is_new = is_new};
	return index_add(x, &f);
}

static void new_ones_come_first_then_what_is_due(void)
{
	struct queue_index *x = index_new(0);
	struct index_entry *late = add(x, 1, 50, false), *soon = add(x, 2, 20, false), *new1 = add(x, 3, 0, true), *new2 = add(x, 4, 0, true);
	check(add(x, 4, 0, true) == NULL);
	check_int(index_next_due(x), 0);
	check(index_next(x, 10) == new1);
	check(index_next(x, 10) == new2);
	check(index_next(x, 10) == NULL);
	check_int(index_next_due(x), 20);
	check(index_next(x, 60) == soon);
	index_ask(x, new1); /* while it runs: at once when done */
	index_done(x, new1, 1000, 1, 0);
	check(index_next(x, 60) == new1);
	check(index_next(x, 60) == late);
	check_int((long long)index_count(x).running, 4);
	index_done(x, late, 70, 0, 0); /* nothing left: gone */
	check_int((long long)index_count(x).messages, 3);
	index_free(x);
}

static void the_limit_holds_and_removal_waits_for_the_runner(void)
{
	struct queue_index *x = index_new(1);
	struct index_entry *a = add(x, 1, 0, true), *b = add(x, 2, 0, true);
	check(index_next(x, 0) == a);
	check(index_next(x, 0) == NULL);
	index_remove(x, a);
	check(index_find(x, str_c(a->id)) == NULL);
	index_done(x, a, 10, 1, 0);
	check_int((long long)index_count(x).messages, 1);
	index_remove(x, b);
	check(index_next(x, 0) == NULL);
	check_int((long long)index_count(x).messages, 0);
	check_int(index_next_due(x), INT64_MAX);
	index_free(x);
}

static void frozen_ones_rest_until_asked_or_thawed(void)
{
	struct queue_index *x = index_new(0);
	struct index_entry *a = add(x, 1, 5, false), *b = add(x, 2, 6, false);
	index_set_frozen(x, a, 99);
	check_int((long long)index_count(x).frozen, 1);
	check(index_next(x, 100) == b);
	check(index_next(x, 100) == NULL);
	index_ask(x, a);
	index_ask(x, a);
	check(index_next(x, 100) == a);
	index_done(x, a, 200, 1, 99);
	check(index_next(x, 1000) == NULL);
	index_set_frozen(x, a, 0);
	index_set_due(x, a, 300);
	check(index_next(x, 299) == NULL);
	check(index_next(x, 300) == a);
	check_int((long long)index_count(x).frozen, 0);
	index_free(x);
}

struct walk {
	char last[MSG_ID_MAX];
	int n;
	bool sorted;
};

static bool walk(void *arg, const struct index_entry *e)
{
	struct walk *w = arg;
	w->sorted &= strcmp(w->last, e->id) < 0;
	memcpy(w->last, e->id, sizeof w->last);
	w->n++;
	return true;
}

/* Against a plain model: many adds, changes and removals; what comes out is always the least due. */
static void a_heap_of_many_keeps_its_order(void)
{
	enum { N = 20000 };
	struct queue_index *x = index_new(0);
	static struct index_entry *e[N];
	uint32_t seed = 1;
	for (int i = 0; i < N; i++)
		e[i] = add(x, i, (int64_t)(seed = seed * 1103515245 + 12345) >> 8, false);
	for (int i = 0; i < N; i += 3)
		index_set_due(x, e[i], (int64_t)(seed = seed * 1103515245 + 12345) >> 8);
	int removed = 0;
	for (int i = 1; i < N; i += 7, removed++)
		index_remove(x, e[i]);
	struct walk w = {.sorted = true};
	index_each(x, walk, &w);
	check(w.sorted);
	check_int(w.n, N - removed);
	int64_t last = 0;
	int out = 0;
	for (struct index_entry *n; (n = index_next(x, INT64_MAX)); out++) {
		check(n->due >= last);
		last = n->due;
		index_done(x, n, 0, 0, 0);
	}
	check_int(out, N - removed);
	check_int((long long)index_count(x).messages, 0);
	index_free(x);
}

TEST_MAIN({"new ones come first, then what is due", new_ones_come_first_then_what_is_due},
    {"the limit holds and removal waits for the runner", the_limit_holds_and_removal_waits_for_the_runner},
    {"frozen ones rest until asked or thawed", frozen_ones_rest_until_asked_or_thawed},
    {"a heap of many keeps its order", a_heap_of_many_keeps_its_order})
