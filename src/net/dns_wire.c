/* SPDX-License-Identifier: Apache-2.0
 * DNS answers off the wire (RFC 1035 4.1): names with compression, and the data of the types that
 * mail needs. Everything taken is tainted. Names are written as dn_expand does: dots and specials
 * inside a label get a backslash, other bytes are \ddd. */
#include "net/resolver_priv.h"

#include "base/limits.h"
#include "base/rd.h"
#include "base/strbuf.h"
#include "base/banned.h"

#define JUMPS_MAX 64
#define NAME_TEXT_MAX 1100 /* 255 bytes, each written as \ddd at worst */

static void label_text(struct strbuf *sb, struct str label)
{
	for (uint32_t i = 0; i < label.len; i++) {
		unsigned char c = (unsigned char)label.p[i];
		if (c && strchr(".;\\()\"@$", c))
			sb_printf(sb, "\\%c", c);
		else if (ch_print(c) && c != ' ')
			sb_ch(sb, (char)c);
		else
			sb_printf(sb, "\\%03u", c);
	}
}

/* One name at r, compressed or not; r ends behind it. `wire`, if given, takes it uncompressed. */
static struct str take_name(struct arena *a, struct str packet, struct rd *r, struct strbuf *wire)
{
	struct strbuf sb;
	struct rd at = *r;
	bool jumped = false;
	size_t total = 0;
	sb_init(&sb, a, NAME_TEXT_MAX);
	for (int jumps = 0;;) {
		unsigned n = (unsigned)rd_be(&at, 1);
		if (at.bad || (n & 0xc0) == 0x40 || (n & 0xc0) == 0x80)
			goto bad;
		if (n >= 0xc0) {
			size_t to = (size_t)(n & 0x3f) << 8 | (size_t)rd_be(&at, 1);
			if (at.bad || ++jumps > JUMPS_MAX || to >= packet.len)
				goto bad;
			if (!jumped)
				r->p = at.p;
			jumped = true;
			at = rd_of(str_from(packet, to));
			continue;
		}
		if (wire)
			sb_ch(wire, (char)n);
		if (n == 0)
			break;
		struct str label = rd_take(&at, n);
		total += n + 1;
		if (at.bad || total > 254)
			goto bad;
		if (sb.len)
			sb_ch(&sb, '.');
		label_text(&sb, label);
		if (wire)
			sb_add(wire, label);
	}
	if (!jumped)
		r->p = at.p;
	return str_tainted(sb_str(&sb));
bad:
	r->bad = true;
	return STR_NONE;
}

static void take_strings(struct arena *a, struct rd *r, struct dns_record *rec)
{
	struct strbuf sb;
	struct rd count = *r;
	size_t n = 0;
	while (!rd_done(&count)) {
		rd_take(&count, (size_t)rd_be(&count, 1));
		n++;
	}
	if (count.bad) {
		r->bad = true;
		return;
	}
	struct str *list = arena_array_of(a, n ? n : 1, struct str);
	sb_init(&sb, a, 65536);
	for (size_t i = 0; i < n; i++) {
		list[i] = str_tainted(str_dup(a, rd_take(r, (size_t)rd_be(r, 1))));
		sb_add(&sb, list[i]);
	}
	rec->strings = list;
	rec->string_count = n;
	rec->text = str_tainted(sb_str(&sb));
}

static void take_ip(struct rd *r, uint8_t family, struct dns_record *rec)
{
	struct str s = rd_take(r, family == AF_INET ? 4 : 16);
	rec->ip.family = family;
	memcpy(rec->ip.byte, s.p, s.len);
}

/* r stands at the data, bounded by it; names may point anywhere in the packet. */
static void take_data(struct arena *a, struct str packet, struct rd *r, struct dns_record *rec)
{
	struct strbuf wire;
	switch (rec->type) {
	case DNS_A: take_ip(r, AF_INET, rec); break;
	case DNS_AAAA: take_ip(r, AF_INET6, rec); break;
	case DNS_MX:
		rec->preference = (uint16_t)rd_be(r, 2);
		rec->target = take_name(a, packet, r, NULL);
		break;
	case DNS_SRV:
		rec->preference = (uint16_t)rd_be(r, 2);
		rec->weight = (uint16_t)rd_be(r, 2);
		rec->port = (uint16_t)rd_be(r, 2);
		rec->target = take_name(a, packet, r, NULL);
		break;
	case DNS_CNAME:
	case DNS_NS:
	case DNS_PTR: rec->target = take_name(a, packet, r, NULL); break;
	case DNS_SOA:
		sb_init(&wire, a, 1024);
		rec->target = take_name(a, packet, r, &wire);
		(void)take_name(a, packet, r, &wire);
		sb_add(&wire, rd_take(r, 20));
		rec->rdata = str_tainted(sb_str(&wire)); /* names in full, so that it stands alone */
		break;
	case DNS_TXT:
	case DNS_SPF: take_strings(a, r, rec); break;
	case DNS_TLSA:
	case DNS_CAA: break;
	}
}

static bool known_type(unsigned type)
{
	return dns_type_name((enum dns_type)type) != NULL;
}

