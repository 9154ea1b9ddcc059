/* SPDX-License-Identifier: Apache-2.0
 * The commands that carry no mail, and how sessions end (manual 44.5, 49.4, 53.15). */
#include "receive/receive_priv.h"

#include "verify/verify.h"

#include "base/banned.h"

struct smtp_answer policy_rset(void *arg)
{
	struct receive_session *rs = arg;
	rs_command_begins(rs);
	tx_end(rs, "RSET");
	rs->orphan_rcpt = false;
	return (struct smtp_answer){0};
}

struct smtp_answer policy_noop(void *arg, struct str text)
{
	(void)text;
	rs_command_begins(arg);
	return (struct smtp_answer){0};
}

struct smtp_answer policy_help(void *arg, struct str text)
{
	struct receive_session *rs = arg;
	const struct main_options *m = &rs->cfg->main;
	(void)text;
	rs_command_begins(rs);
	struct str s = str_printf(rs->env->scratch, "Commands supported:\nAUTH%s HELO EHLO MAIL RCPT DATA BDAT NOOP QUIT RSET HELP%s%s%s",
	    rs->tls_offered ? " STARTTLS" : "", str_is_set(m->acl_smtp_etrn.text) ? " ETRN" : "",
	    str_is_set(m->acl_smtp_expn.text) ? " EXPN" : "", str_is_set(m->acl_smtp_vrfy.text) ? " VRFY" : "");
	return answer_str(214, s);
}

/* The address of VRFY and EXPN. False: *ret is the answer. */
static bool take_address(struct receive_session *rs, struct str text, bool expn, struct str *ret_address, struct smtp_answer *ret)
{
	struct addr_parts parts = {0};
	const char *error;
	struct str address;
	if (str_empty(text)) {
		*ret = answer(501, "empty address");
		return false;
	}
	if (!rs_parse_address(rs, text, 0, &address, &parts, &error)) {
		*ret = answer_str(501, str_c(error));
		return false;
	}
	if (!str_is_set(parts.domain)) {
		if (!expn && !rs_may_be_unqualified(rs, false)) {
			rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "unqualified verify rejected: <%.*s> %.*s", STR_ARG(address), STR_ARG(rs_who(rs)));
			*ret = answer_str(501, str_printf(rs->env->scratch, "%.*s: recipient address must contain a domain", STR_ARG(text)));
			return false;
		}
		address = rs_qualify(rs->env->scratch, address, rs->cfg->qualify_recipient);
	}
	*ret_address = address;
	return true;
}

static bool asked_acl(struct receive_session *rs, enum acl_where where, const struct xstr *acl, const char *verb, struct str text,
    struct str address, struct smtp_answer *ret)
{
	struct moment mo;
	moment_open(&mo, rs);
	struct addr_parts parts = addr_split(address);
	struct addr_view view = {.address = address, .local_part = parts.local_part, .domain = parts.domain, .uid = -1, .gid = -1};
	if (str_is_set(address)) { /* VRFY: what domains and local_parts test */
		mo.ev.space[SPACE_ADDRESS] = &view;
		mo.frame.recipient = address;
	}
	struct str what = str_printf(rs->env->scratch, "%s %.*s", verb, STR_ARG(text));
	return rs_acl(rs, &mo, where, acl, what, 250, STR_NONE, ret) == ACL_OK;
}

