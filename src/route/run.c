/* SPDX-License-Identifier: Apache-2.0
 * One address through the routers (manual 3.8 to 3.12): skip, run, accept, decline, pass, fail,
 * defer; `more`, `unseen`, address_data, set, cannot_route_message; and a list of addresses with
 * all that comes of them. Loops cannot happen: a router skips an address that has an ancestor of
 * the same name which it handled, and generations are bounded. */
#include "route/route_priv.h"

#include <unistd.h>

#include "base/limits.h"

#include "base/banned.h"

/* What a router left to be done. */
enum next { NEXT_ROUTER, NEXT_PASS, NEXT_STOP };

static bool same_address(const struct address *a, const struct address *b, bool caseful)
{
	struct str x = caseful ? a->cc_local_part : a->lc_local_part, y = caseful ? b->cc_local_part : b->lc_local_part;
	return a->kind == b->kind && str_eq(x, y) && str_eq(a->view.domain, b->view.domain);
}

/* Manual 22.5: a router is skipped if it handled an ancestor of this name (or any: repeat_use). */
static bool handled_before(const struct driver_instance *di, const struct address *ad)
{
	const struct router_driver *drv = (const struct router_driver *)(const void *)di->driver;
	bool repeat = !drv->repeat_use || drv->repeat_use(di);
	for (const struct address *p = ad->parent; p; p = p->parent)
		if (p->router == di && (!repeat || same_address(p, ad, router_generic(di)->caseful_local_part)))
			return true;
	return false;
}

/* --- set, address_data ----------------------------------------------------------------------- */
static struct map *vars_copy(struct arena *a, const struct map *old)
{
	struct map *m = arena_new_of(a, struct map);
	map_init(m, a, false);
	uint32_t pos = 0;
	for (struct map_slot *s; old && (s = map_next(old, &pos));)
		map_put(m, s->key, s->value);
	return m;
}

static enum route_verdict set_variables(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	if (!str_is_set(g->set.text))
		return ROUTE_ACCEPT;
	struct str rest = g->set.text, item;
	int sep = ';';
	if (str_starts(rest, "<"))
		sep = 0;
	ad->view.router_vars = vars_copy(job->arena, ad->view.router_vars);
	while (list_next(job->arena, &rest, &sep, &item)) {
		struct str value, name = str_trim(str_cut(item, '=', &value));
		if (!str_starts(name, "r_") || !str_is_set(value))
			return route_defer(job, ad, "bad variable setting \"%.*s\" in %.*s router", STR_ARG(item), STR_ARG(di->name));
		struct str *v = arena_new_of(job->arena, struct str);
		enum expand_status st = expand_text(job->eval, str_trim(value), v);
		if (st == EXPAND_FORCED)
			return ROUTE_DECLINE;
		if (st != EXPAND_OK)
			return route_defer(job, ad, "expansion of \"%.*s\" failed in %.*s router: %.*s", STR_ARG(value),
			    STR_ARG(di->name), STR_ARG(job->eval->lx.error));
		map_put(ad->view.router_vars, str_from(name, 2), v);
	}
	return ROUTE_ACCEPT;
}

static enum route_verdict set_data(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	enum route_verdict v = set_variables(job, di, ad);
	if (v != ROUTE_ACCEPT || !str_is_set(g->address_data.text))
		return v;
	struct str data;
	enum expand_status st = expand(job->eval, &g->address_data, &data);
	if (st == EXPAND_FORCED)
		return ROUTE_DECLINE;
	if (st != EXPAND_OK)
		return route_defer(job, ad, "expansion of \"%.*s\" failed in %.*s router: %.*s", STR_ARG(g->address_data.text),
		    STR_ARG(di->name), STR_ARG(job->eval->lx.error));
	ad->view.address_data = data;
	return ROUTE_ACCEPT;
}

