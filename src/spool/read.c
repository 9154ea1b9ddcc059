/* SPDX-License-Identifier: Apache-2.0
 * Opening, updating and removing a message that is in the spool (invariants 3 to 9 of format.h). */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "spool/format.h"
#include "spool/spool_priv.h"

#include "base/banned.h"

/* All of an open file, at most `max` bytes, in the arena. */
static enum status read_file(int fd, struct arena *a, size_t max, struct str *ret)
{
	struct stat st;
	if (fstat(fd, &st))
		return ST_ERRNO(errno);
	if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size > max)
		return ST_LIMIT;
	size_t size = (size_t)st.st_size, got = 0;
	char *text = arena_alloc(a, size + 1);
	while (got < size) {
		ssize_t n = pread(fd, text + got, size - got, (off_t)got);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ST_ERRNO(errno);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	*ret = str_n(text, got);
	return ST_OK;
}

/* -J: each whole line is an address that is done (invariant 8). */
static enum status read_journal(struct spool_dir *d, const char *id, struct message *m, bool *ret_exists)
{
	char name[SPOOL_NAME_MAX];
	int fd = openat(d->input, spool_name(name, id, 'J'), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (ret_exists)
		*ret_exists = fd >= 0;
	if (fd < 0)
		return errno == ENOENT ? ST_OK : ST_ERRNO(errno);
	struct str text, line;
	enum status st = read_file(fd, m->arena, LIMIT_SPOOL_HEADER, &text);
	close(fd);
	if (st)
		return st;
	struct rd r = rd_of(str_tainted(text));
	while (!rd_done(&r)) {
		line = rd_until(&r, '\n');
		if (rd_accept(&r, '\n') && line.len)
			message_set_done(m, line);
	}
	return ST_OK;
}

static enum spool_found damage(struct why *why, const char *id)
{
	why_prefix(why, "message %s: ", id);
	return SPOOL_DAMAGED;
}

/* -H and -J of one folder into a message. */
static enum spool_found read_message(struct spool_dir *d, const char *id, struct arena *a, struct message **ret, bool *ret_journal, struct why *why)
{
	char name[SPOOL_NAME_MAX];
	int fd = openat(d->input, spool_name(name, id, 'H'), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return SPOOL_GONE;
	if (fd < 0) {
		spool_fail(why, ST_ERRNO(errno), id, "failed to open header file");
		return SPOOL_ERROR;
	}
	struct str text;
	struct message *m = NULL;
	enum status st = read_file(fd, a, LIMIT_SPOOL_HEADER, &text);
	close(fd);
	if (st == ST_LIMIT) {
		why_set(why, false, "header file is too long or no file");
		return damage(why, id);
	}
	if (!st && spool_parse_in_place(text, a, &m, why))
		return damage(why, id);
	if (!st && strcmp(m->id, id) != 0) {
		why_set(why, false, "format error in spool file: first line is of message %s", m->id);
		return damage(why, id);
	}
	if (!st)
		st = read_journal(d, id, m, ret_journal);
	if (st) {
		spool_fail(why, st, id, "failed to read spool files");
		return SPOOL_ERROR;
	}
	m->queue_name = str_n(d->queue, strlen(d->queue));
	*ret = m;
	return SPOOL_FOUND;
}

/* The two places where a message may lie, the likelier first; NULL: there is no such folder. */
static struct spool_dir *place_of(struct spool *s, struct str queue, struct str id, int i)
{
	bool split = s->cfg.split ? i == 0 : i == 1;
	return spool_dir_of(s, queue, split && id.len > 5 ? id.p[5] : '\0', false);
}

static bool id_good(struct str id, char to[MSG_ID_MAX])
{
	if (!msgid_valid(id))
		return false;
	memcpy(to, id.p, id.len);
	to[id.len] = '\0';
	return true;
}

/* Body size, and line 1 of -D checked. */
static bool check_data(int fd, const char *id, int64_t *ret_body)
{
	char line[MSG_ID_MAX + 4], want[MSG_ID_MAX + 4];
	struct stat st;
	int n = snprintf(want, sizeof want, "%s-D\n", id);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || pread(fd, line, (size_t)n, 0) != n || memcmp(line, want, (size_t)n) != 0)
		return false;
	*ret_body = st.st_size - n;
	return true;
}

/* -D of one place, locked. */
static enum spool_found open_data(struct spool_dir *d, const char *id, int *ret_fd, int64_t *ret_body, struct why *why)
{
	char name[SPOOL_NAME_MAX];
	struct stat st;
	int fd = openat(d->input, spool_name(name, id, 'D'), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		if (errno == ENOENT)
			return SPOOL_GONE;
		spool_fail(why, ST_ERRNO(errno), id, "failed to open data file");
		return SPOOL_ERROR;
	}
	enum spool_found found = SPOOL_FOUND;
	if (spool_lock(fd, id)) {
		found = errno == EAGAIN ? SPOOL_LOCKED : SPOOL_ERROR;
		spool_fail(why, ST_ERRNO(errno), id, "failed to lock data file");
	} else if (fstat(fd, &st) || st.st_nlink == 0) {
		found = SPOOL_GONE; /* removed while we waited for our turn */
	} else if (!check_data(fd, id, ret_body)) {
		why_set(why, false, "first line of the data file is not its name");
		found = damage(why, id);
	}
	if (found != SPOOL_FOUND)
		close(fd);
	else
		*ret_fd = fd;
	return found;
}

static void set_sizes(struct message *m, int64_t body)
{
	m->body_size = body;
	m->size = body;
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD)
			m->size += h->text.len;
}

