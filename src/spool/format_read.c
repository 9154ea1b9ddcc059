/* SPDX-License-Identifier: Apache-2.0
 * The text of a -H file to a message (format.h). Everything is checked: a file that does not read
 * to its last byte is damaged, and left to people. */
#include "spool/format.h"

#include "base/limits.h"
#include "spool/spool.h"

#include "base/banned.h"

struct reading {
	struct rd r;
	struct arena *arena;
	struct message *m;
	struct spool_memory *memory;
	struct spool_acl_line *acl;
	size_t acl_room;
	struct strbuf unknown;
};

static bool damaged(struct why *why, const char *what)
{
	why_set(why, false, "format error in spool file: %s", what);
	return false;
}

/* A line without its newline, which must be there; a CR is part of it. NULs are blocks that never reached the disk. */
static bool take_line(struct rd *r, struct str *ret)
{
	struct str line = rd_until(r, '\n');
	if (!rd_accept(r, '\n') || str_chr(line, '\0') >= 0)
		return false;
	line.taint = 0;
	*ret = line;
	return true;
}

static bool number_in(struct str s, int64_t min, int64_t max, int64_t *ret)
{
	int64_t v = 0;
	if (!str_int(s, &v) || v < min || v > max)
		return false;
	*ret = v;
	return true;
}

/* Split at the last blank. */
static bool cut_last(struct str s, struct str *ret_head, struct str *ret_tail)
{
	ptrdiff_t at = str_rchr(s, ' ');
	if (at < 0)
		return false;
	*ret_tail = str_from(s, (size_t)at + 1);
	*ret_head = str_sub(s, 0, (size_t)at);
	return true;
}

static bool read_envelope(struct reading *g, struct why *why)
{
	struct str line, head, tail;
	int64_t v = 0;
	struct message *m = g->m;
	if (!take_line(&g->r, &line) || !str_ends(line, "-H") || !msgid_valid(str_sub(line, 0, line.len - 2u)))
		return damaged(why, "first line is not a message id with -H");
	memcpy(m->id, line.p, line.len - 2u);
	if (!take_line(&g->r, &line) || !cut_last(line, &head, &tail) || !number_in(tail, INT32_MIN, INT32_MAX, &v))
		return damaged(why, "submitter");
	m->gid = (int32_t)v;
	if (!cut_last(head, &m->login, &tail) || !number_in(tail, INT32_MIN, INT32_MAX, &v))
		return damaged(why, "submitter");
	m->uid = (int32_t)v;
	if (!take_line(&g->r, &line) || line.len < 2 || line.p[0] != '<' || line.p[line.len - 1] != '>')
		return damaged(why, "sender");
	m->sender = str_tainted(str_sub(line, 1, line.len - 2u));
	m->sender_set = true;
	if (!take_line(&g->r, &line) || !cut_last(line, &head, &tail) || !number_in(tail, 0, INT32_MAX, &v))
		return damaged(why, "time and warnings");
	m->warnings = (int)v;
	if (!number_in(head, 0, INT64_MAX / 1000000 - 1, &v))
		return damaged(why, "time");
	m->received_us = v * 1000000;
	return true;
}

/* "[address]:port", or Exim's older "address.port". */
static bool read_endpoint(struct str value, struct str *ret_address, int *ret_port)
{
	char separator = value.len && value.p[0] == '[' ? ':' : '.';
	ptrdiff_t at = str_rchr(value, separator);
	int64_t port = 0;
	if (at < 0 || !number_in(str_from(value, (size_t)at + 1), 0, 65535, &port))
		return false;
	struct str address = str_sub(value, 0, (size_t)at);
	if (separator == ':') {
		if (address.len < 2 || address.p[address.len - 1] != ']')
			return false;
		address = str_sub(address, 1, address.len - 2u);
	}
	*ret_address = address;
	*ret_port = (int)port;
	return true;
}

static struct str read_pem(struct arena *a, struct str value)
{
	struct strbuf sb;
	sb_init(&sb, a, value.len + 1u);
	for (uint32_t i = 0; i < value.len; i++) {
		bool newline = value.p[i] == '\\' && i + 1 < value.len && value.p[i + 1] == 'n';
		sb_ch(&sb, newline ? '\n' : value.p[i]);
		i += newline;
	}
	struct str pem = sb_str(&sb);
	pem.taint = value.taint;
	return pem;
}

