/* SPDX-License-Identifier: Apache-2.0
 * Steps that several routers share once they accept an address: identity for local deliveries,
 * errors_to, header changes, transport, `self` (manual 15). The order of expansion is the
 * manual's: errors_to, headers_add, headers_remove, transport. */
#include "route/route_priv.h"

#include <grp.h>
#include <pwd.h>
#include <stdarg.h>

#include "base/limits.h"
#include "message/address.h"

#include "base/banned.h"

static void set_message(struct route_job *job, struct address *ad, const char *fmt, va_list ap)
{
	struct strbuf sb;
	sb_init(&sb, job->arena, LIMIT_LOG_LINE);
	sb_vprintf(&sb, fmt, ap);
	ad->message = sb_str(&sb);
}

enum route_verdict route_defer(struct route_job *job, struct address *ad, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_message(job, ad, fmt, ap);
	va_end(ap);
	if (!ad->basic_errno)
		ad->basic_errno = ROUTE_ERR_UNKNOWN;
	return ROUTE_DEFER;
}

enum route_verdict route_fail(struct route_job *job, struct address *ad, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	set_message(job, ad, fmt, ap);
	va_end(ap);
	return ROUTE_FAIL;
}

void route_push(struct route_job *job, struct address *child)
{
	struct address **at = &job->new_addresses;
	while (*at)
		at = &(*at)->next;
	child->next = NULL;
	*at = child;
}

/* --- Users and groups ------------------------------------------------------------------------ */
static bool user_by_name(struct route_job *job, struct str name, int32_t *ret_uid, int32_t *ret_gid)
{
	uint64_t n;
	if (str_uint(name, INT32_MAX, &n)) {
		*ret_uid = (int32_t)n;
		return true;
	}
	struct passwd pw, *found = NULL;
	char buf[4096];
	if (getpwnam_r(str_cstr(job->arena, name), &pw, buf, sizeof buf, &found) != 0 || !found)
		return false;
	*ret_uid = (int32_t)pw.pw_uid;
	*ret_gid = (int32_t)pw.pw_gid;
	return true;
}

static bool group_by_name(struct route_job *job, struct str name, int32_t *ret_gid)
{
	uint64_t n;
	if (str_uint(name, INT32_MAX, &n)) {
		*ret_gid = (int32_t)n;
		return true;
	}
	struct group gr, *found = NULL;
	char buf[8192];
	if (getgrnam_r(str_cstr(job->arena, name), &gr, buf, sizeof buf, &found) != 0 || !found)
		return false;
	*ret_gid = (int32_t)gr.gr_gid;
	return true;
}

static bool expand_name(struct route_job *job, const struct driver_instance *di, const struct xstr *x,
    const char *what, struct str *ret, struct address *ad)
{
	if (expand(job->eval, x, ret) == EXPAND_OK)
		return true;
	route_defer(job, ad, "Failed to expand %s string \"%.*s\" for the %.*s router: %.*s", what, STR_ARG(x->text),
	    STR_ARG(di->name), STR_ARG(job->eval->lx.error));
	return false;
}

static bool not_found(struct route_job *job, const struct driver_instance *di, const char *what, struct str name,
    struct str text, struct address *ad)
{
	route_defer(job, ad, "Failed to find %s \"%.*s\" from expanded string \"%.*s\" for the %.*s router", what,
	    STR_ARG(name), STR_ARG(text), STR_ARG(di->name));
	log_write(job->env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "%.*s", STR_ARG(ad->message));
	return false;
}

bool step_find_user(struct route_job *job, const struct driver_instance *di, const struct xuser *opt, const char *where,
    int32_t *ret_uid, int32_t *ret_gid, struct address *ad)
{
	if (!opt->set)
		return true;
	if (!str_is_set(opt->text.text)) {
		*ret_uid = opt->id;
		if (opt->gid >= 0)
			*ret_gid = opt->gid;
		return true;
	}
	struct str name;
	if (!expand_name(job, di, &opt->text, where, &name, ad))
		return false;
	return user_by_name(job, name, ret_uid, ret_gid) || not_found(job, di, "user", name, opt->text.text, ad);
}

bool step_find_group(struct route_job *job, const struct driver_instance *di, const struct xuser *opt, int32_t *ret_gid,
    struct address *ad)
{
	if (!opt->set)
		return true;
	if (!str_is_set(opt->text.text)) {
		*ret_gid = opt->id;
		return true;
	}
	struct str name;
	if (!expand_name(job, di, &opt->text, "group", &name, ad))
		return false;
	return group_by_name(job, name, ret_gid) || not_found(job, di, "group", name, opt->text.text, ad);
}

