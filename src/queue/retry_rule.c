/* SPDX-License-Identifier: Apache-2.0
 * Retry rules: parsing, matching, next try times (manual 32.2 to 32.7). */
#include "queue/retry_rule.h"

#include <errno.h>

#include "base/limits.h"
#include "base/rd.h"
#include "base/strbuf.h"

#include "base/banned.h"

/* How a rule's error is compared. */
enum error_kind {
	ERROR_ANY,
	ERROR_PLAIN,     /* basic_errno alone */
	ERROR_HOST,      /* and the low byte of more_errno, when the rule has one */
	ERROR_CONNECT,   /* timeout while connecting, and the low byte when the rule has one */
	ERROR_CODE,      /* 4xx: digits of (more_errno >> 8) & 255 */
	ERROR_QUOTA      /* more_errno: at least so many seconds not read */
};
enum { ANY_DIGIT = 0xff, MAX_SETS = 100 };

static const struct {
	const char *name;
	enum error_kind kind;
	int basic_errno;
} plain_errors[] = {
    {"auth_failed", ERROR_PLAIN, DERR_AUTHFAIL},
    {"lookup", ERROR_PLAIN, DERR_DNSDEFER},
    {"lost_connection", ERROR_PLAIN, DERR_SMTPCLOSED},
    {"quota", ERROR_QUOTA, DERR_EXIMQUOTA},
    {"refused", ERROR_HOST, ECONNREFUSED},
    {"timeout", ERROR_HOST, ETIMEDOUT},
    {"timeout_connect", ERROR_CONNECT, ETIMEDOUT},
    {"tls_required", ERROR_PLAIN, DERR_TLSREQUIRED},
};

static bool set_plain(struct retry_rule *r, struct str name)
{
	for (size_t i = 0; i < countof(plain_errors); i++) {
		if (!str_ieqc(name, plain_errors[i].name))
			continue;
		r->kind = plain_errors[i].kind;
		r->basic_errno = plain_errors[i].basic_errno;
		return true;
	}
	return false;
}

/* "rcpt_4xx", "rcpt_45x", "rcpt_452": more_errno is tens << 8 | units, ANY_DIGIT for x. */
static bool set_code(struct retry_rule *r, struct str name, struct why *why)
{
	static const struct {
		const char *prefix;
		int basic_errno;
	} verbs[] = {{"mail_4", DERR_MAIL4XX}, {"rcpt_4", DERR_RCPT4XX}, {"data_4", DERR_DATA4XX}};
	for (size_t i = 0; i < countof(verbs); i++) {
		if (!str_istarts(name, verbs[i].prefix))
			continue;
		struct str digits = str_from(name, 6);
		bool tens = digits.len == 2 && ch_digit((unsigned char)digits.p[0]);
		bool units = digits.len == 2 && ch_digit((unsigned char)digits.p[1]);
		bool shape = digits.len == 2 && (tens || digits.p[0] == 'x') && (units || digits.p[1] == 'x') && (tens || !units);
		if (!shape) {
			why_set(why, false, "%.*s must be followed by xx, dx, or dd, where x is literal and d is any digit",
			    6, name.p);
			return false;
		}
		r->kind = ERROR_CODE;
		r->basic_errno = verbs[i].basic_errno;
		r->more_errno = (tens ? digits.p[0] - '0' : ANY_DIGIT) << 8 | (units ? digits.p[1] - '0' : ANY_DIGIT);
		return true;
	}
	why_set(why, false, "unknown or malformed retry error \"%.*s\"", STR_ARG(name));
	return false;
}

static bool set_timeout(struct retry_rule *r, struct str name, struct why *why)
{
	struct str rest = str_from(name, 8); /* behind "timeout_" */
	r->kind = ERROR_HOST;
	r->basic_errno = ETIMEDOUT;
	if (str_istarts(rest, "connect_")) {
		r->kind = ERROR_CONNECT;
		rest = str_from(rest, 8);
	}
	/* Exim: timeout_DNS never worked and stands for timeout. */
	if (r->kind == ERROR_HOST && str_ieqc(rest, "DNS"))
		return true;
	if (str_ieqc(rest, "A"))
		r->more_errno = MORE_FROM_A;
	else if (str_ieqc(rest, "MX"))
		r->more_errno = MORE_FROM_MX;
	else {
		why_set(why, false, "\"A\", \"MX\", or \"connect\" expected after \"timeout\"");
		return false;
	}
	return true;
}

