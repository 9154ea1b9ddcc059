/* SPDX-License-Identifier: Apache-2.0
 * The whole spool: what messages and queues there are, and what a crash left behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/spool_priv.h"

#include "base/banned.h"

struct found {
	struct spool_entry *entry;
	size_t count, room;
};

static const char subdirs[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Parts of "ID-X"; false for any other name. */
static bool spool_file(const char *name, struct str *ret_id, char *ret_kind)
{
	struct str s = str_n(name, strlen(name));
	if (s.len < 3 || s.p[s.len - 2] != '-' || !msgid_valid(str_sub(s, 0, s.len - 2u)))
		return false;
	*ret_id = str_sub(s, 0, s.len - 2u);
	*ret_kind = s.p[s.len - 1];
	return true;
}

static void note(struct found *f, struct spool_dir *d, struct str id, char kind)
{
	struct stat st;
	char name[SPOOL_NAME_MAX];
	if (f->count == f->room) {
		f->room = f->room ? f->room * 2 : 256;
		f->entry = reallocarray(f->entry, f->room, sizeof *f->entry);
		must(f->entry);
	}
	struct spool_entry *e = &f->entry[f->count++];
	*e = (struct spool_entry){.subdir = d->subdir, .has_header = kind == 'H'};
	memcpy(e->id, id.p, id.len);
	if (fstatat(d->input, spool_name(name, e->id, kind), &st, AT_SYMLINK_NOFOLLOW) == 0)
		e->mtime = st.st_mtim.tv_sec;
}

