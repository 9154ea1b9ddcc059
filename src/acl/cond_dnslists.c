/* SPDX-License-Identifier: Apache-2.0
 * dnslists (manual 44.18): is a key found in a DNS list? One item is
 *	[first,]domain [ [!] ( = | & | == | =& ) address{,address} ] [ / key-list ]
 * `domain` is asked with the addresses wanted; `first`, when given, must list the key as well and
 * gives the text. Answers are cached by the resolver for as long as their TTL allows. */
#include "acl/conditions.h"
#include "net/addr.h"
#include "net/resolver.h"
#include "base/banned.h"

enum unknown { UNKNOWN_EXCLUDE, UNKNOWN_INCLUDE, UNKNOWN_DEFER };
enum found { FOUND_YES, FOUND_NO, FOUND_DEFER };

struct dnslist {
	struct str domain, text_domain;
	struct str addresses; /* comma list; unset: any will do */
	struct str keys;      /* unset: the client's address */
	bool negate, all, mask;
};

/* Cut "domain!==1.2.3.4,5.6.7.8" at its comparison. */
static void parse_comparison(struct str item, struct dnslist *d)
{
	uint32_t i = 0;

	while (i < item.len && item.p[i] != '=' && item.p[i] != '&')
		i++;
	d->domain = str_trim(str_sub(item, 0, i));
	if (i == item.len)
		return;
	if (str_ends(d->domain, "!")) {
		d->negate = true;
		d->domain = str_rtrim(str_sub(d->domain, 0, d->domain.len - 1));
	}
	d->mask = item.p[i] == '&';
	if (item.p[i] == '=' && i + 1 < item.len && (item.p[i + 1] == '=' || item.p[i + 1] == '&')) {
		d->all = true;
		d->mask = item.p[i + 1] == '&';
		i++;
	}
	d->addresses = str_trim(str_from(item, i + 1));
}

static void parse(struct str item, struct dnslist *d)
{
	struct str head, rest;

	*d = (struct dnslist){0};
	head = str_cut(item, '/', &rest);
	if (str_is_set(rest))
		d->keys = rest;
	parse_comparison(head, d);
	d->text_domain = d->domain;
	head = str_cut(d->domain, ',', &rest);
	if (str_is_set(rest)) {
		d->text_domain = str_trim(head);
		d->domain = str_trim(rest);
	}
}

static bool address_matches(const struct dnslist *d, const struct ip_addr *ip)
{
	struct str rest = d->addresses, one;
	struct ip_addr want;

	while (str_is_set(rest)) {
		bool same = true;

		one = str_trim(str_cut(rest, ',', &rest));
		if (!ip_parse(one, &want) || want.family != ip->family)
			continue;
		for (int i = 0; i < 4 && same; i++)
			same = d->mask ? (ip->byte[i] & want.byte[i]) == want.byte[i] : ip->byte[i] == want.byte[i];
		if (same)
			return true;
	}
	return false;
}

/* 44.18.6 to 44.18.8: = is "one address matches", == "all do"; ! turns the answer round. */
static bool addresses_match(const struct dnslist *d, const struct dns_result *res)
{
	bool one = false, all = true;

	if (!str_is_set(d->addresses))
		return true;
	for (size_t i = 0; i < res->count; i++) {
		const struct dns_record *rec = &res->record[i];

		if (rec->type != DNS_A || rec->ip.byte[0] != 127)
			continue;
		if (address_matches(d, &rec->ip))
			one = true;
		else
			all = false;
	}
	return (d->all ? all : one) != d->negate;
}

/* Addresses outside 127/8 come from a list that lost its domain (44.18.4): told and left out. */
static struct str values(struct acl_run *r, const struct dns_result *res, struct str key, struct str domain)
{
	struct strbuf sb;

	sb_init(&sb, r->ev->lx.arena, LIMIT_DNS_ANSWER);
	for (size_t i = 0; i < res->count; i++) {
		const struct dns_record *rec = &res->record[i];
		struct str ip;

		if (rec->type != DNS_A)
			continue;
		ip = ip_text(r->ev->lx.arena, &rec->ip);
		if (rec->ip.byte[0] != 127) {
			log_write(r->ev->lx.env->log, LOGTO_MAIN, STR_NONE,
			    "DNS list lookup for %.*s at %.*s returned %.*s; not in 127.0/8 and discarded", STR_ARG(key), STR_ARG(domain),
			    STR_ARG(ip));
			continue;
		}
		if (sb.len)
			sb_addc(&sb, ", ");
		sb_add(&sb, ip);
	}
	return sb_str(&sb);
}

static struct dns_result *ask(struct acl_run *r, struct str name, struct str domain, enum dns_type type)
{
	struct arena *a = r->ev->lx.arena;

	return dns_query(r->ev->lx.env->resolver, a, str_cat(a, name, STR("."), domain), type);
}

