/* SPDX-License-Identifier: Apache-2.0
 * From names to hosts with addresses: SRV, MX and address records (manual 17; RFC 5321 5.1, RFC
 * 7505 null MX, RFC 2782), the local host, ignore_target_hosts, DNSSEC demands. */
#include "route/route_priv.h"

#include "net/resolver.h"

#include "base/banned.h"

/* --- Who we are ------------------------------------------------------------------------------ */
bool host_is_local(struct env *env, const struct config *cfg, struct str ip_text_)
{
	(void)env;
	struct ip_addr ip;
	const struct route_compiled *rc = cfg->compiled_routers;
	if (!rc || !ip_parse(ip_text_, &ip))
		return false;
	for (size_t i = 0; i < rc->locals; i++)
		if (ip_eq(&rc->local[i], &ip))
			return true;
	return false;
}

bool host_is_ours(struct route_job *job, const struct route_host *h)
{
	const struct xstr *list = &job->config->main.hosts_treat_as_local;
	if (str_is_set(list->text) && match_domain(&job->eval->lx, list, h->name, 0, NULL) == MATCH_YES)
		return true;
	return str_is_set(h->address) && host_is_local(job->env, job->config, h->address);
}

static bool ignored(struct route_job *job, const struct host_find_opts *o, const struct route_host *h)
{
	const struct xstr *list = o->ignore_target_hosts;
	if (!list || !str_is_set(list->text))
		return false;
	struct out_view out = {.host = h->name, .host_address = h->address, .host_port = h->port};
	void *outer = job->eval->space[SPACE_OUT];
	job->eval->space[SPACE_OUT] = &out;
	bool yes = match_host(&job->eval->lx, list, STR_NONE, h->address, 0, NULL) == MATCH_YES;
	job->eval->space[SPACE_OUT] = outer;
	return yes;
}

/* --- Addresses ------------------------------------------------------------------------------- */
struct found {
	struct route_host *first, **tail;
	bool again, any_ignored;
};

static void take_records(struct route_job *job, const struct dns_result *r, enum dns_type type, const struct route_host *like,
    const struct host_find_opts *o, struct found *f)
{
	struct route_host *batch = NULL;
	for (size_t i = 0; r && i < r->count; i++) {
		if (r->record[i].type != type)
			continue;
		struct route_host *h = arena_new_of(job->arena, struct route_host);
		*h = *like;
		h->address = ip_text(job->arena, &r->record[i].ip);
		h->secure = like->secure && r->secure;
		h->next = NULL;
		if (ignored(job, o, h)) {
			f->any_ignored = true;
			continue;
		}
		/* Manual 17: addresses of one host in random order. */
		struct route_host **at = &batch;
		size_t n = 0;
		for (struct route_host *b = batch; b; b = b->next)
			n++;
		for (size_t skip = job->env->random(job->env) % (n + 1); skip > 0; skip--)
			at = &(*at)->next;
		h->next = *at;
		*at = h;
	}
	*f->tail = batch;
	while (*f->tail)
		f->tail = &(*f->tail)->next;
}

static bool insecure(const struct dns_result *r, const struct host_find_opts *o)
{
	return o->dnssec_require && r->answer == DNS_FOUND && !r->secure;
}

static void take_type(struct route_job *job, enum dns_type type, const struct route_host *like,
    const struct host_find_opts *o, struct found *f)
{
	struct dns_result *r = dns_query_search(job->env->resolver, job->arena, like->name, type, o->qualify_single, o->search_parents);
	if (r->answer == DNS_AGAIN) {
		const struct xstr *list = &job->config->main.dns_again_means_nonexist;
		bool nonexist = str_is_set(list->text) && match_domain(&job->eval->lx, list, like->name, 0, NULL) == MATCH_YES;
		f->again = f->again || !nonexist;
	} else if (r->answer == DNS_FOUND && !insecure(r, o)) {
		take_records(job, r, type, like, o, f);
	}
}

static bool want_v6(struct route_job *job, struct str name, const struct host_find_opts *o)
{
	const struct xstr *list = &job->config->main.dns_ipv4_lookup;
	if (job->config->main.disable_ipv6 || o->ipv4_only)
		return false;
	return !str_is_set(list->text) || match_domain(&job->eval->lx, list, name, 0, NULL) != MATCH_YES;
}

static void by_dns(struct route_job *job, const struct route_host *like, const struct host_find_opts *o, struct found *f)
{
	bool v6 = want_v6(job, like->name, o);
	if (v6 && !o->ipv4_prefer)
		take_type(job, DNS_AAAA, like, o, f);
	take_type(job, DNS_A, like, o, f);
	if (v6 && o->ipv4_prefer)
		take_type(job, DNS_AAAA, like, o, f);
}

static void by_name(struct route_job *job, const struct route_host *like, const struct host_find_opts *o, struct found *f)
{
	struct dns_result *r = host_by_name(job->env->resolver, job->arena, like->name, true, want_v6(job, like->name, o));
	if (r->answer == DNS_AGAIN)
		f->again = true;
	if (r->answer != DNS_FOUND || insecure(r, o))
		return;
	take_records(job, r, o->ipv4_prefer ? DNS_A : DNS_AAAA, like, o, f);
	take_records(job, r, o->ipv4_prefer ? DNS_AAAA : DNS_A, like, o, f);
}

