/* SPDX-License-Identifier: Apache-2.0
 * Hints: what may be forgotten (retry times, callout results, rate limits, TLS sessions, EHLO
 * answers, serialisation). LMDB under <spool>/db, one environment for all named databases
 * ("retry", "wait-<transport>", "callout", "ratelimit", "seen", "tls", "misc"); safe between processes.
 * Keys up to 511 bytes (longer ones are hashed behind a readable prefix). Threads: any. */
#pragma once
#include "base/env.h"
#include "base/status.h"

/* Open, or make with `create`. A file that cannot be used is set aside as hints.mdb.broken. Once a
 * boot it forks a child that checks the file: open before the sandbox. Once a process. */
struct hints *hints_open(const char *dir, bool create, struct why *why);
void hints_close(struct hints *h);

/* Read; value in `a`. False if absent or the store cannot be read (a hint may be missing). */
bool hints_get(struct hints *h, const char *db, struct str key, struct arena *a, struct str *ret);
enum status hints_put(struct hints *h, const char *db, struct str key, struct str value);
enum status hints_del(struct hints *h, const char *db, struct str key);
/* Read, let fn compute the new value, write, in one transaction: rate limits and counters.
 * fn gets the old value (unset if none); sets *ret_new (unset = delete); false = leave as it is. */
typedef bool (*hints_fn)(void *arg, struct arena *a, struct str old, struct str *ret_new);
enum status hints_update(struct hints *h, const char *db, struct str key, hints_fn fn, void *arg);
/* Walk all in key order; stops when fn returns false. fn must not call hints_* itself: collect first. */
enum status hints_each(struct hints *h, const char *db, bool (*fn)(void *arg, struct str key, struct str value), void *arg);
/* Names of the databases that exist. */
enum status hints_list(struct hints *h, struct arena *a, struct str **ret_names, size_t *ret_count);
