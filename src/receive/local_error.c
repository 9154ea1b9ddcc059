/* SPDX-License-Identifier: Apache-2.0
 * A local message that cannot be taken: told on standard error (-oep, -oeq) or by mail to its
 * sender (-oee, -oem, -oew), with Exim's texts and exit statuses (manual 5). */
#include "receive/receive_priv.h"

#include <unistd.h>

#include "base/banned.h"

static const char *const subjects[] = {
	[LOCAL_NO_RECIPIENTS] = "no recipient addresses", [LOCAL_ALL_REMOVED] = "no recipient addresses",
	[LOCAL_BAD_ARGUMENT] = "malformed recipient address", [LOCAL_BAD_HEADERS] = "malformed recipient address",
	[LOCAL_TOO_BIG] = "message too big", [LOCAL_HEADER_TOO_LONG] = "overlong header line",
	[LOCAL_REJECTED] = "rejected by local scanning code", [LOCAL_DEFERRED] = "rejected by local scanning code",
	[LOCAL_SPOOL] = "system failure",
};

static void tell_bad(struct strbuf *sb, const struct local_report *r)
{
	bool many = r->bad && r->bad->next;
	sb_addc(sb, "A message that you sent contained one or more recipient addresses that were\nincorrectly constructed:\n\n");
	for (const struct bad_address *b = r->bad; b; b = b->next)
		sb_printf(sb, "  %.*s: %.*s\n", STR_ARG(b->text), STR_ARG(b->error));
	sb_printf(sb, "\n%s been ignored. ", many ? "These addresses have" : "This address has");
	sb_addc(sb, r->some_good ? "The other addresses in the message were\nsyntactically valid and have been passed on for an attempt at delivery.\n" :
	    "There were no other addresses in your\nmessage, and so no delivery was attempted.\n");
}

static void tell(struct receive_session *rs, struct strbuf *sb, const struct local_report *r)
{
	switch (r->kind) {
	case LOCAL_NO_RECIPIENTS:
		sb_addc(sb, "A message that you sent contained no recipient addresses, and therefore no\ndelivery could be attempted.\n");
		break;
	case LOCAL_ALL_REMOVED:
		sb_addc(sb, "A message that you sent using the -t command line option contained no\naddresses that were not also on the command line, and were therefore\n"
		    "suppressed. This left no recipient addresses, and so no delivery could\nbe attempted.\n");
		break;
	case LOCAL_BAD_ARGUMENT:
		sb_printf(sb, "A message that you sent contained a recipient address that was incorrectly\nconstructed:\n\n  %.*s  %.*s\n\n"
		    "The message has not been delivered to any recipients.\n", STR_ARG(r->text), STR_ARG(r->error));
		break;
	case LOCAL_BAD_HEADERS: tell_bad(sb, r); break;
	case LOCAL_TOO_BIG:
		sb_addc(sb, "A message that you sent was longer than the maximum size allowed on this\nsystem. It was not delivered to any recipients.\n");
		break;
	case LOCAL_HEADER_TOO_LONG:
		sb_printf(sb, "A message that you sent contained a header line that was excessively\nlong and could not be handled by the mail transmission software. The\n"
		    "message has not been delivered to any recipients.\n");
		break;
	case LOCAL_REJECTED:
	case LOCAL_DEFERRED:
		sb_addc(sb, "A message that you sent was rejected by the local scanning code that\nchecks incoming messages on this system.");
		if (!str_empty(r->text))
			sb_printf(sb, " The following error was given:\n\n  %.*s", STR_ARG(r->text));
		sb_ch(sb, '\n');
		break;
	case LOCAL_SPOOL:
		sb_printf(sb, "A system failure was encountered while processing a message that you sent,\nso it has not been possible to deliver it. The error was:\n\n  %.*s\n",
		    STR_ARG(r->text));
		break;
	}
	(void)rs;
}

/* The line for standard error. */
static struct str one_line(struct receive_session *rs, const struct local_report *r)
{
	struct arena *a = rs->env->scratch;
	switch (r->kind) {
	case LOCAL_NO_RECIPIENTS:
	case LOCAL_ALL_REMOVED: return STR("no recipients in message");
	case LOCAL_BAD_ARGUMENT: return str_printf(a, "bad recipient address \"%.*s\": %.*s", STR_ARG(r->text), STR_ARG(r->error));
	case LOCAL_BAD_HEADERS:
		if (!r->bad->next)
			return str_printf(a, "invalid address: %.*s: %.*s", STR_ARG(r->bad->text), STR_ARG(r->bad->error));
		break;
	case LOCAL_TOO_BIG: return str_printf(a, "message rejected: message too big (max=%lld)", (long long)rs->tx->size_limit);
	case LOCAL_HEADER_TOO_LONG: return STR("header line too long: message abandoned");
	case LOCAL_REJECTED:
		if (str_eqc(r->text, "too many recipients"))
			return r->text;
		return str_printf(a, "message rejected by non-SMTP ACL: %.*s", STR_ARG(r->text));
	case LOCAL_DEFERRED: return str_printf(a, "message rejected by non-SMTP ACL: %.*s", STR_ARG(r->text));
	case LOCAL_SPOOL: return str_printf(a, "failed to write message on spool: %.*s", STR_ARG(r->text));
	}
	struct strbuf sb;
	sb_init(&sb, a, 65536);
	sb_addc(&sb, "invalid addresses:");
	for (const struct bad_address *b = r->bad; b; b = b->next)
		sb_printf(&sb, "\n  %.*s: %.*s", STR_ARG(b->text), STR_ARG(b->error));
	return sb_str(&sb);
}

