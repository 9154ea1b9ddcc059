/* SPDX-License-Identifier: Apache-2.0
 * One address out of text (RFC 5321 4.1.2, RFC 5322 3.4), as lenient and as strict as Exim is:
 * comments and white space anywhere between tokens, a phrase before an address in angle brackets,
 * source routes (dropped), dots where one likes in local parts; domains are letters, digits and
 * hyphens only. The error texts are those that Exim puts in 501 replies and bounces.
 *
 *   address    = [phrase] "<" [route] local ["@" domain] ">"  /  [route] local ["@" domain]
 *   route      = 1*("@" domain [","]) ":"
 *   local      = 1*(word / ".")      two words need a dot between them
 *   word       = 1*(atom-char / "\" any) / quoted-string */
#include "message/address.h"

#include "base/limits.h"
#include "base/banned.h"

enum { ADDRESS_MAX = 256 };

/* One parse: the cursor, what has been taken of the address, and the first error. */
struct parse {
	struct rd r;
	const char *start;
	unsigned flags;
	struct arena *arena;
	struct strbuf local, domain;
	bool has_domain;
	const char *error;
};

static bool fail(struct parse *p, const char *text)
{
	if (!p->error)
		p->error = text;
	return false;
}

/* "malformed address: <rest> may not follow <what was taken>" */
static bool fail_trailing(struct parse *p)
{
	size_t taken = (size_t)(p->r.p - p->start);
	return fail(p,
	    arena_printf(p->arena, "malformed address: %.*s may not follow %.*s", (int)rd_left(&p->r), p->r.p,
	        (int)taken, p->start));
}

/* White space and nested comments (RFC 5322 3.2.2). An unclosed comment runs to the end, as in Exim. */
static void skip_cfws(struct rd *r)
{
	for (;;) {
		rd_skip_space(r);
		if (rd_peek(r) != '(')
			return;
		int depth = 0;
		while (!rd_done(r)) {
			int c = rd_byte(r);
			if (c == '\\' && !rd_done(r))
				rd_byte(r);
			else if (c == '(')
				depth++;
			else if (c == ')' && --depth == 0)
				break;
		}
	}
}

static bool is_atom(int c)
{
	if (c <= ' ' || c == 0x7f)
		return false;
	return !strchr("()<>@,;:\\.[]\"", c);
}

/* Line ends and NUL: in no address that leaves this parser. */
static bool breaks_line(int c)
{
	return c == '\n' || c == '\r' || c == '\0';
}

/* A quoted string, quotes and all, appended to `to`; folding within it is undone (RFC 5322 3.2.4).
 * False if it does not end. */
static bool take_quoted(struct rd *r, struct strbuf *to)
{
	sb_ch(to, '"');
	rd_byte(r);
	while (!rd_done(r)) {
		int c = rd_byte(r);
		if (c == '\n' || c == '\r')
			continue;
		if (c == '\0' || (c == '\\' && breaks_line(rd_peek(r))))
			return false;
		sb_ch(to, (char)c);
		if (c == '"')
			return true;
		if (c == '\\' && !rd_done(r))
			sb_ch(to, (char)rd_byte(r));
	}
	return false;
}

static bool take_atom(struct rd *r, struct strbuf *to)
{
	bool any = false;
	for (;;) {
		int c = rd_peek(r);
		if (c == '\\' && rd_peek_at(r, 1) >= 0 && !breaks_line(rd_peek_at(r, 1))) {
			sb_ch(to, (char)rd_byte(r));
			c = rd_peek(r);
		} else if (c < 0 || !is_atom(c)) {
			return any;
		}
		sb_ch(to, (char)c);
		rd_byte(r);
		any = true;
	}
}

/* The local part. Stops before the first token that cannot belong to it; empty is for the caller. */
static bool take_local(struct parse *p)
{
	bool word_may_follow = true;
	for (;;) {
		skip_cfws(&p->r);
		int c = rd_peek(&p->r);
		if (c == '.') {
			sb_ch(&p->local, '.');
			rd_byte(&p->r);
			word_may_follow = true;
			continue;
		}
		if (!word_may_follow)
			return true;
		if (c == '"') {
			if (!take_quoted(&p->r, &p->local))
				return fail(p, "unmatched doublequote in local part");
		} else if (!take_atom(&p->r, &p->local)) {
			return true;
		}
		word_may_follow = false;
	}
}

