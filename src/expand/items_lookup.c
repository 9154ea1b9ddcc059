/* SPDX-License-Identifier: Apache-2.0
 * ${lookup (manual 11.5, chapter 9). The type is read once, when the string is parsed. */
#include "expand/tree.h"
#include "lookup/lookup.h"
#include "base/banned.h"

struct lookup_item {
	struct lookup_type type;
	struct str type_name, error;
	bool key;
};

static void read_type(struct xparser *x, struct xnode *n, struct lookup_item *li)
{
	struct lookup_context cx = {.config = x->cfg, .arena = x->arena};
	const char *from = x->p;

	while (x->p < x->end && *x->p != '{')
		x->p++;
	li->type_name = str_trim(str_n(from, (size_t)(x->p - from)));
	if (!lookup_type_parse(&cx, li->type_name, &li->type)) {
		xparse_error(x, "%.*s", STR_ARG(cx.error));
		return;
	}
	bool query = li->type.driver->style == LOOKUP_QUERY;
	if (query && li->key)
		xparse_error(x, "a single key was given for lookup type \"%s\", which is not a single-key lookup type", li->type.driver->name);
	if (!query && !li->key)
		xparse_error(x, "missing {key} for single-key \"%s\" lookup", li->type.driver->name);
}

static void parse_lookup(struct xparser *x, struct xnode *n)
{
	struct lookup_item *li = arena_new_of(x->arena, struct lookup_item);

	n->extra = li;
	xparse_space(x);
	if (xparse_take(x, '{')) {
		li->key = true;
		n->arg[n->args++] = xparse_braced(x);
		if (x->failed)
			return;
		xparse_space(x);
	}
	if (x->p == x->end || !ch_alpha((unsigned char)*x->p)) {
		xparse_error(x, "missing lookup type");
		return;
	}
	read_type(x, n, li);
	if (x->failed)
		return;
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing '{' for lookup file-or-query arg");
		return;
	}
	n->arg[n->args++] = xparse_braced(x);
	if (!x->failed)
		xparse_yesno(x, n);
}

static enum expand_status run_lookup(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	const struct lookup_item *li = n->extra;
	struct str value = STR_NONE, key = arg[0];
	struct str file = li->key ? arg[1] : STR_NONE;
	struct xsaved saved;

	if (ev->forbid & EVAL_FORBID_LOOKUP)
		return expand_fail(ev, "lookup expansions are not permitted");
	xsave(ev, &saved);
	ev->lx.error = STR_NONE;
	enum lookup_found got = lookup_find(&ev->lx, &li->type, file, key, &value);
	if (got == LOOKUP_DEFER) {
		if (!ev->lx.deferred)
			return expand_fail(ev, "%.*s", STR_ARG(ev->lx.error));
		return xdefer(ev, "lookup of \"%.*s\" gave DEFER: %.*s", STR_ARG(key), STR_ARG(ev->lx.error));
	}
	enum expand_status st = xyesno(ev, n, got == LOOKUP_FOUND, value, out);
	xrestore(ev, &saved);
	return st;
}

const struct expand_item items_lookup[] = {
    {.name = "lookup", .parse = parse_lookup, .run = run_lookup},
    {0},
};
