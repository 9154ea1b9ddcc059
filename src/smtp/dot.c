/* SPDX-License-Identifier: Apache-2.0
 * The state machine, one byte a step, with a fast way over plain text:
 *
 *   LINE_START -'.'-> DOT -CR-> DOT_CR -LF-> done
 *   LINE_START/TEXT -CR-> CR -LF-> LINE_START          any other byte: TEXT
 *   DOT_CR without LF: the dot line was text that ends in a bare CR.
 *
 * What becomes of a bare CR or LF: REJECT: a space (the message is refused anyway); SPACE: a space;
 * NORMALIZE: a newline, behind which a dot is no end; EXIM: LF a space in the body, CR a newline,
 * and either of them a continuation line in the header section, so that no header line can be
 * smuggled in. A newline made from a bare byte leads to TEXT, never to LINE_START: what follows it
 * is no neighbour of an end of data. */
#include "smtp/dot.h"

#include <string.h>

#include "base/banned.h"

struct out {
	char *p;
};

void dot_init(struct dot *d, enum bare_newline mode, bool dots)
{
	*d = (struct dot){.state = DOT_LINE_START, .mode = mode, .dots = dots, .in_header = true, .line_empty = true};
}

static void put(struct out *o, char c)
{
	*o->p++ = c;
}

static void line_end(struct dot *d, struct out *o)
{
	put(o, '\n');
	if (d->line_empty)
		d->in_header = false;
	d->line_empty = true;
	d->open_line = false;
	d->decided = true;
	d->state = DOT_LINE_START;
}

static void text(struct dot *d, struct out *o, char c)
{
	if (c == '\0')
		d->nul = true;
	put(o, c);
	d->line_empty = false;
	d->open_line = true;
	d->state = DOT_TEXT;
}

static void bare_byte(struct dot *d, struct out *o, char c)
{
	d->bare = true;
	if (d->mode == BARE_EXIM && d->in_header) {
		put(o, '\n');
		text(d, o, ' ');
	} else if (d->mode == BARE_NORMALIZE || (d->mode == BARE_EXIM && c == '\r')) {
		text(d, o, '\n');
		d->open_line = false;
	} else {
		text(d, o, ' ');
	}
}

static bool lf_ends_line(struct dot *d)
{
	if (d->mode != BARE_EXIM)
		return false;
	if (!d->decided)
		d->lf_lines = true;
	return d->lf_lines || (d->lf_body && !d->in_header);
}

/* One byte; true when the data ended with it. */
static bool step(struct dot *d, struct out *o, char c)
{
	if (d->state == DOT_CR || d->state == DOT_DOT_CR) {
		bool was_dot = d->state == DOT_DOT_CR;
		if (was_dot && d->plain_dots && c != '\n')
			put(o, '.');
		if (c == '\n') {
			if (was_dot)
				return true;
			line_end(d, o);
			return false;
		}
		d->state = DOT_TEXT;
		bare_byte(d, o, '\r');
	}
	if (c == '\r') {
		d->state = d->state == DOT_DOT ? DOT_DOT_CR : DOT_CR;
		return false;
	}
	if (c == '\n') {
		if (!lf_ends_line(d)) {
			bare_byte(d, o, '\n');
			return false;
		}
		if (d->state == DOT_DOT)
			return true;
		line_end(d, o);
		d->bare = true;
		return false;
	}
	if (d->dots && d->state == DOT_LINE_START && c == '.') {
		d->state = DOT_DOT; /* the first dot of a line never reaches the output */
		return false;
	}
	if (d->state == DOT_DOT && d->plain_dots)
		put(o, '.');
	text(d, o, c);
	return false;
}

/* Bytes that stand for themselves from here on: the run before the next CR, LF or NUL. */
static size_t plain_run(const char *in, size_t n)
{
	const char *lf = memchr(in, '\n', n);
	size_t len = lf ? (size_t)(lf - in) : n;
	const char *cr = memchr(in, '\r', len);
	if (cr)
		len = (size_t)(cr - in);
	const char *nul = memchr(in, '\0', len);
	return nul ? (size_t)(nul - in) : len;
}

size_t dot_feed(struct dot *d, const char *in, size_t n, char *out, size_t *ret_out)
{
	struct out o = {out};
	size_t at = 0;
	while (at < n && !d->done) {
		if (d->state == DOT_TEXT) {
			size_t run = plain_run(in + at, n - at);
			if (run) {
				memcpy(o.p, in + at, run);
				o.p += run;
				at += run;
				d->open_line = true;
				continue;
			}
		}
		d->done = step(d, &o, in[at++]);
	}
	*ret_out = (size_t)(o.p - out);
	return at;
}

size_t dot_finish(struct dot *d, char *out)
{
	struct out o = {out};
	if (d->state == DOT_CR)
		bare_byte(d, &o, '\r');
	if (d->open_line)
		put(&o, '\n');
	d->open_line = false;
	d->done = true;
	return (size_t)(o.p - out);
}
