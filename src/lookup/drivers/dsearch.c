/* SPDX-License-Identifier: Apache-2.0
 * dsearch: an entry of a directory (manual 9.3.5). The answer is untainted: it names a file that
 * is there. */
#include "lookup/lookup.h"
#include "lookup/read_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/banned.h"

struct dir {
	int fd;
};

static bool dsearch_open(struct lookup_context *cx, struct str file, void **ret, struct why *why)
{
	char *path = str_cstr(cx->arena, file);
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (str_empty(file) || file.p[0] != '/') {
		if (fd >= 0)
			close(fd);
		why_set(why, false, fd >= 0 ? "dirname '%s' for dsearch is not absolute" : "failed to open %s for directory search: No such file or directory", path);
		return false;
	}
	if (fd < 0) {
		lookup_open_failed(why, path, "directory search", errno);
		return false;
	}
	struct dir *d = calloc(1, sizeof *d);
	must(d);
	d->fd = fd;
	*ret = d;
	return true;
}

static void dsearch_close(void *handle)
{
	struct dir *d = handle;

	close(d->fd);
	free(d);
}

enum filter { ANY, FILE_ONLY, DIR_ONLY, SUBDIR_ONLY };
static bool read_opts(struct str opts, enum filter *filter, bool *full, bool *path, struct why *why)
{
	while (opts.p) {
		struct str one = str_cut(opts, ',', &opts);
		if (str_eqc(one, "ret=full"))
			*full = true;
		else if (str_eqc(one, "filter=file"))
			*filter = FILE_ONLY;
		else if (str_eqc(one, "filter=dir"))
			*filter = DIR_ONLY;
		else if (str_eqc(one, "filter=subdir"))
			*filter = SUBDIR_ONLY;
		else if (str_eqc(one, "key=path"))
			*path = true;
		else if (!str_empty(one)) {
			why_set(why, true, "unknown option \"%.*s\" for dsearch lookup", STR_ARG(one));
			return false;
		}
	}
	return true;
}

static bool has_dotdot(struct str key)
{
	while (key.p) {
		struct str one = str_cut(key, '/', &key);
		if (str_eqc(one, ".."))
			return true;
	}
	return false;
}

static enum lookup_found dsearch_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	struct dir *d = handle;
	enum filter filter = ANY;
	bool full = false, path = false;
	struct stat sb;

	*do_cache = false;
	if (!read_opts(opts, &filter, &full, &path, why))
		return LOOKUP_DEFER;
	if (!path && str_chr(key, '/') >= 0) {
		why_set(why, true, "key for dsearch lookup contains a slash: %.*s", STR_ARG(key));
		return LOOKUP_DEFER;
	}
	if (path && has_dotdot(key)) {
		why_set(why, true, "key for dsearch lookup contains a .. component: %.*s", STR_ARG(key));
		return LOOKUP_DEFER;
	}
	if (key.len != strlen(str_cstr(cx->arena, key)))
		return LOOKUP_NONE;
	if (fstatat(d->fd, str_cstr(cx->arena, key), &sb, AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG)
			return LOOKUP_NONE;
		why_set(why, true, "%.*s/%.*s: lstat: %s", STR_ARG(file), STR_ARG(key), strerror(errno));
		return LOOKUP_DEFER;
	}
	if (filter == FILE_ONLY && !S_ISREG(sb.st_mode))
		return LOOKUP_NONE;
	if (filter >= DIR_ONLY && !S_ISDIR(sb.st_mode))
		return LOOKUP_NONE;
	if (filter == SUBDIR_ONLY && (str_eqc(key, ".") || str_eqc(key, "..")))
		return LOOKUP_NONE;
	key.taint = 0;
	*ret = full ? str_cat(cx->arena, file, STR("/"), key) : str_dup(cx->arena, key);
	return LOOKUP_FOUND;
}

const struct lookup_driver lookup_dsearch = {
    .name = "dsearch",
    .style = LOOKUP_FILE,
    .open = dsearch_open,
    .close = dsearch_close,
    .find = dsearch_find,
};
