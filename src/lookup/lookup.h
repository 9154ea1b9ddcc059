/* SPDX-License-Identifier: Apache-2.0
 * Lookups (manual chapter 9): ${lookup and lookups in lists. One file per type in lookup/drivers,
 * one row in lookup/drivers.def. Files stay open and indexed in a per-thread cache (struct
 * lookup_cache of env), refreshed when the file changed. */
#pragma once
#include "lookup/context.h"

enum lookup_found { LOOKUP_FOUND, LOOKUP_NONE, LOOKUP_DEFER };
enum lookup_style { LOOKUP_FILE, LOOKUP_QUERY };

struct lookup_driver {
	const char *name;
	enum lookup_style style;
	bool wild_ok;          /* single-key types for which partial- and * make sense */
	/* Open (cached by the framework under driver + name); *ret_handle freed by close. NULL open for query types without one. */
	bool (*open)(struct lookup_context *cx, struct str file, void **ret_handle, struct why *why);
	void (*close)(void *handle);
	/* File types: check ownership/mode of the open file (manual 9: modemask etc.); may be NULL. */
	/* Find: value in cx->arena. opts: the part after "," of the type ("ret=full"). do_cache=false for results not to be cached. */
	enum lookup_found (*find)(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts, struct str *ret_value, bool *do_cache, struct why *why);
	/* ${quote_TYPE:}; NULL = none. */
	struct str (*quote)(struct arena *a, struct str s, struct str opts);
};
const struct lookup_driver *lookup_driver_find(struct str name);
/* A type the manual has, whether at work or not. */
bool lookup_known(struct str name);
/* The mark (struct str, quoter) of text quoted for this type. */
uint8_t lookup_quoter(const struct lookup_driver *d);

/* A parsed type: "partial3(x.)-lsearch*@,ret=full". */
struct lookup_type {
	const struct lookup_driver *driver;
	int partial;           /* -1 = not; else minimum components */
	struct str partial_affix; /* default "*." */
	bool star, star_at;    /* "*", "*@" */
	struct str opts;
};
/* Parse the name; false with Exim's text in cx->error ("unknown lookup type \"x\""). */
bool lookup_type_parse(struct lookup_context *cx, struct str name, struct lookup_type *ret);
/* The whole procedure: file access, cache, partial and default keys. Query style: file unset.
 * Tainted file names, and tainted keys of query types that were not quoted for the type, are refused. */
enum lookup_found lookup_find(struct lookup_context *cx, const struct lookup_type *t, struct str file, struct str key, struct str *ret_value);

struct lookup_cache *lookup_cache_new(void);
void lookup_cache_free(struct lookup_cache *c);
/* Forget idle connections and files that were not used for a while. */
void lookup_cache_tidy(struct lookup_cache *c);
