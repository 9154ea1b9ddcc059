/* SPDX-License-Identifier: Apache-2.0
 * Which hosts, in which order (manual 30): those of the router, or the transport's own ("hosts",
 * "fallback_hosts"), looked up here; shuffled in groups where that is asked for. */
#include "net/addr.h"
#include "route/route.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

/* "name", "name:25", "[10.0.0.1]:25", "10.0.0.1" (manual 20.5). */
static void split_port(struct str item, struct str *ret_name, int *ret_port)
{
	struct ip_addr ip;
	struct str rest;
	uint64_t n;
	*ret_name = item;
	*ret_port = 0;
	if (item.len && item.p[0] == '[') {
		ptrdiff_t end = str_chr(item, ']');
		if (end > 0) {
			*ret_name = str_sub(item, 1, (size_t)end - 1);
			rest = str_from(item, (size_t)end + 1);
			if (str_starts(rest, ":") && str_uint(str_from(rest, 1), 65535, &n))
				*ret_port = (int)n;
		}
		return;
	}
	if (ip_parse(item, &ip))
		return;
	struct str name = str_cut(item, ':', &rest);
	if (str_is_set(rest) && str_uint(rest, 65535, &n)) {
		*ret_name = name;
		*ret_port = (int)n;
	}
}

static struct route_host *new_host(struct smtp_job *j, struct str name, int port, int group)
{
	struct route_host *h = arena_new_of(j->d->arena, struct route_host);
	struct ip_addr ip;
	h->name = name;
	h->port = port;
	h->mx = -1;
	h->sort_key = group;
	if (ip_parse(name, &ip))
		h->address = name;
	return h;
}

/* The list as written: one host an item, not yet looked up; "+" divides groups. */
static struct route_host *parse_list(struct smtp_job *j, struct str list)
{
	struct route_host *first = NULL, **to = &first;
	struct str item, name;
	int sep = 0, port, group = 0;
	while (list_next(j->d->arena, &list, &sep, &item)) {
		if (str_eqc(item, "+")) {
			group++;
			continue;
		}
		if (item.len == 0)
			continue;
		split_port(item, &name, &port);
		*to = new_host(j, name, port, group);
		to = &(*to)->next;
	}
	return first;
}

static bool check_local(struct smtp_job *j, const struct route_host *h)
{
	if (j->o->allow_localhost || !host_is_local(j->d->env, j->d->config, h->address))
		return true;
	result_defer(j->d, DERR_HOST_IS_LOCAL, "remote host address is the local host");
	return false;
}

/* Addresses of one item, in its place. -1 results given, 0 none, 1 fine. */
static int look_up(struct smtp_job *j, struct route_host *h, struct route_host **ret_last)
{
	struct delivery *d = j->d;
	struct route_job job = {.config = d->config, .env = d->env, .arena = d->arena, .message = d->message,
	    .peer = &d->message->peer, .eval = d->eval, .purpose = ROUTE_DELIVER, .body_fd = -1, .trace_fd = -1};
	struct host_find_opts opts = {.by_dns_a = !j->o->gethostbyname, .by_name = j->o->gethostbyname,
	    .qualify_single = j->o->dns_qualify_single, .search_parents = j->o->dns_search_parents};
	opts.dnssec_require = match_domain(&d->eval->lx, &j->o->dnssec_require_domains, h->name, 0, NULL) == MATCH_YES;
	opts.dnssec_request = opts.dnssec_require || match_domain(&d->eval->lx, &j->o->dnssec_request_domains, h->name, 0, NULL) == MATCH_YES;
	struct route_host *found = NULL;
	struct str fqdn = STR_NONE;
	struct why why = {0};
	*ret_last = h;
	if (str_is_set(h->address))
		return check_local(j, h) ? 1 : -1;
	switch (host_find(&job, h->name, &opts, &found, &fqdn, &why)) {
	case HOST_FOUND: break;
	case HOST_FOUND_LOCAL:
		if (j->o->allow_localhost)
			break;
		result_defer(d, DERR_HOST_IS_LOCAL, "remote host address is the local host");
		return -1;
	case HOST_LOOKUP_DEFER: return h->status = HOST_UNUSABLE_RETRY, 0;
	case HOST_NOT_FOUND:
	case HOST_NULL_MX:
	case HOST_ALL_IGNORED: return h->status = HOST_UNUSABLE_EXPIRED, 0;
	}
	if (!found)
		return h->status = HOST_UNUSABLE_RETRY, 0;
	struct route_host *after = h->next;
	for (struct route_host *f = found; f; f = f->next) {
		struct route_host *to = f == found ? h : arena_new_of(d->arena, struct route_host);
		if (to != h) {
			*to = *h;
			(*ret_last)->next = to;
		}
		to->address = f->address;
		to->secure = f->secure;
		to->next = after;
		*ret_last = to;
	}
	return 1;
}

