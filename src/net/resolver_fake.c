/* SPDX-License-Identifier: Apache-2.0
 * The resolver of tests: answers from text. One record a line,
 *
 *   [DNSSEC] name ttl type data      with data in the usual master file words, e.g.
 *   example.com 3600 MX 10 mx.example.com
 *   example.com 3600 TXT "v=spf1 " "-all"
 *   _25._tcp.mx.example.com 300 TLSA 3 1 1 0123abcd
 *   name AGAIN                        a temporary failure
 *
 * A '#' or ';' begins a comment line. DNSSEC marks what counts as validated. */
#include "net/resolver_priv.h"

#include <stdlib.h>

#include "base/rd.h"
#include "base/strbuf.h"
#include "base/banned.h"

struct fake_name {
	struct dns_record record;
	bool secure, again;
};

struct fake {
	struct fake_name *row;
	size_t count;
};

static void hex_data(struct arena *a, struct rd *line, struct strbuf *sb)
{
	for (struct str w; (w = rd_word(line)).len;)
		for (uint32_t i = 0; i + 1 < w.len; i += 2) {
			char two[3] = {w.p[i], w.p[i + 1], 0};
			sb_ch(sb, (char)strtoul(two, NULL, 16));
		}
	(void)a;
}

static void text_data(struct arena *a, struct rd *line, struct dns_record *rec)
{
	struct str list[64];
	size_t n = 0;
	struct strbuf all, raw;
	sb_init(&all, a, 65536);
	sb_init(&raw, a, 65536);
	for (rd_skip_blank(line); !rd_done(line) && n < countof(list); rd_skip_blank(line)) {
		struct str s;
		if (rd_accept(line, '"')) {
			s = rd_until(line, '"');
			rd_accept(line, '"');
		} else {
			s = rd_word(line);
		}
		list[n++] = str_tainted(s);
		sb_add(&all, list[n - 1]);
		sb_ch(&raw, (char)s.len);
		sb_add(&raw, s);
	}
	rec->strings = arena_dup(a, list, n * sizeof *list);
	rec->string_count = n;
	rec->text = str_tainted(sb_str(&all));
	rec->rdata = str_tainted(sb_str(&raw));
}

static struct str name_data(struct rd *line)
{
	struct str w = rd_word(line);
	if (w.len && w.p[w.len - 1] == '.')
		w.len--;
	return str_tainted(w);
}

static void wire_name(struct strbuf *sb, struct str name)
{
	while (str_is_set(name) && name.len) {
		struct str label = str_cut(name, '.', &name);
		sb_ch(sb, (char)label.len);
		sb_add(sb, label);
	}
	sb_ch(sb, 0);
}

static void number_data(struct rd *line, struct strbuf *sb, unsigned bytes)
{
	uint64_t v = 0;
	struct str w = rd_word(line);
	if (!str_uint(w, UINT32_MAX, &v))
		line->bad = true;
	while (bytes--)
		sb_ch(sb, (char)(v >> 8 * bytes));
}

static uint16_t number(struct rd *line)
{
	uint64_t v = 0;
	if (!str_uint(rd_word(line), UINT16_MAX, &v))
		line->bad = true;
	return (uint16_t)v;
}

static void take_data(struct arena *a, struct rd *line, struct dns_record *rec)
{
	struct strbuf sb;
	sb_init(&sb, a, 65536);
	switch (rec->type) {
	case DNS_A:
	case DNS_AAAA:
		if (!ip_parse(rd_word(line), &rec->ip) || rec->ip.family != (rec->type == DNS_A ? AF_INET : AF_INET6))
			line->bad = true;
		sb_addn(&sb, (const char *)rec->ip.byte, rec->type == DNS_A ? 4 : 16);
		break;
	case DNS_SRV:
		rec->preference = number(line);
		rec->weight = number(line);
		rec->port = number(line);
		rec->target = name_data(line);
		return;
	case DNS_MX:
		rec->preference = number(line);
		rec->target = name_data(line);
		return;
	case DNS_NS:
	case DNS_CNAME:
	case DNS_PTR: rec->target = name_data(line); return;
	case DNS_SOA:
		rec->target = name_data(line);
		wire_name(&sb, rec->target);
		wire_name(&sb, name_data(line));
		for (int i = 0; i < 5; i++)
			number_data(line, &sb, 4);
		break;
	case DNS_TXT:
	case DNS_SPF: text_data(a, line, rec); return;
	case DNS_TLSA:
		for (int i = 0; i < 3; i++)
			number_data(line, &sb, 1);
		hex_data(a, line, &sb);
		break;
	case DNS_CAA: {
		number_data(line, &sb, 1);
		struct str tag = rd_word(line), value = str_trim(rd_rest(line));
		if (value.len >= 2 && value.p[0] == '"')
			value = str_sub(value, 1, value.len - 2);
		sb_ch(&sb, (char)tag.len);
		sb_add(&sb, tag);
		sb_add(&sb, value);
		break;
	}
	}
	rec->rdata = str_tainted(sb_str(&sb));
}