struct smtp_answer policy_vrfy(void *arg, struct str text)
{
	struct receive_session *rs = arg;
	const struct xstr *acl = &rs->cfg->main.acl_smtp_vrfy;
	struct smtp_answer a;
	struct str address;
	rs_command_begins(rs);
	if (!str_is_set(acl->text))
		return answer(252, "Administrative prohibition");
	if (!take_address(rs, text, false, &address, &a))
		return a;
	if (!asked_acl(rs, ACL_VRFY, acl, "VRFY", text, address, &a))
		return a;
	struct moment mo;
	struct verify_opts o = {.callout_s = -1, .callout_overall_s = -1, .callout_connect_s = -1};
	struct verify_answer va = {0};
	moment_open(&mo, rs);
	switch (verify_address(&mo.ev, address, &o, &va)) {
	case VERIFY_OK: return answer_str(250, str_printf(rs->env->scratch, "<%.*s> is deliverable", STR_ARG(address)));
	case VERIFY_DEFER: return answer_str(451, str_printf(rs->env->scratch, "Cannot resolve <%.*s> at this time", STR_ARG(address)));
	case VERIFY_FAIL: break;
	}
	rs_log(rs, LOGTO_MAIN, "VRFY failed for %.*s %.*s", STR_ARG(address), STR_ARG(rs_who(rs)));
	struct str why = str_is_set(va.user_message) ? va.user_message : str_is_set(va.log_message) ? va.log_message : STR("is not deliverable");
	return answer_str(550, str_printf(rs->env->scratch, "<%.*s> %.*s", STR_ARG(address), STR_ARG(why)));
}

struct smtp_answer policy_expn(void *arg, struct str text)
{
	struct receive_session *rs = arg;
	const struct xstr *acl = &rs->cfg->main.acl_smtp_expn;
	struct smtp_answer a;
	struct str address;
	rs_command_begins(rs);
	if (!str_is_set(acl->text))
		return answer(550, "Administrative prohibition");
	if (!asked_acl(rs, ACL_EXPN, acl, "EXPN", text, STR_NONE, &a))
		return a;
	if (!take_address(rs, text, true, &address, &a))
		return a;
	struct moment mo;
	struct strbuf sb;
	moment_open(&mo, rs);
	sb_init(&sb, rs->env->scratch, LIMIT_SMTP_REPLY_TEXT);
	int rc = verify_print(&mo.ev, address, VERIFY_PRINT_EXPN, &sb);
	struct str out = str_trim(sb_str(&sb));
	return answer_str(rc == 0 ? 250 : 553, str_empty(out) ? str_printf(rs->env->scratch, "<%.*s>", STR_ARG(address)) : out);
}

struct smtp_answer policy_etrn(void *arg, struct str text)
{
	struct receive_session *rs = arg;
	const struct xstr *acl = &rs->cfg->main.acl_smtp_etrn;
	struct smtp_answer a;
	rs_command_begins(rs);
	if (rs->tx)
		return answer_fault(SMTP_PROTOCOL_ERROR, 503, STR("ETRN is not permitted inside a transaction"));
	if (config_logs(rs->cfg, LOGSEL_ETRN))
		rs_log(rs, LOGTO_MAIN, "ETRN %.*s received from %.*s", STR_ARG(text), STR_ARG(rs_from(rs)));
	if (!str_is_set(acl->text)) {
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "%.*s rejected ETRN %.*s", STR_ARG(rs_who(rs)), STR_ARG(text));
		return answer(458, "Administrative prohibition");
	}
	if (!asked_acl(rs, ACL_ETRN, acl, "ETRN", text, STR_NONE, &a))
		return a;
	if (!str_starts(text, "#"))
		return answer_fault(SMTP_SYNTAX_ERROR, 501, STR("argument must begin with #"));
	if (rs->test_host)
		return answer(250, "OK");
	if (!rs->sink.etrn)
		return answer(458, "Unable to fork process");
	return rs->sink.etrn(rs->sink.arg, str_from(text, 1)) ? answer(250, "OK") :
	    answer_str(459, str_cat(rs->env->scratch, STR("Already processing "), text));
}

/* acl_smtp_notquit: once, before the session is closed from our side or found closed. */
void rs_notquit(struct receive_session *rs, const char *reason)
{
	const struct xstr *acl = &rs->cfg->main.acl_smtp_notquit;
	struct str user, log;
	if (rs->notquit_done || rs->local)
		return;
	rs->notquit_done = true;
	if (!str_is_set(acl->text))
		return;
	struct moment mo;
	rs->view.notquit_reason = str_c(reason);
	moment_open(&mo, rs);
	mo.frame.where = ACL_NOTQUIT;
	if (acl_run(&mo.ev, &mo.frame, acl, &user, &log) == ACL_ERROR)
		rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "ACL for not-QUIT returned ERROR: %.*s", STR_ARG(log));
}

