/* SPDX-License-Identifier: Apache-2.0
 * lsearch, iplsearch, wildlsearch, nwildlsearch (manual 9.3.6, 9.3.9, 9.3.11): a text file of keys
 * and data. The file is read once and cut into entries; lsearch finds keys by a hash of the first
 * entry of each, the others walk the entries in order. */
#include "lookup/lookup.h"
#include "lookup/match.h"
#include "lookup/match_priv.h"
#include "lookup/read_file.h"
#include "net/addr.h"
#include "base/limits.h"
#include "base/banned.h"

struct entry {
	struct str key;     /* de-quoted */
	size_t data, next;  /* offsets of the data and behind its first line */
	struct entry *after;
	struct ip_addr net; /* iplsearch */
	uint8_t bits, state; /* 0 not looked at, 1 network, 2 none */
};
struct text_file {
	struct arena *arena;
	struct str text;
	struct entry *first;
	struct map index;
};

static bool line_is_skipped(struct str line)
{
	return str_empty(line) || line.p[0] == '#';
}

static struct str quoted_key(struct rd *r, struct arena *a)
{
	struct strbuf sb;

	sb_init(&sb, a, LIMIT_LOOKUP_VALUE);
	while (!rd_done(r) && rd_peek(r) != '"') {
		int c = rd_byte(r);
		if (c != '\\' || rd_done(r)) {
			sb_ch(&sb, (char)c);
			continue;
		}
		c = rd_byte(r);
		sb_ch(&sb, c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : (char)c);
	}
	rd_accept(r, '"');
	return sb_str(&sb);
}

static bool key_ends(int c)
{
	return c == ':' || ch_space(c);
}

static void read_entry(struct text_file *f, struct entry ***tail, struct str line)
{
	struct rd r = rd_of(line);
	struct entry *e = arena_new_of(f->arena, struct entry);

	if (rd_accept(&r, '"')) {
		e->key = quoted_key(&r, f->arena);
	} else {
		const char *from = r.p;
		while (!rd_done(&r) && !key_ends(rd_peek(&r)))
			rd_byte(&r);
		e->key = str_n(from, (size_t)(r.p - from));
	}
	rd_skip_space(&r);
	rd_accept(&r, ':');
	rd_skip_space(&r);
	e->data = (size_t)(r.p - f->text.p);
	e->next = (size_t)(line.p + line.len - f->text.p);
	**tail = e;
	*tail = &e->after;
	if (!map_has(&f->index, e->key))
		map_put(&f->index, e->key, e);
}

struct text_file *lsearch_parse(struct arena *a, struct str text)
{
	struct text_file *f = arena_new_of(a, struct text_file);
	struct entry **tail = &f->first;
	struct rd r = rd_of(text);

	f->arena = a;
	f->text = text;
	map_init(&f->index, a, true);
	while (!rd_done(&r)) {
		struct str line = rd_until(&r, '\n');
		rd_accept(&r, '\n');
		line = str_rtrim(line);
		if (!line_is_skipped(line) && !ch_space(line.p[0]))
			read_entry(f, &tail, line);
	}
	return f;
}

/* Data of an entry: its line and those that go on with white space, joined by one space each. */
static struct str entry_data(const struct text_file *f, const struct entry *e, struct arena *a)
{
	struct strbuf sb;
	struct rd r = rd_of(str_from(f->text, e->next));

	sb_init(&sb, a, LIMIT_LOOKUP_VALUE);
	if (e->data < e->next)
		sb_add(&sb, str_sub(f->text, e->data, e->next - e->data));
	rd_until(&r, '\n');
	rd_accept(&r, '\n');
	while (!rd_done(&r)) {
		struct str line = str_rtrim(rd_until(&r, '\n'));
		rd_accept(&r, '\n');
		if (line.len && line.p[0] == '#')
			continue;
		if (str_empty(line) || !ch_space(line.p[0]))
			break;
		sb_ch(&sb, ' ');
		sb_add(&sb, str_ltrim(line));
	}
	return sb_str(&sb);
}

