/* SPDX-License-Identifier: Apache-2.0
 * The framework of lookups (manual chapter 9): reading a type's name with its decorations, and
 * the procedure that tries the key, its partial forms and the defaults. */
#include "lookup/lookup.h"
#include "lookup/cache.h"
#include "base/banned.h"

#define LOOKUP(name) extern const struct lookup_driver lookup_##name;
#include "lookup/drivers.def"
#undef LOOKUP

static const struct lookup_driver *const drivers[] = {
#define LOOKUP(name) &lookup_##name,
#include "lookup/drivers.def"
#undef LOOKUP
};

const struct lookup_driver *lookup_driver_find(struct str name)
{
	for (size_t i = 0; i < countof(drivers); i++)
		if (str_eqc(name, drivers[i]->name))
			return drivers[i];
	return NULL;
}

uint8_t lookup_quoter(const struct lookup_driver *d)
{
	for (size_t i = 0; i < countof(drivers); i++)
		if (drivers[i] == d)
			return (uint8_t)(i + 1);
	return 0;
}

bool lookup_known(struct str name)
{
	return lookup_driver_find(name) != NULL;
}

static bool format_error(struct lookup_context *cx, struct str name)
{
	cx->error = str_printf(cx->arena, "format error in lookup type \"%.*s\"", STR_ARG(name));
	return false;
}

/* "partial", a number, then "-" or (affix). */
static bool read_partial(struct lookup_context *cx, struct str name, struct str *rest, struct lookup_type *t)
{
	struct rd r = rd_of(str_from(*rest, 7));

	t->partial = 2;
	t->partial_affix = STR("*.");
	if (rd_peek(&r) >= 0 && ch_digit(rd_peek(&r)))
		t->partial = (int)rd_number(&r, 999);
	if (rd_accept(&r, '(')) {
		t->partial_affix = rd_until(&r, ')');
		rd_expect(&r, ')');
		for (uint32_t i = 0; i < t->partial_affix.len; i++)
			if (ch_alnum(t->partial_affix.p[i]) || ch_space(t->partial_affix.p[i]))
				return format_error(cx, name);
	} else {
		rd_expect(&r, '-');
	}
	if (r.bad)
		return format_error(cx, name);
	*rest = rd_rest(&r);
	return true;
}

bool lookup_type_parse(struct lookup_context *cx, struct str name, struct lookup_type *ret)
{
	struct lookup_type t = {.partial = -1};
	struct str rest = name, opts;

	if (str_starts(rest, "partial") && !read_partial(cx, name, &rest, &t))
		return false;
	rest = str_cut(rest, ',', &opts);
	t.opts = opts;
	ptrdiff_t at = str_chr(rest, '*');
	if (at >= 0) {
		struct str star = str_from(rest, (size_t)at);
		t.star = true;
		t.star_at = str_starts(star, "*@");
		rest = str_sub(rest, 0, (size_t)at);
	}
	t.driver = lookup_driver_find(rest);
	if (!t.driver) {
		cx->error = str_printf(cx->arena, "unknown lookup type \"%.*s\"", STR_ARG(rest));
		return false;
	}
	if (!t.driver->find) {
		cx->error = str_printf(cx->arena, "lookup type \"%.*s\" is not supported yet", STR_ARG(rest));
		return false;
	}
	if (t.driver->style == LOOKUP_QUERY && (t.partial >= 0 || t.star)) {
		cx->error = str_printf(cx->arena, "\"partial\" is not permitted for lookup type \"%.*s\"", STR_ARG(rest));
		if (t.partial < 0)
			cx->error = str_printf(cx->arena, "defaults using \"*\" or \"*@\" are not permitted for lookup type \"%.*s\"", STR_ARG(rest));
		return false;
	}
	*ret = t;
	return true;
}

/* One lookup of one key, through the cache of results. */
struct searching {
	struct lookup_context *cx;
	const struct lookup_type *t;
	struct str file, driver_opts;
	void *handle;
	struct cached_handle *ch;
	bool ret_key, no_read, no_write;
};

static enum lookup_found search_once(struct searching *s, struct str key, struct str *ret)
{
	struct lookup_context *cx = s->cx;
	struct why why = {{0}, 0, false};
	bool found = false, do_cache = true;
	struct str cache_key = s->driver_opts.p ? str_printf(cx->arena, "%.*s,%.*s", STR_ARG(s->driver_opts), STR_ARG(key)) : key;

	if (!s->no_read && cache_get(s->ch, cache_key, cx->arena, ret, &found))
		return found ? LOOKUP_FOUND : LOOKUP_NONE;
	enum lookup_found got = s->t->driver->find(cx, s->handle, s->file, key, s->driver_opts, ret, &do_cache, &why);
	if (got == LOOKUP_DEFER) {
		cx->error = str_dup(cx->arena, str_c(why.text));
		cx->deferred = true;
		return got;
	}
	if (do_cache && !s->no_write)
		cache_put(s->ch, cache_key, got == LOOKUP_FOUND, *ret);
	return got;
}

static void set_captures(struct lookup_context *cx, struct str whole, struct str one, const struct str *two)
{
	if (!cx->captures)
		return;
	cx->captures->v[0] = whole;
	cx->captures->v[1] = one;
	cx->captures->count = 2;
	if (two) {
		cx->captures->v[2] = *two;
		cx->captures->count = 3;
	}
}

