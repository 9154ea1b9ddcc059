/* SPDX-License-Identifier: Apache-2.0
 * The once file: a first line that names the format, then a line "seconds address" for each
 * recipient, oldest first, with a limit (once_file_size) or without. A file of another format
 * (Exim's is a Berkeley DB file) is left alone and said to be so. Locked while it is used. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/rd.h"
#include "transport/drivers/autoreply.h"

#include "base/banned.h"

#define FORMAT "eximius once 1\n"
enum { ONCE_MAX = 64 << 20 };

static enum once_answer failed(struct delivery *d, struct once *o, struct str file, const char *why)
{
	result_defer(d, errno ? errno : DERR_UNKNOWN, "Failed to open \"once\" file %.*s when sending message from %s transport: %s",
	    STR_ARG(file), transport_name(d), why);
	once_close(o);
	return ONCE_FAILED;
}

static bool read_all(struct delivery *d, int fd, struct str *ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > ONCE_MAX)
		return false;
	char *p = arena_alloc(d->arena, (size_t)st.st_size + 1);
	ssize_t n = pread(fd, p, (size_t)st.st_size, 0);
	*ret = str_n(p, n > 0 ? (size_t)n : 0);
	return n >= 0;
}

/* Keep all but this recipient's line; *ret_when: when it was written to, 0 = never. */
static struct str without(struct delivery *d, struct str text, struct str key, int64_t *ret_when)
{
	struct rd r = rd_of(text);
	struct strbuf sb;
	sb_init(&sb, d->arena, ONCE_MAX);
	*ret_when = 0;
	while (!rd_done(&r)) {
		struct str line = rd_line(&r), who;
		struct str when = str_cut(line, ' ', &who);
		int64_t t;
		if (!str_int(when, &t))
			continue;
		if (str_ieq(who, key)) {
			*ret_when = t;
			continue;
		}
		sb_add(&sb, line);
		sb_ch(&sb, '\n');
	}
	return sb_str(&sb);
}

enum once_answer once_ask(struct delivery *d, struct once *o, struct str file, struct str to)
{
	struct str text;
	int64_t when;
	if (str_empty(file))
		return ONCE_NEW;
	errno = 0;
	o->key = str_lower(d->arena, str_trim(to));
	o->fd = open(str_cstr(d->arena, file), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, o->mode & 0777u);
	if (o->fd < 0 || flock(o->fd, LOCK_EX) < 0)
		return failed(d, o, file, status_text(ST_ERRNO(errno)));
	if (!read_all(d, o->fd, &text))
		return failed(d, o, file, "it cannot be read");
	if (text.len && !str_starts(text, FORMAT))
		return failed(d, o, file, "it is not in this program's format (a database of Exim?)");
	o->rest = without(d, str_from(text, sizeof FORMAT - 1), o->key, &when);
	if (when == 0 || (o->repeat_s > 0 && when + o->repeat_s <= clock_s(&d->env->clock)))
		return ONCE_NEW;
	return ONCE_SENT;
}

void once_note(struct delivery *d, struct once *o)
{
	struct strbuf sb;
	if (o->fd < 0)
		return;
	struct str line = str_printf(d->arena, "%lld %.*s\n", (long long)clock_s(&d->env->clock), STR_ARG(o->key));
	struct str rest = o->rest;
	while (o->size > 0 && rest.len && (int64_t)(rest.len + line.len + sizeof FORMAT) > o->size)
		(void)str_cut(rest, '\n', &rest); /* the oldest goes */
	sb_init(&sb, d->arena, ONCE_MAX + LIMIT_ADDRESS * 64);
	sb_addc(&sb, FORMAT);
	sb_add(&sb, rest);
	sb_add(&sb, line);
	if (pwrite(o->fd, sb.p, sb.len, 0) != (ssize_t)sb.len || ftruncate(o->fd, sb.len) < 0)
		delivery_log(d, LOGTO_MAIN, "failed to update \"once\" file of %s transport: %s", transport_name(d), status_text(ST_ERRNO(errno)));
}

void once_close(struct once *o)
{
	if (o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}
