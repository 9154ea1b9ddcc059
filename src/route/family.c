/* SPDX-License-Identifier: Apache-2.0
 * The router drivers as one family, their generic options, and what load time makes of them: names
 * of routers and transports become pointers, defaults that depend on other options are computed. */
#include "route/route_priv.h"

#include <ifaddrs.h>

#include "base/banned.h"

#define ROUTER(name) extern const struct router_driver router_##name;
#include "route/drivers.def"
#undef ROUTER

static const struct driver_info *const drivers[] = {
#define ROUTER(name) &router_##name.info,
#include "route/drivers.def"
#undef ROUTER
};

static const struct opt_row generic_rows[] = {
#define OPT(name, TYPE, field, def, flags, doc) OPT_ROW(struct router_generic, name, TYPE, field, def, (flags) | OPT_GENERIC, doc),
#define OPT_NONE(name, TYPE, def, flags, doc)
#include "route/generic_options.def"
#undef OPT
#undef OPT_NONE
};

const struct driver_family route_family = {
	.drivers = drivers,
	.count = countof(drivers),
	.generic = generic_rows,
	.generic_count = countof(generic_rows),
	.generic_size = sizeof(struct router_generic),
};

static bool find_router(struct config *cfg, const struct driver_instance *di, struct str name, const char *option,
    const struct driver_instance **ret, struct why *why)
{
	if (!str_is_set(name))
		return true;
	*ret = config_find_driver(cfg, DRIVER_ROUTER, name);
	if (!*ret) {
		why_set(why, false, "%.*s router:\n  %s \"%.*s\" not found", STR_ARG(di->name), option, STR_ARG(name));
		return false;
	}
	return true;
}

static bool constant(struct str s)
{
	return str_is_set(s) && str_chr(s, '$') < 0 && str_chr(s, '\\') < 0;
}

static bool check_self(const struct driver_instance *di, struct str self, struct why *why)
{
	static const char *const words[] = {"freeze", "defer", "pass", "fail", "send"};
	for (size_t i = 0; i < countof(words); i++)
		if (str_eqc(self, words[i]))
			return true;
	if (str_starts(self, "reroute:") && self.len > 8)
		return true;
	why_set(why, false, "%.*s router:\n  %.*s is not valid for the self option", STR_ARG(di->name), STR_ARG(self));
	return false;
}

static bool compile_router(struct config *cfg, struct driver_instance *di, struct why *why)
{
	struct router_generic *g = di->generic;
	if (!config_was_set(di, "log_as_local"))
		g->log_as_local = strcmp(di->driver->name, "accept") == 0;
	if (!config_was_set(di, "retry_use_local_part"))
		g->retry_use_local_part = g->check_local_user || str_is_set(g->local_parts.text) || str_is_set(g->condition.text) ||
		    str_is_set(g->local_part_prefix.text) || str_is_set(g->local_part_suffix.text) || str_is_set(g->senders.text) ||
		    str_is_set(g->require_files.text);
	if (!check_self(di, str_trim(g->self.text), why) ||
	    !find_router(cfg, di, g->pass_router.text, "pass_router", &g->pass_router_di, why) ||
	    !find_router(cfg, di, g->redirect_router.text, "redirect_router", &g->redirect_router_di, why))
		return false;
	if (g->pass_router_di && g->pass_router_di->index <= di->index) {
		why_set(why, false, "%.*s router:\n  pass_router \"%.*s\" does not follow it", STR_ARG(di->name),
		    STR_ARG(g->pass_router.text));
		return false;
	}
	/* A constant name is found once; one that does not exist defers the address (manual 15, transport). */
	if (constant(g->transport.text))
		g->transport_di = config_find_driver(cfg, DRIVER_TRANSPORT, str_trim(g->transport.text));
	return true;
}

/* --- Our addresses (manual 13.8) ------------------------------------------------------------- */
struct ip_set {
	struct arena *arena;
	struct ip_addr *ip;
	size_t n, room;
};

static void add_ip(struct ip_set *s, const struct ip_addr *ip)
{
	if (s->n == s->room) {
		struct ip_addr *more = arena_array_of(s->arena, s->room ? s->room * 2 : 16, struct ip_addr);
		if (s->n)
			memcpy(more, s->ip, s->n * sizeof *more);
		s->ip = more;
		s->room = s->room ? s->room * 2 : 16;
	}
	s->ip[s->n++] = *ip;
}

static void add_interfaces(struct ip_set *s)
{
	struct ifaddrs *list = NULL;
	if (getifaddrs(&list) != 0)
		return;
	for (struct ifaddrs *i = list; i; i = i->ifa_next) {
		struct ip_addr ip;
		int port;
		if (!i->ifa_addr || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		ip_from_sockaddr(i->ifa_addr, &ip, &port);
		ip.scope = 0;
		add_ip(s, &ip);
	}
	freeifaddrs(list);
}

static bool is_wildcard(const struct ip_addr *ip)
{
	static const uint8_t zero[16];
	return memcmp(ip->byte, zero, ip->family == AF_INET ? 4 : 16) == 0;
}

/* Items may carry a port: "10.0.0.1.25", "[10.0.0.1]:25". */
static bool interface_item(struct str item, struct ip_addr *ret)
{
	if (ip_parse(item, ret))
		return true;
	if (str_starts(item, "[")) {
		ptrdiff_t end = str_chr(item, ']');
		return end > 0 && ip_parse(str_sub(item, 1, (size_t)end - 1), ret);
	}
	ptrdiff_t dot = str_rchr(item, '.');
	return dot > 0 && ip_parse(str_sub(item, 0, (size_t)dot), ret);
}

static void add_list(struct ip_set *s, struct str list, bool *ret_wild)
{
	struct str item;
	int sep = 0;
	while (str_is_set(list) && list_next(s->arena, &list, &sep, &item)) {
		struct ip_addr ip;
		if (!interface_item(item, &ip))
			continue;
		if (is_wildcard(&ip))
			*ret_wild = true;
		else
			add_ip(s, &ip);
	}
}

bool route_compile(struct config *cfg, struct env *env, struct why *why)
{
	(void)env;
	for (struct driver_instance *di = cfg->drivers[DRIVER_ROUTER]; di; di = di->next)
		if (!compile_router(cfg, di, why))
			return false;
	struct ip_set s = {.arena = cfg->arena};
	bool wild = false;
	add_list(&s, cfg->main.local_interfaces.text, &wild);
	if (wild || s.n == 0)
		add_interfaces(&s);
	add_list(&s, cfg->main.extra_local_interfaces.text, &wild);
	struct route_compiled *rc = arena_new_of(cfg->arena, struct route_compiled);
	rc->local = s.ip;
	rc->locals = s.n;
	cfg->compiled_routers = rc;
	return true;
}