/* "1795325757.368249" or ".366846", six digits after the point. */
static bool read_usec(struct str value, int64_t *ret_seconds, int64_t *ret_usec)
{
	struct str fraction;
	struct str seconds = str_cut(value, '.', &fraction);
	*ret_seconds = 0;
	if (seconds.len && !number_in(seconds, 0, INT64_MAX / 1000000 - 1, ret_seconds))
		return false;
	return str_is_set(fraction) && fraction.len == 6 && number_in(fraction, 0, 999999, ret_usec);
}

/* One row's value into the message; false if it does not fit the row's type. */
static bool read_row(struct reading *g, const struct spool_row *row, struct str value)
{
	char *base = (char *)g->m;
	void *at = base + row->at;
	int64_t v = 0, w = 0;
	switch (row->type) {
	case ROW_STR: *(struct str *)at = value; return true;
	case ROW_PEM: *(struct str *)at = read_pem(g->arena, value); return true;
	case ROW_FLAG:
		if (value.len == 0)
			*(bool *)at = true;
		return value.len == 0;
	case ROW_INT:
	case ROW_INT_ALWAYS:
	case ROW_LINES:
		if (!number_in(value, INT32_MIN, INT32_MAX, &v))
			return false;
		*(int *)at = (int)v;
		return true;
	case ROW_TIME: return number_in(value, 0, INT64_MAX / 1000000, at);
	case ROW_ENDPOINT: return read_endpoint(value, at, (void *)(base + row->at2));
	case ROW_USEC:
		if (!read_usec(value, &v, &w) || v)
			return false;
		g->m->received_us += w - g->m->received_us % 1000000;
		return true;
	case ROW_DONE_TIME:
		if (!read_usec(value, &v, &w))
			return false;
		g->m->received_done_us = v * 1000000 + w;
		return true;
	case ROW_LETTER:
		if (value.len != 1 || value.p[0] < 'A' || value.p[0] > 'P')
			return false;
		*(int *)at = value.p[0] - 'A';
		return true;
	case ROW_DSN_RET:
		if (!number_in(value, 1, 2, &v))
			return false;
		g->m->dsn_ret = v == 1 ? DSN_RET_FULL : DSN_RET_HDRS;
		return true;
	case ROW_DOWNCONVERT:
		if (value.len == 0)
			g->m->utf8_downconvert = 1;
		return value.len == 0;
	case ROW_ACL: return false;
	}
	return false;
}

/* "-aclm name length", value on the next line(s); also the old "-acl number length". */
static bool read_acl(struct reading *g, struct str prefix, char kind, struct str rest, uint8_t taint)
{
	struct str name, length;
	int64_t n = 0, number = 0;
	if (!cut_last(rest, &name, &length) || !number_in(length, 0, LIMIT_SPOOL_HEADER, &n) || name.len == 0)
		return false;
	if (kind == 0) {
		if (!number_in(name, 0, 19, &number))
			return false;
		kind = number < 10 ? 'c' : 'm';
		name = str_printf(g->arena, "%d", (int)(number % 10));
	}
	if (rd_left(&g->r) < (size_t)n + 1 || g->memory->acl_count >= SPOOL_MAX_ACL_VARS)
		return false;
	struct str *value = arena_new_of(g->arena, struct str);
	*value = rd_take(&g->r, (size_t)n);
	value->taint = taint;
	if (!rd_accept(&g->r, '\n'))
		return false;
	struct map *map = kind == 'c' ? &g->m->acl_c : &g->m->acl_m;
	if (map_put(map, name, value))
		return false; /* twice */
	size_t used = g->memory->acl_count;
	if (used == g->acl_room) {
		g->acl_room = g->acl_room ? g->acl_room * 2 : 8;
		struct spool_acl_line *more = arena_array_of(g->arena, g->acl_room, struct spool_acl_line);
		if (used)
			memcpy(more, g->acl, used * sizeof *more);
		g->memory->acl = g->acl = more;
	}
	g->acl[used] = (struct spool_acl_line){.prefix = prefix, .kind = kind, .name = name, .value = value};
	g->memory->acl_count++;
	return true;
}