/* Look all up; what cannot be found leaves the list. routed: the router has decided what to do about the local host. */
static bool look_up_all(struct smtp_job *j, struct route_host **list, bool routed)
{
	struct route_host *last;
	bool deferred = false, some = false;
	struct str missing = STR_NONE;
	for (struct route_host **at = list; *at;) {
		int got = 1;
		if (routed && str_is_set((*at)->address))
			last = *at;
		else
			got = look_up(j, *at, &last);
		if (got < 0)
			return false;
		if (got == 0) {
			deferred = deferred || (*at)->status == HOST_UNUSABLE_RETRY;
			missing = (*at)->name;
			*at = (*at)->next;
			continue;
		}
		some = true;
		at = &last->next;
	}
	if (some)
		return true;
	if (deferred)
		result_defer(j->d, DERR_DNSDEFER, "host lookup for %.*s did not complete (DNS timeout?)", STR_ARG(missing));
	else
		result_defer(j->d, DERR_HOSTLOOKUP, "failed to lookup IP address for %.*s", STR_ARG(missing));
	return false;
}

/* A random order inside each group. */
static void shuffle(struct smtp_job *j, struct route_host **list)
{
	struct env *env = j->d->env;
	struct route_host *from = *list;
	*list = NULL;
	while (from) {
		struct route_host *h = from, **at = list;
		from = h->next;
		uint32_t key = env->random(env) & 0xffffff;
		h->tlsa_count = 0;
		h->mx = -1;
		h->sort_key = h->sort_key << 24 | (int)key;
		while (*at && (*at)->sort_key <= h->sort_key)
			at = &(*at)->next;
		h->next = *at;
		*at = h;
	}
}

static struct route_host *copy(struct smtp_job *j, const struct route_host *h)
{
	struct route_host *first = NULL, **to = &first;
	for (; h; h = h->next, to = &(*to)->next) {
		*to = arena_dup(j->d->arena, h, sizeof *h);
		(*to)->next = NULL;
	}
	return first;
}

static bool own_list(struct smtp_job *j, const struct xstr *x, const char *what, struct route_host **ret)
{
	struct str text;
	if (!option_expand(j->d, x, what, &text))
		return false;
	*ret = parse_list(j, text);
	if (*ret)
		return look_up_all(j, ret, false);
	result_defer(j->d, DERR_UNKNOWN, "%s transport has empty hosts setting", transport_name(j->d));
	return false;
}

static bool randomize(struct smtp_job *j, struct route_host **list)
{
	bool yes = false;
	if (expand_bool(j->d->eval, &j->o->hosts_randomize, false, &yes) != EXPAND_OK) {
		result_defer(j->d, DERR_UNKNOWN, "failed to expand hosts_randomize in %s transport: %.*s", transport_name(j->d),
		    STR_ARG(j->d->eval->lx.error));
		return false;
	}
	bool by_mx = *list && (*list)->mx >= 0;
	if (yes && !by_mx)
		shuffle(j, list);
	return true;
}

bool smtp_hosts(struct smtp_job *j, struct route_host **ret)
{
	const struct address *ad = j->d->addresses;
	bool own = str_is_set(j->o->hosts.text) && (j->o->hosts_override || !ad->hosts);
	if (own) {
		if (!own_list(j, &j->o->hosts, "hosts", ret))
			return false;
	} else if (ad->hosts) {
		*ret = copy(j, ad->hosts);
		if (!look_up_all(j, ret, true))
			return false;
	} else {
		result_defer(j->d, DERR_UNKNOWN, "%s transport called with no hosts set", transport_name(j->d));
		for (struct address *p = j->d->addresses; p; p = p->next)
			p->log_flags |= ADDRESS_LOG_PANIC;
		return false;
	}
	return randomize(j, ret);
}

struct route_host *smtp_fallback_hosts(struct smtp_job *j)
{
	const struct address *ad = j->d->addresses;
	struct route_host *list = NULL;
	struct str text;
	if (ad->fallback_hosts)
		list = copy(j, ad->fallback_hosts);
	else if (!str_empty(j->o->fallback_hosts.text) && expand(j->d->eval, &j->o->fallback_hosts, &text) == EXPAND_OK)
		list = parse_list(j, text);
	if (!list || !look_up_all(j, &list, false) || !randomize(j, &list))
		return NULL;
	return list;
}
