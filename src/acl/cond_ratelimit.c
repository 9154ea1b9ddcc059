/* SPDX-License-Identifier: Apache-2.0
 * ratelimit (manual 44.20). The rate of a key is an exponentially weighted moving average: with
 * t = time since the last update in units of the period,
 *	rate = count * (1 - exp(-t)) / t + rate * exp(-t)
 * so that a steady stream of n per period settles at n. Kept in hints, database "ratelimit":
 *	"PERIOD/MODE/[unique/]KEY" -> "seconds.micros rate[ epoch hash hash ...]"
 * the last for unique=: the set of values seen since `epoch`, thrown away when older than the period.
 * A result stands for as long as its mode says (connection, message, command), so that the same
 * condition may be tested again without counting twice. */
#include "acl/conditions.h"
#include "hints/hints.h"
#include "base/banned.h"
#include <math.h>

enum rate_mode { RATE_DEFAULT, RATE_CONN, RATE_MAIL, RATE_BYTE, RATE_RCPT, RATE_CMD };
enum rate_update { UPDATE_DEFAULT, UPDATE_LEAKY, UPDATE_STRICT, UPDATE_READONLY };

#define UNIQUE_MAX 20000 /* events remembered for one key */

struct rate {
	struct str text, period_text; /* limit and period as written */
	double limit, period, count;
	enum rate_mode mode;
	enum rate_update update;
	struct str key, unique;
	bool count_set;
	struct str db_key;
	/* outcome */
	int64_t now_us;
	double result;
};

static const char *const mode_names[] = {
	[RATE_DEFAULT] = "per_mail", [RATE_CONN] = "per_conn", [RATE_MAIL] = "per_mail", [RATE_BYTE] = "per_byte",
	[RATE_RCPT] = "per_rcpt", [RATE_CMD] = "per_cmd",
};

#define BAD(r, ...) acl_fault(r, ACL_ERROR, "error in arguments to \"ratelimit\" condition: " __VA_ARGS__)

/* A decimal number, K, M or G behind it multiplying by 1024s; false if it is none or negative. */
static bool number(struct str s, double *ret)
{
	char buf[64], *end;

	s = str_trim(s);
	if (s.len >= sizeof buf || (s.len && !ch_digit(s.p[0]) && s.p[0] != '.'))
		return false;
	memcpy(buf, s.p, s.len);
	buf[s.len] = 0;
	*ret = strtod(buf, &end);
	if (ch_tolower(*end) == 'k')
		*ret *= 1024, end++;
	else if (ch_tolower(*end) == 'm')
		*ret *= 1024.0 * 1024, end++;
	else if (ch_tolower(*end) == 'g')
		*ret *= 1024.0 * 1024 * 1024, end++;
	return *end == 0 && isfinite(*ret);
}

static bool set_mode(struct rate *rt, enum rate_mode m)
{
	if (rt->mode != RATE_DEFAULT && rt->mode != m)
		return false;
	rt->mode = m;
	return true;
}

static bool set_update(struct rate *rt, enum rate_update u)
{
	if (rt->update != UPDATE_DEFAULT && rt->update != u)
		return false;
	rt->update = u;
	return true;
}

/* 0: no option (the key begins here), 1: taken, -1: conflicting per_*, -2: conflicting updates, -3: bad count. */
static int option(struct acl_run *r, struct rate *rt, struct str o)
{
	static const struct {
		const char *name;
		enum rate_mode mode;
	} modes[] = {{"per_conn", RATE_CONN}, {"per_mail", RATE_MAIL}, {"per_byte", RATE_BYTE}, {"per_rcpt", RATE_RCPT},
	    {"per_cmd", RATE_CMD}};

	for (size_t i = 0; i < countof(modes); i++)
		if (str_eqc(o, modes[i].name))
			return set_mode(rt, modes[i].mode) ? 1 : -1;
	if (str_eqc(o, "per_addr")) {
		const struct addr_view *v = acl_view(r);

		rt->unique = str_cat(r->ev->lx.arena, v->local_part, STR("@"), v->domain);
		if (!set_mode(rt, RATE_RCPT))
			return -1;
		return r->f->where == ACL_RCPT || rt->update == UPDATE_READONLY ? 1 : -4;
	}
	if (str_eqc(o, "strict"))
		return set_update(rt, UPDATE_STRICT) ? 1 : -2;
	if (str_eqc(o, "leaky"))
		return set_update(rt, UPDATE_LEAKY) ? 1 : -2;
	if (str_eqc(o, "readonly") || str_eqc(o, "noupdate"))
		return set_update(rt, UPDATE_READONLY) ? 1 : -2;
	if (str_starts(o, "unique=")) {
		rt->unique = str_from(o, 7);
		return 1;
	}
	if (str_starts(o, "count=")) {
		rt->count_set = true;
		return number(str_from(o, 6), &rt->count) ? 1 : -3;
	}
	return 0;
}

