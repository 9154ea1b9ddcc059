/* SPDX-License-Identifier: Apache-2.0
 * testdb (manual 9.4.10), for testing: the query names the outcome. "fail" finds nothing, "defer"
 * is a temporary error, "nocache" is found and not remembered; anything else is its own value. */
#include "lookup/lookup.h"
#include "base/banned.h"

static enum lookup_found testdb_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	if (str_eqc(key, "fail")) {
		why_set(why, false, "testdb lookup forced FAIL");
		return LOOKUP_NONE;
	}
	if (str_eqc(key, "defer")) {
		why_set(why, true, "testdb lookup forced DEFER");
		return LOOKUP_DEFER;
	}
	if (str_eqc(key, "nocache"))
		*do_cache = false;
	*ret = str_dup(cx->arena, key);
	return LOOKUP_FOUND;
}

static struct str testdb_quote(struct arena *a, struct str s, struct str opts)
{
	return opts.p ? STR_NONE : s;
}

const struct lookup_driver lookup_testdb = {.name = "testdb", .style = LOOKUP_QUERY, .find = testdb_find, .quote = testdb_quote};
