/* SPDX-License-Identifier: Apache-2.0
 * Splitting text into header lines and body (build.h; manual 48.2, 48.4). */
#include "receive/build.h"

#include "base/limits.h"

#include "base/banned.h"

void build_init(struct build *b, struct arena *a, struct headers *h)
{
	*b = (struct build){.arena = a, .headers = h, .header_max = LIMIT_HEADER_DEFAULT};
	sb_init(&b->line, a, LIMIT_ARENA_MESSAGE / 4);
	sb_init(&b->partial, a, LIMIT_ARENA_MESSAGE / 4);
}

static bool starts_header(struct str line)
{
	size_t i = 0;
	while (i < line.len && (unsigned char)line.p[i] > ' ' && line.p[i] != 0x7f && line.p[i] != ':')
		i++;
	if (i == 0)
		return false;
	while (i < line.len && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i < line.len && line.p[i] == ':';
}

static void close_header(struct build *b)
{
	if (!b->have_header)
		return;
	struct str text = str_tainted(str_dup(b->arena, sb_str(&b->line)));
	if (b->headers->count >= LIMIT_HEADERS)
		b->trouble = BUILD_TOO_MANY_HEADERS;
	else
		headers_add(b->headers, b->arena, text, header_kind_of(text));
	sb_truncate(&b->line, 0);
	b->have_header = false;
}

static void open_body(struct build *b)
{
	close_header(b);
	b->in_body = true;
}

static void count_line(struct build *b, size_t len)
{
	if (len > (size_t)b->max_line)
		b->max_line = len > INT32_MAX ? INT32_MAX : (int)len;
}

/* Counters of body text: lines, NULs, the longest line, 8-bit bytes. */
static void count_body(struct build *b, const char *p, size_t n)
{
	size_t at = 0;
	while (at < n) {
		const char *lf = memchr(p + at, '\n', n - at);
		size_t len = lf ? (size_t)(lf - (p + at)) : n - at;
		b->line_so_far += (int)len;
		if (lf) {
			count_line(b, (size_t)b->line_so_far);
			b->line_so_far = 0;
			b->body_lines++;
		}
		at += len + (lf != NULL);
	}
	for (const char *z = p; (z = memchr(z, '\0', (size_t)(p + n - z))) != NULL; z++)
		b->body_zeros++;
	for (size_t i = 0; i < n && !b->eight_bit; i++)
		b->eight_bit = (unsigned char)p[i] & 0x80;
}

static bool to_body(struct build *b, const char *p, size_t n)
{
	if (n == 0)
		return true;
	count_body(b, p, n);
	b->body_size += (int64_t)n;
	if (!b->body(b->arg, p, n))
		b->trouble = BUILD_WRITE_FAILED;
	return b->trouble == BUILD_OK;
}

/* One line of the header section, its newline included. */
static void header_line(struct build *b, struct str line)
{
	struct str bare = str_sub(line, 0, line.len - 1);
	bool first = !b->first_line_done;
	b->first_line_done = true;
	count_line(b, bare.len);
	if (first && str_starts(bare, "From ") && b->from_line && b->from_line(b->arg, bare))
		return;
	if (bare.len == 0) {
		open_body(b);
	} else if ((bare.p[0] == ' ' || bare.p[0] == '\t') && b->have_header) {
		sb_add(&b->line, line);
	} else if (starts_header(bare)) {
		close_header(b);
		sb_add(&b->line, line);
		b->have_header = true;
	} else {
		open_body(b);
		b->max_line = b->max_line > (int)bare.len ? b->max_line : (int)bare.len;
		(void)to_body(b, line.p, line.len);
	}
	if (b->line_max && b->have_header && b->line.len > b->line_max)
		b->trouble = BUILD_LINE_TOO_LONG;
}

/* The next line of the header section out of p[0..n); octets used. */
static size_t take_header_line(struct build *b, const char *p, size_t n)
{
	const char *lf = memchr(p, '\n', n);
	size_t len = lf ? (size_t)(lf - p) + 1 : n;
	b->header_bytes += len;
	if (b->header_bytes > b->header_max) {
		b->trouble = BUILD_HEADER_TOO_BIG;
		return n;
	}
	if (!lf || b->partial.len) {
		sb_addn(&b->partial, p, len);
		if (!lf)
			return len;
		header_line(b, sb_str(&b->partial));
		sb_truncate(&b->partial, 0);
	} else {
		header_line(b, str_n(p, len));
	}
	return len;
}

bool build_feed(struct build *b, const char *p, size_t n)
{
	b->read += (int64_t)n;
	while (n && !b->in_body && b->trouble == BUILD_OK) {
		size_t used = take_header_line(b, p, n);
		p += used;
		n -= used;
	}
	if (b->trouble != BUILD_OK)
		return false;
	return to_body(b, p, n);
}

void build_finish(struct build *b)
{
	if (b->trouble != BUILD_OK)
		return;
	if (!b->in_body && b->partial.len) {
		sb_ch(&b->partial, '\n');
		header_line(b, sb_str(&b->partial));
		sb_truncate(&b->partial, 0);
	}
	close_header(b);
	if (b->line_so_far) {
		count_line(b, (size_t)b->line_so_far);
		b->line_so_far = 0;
	}
}
