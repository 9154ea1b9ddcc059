/* SPDX-License-Identifier: Apache-2.0
 * Lists that need no expansion are read once, when the configuration loads. Neighbouring items of
 * one sign do not depend on their order among themselves: exact names become a hash, networks a
 * prefix tree; all else stays in its place, so the answer is that of reading left to right. */
#include "lookup/match_priv.h"
#include "base/banned.h"

enum { GROUP_MIN = 4 };

struct net_node {
	uint32_t child[2]; /* index + 1, 0 = none */
	bool end;          /* a network ends here: all below is in it */
};
struct net_tree {
	struct net_node *node;
	uint32_t count, room;
	uint32_t root[2]; /* IPv4, IPv6 */
	struct arena *arena;
};

static uint32_t node_new(struct net_tree *t)
{
	if (t->count == t->room) {
		uint32_t room = t->room ? t->room * 2 : 64;
		struct net_node *n = arena_array_of(t->arena, room, struct net_node);
		if (t->count)
			memcpy(n, t->node, t->count * sizeof *n);
		t->node = n;
		t->room = room;
	}
	t->node[t->count] = (struct net_node){{0, 0}, false};
	return t->count++;
}

static void nets_add(struct net_tree *t, const struct ip_addr *ip, unsigned bits)
{
	uint32_t at = t->root[ip->family == AF_INET6];

	for (unsigned i = 0; i < bits; i++) {
		int bit = ip->byte[i / 8] >> (7 - i % 8) & 1;
		if (t->node[at].end)
			return;
		uint32_t next = t->node[at].child[bit];
		if (!next) {
			next = node_new(t) + 1;
			t->node[at].child[bit] = next;
		}
		at = next - 1;
	}
	t->node[at].end = true;
}

bool nets_find(const struct net_tree *t, const struct ip_addr *ip)
{
	uint32_t at = t->root[ip->family == AF_INET6];
	unsigned bits = ip->family == AF_INET ? 32 : 128;

	for (unsigned i = 0; i < bits; i++) {
		if (t->node[at].end)
			return true;
		uint32_t next = t->node[at].child[ip->byte[i / 8] >> (7 - i % 8) & 1];
		if (!next)
			return false;
		at = next - 1;
	}
	return t->node[at].end;
}

static bool groups(const struct xitem *it, enum list_kind kind)
{
	if (kind == LIST_HOST)
		return it->what == ITEM_NET;
	return kind == LIST_DOMAIN && it->what == ITEM_EXACT;
}

static struct xitem make_group(struct arena *a, const struct xitem *it, size_t n)
{
	struct xitem g = {.negate = it->negate, .text = it->text};

	if (it->what == ITEM_NET) {
		struct net_tree *t = arena_new_of(a, struct net_tree);
		t->arena = a;
		t->root[0] = node_new(t);
		t->root[1] = node_new(t);
		for (size_t i = 0; i < n; i++)
			nets_add(t, &it[i].net, it[i].bits);
		g.what = ITEM_NETS;
		g.nets = t;
		return g;
	}
	struct map *m = arena_new_of(a, struct map);
	map_init(m, a, true);
	for (size_t i = 0; i < n; i++)
		if (!map_has(m, it[i].text))
			map_put(m, it[i].text, arena_dup(a, &it[i].text, sizeof it[i].text));
	g.what = ITEM_SET;
	g.set = m;
	return g;
}

static const struct xlist *compile(struct lookup_context *cx, enum list_kind kind, struct str text)
{
	struct xlist *l = arena_new_of(cx->arena, struct xlist);
	struct str rest = text, item;
	size_t n = 0, out = 0;
	int sep = 0;

	while (list_next(cx->arena, &rest, &sep, &item))
		n++;
	struct xitem *v = arena_array_of(cx->arena, n + 1, struct xitem);
	rest = text;
	sep = 0;
	for (size_t i = 0; i < n && list_next(cx->arena, &rest, &sep, &item); i++)
		item_read(cx, kind, false, item, &v[i]);
	for (size_t i = 0; i < n;) {
		size_t j = i;
		while (j < n && groups(&v[j], kind) && v[j].what == v[i].what && v[j].negate == v[i].negate)
			j++;
		if (j - i >= GROUP_MIN) {
			v[out++] = make_group(cx->arena, &v[i], j - i);
			i = j;
		} else {
			v[out++] = v[i++];
		}
	}
	*l = (struct xlist){.kind = kind, .item = v, .count = out};
	return l;
}

void match_compile_list(struct arena *a, const struct config *cfg, struct xstr *list, enum list_kind kind)
{
	struct lookup_context cx = {.config = cfg, .arena = a};

	if (list->text.p && !list->list && item_is_constant(list->text))
		list->list = compile(&cx, kind, list->text);
}

static bool list_kind_of(enum opt_type t, enum list_kind *ret)
{
	if (t == OPT_DOMAINS)
		*ret = LIST_DOMAIN;
	else if (t == OPT_HOSTS)
		*ret = LIST_HOST;
	else if (t == OPT_ADDRESSES)
		*ret = LIST_ADDRESS;
	else if (t == OPT_LOCAL_PARTS)
		*ret = LIST_LOCAL_PART;
	else
		return false;
	return true;
}

static void compile_rows(struct config *cfg, const struct opt_row *rows, size_t n, void *block)
{
	enum list_kind kind;

	for (size_t i = 0; block && i < n; i++)
		if (!(rows[i].flags & (OPT_REFUSED | OPT_OBSOLETE)) && list_kind_of(rows[i].type, &kind))
			match_compile_list(cfg->arena, cfg, (struct xstr *)(void *)((char *)block + rows[i].offset), kind);
}

bool match_compile_all(struct config *cfg, struct env *env, struct why *why)
{
	size_t n;
	const struct opt_row *rows = config_main_rows(&n);

	for (int k = 0; k < LIST_KINDS; k++)
		for (struct named_list *nl = cfg->lists[k]; nl; nl = nl->next)
			match_compile_list(cfg->arena, cfg, &nl->value, (enum list_kind)k);
	compile_rows(cfg, rows, n, &cfg->main);
	for (int k = 0; k < DRIVER_KINDS; k++) {
		const struct driver_family *f = &cfg->schema->family[k];
		for (struct driver_instance *di = cfg->drivers[k]; di; di = di->next) {
			compile_rows(cfg, f->generic, f->generic_count, di->generic);
			compile_rows(cfg, di->driver->options, di->driver->option_count, di->options);
		}
	}
	return true;
}
