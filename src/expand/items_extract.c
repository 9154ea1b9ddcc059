/* SPDX-License-Identifier: Apache-2.0
 * ${extract (by key, by number, from JSON) and ${listextract (manual 11.5). Whether a key is a
 * number is known at evaluation only, so up to five arguments are read and shared out then. */
#include "expand/tree.h"
#include "expand/json_text.h"
#include "expand/text.h"
#include "lookup/match.h"
#include "base/banned.h"

enum { FORM_PLAIN, FORM_JSON, FORM_JSONS };

static bool is_number(struct str s)
{
	size_t i = s.len && (s.p[0] == '-' || s.p[0] == '+');

	if (i == s.len)
		return false;
	while (i < s.len && ch_digit(s.p[i]))
		i++;
	return i == s.len;
}

static void read_fail(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (xparse_take(x, '}'))
		return;
	n->late = true;
	if (xparse_at(x, '{')) {
		xparse_error(x, "curly-bracket problem in conditional yes/no parsing: did not close with '}'\n remaining string is '%.*s'",
		    (int)(x->end - x->p), x->p);
		return;
	}
	struct str word = xparse_name(x, "_");
	if (!str_eqc(word, "fail")) {
		xparse_error(x, "syntax error in \"%.*s\" item - \"fail\" expected", STR_ARG(n->name));
		return;
	}
	n->fail = true;
	xparse_space(x);
	if (!xparse_take(x, '}'))
		xparse_error(x, "curly-bracket problem in conditional yes/no parsing: did not close with '}'\n remaining string is '%.*s'",
		    (int)(x->end - x->p), x->p);
}

static void read_args(struct xparser *x, struct xnode *n, unsigned max)
{
	xparse_space(x);
	while (n->args < max && xparse_take(x, '{')) {
		n->arg[n->args++] = xparse_braced(x);
		if (x->failed)
			return;
		xparse_space(x);
		if (n->args == 1 && n->form == FORM_PLAIN && max == 5 && n->arg[0]->constant.p &&
		    !is_number(str_trim(n->arg[0]->constant)))
			max = 4;
	}
	read_fail(x, n);
}

static void parse_extract(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (!xparse_at(x, '{')) {
		struct str word = xparse_name(x, "");
		n->form = str_eqc(word, "json") ? FORM_JSON : str_eqc(word, "jsons") ? FORM_JSONS : FORM_PLAIN;
		xparse_space(x);
		if (n->form == FORM_PLAIN || !xparse_at(x, '{')) {
			xparse_error(x, "missing '{' for arg 1 of extract");
			return;
		}
	}
	read_args(x, n, n->form == FORM_PLAIN ? 5 : 4);
}

static void parse_listextract(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (!xparse_at(x, '{')) {
		xparse_error(x, "missing '{' for arg 1 of listextract");
		return;
	}
	n->form = FORM_JSON; /* the number is no question of the arguments */
	read_args(x, n, 4);
}

/* As xyesno, the strings being arguments number `at` and at + 1. */
static enum expand_status finish(struct eval *ev, const struct xnode *n, unsigned at, bool found, struct str value, struct strbuf *out)
{
	struct xnode part = *n;

	part.yes = at < n->args ? n->arg[at] : NULL;
	part.no = at + 1 < n->args ? n->arg[at + 1] : NULL;
	return xyesno(ev, &part, found, value, out);
}

/* The value of key in `a=b c = "d e"`. */
static bool find_key(struct eval *ev, struct str s, struct str key, struct str *ret)
{
	struct rd r = rd_of(s);

	for (;;) {
		rd_skip_space(&r);
		if (rd_done(&r))
			return false;
		const char *from = r.p;
		while (!rd_done(&r) && rd_peek(&r) != '=' && !ch_space(rd_peek(&r)))
			rd_byte(&r);
		struct str name = str_n(from, (size_t)(r.p - from));
		rd_skip_space(&r);
		if (rd_accept(&r, '='))
			rd_skip_space(&r);
		struct str value = text_dequote(&r, ev->lx.arena);
		value.taint = s.taint;
		if (str_ieq(name, key)) {
			*ret = value;
			return true;
		}
	}
}

/* Field n of a string cut at any of the separators; 0 is the whole, negative from the end. */
static bool find_field(struct str s, int64_t field, struct str seps, struct str *ret)
{
	int64_t count = 1;

	*ret = s;
	if (field == 0)
		return true;
	for (size_t i = 0; i < s.len; i++)
		count += str_chr(seps, s.p[i]) >= 0;
	if (field < 0)
		field += count + 1;
	if (field <= 0 || field > count)
		return false;
	size_t from = 0, i = 0;
	for (; i < s.len; i++) {
		if (str_chr(seps, s.p[i]) < 0)
			continue;
		if (--field == 0)
			break;
		from = i + 1;
	}
	*ret = str_sub(s, from, i - from);
	return true;
}

