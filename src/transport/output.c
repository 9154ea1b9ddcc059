/* SPDX-License-Identifier: Apache-2.0
 * The message as one transport writes it, in one pass: headers rebuilt, body from the -D file,
 * line ends and check_string as asked (manual 24, 26, 29), or through a transport filter first.
 * Where nothing is to be changed, blocks go from the file's buffer straight to the writer. */
#include "transport/steps.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

enum { BLOCK = 65536 };

struct writer {
	struct message_output *o;
	bool bol;       /* at the beginning of a line */
	bool drop_cr;   /* the source has CRLF line ends */
	bool verbatim;  /* nothing to change: OUT_RAW, or LF in and LF out without check_string */
	char *buf;
	size_t len;
};

static bool hand_on(struct writer *w, const char *p, size_t n)
{
	for (const char *at = p, *end = p + n; (at = memchr(at, '\n', (size_t)(end - at))) != NULL; at++)
		w->o->lines++;
	w->o->written += (int64_t)n;
	return w->o->write(w->o->arg, p, n);
}

static bool flush(struct writer *w)
{
	size_t n = w->len;
	w->len = 0;
	return n == 0 || hand_on(w, w->buf, n);
}

static bool put(struct writer *w, const char *p, size_t n)
{
	if (w->len + n > BLOCK && !flush(w))
		return false;
	if (n >= BLOCK)
		return hand_on(w, p, n);
	memcpy(w->buf + w->len, p, n);
	w->len += n;
	return true;
}

static bool put_newline(struct writer *w)
{
	w->bol = true;
	return w->o->flags & OUT_CRLF ? put(w, "\r\n", 2) : put(w, "\n", 1);
}

/* check_string at the beginning of a line: 1 replaced (*p moved), 0 not there, -1 more bytes are
 * needed to know, -2 failed. */
static int escape(struct writer *w, const char **p, const char *end, bool last)
{
	struct str cs = w->o->check_string, es = w->o->escape_string;
	size_t have = (size_t)(end - *p);
	if (!w->bol || cs.len == 0)
		return 0;
	if (have < cs.len)
		return !last && memcmp(*p, cs.p, have) == 0 ? -1 : 0;
	if (memcmp(*p, cs.p, cs.len) != 0)
		return 0;
	*p += cs.len;
	w->bol = cs.p[cs.len - 1] == '\n';
	return put(w, es.p, es.len) ? 1 : -2;
}

/* One line, or what there is of it. False: failed. *p stays where more bytes are needed. */
static bool put_line(struct writer *w, const char **p, const char *end, bool last, bool *ret_wait)
{
	int e = escape(w, p, end, last);
	*ret_wait = e == -1;
	if (e < 0)
		return e == -1;
	if (e == 1 && w->bol)
		return true;
	const char *lf = memchr(*p, '\n', (size_t)(end - *p)), *stop = lf ? lf : end;
	size_t n = (size_t)(stop - *p);
	if (w->drop_cr && n && stop[-1] == '\r' && (lf || !last)) {
		n--;
		*ret_wait = !lf; /* a CR at the end of the block: is it half a line end? */
	}
	if (n) {
		w->bol = false;
		if (!put(w, *p, n))
			return false;
	}
	*p = *ret_wait ? *p + n : lf ? lf + 1 : end;
	return lf ? put_newline(w) : true;
}

/* Write a piece; *ret_left: bytes at its end that must come again in front of the next one. */
static bool put_piece(struct writer *w, const char *p, size_t n, bool last, size_t *ret_left)
{
	const char *end = p + n;
	*ret_left = 0;
	if (w->verbatim)
		return n == 0 || hand_on(w, p, n);
	while (p < end) {
		bool wait = false;
		if (!put_line(w, &p, end, last, &wait))
			return false;
		if (wait) {
			*ret_left = (size_t)(end - p);
			break;
		}
	}
	return true;
}

static bool put_text(struct writer *w, struct str text)
{
	size_t left;
	return put_piece(w, text.p, text.len, true, &left);
}

static bool write_failed(const struct writer *w, struct why *why)
{
	int err = errno;
	(void)w;
	why_set(why, true, "%s", status_text(ST_ERRNO(err)));
	if (why)
		why->errnum = err;
	return false;
}

static bool read_failed(struct why *why, const char *what, int err)
{
	why_set(why, true, "failed to read %s: %s", what, err ? status_text(ST_ERRNO(err)) : "it is shorter than expected");
	if (why)
		why->errnum = err;
	return false;
}

