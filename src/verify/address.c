/* SPDX-License-Identifier: Apache-2.0
 * Verification of one address (manual 44.21, 44.25): through the routers in verify mode, on with
 * the child when a redirection made just one, then the callout where it leads to remote hosts. */
#include "verify/verify_priv.h"
#include "message/address.h"
#include "base/limits.h"
#include "base/banned.h"

static void job_init(struct route_job *job, struct eval *ev, const struct verify_opts *o)
{
	*job = (struct route_job){
		.config = ev->lx.config, .env = ev->lx.env, .arena = ev->lx.arena, .message = ev->lx.message, .peer = ev->lx.peer,
		.eval = ev, .body_fd = -1, .trace_fd = -1, .callout_follows = (o->flags & VERIFY_CALLOUT) != 0,
		.purpose = o->flags & VERIFY_EXPN ? ROUTE_VERIFY_EXPN : o->flags & VERIFY_SENDER ? ROUTE_VERIFY_SENDER : ROUTE_VERIFY_RECIPIENT,
	};
}

static void take_data(const struct address *ad, struct verify_answer *ret)
{
	ret->address_data = ad->view.address_data;
	ret->basic_errno = ad->basic_errno;
}

static enum verify_result not_routed(const struct address *ad, enum verify_result v, struct verify_answer *ret)
{
	take_data(ad, ret);
	ret->failure_kind = STR("route");
	ret->user_message = ad->user_message;
	ret->log_message = str_is_set(ad->message) ? ad->message : ad->user_message;
	return v;
}

/* The one address with which verification goes on, NULL: what came of it is good enough. */
static struct address *only_child(struct address *list, unsigned flags)
{
	if (!list || list->next || (flags & VERIFY_SUCCESS_ON_REDIRECT))
		return NULL;
	return list->kind == ADDRESS_MAIL && list->state == ADDRESS_NEW ? list : NULL;
}

static enum verify_result routed(struct eval *ev, struct route_job *job, struct address *ad, struct str address,
    const struct verify_opts *o, struct verify_answer *ret)
{
	enum verify_result v = VERIFY_OK;

	take_data(ad, ret);
	ret->address = ad;
	if (o->flags & VERIFY_CALLOUT)
		v = callout_run(ev, job, ad, address, o, ret);
	if (v == VERIFY_OK && (o->flags & VERIFY_CALLOUT) && !(o->flags & VERIFY_SENDER)) {
		/* 44.22: what the far host confirmed is no longer the client's word alone */
		ret->domain_data = str_dup(ev->lx.arena, ad->view.domain);
		ret->local_part_data = str_dup(ev->lx.arena, ad->view.local_part);
		ret->domain_data.taint = ret->local_part_data.taint = 0;
	}
	return v;
}

enum verify_result verify_address(struct eval *ev, struct str address, const struct verify_opts *o, struct verify_answer *ret)
{
	struct route_job job;
	struct address *ad = address_new(ev->lx.arena, address, -1);

	*ret = (struct verify_answer){0};
	job_init(&job, ev, o);
	for (;;) {
		enum route_verdict v;
		struct address *child;

		job.new_addresses = NULL;
		v = route_address(&job, ad);
		switch (v) {
		case ROUTE_ACCEPT: return routed(ev, &job, ad, ad->address, o, ret);
		case ROUTE_DISCARD:
			take_data(ad, ret);
			return VERIFY_OK;
		case ROUTE_FAIL:
		case ROUTE_DECLINE:
		case ROUTE_PASS: return not_routed(ad, VERIFY_FAIL, ret);
		case ROUTE_DEFER: return not_routed(ad, VERIFY_DEFER, ret);
		case ROUTE_REROUTED: break;
		}
		child = only_child(job.new_addresses, o->flags);
		if (!child) {
			take_data(ad, ret);
			return VERIFY_OK;
		}
		ad = child;
		if (ad->generation > LIMIT_ROUTE_DEPTH) {
			ret->log_message = STR("too many levels of redirection");
			ret->failure_kind = STR("route");
			return VERIFY_DEFER;
		}
	}
}
