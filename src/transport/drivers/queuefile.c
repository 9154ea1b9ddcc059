/* SPDX-License-Identifier: Apache-2.0
 * The queuefile transport (experimental-spec): copies the message in the form of the spool (-D, -H)
 * into a directory, for programs that read that form. -D comes first and -H by rename, as the spool
 * does it, both on disk before it counts. The generic options have no effect, by the manual's word. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/steps.h"

#include "base/banned.h"

struct queuefile_options {
	struct xstr directory;
};

static bool write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t w = write(fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static bool copy_body(struct delivery *d, int to)
{
	char block[8192];
	int64_t at = d->body_offset, left = d->body_size;
	struct str first = str_printf(d->arena, "%s-D\n", d->message->id);
	if (!write_all(to, first.p, first.len))
		return false;
	while (left > 0) {
		ssize_t n = pread(d->body_fd, block, left < (int64_t)sizeof block ? (size_t)left : sizeof block, at);
		if (n <= 0 || !write_all(to, block, (size_t)n))
			return n == 0 ? (errno = EIO, false) : false;
		at += n;
		left -= n;
	}
	return true;
}

/* One file, complete and on disk, under a temporary name that is then `name`. */
static bool make_file(struct delivery *d, int dir, const char *name, struct str text)
{
	char *tmp = arena_printf(d->arena, ".tmp.%s", name);
	int fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	bool ok = fd >= 0 && (text.len ? write_all(fd, text.p, text.len) : copy_body(d, fd)) && fsync(fd) == 0;
	int err = errno;
	if (fd >= 0)
		close(fd);
	if (ok && renameat(dir, tmp, dir, name) < 0) {
		ok = false;
		err = errno;
	}
	if (!ok) {
		if (fd >= 0)
			(void)unlinkat(dir, tmp, 0);
		result_defer(d, err, "%s transport opening file: %s failed with error: %s", transport_name(d), name, status_text(ST_ERRNO(err)));
	}
	return ok;
}

static void queuefile_run(struct delivery *d)
{
	const struct queuefile_options *o = d->transport->options;
	struct str name;
	if (!option_expand(d, &o->directory, "directory", &name) || !option_untainted(d, name, "directory"))
		return;
	if (name.len == 0 || name.p[0] != '/') {
		result_defer(d, DERR_NOTABSOLUTE, "%s transport directory %.*s is not absolute", transport_name(d), STR_ARG(name));
		return;
	}
	int dir = open(str_cstr(d->arena, name), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0) {
		result_defer(d, errno, "%s transport accessing directory: %.*s", transport_name(d), STR_ARG(name));
		return;
	}
	char *data = arena_printf(d->arena, "%s-D", d->message->id), *head = arena_printf(d->arena, "%s-H", d->message->id);
	if (make_file(d, dir, data, STR_NONE)) {
		if (!make_file(d, dir, head, spool_format_header(d->arena, d->message)))
			(void)unlinkat(dir, data, 0);
		else if (fsync(dir) < 0)
			result_defer(d, errno, "while syncing directory %.*s", STR_ARG(name));
		else
			result_done(d);
	}
	close(dir);
}

static bool queuefile_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	const struct queuefile_options *o = di->options;
	(void)cfg;
	if (str_is_set(o->directory.text))
		return true;
	return config_error_at(why, NULL, 0, "directory must be set for the %s transport", di->name.p);
}

static const struct opt_row queuefile_rows[] = {
	OPT_ROW(struct queuefile_options, "directory", STRING, directory, NULL, OPT_EXPAND, "Directory spool files are copied to"),
};

const struct transport_driver transport_queuefile = {
	.info = {.name = "queuefile", .options = queuefile_rows, .option_count = countof(queuefile_rows),
	    .options_size = sizeof(struct queuefile_options), .check = queuefile_check},
	.local = true,
	.run = queuefile_run,
};
