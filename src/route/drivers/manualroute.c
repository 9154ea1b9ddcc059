/* SPDX-License-Identifier: Apache-2.0
 * manualroute (manual 20): hosts by rules of our own. A rule is a domain pattern (route_list
 * only), a list of hosts, and words: a transport's name, randomize, byname, bydns ... */
#include "route/route_priv.h"

#include "base/limits.h"

#include "base/banned.h"

enum host_failed { ON_DECLINE, ON_DEFER, ON_FAIL, ON_FREEZE, ON_IGNORE, ON_PASS };
static const char *const failed_words[] = {"decline", "defer", "fail", "freeze", "ignore", "pass"};

struct manualroute_options {
	struct xstr host_all_ignored, host_find_failed, hosts_randomize, route_data, route_list;
	bool same_domain_copy_routing;
	enum host_failed on_failed, on_all_ignored; /* computed */
};

#define ROW(n, TYPE, def, flags, doc) OPT_ROW(struct manualroute_options, #n, TYPE, n, def, flags, doc)
static const struct opt_row rows[] = {
	ROW(host_all_ignored, STRING, "defer", 0, "What to do when every host was ignored"),
	ROW(host_find_failed, STRING, "freeze", 0, "What to do when a host does not exist"),
	ROW(hosts_randomize, BOOLX, "false", OPT_EXPAND, "Shuffle the hosts of a list"),
	ROW(route_data, STRING, NULL, OPT_EXPAND, "Hosts and options, as one expansion"),
	ROW(route_list, STRING, NULL, 0, "Rules: domain pattern, hosts, options"),
	ROW(same_domain_copy_routing, BOOL, "false", 0, "Route other addresses of the domain alike"),
};
#undef ROW

static bool refuse(const struct driver_instance *di, struct why *why, const char *text)
{
	why_set(why, false, "%.*s router:\n  %s", STR_ARG(di->name), text);
	return false;
}

static bool find_word(struct str s, enum host_failed *ret)
{
	for (unsigned i = 0; i < countof(failed_words); i++)
		if (str_eqc(s, failed_words[i])) {
			*ret = (enum host_failed)i;
			return true;
		}
	return false;
}

static bool manualroute_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	struct manualroute_options *o = di->options;
	if (str_is_set(o->route_data.text) == str_is_set(o->route_list.text))
		return refuse(di, why, "route_list or route_data (but not both) must be specified");
	if (!find_word(o->host_find_failed.text, &o->on_failed))
		return refuse(di, why, "invalid setting for host_find_failed option");
	if (!find_word(o->host_all_ignored.text, &o->on_all_ignored) || o->on_all_ignored == ON_IGNORE)
		return refuse(di, why, "invalid setting for host_all_ignored option");
	return true;
}

/* --- Reading rules --------------------------------------------------------------------------- */
struct run {
	struct route_job *job;
	const struct driver_instance *di;
	const struct manualroute_options *o;
	struct address *ad;
	struct str hosts, words; /* of the rule that matched; hosts not yet expanded */
	bool randomize;
	enum name_method method;
	struct host_find_opts find;
	const struct driver_instance *transport;
};

/* A word, or text in double quotes with backslash escapes. */
static struct str take_part(struct arena *a, struct rd *r)
{
	rd_skip_space(r);
	if (rd_peek(r) != '"')
		return rd_word(r);
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_CONFIG_LINE);
	sb.taint = r->taint;
	rd_byte(r);
	for (int c; (c = rd_peek(r)) >= 0 && c != '"'; rd_byte(r)) {
		if (c == '\\' && rd_left(r) > 1) {
			rd_byte(r);
			c = rd_peek(r);
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		sb_ch(&sb, (char)c);
	}
	rd_accept(r, '"');
	return sb_str(&sb);
}

