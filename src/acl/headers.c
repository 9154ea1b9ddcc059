/* SPDX-License-Identifier: Apache-2.0
 * Header lines that ACLs add and remove (manual 44.15, 44.16): collected while the ACLs run, put
 * into the message by acl_headers_apply at the two moments that the manual names. */
#include "acl/conditions.h"
#include "base/banned.h"

/* RFC 5322 2.2: printable bytes but the colon. */
static bool is_header(struct str line)
{
	uint32_t i = 0;

	while (i < line.len && line.p[i] > ' ' && line.p[i] < 0x7f && line.p[i] != ':')
		i++;
	while (i > 0 && i < line.len && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i > 0 && i < line.len && line.p[i] == ':';
}

static enum acl_header_at take_position(struct str *line)
{
	static const struct {
		const char *mark;
		enum acl_header_at at;
	} marks[] = {
		{":after_received:", ACL_AFTER_RECEIVED}, {":at_start_rfc:", ACL_AT_START_RFC},
		{":at_start:", ACL_AT_START}, {":at_end:", ACL_AT_END},
	};

	for (size_t i = 0; i < countof(marks); i++) {
		if (str_istarts(*line, marks[i].mark)) {
			*line = str_ltrim(str_from(*line, strlen(marks[i].mark)));
			return marks[i].at;
		}
	}
	return ACL_AT_END;
}

static void wait_one(struct acl_run *r, struct str line)
{
	struct acl_header **at = &r->f->effects->headers_add, *h;
	struct arena *a = r->f->tx->arena;
	enum acl_header_at where = take_position(&line);
	struct str text;

	if (str_empty(str_trim(line)))
		return;
	text = str_cat(a, is_header(line) ? STR("") : STR("X-ACL-Warn: "), line, STR("\n"));
	for (; *at; at = &(*at)->next)
		if (str_eq((*at)->text, text)) /* asked for twice, added once */
			return;
	h = arena_new_of(a, struct acl_header);
	h->text = text;
	h->at = where;
	*at = h;
}

void acl_header_wait(struct acl_run *r, struct str text)
{
	static const uint32_t receiving = ACL_W(MAIL) | ACL_W(RCPT) | ACL_W(PREDATA) | ACL_W(DATA) | ACL_W(MIME) | ACL_W(DKIM) |
	    ACL_W(PRDR) | ACL_W(NOT_SMTP) | ACL_W(NOT_SMTP_START) | ACL_W(NOT_SMTP_MIME);
	uint32_t i, start = 0;

	if (!(receiving & (1u << r->f->where)))
		return;
	while (text.len > 0 && (text.p[0] == '\n' || text.p[0] == '\r'))
		text = str_from(text, 1);
	while (text.len > 0 && (text.p[text.len - 1] == '\n' || text.p[text.len - 1] == '\r'))
		text.len--;
	/* A newline not followed by a blank ends a header line. */
	for (i = 0; i < text.len; i++) {
		if (text.p[i] != '\n' || (i + 1 < text.len && (text.p[i + 1] == ' ' || text.p[i + 1] == '\t')))
			continue;
		wait_one(r, str_sub(text, start, i - start));
		start = i + 1;
	}
	if (start < text.len)
		wait_one(r, str_from(text, start));
}

ACL_COND(add_header)
{
	(void)c;
	acl_header_wait(r, arg);
	return ACL_OK;
}

ACL_COND(remove_header)
{
	struct acl_effects *e = r->f->effects;
	struct arena *a = r->f->tx->arena;

	(void)c;
	if (str_empty(str_trim(arg)))
		return ACL_OK;
	e->headers_remove = str_is_set(e->headers_remove) ? str_cat(a, e->headers_remove, STR(":"), arg) : str_dup(a, arg);
	return ACL_OK;
}

/* "^..." is a regular expression over the whole header, anchored in front. */
static void remove_matching(struct eval *ev, struct headers *hs, struct str pattern)
{
	for (struct header *h = hs->first; h; h = h->next)
		if (h->kind != HDR_OLD && match_regex(&ev->lx, pattern, h->text, false) == 1)
			h->kind = HDR_OLD;
}

static void insert_behind(struct headers *hs, struct header **at, struct header *h)
{
	h->next = *at;
	*at = h;
	if (!h->next)
		hs->tail = &h->next;
	hs->count++;
	hs->size += h->text.len;
}

static void add_one(struct message *m, const struct acl_header *w)
{
	struct headers *hs = &m->headers;
	struct header **at = &hs->first, *h;
	struct str text = str_dup(m->arena, w->text);

	if (w->at == ACL_AT_END) {
		headers_add(hs, m->arena, text, header_kind_of(text));
		return;
	}
	h = arena_new_of(m->arena, struct header);
	h->text = text;
	h->kind = header_kind_of(text);
	if (w->at == ACL_AFTER_RECEIVED) {
		/* behind the first block of Received: lines */
		while (*at && !header_is(*at, "Received"))
			at = &(*at)->next;
		while (*at && header_is(*at, "Received"))
			at = &(*at)->next;
	} else if (w->at == ACL_AT_START_RFC) {
		while (*at && (header_is(*at, "Received") || str_istarts((*at)->text, "Resent-")))
			at = &(*at)->next;
	}
	insert_behind(hs, at, h);
}

void acl_headers_apply(struct eval *ev, struct message *m, struct acl_effects *e)
{
	struct str rest = e->headers_remove, item;
	int sep = ':';

	while (str_is_set(rest) && list_next(ev->lx.arena, &rest, &sep, &item)) {
		if (str_starts(item, "^"))
			remove_matching(ev, &m->headers, item);
		else if (!str_empty(item))
			headers_remove(&m->headers, item, 0);
	}
	for (const struct acl_header *w = e->headers_add; w; w = w->next)
		add_one(m, w);
	e->headers_add = NULL;
	e->headers_remove = STR_NONE;
}