static bool set_error(struct retry_rule *r, struct str name, struct why *why)
{
	r->error = name;
	if (str_eqc(name, "*"))
		return true;
	if (set_plain(r, name))
		return true;
	if (str_ieqc(name, "refused_A") || str_ieqc(name, "refused_MX")) {
		r->kind = ERROR_HOST;
		r->basic_errno = ECONNREFUSED;
		r->more_errno = name.len == 9 ? MORE_FROM_A : MORE_FROM_MX;
		return true;
	}
	if (str_istarts(name, "timeout_"))
		return set_timeout(r, name, why);
	if (str_istarts(name, "quota_")) {
		int64_t seconds = interval_parse(str_from(name, 6));
		if (seconds < 0 || seconds > INT32_MAX) {
			why_set(why, false, "bad time value");
			return false;
		}
		r->kind = ERROR_QUOTA;
		r->basic_errno = DERR_EXIMQUOTA;
		r->more_errno = (int)seconds;
		return true;
	}
	return set_code(r, name, why);
}

/* A field that may stand in double quotes, backslashes hiding characters there. */
static struct str take_field(struct arena *a, struct rd *r)
{
	rd_skip_blank(r);
	if (!rd_accept(r, '"'))
		return rd_word(r);
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_CONFIG_LINE);
	while (!rd_done(r)) {
		int c = rd_byte(r);
		if (c == '"')
			break;
		if (c == '\\' && !rd_done(r))
			c = rd_byte(r);
		sb_ch(&sb, (char)c);
	}
	return sb_str(&sb);
}

static bool interval_char(int c)
{
	return ch_alnum(c) || c == '.';
}

/* ",1h": false when the comma or a good value is missing. */
static bool take_comma(struct rd *r, struct why *why)
{
	rd_skip_blank(r);
	if (rd_accept(r, ',')) {
		rd_skip_blank(r);
		return true;
	}
	why_set(why, false, "comma expected");
	return false;
}

/* "1.5" or "2" in thousandths, more digits cut; -1 if it is no number. */
static int32_t take_factor(struct rd *r)
{
	struct str whole = rd_while(r, ch_digit);
	uint64_t v = 0;
	if (!str_uint(whole, 1000000, &v))
		return -1;
	int32_t thousandths = (int32_t)v * 1000, unit = 100;
	if (rd_accept(r, '.')) {
		struct str digits = rd_while(r, ch_digit);
		for (uint32_t i = 0; i < digits.len && unit; i++, unit /= 10)
			thousandths += (digits.p[i] - '0') * unit;
	}
	return thousandths;
}

/* One "letter,cutoff,interval[,factor]". */
static bool take_set(struct rd *r, struct retry_set *s, struct why *why)
{
	int letter = rd_byte(r);
	s->letter = ch_toupper((char)letter);
	if (letter < 0 || !strchr("FGH", s->letter) || s->letter == '\0') {
		why_set(why, false, "unknown retry rule letter");
		return false;
	}
	if (!take_comma(r, why))
		return false;
	s->cutoff = interval_parse(rd_while(r, interval_char));
	if (!take_comma(r, why))
		return false;
	s->interval = interval_parse(rd_while(r, interval_char));
	s->factor = 1000;
	if (s->letter != 'F') {
		if (!take_comma(r, why))
			return false;
		s->factor = take_factor(r);
	}
	/* A growing interval that is zero or does not grow would never pass the one before. */
	bool grows = s->letter == 'F' || s->factor > 1000;
	if (s->cutoff < 0 || s->interval <= 0 || !grows) {
		why_set(why, false, "bad parameters for retry rule");
		return false;
	}
	rd_skip_blank(r);
	if (rd_done(r) || rd_accept(r, ';')) {
		rd_skip_blank(r);
		return true;
	}
	why_set(why, false, "semicolon expected");
	return false;
}

