/* SPDX-License-Identifier: Apache-2.0
 * Internationalised names (manual 60.1): U-labels to A-labels and back by libidn2; local parts by
 * the same punycode, as one label. */
#include "expand/tree.h"
#include "expand/text.h"
#include <idn2.h>
#include "base/banned.h"

#define OP(fn) static enum expand_status fn(struct eval *ev, struct str params, struct str s, struct strbuf *out)

static bool ascii(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static struct str shown(struct eval *ev, struct str s)
{
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, s.len * 4u + 1);
	text_escape(&sb, s, false);
	return sb_str(&sb);
}

OP(op_domain_to)
{
	char *to = NULL;
	int rc = idn2_to_ascii_8z(str_cstr(ev->lx.arena, s), &to, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);

	if (rc != IDN2_OK && !ascii(s))
		return expand_fail(ev, "error converting utf8 (%.*s) to alabel: %s", STR_ARG(shown(ev, s)), idn2_strerror(rc));
	sb_addc(out, rc == IDN2_OK && to ? to : str_cstr(ev->lx.arena, s));
	idn2_free(to);
	return EXPAND_OK;
}

OP(op_domain_from)
{
	char *to = NULL;
	int rc;

	if (!ascii(s)) {
		uint32_t cp;
		for (struct str t = s; t.len;) {
			size_t n = text_utf8(t, &cp);
			if (!n)
				return expand_fail(ev, "error converting alabel (%.*s) to utf8: Invalid input", STR_ARG(shown(ev, s)));
			t = str_from(t, n);
		}
	}
	rc = idn2_to_unicode_8z8z(str_cstr(ev->lx.arena, s), &to, 0);
	if (rc != IDN2_OK)
		return expand_fail(ev, "error converting alabel (%.*s) to utf8: %s", STR_ARG(shown(ev, s)), idn2_strerror(rc));
	sb_addc(out, to);
	idn2_free(to);
	return EXPAND_OK;
}

/* Punycode (RFC 3492). */
enum { BASE = 36, TMIN = 1, TMAX = 26, SKEW = 38, DAMP = 700, BIAS = 72, FIRST = 128, POINTS_MAX = 256 };

static uint32_t adapt(uint32_t delta, uint32_t count, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / DAMP : delta / 2;
	delta += delta / count;
	for (; delta > ((BASE - TMIN) * TMAX) / 2; k += BASE)
		delta /= BASE - TMIN;
	return k + (BASE - TMIN + 1) * delta / (delta + SKEW);
}

static uint32_t threshold(uint32_t k, uint32_t bias)
{
	return k <= bias ? TMIN : k >= bias + TMAX ? TMAX : k - bias;
}

static void puny_number(struct strbuf *out, uint32_t delta, uint32_t bias)
{
	static const char digit[] = "abcdefghijklmnopqrstuvwxyz0123456789";

	for (uint32_t k = BASE;; k += BASE) {
		uint32_t t = threshold(k, bias);
		if (delta < t)
			break;
		sb_ch(out, digit[t + (delta - t) % (BASE - t)]);
		delta = (delta - t) / (BASE - t);
	}
	sb_ch(out, digit[delta]);
}

static bool puny_encode(const uint32_t *cp, uint32_t count, struct strbuf *out)
{
	uint32_t n = FIRST, delta = 0, bias = BIAS, basic = 0, done;

	for (uint32_t i = 0; i < count; i++)
		if (cp[i] < 0x80) {
			sb_ch(out, (char)cp[i]);
			basic++;
		}
	if (basic)
		sb_ch(out, '-');
	for (done = basic; done < count; n++, delta++) {
		uint32_t m = UINT32_MAX;
		for (uint32_t i = 0; i < count; i++)
			if (cp[i] >= n && cp[i] < m)
				m = cp[i];
		uint32_t step;
		if (__builtin_mul_overflow(m - n, done + 1, &step) || __builtin_add_overflow(delta, step, &delta))
			return false;
		n = m;
		for (uint32_t i = 0; i < count; i++) {
			if (cp[i] < n && ++delta == 0)
				return false;
			if (cp[i] != n)
				continue;
			puny_number(out, delta, bias);
			bias = adapt(delta, done + 1, done == basic);
			delta = 0;
			done++;
		}
	}
	return true;
}

