/* SPDX-License-Identifier: Apache-2.0
 * Variables about the message (struct message; manual 11.9) and its body, of which the beginning
 * and the end are read when asked for. */
#include "expand/tree.h"
#include "message/address.h"
#include "message/header.h"
#include <unistd.h>
#include "base/banned.h"

#define GET(fn) static bool fn(struct eval *ev, void *obj, struct str *ret)
#define MSG ((struct message *)obj)

static struct str number(struct eval *ev, int64_t v)
{
	return str_printf(ev->lx.arena, "%lld", (long long)v);
}

GET(get_id) { *ret = str_c(MSG->id); return true; }
GET(get_age) { *ret = number(ev, MSG->received_us ? (clock_us(&ev->lx.env->clock) - MSG->received_us) / 1000000 : 0); return true; }
GET(get_received_time) { *ret = number(ev, MSG->received_us / 1000000); return true; }
GET(get_uid) { *ret = number(ev, MSG->uid); return true; }
GET(get_gid) { *ret = number(ev, MSG->gid); return true; }
GET(get_recipients_count) { *ret = number(ev, (int64_t)MSG->recipients); return true; }
GET(get_smtputf8) { *ret = MSG->smtputf8 ? STR("1") : STR(""); return true; }

GET(get_body_size)
{
	*ret = number(ev, ev->body_fd >= 0 ? ev->body_size : MSG->body_size);
	return true;
}

GET(get_linecount)
{
	int64_t lines = MSG->body_lines;

	for (const struct header *h = MSG->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD)
			for (uint32_t i = 0; i < h->text.len; i++)
				lines += h->text.p[i] == '\n';
	*ret = number(ev, lines);
	return true;
}

GET(get_received_count)
{
	int64_t n = 0;

	for (const struct header *h = MSG->headers.first; h; h = h->next)
		n += header_is(h, "Received");
	*ret = number(ev, n);
	return true;
}

GET(get_received_for)
{
	if (MSG->recipients == 1)
		*ret = MSG->recipient[0].address;
	return true;
}

GET(get_sender) { *ret = MSG->sender; return true; }

GET(get_sender_domain)
{
	*ret = MSG->sender.p ? addr_split(MSG->sender).domain : STR_NONE;
	return true;
}

GET(get_sender_local_part)
{
	*ret = MSG->sender.p ? addr_split(MSG->sender).local_part : STR_NONE;
	return true;
}

static bool recipients(struct eval *ev, struct message *m, const char *sep, struct str *ret)
{
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, 64u << 20);
	for (size_t i = 0; i < m->recipients; i++) {
		struct str a = m->recipient[i].address;
		if (i)
			sb_addc(&sb, sep);
		if (sep[0] == ',') {
			sb_add(&sb, a);
			continue;
		}
		for (uint32_t k = 0; k < a.len; k++) {
			sb_ch(&sb, a.p[k]);
			if (a.p[k] == ':')
				sb_ch(&sb, ':');
		}
	}
	*ret = sb_str(&sb);
	return true;
}
GET(get_recipients) { return recipients(ev, MSG, ", ", ret); }
GET(get_recipients_list) { return recipients(ev, MSG, ":", ret); }

GET(get_reply_address)
{
	struct str v;

	*ret = STR_NONE;
	if (xheader_value(ev, STR("reply-to"), HEADER_BODY, &v) && !str_empty(v))
		*ret = v;
	else if (xheader_value(ev, STR("from"), HEADER_BODY, &v))
		*ret = v;
	return true;
}

static bool all_headers(struct eval *ev, struct message *m, bool decode, struct str *ret)
{
	struct strbuf sb;
	const char *error;

	sb_init(&sb, ev->lx.arena, 64u << 20);
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD)
			sb_add(&sb, h->text);
	if (sb.len && sb.p[sb.len - 1] == '\n')
		sb_truncate(&sb, sb.len - 1);
	*ret = sb_str(&sb);
	if (decode && ev->lx.config)
		*ret = rfc2047_decode(ev->lx.arena, *ret, ev->lx.config->main.headers_charset.text,
		    ev->lx.config->main.check_rfc2047_length, &error);
	return true;
}
GET(get_headers) { return all_headers(ev, MSG, true, ret); }
GET(get_headers_raw) { return all_headers(ev, MSG, false, ret); }

