/* SPDX-License-Identifier: Apache-2.0
 * One attempt at one message (manual 3.13, 48): may it be worked on now; route every recipient
 * that is left; run the transports; answer for what failed; write down what remains. At every
 * moment each recipient is in the queue, recorded as delivered, or answered by a bounce that is
 * itself durable: bounces are committed before their addresses count as settled. */
#include "deliver/attempt.h"

#include "base/limits.h"

#include "base/banned.h"

/* --- Frozen messages ------------------------------------------------------------------------- */
enum frozen { FROZEN_GO, FROZEN_STAY, FROZEN_CANCEL };

static enum frozen thaw(struct attempt *at, const char *why)
{
	at->m->frozen_at = 0;
	at->envelope_changed = true;
	attempt_log(at, LOGTO_MAIN, "Unfrozen by %s", why);
	return FROZEN_GO;
}

static enum frozen look_at_frozen(struct attempt *at)
{
	const struct main_options *o = &at->cfg->main;
	int64_t now = at->now_us / 1000000, age = now - at->m->frozen_at;
	if (!at->m->frozen_at)
		return FROZEN_GO;
	if (o->timeout_frozen_after > 0 && age >= o->timeout_frozen_after) {
		attempt_log(at, LOGTO_MAIN, "cancelled by timeout_frozen_after");
		return FROZEN_CANCEL;
	}
	if (at->job->flags & DELIVER_FORCE_FROZEN)
		return thaw(at, "forced delivery");
	if (str_empty(at->m->sender) && o->ignore_bounce_errors_after > 0 && age >= o->ignore_bounce_errors_after)
		return thaw(at, "errmsg timer");
	if (o->auto_thaw > 0 && age >= o->auto_thaw)
		return thaw(at, "auto-thaw");
	if (at->job->flags & DELIVER_FAIL_ALL)
		return FROZEN_GO;
	if (config_logs(at->cfg, LOGSEL_SKIP_DELIVERY))
		attempt_log(at, LOGTO_MAIN, "Message is frozen");
	return FROZEN_STAY;
}

/* --- Routing --------------------------------------------------------------------------------- */
static bool wait_for(struct address *ad, enum match_result m, int err, const char *yes, const char *deferred)
{
	if (m == MATCH_NO)
		return false;
	ad->state = ADDRESS_DEFERRED;
	ad->basic_errno = m == MATCH_YES ? err : DERR_LISTDEFER;
	ad->message = str_c(m == MATCH_YES ? yes : deferred);
	return true;
}

/* hold_domains, queue_domains (manual 14), retry times. */
static bool before_routing(struct route_job *job, struct address *ad)
{
	struct attempt *at = job->before_arg;
	const struct main_options *o = &at->cfg->main;
	bool forced = at->job->flags & DELIVER_FORCE;
	if (str_is_set(o->hold_domains.text) && !forced &&
	    wait_for(ad, match_domain(&at->ev.lx, &o->hold_domains, ad->view.domain, 0, NULL), DERR_HELD, "domain is held",
	        "hold_domains lookup deferred"))
		return false;
	if (str_is_set(o->queue_domains.text) && !forced && !(at->job->flags & DELIVER_QUEUE_RUN) &&
	    wait_for(ad, match_domain(&at->ev.lx, &o->queue_domains, ad->view.domain, 0, NULL), DERR_QUEUE_DOMAIN,
	        "domain is in queue_domains", "queue_domains lookup deferred"))
		return false;
	return retry_before_routing(at, ad);
}

static void after_routing(struct route_job *job, struct address *ad)
{
	struct attempt *at = job->before_arg;
	switch (ad->state) {
	case ADDRESS_DISCARDED: result_take(at, ad, "=>"); break;
	case ADDRESS_FAILED: fail_now(at, ad); break;
	case ADDRESS_DEFERRED: defer_now(at, ad); break;
	case ADDRESS_NEW:
	case ADDRESS_ROUTED:
	case ADDRESS_PARENT:
	case ADDRESS_DELIVERED: break;
	}
	if (ad->kind == ADDRESS_MAIL)
		retry_after_routing(at, ad);
}

