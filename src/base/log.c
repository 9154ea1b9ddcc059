/* SPDX-License-Identifier: Apache-2.0
 * Manual chapter 53. An entry is formatted into one buffer and written by one write(2) with
 * O_APPEND, so no lock is needed between processes; inside a process a mutex guards the table of
 * open files, because a name with %D changes at midnight and exicyclog renames files away. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/banned.h"

enum { FILE_MAIN, FILE_REJECT, FILE_PANIC, FILES };

struct log_file {
	int fd;
	char path[512];
	dev_t dev;
	ino_t ino;
};

struct log {
	struct clock *clock;
	pthread_mutex_t lock;
	struct log_config cfg;
	bool configured, to_file, to_syslog, failing, syslog_open;
	char template[512]; /* the one item that is a path */
	int copy_fd, echo_fd;
	enum log_echo echo;
	struct log_file file[FILES];
};

static const char *const file_word[FILES] = {"main", "reject", "panic"};

struct log *log_new(struct clock *clock)
{
	struct log *l = calloc(1, sizeof *l);
	must(l != NULL);
	l->clock = clock;
	l->copy_fd = -1;
	for (int i = 0; i < FILES; i++)
		l->file[i].fd = -1;
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

static void close_file(struct log_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

void log_free(struct log *l)
{
	if (!l)
		return;
	for (int i = 0; i < FILES; i++)
		close_file(&l->file[i]);
	if (l->syslog_open)
		closelog();
	pthread_mutex_destroy(&l->lock);
	free(l);
}

void log_reopen(struct log *l)
{
	pthread_mutex_lock(&l->lock);
	for (int i = 0; i < FILES; i++)
		close_file(&l->file[i]);
	pthread_mutex_unlock(&l->lock);
}

void log_copy_to(struct log *l, int fd)
{
	l->copy_fd = fd;
}

void log_echo_to(struct log *l, int fd, enum log_echo how)
{
	l->echo_fd = fd;
	l->echo = how;
}

bool log_failing(const struct log *l)
{
	return l->failing;
}

/* Manual 53.1: a colon list of at most two items, "syslog", a path, or empty for the default. */
static void read_paths(struct log *l)
{
	struct str rest = l->cfg.paths, item;
	l->to_file = l->to_syslog = false;
	if (str_empty(str_trim(rest)))
		rest = STR(":");
	while (str_is_set(rest)) {
		item = str_trim(str_cut(rest, ':', &rest));
		if (str_eqc(item, "syslog")) {
			l->to_syslog = true;
			continue;
		}
		if (item.len == 0) {
			if (l->to_file)
				continue;
			item = l->cfg.default_path;
		}
		if (!l->to_file)
			snprintf(l->template, sizeof l->template, "%.*s", STR_ARG(item));
		l->to_file = true;
	}
}

void log_configure(struct log *l, const struct log_config *cfg)
{
	pthread_mutex_lock(&l->lock);
	l->cfg = *cfg;
	l->configured = true;
	for (int i = 0; i < FILES; i++)
		close_file(&l->file[i]);
	read_paths(l);
	if (l->to_syslog) {
		static const char fallback[] = "exim";
		const char *name = cfg->syslog_name.len ? cfg->syslog_name.p : fallback;
		openlog(name, cfg->syslog_pid ? LOG_PID : 0, cfg->syslog_facility ? cfg->syslog_facility : LOG_MAIL);
		l->syslog_open = true;
	}
	pthread_mutex_unlock(&l->lock);
}

static void split_time(const struct log *l, time_t t, struct tm *tm)
{
	if (l->cfg.utc)
		gmtime_r(&t, tm);
	else
		localtime_r(&t, tm);
}

/* Fill in %s, %D (yyyymmdd) and %M (yyyymm). The panic log has no date: one neighbouring
 * character that is not alphanumeric goes with it (manual 53.3). */
static void make_path(const struct log *l, int which, time_t now, char *path, size_t room)
{
	size_t n = 0;
	struct tm tm;
	split_time(l, now, &tm);
	for (const char *t = l->template; *t && n + 1 < room; t++) {
		if (*t != '%' || !strchr("sDM", t[1]) || !t[1]) {
			path[n++] = *t;
			continue;
		}
		char piece[64] = "";
		t++;
		if (*t == 's')
			snprintf(piece, sizeof piece, "%s", file_word[which]);
		else if (which == FILE_PANIC) {
			if (n && path[n - 1] == '/') {
				if (t[1] && !ch_alnum((unsigned char)t[1]))
					t++;
			} else if (n && !ch_alnum((unsigned char)path[n - 1]))
				n--;
		} else if (*t == 'D')
			snprintf(piece, sizeof piece, "%04d%02d%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
		else
			snprintf(piece, sizeof piece, "%04d%02d", tm.tm_year + 1900, tm.tm_mon + 1);
		for (const char *c = piece; *c && n + 1 < room; c++)
			path[n++] = *c;
	}
	path[n] = 0;
}

static void make_parents(const struct log *l, const char *path)
{
	char dir[512];
	snprintf(dir, sizeof dir, "%s", path);
	for (char *c = dir + 1; *c; c++) {
		if (*c != '/')
			continue;
		*c = 0;
		if (mkdir(dir, l->cfg.dir_mode ? l->cfg.dir_mode : 0750) == 0 && l->cfg.uid >= 0 && geteuid() == 0)
			(void)!lchown(dir, (uid_t)l->cfg.uid, (gid_t)l->cfg.gid);
		*c = '/';
	}
}

static int open_path(const struct log *l, const char *path)
{
	mode_t mode = l->cfg.file_mode ? l->cfg.file_mode : 0640;
	int flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = open(path, flags);
	if (fd >= 0)
		return fd;
	if (errno != ENOENT)
		return -1;
	make_parents(l, path);
	mode_t old = umask(0);
	fd = open(path, flags | O_CREAT, mode);
	umask(old);
	if (fd >= 0 && l->cfg.uid >= 0 && geteuid() == 0)
		(void)!fchown(fd, (uid_t)l->cfg.uid, (gid_t)l->cfg.gid);
	return fd;
}

/* The descriptor for one log: as it was, unless the name or the file behind the name changed. */
static int log_fd(struct log *l, int which, time_t now)
{
	struct log_file *f = &l->file[which];
	char path[512];
	struct stat st;
	make_path(l, which, now, path, sizeof path);
	if (f->fd >= 0 && strcmp(path, f->path) == 0 && stat(path, &st) == 0 && st.st_dev == f->dev &&
	    st.st_ino == f->ino)
		return f->fd;
	close_file(f);
	f->fd = open_path(l, path);
	if (f->fd >= 0 && fstat(f->fd, &st) == 0) {
		snprintf(f->path, sizeof f->path, "%s", path);
		f->dev = st.st_dev;
		f->ino = st.st_ino;
	}
	return f->fd;
}

static bool put(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text += n;
		len -= (size_t)n;
	}
	return true;
}

/* Date, pid and id in front of an entry. */
static int stamp(const struct log *l, char *to, size_t room, struct str id, bool date)
{
	int64_t us = clock_us(l->clock);
	int n = 0;
	if (date) {
		struct tm tm;
		split_time(l, (time_t)(us / 1000000), &tm);
		n = snprintf(to, room, "%04d-%02d-%02d %02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1,
		    tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
		if (l->cfg.millisec)
			n += snprintf(to + n, room - (size_t)n, ".%03d", (int)(us / 1000 % 1000));
		if (l->cfg.timezone) {
			long off = tm.tm_gmtoff / 60;
			n += snprintf(to + n, room - (size_t)n, " %c%02ld%02ld", off < 0 ? '-' : '+',
			    labs(off) / 60, labs(off) % 60);
		}
		n += snprintf(to + n, room - (size_t)n, " ");
	}
	if (l->cfg.pid)
		n += snprintf(to + n, room - (size_t)n, "[%d] ", (int)getpid());
	if (id.len)
		n += snprintf(to + n, room - (size_t)n, "%.*s ", STR_ARG(id));
	return n;
}

static const int priority[FILES] = {LOG_INFO, LOG_NOTICE, LOG_ALERT};

/* Manual 53.2: lines are cut at newlines and at 870 bytes, each piece numbered. */
static void to_syslog(int prio, const char *text, size_t len)
{
	enum { PIECE = 870 };
	unsigned total = 0;
	for (unsigned pass = 0; pass < 2; pass++) {
		unsigned n = 0;
		for (size_t at = 0; at < len;) {
			const char *nl = memchr(text + at, '\n', len - at);
			size_t line = nl ? (size_t)(nl - (text + at)) : len - at;
			size_t take = line > PIECE ? PIECE : line;
			n++;
			if (pass && total == 1)
				syslog(prio, "%.*s", (int)take, text + at);
			else if (pass)
				syslog(prio, "[%u%c%u] %.*s", n, take == line ? '\\' : '/', total, (int)take, text + at);
			at += take + (take == line ? 1 : 0);
		}
		total = n;
	}
}

static void write_one(struct log *l, int which, struct str id, struct str text, struct str more)
{
	char head[256];
	int n = stamp(l, head, sizeof head, id, true);
	size_t len = (size_t)n + text.len + more.len + 2;
	char *line = malloc(len);
	if (!line)
		return;
	memcpy(line, head, (size_t)n);
	memcpy(line + n, text.len ? text.p : "", text.len);
	size_t at = (size_t)n + text.len;
	line[at++] = '\n';
	if (more.len) {
		memcpy(line + at, more.p, more.len);
		at += more.len;
		if (line[at - 1] != '\n')
			line[at++] = '\n';
	}
	time_t now = clock_s(l->clock);
	if (l->to_file) {
		int fd = log_fd(l, which, now);
		l->failing = fd < 0 || !put(fd, line, at);
	}
	if (l->to_syslog) {
		int skip = l->cfg.syslog_timestamp ? 0 : n - stamp(l, head, sizeof head, id, false);
		to_syslog(priority[which], line + skip, at - (size_t)skip - 1);
	}
	if ((l->failing || !l->configured) && l->copy_fd != 2)
		(void)put(2, line, at);
	if (l->copy_fd >= 0)
		(void)put(l->copy_fd, line, at);
	free(line);
}

/* False: nothing else is to be written. */
static bool echo(const struct log *l, unsigned where, struct str id, struct str text)
{
	char *line = NULL;
	int n;
	if (l->echo == LOG_ECHO_OFF)
		return true;
	if (l->echo == LOG_ECHO_HOST_TEST)
		n = asprintf(&line, "LOG: %.*s%s%.*s\n", STR_ARG(id), id.len ? " " : "", STR_ARG(text));
	else
		n = asprintf(&line, "LOG:%s%s%s\n  %.*s\n", where & LOGTO_MAIN ? " MAIN" : "", where & LOGTO_REJECT ? " REJECT" : "",
		    where & LOGTO_PANIC ? " PANIC" : "", STR_ARG(text));
	if (n > 0)
		(void)put(l->echo_fd, line, (size_t)n);
	free(n > 0 ? line : NULL);
	return l->echo == LOG_ECHO_VERBOSE;
}

void log_block(struct log *l, unsigned where, struct str id, struct str text, struct str more)
{
	if (!echo(l, where, id, text))
		return;
	pthread_mutex_lock(&l->lock);
	if (where & LOGTO_MAIN)
		write_one(l, FILE_MAIN, id, text, STR(""));
	if ((where & LOGTO_REJECT) && (l->cfg.write_rejectlog || !l->configured) &&
	    !(l->to_syslog && !l->to_file && (where & LOGTO_MAIN) && !l->cfg.syslog_duplication))
		write_one(l, FILE_REJECT, id, text, more);
	if (where & LOGTO_PANIC)
		write_one(l, FILE_PANIC, id, text, STR(""));
	pthread_mutex_unlock(&l->lock);
}

void log_line(struct log *l, unsigned where, struct str id, struct str text)
{
	log_block(l, where, id, text, STR(""));
}

void log_write(struct log *l, unsigned where, struct str id, const char *fmt, ...)
{
	char text[LIMIT_LOG_LINE];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	size_t len = (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
	log_block(l, where, id, str_n(text, len), STR(""));
}