/* Bytes of a file, from offset; size < 0: up to its end. */
static bool put_file(struct writer *w, int fd, int64_t offset, int64_t size, const char *what, struct why *why)
{
	struct arena *a = w->o->delivery->arena;
	int64_t want = size >= 0 && size < BLOCK ? size + 512 : BLOCK;
	char *block = arena_alloc(a, (size_t)want);
	size_t left = 0;
	while (size != 0) {
		size_t room = (size_t)want - left;
		if (size > 0 && (int64_t)room > size)
			room = (size_t)size;
		ssize_t n = pread(fd, block + left, room, offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (n == 0 && size > 0))
			return read_failed(why, what, n < 0 ? errno : 0);
		if (n == 0)
			break;
		offset += n;
		size -= size > 0 ? n : 0;
		size_t whole = left + (size_t)n;
		if (!put_piece(w, block, whole, false, &left))
			return write_failed(w, why);
		memmove(block, block + whole - left, left);
	}
	size_t none;
	if (left && !put_piece(w, block, left, true, &none))
		return write_failed(w, why);
	return true;
}

static void writer_init(struct writer *w, struct message_output *o, bool source_crlf)
{
	*w = (struct writer){.o = o, .bol = true, .drop_cr = source_crlf};
	bool same = !(o->flags & OUT_CRLF) && !source_crlf && o->check_string.len == 0;
	w->verbatim = (o->flags & OUT_RAW) || same;
	if (!w->verbatim)
		w->buf = arena_alloc(o->delivery->arena, BLOCK);
}

static bool write_plain(struct message_output *o, struct why *why)
{
	struct delivery *d = o->delivery;
	struct writer w;
	writer_init(&w, o, false);
	if (!(o->flags & OUT_NO_HEADERS)) {
		struct str headers = transport_headers_text(d, o->flags, why);
		if (!str_is_set(headers))
			return false;
		if (!put_text(&w, headers))
			return write_failed(&w, why);
	}
	if (!(o->flags & OUT_NO_BODY)) {
		struct writer body;
		writer_init(&body, o, d->message->wireformat && !(o->flags & OUT_RAW));
		if (!flush(&w))
			return write_failed(&w, why);
		if (!put_file(&body, d->body_fd, d->body_offset, d->body_size, "the message body", why))
			return false;
		w = body;
	}
	return flush(&w) || write_failed(&w, why);
}

static bool write_to_fd(void *arg, const char *p, size_t n)
{
	int fd = *(const int *)arg;
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

/* The message with LF line ends goes into the filter, what it says is written on; the filter sees
 * it before check_string and any SMTP processing (manual 24). */
static bool write_filtered(struct message_output *o, int in_fd, int out_fd, struct why *why)
{
	struct message_output raw = *o;
	raw.filter = NULL;
	raw.check_string = STR_NONE;
	raw.flags &= ~(unsigned)(OUT_CRLF | OUT_RAW);
	raw.write = write_to_fd;
	raw.arg = &in_fd;
	if (!write_plain(&raw, why) || !transport_filter_run(o->delivery, o->filter, in_fd, out_fd, why))
		return false;
	struct writer w;
	writer_init(&w, o, false);
	return put_file(&w, out_fd, 0, -1, "the output of the transport filter", why) && (flush(&w) || write_failed(&w, why));
}

static bool through_filter(struct message_output *o, struct why *why)
{
	bool ok = false;
	int in_fd = memfd_create("message", MFD_CLOEXEC), out_fd = memfd_create("filtered", MFD_CLOEXEC);
	if (in_fd < 0 || out_fd < 0)
		(void)read_failed(why, "for the transport filter", errno);
	else
		ok = write_filtered(o, in_fd, out_fd, why);
	if (in_fd >= 0)
		close(in_fd);
	if (out_fd >= 0)
		close(out_fd);
	return ok;
}

unsigned transport_output_flags(const struct delivery *d)
{
	const struct transport_generic *g = transport_generic(d);
	return (g->body_only ? OUT_NO_HEADERS : 0u) | (g->headers_only ? OUT_NO_BODY : 0u) |
	    (g->envelope_to_add ? OUT_ENVELOPE_TO : 0u) | (g->delivery_date_add ? OUT_DELIVERY_DATE : 0u) |
	    (g->return_path_add ? OUT_RETURN_PATH : 0u);
}

bool transport_write_message(struct message_output *o, struct why *why)
{
	return o->filter ? through_filter(o, why) : write_plain(o, why);
}