/* --- more, unseen ---------------------------------------------------------------------------- */
static bool bool_option(struct route_job *job, const struct driver_instance *di, const struct xstr *x, const char *name,
    bool def, struct address *ad, bool *ret)
{
	*ret = def;
	if (!str_is_set(x->text))
		return true;
	if (str_eqc(x->text, "true") || str_eqc(x->text, "false")) {
		*ret = x->text.len == 4;
		return true;
	}
	struct str text;
	enum expand_status st = expand(job->eval, x, &text);
	if (st == EXPAND_FORCED)
		return true;
	if (st != EXPAND_OK) {
		route_defer(job, ad, "failed to expand \"%s\" in %.*s router: %.*s", name, STR_ARG(di->name),
		    STR_ARG(job->eval->lx.error));
		return false;
	}
	text = str_trim(text);
	if (str_ieqc(text, "true") || str_ieqc(text, "yes")) {
		*ret = true;
		return true;
	}
	if (str_ieqc(text, "false") || str_ieqc(text, "no")) {
		*ret = false;
		return true;
	}
	route_defer(job, ad, "\"%.*s\" is not a valid value for the \"%s\" option in the %.*s router", STR_ARG(text), name,
	    STR_ARG(di->name));
	return false;
}

/* Exim: the address becomes a parent with two children, one as routed here, one that goes on. */
static void split_unseen(struct route_job *job, const struct driver_instance *di, struct address *ad, enum route_verdict v)
{
	if (v == ROUTE_ACCEPT || v == ROUTE_FAIL) {
		struct address *kept = address_child(job->arena, ad, ad->address);
		struct address copy = *ad;
		copy.parent = ad;
		copy.first_child = copy.sibling = copy.next = NULL;
		copy.unique = kept->unique;
		copy.homonym = kept->homonym;
		copy.sibling = kept->sibling;
		copy.state = v == ROUTE_ACCEPT ? ADDRESS_ROUTED : ADDRESS_FAILED;
		*kept = copy;
		route_push(job, kept);
	}
	struct address *clone = address_child(job->arena, ad, ad->address);
	clone->dsn_notify = ad->dsn_notify;
	clone->dsn_orcpt = ad->dsn_orcpt;
	clone->headers_add = clone->headers_remove = STR_NONE;
	clone->start_router = di->next;
	clone->seen_unseen = true;
	if (di->next) { /* before what the router generated, as in Exim */
		clone->next = job->new_addresses;
		job->new_addresses = clone;
	} else {
		clone->state = ADDRESS_DISCARDED;
	}
	ad->transport = NULL;
	ad->hosts = ad->fallback_hosts = NULL;
	ad->state = ADDRESS_PARENT;
}

/* --- One router ------------------------------------------------------------------------------ */
static void view_reset(struct address *ad, const struct addr_view *start, const struct driver_instance *di)
{
	struct str data = ad->view.address_data, self = ad->view.self_hostname;
	struct map *vars = ad->view.router_vars;
	ad->view = *start;
	ad->view.address_data = data;
	ad->view.router_vars = vars;
	ad->view.self_hostname = self;
	ad->view.router_name = di->name;
	ad->view.local_part = router_generic(di)->caseful_local_part ? ad->cc_local_part : ad->lc_local_part;
	ad->home = STR_NONE;
	ad->home_expanded = false;
}

static void set_state(struct address *ad, enum route_verdict v)
{
	switch (v) {
	case ROUTE_ACCEPT: ad->state = ADDRESS_ROUTED; break;
	case ROUTE_DISCARD: ad->state = ADDRESS_DISCARDED; break;
	case ROUTE_FAIL: ad->state = ADDRESS_FAILED; break;
	case ROUTE_DEFER: ad->state = ADDRESS_DEFERRED; break;
	case ROUTE_REROUTED: ad->state = ADDRESS_PARENT; break;
	case ROUTE_DECLINE:
	case ROUTE_PASS: break;
	}
}

static bool verify_fails(const struct route_job *job, const struct router_generic *g)
{
	return (job->purpose == ROUTE_VERIFY_SENDER && g->fail_verify_sender) ||
	    (job->purpose == ROUTE_VERIFY_RECIPIENT && g->fail_verify_recipient);
}

/* The router did something with the address: what remains of its generic options. */
static enum next took_it(struct route_job *job, const struct driver_instance *di, struct address *ad, enum route_verdict *v)
{
	const struct router_generic *g = router_generic(di);
	if ((*v == ROUTE_ACCEPT || *v == ROUTE_REROUTED || *v == ROUTE_DISCARD) && verify_fails(job, g))
		*v = route_fail(job, ad, "%.*s router forced verify fail", STR_ARG(di->name));
	bool unseen = false;
	if (*v != ROUTE_DEFER && !bool_option(job, di, &g->unseen, "unseen", false, ad, &unseen))
		*v = ROUTE_DEFER;
	set_state(ad, *v);
	if (unseen) {
		split_unseen(job, di, ad, *v);
		*v = ROUTE_REROUTED;
	}
	return NEXT_STOP;
}