/* Exim 4.96 takes any text for a literal outside angle brackets; inside them only this, as we always. */
static bool literal_char(int c)
{
	return ch_xdigit(c) || c == '.' || c == ':';
}

static bool take_literal(struct parse *p, struct strbuf *to)
{
	if (!(p->flags & ADDR_ALLOW_LITERAL))
		return fail(p, "domain literals not allowed");
	sb_ch(to, (char)rd_byte(&p->r));
	struct rd at = p->r;
	if (rd_accept_itext(&p->r, "IPv6:") || rd_accept_itext(&p->r, "IPv4:"))
		sb_addn(to, at.p, 5);
	sb_add(to, rd_while(&p->r, literal_char));
	if (!rd_accept(&p->r, ']'))
		return fail(p, "malformed domain literal");
	sb_ch(to, ']');
	return true;
}

static bool label_char(int c, bool utf8)
{
	return ch_alnum(c) || (utf8 && c >= 0x80);
}

/* A domain, comments between its labels allowed. */
static bool take_domain(struct parse *p, struct strbuf *to)
{
	bool utf8 = (p->flags & ADDR_ALLOW_UTF8) != 0;
	skip_cfws(&p->r);
	if (rd_peek(&p->r) == '[')
		return take_literal(p, to);
	for (bool first = true;; first = false) {
		skip_cfws(&p->r);
		int c = rd_peek(&p->r);
		if (c < 0 || !label_char(c, utf8)) {
			if (first || !(p->flags & ADDR_STRIP_DOT))
				return fail(p, "domain missing or malformed");
			sb_truncate(to, to->len - 1); /* strip_trailing_dot, manual 14 */
			return true;
		}
		while ((c = rd_peek(&p->r)) >= 0 && (label_char(c, utf8) || c == '-'))
			sb_ch(to, (char)rd_byte(&p->r));
		struct rd before = p->r;
		skip_cfws(&p->r);
		if (rd_peek(&p->r) != '.') {
			p->r = before;
			return true;
		}
		sb_ch(to, (char)rd_byte(&p->r));
	}
}

/* "@a,@b:" is dropped: RFC 5321 appendix C. */
static bool skip_route(struct parse *p)
{
	skip_cfws(&p->r);
	if (rd_peek(&p->r) != '@')
		return true;
	struct strbuf dropped;
	sb_init(&dropped, p->arena, LIMIT_ADDRESS);
	while (rd_accept(&p->r, '@')) {
		if (!take_domain(p, &dropped))
			return false;
		skip_cfws(&p->r);
		if (rd_accept(&p->r, ','))
			skip_cfws(&p->r);
	}
	if (rd_accept(&p->r, ':'))
		return true;
	return fail(p, rd_done(&p->r) || rd_peek(&p->r) == '>' ? "no local part" : "colon expected after route list");
}

/* What stands in angle brackets, the opening one(s) not yet taken. */
static bool take_bracketed(struct parse *p)
{
	unsigned open = 0;
	do {
		rd_byte(&p->r);
		open++;
		skip_cfws(&p->r);
	} while ((p->flags & ADDR_STRIP_BRACKETS) && rd_peek(&p->r) == '<');
	if ((p->flags & ADDR_ALLOW_EMPTY) && open == 1 && rd_accept(&p->r, '>'))
		return true;
	if (!skip_route(p) || !take_local(p))
		return false;
	if (p->local.len == 0)
		return fail(p, "missing or malformed local part");
	if (rd_accept(&p->r, '@')) {
		p->has_domain = true;
		if (!take_domain(p, &p->domain))
			return false;
	} else if (rd_peek(&p->r) != '>') {
		return fail(p, arena_printf(p->arena, "\"@\" or \".\" expected after \"%.*s\"", STR_ARG(sb_str(&p->local))));
	}
	for (; open; open--) {
		skip_cfws(&p->r);
		if (rd_accept(&p->r, '>'))
			continue;
		return rd_done(&p->r) ? fail(p, "'>' missing at end of address") : fail_trailing(p);
	}
	return true;
}

/* After a word that no "@" follows: the rest of a phrase, up to the "<". */
static bool skip_phrase(struct parse *p)
{
	struct strbuf dropped;
	sb_init(&dropped, p->arena, LIMIT_HEADER_DEFAULT);
	for (;;) {
		skip_cfws(&p->r);
		int c = rd_peek(&p->r);
		if (c == '<')
			return true;
		if (c == '.')
			rd_byte(&p->r);
		else if (c == '"') {
			if (!take_quoted(&p->r, &dropped))
				return fail(p, "unmatched doublequote in local part (expected word or \"<\")");
		} else if (!take_atom(&p->r, &dropped))
			return fail(p, "missing or malformed local part (expected word or \"<\")");
	}
}

