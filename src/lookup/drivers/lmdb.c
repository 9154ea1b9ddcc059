/* SPDX-License-Identifier: Apache-2.0
 * lmdb: a read-only LMDB database in one file (manual 9.3.8). */
#include "lookup/lookup.h"
#include "base/limits.h"
#include <lmdb.h>
#include "base/banned.h"

struct lmdb {
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
};

static void lmdb_close(void *handle)
{
	struct lmdb *l = handle;

	if (l->txn)
		mdb_txn_abort(l->txn);
	mdb_env_close(l->env);
	free(l);
}

static bool lmdb_open(struct lookup_context *cx, struct str file, void **ret, struct why *why)
{
	struct lmdb *l = calloc(1, sizeof *l);
	int e;

	must(l);
	e = mdb_env_create(&l->env);
	if (e == 0)
		e = mdb_env_open(l->env, str_cstr(cx->arena, file), MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS, 0);
	if (e == 0)
		e = mdb_txn_begin(l->env, NULL, MDB_RDONLY, &l->txn);
	if (e == 0)
		e = mdb_dbi_open(l->txn, NULL, 0, &l->dbi);
	if (e != 0) {
		why_set(why, false, "LMDB: Unable to open %.*s: %s", STR_ARG(file), mdb_strerror(e));
		lmdb_close(l);
		return false;
	}
	*ret = l;
	return true;
}

static enum lookup_found lmdb_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	struct lmdb *l = handle;
	MDB_val k = {.mv_size = key.len, .mv_data = (void *)(uintptr_t)key.p}, v;
	int e = mdb_get(l->txn, l->dbi, &k, &v);

	if (e == MDB_NOTFOUND || e == MDB_BAD_VALSIZE)
		return LOOKUP_NONE;
	if (e != 0 || v.mv_size > LIMIT_LOOKUP_VALUE) {
		why_set(why, true, "LMDB: error while reading %.*s: %s", STR_ARG(file), e ? mdb_strerror(e) : "value too long");
		return LOOKUP_DEFER;
	}
	*ret = str_dup(cx->arena, str_n(v.mv_data, v.mv_size));
	return LOOKUP_FOUND;
}

const struct lookup_driver lookup_lmdb = {
    .name = "lmdb", .style = LOOKUP_FILE, .wild_ok = true, .open = lmdb_open, .close = lmdb_close, .find = lmdb_find};