/* One rule of route_list: true if its pattern matches the domain. */
static enum match_result try_rule(struct run *r, struct str rule)
{
	struct route_job *job = r->job;
	struct rd rd = rd_of(rule);
	struct str pattern = take_part(job->arena, &rd);
	/* As a list of one item, whatever characters it holds. */
	const char *seps = ":;|!~";
	while (seps[1] && str_chr(pattern, seps[0]) >= 0)
		seps++;
	struct str list = str_chr(pattern, ':') < 0 ? pattern : str_printf(job->arena, "<%c %.*s", seps[0], STR_ARG(pattern));
	struct xstr x = {.text = list};
	job->eval->captures.count = 0;
	job->eval->value = STR_NONE;
	struct str data = STR_NONE;
	enum match_result m = match_domain(&job->eval->lx, &x, r->ad->view.domain, MATCH_NO_CACHE, &data);
	if (m != MATCH_YES)
		return m;
	if (str_chr(pattern, ';') >= 0)
		job->eval->value = data; /* manual 20.4: what the lookup found */
	struct captures *c = &job->eval->captures;
	if (str_starts(pattern, "*") && c->count < 2) {
		size_t fixed = pattern.len - 1;
		c->v[1] = str_sub(r->ad->view.domain, 0, r->ad->view.domain.len >= fixed ? r->ad->view.domain.len - fixed : 0);
		c->count = 2;
	}
	c->v[0] = r->ad->view.domain;
	c->count = c->count ? c->count : 1;
	r->hosts = take_part(job->arena, &rd);
	r->words = rd_rest(&rd);
	return MATCH_YES;
}

static enum route_verdict find_rule(struct run *r)
{
	struct route_job *job = r->job;
	struct str rest = r->o->route_list.text, rule;
	if (str_is_set(rest)) {
		int sep = str_starts(str_ltrim(rest), "<") ? 0 : ';';
		while (list_next(job->arena, &rest, &sep, &rule)) {
			if (str_empty(str_trim(rule)))
				continue;
			enum match_result m = try_rule(r, rule);
			if (m == MATCH_YES)
				return ROUTE_ACCEPT;
			if (m == MATCH_DEFER)
				return route_defer(job, r->ad, "lookup defer in %.*s router", STR_ARG(r->di->name));
		}
		return ROUTE_DECLINE;
	}
	struct str data;
	enum expand_status st = expand(job->eval, &r->o->route_data, &data);
	if (st == EXPAND_FORCED)
		return ROUTE_DECLINE;
	if (st != EXPAND_OK)
		return route_defer(job, r->ad, "%.*s router: failed to expand \"%.*s\": %.*s", STR_ARG(r->di->name),
		    STR_ARG(r->o->route_data.text), STR_ARG(job->eval->lx.error));
	data = str_trim(data);
	if (str_empty(data))
		return ROUTE_DECLINE;
	struct rd rd = rd_of(data);
	r->hosts = take_part(job->arena, &rd);
	r->words = rd_rest(&rd);
	return ROUTE_ACCEPT;
}

static enum route_verdict read_words(struct run *r)
{
	struct rd rd = rd_of(r->words);
	for (struct str w = rd_word(&rd); !str_empty(w); w = rd_word(&rd)) {
		if (str_eqc(w, "randomize"))
			r->randomize = true;
		else if (str_eqc(w, "no_randomize"))
			r->randomize = false;
		else if (str_eqc(w, "byname"))
			r->method = METHOD_NAME;
		else if (str_eqc(w, "bydns"))
			r->method = METHOD_DNS;
		else if (str_eqc(w, "ipv4_only"))
			r->find.ipv4_only = true;
		else if (str_eqc(w, "ipv4_prefer"))
			r->find.ipv4_prefer = true;
		else if (!(r->transport = config_find_driver(r->job->config, DRIVER_TRANSPORT, w))) {
			log_write(r->job->env->log, LOGTO_MAIN, STR_NONE,
			    "Error in %.*s router: unknown routing option or transport name \"%.*s\"", STR_ARG(r->di->name), STR_ARG(w));
			return route_defer(r->job, r->ad, "error in router: unknown routing option or transport name \"%.*s\"", STR_ARG(w));
		}
	}
	return ROUTE_ACCEPT;
}