static bool take_sets(struct rd *r, struct arena *a, struct retry_rule *rule, struct why *why)
{
	struct retry_set *set = arena_array_of(a, MAX_SETS, struct retry_set);
	rd_skip_blank(r);
	while (!rd_done(r)) {
		if (rule->sets == MAX_SETS) {
			why_set(why, false, "too many parameter sets in retry rule");
			return false;
		}
		if (!take_set(r, &set[rule->sets], why))
			return false;
		rule->sets++;
	}
	rule->set = arena_dup(a, set, (rule->sets + 1) * sizeof *set);
	return true;
}

/* The pattern is one item of a list: a colon in it separates nothing. */
static struct str one_item(struct arena *a, struct str pattern)
{
	if (str_chr(pattern, ':') < 0)
		return pattern;
	struct strbuf sb;
	sb_init(&sb, a, (size_t)pattern.len * 2 + 1);
	for (uint32_t i = 0; i < pattern.len; i++) {
		if (pattern.p[i] == ':')
			sb_ch(&sb, ':');
		sb_ch(&sb, pattern.p[i]);
	}
	return sb_str(&sb);
}

static bool parse_line(struct str text, struct arena *a, struct retry_rule *rule, struct why *why)
{
	struct rd r = rd_of(str_trim(text));
	rule->text = text;
	rule->shown = take_field(a, &r);
	rule->pattern.text = one_item(a, rule->shown);
	struct str error = rd_word(&r);
	if (error.len == 0) {
		why_set(why, false, "missing error type in retry rule");
		return false;
	}
	if (!set_error(rule, error, why))
		return false;
	rd_skip_blank(&r);
	struct rd here = r;
	if (rd_accept_itext(&here, "senders")) {
		rd_skip_blank(&here);
		if (rd_accept(&here, '=')) {
			rd_skip_blank(&here);
			rule->senders.text = take_field(a, &here);
			r = here;
		}
	}
	return take_sets(&r, a, rule, why);
}

bool retry_rules_parse(const struct config_line *lines, struct arena *a, const struct retry_rules **ret, struct why *why)
{
	struct retry_rules *rules = arena_new_of(a, struct retry_rules);
	struct retry_rule **tail = &rules->first;
	for (const struct config_line *l = lines; l; l = l->next) {
		struct retry_rule *rule = arena_new_of(a, struct retry_rule);
		rule->file = rule->pattern.file = rule->senders.file = l->file;
		rule->line = rule->pattern.line = rule->senders.line = l->line;
		if (!parse_line(l->text, a, rule, why)) {
			why_prefix(why, "Exim configuration error in line %d of %s:\n  ", l->line, l->file ? l->file : "");
			return false;
		}
		*tail = rule;
		tail = &rule->next;
	}
	*ret = rules;
	return true;
}

static bool digit_matches(int want, int have)
{
	return want == ANY_DIGIT || want == have;
}

static bool error_matches(const struct retry_rule *r, const struct retry_failure *f)
{
	int basic = f->basic_errno, more = f->more_errno;
	/* Manual 32.5: quota covers the system's own quota and full partitions too. */
	if (r->kind == ERROR_QUOTA && (basic == EDQUOT || basic == ENOSPC))
		basic = DERR_EXIMQUOTA;
	if (r->kind != ERROR_ANY && basic != r->basic_errno)
		return false;
	bool from = r->more_errno == 0 || (more & 0xff) == r->more_errno;
	int code = (more >> 8) & 0xff;
	switch ((enum error_kind)r->kind) {
	case ERROR_ANY:
	case ERROR_PLAIN: return true;
	case ERROR_HOST: return from;
	case ERROR_CONNECT: return (more & MORE_CONNECT_TIMEOUT) && from;
	case ERROR_CODE: return digit_matches(r->more_errno >> 8, code / 10) && digit_matches(r->more_errno & 0xff, code % 10);
	case ERROR_QUOTA: return more >= r->more_errno;
	}
	return false;
}

