/* SPDX-License-Identifier: Apache-2.0
 * Hints in LMDB: one environment "hints.mdb" (a file, with "hints.mdb-lock" beside it) under
 * <spool>/db, one named database each. What is here may be forgotten, so:
 *  - nothing waits for the disk (MDB_NOSYNC; a crash of the system may cost the hints);
 *  - a file that LMDB cannot read is set aside as "hints.mdb.broken" and begun anew.
 *
 * Threads and processes: LMDB serialises writers by a lock shared between processes; MDB_NOTLS ties
 * readers to their transaction, not to a thread. Growing the map and beginning anew need that no
 * transaction of ours is open: `gate` is held for reading around each, for writing by those two.
 * Named databases are opened once, under `lock`, in a transaction of their own. */
#include "hints/hints.h"

#include <errno.h>
#include <lmdb.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "hints/verify.h"
#include "base/banned.h"

#define FILE_NAME "hints.mdb"
#define MAP_FIRST ((size_t)16 << 20)
#define MAP_MAX ((size_t)16 << 30)
#define DBS_MAX 1024
#define READERS_MAX 2048
#define KEY_MAX 511      /* LMDB's */
#define KEY_PREFIX 440   /* of a longer key; a SHA-256 in hex follows */
#define DB_NAME_MAX 200
#define VALUE_MAX (1u << 20)

struct hints {
	char *dir, *path;
	pthread_rwlock_t gate;
	pthread_mutex_t lock; /* over dbs */
	MDB_env *env;
	struct map dbs; /* name -> struct db */
	uint32_t generation; /* of env; begun anew = new one */
};

struct db {
	MDB_dbi dbi;
	char name[];
};

static enum status status_of(int rc)
{
	switch (rc) {
	case 0: return ST_OK;
	case MDB_NOTFOUND: return ST_ERRNO(ENOENT);
	case MDB_MAP_FULL:
	case MDB_DBS_FULL:
	case MDB_TXN_FULL: return ST_ERRNO(ENOSPC);
	case MDB_READERS_FULL: return ST_ERRNO(EAGAIN);
	default: return rc > 0 ? ST_ERRNO(rc) : ST_ERRNO(EIO);
	}
}

/* Does it mean that the file itself is bad? */
static bool is_broken(int rc)
{
	return rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND || rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_PANIC;
}

/* --- the environment --- */

/* Made by root for others: give what we made to the owner of the folder. */
static void give_to_owner(const struct hints *h)
{
	struct stat dir, st;
	char lock[4096];
	if (geteuid() != 0 || stat(h->dir, &dir) < 0)
		return;
	snprintf(lock, sizeof lock, "%s-lock", h->path);
	const char *files[] = {h->path, lock};
	for (size_t i = 0; i < countof(files); i++)
		if (lstat(files[i], &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_uid == 0 && dir.st_uid != 0)
			(void)!lchown(files[i], dir.st_uid, dir.st_gid);
}

/* Shorter than its own pages: reading them would end the process (SIGBUS). */
static bool is_cut(const struct hints *h, MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat pages;
	struct stat st;
	return mdb_env_info(env, &info) != 0 || mdb_env_stat(env, &pages) != 0 || stat(h->path, &st) < 0 ||
	       (uint64_t)st.st_size < ((uint64_t)info.me_last_pgno + 1) * pages.ms_psize;
}

static int open_env(struct hints *h)
{
	MDB_env *env;
	int rc = mdb_env_create(&env);
	if (rc)
		return rc;
	struct stat st;
	size_t map = MAP_FIRST;
	if (stat(h->path, &st) == 0)
		while (map < (size_t)st.st_size * 2 && map < MAP_MAX)
			map *= 2;
	mdb_env_set_maxdbs(env, DBS_MAX);
	mdb_env_set_maxreaders(env, READERS_MAX);
	mdb_env_set_mapsize(env, map);
	rc = mdb_env_open(env, h->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD, 0640);
	if (rc) {
		mdb_env_close(env);
		return rc;
	}
	if (is_cut(h, env)) {
		mdb_env_close(env);
		return MDB_CORRUPTED;
	}
	int dead;
	(void)mdb_reader_check(env, &dead); /* slots of processes that died */
	h->env = env;
	give_to_owner(h);
	return 0;
}

/* Forget handles and environment. The gate is held for writing, or nobody else knows h. */
static void close_env(struct hints *h)
{
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(&h->dbs, &pos));)
		free(s->value);
	map_done(&h->dbs);
	map_init(&h->dbs, NULL, false);
	if (h->env) {
		(void)mdb_env_sync(h->env, 1); /* an orderly end leaves an orderly file */
		mdb_env_close(h->env);
	}
	h->env = NULL;
	h->generation++;
}