/* --- Hosts ----------------------------------------------------------------------------------- */
static enum route_verdict on_host(struct run *r, enum host_failed what)
{
	switch (what) {
	case ON_DECLINE: return ROUTE_DECLINE;
	case ON_PASS: return ROUTE_PASS;
	case ON_FAIL: return ROUTE_FAIL;
	case ON_FREEZE: r->ad->special_freeze = true; return ROUTE_DEFER;
	case ON_DEFER: return ROUTE_DEFER;
	case ON_IGNORE: return ROUTE_ACCEPT;
	}
	return ROUTE_DEFER;
}

static enum route_verdict host_failed(struct run *r, struct str host)
{
	r->ad->basic_errno = ROUTE_ERR_UNKNOWN_HOST;
	route_defer(r->job, r->ad, "lookup of host \"%.*s\" failed in %.*s router", STR_ARG(host), STR_ARG(r->di->name));
	return on_host(r, r->o->on_failed);
}

/* "/MX" at the end of a name: its MX hosts take its place. */
static enum host_lookup resolve_mx(struct run *r, struct route_host **at, struct why *why)
{
	struct route_host *h = *at, *list = NULL;
	struct host_find_opts o = r->find;
	struct str fqdn;
	o.allow_mx = true;
	enum host_lookup got = host_find(r->job, str_sub(h->name, 0, h->name.len - 3), &o, &list, &fqdn, why);
	if (!list) {
		*at = h->next;
		return got;
	}
	struct route_host *last = list;
	for (struct route_host *p = list; p; p = p->next) {
		if (h->port)
			p->port = h->port;
		last = p;
	}
	last->next = h->next;
	*at = list;
	return got;
}

static enum route_verdict resolve_hosts(struct run *r, struct route_host **list)
{
	struct why why = {.text = ""};
	for (struct route_host **at = list; *at;) {
		struct route_host *h = *at, *after = h->next;
		bool mx = str_iends(h->name, "/mx");
		enum host_lookup got = mx ? resolve_mx(r, at, &why) : host_resolve(r->job, at, &r->find, r->method, &why);
		enum route_verdict v;
		switch (got) {
		case HOST_FOUND: break;
		case HOST_LOOKUP_DEFER:
			if (router_generic(r->di)->pass_on_timeout)
				return ROUTE_PASS;
			r->ad->basic_errno = ROUTE_ERR_DNS_DEFER;
			return route_defer(r->job, r->ad, "host lookup for %.*s did not complete (DNS timeout?)", STR_ARG(h->name));
		case HOST_NOT_FOUND:
		case HOST_NULL_MX:
		case HOST_ALL_IGNORED:
			if ((v = host_failed(r, h->name)) != ROUTE_ACCEPT)
				return v;
			break;
		case HOST_FOUND_LOCAL:
			if (*list != *at) { /* manual 20.6: not the first: it and all after it go */
				*at = NULL;
				r->ad->local_host_removed = true;
				return ROUTE_ACCEPT;
			}
			if ((v = step_self(r->job, r->di, r->ad, *at)) != ROUTE_ACCEPT)
				return v;
			break;
		}
		while (*at != after)
			at = &(*at)->next;
	}
	return ROUTE_ACCEPT;
}

static enum route_verdict all_ignored(struct run *r)
{
	r->ad->basic_errno = ROUTE_ERR_UNKNOWN_HOST;
	route_defer(r->job, r->ad, "lookup failed for all hosts in %.*s router: host_find_failed=%s host_all_ignored=%s",
	    STR_ARG(r->di->name), failed_words[r->o->on_failed], failed_words[r->o->on_all_ignored]);
	return on_host(r, r->o->on_all_ignored);
}

