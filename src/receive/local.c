/* SPDX-License-Identifier: Apache-2.0
 * A message on standard input, not SMTP (manual 5: -bm, -t, -f, -F, -i, -oe..., -oM...; 48). The
 * same transaction as behind SMTP, fed from a stream of LF lines. */
#include "receive/receive_priv.h"

#include <unistd.h>

#include "smtp/dot.h"

#include "base/banned.h"

#define STEP 4096u

/* -f: trusted callers may name any sender, others <> or what untrusted_set_sender allows. */
static void set_sender(struct receive_session *rs)
{
	const struct local_caller *c = rs->caller;
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	struct str own = str_cat(tx->arena, c->login, STR("@"), rs->cfg->qualify_domain);
	struct addr_parts parts = {0};
	const char *error;
	struct str given;
	m->sender = own;
	m->sender_local = str_empty(rs->peer.host_address);
	m->sender_set = true;
	struct str wish = str_empty(str_trim(c->sender)) ? STR("<>") : c->sender;
	if (c->sender_given && addr_parse(tx->arena, wish, rs_address_flags(rs) | ADDR_ALLOW_EMPTY, &given, &parts, &error)) {
		if (!str_empty(given) && !str_is_set(parts.domain))
			given = rs_qualify(tx->arena, given, rs->cfg->qualify_domain);
		bool same = str_ieq(given, own);
		if (!same && (c->trusted || rs_untrusted_may_set(rs, given))) {
			m->sender = str_dup(tx->arena, given);
			m->sender_local = false;
			m->sender_set_untrusted = !c->trusted;
		}
	}
	m->original_sender = m->sender;
	if (!str_empty(m->sender))
		m->sender = str_dup(tx->arena, rs_rewrite(rs, m->sender, REWRITE_ENV_FROM));
	if (m->sender_local && !str_is_set(c->auth_id)) {
		rs->peer.auth_id = c->login;
		rs->peer.auth_sender = str_is_set(c->auth_sender) ? c->auth_sender : str_dup(rs->arena, own);
	}
}

static void set_protocol(struct receive_session *rs)
{
	const struct local_caller *c = rs->caller;
	rs->peer.received_protocol = str_is_set(c->protocol) ? c->protocol : STR("local");
}

/* Arguments may be lists: "a@b,c@d". False: one is bad, told in *r. */
static bool take_arguments(struct receive_session *rs, const struct str *arg, size_t count, struct local_report *r)
{
	struct receive_tx *tx = rs->tx;
	for (size_t i = 0; i < count; i++) {
		struct rd list = rd_of(str_tainted(arg[i]));
		struct str member, address;
		while (addr_list_next(&list, &member, NULL)) {
			struct addr_parts parts = {0};
			const char *error = "";
			if (str_empty(str_trim(member)))
				continue;
			if (!addr_parse(tx->arena, member, rs_address_flags(rs) | ADDR_IN_HEADER | ADDR_ALLOW_UNQUALIFIED, &address, &parts, &error)) {
				*r = (struct local_report){.kind = LOCAL_BAD_ARGUMENT, .text = str_trim(member), .error = str_c(error)};
				return false;
			}
			if (!str_is_set(parts.domain))
				address = rs_qualify(tx->arena, address, rs->cfg->qualify_recipient);
			struct str final = str_tainted(str_dup(tx->arena, rs_rewrite(rs, address, REWRITE_ENV_TO)));
			struct recipient *rcpt = message_add_recipient(tx->m, final);
			rcpt->dsn_notify = rs->caller->dsn_notify;
		}
	}
	return true;
}

/* All of the input into the message; false when reading failed. */
static bool read_message(struct receive_session *rs, struct stream *in)
{
	struct receive_tx *tx = rs->tx;
	struct dot d;
	char out[2 * STEP + DOT_MORE];
	dot_init(&d, BARE_EXIM, rs->caller->dot_ends);
	d.plain_dots = true;
	d.lf_body = true;
	stream_set_timeout(in, (int64_t)rs->cfg->main.receive_timeout * 1000);
	while (!d.done) {
		struct str text;
		enum status st = stream_peek(in, &text);
		if (st == ST_EOF)
			break;
		if (st != ST_OK) {
			rs_log(rs, LOGTO_MAIN, st == ST_TIMEOUT ? "timed out while reading local message" : "error while reading local message");
			return false;
		}
		size_t n = text.len < STEP ? text.len : STEP, len;
		size_t used = dot_feed(&d, text.p, n, out, &len);
		if (len)
			(void)policy_data_chunk(rs, out, len);
		stream_consume(in, used);
	}
	if (!d.done) {
		size_t n = dot_finish(&d, out);
		if (n)
			(void)policy_data_chunk(rs, out, n);
	}
	build_finish(&tx->build);
	return true;
}

static bool start_acl(struct receive_session *rs)
{
	const struct xstr *acl = &rs->cfg->main.acl_not_smtp_start;
	struct str user, log;
	struct moment mo;
	if (!str_is_set(acl->text))
		return true;
	moment_open(&mo, rs);
	mo.frame.where = ACL_NOT_SMTP_START;
	if (acl_run(&mo.ev, &mo.frame, acl, &user, &log) != ACL_ERROR) /* its verdict is ignored (44.5) */
		return true;
	rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "ACL for non-SMTP-start returned ERROR: %.*s", STR_ARG(log));
	return true;
}

