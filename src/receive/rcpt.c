/* SPDX-License-Identifier: Apache-2.0
 * RCPT TO: the recipient, DSN parameters (RFC 3461), recipients_max, percent_hack_domains,
 * acl_smtp_rcpt (manual 44.5: without one, nothing is taken from other hosts). */
#include "receive/receive_priv.h"

#include "base/banned.h"

struct rcpt_params {
	struct str orcpt;
	uint8_t notify;
	struct smtp_answer error;
};

static bool param_error(struct rcpt_params *p, const char *text)
{
	p->error = answer_fault(SMTP_SYNTAX_ERROR, 501, str_c(text));
	return true;
}

static bool param_notify(struct rcpt_params *p, struct str value)
{
	static const struct {
		const char *word;
		uint8_t bit;
	} words[] = {{"SUCCESS", DSN_SUCCESS}, {"FAILURE", DSN_FAILURE}, {"DELAY", DSN_DELAY}};
	if (p->notify)
		return param_error(p, "NOTIFY can be specified once only");
	if (str_ieqc(value, "NEVER")) {
		p->notify = DSN_NEVER;
		return true;
	}
	while (str_is_set(value) && value.len) {
		struct str word = str_cut(value, ',', &value);
		uint8_t bit = 0;
		for (size_t i = 0; i < countof(words); i++)
			if (str_ieqc(word, words[i].word))
				bit = words[i].bit;
		if (!bit)
			return param_error(p, "Invalid value for NOTIFY parameter");
		p->notify |= bit;
	}
	return true;
}

static bool take_param(struct rcpt_params *p, struct str name, struct str value)
{
	if (str_ieqc(name, "NOTIFY"))
		return param_notify(p, value);
	if (str_ieqc(name, "ORCPT")) {
		if (str_is_set(p->orcpt))
			return param_error(p, "ORCPT can be specified once only");
		p->orcpt = str_is_set(value) ? value : STR("");
		return true;
	}
	return false;
}

static bool read_params(struct receive_session *rs, struct str raw, struct rcpt_params *p, struct str *ret_rest)
{
	struct str rest = raw, name, value, before = raw;
	*p = (struct rcpt_params){0};
	while (rs->peer.esmtp && rs->dsn_offered && smtp_param_last(&rest, &name, &value)) {
		if (!take_param(p, name, value))
			break;
		if (p->error.code)
			return false;
		before = rest;
	}
	*ret_rest = before;
	return true;
}

/* Refused recipients' replies are told again at DATA, if they are all the same. */
static struct smtp_answer remember(struct receive_session *rs, struct smtp_answer a)
{
	struct receive_tx *tx = rs->tx;
	if (a.code / 100 == 2)
		return a;
	if (!tx) {
		rs->orphan_rcpt = true;
		return a;
	}
	if (!str_is_set(tx->rcpt_reply))
		tx->rcpt_reply = str_dup(tx->arena, a.text);
	else if (!str_eq(tx->rcpt_reply, a.text))
		tx->rcpt_differ = true;
	return a;
}

static struct smtp_answer too_many(struct receive_session *rs)
{
	struct receive_tx *tx = rs->tx;
	bool reject = rs->cfg->main.recipients_max_reject;
	if (!reject)
		tx->rcpt_defer_count++;
	else
		tx->rcpt_fail_count++;
	if (!tx->too_many_logged) {
		tx->too_many_logged = true;
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "too many recipients: %s: sender=<%.*s> %.*s",
		    reject ? "message rejected" : "excess temporarily rejected", STR_ARG(tx->m->sender), STR_ARG(rs_who(rs)));
	}
	return answer(reject ? 552 : 452, "too many recipients");
}

/* user%host@ourdomain for the domains of percent_hack_domains: user@host. */
static struct str percent_hack(struct receive_session *rs, struct str address)
{
	const struct xstr *list = &rs->cfg->main.percent_hack_domains;
	if (str_empty(list->text) || str_chr(address, '%') < 0)
		return address;
	struct moment mo;
	moment_open(&mo, rs);
	for (;;) {
		struct addr_parts parts = addr_split(address);
		ptrdiff_t at = str_rchr(parts.local_part, '%');
		if (at < 0 || match_domain(&mo.ev.lx, list, parts.domain, 0, NULL) != MATCH_YES)
			return address;
		address = rs_qualify(rs->tx->arena, str_sub(parts.local_part, 0, (size_t)at), str_from(parts.local_part, (size_t)at + 1));
	}
}

