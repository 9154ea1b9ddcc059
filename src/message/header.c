/* SPDX-License-Identifier: Apache-2.0
 * Header lines of a message: the list and what is done to it (RFC 5322 2.2, 3.6; manual 48.7). */
#include "message/header.h"

#include "base/limits.h"
#include "base/banned.h"

void headers_init(struct headers *h)
{
	*h = (struct headers){.first = NULL};
	h->tail = &h->first;
}

/* A field name is any printing characters but the colon (RFC 5322 2.2). Octets beyond ASCII do not end the
 * header section either, so that verify = header_names_ascii can tell of them (manual 44.17). */
static bool name_char(int c)
{
	return c > ' ' && c != 0x7f && c != ':';
}

static struct str name_of(struct str text)
{
	struct rd r = rd_of(text);
	return rd_while(&r, name_char);
}

struct str header_name(const struct header *h)
{
	return name_of(h->text);
}

struct str header_value(const struct header *h)
{
	ptrdiff_t colon = str_chr(h->text, ':');
	return colon < 0 ? str_sub(h->text, h->text.len, 0) : str_from(h->text, (size_t)colon + 1);
}

char header_kind_of(struct str text)
{
	static const struct {
		const char *name;
		char kind;
	} kinds[] = {
	    {"bcc", HDR_BCC},
	    {"cc", HDR_CC},
	    {"from", HDR_FROM},
	    {"message-id", HDR_ID},
	    {"received", HDR_RECEIVED},
	    {"reply-to", HDR_REPLY_TO},
	    {"sender", HDR_SENDER},
	    {"to", HDR_TO},
	};
	struct str name = name_of(text);
	bool resent = str_istarts(name, "resent-");
	if (resent)
		name = str_from(name, 7);
	for (size_t i = 0; i < countof(kinds); i++)
		if (str_ieqc(name, kinds[i].name))
			return resent && kinds[i].kind == HDR_RECEIVED ? HDR_OTHER : kinds[i].kind;
	return HDR_OTHER;
}

bool header_is(const struct header *h, const char *name)
{
	return h->kind != HDR_OLD && str_ieqc(header_name(h), name);
}

/* A copy of the text that surely ends in one newline. */
static struct header *header_new(struct headers *h, struct arena *a, struct str text, char kind)
{
	struct header *new = arena_new_of(a, struct header);
	bool ended = text.len && text.p[text.len - 1] == '\n';
	new->text = ended ? str_dup(a, text) : str_cat(a, text, STR("\n"));
	new->kind = kind;
	h->count++;
	h->size += new->text.len;
	return new;
}

struct header *headers_add(struct headers *h, struct arena *a, struct str text, char kind)
{
	struct header *new = header_new(h, a, text, kind);
	*h->tail = new;
	h->tail = &new->next;
	return new;
}

static struct header *insert(struct headers *h, struct header **at, struct header *new)
{
	new->next = *at;
	*at = new;
	if (!new->next)
		h->tail = &new->next;
	return new;
}

struct header *headers_add_front(struct headers *h, struct arena *a, struct str text, char kind)
{
	return insert(h, &h->first, header_new(h, a, text, kind));
}

struct header *headers_add_at(struct headers *h, struct arena *a, const char *name, bool before, struct str text, char kind)
{
	struct header **at = before ? &h->first : h->tail;
	for (struct header **p = &h->first; *p; p = &(*p)->next) {
		if (!header_is(*p, name))
			continue;
		at = before ? p : &(*p)->next;
		if (before)
			break;
	}
	return insert(h, at, header_new(h, a, text, kind));
}

unsigned headers_remove(struct headers *h, struct str name, int occurrence)
{
	unsigned removed = 0;
	int seen = 0;
	bool prefix = name.len && name.p[name.len - 1] == '*';
	struct str want = prefix ? str_sub(name, 0, name.len - 1u) : name;
	for (struct header *p = h->first; p; p = p->next) {
		struct str have = header_name(p);
		if (prefix)
			have = str_sub(have, 0, want.len);
		if (p->kind == HDR_OLD || !str_ieq(have, want))
			continue;
		if (occurrence && ++seen != occurrence)
			continue;
		p->kind = HDR_OLD;
		removed++;
	}
	return removed;
}

/* One header with its continuation lines, CRs before LFs dropped; unset where none begins. */
static struct str take_header(struct arena *a, struct rd *r)
{
	struct rd at = *r;
	struct str name = rd_while(&at, name_char);
	rd_skip_blank(&at);
	if (name.len == 0 || !rd_accept(&at, ':'))
		return STR_NONE;
	const char *from = r->p;
	bool has_cr = false, ended = false;
	do {
		struct str line = rd_until(&at, '\n');
		has_cr |= line.len && line.p[line.len - 1] == '\r';
		ended = rd_accept(&at, '\n');
	} while (ended && (rd_peek(&at) == ' ' || rd_peek(&at) == '\t'));
	struct str text = str_n(from, (size_t)(at.p - from));
	text.taint = r->taint;
	*r = at;
	if (!has_cr)
		return text;
	struct strbuf sb;
	sb_init(&sb, a, text.len);
	for (uint32_t i = 0; i < text.len; i++)
		if (text.p[i] != '\r' || (i + 1 < text.len && text.p[i + 1] != '\n'))
			sb_ch(&sb, text.p[i]);
	struct str clean = sb_str(&sb);
	clean.taint = text.taint;
	return clean;
}

bool headers_parse(struct headers *h, struct arena *a, struct rd *r)
{
	while (!rd_done(r)) {
		struct rd at = *r;
		if (rd_accept(&at, '\n') || rd_accept_text(&at, "\r\n")) {
			*r = at;
			return true;
		}
		struct str text = h->count < LIMIT_HEADERS ? take_header(a, r) : STR_NONE;
		if (!str_is_set(text))
			return false;
		headers_add(h, a, text, header_kind_of(text));
	}
	return true;
}