enum route_verdict step_identity(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	int32_t uid = g->check_local_user ? (int32_t)ad->view.uid : -1;
	int32_t gid = g->check_local_user ? (int32_t)ad->view.gid : -1;
	if (!step_find_user(job, di, &g->user, "user", &uid, &gid, ad) || !step_find_group(job, di, &g->group, &gid, ad))
		return ROUTE_DEFER;
	ad->uid = uid;
	ad->gid = gid;
	ad->uid_set = uid >= 0;
	ad->gid_set = gid >= 0;
	ad->initgroups = g->initgroups;
	/* Manual 15: transport_home_directory, else the password data, else router_home_directory. */
	if (str_is_set(g->transport_home_directory.text)) {
		ad->home = g->transport_home_directory.text;
		ad->home_expanded = false;
	} else if (str_is_set(ad->home) || str_is_set(ad->view.home)) {
		ad->home = str_is_set(ad->home) ? ad->home : ad->view.home;
		ad->home_expanded = true;
	}
	ad->current = g->transport_current_directory.text;
	return ROUTE_ACCEPT;
}

/* --- errors_to ------------------------------------------------------------------------------- */
/* "provided that the address verifies successfully": routed as a recipient, from <>. */
static bool errors_address_ok(struct route_job *job, struct str text)
{
	struct route_job sub = {.config = job->config, .env = job->env, .arena = job->arena, .peer = job->peer,
	    .purpose = ROUTE_VERIFY_RECIPIENT, .body_fd = -1, .trace_fd = -1};
	struct message none = {.arena = job->arena, .sender_set = true, .sender = STR("")};
	struct eval ev;
	eval_init(&ev, job->config, job->env, job->arena);
	if (job->message)
		memcpy(none.id, job->message->id, sizeof none.id);
	map_init(&none.done, job->arena, false);
	headers_init(&none.headers);
	map_init(&none.acl_m, job->arena, false);
	map_init(&none.acl_c, job->arena, false);
	eval_set_message(&ev, &none);
	sub.message = &none;
	sub.eval = &ev;
	struct address *ad = address_new(job->arena, text, -1);
	enum route_verdict v = route_address(&sub, ad);
	return v == ROUTE_ACCEPT || v == ROUTE_REROUTED || v == ROUTE_DISCARD || v == ROUTE_DEFER;
}

static enum route_verdict step_errors_to(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	if (!str_is_set(g->errors_to.text))
		return ROUTE_ACCEPT;
	struct str text;
	enum expand_status st = expand(job->eval, &g->errors_to, &text);
	if (st == EXPAND_FORCED)
		return ROUTE_ACCEPT;
	if (st != EXPAND_OK)
		return route_defer(job, ad, "%.*s router failed to expand \"%.*s\": %.*s", STR_ARG(di->name),
		    STR_ARG(g->errors_to.text), STR_ARG(job->eval->lx.error));
	text = str_trim(text);
	if (!str_empty(text)) {
		struct addr_parts parts;
		const char *error = NULL;
		struct str bare;
		if (!addr_parse(job->arena, text, ADDR_ALLOW_UNQUALIFIED, &bare, &parts, &error))
			return ROUTE_ACCEPT;
		if (!str_is_set(parts.domain))
			bare = str_cat(job->arena, bare, STR("@"), job->config->qualify_domain);
		text = bare;
		bool same = job->message && str_ieq(job->message->sender, text);
		if (!same && !(ad->errors_to_set && str_ieq(ad->errors_to, text)) && !errors_address_ok(job, text))
			return ROUTE_ACCEPT; /* Exim: the one that came with the address is used */
	}
	ad->errors_to = text;
	ad->errors_to_set = true;
	ad->view.errors_address = text;
	return ROUTE_ACCEPT;
}

/* --- headers_add, headers_remove ------------------------------------------------------------- */
/* One colon list of all routers' items, whatever separators they were written with. */
static void join_removes(struct arena *a, struct address *ad, struct str more)
{
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_HEADER_DEFAULT);
	sb_add(&sb, ad->headers_remove);
	int sep = 0;
	for (struct str item; list_next(a, &more, &sep, &item);) {
		if (sb.len)
			sb_ch(&sb, ':');
		for (uint32_t i = 0; i < item.len; i++) {
			if (item.p[i] == ':')
				sb_ch(&sb, ':');
			sb_ch(&sb, item.p[i]);
		}
	}
	ad->headers_remove = sb_str(&sb);
}

