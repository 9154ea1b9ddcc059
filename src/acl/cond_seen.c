/* SPDX-License-Identifier: Apache-2.0
 * seen (manual 44.19): a time against a key, in hints, database "seen", as decimal seconds. */
#include "acl/conditions.h"
#include "hints/hints.h"
#include "base/banned.h"

struct seen {
	bool before, readonly, write;
	int64_t interval, refresh, now;
	struct str key;
	bool answer;
};

static bool parse(struct acl_run *r, struct str arg, struct seen *s, enum acl_verdict *ret)
{
	struct arena *a = r->ev->lx.arena;
	struct str whole = arg, o;
	const struct peer *p = r->ev->lx.peer;

	s->key = p && str_is_set(p->host_address) ? p->host_address : STR("");
	s->refresh = 10 * 86400;
	if (!acl_slash_next(a, &arg, &o))
		o = STR("");
	s->before = str_starts(o, "-");
	s->interval = interval_parse(s->before ? str_from(o, 1) : o);
	if (s->interval < 0) {
		*ret = acl_fault(r, ACL_ERROR, "failed to parse '%.*s'", STR_ARG(whole));
		return false;
	}
	while (acl_slash_next(a, &arg, &o)) {
		if (str_starts(o, "key=")) {
			s->key = str_from(o, 4);
		} else if (str_eqc(o, "readonly")) {
			s->readonly = true;
			s->write = false;
		} else if (str_eqc(o, "write")) {
			s->write = true;
			s->readonly = false;
		} else if (str_starts(o, "refresh=") && interval_parse(str_from(o, 8)) >= 0) {
			s->refresh = interval_parse(str_from(o, 8));
		} else {
			*ret = str_starts(o, "refresh=") ? acl_fault(r, ACL_ERROR, "failed to parse '%.*s'", STR_ARG(whole))
			    : acl_fault(r, ACL_ERROR, "unrecognised option '%.*s' in '%.*s'", STR_ARG(o), STR_ARG(whole));
			return false;
		}
	}
	return true;
}

static bool decide(void *arg, struct arena *a, struct str old, struct str *ret_new)
{
	struct seen *s = arg;
	int64_t at = 0, stamp = s->now;
	bool found = str_is_set(old) && str_int(old, &at), update;

	s->answer = found && (s->before ? at < s->now - s->interval : at >= s->now - s->interval);
	if (s->readonly)
		return false;
	update = s->write || !s->before || !found;
	if (!update && s->answer && s->now - at > s->refresh) {
		stamp = s->now - s->interval;
		update = true;
	}
	if (update)
		*ret_new = str_printf(a, "%lld", (long long)stamp);
	return update;
}

ACL_COND(seen)
{
	struct seen s = {0};
	struct env *env = r->ev->lx.env;
	enum acl_verdict v = ACL_ERROR;

	(void)c;
	if (!parse(r, arg, &s, &v))
		return v;
	s.now = clock_s(&env->clock);
	if (!env->hints || hints_update(env->hints, "seen", s.key, decide, &s) != ST_OK)
		return acl_fault(r, ACL_DEFER, "database for 'seen' not available");
	return s.answer ? ACL_OK : ACL_FAIL;
}
