/* SPDX-License-Identifier: Apache-2.0
 * Items of domain and local part lists (manual 10.3, 10.6), and the patterns of wildlsearch. */
#include "lookup/match_priv.h"
#include "net/resolver.h"
#include <ifaddrs.h>
#include "base/banned.h"

bool local_address(struct lookup_context *cx, const struct ip_addr *ip)
{
	struct ifaddrs *list = NULL;
	bool found = false;

	if (getifaddrs(&list) < 0)
		return false;
	for (struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		struct ip_addr mine;
		int port;
		if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		ip_from_sockaddr(i->ifa_addr, &mine, &port);
		mine.scope = ip->scope;
		found = ip_eq(&mine, ip);
	}
	freeifaddrs(list);
	if (!found && cx->config && cx->config->main.extra_local_interfaces.text.p) {
		struct str rest = cx->config->main.extra_local_interfaces.text, item;
		int sep = 0;
		while (!found && list_next(cx->arena, &rest, &sep, &item)) {
			struct ip_addr extra;
			found = ip_parse(item, &extra) && ip_eq(&extra, ip);
		}
	}
	return found;
}

static enum match_result regex(struct lookup_context *cx, struct str pattern, bool caseless, struct str subject, bool captures)
{
	if (caseless)
		pattern = str_cat(cx->arena, STR("(?i)"), pattern);
	int got = match_regex(cx, pattern, subject, captures);
	return got < 0 ? MATCH_DEFER : got > 0 ? MATCH_YES : MATCH_NO;
}

static enum match_result by_lookup(struct lookup_context *cx, const struct xitem *it, struct str key, struct str *data)
{
	bool query = it->type.driver->style == LOOKUP_QUERY;
	struct str value = STR_NONE;
	enum lookup_found got = lookup_find(cx, &it->type, query ? STR_NONE : it->tail, query ? it->tail : key, &value);

	if (got == LOOKUP_DEFER)
		return MATCH_DEFER;
	if (got == LOOKUP_NONE)
		return MATCH_NO;
	*data = value.p ? value : STR("");
	return MATCH_YES;
}

/* --- @mx_any and relatives ---------------------------------------------------------------------- */
static enum match_result host_is_local(struct lookup_context *cx, struct str name, struct str ignore)
{
	struct xstr *as_local = cx->config ? (struct xstr *)(uintptr_t)&cx->config->main.hosts_treat_as_local : NULL;

	if (cx->config && str_ieq(name, cx->config->primary_hostname))
		return MATCH_YES;
	if (as_local && as_local->text.p) {
		enum match_result r = match_domain(cx, as_local, name, 0, NULL);
		if (r != MATCH_NO)
			return r;
	}
	struct dns_result *r = host_by_name(cx->env->resolver, cx->arena, name, true, true);
	if (r->answer == DNS_AGAIN)
		return match_defer(cx, "host lookup of \"%.*s\" did not complete", STR_ARG(name));
	for (size_t i = 0; i < r->count; i++) {
		struct str text = ip_text(cx->arena, &r->record[i].ip);
		if (ignore.p) {
			struct subject s = {.kind = LIST_HOST, .ip_only = true};
			host_subject(&s, text);
			if (match_walk_text(cx, &s, ignore, 0, NULL) == MATCH_YES)
				continue;
		}
		if (local_address(cx, &r->record[i].ip))
			return MATCH_YES;
	}
	return MATCH_NO;
}

static enum match_result by_mx(struct lookup_context *cx, const struct xitem *it, struct str domain)
{
	bool primary = str_istarts(it->text, "@mx_primary"), secondary = str_istarts(it->text, "@mx_secondary");
	unsigned best = UINT32_MAX;
	bool first_local = false, other_local = false;

	if (!primary && !secondary && !str_istarts(it->text, "@mx_any"))
		return match_defer(cx, "unknown item \"%.*s\" in a domain list", STR_ARG(it->text));
	if (!cx->env || !cx->env->resolver)
		return match_defer(cx, "no resolver for \"%.*s\"", STR_ARG(it->text));
	struct dns_result *r = dns_query(cx->env->resolver, cx->arena, domain, DNS_MX);
	if (r->answer == DNS_AGAIN)
		return match_defer(cx, "host lookup of \"%.*s\" did not complete", STR_ARG(domain));
	for (size_t i = 0; i < r->count; i++)
		if (r->record[i].type == DNS_MX && r->record[i].preference < best)
			best = r->record[i].preference;
	for (size_t i = 0; i < r->count; i++) {
		if (r->record[i].type != DNS_MX)
			continue;
		enum match_result local = host_is_local(cx, r->record[i].target, it->tail);
		if (local == MATCH_DEFER)
			return local;
		if (local == MATCH_YES && r->record[i].preference == best)
			first_local = true;
		else if (local == MATCH_YES)
			other_local = true;
	}
	bool yes = primary ? first_local : secondary ? !first_local && other_local : first_local || other_local;
	return yes ? MATCH_YES : MATCH_NO;
}