/* A session that ends without any MAIL (log selector smtp_no_mail). */
static void log_no_mail(struct receive_session *rs)
{
	if (rs->mail_given || !config_logs(rs->cfg, LOGSEL_SMTP_NO_MAIL) || rs_host_in(rs, &rs->cfg->main.hosts_connection_nolog))
		return;
	struct str history = smtp_session_history(rs->smtp, rs->env->scratch);
	rs_log(rs, LOGTO_MAIN, "no MAIL in SMTP connection from %.*s %.*s%.*s%.*s%s%.*s", STR_ARG(rs_from(rs)), STR_ARG(rs_duration(rs)),
	    STR_ARG(rs_auth_text(rs)), STR_ARG(rs_tls_text(rs, false)), history.len ? " C=" : "", STR_ARG(history));
}

struct smtp_answer policy_quit(void *arg)
{
	struct receive_session *rs = arg;
	const struct xstr *acl = &rs->cfg->main.acl_smtp_quit;
	struct str text = str_cat(rs->env->scratch, rs_hostname(rs), STR(" closing connection"));
	tx_end(rs, "QUIT");
	if (str_is_set(acl->text)) {
		struct moment mo;
		struct str user = STR_NONE, log = STR_NONE;
		moment_open(&mo, rs);
		mo.frame.where = ACL_QUIT;
		if (acl_run(&mo.ev, &mo.frame, acl, &user, &log) == ACL_ERROR)
			rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "ACL for QUIT returned ERROR: %.*s", STR_ARG(log));
		if (str_is_set(user))
			text = user;
	}
	if (config_logs(rs->cfg, LOGSEL_SMTP_CONNECTION))
		rs_log(rs, LOGTO_MAIN, "SMTP connection from %.*s %.*s closed by QUIT", STR_ARG(rs_from(rs)), STR_ARG(rs_duration(rs)));
	log_no_mail(rs);
	return answer_with_code(221, text);
}

void policy_lost(void *arg, const char *how)
{
	struct receive_session *rs = arg;
	bool between = rs->tx == NULL;
	bool gone = strcmp(how, "connection-lost") == 0, late = strcmp(how, "command-timeout") == 0;
	rs->broken |= late || !(rs->test_host || rs->many_unknown);
	if (gone && rs->test_host && stream_fd(rs->stream) >= 0)
		smtp_session_reply(rs->smtp, 421, str_cat(rs->env->scratch, rs_hostname(rs), STR(" lost input connection")));
	if (rs->tx)
		tx_end(rs, gone ? "connection lost" : how);
	rs_notquit(rs, how);
	if (strcmp(how, "command-timeout") == 0) {
		smtp_session_reply(rs->smtp, 421, str_cat(rs->env->scratch, rs_hostname(rs), STR(": SMTP command timeout - closing connection")));
		if (config_logs(rs->cfg, LOGSEL_LOST_INCOMING_CONNECTION))
			rs_log(rs, LOGTO_MAIN, "SMTP command timeout on connection from %.*s %.*s", STR_ARG(rs_from(rs)), STR_ARG(rs_duration(rs)));
	} else if (gone && between) {
		if (config_logs(rs->cfg, LOGSEL_SMTP_CONNECTION))
			rs_log(rs, LOGTO_MAIN, "SMTP connection from %.*s lost %.*s", STR_ARG(rs_from(rs)), STR_ARG(rs_duration(rs)));
	} else if (gone && config_logs(rs->cfg, LOGSEL_LOST_INCOMING_CONNECTION)) {
		rs_log(rs, LOGTO_MAIN, "unexpected disconnection while reading SMTP command from %.*s %.*s", STR_ARG(rs_from(rs)), STR_ARG(rs_duration(rs)));
	}
	log_no_mail(rs);
}

