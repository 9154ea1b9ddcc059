/* SPDX-License-Identifier: Apache-2.0
 * The real system calls (ops.h). */
#include "spool/ops.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/banned.h"

static int sys_openat(struct spool_ops *o, int dir, const char *name, int flags, unsigned mode)
{
	(void)o;
	return openat(dir, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

static ssize_t sys_writev(struct spool_ops *o, int fd, const struct iovec *v, int n)
{
	(void)o;
	return writev(fd, v, n);
}

static int sys_renameat(struct spool_ops *o, int from_dir, const char *from, int to_dir, const char *to)
{
	(void)o;
	return renameat(from_dir, from, to_dir, to);
}

static int sys_linkat(struct spool_ops *o, int from_dir, const char *from, int to_dir, const char *to)
{
	(void)o;
	return linkat(from_dir, from, to_dir, to, 0);
}

static int sys_unlinkat(struct spool_ops *o, int dir, const char *name)
{
	(void)o;
	return unlinkat(dir, name, 0);
}

static int sys_fdatasync(struct spool_ops *o, int fd)
{
	(void)o;
	return fdatasync(fd);
}

static int sys_fsync(struct spool_ops *o, int fd)
{
	(void)o;
	return fsync(fd);
}

static int sys_syncfs(struct spool_ops *o, int fd)
{
	(void)o;
	return syncfs(fd);
}

const struct spool_ops spool_ops_system = {
    .openat = sys_openat,
    .writev = sys_writev,
    .renameat = sys_renameat,
    .linkat = sys_linkat,
    .unlinkat = sys_unlinkat,
    .fdatasync = sys_fdatasync,
    .fsync = sys_fsync,
    .syncfs = sys_syncfs,
};
