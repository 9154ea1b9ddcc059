/* SPDX-License-Identifier: Apache-2.0
 * The evaluator: walks the tree of a string from left to right (manual chapter 11). Plain text
 * and single variables are handed out without copying; everything else is joined in a strbuf,
 * which joins taint too. Parts that are not wanted are skipped, where only a syntax error in
 * them matters. */
#include "expand/tree.h"
#include "base/limits.h"
#include <stdarg.h>
#include "base/banned.h"

enum expand_status expand_fail(struct eval *ev, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;

	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	ev->lx.error = sb_str(&sb);
	return EXPAND_FAILED;
}

enum expand_status xdefer(struct eval *ev, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;

	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	ev->lx.error = sb_str(&sb);
	ev->lx.deferred = true;
	return EXPAND_DEFER;
}

enum expand_status xbroken(struct eval *ev, const struct xtree *t)
{
	ev->lx.error = t->error;
	return EXPAND_FAILED;
}

enum expand_status xinside(struct eval *ev, enum expand_status st, const char *name, const char *what)
{
	if (st == EXPAND_FAILED || st == EXPAND_DEFER)
		ev->lx.error = str_printf(ev->lx.arena, "%.*s inside \"%s\" %s", STR_ARG(ev->lx.error), name, what);
	return st;
}

enum expand_status xskip(struct eval *ev, const struct xnode *n, const struct xseq *s)
{
	return s && s->broken ? xbroken(ev, n->tree) : EXPAND_OK;
}

enum expand_status xskip_condition(struct eval *ev, const struct xnode *n)
{
	return n && n->broken ? xbroken(ev, n->tree) : EXPAND_OK;
}

/* Numeric variables and $value, as they were: most items put them back (11.5). */
void xsave(struct eval *ev, struct xsaved *s)
{
	s->value = ev->value;
	s->count = ev->captures.count;
	s->v = s->count ? arena_dup(ev->lx.arena, ev->captures.v, sizeof(struct str) * s->count) : NULL;
}

void xrestore(struct eval *ev, const struct xsaved *s)
{
	if (s->count)
		memcpy(ev->captures.v, s->v, sizeof(struct str) * s->count);
	ev->captures.count = s->count;
	ev->value = s->value;
}

static bool router_var(struct eval *ev, struct str name, struct str *ret)
{
	struct addr_view *av = ev->space[SPACE_ADDRESS];
	const struct str *v = av && av->router_vars ? map_get(av->router_vars, name) : NULL;

	*ret = v ? *v : STR_NONE;
	return true;
}

/* acl_c and acl_m values hang on the message, in which the connection's are handed on (44.19). */
static bool acl_var(struct eval *ev, const struct xnode *n, struct str *ret)
{
	const struct message *m = ev->lx.message;
	const struct str *v = NULL;

	if (m)
		v = map_get(n->form == 'c' ? &m->acl_c : &m->acl_m, n->name);
	if (!v && ev->lx.config && ev->lx.config->main.strict_acl_vars) {
		expand_fail(ev, "unknown variable name \"%.*s\" (strict_acl_vars is set)", STR_ARG(n->text));
		return false;
	}
	*ret = v ? *v : STR_NONE;
	return true;
}

enum expand_status xvalue(struct eval *ev, const struct xnode *n, struct str *ret)
{
	bool ok = true;

	*ret = STR_NONE;
	switch (n->kind) {
	case XN_TEXT: *ret = n->text; break;
	case XN_VAR: ok = xvar_value(ev, n->u.var, ret); break;
	case XN_CAPTURE:
		if (n->u.number < ev->captures.count)
			*ret = ev->captures.v[n->u.number];
		break;
	case XN_HEADER: ok = xheader_value(ev, n->name, n->form, ret); break;
	case XN_ACL_VAR: ok = acl_var(ev, n, ret); break;
	case XN_ROUTER_VAR: ok = router_var(ev, n->name, ret); break;
	case XN_ITEM:
	case XN_OPERATOR: break;
	}
	if (!ok)
		return ev->lx.deferred ? EXPAND_DEFER : EXPAND_FAILED;
	return EXPAND_OK;
}

enum expand_status expand_arg(struct eval *ev, const struct xnode *node, unsigned n, struct str *ret)
{
	if (n >= node->args || !node->arg[n]) {
		*ret = STR_NONE;
		return node->broken ? xbroken(ev, node->tree) : EXPAND_OK;
	}
	return xeval(ev, node->arg[n], ret);
}

static enum expand_status eval_item(struct eval *ev, const struct xnode *n, struct strbuf *out)
{
	struct str arg[XARGS_MAX] = {{0}};
	const struct expand_item *item = n->u.item;
	enum expand_status st;

	if (!item->lazy) {
		for (unsigned i = 0; i < n->args; i++)
			if ((st = xeval(ev, n->arg[i], &arg[i])) != EXPAND_OK)
				return st;
		if (n->broken && !n->late)
			return xbroken(ev, n->tree);
	}
	st = item->run(ev, n, arg, n->args, out);
	if (st == EXPAND_OK && n->broken)
		st = xbroken(ev, n->tree);
	return st;
}

