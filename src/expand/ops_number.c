/* SPDX-License-Identifier: Apache-2.0
 * Operators on numbers: eval, eval10, base32, base62, time intervals, randint (manual 11.6).
 * Arithmetic is in 64 bits; what C leaves undefined is an error or wraps as the manual's
 * examples have it. */
#include "expand/tree.h"
#include "expand/text.h"
#include "base/limits.h"
#include "base/banned.h"

#define OP(fn) static enum expand_status fn(struct eval *ev, struct str params, struct str s, struct strbuf *out)

struct calc {
	const char *start, *p, *end;
	bool decimal;
	int depth;
	const char *error;
};

static void blanks(struct calc *c)
{
	while (c->p < c->end && ch_space(*c->p))
		c->p++;
}

static bool next_is(struct calc *c, char ch)
{
	blanks(c);
	return c->p < c->end && *c->p == ch;
}

static int64_t fail(struct calc *c, const char *text)
{
	if (!c->error)
		c->error = text;
	return 0;
}

static int64_t expr_or(struct calc *c);

static int digit_of(char ch)
{
	ch = ch_tolower(ch);
	return ch_digit(ch) ? ch - '0' : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : 99;
}

static int64_t number(struct calc *c)
{
	int base = 10;
	int64_t v = 0;

	if (!c->decimal && *c->p == '0') {
		base = 8;
		if (c->p + 2 < c->end && ch_tolower(c->p[1]) == 'x' && ch_xdigit(c->p[2])) {
			base = 16;
			c->p += 2;
		}
	}
	while (c->p < c->end && digit_of(*c->p) < base) {
		if (__builtin_mul_overflow(v, (int64_t)base, &v) || __builtin_add_overflow(v, (int64_t)digit_of(*c->p), &v))
			v = INT64_MAX;
		c->p++;
	}
	if (c->p < c->end) {
		char u = ch_tolower(*c->p);
		int shift = u == 'k' ? 10 : u == 'm' ? 20 : u == 'g' ? 30 : 0;
		if (shift) {
			v = (int64_t)((uint64_t)v << shift);
			c->p++;
		}
	}
	return v;
}

static int64_t expr_unary(struct calc *c)
{
	if (++c->depth > 2 * LIMIT_EXPANSION_DEPTH)
		return fail(c, "expression too complicated");
	blanks(c);
	int64_t v = 0;
	if (c->p == c->end) {
		fail(c, "expecting number or opening parenthesis");
	} else if (*c->p == '-' || *c->p == '~' || *c->p == '+') {
		char op = *c->p++;
		v = expr_unary(c);
		if (op == '-')
			v = (int64_t)(0 - (uint64_t)v);
		else if (op == '~')
			v = ~v;
	} else if (ch_digit(*c->p)) {
		v = number(c);
	} else if (*c->p == '(') {
		c->p++;
		v = expr_or(c);
		if (!c->error) {
			if (next_is(c, ')'))
				c->p++;
			else
				fail(c, "expecting closing parenthesis");
		}
	} else {
		fail(c, "expecting number or opening parenthesis");
	}
	c->depth--;
	return v;
}

static int64_t expr_mult(struct calc *c)
{
	int64_t v = expr_unary(c);

	while (!c->error && (next_is(c, '*') || next_is(c, '/') || next_is(c, '%'))) {
		char op = *c->p++;
		int64_t w = expr_unary(c);
		if (c->error)
			break;
		if (op == '*')
			v = (int64_t)((uint64_t)v * (uint64_t)w);
		else if (w == 0)
			fail(c, op == '/' ? "divide by zero" : "modulo by zero");
		else if (w == -1) /* the least number has no negative */
			v = op == '%' ? 0 : v == INT64_MIN ? INT64_MAX : -v;
		else
			v = op == '/' ? v / w : v % w;
	}
	return v;
}

static int64_t expr_sum(struct calc *c)
{
	int64_t v = expr_mult(c);

	while (!c->error && (next_is(c, '+') || next_is(c, '-'))) {
		char op = *c->p++;
		int64_t w = expr_mult(c);
		if (c->error)
			break;
		if (op == '+' ? __builtin_add_overflow(v, w, &v) : __builtin_sub_overflow(v, w, &v))
			fail(c, op == '+' ? "overflow in sum" : "overflow in difference");
	}
	return v;
}

static int64_t expr_shift(struct calc *c)
{
	int64_t v = expr_sum(c);

	while (!c->error && (next_is(c, '<') || next_is(c, '>')) && c->p + 1 < c->end && c->p[1] == *c->p) {
		char op = *c->p;
		c->p += 2;
		int64_t w = expr_sum(c);
		v = op == '<' ? (int64_t)((uint64_t)v << (w & 63)) : v >> (w & 63);
	}
	return v;
}