enum spool_found spool_open_msg(struct spool *s, struct str queue_name, struct str id, struct arena *a, struct message **ret_m,
    struct spool_msg **ret, struct why *why)
{
	struct spool_msg sm = {.spool = s, .fd = -1, .journal = -1};
	if (!id_good(id, sm.id))
		return SPOOL_GONE;
	enum spool_found found = SPOOL_GONE;
	int64_t body = 0;
	for (int i = 0; i < 2 && found == SPOOL_GONE; i++) {
		sm.dir = place_of(s, queue_name, id, i);
		if (sm.dir)
			found = open_data(sm.dir, sm.id, &sm.fd, &body, why);
	}
	if (found != SPOOL_FOUND)
		return found;
	struct message *m = NULL;
	found = read_message(sm.dir, sm.id, a, &m, &sm.journal_exists, why);
	if (found != SPOOL_FOUND) {
		close(sm.fd);
		return found;
	}
	set_sizes(m, body);
	*ret = malloc(sizeof sm);
	must(*ret);
	**ret = sm;
	*ret_m = m;
	return SPOOL_FOUND;
}

enum spool_found spool_read_header(struct spool *s, struct str queue_name, struct str id, struct arena *a, struct message **ret, struct why *why)
{
	char name[MSG_ID_MAX], data[SPOOL_NAME_MAX];
	if (!id_good(id, name))
		return SPOOL_GONE;
	enum spool_found found = SPOOL_GONE;
	for (int i = 0; i < 2 && found == SPOOL_GONE; i++) {
		struct spool_dir *d = place_of(s, queue_name, id, i);
		if (d)
			found = read_message(d, name, a, ret, NULL, why);
		struct stat st;
		if (found == SPOOL_FOUND && fstatat(d->input, spool_name(data, name, 'D'), &st, AT_SYMLINK_NOFOLLOW) == 0)
			set_sizes(*ret, st.st_size - (int64_t)strlen(name) - 3);
	}
	return found;
}

int spool_msg_fd(const struct spool_msg *sm)
{
	return sm->fd;
}

int64_t spool_msg_body_offset(const struct spool_msg *sm)
{
	return (int64_t)strlen(sm->id) + 3;
}

enum status spool_journal(struct spool_msg *sm, struct str address)
{
	char name[SPOOL_NAME_MAX];
	if (str_chr(address, '\n') >= 0 || address.len == 0)
		return ST_ERRNO(EINVAL);
	if (sm->journal < 0) {
		sm->journal = spool_create_file(sm->spool, sm->dir->input, spool_name(name, sm->id, 'J'), O_WRONLY | O_APPEND);
		if (sm->journal < 0)
			return ST_ERRNO(errno);
		sm->journal_exists = true;
	}
	return spool_write_all(sm->spool, sm->journal, address, STR("\n"));
}

static int unlink_kind(struct spool *s, struct spool_dir *d, const char *id, char kind)
{
	char name[SPOOL_NAME_MAX];
	int rc = s->ops->unlinkat(s->ops, d->input, spool_name(name, id, kind));
	return rc && errno == ENOENT ? 0 : rc;
}

static void close_journal(struct spool_msg *sm)
{
	if (sm->journal >= 0)
		close(sm->journal);
	sm->journal = -1;
}

enum status spool_update(struct spool_msg *sm, const struct message *m, struct why *why)
{
	struct spool *s = sm->spool;
	enum status st = spool_put_header(s, sm->dir, m, sm->id, -1, false, why);
	if (st || !sm->journal_exists)
		return st;
	/* Invariant 6: what -J held is in m->done, and that is on disk now. */
	close_journal(sm);
	if (unlink_kind(s, sm->dir, sm->id, 'J')) {
		st = ST_ERRNO(errno);
		spool_fail(why, st, sm->id, "failed to remove journal");
		return st;
	}
	sm->journal_exists = false;
	return ST_OK;
}

