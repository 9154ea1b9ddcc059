/* SPDX-License-Identifier: Apache-2.0
 * Delivery into a new file (manual 26.4 to 26.9): plain, maildir, mailstore. The file is complete
 * and on disk, its directory too, before its name means "delivered"; a crash leaves a temporary
 * name, never half a message. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "transport/drivers/appendfile.h"

#include "base/banned.h"

struct new_file {
	struct append *ap;
	char *tmp;          /* full name while it is written */
	const char *shown;  /* in messages */
	int fd;
	struct maildirsize sizes;
};

static bool sync_directory(struct append *ap, const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = fd >= 0 && fsync(fd) == 0;
	int err = errno;
	if (fd >= 0)
		close(fd);
	if (!ok && (err == EACCES || err == EINVAL)) /* a folder that may be written, not read: a drop box */
		return true;
	if (!ok)
		append_fail(ap, err, "while syncing directory %s", dir);
	return ok;
}

static bool open_new(struct new_file *f)
{
	f->fd = open(f->tmp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, f->ap->o->mode & 0777u);
	if (f->fd < 0) {
		append_fail(f->ap, errno, "while creating file %s", f->tmp);
		return false;
	}
	if (fchmod(f->fd, f->ap->o->mode & 0777u) == 0)
		return true;
	append_fail(f->ap, errno, "while setting mode of file %s", f->tmp);
	return false;
}

/* Write, flush to disk, close. */
static bool fill(struct new_file *f)
{
	struct append *ap = f->ap;
	if (!append_write(ap, f->fd))
		return false;
	int err = fsync(f->fd) < 0 ? errno : 0;
	if (close(f->fd) < 0 && !err)
		err = errno;
	f->fd = -1;
	if (err)
		append_fail(ap, err, "error while writing to %s", f->tmp);
	return err == 0;
}

static void abandon(struct new_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
	(void)unlink(f->tmp);
}

/* ---- where quota is counted ---- */

/* quota_directory, or the mailbox itself; of a Maildir++ folder the directory above. */
static bool quota_base(struct append *ap, char **ret)
{
	struct delivery *d = ap->d;
	struct stat st;
	if (str_is_set(ap->o->quota_directory.text)) {
		struct str dir;
		if (!option_expand(d, &ap->o->quota_directory, "quota_directory", &dir) ||
		    !option_untainted(d, dir, "quota_directory"))
			return false;
		*ret = str_cstr(d->arena, dir);
		return true;
	}
	*ret = arena_printf(d->arena, "%s", ap->path.p);
	if (ap->form == FORM_MAILDIR && stat(arena_printf(d->arena, "%s/maildirfolder", ap->path.p), &st) == 0) {
		char *slash = strrchr(*ret, '/');
		if (slash && slash != *ret)
			*slash = '\0';
	}
	return true;
}

/* Is what goes into this folder left out of the count? */
static bool folder_excluded(struct append *ap, const char *base)
{
	size_t n = strlen(base);
	const char *folder = strncmp(ap->path.p, base, n) == 0 && ap->path.p[n] == '/' ? ap->path.p + n + 1 : "new";
	return match_regex(&ap->d->eval->lx, ap->o->maildir_quota_directory_regex.text, str_c(folder), false) == 0;
}

static bool check_quota(struct new_file *f)
{
	struct append *ap = f->ap;
	bool use_sizes = false;
	char *base;
	f->sizes.fd = -1;
	if (ap->form == FORM_MAILDIR && expand_bool(ap->d->eval, &ap->o->maildir_use_size_file, false, &use_sizes) != EXPAND_OK) {
		result_defer(ap->d, DERR_UNKNOWN, "Expansion of maildir_use_size_file for %s transport failed: %.*s",
		    transport_name(ap->d), STR_ARG(ap->d->eval->lx.error));
		return false;
	}
	bool limits = ap->lim.quota > 0 || ap->lim.filecount > 0 || ap->lim.warn > 0;
	if (!limits && !use_sizes)
		return true;
	if (!quota_base(ap, &base))
		return false;
	if (use_sizes && folder_excluded(ap, base))
		return true;
	if (use_sizes) {
		if (!maildirsize_open(ap, base, &f->sizes))
			return false;
		ap->size_before = f->sizes.size;
		ap->count_before = f->sizes.count;
	} else if (ap->lim.mailbox_size < 0 || (ap->lim.mailbox_count < 0 && ap->lim.filecount > 0)) {
		quota_measure(ap, base, &ap->size_before, &ap->count_before);
	}
	if (ap->lim.mailbox_size >= 0)
		ap->size_before = ap->lim.mailbox_size;
	if (ap->lim.mailbox_count >= 0)
		ap->count_before = ap->lim.mailbox_count;
	struct stat st;
	int64_t read_at = 0;
	if (ap->form == FORM_MAILDIR && stat(arena_printf(ap->d->arena, "%s/new", ap->path.p), &st) == 0)
		read_at = st.st_mtime; /* mail is moved out of new/ when it is looked at */
	return quota_allows(ap, f->shown, read_at);
}

