/* SPDX-License-Identifier: Apache-2.0
 * Inside list matching: what is compared, and one item of a list once it is understood. */
#pragma once
#include "lookup/lookup.h"
#include "lookup/match.h"

struct subject {
	enum list_kind kind;
	bool caseless;        /* of local parts; domains and hosts always are */
	bool ip_only;         /* match_ip: a host list that knows addresses only */
	bool is_peer;         /* names of cx->peer are looked up when needed */
	unsigned flags;
	struct str text;      /* domain, local part, address, host address */
	struct str local, domain; /* of an address; domain unset when it has none */
	struct str name;      /* of a host that is not the peer; unset = unknown */
	struct ip_addr ip;    /* hosts; family 0: no host */
};

enum item_what {
	ITEM_EXACT, ITEM_SUFFIX, ITEM_REGEX, ITEM_PRIMARY, ITEM_LOCAL_IPS, ITEM_MX, ITEM_LOOKUP, ITEM_NAMED, ITEM_FILE,
	ITEM_CASEFUL, ITEM_ANY, ITEM_EMPTY, ITEM_NET, ITEM_HOST_NAME, ITEM_POLICY, ITEM_AT_LOOKUP, ITEM_ADDRESS,
	ITEM_BAD,  /* text says why: a defer when it is reached */
	ITEM_SET,  /* compiled: neighbours of one sign as a hash */
	ITEM_NETS  /* compiled: neighbours of one sign as a prefix tree */
};
enum item_policy { POLICY_INCLUDE_UNKNOWN, POLICY_IGNORE_UNKNOWN, POLICY_INCLUDE_DEFER, POLICY_IGNORE_DEFER };

struct net_tree;
struct xitem {
	enum item_what what;
	bool negate;
	struct str text;      /* without the "!" */
	struct str tail;      /* suffix, file or query, ignore list, domain pattern */
	const struct named_list *named;
	struct lookup_type type;
	struct ip_addr net;
	unsigned bits;
	int net_bits;         /* net24-: 24; -1 none; -2 by name */
	enum item_policy policy;
	const struct xitem *domain; /* ITEM_ADDRESS: what the domain is compared with */
	const struct map *set;
	const struct net_tree *nets;
};

/* A compiled list. */
struct xlist {
	enum list_kind kind;
	const struct xitem *item;
	size_t count;
};

struct walk {
	struct str file;    /* inside a file: its items are no files */
	int depth;
	bool include_unknown, ignore_unknown, include_defer, ignore_defer;
	bool last_negative;
};

/* match_item.c */
void item_read(struct lookup_context *cx, enum list_kind kind, bool ip_only, struct str text, struct xitem *ret);
bool item_is_constant(struct str list);
/* match_text.c: domains, local parts, plain strings */
enum match_result item_match_text(struct lookup_context *cx, const struct xitem *it, const struct subject *s, int depth, struct str *data);
enum match_result match_wild(struct lookup_context *cx, struct str pattern, struct str subject);
bool local_address(struct lookup_context *cx, const struct ip_addr *ip);
/* match_address.c */
enum match_result item_match_address(struct lookup_context *cx, const struct xitem *it, const struct subject *s, int depth, struct str *data);
/* match_host.c. *unknown: it was a lookup that found nothing. */
enum match_result item_match_host(struct lookup_context *cx, const struct xitem *it, struct subject *s, bool *unknown, struct str *data);
bool host_subject(struct subject *s, struct str address);
/* match.c */
enum match_result match_walk_text(struct lookup_context *cx, struct subject *s, struct str list, int depth, struct str *data);
enum match_result match_named(struct lookup_context *cx, const struct named_list *nl, struct subject *s, int depth, struct str *data);
enum match_result match_defer(struct lookup_context *cx, const char *fmt, ...) printf_like(2, 3);
/* match_compile.c */
bool nets_find(const struct net_tree *t, const struct ip_addr *ip);
