/* SPDX-License-Identifier: Apache-2.0
 * The appendfile transport (manual 26): where a message goes, and what may be made there. The
 * driver runs as the user, in the agent's child. */
#include "transport/drivers/appendfile.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "transport/local.h"

#include "base/banned.h"

void append_fail(struct append *ap, int err, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap2;
	sb_init(&sb, ap->d->arena, 65536);
	va_start(ap2, fmt);
	sb_vprintf(&sb, fmt, ap2);
	va_end(ap2);
	if (err == EDQUOT || err == ENOSPC) { /* the system's quota (manual 26, 32 "quota") */
		result_defer(ap->d, err, "mailbox is full (%.*s)", STR_ARG(sb_str(&sb)));
		return;
	}
	result_defer(ap->d, err, "%.*s", STR_ARG(sb_str(&sb)));
}

/* ---- what may be created ---- */

static bool below(const char *dir, const char *path)
{
	size_t n = strlen(dir);
	while (n && dir[n - 1] == '/')
		n--;
	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* The longest directory of `path` that exists, links resolved; "" if none can be. */
static void real_parent(const char *path, char *ret, size_t room)
{
	char buf[PATH_MAX], real[PATH_MAX];
	(void)snprintf(buf, sizeof buf, "%s", path);
	ret[0] = '\0';
	for (char *slash = strrchr(buf, '/'); slash; slash = strrchr(buf, '/')) {
		*slash = '\0';
		if (realpath(buf[0] ? buf : "/", real)) {
			(void)snprintf(ret, room, "%s/", real);
			return;
		}
	}
}

static bool inside(const char *home, const char *path, bool strict)
{
	char real_home[PATH_MAX], parent[PATH_MAX + 1];
	if (!home[0] || !below(home, path))
		return false;
	if (!strict)
		return true;
	if (strstr(path, "/../") || (strlen(path) >= 3 && strcmp(path + strlen(path) - 3, "/..") == 0))
		return false;
	real_parent(path, parent, sizeof parent);
	if (!realpath(home, real_home)) /* not there yet: then nothing below it can lead outside */
		return true;
	return below(real_home, parent) || below(parent, real_home) || strcmp(parent, "/") == 0;
}

bool append_may_create(struct append *ap, const char *path)
{
	struct delivery *d = ap->d;
	struct str home = d->addresses->view.home;
	const char *h = str_is_set(home) ? str_cstr(d->arena, home) : "";
	bool ok = true;
	switch (ap->o->create) {
	case CREATE_ANYWHERE: break;
	case CREATE_INHOME: ok = inside(h, path, false); break;
	case CREATE_BELOWHOME: ok = inside(h, path, true); break;
	case CREATE_BELOW_PATH: ok = inside(str_cstr(d->arena, ap->o->create_file.text), path, true); break;
	}
	if (!ok)
		append_fail(ap, DERR_BADCREATE, "mailbox %s does not exist, but creation outside the home directory is not permitted",
		    path);
	return ok;
}

bool append_make_dirs(struct append *ap, bool last_too)
{
	char buf[PATH_MAX];
	struct stat st;
	if ((size_t)snprintf(buf, sizeof buf, "%s", ap->path.p) >= sizeof buf) {
		append_fail(ap, ENAMETOOLONG, "file or directory name is too long");
		return false;
	}
	char *last = strrchr(buf, '/');
	if (!last_too && last)
		*last = '\0';
	if (buf[0] == '\0' || stat(buf, &st) == 0 || !ap->o->create_directory)
		return true;
	if (!append_may_create(ap, ap->path.p))
		return false;
	size_t len = strlen(buf);
	for (size_t i = 1; i <= len; i++) {
		if (buf[i] != '/' && buf[i] != '\0')
			continue;
		char keep = buf[i];
		buf[i] = '\0';
		bool made = mkdir(buf, ap->o->directory_mode & 0777u) == 0;
		if (!made && errno != EEXIST) {
			int err = errno;
			append_fail(ap, err, "failed to create directories for %s: %s", ap->path.p, status_text(ST_ERRNO(err)));
			return false;
		}
		if (made && chmod(buf, ap->o->directory_mode) < 0) {
			int err = errno;
			append_fail(ap, err, "failed to set the mode of directory %s: %s", buf, status_text(ST_ERRNO(err)));
			return false;
		}
		buf[i] = keep;
	}
	return true;
}

/* ---- the message ---- */

struct sink {
	struct append *ap;
	int fd;
};

static bool sink_write(void *arg, const char *p, size_t n)
{
	struct sink *s = arg;
	s->ap->written += (int64_t)n;
	while (n) {
		ssize_t w = write(s->fd, p, n);
		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return false;
		p += w;
		n -= (size_t)w;
	}
	return true;
}

static bool put_fixed(struct sink *s, const struct xstr *x, const char *what)
{
	struct delivery *d = s->ap->d;
	struct str text;
	switch (expand(d->eval, x, &text)) {
	case EXPAND_OK: break;
	case EXPAND_FORCED:
	case EXPAND_FAILED:
	case EXPAND_DEFER:
		result_defer(d, DERR_EXPANDFAIL, "Expansion of \"%.*s\" (%s for %s transport) failed", STR_ARG(x->text), what,
		    transport_name(d));
		return false;
	}
	if (!str_is_set(text) || sink_write(s, text.p, text.len))
		return true;
	int err = errno;
	append_fail(s->ap, err, "error while writing to %s", s->ap->path.p);
	return false;
}

static bool put_text(struct sink *s, struct str text)
{
	if (sink_write(s, text.p, text.len))
		return true;
	int err = errno;
	append_fail(s->ap, err, "error while writing to %s", s->ap->path.p);
	return false;
}

bool append_write(struct append *ap, int fd)
{
	const struct appendfile_options *o = ap->o;
	struct delivery *d = ap->d;
	struct sink s = {.ap = ap, .fd = fd};
	struct why why = {0};
	struct message_output out = {.delivery = d, .flags = transport_output_flags(d), .check_string = o->check_string.text,
	    .escape_string = o->escape_string.text, .write = sink_write, .arg = &s, .filter = ap->filter};
	if (!str_is_set(out.escape_string))
		out.check_string = STR_NONE;
	if (o->use_crlf || o->mbx_format)
		out.flags |= OUT_CRLF;
	ap->written = 0;
	if (!put_fixed(&s, &o->message_prefix, "prefix"))
		return false;
	if (o->use_bsmtp && !put_text(&s, envelope_bsmtp(d, o->use_crlf)))
		return false;
	if (!transport_write_message(&out, &why)) {
		if (why.errnum > 0)
			append_fail(ap, why.errnum, "error while writing to %s", ap->path.p);
		else
			append_fail(ap, why.errnum ? why.errnum : DERR_UNKNOWN, "%s", why.text);
		return false;
	}
	d->message->size = out.written; /* $message_size of maildir_tag: as written */
	if (!put_fixed(&s, &o->message_suffix, "suffix"))
		return false;
	return !o->use_bsmtp || put_text(&s, o->use_crlf ? STR(".\r\n") : STR(".\n"));
}

/* ---- where to ---- */

/* Under belowhome checks a path from outside may be used (manual 26 create_file). */
static bool detaint(struct append *ap, struct str path)
{
	struct str home = ap->d->addresses->view.home;
	const char *p = str_cstr(ap->d->arena, path);
	if (ap->o->create == CREATE_BELOWHOME && str_is_set(home))
		return inside(str_cstr(ap->d->arena, home), p, true);
	return ap->o->create == CREATE_BELOW_PATH && inside(str_cstr(ap->d->arena, ap->o->create_file.text), p, true);
}

static bool find_path(struct append *ap)
{
	struct delivery *d = ap->d;
	const struct appendfile_options *o = ap->o;
	const struct address *ad = d->addresses;
	bool redirected = ad->kind == ADDRESS_FILE || ad->kind == ADDRESS_DIRECTORY;
	const struct xstr *x = str_is_set(o->file.text) ? &o->file : &o->directory;
	struct str path;
	if (str_is_set(x->text)) {
		if (!option_expand(d, x, "file or directory name", &path))
			return false;
	} else if (redirected) {
		path = ad->address;
		ap->from_redirect = true;
	} else {
		result_defer(d, DERR_UNKNOWN, "Mandatory file or directory option missing from %s transport", transport_name(d));
		for (struct address *p = d->addresses; p; p = p->next)
			p->log_flags |= ADDRESS_LOG_PANIC;
		return false;
	}
	if (path.taint && !detaint(ap, path) && !option_untainted(d, path, "file or directory name"))
		return false;
	if (path.len == 0 || path.p[0] != '/') {
		result_defer(d, DERR_NOTABSOLUTE, "appendfile: file or directory name \"%.*s\" is not absolute", STR_ARG(path));
		return false;
	}
	bool directory = str_is_set(o->directory.text) || (ap->from_redirect && str_ends(path, "/"));
	if (o->maildir_format)
		ap->form = FORM_MAILDIR;
	else if (o->mailstore_format)
		ap->form = FORM_MAILSTORE;
	else
		ap->form = directory ? FORM_PLAIN : o->mbx_format ? FORM_MBX : FORM_FILE;
	while (path.len > 1 && path.p[path.len - 1] == '/')
		path.len--;
	ap->path = str_c(str_cstr(d->arena, path));
	if (strlen(ap->path.p) != path.len || path.len >= PATH_MAX - 256) {
		result_defer(d, ENAMETOOLONG, "file or directory name is too long");
		return false;
	}
	return true;
}

static void appendfile_run(struct delivery *d)
{
	struct why why = {0};
	struct append ap = {.d = d, .o = d->transport->options};
	if (!find_path(&ap))
		return;
	if (str_eqc(ap.path, "/dev/null")) {
		result_done(d);
		return;
	}
	if (!transport_filter_argv(d, &ap.filter, &why)) {
		result_defer(d, DERR_FILTER_FAIL, "%s", why.text);
		return;
	}
	quota_load(&ap);
	for (struct address *ad = d->addresses; ad; ad = ad->next)
		ad->file_name = ap.path;
	if (ap.form == FORM_FILE || ap.form == FORM_MBX)
		append_to_file(&ap);
	else
		append_new_file(&ap);
}

/* ---- options ---- */

static void set_default(struct xstr *x, const char *text)
{
	if (!str_is_set(x->text))
		x->text = str_c(text);
}

static void mailbox_defaults(const struct driver_instance *di, struct appendfile_options *o)
{
	if (o->use_bsmtp) {
		o->check_string.text = STR(".");
		o->escape_string.text = STR("..");
		return;
	}
	if (str_is_set(o->directory.text) || o->maildir_format || o->mailstore_format)
		return;
	if (!config_was_set(di, "check_string"))
		set_default(&o->check_string, "From ");
	if (!config_was_set(di, "escape_string"))
		set_default(&o->escape_string, ">From ");
	if (!config_was_set(di, "message_prefix"))
		set_default(&o->message_prefix, "From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\n");
	if (!config_was_set(di, "message_suffix"))
		set_default(&o->message_suffix, "\n");
}

static void lock_defaults(const struct driver_instance *di, struct appendfile_options *o)
{
	bool any = config_was_set(di, "use_lockfile") || config_was_set(di, "use_fcntl_lock") ||
	    config_was_set(di, "use_flock_lock") || config_was_set(di, "use_mbx_lock");
	if (o->mbx_format && !any)
		o->use_mbx_lock = true;
	if (!config_was_set(di, "use_lockfile"))
		o->use_lockfile = !o->use_mbx_lock;
	if (!config_was_set(di, "use_fcntl_lock"))
		o->use_fcntl_lock = !o->use_flock_lock;
	if (o->lock_retries == 0)
		o->lock_retries = 1;
}

static bool find_create(struct appendfile_options *o)
{
	struct str s = o->create_file.text;
	if (str_eqc(s, "anywhere"))
		o->create = CREATE_ANYWHERE;
	else if (str_eqc(s, "inhome"))
		o->create = CREATE_INHOME;
	else if (str_eqc(s, "belowhome"))
		o->create = CREATE_BELOWHOME;
	else if (s.len && s.p[0] == '/')
		o->create = CREATE_BELOW_PATH;
	else
		return false;
	return true;
}

static bool appendfile_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	struct appendfile_options *o = di->options;
	(void)cfg;
	if (str_is_set(o->file.text) && str_is_set(o->directory.text))
		return config_error_at(why, NULL, 0, "only one of \"file\" or \"directory\" can be specified");
	if (o->maildir_format && o->mailstore_format)
		return config_error_at(why, NULL, 0, "only one of maildir and mailstore may be specified");
	if (str_is_set(o->quota_filecount.text) && !str_eqc(o->quota_filecount.text, "0") && !str_is_set(o->directory.text))
		return config_error_at(why, NULL, 0, "quota_filecount must not be set without \"directory\"");
	if (!find_create(o))
		return config_error_at(why, NULL, 0, "invalid value given for \"create_file\" for the %s transport: '%.*s'", di->name.p,
		    STR_ARG(o->create_file.text));
	lock_defaults(di, o);
	if (!o->use_lockfile && !o->use_fcntl_lock && !o->use_flock_lock && !o->use_mbx_lock)
		return config_error_at(why, NULL, 0, "no locking configured");
	mailbox_defaults(di, o);
	return true;
}