/* False: *ret is the answer. */
static bool take_recipient(struct receive_session *rs, struct str rest, struct str *ret_address, struct smtp_answer *ret)
{
	struct receive_tx *tx = rs->tx;
	struct addr_parts parts = {0};
	const char *error = NULL;
	struct str address;
	if (!rs_parse_address(rs, rest, 0, &address, &parts, &error)) {
		*ret = answer_fault(SMTP_SYNTAX_ERROR, 501, rs->batch ? str_c(error) : str_printf(tx->arena, "%.*s: %s", STR_ARG(rest), error));
		ret->fault_text = str_c(error);
		return false;
	}
	if (!str_is_set(parts.domain)) {
		if (!rs_may_be_unqualified(rs, false) && !str_ieqc(address, "postmaster")) {
			rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "unqualified recipient rejected: <%.*s> %.*s", STR_ARG(address), STR_ARG(rs_who(rs)));
			*ret = answer_str(501, str_printf(tx->arena, "%.*s: recipient address must contain a domain", STR_ARG(str_trim(rest))));
			return false;
		}
		address = rs_qualify(tx->arena, address, rs->cfg->qualify_recipient);
	}
	address = percent_hack(rs, address);
	*ret_address = str_tainted(str_dup(tx->arena, rs_rewrite(rs, address, REWRITE_ENV_TO)));
	return true;
}

static enum acl_verdict judge(struct receive_session *rs, struct str address, struct str raw, struct smtp_answer *ret)
{
	const struct xstr *acl = &rs->cfg->main.acl_smtp_rcpt;
	struct str what = str_printf(rs->env->scratch, "RCPT %.*s", STR_ARG(str_trim(raw)));
	*ret = answer(250, "Accepted");
	if (!str_is_set(acl->text) && rs->batch && str_empty(rs->peer.host_address))
		return ACL_OK; /* -bS: there is nobody to refuse */
	struct moment mo;
	moment_open(&mo, rs);
	struct addr_view view = {.address = address, .uid = -1, .gid = -1};
	struct addr_parts parts = addr_split(address);
	view.local_part = view.original_local_part = parts.local_part;
	view.domain = view.original_domain = parts.domain;
	mo.ev.space[SPACE_ADDRESS] = &view;
	mo.frame.recipient = address;
	static const struct xstr none = {.text = {.p = "deny", .len = 4}};
	return rs_acl(rs, &mo, ACL_RCPT, str_is_set(acl->text) ? acl : &none, what, 250, STR("Accepted"), ret);
}

static struct smtp_answer decide(struct receive_session *rs, struct str address, struct str raw, const struct rcpt_params *p)
{
	struct receive_tx *tx = rs->tx;
	struct smtp_answer a;
	if (tx->discarded) /* by the MAIL ACL: taken, and thrown away */
		return answer(250, "Accepted");
	switch (judge(rs, address, raw, &a)) {
	case ACL_OK: {
		struct recipient *r = message_add_recipient(tx->m, address);
		r->dsn_notify = p->notify;
		if (!str_empty(p->orcpt))
			r->orcpt = str_tainted(str_dup(tx->arena, p->orcpt));
		break;
	}
	case ACL_DISCARD:
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "%.*s F=<%.*s> RCPT %.*s: discarded by RCPT ACL", STR_ARG(rs_who(rs)),
		    STR_ARG(tx->m->sender), STR_ARG(str_trim(raw)));
		tx->rcpt_discarded = true;
		tx->discarded_by = STR("RCPT ACL");
		break;
	case ACL_FAIL:
	case ACL_DROP: tx->rcpt_fail_count++; break;
	case ACL_DEFER:
	case ACL_ERROR: tx->rcpt_defer_count++; break;
	}
	return a;
}

struct smtp_answer policy_rcpt(void *arg, const struct smtp_path_cmd *c)
{
	struct receive_session *rs = arg;
	struct receive_tx *tx = rs->tx;
	struct rcpt_params p;
	struct smtp_answer a;
	struct str rest, address;
	int64_t most;
	rs_command_begins(rs);
	if (!tx)
		return remember(rs, answer_fault(SMTP_PROTOCOL_ERROR, 503, STR("sender not yet given")));
	tx->last_was_rcpt = true;
	if (!read_params(rs, c->raw, &p, &rest)) {
		tx->rcpt_fail_count++;
		return remember(rs, p.error);
	}
	tx->rcpt_count++;
	if (!take_recipient(rs, rest, &address, &a)) {
		tx->rcpt_fail_count++;
		return remember(rs, a);
	}
	if (rs_expand_size(rs, &rs->cfg->main.recipients_max, 50000, &most) && most > 0 && tx->rcpt_count > most)
		return remember(rs, too_many(rs));
	return remember(rs, decide(rs, address, rest, &p));
}
