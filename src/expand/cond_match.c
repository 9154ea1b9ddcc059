/* SPDX-License-Identifier: Apache-2.0
 * Conditions that match: regular expressions, plain lists, and the typed lists of chapter 10
 * (manual 11.7). The second string of the latter is not expanded as a whole: its items are. */
#include "expand/tree.h"
#include "lookup/match.h"
#include "net/addr.h"
#include "base/banned.h"

static enum expand_status test_match(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	int got = match_regex(&ev->lx, arg[1], arg[0], true);

	if (got < 0)
		return expand_fail(ev, "%.*s", STR_ARG(ev->lx.error));
	*ret = got > 0;
	return EXPAND_OK;
}

static enum expand_status test_inlist(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	bool fold = str_eqc(n->name, "inlisti");
	struct str list = arg[1], item;
	int sep = 0;

	*ret = false;
	while (list_next(ev->lx.arena, &list, &sep, &item))
		if (fold ? str_ieq(arg[0], item) : str_eq(arg[0], item)) {
			item.taint = arg[1].taint;
			ev->value = item;
			*ret = true;
			break;
		}
	return EXPAND_OK;
}

/* {subject}{list}: in the list a dollar is a plain character, escapes are obeyed. */
static void parse_list(struct xparser *x, struct xnode *n)
{
	for (int i = 0; i < 2; i++) {
		xparse_space(x);
		if (!xparse_take(x, '{')) {
			xparse_error(x, i == 0 ? "missing { after \"%.*s\"" : "missing 2nd string in {} after \"%.*s\"", STR_ARG(n->name));
			return;
		}
		n->arg[n->args++] = i == 0 ? xparse_braced(x) : xparse_literal(x);
		if (x->failed)
			return;
	}
}

static enum expand_status test_list(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	enum list_kind kind = str_eqc(n->name, "match_address") ? LIST_ADDRESS : str_eqc(n->name, "match_domain") ? LIST_DOMAIN :
	    str_eqc(n->name, "match_ip") ? LIST_HOST : LIST_LOCAL_PART;
	struct str subject, data = STR_NONE;
	struct ip_addr ip;
	enum expand_status st = expand_arg(ev, n, 0, &subject);

	if (st != EXPAND_OK)
		return st;
	if (n->args < 2 || n->arg[1]->broken)
		return xbroken(ev, n->tree);
	struct str list = n->arg[1]->constant;
	if (kind == LIST_HOST && !str_empty(subject) && !ip_parse(subject, &ip))
		return expand_fail(ev, "\"%.*s\" is not an IP address", STR_ARG(subject));
	ev->lx.error = STR_NONE;
	switch (match_list_text(&ev->lx, kind, list, subject, MATCH_CASELESS_LOCAL, &data)) {
	case MATCH_NO:
		*ret = false;
		return EXPAND_OK;
	case MATCH_YES:
		*ret = true;
		data.taint = 0;
		ev->value = kind == LIST_HOST ? STR("") : data;
		return EXPAND_OK;
	case MATCH_DEFER:
		break;
	}
	return xdefer(ev, "unable to complete match against \"%.*s\": %.*s", STR_ARG(list),
	    ev->lx.error.p ? (int)ev->lx.error.len : 4, ev->lx.error.p ? ev->lx.error.p : "NULL");
}

#define LIST(n) {.name = (n), .min_args = 2, .max_args = 2, .lazy = true, .parse = parse_list, .test = test_list}
const struct expand_condition_row cond_match[] = {
    {.name = "match", .min_args = 2, .max_args = 2, .test = test_match},
    {.name = "inlist", .min_args = 2, .max_args = 2, .test = test_inlist},
    {.name = "inlisti", .min_args = 2, .max_args = 2, .test = test_inlist},
    LIST("match_address"), LIST("match_domain"), LIST("match_ip"), LIST("match_local_part"),
    {0},
};