static void done(struct new_file *f)
{
	maildirsize_add(&f->sizes, f->ap->written, 1);
	if (f->sizes.fd >= 0)
		close(f->sizes.fd);
	f->sizes.fd = -1;
	result_done(f->ap->d);
	quota_warn(f->ap);
}

/* ---- maildir ---- */

static bool make_maildir(struct append *ap)
{
	static const char *const sub[] = {"tmp", "new", "cur"};
	struct stat st;
	for (size_t i = 0; i < countof(sub); i++) {
		char *dir = arena_printf(ap->d->arena, "%s/%s", ap->path.p, sub[i]);
		if (stat(dir, &st) == 0) {
			if (S_ISDIR(st.st_mode))
				continue;
			append_fail(ap, DERR_NOTDIRECTORY, "%s is not a directory", dir);
			return false;
		}
		if (errno != ENOENT || !ap->o->create_directory || mkdir(dir, ap->o->directory_mode & 0777u) < 0) {
			if (errno == EEXIST)
				continue;
			append_fail(ap, errno, "cannot create %s", dir);
			return false;
		}
		(void)chmod(dir, ap->o->directory_mode);
	}
	struct str regex = ap->o->maildirfolder_create_regex.text;
	if (str_empty(regex) || match_regex(&ap->d->eval->lx, regex, ap->path, false) <= 0)
		return true;
	char *mark = arena_printf(ap->d->arena, "%s/maildirfolder", ap->path.p);
	int fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		append_fail(ap, errno, "appendfile: failed to create maildirfolder file in %s directory", ap->path.p);
		return false;
	}
	close(fd);
	return true;
}

/* maildir_tag: printing characters but '/'; a colon in front of an alphanumeric one. */
static bool find_tag(struct append *ap, struct str *ret)
{
	struct delivery *d = ap->d;
	struct strbuf sb;
	struct str tag;
	sb_init(&sb, d->arena, NAME_MAX);
	*ret = STR("");
	if (!option_expand_soft(d, &ap->o->maildir_tag, "maildir_tag", &tag))
		return false;
	for (size_t i = 0; i < tag.len; i++) {
		if (ch_print(tag.p[i]) && tag.p[i] != '/')
			sb_ch(&sb, tag.p[i]);
	}
	if (sb.len == 0 || sb.over)
		return true;
	*ret = sb_str(&sb);
	if (ch_alnum(ret->p[0]))
		*ret = str_cat(d->arena, STR(":"), *ret);
	return true;
}

static char *maildir_name(struct append *ap)
{
	int64_t us = clock_us(&ap->d->env->clock);
	return arena_printf(ap->d->arena, "%lld.H%lldP%d.%.*s", (long long)(us / 1000000), (long long)(us % 1000000), (int)getpid(),
	    STR_ARG(ap->d->config->primary_hostname));
}

/* A name that nobody has (manual 26.5: stat, wait two seconds, try again). */
static bool open_maildir_file(struct new_file *f, char **ret_name)
{
	struct append *ap = f->ap;
	struct stat st;
	for (int32_t i = 0;; i++) {
		*ret_name = maildir_name(ap);
		f->tmp = arena_printf(ap->d->arena, "%s/tmp/%s", ap->path.p, *ret_name);
		f->shown = arena_printf(ap->d->arena, "tmp/%s", *ret_name);
		if (lstat(f->tmp, &st) < 0 && errno == ENOENT)
			break;
		if (i >= ap->o->maildir_retries) {
			append_fail(ap, EEXIST, "failed to open %s (%d tr%s)", f->shown, i + 1, i ? "ies" : "y");
			return false;
		}
		lock_pause(2);
	}
	return check_quota(f) && open_new(f);
}

static void maildir(struct new_file *f)
{
	struct append *ap = f->ap;
	struct str tag;
	char *name, *new_dir = arena_printf(ap->d->arena, "%s/new", ap->path.p);
	if (!make_maildir(ap) || !open_maildir_file(f, &name))
		return;
	if (!fill(f) || !find_tag(ap, &tag)) {
		abandon(f);
		return;
	}
	char *to = arena_printf(ap->d->arena, "%s/%s%.*s", new_dir, name, STR_ARG(tag));
	struct stat st;
	if (lstat(to, &st) < 0 && errno == ENAMETOOLONG)
		to = arena_printf(ap->d->arena, "%s/%s", new_dir, name);
	if (rename(f->tmp, to) < 0) {
		append_fail(ap, errno, "while renaming %s as %s", f->tmp, to);
		abandon(f);
		return;
	}
	if (sync_directory(ap, new_dir))
		done(f);
}