static void log_sync(struct receive_session *rs, bool greeting, struct str input)
{
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, 1024);
	for (size_t i = 0; i < input.len; i++) {
		unsigned char c = (unsigned char)input.p[i];
		if (c == '\r' || c == '\n')
			sb_addc(&sb, c == '\r' ? "\\r" : "\\n");
		else if (c < 0x20 || c >= 0x7f)
			sb_printf(&sb, "\\%03o", c);
		else
			sb_ch(&sb, (char)c);
	}
	struct str text = sb_str(&sb);
	if (greeting)
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT,
		    "SMTP protocol synchronization error (input sent without waiting for greeting): rejected connection from %.*s input=\"%.*s\"",
		    STR_ARG(rs_who(rs)), STR_ARG(text));
	else
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT,
		    "SMTP protocol synchronization error (next input sent too soon: pipelining was%s advertised): rejected \"%.*s\" %.*s next input=\"%.*s\"",
		    smtp_session_opts(rs->smtp)->pipelining ? "" : " not", STR_ARG(smtp_session_command(rs->smtp)), STR_ARG(rs_who(rs)), STR_ARG(text));
}

void policy_protocol_error(void *arg, enum smtp_trouble kind, struct str detail)
{
	struct receive_session *rs = arg;
	struct str command = smtp_session_command(rs->smtp);
	switch (kind) {
	case SMTP_TROUBLE_SYNTAX:
	case SMTP_TROUBLE_PROTOCOL: {
		bool syntax = kind == SMTP_TROUBLE_SYNTAX;
		if (config_logs(rs->cfg, syntax ? LOGSEL_SMTP_SYNTAX_ERROR : LOGSEL_SMTP_PROTOCOL_ERROR))
			rs_log(rs, LOGTO_MAIN, "SMTP %s error in \"%.*s\" %.*s %.*s", syntax ? "syntax" : "protocol", STR_ARG(command),
			    STR_ARG(rs_who(rs)), STR_ARG(detail));
		break;
	}
	case SMTP_TROUBLE_MANY_SYNPROT:
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "SMTP call from %.*s dropped: too many syntax or protocol errors (last command was \"%.*s\",  C=%.*s)",
		    STR_ARG(rs_from(rs)), STR_ARG(command), STR_ARG(smtp_session_history(rs->smtp, rs->env->scratch)));
		break;
	case SMTP_TROUBLE_MANY_UNKNOWN:
		rs->many_unknown = true;
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "SMTP call from %.*s dropped: too many unrecognized commands (last was \"%.*s\")",
		    STR_ARG(rs_from(rs)), STR_ARG(command));
		break;
	case SMTP_TROUBLE_MANY_NONMAIL:
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "SMTP call from %.*s dropped: too many nonmail commands (last was \"%.*s\")",
		    STR_ARG(rs_from(rs)), STR_ARG(smtp_session_verb(rs->smtp)));
		break;
	case SMTP_TROUBLE_SYNC_GREETING: log_sync(rs, true, detail); break;
	case SMTP_TROUBLE_SYNC: log_sync(rs, false, detail); break;
	}
}

/* -bS (manual 49.6): what is wrong goes to standard output, a report to standard error. */
void policy_batch_error(void *arg, int code, struct str text)
{
	struct receive_session *rs = arg;
	struct str command = rs->batch_in_data ? STR_NONE : smtp_session_command(rs->smtp);
	unsigned line = smtp_session_lines(rs->smtp) + rs->batch_in_data;
	rs->batch_failed = true;
	printf("%d %.*s\n", code, STR_ARG(text));
	if (rs->batch_begun)
		printf("Transaction started in line %u\n", rs->batch_line);
	printf("Error detected in line %u\n", line);
	if (command.len)
		printf("%.*s\n", STR_ARG(command));
	fflush(stdout);
	fprintf(stderr, "An error was detected while processing a file of BSMTP input.\nThe error message was:\n\n  %d %.*s\n\n", code, STR_ARG(text));
	if (rs->batch_begun)
		fprintf(stderr, "The SMTP transaction started in line %u.\n", rs->batch_line);
	fprintf(stderr, "The error was detected in line %u.\n", line);
	if (command.len)
		fprintf(stderr, "The SMTP command at fault was:\n\n   %.*s\n\n", STR_ARG(command));
	fprintf(stderr, "%u previous message%s successfully processed.\nThe rest of the batch was abandoned.\n", rs->batch_done,
	    rs->batch_done == 1 ? " was" : "s were");
}
