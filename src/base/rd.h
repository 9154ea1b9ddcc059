/* SPDX-License-Identifier: Apache-2.0
 * rd: a cursor over foreign bytes with a sticky error: take ten things, check `bad` once. Text
 * taken keeps the taint of what it was made from. Nothing ever reads past the end. */
#pragma once
#include "base/str.h"

struct rd {
	const char *p, *end;
	uint8_t taint;
	bool bad;
};

struct rd rd_of(struct str s);
static inline size_t rd_left(const struct rd *r) { return (size_t)(r->end - r->p); }
static inline bool rd_done(const struct rd *r) { return r->bad || r->p == r->end; }
/* The next byte without taking it, or -1. */
static inline int rd_peek(const struct rd *r) { return rd_done(r) ? -1 : (unsigned char)*r->p; }
int rd_peek_at(const struct rd *r, size_t ahead);
/* Take one byte; -1 and bad at the end. */
int rd_byte(struct rd *r);
/* Take `c` / the text if it stands next (text: ASCII case ignored with _i); else nothing moves. */
bool rd_accept(struct rd *r, char c);
bool rd_accept_text(struct rd *r, const char *text);
bool rd_accept_itext(struct rd *r, const char *text);
/* As accept, but sets bad when it does not stand there. */
void rd_expect(struct rd *r, char c);
struct str rd_take(struct rd *r, size_t n);            /* exactly n, else bad */
struct str rd_while(struct rd *r, bool (*is)(int c));  /* may be empty */
struct str rd_until(struct rd *r, char c);             /* up to c (not taken) or the end */
struct str rd_until_any(struct rd *r, const char *set);
struct str rd_line(struct rd *r);                      /* up to \n (taken); a \r before it is cut */
struct str rd_word(struct rd *r);                      /* skip blanks, then non-space run */
void rd_skip_space(struct rd *r);                      /* space, tab, CR, LF, VT, FF */
void rd_skip_blank(struct rd *r);                      /* space and tab */
uint64_t rd_number(struct rd *r, uint64_t max);        /* decimal digits, at least one, <= max else bad */
uint64_t rd_be(struct rd *r, unsigned bytes);          /* big-endian binary, 1..8 bytes */
struct str rd_rest(const struct rd *r);
