/* SPDX-License-Identifier: Apache-2.0
 * Quotas of mailboxes (manual 26: quota, quota_filecount, quota_warn_threshold...). Values are
 * expanded in the parent, before the change of user; sizes are measured as the user. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/drivers/appendfile.h"

#include "base/banned.h"

enum { DEPTH_MAX = 20 };

/* ---- in the parent ---- */

/* "10.5M", "2G/no_check", and for the threshold "75%" of `whole`. */
static bool parse_value(struct str s, int64_t whole, int64_t *ret, bool *ret_no_check)
{
	struct str modifiers;
	s = str_trim(str_cut(str_trim(s), '/', &modifiers));
	*ret_no_check = false;
	while (str_is_set(modifiers)) {
		struct str one = str_trim(str_cut(modifiers, '/', &modifiers));
		if (str_eqc(one, "no_check"))
			*ret_no_check = true;
		else if (one.len)
			return false;
	}
	double unit = 1;
	if (s.len) {
		char c = ch_tolower(s.p[s.len - 1]);
		unit = c == 'k' ? 1024.0 : c == 'm' ? 1048576.0 : c == 'g' ? 1073741824.0 : c == '%' ? -1 : 1;
		if (unit != 1)
			s = str_sub(s, 0, s.len - 1);
	}
	char buf[64], *end;
	if (s.len == 0 || s.len >= sizeof buf)
		return false;
	memcpy(buf, s.p, s.len);
	buf[s.len] = '\0';
	if (strspn(buf, "0123456789.") != s.len)
		return false;
	double v = strtod(buf, &end);
	if (*end || v < 0)
		return false;
	v = unit < 0 ? (v <= 100 ? (double)whole * v / 100 : -1) : v * unit;
	if (v < 0 || v > 9e18)
		return false;
	*ret = (int64_t)v;
	return true;
}

static bool prepare_one(struct delivery *d, unsigned slot, const struct xstr *x, int64_t whole, int64_t *ret, struct why *why)
{
	struct str text;
	bool no_check = false;
	*ret = 0;
	if (str_empty(x->text))
		return true;
	if (expand(d->eval, x, &text) != EXPAND_OK) {
		why_set(why, true, "Expansion of \"%.*s\" in %s transport failed: %.*s", STR_ARG(x->text), transport_name(d),
		    STR_ARG(d->eval->lx.error));
		return false;
	}
	if (str_empty(str_trim(text)))
		return true;
	if (!parse_value(text, whole, ret, &no_check)) {
		why_set(why, true, "Malformed value \"%.*s\" (expansion of \"%.*s\") in %s transport", STR_ARG(text), STR_ARG(x->text),
		    transport_name(d));
		return false;
	}
	d->prepared[slot] = str_printf(d->arena, "%lld%s", (long long)*ret, no_check ? "!" : "");
	return true;
}

bool quota_prepare(struct delivery *d, struct why *why)
{
	const struct appendfile_options *o = d->transport->options;
	int64_t quota, value;
	return prepare_one(d, PREP_QUOTA, &o->quota, 0, &quota, why) &&
	    prepare_one(d, PREP_FILECOUNT, &o->quota_filecount, 0, &value, why) &&
	    prepare_one(d, PREP_WARN, &o->quota_warn_threshold, quota, &value, why) &&
	    prepare_one(d, PREP_SIZE, &o->mailbox_size, 0, &value, why) &&
	    prepare_one(d, PREP_COUNT, &o->mailbox_filecount, 0, &value, why);
}

/* ---- in the child ---- */

static int64_t load_one(const struct delivery *d, unsigned slot, int64_t unset, bool *no_check)
{
	struct str s = d->prepared[slot];
	int64_t n = unset;
	if (str_ends(s, "!")) {
		*no_check = true;
		s = str_sub(s, 0, s.len - 1);
	}
	return str_is_set(s) && str_int(s, &n) ? n : unset;
}