static enum host_lookup use_literal(struct route_job *job, struct route_host **at, const struct host_find_opts *o)
{
	struct route_host *h = *at;
	if (ignored(job, o, h)) {
		*at = h->next;
		return HOST_ALL_IGNORED;
	}
	return host_is_ours(job, h) ? HOST_FOUND_LOCAL : HOST_FOUND;
}

enum host_lookup host_resolve(struct route_job *job, struct route_host **at, const struct host_find_opts *o,
    enum name_method method, struct why *why)
{
	struct route_host *h = *at;
	struct ip_addr ip;
	if (!str_is_set(h->address) && ip_parse(h->name, &ip))
		h->address = h->name;
	if (str_is_set(h->address))
		return use_literal(job, at, o);
	if (!job->env->resolver) {
		why_set(why, true, "no resolver");
		return HOST_LOOKUP_DEFER;
	}
	struct found f = {.tail = &f.first};
	struct route_host like = *h;
	like.next = NULL;
	if (method != METHOD_NAME)
		by_dns(job, &like, o, &f);
	if (!f.first && !f.again && !f.any_ignored && method != METHOD_DNS)
		by_name(job, &like, o, &f);
	if (!f.first) {
		if (f.again) {
			why_set(why, true, "host lookup did not complete");
			return HOST_LOOKUP_DEFER;
		}
		*at = h->next;
		return f.any_ignored ? HOST_ALL_IGNORED : HOST_NOT_FOUND;
	}
	*f.tail = h->next;
	*at = f.first;
	bool ours = false;
	for (struct route_host *p = f.first; p != h->next && !ours; p = p->next)
		ours = host_is_ours(job, p);
	return ours ? HOST_FOUND_LOCAL : HOST_FOUND;
}

/* --- MX and SRV ------------------------------------------------------------------------------ */
static void insert_sorted(struct route_host **list, struct route_host *h)
{
	struct route_host **at = list;
	while (*at && ((*at)->mx < h->mx || ((*at)->mx == h->mx && (*at)->sort_key <= h->sort_key)))
		at = &(*at)->next;
	h->next = *at;
	*at = h;
}

/* RFC 2782: among equal priorities, by weight at random. The key is small for what comes first. */
static int srv_key(struct env *env, uint16_t weight)
{
	uint32_t best = UINT32_MAX;
	for (unsigned draws = weight / 16u + 1; draws > 0; draws--) {
		uint32_t r = env->random(env);
		best = r < best ? r : best;
	}
	return (int)(best >> 1);
}

static struct route_host *records_to_hosts(struct route_job *job, const struct dns_result *r, enum dns_type type, bool *ret_ip)
{
	struct route_host *list = NULL;
	struct ip_addr ip;
	for (size_t i = 0; i < r->count; i++) {
		const struct dns_record *rec = &r->record[i];
		if (rec->type != type)
			continue;
		if (ip_parse(rec->target, &ip) && !job->config->main.allow_mx_to_ip) {
			*ret_ip = true;
			continue;
		}
		struct route_host *h = arena_new_of(job->arena, struct route_host);
		h->name = str_lower(job->arena, rec->target);
		h->name.taint = 0; /* host names go to logs and connections, never to files */
		h->mx = rec->preference;
		h->port = type == DNS_SRV ? rec->port : 0;
		h->sort_key = type == DNS_SRV ? srv_key(job->env, rec->weight) : (int)(job->env->random(job->env) >> 1);
		h->secure = r->secure;
		insert_sorted(&list, h);
	}
	return list;
}

static bool is_null_record(const struct dns_result *r, enum dns_type type)
{
	size_t n = 0;
	bool null = false;
	for (size_t i = 0; i < r->count; i++)
		if (r->record[i].type == type) {
			n++;
			null = str_empty(r->record[i].target) || str_eqc(r->record[i].target, ".");
		}
	return n == 1 && null;
}

/* Addresses for all hosts of the list, which ends before the local host and its equals. */
static enum host_lookup resolve_all(struct route_job *job, struct route_host **list, const struct host_find_opts *o,
    bool *ret_local_removed, struct why *why)
{
	struct route_host **at = list;
	int first = *list ? (*list)->mx : -1;
	bool again = false, any_ignored = false;
	while (*at) {
		struct route_host *h = *at, *after = h->next;
		int mx = h->mx;
		enum host_lookup got = host_is_ours(job, h) ? HOST_FOUND_LOCAL : host_resolve(job, at, o, METHOD_DNS, why);
		if (got == HOST_FOUND_LOCAL) {
			if (mx == first)
				return HOST_FOUND_LOCAL;
			struct route_host **cut = list;
			while (*cut != *at && (*cut)->mx < mx)
				cut = &(*cut)->next;
			*cut = NULL;
			*ret_local_removed = true;
			break;
		}
		again = again || got == HOST_LOOKUP_DEFER;
		any_ignored = any_ignored || got == HOST_ALL_IGNORED;
		if (got == HOST_LOOKUP_DEFER)
			*at = after; /* others may do; it is asked for again when none does */
		while (*at != after)
			at = &(*at)->next;
	}
	if (*list)
		return HOST_FOUND;
	return again ? HOST_LOOKUP_DEFER : any_ignored ? HOST_ALL_IGNORED : HOST_NOT_FOUND;
}