static int begin_anew(struct hints *h)
{
	char to[4096];
	close_env(h);
	snprintf(to, sizeof to, "%s.broken", h->path);
	(void)rename(h->path, to);
	snprintf(to, sizeof to, "%s-lock", h->path);
	(void)unlink(to);
	return open_env(h);
}

struct hints *hints_open(const char *dir, bool create, struct why *why)
{
	struct hints *h = calloc(1, sizeof *h);
	must(h != NULL);
	if (create && mkdir(dir, 0750) == 0 && geteuid() == 0) {
		/* as the spool above it */
		char up[4096];
		struct stat st;
		snprintf(up, sizeof up, "%s/..", dir);
		if (stat(up, &st) == 0)
			(void)!chown(dir, st.st_uid, st.st_gid);
	}
	pthread_rwlock_init(&h->gate, NULL);
	pthread_mutex_init(&h->lock, NULL);
	map_init(&h->dbs, NULL, false);
	must((h->dir = strdup(dir)) != NULL && asprintf(&h->path, "%s/" FILE_NAME, dir) > 0);
	int rc;
	if (!create && access(h->path, F_OK) < 0)
		rc = errno;
	else
		rc = hints_file_sound(h->path) ? open_env(h) : MDB_CORRUPTED;
	if (is_broken(rc))
		rc = begin_anew(h);
	if (rc == 0)
		return h;
	why_set(why, true, "hints database %s: %s", h->path, mdb_strerror(rc));
	if (why)
		why->errnum = rc > 0 ? rc : EIO;
	hints_close(h);
	return NULL;
}

void hints_close(struct hints *h)
{
	if (!h)
		return;
	close_env(h);
	map_done(&h->dbs);
	pthread_rwlock_destroy(&h->gate);
	pthread_mutex_destroy(&h->lock);
	free(h->dir);
	free(h->path);
	free(h);
}

/* --- transactions --- */

/* The handle of a named database; with `create` it is made. The gate is held for reading. */
static int get_db(struct hints *h, const char *name, bool create, MDB_dbi *ret)
{
	size_t n = strlen(name);
	if (n == 0 || n > DB_NAME_MAX)
		return EINVAL;
	pthread_mutex_lock(&h->lock);
	struct db *d = map_get(&h->dbs, str_n(name, n));
	MDB_txn *txn;
	int rc = 0;
	if (!d) {
		rc = mdb_txn_begin(h->env, NULL, create ? 0 : MDB_RDONLY, &txn);
		if (rc == 0) {
			MDB_dbi dbi = 0;
			rc = mdb_dbi_open(txn, name, create ? MDB_CREATE : 0, &dbi);
			if (rc)
				mdb_txn_abort(txn);
			else
				rc = mdb_txn_commit(txn);
			if (rc == 0) {
				d = calloc(1, sizeof *d + n + 1);
				must(d != NULL);
				d->dbi = dbi;
				memcpy(d->name, name, n);
				map_put(&h->dbs, str_n(d->name, n), d);
			}
		}
	}
	if (d)
		*ret = d->dbi;
	pthread_mutex_unlock(&h->lock);
	return rc;
}

typedef int (*step_fn)(MDB_txn *txn, MDB_dbi dbi, void *arg);