/* The last of a partial0 sequence: what the prefix says for the null string (9.7). */
static enum lookup_found search_bare_affix(struct searching *s, struct str key, struct str *ret)
{
	struct str affix = s->t->partial_affix, nothing = STR("");

	if (s->t->partial != 0 || affix.len == 0)
		return LOOKUP_NONE;
	if (affix.len > 1 && affix.p[affix.len - 1] == '.')
		affix = str_sub(affix, 0, affix.len - 1);
	enum lookup_found got = search_once(s, affix, ret);
	if (got == LOOKUP_FOUND)
		set_captures(s->cx, STR_NONE, key, &nothing);
	return got;
}

static enum lookup_found search_partial(struct searching *s, struct str key, struct str *ret)
{
	struct str rest = key, affix = s->t->partial_affix;
	int dots = 0;

	for (uint32_t i = 0; i < key.len; i++)
		dots += key.p[i] == '.';
	int components = key.len ? dots + 1 : 0;
	while (components >= (s->t->partial > 0 ? s->t->partial : 1)) {
		/* With an empty prefix the first of the sequence is the key itself, which was tried. */
		if (affix.len || rest.len != key.len) {
			enum lookup_found got = search_once(s, str_cat(s->cx->arena, affix, rest), ret);
			if (got == LOOKUP_DEFER)
				return got;
			if (got == LOOKUP_FOUND) {
				size_t gone = key.len - rest.len;
				set_captures(s->cx, STR_NONE, str_sub(key, 0, gone ? gone - 1 : 0), &rest);
				return got;
			}
		}
		ptrdiff_t dot = str_chr(rest, '.');
		if (dot < 0)
			break;
		rest = str_from(rest, (size_t)dot + 1);
		components--;
	}
	return search_bare_affix(s, key, ret);
}

static enum lookup_found search_defaults(struct searching *s, struct str key, struct str *ret)
{
	enum lookup_found got = LOOKUP_NONE;
	ptrdiff_t at = str_rchr(key, '@');

	if (s->t->star_at && at >= 0) {
		got = search_once(s, str_cat(s->cx->arena, STR("*"), str_from(key, (size_t)at)), ret);
		if (got == LOOKUP_FOUND)
			set_captures(s->cx, STR_NONE, str_sub(key, 0, (size_t)at), NULL);
	}
	if (got == LOOKUP_NONE && s->t->star) {
		got = search_once(s, STR("*"), ret);
		if (got == LOOKUP_FOUND)
			set_captures(s->cx, STR_NONE, key, NULL);
	}
	return got;
}

/* Take the options that belong to the framework out of the list: ret=key, cache=... */
static void split_options(struct searching *s)
{
	struct str rest = s->t->opts, kept = STR_NONE;

	while (rest.p) {
		struct str one = str_cut(rest, ',', &rest);
		if (str_eqc(one, "ret=key") && s->t->driver->style == LOOKUP_FILE)
			s->ret_key = true;
		else if (str_eqc(one, "cache=no_rd"))
			s->no_read = true;
		else if (str_eqc(one, "cache=no_wr"))
			s->no_write = true;
		else if (!str_empty(one))
			kept = kept.p ? str_cat(s->cx->arena, kept, STR(","), one) : one;
	}
	s->driver_opts = kept;
}

static bool taint_allows(struct lookup_context *cx, const struct lookup_type *t, struct str file, struct str key)
{
	if (file.taint) {
		cx->error = str_printf(cx->arena, "Tainted filename for search: '%.*s'", STR_ARG(file));
		return false;
	}
	if (t->driver->style == LOOKUP_QUERY && t->driver->quote && key.taint && key.quoter != lookup_quoter(t->driver)) {
		cx->error = str_printf(cx->arena, "tainted search query is not properly quoted (%s)", t->driver->name);
		return false;
	}
	return true;
}

/* Query style: "file" carries the query (see ${lookup), with a file= option or a leading name for sqlite. */
enum lookup_found lookup_find(struct lookup_context *cx, const struct lookup_type *t, struct str file, struct str key, struct str *ret_value)
{
	struct searching s = {.cx = cx, .t = t, .file = file};
	struct why why = {{0}, 0, false};
	enum lookup_found got;

	cx->deferred = false;
	split_options(&s);
	if (!taint_allows(cx, t, file, key))
		return LOOKUP_DEFER;
	if (t->driver->open) {
		s.handle = cache_open(cx, t->driver, t->driver->style == LOOKUP_QUERY ? STR("") : file, &s.ch, &why);
		if (!s.handle) {
			cx->error = str_dup(cx->arena, str_c(why.text));
			cx->deferred = why.temporary;
			return LOOKUP_DEFER;
		}
	}
	if (t->driver->style == LOOKUP_FILE && str_empty(key)) {
		got = t->star ? search_defaults(&s, key, ret_value) : LOOKUP_NONE;
	} else {
		got = search_once(&s, key, ret_value);
		if (got == LOOKUP_FOUND && t->partial >= 0)
			set_captures(cx, STR_NONE, STR(""), &key);
		if (got == LOOKUP_NONE && t->partial >= 0)
			got = search_partial(&s, key, ret_value);
		if (got == LOOKUP_NONE && t->star)
			got = search_defaults(&s, key, ret_value);
	}
	if (s.handle && !s.ch && t->driver->close)
		t->driver->close(s.handle);
	if (got == LOOKUP_FOUND && s.ret_key) {
		*ret_value = str_dup(cx->arena, key);
		ret_value->taint = 0;
	}
	return got;
}
