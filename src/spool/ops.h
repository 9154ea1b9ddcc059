/* SPDX-License-Identifier: Apache-2.0
 * The system calls by which the spool changes the disk, so that tests can let the n-th one fail or
 * be the last that this process makes. Results as of the calls: -1 and errno. */
#pragma once
#include "spool/spool.h"
#include <sys/uio.h>

struct spool_ops {
	int (*openat)(struct spool_ops *o, int dir, const char *name, int flags, unsigned mode);
	ssize_t (*writev)(struct spool_ops *o, int fd, const struct iovec *v, int n);
	int (*renameat)(struct spool_ops *o, int from_dir, const char *from, int to_dir, const char *to);
	int (*linkat)(struct spool_ops *o, int from_dir, const char *from, int to_dir, const char *to);
	int (*unlinkat)(struct spool_ops *o, int dir, const char *name);
	int (*fdatasync)(struct spool_ops *o, int fd);
	int (*fsync)(struct spool_ops *o, int fd);
	int (*syncfs)(struct spool_ops *o, int fd);
};
extern const struct spool_ops spool_ops_system;

/* Use these from now on; they belong to the caller and outlive the spool. Threads: owner, before use. */
void spool_set_ops(struct spool *s, struct spool_ops *ops);
