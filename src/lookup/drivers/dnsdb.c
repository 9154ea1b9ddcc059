/* SPDX-License-Identifier: Apache-2.0
 * dnsdb (manual 9.10): ">separators modifiers, type=name:name". What the DNS says is tainted. */
#include "lookup/lookup.h"
#include "lookup/match.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "net/resolver.h"
#include "base/banned.h"

enum defer_mode { DEFER_LAX, DEFER_STRICT, DEFER_NEVER };
enum dnssec_mode { DNSSEC_LAX, DNSSEC_STRICT, DNSSEC_NEVER };
enum pseudo { PLAIN, MXH, ZNS, CSA, ADDRS };

struct query {
	char sep, field_sep;
	bool has_field_sep, joined; /* TXT items: joined without separator by ";" */
	enum defer_mode defer;
	enum dnssec_mode dnssec;
	enum dns_type type;
	enum pseudo pseudo;
	struct str names;
};

static struct str read_separators(struct query *q, struct str s)
{
	q->sep = '\n';
	s = str_ltrim(s);
	if (str_empty(s) || s.p[0] != '>')
		return s;
	s = str_from(s, 1);
	if (str_empty(s))
		return s;
	q->sep = s.p[0];
	s = str_from(s, 1);
	if (s.len && (s.p[0] == ',' || s.p[0] == ';')) {
		q->joined = s.p[0] == ';';
		s = str_from(s, 1);
		if (!q->joined && s.len) {
			q->field_sep = s.p[0];
			q->has_field_sep = true;
			s = str_from(s, 1);
		} else if (q->joined) {
			q->has_field_sep = true;
			q->field_sep = 0;
			if (s.len && !ch_space(s.p[0]) && !ch_alpha(s.p[0])) {
				q->field_sep = s.p[0];
				s = str_from(s, 1);
			}
		}
	}
	return str_ltrim(s);
}

/* Words before the type, each with a comma behind it. False: a word that is none. */
static bool read_modifier(struct query *q, struct str word)
{
	if (str_eqc(word, "defer_strict") || str_eqc(word, "strict"))
		q->defer = DEFER_STRICT;
	else if (str_eqc(word, "defer_lax") || str_eqc(word, "lax"))
		q->defer = DEFER_LAX;
	else if (str_eqc(word, "defer_never") || str_eqc(word, "never"))
		q->defer = DEFER_NEVER;
	else if (str_eqc(word, "dnssec_strict"))
		q->dnssec = DNSSEC_STRICT;
	else if (str_eqc(word, "dnssec_lax"))
		q->dnssec = DNSSEC_LAX;
	else if (str_eqc(word, "dnssec_never"))
		q->dnssec = DNSSEC_NEVER;
	else if (str_starts(word, "retrans_"))
		return interval_parse(str_from(word, 8)) >= 0;
	else if (str_starts(word, "retry_")) {
		uint64_t n;
		return str_uint(str_from(word, 6), 100, &n);
	} else {
		return false;
	}
	return true;
}

static bool read_type(struct query *q, struct str word)
{
	q->pseudo = PLAIN;
	if (str_ieqc(word, "mxh")) {
		q->type = DNS_MX;
		q->pseudo = MXH;
	} else if (str_ieqc(word, "zns")) {
		q->type = DNS_NS;
		q->pseudo = ZNS;
	} else if (str_ieqc(word, "csa")) {
		q->type = DNS_SRV;
		q->pseudo = CSA;
	} else if (str_ieqc(word, "a+")) {
		q->type = DNS_A;
		q->pseudo = ADDRS;
	} else {
		return dns_type_parse(word, &q->type);
	}
	return true;
}

static bool read_query(struct query *q, struct str s, struct why *why)
{
	s = read_separators(q, s);
	q->type = DNS_TXT;
	for (;;) {
		uint32_t n = 0;
		while (n < s.len && (ch_alnum(s.p[n]) || s.p[n] == '_'))
			n++;
		if (n == s.len || s.p[n] != ',')
			break;
		if (!read_modifier(q, str_sub(s, 0, n))) {
			why_set(why, true, "unsupported dnsdb modifier \"%.*s\"", (int)n, s.p);
			return false;
		}
		s = str_ltrim(str_from(s, n + 1));
	}
	struct str names, type = str_cut(s, '=', &names);
	if (names.p) {
		if (!read_type(q, str_trim(type))) {
			why_set(why, true, "unsupported DNS record type");
			return false;
		}
		s = str_ltrim(names);
	}
	q->names = s;
	return true;
}

/* --- records as text ---------------------------------------------------------------------------- */
static char between(const struct query *q)
{
	return q->has_field_sep ? q->field_sep : ' ';
}

static void put_tlsa(const struct dns_record *r, struct strbuf *out)
{
	for (uint32_t i = 3; i < r->rdata.len; i++)
		sb_printf(out, "%02x", (unsigned)(unsigned char)r->rdata.p[i]);
}

/* mname, then rname, serial, refresh, retry, expire, minimum, when a field separator is given. */
static void put_soa(const struct query *q, const struct dns_record *r, struct strbuf *out)
{
	struct rd rd = rd_of(r->rdata);

	sb_add(out, r->target);
	if (!q->has_field_sep || r->rdata.len < 22)
		return;
	/* The names in rdata are uncompressed: labels with a length byte each. */
	for (int name = 0; name < 2; name++) {
		bool first = true;
		if (name == 1)
			sb_ch(out, q->field_sep);
		for (;;) {
			int n = rd_byte(&rd);
			if (n <= 0 || n > 63)
				break;
			struct str label = rd_take(&rd, (size_t)n);
			if (name == 1) {
				if (!first)
					sb_ch(out, '.');
				sb_add(out, label);
			}
			first = false;
		}
	}
	for (int i = 0; i < 5; i++)
		sb_printf(out, "%c%u", q->field_sep, (unsigned)rd_be(&rd, 4));
}