/* message_body_visible bytes of the body; newlines and zeros become spaces (manual 11.9). */
static bool body_part(struct eval *ev, bool end, struct str *ret)
{
	int64_t visible = ev->lx.config ? ev->lx.config->main.message_body_visible : 500, from = ev->body_offset, left = ev->body_size;
	bool keep = ev->lx.config && ev->lx.config->main.message_body_newlines;

	if (ev->body_fd < 0 || left <= 0 || visible <= 0)
		return true;
	if (left > visible) {
		if (end)
			from += left - visible;
		left = visible;
	}
	char *p = arena_alloc(ev->lx.arena, (size_t)left + 1);
	size_t have = 0;
	while ((int64_t)have < left) {
		ssize_t n = pread(ev->body_fd, p + have, (size_t)left - have, from + (int64_t)have);
		if (n <= 0)
			break;
		have += (size_t)n;
	}
	for (size_t i = 0; i < have; i++)
		if (p[i] == 0 || (p[i] == '\n' && !keep))
			p[i] = ' ';
	*ret = str_n(p, have);
	return true;
}
GET(get_body) { return body_part(ev, false, ret); }
GET(get_body_end) { return body_part(ev, true, ret); }

#define STRV(n, field, tnt) EXPAND_VAR_STR(n, SPACE_MESSAGE, struct message, field, tnt)
#define FN(n, fn, tnt, no) {.name = (n), .space = SPACE_MESSAGE, .kind = VAR_FN, .get = (fn), .taint = (tnt), .none = (no)}
#define INT(n, field) {.name = (n), .space = SPACE_MESSAGE, .kind = VAR_INT32, .offset = offsetof(struct message, field)}
#define INT64(n, field) {.name = (n), .space = SPACE_MESSAGE, .kind = VAR_INT64, .offset = offsetof(struct message, field)}
const struct expand_var vars_message[] = {
    INT("body_linecount", body_lines),
    INT("body_zerocount", body_zeros),
    STRV("local_scan_data", local_scan_data, false),
    INT("max_received_linelength", max_line),
    FN("message_age", get_age, false, "0"),
    FN("message_body", get_body, true, NULL),
    FN("message_body_end", get_body_end, true, NULL),
    FN("message_body_size", get_body_size, false, "0"),
    FN("message_exim_id", get_id, false, NULL),
    FN("message_headers", get_headers, true, NULL),
    FN("message_headers_raw", get_headers_raw, true, NULL),
    FN("message_id", get_id, false, NULL),
    FN("message_linecount", get_linecount, false, "0"),
    INT64("message_size", size),
    FN("message_smtputf8", get_smtputf8, false, NULL),
    FN("originator_gid", get_gid, false, "0"),
    FN("originator_uid", get_uid, false, "0"),
    STRV("queue_name", queue_name, false),
    FN("received_count", get_received_count, false, "0"),
    FN("received_for", get_received_for, true, NULL),
    FN("received_time", get_received_time, false, "0"),
    FN("recipients", get_recipients, true, NULL),
    FN("recipients_count", get_recipients_count, false, "0"),
    FN("recipients_list", get_recipients_list, true, NULL),
    FN("reply_address", get_reply_address, true, NULL),
    FN("sender_address", get_sender, true, NULL),
    FN("sender_address_domain", get_sender_domain, true, NULL),
    FN("sender_address_local_part", get_sender_local_part, true, NULL),
    STRV("spam_bar", spam_bar, false),
    STRV("spam_score", spam_score, false),
    STRV("spam_score_int", spam_score_int, false),
    {0},
};