/* The message as far as it came, behind the report (bounce_return_size_limit of it). */
static void add_copy(struct receive_session *rs, struct strbuf *sb)
{
	struct receive_tx *tx = rs->tx;
	int fd = -1;
	int64_t offset, size, limit = rs->cfg->main.bounce_return_size_limit;
	if (!rs->cfg->main.bounce_return_message)
		return;
	sb_addc(sb, "\n------ This is a copy of your message, including all the headers. ------\n\n");
	for (const struct header *h = tx->m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD)
			sb_add(sb, h->text);
	if (!rs->cfg->main.bounce_return_body || !tx->writer || spool_body_fd(tx->writer, &fd, &offset, &size) != ST_OK)
		return;
	sb_ch(sb, '\n');
	if (limit > 0 && size > limit)
		size = limit;
	char *p = arena_alloc(tx->arena, (size_t)size + 1);
	ssize_t n = pread(fd, p, (size_t)size, offset);
	if (n > 0)
		sb_addn(sb, p, (size_t)n);
}

static bool mail_it(struct receive_session *rs, const struct receive_opts *o, const struct local_report *r)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	struct strbuf sb;
	sb_init(&sb, tx->arena, LIMIT_ARENA_MESSAGE / 4);
	sb_addc(&sb, "Auto-Submitted: auto-replied\n");
	sb_printf(&sb, "From: Mail Delivery System <Mailer-Daemon@%.*s>\nTo: %.*s\n", STR_ARG(rs->cfg->qualify_domain), STR_ARG(m->sender));
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (h->kind == HDR_ID && !str_istarts(h->text, "Resent-")) {
			sb_printf(&sb, "References: %.*s\n", STR_ARG(str_trim(header_value(h))));
			break;
		}
	sb_printf(&sb, "Subject: Mail failure - %s\n\n", subjects[r->kind]);
	tell(rs, &sb, r);
	add_copy(rs, &sb);
	return rs_submit_bounce(rs, o, m->sender, sb_str(&sb));
}

int rs_local_report(struct receive_session *rs, const struct receive_opts *o, int err_fd, const struct local_report *r)
{
	char mode = rs->caller->error_mode ? rs->caller->error_mode : 'm';
	bool none = r->kind == LOCAL_NO_RECIPIENTS || r->kind == LOCAL_ALL_REMOVED;
	if (mode == 'p' || mode == 'q') {
		dprintf(err_fd, "exim: %.*s\n", STR_ARG(one_line(rs, r)));
		return 1;
	}
	if (str_empty(rs->tx->m->sender)) {
		struct str ref = rs->tx->reference;
		struct str line = one_line(rs, r);
		if (str_starts(line, "message rejected "))
			line = str_from(line, 8);
		if (r->kind == LOCAL_TOO_BIG)
			line = str_printf(rs->env->scratch, "message too big (limit set to %lld)", (long long)rs->tx->size_limit);
		rs_log_id(rs, LOGTO_MAIN, "Error while reading message with no usable sender address%s%.*s%s: %.*s", ref.len ? " (R=" : "", STR_ARG(ref),
		    ref.len ? ")" : "", STR_ARG(line));
		return none ? 2 : 1;
	}
	bool sent = mail_it(rs, o, r);
	if (mode != 'e')
		return 1;
	return sent ? 0 : none ? 2 : 1;
}

bool rs_submit_bounce(struct receive_session *rs, const struct receive_opts *o, struct str to, struct str text)
{
	struct local_caller c = {.uid = rs->env->exim_uid, .gid = rs->env->exim_gid, .login = rs->cfg->exim_user_name, .trusted = true, .admin = true,
	    .sender = STR("<>"), .sender_given = true, .error_mode = 'p', .deliver_mode = rs->caller->deliver_mode};
	struct receive_opts inner = *o;
	inner.caller = &c;
	inner.sender_host_address = inner.interface_address = STR_NONE;
	struct receive_session *b = receive_session_new(rs->stream, &inner);
	b->local = true;
	b->test_fd = -1;
	b->mark = arena_mark(b->env->scratch);
	struct receive_tx *tx = tx_begin(b);
	struct why why = {0};
	struct smtp_answer a;
	tx->m->sender = STR("");
	tx->m->sender_set = tx->m->local_error = true;
	tx->reference = str_dup(tx->arena, str_c(rs->tx->m->id));
	b->peer.received_protocol = STR("local");
	bool good = rs_open_data(b, &why);
	if (good) {
		(void)build_feed(&tx->build, text.p, text.len);
		build_finish(&tx->build);
		(void)message_add_recipient(tx->m, str_dup(tx->arena, to));
		good = tx->build.trouble == BUILD_OK && rs_finish(b, &a) == FINISH_OK;
	}
	rs_close_data(b);
	arena_release(b->env->scratch, b->mark);
	receive_session_free(b);
	return good;
}
