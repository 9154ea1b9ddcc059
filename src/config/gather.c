/* SPDX-License-Identifier: Apache-2.0
 * The files of a configuration (manual 6, 6.1, 6.3): found, checked for owner and permissions, and
 * read once. The result is one text that names every file, with its bytes unchanged:
 *
 *   "#eximius-configuration 1\n"
 *   then for each file  "f <bytes> <path>\n" <bytes> "\n"
 *   or, for an .include_if_exists that found nothing,  "n 0 <path>\n\n"
 *   or, for one that could not be read,                "e <bytes> <path>\n" <why> "\n"
 *   or, for a -D of the command line,                  "d 0 <name=value>\n\n"
 *
 * A process that has this text opens nothing: config_parse resolves inclusions from it. */
#include "config/config_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/rd.h"

#include "base/banned.h"

#define BUNDLE_MAGIC "#eximius-configuration 1\n"

static void files_add(struct config_files *files, struct config_file *f)
{
	if (files->last)
		files->last->next = f;
	else
		files->first = f;
	files->last = f;
}

struct config_file *config_files_get(struct config_files *files, struct str path)
{
	for (struct config_file *f = files->first; f; f = f->next)
		if (str_eq(f->path, path))
			return f;
	struct config_file *f = arena_new_of(files->arena, struct config_file);
	*f = (struct config_file){.path = str_dup(files->arena, path), .state = CONFIG_FILE_MISSING};
	if (files->load)
		files->load(files, f);
	else if (files->collected) {
		f->state = CONFIG_FILE_FAILED;
		f->text = str_printf(files->arena, "included configuration file %.*s was not collected", STR_ARG(path));
	}
	files_add(files, f);
	return f;
}

/* One entry; false if it is malformed. */
static bool split_one(struct config_files *files, struct rd *rd)
{
	struct config_file *f = arena_new_of(files->arena, struct config_file);
	int kind = rd_byte(rd);
	rd_expect(rd, ' ');
	uint64_t len = rd_number(rd, LIMIT_CONFIG_FILE);
	rd_expect(rd, ' ');
	f->path = rd_until(rd, '\n');
	rd_expect(rd, '\n');
	f->text = rd_take(rd, (size_t)len);
	rd_expect(rd, '\n');
	if (rd->bad)
		return false;
	if (kind == CONFIG_FILE_DEFINE) {
		if (files->define_count == CONFIG_DEFINES)
			return false;
		files->defines[files->define_count++] = str_cstr(files->arena, f->path);
		return true;
	}
	if (kind != CONFIG_FILE_READ && kind != CONFIG_FILE_MISSING && kind != CONFIG_FILE_FAILED)
		return false;
	f->state = (enum config_file_state)kind;
	files_add(files, f);
	return true;
}

bool config_files_split(struct config_files *files, struct str text, struct str path, struct why *why)
{
	struct rd rd = rd_of(text);
	files->collected = rd_accept_text(&rd, BUNDLE_MAGIC);
	if (!files->collected) {
		struct config_file *f = arena_new_of(files->arena, struct config_file);
		*f = (struct config_file){.path = str_dup(files->arena, path), .text = text, .state = CONFIG_FILE_READ};
		files_add(files, f);
		return true;
	}
	while (!rd_done(&rd))
		if (!split_one(files, &rd))
			return config_error(why, "the collected configuration text is damaged");
	if (!files->first || files->first->state != CONFIG_FILE_READ)
		return config_error(why, "the collected configuration text is empty");
	return true;
}

/* ---- from the disk ---- */

/* Manual 6: owner root or the configured owner; not writable by others, nor by the group unless
 * it is root's or the configured one. */
static bool owner_ok(const struct stat *st, const struct config_source *src)
{
	if (!src->check_owner)
		return true;
	if (st->st_uid != 0 && (src->exim_uid < 0 || st->st_uid != (uid_t)src->exim_uid))
		return false;
	if (st->st_mode & S_IWOTH)
		return false;
	if ((st->st_mode & S_IWGRP) && st->st_gid != 0 && (src->exim_gid < 0 || st->st_gid != (gid_t)src->exim_gid))
		return false;
	return true;
}

static enum status read_all(int fd, struct arena *a, struct str *ret, struct why *why, const char *name)
{
	struct strbuf sb;
	struct stat st;
	sb_init(&sb, a, LIMIT_CONFIG_FILE);
	char buf[8192];
	if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		why_set(why, false, "configuration file %s is a directory", name);
		return ST_ERRNO(EISDIR);
	}
	for (;;) {
		ssize_t n = read(fd, buf, sizeof buf);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int e = errno;
			why_set(why, false, "failed to read configuration file %s: %s", name, status_text(ST_ERRNO(e)));
			return ST_ERRNO(e);
		}
		if (n == 0)
			break;
		sb_addn(&sb, buf, (size_t)n);
	}
	if (sb.over) {
		why_set(why, false, "configuration file %s is larger than %u bytes", name, LIMIT_CONFIG_FILE);
		return ST_LIMIT;
	}
	*ret = sb_str(&sb);
	return ST_OK;
}

static void load_failed(struct config_files *files, struct config_file *file, const char *text)
{
	file->state = CONFIG_FILE_FAILED;
	file->text = str_dup(files->arena, str_c(text));
}

