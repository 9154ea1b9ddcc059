/* SPDX-License-Identifier: Apache-2.0
 * crypteq: a password against its encrypted form (manual 11.7). */
#include "expand/tree.h"
#include "expand/text.h"
#include <crypt.h>
#include "base/banned.h"

static bool same(struct str a, struct str b)
{
	unsigned char d = 0;

	if (a.len != b.len)
		return false;
	for (uint32_t i = 0; i < a.len; i++)
		d |= (unsigned char)(a.p[i] ^ b.p[i]);
	return d == 0;
}

static bool digest_matches(struct eval *ev, const char *algorithm, struct str clear, struct str want)
{
	unsigned char md[64];
	size_t n = text_digest(algorithm, clear, md);
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, 256);
	if (want.len == (n + 2) / 3 * 4) {
		text_base64(&sb, str_n((const char *)md, n));
		return same(sb_str(&sb), want);
	}
	if (want.len != 2 * n)
		return false;
	text_hex(&sb, md, n, false);
	return str_ieq(sb_str(&sb), want);
}

static bool crypt_matches(struct eval *ev, struct str clear, struct str want)
{
	struct crypt_data *data = arena_new_of(ev->lx.arena, struct crypt_data);

	if (str_empty(want))
		return false;
	const char *got = crypt_r(str_cstr(ev->lx.arena, clear), str_cstr(ev->lx.arena, want), data);
	bool ok = got && got[0] != '*' && same(str_c(got), want);
	explicit_bzero(data, sizeof *data);
	return ok;
}

/* Two traditional crypts: of the first eight characters, and of the rest with its own salt. */
static bool crypt16_matches(struct eval *ev, struct str clear, struct str want)
{
	struct crypt_data *data = arena_new_of(ev->lx.arena, struct crypt_data);
	struct strbuf sb;

	if (want.len < 2)
		return false;
	char *salt = str_cstr(ev->lx.arena, str_sub(want, 0, 2));
	sb_init(&sb, ev->lx.arena, 256);
	const char *one = crypt_r(str_cstr(ev->lx.arena, str_sub(clear, 0, 8)), salt, data);
	if (!one || one[0] == '*')
		return false;
	sb_addc(&sb, one);
	const char *two = crypt_r(str_cstr(ev->lx.arena, str_from(clear, clear.len < 8 ? clear.len : 8)), salt, data);
	if (!two || strlen(two) < 2)
		return false;
	sb_addc(&sb, two + 2);
	return same(sb_str(&sb), want);
}

static enum expand_status test_crypteq(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	struct str want = arg[1];

	if (str_istarts(want, "{md5}"))
		*ret = digest_matches(ev, "MD5", arg[0], str_from(want, 5));
	else if (str_istarts(want, "{sha1}"))
		*ret = digest_matches(ev, "SHA1", arg[0], str_from(want, 6));
	else if (str_istarts(want, "{crypt16}"))
		*ret = crypt16_matches(ev, arg[0], str_from(want, 9));
	else if (str_istarts(want, "{crypt}"))
		*ret = crypt_matches(ev, arg[0], str_from(want, 7));
	else if (want.len && want.p[0] == '{')
		return expand_fail(ev, "unknown encryption mechanism in \"%.*s\"", STR_ARG(want));
	else
		*ret = crypt_matches(ev, arg[0], want);
	return EXPAND_OK;
}

const struct expand_condition_row cond_auth[] = {
    {.name = "crypteq", .min_args = 2, .max_args = 2, .test = test_crypteq},
    {0},
};
