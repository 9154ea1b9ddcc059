/* SPDX-License-Identifier: Apache-2.0
 * The autoreply transport (manual 27): a new message in answer to this one, specified by a filter
 * (which passes it with the address) or by the transport's options, never by both. The text is
 * made as the user; the parent sends it with an empty sender. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "message/address.h"
#include "transport/drivers/autoreply.h"
#include "transport/steps.h"

#include "base/banned.h"

struct autoreply_options {
	struct xstr bcc, cc, file, from, headers, log, never_mail, once, once_repeat, reply_to, subject, text, to;
	int32_t once_file_size;
	uint32_t mode;
	bool file_expand, file_optional, return_message;
};

/* Header text may go on in lines that begin with white space; nothing else below a space (manual 27). */
static bool clean(struct delivery *d, struct str s, const struct xstr *x)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		bool top_ok = c >= 0x80; /* 8-bit text is what people write in their own languages */
		if (ch_print(c) || top_ok || c == '\t' || (c == '\n' && i + 1 < s.len && (s.p[i + 1] == ' ' || s.p[i + 1] == '\t')))
			continue;
		result_fail(d, DERR_UNKNOWN, "Expansion of \"%.*s\" in %s transport contains non-printing character %d", STR_ARG(x->text),
		    transport_name(d), c);
		return false;
	}
	return true;
}

static bool get(struct delivery *d, const struct xstr *x, const char *what, bool header, struct str *ret)
{
	if (str_empty(x->text)) {
		*ret = STR_NONE;
		return true;
	}
	return option_expand(d, x, what, ret) && (!header || clean(d, *ret, x));
}

static bool time_value(struct delivery *d, const struct xstr *x, int64_t *ret)
{
	struct str text;
	*ret = 0;
	if (!get(d, x, "once_repeat", false, &text))
		return false;
	if (!str_empty(text))
		*ret = interval_parse(text);
	if (*ret >= 0)
		return true;
	result_defer(d, DERR_UNKNOWN, "Invalid time value \"%.*s\" for \"once_repeat\" in %s transport", STR_ARG(text), transport_name(d));
	return false;
}

/* From the options. */
static bool from_options(struct delivery *d, const struct autoreply_options *o, struct address_reply *r)
{
	r->file_expand = o->file_expand;
	r->return_message = o->return_message;
	r->mode = o->mode;
	return get(d, &o->from, "from", true, &r->from) && get(d, &o->reply_to, "reply_to", true, &r->reply_to) &&
	    get(d, &o->to, "to", true, &r->to) && get(d, &o->cc, "cc", true, &r->cc) && get(d, &o->bcc, "bcc", true, &r->bcc) &&
	    get(d, &o->subject, "subject", true, &r->subject) && get(d, &o->headers, "headers", false, &r->headers) &&
	    get(d, &o->text, "text", false, &r->text) && get(d, &o->file, "file", false, &r->file) &&
	    get(d, &o->log, "log", false, &r->logfile) && get(d, &o->once, "once", false, &r->oncelog) &&
	    time_value(d, &o->once_repeat, &r->once_repeat) && option_untainted(d, r->file, "file") &&
	    option_untainted(d, r->logfile, "log file") && option_untainted(d, r->oncelog, "once file");
}

/* ---- never_mail: recipients that match are left out ---- */

static bool filter_list(struct delivery *d, const struct xstr *never, struct str *list)
{
	struct rd r = rd_of(*list);
	struct strbuf sb;
	struct str text, address;
	struct addr_parts parts;
	const char *error;
	sb_init(&sb, d->arena, LIMIT_HEADER_DEFAULT);
	while (addr_list_next(&r, &text, NULL)) {
		bool ok = addr_parse(d->arena, text, ADDR_ALLOW_UNQUALIFIED | ADDR_IN_HEADER | ADDR_ALLOW_LITERAL, &address, &parts, &error);
		enum match_result m = ok ? match_address(&d->eval->lx, never, address, MATCH_CASELESS_LOCAL, NULL) : MATCH_NO;
		if (m == MATCH_DEFER) {
			result_defer(d, DERR_LISTDEFER, "never_mail of %s transport: %.*s", transport_name(d), STR_ARG(d->eval->lx.error));
			return false;
		}
		if (m == MATCH_YES)
			continue;
		if (sb.len)
			sb_addc(&sb, ",\n  ");
		sb_add(&sb, str_trim(text));
	}
	*list = sb.len ? sb_str(&sb) : STR_NONE;
	return true;
}

static bool apply_never(struct delivery *d, const struct autoreply_options *o, struct address_reply *r)
{
	return str_empty(o->never_mail.text) ||
	    (filter_list(d, &o->never_mail, &r->to) && filter_list(d, &o->never_mail, &r->cc) && filter_list(d, &o->never_mail, &r->bcc));
}

/* ---- the text ---- */

static void header(struct strbuf *sb, const char *name, struct str value)
{
	if (!str_empty(str_trim(value)))
		sb_printf(sb, "%s: %.*s\n", name, STR_ARG(str_trim(value)));
}