static const struct spool_row *find_row(struct str name)
{
	for (size_t i = 0; i < spool_row_count; i++)
		if (str_eqc(name, spool_rows[i].name) && spool_rows[i].type != ROW_ACL)
			return &spool_rows[i];
	return NULL;
}

/* "-", "--" or "--(lookup)". */
static bool take_prefix(struct str *line, struct str *ret_prefix)
{
	uint32_t n = str_starts(*line, "--") ? 2 : 1;
	if (n == 2 && line->len > 2 && line->p[2] == '(') {
		ptrdiff_t close = str_chr(*line, ')');
		if (close < 0)
			return false;
		n = (uint32_t)close + 1;
	}
	*ret_prefix = str_sub(*line, 0, n);
	*line = str_from(*line, n);
	return true;
}

/* A line of a newer Exim, or one whose value we cannot read: kept as it is. */
static bool keep_unknown(struct reading *g, struct str line)
{
	sb_add(&g->unknown, line);
	sb_ch(&g->unknown, '\n');
	return true;
}

static bool read_variable(struct reading *g, struct str line)
{
	struct str whole = line, prefix, value;
	if (!take_prefix(&line, &prefix))
		return keep_unknown(g, whole);
	uint8_t taint = prefix.len > 1;
	struct str name = str_cut(line, ' ', &value);
	if (!str_is_set(value))
		value = STR("");
	if (str_eqc(name, "acl") || str_eqc(name, "aclc") || str_eqc(name, "aclm"))
		return read_acl(g, prefix, name.len == 4 ? name.p[3] : '\0', value, taint);
	if (str_eqc(name, "spool_file_wireformat") && value.len == 0) {
		g->m->wireformat = true;
		return true;
	}
	if (str_eqc(name, "utf8_optdowncvt") && value.len == 0) {
		g->m->utf8_downconvert = -1;
		return true;
	}
	value.taint = taint;
	const struct spool_row *row = find_row(name);
	return row && read_row(g, row, value) ? true : keep_unknown(g, whole);
}

/* The tree in preorder: one line a node; the letters say how many more are to come. */
static bool read_done(struct reading *g, struct str line, struct why *why)
{
	struct message *m = g->m;
	const char *start = line.p;
	if (str_eqc(line, "XX")) {
		g->memory->tree = STR("XX\n");
		return true;
	}
	for (size_t pending = 1, nodes = 0; pending; nodes++) {
		if (nodes && !take_line(&g->r, &line))
			return damaged(why, "tree of non-recipients");
		bool shape = line.len >= 3 && (line.p[0] == 'Y' || line.p[0] == 'N') && (line.p[1] == 'Y' || line.p[1] == 'N')
		    && line.p[2] == ' ';
		if (!shape || nodes >= SPOOL_MAX_DONE)
			return damaged(why, "tree of non-recipients");
		pending += (size_t)(line.p[0] == 'Y') + (line.p[1] == 'Y');
		pending--;
		map_put(&m->done, str_tainted(str_from(line, 3)), m);
	}
	g->memory->tree = str_n(start, (size_t)(g->r.p - start));
	g->memory->tree_count = m->done.live;
	return true;
}

/* From the right: " <text> <length>,<number>": the form of both pairs of a recipient line. */
static bool cut_pair(struct str *line, struct str *ret_text, int64_t *ret_number)
{
	struct str head, tail, number;
	if (!cut_last(*line, &head, &tail))
		return false;
	int64_t length = 0;
	struct str length_text = str_cut(tail, ',', &number);
	if (!str_is_set(number) || !number_in(length_text, 0, UINT32_MAX, &length) || !number_in(number, -1, INT32_MAX, ret_number))
		return false;
	if (head.len < (uint64_t)length + 1 || head.p[head.len - (size_t)length - 1] != ' ')
		return false;
	*ret_text = str_from(head, head.len - (size_t)length);
	*line = str_sub(head, 0, head.len - (size_t)length - 1);
	return true;
}

