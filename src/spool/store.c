/* SPDX-License-Identifier: Apache-2.0
 * The open spool: its folders, locks, free space (manual 14: split_spool_directory,
 * check_spool_space, check_spool_inodes). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "spool/spool_priv.h"

#include "base/banned.h"

enum { DIR_MODE = 0750, FILE_MODE = 0640, SPACE_AGE_MS = 250 };

const char *spool_name(char to[SPOOL_NAME_MAX], const char *id, char kind)
{
	if (kind)
		snprintf(to, SPOOL_NAME_MAX, "%s-%c", id, kind);
	else
		snprintf(to, SPOOL_NAME_MAX, "hdr.%s", id);
	return to;
}

void spool_fail(struct why *why, enum status st, const char *id, const char *doing)
{
	why_set(why, true, "%s for message %s: %s", doing, id, status_text(st));
	if (why)
		why->errnum = st > -4096 ? -(int)st : 0;
}

/* Hand a thing made by root to the mail user. */
static int give(struct spool *s, int fd)
{
	if (s->cfg.uid < 0 || geteuid() != 0)
		return 0;
	return fchown(fd, (uid_t)s->cfg.uid, s->cfg.gid < 0 ? (gid_t)-1 : (gid_t)s->cfg.gid);
}

/* The name of a folder just made is on disk. */
static int flush_parent(struct spool *s, int at, int made)
{
	int parent = at == AT_FDCWD ? openat(made, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : at;
	int rc = s->cfg.no_sync ? 0 : fsync(parent);
	if (parent >= 0 && parent != at) {
		int e = errno;
		close(parent);
		errno = e;
	}
	return rc;
}

/* The folder `name` in `at`, made when missing. */
static int open_dir(struct spool *s, int at, const char *name, bool make)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 || errno != ENOENT || !make)
		return fd;
	bool made = mkdirat(at, name, DIR_MODE) == 0;
	if (!made && errno != EEXIST)
		return -1;
	fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && made && (give(s, fd) || fchmod(fd, DIR_MODE) || flush_parent(s, at, fd))) {
		int e = errno;
		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

/* <queue>/<what>[/C] */
static int open_tree(struct spool *s, const char *queue, const char *what, char subdir, bool make)
{
	char c[2] = {subdir, '\0'};
	int base = *queue ? open_dir(s, s->root, queue, make) : s->root;
	if (base < 0)
		return -1;
	int fd = open_dir(s, base, what, make);
	int e = errno;
	if (base != s->root)
		close(base);
	if (fd >= 0 && subdir) {
		int sub = open_dir(s, fd, c, make);
		e = errno;
		close(fd);
		fd = sub;
	}
	errno = e;
	return fd;
}

/* A queue's name is one path component that is not one of the spool's own (manual 48: named queues). */
static bool queue_name_good(struct str q)
{
	if (q.len > 64 || str_starts(q, "."))
		return false;
	for (uint32_t i = 0; i < q.len; i++)
		if (q.p[i] == '/' || (unsigned char)q.p[i] <= ' ')
			return false;
	return !str_eqc(q, "input") && !str_eqc(q, "msglog") && !str_eqc(q, "log") && !str_eqc(q, "db");
}

static struct spool_dir *find_dir(struct spool *s, struct str queue, char subdir)
{
	for (struct spool_dir *d = s->dirs; d; d = d->next)
		if (d->subdir == subdir && str_eqc(queue, d->queue))
			return d;
	return NULL;
}

static struct spool_dir *add_dir(struct spool *s, struct str queue, char subdir, bool make)
{
	char name[72];
	snprintf(name, sizeof name, "%.*s", STR_ARG(queue));
	int fd = open_tree(s, name, "input", subdir, make);
	struct stat st;
	if (fd < 0 || fstat(fd, &st))
		return NULL;
	if ((uint64_t)st.st_dev != s->root_device)
		__atomic_store_n(&s->many_devices, true, __ATOMIC_RELEASE);
	struct spool_dir *d = arena_new_of(s->arena, struct spool_dir);
	*d = (struct spool_dir){.queue = arena_cstr(s->arena, name, strlen(name)), .subdir = subdir, .input = fd, .msglog = -1};
	d->next = s->dirs;
	s->dirs = d;
	return d;
}

struct spool_dir *spool_dir_of(struct spool *s, struct str queue, char subdir, bool make)
{
	if (!queue_name_good(queue)) {
		errno = EINVAL;
		return NULL;
	}
	pthread_mutex_lock(&s->dir_lock);
	struct spool_dir *d = find_dir(s, queue, subdir);
	if (!d)
		d = add_dir(s, queue, subdir, make);
	pthread_mutex_unlock(&s->dir_lock);
	return d;
}

int spool_msglog_dir(struct spool *s, struct spool_dir *d)
{
	pthread_mutex_lock(&s->dir_lock);
	if (d->msglog < 0)
		d->msglog = open_tree(s, d->queue, "msglog", d->subdir, true);
	int fd = d->msglog;
	pthread_mutex_unlock(&s->dir_lock);
	return fd;
}

char spool_subdir_of(const struct spool *s, struct str id)
{
	return s->cfg.split && id.len > 5 ? id.p[5] : '\0';
}

int spool_lock(int fd, const char *id)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = (off_t)strlen(id) + 3};
	int rc = fcntl(fd, F_OFD_SETLK, &l);
	if (rc && errno == EACCES)
		errno = EAGAIN;
	return rc;
}