/* syntax_errors_to of a redirect router. */
static void send_note(struct route_job *job, struct str to, struct str subject, struct str text)
{
	struct attempt *at = job->note_arg;
	struct notice n;
	notice_begin(&n, at, to);
	sb_addc(&n.head, "Auto-Submitted: auto-replied\n");
	notice_from(&n);
	sb_printf(&n.head, "To: %.*s\nSubject: %.*s\n", STR_ARG(to), STR_ARG(subject));
	notice_references(&n);
	sb_add(&n.body, text);
	notice_send(&n, str_c(at->m->id));
}

/* Children of one_time lists remember whose they were. */
static void set_origin(struct attempt *at, struct address *ad, const struct recipient *r)
{
	if (str_is_set(r->errors_to) && !str_empty(r->errors_to)) {
		ad->errors_to = r->errors_to;
		ad->errors_to_set = true;
	}
	if (r->parent < 0 || (size_t)r->parent >= at->m->recipients)
		return;
	ad->parent = address_new(at->arena, at->m->recipient[r->parent].address, r->parent);
	ad->parent->settled = true;
	ad->parent->state = ADDRESS_PARENT;
	ad->view.original_local_part = ad->parent->cc_local_part;
	ad->view.original_domain = ad->parent->view.domain;
}

static struct address *collect(struct attempt *at)
{
	struct address *list = NULL, **tail = &list;
	at->top = arena_array_of(at->arena, at->m->recipients ? at->m->recipients : 1, struct address *);
	for (size_t i = 0; i < at->m->recipients; i++) {
		const struct recipient *r = &at->m->recipient[i];
		if (message_is_done(at->m, r->address))
			continue;
		struct address *ad = address_new(at->arena, r->address, (int)i);
		ad->dsn_notify = r->dsn_notify;
		ad->dsn_orcpt = r->orcpt;
		set_origin(at, ad, r);
		at->top[at->tops++] = ad;
		*tail = ad;
		tail = &ad->next;
	}
	at->alone = at->tops == 1 && at->m->recipients == 1;
	return list;
}

static void route(struct attempt *at, struct address *list)
{
	at->route = (struct route_job){.config = at->cfg, .env = at->env, .arena = at->arena, .message = at->m,
	    .peer = &at->m->peer, .eval = &at->ev, .purpose = ROUTE_DELIVER, .body_fd = at->ev.body_fd,
	    .body_offset = at->ev.body_offset, .body_size = at->ev.body_size, .trace_fd = -1, .spool_msg = at->sm,
	    .before = before_routing, .before_arg = at, .routed = after_routing, .send_note = send_note, .note_arg = at};
	route_all(&at->route, list);
	at->envelope_changed = at->envelope_changed || at->route.headers_changed;
}

/* timeout_frozen_after (manual 14) and -Mg: a bounce is discarded, another message goes back to its sender. */
static void cancel_quietly(struct attempt *at, struct address *list, struct str text)
{
	for (struct address *ad = list, *next; ad; ad = next) {
		next = ad->next;
		ad->state = ADDRESS_FAILED;
		ad->message = text;
		if (str_empty(at->m->sender)) {
			settle(at, ad);
			continue;
		}
		ad->next = at->failed;
		at->failed = ad;
		at->job->failed++;
	}
}

static void cancel_for_admin(struct attempt *at, struct address *list)
{
	attempt_log(at, LOGTO_MAIN, "cancelled by %.*s", STR_ARG(at->job->cancelled_by));
	cancel_quietly(at, list, STR_NONE);
}

/* received_headers_max (manual 14): so many Received: lines mean that the message goes round. */
static bool goes_round(const struct attempt *at)
{
	int lines = 0;
	for (const struct header *h = at->m->headers.first; h; h = h->next)
		lines += h->kind == HDR_RECEIVED;
	return lines > at->cfg->main.received_headers_max;
}

