/* SPDX-License-Identifier: Apache-2.0
 * Retry times around an attempt (manual 32): may an address be routed, delivered, a host be tried
 * now; and afterwards the records of what failed, which may say that it failed for too long. The
 * decisions are queue/retry_db's; here it is known which key belongs to which failure. */
#include "deliver/attempt.h"

#include "base/banned.h"

/* Records that were there before an address was routed: address.retry_kind. */
enum { HAD_DOMAIN = 1, HAD_ADDRESS = 2, HAD_RCPT = 4, HAD_LOCAL = 8 };

void retry_begin(struct attempt *at)
{
	at->matcher = retry_matcher_lists(&at->ev.lx);
	at->moment = (struct retry_moment){.hints = at->env->hints, .rules = at->cfg->compiled_retry, .matcher = &at->matcher,
	    .arena = at->arena, .now = at->now_us / 1000000, .arrived = at->m->received_us / 1000000,
	    .data_expire = at->cfg->main.retry_data_expire, .interval_max = at->cfg->main.retry_interval_max,
	    .queue_run = at->job->flags & DELIVER_QUEUE_RUN, .forced = at->job->flags & (DELIVER_FORCE | DELIVER_NO_RETRY_TEST),
	    .delay_after_cutoff = true};
	at->moment.random = at->env->random ? at->env->random(at->env) : 0;
}

static void due(struct attempt *at, int64_t t)
{
	if (t > 0 && (at->job->next_due_s == 0 || t < at->job->next_due_s))
		at->job->next_due_s = t;
}

static struct str plain(struct arena *a, const struct address *ad)
{
	return str_cat(a, ad->cc_local_part, STR("@"), ad->view.domain);
}

static struct retry_failure failure_of(struct attempt *at, struct str key, const struct address *ad)
{
	return (struct retry_failure){.key = key, .domain = ad->view.domain, .basic_errno = ad->basic_errno,
	    .more_errno = ad->more_errno, .sender = at->m->sender, .sender_known = true};
}

/* One key before routing: false if its time has not come, or never will. */
static bool check_key(struct attempt *at, struct address *ad, struct str key, struct str what, int bit)
{
	struct retry_record rec = {0};
	if (!retry_read(&at->moment, key, &rec))
		return true;
	ad->retry_kind |= bit;
	struct retry_failure f = failure_of(at, what, ad);
	switch (retry_check_address(&at->moment, key, &f, &rec)) {
	case RETRY_DUE: return true;
	case RETRY_NOT_YET:
		ad->state = ADDRESS_DEFERRED;
		ad->basic_errno = DERR_ROUTE_RETRY;
		ad->message = STR("retry time not reached");
		due(at, rec.next_try);
		return false;
	case RETRY_PAST_CUTOFF:
		ad->state = ADDRESS_FAILED;
		ad->message = str_empty(rec.text) ? STR("retry timeout exceeded")
		    : str_cat(at->arena, rec.text, STR(": retry timeout exceeded"));
		return false;
	}
	return true;
}

bool retry_before_routing(struct attempt *at, struct address *ad)
{
	if (!at->moment.hints)
		return true;
	struct str address = plain(at->arena, ad), domain = ad->view.domain;
	return check_key(at, ad, retry_key_routing(at->arena, domain), domain, HAD_DOMAIN) &&
	    check_key(at, ad, retry_key_routing(at->arena, address), address, HAD_ADDRESS) &&
	    check_key(at, ad, retry_key_rcpt(at->arena, address, at->m->sender, true), address, HAD_RCPT);
}

/* Errors that come from us or from policy, not from what is to be retried. */
static bool no_record(int e)
{
	return e == DERR_HELD || e == DERR_LISTDEFER || e == DERR_LOCAL_ONLY || e == DERR_QUEUE_DOMAIN ||
	    e == DERR_ROUTE_RETRY || e == DERR_LOCAL_RETRY || e == DERR_HOST_RETRY || e == DERR_TRANSPORT_LIMIT;
}

static void timed_out(struct attempt *at, struct address *ad)
{
	attempt_log(at, LOGTO_MAIN, "** %.*s: retry timeout exceeded",
	    STR_ARG(address_for_log(at->arena, ad, config_logs(at->cfg, LOGSEL_ALL_PARENTS))));
	attempt_msglog(at, "%.*s: retry timeout exceeded", STR_ARG(ad->address));
	struct str text = result_text(at->arena, ad);
	ad->message = str_empty(text) ? STR("retry timeout exceeded") : str_cat(at->arena, text, STR(": retry timeout exceeded"));
	ad->basic_errno = 0;
	ad->state = ADDRESS_FAILED;
	for (struct address **p = &at->deferred; *p; p = &(*p)->next)
		if (*p == ad) {
			*p = ad->next;
			break;
		}
	ad->next = at->failed;
	at->failed = ad;
	at->job->deferred--;
	at->job->failed++;
}

/* True if the address is to fail now. */
static bool note(struct attempt *at, struct str key, const struct retry_failure *f, struct str text, bool message_error)
{
	if (!at->moment.hints) {
		const struct retry_rule *r = at->moment.rules ? retry_rule_find(at->moment.rules, &at->matcher, at->arena, f) : NULL;
		return !r || retry_rule_cutoff(r) == 0;
	}
	struct retry_outcome o = retry_note_failure(&at->moment, key, f, text, message_error);
	due(at, o.next_try);
	return !o.rule_found || o.expired || o.outlived;
}