static enum route_verdict use_hosts(struct run *r)
{
	struct route_job *job = r->job;
	struct str text;
	enum expand_status st = expand_text(job->eval, r->hosts, &text);
	if (st == EXPAND_FORCED)
		return ROUTE_DECLINE;
	if (st != EXPAND_OK)
		return route_defer(job, r->ad, "%.*s router: failed to expand \"%.*s\": %.*s", STR_ARG(r->di->name), STR_ARG(r->hosts),
		    STR_ARG(job->eval->lx.error));
	text = str_trim(text);
	if (r->transport && transport_is_local(r->transport)) {
		r->ad->host_list = text;
		if (!str_empty(text)) {
			struct route_host *h = arena_new_of(job->arena, struct route_host);
			h->name = text;
			h->mx = -1;
			r->ad->hosts = h;
		}
		return ROUTE_ACCEPT;
	}
	if (str_empty(text) && route_verifying(job))
		return ROUTE_ACCEPT;
	if (str_empty(text)) {
		route_defer(job, r->ad, "error in %.*s router: no host(s) specified for domain %.*s", STR_ARG(r->di->name),
		    STR_ARG(r->ad->view.domain));
		log_write(job->env->log, LOGTO_MAIN, STR_NONE, "%.*s", STR_ARG(r->ad->message));
		return ROUTE_DEFER;
	}
	struct route_host *list = hostlist_build(job, text, r->randomize);
	enum route_verdict v = resolve_hosts(r, &list);
	if (v != ROUTE_ACCEPT)
		return v;
	if (!list)
		return all_ignored(r);
	r->ad->message = STR_NONE;
	r->ad->basic_errno = 0;
	r->ad->hosts = list;
	return ROUTE_ACCEPT;
}

static enum route_verdict find_transport(struct run *r)
{
	if (r->transport)
		return ROUTE_ACCEPT;
	enum route_verdict v = step_transport(r->job, r->di, &router_generic(r->di)->transport, "transport", r->ad, &r->transport);
	if (v != ROUTE_ACCEPT || r->transport || route_verifying(r->job))
		return v;
	log_write(r->job->env->log, LOGTO_MAIN, STR_NONE, "Error in %.*s router: no transport defined", STR_ARG(r->di->name));
	r->ad->basic_errno = ROUTE_ERR_NO_TRANSPORT;
	return route_defer(r->job, r->ad, "error in router: transport missing");
}

static enum route_verdict manualroute_run(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	struct run r = {.job = job, .di = di, .o = di->options, .ad = ad, .method = METHOD_DNS_THEN_NAME,
	    .find = {.ignore_target_hosts = &g->ignore_target_hosts}};
	enum route_verdict v = find_rule(&r);
	if (v != ROUTE_ACCEPT)
		return v;
	enum expand_status st = expand_bool(job->eval, &r.o->hosts_randomize, false, &r.randomize);
	if (st != EXPAND_OK && st != EXPAND_FORCED)
		return route_defer(job, ad, "%.*s router: failed to expand hosts_randomize: %.*s", STR_ARG(di->name),
		    STR_ARG(job->eval->lx.error));
	const struct xstr *req = &g->dnssec_require_domains;
	r.find.dnssec_require = str_is_set(req->text) && match_domain(&job->eval->lx, req, ad->view.domain, 0, NULL) == MATCH_YES;
	if ((v = read_words(&r)) != ROUTE_ACCEPT || (v = step_common(job, di, ad)) != ROUTE_ACCEPT ||
	    (v = find_transport(&r)) != ROUTE_ACCEPT || (v = use_hosts(&r)) != ROUTE_ACCEPT)
		return v;
	v = step_queue(job, di, ad, r.transport);
	if (v == ROUTE_ACCEPT && r.o->same_domain_copy_routing)
		step_same_domain(job, di, ad);
	return v;
}

extern const struct router_driver router_manualroute;
const struct router_driver router_manualroute = {
	.info = {.name = "manualroute", .options = rows, .option_count = countof(rows),
	    .options_size = sizeof(struct manualroute_options), .check = manualroute_check},
	.run = manualroute_run,
};
