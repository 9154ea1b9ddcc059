/* SPDX-License-Identifier: Apache-2.0
 * Results of a delivery, put into its addresses. What an address already got stays: a driver may
 * answer some by name and the rest together. */
#include "base/strbuf.h"
#include "transport/steps.h"

#include "base/banned.h"

bool result_pending(const struct address *ad)
{
	return ad->state == ADDRESS_ROUTED || ad->state == ADDRESS_NEW;
}

void result_set(struct address *ad, enum address_state st, int err, struct str message)
{
	ad->state = st;
	ad->basic_errno = err;
	ad->message = message;
}

void result_all(struct delivery *d, enum address_state st, int err, struct str message)
{
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		if (result_pending(ad))
			result_set(ad, st, err, message);
	}
}

static struct str format(struct delivery *d, const char *fmt, va_list ap)
{
	struct strbuf sb;
	sb_init(&sb, d->arena, 65536);
	sb_vprintf(&sb, fmt, ap);
	return sb.len ? sb_str(&sb) : STR_NONE;
}

void result_defer(struct delivery *d, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	result_all(d, ADDRESS_DEFERRED, err, format(d, fmt, ap));
	va_end(ap);
}

void result_fail(struct delivery *d, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	result_all(d, ADDRESS_FAILED, err, format(d, fmt, ap));
	va_end(ap);
}

void result_freeze(struct delivery *d, int err, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct str text = format(d, fmt, ap);
	va_end(ap);
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		if (!result_pending(ad))
			continue;
		result_set(ad, ADDRESS_DEFERRED, err, text);
		ad->special_freeze = true;
	}
}

void result_done(struct delivery *d)
{
	result_all(d, ADDRESS_DELIVERED, 0, STR_NONE);
}