static enum next run_router(struct route_job *job, const struct driver_instance *di, struct address *ad, enum route_verdict *v)
{
	const struct router_generic *g = router_generic(di);
	const struct router_driver *drv = (const struct router_driver *)(const void *)di->driver;
	switch (route_preconditions(job, di, ad)) {
	case PRECOND_SKIP: return NEXT_ROUTER;
	case PRECOND_DEFER:
		*v = ROUTE_DEFER;
		ad->router = di;
		ad->state = ADDRESS_DEFERRED;
		return NEXT_STOP;
	case PRECOND_RUN: break;
	}
	ad->router = di;
	*v = set_data(job, di, ad);
	if (*v == ROUTE_ACCEPT)
		*v = drv->run(job, di, ad);
	if (job->env->debug)
		dprintf(job->env->debug_fd, "%.*s router for %.*s: verdict %d%s%.*s\n", STR_ARG(di->name), STR_ARG(ad->address), (int)*v,
		    str_empty(ad->message) ? "" : ": ", STR_ARG(ad->message));
	if (*v == ROUTE_PASS)
		return NEXT_PASS;
	if (*v != ROUTE_DECLINE)
		return took_it(job, di, ad, v);
	bool more = true;
	if (!bool_option(job, di, &g->more, "more", true, ad, &more)) {
		*v = ROUTE_DEFER;
		ad->state = ADDRESS_DEFERRED;
		return NEXT_STOP;
	}
	if (more)
		return NEXT_ROUTER;
	*v = ROUTE_DECLINE;
	return NEXT_STOP;
}

static enum route_verdict unrouteable(struct route_job *job, const struct driver_instance *last, struct address *ad)
{
	ad->router = ad->transport = NULL;
	ad->state = ADDRESS_FAILED;
	struct str text = STR_NONE;
	const struct xstr *x = last ? &router_generic(last)->cannot_route_message : NULL;
	if (x && str_is_set(x->text)) {
		enum expand_status st = expand(job->eval, x, &text);
		if (st != EXPAND_OK) {
			if (st != EXPAND_FORCED)
				log_write(job->env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE,
				    "failed to expand cannot_route_message in %.*s router: %.*s", STR_ARG(last->name),
				    STR_ARG(job->eval->lx.error));
			text = STR_NONE;
		}
	}
	if (str_is_set(text))
		ad->message = ad->user_message = text;
	else if (!str_is_set(ad->message))
		ad->message = ad->user_message = STR("Unrouteable address");
	return ROUTE_FAIL;
}

enum route_verdict route_address(struct route_job *job, struct address *ad)
{
	if (!job->eval) {
		job->eval = arena_new_of(job->arena, struct eval);
		eval_init(job->eval, job->config, job->env, job->arena);
	}
	void *outer = job->eval->space[SPACE_ADDRESS];
	job->eval->space[SPACE_ADDRESS] = &ad->view;
	struct addr_view start = ad->view;
	start.home = STR_NONE;
	start.uid = start.gid = -1;
	start.verify = route_verifying(job);
	start.verify_mode = job->purpose == ROUTE_VERIFY_SENDER ? STR("S") : route_verifying(job) ? STR("R") : STR("");
	const struct driver_instance *last = NULL;
	enum route_verdict v = ROUTE_DECLINE;
	enum next next = NEXT_ROUTER;
	for (const struct driver_instance *di = ad->start_router ? ad->start_router : job->config->drivers[DRIVER_ROUTER];
	     di && next != NEXT_STOP;) {
		last = di;
		next = NEXT_ROUTER;
		if (!handled_before(di, ad)) {
			view_reset(ad, &start, di);
			next = run_router(job, di, ad, &v);
		}
		const struct driver_instance *jump = router_generic(di)->pass_router_di;
		di = next == NEXT_PASS && jump ? jump : di->next;
	}
	if (next != NEXT_STOP || v == ROUTE_DECLINE)
		v = unrouteable(job, last, ad);
	job->eval->space[SPACE_ADDRESS] = outer;
	return v;
}

/* --- Lists of addresses ---------------------------------------------------------------------- */
/* Exim's order, seen from outside: in one pass over the new addresses pipes and files go to the
 * transports' lists at once, the others are routed, last one first; what they generate makes the
 * next pass. Results are put in front of their lists, and duplicates are looked for at the end, so
 * that of two equal deliveries the one routed later is made (manual 3.11, 22.7). */
