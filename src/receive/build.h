/* SPDX-License-Identifier: Apache-2.0
 * Message text as it streams in: header lines are collected and split, the body goes on to its
 * writer in large pieces; ceilings are kept (header_maxsize, header_line_maxsize). Input has LF line
 * ends (smtp/dot.h). Threads: owner.
 *
 * A header line begins with printable characters other than a colon, then perhaps blanks, then a
 * colon. The header section ends at an empty line, or in front of the first line that is neither a
 * header line nor a continuation (that line begins the body). */
#pragma once
#include "base/strbuf.h"
#include "message/message.h"

enum build_trouble { BUILD_OK, BUILD_HEADER_TOO_BIG, BUILD_LINE_TOO_LONG, BUILD_TOO_MANY_HEADERS, BUILD_WRITE_FAILED };
struct build {
	struct arena *arena;
	struct headers *headers;
	size_t header_max, line_max;  /* 0 = no limit of its own for a line */
	/* A leading "From " line: what to do (manual 48.4): true = it was one and is taken away. */
	bool (*from_line)(void *arg, struct str line);
	bool (*body)(void *arg, const char *p, size_t n); /* false: writing failed */
	void *arg;
	struct strbuf line;           /* the header line being collected */
	bool have_header, in_body, first_line_done;
	enum build_trouble trouble;
	size_t header_bytes;
	int64_t read;                 /* octets taken in all */
	int64_t body_size;
	int body_lines, body_zeros, max_line;
	int line_so_far;              /* of the body line under way, for max_line */
	bool eight_bit;
	struct strbuf partial;        /* header text behind the last newline */
};
void build_init(struct build *b, struct arena *a, struct headers *h);
/* Take text; false when nothing more is wanted (trouble says why). */
bool build_feed(struct build *b, const char *p, size_t n);
/* The data ended. */
void build_finish(struct build *b);