static enum match_result by_literal(struct lookup_context *cx, struct str domain)
{
	struct ip_addr ip;

	if (domain.len < 3 || domain.p[0] != '[' || domain.p[domain.len - 1] != ']')
		return MATCH_NO;
	struct str in = str_sub(domain, 1, domain.len - 2);
	if (str_istarts(in, "IPv6:"))
		in = str_from(in, 5);
	return ip_parse(in, &ip) && local_address(cx, &ip) ? MATCH_YES : MATCH_NO;
}

static void set_match(struct lookup_context *cx, struct str whole, struct str wild, bool has_wild)
{
	if (!cx->captures)
		return;
	cx->captures->v[0] = whole;
	cx->captures->v[1] = wild;
	cx->captures->count = has_wild ? 2 : 1;
}

static bool ends_with(struct str s, struct str tail, bool caseless)
{
	if (s.len < tail.len)
		return false;
	struct str end = str_from(s, s.len - tail.len);
	return caseless ? str_ieq(end, tail) : str_eq(end, tail);
}

enum match_result item_match_text(struct lookup_context *cx, const struct xitem *it, const struct subject *s, int depth, struct str *data)
{
	bool caseless = (s->kind != LIST_LOCAL_PART && s->kind != LIST_ADDRESS) || s->caseless; /* of an address it is the domain */
	struct str text = s->kind == LIST_LOCAL_PART ? s->text : s->kind == LIST_ADDRESS ? s->domain : s->text;
	enum match_result r = MATCH_NO;

	switch (it->what) {
	case ITEM_EXACT: r = (caseless ? str_ieq(it->text, text) : str_eq(it->text, text)) ? MATCH_YES : MATCH_NO; break;
	case ITEM_SUFFIX: r = ends_with(text, it->tail, caseless) ? MATCH_YES : MATCH_NO; break;
	case ITEM_REGEX: r = regex(cx, it->text, caseless, text, true); break;
	case ITEM_PRIMARY:
		r = cx->config && str_ieq(text, cx->config->primary_hostname) ? MATCH_YES : MATCH_NO;
		break;
	case ITEM_LOCAL_IPS: r = by_literal(cx, text); break;
	case ITEM_MX: r = by_mx(cx, it, text); break;
	case ITEM_LOOKUP:
		r = by_lookup(cx, it, caseless ? str_lower(cx->arena, text) : text, data);
		if (r == MATCH_YES && s->kind != LIST_ADDRESS)
			set_match(cx, text, STR_NONE, false);
		return r;
	case ITEM_SET: r = map_has(it->set, text) ? MATCH_YES : MATCH_NO; break;
	case ITEM_BAD: return match_defer(cx, "%.*s", STR_ARG(it->text));
	case ITEM_ANY: case ITEM_EMPTY: case ITEM_NET: case ITEM_HOST_NAME: case ITEM_POLICY: case ITEM_AT_LOOKUP:
	case ITEM_ADDRESS: case ITEM_NETS: case ITEM_NAMED: case ITEM_FILE: case ITEM_CASEFUL: break;
	}
	if (r != MATCH_YES)
		return r;
	*data = it->what == ITEM_PRIMARY ? cx->config->primary_hostname : it->text;
	if (it->what == ITEM_SET)
		*data = *(const struct str *)map_get(it->set, text);
	if (it->what != ITEM_REGEX && s->kind != LIST_ADDRESS)
		set_match(cx, text, it->what == ITEM_SUFFIX ? str_sub(text, 0, text.len - it->tail.len) : STR_NONE, it->what == ITEM_SUFFIX);
	return MATCH_YES;
}

enum match_result match_wild(struct lookup_context *cx, struct str pattern, struct str subject)
{
	struct xitem it;
	struct str data;
	struct captures *saved = cx->captures;
	struct subject s = {.kind = LIST_LOCAL_PART, .caseless = true, .text = subject};

	it = (struct xitem){.text = pattern, .what = ITEM_EXACT};
	if (str_starts(pattern, "^"))
		it.what = ITEM_REGEX;
	else if (str_starts(pattern, "*")) {
		it.what = ITEM_SUFFIX;
		it.tail = str_from(pattern, 1);
	} else if (str_chr(pattern, ';') >= 0) {
		item_read(cx, LIST_LOCAL_PART, false, pattern, &it);
	}
	cx->captures = NULL; /* 9.3.11: no captures out of a lookup */
	enum match_result r = item_match_text(cx, &it, &s, 0, &data);
	cx->captures = saved;
	return r;
}