#define GENERATED_MAX 200000

static void put_front(struct address **list, struct address *ad)
{
	ad->next = *list;
	*list = ad;
}

static bool done_before(struct route_job *job, struct address *ad, struct str key)
{
	if (job->purpose != ROUTE_DELIVER || !job->message || !message_is_done(job->message, key))
		return false;
	ad->state = ADDRESS_DELIVERED;
	ad->settled = true;
	ad->next = NULL;
	return true;
}

/* An earlier attempt may have made this delivery for a homonym: another router may have stood
 * between then, which is not always triggered. */
static bool done_as_homonym(struct route_job *job, struct address *ad)
{
	if (ad->kind != ADDRESS_MAIL || ad->state != ADDRESS_ROUTED || !ad->transport || !job->message || !job->message->done.live)
		return false;
	struct str key = ad->homonym ? ad->unique : str_cat(job->arena, ad->unique, STR("/"), ad->transport->name);
	return done_before(job, ad, key);
}

static void sort_in(struct route_job *job, struct address *ad)
{
	ad->next = NULL;
	address_set_transport_key(job->arena, ad);
	if (done_as_homonym(job, ad))
		return;
	switch (ad->state) {
	case ADDRESS_ROUTED: put_front(ad->transport && transport_is_local(ad->transport) ? &job->local : &job->remote, ad); break;
	case ADDRESS_DISCARDED:
	case ADDRESS_FAILED:
	case ADDRESS_DEFERRED:
		if (!job->routed)
			put_front(ad->state == ADDRESS_FAILED ? &job->failed : ad->state == ADDRESS_DEFERRED ? &job->deferred : &job->done, ad);
		break;
	case ADDRESS_NEW:
	case ADDRESS_PARENT:
	case ADDRESS_DELIVERED: break;
	}
	if (job->routed)
		job->routed(job, ad);
}

static void route_next(struct route_job *job, struct address *ad)
{
	if (ad->state != ADDRESS_NEW)
		return; /* routed with an address of the same domain */
	if (ad->generation > LIMIT_ROUTE_DEPTH) {
		route_defer(job, ad, "too many levels of redirection (%d)", LIMIT_ROUTE_DEPTH);
		ad->state = ADDRESS_DEFERRED;
		ad->special_freeze = true;
		return;
	}
	if (!job->before || job->before(job, ad))
		route_address(job, ad);
}

/* One pass; returns what it generated. */
static struct address *route_pass(struct route_job *job, struct address *list, size_t *count)
{
	struct address *to_route = NULL, *made = NULL, *next;
	for (struct address *ad = list; ad; ad = next) {
		next = ad->next;
		if (done_before(job, ad, ad->unique))
			continue;
		if (ad->state == ADDRESS_NEW)
			put_front(&to_route, ad);
		else
			sort_in(job, ad);
	}
	for (struct address *ad = to_route; ad; ad = next) {
		job->new_addresses = NULL;
		route_next(job, ad); /* ad->next still leads to the others: same_domain_copy_routing */
		next = ad->next;
		struct address **tail = &job->new_addresses; /* in front of what others generated */
		for (; *tail; tail = &(*tail)->next)
			(*count)++;
		*tail = made;
		made = job->new_addresses;
		sort_in(job, ad);
	}
	job->new_addresses = NULL;
	return made;
}

static void drop_duplicates(struct map *seen, struct address **list)
{
	for (struct address **at = list; *at;) {
		struct address *ad = *at, *first = map_get(seen, ad->unique);
		if (!first) {
			map_put(seen, ad->unique, ad);
			at = &ad->next;
			continue;
		}
		ad->dup_of = first;
		*at = ad->next;
		ad->next = NULL;
	}
}

void route_all(struct route_job *job, struct address *list)
{
	size_t count = 0;
	while (list && count <= GENERATED_MAX)
		list = route_pass(job, list, &count);
	for (struct address *next; list; list = next) {
		next = list->next;
		route_defer(job, list, "too many addresses are generated (more than %d)", GENERATED_MAX);
		list->state = ADDRESS_DEFERRED;
		sort_in(job, list);
	}
	if (job->purpose != ROUTE_DELIVER)
		return; /* -bt and verifying show all */
	struct map seen;
	map_init(&seen, job->arena, false);
	drop_duplicates(&seen, &job->local);
	drop_duplicates(&seen, &job->remote);
}
