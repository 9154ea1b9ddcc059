/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rd.h"

#include "base/banned.h"

static struct str taken(struct rd *r, const char *from)
{
	struct str s = str_n(from, (size_t)(r->p - from));
	s.taint = r->taint;
	return s;
}

static struct str nothing(struct rd *r)
{
	r->bad = true;
	return (struct str){.p = "", .taint = r->taint};
}

struct rd rd_of(struct str s)
{
	const char *p = s.p ? s.p : "";
	return (struct rd){.p = p, .end = p + s.len, .taint = s.taint};
}

int rd_peek_at(const struct rd *r, size_t ahead)
{
	return r->bad || rd_left(r) <= ahead ? -1 : (unsigned char)r->p[ahead];
}

int rd_byte(struct rd *r)
{
	if (rd_done(r)) {
		r->bad = true;
		return -1;
	}
	return (unsigned char)*r->p++;
}

bool rd_accept(struct rd *r, char c)
{
	if (rd_done(r) || *r->p != c)
		return false;
	r->p++;
	return true;
}

bool rd_accept_text(struct rd *r, const char *text)
{
	if (r->bad || !str_starts(rd_rest(r), text))
		return false;
	r->p += strlen(text);
	return true;
}

bool rd_accept_itext(struct rd *r, const char *text)
{
	if (r->bad || !str_istarts(rd_rest(r), text))
		return false;
	r->p += strlen(text);
	return true;
}

void rd_expect(struct rd *r, char c)
{
	if (!rd_accept(r, c))
		r->bad = true;
}

struct str rd_take(struct rd *r, size_t n)
{
	if (r->bad || rd_left(r) < n)
		return nothing(r);
	const char *from = r->p;
	r->p += n;
	return taken(r, from);
}

struct str rd_while(struct rd *r, bool (*is)(int c))
{
	const char *from = r->p;
	while (!rd_done(r) && is((unsigned char)*r->p))
		r->p++;
	return taken(r, from);
}

struct str rd_until(struct rd *r, char c)
{
	const char *from = r->p;
	if (!rd_done(r)) {
		const char *at = memchr(r->p, c, rd_left(r));
		r->p = at ? at : r->end;
	}
	return taken(r, from);
}

struct str rd_until_any(struct rd *r, const char *set)
{
	const char *from = r->p;
	while (!rd_done(r) && (*r->p == 0 || !strchr(set, *r->p)))
		r->p++;
	return taken(r, from);
}

struct str rd_line(struct rd *r)
{
	struct str line = rd_until(r, '\n');
	rd_accept(r, '\n');
	if (line.len && line.p[line.len - 1] == '\r')
		line.len--;
	return line;
}

void rd_skip_space(struct rd *r)
{
	while (!rd_done(r) && ch_space((unsigned char)*r->p))
		r->p++;
}

void rd_skip_blank(struct rd *r)
{
	while (!rd_done(r) && (*r->p == ' ' || *r->p == '\t'))
		r->p++;
}

struct str rd_word(struct rd *r)
{
	rd_skip_blank(r);
	const char *from = r->p;
	while (!rd_done(r) && !ch_space((unsigned char)*r->p))
		r->p++;
	return taken(r, from);
}

uint64_t rd_number(struct rd *r, uint64_t max)
{
	const char *from = r->p;
	while (!rd_done(r) && ch_digit((unsigned char)*r->p))
		r->p++;
	uint64_t v = 0;
	if (r->bad || !str_uint(taken(r, from), max, &v)) {
		r->bad = true;
		return 0;
	}
	return v;
}

uint64_t rd_be(struct rd *r, unsigned bytes)
{
	must(bytes >= 1 && bytes <= 8);
	struct str s = rd_take(r, bytes);
	uint64_t v = 0;
	for (uint32_t i = 0; i < s.len; i++)
		v = v << 8 | (unsigned char)s.p[i];
	return v;
}

struct str rd_rest(const struct rd *r)
{
	struct str s = str_n(r->p, r->bad ? 0 : rd_left(r));
	s.taint = r->taint;
	return s;
}