enum status spool_write_all(struct spool *s, int fd, struct str a, struct str b)
{
	while (a.len || b.len) {
		struct iovec v[2];
		int n = 0;
		for (int i = 0; i < 2; i++) {
			struct str part = i ? b : a;
			if (part.len)
				v[n++] = (struct iovec){.iov_base = (void *)(uintptr_t)part.p, .iov_len = part.len};
		}
		ssize_t done = s->ops->writev(s->ops, fd, v, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return ST_ERRNO(done ? errno : EIO);
		size_t from_a = (size_t)done < a.len ? (size_t)done : a.len;
		a = str_from(a, from_a);
		b = str_from(b, (size_t)done - from_a);
	}
	return ST_OK;
}

int spool_create_file(struct spool *s, int dir, const char *name, int flags)
{
	int fd = s->ops->openat(s->ops, dir, name, flags | O_CREAT, FILE_MODE);
	if (fd >= 0 && give(s, fd)) {
		int e = errno;
		close(fd);
		s->ops->unlinkat(s->ops, dir, name);
		errno = e;
		return -1;
	}
	return fd;
}

struct spool *spool_open(const struct spool_config *cfg, struct env *env, struct why *why)
{
	struct arena *a = arena_new("spool", 64u << 20, 0, 0);
	struct spool *s = arena_new_of(a, struct spool);
	*s = (struct spool){.cfg = *cfg, .arena = a, .clock = env->clock, .system_ops = spool_ops_system, .root = -1};
	s->cfg.directory = str_dup(a, cfg->directory);
	s->cfg.log_directory = str_dup(a, cfg->log_directory);
	s->ops = &s->system_ops;
	pthread_mutex_init(&s->dir_lock, NULL);
	pthread_mutex_init(&s->space_lock, NULL);
	pthread_mutex_init(&s->sync.lock, NULL);
	struct stat st;
	const char *path = str_cstr(a, cfg->directory);
	s->root = open_dir(s, AT_FDCWD, path, true);
	if (s->root < 0 || fstat(s->root, &st)) {
		why_set(why, true, "Failed to open spool directory \"%s\": %s", path, status_text(ST_ERRNO(errno)));
		spool_close(s);
		return NULL;
	}
	s->root_device = (uint64_t)st.st_dev;
	if (!spool_dir_of(s, STR(""), '\0', true)) {
		why_set(why, true, "Failed to open directory \"%s/input\": %s", path, status_text(ST_ERRNO(errno)));
		spool_close(s);
		return NULL;
	}
	return s;
}

void spool_close(struct spool *s)
{
	if (!s)
		return;
	for (struct spool_dir *d = s->dirs; d; d = d->next) {
		close(d->input);
		if (d->msglog >= 0)
			close(d->msglog);
	}
	if (s->root >= 0)
		close(s->root);
	pthread_mutex_destroy(&s->dir_lock);
	pthread_mutex_destroy(&s->space_lock);
	pthread_mutex_destroy(&s->sync.lock);
	arena_free(s->arena);
}

const struct spool_config *spool_settings(const struct spool *s)
{
	return &s->cfg;
}

void spool_set_ops(struct spool *s, struct spool_ops *ops)
{
	s->ops = ops;
}

/* Free bytes and inodes for us; -1 where the file system does not say (manual 14: no check then). */
static void ask_space(int fd, int64_t *ret_bytes, int64_t *ret_inodes)
{
	struct statvfs v;
	*ret_bytes = *ret_inodes = -1;
	if (fd < 0 || fstatvfs(fd, &v))
		return;
	*ret_bytes = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
	*ret_inodes = v.f_files ? (int64_t)v.f_favail : -1;
}

static void refresh_space(struct spool *s)
{
	int64_t now = clock_mono_ms(&s->clock);
	if (s->space_state == SPACE_KNOWN && now - s->space_checked_ms < SPACE_AGE_MS)
		return;
	ask_space(s->root, &s->space_free, &s->inodes_free);
	s->log_space_free = s->log_inodes_free = -1;
	if (s->cfg.log_directory.len) {
		int fd = open(s->cfg.log_directory.p, O_PATH | O_DIRECTORY | O_CLOEXEC);
		ask_space(fd, &s->log_space_free, &s->log_inodes_free);
		if (fd >= 0)
			close(fd);
	}
	s->space_checked_ms = now;
	s->space_state = SPACE_KNOWN;
}

void spool_set_limits(struct spool *s, const struct spool_config *cfg)
{
	pthread_mutex_lock(&s->space_lock);
	s->cfg.min_space = cfg->min_space;
	s->cfg.min_inodes = cfg->min_inodes;
	s->cfg.min_log_space = cfg->min_log_space;
	s->cfg.min_log_inodes = cfg->min_log_inodes;
	pthread_mutex_unlock(&s->space_lock);
}

static bool too_little(int64_t have, int64_t want)
{
	return have >= 0 && want > 0 && have < want;
}

enum spool_space spool_check_space(struct spool *s, int64_t extra)
{
	const struct spool_config *c = &s->cfg;
	int64_t want = extra > 0 ? extra : 0;
	pthread_mutex_lock(&s->space_lock);
	refresh_space(s);
	bool low = __builtin_add_overflow(want, c->min_space, &want) || (c->min_space > 0 && too_little(s->space_free, want)) || too_little(s->inodes_free, c->min_inodes)
	    || too_little(s->log_space_free, c->min_log_space) || too_little(s->log_inodes_free, c->min_log_inodes);
	pthread_mutex_unlock(&s->space_lock);
	return low ? SPACE_LOW : SPACE_OK;
}

void spool_free_space(struct spool *s, int64_t *ret_bytes, int64_t *ret_inodes)
{
	pthread_mutex_lock(&s->space_lock);
	refresh_space(s);
	*ret_bytes = s->space_free;
	*ret_inodes = s->inodes_free;
	pthread_mutex_unlock(&s->space_lock);
}