/* -t, and whether anybody is to get it. False: *r says why not. */
static bool settle_recipients(struct receive_session *rs, const struct receive_opts *o, int err_fd, size_t args, struct local_report *r)
{
	const struct local_caller *c = rs->caller;
	struct bad_address *bad = NULL;
	if (c->extract_recipients) {
		enum extract e = rs_extract_recipients(rs, rs->cfg->main.extract_addresses_remove_arguments, &bad);
		if (bad) {
			rs_log_id(rs, LOGTO_MAIN | LOGTO_PANIC, "%s bad addresses found in headers", rs->tx->m->id);
			*r = (struct local_report){.kind = LOCAL_BAD_HEADERS, .bad = bad, .some_good = rs->tx->m->recipients > 0};
			bool to_stderr = c->error_mode == 'p' || c->error_mode == 'q';
			if (to_stderr || !r->some_good)
				return false;
			(void)rs_local_report(rs, o, err_fd, r);
		}
		if (e == EXTRACT_NONE) {
			rs_log_id(rs, LOGTO_MAIN | LOGTO_PANIC, "%s no recipients found in headers", rs->tx->m->id);
			*r = (struct local_report){.kind = args && rs->cfg->main.extract_addresses_remove_arguments ? LOCAL_ALL_REMOVED : LOCAL_NO_RECIPIENTS};
			return false;
		}
	}
	int64_t most;
	if (rs_expand_size(rs, &rs->cfg->main.recipients_max, 50000, &most) && most > 0 && (int64_t)rs->tx->m->recipients > most) {
		*r = (struct local_report){.kind = LOCAL_REJECTED, .text = STR("too many recipients")};
		return false;
	}
	if (rs->tx->m->recipients)
		return true;
	*r = (struct local_report){.kind = LOCAL_NO_RECIPIENTS};
	return false;
}

static bool check_text(struct receive_session *rs, struct local_report *r)
{
	struct receive_tx *tx = rs->tx;
	enum build_trouble trouble = tx->build.trouble;
	struct smtp_answer a = rs_data_trouble(rs, SMTP_EOD_OK);
	if (a.code == 0)
		return true;
	if (tx->write_failed || trouble == BUILD_WRITE_FAILED)
		*r = (struct local_report){.kind = LOCAL_SPOOL, .text = a.text};
	else if (tx->over)
		*r = (struct local_report){.kind = LOCAL_TOO_BIG};
	else
		*r = (struct local_report){.kind = LOCAL_HEADER_TOO_LONG};
	return false;
}

static void note_options(struct receive_session *rs)
{
	const struct local_caller *c = rs->caller;
	struct message *m = rs->tx->m;
	m->dont_deliver = c->no_delivery;
	rs->tx->reference = c->reference;
	m->dsn_ret = c->dsn_full ? DSN_RET_FULL : c->dsn_hdrs ? DSN_RET_HDRS : DSN_RET_NONE;
	if (str_is_set(c->envid))
		m->dsn_envid = c->envid;
	if (!str_empty(c->queue_name))
		m->queue_name = c->queue_name;
	if (c->received_s)
		m->received_us = c->received_s * 1000000;
	m->body_type = str_ieqc(c->body_type, "8BITMIME") ? 8 : str_ieqc(c->body_type, "7BIT") ? 7 : 0;
}

/* False: *r says why it was not taken. */
static bool take(struct receive_session *rs, const struct receive_opts *o, struct stream *in, int err_fd, const struct str *arg, size_t count,
    struct local_report *r)
{
	struct why why = {0};
	struct smtp_answer a = {0};
	struct local_report bad = {0};
	set_sender(rs);
	set_protocol(rs);
	note_options(rs);
	bool args_good = take_arguments(rs, arg, count, &bad);
	if (!args_good && (rs->caller->error_mode == 'p' || rs->caller->error_mode == 'q')) {
		*r = bad;
		return false;
	}
	if (!rs_expand_size(rs, &rs->cfg->main.message_size_limit, 50 << 20, &rs->tx->size_limit))
		rs->tx->size_limit = 50 << 20;
	if (!start_acl(rs))
		return false;
	if (!rs_open_data(rs, &why)) {
		*r = (struct local_report){.kind = LOCAL_SPOOL, .text = str_dup(rs->tx->arena, str_c(why.text))};
		return false;
	}
	if (!read_message(rs, in)) {
		*r = (struct local_report){.kind = LOCAL_SPOOL, .text = STR("message could not be read")};
		return false;
	}
	if (!args_good) {
		*r = bad;
		return false;
	}
	if (!check_text(rs, r))
		return false;
	rs_fix_headers(rs);
	if (!settle_recipients(rs, o, err_fd, count, r))
		return false;
	if (rs_finish(rs, &a) == FINISH_OK)
		return true;
	*r = (struct local_report){.kind = a.code == 451 ? LOCAL_DEFERRED : LOCAL_REJECTED, .text = a.text};
	return false;
}

struct receive_result receive_local(const struct receive_opts *o, struct stream *in, int err_fd, const struct str *recipients, size_t count)
{
	struct receive_result result = {.exit_status = 0};
	struct receive_opts local = *o;
	local.local = true;
	struct receive_session *rs = receive_session_new(in, &local);
	rs->mark = arena_mark(rs->env->scratch);
	rs->marked = true;
	rs_set_rcvhost(rs);
	struct receive_tx *tx = tx_begin(rs);
	tx->no_header_qualify = rs->caller->no_qualify;
	rs->test_fd = -1;
	struct local_report r = {0};
	if (take(rs, o, in, err_fd, recipients, count, &r)) {
		result.accepted = true;
		memcpy(result.id, tx->m->id, sizeof result.id);
	} else {
		result.exit_status = rs_local_report(rs, o, err_fd, &r);
	}
	rs_close_data(rs);
	arena_release(rs->env->scratch, rs->mark);
	rs->marked = false;
	receive_session_free(rs);
	return result;
}
