/* SPDX-License-Identifier: Apache-2.0
 * Routed addresses become runs of transports (manual 3.13, 25, 30): those that go the same way and
 * may travel together make one batch. Local ones first, then remote ones, one after the other:
 * the courier is parallel across messages. */
#include "deliver/attempt.h"

#include "base/banned.h"

/* --- Who may go together --------------------------------------------------------------------- */
static size_t host_count(const struct route_host *h)
{
	size_t n = 0;
	for (; h; h = h->next)
		n++;
	return n;
}

/* The same hosts; those of one preference may stand in any order (they were shuffled). */
static bool same_hosts(const struct route_host *a, const struct route_host *b)
{
	if (a == b)
		return true;
	if (host_count(a) != host_count(b))
		return false;
	for (; a; a = a->next) {
		const struct route_host *h = b;
		while (h && !(h->port == a->port && h->mx == a->mx && str_ieq(h->name, a->name) && str_eq(h->address, a->address)))
			h = h->next;
		if (!h)
			return false;
	}
	return true;
}

static bool alike(const struct address *a, const struct address *b)
{
	return a->transport == b->transport && a->errors_to_set == b->errors_to_set && str_eq(a->errors_to, b->errors_to) &&
	    str_eq(a->headers_add, b->headers_add) && str_eq(a->headers_remove, b->headers_remove) && a->uid == b->uid &&
	    a->gid == b->gid && a->initgroups == b->initgroups && str_eq(a->home, b->home) && str_eq(a->current, b->current) &&
	    a->kind == b->kind && same_hosts(a->hosts, b->hosts) && same_hosts(a->fallback_hosts, b->fallback_hosts);
}

/* --- One run --------------------------------------------------------------------------------- */
static void submitted(struct delivery *d, const struct message *m)
{
	attempt_made(d->submitted_arg, m);
}

static void keep_line(struct delivery *d, struct str line)
{
	attempt_msglog(d->msglog_arg, "%.*s", STR_ARG(line));
}

static void run_batch(struct attempt *at, struct address **batch, size_t n)
{
	for (size_t i = 0; i < n; i++)
		batch[i]->next = i + 1 < n ? batch[i + 1] : NULL;
	bool dont = at->job->flags & DELIVER_DONT || at->m->dont_deliver;
	struct delivery *d = arena_new_of(at->arena, struct delivery);
	*d = (struct delivery){.config = at->cfg, .env = at->env, .arena = at->arena, .transport = batch[0]->transport,
	    .message = at->m, .spool_msg = at->sm, .body_fd = at->ev.body_fd, .body_offset = at->ev.body_offset,
	    .body_size = at->ev.body_size, .addresses = batch[0], .eval = &at->ev, .pool = at->job->pool, .dont_deliver = dont,
	    .start_us = clock_us(&at->env->clock), .spool = at->job->spool, .submitted = submitted, .submitted_arg = at, .msglog = keep_line, .msglog_arg = at,
	    .retry = at->moment.hints ? &at->moment : NULL};
	transport_run(d);
	bool first = true;
	for (size_t i = 0; i < n; i++) {
		batch[i]->suppressed = dont;
		batch[i]->log_affixes = ((const struct transport_generic *)d->transport->generic)->rcpt_include_affixes;
		if (str_is_set(d->return_path))
			batch[i]->view.return_path = d->return_path;
		bool ok = batch[i]->state == ADDRESS_DELIVERED;
		result_take(at, batch[i], dont ? "*>" : first ? "=>" : "->");
		first = first && !ok;
	}
	retry_after_run(at, d, batch, n);
}

static void run_list(struct attempt *at, struct address *list)
{
	size_t n = 0;
	for (struct address *ad = list; ad; ad = ad->next)
		n++;
	struct address **all = arena_array_of(at->arena, n ? n : 1, struct address *), **batch = arena_array_of(at->arena, n ? n : 1, struct address *);
	n = 0;
	for (struct address *ad = list; ad; ad = ad->next)
		all[n++] = ad;
	for (size_t i = 0; i < n; i++) {
		if (!all[i])
			continue;
		struct address *first = batch[0] = all[i];
		size_t taken = 1;
		int max = i + 1 < n ? transport_max_rcpt(first->transport, &at->ev) : 1;
		for (size_t k = i + 1; k < n && (max <= 0 || taken < (size_t)max); k++) {
			if (!all[k] || !alike(first, all[k]) || !transport_can_share(first->transport, &at->ev, first, all[k]))
				continue;
			batch[taken++] = all[k];
			all[k] = NULL;
		}
		run_batch(at, batch, taken);
	}
}

/* --- What may run now ------------------------------------------------------------------------ */
static bool remote_waits(struct attempt *at, struct address *ad)
{
	const struct xstr *list = &at->cfg->main.queue_smtp_domains;
	unsigned always = DELIVER_FORCE | DELIVER_QUEUE_RUN;
	if (at->job->flags & DELIVER_LOCAL_ONLY) {
		ad->basic_errno = 0;
		ad->message = STR("SMTP delivery explicitly queued");
		return true;
	}
	if ((at->job->flags & always) || !str_is_set(list->text))
		return false;
	enum match_result m = match_domain(&at->ev.lx, list, ad->view.domain, 0, NULL);
	if (m == MATCH_NO)
		return false;
	ad->basic_errno = m == MATCH_YES ? DERR_QUEUE_DOMAIN : DERR_LISTDEFER;
	ad->message = m == MATCH_YES ? STR("domain is in queue_smtp_domains") : STR("queue_smtp_domains lookup deferred");
	return true;
}

static struct address *ready(struct attempt *at, struct address *list, bool local)
{
	struct address *out = NULL, **tail = &out;
	for (struct address *ad = list, *next; ad; ad = next) {
		next = ad->next;
		ad->next = NULL;
		if (local ? !retry_before_local(at, ad) : remote_waits(at, ad)) {
			defer_now(at, ad);
			continue;
		}
		*tail = ad;
		tail = &ad->next;
	}
	return out;
}

void run_transports(struct attempt *at)
{
	run_list(at, ready(at, at->route.local, true));
	run_list(at, ready(at, at->route.remote, false));
}
