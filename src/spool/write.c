/* SPDX-License-Identifier: Apache-2.0
 * Taking a message in: create, append, commit (invariants 1 to 4 of format.h).
 *
 *   create   openat ID-D (exclusive), lock it
 *   append   line 1 and the body, through a buffer
 *   commit   rest of the body; hdr.ID made and written; flush of both; rename to ID-H; flush of the
 *            folder; done
 * A failure anywhere undoes in the opposite order; -H goes before -D. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/limits.h"
#include "spool/format.h"
#include "spool/spool_priv.h"

#include "base/banned.h"

enum { BUFFER = 32 << 10, ID_TRIES = 100 };

struct spool_writer {
	struct spool *spool;
	struct spool_dir *dir;
	struct arena *arena;
	char id[MSG_ID_MAX];
	int fd;
	enum status failed; /* sticky */
	char *buffer;
	uint32_t used;
	int64_t written; /* bytes of -D, buffered ones too */
};

/* Microseconds that no id of this process had before: two steps apart where localhost_number halves
 * the resolution (manual 3.4). */
static int64_t next_id_us(struct spool *s)
{
	int64_t step = s->cfg.localhost_number >= 0 ? 2 : 1;
	int64_t now = clock_us(&s->clock), last = __atomic_load_n(&s->last_id_us, __ATOMIC_RELAXED), use;
	do {
		use = now > last ? now : last + step;
		if (step == 2)
			use += use & 1;
	} while (!__atomic_compare_exchange_n(&s->last_id_us, &last, use, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return use;
}

static void new_id(struct spool *s, char id[MSG_ID_MAX])
{
	int64_t us = next_id_us(s);
	if (s->cfg.short_ids) {
		uint32_t serial = __atomic_fetch_add(&s->id_serial, 1, __ATOMIC_RELAXED);
		msgid_make_short(id, us, (uint64_t)getpid(), serial, s->cfg.localhost_number);
	} else {
		msgid_make(id, us, (uint64_t)getpid(), s->cfg.localhost_number);
	}
}

/* -D made under a new name and locked. */
static int begin_data(struct spool *s, struct str queue, char id[MSG_ID_MAX], struct spool_dir **ret_dir)
{
	char name[SPOOL_NAME_MAX];
	for (int i = 0; i < ID_TRIES; i++) {
		new_id(s, id);
		struct spool_dir *d = spool_dir_of(s, queue, spool_subdir_of(s, str_c(id)), true);
		if (!d)
			return -1;
		int fd = spool_create_file(s, d->input, spool_name(name, id, 'D'), O_RDWR | O_EXCL);
		if (fd < 0 && errno == EEXIST)
			continue;
		if (fd < 0)
			return -1;
		if (spool_lock(fd, id)) {
			int e = errno;
			close(fd);
			s->ops->unlinkat(s->ops, d->input, name);
			errno = e;
			return -1;
		}
		*ret_dir = d;
		return fd;
	}
	errno = EEXIST;
	return -1;
}

enum status spool_create(struct spool *s, struct str queue_name, char ret_id[MSG_ID_MAX], struct spool_writer **ret, struct why *why)
{
	char id[MSG_ID_MAX];
	struct spool_dir *d = NULL;
	int fd = begin_data(s, queue_name, id, &d);
	if (fd < 0) {
		enum status st = ST_ERRNO(errno);
		why_set(why, true, "Failed to create spool file for message in queue \"%.*s\": %s", STR_ARG(queue_name), status_text(st));
		if (why)
			why->errnum = -(int)st;
		return st;
	}
	struct arena *a = arena_new("spool writer", (size_t)LIMIT_SPOOL_HEADER * 4, BUFFER + 1024, 0);
	struct spool_writer *w = arena_new_of(a, struct spool_writer);
	*w = (struct spool_writer){.spool = s, .dir = d, .arena = a, .fd = fd, .buffer = arena_alloc(a, BUFFER)};
	memcpy(w->id, id, sizeof id);
	memcpy(ret_id, id, sizeof id);
	w->used = (uint32_t)snprintf(w->buffer, BUFFER, "%s-D\n", id);
	w->written = w->used;
	*ret = w;
	return ST_OK;
}

/* Buffer and `more` to the file in one call. */
static enum status flush_buffer(struct spool_writer *w, struct str more)
{
	if (w->failed)
		return w->failed;
	w->failed = spool_write_all(w->spool, w->fd, str_n(w->buffer, w->used), more);
	w->used = 0;
	return w->failed;
}

enum status spool_append(struct spool_writer *w, const void *p, size_t n)
{
	if (w->failed)
		return w->failed;
	w->written += (int64_t)n;
	if (n <= BUFFER - w->used) {
		memcpy(w->buffer + w->used, p, n);
		w->used += (uint32_t)n;
		return ST_OK;
	}
	const char *at = p;
	while (n > UINT32_MAX / 2) {
		enum status st = flush_buffer(w, str_n(at, UINT32_MAX / 2));
		if (st)
			return st;
		at += UINT32_MAX / 2;
		n -= UINT32_MAX / 2;
	}
	return flush_buffer(w, str_n(at, n));
}

enum status spool_body_fd(struct spool_writer *w, int *ret_fd, int64_t *ret_offset, int64_t *ret_size)
{
	enum status st = flush_buffer(w, STR_NONE);
	if (st)
		return st;
	*ret_fd = w->fd;
	*ret_offset = (int64_t)strlen(w->id) + 3;
	*ret_size = w->written - *ret_offset;
	return ST_OK;
}

void spool_abort(struct spool_writer *w)
{
	char name[SPOOL_NAME_MAX];
	if (!w)
		return;
	w->spool->ops->unlinkat(w->spool->ops, w->dir->input, spool_name(name, w->id, 'D'));
	close(w->fd);
	arena_free(w->arena);
}

/* hdr.ID with its bytes, not yet flushed. */
static enum status write_temporary(struct spool *s, struct spool_dir *d, const char *id, struct str text, int *ret_fd)
{
	char name[SPOOL_NAME_MAX];
	spool_name(name, id, 0);
	int fd = spool_create_file(s, d->input, name, O_WRONLY | O_EXCL);
	if (fd < 0 && errno == EEXIST) { /* left by a crash: we hold the lock, so it is nobody's */
		s->ops->unlinkat(s->ops, d->input, name);
		fd = spool_create_file(s, d->input, name, O_WRONLY | O_EXCL);
	}
	if (fd < 0)
		return ST_ERRNO(errno);
	enum status st = spool_write_all(s, fd, text, STR_NONE);
	if (st) {
		close(fd);
		s->ops->unlinkat(s->ops, d->input, name);
		return st;
	}
	*ret_fd = fd;
	return ST_OK;
}

/* An address with a line end would read back as two: no honest message has one. */
static bool breaks_lines(struct str s)
{
	return str_chr(s, '\n') >= 0 || str_chr(s, '\0') >= 0;
}

static bool envelope_writable(const struct message *m)
{
	bool bad = breaks_lines(m->sender) || m->recipients > SPOOL_MAX_RECIPIENTS || m->headers.count > SPOOL_MAX_HEADERS;
	for (size_t i = 0; i < m->recipients && !bad; i++) {
		const struct recipient *r = &m->recipient[i];
		bad = r->address.len == 0 || breaks_lines(r->address) || breaks_lines(r->errors_to) || breaks_lines(r->orcpt);
	}
	return !bad;
}

enum status spool_put_header(struct spool *s, struct spool_dir *d, const struct message *m, const char *id, int data_fd, bool fresh,
    struct why *why)
{
	char hdr[SPOOL_NAME_MAX], name[SPOOL_NAME_MAX];
	if (!envelope_writable(m)) {
		spool_fail(why, ST_ERRNO(EINVAL), id, "envelope does not fit the spool format");
		return ST_ERRNO(EINVAL);
	}
	struct arena *a = arena_new("spool header", (size_t)LIMIT_SPOOL_HEADER * 4, 16 << 10, 0);
	struct str text = spool_format_header(a, m);
	int fd = -1;
	enum status st = text.len > LIMIT_SPOOL_HEADER ? ST_ERRNO(EFBIG) : write_temporary(s, d, id, text, &fd);
	arena_free(a);
	if (st) {
		spool_fail(why, st, id, "failed to write header file");
		return st;
	}
	st = spool_flush(s, (int[]){data_fd, fd}, 2, false);
	close(fd);
	spool_name(hdr, id, 0);
	spool_name(name, id, 'H');
	if (!st && s->ops->renameat(s->ops, d->input, hdr, d->input, name))
		st = ST_ERRNO(errno);
	if (st) {
		s->ops->unlinkat(s->ops, d->input, hdr);
		spool_fail(why, st, id, "failed to make header file durable");
		return st;
	}
	st = spool_flush(s, &d->input, 1, true);
	if (st) {
		if (fresh)
			s->ops->unlinkat(s->ops, d->input, name);
		spool_fail(why, st, id, "failed to make directory durable");
	}
	return st;
}

enum status spool_commit_locked(struct spool_writer *w, const struct message *m, struct spool_msg **ret, struct why *why)
{
	struct spool *s = w->spool;
	enum status st = flush_buffer(w, STR_NONE);
	if (st)
		spool_fail(why, st, w->id, "failed to write data file");
	if (!st && strcmp(m->id, w->id) != 0) {
		st = ST_ERRNO(EINVAL);
		spool_fail(why, st, w->id, "message has another id");
	}
	if (!st)
		st = spool_put_header(s, w->dir, m, w->id, w->fd, true, why);
	if (st) {
		spool_abort(w);
		return st;
	}
	if (ret) {
		struct spool_msg *sm = calloc(1, sizeof *sm);
		must(sm);
		*sm = (struct spool_msg){.spool = s, .dir = w->dir, .fd = w->fd, .journal = -1};
		memcpy(sm->id, w->id, sizeof sm->id);
		*ret = sm;
	} else {
		close(w->fd);
	}
	arena_free(w->arena);
	return ST_OK;
}

enum status spool_commit(struct spool_writer *w, const struct message *m, struct why *why)
{
	return spool_commit_locked(w, m, NULL, why);
}
