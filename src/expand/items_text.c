/* SPDX-License-Identifier: Apache-2.0
 * Items that cut and change text: sg, tr, substr, length, hash, nhash, imapfolder (manual 11.5).
 * substr, length, hash and nhash are operators too, with their numbers in the name. */
#include "expand/tree.h"
#include "expand/text.h"
#include "lookup/match.h"
#include "base/banned.h"

static enum expand_status run_tr(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str from = arg[1], to = arg[2];

	if (str_empty(to)) {
		sb_add(out, arg[0]);
		return EXPAND_OK;
	}
	out->taint |= arg[0].taint;
	for (size_t i = 0; i < arg[0].len; i++) {
		ptrdiff_t at = str_rchr(from, arg[0].p[i]);
		if (at < 0)
			sb_ch(out, arg[0].p[i]);
		else
			sb_ch(out, to.p[(size_t)at < to.len ? (size_t)at : to.len - 1]);
	}
	return EXPAND_OK;
}

/* Replace each match; the third string is expanded for each, with $0.. of the match. */
static enum expand_status run_sg(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct xsaved saved;
	enum expand_status st = EXPAND_OK;
	size_t at = 0;
	bool empty_ok = true;

	xsave(ev, &saved);
	out->taint |= arg[0].taint;
	while (st == EXPAND_OK) {
		size_t from = 0, to = 0;
		struct str text;
		int got = match_regex_at(&ev->lx, arg[1], arg[0], at, !empty_ok, &from, &to);
		if (got < 0)
			return expand_fail(ev, "%.*s", STR_ARG(ev->lx.error));
		if (!got) {
			if (empty_ok || at >= arg[0].len)
				break;
			sb_ch(out, arg[0].p[at++]);
			empty_ok = true;
			continue;
		}
		sb_addn(out, arg[0].p + at, from - at);
		st = expand_text(ev, arg[2], &text);
		if (st == EXPAND_OK)
			sb_add(out, text);
		at = to;
		empty_ok = from != to;
		if (!empty_ok && at >= arg[0].len)
			break;
	}
	if (st == EXPAND_OK && at < arg[0].len)
		sb_addn(out, arg[0].p + at, arg[0].len - at);
	xrestore(ev, &saved);
	return st;
}

/* One of the numbers of ${substr{1}{2}{text}} and relatives. False with what it should be. */
static bool cut_number(struct str name, unsigned at, struct str text, int64_t *ret, const char **want)
{
	struct str s = str_trim(text);
	bool minus = s.len && s.p[0] == '-';

	*want = at == 0 && !str_eqc(name, "length") ? "number" : "positive number";
	if (str_empty(s)) {
		*ret = 0;
		return true;
	}
	if (!str_int(s, ret))
		return false;
	if (minus && !(at == 0 && str_eqc(name, "substr"))) {
		*want = "positive number";
		return false;
	}
	return true;
}

/* Numbers that are plain text are looked at when the string is parsed, so that a wrong one is an
 * error even where it is skipped. */
static void parse_cut(struct xparser *x, struct xnode *n)
{
	const char *want;
	int64_t v;

	if (!xparse_args(x, n, 2, str_eqc(n->name, "length") ? 2 : 3, true))
		return;
	for (unsigned i = 0; i + 1 < n->args; i++)
		if (n->arg[i]->constant.p && !cut_number(n->name, i, n->arg[i]->constant, &v, &want))
			xparse_error(x, "\"%.*s\" is not a %s (in \"%.*s\" expansion)", STR_ARG(n->arg[i]->constant), want, STR_ARG(n->name));
}

static enum expand_status run_cut(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	bool substr = str_eqc(n->name, "substr");
	int64_t v[2] = {0, -1};
	const char *want;

	for (unsigned i = 0; i + 1 < args; i++)
		if (!cut_number(n->name, i, arg[i], &v[i], &want))
			return expand_fail(ev, "\"%.*s\" is not a %s (in \"%.*s\" expansion)", STR_ARG(arg[i]), want, STR_ARG(n->name));
	struct str s = arg[args - 1];
	out->taint |= s.taint;
	if (str_eqc(n->name, "length"))
		sb_add(out, text_substr(s, 0, v[0]));
	else if (substr)
		sb_add(out, text_substr(s, v[0], v[1]));
	else if (str_eqc(n->name, "hash"))
		text_hash(s, v[0], v[1], out);
	else if (!text_nhash(s, v[0], args > 2 ? v[1] : -1, out))
		return expand_fail(ev, "a hash range must not be zero (in \"%.*s\" expansion)", STR_ARG(n->name));
	return EXPAND_OK;
}

/* Modified UTF-7 of IMAP folder names (RFC 3501 5.1.3); "/" becomes ".". */
static void put_base64_utf16(struct strbuf *out, const uint16_t *u, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
	uint32_t acc = 0;
	unsigned bits = 0;

	sb_ch(out, '&');
	for (size_t i = 0; i < n; i++) {
		acc = (acc << 16 | u[i]);
		bits += 16;
		while (bits >= 6) {
			bits -= 6;
			sb_ch(out, digits[acc >> bits & 63]);
		}
		acc &= (1u << bits) - 1;
	}
	if (bits)
		sb_ch(out, digits[acc << (6 - bits) & 63]);
	sb_ch(out, '-');
}

static enum expand_status run_imapfolder(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str s = arg[0];
	uint16_t *u = arena_array_of(ev->lx.arena, s.len * 2u + 2, uint16_t);
	size_t count = 0;
	bool slash = false;

	out->taint |= s.taint;
	while (s.len) {
		uint32_t cp;
		size_t used = text_utf8(s, &cp);
		if (!used)
			return expand_fail(ev, "imapfolder: illegal character '%.*s' in \"%.*s\"", 1, s.p, STR_ARG(arg[0]));
		s = str_from(s, used);
		if (cp < 0x20 || cp >= 0x7f) {
			if (cp >= 0x10000) {
				cp -= 0x10000;
				u[count++] = (uint16_t)(0xd800 + (cp >> 10));
				cp = 0xdc00 + (cp & 0x3ff);
			}
			u[count++] = (uint16_t)cp;
			slash = false;
			continue;
		}
		if (count)
			put_base64_utf16(out, u, count);
		count = 0;
		if (cp == '&')
			sb_addc(out, "&-");
		else if (cp != '/' )
			sb_ch(out, (char)cp);
		else if (!slash)
			sb_ch(out, '.');
		slash = cp == '/';
	}
	if (count)
		put_base64_utf16(out, u, count);
	return EXPAND_OK;
}

const struct expand_item items_text[] = {
    {.name = "tr", .min_args = 3, .max_args = 3, .run = run_tr},
    {.name = "sg", .min_args = 3, .max_args = 3, .run = run_sg},
    {.name = "substr", .parse = parse_cut, .run = run_cut},
    {.name = "length", .parse = parse_cut, .run = run_cut},
    {.name = "hash", .parse = parse_cut, .run = run_cut},
    {.name = "nhash", .parse = parse_cut, .run = run_cut},
    {.name = "imapfolder", .min_args = 1, .max_args = 1, .run = run_imapfolder},
    {0},
};