static void put_txt(const struct query *q, const struct dns_record *r, struct strbuf *out)
{
	if (q->joined || r->type == DNS_SPF || r->string_count == 0) {
		sb_add(out, r->text);
		return;
	}
	for (size_t i = 0; i < r->string_count; i++) {
		if (i && !q->has_field_sep)
			return;
		if (i)
			sb_ch(out, q->field_sep);
		sb_add(out, r->strings[i]);
	}
}

static void put_record(struct lookup_context *cx, const struct query *q, const struct dns_record *r, struct strbuf *out)
{
	char f = between(q);

	switch (r->type) {
	case DNS_A:
	case DNS_AAAA: sb_add(out, ip_text(cx->arena, &r->ip)); break;
	case DNS_TXT:
	case DNS_SPF: put_txt(q, r, out); break;
	case DNS_MX:
		if (q->pseudo != MXH)
			sb_printf(out, "%u%c", r->preference, f);
		sb_add(out, r->target);
		break;
	case DNS_SRV:
		sb_printf(out, "%u%c%u%c%u%c", r->preference, f, r->weight, f, r->port, f);
		sb_add(out, r->target);
		break;
	case DNS_TLSA:
		if (r->rdata.len >= 3)
			sb_printf(out, "%u%c%u%c%u%c", (unsigned char)r->rdata.p[0], f, (unsigned char)r->rdata.p[1], f, (unsigned char)r->rdata.p[2], f);
		put_tlsa(r, out);
		break;
	case DNS_SOA: put_soa(q, r, out); break;
	case DNS_NS: case DNS_CNAME: case DNS_PTR: case DNS_CAA: sb_add(out, r->target); break;
	}
}

/* --- asking ------------------------------------------------------------------------------------- */
static struct dns_result *ask_up(struct lookup_context *cx, const struct query *q, struct str name)
{
	bool climbs = q->pseudo == ZNS || q->type == DNS_SOA;
	struct dns_result *r;

	for (;;) {
		r = dns_query(cx->env->resolver, cx->arena, name, q->type);
		if (!climbs || r->answer == DNS_FOUND || r->answer == DNS_AGAIN)
			return r;
		struct str rest;
		str_cut(name, '.', &rest);
		if (!rest.p || str_empty(rest))
			return r;
		name = rest;
	}
}

static enum lookup_found ask_one(struct lookup_context *cx, const struct query *q, struct str name, struct strbuf *out, bool *any)
{
	struct ip_addr ip;

	if (q->type == DNS_PTR && ip_parse(name, &ip))
		name = str_cat(cx->arena, ip_reverse(cx->arena, &ip), ip.family == AF_INET ? STR(".in-addr.arpa") : STR(".ip6.arpa"));
	enum dns_type types[2] = {q->type, DNS_AAAA};
	enum lookup_found got = LOOKUP_NONE;
	for (int t = q->pseudo == ADDRS ? 1 : 0; t >= 0; t--) {
		struct query one = *q;
		one.type = types[t];
		struct dns_result *r = ask_up(cx, &one, name);
		if (r->answer == DNS_AGAIN || (q->dnssec == DNSSEC_STRICT && r->answer == DNS_FOUND && !r->secure))
			return LOOKUP_DEFER;
		if (q->dnssec != DNSSEC_NEVER)
			cx->dnssec = r->secure ? 1 : -1;
		for (size_t i = 0; r->answer == DNS_FOUND && i < r->count; i++) {
			if (r->record[i].type != one.type)
				continue;
			if (*any)
				sb_ch(out, q->sep);
			*any = true;
			put_record(cx, q, &r->record[i], out);
			got = LOOKUP_FOUND;
		}
	}
	return got;
}

static enum lookup_found dnsdb_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	struct query q = {0};
	struct strbuf sb;
	struct str rest, name;
	bool any = false, deferred = false;
	int sep = 0;

	*do_cache = false;
	cx->dnssec = 0;
	if (!read_query(&q, key, why))
		return LOOKUP_DEFER;
	if (q.pseudo == CSA) {
		why_set(why, true, "dnsdb type CSA is not supported yet");
		return LOOKUP_DEFER;
	}
	if (!cx->env || !cx->env->resolver) {
		why_set(why, true, "no resolver");
		return LOOKUP_DEFER;
	}
	sb_init(&sb, cx->arena, LIMIT_LOOKUP_VALUE);
	rest = q.names;
	struct ip_addr ip;
	if (q.type == DNS_PTR && ip_parse(str_trim(rest), &ip))
		sep = '\n'; /* an IPv6 address is no list */
	while (list_next(cx->arena, &rest, &sep, &name)) {
		if (ask_one(cx, &q, name, &sb, &any) != LOOKUP_DEFER)
			continue;
		deferred = q.defer != DEFER_NEVER;
		if (q.defer == DEFER_STRICT)
			break;
	}
	if (deferred && (q.defer == DEFER_STRICT || !any)) {
		why_set(why, true, "DNS lookup did not complete");
		return LOOKUP_DEFER;
	}
	if (!any)
		return LOOKUP_NONE;
	*ret = sb_str(&sb);
	ret->taint = 1;
	return LOOKUP_FOUND;
}

static struct str dnsdb_quote(struct arena *a, struct str s, struct str opts)
{
	return opts.p ? STR_NONE : s;
}

const struct lookup_driver lookup_dnsdb = {
    .name = "dnsdb", .style = LOOKUP_QUERY, .find = dnsdb_find, .quote = dnsdb_quote};
