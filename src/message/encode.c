/* SPDX-License-Identifier: Apache-2.0
 * Encodings of mail: see encode.h. All are pure functions on bytes. */
#include "message/encode.h"

#include "base/limits.h"
#include "base/banned.h"

static const char base64_digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base62_digit[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char base32_digit[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char hex_digit[] = "0123456789abcdef";
static const char hex_upper[] = "0123456789ABCDEF";

static struct str made(struct strbuf *sb, struct str from)
{
	struct str s = sb_str(sb);
	s.taint = from.taint;
	return s;
}

static void base64_group(struct strbuf *sb, const unsigned char *in, size_t n)
{
	uint32_t v = (uint32_t)in[0] << 16 | (n > 1 ? (uint32_t)in[1] << 8 : 0) | (n > 2 ? in[2] : 0u);
	sb_ch(sb, base64_digit[v >> 18]);
	sb_ch(sb, base64_digit[v >> 12 & 63]);
	sb_ch(sb, n > 1 ? base64_digit[v >> 6 & 63] : '=');
	sb_ch(sb, n > 2 ? base64_digit[v & 63] : '=');
}

struct str base64_encode(struct arena *a, struct str s)
{
	struct strbuf sb;
	sb_init(&sb, a, (size_t)s.len / 3 * 4 + 8);
	const unsigned char *p = (const unsigned char *)s.p;
	for (uint32_t i = 0; i < s.len; i += 3)
		base64_group(&sb, p + i, s.len - i);
	return made(&sb, s);
}

struct str base64_encode_lines(struct arena *a, struct str s)
{
	struct strbuf sb;
	sb_init(&sb, a, (size_t)s.len / 3 * 4 + s.len / 57 + 16);
	const unsigned char *p = (const unsigned char *)s.p;
	for (uint32_t i = 0; i < s.len; i += 3) {
		base64_group(&sb, p + i, s.len - i);
		if (i % 57 == 54 || s.len - i <= 3)
			sb_ch(&sb, '\n');
	}
	return made(&sb, s);
}

static int digit_value(const char *digits, char c)
{
	const char *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

bool base64_decode(struct arena *a, struct str s, struct str *ret)
{
	struct strbuf sb;
	sb_init(&sb, a, (size_t)s.len / 4 * 3 + 4);
	uint32_t v = 0;
	unsigned n = 0, pad = 0;
	for (uint32_t i = 0; i < s.len; i++) {
		if (ch_space((unsigned char)s.p[i]))
			continue;
		int d = s.p[i] == '=' ? 0 : digit_value(base64_digit, s.p[i]);
		if (d < 0 || (pad && s.p[i] != '='))
			return false;
		pad += s.p[i] == '=';
		v = v << 6 | (uint32_t)d;
		if (++n < 4)
			continue;
		if (pad > 2)
			return false;
		char out[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
		sb_addn(&sb, out, 3 - pad);
		v = n = 0;
		if (pad)
			pad = 4; /* nothing may follow */
	}
	if (n)
		return false;
	*ret = made(&sb, s);
	return true;
}

void base62_fixed(char *to, uint64_t v, unsigned width)
{
	while (width--) {
		to[width] = base62_digit[v % 62];
		v /= 62;
	}
}

struct str base62_encode(struct arena *a, uint64_t v, unsigned min)
{
	char digits[16];
	must(min <= sizeof digits);
	unsigned n = 0;
	for (uint64_t rest = v; rest; rest /= 62)
		n++;
	if (n < min)
		n = min;
	base62_fixed(digits, v, n);
	return str_n(arena_cstr(a, digits, n), n);
}

static bool number_decode(struct str s, const char *digits, uint64_t base, uint64_t *ret)
{
	uint64_t v = 0;
	for (uint32_t i = 0; i < s.len; i++) {
		int d = digit_value(digits, s.p[i]);
		if (d < 0 || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, (uint64_t)d, &v))
			return false;
	}
	*ret = v;
	return s.len > 0;
}

bool base62_decode(struct str s, uint64_t *ret)
{
	return number_decode(s, base62_digit, 62, ret);
}

struct str base32_number(struct arena *a, uint64_t v)
{
	char digits[16];
	unsigned at = sizeof digits;
	for (; v; v >>= 5)
		digits[--at] = base32_digit[v & 31];
	return str_n(arena_cstr(a, digits + at, sizeof digits - at), sizeof digits - at);
}

bool base32_number_decode(struct str s, uint64_t *ret)
{
	return number_decode(s, base32_digit, 32, ret);
}

struct str hex_encode(struct arena *a, struct str s)
{
	struct strbuf sb;
	sb_init(&sb, a, (size_t)s.len * 2 + 1);
	for (uint32_t i = 0; i < s.len; i++) {
		sb_ch(&sb, hex_digit[(unsigned char)s.p[i] >> 4]);
		sb_ch(&sb, hex_digit[s.p[i] & 15]);
	}
	return made(&sb, s);
}

static int hex_pair(struct str s, uint32_t at)
{
	if (at + 2 > s.len)
		return -1;
	int high = digit_value(hex_digit, ch_tolower(s.p[at])), low = digit_value(hex_digit, ch_tolower(s.p[at + 1]));
	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

bool hex_decode(struct arena *a, struct str s, struct str *ret)
{
	struct strbuf sb;
	sb_init(&sb, a, s.len / 2 + 1u);
	if (s.len % 2)
		return false;
	for (uint32_t i = 0; i < s.len; i += 2) {
		int v = hex_pair(s, i);
		if (v < 0)
			return false;
		sb_ch(&sb, (char)v);
	}
	*ret = made(&sb, s);
	return true;
}

/* RFC 2045 6.7: printable bytes as they are, a blank not before a line end. */
static bool qp_plain(struct str s, uint32_t i)
{
	int c = (unsigned char)s.p[i];
	if (c == ' ' || c == '\t')
		return i + 1 < s.len && s.p[i + 1] != '\n' && s.p[i + 1] != '\r';
	return c > ' ' && c < 0x7f && c != '=';
}

struct str qp_encode(struct arena *a, struct str s)
{
	struct strbuf sb;
	sb_init(&sb, a, (size_t)s.len * 3 + s.len / 8 + 8);
	unsigned column = 0;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\n' || (s.p[i] == '\r' && i + 1 < s.len && s.p[i + 1] == '\n')) {
			sb_ch(&sb, s.p[i]);
			column = 0;
			continue;
		}
		unsigned width = qp_plain(s, i) ? 1 : 3;
		if (column + width > 75) {
			sb_addc(&sb, "=\n");
			column = 0;
		}
		if (width == 1) {
			sb_ch(&sb, s.p[i]);
		} else {
			sb_ch(&sb, '=');
			sb_ch(&sb, hex_upper[(unsigned char)s.p[i] >> 4]);
			sb_ch(&sb, hex_upper[s.p[i] & 15]);
		}
		column += width;
	}
	return made(&sb, s);
}

/* Length of a soft line break that begins at the "=" at i, 0 if it is none. */
static uint32_t qp_soft_break(struct str s, uint32_t i)
{
	uint32_t at = i + 1;
	while (at < s.len && (s.p[at] == ' ' || s.p[at] == '\t'))
		at++;
	if (at < s.len && s.p[at] == '\r')
		at++;
	return at < s.len && s.p[at] == '\n' ? at + 1 - i : at == s.len ? at - i : 0;
}

struct str qp_decode(struct arena *a, struct str s, unsigned *ret_bad)
{
	struct strbuf sb;
	sb_init(&sb, a, s.len + 1u);
	unsigned bad = 0;
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] != '=') {
			sb_ch(&sb, s.p[i]);
			continue;
		}
		int v = hex_pair(s, i + 1);
		uint32_t soft = v < 0 ? qp_soft_break(s, i) : 0;
		if (v >= 0) {
			sb_ch(&sb, (char)v);
			i += 2;
		} else if (soft) {
			i += soft - 1;
		} else {
			sb_ch(&sb, '=');
			bad++;
		}
	}
	if (ret_bad)
		*ret_bad = bad;
	return made(&sb, s);
}

struct str xtext_encode(struct arena *a, struct str s)
{
	struct strbuf sb;
	sb_init(&sb, a, (size_t)s.len * 3 + 1);
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 33 && c <= 126 && c != '+' && c != '=') {
			sb_ch(&sb, (char)c);
		} else {
			sb_ch(&sb, '+');
			sb_ch(&sb, hex_upper[c >> 4]);
			sb_ch(&sb, hex_upper[c & 15]);
		}
	}
	return made(&sb, s);
}

bool xtext_decode(struct arena *a, struct str s, struct str *ret)
{
	struct strbuf sb;
	sb_init(&sb, a, s.len + 1u);
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '+') {
			int v = hex_pair(s, i + 1);
			if (v < 0)
				return false;
			sb_ch(&sb, (char)v);
			i += 2;
		} else if (c < 33 || c > 126 || c == '=') {
			return false;
		} else {
			sb_ch(&sb, (char)c);
		}
	}
	*ret = made(&sb, s);
	return true;
}
