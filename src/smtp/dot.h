/* SPDX-License-Identifier: Apache-2.0
 * Message text off the wire: the one place that knows where DATA ends and what becomes of bytes
 * that are no proper line ends (reference smuggling.md; RFC 5321 2.3.8, 4.1.1.4, 4.5.2).
 *
 * Invariants: 1. the end is CR LF . CR LF alone; only in BARE_EXIM, for a message whose first line
 * ended in a lone LF, LF . LF ends it too (trusted and local input). 2. A CR or LF that is no part
 * of CRLF sets `bare`, whatever becomes of it. 3. Output has LF line ends only, is complete at a
 * line end when done, and no input makes it longer than twice itself and a little. Threads: owner. */
#pragma once
#include "smtp/server.h"

#define DOT_MORE 8
enum dot_state { DOT_LINE_START, DOT_TEXT, DOT_CR, DOT_DOT, DOT_DOT_CR };
struct dot {
	enum dot_state state;
	enum bare_newline mode;
	bool dots;       /* DATA: dots are doubled and end it; BDAT: neither */
	bool plain_dots; /* with dots: a dot alone ends, others stand for themselves (-bm without -i) */
	bool lf_body;    /* LF ends lines of the body whatever the first line ended with (not SMTP) */
	bool lf_lines;   /* BARE_EXIM: this message's lines end in LF */
	bool decided;    /* the first line's end was seen */
	bool in_header, line_empty;
	bool bare, nul;  /* seen */
	bool open_line;  /* output does not end in a newline */
	bool done;
};
void dot_init(struct dot *d, enum bare_newline mode, bool dots);
/* Take bytes from in; returns how many were used: all, or up to the end of data (d->done). Output
 * goes to out (room for 2 * n + DOT_MORE bytes), its length to *ret_out. */
size_t dot_feed(struct dot *d, const char *in, size_t n, char *out, size_t *ret_out);
/* BDAT LAST: close an open line; at most DOT_MORE bytes of output. */
size_t dot_finish(struct dot *d, char *out);
