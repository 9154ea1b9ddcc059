/* SPDX-License-Identifier: Apache-2.0
 * What the files of this room share: the open spool, its folders, the shared flush. */
#pragma once
#include <pthread.h>

#include "spool/ops.h"

/* A folder pair of one queue: input[/C] and msglog[/C]. Opened once, kept. */
struct spool_dir {
	struct spool_dir *next;
	char *queue;    /* "" = main */
	char subdir;    /* 0 = not split */
	int input;      /* descriptor */
	int msglog;     /* -1 until needed */
};

/* The shared flush (sync.c). A caller asks that what it wrote be on disk; whoever finds no flush
 * under way runs one for all that asked meanwhile. */
struct spool_sync {
	pthread_mutex_t lock;
	struct sync_request *waiting; /* for the next flush */
	unsigned count;
	bool running; /* somebody leads, or was made leader */
};

struct spool {
	struct spool_config cfg;
	struct arena *arena;       /* copies of cfg's texts */
	struct clock clock;
	struct spool_ops system_ops;
	struct spool_ops *ops;
	int root;                  /* the spool directory */
	uint64_t root_device;
	bool many_devices;         /* atomic: a queue's folder lies on another file system: no syncfs */
	pthread_mutex_t dir_lock;
	struct spool_dir *dirs;
	struct spool_sync sync;
	int64_t last_id_us;        /* atomic: ids of this process go up by at least one step */
	uint32_t id_serial;        /* atomic: of short ids */
	pthread_mutex_t space_lock;
	int64_t space_checked_ms;  /* monotonic; 0 = never */
	enum spool_space_state { SPACE_UNKNOWN, SPACE_KNOWN } space_state;
	int64_t space_free, inodes_free, log_space_free, log_inodes_free; /* -1 = cannot tell */
};

enum { SPOOL_NAME_MAX = MSG_ID_MAX + 8 };

/* An opened or just committed message. */
struct spool_msg {
	struct spool *spool;
	struct spool_dir *dir;
	char id[MSG_ID_MAX];
	int fd;       /* -D, locked */
	int journal;  /* -J, -1 until needed */
	bool journal_exists;
};

/* The folders of a queue; made when missing if `make`. NULL with errno. Threads: any. */
struct spool_dir *spool_dir_of(struct spool *s, struct str queue, char subdir, bool make);
/* Where a message of this id is put. */
char spool_subdir_of(const struct spool *s, struct str id);
int spool_msglog_dir(struct spool *s, struct spool_dir *d);
/* "ID-H" and so on; kind 0 gives "hdr.ID". */
const char *spool_name(char to[SPOOL_NAME_MAX], const char *id, char kind);

/* Exim's lock: fcntl on the bytes of line 1 of -D, held by the open file (not by the process, so that
 * threads exclude each other too). 0, or -1 with EAGAIN when another holds it. */
int spool_lock(int fd, const char *id);

must_check enum status spool_write_all(struct spool *s, int fd, struct str a, struct str b);
int spool_create_file(struct spool *s, int dir, const char *name, int flags);

/* Return when these are on disk: data of the files fd[0..n) (n <= 2; -1 is skipped), or with `dir` the
 * folder's names. Blocks; shares the flush with other threads. */
must_check enum status spool_flush(struct spool *s, const int *fd, unsigned n, bool dir);

/* hdr.ID written, flushed together with `data_fd` (-1 = none), renamed to ID-H, folder flushed.
 * On failure neither name is left if `fresh`; else the old -H stays. */
must_check enum status spool_put_header(struct spool *s, struct spool_dir *d, const struct message *m, const char *id,
    int data_fd, bool fresh, struct why *why);
void spool_fail(struct why *why, enum status st, const char *id, const char *doing);
