/* SPDX-License-Identifier: Apache-2.0
 * Reading one item of a list: what kind it is (manual 10.2 to 10.6). */
#include "lookup/match_priv.h"
#include "base/banned.h"

bool item_is_constant(struct str list)
{
	return !memchr(list.p, '$', list.len) && !memchr(list.p, '\\', list.len);
}

static const char *kind_word(enum list_kind kind)
{
	switch (kind) {
	case LIST_DOMAIN: return "domain";
	case LIST_HOST: return "host";
	case LIST_ADDRESS: return "address";
	case LIST_LOCAL_PART: return "local part";
	case LIST_KINDS: break;
	}
	return "string";
}

static bool read_plus(struct lookup_context *cx, enum list_kind kind, struct xitem *it)
{
	static const struct {
		const char *name;
		enum item_policy policy;
	} words[] = {{"+include_unknown", POLICY_INCLUDE_UNKNOWN}, {"+ignore_unknown", POLICY_IGNORE_UNKNOWN},
	    {"+include_defer", POLICY_INCLUDE_DEFER}, {"+ignore_defer", POLICY_IGNORE_DEFER}};

	if (it->text.len < 2 || it->text.p[0] != '+')
		return false;
	if (kind == LIST_HOST)
		for (size_t i = 0; i < countof(words); i++)
			if (str_eqc(it->text, words[i].name)) {
				it->what = ITEM_POLICY;
				it->policy = words[i].policy;
				return true;
			}
	if ((kind == LIST_ADDRESS || kind == LIST_LOCAL_PART) && str_eqc(it->text, "+caseful")) {
		it->what = ITEM_CASEFUL;
		return true;
	}
	if (it->text.taint) {
		it->what = ITEM_BAD;
		it->text = str_printf(cx->arena, "tainted named list \"%.*s\"", STR_ARG(it->text));
		return true;
	}
	it->named = cx->config && kind < LIST_KINDS ? config_find_list(cx->config, kind, str_from(it->text, 1)) : NULL;
	it->what = ITEM_NAMED;
	if (!it->named) {
		it->what = ITEM_BAD;
		it->text = str_printf(cx->arena, "unknown named %s list \"%.*s\"", kind_word(kind), STR_ARG(it->text));
	}
	return true;
}

/* "type;data": false when it is no lookup at all, that is when no semicolon stands there. */
static bool read_lookup(struct lookup_context *cx, struct str type, struct str data, struct xitem *it)
{
	if (!lookup_type_parse(cx, str_trim(type), &it->type)) {
		it->what = ITEM_BAD;
		it->text = cx->error;
		return false;
	}
	it->what = ITEM_LOOKUP;
	it->tail = str_ltrim(data);
	return true;
}

static void read_text(struct lookup_context *cx, enum list_kind kind, struct xitem *it)
{
	struct str t = it->text, data, type = str_cut(t, ';', &data);

	if (str_starts(t, "^")) {
		it->what = ITEM_REGEX;
	} else if (str_starts(t, "*")) {
		it->what = ITEM_SUFFIX;
		it->tail = str_from(t, 1);
	} else if (kind == LIST_DOMAIN && str_eqc(t, "@")) {
		it->what = ITEM_PRIMARY;
	} else if (kind == LIST_DOMAIN && str_eqc(t, "@[]")) {
		it->what = ITEM_LOCAL_IPS;
	} else if (kind == LIST_DOMAIN && str_starts(t, "@mx_")) {
		struct str ignore;
		str_cut(t, '/', &ignore);
		it->what = ITEM_MX;
		if (ignore.p && str_istarts(ignore, "ignore="))
			it->tail = str_from(ignore, 7);
	} else if (data.p) {
		read_lookup(cx, type, data, it);
	} else {
		it->what = ITEM_EXACT;
	}
}