static int run_once(struct hints *h, const char *db, bool write, step_fn step, void *arg, uint32_t *ret_generation)
{
	MDB_dbi dbi;
	MDB_txn *txn;
	pthread_rwlock_rdlock(&h->gate);
	*ret_generation = h->generation;
	int rc = h->env ? get_db(h, db, write, &dbi) : EIO;
	if (rc == 0)
		rc = mdb_txn_begin(h->env, NULL, write ? 0 : MDB_RDONLY, &txn);
	if (rc == 0) {
		rc = step(txn, dbi, arg);
		if (rc == 0 && write)
			rc = mdb_txn_commit(txn);
		else
			mdb_txn_abort(txn);
	}
	pthread_rwlock_unlock(&h->gate);
	return rc;
}

/* Repair what stopped a transaction, unless another thread did meanwhile; true: try again. */
static bool repair(struct hints *h, int rc, uint32_t generation)
{
	bool good = true;
	MDB_envinfo info;
	pthread_rwlock_wrlock(&h->gate);
	if (generation != h->generation) {
		good = h->env != NULL;
	} else if (rc == MDB_MAP_FULL) {
		good = mdb_env_info(h->env, &info) == 0 && info.me_mapsize < MAP_MAX &&
		       mdb_env_set_mapsize(h->env, info.me_mapsize * 2) == 0;
	} else if (rc == MDB_MAP_RESIZED) {
		good = mdb_env_set_mapsize(h->env, 0) == 0; /* another process made it larger: follow */
	} else {
		good = begin_anew(h) == 0;
	}
	pthread_rwlock_unlock(&h->gate);
	return good;
}

static int run(struct hints *h, const char *db, bool write, step_fn step, void *arg)
{
	int rc = 0;
	for (int tries = 0; tries < 12; tries++) {
		uint32_t generation;
		rc = run_once(h, db, write, step, arg, &generation);
		if (rc != MDB_MAP_FULL && rc != MDB_MAP_RESIZED && !is_broken(rc))
			return rc;
		if (!repair(h, rc, generation))
			return rc;
	}
	return rc;
}

/* A key that LMDB takes; longer ones are cut and told apart by their sum. */
struct key {
	char bytes[KEY_MAX + 1];
	MDB_val val;
};

static bool make_key(struct str s, struct key *k)
{
	if (s.len == 0)
		return false;
	size_t n = s.len;
	if (s.len <= KEY_MAX) {
		memcpy(k->bytes, s.p, n);
	} else {
		unsigned char md[32];
		unsigned len = sizeof md;
		if (EVP_Digest(s.p, s.len, md, &len, EVP_sha256(), NULL) != 1)
			return false;
		memcpy(k->bytes, s.p, KEY_PREFIX);
		k->bytes[KEY_PREFIX] = '#';
		for (unsigned i = 0; i < 32; i++)
			snprintf(k->bytes + KEY_PREFIX + 1 + 2 * i, 3, "%02x", md[i]);
		n = KEY_PREFIX + 65;
	}
	k->val = (MDB_val){.mv_size = n, .mv_data = k->bytes};
	return true;
}

static MDB_val val_of(struct str s)
{
	MDB_val v = {.mv_size = s.len};
	memcpy(&v.mv_data, &s.p, sizeof v.mv_data); /* LMDB only reads */
	return v;
}

/* Values may have come from outside once: they come back tainted. */
static struct str str_of(const MDB_val *v)
{
	return str_tainted(str_n(v->mv_data, v->mv_size));
}

struct access {
	struct key key;
	struct arena *arena;
	struct str value;
	hints_fn fn;
	void *arg;
};

static int step_get(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	struct access *x = arg;
	MDB_val v;
	int rc = mdb_get(txn, dbi, &x->key.val, &v);
	if (rc == 0)
		x->value = str_dup(x->arena, str_of(&v));
	return rc;
}

bool hints_get(struct hints *h, const char *db, struct str key, struct arena *a, struct str *ret)
{
	struct access x = {.arena = a};
	if (!h || !make_key(key, &x.key) || run(h, db, false, step_get, &x) != 0)
		return false;
	*ret = x.value;
	return true;
}

static int step_put(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	struct access *x = arg;
	MDB_val v = val_of(x->value);
	return mdb_put(txn, dbi, &x->key.val, &v, 0);
}

enum status hints_put(struct hints *h, const char *db, struct str key, struct str value)
{
	struct access x = {.value = value};
	if (!h || !make_key(key, &x.key) || value.len > VALUE_MAX)
		return ST_ERRNO(EINVAL);
	return status_of(run(h, db, true, step_put, &x));
}

