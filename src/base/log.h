/* SPDX-License-Identifier: Apache-2.0
 * The log sink: main, reject and panic log in Exim's format (manual chapter 53), to files or
 * syslog. One entry is one write(2), so lines of several threads and processes never mix.
 * Who writes: processes of the mail user; files are opened when first needed, opened again when
 * the name (with %D) or the inode changed (exicyclog renames them). */
#pragma once
#include "base/clock.h"

enum log_where {
	LOGTO_MAIN = 1,
	LOGTO_REJECT = 2,
	LOGTO_PANIC = 4,
};

/* How entries are written; from the options log_file_path, log_timezone, log_selector...
 * Texts are owned by the caller and outlive the log. */
struct log_config {
	struct str paths;       /* log_file_path, expanded: colon list of path with %s and/or "syslog" */
	struct str default_path; /* what an empty item means: "<spool>/log/%slog" */
	bool utc, timezone, millisec, pid;
	bool write_rejectlog;
	bool syslog_duplication, syslog_timestamp, syslog_pid;
	int syslog_facility;
	struct str syslog_name;
	uint32_t dir_mode, file_mode; /* 0 = defaults 0750, 0640 */
	int32_t uid, gid;             /* owner given to new files when we are root; -1 = leave */
};

struct log;

/* A new sink. No file is touched yet. Before log_configure, entries go to standard error. */
struct log *log_new(struct clock *clock);
void log_free(struct log *l);
/* Take a configuration (copied). Safe while other threads log. Threads: any. */
void log_configure(struct log *l, const struct log_config *cfg);
/* Also copy every entry to this descriptor (-1 = stop): -d, -bdf in the foreground, tests. */
void log_copy_to(struct log *l, int fd);
/* Show every entry to the caller on this descriptor. -v: "LOG: MAIN" and the text below it, beside the
 * files; -bt and -bv the same instead of the files; -bh: "LOG: id text" instead of the files. */
enum log_echo { LOG_ECHO_OFF, LOG_ECHO_VERBOSE, LOG_ECHO_ADDRESS_TEST, LOG_ECHO_HOST_TEST };
void log_echo_to(struct log *l, int fd, enum log_echo how);

/* Write one entry: date, `id` (unset = none) and the text. Newlines in the text continue lines
 * indented by two spaces in the main log as Exim does. Threads: any. */
void log_write(struct log *l, unsigned where, struct str id, const char *fmt, ...) printf_like(4, 5);
void log_line(struct log *l, unsigned where, struct str id, struct str text);
/* Reject log entries with more lines below the first (envelope and headers), already formatted. */
void log_block(struct log *l, unsigned where, struct str id, struct str text, struct str more);
/* Forget descriptors; the next entry opens again. */
void log_reopen(struct log *l);
/* True while writing to the main log fails (the panic log was told). */
bool log_failing(const struct log *l);
