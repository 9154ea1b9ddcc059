/* SPDX-License-Identifier: Apache-2.0
 * $h_name: and its sisters (manual 11.5): values of all live header lines of one name, joined.
 *   rh_ raw: everything after each colon, newlines kept
 *   bh_ trimmed, empty ones left out, joined with \n (",\n" for address lists), MIME words decoded
 *   h_  the same, translated to headers_charset
 *   lh_ an Exim list: colons doubled, newline at the end of each removed */
#include "base/limits.h"
#include "message/header.h"

#include "base/banned.h"

enum { JOINED_MAX = 64 << 10 }; /* manual 11.5: "up to a maximum length of 64K" */

static bool holds_addresses(char kind)
{
	return kind && strchr("BCFRST", kind);
}

/* As raw text without its newline, colons doubled, ":" between. */
static void add_list_item(struct strbuf *sb, struct str value, bool first)
{
	if (!first)
		sb_ch(sb, ':');
	if (value.len && value.p[value.len - 1] == '\n')
		value.len--;
	for (uint32_t i = 0; i < value.len; i++) {
		if (value.p[i] == ':')
			sb_ch(sb, ':');
		sb_ch(sb, value.p[i]);
	}
}

static void add_trimmed(struct strbuf *sb, struct str value, char kind)
{
	value = str_trim(value);
	if (value.len == 0)
		return;
	if (sb->len)
		sb_addc(sb, holds_addresses(kind) ? ",\n" : "\n");
	sb_add(sb, value);
}

/* An empty value after a comma list: Exim leaves no comma behind "a," either. */
static void close_junction(struct strbuf *sb, char kind)
{
	if (holds_addresses(kind) && sb->len && sb->p[sb->len - 1] == ',')
		sb_truncate(sb, sb->len - 1);
}

static struct str without_nul(struct arena *a, struct str s)
{
	if (str_chr(s, '\0') < 0)
		return s;
	s = str_dup(a, s);
	char *copy = arena_dup(a, s.p, s.len);
	for (uint32_t i = 0; i < s.len; i++)
		if (copy[i] == '\0')
			copy[i] = '?';
	s.p = copy;
	return s;
}

bool headers_get(const struct headers *h, struct arena *a, struct str name, enum header_form form, struct str charset, struct str *ret)
{
	struct strbuf sb;
	sb_init(&sb, a, JOINED_MAX);
	unsigned found = 0;
	uint8_t taint = 0;
	for (const struct header *p = h->first; p && !sb.over; p = p->next) {
		if (p->kind == HDR_OLD || !str_ieq(header_name(p), name))
			continue;
		struct str value = header_value(p);
		char kind = header_kind_of(p->text);
		taint |= value.taint;
		switch (form) {
		case HEADER_RAW: sb_add(&sb, value); break;
		case HEADER_LIST: add_list_item(&sb, value, found == 0); break;
		case HEADER_BODY:
		case HEADER_DECODED:
			close_junction(&sb, kind);
			add_trimmed(&sb, value, kind);
			break;
		}
		found++;
	}
	if (!found)
		return false;
	struct str joined = sb_str(&sb);
	joined.taint = taint;
	if (form == HEADER_BODY || form == HEADER_DECODED) {
		const char *error = NULL;
		struct str to = form == HEADER_DECODED ? charset : STR_NONE;
		joined = without_nul(a, joined);
		joined = rfc2047_decode(a, joined, to, true, &error);
	}
	*ret = joined;
	return true;
}
