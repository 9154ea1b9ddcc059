/* SPDX-License-Identifier: Apache-2.0
 * Options of transports at the moment of delivery: expanded with Exim's words when that fails. */
#include "transport/steps.h"

#include "base/banned.h"

static bool expand_or_defer(struct delivery *d, const struct xstr *x, const char *what, bool soft, struct str *ret)
{
	switch (expand(d->eval, x, ret)) {
	case EXPAND_OK: return true;
	case EXPAND_FORCED:
		if (soft) {
			*ret = STR_NONE;
			return true;
		}
		fallthrough;
	case EXPAND_FAILED:
	case EXPAND_DEFER:
		result_defer(d, DERR_UNKNOWN, "Expansion of \"%.*s\" (%s for %s transport) failed: %.*s", STR_ARG(x->text), what,
		    transport_name(d), STR_ARG(d->eval->lx.error));
		return false;
	}
	must(false);
}

bool option_expand(struct delivery *d, const struct xstr *x, const char *what, struct str *ret)
{
	return expand_or_defer(d, x, what, false, ret);
}

bool option_expand_soft(struct delivery *d, const struct xstr *x, const char *what, struct str *ret)
{
	return expand_or_defer(d, x, what, true, ret);
}

bool option_untainted(struct delivery *d, struct str s, const char *what)
{
	if (!s.taint)
		return true;
	result_defer(d, DERR_UNKNOWN, "Tainted '%.*s' (%s for %s transport) not permitted", STR_ARG(s), what, transport_name(d));
	for (struct address *ad = d->addresses; ad; ad = ad->next)
		ad->log_flags |= ADDRESS_LOG_PANIC;
	return false;
}

bool option_size(struct str s, int64_t *ret)
{
	int64_t n, unit = 1;
	s = str_trim(s);
	if (s.len > 1) {
		char c = ch_tolower(s.p[s.len - 1]);
		unit = c == 'k' ? 1024 : c == 'm' ? 1024 * 1024 : c == 'g' ? 1024 * 1024 * 1024 : 1;
	}
	if (unit != 1)
		s = str_sub(s, 0, s.len - 1);
	if (!str_int(s, &n) || n < 0 || n > INT64_MAX / unit)
		return false;
	*ret = n * unit;
	return true;
}