/* Where each mode counts (44.20.1); elsewhere it only reads. */
static bool mode_counts_here(const struct acl_run *r, const struct rate *rt)
{
	static const uint32_t with_message = ACL_W(MAIL) | ACL_W(RCPT) | ACL_W(PREDATA) | ACL_W(MIME) | ACL_W(DKIM) | ACL_W(DATA) |
	    ACL_W(PRDR) | ACL_W(NOT_SMTP) | ACL_W(NOT_SMTP_START) | ACL_W(NOT_SMTP_MIME);
	uint32_t here = 1u << r->f->where;

	switch (rt->mode) {
	case RATE_DEFAULT:
	case RATE_MAIL:
	case RATE_BYTE: return here & with_message;
	case RATE_RCPT: return here & with_message & ~ACL_W(MAIL);
	case RATE_CONN: return !(here & (ACL_W(NOT_SMTP) | ACL_W(NOT_SMTP_START) | ACL_W(NOT_SMTP_MIME)));
	case RATE_CMD: break;
	}
	return true;
}

static enum acl_verdict bad_option(struct acl_run *r, int code, struct str o)
{
	switch (code) {
	case -1: return BAD(r, "conflicting per_* options");
	case -2: return BAD(r, "conflicting update modes");
	case -3: return BAD(r, "\"%.*s\" is not a positive number", STR_ARG(o));
	}
	return BAD(r, "\"per_rcpt\" must not have /leaky or /strict option, or cannot be used in %s ACL", acl_where_name(r->f->where));
}

static enum acl_verdict parse(struct acl_run *r, struct str arg, struct rate *rt)
{
	struct arena *a = r->ev->lx.arena;
	struct str o;
	int code;

	if (!acl_slash_next(a, &arg, &rt->text))
		rt->text = STR("");
	if (!number(rt->text, &rt->limit) || str_empty(rt->text))
		return BAD(r, "\"%.*s\" is not a positive number", STR_ARG(rt->text));
	if (!acl_slash_next(a, &arg, &rt->period_text))
		return BAD(r, "\"NULL\" is not a time value");
	rt->period = (double)interval_parse(rt->period_text);
	if (rt->period <= 0)
		return BAD(r, "\"%.*s\" is not a time value", STR_ARG(rt->period_text));
	while (acl_slash_next(a, &arg, &o)) {
		code = option(r, rt, o);
		if (code < 0)
			return bad_option(r, code, o);
		if (code == 0) { /* the key: all that is left, slashes included */
			rt->key = str_is_set(arg) ? str_cat(a, o, STR("/"), arg) : o;
			break;
		}
	}
	if (!mode_counts_here(r, rt)) {
		if (rt->update == UPDATE_LEAKY || rt->update == UPDATE_STRICT)
			return BAD(r, "\"%s\" must not have /leaky or /strict option, or cannot be used in %s ACL", mode_names[rt->mode],
			    acl_where_name(r->f->where));
		rt->update = UPDATE_READONLY;
	}
	return ACL_OK;
}

/* What one event adds, and the name it is kept under. */
static void complete(struct acl_run *r, struct rate *rt)
{
	const struct lookup_context *lx = &r->ev->lx;

	if (!rt->count_set)
		rt->count = 1;
	if (rt->mode == RATE_RCPT && r->f->where != ACL_RCPT)
		rt->count *= r->f->recipients_count;
	if (rt->mode == RATE_BYTE && !rt->count_set)
		rt->count = lx->message && lx->message->size > 0 ? (double)lx->message->size : 0;
	if (!str_is_set(rt->key))
		rt->key = lx->peer && str_is_set(lx->peer->host_address) ? lx->peer->host_address : STR("");
	rt->db_key = str_printf(lx->arena, "%.*s/%s/%s%.*s", STR_ARG(rt->period_text), mode_names[rt->mode],
	    str_is_set(rt->unique) ? "unique/" : "", STR_ARG(rt->key));
}

struct stored {
	double at, rate;
	double epoch;
	struct str seen; /* the hashes, each with a blank in front */
};

static uint64_t stable_hash(struct str s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: the same in every process */

	for (uint32_t i = 0; i < s.len; i++)
		h = (h ^ (unsigned char)s.p[i]) * UINT64_C(0x100000001b3);
	return h;
}

