/* SPDX-License-Identifier: Apache-2.0
 * The body writer: whatever lines come in, CRLF lines go out, with dots doubled for DATA.
 *
 * Sending side of shared smuggling rules: lines are made canonical first, dots are stuffed after,
 * so no byte sequence of the input can look like an end of data to any peer, however it reads
 * line ends. LF and CRLF both end a line; a CR that no LF follows, and NUL, leave as a space. */
#include "smtp/client.h"

#include "base/banned.h"

static enum status out(struct smtp_body *b, const char *p, size_t n)
{
	b->bytes += (int64_t)n;
	if (b->stream)
		return stream_write(b->stream, p, n);
	sb_addn(b->memory, p, n);
	return b->memory->over ? ST_LIMIT : ST_OK;
}

static bool plain_byte(char c)
{
	return c != '\n' && c != '\r' && c != '\0';
}

/* A CR at the end of the previous piece: was it half a line end? */
static enum status settle_cr(struct smtp_body *b, const char *p)
{
	b->last = 0;
	if (*p == '\n')
		return ST_OK; /* the LF writes the whole line end */
	b->at_line_start = false;
	return out(b, " ", 1);
}

enum status smtp_body_write(struct smtp_body *b, const char *p, size_t n)
{
	const char *end = p + n;
	enum status st = n && b->last == '\r' ? settle_cr(b, p) : ST_OK;
	while (st == ST_OK && p < end) {
		if (b->at_line_start && b->dots && *p == '.')
			st = out(b, ".", 1);
		const char *from = p;
		const char *lf = memchr(p, '\n', (size_t)(end - p));
		const char *stop = lf ? lf : end;
		while (p < stop && plain_byte(*p))
			p++;
		if (st == ST_OK && p > from) {
			st = out(b, from, (size_t)(p - from));
			b->at_line_start = false;
		}
		if (st != ST_OK || p == end)
			break;
		if (*p == '\n') {
			st = out(b, "\r\n", 2);
			b->at_line_start = true;
		} else if (*p == '\r' && p + 1 == end) {
			b->last = '\r'; /* the next piece tells */
		} else if (*p != '\r' || p[1] != '\n') {
			st = out(b, " ", 1);
			b->at_line_start = false;
		}
		p++;
	}
	return st;
}

enum status smtp_body_end(struct smtp_body *b)
{
	enum status st = ST_OK;
	if (b->last == '\r') {
		b->last = 0;
		b->at_line_start = false;
		st = out(b, " ", 1);
	}
	if (st == ST_OK && !b->at_line_start)
		st = out(b, "\r\n", 2);
	b->at_line_start = true;
	if (st != ST_OK || !b->dots)
		return st;
	st = out(b, ".\r\n", 3);
	b->bytes -= 3;
	return st;
}