/* RFC 5322 3.6.4: what it answers; References: gets at most the last dozen ids. */
static void references(struct delivery *d, struct strbuf *sb)
{
	struct str id = STR_NONE, refs = STR_NONE;
	struct strbuf list;
	if (!headers_get(&d->message->headers, d->arena, STR("message-id"), HEADER_RAW, STR_NONE, &id) || str_empty(str_trim(id)))
		return;
	id = str_trim(id);
	header(sb, "In-Reply-To", id);
	sb_init(&list, d->arena, LIMIT_HEADER_DEFAULT);
	if (headers_get(&d->message->headers, d->arena, STR("references"), HEADER_RAW, STR_NONE, &refs)) {
		enum { MOST = 12 };
		struct str words[MOST];
		unsigned n = 0;
		struct rd r = rd_of(refs);
		for (struct str w = rd_word(&r); w.len; w = rd_word(&r))
			words[n++ % MOST] = w;
		for (unsigned i = n > MOST ? n - MOST : 0; i < n; i++)
			sb_printf(&list, "%.*s\n ", STR_ARG(words[i % MOST]));
	}
	sb_add(&list, id);
	header(sb, "References", sb_str(&list));
}

static bool add_line(struct delivery *d, struct strbuf *sb, struct str line, bool expand_it)
{
	struct str text = line;
	if (expand_it && expand_text(d->eval, line, &text) != EXPAND_OK) {
		result_defer(d, DERR_UNKNOWN, "Expansion of file line in %s transport failed: %.*s", transport_name(d),
		    STR_ARG(d->eval->lx.error));
		return false;
	}
	sb_add(sb, text);
	sb_ch(sb, '\n');
	return true;
}

static bool add_file(struct delivery *d, const struct autoreply_options *o, const struct address_reply *r, struct strbuf *sb)
{
	char *name = str_cstr(d->arena, r->file), *line = NULL;
	size_t room = 0;
	ssize_t n;
	bool ok = true;
	if (r->file.p[0] != '/') {
		result_defer(d, DERR_NOTABSOLUTE, "The file name \"%s\" of %s transport is not absolute", name, transport_name(d));
		return false;
	}
	FILE *f = fopen(name, "re");
	if (!f) {
		int err = errno;
		if (o->file_optional)
			return true;
		result_defer(d, err, "Failed to open file %s when sending message from %s transport: %s", name, transport_name(d),
		    status_text(ST_ERRNO(err)));
		return false;
	}
	while (ok && (n = getline(&line, &room, f)) > 0)
		ok = add_line(d, sb, str_rtrim(str_n(line, (size_t)n)), r->file_expand);
	free(line);
	(void)fclose(f);
	return ok;
}

static bool copy_out(void *arg, const char *p, size_t n)
{
	struct strbuf *sb = arg;
	sb_addn(sb, p, n);
	if (sb->over)
		errno = EMSGSIZE;
	return !sb->over;
}

/* The original, up to return_size_limit (manual 27 return_message). */
static bool add_original(struct delivery *d, struct strbuf *sb)
{
	int64_t limit = d->config->main.return_size_limit;
	const char *const *filter;
	struct why why = {0};
	struct message_output out = {.delivery = d, .flags = transport_output_flags(d), .write = copy_out, .arg = sb};
	bool whole = limit <= 0 || d->message->size <= limit;
	if (!transport_filter_argv(d, &filter, &why)) {
		result_defer(d, DERR_FILTER_FAIL, "%s", why.text);
		return false;
	}
	out.filter = filter;
	sb_addc(sb, whole ? "\n------ This is a copy of the message, including all the headers.\n------\n\n" :
	        "\n------ This is a copy of the message's headers: the body is too large.\n------\n\n");
	if (!whole)
		out.flags |= OUT_NO_BODY;
	if (transport_write_message(&out, &why))
		return true;
	result_defer(d, why.errnum ? why.errnum : DERR_UNKNOWN, "%s", why.text);
	return false;
}

static bool make_text(struct delivery *d, const struct autoreply_options *o, const struct address_reply *r, struct strbuf *sb)
{
	header(sb, "From", r->from);
	header(sb, "Reply-To", r->reply_to);
	header(sb, "To", r->to);
	header(sb, "Cc", r->cc);
	header(sb, "Bcc", r->bcc);
	header(sb, "Subject", r->subject);
	references(d, sb);
	sb_addc(sb, "Auto-Submitted: auto-replied\n");
	if (!str_empty(r->headers)) {
		sb_add(sb, str_rtrim(r->headers));
		sb_ch(sb, '\n');
	}
	sb_ch(sb, '\n');
	if (!str_empty(r->text)) {
		sb_add(sb, r->text);
		if (!str_ends(r->text, "\n"))
			sb_ch(sb, '\n');
	}
	if (!str_empty(r->file) && !add_file(d, o, r, sb))
		return false;
	if (r->return_message && !add_original(d, sb))
		return false;
	if (!sb->over)
		return true;
	result_defer(d, EMSGSIZE, "the reply of %s transport is too large", transport_name(d));
	return false;
}

