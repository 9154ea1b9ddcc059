/* SPDX-License-Identifier: Apache-2.0
 * From an ACL's verdict to a reply and a log line (manual 44.9, 44.12, 44.24, 53). */
#include "receive/receive_priv.h"

#include "base/banned.h"

struct smtp_answer answer(int code, const char *text)
{
	return (struct smtp_answer){.code = code, .text = str_c(text)};
}

struct smtp_answer answer_str(int code, struct str text)
{
	return (struct smtp_answer){.code = code, .text = text};
}

struct smtp_answer answer_fault(enum smtp_fault fault, int code, struct str text)
{
	return (struct smtp_answer){.code = code, .text = text, .fault = fault};
}

struct smtp_answer answer_with_code(int code, struct str text)
{
	bool own = text.len >= 3 && ch_digit(text.p[0]) && ch_digit(text.p[1]) && ch_digit(text.p[2]) &&
	    (text.len == 3 || text.p[3] == ' ');
	if (own) {
		code = (text.p[0] - '0') * 100 + (text.p[1] - '0') * 10 + (text.p[2] - '0');
		text = str_from(text, text.len > 3 ? 4 : 3);
	}
	return answer_str(code, text);
}

/* Where a line of more than 75 characters is cut: behind the last colon that blanks follow, unless that
 * leaves less than half a line; else at the last blank that fits; else at the first one. */
static uint32_t fold_at(struct str line)
{
	enum { LINE = 75, COLON = 35 };
	uint32_t blank = 0, colon = 0;
	for (uint32_t i = 0; i < line.len; i++) {
		if (line.p[i] != ' ')
			continue;
		if (i > LINE + 1 || (i > LINE && blank))
			return colon ? colon : blank ? blank : i;
		if (i > COLON && line.p[i - 1] == ':')
			colon = i;
		if (i <= LINE)
			blank = i;
	}
	return colon ? colon : blank;
}

/* 44.19, message: "a long message line will also be split into multi-line SMTP responses". */
struct smtp_answer answer_folded(struct arena *a, struct smtp_answer answer)
{
	enum { LINE = 75 };
	struct strbuf sb;
	struct str rest = answer.text;
	if (rest.len <= LINE)
		return answer;
	sb_init(&sb, a, LIMIT_SMTP_REPLY_TEXT);
	while (str_is_set(rest)) {
		struct str line = str_cut(rest, '\n', &rest);
		uint32_t at;
		while (line.len > LINE && (at = fold_at(line)) > 0) {
			sb_add(&sb, str_sub(line, 0, at));
			sb_ch(&sb, '\n');
			line = str_ltrim(str_from(line, at));
		}
		sb_add(&sb, line);
		if (str_is_set(rest))
			sb_ch(&sb, '\n');
	}
	answer.text = sb_str(&sb);
	return answer;
}

static int refusal_code(enum acl_where where, bool temporary)
{
	if (temporary)
		return 451;
	return where == ACL_AUTH ? 503 : where == ACL_VRFY ? 252 : where == ACL_ETRN ? 458 : where == ACL_STARTTLS ? 550 : 550;
}

static struct str one_line(struct str s)
{
	struct str rest;
	return str_cut(s, '\n', &rest);
}

/* "F=<a@b> " where there is a sender already (from RCPT on). */
static struct str sender_text(struct receive_session *rs, enum acl_where where)
{
	if (!rs->tx || where == ACL_MAIL || where == ACL_PREDATA || where == ACL_VRFY || where == ACL_EXPN || where == ACL_ETRN ||
	    where == ACL_HELO || where == ACL_AUTH || where == ACL_STARTTLS)
		return STR("");
	return str_printf(rs->env->scratch, "F=<%.*s> ", STR_ARG(rs->tx->m->original_sender));
}