static void load_from_disk(struct config_files *files, struct config_file *file)
{
	const char *name = str_cstr(files->arena, file->path);
	struct why why = {0};
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return;
	if (fd < 0) {
		why_set(&why, false, "failed to open included configuration file %s", name);
		load_failed(files, file, why.text);
		return;
	}
	if (read_all(fd, files->arena, &file->text, &why, name) != ST_OK)
		load_failed(files, file, why.text);
	else
		file->state = CONFIG_FILE_READ;
	close(fd);
}

static enum status load_main(struct config_files *files, const char *path, struct why *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0) {
		int e = errno;
		why_set(why, false, "failed to open configuration file %s: %s (euid=%d egid=%d)", path,
		    status_text(ST_ERRNO(e)), (int)geteuid(), (int)getegid());
		return ST_ERRNO(e);
	}
	struct stat st;
	if (fstat(fd, &st) != 0 || !owner_ok(&st, files->src)) {
		close(fd);
		why_set(why, false, "Exim configuration file %s has the wrong owner, group, or mode", path);
		return ST_ERRNO(EPERM);
	}
	struct config_file *f = arena_new_of(files->arena, struct config_file);
	*f = (struct config_file){.path = str_dup(files->arena, str_c(path)), .state = CONFIG_FILE_READ};
	enum status done = read_all(fd, files->arena, &f->text, why, path);
	close(fd);
	if (done == ST_OK)
		files_add(files, f);
	return done;
}

/* The paths as Exim names them in messages: joined with colons. */
static struct str paths_text(struct arena *a, const char *const *paths)
{
	struct strbuf sb;
	sb_init(&sb, a, 65536);
	for (size_t i = 0; paths[i]; i++) {
		if (i)
			sb_ch(&sb, ':');
		sb_addc(&sb, paths[i]);
	}
	return sb_str(&sb);
}

static enum status open_first(struct config_files *files, struct why *why)
{
	const char *const *paths = files->src->paths;
	for (size_t i = 0; paths[i]; i++) {
		enum status st = load_main(files, paths[i], why);
		if (st != ST_ERRNO(ENOENT) && st != ST_ERRNO(ENOTDIR))
			return st;
	}
	struct str tried = paths_text(files->arena, paths);
	why_set(why, false, "non-existent configuration file(s): %.*s", STR_ARG(tried));
	return ST_ERRNO(ENOENT);
}

static struct str bundle(struct config_files *files, struct arena *a)
{
	size_t total = sizeof BUNDLE_MAGIC;
	for (struct config_file *f = files->first; f; f = f->next)
		total += f->path.len + f->text.len + 32;
	for (const char *const *d = files->src->defines; d && *d; d++)
		total += strlen(*d) + 32;
	struct strbuf sb;
	sb_init(&sb, a, total);
	sb_addc(&sb, BUNDLE_MAGIC);
	for (const char *const *d = files->src->defines; d && *d; d++)
		sb_printf(&sb, "%c 0 %s\n\n", CONFIG_FILE_DEFINE, *d);
	for (struct config_file *f = files->first; f; f = f->next) {
		sb_printf(&sb, "%c %u %.*s\n", (char)f->state, f->text.len, STR_ARG(f->path));
		sb_add(&sb, f->text);
		sb_ch(&sb, '\n');
	}
	return sb_str(&sb);
}

static bool defines_ok(const struct config_source *src, struct why *why)
{
	size_t n = 0;
	for (const char *const *d = src->defines; d && *d; d++)
		if (++n > CONFIG_DEFINES || strchr(*d, '\n')) {
			why_set(why, false, n > CONFIG_DEFINES ? "too many macros defined by -D" : "a macro defined by -D contains a newline");
			return false;
		}
	return true;
}

/* Can a line of this text be an inclusion? Only where the word, or a macro that makes it, stands. */
static bool may_include(const struct config_source *src, struct str text)
{
	for (const char *const *d = src->defines; d && *d; d++)
		if (strstr(*d, "inc"))
			return true;
	if (str_find(text, STR(".inc")) >= 0)
		return true;
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.p[i] == '.' && ch_upper(text.p[i + 1]) && (i == 0 || ch_space(text.p[i - 1])))
			return true;
	return false;
}

/* Walk the lines as the parser will: that finds what is included. Macros decide it. A mistake ends
 * the walk; the parser then meets it in its turn, and tells it. */
static void walk(struct config_files *files, const struct config_source *src, struct arena *a)
{
	struct why ignored = {0};
	struct lines *l = arena_new_of(a, struct lines);
	struct str line, name;
	enum section section = SECTION_MAIN;
	lines_init(l, a, files, src, NULL, &ignored);
	l->macros.show = false; /* the parser shows them */
	while (lines_next(l, &line)) {
		if (section_begins(line, &section, &name))
			continue;
		if (section_macro(section, line))
			lines_macro(l, line);
	}
}

enum status config_gather(const struct config_source *src, struct arena *a, struct str *ret_text, struct str *ret_path, struct why *why)
{
	struct config_files files = {.arena = a, .src = src, .load = load_from_disk};
	enum status st = defines_ok(src, why) ? open_first(&files, why) : ST_ERRNO(EINVAL);
	if (st != ST_OK)
		return st;
	if (may_include(src, files.first->text))
		walk(&files, src, a);
	*ret_text = bundle(&files, a);
	*ret_path = files.first->path;
	return ST_OK;
}
