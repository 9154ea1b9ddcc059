/* SPDX-License-Identifier: Apache-2.0
 * What one thread keeps between lookups: open files, compiled expressions, results. For the files
 * of this room. All on the heap; sizes are bounded, the least recently used goes first. */
#pragma once
#include "base/list.h"
#include "base/map.h"
#include "lookup/lookup.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <sys/types.h>
#include <time.h>

struct file_stamp {
	dev_t dev;
	ino_t ino;
	off_t size;
	struct timespec mtime;
	bool set;
};
/* An open file or connection of a driver. */
struct cached_handle {
	struct list link; /* by last use */
	const struct lookup_driver *driver;
	char *name;
	void *handle;
	struct file_stamp stamp;
	struct map results; /* key with options -> struct cached_result * */
	unsigned result_count;
};
struct cached_result {
	char *key, *value; /* value NULL: not found */
	size_t value_len;
	uint8_t taint;
};
struct cached_regex {
	struct list link;
	char *key; /* pattern text */
	pcre2_code *code;
};

struct lookup_cache {
	struct list handles; /* struct cached_handle */
	unsigned handle_count;
	struct map regex; /* pattern -> struct cached_regex * */
	struct list regex_lru;
	unsigned regex_count;
	pcre2_match_context *mcx;
	pcre2_jit_stack *stack;
	pcre2_match_data *md;
};

/* The open handle of a driver for a file; opened when needed, opened again when the file changed.
 * NULL with a text in why. *ret_own: no cache, the caller closes it. */
void *cache_open(struct lookup_context *cx, const struct lookup_driver *d, struct str file, struct cached_handle **ret_ch, struct why *why);
bool cache_get(struct cached_handle *ch, struct str key, struct arena *a, struct str *ret, bool *ret_found);
void cache_put(struct cached_handle *ch, struct str key, bool found, struct str value);