/* "*" matches all; a name without local part is one of a domain: "*@domain" (manual 32.3). */
static bool pattern_matches(const struct retry_rule *r, const struct retry_matcher *m, struct arena *a, struct str key)
{
	if (str_eqc(r->pattern.text, "*"))
		return true;
	if (!str_is_set(key))
		return false;
	struct str address = str_rchr(key, '@') >= 0 ? key : str_cat(a, STR("*@"), key);
	return m->in_list(m, &r->pattern, address, false);
}

const struct retry_rule *retry_rule_find(const struct retry_rules *rules, const struct retry_matcher *m, struct arena *a,
    const struct retry_failure *f)
{
	for (const struct retry_rule *r = rules ? rules->first : NULL; r; r = r->next) {
		if (!error_matches(r, f))
			continue;
		if (!pattern_matches(r, m, a, f->key) && !pattern_matches(r, m, a, f->domain))
			continue;
		if (str_is_set(r->senders.text) && (!f->sender_known || !m->in_list(m, &r->senders, f->sender, true)))
			continue;
		return r;
	}
	return NULL;
}

int64_t retry_rule_cutoff(const struct retry_rule *r)
{
	return r->sets ? r->set[r->sets - 1].cutoff : 0;
}

static int64_t grown(int64_t interval, int32_t factor, int64_t max)
{
	int64_t by = interval / 1000 * factor + interval % 1000 * factor / 1000;
	if (by <= interval)
		by = interval + 1; /* 1s * 1.1 is 1s again: it must grow */
	return by > max ? max : by;
}

/* Manual 32.7: until one is greater than the previous interval. */
static int64_t growing(const struct retry_set *s, int64_t previous, int64_t max)
{
	int64_t gap = s->interval > max ? max : s->interval;
	while (gap <= previous && gap < max)
		gap = grown(gap, s->factor, max);
	return gap;
}

static int64_t random_gap(const struct retry_set *s, int64_t previous, int64_t max, uint32_t random)
{
	int64_t least = s->interval > max ? max : s->interval;
	if (previous < least)
		return least;
	int64_t most = grown(previous, s->factor, max);
	return most <= least ? least : least + (int64_t)(random % (uint64_t)(most - least + 1));
}

struct retry_next retry_compute(const struct retry_rule *r, int64_t now, int64_t first_failed, int64_t previous,
    int64_t interval_max, uint32_t random)
{
	struct retry_next next = {.next_try = now, .expired = true};
	const struct retry_set *use = NULL;
	for (size_t i = 0; i < r->sets && !use; i++)
		if (now - first_failed < r->set[i].cutoff)
			use = &r->set[i];
	next.expired = use == NULL;
	if (!use && r->sets)
		use = &r->set[r->sets - 1];
	if (!use)
		return next;
	int64_t gap = use->letter == 'F' ? use->interval
	    : use->letter == 'G'     ? growing(use, previous, interval_max)
				     : random_gap(use, previous, interval_max, random);
	next.next_try = now + (gap > interval_max ? interval_max : gap);
	return next;
}

struct str retry_rule_format(struct arena *a, const struct retry_rule *r)
{
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_CONFIG_LINE);
	sb_add(&sb, r->shown);
	sb_addc(&sb, "  ");
	sb_add(&sb, r->error);
	sb_addc(&sb, "  ");
	for (size_t i = 0; i < r->sets; i++) {
		const struct retry_set *s = &r->set[i];
		sb_printf(&sb, "%c,", s->letter);
		sb_add(&sb, interval_format(a, s->cutoff));
		sb_ch(&sb, ',');
		sb_add(&sb, interval_format(a, s->interval));
		if (s->letter != 'F') {
			/* at least one digit behind the point, no zeros at the end: 1.5, 2.0, 1.567 */
			int f = s->factor % 1000;
			int width = f % 100 == 0 ? 1 : f % 10 == 0 ? 2 : 3;
			int digits = width == 1 ? f / 100 : width == 2 ? f / 10 : f;
			sb_printf(&sb, ",%d.%0*d", s->factor / 1000, width, digits);
		}
		sb_addc(&sb, "; ");
	}
	return sb_str(&sb);
}
