/* SPDX-License-Identifier: Apache-2.0
 * Arenas: memory by lifetime. What is allocated lives until the arena is reset or freed; nobody
 * frees single pieces. Lifetimes in use: snapshot (a configuration), session, message, scratch.
 *
 * arena_alloc never returns NULL: memory is bounded at the edges (base/limits.h) where the
 * answer can be a reply code; hitting an arena's cap is a bug and aborts the process.
 * Memory is zeroed when handed out. Under ASan, released memory is poisoned.
 * Threads: an arena belongs to one thread at a time. */
#pragma once
#include "base/attr.h"

struct arena;

enum arena_flags {
	ARENA_WIPE = 1, /* overwrite before release: passwords and keys */
	ARENA_SEALABLE = 2, /* pages of its own, for arena_seal() */
};

/* A new arena. name: constant, for diagnostics; cap: most bytes it may hold; first: size of the
 * first block in bytes (0 = default 4 KiB; it grows by doubling). */
struct arena *arena_new(const char *name, size_t cap, size_t first, unsigned flags);
/* Run cleanups and free all. Accepts NULL. */
void arena_free(struct arena *a);
/* Run cleanups and forget all that was allocated; keeps the first block. */
void arena_reset(struct arena *a);

void *arena_alloc(struct arena *a, size_t size) __attribute__((malloc, returns_nonnull));
void *arena_alloc_array(struct arena *a, size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *arena_dup(struct arena *a, const void *p, size_t len) __attribute__((returns_nonnull));
/* A NUL-terminated copy. */
char *arena_cstr(struct arena *a, const char *p, size_t len) __attribute__((returns_nonnull));
char *arena_printf(struct arena *a, const char *fmt, ...) printf_like(2, 3) __attribute__((returns_nonnull));
#define arena_new_of(a, type) ((type *)arena_alloc((a), sizeof(type)))
#define arena_array_of(a, n, type) ((type *)arena_alloc_array((a), (n), sizeof(type)))

/* Call fn(arg) when the arena is reset or freed; last registered runs first. */
void arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg);
/* Grow the last allocation in place if `p` is it and there is room; true if done. */
bool arena_extend(struct arena *a, void *p, size_t old_size, size_t new_size);
/* Bytes held from the system. */
size_t arena_footprint(const struct arena *a);

/* Marks: release what was allocated since (cleanups registered since are run). */
struct arena_mark {
	void *block;
	size_t used;
	void *cleanup;
};
struct arena_mark arena_mark(struct arena *a);
void arena_release(struct arena *a, struct arena_mark mark);

/* Make all pages read-only (ARENA_SEALABLE) or writable again; a write then faults. */
void arena_seal(struct arena *a);
void arena_unseal(struct arena *a);