static enum route_verdict step_headers(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	struct str rest = g->headers_add.text, item;
	int sep = '\n';
	struct strbuf sb;
	sb_init(&sb, job->arena, LIMIT_HEADER_DEFAULT);
	sb_add(&sb, ad->headers_add);
	while (str_is_set(g->headers_add.text) && list_next(job->arena, &rest, &sep, &item)) {
		struct str text;
		enum expand_status st = expand_text(job->eval, item, &text);
		if (st == EXPAND_FORCED || (st == EXPAND_OK && str_empty(text)))
			continue;
		if (st != EXPAND_OK)
			return route_defer(job, ad, "%.*s router failed to expand add_headers item \"%.*s\": %.*s",
			    STR_ARG(di->name), STR_ARG(item), STR_ARG(job->eval->lx.error));
		sb_add(&sb, text);
		if (!str_ends(text, "\n"))
			sb_ch(&sb, '\n');
	}
	if (sb.over)
		return route_defer(job, ad, "%.*s router: headers_add is too big", STR_ARG(di->name));
	if (sb.len)
		ad->headers_add = sb_str(&sb);
	if (str_is_set(g->headers_remove.text))
		join_removes(job->arena, ad, g->headers_remove.text);
	return ROUTE_ACCEPT;
}

enum route_verdict step_transport(struct route_job *job, const struct driver_instance *di, const struct xstr *option,
    const char *option_name, struct address *ad, const struct driver_instance **ret)
{
	const struct router_generic *g = router_generic(di);
	*ret = NULL;
	if (!str_is_set(option->text))
		return ROUTE_ACCEPT;
	if (option == &g->transport && g->transport_di) {
		*ret = g->transport_di;
		return ROUTE_ACCEPT;
	}
	struct str name;
	if (expand(job->eval, option, &name) != EXPAND_OK) {
		ad->basic_errno = ROUTE_ERR_NO_TRANSPORT;
		return route_defer(job, ad, "failed to expand %s \"%.*s\" in %.*s router: %.*s", option_name, STR_ARG(option->text),
		    STR_ARG(di->name), STR_ARG(job->eval->lx.error));
	}
	if (name.taint) {
		ad->basic_errno = ROUTE_ERR_NO_TRANSPORT;
		return route_defer(job, ad, "attempt to use tainted value '%.*s' for transport in %.*s router", STR_ARG(name),
		    STR_ARG(di->name));
	}
	*ret = config_find_driver(job->config, DRIVER_TRANSPORT, str_trim(name));
	if (*ret)
		return ROUTE_ACCEPT;
	ad->basic_errno = ROUTE_ERR_NO_TRANSPORT;
	return route_defer(job, ad, "transport \"%.*s\" not found in %.*s router", STR_ARG(name), STR_ARG(di->name));
}

enum route_verdict step_common(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	if (route_verifying(job))
		return ROUTE_ACCEPT;
	enum route_verdict v = step_errors_to(job, di, ad);
	return v == ROUTE_ACCEPT ? step_headers(job, di, ad) : v;
}

static enum route_verdict step_fallback(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	if (!str_is_set(g->fallback_hosts.text))
		return ROUTE_ACCEPT;
	struct str text;
	enum expand_status st = expand(job->eval, &g->fallback_hosts, &text);
	if (st == EXPAND_FORCED)
		return ROUTE_ACCEPT;
	if (st != EXPAND_OK)
		return route_defer(job, ad, "failed to expand fallback_hosts \"%.*s\" in %.*s router: %.*s",
		    STR_ARG(g->fallback_hosts.text), STR_ARG(di->name), STR_ARG(job->eval->lx.error));
	ad->fallback_hosts = hostlist_build(job, text, false);
	return ROUTE_ACCEPT;
}

enum route_verdict step_queue(struct route_job *job, const struct driver_instance *di, struct address *ad,
    const struct driver_instance *transport)
{
	const struct router_generic *g = router_generic(di);
	enum route_verdict v = ROUTE_ACCEPT;
	if (!transport && !route_verifying(job)) {
		if ((v = step_transport(job, di, &g->transport, "transport", ad, &transport)) != ROUTE_ACCEPT)
			return v;
		if (!transport) {
			log_write(job->env->log, LOGTO_MAIN, STR_NONE, "Error in %.*s router: no transport defined", STR_ARG(di->name));
			ad->basic_errno = ROUTE_ERR_NO_TRANSPORT;
			return route_defer(job, ad, "error in router: transport missing");
		}
	}
	ad->router = di;
	ad->transport = transport;
	ad->view.transport_name = transport ? transport->name : STR_NONE;
	ad->dsn_lasthop = ad->dsn_lasthop || g->dsn_lasthop;
	if (!transport)
		return ROUTE_ACCEPT;
	if ((v = step_identity(job, di, ad)) != ROUTE_ACCEPT)
		return v;
	return transport_is_local(transport) ? ROUTE_ACCEPT : step_fallback(job, di, ad);
}

