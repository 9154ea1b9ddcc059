/* SPDX-License-Identifier: Apache-2.0
 * Locks of single-file mailboxes (manual 26.3): a lock file made by a hard link from a "hitching
 * post", as works over NFS; fcntl; flock; and the MBX rules of c-client: a shared lock on the
 * mailbox and an exclusive one on /tmp/.<device>.<inode>, which is opened beneath all the checks
 * that a name in a folder of everyone needs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "transport/drivers/appendfile.h"

#include "base/banned.h"

void lock_pause(int32_t seconds)
{
	struct timespec ts = {.tv_sec = seconds < 0 ? 0 : seconds};
	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		continue;
}

int lock_tries(const struct append *ap)
{
	const struct appendfile_options *o = ap->o;
	int64_t longest = o->lock_fcntl_timeout > o->lock_flock_timeout ? o->lock_fcntl_timeout : o->lock_flock_timeout;
	if (longest <= 0)
		return o->lock_retries;
	int64_t n = ((int64_t)o->lock_retries * o->lock_interval + longest - 1) / longest;
	return n < 1 ? 1 : n > 1000 ? 1000 : (int)n;
}

/* ---- the lock file ---- */

static bool stale(const struct append *ap, const char *name)
{
	struct stat st;
	return ap->o->lockfile_timeout > 0 && lstat(name, &st) == 0 &&
	    st.st_mtime + ap->o->lockfile_timeout < (time_t)(clock_us(&ap->d->env->clock) / 1000000);
}

/* 1 made, 0 busy, -1 cannot (errno). */
static int hitch(const struct append *ap, const char *post, const char *name)
{
	struct stat st;
	int fd = open(post, O_WRONLY | O_EXCL | O_CREAT | O_CLOEXEC | O_NOFOLLOW, ap->o->lockfile_mode & 0777u);
	if (fd < 0)
		return -1;
	(void)fchmod(fd, ap->o->lockfile_mode & 0777u);
	close(fd);
	int got = link(post, name) == 0;
	if (!got && stat(post, &st) == 0 && st.st_nlink == 2) /* an NFS server told less than it did */
		got = 1;
	(void)unlink(post);
	return got;
}

bool lock_file_take(struct append *ap, struct mailbox_lock *l)
{
	struct delivery *d = ap->d;
	char *name = arena_printf(d->arena, "%s.lock", ap->path.p);
	char *post = arena_printf(d->arena, "%s.%.*s.%08x.%08x", name, STR_ARG(d->config->primary_hostname),
	    (unsigned)clock_s(&d->env->clock), (unsigned)getpid());
	int32_t tries = ap->o->lock_retries;
	for (int32_t i = 0; i < tries; i++) {
		if (i)
			lock_pause(ap->o->lock_interval);
		int got = hitch(ap, post, name);
		if (got < 0) {
			int err = errno;
			append_fail(ap, err, "creating lock file hitching post %s (euid=%d egid=%d)", post, (int)geteuid(), (int)getegid());
			return false;
		}
		if (got) {
			l->name = name;
			return true;
		}
		if (stale(ap, name) && unlink(name) == 0)
			i--; /* its owner is long gone; bounded: the next one is young */
	}
	append_fail(ap, DERR_LOCKFAILED, "failed to lock mailbox %s (lock file)", ap->path.p);
	return false;
}

/* ---- locks on descriptors ---- */

/* 1 taken, 0 busy. A limit above 0 waits by short rounds: no signal, no second thread. */
static int try_for(int32_t limit, int (*attempt)(int fd, bool shared), int fd, bool shared)
{
	enum { ROUND_MS = 20 };
	struct timespec round = {.tv_nsec = ROUND_MS * 1000000L};
	for (int64_t left = (int64_t)limit * 1000; attempt(fd, shared) < 0; left -= ROUND_MS) {
		if (left <= 0)
			return 0;
		(void)nanosleep(&round, NULL);
	}
	return 1;
}

static int by_fcntl(int fd, bool shared)
{
	struct flock fl = {.l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, F_SETLK, &fl);
}

static int by_flock(int fd, bool shared)
{
	return flock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
}

static bool lock_fd(struct append *ap, int fd, bool shared)
{
	const struct appendfile_options *o = ap->o;
	bool fcntl_too = o->use_fcntl_lock || (o->use_mbx_lock && !o->use_flock_lock);
	if (fcntl_too && !try_for(o->lock_fcntl_timeout, by_fcntl, fd, shared))
		return false;
	return !o->use_flock_lock || try_for(o->lock_flock_timeout, by_flock, fd, shared);
}

/* /tmp/.dev.ino: -1 with errno, or the descriptor of a file that is ours alone to trust. */
static int open_mbx_lock(struct append *ap, const char *name)
{
	struct stat a, b;
	bool there = lstat(name, &a) == 0;
	if (there && (!S_ISREG(a.st_mode) || a.st_nlink != 1))
		return errno = EPERM, -1;
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, ap->o->lockfile_mode & 0777u);
	if (fd < 0)
		return -1;
	if (fstat(fd, &b) < 0 || !S_ISREG(b.st_mode) || b.st_nlink != 1 || (there && (a.st_ino != b.st_ino || a.st_dev != b.st_dev))) {
		close(fd);
		return errno = EPERM, -1;
	}
	(void)fchmod(fd, ap->o->lockfile_mode & 0777u);
	return fd;
}

static int lock_mbx(struct append *ap, int fd, struct mailbox_lock *l)
{
	struct stat st;
	if (!lock_fd(ap, fd, true) || fstat(fd, &st) < 0)
		return 0;
	l->mbx_name = arena_printf(ap->d->arena, "/tmp/.%lx.%lx", (unsigned long)st.st_dev, (unsigned long)st.st_ino);
	l->mbx_fd = open_mbx_lock(ap, l->mbx_name);
	if (l->mbx_fd < 0) {
		int err = errno;
		append_fail(ap, DERR_LOCKFAILED, "failed to open MBX lock file %s: %s", l->mbx_name, status_text(ST_ERRNO(err)));
		return -1;
	}
	if (lock_fd(ap, l->mbx_fd, false))
		return 1;
	close(l->mbx_fd);
	l->mbx_fd = -1;
	return 0;
}

int lock_descriptor(struct append *ap, int fd, struct mailbox_lock *l)
{
	if (ap->o->use_mbx_lock)
		return lock_mbx(ap, fd, l);
	if (!ap->o->use_fcntl_lock && !ap->o->use_flock_lock)
		return 1;
	return lock_fd(ap, fd, false);
}

void lock_release(struct mailbox_lock *l)
{
	if (l->mbx_fd >= 0) {
		struct stat st;
		if (fstat(l->mbx_fd, &st) == 0 && st.st_uid == geteuid())
			(void)unlink(l->mbx_name);
		close(l->mbx_fd);
	}
	if (l->name)
		(void)unlink(l->name);
	*l = (struct mailbox_lock){.mbx_fd = -1};
}
