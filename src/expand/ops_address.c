/* SPDX-License-Identifier: Apache-2.0
 * Operators on mail and IP addresses (manual 11.6). */
#include "expand/tree.h"
#include "expand/text.h"
#include "message/address.h"
#include "net/addr.h"
#include <arpa/inet.h>
#include "base/banned.h"

#define OP(fn) static enum expand_status fn(struct eval *ev, struct str params, struct str s, struct strbuf *out)

static unsigned addr_flags_for(struct eval *ev)
{
	return ADDR_IN_HEADER | ADDR_ALLOW_UNQUALIFIED | ADDR_ALLOW_LITERAL | ADDR_ALLOW_UTF8;
}

static bool parse(struct eval *ev, struct str s, struct str *ret, struct addr_parts *parts)
{
	const char *error;

	return addr_parse(ev->lx.arena, str_trim(s), addr_flags_for(ev), ret, parts, &error);
}

OP(op_address)
{
	struct addr_parts parts;
	struct str a;

	if (parse(ev, s, &a, &parts))
		sb_add(out, a);
	return EXPAND_OK;
}

OP(op_domain)
{
	struct addr_parts parts;
	struct str a;

	if (parse(ev, s, &a, &parts) && parts.domain.p)
		sb_add(out, parts.domain);
	return EXPAND_OK;
}

OP(op_local_part)
{
	struct addr_parts parts;
	struct str a;

	if (parse(ev, s, &a, &parts))
		sb_add(out, parts.local_part);
	return EXPAND_OK;
}

OP(op_addresses)
{
	struct rd r;
	struct str text, a;
	struct addr_parts parts;
	char sep = ':';
	bool any = false;

	s = str_ltrim(s);
	if (s.len && s.p[0] == '>') {
		s = str_from(s, 1);
		if (s.len) {
			sep = s.p[0];
			s = str_from(s, 1);
		}
	}
	r = rd_of(s);
	while (addr_list_next(&r, &text, NULL)) {
		if (str_empty(str_trim(text)) || !parse(ev, text, &a, &parts) || str_empty(a))
			continue;
		if (any)
			sb_ch(out, sep);
		any = true;
		for (uint32_t i = 0; i < a.len; i++) {
			sb_ch(out, a.p[i]);
			if (a.p[i] == sep)
				sb_ch(out, sep);
		}
	}
	return EXPAND_OK;
}

static bool ip_with_zone(struct str s, struct ip_addr *ret)
{
	ptrdiff_t at = str_chr(s, '%');

	if (at >= 0 && str_chr(s, ':') >= 0)
		s = str_sub(s, 0, (size_t)at);
	return ip_parse(s, ret);
}

OP(op_reverse_ip)
{
	struct ip_addr ip;

	if (!ip_with_zone(s, &ip))
		return expand_fail(ev, "reverse_ip() not given an IP address [%.*s]", STR_ARG(s));
	sb_add(out, ip_reverse(ev->lx.arena, &ip));
	return EXPAND_OK;
}

static bool to_v6(struct str s, struct ip_addr *ip)
{
	if (!ip_with_zone(s, ip))
		return false;
	if (ip->family == AF_INET) {
		struct ip_addr v4 = *ip;
		*ip = (struct ip_addr){.family = AF_INET6, .byte[10] = 0xff, .byte[11] = 0xff};
		memcpy(ip->byte + 12, v4.byte, 4);
	}
	return true;
}

static unsigned group(const struct ip_addr *ip, int i)
{
	return (unsigned)ip->byte[2 * i] << 8 | ip->byte[2 * i + 1];
}

/* Hex groups, the longest run of zero groups (of two or more) shortened. Exim gives ":" for the zero address. */
static void put_v6_short(struct strbuf *out, const struct ip_addr *ip)
{
	int best = -1, best_len = 1;

	for (int i = 0; i < 8;) {
		int j = i;
		while (j < 8 && group(ip, j) == 0)
			j++;
		if (j - i > best_len) {
			best = i;
			best_len = j - i;
		}
		i = j > i ? j : i + 1;
	}
	if (best_len == 8) {
		sb_ch(out, ':');
		return;
	}
	for (int i = 0; i < 8; i++) {
		if (i == best) {
			sb_addc(out, i == 0 ? "::" : ":");
			i += best_len - 1;
			continue;
		}
		sb_printf(out, "%x", group(ip, i));
		if (i < 7)
			sb_ch(out, ':');
	}
}

OP(op_ipv6norm)
{
	struct ip_addr ip;

	if (!to_v6(s, &ip))
		return expand_fail(ev, "\"%.*s\" is not an IP address", STR_ARG(s));
	put_v6_short(out, &ip);
	return EXPAND_OK;
}

static void put_v6_full(struct strbuf *out, const struct ip_addr *ip, char sep)
{
	for (int i = 0; i < 8; i++) {
		if (i)
			sb_ch(out, sep);
		sb_printf(out, "%04x", group(ip, i));
	}
}

OP(op_ipv6denorm)
{
	struct ip_addr ip;

	if (!to_v6(s, &ip))
		return expand_fail(ev, "\"%.*s\" is not an IP address", STR_ARG(s));
	put_v6_full(out, &ip, ':');
	return EXPAND_OK;
}

OP(op_mask)
{
	struct str bits_text, addr = str_cut(s, '/', &bits_text);
	struct ip_addr ip;
	uint64_t bits;

	if (!ip_parse(addr, &ip))
		return expand_fail(ev, "\"%.*s\" is not an IP address", STR_ARG(s));
	if (!bits_text.p)
		return expand_fail(ev, "missing mask value in \"%.*s\"", STR_ARG(s));
	if (!str_uint(bits_text, UINT32_MAX, &bits))
		return expand_fail(ev, "\"%.*s\" is not an IP address", STR_ARG(s));
	if (bits > (ip.family == AF_INET ? 32 : 128))
		return expand_fail(ev, "mask value too big in \"%.*s\"", STR_ARG(s));
	ip_mask(&ip, (unsigned)bits);
	if (ip.family == AF_INET)
		sb_printf(out, "%u.%u.%u.%u", ip.byte[0], ip.byte[1], ip.byte[2], ip.byte[3]);
	else if (str_eqc(params, "n"))
		put_v6_short(out, &ip);
	else
		put_v6_full(out, &ip, '.');
	sb_printf(out, "/%u", (unsigned)bits);
	return EXPAND_OK;
}

const struct expand_operator ops_address[] = {
    {.name = "address", .run = op_address},
    {.name = "addresses", .run = op_addresses},
    {.name = "domain", .run = op_domain},
    {.name = "local_part", .run = op_local_part},
    {.name = "reverse_ip", .run = op_reverse_ip},
    {.name = "ipv6norm", .run = op_ipv6norm},
    {.name = "ipv6denorm", .run = op_ipv6denorm},
    {.name = "mask", .run = op_mask},
    {0},
};
