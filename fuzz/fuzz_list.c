/* SPDX-License-Identifier: Apache-2.0
 * Lists of every kind: the first byte picks it, the first line is the subject, the rest the list.
 * A compiled list must give the answer of the same list read from left to right. */
#include "expand/expand.h"
#include "lookup/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct env env;
	struct arena *a;

	if (size < 2 || size > 4096)
		return 0;
	enum list_kind kind = (enum list_kind)(data[0] % LIST_KINDS);
	struct str list, subject = str_cut(str_n((const char *)data + 1, size - 1), '\n', &list);
	/* No files, no lookups, no names to resolve. */
	if (!list.p || str_chr(list, '/') >= 0 || str_chr(list, ';') >= 0 || str_chr(list, '$') >= 0 || str_chr(list, '\\') >= 0 ||
	    str_find(list, STR("@mx")) >= 0)
		return 0;
	a = arena_new("fuzz", 1u << 30, 1 << 16, 0);
	env_init(&env);
	env.lookups = lookup_cache_new();
	struct eval *ev = arena_new_of(a, struct eval);
	eval_init(ev, NULL, &env, a);
	struct str data1 = {0}, data2 = {0};
	list = str_dup(a, list);
	subject = str_dup(a, subject);
	if (kind == LIST_HOST) {
		match_list_text(&ev->lx, kind, list, subject, 0, &data1);
	} else {
		struct xstr plain = {.text = list}, compiled = {.text = list};
		match_compile_list(a, NULL, &compiled, kind);
		must(compiled.list);
		enum match_result (*match)(struct lookup_context *, const struct xstr *, struct str, unsigned, struct str *) =
		    kind == LIST_DOMAIN ? match_domain : kind == LIST_ADDRESS ? match_address : match_local_part;
		enum match_result r1 = match(&ev->lx, &plain, subject, MATCH_CASELESS_LOCAL, &data1);
		enum match_result r2 = match(&ev->lx, &compiled, subject, MATCH_CASELESS_LOCAL, &data2);
		must(r1 == r2);
		must(r1 != MATCH_YES || str_eq(data1, data2));
	}
	lookup_cache_free(env.lookups);
	arena_free(a);
	return 0;
}
