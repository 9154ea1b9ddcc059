/* SPDX-License-Identifier: Apache-2.0
 * Text functions that items and operators share (manual 11.5, 11.6): cutting, the two string
 * hashes, UTF-8, quoting, base64, digests. */
#include "expand/text.h"
#include <openssl/evp.h>
#include "base/banned.h"

struct str text_substr(struct str s, int64_t from, int64_t len)
{
	int64_t size = s.len;

	if (from < 0) {
		if (len < 0) {
			len = size + from;
			if (len < 0)
				len = 0;
			from = 0;
		} else {
			from += size;
			if (from < 0) { /* partly before the string: that part is empty */
				len += from;
				if (len < 0)
					len = 0;
				from = 0;
			}
		}
	}
	if (from >= size)
		return str_sub(s, s.len, 0);
	if (len < 0 || len > size - from)
		len = size - from;
	return str_sub(s, (size_t)from, (size_t)len);
}

bool text_hash(struct str s, int64_t n, int64_t m, struct strbuf *out)
{
	static const char alphabet[] = "abcdefghijklmnopqrtsuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

	if (m < 0)
		m = 26;
	if (m > (int64_t)sizeof alphabet - 1 || m == 0)
		return false;
	if (n >= s.len) {
		sb_add(out, s);
		return true;
	}
	/* The bytes behind the first n are rotated and folded into them, round and round. */
	for (uint32_t i = 0; i < n; i++) {
		unsigned v = (unsigned char)s.p[i];
		for (size_t j = (size_t)n + i; j < s.len; j += (size_t)n) {
			unsigned c = (unsigned char)s.p[j], shift = (c + (unsigned)j) & 7;
			v ^= (c << shift | c >> (8 - shift)) & 0xff;
		}
		sb_ch(out, alphabet[v % (unsigned)m]);
	}
	return true;
}

bool text_nhash(struct str s, int64_t n, int64_t m, struct strbuf *out)
{
	static const uint8_t prime[] = {3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73,
	    79, 83, 89, 97, 101, 103, 107, 109, 113};
	uint64_t total = 0;
	size_t at = 0;

	if (n <= 0 || m == 0 || n > UINT32_MAX || m > UINT32_MAX)
		return false;
	for (uint32_t i = 0; i < s.len; i++) {
		at = at == 0 ? countof(prime) - 1 : at - 1;
		total += (uint64_t)prime[at] * (unsigned char)s.p[i];
	}
	if (m < 0) {
		sb_printf(out, "%llu", (unsigned long long)(total % (uint64_t)n));
	} else {
		total %= (uint64_t)n * (uint64_t)m;
		sb_printf(out, "%llu/%llu", (unsigned long long)(total / (uint64_t)m), (unsigned long long)(total % (uint64_t)m));
	}
	return true;
}

