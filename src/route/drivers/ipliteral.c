/* SPDX-License-Identifier: Apache-2.0
 * ipliteral (manual 18): user@[10.0.0.1] and user@[IPv6:...] go to that address. */
#include "route/route_priv.h"

#include "base/banned.h"

struct ipliteral_options {
	char none; /* no private options */
};

static bool ipliteral_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	const struct router_generic *g = di->generic;
	if (str_is_set(g->transport.text) || g->verify_only)
		return true;
	why_set(why, false, "%.*s router:\n  a transport is required for this router", STR_ARG(di->name));
	return false;
}

static enum route_verdict ipliteral_run(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	struct str domain = ad->view.domain, inner;
	struct ip_addr ip;
	if (domain.len < 3 || domain.p[0] != '[' || domain.p[domain.len - 1] != ']')
		return ROUTE_DECLINE;
	inner = str_sub(domain, 1, domain.len - 2);
	if (str_istarts(inner, "ipv6:") || str_istarts(inner, "ipv4:"))
		inner = str_from(inner, 5);
	if (!ip_parse(inner, &ip))
		return ROUTE_DECLINE;
	struct route_host *h = arena_new_of(job->arena, struct route_host);
	h->name = domain;
	h->address = ip_text(job->arena, &ip);
	h->mx = -1;
	struct host_find_opts o = {.ignore_target_hosts = &router_generic(di)->ignore_target_hosts};
	struct why why;
	enum host_lookup got = host_resolve(job, &h, &o, METHOD_DNS, &why);
	if (got == HOST_ALL_IGNORED)
		return ROUTE_DECLINE;
	enum route_verdict v = got == HOST_FOUND_LOCAL ? step_self(job, di, ad, h) : ROUTE_ACCEPT;
	if (v != ROUTE_ACCEPT)
		return v;
	ad->hosts = h;
	v = step_common(job, di, ad);
	return v == ROUTE_ACCEPT ? step_queue(job, di, ad, NULL) : v;
}

extern const struct router_driver router_ipliteral;
const struct router_driver router_ipliteral = {
	.info = {.name = "ipliteral", .options_size = sizeof(struct ipliteral_options), .check = ipliteral_check},
	.run = ipliteral_run,
};
