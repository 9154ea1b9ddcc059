/* SPDX-License-Identifier: Apache-2.0
 * The PROXY protocol, versions 1 and 2 (manual chapter 59, haproxy's proxy-protocol.txt).
 *
 *   v1: "PROXY" SP ( "TCP4" | "TCP6" ) SP src SP dst SP sport SP dport CRLF, 107 bytes at most;
 *       "PROXY UNKNOWN" [anything] CRLF
 *   v2: offset 0  12 bytes signature
 *              12  version (high nibble, 2), command (0 LOCAL, 1 PROXY)
 *              13  family (high nibble: 1 IPv4, 2 IPv6, 3 UNIX), protocol (1 STREAM)
 *              14  length of the rest, big-endian: addresses, then TLVs (skipped)
 *
 * The header is read by exact counts, so nothing behind it is consumed. */
#include "net/stream_priv.h"

#include "base/rd.h"
#include "base/banned.h"

#define V1_MAX 107
#define V2_FIXED 16
#define V2_MAX 4096 /* addresses and TLVs; real ones stay under 536 */

static const char v2_signature[12] = "\r\n\r\n\0\r\nQUIT\n";

static enum status malformed(struct why *why, const char *what)
{
	why_set(why, false, "PROXY header: %s", what);
	return ST_MALFORMED;
}

static enum status cut_short(enum status st, struct why *why)
{
	why_set(why, true, "PROXY header: %s", status_text(st));
	return st;
}

static bool v1_endpoint(struct str text, uint8_t family, struct ip_addr *ret)
{
	return ip_parse(text, ret) && ret->family == family && ret->scope == 0;
}

static bool v1_port(struct str text, int *ret)
{
	uint64_t v;
	if (text.len == 0 || text.len > 5 || !ch_digit((unsigned char)text.p[0]) || !str_uint(text, 65535, &v))
		return false;
	*ret = (int)v;
	return true;
}

/* What stands after "PROXY". */
static bool v1_parse(struct str line, struct proxy_header *h)
{
	struct str part[5], rest = line;
	size_t n = 0;
	if (str_eqc(line, " UNKNOWN") || str_starts(line, " UNKNOWN "))
		return true;
	if (!str_starts(line, " "))
		return false;
	rest = str_from(line, 1);
	while (str_is_set(rest) && n < countof(part))
		part[n++] = str_cut(rest, ' ', &rest);
	if (n != countof(part) || str_is_set(rest))
		return false;
	uint8_t family = str_eqc(part[0], "TCP4") ? AF_INET : str_eqc(part[0], "TCP6") ? AF_INET6 : 0;
	return family && v1_endpoint(part[1], family, &h->src) && v1_endpoint(part[2], family, &h->dst) &&
	       v1_port(part[3], &h->src_port) && v1_port(part[4], &h->dst_port);
}

static enum status v1_read(struct stream *s, struct proxy_header *ret, struct why *why)
{
	struct proxy_header h = {.version = 1};
	char word[4];
	struct str line;
	enum line_end end;
	enum status st = stream_read(s, word, sizeof word);
	if (st != ST_OK)
		return cut_short(st, why);
	if (memcmp(word, "ROXY", 4) != 0)
		return malformed(why, "does not begin with PROXY");
	st = stream_read_line(s, V1_MAX - 7, &line, &end);
	if (st == ST_LIMIT)
		return malformed(why, "line too long");
	if (st != ST_OK)
		return cut_short(st, why);
	if (end != LINE_CRLF || !v1_parse(line, &h))
		return malformed(why, "malformed version 1 line");
	h.local = h.src.family == 0;
	*ret = h;
	return ST_OK;
}

static void v2_address(struct rd *r, uint8_t family, struct ip_addr *ret)
{
	struct str bytes = rd_take(r, family == AF_INET ? 4 : 16);
	*ret = (struct ip_addr){.family = family};
	memcpy(ret->byte, bytes.p, bytes.len);
}

static bool v2_parse(uint8_t command, uint8_t family, struct str body, struct proxy_header *h)
{
	struct rd r = rd_of(body);
	if (command == 0x20) {
		h->local = true;
		return true;
	}
	if (command != 0x21)
		return false;
	if (family != 0x11 && family != 0x21) {
		/* UNSPEC, or a transport that carries no mail: accept without addresses */
		h->local = true;
		return family <= 0x32;
	}
	uint8_t af = family == 0x11 ? AF_INET : AF_INET6;
	v2_address(&r, af, &h->src);
	v2_address(&r, af, &h->dst);
	h->src_port = (int)rd_be(&r, 2);
	h->dst_port = (int)rd_be(&r, 2);
	return !r.bad;
}

static enum status v2_read(struct stream *s, struct proxy_header *ret, struct why *why)
{
	struct proxy_header h = {.version = 2};
	char head[V2_FIXED], body[V2_MAX];
	head[0] = '\r';
	enum status st = stream_read(s, head + 1, V2_FIXED - 1);
	if (st != ST_OK)
		return cut_short(st, why);
	if (memcmp(head, v2_signature, sizeof v2_signature) != 0)
		return malformed(why, "bad signature");
	struct rd r = rd_of(str_n(head + 12, 4));
	uint8_t command = (uint8_t)rd_be(&r, 1), family = (uint8_t)rd_be(&r, 1);
	size_t len = (size_t)rd_be(&r, 2);
	if (len > sizeof body)
		return malformed(why, "version 2 header too long");
	st = stream_read(s, body, len);
	if (st != ST_OK)
		return cut_short(st, why);
	if (!v2_parse(command, family, str_n(body, len), &h))
		return malformed(why, "malformed version 2 header");
	*ret = h;
	return ST_OK;
}

enum status proxy_read(struct stream *s, int64_t timeout_ms, struct proxy_header *ret, struct why *why)
{
	int64_t old = s->timeout_ms;
	char first;
	s->timeout_ms = timeout_ms;
	enum status st = stream_read(s, &first, 1);
	if (st != ST_OK)
		st = cut_short(st, why);
	else if (first == 'P')
		st = v1_read(s, ret, why);
	else if (first == '\r')
		st = v2_read(s, ret, why);
	else
		st = malformed(why, "missing");
	s->timeout_ms = old;
	return st;
}