/* --- self ------------------------------------------------------------------------------------ */
static void rewrite_header_domain(struct route_job *job, struct str from, struct str to)
{
	for (struct header *h = job->message->headers.first; h; h = h->next) {
		if (!strchr("BCFRST", h->kind) || h->kind == HDR_OLD)
			continue;
		struct strbuf sb;
		sb_init(&sb, job->arena, LIMIT_HEADER_DEFAULT);
		struct str t = h->text;
		bool changed = false;
		for (ptrdiff_t at; (at = str_ifind(t, str_cat(job->arena, STR("@"), from))) >= 0;) {
			size_t end = (size_t)at + 1 + from.len;
			int after = end < t.len ? (unsigned char)t.p[end] : ' ';
			sb_add(&sb, str_sub(t, 0, (size_t)at + 1));
			bool whole = !ch_alnum(after) && after != '.' && after != '-';
			sb_add(&sb, whole ? to : str_sub(t, (size_t)at + 1, from.len));
			changed = changed || whole;
			t = str_from(t, end);
		}
		sb_add(&sb, t);
		if (changed && !sb.over) {
			h->text = str_dup(job->message->arena, sb_str(&sb));
			job->headers_changed = true;
		}
	}
}

enum route_verdict step_change_domain(struct route_job *job, const struct driver_instance *di, struct address *ad,
    struct str domain, bool rewrite)
{
	struct addr_parts parts = addr_split(ad->address);
	struct address *child = address_child(job->arena, ad, str_cat(job->arena, parts.local_part, STR("@"), domain));
	child->dsn_notify = ad->dsn_notify;
	child->dsn_orcpt = ad->dsn_orcpt;
	ad->state = ADDRESS_PARENT;
	ad->router = di;
	if (rewrite && job->message && job->purpose == ROUTE_DELIVER)
		rewrite_header_domain(job, parts.domain, domain);
	route_push(job, child);
	return ROUTE_REROUTED;
}

enum route_verdict step_self(struct route_job *job, const struct driver_instance *di, struct address *ad, const struct route_host *host)
{
	struct str self = str_trim(router_generic(di)->self.text);
	if (str_eqc(self, "send"))
		return ROUTE_ACCEPT;
	if (str_eqc(self, "pass")) {
		ad->view.self_hostname = host->name;
		ad->self_hostname = host->name;
		return ROUTE_PASS;
	}
	if (str_starts(self, "reroute:")) {
		struct str domain = str_ltrim(str_from(self, 8));
		bool rewrite = str_starts(domain, "rewrite:");
		if (rewrite)
			domain = str_ltrim(str_from(domain, 8));
		return step_change_domain(job, di, ad, domain, rewrite);
	}
	ad->basic_errno = ROUTE_ERR_UNKNOWN;
	ad->message = host->mx >= 0 ? STR("lowest numbered MX record points to local host") : STR("remote host address is the local host");
	if (str_eqc(self, "fail"))
		return ROUTE_FAIL;
	log_write(job->env->log, LOGTO_MAIN, job->message ? str_c(job->message->id) : STR_NONE,
	    "%.*s: %.*s (while routing <%.*s>)", STR_ARG(ad->message), STR_ARG(ad->view.domain), STR_ARG(ad->address));
	if (!str_eqc(self, "defer"))
		ad->special_freeze = true;
	return ROUTE_DEFER;
}

/* --- same_domain_copy_routing ---------------------------------------------------------------- */
static bool copies(const struct address *from, const struct address *to)
{
	return to->kind == ADDRESS_MAIL && to->state == ADDRESS_NEW && !to->start_router &&
	    str_eq(from->view.domain, to->view.domain);
}

void step_same_domain(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	if (job->purpose != ROUTE_DELIVER || str_is_set(g->headers_add.text) || str_is_set(g->headers_remove.text) ||
	    !str_empty(ad->headers_add) || !str_empty(ad->headers_remove))
		return;
	for (struct address *o = ad->next; o; o = o->next) {
		if (!copies(ad, o))
			continue;
		o->router = di;
		o->transport = ad->transport;
		o->hosts = ad->hosts;
		o->fallback_hosts = ad->fallback_hosts;
		o->errors_to = ad->errors_to;
		o->errors_to_set = ad->errors_to_set;
		o->uid = ad->uid;
		o->gid = ad->gid;
		o->uid_set = ad->uid_set;
		o->gid_set = ad->gid_set;
		o->initgroups = ad->initgroups;
		o->home = ad->home;
		o->home_expanded = ad->home_expanded;
		o->current = ad->current;
		o->view.router_name = di->name;
		o->view.transport_name = ad->view.transport_name;
		o->view.address_data = ad->view.address_data;
		o->view.domain_data = ad->view.domain_data;
		o->view.router_vars = ad->view.router_vars;
		o->dsn_lasthop = ad->dsn_lasthop;
		o->state = ADDRESS_ROUTED;
	}
}