static void fail_all(struct attempt *at, struct address *list, struct str text)
{
	for (struct address *ad = list, *next; ad; ad = next) {
		next = ad->next;
		ad->state = ADDRESS_FAILED;
		ad->message = text;
		fail_now(at, ad);
	}
}

/* Manual 47: without an interpreter the message waits; nothing is delivered unfiltered. */
static bool filter_in_the_way(struct attempt *at, struct address *list)
{
	if (!str_is_set(at->cfg->main.system_filter.text) || str_empty(at->cfg->main.system_filter.text))
		return false;
	attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "system_filter is not supported yet: the message waits");
	for (struct address *ad = list, *next; ad; ad = next) {
		next = ad->next;
		ad->message = STR("system_filter is not supported yet");
		ad->basic_errno = DERR_UNKNOWN;
		defer_now(at, ad);
	}
	return true;
}

/* --- The end --------------------------------------------------------------------------------- */
/* Deferred children of one_time lists become recipients, their origin is done (manual 22, one_time). */
static void keep_one_time(struct attempt *at)
{
	for (struct address *ad = at->deferred; ad; ad = ad->next) {
		struct address *top = ad;
		while (top->parent && !top->parent->settled)
			top = top->parent;
		if (!ad->one_time || ad == top || ad->kind != ADDRESS_MAIL)
			continue;
		struct recipient *r = message_add_recipient(at->m, ad->address);
		r->parent = top->recipient;
		r->errors_to = ad->errors_to_set ? ad->errors_to : STR_NONE;
		for (struct address *p = ad->parent; p && !p->settled; p = p->parent) {
			p->settled = true;
			message_set_done(at->m, p->unique);
		}
		at->envelope_changed = true;
		at->alone = false;
	}
}

/* Parents of duplicates: their children were settled under other parents. */
static bool settle_tops(struct attempt *at)
{
	bool all = true;
	for (size_t i = 0; i < at->tops; i++) {
		struct address *ad = at->top[i];
		bool done = tree_settled(ad) || message_is_done(at->m, ad->unique);
		if (done && !ad->settled) {
			ad->settled = true;
			message_set_done(at->m, ad->unique);
			at->envelope_changed = true;
		}
		all = all && done;
	}
	for (struct address *ad = at->deferred; ad; ad = ad->next)
		all = all && !ad->one_time;
	return all;
}

static enum deliver_outcome finish_message(struct attempt *at)
{
	struct why why;
	log_completed(at);
	if (spool_settings(at->job->spool)->preserve_message_logs)
		attempt_msglog_write(at);
	if (spool_remove(at->sm, &why) != ST_OK) {
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "failed to remove the spool files: %s", why.text);
		return DELIVER_ERROR;
	}
	return DELIVER_COMPLETED;
}

static enum deliver_outcome keep_message(struct attempt *at)
{
	struct why why;
	send_warning(at);
	if (at->freeze)
		freeze_message(at);
	if (at->m->deliver_firsttime || at->m->manual_thaw)
		at->envelope_changed = true;
	at->m->deliver_firsttime = at->m->manual_thaw = false;
	attempt_msglog_write(at);
	if (at->envelope_changed && spool_update(at->sm, at->m, &why) != ST_OK) {
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "failed to update the spool: %s", why.text);
		return DELIVER_ERROR;
	}
	return at->m->frozen_at ? DELIVER_FROZEN : DELIVER_PENDING;
}

void attempt_made(struct attempt *at, const struct message *m)
{
	if (at->job->made) {
		at->job->made(at->job->arg, m);
		return;
	}
	struct made_message *mm = arena_new_of(at->arena, struct made_message);
	memcpy(mm->id, m->id, sizeof mm->id);
	struct made_message **tail = &at->made;
	while (*tail)
		tail = &(*tail)->next;
	*tail = mm;
}

