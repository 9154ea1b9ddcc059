/* SPDX-License-Identifier: Apache-2.0
 * Operators on text: case, quoting, escaping, cutting, UTF-8 (manual 11.6). */
#include "expand/tree.h"
#include "expand/text.h"
#include "lookup/lookup.h"
#include "base/banned.h"

#define OP(fn) static enum expand_status fn(struct eval *ev, struct str params, struct str s, struct strbuf *out)

OP(op_lc)
{
	for (uint32_t i = 0; i < s.len; i++)
		sb_ch(out, ch_tolower(s.p[i]));
	return EXPAND_OK;
}

OP(op_uc)
{
	for (uint32_t i = 0; i < s.len; i++)
		sb_ch(out, ch_toupper(s.p[i]));
	return EXPAND_OK;
}

OP(op_strlen)
{
	sb_printf(out, "%u", s.len);
	return EXPAND_OK;
}

OP(op_escape)
{
	text_escape(out, s, ev->lx.config && ev->lx.config->main.print_topbitchars);
	return EXPAND_OK;
}

OP(op_escape8bit)
{
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c < 0x7f && c != '\\')
			sb_ch(out, (char)c);
		else
			sb_printf(out, "\\%03o", c);
	}
	return EXPAND_OK;
}

static void put_quoted(struct strbuf *out, struct str s)
{
	sb_ch(out, '"');
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\n' || s.p[i] == '\r') {
			sb_addc(out, s.p[i] == '\n' ? "\\n" : "\\r");
			continue;
		}
		if (s.p[i] == '"' || s.p[i] == '\\')
			sb_ch(out, '\\');
		sb_ch(out, s.p[i]);
	}
	sb_ch(out, '"');
}

/* ${quote: and ${quote_TYPE: - the latter with the lookup type's own rules and mark. */
static enum expand_status op_quote(struct eval *ev, struct str params, struct str s, struct strbuf *out)
{
	bool needs = str_empty(s);

	if (params.p)
		return xquote_lookup(ev, params, s, out);
	for (uint32_t i = 0; i < s.len && !needs; i++)
		needs = !ch_alnum(s.p[i]) && !strchr("_-.", s.p[i] ? s.p[i] : ' ');
	if (needs)
		put_quoted(out, s);
	else
		sb_add(out, s);
	return EXPAND_OK;
}

enum expand_status xquote_lookup(struct eval *ev, struct str params, struct str s, struct strbuf *out)
{
	struct str rest, name = str_cut(params, '_', &rest);
	const struct lookup_driver *d = lookup_driver_find(params);
	struct str q;

	if (d) {
		rest = STR_NONE;
	} else {
		d = lookup_driver_find(name);
		if (!d && lookup_known(name))
			return expand_fail(ev, "lookup type \"%.*s\" is not supported yet", STR_ARG(name));
		if (!d)
			return expand_fail(ev, "unknown lookup type \"%.*s\"", STR_ARG(params));
	}
	q = d->quote ? d->quote(ev->lx.arena, s, rest) : s;
	if (d->quote && !q.p)
		return expand_fail(ev, "\"%.*s\" unrecognized option for %s quoting", STR_ARG(rest), d->name);
	q.taint = s.taint;
	q.quoter = lookup_quoter(d);
	sb_add(out, q);
	return EXPAND_OK;
}

/* As a local part is quoted: RFC 5322 atoms with dots not at the ends need nothing. */
OP(op_quote_local_part)
{
	bool needs = str_empty(s) || s.p[0] == '.' || s.p[s.len - 1] == '.';

	for (uint32_t i = 0; i < s.len && !needs; i++)
		needs = !ch_alnum(s.p[i]) && (!s.p[i] || !strchr("!#$%&'*+-/=?^_`{|}~.", s.p[i]));
	if (!needs) {
		sb_add(out, s);
		return EXPAND_OK;
	}
	put_quoted(out, s);
	return EXPAND_OK;
}

OP(op_rxquote)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (!ch_alnum(s.p[i]))
			sb_ch(out, '\\');
		sb_ch(out, s.p[i]);
	}
	return EXPAND_OK;
}

OP(op_hexquote)
{
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 33 && c <= 126)
			sb_ch(out, (char)c);
		else
			sb_printf(out, "\\x%02x", c);
	}
	return EXPAND_OK;
}

OP(op_utf8clean)
{
	while (s.len) {
		uint32_t cp;
		size_t n = text_utf8(s, &cp);
		if (n) {
			sb_addn(out, s.p, n);
			s = str_from(s, n);
			continue;
		}
		/* One mark for a sequence that breaks off or is not allowed. */
		unsigned char c = (unsigned char)s.p[0];
		size_t want = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc0 && c < 0xe0 ? 2 : 1;
		for (n = 1; n < want && n < s.len && ((unsigned char)s.p[n] & 0xc0) == 0x80; n++)
			;
		sb_ch(out, '?');
		s = str_from(s, n);
	}
	return EXPAND_OK;
}

OP(op_from_utf8)
{
	while (s.len) {
		uint32_t cp;
		size_t n = text_utf8(s, &cp);
		sb_ch(out, n && cp < 256 ? (char)cp : '_');
		s = str_from(s, n ? n : 1);
	}
	return EXPAND_OK;
}

