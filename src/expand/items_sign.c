/* SPDX-License-Identifier: Apache-2.0
 * Signed addresses: ${prvs and ${prvscheck (manual 11.5, 44.27; BATV). The tag is one digit of
 * key number, three of the day it ends (modulo 1000) and six of HMAC-SHA1. */
#include "expand/tree.h"
#include "expand/text.h"
#include "message/address.h"
#include <openssl/hmac.h>
#include "base/banned.h"

enum { PRVS_DAYS = 7 };

/* The six digits: of key number, day and address. */
static struct str prvs_hash(struct eval *ev, struct str secret, char keynum, struct str day, struct str address)
{
	unsigned char md[64];
	unsigned len = 0;
	struct strbuf sb;
	struct str text = str_printf(ev->lx.arena, "%c%.*s%.*s", keynum, STR_ARG(day), STR_ARG(address));

	sb_init(&sb, ev->lx.arena, 64);
	if (!HMAC(EVP_sha1(), secret.p, (int)secret.len, (const unsigned char *)text.p, text.len, md, &len))
		return STR_NONE;
	text_hex(&sb, md, 3, true);
	return sb_str(&sb);
}

static int today(struct eval *ev)
{
	return (int)(clock_s(&ev->lx.env->clock) / 86400 % 1000);
}

static enum expand_status run_prvs(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	ptrdiff_t at = str_rchr(arg[0], '@');
	char key = '0';

	if (at < 0)
		return expand_fail(ev, "prvs first argument must be a qualified email address");
	if (args > 2 && (arg[2].len != 1 || !ch_digit(arg[2].p[0])))
		return expand_fail(ev, "prvs third argument must be a single digit");
	if (args > 2)
		key = arg[2].p[0];
	struct str day = str_printf(ev->lx.arena, "%03d", (today(ev) + PRVS_DAYS) % 1000);
	struct str hash = prvs_hash(ev, arg[1], key, day, arg[0]);
	if (!hash.p)
		return expand_fail(ev, "prvs hmac-sha1 conversion failed");
	out->taint |= arg[0].taint;
	sb_printf(out, "prvs=%c%.*s%.*s=%.*s", key, STR_ARG(day), STR_ARG(hash), STR_ARG(arg[0]));
	return EXPAND_OK;
}

static void parse_prvscheck(struct xparser *x, struct xnode *n)
{
	if (!xparse_args(x, n, 1, 1, false))
		return;
	n->late = true;
	if (!xparse_take(x, '{')) {
		xparse_error(x, "Not enough arguments for 'prvscheck' (min is 2)");
		return;
	}
	n->arg[n->args++] = xparse_braced(x);
	xparse_space(x);
	if (!x->failed && xparse_take(x, '{'))
		n->arg[n->args++] = xparse_braced(x);
	xparse_space(x);
	if (!x->failed && !xparse_take(x, '}'))
		xparse_error(x, "missing '}' after 'prvscheck'");
}

/* "prvs=KDDDHHHHHH=local@domain" */
static bool split_prvs(struct str s, char *key, struct str *day, struct str *hash, struct str *local, struct str *domain)
{
	struct rd r = rd_of(s);

	if (!rd_accept_itext(&r, "prvs="))
		return false;
	struct str k = rd_take(&r, 1);
	*day = rd_take(&r, 3);
	*hash = rd_take(&r, 6);
	rd_expect(&r, '=');
	if (r.bad || !ch_digit(k.p[0]))
		return false;
	*key = k.p[0];
	for (uint32_t i = 0; i < 3; i++)
		if (!ch_digit(day->p[i]))
			return false;
	for (uint32_t i = 0; i < 6; i++)
		if (!ch_xdigit(hash->p[i]))
			return false;
	struct str rest = rd_rest(&r);
	ptrdiff_t at = str_rchr(rest, '@');
	if (at < 1)
		return false;
	*local = str_sub(rest, 0, (size_t)at);
	*domain = str_from(rest, (size_t)at + 1);
	return true;
}

static enum expand_status run_prvscheck(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str address, day, hash, local, domain, secret, third = STR_NONE;
	char key;
	enum expand_status st = expand_arg(ev, n, 0, &address);

	if (st != EXPAND_OK)
		return st;
	ev->prvs_result = STR_NONE;
	if (!split_prvs(address, &key, &day, &hash, &local, &domain)) {
		for (unsigned i = 1; i < n->args; i++)
			if ((st = xskip(ev, n, n->arg[i])) != EXPAND_OK)
				return st;
		return EXPAND_OK;
	}
	struct str plain = str_printf(ev->lx.arena, "%.*s@%.*s", STR_ARG(local), STR_ARG(domain));
	plain.taint = address.taint;
	ev->prvs_address = plain;
	ev->prvs_keynum = str_printf(ev->lx.arena, "%c", key);
	st = expand_arg(ev, n, 1, &secret);
	if (st != EXPAND_OK)
		return st;
	struct str good = prvs_hash(ev, secret, key, day, plain);
	int64_t ends;
	int now = today(ev);
	if (good.p && str_ieq(good, hash) && str_int(day, &ends)) {
		/* The day wraps at 1000: up to half of that ahead is the future. */
		int64_t ahead = (ends - now + 1000) % 1000;
		if (ahead < 500)
			ev->prvs_result = STR("1");
	}
	if (n->args > 2 || n->broken)
		st = expand_arg(ev, n, 2, &third);
	if (st == EXPAND_OK)
		sb_add(out, str_empty(third) ? plain : third);
	ev->prvs_address = ev->prvs_keynum = STR_NONE;
	return st;
}

const struct expand_item items_sign[] = {
    {.name = "prvs", .min_args = 2, .max_args = 3, .run = run_prvs},
    {.name = "prvscheck", .lazy = true, .parse = parse_prvscheck, .run = run_prvscheck},
    {0},
};