/* One record; false if of a type or class that nobody asks for. */
static bool take_record(struct arena *a, struct str packet, struct rd *r, struct dns_record *rec)
{
	*rec = (struct dns_record){0};
	rec->name = take_name(a, packet, r, NULL);
	unsigned type = (unsigned)rd_be(r, 2), class = (unsigned)rd_be(r, 2);
	rec->ttl = (uint32_t)rd_be(r, 4);
	struct str data = rd_take(r, (size_t)rd_be(r, 2));
	if (r->bad || class != 1 || !known_type(type))
		return false;
	rec->type = (enum dns_type)type;
	rec->rdata = str_tainted(str_dup(a, data));
	struct rd d = rd_of(data);
	take_data(a, packet, &d, rec);
	/* RFC 2181 8: a ttl with the top bit set is zero */
	if (rec->ttl > INT32_MAX)
		rec->ttl = 0;
	return !d.bad;
}

void dns_answer_pick(struct arena *a, const struct dns_record *all, size_t n, struct str name, enum dns_type want,
    struct dns_result *ret)
{
	struct str at = name;
	uint32_t ttl = UINT32_MAX;
	ret->answer = DNS_NODATA;
	for (int hops = 0; hops <= DNS_CHAIN_MAX; hops++) {
		struct str next = STR_NONE;
		size_t found = 0;
		for (size_t i = 0; i < n; i++) {
			if (!str_ieq(all[i].name, at))
				continue;
			if (all[i].type == want) {
				found++;
				ttl = all[i].ttl < ttl ? all[i].ttl : ttl;
			} else if (all[i].type == DNS_CNAME && !str_is_set(next)) {
				next = all[i].target;
				ttl = all[i].ttl < ttl ? all[i].ttl : ttl;
			}
		}
		if (found) {
			ret->record = arena_array_of(a, found, struct dns_record);
			for (size_t i = 0; i < n; i++)
				if (all[i].type == want && str_ieq(all[i].name, at))
					ret->record[ret->count++] = all[i];
			ret->answer = DNS_FOUND;
			ret->ttl = ttl;
			break;
		}
		if (!str_is_set(next))
			break;
		at = next;
		ret->canonical = next;
	}
}

bool dns_answer_parse(struct arena *a, struct str packet, struct str name, enum dns_type want, struct dns_result *ret)
{
	struct rd r = rd_of(packet);
	rd_take(&r, 2);
	unsigned flags = (unsigned)rd_be(&r, 2), questions = (unsigned)rd_be(&r, 2), answers = (unsigned)rd_be(&r, 2);
	rd_take(&r, 4);
	if (r.bad || answers > DNS_RECORDS_MAX)
		return false;
	for (unsigned i = 0; i < questions && !r.bad; i++) {
		(void)take_name(a, packet, &r, NULL);
		rd_take(&r, 4);
	}
	if (r.bad)
		return false;
	struct dns_record *all = arena_array_of(a, answers ? answers : 1, struct dns_record);
	size_t n = 0;
	for (unsigned i = 0; i < answers; i++) {
		if (take_record(a, packet, &r, &all[n]))
			n++;
		if (r.bad)
			return false;
	}
	dns_answer_pick(a, all, n, name, want, ret);
	ret->authoritative = (flags & 0x0400) != 0;
	if (ret->answer == DNS_NODATA && (flags & 15) == 3)
		ret->answer = DNS_NXDOMAIN;
	return true;
}

bool dns_name_good(struct str *name)
{
	struct str s = *name, rest;
	if (s.len > 1 && s.p[s.len - 1] == '.')
		s.len--;
	*name = s;
	if (s.len == 0 || s.len > 253)
		return false;
	if (str_eqc(s, "."))
		return true;
	for (rest = s; str_is_set(rest);) {
		struct str label = str_cut(rest, '.', &rest);
		if (label.len == 0 || label.len > 63)
			return false;
		for (uint32_t i = 0; i < label.len; i++) {
			unsigned char c = (unsigned char)label.p[i];
			if (c <= ' ' || c == 0x7f || c == '\\')
				return false;
		}
	}
	return true;
}

static const struct {
	enum dns_type type;
	const char *name;
} type_names[] = {{DNS_A, "A"}, {DNS_NS, "NS"}, {DNS_CNAME, "CNAME"}, {DNS_SOA, "SOA"}, {DNS_PTR, "PTR"}, {DNS_MX, "MX"},
	{DNS_TXT, "TXT"}, {DNS_AAAA, "AAAA"}, {DNS_SRV, "SRV"}, {DNS_TLSA, "TLSA"}, {DNS_SPF, "SPF"}, {DNS_CAA, "CAA"}};

const char *dns_type_name(enum dns_type t)
{
	for (size_t i = 0; i < countof(type_names); i++)
		if (type_names[i].type == t)
			return type_names[i].name;
	return NULL;
}

bool dns_type_parse(struct str s, enum dns_type *ret)
{
	for (size_t i = 0; i < countof(type_names); i++)
		if (str_ieqc(s, type_names[i].name)) {
			*ret = type_names[i].type;
			return true;
		}
	return false;
}