/* A folder opened anew: its position must not be shared with other threads. */
static DIR *open_listing(struct spool_dir *d)
{
	int fd = openat(d->input, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	return dir;
}

static enum status list_dir(struct spool_dir *d, struct found *f)
{
	DIR *dir = open_listing(d);
	if (!dir)
		return ST_ERRNO(errno);
	struct dirent *e;
	while (errno = 0, (e = readdir(dir))) { /* what note() met is no failure of reading */
		struct str id;
		char kind = 0;
		if (spool_file(e->d_name, &id, &kind) && (kind == 'D' || kind == 'H'))
			note(f, d, id, kind);
	}
	enum status st = errno ? ST_ERRNO(errno) : ST_OK;
	closedir(dir);
	return st;
}

/* -D and -H of one message come together; -H behind. */
static int by_id(const void *a, const void *b)
{
	const struct spool_entry *x = a, *y = b;
	int d = strcmp(x->id, y->id);
	return d ? d : (int)x->has_header - (int)y->has_header;
}

/* Every folder that a queue has. */
static unsigned queue_dirs(struct spool *s, struct str queue, struct spool_dir *ret[countof(subdirs)])
{
	unsigned n = 0;
	ret[n] = spool_dir_of(s, queue, '\0', false);
	n += ret[n] != NULL;
	for (const char *c = subdirs; *c; c++) {
		ret[n] = spool_dir_of(s, queue, *c, false);
		n += ret[n] != NULL;
	}
	return n;
}

enum status spool_scan(struct spool *s, struct str queue_name, bool (*fn)(void *arg, const struct spool_entry *e), void *arg, struct why *why)
{
	struct spool_dir *dir[countof(subdirs)];
	struct found f = {.entry = NULL};
	enum status st = ST_OK;
	unsigned n = queue_dirs(s, queue_name, dir);
	for (unsigned i = 0; i < n && !st; i++)
		st = list_dir(dir[i], &f);
	if (st)
		why_set(why, true, "failed to read spool directory: %s", status_text(st));
	if (f.count > 1)
		qsort(f.entry, f.count, sizeof *f.entry, by_id);
	for (size_t i = 0; i < f.count && !st; i++) {
		bool pair = i + 1 < f.count && strcmp(f.entry[i].id, f.entry[i + 1].id) == 0;
		i += pair;
		if (!fn(arg, &f.entry[i]))
			break;
	}
	free(f.entry);
	return st;
}

enum status spool_queues(struct spool *s, struct arena *a, struct str **ret_names, size_t *ret_count)
{
	int fd = openat(s->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		enum status st = ST_ERRNO(errno);
		if (fd >= 0)
			close(fd);
		return st;
	}
	size_t count = 1, room = 16;
	struct str *name = arena_array_of(a, room, struct str);
	name[0] = STR("");
	struct dirent *e;
	while ((e = readdir(dir))) {
		char path[320];
		struct stat st;
		snprintf(path, sizeof path, "%s/input", e->d_name);
		bool own = strcmp(e->d_name, "input") == 0 || strcmp(e->d_name, "msglog") == 0;
		if (e->d_name[0] == '.' || own || fstatat(s->root, path, &st, AT_SYMLINK_NOFOLLOW) || !S_ISDIR(st.st_mode))
			continue;
		if (count == room) {
			struct str *more = arena_array_of(a, room * 2, struct str);
			memcpy(more, name, room * sizeof *more);
			name = more;
			room *= 2;
		}
		name[count++] = str_dup(a, str_c(e->d_name));
	}
	closedir(dir);
	*ret_names = name;
	*ret_count = count;
	return ST_OK;
}

static bool exists(struct spool_dir *d, const char *id, char kind)
{
	char name[SPOOL_NAME_MAX];
	return faccessat(d->input, spool_name(name, id, kind), F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* Nobody holds the data of this message: then we do, until the descriptor returned is closed. -1: somebody does. */
static int claim(struct spool_dir *d, const char *id)
{
	char name[SPOOL_NAME_MAX];
	int fd = openat(d->input, spool_name(name, id, 'D'), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0 && spool_lock(fd, id)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Whose the file is that may be debris: "ID-X" or "hdr.ID". */
static bool debris_name(const char *name, char id[MSG_ID_MAX], char *ret_kind)
{
	struct str s = str_c(name), part;
	if (str_starts(s, "hdr.") && msgid_valid(str_from(s, 4))) {
		part = str_from(s, 4);
		*ret_kind = 't';
	} else if (!spool_file(name, &part, ret_kind)) {
		return false;
	}
	memcpy(id, part.p, part.len);
	id[part.len] = '\0';
	return true;
}

/* One name: removed if old, nobody's, and without a -H (invariant 4); a temporary also beside one. */
static unsigned tidy_one(struct spool *s, struct spool_dir *d, const char *name, int64_t before)
{
	char id[MSG_ID_MAX], kind = 0;
	struct stat st;
	if (!debris_name(name, id, &kind) || !strchr("DJKt", kind))
		return 0;
	if (fstatat(d->input, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode) || st.st_mtim.tv_sec > before)
		return 0;
	if (kind != 't' && exists(d, id, 'H'))
		return 0;
	int fd = claim(d, id);
	if (fd < 0 && exists(d, id, 'D'))
		return 0;
	/* With the lock held nobody makes a -H now: look once more, one may have come meanwhile. */
	bool remove = kind == 't' || !exists(d, id, 'H');
	unsigned removed = remove && s->ops->unlinkat(s->ops, d->input, name) == 0;
	if (fd >= 0)
		close(fd);
	return removed;
}

static enum status tidy_dir(struct spool *s, struct spool_dir *d, int64_t before, unsigned *removed)
{
	DIR *dir = open_listing(d);
	if (!dir)
		return ST_ERRNO(errno);
	struct dirent *e;
	while ((e = readdir(dir)))
		*removed += tidy_one(s, d, e->d_name, before);
	closedir(dir);
	return ST_OK;
}

enum status spool_tidy(struct spool *s, int64_t age_s, unsigned *ret_removed)
{
	struct arena *a = arena_new("spool tidy", 16u << 20, 0, 0);
	struct str *queue = NULL;
	size_t queues = 0;
	unsigned removed = 0;
	int64_t before = (int64_t)clock_s(&s->clock) - age_s;
	enum status st = spool_queues(s, a, &queue, &queues);
	for (size_t q = 0; q < queues && !st; q++) {
		struct spool_dir *dir[countof(subdirs)];
		unsigned n = queue_dirs(s, queue[q], dir);
		for (unsigned i = 0; i < n && !st; i++)
			st = tidy_dir(s, dir[i], before, &removed);
	}
	arena_free(a);
	*ret_removed = removed;
	return st;
}
