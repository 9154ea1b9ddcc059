/* SPDX-License-Identifier: Apache-2.0
 * MAIL FROM: parameters (RFC 1870, 3461, 4954, 6152, 6531), sizes, the sender, acl_smtp_mail.
 * Parameters are read from the end of the line while they are known ones (smtp_param_last). */
#include "receive/receive_priv.h"

#include "base/banned.h"

struct mail_params {
	int64_t size; /* -1 none */
	struct str envid, auth;
	enum dsn_ret ret;
	uint8_t body;
	bool envid_set, auth_set, prdr, utf8, ret_set;
	struct smtp_answer error;
};

static bool param_size(struct mail_params *p, struct str value)
{
	int64_t n = 0;
	size_t i = 0;
	while (i < value.len && ch_digit((unsigned char)value.p[i]) && n < INT64_MAX / 100)
		n = n * 10 + (value.p[i++] - '0');
	p->size = n;
	return true;
}

static bool param_error(struct mail_params *p, const char *text)
{
	p->error = answer_fault(SMTP_SYNTAX_ERROR, 501, str_c(text));
	return true;
}

/* One parameter; false: not one of ours, so it belongs to the address (Exim). */
static bool take_param(struct receive_session *rs, struct mail_params *p, struct str name, struct str value)
{
	if (str_ieqc(name, "SIZE"))
		return param_size(p, value);
	if (str_ieqc(name, "BODY") && rs->cfg->main.accept_8bitmime) {
		p->body = str_ieqc(value, "8BITMIME") ? 8 : str_ieqc(value, "7BIT") ? 7 : 0;
		return p->body ? true : param_error(p, "invalid data for BODY");
	}
	if (str_ieqc(name, "AUTH") && str_is_set(value)) {
		p->auth = value;
		return p->auth_set = true;
	}
	if (str_ieqc(name, "PRDR") && rs->prdr_offered)
		return p->prdr = true;
	if (str_ieqc(name, "SMTPUTF8") && !str_is_set(value) && rs->utf8_offered)
		return p->utf8 = true;
	if (!rs->dsn_offered)
		return false;
	if (str_ieqc(name, "RET")) {
		if (p->ret_set)
			return param_error(p, "RET can be specified once only");
		p->ret = str_ieqc(value, "FULL") ? DSN_RET_FULL : str_ieqc(value, "HDRS") ? DSN_RET_HDRS : DSN_RET_NONE;
		p->ret_set = true;
		return p->ret != DSN_RET_NONE || str_empty(value) ? true : param_error(p, "Value for RET is invalid");
	}
	if (str_ieqc(name, "ENVID")) {
		if (p->envid_set)
			return param_error(p, "ENVID can be specified once only");
		p->envid = value;
		return p->envid_set = true;
	}
	return false;
}

/* The parameters off the end; *ret_rest is what is left for the address. False: p->error. */
static bool read_params(struct receive_session *rs, struct str raw, struct mail_params *p, struct str *ret_rest)
{
	struct str rest = raw, name, value, before = raw;
	*p = (struct mail_params){.size = -1};
	while (rs->peer.esmtp && smtp_param_last(&rest, &name, &value)) {
		if (!take_param(rs, p, name, value))
			break;
		if (p->error.code)
			return false;
		before = rest;
	}
	*ret_rest = before;
	return true;
}

/* RFC 3461 xtext: "+" and two upper-case hex digits. */
bool rs_xtext_decode(struct arena *a, struct str s, struct str *ret)
{
	char *to = arena_alloc(a, s.len + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '+') {
			static const char hex[] = "0123456789ABCDEF";
			const char *h = i + 2 < s.len + 0u ? memchr(hex, ch_toupper(s.p[i + 1]), 16) : NULL;
			const char *l = h ? memchr(hex, ch_toupper(s.p[i + 2]), 16) : NULL;
			if (!l)
				return false;
			to[n++] = (char)((h - hex) * 16 + (l - hex));
			i += 2;
		} else if (c < 33 || c > 126 || c == '=') {
			return false;
		} else {
			to[n++] = (char)c;
		}
	}
	*ret = str_tainted(str_n(to, n));
	return true;
}

static bool helo_missing(struct receive_session *rs)
{
	if (rs->helo_given || rs->local || str_empty(rs->peer.host_address))
		return false;
	if (!rs->helo_required_known) {
		rs->helo_required = rs_host_in(rs, &rs->cfg->main.hosts_require_helo) || rs_host_in(rs, &rs->cfg->main.helo_verify_hosts);
		rs->helo_required_known = true;
	}
	return rs->helo_required;
}