/* ---- the log file (manual 27 log) ---- */

static void note(struct delivery *d, const struct address_reply *r)
{
	struct strbuf sb;
	struct str when = clock_log(d->arena, clock_s(&d->env->clock), false, false);
	sb_init(&sb, d->arena, LIMIT_HEADER_DEFAULT);
	sb_printf(&sb, "%.*s\n", STR_ARG(when));
	sb_truncate(&sb, sb.len - 1);
	const struct {
		const char *name;
		struct str value;
	} items[] = {{"From", r->from}, {"To", r->to}, {"Cc", r->cc}, {"Bcc", r->bcc}, {"Subject", r->subject}, {"Headers", r->headers}};
	for (size_t i = 0; i < countof(items); i++) {
		if (!str_empty(items[i].value))
			sb_printf(&sb, "\n  %s: %.*s", items[i].name, STR_ARG(str_trim(items[i].value)));
	}
	sb_ch(&sb, '\n');
	int fd = open(str_cstr(d->arena, r->logfile), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, r->mode & 0777u);
	if (fd < 0 || write(fd, sb.p, sb.len) != (ssize_t)sb.len)
		delivery_log(d, LOGTO_MAIN, "Failed to write to log file %.*s for %s transport: %s", STR_ARG(r->logfile), transport_name(d),
		    status_text(ST_ERRNO(errno)));
	if (fd >= 0)
		close(fd);
}

static void autoreply_run(struct delivery *d)
{
	const struct autoreply_options *o = d->transport->options;
	struct address_reply r = {.mode = o->mode};
	struct once once = {.fd = -1, .size = o->once_file_size};
	struct strbuf sb;
	if (d->addresses->reply) {
		r = *(const struct address_reply *)d->addresses->reply;
		r.mode = r.mode ? r.mode : o->mode;
		r.return_message = r.return_message || o->return_message;
	} else if (!from_options(d, o, &r)) {
		return;
	}
	if (!apply_never(d, o, &r))
		return;
	if (str_empty(str_trim(r.to)) && str_empty(str_trim(r.cc)) && str_empty(str_trim(r.bcc))) {
		result_done(d); /* nobody to write to: a reply to a bounce, say */
		return;
	}
	once.mode = r.mode;
	once.repeat_s = r.once_repeat;
	enum once_answer before = once_ask(d, &once, r.oncelog, r.to);
	if (before == ONCE_FAILED)
		return;
	if (before == ONCE_SENT) {
		result_done(d);
	} else {
		sb_init(&sb, d->arena, LIMIT_IPC_FRAME / 3);
		if (make_text(d, o, &r, &sb)) {
			struct submission s = {.text = sb_str(&sb)};
			if (delivery_submit(d, &s)) {
				once_note(d, &once);
				if (!str_empty(r.logfile))
					note(d, &r);
				result_done(d);
			} else {
				result_defer(d, DERR_UNKNOWN, "failed to send the message of %s transport", transport_name(d));
			}
		}
	}
	once_close(&once);
}

/* ---- options ---- */

#define ROW(name, TYPE, def, flags, doc) OPT_ROW(struct autoreply_options, #name, TYPE, name, def, flags, doc)
static const struct opt_row autoreply_rows[] = {
	ROW(bcc, STRING, NULL, OPT_EXPAND, "Blind copy recipients"),
	ROW(cc, STRING, NULL, OPT_EXPAND, "Cc recipients"),
	ROW(file, STRING, NULL, OPT_EXPAND, "File giving the body"),
	ROW(file_expand, BOOL, "false", 0, "Expand the file line by line"),
	ROW(file_optional, BOOL, "false", 0, "Not an error if the file is missing"),
	ROW(from, STRING, NULL, OPT_EXPAND, "From: text"),
	ROW(headers, STRING, NULL, OPT_EXPAND, "Extra headers"),
	ROW(log, STRING, NULL, OPT_EXPAND, "File recording each message sent"),
	ROW(mode, OCTAL, "0600", 0, "Mode of the log and once files"),
	ROW(never_mail, ADDRESSES, NULL, OPT_EXPAND, "Addresses never replied to"),
	ROW(once, STRING, NULL, OPT_EXPAND, "File of addresses already replied to"),
	ROW(once_file_size, INT, "0", 0, "Most bytes of the once file; 0 means no limit"),
	ROW(once_repeat, STRING, "0s", OPT_EXPAND, "Time after which to reply again"),
	ROW(reply_to, STRING, NULL, OPT_EXPAND, "Reply-To: text"),
	ROW(return_message, BOOL, "false", 0, "Include the original"),
	ROW(subject, STRING, NULL, OPT_EXPAND, "Subject: text"),
	ROW(text, STRING, NULL, OPT_EXPAND, "Body text"),
	ROW(to, STRING, NULL, OPT_EXPAND, "To: recipients"),
};

const struct transport_driver transport_autoreply = {
	.info = {.name = "autoreply", .options = autoreply_rows, .option_count = countof(autoreply_rows),
	    .options_size = sizeof(struct autoreply_options)},
	.local = true,
	.run = autoreply_run,
};