static int step_del(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	struct access *x = arg;
	return mdb_del(txn, dbi, &x->key.val, NULL);
}

/* ST_OK also when there was none. */
enum status hints_del(struct hints *h, const char *db, struct str key)
{
	struct access x = {0};
	if (!h || !make_key(key, &x.key))
		return ST_ERRNO(EINVAL);
	int rc = run(h, db, true, step_del, &x);
	return rc == MDB_NOTFOUND ? ST_OK : status_of(rc);
}

static int step_update(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	struct access *x = arg;
	struct str old = STR_NONE, new = STR_NONE;
	MDB_val v;
	struct arena_mark mark = arena_mark(x->arena);
	int rc = mdb_get(txn, dbi, &x->key.val, &v);
	if (rc == 0)
		old = str_dup(x->arena, str_of(&v));
	else if (rc != MDB_NOTFOUND)
		return rc;
	rc = 0;
	if (x->fn(x->arg, x->arena, old, &new)) {
		if (str_is_set(new)) {
			v = val_of(new);
			rc = new.len > VALUE_MAX ? EINVAL : mdb_put(txn, dbi, &x->key.val, &v, 0);
		} else if (str_is_set(old)) {
			rc = mdb_del(txn, dbi, &x->key.val, NULL);
		}
	}
	arena_release(x->arena, mark);
	return rc;
}

enum status hints_update(struct hints *h, const char *db, struct str key, hints_fn fn, void *arg)
{
	struct access x = {.fn = fn, .arg = arg};
	if (!h || !make_key(key, &x.key))
		return ST_ERRNO(EINVAL);
	x.arena = arena_new("hints update", 16u << 20, 1024, 0);
	int rc = run(h, db, true, step_update, &x);
	arena_free(x.arena);
	return status_of(rc);
}

struct walk {
	bool (*fn)(void *arg, struct str key, struct str value);
	void *arg;
};

static int step_each(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	const struct walk *w = arg;
	MDB_cursor *c;
	MDB_val k, v;
	int rc = mdb_cursor_open(txn, dbi, &c);
	if (rc)
		return rc;
	while ((rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0)
		if (!w->fn(w->arg, str_of(&k), str_of(&v)))
			break;
	mdb_cursor_close(c);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

enum status hints_each(struct hints *h, const char *db, bool (*fn)(void *arg, struct str key, struct str value), void *arg)
{
	struct walk w = {fn, arg};
	if (!h)
		return ST_ERRNO(EINVAL);
	int rc = run(h, db, false, step_each, &w);
	return rc == MDB_NOTFOUND ? ST_OK : status_of(rc); /* no such database: nothing in it */
}

struct names {
	struct arena *arena;
	struct str name[DBS_MAX];
	size_t count;
};

/* The main database's keys are the names. */
static int collect_names(struct hints *h, struct names *n)
{
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_cursor *c;
	MDB_val k, v;
	n->count = 0;
	int rc = mdb_txn_begin(h->env, NULL, MDB_RDONLY, &txn);
	if (rc)
		return rc;
	rc = mdb_dbi_open(txn, NULL, 0, &dbi);
	if (rc == 0)
		rc = mdb_cursor_open(txn, dbi, &c);
	if (rc == 0) {
		while (n->count < DBS_MAX && (rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0)
			n->name[n->count++] = str_dup(n->arena, str_n(k.mv_data, k.mv_size));
		mdb_cursor_close(c);
	}
	mdb_txn_abort(txn);
	return rc == MDB_NOTFOUND ? 0 : rc;
}

enum status hints_list(struct hints *h, struct arena *a, struct str **ret_names, size_t *ret_count)
{
	if (!h)
		return ST_ERRNO(EINVAL);
	struct names *n = arena_new_of(a, struct names);
	n->arena = a;
	pthread_rwlock_rdlock(&h->gate);
	int rc = h->env ? collect_names(h, n) : EIO;
	pthread_rwlock_unlock(&h->gate);
	if (rc)
		return status_of(rc);
	*ret_names = n->name;
	*ret_count = n->count;
	return ST_OK;
}
