/* SPDX-License-Identifier: Apache-2.0
 * Items that walk lists: map, filter, reduce, sort, listquote (manual 11.5). */
#include "expand/tree.h"
#include "lookup/match.h"
#include "base/banned.h"

static bool arg_or_missing(struct xparser *x, struct xnode *n, const char *which)
{
	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing '{' for %s arg of %.*s", which, STR_ARG(n->name));
		return false;
	}
	n->arg[n->args++] = xparse_braced(x);
	return !x->failed;
}

static void parse_end(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (!x->failed && !xparse_take(x, '}'))
		xparse_error(x, "missing } at end of \"%.*s\"", STR_ARG(n->name));
}

static bool body_begins(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (xparse_take(x, '{'))
		return true;
	xparse_error(x, "missing '{' for last arg of %.*s", STR_ARG(n->name));
	return false;
}

static void parse_map(struct xparser *x, struct xnode *n)
{
	if (!arg_or_missing(x, n, "first"))
		return;
	if (str_eqc(n->name, "reduce") && !arg_or_missing(x, n, "second"))
		return;
	if (!body_begins(x, n))
		return;
	n->late = true;
	n->yes = xparse_braced(x);
	parse_end(x, n);
}

static void parse_filter(struct xparser *x, struct xnode *n)
{
	if (!arg_or_missing(x, n, "first") || !body_begins(x, n))
		return;
	n->late = true;
	n->sub = xparse_condition(x);
	if (x->failed)
		return;
	xparse_space(x);
	if (!xparse_take(x, '}')) {
		xparse_error(x, "missing } at end of condition inside \"%.*s\"", STR_ARG(n->name));
		return;
	}
	parse_end(x, n);
}

/* One more item of an output list: the separator between, doubled inside. */
struct list_out {
	struct strbuf *out;
	char sep;
	bool any;
};
static void list_add(struct list_out *lo, struct str item)
{
	if (lo->any)
		sb_ch(lo->out, lo->sep);
	lo->any = true;
	lo->out->taint |= item.taint;
	if (str_empty(item))
		sb_ch(lo->out, ' ');
	for (size_t i = 0; i < item.len; i++) {
		sb_ch(lo->out, item.p[i]);
		if (item.p[i] == lo->sep)
			sb_ch(lo->out, lo->sep);
	}
}

static enum expand_status list_body(struct eval *ev, const struct xnode *n, struct str list, struct strbuf *out, const char *name)
{
	struct list_out lo = {.out = out};
	struct str item, v;
	int sep = 0;

	while (list_next(ev->lx.arena, &list, &sep, &item)) {
		enum expand_status st;
		bool keep = true;
		lo.sep = (char)sep;
		ev->item = item;
		v = item;
		if (n->sub)
			st = xcondition(ev, n->sub, &keep);
		else
			st = xeval(ev, n->yes, &v);
		if (st != EXPAND_OK)
			return xinside(ev, st, name, "item");
		if (keep)
			list_add(&lo, v);
	}
	return EXPAND_OK;
}

static enum expand_status reduce_body(struct eval *ev, const struct xnode *n, struct str list, struct strbuf *out)
{
	struct str item;
	int sep = 0;

	while (list_next(ev->lx.arena, &list, &sep, &item)) {
		ev->item = item;
		struct str v;
		enum expand_status st = xeval(ev, n->yes, &v);
		if (st != EXPAND_OK)
			return xinside(ev, st, "reduce", "item");
		ev->value = v;
	}
	sb_add(out, ev->value);
	return EXPAND_OK;
}

static enum expand_status run_list(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	char name[8];
	bool reduce = str_eqc(n->name, "reduce");
	struct str item = ev->item, value = ev->value;
	enum expand_status st;

	snprintf(name, sizeof name, "%.*s", STR_ARG(n->name));
	if (n->broken && !n->late)
		return xbroken(ev, n->tree);
	if (reduce)
		ev->value = arg[1];
	st = n->sub ? xskip_condition(ev, n->sub) : xskip(ev, n, n->yes);
	if (st != EXPAND_OK)
		st = xinside(ev, st, name, "item");
	else if (n->broken)
		st = xbroken(ev, n->tree);
	else if (reduce)
		st = reduce_body(ev, n, arg[0], out);
	else
		st = list_body(ev, n, arg[0], out, name);
	ev->item = item;
	ev->value = value;
	return st;
}

static void parse_sort(struct xparser *x, struct xnode *n)
{
	if (!arg_or_missing(x, n, "first") || !arg_or_missing(x, n, "second"))
		return;
	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing '{' for extractor arg of sort");
		return;
	}
	n->late = true;
	n->yes = xparse_braced(x);
	parse_end(x, n);
}

