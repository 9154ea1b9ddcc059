/* SPDX-License-Identifier: Apache-2.0
 * Mail addresses as text (RFC 5321 4.1.2, RFC 5322 3.4): parsing, quoting. Addresses on their way
 * through routers are struct address of route/address.h; here nothing is routed. */
#pragma once
#include "base/rd.h"
#include "base/strbuf.h"

struct addr_parts {
	struct str local_part; /* as written, quotes kept */
	struct str domain;     /* unset for an unqualified address */
};

enum addr_flags {
	ADDR_ALLOW_EMPTY = 1,     /* <> */
	ADDR_ALLOW_UNQUALIFIED = 2,
	ADDR_ALLOW_LITERAL = 4,   /* user@[10.0.0.1]: allow_domain_literals */
	ADDR_ALLOW_UTF8 = 8,      /* SMTPUTF8 / allow_utf8_domains */
	ADDR_STRIP_DOT = 16,      /* strip_trailing_dot */
	ADDR_IN_HEADER = 32,      /* comments and phrases are allowed around it; source routes dropped */
	ADDR_STRIP_BRACKETS = 64  /* strip_excess_angle_brackets */
};
/* Extract the one address in `s` ("Fred <fred@x>", "<@a,@b:fred@x>", "fred@x (comment)").
 * On success *ret is the bare address and *parts its halves; on failure an error text in Exim's
 * words ("domain missing or malformed", "unqualified address not allowed" ...) in *error. */
bool addr_parse(struct arena *a, struct str s, unsigned flags, struct str *ret, struct addr_parts *parts, const char **error);
/* Split a clean address at its last unquoted @. */
struct addr_parts addr_split(struct str address);
/* Next address of a header's list: from *at, with groups entered; returns the text of one member
 * (phrase, comments and all) and moves on; false at the end. `in_group` may be NULL. */
bool addr_list_next(struct rd *r, struct str *ret_text, bool *in_group);
/* Take off quotes and backslashes of a local part that does not need them (RFC 5321 4.1.2). */
struct str addr_unquote_local(struct arena *a, struct str local);
/* Quote a local part where it needs it: ${quote_local_part:. */
struct str addr_quote_local(struct arena *a, struct str local);
/* Display name and address for a header: phrase quoted or RFC 2047 encoded as needed. */
struct str addr_quote_phrase(struct arena *a, struct str phrase, struct str charset);
bool addr_domain_valid(struct str domain, bool allow_literal, bool utf8);
