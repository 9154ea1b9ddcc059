/* SPDX-License-Identifier: Apache-2.0
 * AUTH (RFC 4954, manual 33.2): acl_smtp_auth, the authenticator, its talk over the wire. */
#include "receive/receive_priv.h"

#include "message/encode.h"
#include "sasl/sasl.h"

#include "base/banned.h"

struct talk {
	struct sasl_talk sasl; /* first */
	struct receive_session *rs;
	bool lost;
};

static enum sasl_result decode(struct receive_session *rs, struct str line, struct str *ret)
{
	return base64_decode(rs->env->scratch, line, ret) ? SASL_OK : SASL_BAD64;
}

static enum sasl_result ask_client(struct sasl_talk *t, struct str plain, struct str *ret_answer)
{
	struct talk *k = t->arg;
	struct str line;
	enum status st = smtp_session_challenge(k->rs->smtp, base64_encode(k->rs->env->scratch, plain), k->rs->env->scratch, &line);
	if (st != ST_OK) {
		k->lost = true;
		return st == ST_LIMIT ? SASL_BAD64 : SASL_CANCELLED;
	}
	if (str_eqc(line, "*"))
		return SASL_CANCELLED;
	return decode(k->rs, str_tainted(line), ret_answer);
}

static bool acl_permits(struct receive_session *rs, struct str mechanism, struct smtp_answer *ret)
{
	const struct xstr *acl = &rs->cfg->main.acl_smtp_auth;
	struct moment mo;
	if (!str_is_set(acl->text))
		return true;
	moment_open(&mo, rs);
	struct str what = str_cat(rs->env->scratch, STR("AUTH "), mechanism);
	return rs_acl(rs, &mo, ACL_AUTH, acl, what, 235, STR_NONE, ret) == ACL_OK;
}

static void log_failure(struct receive_session *rs, const struct driver_instance *di, int code, struct str text, struct str more, struct str fail_id)
{
	struct str id = str_empty(fail_id) ? STR("") : str_printf(rs->env->scratch, " (set_id=%.*s)", STR_ARG(fail_id));
	rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "%.*s authenticator failed for %.*s: %d %.*s%.*s%s%.*s", STR_ARG(di->name),
	    STR_ARG(rs_who(rs)), code, STR_ARG(text), STR_ARG(id), more.len ? ": " : "", STR_ARG(more));
}

static void keep_identity(struct receive_session *rs)
{
	struct peer *p = &rs->peer;
	struct str *const field[] = {&p->auth_name, &p->auth_id, &p->auth_sender};
	for (size_t i = 0; i < countof(field); i++)
		if (str_is_set(*field[i]))
			*field[i] = str_dup(rs->arena, *field[i]);
	rs_set_protocol(rs);
}

static struct smtp_answer run(struct receive_session *rs, const struct driver_instance *di, struct str initial)
{
	struct talk k = {.rs = rs};
	struct moment mo;
	struct sasl_view view = {0};
	struct str message = STR_NONE, first = STR_NONE;
	bool has_initial = str_is_set(initial);
	enum sasl_result r = SASL_OK;
	k.sasl.challenge = ask_client;
	k.sasl.arg = &k;
	moment_open(&mo, rs);
	mo.ev.space[SPACE_AUTH] = &view;
	if (has_initial && str_eqc(initial, "="))
		first = STR("");
	else if (has_initial)
		r = decode(rs, initial, &first);
	if (r == SASL_OK)
		r = sasl_server_run(&mo.ev, di, &k.sasl, str_tainted(first), has_initial, &message);
	if (r == SASL_OK) {
		keep_identity(rs);
		return answer(235, "Authentication succeeded");
	}
	rs->peer.auth_name = rs->peer.auth_id = STR_NONE;
	int code = 535;
	struct str text = STR("Incorrect authentication data");
	switch (r) {
	case SASL_OK:
	case SASL_FAIL: break;
	case SASL_DEFER: code = 435; text = STR("Unable to authenticate at present"); break;
	case SASL_CANCELLED: code = 501; text = STR("Authentication cancelled"); break;
	case SASL_BAD64: code = 501; text = STR("Invalid base64 data"); break;
	case SASL_UNEXPECTED: code = 553; text = STR("Initial data not expected"); break;
	case SASL_ERROR: code = 435; text = STR("Unable to authenticate at present"); break;
	}
	log_failure(rs, di, code, text, message, view.fail_id);
	if (k.lost)
		return (struct smtp_answer){.code = code, .text = text, .silent = true};
	return answer_str(code, text);
}

static bool mechanism_valid(struct str m)
{
	for (size_t i = 0; i < m.len; i++)
		if (!ch_alnum(m.p[i]) && m.p[i] != '-' && m.p[i] != '_')
			return false;
	return true;
}

struct smtp_answer policy_auth(void *arg, struct str mechanism, struct str initial)
{
	struct receive_session *rs = arg;
	struct smtp_answer a;
	rs_command_begins(rs);
	if (!rs->auth_offered && !rs->effects.allow_auth_unadvertised)
		return answer_fault(SMTP_PROTOCOL_ERROR, 503, STR("AUTH command used when not advertised"));
	if (!str_empty(rs->peer.auth_name))
		return answer_fault(SMTP_PROTOCOL_ERROR, 503, STR("already authenticated"));
	if (rs->tx)
		return answer_fault(SMTP_PROTOCOL_ERROR, 503, STR("not permitted in mail transaction"));
	if (!acl_permits(rs, mechanism, &a))
		return a;
	if (!mechanism_valid(mechanism))
		return answer_fault(SMTP_SYNTAX_ERROR, 501, STR("invalid character in authentication mechanism name"));
	const struct driver_instance *di = sasl_server_find(rs->cfg, mechanism);
	if (!di)
		return answer_fault(SMTP_PROTOCOL_ERROR, 504, str_printf(rs->env->scratch, "%.*s authentication mechanism not supported", STR_ARG(mechanism)));
	return run(rs, di, str_is_set(initial) ? str_dup(rs->env->scratch, initial) : STR_NONE);
}
