/* SPDX-License-Identifier: Apache-2.0
 * Encodings of mail: base64 (RFC 4648), base32, base 62 (message ids), hex, quoted-printable
 * (RFC 2045 6.7), xtext (RFC 3461 4). Decoders take foreign bytes and refuse what is malformed;
 * results keep the taint of what they were made from. */
#pragma once
#include "base/rd.h"
#include "base/strbuf.h"

struct str base64_encode(struct arena *a, struct str s);
/* White space is skipped; padding may be missing only where RFC 4648 says so: never. */
bool base64_decode(struct arena *a, struct str s, struct str *ret);
/* Lines of at most 76 characters, each ended by \n: for MIME bodies. */
struct str base64_encode_lines(struct arena *a, struct str s);

/* `width` digits 0-9A-Za-z, high ones cut; no NUL is added. */
void base62_fixed(char *to, uint64_t v, unsigned width);
/* As few digits as the number needs, at least `min`: ${base62: pads to 6. */
struct str base62_encode(struct arena *a, uint64_t v, unsigned min);
bool base62_decode(struct str s, uint64_t *ret); /* false on a foreign digit or overflow */

struct str base32_number(struct arena *a, uint64_t v);          /* ${base32: a-z2-7, most significant first */
bool base32_number_decode(struct str s, uint64_t *ret);         /* ${base32d: */

struct str hex_encode(struct arena *a, struct str s);           /* lower case */
bool hex_decode(struct arena *a, struct str s, struct str *ret);

/* Body text, lines ended by \n kept; soft breaks at 76. */
struct str qp_encode(struct arena *a, struct str s);
/* Lenient as RFC 2045 6.7 asks of readers: a bad =XX stays as it is; *ret_bad counts them. */
struct str qp_decode(struct arena *a, struct str s, unsigned *ret_bad);

struct str xtext_encode(struct arena *a, struct str s);
bool xtext_decode(struct arena *a, struct str s, struct str *ret);
