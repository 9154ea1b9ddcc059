/* SPDX-License-Identifier: Apache-2.0
 * Host after host until every address is answered (manual 30.5, 32): retry records decide which
 * hosts are asked, an error of the host or of the message at the host leads to the next one, an
 * answer to a recipient is final for this attempt. */
#include <errno.h>

#include "ipc/channel.h"
#include "queue/retry_db.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

struct round {
	bool some_waiting;   /* a host's retry time has not come */
	bool some_serial;    /* serialize_hosts: busy */
	bool all_expired;    /* every host is past its last cutoff */
	bool last_tried_old; /* ... and was tried now */
	unsigned hosts, counted;
	struct smtp_fault fault; /* of the last host that was tried */
	struct route_host *fault_host;
	struct str fault_log;
};

static bool any_pending(const struct smtp_job *j)
{
	for (const struct address *ad = j->d->addresses; ad; ad = ad->next) {
		if (result_pending(ad))
			return true;
	}
	return false;
}

/* ---- retry records of hosts ---- */

static struct str host_key(struct smtp_job *j, bool for_message)
{
	bool with_ip = true;
	if (expand_bool(j->d->eval, &j->o->retry_include_ip_address, true, &with_ip) != EXPAND_OK)
		with_ip = true;
	int port = j->terms.port ? j->terms.port : 25;
	return retry_key_host(j->tx, j->host->name, with_ip ? j->host->address : STR_NONE, port,
	    for_message ? str_c(j->d->message->id) : STR_NONE);
}

static struct retry_failure what_failed(const struct smtp_job *j)
{
	return (struct retry_failure){.key = j->host->name, .domain = j->d->addresses->view.domain, .basic_errno = j->fault.err,
	    .more_errno = j->fault.more, .sender = j->d->return_path, .sender_known = true};
}

/* May this host be asked now? */
static bool due(struct smtp_job *j, struct round *r)
{
	struct retry_record rec = {0};
	if (!j->d->retry)
		return true;
	struct retry_failure what = what_failed(j);
	switch (retry_check_host(j->d->retry, host_key(j, false), host_key(j, true), &what, &rec)) {
	case RETRY_DUE:
		j->host->status = rec.expired ? HOST_UNUSABLE_EXPIRED : HOST_USABLE;
		return true;
	case RETRY_NOT_YET:
		r->some_waiting = true;
		r->all_expired = false;
		j->host->status = HOST_UNUSABLE_RETRY;
		return false;
	case RETRY_PAST_CUTOFF:
		j->host->status = HOST_UNUSABLE_EXPIRED;
		return false;
	}
	return true;
}

static void note_failure(struct smtp_job *j, struct round *r)
{
	if (!j->d->retry) {
		r->all_expired = false;
		return;
	}
	struct retry_failure what = what_failed(j);
	struct str text = str_is_set(j->fault.message) ? j->fault.message :
	    j->fault.err > 0 ? str_c(status_text(ST_ERRNO(j->fault.err))) : STR("");
	if (j->fault.message_error && str_is_set(j->fault.message)) /* Exim says of these who spoke */
		text = str_cat(j->tx, smtp_log_host(j), STR(": "), text);
	struct retry_outcome out = retry_note_failure(j->d->retry, host_key(j, j->fault.message_error), &what, text, j->fault.message_error);
	if (out.rule_found && !out.expired && !out.outlived)
		r->all_expired = false;
	else
		r->last_tried_old = true;
}

static void note_success(struct smtp_job *j)
{
	if (!j->d->retry)
		return;
	retry_note_success(j->d->retry, host_key(j, false));
	retry_note_success(j->d->retry, host_key(j, true));
}

/* ---- serialize_hosts: a record while we are connected (manual 30) ---- */

static bool take_turn(void *arg, struct arena *a, struct str old, struct str *ret_new)
{
	enum { FORGET_S = 6 * 3600 };
	int64_t *now = arg;
	struct rd r = rd_of(old);
	int64_t at = (int64_t)up_u64(&r);
	if (str_is_set(old) && !r.bad && at + FORGET_S > *now) {
		*now = -1;
		return false;
	}
	struct strbuf sb;
	sb_init(&sb, a, 16);
	pk_u64(&sb, (uint64_t)*now);
	*ret_new = sb_str(&sb);
	return true;
}

