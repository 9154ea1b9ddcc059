/* SPDX-License-Identifier: Apache-2.0
 * Success notifications (RFC 3461 NOTIFY=SUCCESS) and freezing. */
#include "deliver/attempt.h"

#include "base/banned.h"

static bool wants_success(const struct address *ad)
{
	return (ad->dsn_notify & DSN_SUCCESS) && !(ad->smtp_flags & ADDRF_DSN_SENT) && !ad->suppressed;
}

/* One recipient: delivered here, or handed to a host that does not know of DSN. */
static void add_recipient(struct notice *n, struct strbuf *fields, const struct address *ad)
{
	bool remote = ad->host_used != NULL;
	sb_printf(&n->body, "<%.*s> (%s)\n", STR_ARG(ad->address),
	    remote ? "relayed to non DSN-aware mailer" : "relayed via non \"Remote SMTP\" router");
	dsn_recipient(n->at, fields, ad, remote ? "relayed" : "delivered", '2');
	if (!remote)
		sb_addc(fields, "Diagnostic-Code: X-Exim; relayed via non SMTP router\n");
}

static void add_recipients(struct notice *n, struct strbuf *fields)
{
	struct attempt *at = n->at;
	for (const struct address *ad = at->delivered; ad; ad = ad->next)
		if (!ad->parent && wants_success(ad))
			add_recipient(n, fields, ad);
	for (size_t i = 0; i < at->tops; i++) {
		const struct address *ad = at->top[i];
		if (ad->state != ADDRESS_PARENT || !wants_success(ad) || !at->m->deliver_firsttime)
			continue;
		sb_printf(&n->body, "<%.*s> (redirected, the notification is not passed on)\n", STR_ARG(ad->address));
		dsn_recipient(at, fields, ad, "expanded", '2');
	}
}

static bool any_success(const struct attempt *at)
{
	for (const struct address *ad = at->delivered; ad; ad = ad->next)
		if (!ad->parent && wants_success(ad))
			return true;
	for (size_t i = 0; i < at->tops; i++)
		if (at->top[i]->state == ADDRESS_PARENT && wants_success(at->top[i]) && at->m->deliver_firsttime)
			return true;
	return false;
}

void send_success(struct attempt *at)
{
	struct notice n;
	struct strbuf fields;
	if (str_empty(at->m->sender) || !any_success(at))
		return;
	notice_begin(&n, at, at->m->sender);
	sb_init(&fields, at->arena, 1u << 20);
	notice_reply_to(&n);
	notice_from(&n);
	sb_printf(&n.head, "Auto-Submitted: auto-generated\nTo: %.*s\nSubject: Delivery Status Notification\n", STR_ARG(at->m->sender));
	notice_references(&n);
	notice_multipart(&n);
	sb_addc(&n.body, "This message was created automatically by mail delivery software.\n"
	                 " ----- The following addresses had successful delivery notifications -----\n");
	add_recipients(&n, &fields);
	sb_printf(&n.body, "\n--%s\nContent-type: message/delivery-status\n\nReporting-MTA: dns; %.*s\n", n.boundary,
	    STR_ARG(at->cfg->primary_hostname));
	if (!str_empty(at->m->dsn_envid))
		sb_printf(&n.body, "Original-Envelope-ID: %.*s\n", STR_ARG(at->m->dsn_envid));
	sb_add(&n.body, sb_str(&fields));
	sb_ch(&n.body, '\n');
	notice_copy(&n, false);
	notice_send(&n, str_c(at->m->id));
}

/* --- Freezing -------------------------------------------------------------------------------- */
static void tell(struct attempt *at, struct str to, struct str reason)
{
	struct notice n;
	notice_begin(&n, at, to);
	sb_addc(&n.head, "Auto-Submitted: auto-replied\n");
	notice_from(&n);
	sb_printf(&n.head, "To: %.*s\nSubject: Message frozen\n", STR_ARG(to));
	sb_printf(&n.body, "Message %s has been frozen%.*s.\nThe sender is <%.*s>.\n\nThe following address(es) have yet to be delivered:\n",
	    at->m->id, STR_ARG(reason), STR_ARG(at->m->sender));
	for (size_t i = 0; i < at->m->recipients; i++)
		if (!message_is_done(at->m, at->m->recipient[i].address))
			sb_printf(&n.body, "  %.*s\n", STR_ARG(at->m->recipient[i].address));
	notice_send(&n, STR_NONE);
}

void freeze_message(struct attempt *at)
{
	at->m->frozen_at = at->now_us / 1000000;
	at->envelope_changed = true;
	attempt_log(at, LOGTO_MAIN, "Frozen%.*s", STR_ARG(at->freeze_text));
	attempt_msglog(at, "Frozen%.*s", STR_ARG(at->freeze_text));
	struct str list = at->cfg->main.freeze_tell.text, to;
	int sep = 0;
	if (at->m->local_error)
		return; /* manual 14, freeze_tell: not for messages of the system itself */
	while (str_is_set(list) && list_next(at->arena, &list, &sep, &to))
		if (!str_empty(to))
			tell(at, str_chr(to, '@') < 0 ? str_cat(at->arena, to, STR("@"), at->cfg->qualify_domain) : to, at->freeze_text);
}
