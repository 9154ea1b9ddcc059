/* SPDX-License-Identifier: Apache-2.0
 * Is the name given with HELO the client's own (manual 14, helo_verify_hosts)? It is when it is
 * the address itself in brackets, when the address leads back to the name, or when the name has
 * the address among its own. */
#include "net/addr.h"
#include "net/resolver.h"
#include "verify/verify_priv.h"
#include "base/banned.h"

static bool is_own_literal(const struct peer *p, const struct ip_addr *client)
{
	struct str inner = p->helo;
	struct ip_addr ip;

	if (!str_starts(inner, "[") || !str_ends(inner, "]"))
		return false;
	inner = str_sub(inner, 1, inner.len - 2);
	if (str_istarts(inner, "IPv6:"))
		inner = str_from(inner, 5);
	return ip_parse(inner, &ip) && ip_eq(&ip, client);
}

static bool is_own_name(struct eval *ev, const struct peer *p)
{
	struct str rest = p->host_aliases, alias;
	int sep = ':';

	if (str_is_set(p->host_name) && str_ieq(p->helo, p->host_name))
		return true;
	while (str_is_set(rest) && list_next(ev->lx.arena, &rest, &sep, &alias))
		if (str_ieq(p->helo, alias))
			return true;
	return false;
}

static enum verify_result name_has_address(struct eval *ev, const struct peer *p, const struct ip_addr *client)
{
	struct dns_result *d;

	if (!ev->lx.env->resolver)
		return VERIFY_DEFER;
	d = host_by_name(ev->lx.env->resolver, ev->lx.arena, p->helo, client->family == AF_INET, client->family == AF_INET6);
	for (size_t i = 0; d->answer == DNS_FOUND && i < d->count; i++)
		if (ip_eq(&d->record[i].ip, client))
			return VERIFY_OK;
	return d->answer == DNS_AGAIN ? VERIFY_DEFER : VERIFY_FAIL;
}

enum verify_result verify_helo(struct eval *ev)
{
	struct peer *p = ev->lx.peer;
	enum verify_result v = VERIFY_FAIL;
	struct ip_addr client;

	if (!p || !str_is_set(p->host_address) || p->helo_verified)
		return VERIFY_OK;
	if (p->helo_verify_failed || !str_is_set(p->helo) || !ip_parse(p->host_address, &client))
		return VERIFY_FAIL;
	if (is_own_literal(p, &client)) {
		v = VERIFY_OK;
	} else {
		if (!str_is_set(p->host_name) && !p->host_lookup_failed)
			match_lookup_peer_name(&ev->lx);
		v = is_own_name(ev, p) ? VERIFY_OK : name_has_address(ev, p, &client);
	}
	p->helo_verified = v == VERIFY_OK;
	p->helo_verify_failed = v == VERIFY_FAIL;
	return v;
}
