/* SPDX-License-Identifier: Apache-2.0
 * The calls of expand.h: whole strings, conditions, numbers; the context; and the callbacks by
 * which lookups and lists expand what they meet at run time (struct lookup_ops). */
#include "expand/tree.h"
#include "base/limits.h"
#include "lookup/lookup.h"
#include "base/banned.h"

static enum expand_status run_tree(struct eval *ev, const struct xtree *t, struct str *ret)
{
	struct str s = STR_NONE;

	enum expand_status st = xeval(ev, &t->seq, &s);
	if (st == EXPAND_OK && t->seq.broken)
		st = xbroken(ev, t);
	if (st == EXPAND_FAILED && ev->lx.deferred)
		st = EXPAND_DEFER;
	if (st == EXPAND_OK)
		*ret = s;
	return st;
}

enum expand_status expand(struct eval *ev, const struct xstr *x, struct str *ret)
{
	if (!x || !x->text.p) {
		*ret = STR_NONE;
		return EXPAND_OK;
	}
	if (ev->depth == 0)
		ev->lx.deferred = false;
	if (x->tree)
		return run_tree(ev, x->tree, ret);
	return expand_text(ev, x->text, ret);
}

enum expand_status expand_text(struct eval *ev, struct str text, struct str *ret)
{
	enum expand_status st;

	if (text.taint)
		return expand_fail(ev, "attempt to expand tainted string '%.*s'", STR_ARG(text));
	if (!memchr(text.p, '$', text.len) && !memchr(text.p, '\\', text.len)) {
		*ret = text;
		return EXPAND_OK;
	}
	if (ev->depth > LIMIT_EXPANSION_DEPTH)
		return expand_fail(ev, "string expansion nested too deeply");
	if (ev->depth == 0)
		ev->lx.deferred = false;
	const struct xtree *t = expand_parse(ev->lx.arena, ev->lx.config, text);
	ev->depth++;
	st = run_tree(ev, t, ret);
	ev->depth--;
	return st;
}

enum expand_status xtruth(struct eval *ev, struct str s, bool *ret)
{
	s = str_trim(s);
	*ret = !(str_empty(s) || str_eqc(s, "0") || str_ieqc(s, "no") || str_ieqc(s, "false"));
	return EXPAND_OK;
}

enum expand_status expand_condition(struct eval *ev, const struct xstr *x, bool *ret)
{
	struct str s;
	enum expand_status st = expand(ev, x, &s);

	if (st == EXPAND_FORCED) {
		*ret = false;
		return EXPAND_OK;
	}
	return st == EXPAND_OK ? xtruth(ev, s, ret) : st;
}

enum expand_status expand_int(struct eval *ev, const struct xstr *x, int64_t def, int64_t *ret)
{
	struct str s;
	enum expand_status st = expand(ev, x, &s);
	int64_t unit = 1, v;

	if (st == EXPAND_FORCED || (st == EXPAND_OK && !s.p)) {
		*ret = def;
		return EXPAND_OK;
	}
	if (st != EXPAND_OK)
		return st;
	s = str_trim(s);
	if (str_empty(s)) {
		*ret = 0;
		return EXPAND_OK;
	}
	char last = ch_tolower(s.p[s.len - 1]);
	if (last == 'k' || last == 'm' || last == 'g') {
		unit = last == 'k' ? 1 << 10 : last == 'm' ? 1 << 20 : 1 << 30;
		s.len--;
	}
	if (!str_int(s, &v) || __builtin_mul_overflow(v, unit, ret))
		return expand_fail(ev, "integer expected but \"%.*s\" found", STR_ARG(s));
	return EXPAND_OK;
}

enum expand_status expand_bool(struct eval *ev, const struct xstr *x, bool def, bool *ret)
{
	struct str s;
	enum expand_status st = expand(ev, x, &s);

	if (st == EXPAND_FORCED || (st == EXPAND_OK && !s.p)) {
		*ret = def;
		return EXPAND_OK;
	}
	if (st != EXPAND_OK)
		return st;
	s = str_trim(s);
	*ret = str_ieqc(s, "true") || str_ieqc(s, "yes");
	if (!*ret && !str_empty(s) && !str_ieqc(s, "false") && !str_ieqc(s, "no"))
		return expand_fail(ev, "\"%.*s\" is not a valid value for a boolean option", STR_ARG(s));
	return EXPAND_OK;
}

bool expand_setting(struct config *cfg, struct env *env, struct arena *a, struct str text, struct str *ret, struct why *why)
{
	struct eval *ev = arena_new_of(a, struct eval);

	eval_init(ev, cfg, env, a);
	if (expand_text(ev, text, ret) == EXPAND_OK)
		return true;
	why_set(why, false, "failed to expand \"%.*s\": %.*s", STR_ARG(text), STR_ARG(ev->lx.error));
	return false;
}

bool expand_untainted(struct eval *ev, struct str s, const char *what)
{
	if (!s.taint)
		return true;
	expand_fail(ev, "Tainted %s '%.*s'", what, STR_ARG(s));
	return false;
}

static bool ops_expand(struct lookup_context *cx, struct str text, struct str *ret, bool *forced)
{
	struct eval *ev = container_of(cx, struct eval, lx);
	enum expand_status st = expand_text(ev, text, ret);

	*forced = st == EXPAND_FORCED;
	return st == EXPAND_OK;
}

static bool ops_expand_x(struct lookup_context *cx, const struct xstr *x, struct str *ret, bool *forced)
{
	struct eval *ev = container_of(cx, struct eval, lx);
	enum expand_status st = expand(ev, x, ret);

	*forced = st == EXPAND_FORCED;
	return st == EXPAND_OK;
}

static const struct lookup_ops ops = {.expand = ops_expand, .expand_x = ops_expand_x};

void eval_init(struct eval *ev, const struct config *cfg, struct env *env, struct arena *a)
{
	*ev = (struct eval){.lx = {.config = cfg, .env = env, .arena = a, .ops = &ops}, .body_fd = -1};
	ev->lx.captures = &ev->captures;
}

void eval_set_peer(struct eval *ev, struct peer *p)
{
	ev->lx.peer = p;
	ev->space[SPACE_PEER] = p;
}

void eval_set_message(struct eval *ev, struct message *m)
{
	ev->lx.message = m;
	ev->space[SPACE_MESSAGE] = m;
	if (m && !ev->lx.peer)
		eval_set_peer(ev, &m->peer);
}
