/* SPDX-License-Identifier: Apache-2.0
 * dnslookup (manual 17): hosts by SRV, MX and address records of the domain. */
#include "route/route_priv.h"

#include "message/address.h"

#include "base/banned.h"

struct dnslookup_options {
	bool check_secondary_mx, qualify_single, rewrite_headers, same_domain_copy_routing, search_parents;
	struct xstr check_srv, fail_defer_domains, ipv4_only, ipv4_prefer, mx_domains, mx_fail_domains, srv_fail_domains;
	struct xstr widen_domains;
};

#define ROW(n, TYPE, def, flags, doc) OPT_ROW(struct dnslookup_options, #n, TYPE, n, def, flags, doc)
static const struct opt_row rows[] = {
	ROW(check_secondary_mx, BOOL, "false", 0, "Accept only where we are a lesser MX of the domain"),
	ROW(check_srv, STRING, NULL, OPT_EXPAND, "Service whose SRV records are looked up first"),
	ROW(fail_defer_domains, DOMAINS, NULL, OPT_EXPAND, "Domains for which \"nothing found\" defers"),
	ROW(ipv4_only, STRING, NULL, OPT_EXPAND, "Use A records only"),
	ROW(ipv4_prefer, STRING, NULL, OPT_EXPAND, "Sort A records before AAAA records"),
	ROW(mx_domains, DOMAINS, NULL, OPT_EXPAND, "Domains that must have an MX or SRV record"),
	ROW(mx_fail_domains, DOMAINS, NULL, OPT_EXPAND, "Domains for which an MX lookup error means \"no record\""),
	ROW(qualify_single, BOOL, "true", 0, "Let the resolver complete names without dots"),
	ROW(rewrite_headers, BOOL, "true", 0, "Rewrite headers when a domain was completed"),
	ROW(same_domain_copy_routing, BOOL, "false", 0, "Route other addresses of the domain alike"),
	ROW(search_parents, BOOL, "false", 0, "Let the resolver try its search list"),
	ROW(srv_fail_domains, DOMAINS, NULL, OPT_EXPAND, "Domains for which an SRV lookup error means \"no record\""),
	ROW(widen_domains, LIST, NULL, 0, "Domains to append when a lookup fails"),
};
#undef ROW

static bool dnslookup_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	const struct router_generic *g = di->generic;
	if (str_is_set(g->transport.text) || g->verify_only)
		return true;
	why_set(why, false, "%.*s router:\n  a transport is required for this router", STR_ARG(di->name));
	return false;
}

/* ipv4_only, ipv4_prefer: anything but failure, empty, 0, no, false. */
static bool says_yes(struct route_job *job, const struct xstr *x)
{
	bool yes = false;
	return str_is_set(x->text) && expand_condition(job->eval, x, &yes) == EXPAND_OK && yes;
}

static bool domain_matches(struct route_job *job, const struct xstr *list, struct str domain)
{
	return str_is_set(list->text) && match_domain(&job->eval->lx, list, domain, 0, NULL) == MATCH_YES;
}

static enum route_verdict options(struct route_job *job, const struct driver_instance *di, struct address *ad,
    struct host_find_opts *ret)
{
	const struct dnslookup_options *o = di->options;
	const struct router_generic *g = router_generic(di);
	*ret = (struct host_find_opts){.ignore_target_hosts = &g->ignore_target_hosts, .allow_mx = true,
	    .qualify_single = o->qualify_single, .search_parents = o->search_parents,
	    .check_secondary_mx = o->check_secondary_mx, .mx_fail_domains = &o->mx_fail_domains,
	    .srv_fail_domains = &o->srv_fail_domains, .mx_domains = &o->mx_domains,
	    .ipv4_only = says_yes(job, &o->ipv4_only), .ipv4_prefer = says_yes(job, &o->ipv4_prefer),
	    .dnssec_request = domain_matches(job, &g->dnssec_request_domains, ad->view.domain),
	    .dnssec_require = domain_matches(job, &g->dnssec_require_domains, ad->view.domain)};
	if (!str_is_set(o->check_srv.text))
		return ROUTE_ACCEPT;
	struct str service;
	enum expand_status st = expand(job->eval, &o->check_srv, &service);
	if (st == EXPAND_OK)
		ret->srv_service = service;
	else if (st != EXPAND_FORCED)
		return route_defer(job, ad, "%.*s router: failed to expand \"%.*s\": %.*s", STR_ARG(di->name), STR_ARG(o->check_srv.text),
		    STR_ARG(job->eval->lx.error));
	return ROUTE_ACCEPT;
}

