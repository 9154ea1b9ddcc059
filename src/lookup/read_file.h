/* SPDX-License-Identifier: Apache-2.0
 * Reading a whole file for a lookup or a list, with Exim's words when it cannot be. */
#pragma once
#include "base/status.h"
#include "base/str.h"

/* what: "linear search": "failed to open NAME for linear search: ...". Bounded by LIMIT_CONFIG_FILE. */
bool lookup_read_file(struct arena *a, struct str name, const char *what, struct str *ret, struct why *why);

/* The words for an open that failed with errno e; "Permission denied" says as whom. */
void lookup_open_failed(struct why *why, const char *path, const char *what, int e);

/* lsearch's parts, for its fuzz target. */
struct text_file;
struct entry;
struct text_file *lsearch_parse(struct arena *a, struct str text);
struct entry *lsearch_get(struct text_file *f, struct str key);
struct str lsearch_value(struct text_file *f, struct entry *e, struct str opts, struct arena *a);