static bool begin_serial(struct smtp_job *j, bool *ret_held)
{
	bool in = false;
	int64_t now = clock_s(&j->d->env->clock);
	*ret_held = false;
	if (!j->d->env->hints || !smtp_match_host(j, &j->o->serialize_hosts, &in) || !in)
		return true;
	struct str key = str_cat(j->tx, STR("host-serialize-"), j->host->name);
	(void)hints_update(j->d->env->hints, "misc", key, take_turn, &now);
	*ret_held = now >= 0;
	return *ret_held;
}

static void end_serial(struct smtp_job *j, bool held)
{
	if (held)
		(void)hints_del(j->d->env->hints, "misc", str_cat(j->tx, STR("host-serialize-"), j->host->name));
}

/* ---- one host ---- */

/* The session carries one transaction after another while addresses are left. */
static bool talk(struct smtp_job *j)
{
	bool fresh = false;
	while (any_pending(j)) {
		if (!j->conn && !smtp_session_get(j, fresh))
			return false;
		switch (smtp_send(j)) {
		case SENT_DONE: break;
		case SENT_STALE: /* it died in the pool: nothing was taken, a fresh one decides */
			smtp_session_end(j, false);
			fresh = true;
			continue;
		case SENT_FAILED: return false;
		}
		if (j->fault.lost) {
			smtp_session_end(j, false);
			fresh = true;
		}
	}
	return true;
}

static bool wants_clear(const struct smtp_job *j)
{
	return j->fault.err == DERR_TLSFAILURE && !j->in_clear && !j->terms.require_tls && !j->o->tls_on_connect &&
	    j->o->tls_tempfail_tryclear;
}

static void log_failure(struct smtp_job *j)
{
	struct str host = smtp_log_host(j);
	const char *errtext = j->fault.err > 0 ? status_text(ST_ERRNO(j->fault.err)) : "";
	struct str line = !str_is_set(j->fault.message) ?
	    str_printf(j->tx, "%.*s %s", STR_ARG(host), errtext) :
	    str_printf(j->tx, "%.*s: %.*s%s%s", STR_ARG(host), STR_ARG(j->fault.message), *errtext ? ": " : "", errtext);
	delivery_log(j->d, LOGTO_MAIN, "%.*s", STR_ARG(line));
	if (j->d->msglog)
		j->d->msglog(j->d, line);
}

static bool talk_to(struct smtp_job *j)
{
	bool ok = talk(j);
	smtp_session_end(j, ok ? !j->fault.lost : !j->fault.lost && j->fault.code != 0);
	if (ok || !wants_clear(j))
		return ok;
	delivery_log(j->d, LOGTO_MAIN, "%.*s: %.*s", STR_ARG(smtp_log_host(j)), STR_ARG(j->fault.message));
	struct route_host *h = j->host; /* in clear, on a new connection (tls_tempfail_tryclear) */
	j->in_clear = true;
	smtp_set_host(j, h);
	ok = smtp_terms_find(j) && talk(j);
	smtp_session_end(j, ok ? !j->fault.lost : !j->fault.lost && j->fault.code != 0);
	return ok;
}

static void give_up(struct smtp_job *j, enum address_state st, const struct smtp_fault *f, struct route_host *h, struct str log)
{
	for (struct address *ad = j->d->addresses; ad; ad = ad->next) {
		if (!result_pending(ad))
			continue;
		result_set(ad, st, f->err, f->message);
		ad->more_errno = f->more;
		ad->smtp_reply = f->remote_reply;
		/* What the host said is logged with the host; that it could not be reached is not. */
		if (f->code || (f->err < 0 && f->err != DERR_AUTHFAIL && f->err != DERR_UNKNOWN) || (f->err > 0 && str_is_set(f->message))) {
			ad->host_used = h;
			ad->log_extra = log;
		}
	}
}

/* False: stop, all is answered. */
static bool try_host(struct smtp_job *j, struct round *r)
{
	bool held;
	j->in_clear = false;
	if (!smtp_terms_find(j)) {
		r->fault = j->fault;
		r->fault_host = j->host;
		r->fault_log = STR_NONE;
		r->all_expired = false;
		return true;
	}
	if (!due(j, r))
		return true;
	if (!begin_serial(j, &held)) {
		r->some_serial = true;
		r->all_expired = false;
		return true;
	}
	j->tried++;
	if (j->host->status != HOST_UNUSABLE_EXPIRED)
		r->counted++;
	bool ok = talk_to(j);
	j->host->status = HOST_TRIED;
	end_serial(j, held);
	if (ok) {
		note_success(j);
		return false;
	}
	r->fault = j->fault;
	r->fault_host = j->host;
	r->fault_log = smtp_log_host(j);
	if (j->fault.permanent) {
		if (!j->fault.message_error && j->fault.code) /* the host refuses us, whatever we bring */
			log_failure(j);
		if (j->fault.message_error || j->fault.err == 0)
			note_success(j);
		give_up(j, ADDRESS_FAILED, &j->fault, j->host, r->fault_log);
		return false;
	}
	log_failure(j);
	note_failure(j, r);
	return any_pending(j);
}