/* One key in one list; on success the variables are set. `name` is the key as it is asked. */
static enum found one_key(struct acl_run *r, const struct dnslist *d, struct str key, struct str name)
{
	struct acl_frame *f = r->f;
	struct dns_result *res = ask(r, name, d->domain, DNS_A), *txt;
	struct str value;

	if (res->answer == DNS_AGAIN)
		return FOUND_DEFER;
	if (res->answer != DNS_FOUND)
		return FOUND_NO;
	value = values(r, res, key, d->domain);
	if (str_empty(value) || !addresses_match(d, res))
		return FOUND_NO;
	if (!str_eq(d->text_domain, d->domain)) {
		res = ask(r, name, d->text_domain, DNS_A);
		if (res->answer == DNS_AGAIN)
			return FOUND_DEFER;
		if (res->answer != DNS_FOUND)
			return FOUND_NO;
		value = values(r, res, key, d->text_domain);
		if (str_empty(value))
			return FOUND_NO;
	}
	txt = ask(r, name, d->text_domain, DNS_TXT);
	f->dnslist_domain = d->text_domain;
	f->dnslist_matched = key;
	f->dnslist_value = value;
	f->dnslist_text = STR_NONE;
	for (size_t i = 0; i < txt->count && !str_is_set(f->dnslist_text); i++)
		if (txt->record[i].type == DNS_TXT)
			f->dnslist_text = str_dup(r->ev->lx.arena, txt->record[i].text);
	return FOUND_YES;
}

static enum found key_as_written(struct acl_run *r, const struct dnslist *d, struct str key)
{
	struct ip_addr ip;
	struct str name = ip_parse(key, &ip) ? ip_reverse(r->ev->lx.arena, &ip) : key;

	if (str_empty(key))
		return FOUND_NO;
	if (name.len + d->domain.len + 1 > LIMIT_DOMAIN) {
		log_write(r->ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "dnslist query is too long (ignored): %.*s...",
		    name.len > 100 ? 100 : (int)name.len, name.p);
		return FOUND_NO;
	}
	return one_key(r, d, key, name);
}

/* All keys of an item: one that is found decides, whatever others could not be asked. */
static enum found one_list(struct acl_run *r, const struct dnslist *d)
{
	const struct peer *p = r->ev->lx.peer;
	enum found answer = FOUND_NO;
	struct str rest = d->keys, key;
	int sep = 0;

	if (!str_is_set(d->keys))
		return p && str_is_set(p->host_address) ? key_as_written(r, d, p->host_address) : FOUND_NO;
	while (list_next(r->ev->lx.arena, &rest, &sep, &key)) {
		enum found one = key_as_written(r, d, key);

		if (one == FOUND_YES)
			return one;
		if (one == FOUND_DEFER)
			answer = one;
	}
	return answer;
}

static bool special(struct acl_run *r, struct str item, enum unknown *ret)
{
	if (!str_starts(item, "+"))
		return false;
	if (str_ieqc(item, "+include_unknown"))
		*ret = UNKNOWN_INCLUDE;
	else if (str_ieqc(item, "+exclude_unknown"))
		*ret = UNKNOWN_EXCLUDE;
	else if (str_ieqc(item, "+defer_unknown"))
		*ret = UNKNOWN_DEFER;
	else
		log_write(r->ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "unknown item in dnslist (ignored): %.*s", STR_ARG(item));
	return true;
}

static void log_defer(struct acl_run *r, struct str domain, enum unknown u)
{
	if (config_logs(r->ev->lx.config, LOGSEL_DNSLIST_DEFER))
		log_write(r->ev->lx.env->log, LOGTO_MAIN, STR_NONE, "DNS list lookup defer (probably timeout) for %.*s: %s", STR_ARG(domain),
		    u == UNKNOWN_INCLUDE ? "assumed in list" : u == UNKNOWN_EXCLUDE ? "assumed not in list" : "returned DEFER");
}

ACL_COND(dnslists)
{
	enum unknown unknown = UNKNOWN_EXCLUDE;
	struct dnslist d;
	struct str item;
	int sep = 0;

	(void)c;
	r->f->dnslist_domain = r->f->dnslist_matched = r->f->dnslist_value = r->f->dnslist_text = STR_NONE;
	if (!r->ev->lx.env->resolver)
		return acl_fault(r, ACL_DEFER, "no resolver for dnslists");
	while (list_next(r->ev->lx.arena, &arg, &sep, &item)) {
		enum found one;

		if (special(r, item, &unknown))
			continue;
		parse(item, &d);
		if (str_empty(d.domain))
			continue;
		one = one_list(r, &d);
		if (one == FOUND_YES)
			return ACL_OK;
		if (one == FOUND_NO)
			continue;
		log_defer(r, d.domain, unknown);
		if (unknown != UNKNOWN_EXCLUDE)
			return unknown == UNKNOWN_INCLUDE ? ACL_OK : ACL_DEFER;
	}
	return ACL_FAIL;
}