static void log_refusal(struct receive_session *rs, enum acl_where where, bool temporary, struct str what, struct str log)
{
	unsigned to = rs->effects.log_reject;
	if (!to)
		return;
	struct str tls = rs_tls_text(rs, false), auth = rs_auth_text(rs);
	struct str f = sender_text(rs, where), line = one_line(log);
	bool with_message = where == ACL_DATA || where == ACL_PRDR || where == ACL_NOT_SMTP || where == ACL_MIME || where == ACL_DKIM;
	struct str id = with_message && rs->tx ? str_c(rs->tx->m->id) : STR_NONE;
	struct str who = where == ACL_NOT_SMTP ? STR("") : str_cat(rs->env->scratch, rs_who(rs), tls, STR(" "));
	struct str text = str_printf(rs->env->scratch, "%.*s%.*s%.*s%s%srejected %.*s%s%.*s", STR_ARG(who), STR_ARG(f), STR_ARG(str_ltrim(auth)), auth.len ? " " : "", temporary ? "temporarily " : "",
	    STR_ARG(what), line.len ? ": " : "", STR_ARG(line));
	if (with_message && (to & LOGTO_REJECT) && config_logs(rs->cfg, LOGSEL_REJECTED_HEADER)) {
		if (to & ~(unsigned)LOGTO_REJECT)
			rs_log_text(rs, to & ~(unsigned)LOGTO_REJECT, id, text, STR_NONE);
		if (!rs->test_host)
			rs_log_text(rs, LOGTO_REJECT, id, text, rs_reject_block(rs));
	} else {
		rs_log_text(rs, to, id, text, STR_NONE);
	}
}

/* What is told of a sender that did not verify, in front of the answer and in the log (44.24). */
static struct str sender_lines(struct receive_session *rs, struct moment *mo, enum acl_verdict v)
{
	struct str client = STR_NONE, log = STR_NONE;
	acl_sender_details(&mo->ev, &mo->frame, v, &client, &log);
	if (str_is_set(log) && config_logs(rs->cfg, LOGSEL_SENDER_VERIFY_FAIL))
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "%.*s %.*s", STR_ARG(rs_who(rs)), STR_ARG(log));
	return client;
}

static struct smtp_answer refuse(struct receive_session *rs, struct moment *mo, enum acl_where where, enum acl_verdict v,
    struct str what, struct str user, struct str log)
{
	bool temporary = v == ACL_DEFER || v == ACL_ERROR;
	struct str details = sender_lines(rs, mo, v);
	log_refusal(rs, where, temporary, what, log);
	if (!str_is_set(user))
		user = temporary ? STR("Temporary local problem - please try later") : STR("Administrative prohibition");
	struct smtp_answer a = answer_folded(mo->arena, answer_with_code(refusal_code(where, temporary), user));
	if (str_is_set(details) && !rs->effects.no_multiline) {
		struct str end = str_rtrim(details);
		a.text = str_cat(mo->arena, end, STR("\n"), a.text);
	}
	if (v == ACL_DROP) {
		a.drop = true;
		rs_log(rs, LOGTO_MAIN, "SMTP connection from %.*s closed by DROP in ACL", STR_ARG(rs_from(rs)));
		rs_notquit(rs, "acl-drop");
	}
	return a;
}

enum acl_verdict rs_acl(struct receive_session *rs, struct moment *mo, enum acl_where where, const struct xstr *option,
    struct str what, int ok_code, struct str ok_text, struct smtp_answer *ret)
{
	struct str user = STR_NONE, log = STR_NONE;
	mo->frame.where = where;
	enum acl_verdict v = acl_run(&mo->ev, &mo->frame, option, &user, &log);
	rs_keep_peer(rs);
	if (v == ACL_OK || v == ACL_DISCARD)
		*ret = str_is_set(user) ? answer_folded(mo->arena, answer_with_code(ok_code, user)) : answer_str(ok_code, ok_text);
	else
		*ret = refuse(rs, mo, where, v, what, user, log);
	return v;
}
