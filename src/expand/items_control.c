/* SPDX-License-Identifier: Apache-2.0
 * ${if (manual 11.5) and ${env. */
#include "expand/tree.h"
#include "base/banned.h"

static void parse_if(struct xparser *x, struct xnode *n)
{
	n->sub = xparse_condition(x);
	if (!x->failed)
		xparse_yesno(x, n);
}

static enum expand_status run_if(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct xsaved saved;
	bool yes = false;

	xsave(ev, &saved);
	enum expand_status st = xcondition(ev, n->sub, &yes);
	if (st == EXPAND_OK && n->yes)
		st = xyesno(ev, n, yes, ev->value, out);
	else if (st == EXPAND_OK && !n->broken && yes)
		sb_addc(out, "true");
	xrestore(ev, &saved);
	return st;
}

static void parse_env(struct xparser *x, struct xnode *n)
{
	if (xparse_args(x, n, 1, 1, false))
		xparse_yesno(x, n);
}

static enum expand_status run_env(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str key = str_trim(arg[0]);
	const char *v = NULL;

	if (!str_empty(key))
		v = getenv(str_cstr(ev->lx.arena, key));
	return xyesno(ev, n, v != NULL, v ? str_tainted(str_c(v)) : STR_NONE, out);
}

const struct expand_item items_control[] = {
    {.name = "if", .lazy = true, .parse = parse_if, .run = run_if},
    {.name = "env", .parse = parse_env, .run = run_env},
    {0},
};
