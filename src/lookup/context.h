/* SPDX-License-Identifier: Apache-2.0
 * What list matching and lookups are given. It is the first member of expand's `struct eval`, so
 * code above passes &ev->lx. Expansion stands above this room: it is reached through `ops`. */
#pragma once
#include "base/env.h"
#include "base/status.h"
#include "config/config.h"
#include "message/message.h"

struct eval;
struct match_cache;

/* Numeric variables: $0.. of the latest match (manual 11.9). */
#define CAPTURES_MAX 64
struct captures {
	struct str v[CAPTURES_MAX];
	unsigned count; /* highest set + 1 */
};

struct lookup_context;
struct lookup_ops { /* provided by expand/ */
	/* Expand a list item or file name at run time. true = ok; false: cx->error set, *forced tells a forced failure. */
	bool (*expand)(struct lookup_context *cx, struct str text, struct str *ret, bool *forced);
	bool (*expand_x)(struct lookup_context *cx, const struct xstr *x, struct str *ret, bool *forced);
	/* Run an ACL, used by `acl` conditions in lists: none. */
};
struct lookup_context {
	const struct config *config;
	struct env *env;
	struct arena *arena;          /* results; released by its owner */
	const struct lookup_ops *ops;
	struct peer *peer;            /* the client, for host lists; NULL = none. Host name lookups fill it in lazily */
	struct message *message;      /* NULL = none */
	struct match_cache *cache;    /* results of named lists for this message/session; NULL = none */
	struct captures *captures;    /* set by regular expressions */
	struct str error;             /* text of the last failure or defer */
	bool deferred;                /* the last failure was temporary */
	int8_t dnssec;                /* of the last DNS lookup: 1 secure, -1 not, 0 none ($lookup_dnssec_authenticated) */
	bool expand_forbid_lookup;    /* redirect's forbid_filter_lookup and relatives are bits of eval */
};
