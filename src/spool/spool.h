/* SPDX-License-Identifier: Apache-2.0
 * The on-disk message, in Exim's format both ways (manual 57, reference formats.md 2): create,
 * append, commit, open, update, remove. How the bytes become durable is hidden here: group commit
 * (many writers share one flush) today, a journal in front of the files later; nothing above this
 * header changes with it.
 *
 * Promise: spool_commit returns ST_OK only when envelope and body survive a power cut. Until then
 * the message does not exist for anybody else. A death at any line loses nothing that was
 * committed; format.h numbers the invariants. */
#pragma once
#include "base/env.h"
#include "base/status.h"
#include "message/message.h"

struct spool;
struct spool_msg;

struct spool_config {
	struct str directory;      /* <spool> */
	bool split;                /* split_spool_directory */
	bool wireformat;           /* spool_wireformat */
	bool message_logs;         /* msglog/ files are kept while a message is queued */
	bool preserve_message_logs;
	bool no_sync;              /* disable_fsync */
	int32_t uid, gid;          /* owner of files made when root; -1 = leave */
	int64_t min_space; int64_t min_inodes; /* check_spool_space / _inodes; 0 = no check */
	int64_t min_log_space, min_log_inodes; struct str log_directory;
	int localhost_number;      /* -1 = none */
	bool short_ids;            /* new ids of 16 characters, so that an Exim before 4.97 sees the messages */
};
/* Open (making missing directories). One per process; shared by its threads. */
struct spool *spool_open(const struct spool_config *cfg, struct env *env, struct why *why);
void spool_close(struct spool *s);
/* The limits of the space check, after a reload; all else stays as it was opened. Threads: any. */
void spool_set_limits(struct spool *s, const struct spool_config *cfg);
const struct spool_config *spool_settings(const struct spool *s);

/* Space check before a message is taken (manual 14 check_spool_space); extra = bytes announced. */
enum spool_space { SPACE_OK, SPACE_LOW };
enum spool_space spool_check_space(struct spool *s, int64_t extra);
/* What that check saw of the spool's file system: octets and inodes, -1 = not known. */
void spool_free_space(struct spool *s, int64_t *ret_bytes, int64_t *ret_inodes);

/* --- Writing. One struct per message under way; belongs to one thread at a time. */
struct spool_writer;
/* New id (made from the clock, unique in this spool), -D file begun and locked. */
must_check enum status spool_create(struct spool *s, struct str queue_name, char ret_id[MSG_ID_MAX], struct spool_writer **ret, struct why *why);
/* Body bytes, in the form of the -D file (LF line ends, or CRLF when wireformat). Buffered. */
must_check enum status spool_append(struct spool_writer *w, const void *p, size_t n);
/* For checks before the commit (scanners, DKIM, $message_body): the descriptor of the data so far
 * and the offset where the body begins. Flushes our buffer, not the disk. */
must_check enum status spool_body_fd(struct spool_writer *w, int *ret_fd, int64_t *ret_offset, int64_t *ret_size);
/* Write the envelope and make both durable. On ST_OK the message is queued; the writer is gone.
 * On failure nothing remains on disk; why->temporary is always true. Blocks for the shared flush. */
must_check enum status spool_commit(struct spool_writer *w, const struct message *m, struct why *why);
void spool_abort(struct spool_writer *w);
/* Keep the lock of the committed message in *ret_lock_fd (for delivering it at once in this process). */
must_check enum status spool_commit_locked(struct spool_writer *w, const struct message *m, struct spool_msg **ret, struct why *why);

/* --- Reading and delivering. */
struct spool_msg; /* an opened message: locked -D, data descriptor */
enum spool_found { SPOOL_FOUND, SPOOL_GONE, SPOOL_LOCKED, SPOOL_DAMAGED, SPOOL_ERROR };
/* Lock -D (fcntl, as Exim does), read -H and -J into m. DAMAGED: a text in why; the caller logs and leaves it. */
enum spool_found spool_open_msg(struct spool *s, struct str queue_name, struct str id, struct arena *a, struct message **ret_m, struct spool_msg **ret, struct why *why);
/* Read -H (and -J) only, without a lock: listings. */
enum spool_found spool_read_header(struct spool *s, struct str queue_name, struct str id, struct arena *a, struct message **ret, struct why *why);
int spool_msg_fd(const struct spool_msg *sm);
int64_t spool_msg_body_offset(const struct spool_msg *sm);
/* Append one delivered address (or delivery key) to -J. Cheap; not flushed: a crash may repeat a
 * delivery, never lose one. */
must_check enum status spool_journal(struct spool_msg *sm, struct str address);
/* Write -H anew (deferred, frozen, headers changed), fold -J in, durably, replacing by rename. */
must_check enum status spool_update(struct spool_msg *sm, const struct message *m, struct why *why);
/* All recipients done: remove -H, -D, -J and msglog (kept when preserve_message_logs). */
must_check enum status spool_remove(struct spool_msg *sm, struct why *why);
void spool_release(struct spool_msg *sm); /* unlock, close; accepts NULL */
/* Move to another named queue. */
must_check enum status spool_move(struct spool_msg *sm, struct str to_queue, struct why *why);

/* The per-message log (msglog/ID): one line, stamped, appended. */
void spool_msglog(struct spool *s, struct str queue_name, struct str id, const char *fmt, ...) printf_like(4, 5);

/* --- The whole spool. */
struct spool_entry {
	char id[MSG_ID_MAX];
	char subdir; /* 0 = none */
	bool has_header; /* a -H stands beside the -D; without: being received, or debris */
	int64_t mtime;
};
/* Every message of a named queue ("" = main), in order of id; fn returns false to stop. */
enum status spool_scan(struct spool *s, struct str queue_name, bool (*fn)(void *arg, const struct spool_entry *e), void *arg, struct why *why);
enum status spool_queues(struct spool *s, struct arena *a, struct str **ret_names, size_t *ret_count);
/* Crash recovery at start: -D without -H and temporaries that nobody holds and that are older than age_s are removed. */
enum status spool_tidy(struct spool *s, int64_t age_s, unsigned *ret_removed);

/* --- The format alone (format.c): -H text to and from a message; also for descriptors passed between processes. */
struct str spool_format_header(struct arena *a, const struct message *m);
must_check enum status spool_parse_header(struct str text, struct arena *a, struct message **ret, struct why *why);
/* $message_body and $message_body_end: the first/last n bytes of the body, newlines as spaces unless asked. */
struct str spool_body_text(struct arena *a, int fd, int64_t offset, int64_t size, size_t n, bool end, bool keep_newlines);