static bool too_many_messages(struct receive_session *rs)
{
	int64_t most;
	if (!rs_expand_size(rs, &rs->cfg->main.smtp_accept_max_per_connection, 1000, &most))
		return false;
	return most > 0 && rs->messages + 1 > most;
}

static struct smtp_answer too_big(struct receive_session *rs, struct str path, int64_t size, int64_t limit)
{
	if (config_logs(rs->cfg, LOGSEL_SIZE_REJECT))
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "rejected MAIL FROM:%.*s %.*s: message too big: size%s%lld max=%lld",
		    STR_ARG(str_rtrim(path)), STR_ARG(rs_who(rs)), size >= INT32_MAX ? ">=" : "=",
		    (long long)(size >= INT32_MAX ? INT32_MAX : size), (long long)limit);
	return answer(552, "Message size exceeds maximum permitted");
}

static bool space_is_short(struct receive_session *rs, int64_t size)
{
	const struct main_options *m = &rs->cfg->main;
	if (!rs->spool || rs->test_host)
		return false;
	int64_t extra = m->smtp_check_spool_space && size > 0 ? size + 5000 : 0;
	int64_t space, inodes;
	if (spool_check_space(rs->spool, extra) == SPACE_OK)
		return false;
	spool_free_space(rs->spool, &space, &inodes);
	rs_log(rs, LOGTO_MAIN, "spool directory space check failed: space=%lld inodes=%lld", (long long)(space < 0 ? -1 : space / 1024), (long long)inodes);
	return true;
}

/* AUTH= (manual 44.5 acl_smtp_mailauth): trusted by default only from authenticated clients. */
static void judge_auth(struct receive_session *rs, struct str who)
{
	const struct xstr *acl = &rs->cfg->main.acl_smtp_mailauth;
	const char *why = NULL;
	if (str_eqc(who, "<>"))
		return;
	rs->tx->m->peer.auth_sender = who;
	if (!str_is_set(acl->text)) {
		if (str_empty(rs->peer.auth_name))
			why = "client not authenticated";
	} else {
		struct moment mo;
		moment_open(&mo, rs);
		struct str user = STR_NONE, log = STR_NONE;
		mo.frame.where = ACL_MAILAUTH;
		enum acl_verdict v = acl_run(&mo.ev, &mo.frame, acl, &user, &log);
		if (v == ACL_FAIL || v == ACL_DROP)
			why = "rejected by ACL";
		else if (v != ACL_OK)
			why = "ACL temporarily failed";
	}
	if (!why) {
		rs->peer.auth_sender = str_dup(rs->arena, who);
		return;
	}
	rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "ignoring AUTH=%.*s from %.*s (%s)", STR_ARG(who), STR_ARG(rs_who(rs)), why);
}

/* The sender out of what is left of the command. False: *ret is the answer. */
static bool take_sender(struct receive_session *rs, struct str rest, struct smtp_answer *ret)
{
	struct receive_tx *tx = rs->tx;
	struct addr_parts parts = {0};
	const char *error = NULL;
	struct str sender;
	if (!rs_parse_address(rs, rest, ADDR_ALLOW_EMPTY, &sender, &parts, &error)) {
		struct str text = rs->batch ? str_dup(rs->env->scratch, str_c(error)) : str_printf(rs->env->scratch, "%.*s: %s", STR_ARG(rest), error);
		*ret = answer_fault(SMTP_SYNTAX_ERROR, 501, text);
		ret->fault_text = str_c(error);
		return false;
	}
	if (!str_empty(sender) && !str_is_set(parts.domain)) {
		if (!rs_may_be_unqualified(rs, true)) {
			rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "unqualified sender rejected: <%.*s> %.*s", STR_ARG(sender), STR_ARG(rs_who(rs)));
			struct str text = str_printf(rs->env->scratch, "%.*s: sender address must contain a domain", STR_ARG(str_trim(rest)));
			*ret = answer_str(501, text);
			return false;
		}
		sender = rs_qualify(tx->arena, sender, rs->cfg->qualify_domain);
	}
	tx->m->sender = str_tainted(str_dup(tx->arena, sender));
	tx->m->original_sender = tx->m->sender;
	if (!str_empty(sender))
		tx->m->sender = str_dup(tx->arena, rs_rewrite(rs, tx->m->sender, REWRITE_ENV_FROM));
	return true;
}

/* -bs by an untrusted user: the sender is the user, unless untrusted_set_sender says otherwise. What MAIL
 * said stands until the message comes, so that ACLs see it. */