static enum expand_status eval_operator(struct eval *ev, const struct xnode *n, struct strbuf *out)
{
	struct str subject;
	enum expand_status st = xeval(ev, n->arg[0], &subject);

	if (st != EXPAND_OK)
		return st;
	if (n->broken)
		return xbroken(ev, n->tree);
	uint8_t taint = out->taint, quoter = out->quoter;
	struct str plain = subject;
	bool quoting = (n->text.p && str_eqc(str_c(n->u.op->name), "quote")) || str_eqc(str_c(n->u.op->name), "expand");
	if (!quoting)
		plain.taint = 0;
	if (n->u.op->certificate)
		xcertificate_der(ev, n->arg[0], plain, &plain);
	st = n->u.op->run(ev, n->text, plain, out);
	if (!quoting && subject.taint) {
		out->taint = taint | subject.taint;
		out->quoter = 0;
	} else if (!quoting && !out->taint) {
		out->quoter = quoter;
	}
	return st;
}

static enum expand_status eval_node(struct eval *ev, const struct xnode *n, struct strbuf *out)
{
	struct str s;
	enum expand_status st;

	if (n->kind == XN_ITEM)
		return eval_item(ev, n, out);
	if (n->kind == XN_OPERATOR)
		return eval_operator(ev, n, out);
	st = xvalue(ev, n, &s);
	if (st == EXPAND_OK)
		sb_add(out, s);
	return st;
}

enum expand_status xeval_into(struct eval *ev, const struct xseq *s, struct strbuf *out)
{
	enum expand_status st;

	for (const struct xnode *n = s->first; n; n = n->next) {
		st = eval_node(ev, n, out);
		if (st != EXPAND_OK)
			return st;
		if (n->broken)
			return xbroken(ev, n->tree);
	}
	return EXPAND_OK;
}

static enum expand_status eval_seq(struct eval *ev, const struct xseq *s, const struct xtree *t, struct str *ret)
{
	struct strbuf sb;
	enum expand_status st;

	if (s->constant.p) {
		*ret = s->constant;
		return EXPAND_OK;
	}
	if (s->first && !s->first->next && s->first->kind != XN_ITEM && s->first->kind != XN_OPERATOR && !s->broken) {
		struct str v;
		st = xvalue(ev, s->first, &v);
		if (st == EXPAND_OK)
			*ret = v.p ? v : STR("");
		return st;
	}
	if (ev->depth > LIMIT_EXPANSION_DEPTH)
		return expand_fail(ev, "string expansion nested too deeply");
	ev->depth++;
	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	st = xeval_into(ev, s, &sb);
	ev->depth--;
	if (st != EXPAND_OK)
		return st;
	if (s->broken)
		return xbroken(ev, t);
	if (sb.over)
		return expand_fail(ev, "the result of the expansion is too long");
	*ret = sb_str(&sb);
	return EXPAND_OK;
}

enum expand_status xeval(struct eval *ev, const struct xseq *s, struct str *ret)
{
	return eval_seq(ev, s, s->tree, ret);
}

enum expand_status xcondition(struct eval *ev, const struct xnode *n, bool *ret)
{
	struct str arg[XARGS_MAX] = {{0}};
	const struct expand_condition_row *row = n->u.cond;
	enum expand_status st;
	bool yes = false;

	if (!row)
		return xbroken(ev, n->tree);
	if (!row->lazy) {
		for (unsigned i = 0; i < n->args; i++)
			if ((st = xeval(ev, n->arg[i], &arg[i])) != EXPAND_OK)
				return st;
		if (n->broken)
			return xbroken(ev, n->tree);
	}
	st = row->test(ev, n, arg, n->args, &yes);
	if (st == EXPAND_OK && n->broken)
		st = xbroken(ev, n->tree);
	if (st == EXPAND_OK)
		*ret = yes != n->negate;
	return st;
}

enum expand_status xyesno(struct eval *ev, const struct xnode *n, bool found, struct str value, struct strbuf *out)
{
	struct str saved = ev->value;
	enum expand_status st = EXPAND_OK;

	if (found) {
		if (n->yes) {
			ev->value = value;
			st = xeval_into(ev, n->yes, out);
			if (st == EXPAND_OK)
				st = xskip(ev, n, n->yes);
			ev->value = saved;
		} else if (!n->broken) {
			sb_add(out, value);
		}
		return st == EXPAND_OK ? xskip(ev, n, n->no) : st;
	}
	st = xskip(ev, n, n->yes);
	if (st != EXPAND_OK)
		return st;
	if (n->no) {
		st = xeval_into(ev, n->no, out);
		return st == EXPAND_OK ? xskip(ev, n, n->no) : st;
	}
	if (!n->fail)
		return EXPAND_OK;
	if (n->broken)
		return xbroken(ev, n->tree);
	expand_fail(ev, "\"%.*s\" failed and \"fail\" requested", STR_ARG(n->name));
	return EXPAND_FORCED;
}