static bool in_list(struct route_job *job, const struct xstr *list, struct str domain)
{
	return list && str_is_set(list->text) && match_domain(&job->eval->lx, list, domain, 0, NULL) == MATCH_YES;
}

/* One SRV or MX question. HOST_NOT_FOUND: no such records, *ret_nodata tells whether the name is there. */
static enum host_lookup ask(struct route_job *job, struct str name, enum dns_type type, const struct host_find_opts *o,
    const struct xstr *fail_domains, struct str domain, struct route_host **ret, struct str *ret_fqdn, bool *ret_nodata, struct why *why)
{
	struct dns_result *r = dns_query_search(job->env->resolver, job->arena, name, type, o->qualify_single, o->search_parents);
	*ret_nodata = r->answer == DNS_NODATA;
	if (r->answer == DNS_AGAIN) {
		if (!in_list(job, fail_domains, domain) && !in_list(job, &job->config->main.dns_again_means_nonexist, domain)) {
			why_set(why, true, "host lookup did not complete");
			return HOST_LOOKUP_DEFER;
		}
		*ret_nodata = true;
		return HOST_NOT_FOUND;
	}
	if (r->answer != DNS_FOUND || insecure(r, o))
		return HOST_NOT_FOUND;
	if (is_null_record(r, type)) {
		why_set(why, false, "an MX or SRV record indicated no SMTP service");
		return HOST_NULL_MX;
	}
	bool to_ip = false;
	*ret = records_to_hosts(job, r, type, &to_ip);
	if (r->count && type == DNS_MX && str_is_set(r->record[0].name))
		*ret_fqdn = r->record[0].name;
	if (!*ret) {
		why_set(why, false, "all relevant MX records point to non-existent hosts%s", to_ip ? " or (invalidly) to IP addresses" : "");
		return HOST_NOT_FOUND;
	}
	why_set(why, false, "all relevant MX records point to non-existent hosts%s",
	    job->config->main.allow_mx_to_ip ? "" : to_ip ? " or (invalidly) to IP addresses" : "");
	return HOST_FOUND;
}

static enum host_lookup finish(struct route_job *job, struct route_host **list, const struct host_find_opts *o,
    struct route_host **ret, struct why *why)
{
	bool removed = false;
	struct why sub = *why;
	enum host_lookup got = resolve_all(job, list, o, &removed, &sub);
	if (got == HOST_LOOKUP_DEFER)
		*why = sub;
	*ret = *list;
	if (got == HOST_FOUND && o->check_secondary_mx && !removed) {
		why_set(why, false, "%s", "local host not found among the MX hosts");
		return HOST_NOT_FOUND;
	}
	return got;
}

enum host_lookup host_find(struct route_job *job, struct str name, const struct host_find_opts *o, struct route_host **ret,
    struct str *ret_fqdn, struct why *why)
{
	struct route_host *list = NULL;
	bool nodata = true;
	*ret = NULL;
	*ret_fqdn = name;
	why_set(why, false, "%s", "");
	if (!job->env->resolver) {
		why_set(why, true, "no resolver");
		return HOST_LOOKUP_DEFER;
	}
	struct str rest = o->srv_service, service;
	int sep = 0;
	while (str_is_set(o->srv_service) && list_next(job->arena, &rest, &sep, &service)) {
		struct str q = str_cat(job->arena, STR("_"), service, STR("._tcp."), name), unused;
		enum host_lookup got = ask(job, q, DNS_SRV, o, o->srv_fail_domains, name, &list, &unused, &nodata, why);
		if (got == HOST_FOUND)
			return finish(job, &list, o, ret, why);
		if (got != HOST_NOT_FOUND)
			return got;
	}
	if (o->allow_mx) {
		enum host_lookup got = ask(job, name, DNS_MX, o, o->mx_fail_domains, name, &list, ret_fqdn, &nodata, why);
		if (got == HOST_FOUND)
			return finish(job, &list, o, ret, why);
		if (got != HOST_NOT_FOUND || why->text[0] || !nodata || in_list(job, o->mx_domains, name))
			return got;
	}
	if (o->check_secondary_mx)
		return HOST_NOT_FOUND;
	struct route_host *h = arena_new_of(job->arena, struct route_host);
	h->name = str_lower(job->arena, name);
	h->name.taint = 0;
	h->mx = -1;
	h->secure = true;
	enum host_lookup got = host_resolve(job, &h, o, o->by_name ? METHOD_NAME : METHOD_DNS, why);
	*ret = h;
	return got;
}
