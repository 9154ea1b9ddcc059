/* SPDX-License-Identifier: Apache-2.0
 * Retry records and the decisions from them (manual 32.9 to 32.11). */
#include "queue/retry_db.h"

#include "base/limits.h"
#include "base/rd.h"
#include "base/strbuf.h"

#include "base/banned.h"

static const char db[] = "retry";
enum { TEXT_MAX = 2048 };

/* Domains are folded; local parts are as they are (the router decides about their case before). */
static struct str fold_domain(struct arena *a, struct str address)
{
	ptrdiff_t at = str_rchr(address, '@');
	if (at < 0)
		return str_lower(a, address);
	return str_cat(a, str_sub(address, 0, (size_t)at), str_lower(a, str_from(address, (size_t)at)));
}

struct str retry_key_routing(struct arena *a, struct str address_or_domain)
{
	return str_cat(a, STR("R:"), fold_domain(a, address_or_domain));
}

struct str retry_key_rcpt(struct arena *a, struct str address, struct str sender, bool include_sender)
{
	struct str folded = fold_domain(a, address);
	if (!include_sender)
		return str_cat(a, STR("R:"), folded);
	return str_cat(a, STR("R:"), folded, STR(":<"), sender, STR(">"));
}

struct str retry_key_local(struct arena *a, struct str address)
{
	return str_cat(a, STR("T:"), fold_domain(a, address));
}

struct str retry_key_host(struct arena *a, struct str name, struct str ip, int port, struct str message_id)
{
	struct strbuf sb;
	sb_init(&sb, a, 2048);
	sb_addc(&sb, "T:");
	bool literal = str_ieq(name, ip); /* Exim: "[1.2.3.4]" where the host has no other name */
	if (literal)
		sb_ch(&sb, '[');
	sb_add(&sb, str_lower(a, name));
	if (literal)
		sb_ch(&sb, ']');
	if (ip.len) {
		sb_ch(&sb, ':');
		sb_add(&sb, ip);
	}
	if (port && port != 25)
		sb_printf(&sb, ":%d", port);
	if (message_id.len) {
		sb_ch(&sb, ':');
		sb_add(&sb, message_id);
	}
	return sb_str(&sb);
}

struct str retry_record_format(struct arena *a, const struct retry_record *r)
{
	struct str text = str_sub(r->text, 0, TEXT_MAX);
	return str_cat(a,
	    str_printf(a, "1 %lld %d %d %lld %lld %lld %d\n", (long long)r->stamp, r->basic_errno, r->more_errno,
	        (long long)r->first_failed, (long long)r->last_try, (long long)r->next_try, r->expired),
	    text);
}

bool retry_record_parse(struct str value, struct retry_record *ret)
{
	struct rd r = rd_of(value);
	int64_t v[8];
	for (size_t i = 0; i < countof(v); i++) {
		struct str word = rd_until_any(&r, " \n");
		if (!str_int(word, &v[i]) || !rd_accept(&r, i + 1 < countof(v) ? ' ' : '\n'))
			return false;
	}
	bool small = v[2] >= INT32_MIN && v[2] <= INT32_MAX && v[3] >= INT32_MIN && v[3] <= INT32_MAX;
	if (v[0] != 1 || !small || v[7] < 0 || v[7] > 1)
		return false;
	for (size_t i = 1; i < 7; i++)
		if (i != 2 && i != 3 && (v[i] < 0 || v[i] > INT64_MAX / 4))
			return false;
	*ret = (struct retry_record){.stamp = v[1],
	    .basic_errno = (int)v[2],
	    .more_errno = (int)v[3],
	    .first_failed = v[4],
	    .last_try = v[5],
	    .next_try = v[6],
	    .expired = v[7] != 0,
	    .text = str_tainted(rd_rest(&r))};
	return true;
}

bool retry_read(const struct retry_moment *m, struct str key, struct retry_record *ret)
{
	struct str value;
	struct retry_record r;
	if (!m->hints || !key.len || !hints_get(m->hints, db, key, m->arena, &value) || !retry_record_parse(value, &r))
		return false;
	if (m->data_expire > 0 && m->now - r.stamp > m->data_expire)
		return false;
	*ret = r;
	return true;
}

