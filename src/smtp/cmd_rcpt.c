/* SPDX-License-Identifier: Apache-2.0
 * RCPT TO: (RFC 5321 4.1.1.3). Whether a sender was given is the policy's question, since it keeps
 * the replies to refused recipients for the answer to DATA. */
#include "smtp/server_priv.h"

#include "base/banned.h"

void smtp_cmd_rcpt(struct smtp_session *ss, struct str args)
{
	bool in_transaction = ss->state == SMTP_MAIL || ss->state == SMTP_RCPT;
	if (in_transaction && args.len == 0) {
		smtp_fault(ss, SMTP_SYNTAX_ERROR, 501, "RCPT must have an address operand");
		return;
	}
	struct smtp_path_cmd c = smtp_path_parse(args);
	struct smtp_answer a = ss->policy->rcpt(ss->arg, &c);
	if (in_transaction && (a.code == 0 || a.code / 100 == 2))
		ss->state = SMTP_RCPT;
	smtp_give(ss, a, 250, "Accepted");
}