static void drop_msglog(struct spool_msg *sm)
{
	struct spool *s = sm->spool;
	if (!s->cfg.message_logs)
		return;
	int dir = spool_msglog_dir(s, sm->dir);
	if (dir < 0)
		return;
	if (s->cfg.preserve_message_logs) {
		int old = openat(s->root, "msglog.OLD", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (old < 0 && mkdirat(s->root, "msglog.OLD", 0750) == 0)
			old = openat(s->root, "msglog.OLD", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (old >= 0) {
			s->ops->renameat(s->ops, dir, sm->id, old, sm->id);
			close(old);
		}
		return;
	}
	/* Looking costs less than a removal that fails: that takes the folder's lock. */
	if (faccessat(dir, sm->id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		s->ops->unlinkat(s->ops, dir, sm->id);
}

enum status spool_remove(struct spool_msg *sm, struct why *why)
{
	static const char kinds[] = {'H', 'J', 'D'}; /* invariant 5 */
	close_journal(sm);
	for (size_t i = 0; i < countof(kinds); i++) {
		if (kinds[i] == 'J' && !sm->journal_exists)
			continue; /* we hold the lock: nobody else made one */
		if (unlink_kind(sm->spool, sm->dir, sm->id, kinds[i])) {
			enum status st = ST_ERRNO(errno);
			spool_fail(why, st, sm->id, "failed to remove spool file");
			return st;
		}
	}
	drop_msglog(sm);
	return ST_OK;
}

void spool_release(struct spool_msg *sm)
{
	if (!sm)
		return;
	close_journal(sm);
	close(sm->fd);
	free(sm);
}

/* Invariant 7: new names first, -H the last of them; then the old ones, -H the first of them. */
enum status spool_move(struct spool_msg *sm, struct str to_queue, struct why *why)
{
	static const char link_order[] = {'D', 'J', 'H'}, unlink_order[] = {'H', 'J', 'D'};
	struct spool *s = sm->spool;
	char name[SPOOL_NAME_MAX];
	struct spool_dir *to = spool_dir_of(s, to_queue, spool_subdir_of(s, str_c(sm->id)), true);
	enum status st = to ? ST_OK : ST_ERRNO(errno);
	if (to == sm->dir)
		return ST_OK;
	size_t linked = 0;
	for (; !st && linked < countof(link_order); linked++) {
		spool_name(name, sm->id, link_order[linked]);
		if (s->ops->linkat(s->ops, sm->dir->input, name, to->input, name) && !(errno == ENOENT && link_order[linked] == 'J'))
			st = ST_ERRNO(errno);
	}
	if (!st)
		st = spool_flush(s, &to->input, 1, true);
	if (st) {
		while (to && linked-- > 0)
			unlink_kind(s, to, sm->id, link_order[linked]);
		spool_fail(why, st, sm->id, "failed to move to another queue");
		return st;
	}
	for (size_t i = 0; i < countof(unlink_order); i++)
		unlink_kind(s, sm->dir, sm->id, unlink_order[i]);
	sm->dir = to;
	return ST_OK;
}

void spool_msglog(struct spool *s, struct str queue_name, struct str id, const char *fmt, ...)
{
	char name[MSG_ID_MAX], line[2048];
	if (!s->cfg.message_logs || !id_good(id, name))
		return;
	struct spool_dir *d = spool_dir_of(s, queue_name, spool_subdir_of(s, id), true);
	int dir = d ? spool_msglog_dir(s, d) : -1;
	int fd = dir < 0 ? -1 : spool_create_file(s, dir, name, O_WRONLY | O_APPEND);
	if (fd < 0)
		return; /* a log for people: mail does not wait for it */
	struct arena *a = arena_new("msglog", 64 << 10, 512, 0);
	struct str stamp = clock_log(a, clock_s(&s->clock), false, false);
	va_list ap;
	va_start(ap, fmt);
	int n = snprintf(line, sizeof line, "%.*s ", STR_ARG(stamp));
	int more = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
	va_end(ap);
	size_t len = (size_t)n + (more > 0 ? (size_t)more : 0);
	if (len > sizeof line - 2)
		len = sizeof line - 2;
	line[len++] = '\n';
	enum status st = spool_write_all(s, fd, str_n(line, len), STR_NONE);
	(void)st;
	close(fd);
	arena_free(a);
}