/* Exim: messages that the attempt made are delivered at once, before it ends. */
static void deliver_made(struct attempt *at)
{
	for (const struct made_message *mm = at->made; mm; mm = mm->next) {
		struct deliver_job sub = {.config = at->cfg, .env = at->env, .spool = at->job->spool, .pool = at->job->pool,
		    .id = str_c(mm->id), .flags = DELIVER_FIRST | (at->job->flags & DELIVER_DONT)};
		deliver_message(&sub);
	}
	at->made = NULL;
}

static void work(struct attempt *at, enum frozen frozen)
{
	struct address *list = collect(at);
	if (at->job->flags & DELIVER_FAIL_ALL)
		cancel_for_admin(at, list);
	else if (frozen == FROZEN_CANCEL)
		cancel_quietly(at, list, STR("message was frozen for too long"));
	else if (goes_round(at))
		fail_all(at, list, STR("Too many \"Received\" headers - suspected mail loop"));
	else if (!filter_in_the_way(at, list)) {
		route(at, list);
		run_transports(at);
	}
	send_success(at);
	send_bounces(at);
	keep_one_time(at);
	deliver_made(at);
}

static bool wanted(const struct deliver_job *job, const struct message *m)
{
	if (str_is_set(job->only_sender) && str_ifind(m->sender, job->only_sender) < 0)
		return false;
	if (!str_is_set(job->only_recipient))
		return true;
	for (size_t i = 0; i < m->recipients; i++)
		if (!message_is_done(m, m->recipient[i].address) && str_ifind(m->recipient[i].address, job->only_recipient) >= 0)
			return true;
	return false;
}

enum deliver_outcome deliver_opened(struct deliver_job *job, struct message *m, struct spool_msg *sm)
{
	struct attempt *at = arena_new_of(m->arena, struct attempt);
	at->job = job;
	at->cfg = job->config;
	at->env = job->env;
	at->m = m;
	at->sm = sm;
	at->first = m->deliver_firsttime;
	at->arena = m->arena;
	at->lines_tail = &at->lines;
	at->now_us = clock_us(&job->env->clock);
	job->next_due_s = 0;
	job->delivered = job->deferred = job->failed = 0;
	if (!wanted(job, m))
		return m->frozen_at ? DELIVER_FROZEN : DELIVER_PENDING;
	eval_init(&at->ev, job->config, job->env, m->arena);
	eval_set_message(&at->ev, m);
	eval_set_peer(&at->ev, &m->peer);
	at->ev.body_fd = spool_msg_fd(sm);
	at->ev.body_offset = spool_msg_body_offset(sm);
	at->ev.body_size = m->body_size;
	enum frozen frozen = look_at_frozen(at);
	if (frozen == FROZEN_STAY)
		return DELIVER_FROZEN;
	retry_begin(at);
	work(at, frozen);
	enum deliver_outcome out = settle_tops(at) ? finish_message(at) : keep_message(at);
	deliver_made(at); /* warnings */
	return out;
}

enum deliver_outcome deliver_message(struct deliver_job *job)
{
	struct arena *a = arena_new("delivery", LIMIT_ARENA_MESSAGE, 16384, 0);
	struct message *m = NULL;
	struct spool_msg *sm = NULL;
	struct why why = {.text = ""};
	enum deliver_outcome out = DELIVER_ERROR;
	struct str id = str_dup(a, job->id), queue = str_is_set(job->queue_name) ? job->queue_name : STR("");
	job->queue_name = queue;
	switch (spool_open_msg(job->spool, queue, id, a, &m, &sm, &why)) {
	case SPOOL_FOUND:
		out = deliver_opened(job, m, sm);
		spool_release(sm);
		break;
	case SPOOL_GONE: out = DELIVER_GONE; break;
	case SPOOL_LOCKED:
		if (config_logs(job->config, LOGSEL_SKIP_DELIVERY))
			log_write(job->env->log, LOGTO_MAIN, id, "Spool file is locked (another process is handling this message)");
		out = DELIVER_LOCKED;
		break;
	case SPOOL_DAMAGED:
	case SPOOL_ERROR: log_write(job->env->log, LOGTO_MAIN | LOGTO_PANIC, id, "%s", why.text); break;
	}
	arena_free(a);
	return out;
}
