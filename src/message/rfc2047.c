/* SPDX-License-Identifier: Apache-2.0
 * Encoded words in header lines (RFC 2047): =?charset?Q?text?= and =?charset?B?text?=. What only
 * looks like one stays as it is (manual 11.5, bheader). */
#include <errno.h>
#include <iconv.h>

#include "base/limits.h"
#include "message/encode.h"
#include "message/header.h"

#include "base/banned.h"

enum { WORD_MAX = 75, CHARSET_MAX = 64 }; /* RFC 2047 2 */

struct word {
	struct str charset, text;
	size_t length; /* as written */
};

static bool token_char(int c)
{
	return c > ' ' && c < 0x7f && c != '?';
}

/* "Q" text to bytes; false on a bad escape. */
static bool decode_q(struct arena *a, struct str s, struct str *ret)
{
	struct strbuf sb;
	sb_init(&sb, a, s.len + 1u);
	for (uint32_t i = 0; i < s.len; i++) {
		struct str byte;
		if (s.p[i] == '_') {
			sb_ch(&sb, ' ');
		} else if (s.p[i] != '=') {
			sb_ch(&sb, s.p[i]);
		} else if (s.len - i > 2 && hex_decode(a, str_sub(s, i + 1u, 2), &byte)) {
			sb_add(&sb, byte);
			i += 2;
		} else {
			return false;
		}
	}
	*ret = sb_str(&sb);
	return true;
}

/* An encoded word at the cursor, decoded into w->text; the cursor moves behind it if it is one. */
static bool take_word(struct arena *a, struct rd *r, bool check_length, struct word *w)
{
	struct rd at = *r;
	if (!rd_accept_text(&at, "=?"))
		return false;
	w->charset = rd_while(&at, token_char);
	if (w->charset.len == 0 || w->charset.len > CHARSET_MAX || !rd_accept(&at, '?'))
		return false;
	bool q = rd_accept(&at, 'Q') || rd_accept(&at, 'q');
	if (!q && !rd_accept(&at, 'B') && !rd_accept(&at, 'b'))
		return false;
	if (!rd_accept(&at, '?'))
		return false;
	struct str text = rd_while(&at, token_char);
	if (!rd_accept_text(&at, "?="))
		return false;
	w->length = (size_t)(at.p - r->p);
	if (check_length && w->length > WORD_MAX)
		return false;
	if (!(q ? decode_q(a, text, &w->text) : base64_decode(a, text, &w->text)))
		return false;
	*r = at;
	return true;
}

/* Bytes of one charset to another; what cannot be converted becomes "?". */
static bool convert(struct arena *a, struct str in, struct str from, struct str to, struct strbuf *out, const char **error)
{
	if (str_ieq(from, to)) {
		sb_add(out, in);
		return true;
	}
	const char *to_name = str_cstr(a, to), *from_name = str_cstr(a, from);
	iconv_t cd = iconv_open(to_name, from_name);
	if (cd == (iconv_t)-1) {
		bool unknown = errno == EINVAL;
		*error = arena_printf(a, "iconv_open(\"%s\", \"%s\") failed: %s%s", to_name, from_name, strerrordesc_np(errno),
		    unknown ? " (maybe unsupported conversion)" : "");
		return false;
	}
	char *p = arena_dup(a, in.p, in.len);
	size_t left = in.len;
	while (left) {
		char piece[256], *q = piece;
		size_t room = sizeof piece;
		size_t n = iconv(cd, &p, &left, &q, &room);
		int why = errno;
		sb_addn(out, piece, sizeof piece - room);
		if (n == (size_t)-1 && why != E2BIG && left) {
			sb_ch(out, '?');
			p++;
			left--;
		}
	}
	iconv_close(cd);
	return true;
}

static void add_without_nul(struct strbuf *sb, struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		sb_ch(sb, s.p[i] ? s.p[i] : '?');
}

