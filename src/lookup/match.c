/* SPDX-License-Identifier: Apache-2.0
 * Walking lists (manual 10.2): items from left to right, negation, named lists, files; the cache
 * of named lists; and the calls of match.h. */
#include "lookup/match_priv.h"
#include "lookup/read_file.h"
#include "base/limits.h"
#include "base/log.h"
#include <stdarg.h>
#include "base/banned.h"

struct cached_match {
	enum match_result result;
	struct str data;
};
struct match_cache {
	struct arena *arena;
	struct map map;
	unsigned count;
};
enum { CACHED_MATCHES_MAX = 5000 };

struct match_cache *match_cache_new(struct arena *a)
{
	struct match_cache *c = arena_new_of(a, struct match_cache);

	c->arena = a;
	map_init(&c->map, a, false);
	return c;
}

void match_cache_clear(struct match_cache *c)
{
	if (!c)
		return;
	map_init(&c->map, c->arena, false);
	c->count = 0;
}

enum match_result match_defer(struct lookup_context *cx, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;

	sb_init(&sb, cx->arena, LIMIT_LOG_LINE);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	cx->error = sb_str(&sb);
	cx->deferred = true;
	return MATCH_DEFER;
}

static enum match_result walk_file(struct lookup_context *cx, struct walk *w, struct subject *s, const struct xitem *it, struct str *data);

/* One item. *end is set when the answer of the whole list is known. */
static enum match_result one_item(struct lookup_context *cx, struct walk *w, struct subject *s, const struct xitem *it,
    struct str *data, bool *end)
{
	enum match_result r;
	bool unknown = false;

	*end = false;
	switch (it->what) {
	case ITEM_POLICY:
		w->include_unknown = it->policy == POLICY_INCLUDE_UNKNOWN || (w->include_unknown && it->policy != POLICY_IGNORE_UNKNOWN);
		w->ignore_unknown = it->policy == POLICY_IGNORE_UNKNOWN || (w->ignore_unknown && it->policy != POLICY_INCLUDE_UNKNOWN);
		w->include_defer = it->policy == POLICY_INCLUDE_DEFER || (w->include_defer && it->policy != POLICY_IGNORE_DEFER);
		w->ignore_defer = it->policy == POLICY_IGNORE_DEFER || (w->ignore_defer && it->policy != POLICY_INCLUDE_DEFER);
		return MATCH_NO;
	case ITEM_CASEFUL:
		s->caseless = false;
		if (s->kind == LIST_ADDRESS && s->domain.p) { /* of domains only the pattern keeps its case */
			s->domain = str_lower(cx->arena, s->domain);
			s->text = str_cat(cx->arena, s->local, STR("@"), s->domain);
		}
		return MATCH_NO;
	case ITEM_NAMED: r = match_named(cx, it->named, s, w->depth + 1, data); break;
	case ITEM_FILE: r = walk_file(cx, w, s, it, data); break;
	case ITEM_EXACT: case ITEM_SUFFIX: case ITEM_REGEX: case ITEM_PRIMARY: case ITEM_LOCAL_IPS: case ITEM_MX: case ITEM_LOOKUP:
	case ITEM_ANY: case ITEM_EMPTY: case ITEM_NET: case ITEM_HOST_NAME: case ITEM_AT_LOOKUP: case ITEM_ADDRESS: case ITEM_BAD:
	case ITEM_SET: case ITEM_NETS:
		if (s->kind == LIST_ADDRESS)
			r = item_match_address(cx, it, s, w->depth, data);
		else if (s->kind == LIST_HOST)
			r = item_match_host(cx, it, s, &unknown, data);
		else
			r = item_match_text(cx, it, s, w->depth, data);
		break;
	default: r = MATCH_NO; break;
	}
	w->last_negative = it->negate;
	if (unknown) {
		if (w->ignore_unknown)
			return MATCH_NO;
		*end = true;
		if (cx->env && cx->env->log && cx->config && config_logs(cx->config, LOGSEL_UNKNOWN_IN_LIST))
			log_write(cx->env->log, LOGTO_MAIN, STR_NONE, "list matching forced to %s: %.*s",
			    w->include_unknown ? "succeed" : "fail", STR_ARG(cx->error));
		return w->include_unknown ? MATCH_YES : MATCH_NO;
	}
	if (r == MATCH_DEFER) {
		if (w->ignore_defer)
			return MATCH_NO;
		*end = true;
		return w->include_defer ? MATCH_YES : MATCH_DEFER;
	}
	if (r == MATCH_YES) {
		*end = true;
		return it->negate ? MATCH_NO : MATCH_YES;
	}
	return MATCH_NO;
}