struct sort_item {
	struct str item, key;
};
/* a stands before b, by the comparison named: -1 no, 0 error. */
static enum expand_status before(struct eval *ev, const struct expand_condition_row *row, const struct xnode *n,
    struct str name, struct str a, struct str b, bool *ret)
{
	struct xnode fake = {.name = name, .tree = n->tree, .u.cond = row};
	const struct str arg[2] = {a, b};

	return row->test(ev, &fake, arg, 2, ret);
}

/* Merge sort, stable. */
static enum expand_status merge_sort(struct eval *ev, const struct expand_condition_row *row, const struct xnode *n,
    struct str name, struct sort_item *v, size_t count, struct sort_item *tmp)
{
	enum expand_status st = EXPAND_OK;

	for (size_t width = 1; width < count && st == EXPAND_OK; width *= 2) {
		for (size_t lo = 0; lo < count && st == EXPAND_OK; lo += 2 * width) {
			size_t mid = lo + width < count ? lo + width : count, hi = lo + 2 * width < count ? lo + 2 * width : count;
			size_t a = lo, b = mid, k = lo;
			while (a < mid && b < hi && st == EXPAND_OK) {
				bool swap = false;
				st = before(ev, row, n, name, v[b].key, v[a].key, &swap);
				tmp[k++] = swap ? v[b++] : v[a++];
			}
			while (a < mid)
				tmp[k++] = v[a++];
			while (b < hi)
				tmp[k++] = v[b++];
		}
		memcpy(v, tmp, count * sizeof *v);
	}
	return st;
}

static enum expand_status read_sort_items(struct eval *ev, const struct xnode *n, struct str list,
    struct sort_item **ret, size_t *ret_count, char *ret_sep)
{
	struct str rest = list, item;
	size_t count = 0, i = 0;
	int sep = 0;

	while (list_next(ev->lx.arena, &rest, &sep, &item))
		count++;
	struct sort_item *v = arena_array_of(ev->lx.arena, count + 1, struct sort_item);
	sep = 0;
	while (i < count && list_next(ev->lx.arena, &list, &sep, &item)) {
		v[i].item = ev->item = item;
		enum expand_status st = xeval(ev, n->yes, &v[i++].key);
		if (st != EXPAND_OK)
			return xinside(ev, st, "sort", "item");
	}
	*ret = v;
	*ret_count = count;
	*ret_sep = (char)sep;
	return EXPAND_OK;
}

static enum expand_status run_sort(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct list_out lo = {.out = out};
	struct str name = str_trim(arg[1]), saved = ev->item;
	struct sort_item *v = NULL;
	size_t count = 0;

	if (n->broken && !n->late)
		return xbroken(ev, n->tree);
	const struct expand_condition_row *row = xfind_condition(ev->lx.config, name);
	if (!row)
		return expand_fail(ev, "unknown comparator \"%.*s\" for sort", STR_ARG(name));
	char first = name.p[0];
	bool greater = first == '>' || first == 'g';
	if ((first != '<' && first != '>' && first != 'l' && first != 'g') || row->min_args != 2 || row->max_args != 2)
		return expand_fail(ev, "comparator not handled for sort");
	/* Only "before" is asked, with equals kept in order: lt for le, gt for ge. */
	name = name.len > 1 && (ch_alpha(first)) ? (str_iends(name, "i") ? (greater ? STR("gti") : STR("lti")) : greater ? STR("gt") : STR("lt"))
	                                         : (greater ? STR(">") : STR("<"));
	enum expand_status st = xskip(ev, n, n->yes);
	if (st == EXPAND_OK && n->broken)
		st = xbroken(ev, n->tree);
	else if (st != EXPAND_OK)
		return xinside(ev, st, "sort", "item");
	if (st == EXPAND_OK)
		st = read_sort_items(ev, n, arg[0], &v, &count, &lo.sep);
	ev->item = saved;
	if (st == EXPAND_OK)
		st = merge_sort(ev, row, n, name, v, count, arena_array_of(ev->lx.arena, count + 1, struct sort_item));
	for (size_t i = 0; st == EXPAND_OK && i < count; i++)
		list_add(&lo, v[i].item);
	return st;
}

static enum expand_status run_listquote(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct list_out lo = {.out = out, .sep = arg[0].len ? arg[0].p[0] : 0};

	list_add(&lo, arg[1]);
	return EXPAND_OK;
}

const struct expand_item items_list[] = {
    {.name = "map", .parse = parse_map, .run = run_list},
    {.name = "filter", .parse = parse_filter, .run = run_list},
    {.name = "reduce", .parse = parse_map, .run = run_list},
    {.name = "sort", .parse = parse_sort, .run = run_sort},
    {.name = "listquote", .min_args = 2, .max_args = 2, .run = run_listquote},
    {0},
};