/* The limit on addresses tried (manual 30.5): a host of another preference is asked all the same. */
static bool enough(const struct smtp_job *j, const struct round *r, const struct route_host *next)
{
	if (j->tried >= (unsigned)j->o->hosts_max_try_hardlimit)
		return true;
	if (r->counted < (unsigned)j->o->hosts_max_try)
		return false;
	for (const struct route_host *h = next; h; h = h->next) {
		if (h->mx >= 0 && r->fault_host && h->mx != r->fault_host->mx)
			return h != next;
	}
	return true;
}

static void try_all(struct smtp_job *j, struct route_host *list, struct round *r)
{
	*r = (struct round){.all_expired = true};
	for (struct route_host *h = list; h; h = h->next) {
		if (r->hosts && enough(j, r, h)) {
			r->all_expired = false;
			continue;
		}
		r->hosts++;
		smtp_set_host(j, h);
		if (!try_host(j, r))
			return;
	}
}

/* What addresses get that no host has answered. */
static void conclude(struct smtp_job *j, const struct round *r)
{
	struct delivery *d = j->d;
	struct str domain = d->addresses->view.domain;
	if (r->fault_host) {
		give_up(j, ADDRESS_DEFERRED, &r->fault, r->fault_host, r->fault_log);
		for (struct address *ad = d->addresses; r->all_expired && ad; ad = ad->next) {
			if (ad->state == ADDRESS_DEFERRED)
				ad->log_flags |= ADDRESS_RETRY_EXPIRED;
		}
	} else if (r->some_serial) {
		result_defer(d, DERR_HOST_RETRY, "connection limit reached for all hosts for '%.*s'", STR_ARG(domain));
	} else if (r->some_waiting) {
		result_defer(d, DERR_HOST_RETRY, "retry time not reached for any host for '%.*s'", STR_ARG(domain));
	} else {
		result_fail(d, DERR_HOST_RETRY,
		    "all hosts for '%.*s' have been failing for a long time (and retry time not reached)", STR_ARG(domain));
	}
}

/* Long lines bounce here rather than at a host that cuts them (manual 30 message_linelength_limit). */
static bool lines_fit(struct smtp_job *j)
{
	int limit = j->o->message_linelength_limit;
	if (limit <= 0 || j->d->message->max_line <= limit)
		return true;
	result_fail(j->d, 0, "message has lines too long for transport");
	return false;
}

static bool use_fallback(const struct smtp_job *j, const struct round *r)
{
	(void)j;
	/* Not where MX records led to the host that failed: they are the fallback themselves. */
	return !r->fault_host || r->fault_host->mx < 0;
}

void smtp_run(struct delivery *d)
{
	struct smtp_job j = {.d = d, .o = d->transport->options};
	struct route_host *list = NULL;
	struct round r = {0};
	struct why why = {0};
	if (!lines_fit(&j))
		return;
	if (!transport_filter_argv(d, &j.filter, &why)) {
		result_defer(d, DERR_FILTER_FAIL, "%s", why.text);
		return;
	}
	struct retry_moment moment;
	const struct retry_moment *given = d->retry;
	if (given) {
		moment = *given;
		moment.delay_after_cutoff = j.o->delay_after_cutoff;
		d->retry = &moment;
	}
	struct arena_mark mark = arena_mark(d->env->scratch);
	j.tx = d->env->scratch; /* what a message leaves behind is given back at the end, the memory stays */
	if (smtp_hosts(&j, &list)) {
		try_all(&j, list, &r);
		if (any_pending(&j) && use_fallback(&j, &r)) {
			list = smtp_fallback_hosts(&j);
			if (list && any_pending(&j)) {
				j.tried = 0;
				try_all(&j, list, &r);
			}
		}
		if (any_pending(&j))
			conclude(&j, &r);
	}
	d->retry = given;
	d->out = (struct out_view){.transport_name = d->transport->name};
	arena_release(d->env->scratch, mark);
}