static enum match_result walk_text(struct lookup_context *cx, struct walk *w, struct subject *s, struct str list, struct str *data)
{
	struct str item;
	int sep = 0;
	bool end, any = false;

	while (list_next(cx->arena, &list, &sep, &item)) {
		struct xitem it;
		item_read(cx, s->kind, s->ip_only, item, &it);
		enum match_result r = one_item(cx, w, s, &it, data, &end);
		if (end)
			return r;
		any = true;
	}
	return any && w->last_negative ? MATCH_YES : MATCH_NO;
}

static struct str file_line(struct rd *r, enum list_kind kind)
{
	struct str line = rd_until(r, '\n');

	rd_accept(r, '\n');
	for (uint32_t i = 0; i < line.len; i++)
		if (line.p[i] == '#' && (kind == LIST_DOMAIN || kind == LIST_HOST || i == 0 || ch_space(line.p[i - 1]))) {
			line = str_sub(line, 0, i);
			break;
		}
	return str_trim(line);
}

/* The lines of a file as if they stood in the list; a "!" before the file turns each answer. */
static enum match_result walk_file(struct lookup_context *cx, struct walk *w, struct subject *s, const struct xitem *it, struct str *data)
{
	struct str text;
	struct why why = {{0}, 0, false};
	struct walk in = *w;
	bool end;

	if (w->file.p)
		return match_defer(cx, "file \"%.*s\" inside file \"%.*s\" of a list", STR_ARG(it->text), STR_ARG(w->file));
	if (it->text.taint)
		return match_defer(cx, "Tainted filename '%.*s' for list", STR_ARG(it->text));
	char what[256];
	snprintf(what, sizeof what, "list");
	if (!lookup_read_file(cx->arena, it->text, what, &text, &why))
		return match_defer(cx, "failed to open %.*s when checking \"%.*s\": %s", STR_ARG(it->text), STR_ARG(it->text),
		    strrchr(why.text, ':') ? strrchr(why.text, ':') + 2 : why.text);
	in.file = it->text;
	in.last_negative = false;
	struct rd r = rd_of(text);
	bool any = false;
	while (!rd_done(&r)) {
		struct str line = file_line(&r, s->kind);
		struct xitem one;
		if (str_empty(line))
			continue;
		item_read(cx, s->kind, s->ip_only, line, &one);
		enum match_result got = one_item(cx, &in, s, &one, data, &end);
		any = true;
		if (!end)
			continue;
		return got;
	}
	return any && in.last_negative ? MATCH_YES : MATCH_NO;
}

static enum match_result walk_compiled(struct lookup_context *cx, struct walk *w, struct subject *s, const struct xlist *l, struct str *data)
{
	bool end;

	for (size_t i = 0; i < l->count; i++) {
		enum match_result r = one_item(cx, w, s, &l->item[i], data, &end);
		if (end)
			return r;
	}
	return l->count && w->last_negative ? MATCH_YES : MATCH_NO;
}

/* A list option: compiled, or expanded now. Forced failure: not in the list. */
static enum match_result match_xstr(struct lookup_context *cx, struct subject *s, const struct xstr *x, int depth, struct str *data)
{
	struct walk w = {.depth = depth};
	struct str text = x->text;
	struct str ignored;
	bool forced = false;

	if (!data)
		data = &ignored;
	if (!x->text.p)
		return MATCH_NO;
	if (depth > LIMIT_LIST_DEPTH)
		return match_defer(cx, "lists are nested too deeply");
	if (x->list && x->list->kind == s->kind && !s->ip_only)
		return walk_compiled(cx, &w, s, x->list, data);
	if (!item_is_constant(text)) {
		if (!cx->ops)
			return match_defer(cx, "failed to expand list \"%.*s\"", STR_ARG(text));
		if (!cx->ops->expand_x(cx, x, &text, &forced)) {
			if (forced)
				return MATCH_NO;
			return match_defer(cx, "failed to expand \"%.*s\" while checking a list: %.*s", STR_ARG(x->text), STR_ARG(cx->error));
		}
	}
	return walk_text(cx, &w, s, text, data);
}

enum match_result match_walk_text(struct lookup_context *cx, struct subject *s, struct str list, int depth, struct str *data)
{
	struct walk w = {.depth = depth};
	struct str ignored;

	return walk_text(cx, &w, s, list, data ? data : &ignored);
}

enum match_result match_named(struct lookup_context *cx, const struct named_list *nl, struct subject *s, int depth, struct str *data)
{
	bool cacheable = cx->cache && !(s->flags & MATCH_NO_CACHE) && s->kind != LIST_HOST && item_is_constant(nl->value.text);
	struct str key = STR_NONE;
	bool caseless = s->caseless;