static bool take_line(struct arena *a, struct rd *line, struct fake_name *row)
{
	uint64_t ttl;
	struct str w = rd_word(line);
	if (str_eqc(w, "DNSSEC")) {
		row->secure = true;
		w = rd_word(line);
	}
	if (!dns_name_good(&w))
		return false;
	row->record.name = str_tainted(str_lower(a, w));
	w = rd_word(line);
	if (str_eqc(w, "AGAIN")) {
		row->again = true;
		return true;
	}
	if (!str_uint(w, UINT32_MAX, &ttl) || !dns_type_parse(rd_word(line), &row->record.type))
		return false;
	row->record.ttl = (uint32_t)ttl;
	take_data(a, line, &row->record);
	return !line->bad;
}

static const struct fake_name *row_named(const struct fake *f, struct str name)
{
	for (size_t i = 0; i < f->count; i++)
		if (str_ieq(f->row[i].record.name, name))
			return &f->row[i];
	return NULL;
}

static struct dns_result *fake_query(void *data, struct arena *a, struct str name, enum dns_type type)
{
	const struct fake *f = data;
	struct dns_result *ret = arena_new_of(a, struct dns_result);
	struct dns_record *all = arena_array_of(a, f->count ? f->count : 1, struct dns_record);
	for (size_t i = 0; i < f->count; i++)
		if (!f->row[i].again)
			all[i] = f->row[i].record;
	dns_answer_pick(a, all, f->count, name, type, ret);
	const struct fake_name *last = row_named(f, str_is_set(ret->canonical) ? ret->canonical : name), *first = row_named(f, name);
	if (ret->answer == DNS_NODATA && last && last->again) {
		ret->answer = DNS_AGAIN;
		ret->why = STR("server failure");
	} else if (ret->answer == DNS_NODATA && !last) {
		ret->answer = DNS_NXDOMAIN;
	}
	ret->secure = first && first->secure && last && last->secure;
	return ret;
}

static void fake_release(void *data)
{
	(void)data; /* it lives in the resolver's arena */
}

static const struct dns_backend backend_fake = {.query = fake_query, .release = fake_release};

struct resolver *resolver_new_fake(struct str zone_text, struct why *why)
{
	struct resolver_opts o = {.resolv_conf = "/dev/null", .hosts_file = "/dev/null"};
	struct resolver *r = resolver_new(&o, why);
	if (!r)
		return NULL;
	r->backend->release(r->data);
	struct fake *f = arena_new_of(r->arena, struct fake);
	r->backend = &backend_fake;
	r->data = f;
	size_t lines = 1;
	for (uint32_t i = 0; i < zone_text.len; i++)
		lines += zone_text.p[i] == '\n';
	f->row = arena_array_of(r->arena, lines, struct fake_name);
	struct rd text = rd_of(str_dup(r->arena, zone_text));
	for (size_t n = 1; !rd_done(&text); n++) {
		struct str s = str_trim(rd_line(&text));
		if (s.len == 0 || s.p[0] == '#' || s.p[0] == ';')
			continue;
		struct rd line = rd_of(s);
		if (!take_line(r->arena, &line, &f->row[f->count])) {
			why_set(why, false, "zone text, line %zu: %.*s", n, STR_ARG(s));
			resolver_free(r);
			return NULL;
		}
		f->count++;
	}
	return r;
}
