/* SPDX-License-Identifier: Apache-2.0
 * The callout cache (manual 44.22.2), hints database "callout". Two kinds of record:
 *	domain    "SECONDS D result postmaster seconds random seconds"
 *	address   "SECONDS A result"
 * results being the characters of enum cached. A record of a domain expires by its worst part:
 * early when callouts cannot be made or the postmaster was refused, late otherwise. */
#include "hints/hints.h"
#include "verify/verify_priv.h"
#include "base/banned.h"

static bool read_record(struct eval *ev, struct str key, char kind, int64_t *ret_time, struct rd *ret_rest)
{
	struct env *env = ev->lx.env;
	struct str value;

	if (!env->hints || !hints_get(env->hints, "callout", key, ev->lx.arena, &value))
		return false;
	*ret_rest = rd_of(value);
	*ret_time = (int64_t)rd_number(ret_rest, INT64_MAX);
	rd_skip_blank(ret_rest);
	return rd_accept(ret_rest, kind) && !ret_rest->bad;
}

static void write_record(struct eval *ev, struct str key, struct str value)
{
	/* A hint that is not written costs another callout, nothing else. */
	if (ev->lx.env->hints && hints_put(ev->lx.env->hints, "callout", key, value) != ST_OK)
		return;
}

static enum cached take_result(struct rd *r)
{
	rd_skip_blank(r);
	switch (rd_byte(r)) {
	case CACHED_ACCEPT: return CACHED_ACCEPT;
	case CACHED_REJECT: return CACHED_REJECT;
	case CACHED_REJECT_NULL: return CACHED_REJECT_NULL;
	}
	return CACHED_UNKNOWN;
}

static int64_t take_time(struct rd *r)
{
	rd_skip_blank(r);
	return (int64_t)rd_number(r, INT64_MAX);
}

void callout_domain_read(struct eval *ev, struct str domain, struct callout_domain *ret)
{
	const struct main_options *o = &ev->lx.config->main;
	int64_t now = clock_s(&ev->lx.env->clock), at = 0;
	struct rd r;

	*ret = (struct callout_domain){CACHED_UNKNOWN, CACHED_UNKNOWN, CACHED_UNKNOWN, 0, 0};
	if (!read_record(ev, domain, 'D', &at, &r))
		return;
	ret->result = take_result(&r);
	ret->postmaster = take_result(&r);
	ret->postmaster_s = take_time(&r);
	ret->random = take_result(&r);
	ret->random_s = take_time(&r);
	if (r.bad || now - at > (ret->result == CACHED_REJECT || ret->result == CACHED_REJECT_NULL ? o->callout_domain_negative_expire
	    : o->callout_domain_positive_expire)) {
		*ret = (struct callout_domain){CACHED_UNKNOWN, CACHED_UNKNOWN, CACHED_UNKNOWN, 0, 0};
		return;
	}
	if (now - ret->postmaster_s > (ret->postmaster == CACHED_REJECT ? o->callout_domain_negative_expire : o->callout_domain_positive_expire))
		ret->postmaster = CACHED_UNKNOWN;
	if (now - ret->random_s > o->callout_domain_positive_expire)
		ret->random = CACHED_UNKNOWN;
}

void callout_domain_write(struct eval *ev, struct str domain, const struct callout_domain *d)
{
	write_record(ev, domain, str_printf(ev->lx.arena, "%lld D %c %c %lld %c %lld", (long long)clock_s(&ev->lx.env->clock), d->result,
	    d->postmaster, (long long)d->postmaster_s, d->random, (long long)d->random_s));
}

enum cached callout_address_read(struct eval *ev, struct str key)
{
	const struct main_options *o = &ev->lx.config->main;
	int64_t at = 0;
	enum cached result;
	struct rd r;

	if (!read_record(ev, key, 'A', &at, &r))
		return CACHED_UNKNOWN;
	result = take_result(&r);
	if (clock_s(&ev->lx.env->clock) - at > (result == CACHED_ACCEPT ? o->callout_positive_expire : o->callout_negative_expire))
		return CACHED_UNKNOWN;
	return result;
}

void callout_address_write(struct eval *ev, struct str key, enum cached result)
{
	write_record(ev, key, str_printf(ev->lx.arena, "%lld A %c", (long long)clock_s(&ev->lx.env->clock), result));
}
