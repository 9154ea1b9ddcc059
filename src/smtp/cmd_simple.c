/* SPDX-License-Identifier: Apache-2.0
 * RSET, NOOP, VRFY, EXPN, ETRN, HELP, QUIT: commands that only ask the policy. */
#include "smtp/server_priv.h"

#include "base/banned.h"

void smtp_cmd_rset(struct smtp_session *ss, struct str args)
{
	(void)args;
	struct smtp_answer a = ss->policy->rset(ss->arg);
	ss->bdat = BDAT_NONE;
	if (ss->state != SMTP_CONNECTED)
		ss->state = SMTP_GREETED;
	smtp_give(ss, a, 250, "Reset OK");
}

void smtp_cmd_noop(struct smtp_session *ss, struct str args)
{
	struct smtp_answer a = {0};
	if (ss->policy->noop)
		a = ss->policy->noop(ss->arg, args);
	smtp_give(ss, a, 250, "OK");
}

static void ask(struct smtp_session *ss, struct smtp_answer (*fn)(void *arg, struct str text), struct str args)
{
	if (!fn)
		smtp_fault(ss, SMTP_SYNTAX_ERROR, 500, "unrecognized command");
	else
		smtp_give(ss, fn(ss->arg, args), 250, "OK");
}

void smtp_cmd_vrfy(struct smtp_session *ss, struct str args)
{
	ask(ss, ss->policy->vrfy, args);
}

void smtp_cmd_expn(struct smtp_session *ss, struct str args)
{
	ask(ss, ss->policy->expn, args);
}

void smtp_cmd_etrn(struct smtp_session *ss, struct str args)
{
	ask(ss, ss->policy->etrn, args);
}

void smtp_cmd_help(struct smtp_session *ss, struct str args)
{
	ask(ss, ss->policy->help, args);
}

void smtp_cmd_quit(struct smtp_session *ss, struct str args)
{
	(void)args;
	bool in_message = ss->bdat == BDAT_CHUNKS || ss->bdat == BDAT_FAILED;
	smtp_give(ss, ss->policy->quit(ss->arg), 221, "closing connection");
	if (in_message) /* a message of which chunks came is lost; Exim says so behind its 221 */
		smtp_give(ss, ss->policy->data_end(ss->arg, SMTP_EOD_LOST), 421, "Lost incoming connection");
	smtp_end(ss);
}