static bool stored_read(struct arena *a, struct str old, struct stored *ret)
{
	char *p = str_cstr(a, old), *end;

	*ret = (struct stored){0};
	if (!str_is_set(old))
		return false;
	ret->at = strtod(p, &end);
	if (*end != ' ')
		return false;
	ret->rate = strtod(end, &end);
	if (*end == ' ')
		ret->epoch = strtod(end, &end);
	if (*end == ' ')
		ret->seen = str_c(end);
	return isfinite(ret->rate) && isfinite(ret->at) && (*end == ' ' || *end == 0);
}

/* Does the event count, or was it seen? Adds it to the set when it did not. */
static bool unique_event(struct arena *a, struct rate *rt, struct stored *s, double now)
{
	char word[20];
	struct str hash;

	if (s->epoch == 0 || now - s->epoch > rt->period || s->seen.len / 17 >= UNIQUE_MAX) {
		s->epoch = now;
		s->seen = STR("");
	}
	snprintf(word, sizeof word, " %016llx", (unsigned long long)stable_hash(rt->unique));
	hash = str_c(word);
	if (str_find(s->seen, hash) >= 0)
		return false;
	s->seen = str_cat(a, s->seen, str_dup(a, hash));
	return true;
}

static bool update(void *arg, struct arena *a, struct str old, struct str *ret_new)
{
	struct rate *rt = arg;
	double now = (double)rt->now_us / 1e6, count = rt->count;
	struct stored s;
	bool known = stored_read(a, old, &s);

	if (known && rt->update == UPDATE_READONLY) {
		count = 0;
	} else if (str_is_set(rt->unique) && rt->update != UPDATE_READONLY && !unique_event(a, rt, &s, now)) {
		count = 0;
	}
	if (!known) {
		rt->result = rt->update == UPDATE_READONLY ? 0 : count;
	} else {
		double t = (now - s.at) / rt->period, decay;

		if (t < 1e-9)
			t = 1e-9;
		decay = exp(-t);
		rt->result = count * (1 - decay) / t + s.rate * decay;
		/* After a long silence one event is worth itself, not next to nothing. */
		if (rt->result < count)
			rt->result = count;
	}
	if (rt->update == UPDATE_READONLY || (rt->update != UPDATE_STRICT && rt->result >= rt->limit))
		return false;
	*ret_new = str_is_set(rt->unique)
	    ? str_printf(a, "%.6f %.17g %.6f%.*s", now, rt->result, s.epoch, STR_ARG(s.seen))
	    : str_printf(a, "%.6f %.17g", now, rt->result);
	return true;
}

static void keep_result(struct map *m, struct arena *a, const struct rate *rt)
{
	acl_keep(m, a, rt->db_key, str_printf(a, "%.17g", rt->result));
}

/* The map in which results of this mode stand, and its arena. */
static struct map *anchor(struct acl_run *r, const struct rate *rt, struct arena **ret)
{
	struct acl_frame *f = r->f;

	if (rt->mode == RATE_CONN) {
		*ret = f->conn->arena;
		return &f->conn->rates;
	}
	if (rt->mode == RATE_CMD || (rt->mode == RATE_RCPT && f->where == ACL_RCPT)) {
		*ret = r->ev->lx.arena;
		if (!f->command_rates.arena)
			map_init(&f->command_rates, r->ev->lx.arena, false);
		return &f->command_rates;
	}
	*ret = f->tx->arena;
	return &f->tx->rates;
}

ACL_COND(ratelimit)
{
	struct rate rt = {.mode = RATE_DEFAULT};
	struct env *env = r->ev->lx.env;
	struct arena *a;
	struct map *m;
	const struct str *before;
	enum acl_verdict v = parse(r, arg, &rt);

	(void)c;
	if (v != ACL_OK)
		return v;
	complete(r, &rt);
	m = anchor(r, &rt, &a);
	before = map_get(m, rt.db_key);
	if (before) {
		rt.result = strtod(str_cstr(r->ev->lx.arena, *before), NULL);
	} else {
		rt.now_us = clock_us(&env->clock);
		if (!env->hints || hints_update(env->hints, "ratelimit", rt.db_key, update, &rt) != ST_OK)
			return acl_fault(r, ACL_DEFER, "ratelimit database not available");
		if (rt.update != UPDATE_READONLY)
			keep_result(m, a, &rt);
	}
	r->f->sender_rate = str_printf(r->ev->lx.arena, "%.1f", rt.result);
	r->f->sender_rate_limit = rt.text;
	r->f->sender_rate_period = rt.period_text;
	return rt.result < rt.limit ? ACL_FAIL : ACL_OK;
}
