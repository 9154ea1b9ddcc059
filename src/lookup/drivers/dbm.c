/* SPDX-License-Identifier: Apache-2.0
 * dbm, dbmnz, dbmjz (manual 9.3.2 to 9.3.4) over Berkeley DB, which is loaded when a
 * configuration first asks for it: the program runs without it. */
#include "lookup/lookup.h"
#include "lookup/match.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include <db.h>
#include <dlfcn.h>
#include <errno.h>
#include "base/banned.h"

struct dbm {
	void *lib;
	DB *db;
};

static void dbm_close(void *handle)
{
	struct dbm *d = handle;

	if (d->db)
		d->db->close(d->db, 0);
	dlclose(d->lib);
	free(d);
}

static bool dbm_open(struct lookup_context *cx, struct str file, void **ret, struct why *why)
{
	void *lib = dlopen("libdb-5.3.so", RTLD_NOW | RTLD_LOCAL);
	int (*create)(DB **, DB_ENV *, u_int32_t);

	if (!lib) {
		why_set(why, true, "lookup type \"dbm\" needs the library libdb-5.3: %s", dlerror());
		return false;
	}
	*(void **)&create = dlsym(lib, "db_create");
	struct dbm *d = calloc(1, sizeof *d);
	must(d);
	d->lib = lib;
	int e = create ? create(&d->db, NULL, 0) : ENOSYS;
	if (e == 0)
		e = d->db->open(d->db, NULL, str_cstr(cx->arena, file), NULL, DB_UNKNOWN, DB_RDONLY, 0);
	if (e != 0) {
		why_set(why, false, "failed to open %.*s as a Berkeley DB file: %s", STR_ARG(file), e > 0 ? strerror(e) : "database error");
		dbm_close(d);
		return false;
	}
	*ret = d;
	return true;
}

static enum lookup_found get(struct lookup_context *cx, struct dbm *d, const char *key, size_t len, struct str *ret, struct why *why)
{
	DBT k = {0}, v = {0};

	k.data = arena_dup(cx->arena, key, len ? len : 1);
	k.size = (u_int32_t)len;
	int e = d->db->get(d->db, NULL, &k, &v, 0);
	if (e == DB_NOTFOUND)
		return LOOKUP_NONE;
	if (e != 0) {
		why_set(why, true, "error while reading the DBM file: %s", e > 0 ? strerror(e) : "database error");
		return LOOKUP_DEFER;
	}
	struct str s = str_n(v.data, v.size);
	ptrdiff_t zero = str_chr(s, 0);
	*ret = str_dup(cx->arena, zero >= 0 ? str_sub(s, 0, (size_t)zero) : s);
	return LOOKUP_FOUND;
}

#define FIND(fn) static enum lookup_found fn(struct lookup_context *cx, void *handle, struct str file, struct str key, \
    struct str opts, struct str *ret, bool *do_cache, struct why *why)

FIND(dbm_find)
{
	return get(cx, handle, str_cstr(cx->arena, key), key.len + 1u, ret, why);
}

FIND(dbmnz_find)
{
	return get(cx, handle, key.p, key.len, ret, why);
}

/* The key is a list whose items are joined by zeros, with none behind the last. */
FIND(dbmjz_find)
{
	struct strbuf sb;
	struct str item;
	int sep = 0;
	bool any = false;

	sb_init(&sb, cx->arena, LIMIT_LOOKUP_VALUE);
	while (list_next(cx->arena, &key, &sep, &item)) {
		if (any)
			sb_ch(&sb, 0);
		any = true;
		sb_add(&sb, item);
	}
	struct str joined = sb_str(&sb);
	return get(cx, handle, joined.p, joined.len, ret, why);
}

#define DRIVER(n) \
	const struct lookup_driver lookup_##n = {.name = #n, .style = LOOKUP_FILE, .wild_ok = true, .open = dbm_open, \
	    .close = dbm_close, .find = n##_find}
DRIVER(dbm);
DRIVER(dbmnz);
DRIVER(dbmjz);
