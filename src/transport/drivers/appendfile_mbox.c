/* SPDX-License-Identifier: Apache-2.0
 * Appending to one file (manual 26.3): checks before and after opening, locks, the message, and
 * the file as it was before when anything fails. Nothing counts as delivered before it is on disk. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/drivers/appendfile.h"

#include "base/banned.h"

enum { RACES = 10 };
enum opened { OPEN_OK, OPEN_AGAIN, OPEN_FAILED };

/* The file as lstat saw it: who, what, mode. */
static bool check_existing(struct append *ap, const struct stat *st, const char *note, bool link_itself)
{
	const struct appendfile_options *o = ap->o;
	const char *name = ap->path.p;
	if (o->check_owner && st->st_uid != geteuid()) {
		append_fail(ap, DERR_BADUGID, "mailbox %s%s has wrong uid (%ld != %ld)", name, note, (long)st->st_uid, (long)geteuid());
		return false;
	}
	if (o->check_group && st->st_gid != getegid()) {
		append_fail(ap, DERR_BADUGID, "mailbox %s%s has wrong gid (%ld != %ld)", name, note, (long)st->st_gid, (long)getegid());
		return false;
	}
	if (link_itself)
		return true;
	if (st->st_nlink != 1 && !o->allow_symlink) {
		append_fail(ap, DERR_NOTREGULAR, "mailbox %s%s has too many links (%lu)", name, note, (unsigned long)st->st_nlink);
		return false;
	}
	if (!S_ISREG(st->st_mode) && !(S_ISFIFO(st->st_mode) && o->allow_fifo)) {
		append_fail(ap, DERR_NOTREGULAR, "mailbox %s is not a regular file%s", name, o->allow_fifo ? " or named pipe" : "");
		return false;
	}
	return true;
}

static bool check_mode(struct append *ap, const struct stat *st)
{
	mode_t have = st->st_mode & 07777, want = (mode_t)(ap->o->mode & 0777u);
	if (have == want)
		return true;
	if ((want & ~have) && ap->o->mode_fail_narrower) {
		append_fail(ap, DERR_BADMODE, "mailbox %s has the wrong mode %o (%o expected)", ap->path.p, (unsigned)have, (unsigned)want);
		return false;
	}
	return true;
}

/* After the descriptor is ours: still what was looked at? */
static bool same_file(struct append *ap, int fd, const struct stat *before)
{
	struct stat now;
	if (fstat(fd, &now) < 0) {
		append_fail(ap, errno, "opening mailbox %s failed", ap->path.p);
		return false;
	}
	if (now.st_ino != before->st_ino || now.st_dev != before->st_dev || (now.st_mode & S_IFMT) != (before->st_mode & S_IFMT) ||
	    (ap->o->check_owner && now.st_uid != before->st_uid)) {
		result_freeze(ap->d, DERR_INODECHANGED, "opened mailbox %s inode number changed from %ld to %ld", ap->path.p,
		    (long)before->st_ino, (long)now.st_ino);
		return false;
	}
	mode_t want = (mode_t)(ap->o->mode & 0777u), have = now.st_mode & 0777;
	if ((have & ~want) && S_ISREG(now.st_mode) && fchmod(fd, have & want) < 0) {
		append_fail(ap, errno, "attempting to chmod mailbox %s", ap->path.p);
		return false;
	}
	return true;
}

static enum opened open_existing(struct append *ap, const struct stat *st, int *ret_fd)
{
	bool fifo = S_ISFIFO(st->st_mode);
	if (!check_mode(ap, st))
		return OPEN_FAILED;
	int flags = fifo ? O_WRONLY | O_NONBLOCK : O_RDWR | O_APPEND;
	int fd = open(ap->path.p, flags | O_CLOEXEC | O_NOCTTY | (ap->o->allow_symlink ? 0 : O_NOFOLLOW));
	if (fd < 0 && errno == ENOENT)
		return OPEN_AGAIN;
	if (fd < 0 && fifo) {
		append_fail(ap, errno, "while opening named pipe %s (could mean no process is reading it)", ap->path.p);
		return OPEN_FAILED;
	}
	if (fd < 0) {
		append_fail(ap, errno, "while opening mailbox %s", ap->path.p);
		return OPEN_FAILED;
	}
	if (fifo)
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	if (!same_file(ap, fd, st)) {
		close(fd);
		return OPEN_FAILED;
	}
	*ret_fd = fd;
	return OPEN_OK;
}