size_t text_utf8(struct str s, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

	if (str_empty(s))
		return 0;
	unsigned char c = (unsigned char)s.p[0];
	if (c < 0x80) {
		*ret = c;
		return 1;
	}
	size_t n = c >= 0xf0 && c < 0xf8 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc0 && c < 0xe0 ? 2 : 0;
	if (n == 0 || n > s.len)
		return 0;
	uint32_t v = c & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		unsigned char d = (unsigned char)s.p[i];
		if ((d & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (d & 0x3f);
	}
	if (v < least[n] || v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
		return 0;
	*ret = v;
	return n;
}

static char escaped(struct rd *r)
{
	int c = rd_byte(r), v = 0;

	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'b': return '\b';
	case 'f': return '\f';
	case 'v': return '\v';
	case 'x':
		for (int i = 0; i < 2 && rd_peek(r) >= 0 && ch_xdigit(rd_peek(r)); i++) {
			char d = ch_tolower((char)rd_byte(r));
			v = v * 16 + (ch_digit(d) ? d - '0' : d - 'a' + 10);
		}
		return (char)v;
	default:
		if (c < '0' || c > '7')
			return (char)c;
		v = c - '0';
		for (int i = 0; i < 2 && rd_peek(r) >= '0' && rd_peek(r) <= '7'; i++)
			v = v * 8 + rd_byte(r) - '0';
		return (char)v;
	}
}

struct str text_dequote(struct rd *r, struct arena *a)
{
	struct strbuf sb;

	sb_init(&sb, a, 1u << 20);
	if (!rd_accept(r, '"')) {
		const char *from = r->p;
		while (!rd_done(r) && !ch_space(rd_peek(r)))
			rd_byte(r);
		return str_n(from, (size_t)(r->p - from));
	}
	while (!rd_done(r) && rd_peek(r) != '"') {
		if (rd_accept(r, '\\'))
			sb_ch(&sb, rd_done(r) ? '\\' : escaped(r));
		else
			sb_ch(&sb, (char)rd_byte(r));
	}
	rd_accept(r, '"');
	return sb_str(&sb);
}

void text_hex(struct strbuf *out, const unsigned char *p, size_t n, bool upper)
{
	const char *digit = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		sb_ch(out, digit[p[i] >> 4]);
		sb_ch(out, digit[p[i] & 15]);
	}
}

void text_base64(struct strbuf *out, struct str s)
{
	static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (uint32_t i = 0; i < s.len; i += 3) {
		uint32_t left = s.len - i;
		uint32_t v = (uint32_t)(unsigned char)s.p[i] << 16;
		if (left > 1)
			v |= (uint32_t)(unsigned char)s.p[i + 1] << 8;
		if (left > 2)
			v |= (unsigned char)s.p[i + 2];
		sb_ch(out, digit[v >> 18]);
		sb_ch(out, digit[v >> 12 & 63]);
		sb_ch(out, left > 1 ? digit[v >> 6 & 63] : '=');
		sb_ch(out, left > 2 ? digit[v & 63] : '=');
	}
}

static int base64_value(char c)
{
	if (ch_upper(c))
		return c - 'A';
	if (ch_lower(c))
		return c - 'a' + 26;
	if (ch_digit(c))
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool text_base64_decode(struct str s, struct strbuf *out)
{
	uint32_t acc = 0;
	int have = 0, pad = 0;

	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (ch_space(c))
			continue;
		int v = c == '=' ? 0 : base64_value(c);
		if (v < 0 || (pad && c != '=') || (c == '=' && have < 2))
			return false;
		pad += c == '=';
		acc = acc << 6 | (uint32_t)v;
		if (++have < 4)
			continue;
		for (int b = 0; b < 3 - pad; b++)
			sb_ch(out, (char)(acc >> (16 - 8 * b) & 0xff));
		have = 0;
		acc = 0;
		if (pad && str_trim(str_from(s, i + 1)).len)
			return false;
	}
	return have == 0;
}

size_t text_digest(const char *algorithm, struct str s, unsigned char to[64])
{
	const EVP_MD *md = EVP_get_digestbyname(algorithm);
	unsigned len = 0;

	if (!md || EVP_MD_get_size(md) > 64 || !EVP_Digest(s.p, s.len, to, &len, md, NULL))
		return 0;
	return len;
}

void text_escape(struct strbuf *out, struct str s, bool high_prints)
{
	for (uint32_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c >= 0x20 && c < 0x7f) || c == '\t' || (c >= 0x80 && high_prints)) {
			sb_ch(out, (char)c);
			continue;
		}
		switch (c) {
		case '\n': sb_addc(out, "\\n"); break;
		case '\r': sb_addc(out, "\\r"); break;
		case '\b': sb_addc(out, "\\b"); break;
		case '\v': sb_addc(out, "\\v"); break;
		case '\f': sb_addc(out, "\\f"); break;
		default: sb_printf(out, "\\%03o", c); break;
		}
	}
}
