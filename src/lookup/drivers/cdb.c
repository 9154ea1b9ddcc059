/* SPDX-License-Identifier: Apache-2.0
 * cdb: constant databases (manual 9.3.1; cr.yp.to/cdb/cdb.txt). The file is read whole; 256 tables
 * of (hash, position) lead to records of key and data; every number is checked against the size. */
#include "lookup/drivers/cdb.h"
#include "lookup/lookup.h"
#include "lookup/read_file.h"
#include "base/limits.h"
#include "base/banned.h"

static uint32_t le32(struct str s, size_t at)
{
	const unsigned char *p = (const unsigned char *)s.p + at;

	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t cdb_hash(struct str key)
{
	uint32_t h = 5381;

	for (uint32_t i = 0; i < key.len; i++)
		h = ((h << 5) + h) ^ (unsigned char)key.p[i];
	return h;
}

bool cdb_get(struct str file, struct str key, struct str *ret)
{
	uint32_t h = cdb_hash(key);
	size_t size = file.len;

	if (size < 2048)
		return false;
	uint32_t table = le32(file, (h & 255) * 8), slots = le32(file, (h & 255) * 8 + 4);
	if (slots == 0 || table > size || (uint64_t)slots * 8 > size - table)
		return false;
	for (uint32_t i = 0, at = (h >> 8) % slots; i < slots; i++, at = at + 1 == slots ? 0 : at + 1) {
		uint32_t pos = le32(file, table + (size_t)at * 8 + 4);
		if (pos == 0)
			return false;
		if (le32(file, table + (size_t)at * 8) != h || pos > size || size - pos < 8)
			continue;
		uint32_t klen = le32(file, pos), dlen = le32(file, pos + 4u);
		if ((uint64_t)klen + dlen > size - pos - 8)
			continue;
		if (klen != key.len || memcmp(file.p + pos + 8, key.p, klen) != 0)
			continue;
		*ret = str_sub(file, (size_t)pos + 8 + klen, dlen);
		return true;
	}
	return false;
}

struct cdb_file {
	struct arena *arena;
	struct str text;
};

static bool cdb_open(struct lookup_context *cx, struct str file, void **ret, struct why *why)
{
	struct arena *a = arena_new("cdb", LIMIT_CONFIG_FILE * 2ull, 4096, 0);
	struct cdb_file *f = arena_new_of(a, struct cdb_file);

	f->arena = a;
	if (!lookup_read_file(a, file, "cdb lookup", &f->text, why)) {
		arena_free(a);
		return false;
	}
	if (f->text.len < 2048) {
		why_set(why, false, "CDB file %.*s is too short for a CDB file", STR_ARG(file));
		arena_free(a);
		return false;
	}
	*ret = f;
	return true;
}

static void cdb_close(void *handle)
{
	arena_free(((struct cdb_file *)handle)->arena);
}

static enum lookup_found cdb_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	struct str v;

	*do_cache = false;
	if (!cdb_get(((struct cdb_file *)handle)->text, key, &v) || v.len > LIMIT_LOOKUP_VALUE)
		return LOOKUP_NONE;
	*ret = str_dup(cx->arena, v);
	return LOOKUP_FOUND;
}

const struct lookup_driver lookup_cdb = {
    .name = "cdb", .style = LOOKUP_FILE, .wild_ok = true, .open = cdb_open, .close = cdb_close, .find = cdb_find};
