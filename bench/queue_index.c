/* SPDX-License-Identifier: Apache-2.0
 * The courier's index with many messages: time of adding, scheduling and removing, bytes an entry.
 *   bench_queue_index MESSAGES */
#include <stdio.h>
#include <stdlib.h>

#include "base/env.h"
#include "queue/index.h"

#include "base/banned.h"

int main(int argc, char **argv)
{
	int n = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1000000;
	struct env env;
	env_init(&env);
	struct queue_index *x = index_new(0);
	uint32_t seed = 1;
	int64_t t0 = clock_us(&env.clock);
	for (int i = 0; i < n; i++) {
		char id[MSG_ID_MAX];
		msgid_make(id, 1700000000000000 + i, 77, -1);
		seed = seed * 1103515245 + 12345;
		struct index_facts f = {.id = str_c(id), .queue = STR(""), .sender = STR("somebody@example.com"), .arrived_us = i,
		    .due = seed >> 8, .recipients = 1, .is_new = i % 10 == 0};
		index_add(x, &f);
	}
	int64_t t1 = clock_us(&env.clock);
	struct index_counts c = index_count(x);
	/* Every message once: out, and back with a later time. */
	for (int i = 0; i < n; i++) {
		struct index_entry *e = index_next(x, INT64_MAX);
		seed = seed * 1103515245 + 12345;
		index_done(x, e, (int64_t)1 << 40 | seed, 1, 0);
	}
	int64_t t2 = clock_us(&env.clock);
	for (struct index_entry *e; (e = index_next(x, INT64_MAX));)
		index_done(x, e, 0, 0, 0);
	int64_t t3 = clock_us(&env.clock);
	printf("%d messages: add %.0f ns, out and back %.0f ns, out and gone %.0f ns each; %.0f bytes an entry\n", n,
	    1e3 * (double)(t1 - t0) / n, 1e3 * (double)(t2 - t1) / n, 1e3 * (double)(t3 - t2) / n, (double)c.bytes / n);
	index_free(x);
	return 0;
}
