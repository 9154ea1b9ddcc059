/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/limits.h"
#include "base/banned.h"

struct str str_c(const char *s)
{
	return s ? str_n(s, strlen(s)) : STR_NONE;
}

struct str str_n(const char *p, size_t len)
{
	must(len <= UINT32_MAX);
	return (struct str){.p = p ? p : "", .len = (uint32_t)len};
}

struct str str_tainted(struct str s)
{
	s.taint = 1;
	return s;
}

bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool str_eqc(struct str a, const char *b)
{
	return str_eq(a, str_c(b));
}

static int fold_cmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int d = (unsigned char)ch_tolower(a[i]) - (unsigned char)ch_tolower(b[i]);
		if (d)
			return d;
	}
	return 0;
}

bool str_ieq(struct str a, struct str b)
{
	return a.len == b.len && fold_cmp(a.p, b.p, a.len) == 0;
}

bool str_ieqc(struct str a, const char *b)
{
	return str_ieq(a, str_c(b));
}

int str_cmp(struct str a, struct str b)
{
	uint32_t n = a.len < b.len ? a.len : b.len;
	int d = n ? memcmp(a.p, b.p, n) : 0;
	return d ? d : (a.len > b.len) - (a.len < b.len);
}

int str_icmp(struct str a, struct str b)
{
	uint32_t n = a.len < b.len ? a.len : b.len;
	int d = n ? fold_cmp(a.p, b.p, n) : 0;
	return d ? d : (a.len > b.len) - (a.len < b.len);
}

bool str_starts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.len >= n && memcmp(s.len ? s.p : "", prefix, n) == 0;
}

bool str_istarts(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);
	return s.len >= n && fold_cmp(s.len ? s.p : "", prefix, n) == 0;
}

bool str_ends(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.len >= n && (n == 0 || memcmp(s.p + s.len - n, suffix, n) == 0);
}

bool str_iends(struct str s, const char *suffix)
{
	size_t n = strlen(suffix);
	return s.len >= n && (n == 0 || fold_cmp(s.p + s.len - n, suffix, n) == 0);
}

ptrdiff_t str_chr(struct str s, char c)
{
	const char *at = s.len ? memchr(s.p, c, s.len) : NULL;
	return at ? at - s.p : -1;
}

ptrdiff_t str_rchr(struct str s, char c)
{
	const char *at = s.len ? memrchr(s.p, c, s.len) : NULL;
	return at ? at - s.p : -1;
}

ptrdiff_t str_find(struct str s, struct str needle)
{
	if (needle.len == 0)
		return 0;
	const char *at = s.len ? memmem(s.p, s.len, needle.p, needle.len) : NULL;
	return at ? at - s.p : -1;
}

ptrdiff_t str_ifind(struct str s, struct str needle)
{
	for (uint32_t i = 0; needle.len <= s.len && i <= s.len - needle.len; i++)
		if (fold_cmp(s.p + i, needle.p, needle.len) == 0)
			return (ptrdiff_t)i;
	return -1;
}

struct str str_sub(struct str s, size_t from, size_t len)
{
	if (from > s.len)
		from = s.len;
	if (len > s.len - from)
		len = s.len - from;
	if (from) /* s may be unset */
		s.p += from;
	s.len = (uint32_t)len;
	return s;
}

struct str str_from(struct str s, size_t from)
{
	return str_sub(s, from, s.len);
}

struct str str_ltrim(struct str s)
{
	while (s.len && ch_space((unsigned char)*s.p))
		s.p++, s.len--;
	return s;
}

struct str str_rtrim(struct str s)
{
	while (s.len && ch_space((unsigned char)s.p[s.len - 1]))
		s.len--;
	return s;
}

struct str str_trim(struct str s)
{
	return str_rtrim(str_ltrim(s));
}

struct str str_cut(struct str s, char c, struct str *rest)
{
	ptrdiff_t at = str_chr(s, c);
	if (at < 0) {
		*rest = STR_NONE;
		return s;
	}
	*rest = str_from(s, (size_t)at + 1);
	return str_sub(s, 0, (size_t)at);
}

struct str str_dup(struct arena *a, struct str s)
{
	if (!s.p)
		return s;
	s.p = arena_cstr(a, s.p, s.len);
	return s;
}

static struct str map_bytes(struct arena *a, struct str s, char (*to)(char))
{
	char *p = arena_alloc(a, (size_t)s.len + 1);
	for (uint32_t i = 0; i < s.len; i++)
		p[i] = to(s.p[i]);
	s.p = p;
	return s;
}

struct str str_lower(struct arena *a, struct str s)
{
	return s.p ? map_bytes(a, s, ch_tolower) : s;
}

struct str str_upper(struct arena *a, struct str s)
{
	return s.p ? map_bytes(a, s, ch_toupper) : s;
}

struct str str_join(struct arena *a, const struct str *parts, size_t n)
{
	size_t len = 0;
	struct str out = {0};
	for (size_t i = 0; i < n; i++) {
		len += parts[i].len;
		out.taint |= parts[i].taint;
	}
	must(len < UINT32_MAX);
	char *p = arena_alloc(a, len + 1);
	out.p = p;
	out.len = (uint32_t)len;
	for (size_t i = 0; i < n; i++) {
		if (parts[i].len)
			memcpy(p, parts[i].p, parts[i].len);
		p += parts[i].len;
	}
	return out;
}

struct str str_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	must(n >= 0);
	char *text = arena_alloc(a, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return str_n(text, (size_t)n);
}

char *str_cstr(struct arena *a, struct str s)
{
	return arena_cstr(a, s.p, s.len);
}

bool str_int(struct str s, int64_t *ret)
{
	bool neg = s.len && s.p[0] == '-';
	if (s.len && (s.p[0] == '-' || s.p[0] == '+'))
		s = str_from(s, 1);
	uint64_t v;
	if (!str_uint(s, neg ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX, &v))
		return false;
	*ret = neg ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

bool str_uint(struct str s, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;
	if (s.len == 0)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		if (!ch_digit((unsigned char)s.p[i]))
			return false;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v) || v > max)
			return false;
	}
	*ret = v;
	return true;
}

/* Seeded once per process so that a sender cannot aim at one bucket. The seed is written before
 * any thread starts (constructor), never again. */
static uint64_t hash_seed;

__attribute__((constructor)) static void seed_hash(void)
{
	if (getrandom(&hash_seed, sizeof hash_seed, GRND_NONBLOCK) != (ssize_t)sizeof hash_seed)
		hash_seed = (uint64_t)(uintptr_t)&hash_seed;
	hash_seed |= 1;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	__extension__ unsigned __int128 m = (unsigned __int128)(h ^ v) * 0x9E3779B97F4A7C15u;
	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t hash_bytes(struct str s, bool fold)
{
	uint64_t h = hash_seed ^ s.len;
	for (uint32_t i = 0; i < s.len; i += 8) {
		uint64_t v = 0;
		uint32_t n = s.len - i < 8 ? s.len - i : 8;
		for (uint32_t k = 0; k < n; k++)
			v |= (uint64_t)(unsigned char)(fold ? ch_tolower(s.p[i + k]) : s.p[i + k]) << (8 * k);
		h = mix(h, v);
	}
	return mix(h, hash_seed);
}

uint64_t str_hash(struct str s)
{
	return hash_bytes(s, false);
}

uint64_t str_ihash(struct str s)
{
	return hash_bytes(s, true);
}