void rs_override_sender(struct receive_session *rs)
{
	const struct local_caller *c = rs->caller;
	struct message *m = rs->tx->m;
	if (!rs->smtp || !rs->local || !c || c->trusted || rs->test_host)
		return;
	struct str own = str_cat(rs->tx->arena, c->login, STR("@"), rs->cfg->qualify_domain);
	if (str_ieq(m->sender, own))
		return;
	if (!str_empty(rs->cfg->main.untrusted_set_sender.text) && rs_untrusted_may_set(rs, m->sender)) {
		m->sender_set_untrusted = true;
		return;
	}
	m->sender_local = true;
	m->sender = m->original_sender = own;
}

bool rs_untrusted_may_set(struct receive_session *rs, struct str sender)
{
	if (str_empty(sender))
		return true;
	if (str_empty(rs->cfg->main.untrusted_set_sender.text))
		return false;
	struct moment mo;
	moment_open(&mo, rs);
	return match_address(&mo.ev.lx, &rs->cfg->main.untrusted_set_sender, sender, MATCH_SENDER, NULL) == MATCH_YES;
}

static struct smtp_answer accept_sender(struct receive_session *rs, const struct mail_params *p)
{
	struct receive_tx *tx = rs->tx;
	struct smtp_answer a = answer(250, p->prdr ? "OK, PRDR Requested" : "OK");
	if (!str_is_set(rs->cfg->main.acl_smtp_mail.text))
		return a;
	struct moment mo;
	moment_open(&mo, rs);
	struct str what = str_printf(rs->env->scratch, "MAIL <%.*s>", STR_ARG(tx->m->sender));
	enum acl_verdict v = rs_acl(rs, &mo, ACL_MAIL, &rs->cfg->main.acl_smtp_mail, what, 250, a.text, &a);
	if (v == ACL_DISCARD) {
		tx->discarded = true;
		tx->discarded_by = STR("MAIL ACL");
	}
	return a;
}

static void keep_params(struct receive_session *rs, const struct mail_params *p)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	m->body_type = p->body;
	m->dsn_ret = p->ret;
	if (p->envid_set)
		m->dsn_envid = str_tainted(str_dup(tx->arena, p->envid));
	m->smtputf8 = p->utf8;
	m->sender_set = true;
	tx->prdr = p->prdr;
	tx->announced = p->size;
}

static struct smtp_answer begin_mail(struct receive_session *rs, struct str rest, const struct mail_params *p)
{
	struct smtp_answer a;
	struct str auth = STR_NONE;
	int64_t limit;
	if (p->auth_set && !rs_xtext_decode(rs->env->scratch, p->auth, &auth))
		return answer_fault(SMTP_SYNTAX_ERROR, 501, STR("invalid data for AUTH"));
	if (!rs_expand_size(rs, &rs->cfg->main.message_size_limit, 50 << 20, &limit))
		return answer(451, "Temporary local problem - please try later");
	if (limit > 0 && p->size > limit)
		return too_big(rs, rest, p->size, limit);
	if (space_is_short(rs, p->size))
		return answer(452, "Space shortage, please try later");
	rs->peer.smtputf8 = p->utf8;
	rs_set_protocol(rs);
	struct receive_tx *tx = tx_begin(rs);
	tx->size_limit = limit;
	keep_params(rs, p);
	if (!take_sender(rs, rest, &a)) {
		a.fault_text = str_is_set(a.fault_text) ? str_dup(rs->env->scratch, a.fault_text) : STR_NONE;
		tx_end(rs, NULL);
		return a;
	}
	if (p->auth_set)
		judge_auth(rs, str_dup(tx->arena, auth));
	a = accept_sender(rs, p);
	if (a.code / 100 == 2) {
		rs->messages++;
		return a;
	}
	a.text = str_dup(rs->env->scratch, a.text); /* it outlives the message's arena */
	tx_end(rs, NULL);
	return a;
}

struct smtp_answer policy_mail(void *arg, const struct smtp_path_cmd *c)
{
	struct receive_session *rs = arg;
	struct mail_params p;
	struct str rest;
	rs_command_begins(rs);
	if (helo_missing(rs)) {
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "rejected MAIL from %.*s: no HELO/EHLO given", STR_ARG(rs_from(rs)));
		return answer(503, "HELO or EHLO required");
	}
	if (str_empty(c->raw))
		return answer_fault(SMTP_PROTOCOL_ERROR, 501, STR("MAIL must have an address operand"));
	if (too_many_messages(rs)) {
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "rejected MAIL command %.*s: too many messages in one connection", STR_ARG(rs_who(rs)));
		return answer(421, "too many messages in this connection");
	}
	rs->mail_given = true;
	rs->batch_line = smtp_session_lines(rs->smtp) - 1;
	rs->batch_begun = true;
	rs->orphan_rcpt = false;
	if (!read_params(rs, c->raw, &p, &rest))
		return p.error;
	return begin_mail(rs, rest, &p);
}
