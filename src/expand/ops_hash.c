/* SPDX-License-Identifier: Apache-2.0
 * Operators that digest and encode: md5, sha1, sha256, sha2, sha3, base64 and relatives, and the
 * hmac item (manual 11.5, 11.6). */
#include "expand/tree.h"
#include "expand/text.h"
#include <openssl/hmac.h>
#include "base/banned.h"

#define OP(fn) static enum expand_status fn(struct eval *ev, struct str params, struct str s, struct strbuf *out)

static enum expand_status digest(struct eval *ev, const char *algorithm, bool upper, struct str s, struct strbuf *out)
{
	unsigned char md[64];
	size_t n = text_digest(algorithm, s, md);

	if (!n)
		return expand_fail(ev, "digest \"%s\" is not available in the crypto library", algorithm);
	text_hex(out, md, n, upper);
	return EXPAND_OK;
}

OP(op_md5) { return digest(ev, "MD5", false, s, out); }
OP(op_sha1) { return digest(ev, "SHA1", true, s, out); }
OP(op_sha256) { return digest(ev, "SHA256", true, s, out); }

OP(op_sha2)
{
	if (!params.p || str_eqc(params, "256"))
		return digest(ev, "SHA256", true, s, out);
	if (str_eqc(params, "384"))
		return digest(ev, "SHA384", true, s, out);
	if (str_eqc(params, "512"))
		return digest(ev, "SHA512", true, s, out);
	return expand_fail(ev, "unrecognised sha2 variant");
}

OP(op_sha3)
{
	if (!params.p || str_eqc(params, "256"))
		return digest(ev, "SHA3-256", true, s, out);
	if (str_eqc(params, "224"))
		return digest(ev, "SHA3-224", true, s, out);
	if (str_eqc(params, "384"))
		return digest(ev, "SHA3-384", true, s, out);
	if (str_eqc(params, "512"))
		return digest(ev, "SHA3-512", true, s, out);
	return expand_fail(ev, "unrecognised sha3 variant");
}

OP(op_base64)
{
	text_base64(out, s);
	return EXPAND_OK;
}

OP(op_base64d)
{
	if (!text_base64_decode(s, out))
		return expand_fail(ev, "string \"%.*s\" is not well-formed for \"base64d\" operator", STR_ARG(s));
	return EXPAND_OK;
}

OP(op_hex2b64)
{
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, s.len + 1u);
	for (uint32_t i = 0; i < s.len; i++)
		if (!ch_xdigit(s.p[i]))
			return expand_fail(ev, "\"%.*s\" is not a hex string", STR_ARG(s));
	if (s.len & 1)
		return expand_fail(ev, "\"%.*s\" contains an odd number of characters", STR_ARG(s));
	for (uint32_t i = 0; i < s.len; i += 2) {
		int v = 0;
		for (uint32_t k = 0; k < 2; k++) {
			char d = ch_tolower(s.p[i + k]);
			v = v * 16 + (ch_digit(d) ? d - '0' : d - 'a' + 10);
		}
		sb_ch(&sb, (char)v);
	}
	text_base64(out, sb_str(&sb));
	return EXPAND_OK;
}

static enum expand_status run_hmac(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	const char *name = str_eqc(arg[0], "md5") ? "MD5" : str_eqc(arg[0], "sha1") ? "SHA1" : NULL;
	unsigned char md[64];
	unsigned len = 0;

	if (!name)
		return expand_fail(ev, "hmac algorithm \"%.*s\" is not recognised", STR_ARG(arg[0]));
	if (!HMAC(EVP_get_digestbyname(name), arg[1].p, (int)arg[1].len, (const unsigned char *)arg[2].p, arg[2].len, md, &len))
		return expand_fail(ev, "hmac \"%s\" is not available in the crypto library", name);
	out->taint |= arg[1].taint | arg[2].taint;
	text_hex(out, md, len, false);
	return EXPAND_OK;
}

const struct expand_operator ops_hash[] = {
    {.name = "md5", .run = op_md5, .certificate = true},
    {.name = "sha1", .run = op_sha1, .certificate = true},
    {.name = "sha256", .run = op_sha256, .certificate = true},
    {.name = "sha2", .run = op_sha2},
    {.name = "sha3", .run = op_sha3},
    {.name = "base64", .run = op_base64, .certificate = true},
    {.name = "str2b64", .run = op_base64, .certificate = true},
    {.name = "base64d", .run = op_base64d},
    {.name = "hex2b64", .run = op_hex2b64},
    {0},
};
const struct expand_item items_hash[] = {
    {.name = "hmac", .min_args = 3, .max_args = 3, .run = run_hmac},
    {0},
};