void quota_load(struct append *ap)
{
	struct limits *l = &ap->lim;
	bool ignored;
	l->quota = load_one(ap->d, PREP_QUOTA, 0, &l->no_check_quota);
	l->filecount = load_one(ap->d, PREP_FILECOUNT, 0, &l->no_check_count);
	l->warn = load_one(ap->d, PREP_WARN, 0, &ignored);
	l->mailbox_size = load_one(ap->d, PREP_SIZE, -1, &ignored);
	l->mailbox_count = load_one(ap->d, PREP_COUNT, -1, &ignored);
}

/* The size that the name tells, by quota_size_regex. */
static bool size_by_name(struct append *ap, const char *name, int64_t *ret)
{
	struct str regex = ap->o->quota_size_regex.text;
	if (str_empty(regex))
		return false;
	struct captures kept = ap->d->eval->captures;
	bool ok = match_regex(&ap->d->eval->lx, regex, str_c(name), true) > 0 && ap->d->eval->captures.count > 1 &&
	    str_int(ap->d->eval->captures.v[1], ret) && *ret >= 0;
	ap->d->eval->captures = kept;
	return ok;
}

static void measure(struct append *ap, int dir_fd, int depth, int64_t *size, int64_t *count)
{
	DIR *dir = fdopendir(dir_fd);
	if (!dir) {
		close(dir_fd);
		return;
	}
	for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
		struct stat st;
		int64_t n;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (e->d_type != DT_DIR && size_by_name(ap, e->d_name, &n)) {
			*size += n;
			++*count;
			continue;
		}
		if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode)) {
			*size += st.st_size / (st.st_nlink ? (int64_t)st.st_nlink : 1);
			++*count;
		} else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			if (fd >= 0)
				measure(ap, fd, depth + 1, size, count);
		}
	}
	closedir(dir);
}

void quota_measure(struct append *ap, const char *name, int64_t *ret_size, int64_t *ret_count)
{
	int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*ret_size = *ret_count = 0;
	if (fd >= 0)
		measure(ap, fd, 0, ret_size, ret_count);
}

static void full(struct append *ap, const char *what, const char *name, int64_t last_read_s)
{
	append_fail(ap, DERR_EXIMQUOTA, "mailbox is full (MTA-imposed %squota exceeded while writing to %s)", what, name);
	int64_t ago = clock_s(&ap->d->env->clock) - last_read_s;
	for (struct address *ad = ap->d->addresses; ad; ad = ad->next)
		ad->more_errno = last_read_s > 0 && ago > 0 ? ago > INT_MAX ? INT_MAX : (int)ago : 0;
}

bool quota_allows(struct append *ap, const char *name, int64_t last_read_s)
{
	bool inclusive = ap->o->quota_is_inclusive;
	int64_t size = ap->size_before + (inclusive ? ap->d->message->size : 0);
	if (ap->lim.quota > 0 && !ap->lim.no_check_quota && size > ap->lim.quota) {
		full(ap, "", name, last_read_s);
		return false;
	}
	int64_t count = ap->count_before + (inclusive ? 1 : 0);
	if (ap->form != FORM_FILE && ap->form != FORM_MBX && ap->lim.filecount > 0 && !ap->lim.no_check_count &&
	    count > ap->lim.filecount) {
		full(ap, "filecount ", name, last_read_s);
		return false;
	}
	return true;
}

/* Split the expanded message at its empty line: header lines, body. */
void quota_warn(struct append *ap)
{
	struct delivery *d = ap->d;
	const struct xstr *x = &ap->o->quota_warn_message;
	struct str text;
	if (ap->lim.warn <= 0 || ap->size_before > ap->lim.warn || ap->size_before + ap->written <= ap->lim.warn)
		return;
	if (expand(d->eval, x, &text) != EXPAND_OK) {
		delivery_log(d, LOGTO_MAIN, "Failed to expand quota_warn_message in %s transport: %.*s", transport_name(d),
		    STR_ARG(d->eval->lx.error));
		return;
	}
	struct submission s = {.text = text, .from_default = true};
	delivery_submit(d, &s);
}