/* The numbers of substr_3_2 and relatives. */
static bool read_params(struct str p, int64_t *a, int64_t *b)
{
	struct rd r = rd_of(p);
	bool minus = rd_accept(&r, '-');

	*a = rd_peek(&r) >= 0 && ch_digit(rd_peek(&r)) ? (int64_t)rd_number(&r, INT32_MAX) : 0;
	if (minus)
		*a = -*a;
	if (rd_accept(&r, '_'))
		*b = rd_peek(&r) >= 0 && ch_digit(rd_peek(&r)) ? (int64_t)rd_number(&r, INT32_MAX) : 0;
	return rd_done(&r) && !r.bad;
}

static enum expand_status bad_params(struct eval *ev, const char *name, struct str params)
{
	return expand_fail(ev, "non-digit after underscore in \"%s_%.*s\"", name, STR_ARG(params));
}

static enum expand_status cut(struct eval *ev, const char *name, struct str params, struct str s, struct strbuf *out)
{
	int64_t a = 0, b = -1;

	if (!params.p)
		return expand_fail(ev, "missing values after %s", name);
	if (!read_params(params, &a, &b) || (a < 0 && name[0] != 's'))
		return bad_params(ev, name, params);
	if (name[0] == 'l')
		sb_add(out, text_substr(s, 0, a));
	else if (name[0] == 's')
		sb_add(out, text_substr(s, a, b));
	else if (name[0] == 'h' && !text_hash(s, a, b, out))
		return expand_fail(ev, "hash count \"%lld\" too big", (long long)b);
	else if (name[0] == 'n' && !text_nhash(s, a, b, out))
		return expand_fail(ev, "a hash range must not be zero in \"%s_%.*s\"", name, STR_ARG(params));
	return EXPAND_OK;
}
OP(op_length) { return cut(ev, "length", params, s, out); }
OP(op_l) { return cut(ev, "l", params, s, out); }
OP(op_substr) { return cut(ev, "substr", params, s, out); }
OP(op_s) { return cut(ev, "s", params, s, out); }
OP(op_hash) { return cut(ev, "hash", params, s, out); }
OP(op_h) { return cut(ev, "h", params, s, out); }
OP(op_nhash) { return cut(ev, "nhash", params, s, out); }
OP(op_nh) { return cut(ev, "nh", params, s, out); }

OP(op_xtextd)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] != '+' || i + 2 >= s.len || !ch_xdigit(s.p[i + 1]) || !ch_xdigit(s.p[i + 2])) {
			sb_ch(out, s.p[i]);
			continue;
		}
		int v = 0;
		for (int k = 1; k <= 2; k++) {
			char d = ch_tolower(s.p[i + (uint32_t)k]);
			v = v * 16 + (ch_digit(d) ? d - '0' : d - 'a' + 10);
		}
		sb_ch(out, (char)v);
		i += 2;
	}
	return EXPAND_OK;
}

/* Wrap at white space before column `cols`; the tab of a continuation counts as 8. */
OP(op_headerwrap)
{
	int64_t cols = 80, limit = 998;

	if (params.p && !read_params(params, &cols, &limit))
		return bad_params(ev, "headerwrap", params);
	if (cols < 10)
		cols = 10;
	size_t line = 0, from = 0, start_len = out->len;
	while (from < s.len) {
		size_t room = (size_t)cols - line, n = s.len - from;
		if (n > room) {
			n = room;
			while (n > 0 && !ch_space(s.p[from + n]))
				n--;
			if (n == 0)
				n = room;
		}
		sb_add(out, str_rtrim(str_sub(s, from, n)));
		from += n;
		while (from < s.len && ch_space(s.p[from]))
			from++;
		if (from < s.len)
			sb_addc(out, "\n\t");
		line = 8;
	}
	if ((int64_t)(out->len - start_len) > limit)
		sb_truncate(out, start_len + (size_t)limit);
	return EXPAND_OK;
}

const struct expand_operator ops_text[] = {
    {.name = "lc", .run = op_lc},
    {.name = "uc", .run = op_uc},
    {.name = "strlen", .run = op_strlen},
    {.name = "escape", .run = op_escape},
    {.name = "escape8bit", .run = op_escape8bit},
    {.name = "quote_local_part", .run = op_quote_local_part},
    {.name = "quote", .run = op_quote},
    {.name = "rxquote", .run = op_rxquote},
    {.name = "hexquote", .run = op_hexquote},
    {.name = "utf8clean", .run = op_utf8clean},
    {.name = "from_utf8", .run = op_from_utf8},
    {.name = "length", .run = op_length},
    {.name = "l", .run = op_l},
    {.name = "substr", .run = op_substr},
    {.name = "s", .run = op_s},
    {.name = "hash", .run = op_hash},
    {.name = "h", .run = op_h},
    {.name = "nhash", .run = op_nhash},
    {.name = "nh", .run = op_nh},
    {.name = "xtextd", .run = op_xtextd},
    {.name = "headerwrap", .run = op_headerwrap},
    {0},
};
