/* SPDX-License-Identifier: Apache-2.0
 * The header lines as one transport sends them (manual 24, 48.6): Return-path:, Envelope-to: and
 * Delivery-date: in front; the message's own but for those removed; then what the routers added,
 * then what the transport adds; an empty line. */
#include "base/limits.h"
#include "route/route.h"
#include "transport/steps.h"

#include "base/banned.h"

enum { REMOVES_MAX = 1000 };
struct removes {
	struct str *name;
	unsigned count;
};

/* Expand one item of a list of headers; a forced failure makes it empty (manual 24). */
static bool expand_item(struct delivery *d, struct str item, const char *option, struct str *ret, struct why *why)
{
	switch (expand_text(d->eval, item, ret)) {
	case EXPAND_OK: return true;
	case EXPAND_FORCED: *ret = STR(""); return true;
	case EXPAND_FAILED:
	case EXPAND_DEFER: break;
	}
	why_set(why, true, "failed to expand %s item \"%.*s\": %.*s", option, STR_ARG(item), STR_ARG(d->eval->lx.error));
	return false;
}

/* What an expanded item names: a list of its own, colon-separated. */
static void add_names(struct delivery *d, struct removes *rm, struct str list)
{
	struct str item;
	int sep = 0;
	while (list_next(d->arena, &list, &sep, &item)) {
		if (item.len && rm->count < REMOVES_MAX)
			rm->name[rm->count++] = item;
	}
}

static bool collect_removes(struct delivery *d, struct str list, struct removes *rm, struct why *why)
{
	struct str item, text;
	int sep = 0;
	if (str_empty(list))
		return true;
	if (!rm->name)
		rm->name = arena_array_of(d->arena, REMOVES_MAX, struct str);
	while (list_next(d->arena, &list, &sep, &item)) {
		if (!expand_item(d, item, "headers_remove", &text, why))
			return false;
		add_names(d, rm, text);
	}
	return true;
}

static bool name_matches(struct str pattern, struct str name)
{
	if (pattern.p[pattern.len - 1] != '*')
		return str_ieq(pattern, name);
	pattern = str_sub(pattern, 0, pattern.len - 1);
	return name.len >= pattern.len && str_ieq(str_sub(name, 0, pattern.len), pattern);
}

static bool removed(const struct removes *rm, const struct header *h)
{
	if (rm->count == 0)
		return false;
	struct str name = header_name(h);
	for (unsigned i = 0; i < rm->count; i++) {
		if (name_matches(rm->name[i], name))
			return true;
	}
	return false;
}

static void add_line(struct strbuf *sb, struct str text)
{
	if (text.len == 0)
		return;
	sb_add(sb, text);
	if (text.p[text.len - 1] != '\n')
		sb_ch(sb, '\n');
}

/* The transport's headers_add: items divided by newlines unless the list says otherwise. */
static bool add_transport_headers(struct delivery *d, struct strbuf *sb, struct why *why)
{
	struct str rest = transport_generic(d)->headers_add.text, item, text;
	int sep = str_starts(str_ltrim(rest), "<") ? 0 : '\n';
	if (str_empty(rest))
		return true;
	while (list_next(d->arena, &rest, &sep, &item)) {
		if (!expand_item(d, item, "headers_add", &text, why))
			return false;
		add_line(sb, text);
	}
	return true;
}

/* The message's own lines, but for those removed; headers_rewrite applies to them alone (manual 24). */
static bool add_own_headers(struct delivery *d, struct strbuf *sb, const struct removes *rm, struct why *why)
{
	struct str rules_text = transport_generic(d)->headers_rewrite.text, changed;
	const struct rewrite_rules *rules = NULL;
	if (!str_empty(rules_text)) {
		rules = rewrite_parse_list(d->arena, d->config, rules_text, why);
		if (!rules)
			return false;
	}
	for (const struct header *h = d->message->headers.first; h; h = h->next) {
		if (h->kind == HDR_OLD || removed(rm, h))
			continue;
		add_line(sb, rules && rewrite_header_line(d->eval, rules, h, &changed) ? changed : h->text);
	}
	return true;
}

static size_t size_hint(const struct delivery *d)
{
	return d->message->headers.size + (d->addresses ? d->addresses->headers_add.len : 0) + 1024;
}

struct str transport_headers_text(struct delivery *d, unsigned flags, struct why *why)
{
	struct strbuf sb;
	struct removes rm = {0};
	const struct address *first = d->addresses;
	if ((first && !collect_removes(d, first->headers_remove, &rm, why)) ||
	    !collect_removes(d, transport_generic(d)->headers_remove.text, &rm, why))
		return STR_NONE;
	sb_init(&sb, d->arena, LIMIT_SPOOL_HEADER);
	sb.p = arena_alloc(d->arena, size_hint(d)); /* one piece: most messages need no more */
	sb.room = (uint32_t)size_hint(d);
	if (flags & OUT_RETURN_PATH)
		sb_printf(&sb, "Return-path: <%.*s>\n", STR_ARG(d->return_path));
	if (flags & OUT_ENVELOPE_TO)
		sb_add(&sb, envelope_to_header(d));
	if (flags & OUT_DELIVERY_DATE) {
		struct str date = clock_rfc5322(d->arena, clock_s(&d->env->clock), false);
		sb_printf(&sb, "Delivery-date: %.*s\n", STR_ARG(date));
	}
	if (!add_own_headers(d, &sb, &rm, why))
		return STR_NONE;
	if (first)
		add_line(&sb, first->headers_add);
	if (!add_transport_headers(d, &sb, why))
		return STR_NONE;
	sb_ch(&sb, '\n');
	if (sb.over) {
		why_set(why, true, "header lines of the message are too large");
		return STR_NONE;
	}
	return sb_str(&sb);
}