void retry_after_routing(struct attempt *at, struct address *ad)
{
	struct str address = plain(at->arena, ad);
	if (ad->state != ADDRESS_DEFERRED) {
		if (ad->retry_kind & HAD_DOMAIN)
			retry_note_success(&at->moment, retry_key_routing(at->arena, ad->view.domain));
		if (ad->retry_kind & HAD_ADDRESS)
			retry_note_success(&at->moment, retry_key_routing(at->arena, address));
		return;
	}
	if (no_record(ad->basic_errno) || ad->special_freeze)
		return;
	bool local = ad->router && ((const struct router_generic *)ad->router->generic)->retry_use_local_part;
	struct str what = local ? address : ad->view.domain;
	struct retry_failure f = failure_of(at, what, ad);
	if (note(at, retry_key_routing(at->arena, what), &f, result_text(at->arena, ad), false))
		timed_out(at, ad);
}

/* --- Local deliveries ------------------------------------------------------------------------ */
static struct str local_what(struct attempt *at, const struct address *ad)
{
	const struct transport_generic *g = ad->transport->generic;
	if (ad->kind != ADDRESS_MAIL)
		return ad->unique;
	return g->retry_use_local_part ? plain(at->arena, ad) : ad->view.domain;
}

bool retry_before_local(struct attempt *at, struct address *ad)
{
	if (!at->moment.hints)
		return true;
	struct str what = local_what(at, ad), key = retry_key_local(at->arena, what);
	struct retry_record rec = {0};
	if (!retry_read(&at->moment, key, &rec))
		return true;
	ad->retry_kind |= HAD_LOCAL;
	struct retry_failure f = failure_of(at, what, ad);
	if (retry_check_address(&at->moment, key, &f, &rec) != RETRY_NOT_YET)
		return true; /* manual 32.6: past the cutoff a local address gets one try for each message */
	due(at, rec.next_try);
	ad->state = ADDRESS_DEFERRED;
	ad->basic_errno = DERR_LOCAL_RETRY;
	ad->message = STR("Retry time not yet reached");
	return false;
}

static void after_local(struct attempt *at, struct address *ad)
{
	struct str what = local_what(at, ad), key = retry_key_local(at->arena, what);
	if (ad->state == ADDRESS_DELIVERED && (ad->retry_kind & HAD_LOCAL))
		retry_note_success(&at->moment, key);
	if (ad->state != ADDRESS_DEFERRED || no_record(ad->basic_errno) || ad->special_freeze)
		return;
	struct retry_failure f = failure_of(at, what, ad);
	if (note(at, key, &f, result_text(at->arena, ad), ad->basic_errno == DERR_EXIMQUOTA))
		timed_out(at, ad);
}

/* --- Remote deliveries ----------------------------------------------------------------------- */
/* The transport wrote the records of its hosts: the earliest of them says when to come again. */
static void due_by_hosts(struct attempt *at, const struct address *ad)
{
	struct retry_record rec;
	for (const struct route_host *h = at->moment.hints ? ad->hosts : NULL; h; h = h->next) {
		if (!str_is_set(h->address))
			continue;
		int port = h->port ? h->port : 25;
		struct str id = str_c(at->m->id);
		if (retry_read(&at->moment, retry_key_host(at->arena, h->name, h->address, port, STR_NONE), &rec) ||
		    retry_read(&at->moment, retry_key_host(at->arena, h->name, STR_NONE, port, STR_NONE), &rec) ||
		    retry_read(&at->moment, retry_key_host(at->arena, h->name, h->address, port, id), &rec))
			due(at, rec.next_try);
	}
}

/* A record about a recipient says which host spoke. */
static struct str with_host(struct attempt *at, const struct address *ad)
{
	struct str text = result_text(at->arena, ad);
	const struct route_host *h = ad->host_used;
	if (!h || str_starts(text, "H="))
		return text;
	return str_cat(at->arena, STR("H="), h->name, STR(" ["), h->address, STR("]: "), text);
}

static void after_remote(struct attempt *at, struct address *ad)
{
	bool (*includes)(const struct driver_instance *di) = transport_driver_of(ad->transport)->retry_includes_sender;
	struct str address = plain(at->arena, ad);
	struct str rcpt = str_is_set(ad->retry_key) ? ad->retry_key
	    : retry_key_rcpt(at->arena, address, at->m->sender, !includes || includes(ad->transport));
	if (ad->state == ADDRESS_DELIVERED && (ad->retry_kind & HAD_RCPT))
		retry_note_success(&at->moment, rcpt);
	if (ad->state != ADDRESS_DEFERRED)
		return;
	bool own = str_is_set(ad->retry_key) || ad->basic_errno == DERR_RCPT4XX;
	struct retry_failure f = failure_of(at, address, ad);
	if (!own)
		due_by_hosts(at, ad);
	else if (note(at, rcpt, &f, with_host(at, ad), false))
		timed_out(at, ad);
}

void retry_after_run(struct attempt *at, struct delivery *d, struct address *const *batch, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (transport_is_local(d->transport))
			after_local(at, batch[i]);
		else
			after_remote(at, batch[i]);
	}
}