static bool take_address(struct parse *p)
{
	skip_cfws(&p->r);
	int c = rd_peek(&p->r);
	if (c < 0 || c == ';')
		return fail(p, "empty address");
	if (c == '<')
		return take_bracketed(p);
	if (c == '@') {
		if (!skip_route(p))
			return false;
		if (!take_local(p))
			return false;
		if (p->local.len == 0)
			return fail(p, "missing or malformed local part");
	} else if (!take_local(p)) {
		return false;
	}
	c = rd_peek(&p->r);
	if (c == '@' && p->local.len) {
		rd_byte(&p->r);
		p->has_domain = true;
		return take_domain(p, &p->domain);
	}
	if (p->local.len && (c < 0 || c == ';'))
		return true;
	if (!skip_phrase(p))
		return false;
	sb_truncate(&p->local, 0);
	return take_bracketed(p);
}

/* Join what was taken and apply the ceilings of base/limits.h. */
static bool finish(struct parse *p, struct str *ret, struct addr_parts *parts)
{
	struct str local = sb_str(&p->local), domain = sb_str(&p->domain);
	if (local.len && !p->has_domain && !(p->flags & ADDR_ALLOW_UNQUALIFIED))
		return fail(p, "unqualified address not allowed");
	local.taint = domain.taint = p->r.taint;
	struct str whole = p->has_domain ? str_cat(p->arena, local, STR("@"), domain) : local;
	/* RFC 5321 4.5.3.1.3: 256 for a path, which Exim gives to the address alone. */
	if (whole.len > ADDRESS_MAX || p->local.over || p->domain.over)
		return fail(p, arena_printf(p->arena, "address is ridiculously long: %.64s...", str_cstr(p->arena, whole)));
	*ret = whole;
	if (parts) {
		parts->local_part = str_sub(whole, 0, local.len);
		parts->domain = p->has_domain ? str_from(whole, local.len + 1u) : STR_NONE;
	}
	return true;
}

bool addr_parse(struct arena *a, struct str s, unsigned flags, struct str *ret, struct addr_parts *parts, const char **error)
{
	struct parse p = {.r = rd_of(s), .flags = flags, .arena = a};
	p.start = p.r.p;
	sb_init(&p.local, a, LIMIT_ADDRESS);
	sb_init(&p.domain, a, LIMIT_ADDRESS);
	bool good = take_address(&p);
	if (good) {
		skip_cfws(&p.r);
		good = rd_done(&p.r) ? finish(&p, ret, parts) : fail_trailing(&p);
	}
	if (!good && error)
		*error = p.error;
	return good;
}

struct addr_parts addr_split(struct str address)
{
	/* A clean address has no "@" behind its domain's, so the last one is it, unless it stands in quotes. */
	ptrdiff_t at = str_rchr(address, '@');
	struct addr_parts parts = {.local_part = address, .domain = STR_NONE};
	if (at < 0 || (address.p[address.len - 1] == '"' && address.p[0] == '"'))
		return parts;
	parts.local_part = str_sub(address, 0, (size_t)at);
	parts.domain = str_from(address, (size_t)at + 1);
	return parts;
}

bool addr_domain_valid(struct str domain, bool allow_literal, bool utf8)
{
	if (domain.len == 0 || domain.len > LIMIT_DOMAIN)
		return false;
	if (domain.p[0] == '[') {
		struct str inner = str_sub(domain, 1, domain.len > 1 ? domain.len - 2u : 0);
		if (str_istarts(inner, "IPv6:") || str_istarts(inner, "IPv4:"))
			inner = str_from(inner, 5);
		struct rd r = rd_of(inner);
		rd_while(&r, literal_char);
		return allow_literal && domain.len > 2 && domain.p[domain.len - 1] == ']' && rd_done(&r);
	}
	bool start = true;
	for (uint32_t i = 0; i < domain.len; i++) {
		int c = (unsigned char)domain.p[i];
		if (label_char(c, utf8))
			start = false;
		else if (start || (c != '-' && c != '.'))
			return false;
		else if (c == '.')
			start = true;
	}
	return !start;
}
