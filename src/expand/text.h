/* SPDX-License-Identifier: Apache-2.0
 * Text functions that items and operators share. */
#pragma once
#include "base/rd.h"
#include "base/strbuf.h"

/* Part of a string, as ${substr: from < 0 counts from the right; len < 0: the rest (or, with a
 * negative from, what stands before). */
struct str text_substr(struct str s, int64_t from, int64_t len);
/* ${hash: n characters out of the first m (m < 0: 26) of the alphabet; m too big: false. */
bool text_hash(struct str s, int64_t n, int64_t m, struct strbuf *out);
/* ${nhash: false when a range is zero; m < 0: one number. */
bool text_nhash(struct str s, int64_t n, int64_t m, struct strbuf *out);
/* One UTF-8 character at the head: bytes used, 0 if malformed. */
size_t text_utf8(struct str s, uint32_t *ret);
/* A value that may be in double quotes, with escapes (manual 6.17); else up to white space. */
struct str text_dequote(struct rd *r, struct arena *a);
void text_hex(struct strbuf *out, const unsigned char *p, size_t n, bool upper);
void text_base64(struct strbuf *out, struct str s);
bool text_base64_decode(struct str s, struct strbuf *out);
/* Digest by OpenSSL's name: length, or 0 when there is none. */
size_t text_digest(const char *algorithm, struct str s, unsigned char to[64]);
/* Non-printing characters as \n, \ooo ...; high: those above 127 count as printing. */
void text_escape(struct strbuf *out, struct str s, bool high_prints);