static int64_t expr_and(struct calc *c)
{
	int64_t v = expr_shift(c);

	while (!c->error && next_is(c, '&')) {
		c->p++;
		v &= expr_shift(c);
	}
	return v;
}

static int64_t expr_xor(struct calc *c)
{
	int64_t v = expr_and(c);

	while (!c->error && next_is(c, '^')) {
		c->p++;
		v ^= expr_and(c);
	}
	return v;
}

static int64_t expr_or(struct calc *c)
{
	int64_t v = expr_xor(c);

	while (!c->error && next_is(c, '|')) {
		c->p++;
		v |= expr_xor(c);
	}
	return v;
}

static enum expand_status calculate(struct eval *ev, struct str s, bool decimal, struct strbuf *out)
{
	struct calc c = {.start = s.p, .p = s.p, .end = s.p + s.len, .decimal = decimal};
	int64_t v = expr_or(&c);

	blanks(&c);
	if (!c.error && c.p < c.end)
		c.error = "expecting operator";
	if (c.error)
		return expand_fail(ev, "error in expression evaluation: %s (after processing \"%.*s\")", c.error,
		    (int)(c.p - c.start), c.start);
	sb_printf(out, "%lld", (long long)v);
	return EXPAND_OK;
}

OP(op_eval) { return calculate(ev, s, false, out); }
OP(op_eval10) { return calculate(ev, s, true, out); }

static const char base62[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
static const char base32[] = "abcdefghijklmnopqrstuvwxyz234567";

static enum expand_status encode(struct eval *ev, const char *name, const char *alphabet, unsigned base, unsigned width,
    struct str s, struct strbuf *out)
{
	uint64_t v = 0;
	char buf[65];
	size_t at = sizeof buf;

	for (uint32_t i = 0; i < s.len; i++) {
		if (!ch_digit(s.p[i]))
			return expand_fail(ev, "argument for %s operator is \"%.*s\", which is not a decimal number", name, STR_ARG(s));
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	while (v) {
		buf[--at] = alphabet[v % base];
		v /= base;
	}
	while (sizeof buf - at < width)
		buf[--at] = alphabet[0];
	sb_addn(out, buf + at, sizeof buf - at);
	return EXPAND_OK;
}

static enum expand_status decode(struct eval *ev, unsigned base, const char *alphabet, struct str s, struct strbuf *out)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		const char *at = s.p[i] ? strchr(alphabet, s.p[i]) : NULL;
		if (!at)
			return expand_fail(ev, "argument for base%ud operator is \"%.*s\", which is not a base %u number", base, STR_ARG(s), base);
		v = v * base + (uint64_t)(at - alphabet);
	}
	sb_printf(out, "%llu", (unsigned long long)v);
	return EXPAND_OK;
}

OP(op_base62) { return encode(ev, "base62", base62, 62, 6, s, out); }
OP(op_base32) { return encode(ev, "base32", base32, 32, 0, s, out); }
OP(op_base62d) { return decode(ev, 62, base62, s, out); }
OP(op_base32d) { return decode(ev, 32, base32, s, out); }

OP(op_time_eval)
{
	int64_t v = str_empty(s) || ch_digit(s.p[s.len - 1]) ? -1 : interval_parse(s);

	if (v < 0)
		return expand_fail(ev, "string \"%.*s\" is not an Exim time interval in \"time_eval\" operator", STR_ARG(s));
	sb_printf(out, "%lld", (long long)v);
	return EXPAND_OK;
}

OP(op_time_interval)
{
	uint64_t v = 0;

	if (s.len && !str_uint(s, UINT64_MAX / 2, &v))
		return expand_fail(ev, "string \"%.*s\" is not a positive number in \"time_interval\" operator", STR_ARG(s));
	sb_add(out, interval_format(ev->lx.arena, (int64_t)v));
	return EXPAND_OK;
}

OP(op_randint)
{
	struct str t = str_trim(s);
	int64_t max;

	if (!str_int(str_empty(t) ? STR("0") : t, &max))
		return expand_fail(ev, "integer expected but \"%.*s\" found", STR_ARG(s));
	uint64_t r = ev->lx.env->random(ev->lx.env);
	sb_printf(out, "%llu", max > 0 ? (unsigned long long)(r % (uint64_t)max) : 0ULL);
	return EXPAND_OK;
}

const struct expand_operator ops_number[] = {
    {.name = "eval", .run = op_eval},
    {.name = "eval10", .run = op_eval10},
    {.name = "base32", .run = op_base32},
    {.name = "base32d", .run = op_base32d},
    {.name = "base62", .run = op_base62},
    {.name = "base62d", .run = op_base62d},
    {.name = "time_eval", .run = op_time_eval},
    {.name = "time_interval", .run = op_time_interval},
    {.name = "randint", .run = op_randint},
    {0},
};
