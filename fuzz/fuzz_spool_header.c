/* SPDX-License-Identifier: Apache-2.0
 * -H files: what is read is written so that it reads and writes the same again. */
#include "spool/spool.h"

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new("fuzz", LIMIT_ARENA_MESSAGE, 0, 0);
	struct message *m = NULL, *again = NULL;
	struct why why;
	if (spool_parse_header(str_n((const char *)data, size), a, &m, &why) == ST_OK) {
		struct str once = spool_format_header(a, m);
		must(spool_parse_header(once, a, &again, &why) == ST_OK);
		must(str_eq(spool_format_header(a, again), once));
		must(again->recipients == m->recipients && again->headers.count == m->headers.count);
	}
	arena_free(a);
	return 0;
}
