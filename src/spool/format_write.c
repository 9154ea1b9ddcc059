/* SPDX-License-Identifier: Apache-2.0
 * A message to the text of its -H file (format.h). */
#include "spool/format.h"

#include <stdlib.h>

#include "base/limits.h"
#include "spool/spool.h"

#include "base/banned.h"

/* Nothing that comes from outside may begin a line of its own. */
static void add_one_line(struct strbuf *sb, struct str s)
{
	for (uint32_t i = 0; i < s.len; i++)
		sb_ch(sb, s.p[i] == '\n' || s.p[i] == '\0' ? ' ' : s.p[i]);
}

static void begin(struct strbuf *sb, const char *name, struct str value)
{
	sb_addc(sb, value.taint ? "--" : "-");
	sb_addc(sb, name);
	sb_ch(sb, ' ');
}

static void write_pem(struct strbuf *sb, struct str s)
{
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\n')
			sb_addc(sb, "\\n");
		else
			sb_ch(sb, s.p[i]);
	}
}

static void write_acl(struct strbuf *sb, struct str prefix, char kind, struct str name, struct str value)
{
	sb_add(sb, prefix);
	sb_printf(sb, "acl%c ", kind);
	add_one_line(sb, name);
	sb_printf(sb, " %u\n", value.len);
	sb_add(sb, value);
	sb_ch(sb, '\n');
}

static int by_text(const void *a, const void *b)
{
	return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

/* Keys of a map in byte order. */
static struct str *sorted_keys(struct arena *a, const struct map *m, size_t *ret_n)
{
	struct str *key = arena_array_of(a, m->live + 1, struct str);
	size_t n = 0;
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(m, &pos));)
		key[n++] = s->key;
	if (n > 1)
		qsort(key, n, sizeof *key, by_text);
	*ret_n = n;
	return key;
}

static const struct spool_acl_line *remembered(const struct message *m, char kind, struct str name)
{
	const struct spool_memory *mem = m->spool_memory;
	for (size_t i = 0; mem && i < mem->acl_count; i++)
		if (mem->acl[i].kind == kind && str_eq(mem->acl[i].name, name))
			return &mem->acl[i];
	return NULL;
}

static void write_acl_map(struct strbuf *sb, struct arena *a, const struct message *m, char kind)
{
	const struct map *map = kind == 'c' ? &m->acl_c : &m->acl_m;
	const struct spool_memory *mem = m->spool_memory;
	for (size_t i = 0; mem && i < mem->acl_count; i++) {
		const struct spool_acl_line *line = &mem->acl[i];
		const struct str *value = line->kind == kind ? map_get(map, line->name) : NULL;
		if (!value)
			continue;
		bool same = value == line->value;
		write_acl(sb, same ? line->prefix : value->taint ? STR("--") : STR("-"), kind, line->name, *value);
	}
	size_t n = 0;
	struct str *key = sorted_keys(a, map, &n);
	for (size_t i = 0; i < n; i++) {
		const struct str *value = map_get(map, key[i]);
		if (value && !remembered(m, kind, key[i]))
			write_acl(sb, value->taint ? STR("--") : STR("-"), kind, key[i], *value);
	}
}

static void write_endpoint(struct strbuf *sb, const struct spool_row *row, const char *base)
{
	const struct str *address = (const void *)(base + row->at);
	const int *port = (const void *)(base + row->at2);
	if (!str_is_set(*address))
		return;
	begin(sb, row->name, *address);
	sb_ch(sb, '[');
	add_one_line(sb, *address);
	sb_printf(sb, "]:%d\n", *port);
}

static void write_number(struct strbuf *sb, const char *name, int v)
{
	sb_printf(sb, "-%s %d\n", name, v);
}

static void write_str(struct strbuf *sb, const struct spool_row *row, struct str value)
{
	if (!str_is_set(value))
		return;
	begin(sb, row->name, value);
	if (row->type == ROW_PEM)
		write_pem(sb, value);
	else
		add_one_line(sb, value);
	sb_ch(sb, '\n');
}

