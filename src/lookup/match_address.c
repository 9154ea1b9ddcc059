/* SPDX-License-Identifier: Apache-2.0
 * Items of address lists (manual 10.5). */
#include "lookup/match_priv.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/banned.h"

/* @@type;file: the domain's entry is a list of local parts, which may go on at ">key". */
static enum match_result by_at_lookup(struct lookup_context *cx, const struct xitem *it, const struct subject *s, int depth, struct str *data)
{
	struct str key = str_lower(cx->arena, s->domain), list;

	for (int step = 0; step < 50; step++) {
		enum lookup_found got = lookup_find(cx, &it->type, it->tail, key, &list);
		if (got != LOOKUP_FOUND)
			return got == LOOKUP_NONE ? MATCH_NO : MATCH_DEFER;
		struct str rest = list, item, last = STR_NONE;
		struct subject local = {.kind = LIST_LOCAL_PART, .caseless = s->caseless, .text = s->local};
		struct strbuf sb;
		int sep = ':';
		sb_init(&sb, cx->arena, LIMIT_LOOKUP_VALUE);
		while (list_next(cx->arena, &rest, &sep, &item)) {
			struct xitem one;
			if (str_empty(str_trim(rest)) && item.len && item.p[0] == '>') {
				last = str_trim(str_from(item, 1));
				break;
			}
			item_read(cx, LIST_LOCAL_PART, false, item, &one);
			enum match_result r;
			if (one.what == ITEM_NAMED)
				r = match_named(cx, one.named, &local, depth + 1, data);
			else
				r = item_match_text(cx, &one, &local, depth, data);
			if (r == MATCH_DEFER)
				return r;
			if (r == MATCH_YES)
				return one.negate ? MATCH_NO : MATCH_YES;
			if (str_empty(str_trim(rest)) && one.negate)
				return MATCH_YES;
		}
		if (!last.p)
			return MATCH_NO;
		key = last;
	}
	return match_defer(cx, "too many continuations in \"@@%s\" lookup", it->type.driver->name);
}

static enum match_result by_parts(struct lookup_context *cx, const struct xitem *it, const struct subject *s, int depth, struct str *data)
{
	struct str local = it->tail, value = STR("");
	bool caseless = s->caseless;
	enum match_result r;

	if (str_empty(s->text))
		return MATCH_NO;
	if (!s->domain.p) {
		if (cx->env && cx->env->log)
			log_write(cx->env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE,
			    "no @ found in the subject of an address list match: subject=\"%.*s\" pattern=\"%.*s\"",
			    STR_ARG(s->text), STR_ARG(it->text));
		return MATCH_NO;
	}
	if (local.p && str_starts(local, "*")) {
		struct str tail = str_from(local, 1);
		if (s->local.len < tail.len)
			return MATCH_NO;
		struct str end = str_from(s->local, s->local.len - tail.len);
		if (caseless ? !str_ieq(end, tail) : !str_eq(end, tail))
			return MATCH_NO;
	} else if (local.p && (caseless ? !str_ieq(local, s->local) : !str_eq(local, s->local))) {
		return MATCH_NO;
	}
	if (it->domain->what == ITEM_NAMED) {
		struct subject d = {.kind = LIST_DOMAIN, .text = s->domain};
		r = match_named(cx, it->domain->named, &d, depth + 1, &value);
	} else {
		r = item_match_text(cx, it->domain, s, depth, &value);
	}
	if (r == MATCH_YES)
		*data = str_cat(cx->arena, local.p ? local : STR(""), STR("@"), value);
	return r;
}

enum match_result item_match_address(struct lookup_context *cx, const struct xitem *it, const struct subject *s, int depth, struct str *data)
{
	struct str value = STR("");
	enum lookup_found got;

	switch (it->what) {
	case ITEM_EMPTY:
		if (!str_empty(s->text))
			return MATCH_NO;
		*data = STR("");
		return MATCH_YES;
	case ITEM_REGEX: {
		struct subject whole = {.kind = LIST_LOCAL_PART, .caseless = s->caseless, .text = s->text};
		enum match_result r = item_match_text(cx, it, &whole, depth, &value);
		if (r == MATCH_YES)
			*data = STR("");
		return r;
	}
	case ITEM_LOOKUP: {
		bool query = it->type.driver->style == LOOKUP_QUERY;
		if (!query && str_empty(s->text))
			return MATCH_NO;
		struct str key = s->caseless ? str_lower(cx->arena, s->text) : s->text;
		got = lookup_find(cx, &it->type, query ? STR_NONE : it->tail, query ? it->tail : key, &value);
		if (got == LOOKUP_FOUND)
			*data = value;
		return got == LOOKUP_FOUND ? MATCH_YES : got == LOOKUP_NONE ? MATCH_NO : MATCH_DEFER;
	}
	case ITEM_AT_LOOKUP: return s->domain.p && !str_empty(s->text) ? by_at_lookup(cx, it, s, depth, data) : MATCH_NO;
	case ITEM_ADDRESS: return by_parts(cx, it, s, depth, data);
	case ITEM_BAD: return match_defer(cx, "%.*s", STR_ARG(it->text));
	case ITEM_EXACT: case ITEM_SUFFIX: case ITEM_PRIMARY: case ITEM_LOCAL_IPS: case ITEM_MX: case ITEM_NAMED: case ITEM_FILE:
	case ITEM_CASEFUL: case ITEM_ANY: case ITEM_NET: case ITEM_HOST_NAME: case ITEM_POLICY: case ITEM_SET: case ITEM_NETS:
		break;
	}
	return MATCH_NO;
}
