/* SPDX-License-Identifier: Apache-2.0
 * Addresses as text: the members of a header's address list (RFC 5322 3.4), and quoting
 * (manual 11.7 quote_local_part, RFC 5322 3.2.4). */
#include "base/limits.h"
#include "message/address.h"
#include "message/header.h"

#include "base/banned.h"

/* Where one member of a list ends: a comma, a colon that opens a group, or a semicolon. */
struct member {
	struct rd *r;
	const char *start;
	bool bracket, seen_at;
};

/* Skip a token that hides separators: quoted string, comment, domain literal. False if none stands here. */
static bool skip_hidden(struct rd *r)
{
	int open = rd_peek(r);
	if (open != '"' && open != '(' && open != '[')
		return false;
	int depth = 0;
	int close = open == '"' ? '"' : open == '(' ? ')' : ']';
	rd_byte(r);
	while (!rd_done(r)) {
		int c = rd_byte(r);
		if (c == '\\') {
			if (!rd_done(r))
				rd_byte(r);
		} else if (c == close) {
			if (depth-- == 0)
				return true;
		} else if (c == '(' && open == '(') {
			depth++;
		}
	}
	return true;
}

static struct str since(const struct rd *r, const char *start)
{
	struct str s = str_n(start, (size_t)(r->p - start));
	s.taint = r->taint;
	return str_trim(s);
}

/* Step over one character or hidden token; keeps track of brackets. */
static void step(struct member *m)
{
	if (skip_hidden(m->r))
		return;
	switch (rd_byte(m->r)) {
	case '<': m->bracket = true; break;
	case '>': m->bracket = false; break;
	case '@': m->seen_at = true; break;
	case '\\':
		if (!rd_done(m->r))
			rd_byte(m->r);
		break;
	default: break;
	}
}

bool addr_list_next(struct rd *r, struct str *ret_text, bool *in_group)
{
	bool group = in_group && *in_group;
	struct member m = {.r = r, .start = r->p};
	for (;;) {
		int c = rd_peek(r);
		bool ends = c < 0 || (!m.bracket && (c == ',' || c == ';'));
		if (!ends && c == ':' && !m.bracket && !m.seen_at) {
			/* "name:" opens a group; what stood before was its name */
			rd_byte(r);
			m = (struct member){.r = r, .start = r->p};
			group = true;
			continue;
		}
		if (!ends) {
			step(&m);
			continue;
		}
		struct str text = since(r, m.start);
		bool in = group;
		if (c >= 0)
			rd_byte(r);
		if (c == ';')
			group = false;
		if (text.len) {
			*ret_text = text;
			if (in_group)
				*in_group = c == ';' ? false : in;
			return true;
		}
		if (c < 0)
			return false;
		m = (struct member){.r = r, .start = r->p};
	}
}

struct str addr_unquote_local(struct arena *a, struct str local)
{
	if (str_chr(local, '"') < 0 && str_chr(local, '\\') < 0)
		return local;
	struct strbuf sb;
	sb_init(&sb, a, local.len + 1u);
	bool quoted = false;
	for (uint32_t i = 0; i < local.len; i++) {
		if (local.p[i] == '\\' && i + 1 < local.len)
			sb_ch(&sb, local.p[++i]);
		else if (local.p[i] == '"')
			quoted = !quoted;
		else
			sb_ch(&sb, local.p[i]);
	}
	struct str s = sb_str(&sb);
	s.taint = local.taint;
	return s;
}

static bool local_char(int c)
{
	return ch_alnum(c) || c >= 0x80 || (c > ' ' && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* Exim quotes where a dot begins or ends the local part, though it accepts that unquoted itself. */
static bool needs_quotes(struct str local)
{
	if (local.len == 0)
		return true;
	for (uint32_t i = 0; i < local.len; i++) {
		int c = (unsigned char)local.p[i];
		bool dot_inside = c == '.' && i > 0 && i + 1 < local.len;
		if (c >= 0x80 || (!local_char(c) && !dot_inside))
			return true;
	}
	return false;
}

struct str addr_quote_local(struct arena *a, struct str local)
{
	if (!needs_quotes(local))
		return local;
	struct strbuf sb;
	sb_init(&sb, a, local.len * 2u + 3u);
	sb_ch(&sb, '"');
	for (uint32_t i = 0; i < local.len; i++) {
		char c = local.p[i];
		if (c == '\n') { /* would break the line it is put in */
			sb_addc(&sb, "\\n");
			continue;
		}
		if (c == '\r') {
			sb_addc(&sb, "\\r");
			continue;
		}
		if (c == '"' || c == '\\')
			sb_ch(&sb, '\\');
		sb_ch(&sb, c);
	}
	sb_ch(&sb, '"');
	struct str s = sb_str(&sb);
	s.taint = local.taint;
	s.quoter = 0;
	return s;
}

static bool phrase_char(int c)
{
	return c == ' ' || c == '\t' || (local_char(c) && c < 0x80);
}

struct str addr_quote_phrase(struct arena *a, struct str phrase, struct str charset)
{
	bool quote = false;
	for (uint32_t i = 0; i < phrase.len; i++) {
		int c = (unsigned char)phrase.p[i];
		if (c >= 0x80 || (c < ' ' && c != '\t') || c == 0x7f)
			return rfc2047_encode(a, phrase, charset);
		quote |= !phrase_char(c);
	}
	if (!quote)
		return phrase;
	struct strbuf sb;
	sb_init(&sb, a, phrase.len * 2u + 3u);
	sb_ch(&sb, '"');
	for (uint32_t i = 0; i < phrase.len; i++) {
		if (phrase.p[i] == '"' || phrase.p[i] == '\\')
			sb_ch(&sb, '\\');
		sb_ch(&sb, phrase.p[i]);
	}
	sb_ch(&sb, '"');
	struct str s = sb_str(&sb);
	s.taint = phrase.taint;
	return s;
}
