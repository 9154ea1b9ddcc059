/* SPDX-License-Identifier: Apache-2.0
 * str: counted text with its origin. No NUL is promised. `taint` is set on what came from
 * outside and travels with every copy and concatenation; a tainted str is refused as a file
 * name, a command or a query (manual chapter 11, "tainted"). `quoter` names (1 + index, 0 =
 * none) the lookup type it was quoted for. */
#pragma once
#include "base/arena.h"
#include <string.h>

struct str {
	const char *p;
	uint32_t len;
	uint8_t taint;
	uint8_t quoter;
};

#define STR(lit) ((struct str){.p = "" lit, .len = sizeof(lit) - 1})
#define STR_NONE ((struct str){0})
/* printf: "%.*s", STR_ARG(s) */
#define STR_ARG(s) (int)(s).len, (s).p

/* From a C string; NULL gives STR_NONE. Not tainted. */
struct str str_c(const char *s);
struct str str_n(const char *p, size_t len);
struct str str_tainted(struct str s);

/* Unset (NULL) is not the same as empty. */
static inline bool str_is_set(struct str s)
{
	return s.p != NULL;
}
static inline bool str_empty(struct str s)
{
	return s.len == 0;
}

bool str_eq(struct str a, struct str b);
bool str_eqc(struct str a, const char *b);
bool str_ieq(struct str a, struct str b); /* ASCII case folded */
bool str_ieqc(struct str a, const char *b);
int str_cmp(struct str a, struct str b);
int str_icmp(struct str a, struct str b);
bool str_starts(struct str s, const char *prefix);
bool str_istarts(struct str s, const char *prefix);
bool str_ends(struct str s, const char *suffix);
bool str_iends(struct str s, const char *suffix);
/* Position of the first such byte / text, or -1. */
ptrdiff_t str_chr(struct str s, char c);
ptrdiff_t str_rchr(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);
ptrdiff_t str_ifind(struct str s, struct str needle);

/* Part of s; positions past the end are cut. Taint is kept. */
struct str str_sub(struct str s, size_t from, size_t len);
struct str str_from(struct str s, size_t from);
struct str str_trim(struct str s);   /* white space at both ends */
struct str str_ltrim(struct str s);
struct str str_rtrim(struct str s);
/* Cut at the first `c`: returns what stands before, *rest after it (unset if none). */
struct str str_cut(struct str s, char c, struct str *rest);

struct str str_dup(struct arena *a, struct str s); /* also NUL-terminated behind its end */
struct str str_lower(struct arena *a, struct str s);
struct str str_upper(struct arena *a, struct str s);
/* Joined copy of n parts; taint is the union. */
struct str str_join(struct arena *a, const struct str *parts, size_t n);
#define str_cat(a, ...) str_join((a), (const struct str[]){__VA_ARGS__}, sizeof((const struct str[]){__VA_ARGS__}) / sizeof(struct str))
struct str str_printf(struct arena *a, const char *fmt, ...) printf_like(2, 3);
/* NUL-terminated copy for libraries; an inner NUL ends it early for them. */
char *str_cstr(struct arena *a, struct str s);

/* Decimal (optionally signed) integer making up all of s; false if not or out of range. */
bool str_int(struct str s, int64_t *ret);
bool str_uint(struct str s, uint64_t max, uint64_t *ret);
uint64_t str_hash(struct str s);  /* seeded per process */
uint64_t str_ihash(struct str s); /* of the lower-cased text */

/* ASCII character classes that no locale moves. */
static inline bool ch_upper(int c) { return c >= 'A' && c <= 'Z'; }
static inline bool ch_lower(int c) { return c >= 'a' && c <= 'z'; }
static inline bool ch_digit(int c) { return c >= '0' && c <= '9'; }
static inline bool ch_alpha(int c) { return ch_upper(c) || ch_lower(c); }
static inline bool ch_alnum(int c) { return ch_alpha(c) || ch_digit(c); }
static inline bool ch_xdigit(int c) { return ch_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
static inline bool ch_space(int c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline bool ch_print(int c) { return c >= 0x20 && c < 0x7f; }
static inline char ch_tolower(char c) { return ch_upper(c) ? (char)(c + 32) : c; }
static inline char ch_toupper(char c) { return ch_lower(c) ? (char)(c - 32) : c; }