struct str lsearch_value(struct text_file *f, struct entry *e, struct str opts, struct arena *a)
{
	struct str v = entry_data(f, e, a);

	if (str_eqc(opts, "ret=full"))
		return str_cat(a, e->key, STR(": "), v);
	return v;
}

struct entry *lsearch_get(struct text_file *f, struct str key)
{
	return map_get(&f->index, key);
}

static bool lsearch_open(struct lookup_context *cx, struct str file, void **ret, struct why *why)
{
	struct arena *a = arena_new("lsearch", LIMIT_CONFIG_FILE * 8ull, 4096, 0);
	struct str text;

	if (!lookup_read_file(a, file, "linear search", &text, why)) {
		arena_free(a);
		return false;
	}
	*ret = lsearch_parse(a, text);
	return true;
}

static void lsearch_close(void *handle)
{
	struct text_file *f = handle;

	arena_free(f->arena);
}

#define FIND(fn) static enum lookup_found fn(struct lookup_context *cx, void *handle, struct str file, struct str key, \
    struct str opts, struct str *ret, bool *do_cache, struct why *why)

FIND(lsearch_find)
{
	struct text_file *f = handle;
	struct entry *e = lsearch_get(f, key);

	*do_cache = false; /* the index is as quick */
	if (!e)
		return LOOKUP_NONE;
	*ret = lsearch_value(f, e, opts, cx->arena);
	return LOOKUP_FOUND;
}

FIND(iplsearch_find)
{
	struct text_file *f = handle;
	struct ip_addr ip;
	bool star = str_eqc(key, "*");

	if (!star && !ip_parse(key, &ip)) {
		why_set(why, true, "\"%.*s\" is not a valid iplsearch key (an IP address, with optional CIDR mask, is wanted): "
		    "in a host list, use net-iplsearch as the search type", STR_ARG(key));
		return LOOKUP_DEFER;
	}
	for (struct entry *e = f->first; e; e = e->after) {
		unsigned bits;
		if (e->state == 0) {
			e->state = ip_net_parse(e->key, &e->net, &bits) ? 1 : 2;
			e->bits = e->state == 1 ? (uint8_t)bits : 0;
		}
		if (star ? !str_eqc(e->key, "*") : e->state != 1 || !ip_in_net(&ip, &e->net, e->bits))
			continue;
		*ret = lsearch_value(f, e, opts, cx->arena);
		return LOOKUP_FOUND;
	}
	return LOOKUP_NONE;
}

static enum lookup_found wild(struct lookup_context *cx, struct text_file *f, struct str key, struct str opts, bool expand,
    struct str *ret, struct why *why)
{
	for (struct entry *e = f->first; e; e = e->after) {
		struct str pattern = e->key;
		bool forced = false;
		if (expand && cx->ops && !cx->ops->expand(cx, e->key, &pattern, &forced)) {
			if (forced)
				continue;
			why_set(why, true, "failed to expand \"%.*s\" while checking a list: %.*s", STR_ARG(e->key), STR_ARG(cx->error));
			return LOOKUP_DEFER;
		}
		switch (match_wild(cx, pattern, key)) {
		case MATCH_NO: continue;
		case MATCH_DEFER:
			why_set(why, true, "%.*s", STR_ARG(cx->error));
			return LOOKUP_DEFER;
		case MATCH_YES: break;
		}
		*ret = lsearch_value(f, e, opts, cx->arena);
		return LOOKUP_FOUND;
	}
	return LOOKUP_NONE;
}

FIND(wildlsearch_find)
{
	*do_cache = false; /* what the keys expand to may differ next time */
	return wild(cx, handle, key, opts, true, ret, why);
}

FIND(nwildlsearch_find)
{
	return wild(cx, handle, key, opts, false, ret, why);
}

#define DRIVER(n) \
	const struct lookup_driver lookup_##n = {.name = #n, .style = LOOKUP_FILE, .wild_ok = true, .open = lsearch_open, \
	    .close = lsearch_close, .find = n##_find}
DRIVER(lsearch);
DRIVER(iplsearch);
DRIVER(wildlsearch);
DRIVER(nwildlsearch);