	if (cacheable) {
		key = str_printf(cx->cache->arena, "%d.%u%c%.*s", (int)s->kind, nl->index, s->caseless ? 'i' : 'c', STR_ARG(s->text));
		const struct cached_match *hit = map_get(&cx->cache->map, key);
		if (hit) {
			*data = hit->data;
			return hit->result;
		}
	}
	enum match_result r = match_xstr(cx, s, &nl->value, depth, data);
	s->caseless = caseless;
	if (cacheable && r != MATCH_DEFER && cx->cache->count < CACHED_MATCHES_MAX) {
		struct cached_match *c = arena_new_of(cx->cache->arena, struct cached_match);
		c->result = r;
		c->data = r == MATCH_YES ? str_dup(cx->cache->arena, *data) : STR_NONE;
		map_put(&cx->cache->map, key, c);
		cx->cache->count++;
	}
	return r;
}

static struct subject text_subject(enum list_kind kind, struct str text, unsigned flags)
{
	struct subject s = {.kind = kind, .text = text, .flags = flags, .caseless = (flags & MATCH_CASELESS_LOCAL) != 0};

	if (kind == LIST_ADDRESS) {
		ptrdiff_t at = str_rchr(text, '@');
		s.local = at >= 0 ? str_sub(text, 0, (size_t)at) : text;
		s.domain = at >= 0 ? str_from(text, (size_t)at + 1) : STR_NONE;
	}
	return s;
}

static enum match_result match_plain(struct lookup_context *cx, enum list_kind kind, const struct xstr *list, struct str text,
    unsigned flags, struct str *ret_data)
{
	struct subject s = text_subject(kind, text, flags);
	struct str data = STR_NONE;

	if (!list)
		return MATCH_NO;
	cx->deferred = false;
	enum match_result r = match_xstr(cx, &s, list, 0, &data);
	if (ret_data && r == MATCH_YES)
		*ret_data = data;
	return r;
}

enum match_result match_domain(struct lookup_context *cx, const struct xstr *list, struct str domain, unsigned flags, struct str *ret_data)
{
	return match_plain(cx, LIST_DOMAIN, list, domain, flags, ret_data);
}

enum match_result match_local_part(struct lookup_context *cx, const struct xstr *list, struct str local_part, unsigned flags, struct str *ret_data)
{
	return match_plain(cx, LIST_LOCAL_PART, list, local_part, flags, ret_data);
}

enum match_result match_address(struct lookup_context *cx, const struct xstr *list, struct str address, unsigned flags, struct str *ret_data)
{
	return match_plain(cx, LIST_ADDRESS, list, address, flags, ret_data);
}

static enum match_result match_host_subject(struct lookup_context *cx, const struct xstr *list, struct subject *s, struct str *ret_data)
{
	struct str data = STR_NONE;

	if (!list)
		return MATCH_NO;
	cx->deferred = false;
	enum match_result r = match_xstr(cx, s, list, 0, &data);
	if (ret_data && r == MATCH_YES)
		*ret_data = data;
	return r;
}

enum match_result match_peer(struct lookup_context *cx, const struct xstr *list, unsigned flags, struct str *ret_data)
{
	struct subject s = {.kind = LIST_HOST, .flags = flags, .is_peer = cx->peer != NULL};

	if (cx->peer && !host_subject(&s, cx->peer->host_address))
		return match_defer(cx, "bad host address \"%.*s\"", STR_ARG(cx->peer->host_address));
	return match_host_subject(cx, list, &s, ret_data);
}

enum match_result match_host(struct lookup_context *cx, const struct xstr *list, struct str name, struct str address, unsigned flags, struct str *ret_data)
{
	struct subject s = {.kind = LIST_HOST, .flags = flags, .name = name};

	if (!host_subject(&s, address))
		return match_defer(cx, "bad host address \"%.*s\"", STR_ARG(address));
	return match_host_subject(cx, list, &s, ret_data);
}

enum match_result match_list_text(struct lookup_context *cx, enum list_kind kind, struct str list_text, struct str subject, unsigned flags, struct str *ret_data)
{
	struct subject s = text_subject(kind, subject, flags);
	struct str data = STR_NONE;

	if (kind == LIST_HOST) {
		s.ip_only = true;
		if (!host_subject(&s, subject))
			return MATCH_NO;
	}
	cx->deferred = false;
	enum match_result r = match_walk_text(cx, &s, list_text, 0, &data);
	if (ret_data && r == MATCH_YES)
		*ret_data = data;
	return r;
}
