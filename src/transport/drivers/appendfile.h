/* SPDX-License-Identifier: Apache-2.0
 * The appendfile transport (manual 26), shared by its files: appendfile.c (options, where to, and the
 * door), appendfile_mbox.c (one file, locked), appendfile_lock.c, appendfile_dir.c (a new file: plain,
 * maildir, mailstore), appendfile_quota.c, maildirsize.c. */
#pragma once
#include "transport/steps.h"

enum create_file { CREATE_ANYWHERE, CREATE_INHOME, CREATE_BELOWHOME, CREATE_BELOW_PATH };
enum file_form { FORM_FILE, FORM_PLAIN, FORM_MAILDIR, FORM_MAILSTORE, FORM_MBX };

struct appendfile_options {
	struct xstr batch_id, check_string, create_file, directory, directory_file, escape_string, file, file_format;
	struct xstr mailbox_filecount, mailbox_size, maildir_quota_directory_regex, maildir_tag, maildir_use_size_file;
	struct xstr maildirfolder_create_regex, mailstore_prefix, mailstore_suffix, message_prefix, message_suffix;
	struct xstr quota, quota_directory, quota_filecount, quota_size_regex, quota_warn_message, quota_warn_threshold;
	int32_t batch_max, lock_fcntl_timeout, lock_flock_timeout, lock_interval, lock_retries, lockfile_timeout, maildir_retries;
	uint32_t directory_mode, lockfile_mode, mode;
	bool allow_fifo, allow_symlink, check_group, check_owner, create_directory, file_must_exist, maildir_format;
	bool mailstore_format, mbx_format, mode_fail_narrower, notify_comsat, quota_is_inclusive;
	bool use_bsmtp, use_crlf, use_fcntl_lock, use_flock_lock, use_lockfile, use_mbx_lock;
	/* computed: */
	enum create_file create;
};

/* What the parent expanded (manual 26: quota options are expanded before the change of user). */
enum { PREP_QUOTA, PREP_FILECOUNT, PREP_WARN, PREP_SIZE, PREP_COUNT, PREP_FORMAT };

struct limits {
	int64_t quota, filecount, warn;      /* 0 = none */
	int64_t mailbox_size, mailbox_count; /* -1 = to be measured */
	bool no_check_quota, no_check_count;
};

/* One delivery under way. */
struct append {
	struct delivery *d;
	const struct appendfile_options *o;
	enum file_form form;
	struct str path;      /* of the file, or the directory; NUL-terminated */
	bool from_redirect;   /* the path came with the address */
	struct limits lim;
	int64_t size_before, count_before; /* of the mailbox */
	int64_t written;
	const char *const *filter;
};

/* Directories above (or all of) `path`; false: results given. last_too: path itself as well. */
bool append_make_dirs(struct append *ap, bool last_too);
/* create_file: may something at `path` be created? false: results given. */
bool append_may_create(struct append *ap, const char *path);
/* Write prefix, message, suffix to fd. false: results given; the caller undoes. */
bool append_write(struct append *ap, int fd);
void append_fail(struct append *ap, int err, const char *fmt, ...) printf_like(3, 4);

void append_to_file(struct append *ap);
void append_new_file(struct append *ap);

/* ---- locks (appendfile_lock.c) ---- */
struct mailbox_lock {
	char *name;  /* the lock file, to be removed; NULL = none */
	int mbx_fd;  /* /tmp/.dev.ino, -1 = none */
	char *mbx_name;
};
bool lock_file_take(struct append *ap, struct mailbox_lock *l);
/* fcntl, flock, MBX as configured: 1 taken, 0 busy (try again after lock_interval), -1 results given. */
int lock_descriptor(struct append *ap, int fd, struct mailbox_lock *l);
void lock_release(struct mailbox_lock *l);
int lock_tries(const struct append *ap);
void lock_pause(int32_t seconds);

/* ---- quota (appendfile_quota.c) ---- */
bool quota_prepare(struct delivery *d, struct why *why);
void quota_load(struct append *ap);
/* Sizes of all that is below dir, by quota_size_regex or stat. */
void quota_measure(struct append *ap, const char *dir, int64_t *ret_size, int64_t *ret_count);
/* False: full, results given. `name`: what was being written, as Exim's texts have it. */
bool quota_allows(struct append *ap, const char *name, int64_t last_read_s);
/* After a delivery: did it cross the warning threshold? Then a message goes out. */
void quota_warn(struct append *ap);

/* ---- maildirsize (maildirsize.c, Maildir++) ---- */
struct maildirsize {
	int fd; /* -1 = none */
	int64_t size, count;
};
/* Open or make it anew, with the mailbox's size; false: results given. */
bool maildirsize_open(struct append *ap, const char *dir, struct maildirsize *ret);
void maildirsize_add(struct maildirsize *ms, int64_t size, int count);
