/* SPDX-License-Identifier: Apache-2.0
 * Conditions made of conditions: and, or, forany, forall and their JSON forms (manual 11.7). */
#include "expand/tree.h"
#include "expand/json_text.h"
#include "lookup/match.h"
#include "base/banned.h"

static void parse_group(struct xparser *x, struct xnode *n)
{
	struct xnode **tail = &n->sub;

	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing { after \"%.*s\"", STR_ARG(n->name));
		return;
	}
	for (;;) {
		xparse_space(x);
		if (xparse_take(x, '}'))
			return;
		if (!xparse_take(x, '{')) {
			xparse_error(x, "each subcondition inside an \"%.*s{...}\" condition must be in its own {}", STR_ARG(n->name));
			return;
		}
		*tail = xparse_condition(x);
		tail = &(*tail)->next;
		if (x->failed)
			return;
		xparse_space(x);
		if (!xparse_take(x, '}')) {
			xparse_error(x, "missing } at end of condition inside \"%.*s\" group", STR_ARG(n->name));
			return;
		}
	}
}

static enum expand_status test_group(struct eval *ev, const struct xnode *n, bool *ret)
{
	bool stop_at = str_eqc(n->name, "or"), decided = false;

	*ret = !stop_at;
	for (const struct xnode *c = n->sub; c; c = c->next) {
		enum expand_status st;
		bool one = false;
		st = decided ? xskip_condition(ev, c) : xcondition(ev, c, &one);
		if (st != EXPAND_OK) {
			char what[16];
			snprintf(what, sizeof what, "%.*s{...}", STR_ARG(n->name));
			return xinside(ev, st, what, "condition");
		}
		if (!decided && one == stop_at) {
			decided = true;
			*ret = stop_at;
		}
	}
	if (!n->sub)
		*ret = !stop_at;
	return EXPAND_OK;
}

static enum expand_status run_group(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	return test_group(ev, n, ret);
}

static void parse_for(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing { after \"%.*s\"", STR_ARG(n->name));
		return;
	}
	n->arg[n->args++] = xparse_braced(x);
	if (x->failed)
		return;
	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing { after \"%.*s\"", STR_ARG(n->name));
		return;
	}
	n->late = true;
	n->sub = xparse_condition(x);
	if (x->failed)
		return;
	xparse_space(x);
	if (!xparse_take(x, '}'))
		xparse_error(x, "missing } at end of condition inside \"%.*s\"", STR_ARG(n->name));
}

enum for_kind { FOR_LIST, FOR_JSON, FOR_JSONS };

static bool next_item(struct eval *ev, enum for_kind kind, struct str *rest, int *sep, struct str *ret)
{
	if (kind == FOR_LIST)
		return list_next(ev->lx.arena, rest, sep, ret);
	return json_array_next(rest, ret);
}

static enum expand_status run_for(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	char name[16];
	bool any = str_starts(n->name, "forany"), seen = false;
	enum for_kind kind = str_ends(n->name, "jsons") ? FOR_JSONS : str_ends(n->name, "json") ? FOR_JSON : FOR_LIST;
	struct str list, item, saved = ev->item;
	int sep = 0;

	snprintf(name, sizeof name, "%.*s", STR_ARG(n->name));
	enum expand_status st = expand_arg(ev, n, 0, &list);
	if (st != EXPAND_OK)
		return st;
	if (!n->sub)
		return xbroken(ev, n->tree);
	st = xskip_condition(ev, n->sub);
	if (st != EXPAND_OK)
		return xinside(ev, st, name, "condition");
	if (kind != FOR_LIST && !json_array_begin(&list)) {
		*ret = false;
		return EXPAND_OK;
	}
	*ret = !any;
	while (next_item(ev, kind, &list, &sep, &item)) {
		bool one = false;
		seen = true;
		if (kind == FOR_JSONS && !json_unquote(item, &item)) {
			ev->item = saved;
			return expand_fail(ev, "missing '\"' wrapping string result for %s", name);
		}
		ev->item = item;
		st = xcondition(ev, n->sub, &one);
		if (st != EXPAND_OK) {
			ev->item = saved;
			return xinside(ev, st, name, "condition");
		}
		if (one == any) {
			*ret = any;
			break;
		}
	}
	if (!seen && kind != FOR_LIST)
		*ret = false;
	ev->item = saved;
	return EXPAND_OK;
}

static void parse_def(struct xparser *x, struct xnode *n)
{
	xparse_def(x, n);
}

static enum expand_status run_def(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	struct str v;

	if (!n->sub)
		return xbroken(ev, n->tree);
	enum expand_status st = xvalue(ev, n->sub, &v);
	if (st != EXPAND_OK)
		return st;
	*ret = n->sub->kind == XN_HEADER ? str_is_set(v) : !str_empty(v);
	return EXPAND_OK;
}

const struct expand_condition_row cond_logic[] = {
    {.name = "and", .lazy = true, .parse = parse_group, .test = run_group},
    {.name = "or", .lazy = true, .parse = parse_group, .test = run_group},
    {.name = "forany", .lazy = true, .parse = parse_for, .test = run_for},
    {.name = "forall", .lazy = true, .parse = parse_for, .test = run_for},
    {.name = "forany_json", .lazy = true, .parse = parse_for, .test = run_for},
    {.name = "forall_json", .lazy = true, .parse = parse_for, .test = run_for},
    {.name = "forany_jsons", .lazy = true, .parse = parse_for, .test = run_for},
    {.name = "forall_jsons", .lazy = true, .parse = parse_for, .test = run_for},
    {.name = "def", .lazy = true, .parse = parse_def, .test = run_def},
    {0},
};
