/* SPDX-License-Identifier: Apache-2.0
 * Commands: a row each, found by their words at the line's head (RFC 5321 4.1.1). Exim's grammar:
 * case is ignored, one blank between MAIL and FROM, blanks at the end are cut, nothing else may
 * stand between a verb and its arguments than a blank. */
#include "smtp/server_priv.h"

#include "base/banned.h"

static bool verb_matches(struct str line, const char *verb)
{
	if (!str_istarts(line, verb))
		return false;
	size_t len = strlen(verb);
	return verb[len - 1] == ':' || line.len == len || line.p[len] == ' ';
}

static const struct smtp_command *find(struct str line)
{
	for (size_t i = 0; i < smtp_command_count; i++)
		if (verb_matches(line, smtp_commands[i].verb))
			return &smtp_commands[i];
	return NULL;
}

static void unknown(struct smtp_session *ss, struct str line)
{
	struct str rest;
	struct str verb = str_cut(line, ' ', &rest);
	if (ss->policy->other && ss->bdat == BDAT_NONE) {
		struct smtp_answer a = ss->policy->other(ss->arg, verb, rest);
		if (a.code) {
			smtp_give(ss, a, 250, "OK");
			return;
		}
	}
	bool limited = ss->opts.max_unknown_commands >= 0;
	if (limited && ++ss->unknown > (unsigned)ss->opts.max_unknown_commands) {
		smtp_reply(ss, 500, STR("Too many unrecognized commands"));
		if (ss->policy->protocol_error) {
			ss->policy->protocol_error(ss->arg, SMTP_TROUBLE_SYNTAX, STR("unrecognized command"));
			ss->policy->protocol_error(ss->arg, SMTP_TROUBLE_MANY_UNKNOWN, line);
		}
		smtp_lost(ss, "bad-commands");
		return;
	}
	smtp_fault(ss, SMTP_SYNTAX_ERROR, 500, "unrecognized command");
}

/* One RSET, HELO/EHLO and STARTTLS between messages, and the first AUTH, are not counted. */
static bool is_free(struct smtp_session *ss, const struct smtp_command *c)
{
	bool *once = NULL;
	if (c->run == smtp_cmd_rset)
		once = &ss->rset_free;
	else if (c->run == smtp_cmd_helo || c->run == smtp_cmd_ehlo)
		once = &ss->helo_free;
	else if (c->run == smtp_cmd_starttls)
		once = &ss->starttls_free;
	else if (c->run == smtp_cmd_auth)
		once = &ss->auth_free;
	if (!once || !*once)
		return false;
	*once = false;
	return true;
}

static bool too_many_nonmail(struct smtp_session *ss, const struct smtp_command *c, struct str line)
{
	if (!c->nonmail || ss->opts.max_nonmail < 0 || is_free(ss, c))
		return false;
	if (++ss->nonmail <= (unsigned)ss->opts.max_nonmail)
		return false;
	smtp_reply(ss, 554, STR("Too many nonmail commands"));
	if (ss->policy->protocol_error)
		ss->policy->protocol_error(ss->arg, SMTP_TROUBLE_MANY_NONMAIL, line);
	smtp_lost(ss, "bad-commands");
	return true;
}

static bool bdat_forbids(struct smtp_session *ss, const struct smtp_command *c)
{
	if (ss->bdat == BDAT_NONE)
		return false;
	if (ss->bdat == BDAT_FAILED && c->run != smtp_cmd_rset && c->run != smtp_cmd_quit) {
		smtp_fault(ss, SMTP_PROTOCOL_ERROR, 503, "only RSET accepted now");
		return true;
	}
	if (ss->bdat == BDAT_CHUNKS && !c->bdat_goes_on) {
		ss->bdat = BDAT_FAILED;
		smtp_fault(ss, SMTP_PROTOCOL_ERROR, 503, "only BDAT permissible after non-LAST BDAT");
		return true;
	}
	return false;
}

static void remember(struct smtp_session *ss, const struct smtp_command *c)
{
	ss->history[ss->history_count++ % SMTP_HISTORY] = (uint8_t)(c - smtp_commands);
}

void smtp_command_run(struct smtp_session *ss, struct str line)
{
	if (line.len && memchr(line.p, '\0', line.len)) {
		smtp_fault(ss, SMTP_SYNTAX_ERROR, 501, "NUL characters are not allowed in SMTP commands");
		return;
	}
	line = str_rtrim(line);
	ss->line = line;
	const struct smtp_command *c = find(line);
	if (!c) {
		unknown(ss, line);
		return;
	}
	if (too_many_nonmail(ss, c, line))
		return;
	remember(ss, c);
	struct str args = str_ltrim(str_from(line, strlen(c->verb)));
	if (c->no_args && args.len) {
		smtp_fault(ss, SMTP_SYNTAX_ERROR, 501, "unexpected argument data");
		return;
	}
	if (bdat_forbids(ss, c) || (c->sync && smtp_sync_broken(ss, false)))
		return;
	if (!c->sync && !ss->opts.pipelining && c->run != smtp_cmd_bdat && smtp_sync_broken(ss, false))
		return;
	c->run(ss, args);
}

struct str smtp_session_history(const struct smtp_session *ss, struct arena *a)
{
	struct strbuf sb;
	sb_init(&sb, a, 512);
	unsigned n = ss->history_count < SMTP_HISTORY ? ss->history_count : SMTP_HISTORY;
	if (ss->history_count > SMTP_HISTORY)
		sb_addc(&sb, "...");
	for (unsigned i = ss->history_count - n; i < ss->history_count; i++) {
		if (sb.len)
			sb_ch(&sb, ',');
		sb_addc(&sb, smtp_commands[ss->history[i % SMTP_HISTORY]].name);
	}
	return sb_str(&sb);
}

const struct smtp_command smtp_commands[] = {
	{.verb = "MAIL FROM:", .name = "MAIL", .run = smtp_cmd_mail},
	{.verb = "RCPT TO:", .name = "RCPT", .run = smtp_cmd_rcpt},
	{.verb = "DATA", .name = "DATA", .run = smtp_cmd_data, .no_args = true},
	{.verb = "BDAT", .name = "BDAT", .run = smtp_cmd_bdat, .bdat_goes_on = true},
	{.verb = "QUIT", .name = "QUIT", .run = smtp_cmd_quit, .no_args = true, .bdat_goes_on = true},
	{.verb = "RSET", .name = "RSET", .run = smtp_cmd_rset, .nonmail = true, .no_args = true, .bdat_goes_on = true},
	{.verb = "EHLO", .name = "EHLO", .run = smtp_cmd_ehlo, .nonmail = true},
	{.verb = "HELO", .name = "HELO", .run = smtp_cmd_helo, .nonmail = true},
	{.verb = "NOOP", .name = "NOOP", .run = smtp_cmd_noop, .nonmail = true, .bdat_goes_on = true},
	{.verb = "AUTH", .name = "AUTH", .run = smtp_cmd_auth, .nonmail = true, .sync = true},
	{.verb = "STARTTLS", .name = "STARTTLS", .run = smtp_cmd_starttls, .nonmail = true, .no_args = true},
	{.verb = "VRFY", .name = "VRFY", .run = smtp_cmd_vrfy, .nonmail = true},
	{.verb = "EXPN", .name = "EXPN", .run = smtp_cmd_expn, .nonmail = true},
	{.verb = "ETRN", .name = "ETRN", .run = smtp_cmd_etrn, .nonmail = true, .sync = true},
	{.verb = "HELP", .name = "HELP", .run = smtp_cmd_help, .nonmail = true},
};
const size_t smtp_command_count = countof(smtp_commands);
