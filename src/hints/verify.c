/* SPDX-License-Identifier: Apache-2.0
 * We do not wait for the disk (MDB_NOSYNC), so a crash of the system, not of a process, may leave
 * pages of different ages. LMDB checks little and aborts on some of it. So once a boot, a child
 * walks through everything; if it does not end well, the file is set aside. "hints.boot" beside
 * the file tells which boot checked it last. */
#include "hints/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/banned.h"

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define CHECK_SECONDS 20

static size_t read_small(const char *path, char *buf, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return 0;
	ssize_t n = read(fd, buf, room);
	close(fd);
	return n > 0 ? (size_t)n : 0;
}

struct walk {
	MDB_txn *txn;
	MDB_dbi free_list; /* LMDB's own: transaction -> pages it freed */
	const char *map, *end; /* of the file in memory */
	size_t last_page;
};

static bool inside(const struct walk *w, const MDB_val *v)
{
	const char *p = v->mv_data;
	return p >= w->map && p <= w->end && v->mv_size <= (size_t)(w->end - p);
}

/* A list of page numbers: its count, then the numbers, falling. */
static bool free_pages_good(const struct walk *w, const MDB_val *v)
{
	size_t n = 0, page, before = SIZE_MAX;
	if (v->mv_size < sizeof n)
		return false;
	memcpy(&n, v->mv_data, sizeof n);
	if (n > v->mv_size / sizeof n - 1)
		return false;
	for (size_t i = 0; i < n; i++) {
		memcpy(&page, (const char *)v->mv_data + (i + 1) * sizeof n, sizeof page);
		if (page < 2 || page > w->last_page || page >= before)
			return false;
		before = page;
	}
	return true;
}

static bool value_good(const struct walk *w, MDB_dbi dbi, const MDB_val *v)
{
	volatile unsigned char sum = 0; /* of no interest, only that all can be read */
	if (!inside(w, v))
		return false;
	for (size_t i = 0; i < v->mv_size; i += 512)
		sum = (unsigned char)(sum ^ ((const unsigned char *)v->mv_data)[i]);
	return dbi != w->free_list || free_pages_good(w, v);
}

static int walk_db(const struct walk *w, MDB_dbi dbi, bool of_names)
{
	MDB_cursor *c;
	MDB_val k, v, last = {0};
	MDB_stat st;
	size_t rows = 0;
	int rc = mdb_stat(w->txn, dbi, &st);
	if (rc == 0)
		rc = mdb_cursor_open(w->txn, dbi, &c);
	while (rc == 0 && (rc = mdb_cursor_get(c, &k, &v, MDB_NEXT)) == 0) {
		char text[256];
		MDB_dbi named;
		if (!inside(w, &k) || !value_good(w, dbi, &v) || (rows && mdb_cmp(w->txn, dbi, &last, &k) >= 0))
			return MDB_CORRUPTED;
		last = k;
		rows++;
		if (!of_names)
			continue;
		if (k.mv_size >= sizeof text)
			return MDB_CORRUPTED;
		memcpy(text, k.mv_data, k.mv_size);
		text[k.mv_size] = 0;
		rc = mdb_dbi_open(w->txn, text, 0, &named);
		if (rc == 0)
			rc = walk_db(w, named, false);
	}
	return rc == MDB_NOTFOUND && rows == st.ms_entries ? 0 : MDB_CORRUPTED;
}

/* In the child. */
static int walk_file(const char *path)
{
	MDB_env *env;
	MDB_envinfo info;
	MDB_dbi names;
	struct walk w = {0};
	struct stat st;
	int rc = mdb_env_create(&env);
	if (rc == 0)
		rc = mdb_env_set_maxdbs(env, 2048);
	if (rc == 0)
		rc = mdb_env_open(env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD, 0);
	if (rc == 0)
		rc = mdb_env_info(env, &info);
	if (rc == 0)
		rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &w.txn);
	if (rc == 0)
		rc = mdb_dbi_open(w.txn, NULL, 0, &names);
	if (rc)
		return rc;
	/* The map's address is told only for fixed maps: take it from the first key found. */
	MDB_cursor *c;
	MDB_val k, v;
	if (stat(path, &st) < 0 || mdb_cursor_open(w.txn, names, &c) != 0)
		return MDB_CORRUPTED;
	rc = mdb_cursor_get(c, &k, &v, MDB_FIRST);
	mdb_cursor_close(c);
	if (rc)
		return rc == MDB_NOTFOUND ? 0 : rc;
	w.last_page = info.me_last_pgno;
	w.map = (const char *)k.mv_data - (size_t)st.st_size;
	w.end = (const char *)k.mv_data + (size_t)st.st_size;
	rc = walk_db(&w, w.free_list, false);
	return rc ? rc : walk_db(&w, names, true);
}

static bool walks_well(const char *path)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return true; /* cannot check now: as before */
	if (pid == 0) {
		struct rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		int nil = open("/dev/null", O_WRONLY);
		(void)!dup2(nil, 2); /* the library prints what it aborts on */
		signal(SIGABRT, SIG_DFL);
		signal(SIGALRM, SIG_DFL);
		alarm(CHECK_SECONDS);
		_exit(walk_file(path) == 0 ? 0 : 1);
	}
	int status;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return true;
	return status == 0;
}

bool hints_file_sound(const char *path)
{
	char mark[4096], now[64] = "", then[64] = "";
	struct stat st;
	size_t n = read_small(BOOT_ID, now, sizeof now);
	snprintf(mark, sizeof mark, "%.*s.boot", (int)strlen(path) - 4, path); /* hints.mdb -> hints.boot */
	if (n == 0 || (read_small(mark, then, sizeof then) == n && memcmp(now, then, n) == 0))
		return true;
	bool sound = stat(path, &st) < 0 || walks_well(path);
	int fd = open(mark, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (fd >= 0) {
		(void)!write(fd, now, n);
		struct stat dir;
		if (geteuid() == 0 && stat(path, &dir) == 0)
			(void)!fchown(fd, dir.st_uid, dir.st_gid);
		close(fd);
	}
	return sound;
}
