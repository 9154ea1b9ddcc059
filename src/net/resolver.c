/* SPDX-License-Identifier: Apache-2.0
 * The resolver's front: what is asked, in which order, of which source. Nothing is read or
 * started before the first question. */
#include "net/resolver_priv.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "base/rd.h"
#include "base/strbuf.h"
#include "base/banned.h"

#define HOSTS_MAX (32u << 20)
#define NSSWITCH "/etc/nsswitch.conf"

static const char *keep(struct arena *a, const char *path, const char *standard)
{
	return path ? arena_cstr(a, path, strlen(path)) : standard;
}

struct resolver *resolver_new(const struct resolver_opts *o, struct why *why)
{
	struct resolver *r = calloc(1, sizeof *r);
	must(r != NULL);
	(void)why; /* faults of the configuration show at the first query, as DNS_AGAIN */
	r->arena = arena_new("resolver", 64u << 20, 1024, 0);
	pthread_mutex_init(&r->lock, NULL);
	r->conf_path = keep(r->arena, o->resolv_conf, "/etc/resolv.conf");
	r->hosts_path = keep(r->arena, o->hosts_file, "/etc/hosts");
	r->hosts_stamp = -1;
	r->backend = &dns_backend_unbound;
	r->data = unbound_new(o, r);
	return r;
}