static enum expand_status run_json(struct eval *ev, const struct xnode *n, struct str key, struct strbuf *out)
{
	const char *what = n->form == FORM_JSON ? "extract json" : "extract jsons", *error = NULL;
	struct str s, value = STR_NONE, rest;
	bool found = false;
	enum expand_status st = expand_arg(ev, n, 1, &s);

	if (st != EXPAND_OK)
		return st;
	if (is_number(key)) {
		int64_t at, i = 0;
		struct str item;
		if (!str_int(key, &at))
			at = 0;
		rest = s;
		if (json_array_begin(&rest))
			while (!found && json_array_next(&rest, &item))
				if (++i == at) {
					value = item;
					found = true;
				}
	} else {
		int got = json_member(s, key, &value, &error);
		if (got < 0)
			return expand_fail(ev, "%s for %s", error, what);
		found = got > 0;
	}
	if (found && n->form == FORM_JSONS && !json_unquote(value, &value))
		return expand_fail(ev, "missing '\"' wrapping string result for extract jsons");
	if (n->broken && !n->late)
		return xbroken(ev, n->tree);
	return finish(ev, n, 2, found, value, out);
}

static enum expand_status missing(struct eval *ev, const struct xnode *n, unsigned arg)
{
	if (n->broken && !n->late)
		return xbroken(ev, n->tree);
	return expand_fail(ev, "missing '{' for arg %u of %.*s", arg, STR_ARG(n->name));
}

static enum expand_status run_extract(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str key, seps = STR_NONE, s, value = STR_NONE;
	enum expand_status st;
	int64_t field = 0;
	bool found;

	if (n->args < 1)
		return missing(ev, n, 1);
	st = expand_arg(ev, n, 0, &key);
	if (st != EXPAND_OK)
		return st;
	key = str_trim(key);
	if (str_empty(key))
		return expand_fail(ev, "first argument of \"extract\" must not be empty");
	if (n->args < 2)
		return missing(ev, n, 2);
	if (n->form != FORM_PLAIN)
		return run_json(ev, n, key, out);
	bool numeric = is_number(key);
	if (numeric && (st = expand_arg(ev, n, 1, &seps)) != EXPAND_OK)
		return st;
	if (numeric && n->args < 3)
		return missing(ev, n, 3);
	st = expand_arg(ev, n, numeric ? 2 : 1, &s);
	if (st != EXPAND_OK)
		return st;
	if (n->broken && !n->late && n->args < (numeric ? 4u : 3u))
		return xbroken(ev, n->tree);
	if (!numeric)
		found = find_key(ev, s, key, &value);
	else
		found = str_int(str_from(key, key.p[0] == '+'), &field) && !str_empty(s) && find_field(s, field, seps, &value);
	return finish(ev, n, numeric ? 3 : 2, found, value, out);
}

static enum expand_status run_listextract(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str key, list, item, value = STR_NONE;
	enum expand_status st = n->args < 1 ? missing(ev, n, 1) : expand_arg(ev, n, 0, &key);
	int64_t at, count = 0;
	int sep = 0;

	if (st != EXPAND_OK)
		return st;
	key = str_trim(key);
	if (str_empty(key))
		return expand_fail(ev, "first argument of \"listextract\" must not be empty");
	if (!is_number(key) || !str_int(str_from(key, key.p[0] == '+'), &at))
		return expand_fail(ev, "first argument of \"listextract\" must be numeric");
	if (n->args < 2)
		return missing(ev, n, 2);
	st = expand_arg(ev, n, 1, &list);
	if (st != EXPAND_OK)
		return st;
	if (n->broken && !n->late && n->args < 3)
		return xbroken(ev, n->tree);
	if (at < 0) {
		struct str rest = list;
		while (list_next(ev->lx.arena, &rest, &sep, &item))
			count++;
		at += count + 1;
		sep = 0;
	}
	bool found = false;
	while (at > 0 && !found && list_next(ev->lx.arena, &list, &sep, &item))
		if (--at == 0) {
			value = item;
			found = true;
		}
	return finish(ev, n, 2, found, value, out);
}

const struct expand_item items_extract[] = {
    {.name = "extract", .lazy = true, .parse = parse_extract, .run = run_extract},
    {.name = "listextract", .lazy = true, .parse = parse_listextract, .run = run_listextract},
    {0},
};
