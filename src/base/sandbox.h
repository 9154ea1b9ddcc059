/* SPDX-License-Identifier: Apache-2.0
 * The cage of a process: no new privileges, Landlock (which files), seccomp (which system calls).
 * To be entered once everything is open that needs more, and before any thread is started: the
 * kernel confines the calling thread and what it starts from then on. There is no way out. */
#pragma once
#include "base/status.h"

enum sandbox_mode {
	SB_READ,    /* a file, or all below a folder: open to read, list */
	SB_WRITE,   /* and write, create, rename, remove, truncate */
	SB_APPEND,  /* a file or folder: open existing files to write (logs, FIFOs, devices), read; nothing made or removed */
	SB_LISTDIR, /* list the folder and those below, open no file */
	SB_EXEC,    /* read and execute (with may_exec) */
	SB_SOCKET,  /* a folder where sockets are made and removed */
};
struct sandbox_path {
	const char *path; /* one that is not there is passed over */
	enum sandbox_mode mode;
};
/* What the C library, OpenSSL and the resolver read anywhere (/etc/hosts, time zones, shared
 * libraries, trusted certificates, /dev/null...) is always open for reading. */
struct sandbox {
	const struct sandbox_path *paths;
	size_t count;
	bool may_exec;
	bool may_fork;           /* else new threads only */
	bool may_network_listen; /* listen(2); accepting on what is open already is always allowed */
	bool may_connect;        /* connect(2) and datagrams to others */
};

/* A breach ends the process (SIGSYS), or fails with EACCES where it is about a file.
 * ST_OK with why->text not empty: inside, but the kernel lacks part of it (to be logged).
 * Threads: startup. */
must_check enum status sandbox_enter(const struct sandbox *s, struct why *why);
