/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <stdlib.h>

#include "base/banned.h"

enum { SLOT_FREE, SLOT_USED, SLOT_GONE };

void map_init(struct map *m, struct arena *a, bool fold)
{
	*m = (struct map){.arena = a, .fold = fold};
}

void map_done(struct map *m)
{
	if (!m->arena)
		free(m->slot);
	m->slot = NULL;
	m->size = m->used = m->live = 0;
}

static uint32_t hash_of(const struct map *m, struct str key)
{
	return (uint32_t)(m->fold ? str_ihash(key) : str_hash(key));
}

static struct map_slot *find(const struct map *m, struct str key, uint32_t hash)
{
	for (uint32_t i = hash, n = 0; n < m->size; i++, n++) {
		struct map_slot *s = &m->slot[i & (m->size - 1)];
		if (s->state == SLOT_FREE)
			return NULL;
		if (s->state == SLOT_USED && s->hash == hash &&
		    (m->fold ? str_ieq(s->key, key) : str_eq(s->key, key)))
			return s;
	}
	return NULL;
}

static void place(struct map *m, struct map_slot entry)
{
	uint32_t i = entry.hash;
	while (m->slot[i & (m->size - 1)].state == SLOT_USED)
		i++;
	m->slot[i & (m->size - 1)] = entry;
}

static void resize(struct map *m, uint32_t size)
{
	struct map_slot *old = m->slot;
	uint32_t n = m->size;
	if (m->arena) {
		m->slot = arena_array_of(m->arena, size, struct map_slot);
	} else {
		m->slot = calloc(size, sizeof *m->slot);
		must(m->slot != NULL);
	}
	m->size = size;
	m->used = m->live;
	for (uint32_t i = 0; i < n; i++)
		if (old[i].state == SLOT_USED)
			place(m, old[i]);
	if (!m->arena)
		free(old);
}

void *map_get(const struct map *m, struct str key)
{
	struct map_slot *s = m->live ? find(m, key, hash_of(m, key)) : NULL;
	return s ? s->value : NULL;
}

bool map_has(const struct map *m, struct str key)
{
	return m->live && find(m, key, hash_of(m, key)) != NULL;
}

void *map_put(struct map *m, struct str key, void *value)
{
	uint32_t hash = hash_of(m, key);
	struct map_slot *s = m->live ? find(m, key, hash) : NULL;
	if (s) {
		void *old = s->value;
		s->value = value;
		return old;
	}
	if ((m->used + 1) * 4 > m->size * 3)
		resize(m, m->live * 2 >= m->size / 2 ? (m->size ? m->size * 2 : 8) : m->size);
	place(m, (struct map_slot){.key = key, .value = value, .hash = hash, .state = SLOT_USED});
	m->used++;
	m->live++;
	return NULL;
}

void *map_remove(struct map *m, struct str key)
{
	struct map_slot *s = m->live ? find(m, key, hash_of(m, key)) : NULL;
	if (!s)
		return NULL;
	void *old = s->value;
	*s = (struct map_slot){.state = SLOT_GONE};
	m->live--;
	return old;
}

struct map_slot *map_next(const struct map *m, uint32_t *pos)
{
	while (*pos < m->size) {
		struct map_slot *s = &m->slot[(*pos)++];
		if (s->state == SLOT_USED)
			return s;
	}
	return NULL;
}
