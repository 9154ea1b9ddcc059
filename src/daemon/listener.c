/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/listener.h"

#include <errno.h>
#include <netdb.h>
#include <unistd.h>

#include "expand/expand.h"
#include "lookup/match.h"
#include "net/stream.h"
#include "base/banned.h"

static bool port_number(struct arena *a, struct str s, int *ret)
{
	uint64_t n;
	if (str_uint(s, 65535, &n)) {
		*ret = (int)n;
		return true;
	}
	struct servent se, *found = NULL;
	char buf[1024];
	if (getservbyname_r(str_cstr(a, s), "tcp", &se, buf, sizeof buf, &found) || !found)
		return false;
	*ret = ntohs((uint16_t)se.s_port);
	return true;
}

struct ports {
	int port[32];
	size_t count;
};

static bool read_ports(struct arena *a, struct str list, struct ports *ret, struct why *why)
{
	struct str item;
	int sep = 0;
	while (str_is_set(list) && list_next(a, &list, &sep, &item)) {
		if (ret->count == countof(ret->port) || !port_number(a, item, &ret->port[ret->count])) {
			why_set(why, false, "TCP port \"%.*s\" not found", STR_ARG(item));
			return false;
		}
		ret->count++;
	}
	return true;
}

/* "addr", "addr.port", "[addr]:port" (manual 13.1). port 0: none given. */
static bool read_interface(struct str s, struct ip_addr *ip, int *port)
{
	uint64_t n = 0;
	*port = 0;
	if (s.len && *s.p == '[') {
		struct str rest;
		if (!ip_parse(str_cut(str_from(s, 1), ']', &rest), ip) || !str_is_set(rest))
			return false;
		if (rest.len && (*rest.p != ':' || !str_uint(str_from(rest, 1), 65535, &n)))
			return false;
		*port = (int)n;
		return true;
	}
	if (ip_parse(s, ip))
		return true;
	ptrdiff_t at = str_rchr(s, '.');
	if (at < 0 || !str_uint(str_from(s, (size_t)at + 1), 65535, &n))
		return false;
	*port = (int)n;
	return ip_parse(str_sub(s, 0, (size_t)at), ip);
}

static bool is_any(const struct ip_addr *ip)
{
	for (size_t i = 0; i < sizeof ip->byte; i++)
		if (ip->byte[i])
			return false;
	return true;
}

static bool tls_port(const struct ports *tls, int port)
{
	for (size_t i = 0; i < tls->count; i++)
		if (tls->port[i] == port)
			return true;
	return false;
}

static bool add(struct listeners *ls, const struct ip_addr *ip, int port, bool tls, struct why *why)
{
	if (ls->count == LISTENERS_MAX) {
		why_set(why, false, "more than %d interfaces to listen on", LISTENERS_MAX);
		return false;
	}
	ls->l[ls->count++] = (struct listener){.ip = *ip, .port = port, .any = is_any(ip), .tls_on_connect = tls};
	return true;
}

/* Split -oX into ports and interfaces (manual 13.3): an address has a dot or a colon. */
static void split_override(struct arena *a, struct str list, struct str *ports, struct str *interfaces)
{
	struct str item;
	struct strbuf p, i;
	int sep = 0;
	sb_init(&p, a, 65536);
	sb_init(&i, a, 65536);
	sb_addc(&p, "<;");
	sb_addc(&i, "<;");
	bool any_port = false, any_interface = false;
	while (str_is_set(list) && list_next(a, &list, &sep, &item)) {
		bool address = str_chr(item, '.') >= 0 || str_chr(item, ':') >= 0;
		struct strbuf *to = address ? &i : &p;
		bool *any = address ? &any_interface : &any_port;
		if (*any)
			sb_ch(to, ';');
		sb_add(to, item);
		*any = true;
	}
	if (any_port)
		*ports = sb_str(&p);
	if (any_interface)
		*interfaces = sb_str(&i);
}

static bool expand_list(struct world *w, const struct xstr *x, const char *def, struct str *ret, struct why *why)
{
	struct eval ev;
	*ret = STR_NONE;
	eval_init(&ev, w->config, &w->env, w->arena);
	if (expand(&ev, x, ret) != EXPAND_OK) {
		why_set(why, false, "failed to expand a list of ports or interfaces: %.*s", STR_ARG(ev.lx.error));
		return false;
	}
	if (!str_is_set(*ret))
		*ret = str_c(def);
	return true;
}

bool listeners_read(struct world *w, struct str override, bool tls_on_connect, struct listeners *ret, struct why *why)
{
	const struct main_options *m = &w->config->main;
	struct ports defaults = {.count = 0}, tls = {.count = 0};
	struct str ports, interfaces, tls_list, item;
	*ret = (struct listeners){.count = 0};
	if (!expand_list(w, &m->daemon_smtp_ports, "smtp", &ports, why) ||
	    !expand_list(w, &m->local_interfaces, "<; ::0 ; 0.0.0.0", &interfaces, why) ||
	    !expand_list(w, &m->tls_on_connect_ports, "", &tls_list, why))
		return false;
	if (str_is_set(override))
		split_override(w->arena, override, &ports, &interfaces);
	if (!read_ports(w->arena, ports, &defaults, why) || !read_ports(w->arena, tls_list, &tls, why))
		return false;
	int sep = 0;
	while (str_is_set(interfaces) && list_next(w->arena, &interfaces, &sep, &item)) {
		struct ip_addr ip;
		int port;
		if (!read_interface(item, &ip, &port)) {
			why_set(why, false, "malformed IP address \"%.*s\" in local_interfaces", STR_ARG(item));
			return false;
		}
		if (ip.family == AF_INET6 && m->disable_ipv6)
			continue;
		size_t n = port ? 1 : defaults.count;
		for (size_t i = 0; i < n; i++) {
			int at = port ? port : defaults.port[i];
			if (!add(ret, &ip, at, tls_on_connect || tls_port(&tls, at), why))
				return false;
		}
	}
	return true;
}