/* ---- mailstore ---- */

static bool envelope_part(struct append *ap, struct strbuf *sb, const struct xstr *x, const char *what)
{
	struct str text;
	if (!option_expand_soft(ap->d, x, what, &text))
		return false;
	sb_add(sb, text);
	if (text.len && text.p[text.len - 1] != '\n')
		sb_ch(sb, '\n');
	return true;
}

static bool write_envelope(struct append *ap, const char *name)
{
	struct delivery *d = ap->d;
	struct strbuf sb;
	sb_init(&sb, d->arena, LIMIT_ENVELOPE);
	if (!envelope_part(ap, &sb, &ap->o->mailstore_prefix, "mailstore_prefix"))
		return false;
	sb_printf(&sb, "%.*s\n", STR_ARG(d->return_path));
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		struct str to = envelope_rcpt(d, ad);
		sb_printf(&sb, "%.*s\n", STR_ARG(to));
	}
	if (!envelope_part(ap, &sb, &ap->o->mailstore_suffix, "mailstore_suffix"))
		return false;
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, ap->o->mode & 0777u);
	if (fd < 0) {
		append_fail(ap, errno, "while creating file %s", name);
		return false;
	}
	bool ok = write(fd, sb.p, sb.len) == (ssize_t)sb.len && fsync(fd) == 0;
	int err = errno;
	close(fd);
	if (!ok) {
		append_fail(ap, err, "error while writing to %s", name);
		(void)unlink(name);
	}
	return ok;
}

static void mailstore(struct new_file *f)
{
	struct append *ap = f->ap;
	struct arena *a = ap->d->arena;
	char *base = arena_printf(a, "%s/%s-%08x", ap->path.p, ap->d->message->id, (unsigned)getpid());
	char *env_tmp = arena_printf(a, "%s.tmp", base), *env = arena_printf(a, "%s.env", base);
	f->tmp = arena_printf(a, "%s.msg", base);
	f->shown = f->tmp;
	((struct addr_view *)ap->d->eval->space[SPACE_ADDRESS])->mailstore_basename = str_c(strrchr(base, '/') + 1);
	if (!check_quota(f) || !write_envelope(ap, env_tmp))
		return;
	if (!open_new(f) || !fill(f)) {
		abandon(f);
		(void)unlink(env_tmp);
		return;
	}
	if (rename(env_tmp, env) < 0) {
		append_fail(ap, errno, "while renaming %s as %s", env_tmp, env);
		abandon(f);
		(void)unlink(env_tmp);
		return;
	}
	if (sync_directory(ap, ap->path.p))
		done(f);
}

/* ---- plain: a temporary name, then directory_file expanded, when $inode is known ---- */

static void plain(struct new_file *f)
{
	struct append *ap = f->ap;
	struct delivery *d = ap->d;
	struct stat st;
	struct str name;
	f->tmp = arena_printf(d->arena, "%s/temp.%d.%.*s", ap->path.p, (int)getpid(), STR_ARG(d->config->primary_hostname));
	f->shown = f->tmp;
	if (!check_quota(f) || !open_new(f))
		return;
	if (fstat(f->fd, &st) == 0)
		((struct addr_view *)d->eval->space[SPACE_ADDRESS])->inode = (int64_t)st.st_ino;
	if (!fill(f) || !option_expand(d, &ap->o->directory_file, "directory_file", &name) ||
	    !option_untainted(d, name, "directory_file")) {
		abandon(f);
		return;
	}
	char *to = arena_printf(d->arena, "%s/%.*s", ap->path.p, STR_ARG(name));
	if (rename(f->tmp, to) < 0) {
		append_fail(ap, errno, "while renaming %s as %s", f->tmp, to);
		abandon(f);
		return;
	}
	if (sync_directory(ap, ap->path.p))
		done(f);
}

void append_new_file(struct append *ap)
{
	struct new_file f = {.ap = ap, .fd = -1, .sizes = {.fd = -1}};
	if (!append_make_dirs(ap, true))
		return;
	switch (ap->form) {
	case FORM_MAILDIR: maildir(&f); break;
	case FORM_MAILSTORE: mailstore(&f); break;
	case FORM_PLAIN:
	case FORM_FILE:
	case FORM_MBX: plain(&f); break;
	}
	if (f.sizes.fd >= 0)
		close(f.sizes.fd);
}
