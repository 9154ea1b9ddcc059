/* SPDX-License-Identifier: Apache-2.0
 * A retry rule, and a stored retry record: what is read is shown and read the same. */
#include "queue/retry_db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 8192)
		return 0;
	struct arena *a = arena_new("fuzz", 64u << 20, 0, 0);
	struct str s = str_n((const char *)data, size);
	struct config_line line = {.text = s, .file = "fuzz", .line = 1};
	const struct retry_rules *rules = NULL;
	struct why why;
	if (retry_rules_parse(&line, a, &rules, &why)) {
		const struct retry_rule *r = rules->first;
		retry_rule_format(a, r);
		struct retry_next next = retry_compute(r, 2000000, 1000000, 1234, 86400, 77);
		must(next.next_try >= 2000000 && next.next_try <= 2000000 + 86400);
		must(r->sets == 0 || next.next_try > 2000000);
	} else {
		must(why.text[0]);
	}
	struct retry_record rec, again;
	if (retry_record_parse(s, &rec)) {
		rec.text = str_sub(rec.text, 0, 2048);
		must(retry_record_parse(retry_record_format(a, &rec), &again));
		must(again.next_try == rec.next_try && again.more_errno == rec.more_errno && str_eq(again.text, rec.text));
	}
	arena_free(a);
	return 0;
}