static int puny_digit(char c)
{
	c = ch_tolower(c);
	return ch_lower(c) ? c - 'a' : ch_digit(c) ? c - '0' + 26 : -1;
}

static bool puny_decode(struct str s, uint32_t *cp, uint32_t *ret_count)
{
	uint32_t n = FIRST, i = 0, bias = BIAS, count = 0;
	ptrdiff_t dash = str_rchr(s, '-');

	for (ptrdiff_t k = 0; k < dash; k++)
		cp[count++] = (unsigned char)s.p[k];
	for (size_t at = dash >= 0 ? (size_t)dash + 1 : 0; at < s.len;) {
		uint32_t old = i, w = 1;
		for (uint32_t k = BASE;; k += BASE) {
			int d = at < s.len ? puny_digit(s.p[at++]) : -1;
			uint32_t add;
			if (d < 0 || __builtin_mul_overflow((uint32_t)d, w, &add) || __builtin_add_overflow(i, add, &i))
				return false;
			uint32_t t = threshold(k, bias);
			if ((uint32_t)d < t)
				break;
			if (__builtin_mul_overflow(w, BASE - t, &w))
				return false;
		}
		if (count >= POINTS_MAX)
			return false;
		bias = adapt(i - old, count + 1, old == 0);
		if (__builtin_add_overflow(n, i / (count + 1), &n) || n > 0x10ffff || (n >= 0xd800 && n < 0xe000))
			return false;
		i %= count + 1;
		memmove(cp + i + 1, cp + i, (count - i) * sizeof *cp);
		cp[i++] = n;
		count++;
	}
	*ret_count = count;
	return true;
}

OP(op_local_to)
{
	uint32_t cp[POINTS_MAX + 1], count = 0;

	if (ascii(s)) {
		sb_add(out, s);
		return EXPAND_OK;
	}
	for (struct str t = s; t.len; count++) {
		size_t n = count < POINTS_MAX ? text_utf8(t, &cp[count]) : 0;
		if (!n)
			return expand_fail(ev, "error converting utf8 (%.*s) to alabel: Invalid input", STR_ARG(shown(ev, s)));
		t = str_from(t, n);
	}
	sb_addc(out, "xn--");
	if (!puny_encode(cp, count, out))
		return expand_fail(ev, "error converting utf8 (%.*s) to alabel: Overflow", STR_ARG(shown(ev, s)));
	return EXPAND_OK;
}

static void put_utf8(struct strbuf *out, uint32_t c)
{
	if (c < 0x80) {
		sb_ch(out, (char)c);
		return;
	}
	int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
	sb_ch(out, (char)(lead[more] | c >> (6 * more)));
	while (more-- > 0)
		sb_ch(out, (char)(0x80 | (c >> (6 * more) & 0x3f)));
}

OP(op_local_from)
{
	uint32_t cp[POINTS_MAX + 1], count = 0;

	if (!str_starts(s, "xn--"))
		return expand_fail(ev, "error converting alabel (%.*s) to utf8: bad alabel prefix", STR_ARG(shown(ev, s)));
	struct str body = str_from(s, 4);
	if (body.len > POINTS_MAX || !ascii(body) || !puny_decode(body, cp, &count))
		return expand_fail(ev, "error converting alabel (%.*s) to utf8: Invalid input", STR_ARG(shown(ev, s)));
	for (uint32_t i = 0; i < count; i++)
		put_utf8(out, cp[i]);
	return EXPAND_OK;
}

const struct expand_operator ops_idn[] = {
    {.name = "utf8_domain_to_alabel", .run = op_domain_to},
    {.name = "utf8_domain_from_alabel", .run = op_domain_from},
    {.name = "utf8_localpart_to_alabel", .run = op_local_to},
    {.name = "utf8_localpart_from_alabel", .run = op_local_from},
    {0},
};
