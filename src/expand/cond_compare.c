/* SPDX-License-Identifier: Apache-2.0
 * Conditions that compare strings and numbers, and booleans as text (manual 11.7). */
#include "expand/tree.h"
#include "net/addr.h"
#include "base/banned.h"

/* A number as numeric comparisons read it: sign, decimal digits, K M or G; nothing is zero. */
static enum expand_status get_number(struct eval *ev, struct str s, int64_t *ret)
{
	struct str t = str_trim(s);
	int64_t unit = 1, v;

	if (str_empty(t)) {
		*ret = 0;
		return EXPAND_OK;
	}
	size_t at = t.p[0] == '-' || t.p[0] == '+', from = at;
	while (at < t.len && ch_digit(t.p[at]))
		at++;
	if (at == from)
		return expand_fail(ev, "integer expected but \"%.*s\" found", STR_ARG(s));
	struct str digits = str_sub(t, t.p[0] == '+', at - (t.p[0] == '+'));
	if (at < t.len) {
		char c = ch_tolower(t.p[at]);
		if (at + 1 != t.len || (c != 'k' && c != 'm' && c != 'g'))
			return expand_fail(ev, "invalid integer \"%.*s\"", STR_ARG(s));
		unit = c == 'k' ? 1 << 10 : c == 'm' ? 1 << 20 : 1 << 30;
	}
	if (!str_int(digits, &v) || __builtin_mul_overflow(v, unit, ret))
		return expand_fail(ev, "absolute value of integer \"%.*s\" is too large (overflow)", STR_ARG(s));
	return EXPAND_OK;
}

static enum expand_status test_number(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	int64_t a, b;
	enum expand_status st = get_number(ev, arg[0], &a);

	if (st == EXPAND_OK)
		st = get_number(ev, arg[1], &b);
	if (st != EXPAND_OK)
		return st;
	if (n->name.p[0] == '=')
		*ret = a == b;
	else if (n->name.p[0] == '<')
		*ret = n->name.len == 2 ? a <= b : a < b;
	else
		*ret = n->name.len == 2 ? a >= b : a > b;
	return EXPAND_OK;
}

static enum expand_status test_text(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	bool fold = n->name.len == 3;
	int c = fold ? str_icmp(arg[0], arg[1]) : str_cmp(arg[0], arg[1]);

	switch (n->name.p[0]) {
	case 'e': *ret = c == 0; break;
	case 'l': *ret = n->name.p[1] == 'e' ? c <= 0 : c < 0; break;
	default: *ret = n->name.p[1] == 'e' ? c >= 0 : c > 0; break;
	}
	return EXPAND_OK;
}

static enum expand_status test_bool(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	struct str s = str_trim(arg[0]);
	size_t at = s.len > 0 && s.p[0] == '-';
	bool number = at < s.len, nonzero = false;

	for (; at < s.len; at++) {
		number = number && ch_digit(s.p[at]);
		nonzero = nonzero || s.p[at] != '0';
	}
	if (str_empty(s) || str_ieqc(s, "false") || str_ieqc(s, "no"))
		*ret = false;
	else if (str_ieqc(s, "true") || str_ieqc(s, "yes"))
		*ret = true;
	else if (number)
		*ret = nonzero;
	else
		return expand_fail(ev, "unrecognised boolean value \"%.*s\"", STR_ARG(s));
	return EXPAND_OK;
}

static enum expand_status test_bool_lax(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	return xtruth(ev, arg[0], ret);
}

static enum expand_status test_isip(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	struct str s = arg[0];
	struct ip_addr ip;

	ptrdiff_t zone = str_chr(s, '%');
	if (zone >= 0 && str_chr(s, ':') >= 0 && (size_t)zone + 1 < s.len)
		s = str_sub(s, 0, (size_t)zone);
	*ret = ip_parse(s, &ip);
	if (*ret && str_eqc(n->name, "isip4"))
		*ret = ip.family == AF_INET;
	if (*ret && str_eqc(n->name, "isip6"))
		*ret = ip.family == AF_INET6;
	return EXPAND_OK;
}

#define NUMBER(n) {.name = (n), .min_args = 2, .max_args = 2, .test = test_number}
#define TEXT(n) {.name = (n), .min_args = 2, .max_args = 2, .test = test_text}
const struct expand_condition_row cond_compare[] = {
    NUMBER("="), NUMBER("=="), NUMBER("<"), NUMBER("<="), NUMBER(">"), NUMBER(">="),
    TEXT("eq"), TEXT("eqi"), TEXT("lt"), TEXT("lti"), TEXT("le"), TEXT("lei"),
    TEXT("gt"), TEXT("gti"), TEXT("ge"), TEXT("gei"),
    {.name = "bool", .min_args = 1, .max_args = 1, .test = test_bool},
    {.name = "bool_lax", .min_args = 1, .max_args = 1, .test = test_bool_lax},
    {.name = "isip", .min_args = 1, .max_args = 1, .test = test_isip},
    {.name = "isip4", .min_args = 1, .max_args = 1, .test = test_isip},
    {.name = "isip6", .min_args = 1, .max_args = 1, .test = test_isip},
    {0},
};