/* All of s; charset unset = no translation. False when a charset is not known. */
static bool decode_all(struct arena *a, struct str s, struct str charset, bool check_length, struct strbuf *sb, const char **error)
{
	struct rd r = rd_of(s);
	bool after_word = false;
	while (!rd_done(&r)) {
		struct rd gap_start = r;
		rd_skip_space(&r);
		struct str gap = str_n(gap_start.p, (size_t)(r.p - gap_start.p));
		struct word w;
		if (take_word(a, &r, check_length, &w)) {
			if (!after_word)
				sb_add(sb, gap);
			after_word = true;
			struct strbuf text;
			sb_init(&text, a, (size_t)w.text.len * 4 + 64);
			if (!str_is_set(charset))
				sb_add(&text, w.text);
			else if (!convert(a, w.text, w.charset, charset, &text, error))
				return false;
			add_without_nul(sb, sb_str(&text));
			continue;
		}
		after_word = false;
		sb_add(sb, gap);
		/* Plain text up to the next white space or what may be a word. */
		if (!rd_done(&r))
			sb_ch(sb, (char)rd_byte(&r));
		while (!rd_done(&r) && !ch_space(rd_peek(&r)) && rd_peek(&r) != '=')
			sb_ch(sb, (char)rd_byte(&r));
	}
	return true;
}

struct str rfc2047_decode(struct arena *a, struct str s, struct str charset, bool check_length, const char **error)
{
	if (str_find(s, STR("=?")) < 0)
		return s;
	struct strbuf sb;
	size_t ceiling = (size_t)s.len * 4 + 64;
	sb_init(&sb, a, ceiling);
	if (!decode_all(a, s, charset, check_length, &sb, error)) {
		/* Translation failed: what bheader gives. */
		const char *ignored = NULL;
		sb_init(&sb, a, ceiling);
		decode_all(a, s, STR_NONE, check_length, &sb, &ignored);
	}
	struct str decoded = sb_str(&sb);
	decoded.taint = s.taint;
	return decoded;
}

static bool plain_char(int c)
{
	return c > ' ' && c < 0x7f && !strchr("?=()<>@,;:\\\".[]_", c);
}

static bool needs_encoding(struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		if (s.p[i] != ' ' && !plain_char((unsigned char)s.p[i]))
			return true;
	return false;
}

/* Bytes of the character at i: words are not cut inside one (RFC 2047 5). */
static uint32_t char_length(struct str s, uint32_t i, bool utf8)
{
	uint32_t n = 1;
	while (utf8 && (unsigned char)s.p[i] >= 0xc0 && i + n < s.len && ((unsigned char)s.p[i + n] & 0xc0) == 0x80 && n < 4)
		n++;
	return n;
}

static void add_char(struct strbuf *sb, unsigned char c)
{
	static const char hex[] = "0123456789ABCDEF";
	if (c == ' ') {
		sb_ch(sb, '_');
	} else if (plain_char(c)) {
		sb_ch(sb, (char)c);
	} else {
		sb_ch(sb, '=');
		sb_ch(sb, hex[c >> 4]);
		sb_ch(sb, hex[c & 15]);
	}
}

struct str rfc2047_encode(struct arena *a, struct str s, struct str charset)
{
	if (!needs_encoding(s))
		return s;
	struct strbuf sb;
	sb_init(&sb, a, (size_t)s.len * 3 + ((size_t)s.len / 8 + 2) * (charset.len + 12u));
	bool utf8 = str_ieqc(charset, "UTF-8");
	size_t overhead = charset.len + 7u, in_word = 0; /* =? ?Q? ?= */
	for (uint32_t i = 0; i < s.len;) {
		uint32_t n = char_length(s, i, utf8);
		size_t width = n == 1 && (s.p[i] == ' ' || plain_char((unsigned char)s.p[i])) ? 1 : n * 3u;
		if (in_word == 0 || overhead + in_word + width > WORD_MAX) {
			sb_addc(&sb, in_word ? "?= =?" : "=?");
			sb_add(&sb, charset);
			sb_addc(&sb, "?Q?");
			in_word = 0;
		}
		for (uint32_t k = 0; k < n; k++)
			add_char(&sb, (unsigned char)s.p[i + k]);
		in_word += width;
		i += n;
	}
	sb_addc(&sb, "?=");
	struct str encoded = sb_str(&sb);
	encoded.taint = s.taint;
	return encoded;
}
