/* SPDX-License-Identifier: Apache-2.0
 * Redirection data: whatever a user writes into his .forward is read to an answer, and what is
 * taken for an address bears a domain. */
#include "route/redirect_data.h"

static bool include(void *arg, struct str path, struct str *ret_text, struct str *ret_error)
{
	*ret_text = *(struct str *)arg;
	*ret_error = STR_NONE;
	return path.len & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 16384)
		return 0;
	struct arena *a = arena_new("fuzz", 256u << 20, 0, 0);
	struct str s = str_tainted(str_n((const char *)data + 1, size - 1)), part = str_sub(s, s.len / 2, 64);
	struct redirect_rules rules = {.allow_fail = data[0] & 1, .allow_defer = data[0] & 2, .skip_errors = data[0] & 4,
	    .forbid_include = data[0] & 8, .allow_literal = data[0] & 16, .incoming_domain = STR("in"), .qualify_domain = STR("q"),
	    .include = include, .arg = &part};
	struct redirect_result r;
	redirect_parse(a, s, &rules, &r);
	must(r.answer != REDIRECT_ITEMS || r.items || r.comments);
	for (const struct redirect_item *i = r.answer == REDIRECT_ITEMS ? r.items : NULL; i; i = i->next) {
		must(i->text.len > 0 && i->text.taint);
		must(i->kind != REDIRECT_ADDRESS || str_chr(i->text, '@') >= 0);
	}
	redirect_filter_kind(s);
	arena_free(a);
	return 0;
}
