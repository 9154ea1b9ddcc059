/* SPDX-License-Identifier: Apache-2.0
 * Items of host lists (manual 10.4), and finding the client's name (14, host_lookup_order):
 * reverse, then forward to see that the name leads back. */
#include "lookup/match_priv.h"
#include "net/resolver.h"
#include "base/log.h"
#include "base/banned.h"

bool host_subject(struct subject *s, struct str address)
{
	s->text = address;
	if (str_empty(address))
		return true;
	if (!ip_parse(address, &s->ip))
		return false;
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	if (s->ip.family == AF_INET6 && memcmp(s->ip.byte, mapped, 12) == 0) { /* 10.4.2 */
		struct ip_addr v4 = {.family = AF_INET};
		memcpy(v4.byte, s->ip.byte + 12, 4);
		s->ip = v4;
	}
	return true;
}

static bool leads_back(struct lookup_context *cx, struct str name, const struct ip_addr *ip, bool *again)
{
	struct dns_result *r = host_by_name(cx->env->resolver, cx->arena, name, ip->family == AF_INET, ip->family == AF_INET6);

	if (r->answer == DNS_AGAIN)
		*again = true;
	for (size_t i = 0; i < r->count; i++)
		if (ip_eq(&r->record[i].ip, ip))
			return true;
	return false;
}

static struct dns_result *reverse(struct lookup_context *cx, const struct ip_addr *ip, bool *again)
{
	struct str order = cx->config && cx->config->main.host_lookup_order.text.p ? cx->config->main.host_lookup_order.text : STR("bydns:byaddr");
	struct dns_result *r = NULL;
	struct str item;
	int sep = 0;

	while (list_next(cx->arena, &order, &sep, &item)) {
		bool dns = str_ieqc(item, "bydns");
		r = host_by_addr(cx->env->resolver, cx->arena, ip, dns, !dns);
		if (r->answer == DNS_AGAIN)
			*again = true;
		if (r->answer == DNS_FOUND && r->count)
			return r;
	}
	return NULL;
}

/* The message of the memory: names live as long as the peer's other facts. */
void match_lookup_peer_name(struct lookup_context *cx)
{
	struct peer *p = cx->peer;
	struct subject s = {.kind = LIST_HOST};
	bool again = false;

	if (!p || p->host_name.p || !p->host_address.p || p->host_lookup_failed || p->host_lookup_deferred)
		return;
	if (!cx->env || !cx->env->resolver || !host_subject(&s, p->host_address)) {
		p->host_lookup_deferred = true;
		return;
	}
	struct dns_result *r = reverse(cx, &s.ip, &again);
	for (size_t i = 0; r && i < r->count; i++) {
		struct str name = r->record[i].target;
		if (str_empty(name) || !leads_back(cx, name, &s.ip, &again))
			continue;
		name = str_lower(cx->arena, name);
		name.taint = 1;
		if (!p->host_name.p) {
			p->host_name = name;
			p->host_dnssec = r->secure;
		} else {
			p->host_aliases = p->host_aliases.p ? str_cat(cx->arena, p->host_aliases, STR(":"), name) : name;
		}
	}
	if (!p->host_name.p) {
		p->host_lookup_deferred = again;
		p->host_lookup_failed = !again;
	}
}

static enum match_result by_forward(struct lookup_context *cx, struct str name, const struct subject *s, bool *unknown)
{
	if (s->ip.family == 0)
		return MATCH_NO;
	if (!cx->env || !cx->env->resolver)
		return match_defer(cx, "no resolver to look up \"%.*s\"", STR_ARG(name));
	struct dns_result *r = host_by_name(cx->env->resolver, cx->arena, name, true, true);
	if (r->answer == DNS_AGAIN)
		return match_defer(cx, "host lookup for %.*s did not complete", STR_ARG(name));
	if (r->answer != DNS_FOUND || r->count == 0) {
		*unknown = true;
		cx->error = str_printf(cx->arena, "failed to find IP address for %.*s", STR_ARG(name));
		return MATCH_NO;
	}
	for (size_t i = 0; i < r->count; i++)
		if (ip_eq(&r->record[i].ip, &s->ip))
			return MATCH_YES;
	return MATCH_NO;
}

static bool get_name(struct lookup_context *cx, struct subject *s, bool *unknown, bool *defer)
{
	if (s->is_peer) {
		match_lookup_peer_name(cx);
		s->name = cx->peer->host_name;
		if (!s->name.p && cx->peer->host_lookup_deferred)
			*defer = true;
	}
	if (s->name.p)
		return true;
	if (!*defer) {
		*unknown = true;
		cx->error = str_printf(cx->arena, "failed to find host name for %.*s", STR_ARG(s->text));
	}
	return false;
}