static bool flagged_recipient(struct str line, struct recipient *r)
{
	int64_t parent = -1, dsn = 0;
	ptrdiff_t hash = str_rchr(line, '#');
	struct str errors_to = STR(""), orcpt = STR("");
	if (hash < 1 || (size_t)hash + 2 != line.len)
		return false;
	int flags = line.p[line.len - 1] - '0';
	line = str_sub(line, 0, (size_t)hash);
	if (flags < 1 || flags > 3)
		return false;
	if ((flags & 1) && !cut_pair(&line, &errors_to, &parent))
		return false;
	if ((flags & 2) && (!cut_pair(&line, &orcpt, &dsn) || dsn < 0))
		return false;
	*r = (struct recipient){.address = str_tainted(line), .parent = (int)parent, .dsn_notify = (uint8_t)((dsn >> 1) & 15)};
	r->errors_to = errors_to.len ? str_tainted(errors_to) : STR_NONE;
	r->orcpt = orcpt.len ? str_tainted(orcpt) : STR_NONE;
	return true;
}

static bool read_recipients(struct reading *g, struct why *why)
{
	struct str line;
	int64_t count = 0;
	struct message *m = g->m;
	if (!take_line(&g->r, &line) || !number_in(line, 0, SPOOL_MAX_RECIPIENTS, &count) || (uint64_t)count > rd_left(&g->r))
		return damaged(why, "number of recipients");
	m->recipient = arena_array_of(g->arena, (size_t)count + 1, struct recipient);
	m->recipient_room = (size_t)count + 1;
	for (int64_t i = 0; i < count; i++) {
		if (!take_line(&g->r, &line) || line.len == 0)
			return damaged(why, "recipients");
		struct recipient *r = &m->recipient[m->recipients++];
		if (!flagged_recipient(line, r))
			*r = (struct recipient){.address = str_tainted(line), .parent = -1};
	}
	for (size_t i = 0; i < m->recipients; i++)
		if (m->recipient[i].parent >= (int)m->recipients)
			return damaged(why, "parent of a recipient");
	if (!take_line(&g->r, &line) || line.len)
		return damaged(why, "no empty line before the header");
	return true;
}

static bool read_headers(struct reading *g, struct why *why)
{
	struct headers *h = &g->m->headers;
	while (!rd_done(&g->r)) {
		uint64_t n = rd_number(&g->r, LIMIT_SPOOL_HEADER);
		int kind = rd_byte(&g->r);
		rd_expect(&g->r, ' ');
		struct str text = rd_take(&g->r, n);
		if (g->r.bad || n == 0 || text.p[n - 1] != '\n' || h->count >= SPOOL_MAX_HEADERS)
			return damaged(why, "header lines");
		if (kind <= 0 || !strchr(" BCFIPRST*", kind))
			return damaged(why, "type of a header line");
		struct header *new = arena_new_of(g->arena, struct header);
		new->text = str_tainted(text);
		new->kind = (char)kind;
		*h->tail = new;
		h->tail = &new->next;
		h->count++;
		h->size += n;
	}
	return g->r.bad ? damaged(why, "header lines") : true;
}

static bool read_all(struct reading *g, struct why *why)
{
	struct str line;
	if (!read_envelope(g, why))
		return false;
	for (;;) {
		if (!take_line(&g->r, &line))
			return damaged(why, "ends among the variables");
		if (line.len == 0 || line.p[0] != '-')
			break;
		if (!read_variable(g, line))
			return damaged(why, "ACL variable");
	}
	g->m->unknown_lines = sb_str(&g->unknown);
	g->m->peer.local = !str_is_set(g->m->peer.host_address);
	g->m->peer.tls.active = str_is_set(g->m->peer.tls.cipher);
	return read_done(g, line, why) && read_recipients(g, why) && read_headers(g, why);
}

enum status spool_parse_in_place(struct str text, struct arena *a, struct message **ret, struct why *why)
{
	if (text.len == 0 || text.len > LIMIT_SPOOL_HEADER) {
		damaged(why, text.len ? "too long" : "empty");
		return ST_MALFORMED;
	}
	struct reading g = {.r = rd_of(text), .arena = a, .m = message_new(a), .memory = arena_new_of(a, struct spool_memory)};
	sb_init(&g.unknown, a, LIMIT_SPOOL_HEADER);
	g.m->spool_memory = g.memory;
	if (!read_all(&g, why))
		return ST_MALFORMED;
	*ret = g.m;
	return ST_OK;
}

enum status spool_parse_header(struct str text, struct arena *a, struct message **ret, struct why *why)
{
	if (text.len > LIMIT_SPOOL_HEADER)
		return spool_parse_in_place(text, a, ret, why);
	return spool_parse_in_place(str_dup(a, text), a, ret, why);
}
