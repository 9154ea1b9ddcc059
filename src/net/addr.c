/* SPDX-License-Identifier: Apache-2.0
 * IP addresses as text and bytes. Text in: RFC 4291 2.2 and dotted quads, strictly (no octal, no
 * short forms), with an optional zone ("fe80::1%eth0"). Text out: RFC 5952 as getnameinfo writes it. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <net/if.h>

#include "base/banned.h"

#define IP_TEXT_MAX 64

/* A NUL-terminated copy on the caller's stack; false if it cannot be an address. */
static bool copy_text(struct str s, char buf[IP_TEXT_MAX])
{
	if (s.len == 0 || s.len >= IP_TEXT_MAX || memchr(s.p, 0, s.len))
		return false;
	memcpy(buf, s.p, s.len);
	buf[s.len] = 0;
	return true;
}

static bool parse_zone(const char *zone, uint32_t *ret)
{
	uint64_t n;
	if (*zone == 0)
		return false;
	if (str_uint(str_c(zone), UINT32_MAX, &n)) {
		*ret = (uint32_t)n;
		return true;
	}
	if (strlen(zone) >= IF_NAMESIZE)
		return false;
	*ret = if_nametoindex(zone);
	return *ret != 0;
}

bool ip_parse(struct str s, struct ip_addr *ret)
{
	char buf[IP_TEXT_MAX];
	if (!copy_text(s, buf))
		return false;
	struct ip_addr ip = {0};
	if (!strchr(buf, ':')) {
		if (inet_pton(AF_INET, buf, ip.byte) != 1)
			return false;
		ip.family = AF_INET;
		*ret = ip;
		return true;
	}
	char *zone = strchr(buf, '%');
	if (zone)
		*zone++ = 0;
	if (inet_pton(AF_INET6, buf, ip.byte) != 1)
		return false;
	if (zone && !parse_zone(zone, &ip.scope))
		return false;
	ip.family = AF_INET6;
	*ret = ip;
	return true;
}

struct str ip_text(struct arena *a, const struct ip_addr *ip)
{
	char buf[INET6_ADDRSTRLEN];
	if (ip->family == 0 || !inet_ntop(ip->family, ip->byte, buf, sizeof buf))
		return str_c("");
	char zone[IF_NAMESIZE];
	if (ip->family == AF_INET6 && ip->scope) {
		if (if_indextoname(ip->scope, zone))
			return str_printf(a, "%s%%%s", buf, zone);
		return str_printf(a, "%s%%%u", buf, ip->scope);
	}
	return str_dup(a, str_c(buf));
}

static unsigned width(const struct ip_addr *ip)
{
	return ip->family == AF_INET ? 4u : ip->family == AF_INET6 ? 16u : 0u;
}

bool ip_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return a->family == b->family && a->scope == b->scope && memcmp(a->byte, b->byte, width(a)) == 0;
}

void ip_mask(struct ip_addr *ip, unsigned bits)
{
	for (unsigned i = 0; i < width(ip); i++) {
		unsigned keep = bits >= 8 ? 8 : bits;
		ip->byte[i] &= (uint8_t)(0xff00u >> keep);
		bits -= keep;
	}
}

bool ip_net_parse(struct str s, struct ip_addr *ret_ip, unsigned *ret_bits)
{
	struct str mask, addr = str_cut(s, '/', &mask);
	struct ip_addr ip;
	if (!ip_parse(addr, &ip))
		return false;
	uint64_t bits = 8u * width(&ip);
	if (str_is_set(mask) && (mask.len > 3 || mask.len == 0 || !ch_digit((unsigned char)mask.p[0]) || !str_uint(mask, bits, &bits)))
		return false;
	*ret_ip = ip;
	*ret_bits = (unsigned)bits;
	return true;
}

bool ip_in_net(const struct ip_addr *ip, const struct ip_addr *net, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;
	if (ip->family != net->family || ip->family == 0 || bits > 8u * width(ip))
		return false;
	if (memcmp(ip->byte, net->byte, whole) != 0)
		return false;
	return rest == 0 || ((ip->byte[whole] ^ net->byte[whole]) & (0xff00u >> rest) & 0xffu) == 0;
}

void ip_from_sockaddr(const struct sockaddr *sa, struct ip_addr *ret, int *ret_port)
{
	struct ip_addr ip = {0};
	int port = 0;
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;
		memcpy(&in, sa, sizeof in);
		ip.family = AF_INET;
		memcpy(ip.byte, &in.sin_addr, 4);
		port = ntohs(in.sin_port);
	} else if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in;
		memcpy(&in, sa, sizeof in);
		port = ntohs(in.sin6_port);
		/* A v4 peer on a v6 socket is a v4 peer to all that compares addresses. */
		if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) {
			ip.family = AF_INET;
			memcpy(ip.byte, in.sin6_addr.s6_addr + 12, 4);
		} else {
			ip.family = AF_INET6;
			memcpy(ip.byte, &in.sin6_addr, 16);
			ip.scope = in.sin6_scope_id;
		}
	}
	*ret = ip;
	if (ret_port)
		*ret_port = port;
}

socklen_t ip_to_sockaddr(const struct ip_addr *ip, int port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof *ret);
	if (ip->family == AF_INET) {
		struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
		memcpy(&in.sin_addr, ip->byte, 4);
		memcpy(ret, &in, sizeof in);
		return sizeof in;
	}
	struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_scope_id = ip->scope};
	memcpy(&in.sin6_addr, ip->byte, 16);
	memcpy(ret, &in, sizeof in);
	return sizeof in;
}

struct str ip_reverse(struct arena *a, const struct ip_addr *ip)
{
	const uint8_t *b = ip->byte;
	if (ip->family == AF_INET)
		return str_printf(a, "%u.%u.%u.%u", b[3], b[2], b[1], b[0]);
	if (ip->family != AF_INET6)
		return str_c("");
	char *text = arena_alloc(a, 64);
	for (unsigned i = 0; i < 16; i++) {
		text[4 * i] = "0123456789abcdef"[b[15 - i] & 15];
		text[4 * i + 1] = '.';
		text[4 * i + 2] = "0123456789abcdef"[b[15 - i] >> 4];
		text[4 * i + 3] = '.';
	}
	text[63] = 0;
	return str_n(text, 63);
}