/* An IPv6 wildcard that the kernel cannot give is left out when the IPv4 one stands beside it. */
static bool may_skip(const struct listeners *ls, const struct listener *l, int err)
{
	if (!l->any || l->ip.family != AF_INET6 || (err != EAFNOSUPPORT && err != EADDRNOTAVAIL))
		return false;
	for (size_t i = 0; i < ls->count; i++)
		if (ls->l[i].any && ls->l[i].ip.family == AF_INET && ls->l[i].port == l->port)
			return true;
	return false;
}

bool listeners_bind(struct world *w, const struct listeners *ls, int *ret_fds, struct why *why)
{
	const struct main_options *m = &w->config->main;
	for (size_t i = 0; i < ls->count; i++) {
		const struct listener *l = &ls->l[i];
		ret_fds[i] = -1;
		for (int try = 0;; try++) {
			enum status st = net_listen(&l->ip, l->port, m->smtp_connect_backlog, true, &ret_fds[i], why);
			if (st == ST_OK || may_skip(ls, l, -(int)st))
				break;
			if (st != ST_ERRNO(EADDRINUSE) || try >= m->daemon_startup_retries) {
				why_prefix(why, "socket bind() to port %d for address %.*s failed: ", l->port,
				    STR_ARG(ip_text(w->arena, &l->ip)));
				return false;
			}
			log_write(w->env.log, LOGTO_MAIN, STR_NONE,
			    "socket bind() to port %d for address %.*s failed: %s: waiting %s before trying again (%d more tries)",
			    l->port, STR_ARG(ip_text(w->arena, &l->ip)), status_text(st),
			    interval_format(w->arena, m->daemon_startup_sleep).p, m->daemon_startup_retries - try);
			sleep((unsigned)m->daemon_startup_sleep);
		}
	}
	return true;
}

static bool same_place(const struct listener *a, const struct listener *b)
{
	return a->any == b->any && (a->any || ip_eq(&a->ip, &b->ip));
}

/* The other wildcard (IPv4 for IPv6) on the same port and with the same TLS terms. */
static const struct listener *twin(const struct listeners *ls, const struct listener *l)
{
	for (size_t i = 0; i < ls->count; i++) {
		const struct listener *o = &ls->l[i];
		if (o != l && o->any && o->port == l->port && o->tls_on_connect == l->tls_on_connect && o->ip.family != l->ip.family)
			return o;
	}
	return NULL;
}

static void describe_any(struct strbuf *sb, const struct world *w, const struct listeners *ls, size_t i)
{
	const struct listener *l = &ls->l[i], *t = twin(ls, l);
	if (t && t < l)
		return; /* said with its twin */
	sb_printf(sb, " port %d", l->port);
	if (!w->config->main.disable_ipv6)
		sb_addc(sb, t ? " (IPv6 and IPv4)" : l->ip.family == AF_INET6 ? " (IPv6)" : " (IPv4)");
}

static void describe_address(struct strbuf *sb, struct arena *a, const struct listeners *ls, size_t i)
{
	const struct listener *l = &ls->l[i];
	size_t n = 0, first = ls->count;
	for (size_t k = 0; k < ls->count; k++)
		if (same_place(&ls->l[k], l) && ls->l[k].tls_on_connect == l->tls_on_connect) {
			if (first == ls->count)
				first = k;
			n++;
		}
	if (first != i)
		return; /* its ports were said together */
	sb_printf(sb, " [%.*s]:%s", STR_ARG(ip_text(a, &l->ip)), n > 1 ? "{" : "");
	const char *comma = "";
	for (size_t k = 0; k < ls->count; k++)
		if (same_place(&ls->l[k], l) && ls->l[k].tls_on_connect == l->tls_on_connect) {
			sb_printf(sb, "%s%d", comma, ls->l[k].port);
			comma = ",";
		}
	sb_addc(sb, n > 1 ? "}" : "");
}

struct str listeners_describe(struct arena *a, const struct world *w, const struct listeners *ls)
{
	struct strbuf sb;
	bool said = false;
	sb_init(&sb, a, 65536);
	for (int tls = 0; tls <= 1; tls++) {
		bool any = false;
		for (size_t i = 0; i < ls->count; i++)
			any |= ls->l[i].tls_on_connect == tls;
		if (!any)
			continue;
		sb_printf(&sb, "%s for %s on", said ? " and" : "listening", tls ? "SMTPS" : "SMTP");
		said = true;
		for (size_t i = 0; i < ls->count; i++) {
			if (ls->l[i].tls_on_connect != tls)
				continue;
			if (ls->l[i].any)
				describe_any(&sb, w, ls, i);
			else
				describe_address(&sb, a, ls, i);
		}
	}
	return sb_str(&sb);
}