static enum opened create(struct append *ap, bool dangling_link, int *ret_fd)
{
	if (ap->o->file_must_exist) {
		append_fail(ap, ENOENT, "mailbox %s does not exist, but file_must_exist is set", ap->path.p);
		return OPEN_FAILED;
	}
	if (!append_may_create(ap, ap->path.p))
		return OPEN_FAILED;
	int fd = open(ap->path.p, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | (dangling_link ? 0 : O_EXCL), ap->o->mode & 0777u);
	if (fd < 0 && errno == EEXIST)
		return OPEN_AGAIN;
	if (fd < 0) {
		append_fail(ap, errno, "while creating mailbox %s", ap->path.p);
		return OPEN_FAILED;
	}
	if (fchmod(fd, ap->o->mode & 0777u) < 0) {
		append_fail(ap, errno, "while setting mode of mailbox %s", ap->path.p);
		close(fd);
		return OPEN_FAILED;
	}
	*ret_fd = fd;
	return OPEN_OK;
}

static enum opened open_once(struct append *ap, int *ret_fd)
{
	struct stat st;
	if (lstat(ap->path.p, &st) < 0) {
		if (errno == ENOENT)
			return create(ap, false, ret_fd);
		append_fail(ap, errno, "lstat() of mailbox %s failed", ap->path.p);
		return OPEN_FAILED;
	}
	if (S_ISLNK(st.st_mode)) {
		if (!check_existing(ap, &st, " (symlink)", true))
			return OPEN_FAILED;
		if (!ap->o->allow_symlink) {
			append_fail(ap, DERR_NOTREGULAR, "mailbox %s is a symbolic link", ap->path.p);
			return OPEN_FAILED;
		}
		if (stat(ap->path.p, &st) < 0) {
			if (errno == ENOENT)
				return create(ap, true, ret_fd);
			append_fail(ap, errno, "stat() of mailbox %s failed", ap->path.p);
			return OPEN_FAILED;
		}
	}
	return check_existing(ap, &st, "", false) ? open_existing(ap, &st, ret_fd) : OPEN_FAILED;
}

static bool open_mailbox(struct append *ap, int *ret_fd)
{
	for (int i = 0; i < RACES; i++) {
		switch (open_once(ap, ret_fd)) {
		case OPEN_OK: return true;
		case OPEN_FAILED: return false;
		case OPEN_AGAIN: break;
		}
	}
	result_freeze(ap->d, DERR_EXISTRACE, "mailbox %s: existence unclear", ap->path.p);
	return false;
}

/* Open and lock; a busy file is closed while we wait, so that its owner may replace it. */
static bool open_locked(struct append *ap, int *ret_fd, struct mailbox_lock *l)
{
	int tries = lock_tries(ap);
	for (int i = 0; i < tries; i++) {
		if (i && ap->o->lock_fcntl_timeout <= 0 && ap->o->lock_flock_timeout <= 0)
			lock_pause(ap->o->lock_interval);
		if (!open_mailbox(ap, ret_fd))
			return false;
		struct stat st;
		bool fifo = fstat(*ret_fd, &st) == 0 && S_ISFIFO(st.st_mode);
		int got = fifo ? 1 : lock_descriptor(ap, *ret_fd, l);
		if (got > 0)
			return true;
		close(*ret_fd);
		if (got < 0)
			return false;
	}
	append_fail(ap, DERR_LOCKFAILED, "failed to lock mailbox %s (fcntl/flock)", ap->path.p);
	return false;
}

/* ---- file_format (manual 26.2): strings and the transports for them ---- */