void resolver_free(struct resolver *r)
{
	if (!r)
		return;
	r->backend->release(r->data);
	arena_free(r->hosts_arena);
	arena_free(r->arena);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

const struct resolv_conf *resolver_conf(struct resolver *r)
{
	pthread_mutex_lock(&r->lock);
	if (!r->conf_read)
		resolv_conf_read(r->arena, r->conf_path, &r->conf);
	r->conf_read = true;
	pthread_mutex_unlock(&r->lock);
	return &r->conf;
}

struct dns_result *dns_query(struct resolver *r, struct arena *a, struct str name, enum dns_type type)
{
	if (dns_name_good(&name))
		return r->backend->query(r->data, a, name, type);
	struct dns_result *ret = arena_new_of(a, struct dns_result);
	ret->answer = DNS_NXDOMAIN;
	return ret;
}

/* The order of the C library's res_search. Worst kept: an AGAIN on the way is the answer when
 * nothing was found, since the name might exist there. */
struct dns_result *dns_query_search(struct resolver *r, struct arena *a, struct str name, enum dns_type type,
    bool qualify_single, bool search)
{
	unsigned dots = 0;
	for (uint32_t i = 0; i < name.len; i++)
		dots += name.p[i] == '.';
	bool absolute = name.len && name.p[name.len - 1] == '.';
	if (absolute || (dots ? !search : !qualify_single))
		return dns_query(r, a, name, type);
	const struct resolv_conf *c = resolver_conf(r);
	struct dns_result *best = NULL, *got;
	bool first = dots >= c->ndots;
	if (first) {
		best = dns_query(r, a, name, type);
		if (best->answer == DNS_FOUND)
			return best;
	}
	size_t n = search ? c->searches : c->searches ? 1 : 0;
	for (size_t i = 0; i < n; i++) {
		got = dns_query(r, a, str_cat(a, name, STR("."), c->search[i]), type);
		if (got->answer == DNS_FOUND)
			return got;
		if (!best || got->answer == DNS_AGAIN || (got->answer == DNS_NODATA && best->answer == DNS_NXDOMAIN))
			best = got;
	}
	if (!first) {
		got = dns_query(r, a, name, type);
		if (got->answer == DNS_FOUND || !best || (best->answer != DNS_AGAIN && best->answer != DNS_NODATA))
			best = got;
	}
	return best;
}

/* --- the hosts file --- */

static int64_t stamp_of(const char *path)
{
	struct stat st;
	return stat(path, &st) < 0 ? 0 : (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec + (int64_t)st.st_ino;
}

/* The table as the file is now. The lock is held. */
static const struct hosts_table *hosts_now(struct resolver *r)
{
	int64_t stamp = stamp_of(r->hosts_path);
	if (stamp != r->hosts_stamp) {
		arena_free(r->hosts_arena);
		r->hosts_arena = arena_new("hosts", 256u << 20, 0, 0);
		hosts_parse(r->hosts_arena, small_file_read(r->hosts_arena, r->hosts_path, HOSTS_MAX), &r->hosts);
		r->hosts_stamp = stamp;
	}
	return &r->hosts;
}

static void add_record(struct arena *a, struct dns_result *to, const struct dns_record *rec)
{
	if ((to->count & (to->count - 1)) == 0) {
		struct dns_record *p = arena_array_of(a, to->count ? to->count * 2 : 1, struct dns_record);
		if (to->count)
			memcpy(p, to->record, to->count * sizeof *p);
		to->record = p;
	}
	to->record[to->count++] = *rec;
	to->answer = DNS_FOUND;
}

static void hosts_by_name(struct resolver *r, struct arena *a, struct str name, bool v4, bool v6, struct dns_result *ret)
{
	pthread_mutex_lock(&r->lock);
	const struct hosts_table *t = hosts_now(r);
	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < t->line[i].count; k++) {
			const struct host_line *l = &t->line[i];
			bool four = l->ip.family == AF_INET;
			if ((four ? !v4 : !v6) || !str_ieq(l->names[k], name))
				continue;
			struct dns_record rec = {.name = str_dup(a, l->names[0]), .type = four ? DNS_A : DNS_AAAA, .ip = l->ip};
			if (!str_is_set(ret->canonical))
				ret->canonical = rec.name;
			add_record(a, ret, &rec);
			break;
		}
	pthread_mutex_unlock(&r->lock);
}

static void hosts_by_addr(struct resolver *r, struct arena *a, const struct ip_addr *ip, struct dns_result *ret)
{
	pthread_mutex_lock(&r->lock);
	const struct hosts_table *t = hosts_now(r);
	for (size_t i = 0; i < t->count; i++)
		for (size_t k = 0; k < t->line[i].count && ip_eq(&t->line[i].ip, ip); k++) {
			struct dns_record rec = {.type = DNS_PTR, .target = str_dup(a, t->line[i].names[k])};
			add_record(a, ret, &rec);
		}
	pthread_mutex_unlock(&r->lock);
}

/* "hosts: dns files" in nsswitch.conf puts DNS first; anything else means files first. */
static bool dns_first(struct arena *a)
{
	struct rd r = rd_of(small_file_read(a, NSSWITCH, 65536));
	while (!rd_done(&r)) {
		struct rd line = rd_of(rd_line(&r));
		if (!rd_accept_text(&line, "hosts:"))
			continue;
		for (struct str w; (w = rd_word(&line)).len && w.p[0] != '#';)
			if (str_eqc(w, "files") || str_eqc(w, "dns"))
				return str_eqc(w, "dns");
	}
	return false;
}

static void addresses_by_dns(struct resolver *r, struct arena *a, struct str name, bool v4, bool v6, struct dns_result *ret)
{
	static const enum dns_type types[] = {DNS_AAAA, DNS_A};
	bool first = true, secure = true;
	enum dns_answer worst = DNS_NXDOMAIN;
	for (size_t i = 0; i < countof(types); i++) {
		if (types[i] == DNS_A ? !v4 : !v6)
			continue;
		const struct dns_result *got = dns_query_search(r, a, name, types[i], true, true);
		for (size_t k = 0; k < got->count; k++)
			add_record(a, ret, &got->record[k]);
		if (got->count) {
			ret->ttl = first || got->ttl < ret->ttl ? got->ttl : ret->ttl;
			first = false;
			secure = secure && got->secure;
			ret->canonical = got->record[0].name;
		} else if (got->answer == DNS_AGAIN || (got->answer == DNS_NODATA && worst == DNS_NXDOMAIN)) {
			worst = got->answer;
			ret->why = got->why;
		}
	}
	ret->secure = ret->count && secure;
	if (!ret->count)
		ret->answer = worst;
}

struct dns_result *host_by_name(struct resolver *r, struct arena *a, struct str name, bool want_v4, bool want_v6)
{
	struct dns_result *ret = arena_new_of(a, struct dns_result);
	ret->answer = DNS_NXDOMAIN;
	if (!dns_name_good(&name))
		return ret;
	struct dns_result *dns = arena_new_of(a, struct dns_result);
	dns->answer = DNS_NXDOMAIN;
	hosts_by_name(r, a, name, want_v4, want_v6, ret);
	if (ret->count && !dns_first(a))
		return ret;
	addresses_by_dns(r, a, name, want_v4, want_v6, dns);
	return dns->count || !ret->count ? dns : ret;
}

struct dns_result *host_by_addr(struct resolver *r, struct arena *a, const struct ip_addr *ip, bool dns, bool hosts)
{
	struct dns_result *ret = arena_new_of(a, struct dns_result);
	ret->answer = DNS_NXDOMAIN;
	if (dns) {
		struct str zone = ip->family == AF_INET ? STR(".in-addr.arpa") : STR(".ip6.arpa");
		ret = dns_query(r, a, str_cat(a, ip_reverse(a, ip), zone), DNS_PTR);
		if (ret->answer == DNS_FOUND || !hosts)
			return ret;
	}
	if (hosts) {
		struct dns_result *file = arena_new_of(a, struct dns_result);
		hosts_by_addr(r, a, ip, file);
		if (file->count)
			return file;
	}
	return ret;
}