static void read_address(struct lookup_context *cx, struct xitem *it)
{
	struct str t = it->text, data, type = str_cut(t, ';', &data);

	if (str_empty(t)) {
		it->what = ITEM_EMPTY;
		return;
	}
	if (str_starts(t, "^")) {
		it->what = ITEM_REGEX;
		return;
	}
	if (str_starts(t, "@@") && data.p) {
		if (read_lookup(cx, str_from(type, 2), data, it))
			it->what = ITEM_AT_LOOKUP;
		return;
	}
	if (data.p && t.p[0] != '@' && str_chr(type, '@') != 0 && type.p[0] != '*') {
		struct lookup_type lt;
		if (lookup_type_parse(cx, str_trim(type), &lt)) {
			lt.partial = -1; /* 10.5: not for whole addresses */
			it->type = lt;
			it->what = ITEM_LOOKUP;
			it->tail = str_ltrim(data);
			return;
		}
		if (str_chr(type, '@') < 0) {
			it->what = ITEM_BAD;
			it->text = cx->error;
			return;
		}
	}
	ptrdiff_t at = data.p && str_rchr(type, '@') >= 0 ? str_rchr(type, '@') : str_rchr(t, '@');
	if (at > 0 && t.p[at - 1] == '@') /* pqr@@, *@@mx_any: the domain begins with an @ of its own */
		at--;
	struct xitem *d = arena_new_of(cx->arena, struct xitem);
	it->what = ITEM_ADDRESS;
	it->tail = at >= 0 ? str_sub(t, 0, (size_t)at) : STR_NONE;
	d->text = at >= 0 ? str_from(t, (size_t)at + 1) : t;
	if (!read_plus(cx, LIST_DOMAIN, d))
		read_text(cx, LIST_DOMAIN, d);
	it->domain = d;
}

/* 10.1.2.3, 10.0.0.0/8; a mask longer than the address counts as the whole. */
static bool read_net(struct xitem *it)
{
	struct str bits_text, addr = str_cut(it->text, '/', &bits_text);
	uint64_t bits;

	if (!ip_parse(addr, &it->net))
		return false;
	unsigned most = it->net.family == AF_INET ? 32 : 128;
	it->bits = most;
	if (bits_text.p) {
		if (!str_uint(bits_text, 100000, &bits))
			return false;
		it->bits = bits < most ? (unsigned)bits : most;
	}
	it->what = ITEM_NET;
	return true;
}

static void read_host_lookup(struct lookup_context *cx, bool ip_only, struct str type, struct str data, struct xitem *it)
{
	it->net_bits = ip_only ? -1 : -2;
	if (str_istarts(type, "net")) {
		struct rd r = rd_of(str_from(type, 3));
		int bits = -1;
		if (rd_peek(&r) >= 0 && ch_digit(rd_peek(&r)))
			bits = (int)rd_number(&r, 128);
		if (rd_accept(&r, '-')) {
			type = rd_rest(&r);
			it->net_bits = bits;
		}
	}
	read_lookup(cx, type, data, it);
}

static void read_host(struct lookup_context *cx, bool ip_only, struct xitem *it)
{
	struct str t = it->text, data, type = str_cut(t, ';', &data);

	if (str_empty(t))
		it->what = ITEM_EMPTY;
	else if (str_eqc(t, "*"))
		it->what = ITEM_ANY;
	else if (str_starts(t, "^"))
		it->what = ITEM_REGEX;
	else if (str_eqc(t, "@[]"))
		it->what = ITEM_LOCAL_IPS;
	else if (read_net(it))
		return;
	else if (data.p)
		read_host_lookup(cx, ip_only, type, data, it);
	else if (str_starts(t, "*")) {
		it->what = ITEM_SUFFIX;
		it->tail = str_from(t, 1);
	} else {
		it->what = str_eqc(t, "@") ? ITEM_PRIMARY : ITEM_HOST_NAME;
	}
}

void item_read(struct lookup_context *cx, enum list_kind kind, bool ip_only, struct str text, struct xitem *ret)
{
	*ret = (struct xitem){.text = text};
	if (ret->text.len && ret->text.p[0] == '!') {
		ret->negate = true;
		ret->text = str_ltrim(str_from(ret->text, 1));
	}
	if (read_plus(cx, kind, ret))
		return;
	if (str_starts(ret->text, "/") && !str_empty(ret->text)) {
		ret->what = ITEM_FILE;
		return;
	}
	if (kind == LIST_ADDRESS)
		read_address(cx, ret);
	else if (kind == LIST_HOST)
		read_host(cx, ip_only, ret);
	else
		read_text(cx, kind, ret);
}
