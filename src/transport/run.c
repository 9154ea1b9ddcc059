/* SPDX-License-Identifier: Apache-2.0
 * One run of a transport for a batch of addresses: what is common to all drivers before and after
 * (manual 24): return path, size limit, concurrency limit, -N, shadow transports. Remote drivers run
 * here, local ones as their user in the agent's child (local.c). */
#include "base/rd.h"
#include "hints/hints.h"
#include "ipc/channel.h"
#include "transport/local.h"
#include "transport/steps.h"

#include "base/banned.h"

/* The envelope sender of this delivery: errors_to of a router, then return_path of the transport. */
static bool find_return_path(struct delivery *d)
{
	const struct address *ad = d->addresses;
	const struct xstr *x = &transport_generic(d)->return_path;
	struct str value;
	d->return_path = ad->errors_to_set ? ad->errors_to : d->message->sender;
	struct addr_view *view = d->eval->space[SPACE_ADDRESS];
	view->return_path = d->return_path;
	if (str_is_set(x->text)) {
		switch (expand(d->eval, x, &value)) {
		case EXPAND_OK: d->return_path = value; break;
		case EXPAND_FORCED: break;
		case EXPAND_FAILED:
		case EXPAND_DEFER:
			result_defer(d, DERR_UNKNOWN, "failed to expand return path \"%.*s\" in %s transport: %.*s", STR_ARG(x->text),
			    transport_name(d), STR_ARG(d->eval->lx.error));
			return false;
		}
	}
	view->return_path = d->return_path;
	return true;
}

static bool size_allowed(struct delivery *d)
{
	const struct xstr *x = &transport_generic(d)->message_size_limit;
	struct str text;
	int64_t limit;
	if (str_empty(x->text) || str_eqc(x->text, "0"))
		return true;
	if (expand(d->eval, x, &text) != EXPAND_OK) {
		result_defer(d, DERR_UNKNOWN, "failed to expand message_size_limit in %s transport: %.*s", transport_name(d),
		    STR_ARG(d->eval->lx.error));
		return false;
	}
	if (!option_size(text, &limit)) {
		result_defer(d, DERR_UNKNOWN, "invalid message_size_limit in %s transport: invalid integer \"%.*s\"", transport_name(d),
		    STR_ARG(text));
		return false;
	}
	if (limit > 0 && d->message->size > limit) {
		result_fail(d, 0, "message is too big (transport limit = %lld)", (long long)limit);
		return false;
	}
	return true;
}

/* ---- max_parallel: a counter in the hints, as Exim has it (manual 24) ---- */

enum { FORGET_S = 6 * 3600 };
struct slot {
	int64_t now_s;
	uint32_t limit;
	bool taken;
};

static struct str pack_count(struct arena *a, uint32_t count, int64_t now_s)
{
	struct strbuf sb;
	sb_init(&sb, a, 64);
	pk_u32(&sb, count);
	pk_u64(&sb, (uint64_t)now_s);
	return sb_str(&sb);
}

static uint32_t read_count(struct str old, int64_t now_s)
{
	struct rd r = rd_of(old);
	uint32_t n = up_u32(&r);
	int64_t at = (int64_t)up_u64(&r);
	return r.bad || at + FORGET_S < now_s ? 0 : n;
}

static bool take_slot(void *arg, struct arena *a, struct str old, struct str *ret_new)
{
	struct slot *s = arg;
	uint32_t n = read_count(old, s->now_s);
	s->taken = n < s->limit;
	if (s->taken)
		*ret_new = pack_count(a, n + 1, s->now_s);
	return s->taken;
}

static bool give_slot(void *arg, struct arena *a, struct str old, struct str *ret_new)
{
	const struct slot *s = arg;
	uint32_t n = read_count(old, s->now_s);
	*ret_new = n > 1 ? pack_count(a, n - 1, s->now_s) : STR_NONE;
	return true;
}

static struct str slot_key(struct delivery *d)
{
	return str_cat(d->arena, STR("tpt-serialize-"), d->transport->name);
}

/* False: the run may not begin, results are given. */
static bool begin_parallel(struct delivery *d, struct slot *s)
{
	const struct xstr *x = &transport_generic(d)->max_parallel;
	int64_t limit = 0;
	*s = (struct slot){.now_s = clock_s(&d->env->clock)};
	if (str_empty(x->text) || !d->env->hints)
		return true;
	if (expand_int(d->eval, x, 0, &limit) != EXPAND_OK) {
		result_defer(d, DERR_UNKNOWN, "Failed to expand max_parallel option in %s transport: %.*s", transport_name(d),
		    STR_ARG(d->eval->lx.error));
		return false;
	}
	if (limit <= 0)
		return true;
	s->limit = limit > INT32_MAX ? INT32_MAX : (uint32_t)limit;
	if (hints_update(d->env->hints, "misc", slot_key(d), take_slot, s) != ST_OK || s->taken)
		return true; /* a hint that cannot be kept must not stop mail */
	result_defer(d, DERR_TRANSPORT_LIMIT, "concurrency limit reached for transport");
	return false;
}

