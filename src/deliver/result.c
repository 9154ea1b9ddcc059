/* SPDX-License-Identifier: Apache-2.0
 * What follows from an address's state: settled ones go to the done map and to -J, so that no
 * later attempt delivers them again; the others go to the lists of the attempt. A parent is
 * settled when all its children are (manual 48.2). */
#include "deliver/attempt.h"

#include "base/banned.h"

bool tree_settled(const struct address *ad)
{
	if (ad->dup_of)
		return tree_settled(ad->dup_of);
	if (ad->settled)
		return true;
	if (ad->state != ADDRESS_PARENT)
		return false;
	for (const struct address *c = ad->first_child; c; c = c->sibling)
		if (!tree_settled(c))
			return false;
	return true;
}

static void record(struct attempt *at, struct address *ad)
{
	ad->settled = true;
	message_set_done(at->m, ad->unique);
}

/* Parents are not written to -J: after a crash their children are found done one by one. */
static void settle_parents(struct attempt *at, struct address *ad)
{
	for (struct address *p = ad->parent; p && p->state == ADDRESS_PARENT && !p->settled && tree_settled(p); p = p->parent) {
		record(at, p);
		attempt_msglog(at, "%.*s: children all complete", STR_ARG(p->address));
	}
}

void settle(struct attempt *at, struct address *ad)
{
	record(at, ad);
	at->envelope_changed = true;
	if (!at->alone && spool_journal(at->sm, ad->unique) != ST_OK)
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "failed to write to the journal: %.*s was delivered", STR_ARG(ad->unique));
	settle_parents(at, ad);
}

static void push(struct address **list, struct address *ad)
{
	ad->next = *list;
	*list = ad;
}

void fail_now(struct attempt *at, struct address *ad)
{
	ad->state = ADDRESS_FAILED;
	log_failed(at, ad);
	at->job->failed++;
	push(&at->failed, ad);
}

void defer_now(struct attempt *at, struct address *ad)
{
	ad->state = ADDRESS_DEFERRED;
	if (!ad->basic_errno && str_empty(ad->message))
		ad->basic_errno = DERR_UNKNOWN;
	log_deferred(at, ad);
	at->job->deferred++;
	if (ad->special_freeze)
		at->freeze = true;
	push(&at->deferred, ad);
}

void result_take(struct attempt *at, struct address *ad, const char *flag)
{
	switch (ad->state) {
	case ADDRESS_DELIVERED:
	case ADDRESS_DISCARDED:
		log_delivered(at, ad, flag);
		at->job->delivered++;
		settle(at, ad);
		push(&at->delivered, ad);
		return;
	case ADDRESS_FAILED: fail_now(at, ad); return;
	case ADDRESS_NEW:
	case ADDRESS_ROUTED:
	case ADDRESS_PARENT:
	case ADDRESS_DEFERRED: defer_now(at, ad); return;
	}
}
