/* SPDX-License-Identifier: Apache-2.0
 * SRS: ${srs_encode and inbound_srs (manual 58.2.1). SRS0=HHHH=TT=domain=local: four hex digits of
 * HMAC-MD5 over the address in lower case, and the day in base 32 modulo 1024. */
#include "expand/tree.h"
#include "expand/text.h"
#include "message/address.h"
#include <openssl/hmac.h>
#include "base/banned.h"

enum { SRS_DAYS = 10 };
static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";

static struct str srs_hash(struct eval *ev, struct str secret, struct str address)
{
	unsigned char md[64];
	unsigned len = 0;
	struct strbuf sb;
	struct str text = str_lower(ev->lx.arena, address);

	sb_init(&sb, ev->lx.arena, 64);
	if (!HMAC(EVP_md5(), secret.p, (int)secret.len, (const unsigned char *)text.p, text.len, md, &len))
		return STR_NONE;
	text_hex(&sb, md, 2, false);
	return sb_str(&sb);
}

static unsigned today(struct eval *ev)
{
	return (unsigned)(clock_s(&ev->lx.env->clock) / 86400 % 1024);
}

static enum expand_status run_srs_encode(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str address = arg[1];

	if (str_empty(address))
		return EXPAND_OK;
	struct str hash = srs_hash(ev, arg[0], address);
	if (!hash.p)
		return expand_fail(ev, "srs_encode: hmac-md5 is not available in the crypto library");
	ptrdiff_t at = str_rchr(address, '@');
	struct str local = at >= 0 ? str_sub(address, 0, (size_t)at) : address, domain = at >= 0 ? str_from(address, (size_t)at + 1) : STR("");
	bool quoted = local.len > 1 && local.p[0] == '"' && local.p[local.len - 1] == '"';
	if (quoted)
		local = str_sub(local, 1, local.len - 2);
	unsigned day = today(ev);
	out->taint |= address.taint;
	sb_printf(out, "%sSRS0=%.*s=%c%c=%.*s=%.*s%s@", quoted ? "\"" : "", STR_ARG(hash), digits[day >> 5], digits[day & 31],
	    STR_ARG(domain), STR_ARG(local), quoted ? "\"" : "");
	sb_add(out, arg[2]);
	return EXPAND_OK;
}

static int day_of(struct str two)
{
	int v = 0;

	for (uint32_t i = 0; i < 2; i++) {
		char c = ch_tolower(two.p[i]);
		const char *at = c ? strchr(digits, c) : NULL;
		if (!at)
			return -1;
		v = v * 32 + (int)(at - digits);
	}
	return v;
}

struct srs0 {
	struct str hash, domain, local;
	int day;
	bool quoted;
};

static bool split(struct str s, struct srs0 *ret)
{
	struct str rest;

	if (s.len > 1 && s.p[0] == '"' && s.p[s.len - 1] == '"') {
		ret->quoted = true;
		s = str_sub(s, 1, s.len - 2);
	}
	if (!str_istarts(s, "SRS0="))
		return false;
	ret->hash = str_cut(str_from(s, 5), '=', &rest);
	struct str day = str_cut(rest, '=', &rest);
	ret->domain = str_cut(rest, '=', &rest);
	ret->local = rest;
	if (!rest.p || day.len != 2)
		return false;
	ret->day = day_of(day);
	return ret->day >= 0;
}

static enum expand_status test_inbound_srs(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	struct srs0 s = {0};

	*ret = false;
	if (!split(arg[0], &s))
		return EXPAND_OK;
	const char *q = s.quoted ? "\"" : "";
	struct str address = str_printf(ev->lx.arena, "%s%.*s%s@%.*s", q, STR_ARG(s.local), q, STR_ARG(s.domain));
	address.taint = 1;
	if (!str_empty(arg[1])) {
		unsigned age = (today(ev) - (unsigned)s.day) & 1023;
		struct str good = srs_hash(ev, arg[1], address);
		if (!good.p || !str_ieq(good, s.hash) || age > SRS_DAYS)
			return EXPAND_OK;
	}
	ev->srs_recipient = address;
	*ret = true;
	return EXPAND_OK;
}

const struct expand_item items_srs[] = {
    {.name = "srs_encode", .min_args = 3, .max_args = 3, .run = run_srs_encode},
    {0},
};
const struct expand_condition_row cond_srs[] = {
    {.name = "inbound_srs", .min_args = 2, .max_args = 2, .test = test_inbound_srs},
    {0},
};
