/* SPDX-License-Identifier: Apache-2.0
 * Regular expressions by PCRE2 with JIT (manual chapter 8), compiled once per thread. A match is
 * bounded in steps and memory: a bad expression costs a defer, not the process. */
#include "lookup/cache.h"
#include "lookup/match.h"
#include "base/banned.h"

enum { REGEX_MAX = 1000, MATCH_LIMIT = 5000000, DEPTH_LIMIT = 10000, HEAP_LIMIT_KB = 20000 };

static pcre2_code *compile(struct lookup_context *cx, struct str pattern)
{
	int error;
	size_t offset;
	unsigned char text[256];
	pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.p, pattern.len, 0, &error, &offset, NULL);

	if (!code) {
		pcre2_get_error_message(error, text, sizeof text);
		cx->error = str_printf(cx->arena, "regular expression error in \"%.*s\": %s at offset %zu", STR_ARG(pattern), (char *)text, offset);
		return NULL;
	}
	pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
	return code;
}

static void forget_oldest(struct lookup_cache *c)
{
	struct cached_regex *r = list_entry(c->regex_lru.prev, struct cached_regex, link);

	list_remove(&r->link);
	map_remove(&c->regex, str_c(r->key));
	pcre2_code_free(r->code);
	free(r->key);
	free(r);
	c->regex_count--;
}

static pcre2_code *get_code(struct lookup_context *cx, struct lookup_cache *c, struct str pattern)
{
	struct cached_regex *r = map_get(&c->regex, pattern);

	if (r) {
		list_remove(&r->link);
		list_unshift(&c->regex_lru, &r->link);
		return r->code;
	}
	pcre2_code *code = compile(cx, pattern);
	if (!code)
		return NULL;
	if (c->regex_count >= REGEX_MAX)
		forget_oldest(c);
	r = calloc(1, sizeof *r);
	must(r);
	r->key = strndup(pattern.p, pattern.len);
	must(r->key);
	r->code = code;
	list_unshift(&c->regex_lru, &r->link);
	map_put(&c->regex, str_n(r->key, strlen(r->key)), r);
	c->regex_count++;
	return code;
}

static void prepare(struct lookup_cache *c)
{
	if (c->mcx)
		return;
	c->mcx = pcre2_match_context_create(NULL);
	c->md = pcre2_match_data_create(CAPTURES_MAX, NULL);
	must(c->mcx && c->md);
	pcre2_set_match_limit(c->mcx, MATCH_LIMIT);
	pcre2_set_depth_limit(c->mcx, DEPTH_LIMIT);
	pcre2_set_heap_limit(c->mcx, HEAP_LIMIT_KB);
	c->stack = pcre2_jit_stack_create(32 << 10, 1 << 20, NULL);
	if (c->stack)
		pcre2_jit_stack_assign(c->mcx, NULL, c->stack);
}

static void keep(struct lookup_context *cx, pcre2_match_data *md, int count, struct str subject)
{
	const size_t *v = pcre2_get_ovector_pointer(md);
	struct captures *cap = cx->captures;

	cap->count = 0;
	for (int i = 0; i < count && i < CAPTURES_MAX; i++) {
		size_t from = v[2 * i], to = v[2 * i + 1];
		cap->v[i] = from == PCRE2_UNSET || to < from ? STR("") : str_dup(cx->arena, str_sub(subject, from, to - from));
		cap->v[i].taint = subject.taint;
		cap->count = (unsigned)i + 1;
	}
}

static int run(struct lookup_context *cx, struct lookup_cache *c, pcre2_code *code, struct str pattern, struct str subject,
    size_t start, uint32_t options, bool keep_captures, size_t *ret_from, size_t *ret_to)
{
	int n = pcre2_match(code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.len, start, options, c->md, c->mcx);

	if (n == PCRE2_ERROR_JIT_STACKLIMIT)
		n = pcre2_match(code, (PCRE2_SPTR)subject.p, subject.len, start, options | PCRE2_NO_JIT, c->md, c->mcx);
	if (n == PCRE2_ERROR_NOMATCH)
		return 0;
	if (n < 0) {
		unsigned char text[256];
		pcre2_get_error_message(n, text, sizeof text);
		cx->error = str_printf(cx->arena, "regular expression match of \"%.*s\" failed: %s", STR_ARG(pattern), (char *)text);
		return -1;
	}
	if (n == 0) /* more groups than we keep */
		n = CAPTURES_MAX;
	const size_t *v = pcre2_get_ovector_pointer(c->md);
	*ret_from = v[0] <= v[1] ? v[0] : v[1];
	*ret_to = v[1];
	if (keep_captures && cx->captures)
		keep(cx, c->md, n, subject);
	return 1;
}

static int match(struct lookup_context *cx, struct str pattern, struct str subject, size_t start, uint32_t options,
    bool keep_captures, size_t *ret_from, size_t *ret_to)
{
	struct lookup_cache *c = cx->env ? cx->env->lookups : NULL, *own = NULL;
	int got = -1;

	if (!c)
		c = own = lookup_cache_new();
	prepare(c);
	pcre2_code *code = get_code(cx, c, pattern);
	if (code)
		got = run(cx, c, code, pattern, subject, start, options, keep_captures, ret_from, ret_to);
	lookup_cache_free(own);
	return got;
}

int match_regex(struct lookup_context *cx, struct str pattern, struct str subject, bool keep_captures)
{
	size_t from, to;

	return match(cx, pattern, subject, 0, 0, keep_captures, &from, &to);
}

int match_regex_at(struct lookup_context *cx, struct str pattern, struct str subject, size_t start, bool again,
    size_t *ret_from, size_t *ret_to)
{
	return match(cx, pattern, subject, start, again ? PCRE2_NOTEMPTY_ATSTART | PCRE2_ANCHORED : 0, true, ret_from, ret_to);
}