static enum match_result by_name(struct lookup_context *cx, const struct xitem *it, struct subject *s, bool *unknown, struct str *data)
{
	bool defer = false;

	if (s->ip.family == 0)
		return MATCH_NO;
	if (!get_name(cx, s, unknown, &defer))
		return defer ? match_defer(cx, "host name lookup of %.*s did not complete", STR_ARG(s->text)) : MATCH_NO;
	struct str rest = s->is_peer ? cx->peer->host_aliases : STR_NONE, name = s->name;
	for (;;) {
		struct subject one = {.kind = LIST_DOMAIN, .text = name};
		enum match_result r = item_match_text(cx, it, &one, 0, data);
		if (r != MATCH_NO || !rest.p)
			return r;
		name = str_cut(rest, ':', &rest);
	}
}

static struct str net_key(struct lookup_context *cx, const struct xitem *it, const struct subject *s)
{
	struct ip_addr ip = s->ip;
	struct strbuf sb;

	if (it->net_bits >= 0)
		ip_mask(&ip, (unsigned)it->net_bits);
	sb_init(&sb, cx->arena, 128);
	if (ip.family == AF_INET) {
		sb_printf(&sb, "%u.%u.%u.%u", ip.byte[0], ip.byte[1], ip.byte[2], ip.byte[3]);
	} else {
		char sep = str_eqc(str_c(it->type.driver->name), "iplsearch") ? ':' : '.';
		for (int i = 0; i < 8; i++) {
			if (i)
				sb_ch(&sb, sep);
			sb_printf(&sb, "%02x%02x", ip.byte[2 * i], ip.byte[2 * i + 1]);
		}
	}
	if (it->net_bits >= 0)
		sb_printf(&sb, "/%d", it->net_bits);
	return sb_str(&sb);
}

static enum match_result by_net_lookup(struct lookup_context *cx, const struct xitem *it, struct subject *s, struct str *data)
{
	bool query = it->type.driver->style == LOOKUP_QUERY;
	struct str value = STR("");

	if (!query && s->ip.family == 0)
		return MATCH_NO;
	enum lookup_found got = lookup_find(cx, &it->type, query ? STR_NONE : it->tail, query ? it->tail : net_key(cx, it, s), &value);
	if (got == LOOKUP_FOUND)
		*data = value;
	return got == LOOKUP_FOUND ? MATCH_YES : got == LOOKUP_NONE ? MATCH_NO : MATCH_DEFER;
}

static enum match_result yes_if(bool yes, const struct xitem *it, struct str *data)
{
	if (yes)
		*data = it->text;
	return yes ? MATCH_YES : MATCH_NO;
}

enum match_result item_match_host(struct lookup_context *cx, const struct xitem *it, struct subject *s, bool *unknown, struct str *data)
{
	switch (it->what) {
	case ITEM_EMPTY: return yes_if(str_empty(s->text), it, data);
	case ITEM_ANY: return yes_if(true, it, data);
	case ITEM_NET: return yes_if(s->ip.family && ip_in_net(&s->ip, &it->net, it->bits), it, data);
	case ITEM_NETS: return yes_if(s->ip.family && nets_find(it->nets, &s->ip), it, data);
	case ITEM_LOCAL_IPS: return yes_if(s->ip.family && local_address(cx, &s->ip), it, data);
	case ITEM_PRIMARY:
	case ITEM_HOST_NAME: {
		struct str name = it->what == ITEM_PRIMARY && cx->config ? cx->config->primary_hostname : it->text;
		enum match_result r = s->ip_only ? MATCH_NO : by_forward(cx, name, s, unknown);
		if (r == MATCH_YES)
			*data = it->text;
		return r;
	}
	case ITEM_REGEX:
	case ITEM_SUFFIX: return s->ip_only ? MATCH_NO : by_name(cx, it, s, unknown, data);
	case ITEM_LOOKUP:
		if (it->net_bits != -2 || it->type.driver->style == LOOKUP_QUERY)
			return by_net_lookup(cx, it, s, data);
		return by_name(cx, it, s, unknown, data);
	case ITEM_BAD: return match_defer(cx, "%.*s", STR_ARG(it->text));
	case ITEM_EXACT: case ITEM_MX: case ITEM_NAMED: case ITEM_FILE: case ITEM_CASEFUL: case ITEM_POLICY:
	case ITEM_AT_LOOKUP: case ITEM_ADDRESS: case ITEM_SET: break;
	}
	return MATCH_NO;
}