static struct str file_start(struct append *ap)
{
	char *buf = arena_alloc(ap->d->arena, 256);
	int fd = open(ap->path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t n = fd >= 0 ? read(fd, buf, 256) : 0;
	if (fd >= 0)
		close(fd);
	return n > 0 ? str_n(buf, (size_t)n) : STR_NONE;
}

/* True: go on here. False: another transport has done it, or results are given. */
static bool right_format(struct append *ap)
{
	struct delivery *d = ap->d;
	struct str rest = ap->o->file_format.text, mark, name, start;
	int sep = 0;
	if (str_empty(rest) || str_empty(start = file_start(ap)))
		return true;
	while (list_next(d->arena, &rest, &sep, &mark) && list_next(d->arena, &rest, &sep, &name)) {
		if (start.len < mark.len || memcmp(start.p, mark.p, mark.len) != 0)
			continue;
		if (str_eq(name, d->transport->name))
			return true;
		const struct driver_instance *t = config_find_driver(d->config, DRIVER_TRANSPORT, name);
		if (!t || t->driver != d->transport->driver) {
			append_fail(ap, DERR_BADTRANSPORT, "%.*s transport (for %.*s format) not found", STR_ARG(name), STR_ARG(name));
			return false;
		}
		d->transport = t;
		transport_driver_of(t)->run(d);
		return false;
	}
	append_fail(ap, DERR_FILEFORMAT, "mailbox file format unrecognized");
	return false;
}

/* ---- MBX (c-client's format): a header of 2048 bytes, then a line before each message ---- */

enum { MBX_HEADER = 2048 };

static bool mbx_file_header(struct append *ap, int fd)
{
	char buf[MBX_HEADER] = {0};
	int n = snprintf(buf, sizeof buf, "*mbx*\r\n%08x00000000\r\n", (unsigned)clock_s(&ap->d->env->clock));
	for (int i = 0; i < 30; i++, n += 2)
		memcpy(buf + n, "\r\n", 2);
	if (write(fd, buf, sizeof buf) == (ssize_t)sizeof buf)
		return true;
	append_fail(ap, errno, "error while writing to %s", ap->path.p);
	return false;
}

/* The line names the message's length, so the message goes behind room for it, which is filled after. */
static bool write_mbx(struct append *ap, int fd, off_t end)
{
	char line[64];
	time_t now = clock_s(&ap->d->env->clock);
	struct tm tm;
	if (end == 0 && !mbx_file_header(ap, fd))
		return false;
	int tmp = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (tmp < 0) {
		append_fail(ap, errno, "creating temporary file");
		return false;
	}
	bool ok = append_write(ap, tmp);
	int64_t size = ap->written;
	localtime_r(&now, &tm);
	size_t n = strftime(line, sizeof line, "%d-%b-%Y %H:%M:%S %z", &tm);
	int m = snprintf(line + n, sizeof line - n, ",%lld;%08lx%04x-%08x\r\n", (long long)size, 0ul, 0u, 0u);
	if (ok && (write(fd, line, n + (size_t)m) != (ssize_t)n + m || lseek(tmp, 0, SEEK_SET) < 0)) {
		append_fail(ap, errno, "error while writing to %s", ap->path.p);
		ok = false;
	}
	char block[8192];
	for (ssize_t got; ok && (got = read(tmp, block, sizeof block)) != 0;) {
		if (got < 0 || write(fd, block, (size_t)got) != got) {
			append_fail(ap, errno, "error while writing to %s", ap->path.p);
			ok = false;
		}
	}
	close(tmp);
	return ok;
}

/* ---- ---- */

static void undo(int fd, const struct stat *before)
{
	struct timespec times[2] = {before->st_atim, before->st_mtim};
	if (ftruncate(fd, before->st_size) == 0)
		(void)futimens(fd, times);
}

static bool append(struct append *ap, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0) {
		append_fail(ap, errno, "opening mailbox %s failed", ap->path.p);
		return false;
	}
	bool fifo = S_ISFIFO(st.st_mode);
	ap->size_before = ap->lim.mailbox_size >= 0 ? ap->lim.mailbox_size : st.st_size;
	ap->count_before = 1;
	if (!fifo && !quota_allows(ap, ap->path.p, st.st_mtime > st.st_atime ? st.st_atime : st.st_mtime))
		return false;
	bool ok = ap->form == FORM_MBX ? write_mbx(ap, fd, st.st_size) : append_write(ap, fd);
	if (ok && !fifo && fsync(fd) < 0) {
		append_fail(ap, errno, "error while writing to %s", ap->path.p);
		ok = false;
	}
	if (!ok && !fifo)
		undo(fd, &st);
	return ok;
}

void append_to_file(struct append *ap)
{
	struct mailbox_lock l = {.mbx_fd = -1};
	int fd = -1;
	if (!append_make_dirs(ap, false) || !right_format(ap))
		return;
	struct stat st;
	bool fifo = ap->o->allow_fifo && stat(ap->path.p, &st) == 0 && S_ISFIFO(st.st_mode);
	if (ap->o->use_lockfile && !fifo && !lock_file_take(ap, &l))
		return;
	if (open_locked(ap, &fd, &l)) {
		bool ok = append(ap, fd);
		if (close(fd) < 0 && ok) {
			append_fail(ap, errno, "close() error for %s", ap->path.p);
			ok = false;
		}
		if (ok)
			result_done(ap->d);
	}
	lock_release(&l);
	if (fd >= 0 && ap->d->addresses->state == ADDRESS_DELIVERED)
		quota_warn(ap);
}
