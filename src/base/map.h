/* SPDX-License-Identifier: Apache-2.0
 * map: hash table from str to pointer, open addressing. In an arena (never shrinks, freed with
 * it) or on the heap (arena NULL; map_done frees the table, not keys or values).
 * Keys are not copied. Threads: readers any, while nobody writes. */
#pragma once
#include "base/str.h"

struct map_slot {
	struct str key;
	void *value;
	uint32_t hash;
	uint8_t state; /* 0 free, 1 used, 2 removed */
};
struct map {
	struct arena *arena;
	struct map_slot *slot;
	uint32_t size, used, live; /* size is a power of two; used counts removed ones too */
	bool fold;                 /* ASCII case is ignored */
};

void map_init(struct map *m, struct arena *a, bool fold);
void map_done(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL if absent */
bool map_has(const struct map *m, struct str key);
/* Set or replace; returns the old value or NULL. The key must outlive the map. */
void *map_put(struct map *m, struct str key, void *value);
void *map_remove(struct map *m, struct str key);
/* Walk: start with *pos = 0; NULL at the end. Order is of the hash. */
struct map_slot *map_next(const struct map *m, uint32_t *pos);