static void end_parallel(struct delivery *d, struct slot *s)
{
	if (s->taken)
		(void)hints_update(d->env->hints, "misc", slot_key(d), give_slot, s);
}

/* ---- running ---- */

/* -N: as if all had been delivered, the remote ones to their first host. */
static void bypass(struct delivery *d, bool local)
{
	for (struct address *ad = d->addresses; ad && !local; ad = ad->next) {
		ad->host_used = ad->hosts;
		ad->smtp_reply = STR("delivery bypassed by -N option");
	}
	result_done(d);
}

static void run_driver(struct delivery *d)
{
	const struct transport_driver *driver = transport_driver_of(d->transport);
	if (d->dont_deliver)
		bypass(d, driver->local);
	else if (driver->local)
		local_run(d);
	else
		driver->run(d);
}

static void debug_print(struct delivery *d)
{
	const struct xstr *x = &transport_generic(d)->debug_print;
	struct str text;
	if (!d->env->debug || str_empty(x->text))
		return;
	if (expand(d->eval, x, &text) != EXPAND_OK)
		text = str_printf(d->arena, "failed to expand debug_print \"%.*s\" in %s transport: %.*s", STR_ARG(x->text),
		    transport_name(d), STR_ARG(d->eval->lx.error));
	(void)dprintf(d->env->debug_fd, "%.*s%s", STR_ARG(text), str_ends(text, "\n") ? "" : "\n");
}

/* One transport, with all that is common. */
static void run_one(struct delivery *d)
{
	struct addr_view common;
	struct slot slot = {0};
	delivery_views(d, &common);
	if (find_return_path(d)) {
		debug_print(d);
		if (size_allowed(d) && (d->shadow || begin_parallel(d, &slot))) {
			run_driver(d);
			end_parallel(d, &slot);
		}
	}
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		if (result_pending(ad))
			result_set(ad, ADDRESS_DEFERRED, DERR_UNKNOWN, STR("transport gave no result for this address"));
		if (transport_generic(d)->disable_logging)
			ad->log_flags |= ADDRESS_LOG_NOTHING;
		int64_t now = clock_us(&d->env->clock);
		ad->done_us = now;
		ad->transport_us = now - d->start_us;
	}
	d->eval->space[SPACE_ADDRESS] = NULL;
	d->eval->space[SPACE_OUT] = NULL;
}

static bool shadow_wanted(struct delivery *d)
{
	const struct xstr *x = &transport_generic(d)->shadow_condition;
	struct addr_view common;
	bool yes = true;
	if (str_empty(x->text))
		return true;
	delivery_views(d, &common);
	switch (expand_condition(d->eval, x, &yes)) {
	case EXPAND_OK: return yes;
	case EXPAND_FORCED: return false;
	case EXPAND_FAILED:
	case EXPAND_DEFER: break;
	}
	delivery_log(d, LOGTO_MAIN | LOGTO_PANIC, "failed to expand shadow condition \"%.*s\" in %s transport: %.*s", STR_ARG(x->text),
	    transport_name(d), STR_ARG(d->eval->lx.error));
	return false;
}

/* A second local transport gets copies of what was delivered (manual 24 shadow_transport). */
static void run_shadow(struct delivery *d)
{
	const struct driver_instance *t = transport_generic(d)->shadow_di;
	struct address *copies = NULL, **to = &copies;
	if (!t || d->shadow || d->dont_deliver || !shadow_wanted(d))
		return;
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		if (ad->state != ADDRESS_DELIVERED)
			continue;
		*to = arena_dup(d->arena, ad, sizeof *ad);
		(*to)->state = ADDRESS_ROUTED;
		(*to)->next = NULL;
		(*to)->sibling = ad; /* whose shadow it is */
		to = &(*to)->next;
	}
	if (!copies)
		return;
	struct delivery s = *d;
	s.transport = t;
	s.addresses = copies;
	s.shadow = true;
	s.out = (struct out_view){0};
	run_one(&s);
	for (struct address *c = copies; c; c = c->next) {
		c->sibling->shadow_message = c->state == ADDRESS_DELIVERED ? t->name :
		    str_cat(d->arena, t->name, STR(" ("), str_is_set(c->message) ? c->message : STR("failed"), STR(")"));
	}
}

void transport_run(struct delivery *d)
{
	d->start_us = clock_us(&d->env->clock);
	if (!str_is_set(d->return_path))
		d->return_path = d->message->sender;
	run_one(d);
	run_shadow(d);
}