static void write_row(struct strbuf *sb, struct arena *a, const struct message *m, const struct spool_row *row)
{
	const char *base = (const char *)m;
	const void *at = base + row->at;
	int i = 0;
	if (row->type == ROW_INT || row->type == ROW_INT_ALWAYS || row->type == ROW_LETTER || row->type == ROW_LINES)
		i = *(const int *)at;
	switch (row->type) {
	case ROW_STR:
	case ROW_PEM: write_str(sb, row, *(const struct str *)at); break;
	case ROW_FLAG:
		if (*(const bool *)at)
			sb_printf(sb, "-%s\n", row->name);
		break;
	case ROW_INT:
		if (i)
			write_number(sb, row->name, i);
		break;
	case ROW_INT_ALWAYS: write_number(sb, row->name, i); break;
	case ROW_TIME:
		if (*(const int64_t *)at)
			sb_printf(sb, "-%s %lld\n", row->name, (long long)*(const int64_t *)at);
		break;
	case ROW_ENDPOINT: write_endpoint(sb, row, base); break;
	case ROW_USEC: sb_printf(sb, "-%s .%06d\n", row->name, (int)(m->received_us % 1000000)); break;
	case ROW_DONE_TIME:
		if (m->received_done_us)
			sb_printf(sb, "-%s %lld.%06d\n", row->name, (long long)(m->received_done_us / 1000000),
			    (int)(m->received_done_us % 1000000));
		break;
	case ROW_ACL:
		write_acl_map(sb, a, m, 'c');
		write_acl_map(sb, a, m, 'm');
		break;
	case ROW_LINES:
		if (m->wireformat)
			sb_addc(sb, "-spool_file_wireformat\n");
		else
			write_number(sb, row->name, i);
		break;
	case ROW_LETTER: sb_printf(sb, "-%s %c\n", row->name, 'A' + (i & 15)); break;
	case ROW_DOWNCONVERT:
		if (m->utf8_downconvert)
			sb_addc(sb, m->utf8_downconvert > 0 ? "-utf8_downcvt\n" : "-utf8_optdowncvt\n");
		break;
	case ROW_DSN_RET:
		if (m->dsn_ret != DSN_RET_NONE)
			write_number(sb, row->name, m->dsn_ret == DSN_RET_FULL ? 1 : 2);
		break;
	}
}

/* The middle key becomes the root: a balanced tree, as Exim's lookups want it. */
static void write_tree(struct strbuf *sb, const struct str *key, size_t n)
{
	size_t root = n / 2;
	bool left = root > 0, right = n - root > 1;
	sb_printf(sb, "%c%c ", left ? 'Y' : 'N', right ? 'Y' : 'N');
	add_one_line(sb, key[root]);
	sb_ch(sb, '\n');
	if (left)
		write_tree(sb, key, root);
	if (right)
		write_tree(sb, key + root + 1, n - root - 1);
}

static void write_done(struct strbuf *sb, struct arena *a, const struct message *m)
{
	const struct spool_memory *mem = m->spool_memory;
	if (mem && mem->tree_count == m->done.live) {
		sb_add(sb, mem->tree);
		return;
	}
	size_t n = 0;
	struct str *key = sorted_keys(a, &m->done, &n);
	if (n == 0)
		sb_addc(sb, "XX\n");
	else
		write_tree(sb, key, n);
}

static void write_recipient(struct strbuf *sb, const struct recipient *r)
{
	add_one_line(sb, r->address);
	if (r->errors_to.len || r->parent >= 0 || r->orcpt.len || r->dsn_notify) {
		sb_ch(sb, ' ');
		add_one_line(sb, r->orcpt);
		sb_printf(sb, " %u,%d ", r->orcpt.len, r->dsn_notify << 1);
		add_one_line(sb, r->errors_to);
		sb_printf(sb, " %u,%d#3", r->errors_to.len, r->parent);
	}
	sb_ch(sb, '\n');
}

struct str spool_format_header(struct arena *a, const struct message *m)
{
	struct strbuf sb;
	sb_init(&sb, a, (size_t)LIMIT_SPOOL_HEADER + 1);
	sb_printf(&sb, "%s-H\n", m->id);
	add_one_line(&sb, m->login);
	sb_printf(&sb, " %d %d\n<", m->uid, m->gid);
	add_one_line(&sb, m->sender);
	sb_printf(&sb, ">\n%lld %d\n", (long long)(m->received_us / 1000000), m->warnings);
	for (size_t i = 0; i < spool_row_count; i++)
		write_row(&sb, a, m, &spool_rows[i]);
	sb_add(&sb, m->unknown_lines);
	write_done(&sb, a, m);
	sb_printf(&sb, "%zu\n", m->recipients);
	for (size_t i = 0; i < m->recipients; i++)
		write_recipient(&sb, &m->recipient[i]);
	sb_ch(&sb, '\n');
	for (const struct header *h = m->headers.first; h; h = h->next) {
		sb_printf(&sb, "%03u%c ", h->text.len, h->kind);
		sb_add(&sb, h->text);
	}
	return sb_str(&sb);
}