/* Manual 32.11: longer on the queue than the cutoff of the rule that applies. */
static bool outlived(const struct retry_moment *m, const struct retry_failure *what, const struct retry_record *r)
{
	struct retry_failure f = *what;
	f.basic_errno = r->basic_errno;
	f.more_errno = r->more_errno;
	const struct retry_rule *rule = retry_rule_find(m->rules, m->matcher, m->arena, &f);
	return rule && m->now - m->arrived > retry_rule_cutoff(rule);
}

enum retry_due retry_check_address(const struct retry_moment *m, struct str key, const struct retry_failure *what, struct retry_record *ret)
{
	struct retry_record r;
	if (m->forced || !retry_read(m, key, &r))
		return RETRY_DUE;
	if (ret)
		*ret = r;
	/* "For local deliveries, one delivery attempt is always made for any subsequent messages." */
	if (m->now >= r.next_try || r.expired || !m->queue_run)
		return RETRY_DUE;
	return outlived(m, what, &r) ? RETRY_DUE : RETRY_NOT_YET;
}

/* One record of a host. */
static enum retry_due check_one(const struct retry_moment *m, struct str key, const struct retry_failure *what, struct retry_record *ret)
{
	struct retry_record r;
	if (!retry_read(m, key, &r))
		return RETRY_DUE;
	if (ret)
		*ret = r;
	if (m->now >= r.next_try)
		return RETRY_DUE;
	if (r.expired) {
		if (m->delay_after_cutoff)
			return RETRY_PAST_CUTOFF;
		/* "tries those IP addresses that have not been tried since the message arrived" */
		return r.last_try < m->arrived ? RETRY_DUE : RETRY_PAST_CUTOFF;
	}
	return outlived(m, what, &r) ? RETRY_DUE : RETRY_NOT_YET;
}

enum retry_due retry_check_host(const struct retry_moment *m, struct str host_key, struct str message_key,
    const struct retry_failure *what, struct retry_record *ret)
{
	if (m->forced)
		return RETRY_DUE;
	enum retry_due due = check_one(m, host_key, what, ret);
	return due == RETRY_DUE ? check_one(m, message_key, what, ret) : due;
}

/* The interval that led to the last try's successor: how far next_try lay ahead. */
static int64_t previous_interval(const struct retry_record *r)
{
	return r->next_try > r->last_try ? r->next_try - r->last_try : 0;
}

struct retry_outcome retry_note_failure(const struct retry_moment *m, struct str key, const struct retry_failure *f, struct str text,
    bool message_error)
{
	struct retry_outcome out = {.rule_found = false};
	const struct retry_rule *rule = retry_rule_find(m->rules, m->matcher, m->arena, f);
	if (!rule || rule->sets == 0)
		return out;
	struct retry_record r = {.first_failed = m->now};
	int64_t previous = retry_read(m, key, &r) ? previous_interval(&r) : 0;
	int64_t since = message_error && m->arrived < r.first_failed ? m->arrived : r.first_failed;
	struct retry_next next = retry_compute(rule, m->now, since, previous, m->interval_max, m->random);
	out = (struct retry_outcome){.rule_found = true, .expired = next.expired, .next_try = next.next_try};
	out.outlived = m->now - m->arrived > retry_rule_cutoff(rule);
	if (out.outlived && !next.expired)
		return out; /* other messages for it are considered at once: no new time */
	r.stamp = r.last_try = m->now;
	r.next_try = next.next_try;
	r.expired = next.expired;
	r.basic_errno = f->basic_errno;
	r.more_errno = f->more_errno;
	r.text = text;
	/* A hint that cannot be written is one that is forgotten: the next try comes sooner. */
	if (m->hints && hints_put(m->hints, db, key, retry_record_format(m->arena, &r)) != ST_OK)
		out.next_try = m->now;
	return out;
}

void retry_note_success(const struct retry_moment *m, struct str key)
{
	struct retry_record r;
	if (m->hints && retry_read(m, key, &r)) {
		enum status st = hints_del(m->hints, db, key);
		(void)st; /* as above */
	}
}