/* The domain as written, then with each of widen_domains behind it. */
static enum host_lookup find(struct route_job *job, const struct driver_instance *di, struct address *ad,
    const struct host_find_opts *ho, struct route_host **ret, struct str *ret_name, struct str *ret_fqdn, struct why *why)
{
	const struct dnslookup_options *o = di->options;
	struct str rest = o->widen_domains.text, item;
	int sep = 0;
	*ret_name = ad->view.domain;
	enum host_lookup got = host_find(job, *ret_name, ho, ret, ret_fqdn, why);
	bool widen = job->purpose != ROUTE_VERIFY_SENDER || !o->rewrite_headers;
	while (got == HOST_NOT_FOUND && widen && str_is_set(rest) && list_next(job->arena, &rest, &sep, &item)) {
		struct str name = str_cat(job->arena, ad->view.domain, STR("."), item);
		struct why sub;
		got = host_find(job, name, ho, ret, ret_fqdn, &sub);
		*ret_name = name;
		if (got != HOST_NOT_FOUND)
			*why = sub;
	}
	return got;
}

static enum route_verdict nothing(struct route_job *job, const struct driver_instance *di, struct address *ad, const struct why *why)
{
	const struct dnslookup_options *o = di->options;
	if (domain_matches(job, &o->fail_defer_domains, ad->view.domain))
		return route_defer(job, ad, "missing MX, or all MXs point to missing A records, and defer requested");
	if (why->text[0])
		ad->message = str_dup(job->arena, str_c(why->text));
	return ROUTE_DECLINE;
}

static enum route_verdict queue(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct dnslookup_options *o = di->options;
	enum route_verdict v = step_common(job, di, ad);
	if (v == ROUTE_ACCEPT)
		v = step_queue(job, di, ad, NULL);
	if (v == ROUTE_ACCEPT && o->same_domain_copy_routing)
		step_same_domain(job, di, ad);
	return v;
}

static enum route_verdict dnslookup_run(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct dnslookup_options *o = di->options;
	struct host_find_opts ho;
	struct route_host *hosts = NULL;
	struct str name, fqdn;
	struct why why = {.text = ""};
	if (str_starts(ad->view.domain, "[") || !addr_domain_valid(ad->view.domain, false, job->config->main.allow_utf8_domains || (job->message && job->message->smtputf8)))
		return ROUTE_DECLINE;
	enum route_verdict v = options(job, di, ad, &ho);
	if (v != ROUTE_ACCEPT)
		return v;
	switch (find(job, di, ad, &ho, &hosts, &name, &fqdn, &why)) {
	case HOST_FOUND: break;
	case HOST_NOT_FOUND:
	case HOST_NULL_MX: return nothing(job, di, ad, &why);
	case HOST_ALL_IGNORED: return ROUTE_DECLINE;
	case HOST_LOOKUP_DEFER:
		if (router_generic(di)->pass_on_timeout)
			return ROUTE_PASS;
		return route_defer(job, ad, "%s", why.text);
	case HOST_FOUND_LOCAL:
		if ((v = step_self(job, di, ad, hosts)) != ROUTE_ACCEPT)
			return v;
		break;
	}
	/* Manual 17.4: a completed domain replaces the one that was written, and routing begins anew. */
	if (!str_ieq(name, ad->view.domain) || (!str_ieq(fqdn, ad->view.domain) && !str_starts(fqdn, "*") && str_chr(ad->view.domain, '.') < 0))
		return step_change_domain(job, di, ad, str_ieq(name, ad->view.domain) ? fqdn : name, o->rewrite_headers);
	ad->hosts = hosts;
	return queue(job, di, ad);
}

extern const struct router_driver router_dnslookup;
const struct router_driver router_dnslookup = {
	.info = {.name = "dnslookup", .options = rows, .option_count = countof(rows),
	    .options_size = sizeof(struct dnslookup_options), .check = dnslookup_check},
	.run = dnslookup_run,
};
