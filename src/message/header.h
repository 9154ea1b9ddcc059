/* SPDX-License-Identifier: Apache-2.0
 * Header lines of one message, as received: text with newlines as \n, continuation kept, in order.
 * One parser for ACLs, scanners, signatures, logs. */
#pragma once
#include "base/rd.h"
#include "base/strbuf.h"

/* Kinds, the characters of the spool's -H file (reference: formats 2.1, manual 57). */
enum header_kind {
	HDR_OTHER = ' ', HDR_BCC = 'B', HDR_CC = 'C', HDR_FROM = 'F', HDR_ID = 'I', HDR_RECEIVED = 'P',
	HDR_REPLY_TO = 'R', HDR_SENDER = 'S', HDR_TO = 'T', HDR_OLD = '*'
};
struct header {
	struct header *next;
	struct str text; /* "Name: value\n", with continuation lines; ends in \n */
	char kind;       /* enum header_kind, or HDR_OLD: deleted or replaced */
};
struct headers {
	struct header *first, **tail;
	unsigned count;
	size_t size; /* of all text, deleted ones too */
};
void headers_init(struct headers *h);
/* Kind by name; Resent- forms give the same kind (the caller knows which set is used). */
char header_kind_of(struct str text);
struct str header_name(const struct header *h);   /* "Name", without the colon */
struct str header_value(const struct header *h);  /* after the colon, not trimmed */
bool header_is(const struct header *h, const char *name); /* live (not HDR_OLD) and of this name */
struct header *headers_add(struct headers *h, struct arena *a, struct str text, char kind); /* at the end */
struct header *headers_add_front(struct headers *h, struct arena *a, struct str text, char kind);
/* After the last live header named `name` (or before the first: before = true); not there: at the end / the top. */
struct header *headers_add_at(struct headers *h, struct arena *a, const char *name, bool before, struct str text, char kind);
unsigned headers_remove(struct headers *h, struct str name, int occurrence); /* 0 = all; name may end in "*" */
/* Values for $h_name: (manual 11.5): all live ones joined with \n (comma-newline for address headers). */
enum header_form { HEADER_RAW, HEADER_BODY, HEADER_DECODED, HEADER_LIST }; /* rh_, bh_, h_, lh_ */
bool headers_get(const struct headers *h, struct arena *a, struct str name, enum header_form form, struct str charset, struct str *ret);
/* Split a block of header text (LF or CRLF lines) into h; false if a line is no header (rest not consumed). */
bool headers_parse(struct headers *h, struct arena *a, struct rd *r);
/* RFC 2047 decoding to `charset` (iconv). *error set on trouble, text returned as far as possible. */
struct str rfc2047_decode(struct arena *a, struct str s, struct str charset, bool check_length, const char **error);
struct str rfc2047_encode(struct arena *a, struct str s, struct str charset);