static int appendfile_batch(const struct driver_instance *di, const struct xstr **ret_id)
{
	const struct appendfile_options *o = di->options;
	*ret_id = &o->batch_id;
	return o->batch_max < 1 ? 1 : o->batch_max;
}

#define ROW(name, TYPE, def, flags, doc) OPT_ROW(struct appendfile_options, #name, TYPE, name, def, flags, doc)
static const struct opt_row appendfile_rows[] = {
	ROW(allow_fifo, BOOL, "false", 0, "Permit delivery to a FIFO"),
	ROW(allow_symlink, BOOL, "false", 0, "Permit a symlinked mailbox"),
	ROW(batch_id, STRING, NULL, OPT_EXPAND, "String that must match for addresses to be batched"),
	ROW(batch_max, INT, "1", 0, "Most addresses in a batch"),
	ROW(check_group, BOOL, "false", 0, "Check the group of the file"),
	ROW(check_owner, BOOL, "true", 0, "Check the owner of the file"),
	ROW(check_string, STRING, NULL, OPT_COMPUTED, "Line start that is escaped (\"From \" for mbox)"),
	ROW(create_directory, BOOL, "true", 0, "Create missing directories"),
	ROW(create_file, STRING, "anywhere", 0, "Where files may be created: anywhere, belowhome, inhome or a path"),
	ROW(directory, STRING, NULL, OPT_EXPAND, "Deliver into a new file in this directory"),
	ROW(directory_file, STRING, "q${base62:$tod_epoch}-$inode", OPT_EXPAND, "Name of the new file"),
	ROW(directory_mode, OCTAL, "0700", 0, "Mode of created directories"),
	ROW(escape_string, STRING, NULL, OPT_COMPUTED, "Replacement for check_string"),
	ROW(file, STRING, NULL, OPT_EXPAND, "Mailbox file to append to"),
	ROW(file_format, STRING, NULL, 0, "Pick a transport by the existing file's format"),
	ROW(file_must_exist, BOOL, "false", 0, "Defer if the file is missing"),
	ROW(lock_fcntl_timeout, TIME, "0s", 0, "Blocking fcntl lock with this limit"),
	ROW(lock_flock_timeout, TIME, "0s", 0, "Blocking flock with this limit"),
	ROW(lock_interval, TIME, "3s", 0, "Wait between lock attempts"),
	ROW(lock_retries, INT, "10", 0, "Lock attempts"),
	ROW(lockfile_mode, OCTAL, "0600", 0, "Mode of the lock file"),
	ROW(lockfile_timeout, TIME, "30m", 0, "Age at which a lock file is stale"),
	ROW(mailbox_filecount, STRING, NULL, OPT_EXPAND, "Known file count, to save a scan"),
	ROW(mailbox_size, STRING, NULL, OPT_EXPAND, "Known mailbox size, to save a scan"),
	ROW(maildir_format, BOOL, "false", 0, "Deliver in maildir form"),
	ROW(maildir_quota_directory_regex, STRING, "^(?:cur|new|\\..*)$", 0, "Which maildir subdirectories count for quota"),
	ROW(maildir_retries, INT, "10", 0, "Retries for a unique maildir name"),
	ROW(maildir_tag, STRING, NULL, OPT_EXPAND, "Text appended to the maildir name"),
	ROW(maildir_use_size_file, BOOLX, "false", OPT_EXPAND, "Keep a maildirsize file"),
	ROW(maildirfolder_create_regex, STRING, NULL, 0, "Directories in which to create maildirfolder"),
	ROW(mailstore_format, BOOL, "false", 0, "Deliver as an envelope and message file pair"),
	ROW(mailstore_prefix, STRING, NULL, OPT_EXPAND, "Text at the start of the .env file"),
	ROW(mailstore_suffix, STRING, NULL, OPT_EXPAND, "Text at the end of the .env file"),
	ROW(mbx_format, BOOL, "false", 0, "Write MBX mailboxes"),
	ROW(message_prefix, STRING, NULL, OPT_EXPAND | OPT_COMPUTED, "Text written before each message"),
	ROW(message_suffix, STRING, NULL, OPT_EXPAND | OPT_COMPUTED, "Text written after each message"),
	ROW(mode, OCTAL, "0600", 0, "Mode of the mailbox"),
	ROW(mode_fail_narrower, BOOL, "true", 0, "Defer if the existing mode is narrower"),
	OPT_ROW_REFUSED("notify_comsat", BOOL, "Notify comsat"),
	ROW(quota, STRING, NULL, OPT_EXPAND, "Mailbox size limit"),
	ROW(quota_directory, STRING, NULL, OPT_EXPAND, "Directory measured for quota"),
	ROW(quota_filecount, STRING, "0", OPT_EXPAND, "Limit on number of files"),
	ROW(quota_is_inclusive, BOOL, "true", 0, "Count the new message in the quota test"),
	ROW(quota_size_regex, STRING, NULL, 0, "Regex that extracts a size from a file name"),
	ROW(quota_warn_message, STRING,
	    "\"To: $local_part@$domain\\n"
	    "Subject: Your mailbox\\n\\n"
	    "This message is automatically created by mail delivery software.\\n\\n"
	    "The size of your mailbox has exceeded a warning threshold that is\\n"
	    "set by the system administrator.\\n\"",
	    OPT_EXPAND, "Text of the warning message"),
	ROW(quota_warn_threshold, STRING, "0", OPT_EXPAND, "Level at which a warning is sent"),
	ROW(use_bsmtp, BOOL, "false", 0, "Write batch SMTP"),
	ROW(use_crlf, BOOL, "false", 0, "End lines with CRLF"),
	ROW(use_fcntl_lock, BOOL, NULL, OPT_COMPUTED, "Lock with fcntl"),
	ROW(use_flock_lock, BOOL, "false", 0, "Lock with flock"),
	ROW(use_lockfile, BOOL, NULL, OPT_COMPUTED, "Use a .lock file"),
	ROW(use_mbx_lock, BOOL, "false", 0, "Lock by the MBX rules"),
};

const struct transport_driver transport_appendfile = {
	.info = {.name = "appendfile", .options = appendfile_rows, .option_count = countof(appendfile_rows),
	    .options_size = sizeof(struct appendfile_options), .check = appendfile_check},
	.local = true,
	.run = appendfile_run,
	.prepare = quota_prepare,
	.batch = appendfile_batch,
};
