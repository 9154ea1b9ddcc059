/* SPDX-License-Identifier: Apache-2.0
 * The maildirsize file of Maildir++ (manual 26.7): "<quota>S,<count>C" and a line of size and
 * count for each change, appended with one write so that several programs may share it. It is made
 * anew when it is missing, malformed, longer than 5120 bytes, for another quota, or says that the
 * mailbox is full and is older than 15 minutes. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rd.h"
#include "transport/drivers/appendfile.h"

#include "base/banned.h"

enum { SIZEFILE_MAX = 5120, TRUST_S = 15 * 60 };

/* "1000S,20C": either part may be missing. */
static bool read_quota(struct str line, int64_t *size, int64_t *count)
{
	*size = *count = 0;
	while (str_is_set(line)) {
		struct str part = str_trim(str_cut(line, ',', &line));
		int64_t n;
		if (part.len < 2 || !str_int(str_sub(part, 0, part.len - 1), &n) || n < 0)
			return false;
		if (part.p[part.len - 1] == 'S')
			*size = n;
		else if (part.p[part.len - 1] == 'C')
			*count = n;
		else
			return false;
	}
	return true;
}

static bool read_sums(struct rd *r, struct maildirsize *ret)
{
	ret->size = ret->count = 0;
	while (!rd_done(r)) {
		struct str line = str_trim(rd_line(r)), second;
		struct str first = str_cut(line, ' ', &second);
		int64_t size, count;
		if (!str_int(first, &size) || !str_int(str_trim(second), &count))
			return false;
		if (__builtin_add_overflow(ret->size, size, &ret->size) || __builtin_add_overflow(ret->count, count, &ret->count))
			return false;
	}
	return ret->size >= 0 && ret->count >= 0;
}

static bool over_quota(const struct append *ap, const struct maildirsize *ms)
{
	return (ap->lim.quota > 0 && ms->size + ap->d->message->size > ap->lim.quota) ||
	    (ap->lim.filecount > 0 && ms->count + 1 > ap->lim.filecount);
}

/* What the file says, if it may be believed. */
static bool trusted(const struct append *ap, int fd, struct maildirsize *ret)
{
	char buf[SIZEFILE_MAX + 1];
	struct stat st;
	int64_t size, count;
	ssize_t n = pread(fd, buf, sizeof buf, 0);
	if (n <= 0 || n > SIZEFILE_MAX || fstat(fd, &st) < 0)
		return false;
	struct rd r = rd_of(str_n(buf, (size_t)n));
	if (!read_quota(rd_line(&r), &size, &count) || size != ap->lim.quota || count != ap->lim.filecount || !read_sums(&r, ret))
		return false;
	return !over_quota(ap, ret) || st.st_mtime + TRUST_S > clock_s(&ap->d->env->clock);
}

/* Directories of the maildir that count: maildir_quota_directory_regex against their names. */
static void count_maildir(struct append *ap, const char *dir, struct maildirsize *ret)
{
	DIR *d = opendir(dir);
	char path[PATH_MAX];
	ret->size = ret->count = 0;
	if (!d)
		return;
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		struct stat st;
		int64_t size, count;
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (match_regex(&ap->d->eval->lx, ap->o->maildir_quota_directory_regex.text, str_c(e->d_name), false) <= 0)
			continue;
		if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, e->d_name) >= sizeof path || lstat(path, &st) < 0 ||
		    !S_ISDIR(st.st_mode))
			continue;
		quota_measure(ap, path, &size, &count);
		ret->size += size;
		ret->count += count;
	}
	closedir(d);
}

static int write_anew(struct append *ap, const char *dir, const char *name, struct maildirsize *ms)
{
	char text[128], tmp[PATH_MAX];
	count_maildir(ap, dir, ms);
	int n = snprintf(text, sizeof text, "%lldS,%lldC\n%lld %lld\n", (long long)ap->lim.quota, (long long)ap->lim.filecount,
	    (long long)ms->size, (long long)ms->count);
	if ((size_t)snprintf(tmp, sizeof tmp, "%s/tmp/%lld.%d.maildirsize", dir, (long long)clock_us(&ap->d->env->clock),
	        (int)getpid()) >= sizeof tmp)
		return errno = ENAMETOOLONG, -1;
	int fd = open(tmp, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, ap->o->mode & 0777u);
	if (fd < 0)
		return -1;
	if (write(fd, text, (size_t)n) != n || rename(tmp, name) < 0) {
		int err = errno;
		(void)unlink(tmp);
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

bool maildirsize_open(struct append *ap, const char *dir, struct maildirsize *ret)
{
	char name[PATH_MAX];
	if ((size_t)snprintf(name, sizeof name, "%s/maildirsize", dir) >= sizeof name) {
		append_fail(ap, ENAMETOOLONG, "file or directory name is too long");
		return false;
	}
	ret->fd = open(name, O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (ret->fd >= 0 && trusted(ap, ret->fd, ret))
		return true;
	if (ret->fd >= 0)
		close(ret->fd);
	ret->fd = write_anew(ap, dir, name, ret);
	if (ret->fd >= 0)
		return true;
	append_fail(ap, errno, "while opening or reading %s", name);
	return false;
}

void maildirsize_add(struct maildirsize *ms, int64_t size, int count)
{
	char line[64];
	int n = snprintf(line, sizeof line, "%lld %d\n", (long long)size, count);
	if (ms->fd >= 0) {
		/* A line that is lost is found again when the file is next made anew. */
		ssize_t w = write(ms->fd, line, (size_t)n);
		(void)w;
	}
}
