/* SPDX-License-Identifier: Apache-2.0
 * Domain, host, address, local part and string lists (manual chapter 10). Constant lists are
 * compiled when the configuration loads (xstr.list): exact names into a hash, networks into a
 * prefix tree, the rest in order; the answer is always that of reading the list left to right. */
#pragma once
#include "lookup/context.h"
#include "net/addr.h"

enum match_result { MATCH_NO, MATCH_YES, MATCH_DEFER }; /* DEFER: cx->error says why */

enum match_flags {
	MATCH_CASELESS_LOCAL = 1,   /* address/local part lists: ignore case of local parts */
	MATCH_NO_CACHE = 2,
	MATCH_SENDER = 4            /* address list about a sender: empty subject is "<>" */
};

/* *ret_data (may be NULL): the value of the matching item: lookup result, or the item / subject as
 * manual 10 defines $domain_data, $local_part_data (untainted). An unset list never matches. */
enum match_result match_domain(struct lookup_context *cx, const struct xstr *list, struct str domain, unsigned flags, struct str *ret_data);
enum match_result match_local_part(struct lookup_context *cx, const struct xstr *list, struct str local_part, unsigned flags, struct str *ret_data);
enum match_result match_address(struct lookup_context *cx, const struct xstr *list, struct str address, unsigned flags, struct str *ret_data);
/* Host lists about cx->peer (incoming client): may look its name up (lazily, result kept in peer). */
enum match_result match_peer(struct lookup_context *cx, const struct xstr *list, unsigned flags, struct str *ret_data);
/* About any other host, e.g. an outgoing one: name may be unset. */
enum match_result match_host(struct lookup_context *cx, const struct xstr *list, struct str name, struct str address, unsigned flags, struct str *ret_data);
/* Plain string list, as ${if inlist}, tls_... ; and the same four for list text known only now (match_domain conditions). */
enum match_result match_list_text(struct lookup_context *cx, enum list_kind kind, struct str list_text, struct str subject, unsigned flags, struct str *ret_data);

/* Walk a list as Exim splits it: "<;" changes the separator, doubled separators are one literal,
 * white space around items goes (manual 6.20). sep: 0 = read it from the list, updated. */
bool list_next(struct arena *a, struct str *rest, int *sep, struct str *ret_item);

/* Find the client's name from its address (host_lookup, manual 14): forward checked; fills peer->host_name
 * or host_lookup_failed / _deferred. ST_OK also when not found. */
void match_lookup_peer_name(struct lookup_context *cx);

/* One pattern against one string by PCRE2 (cached compiled, with match limits). caseless by (?i) only.
 * Sets captures when matched and cx->captures. -1: bad expression, text in cx->error. */
int match_regex(struct lookup_context *cx, struct str pattern, struct str subject, bool keep_captures);

/* The same from a position on, telling where the match lies; again: not empty, and at `start`. */
int match_regex_at(struct lookup_context *cx, struct str pattern, struct str subject, size_t start, bool again,
    size_t *ret_from, size_t *ret_to);

struct match_cache *match_cache_new(struct arena *a);
void match_cache_clear(struct match_cache *c);
/* Schema compile hook: compile every constant list of the snapshot. */
bool match_compile_all(struct config *cfg, struct env *env, struct why *why);
/* One list that a room above holds (a condition of an ACL): sets list->list where it needs no expansion; named
 * lists may be compiled later. Called while the snapshot is made, or for a text of this moment (arena a). */
void match_compile_list(struct arena *a, const struct config *cfg, struct xstr *list, enum list_kind kind);
