/* SPDX-License-Identifier: Apache-2.0
 * MAIL FROM: (RFC 5321 4.1.1.2). */
#include "smtp/server_priv.h"

#include "base/banned.h"

void smtp_cmd_mail(struct smtp_session *ss, struct str args)
{
	if (ss->state == SMTP_MAIL || ss->state == SMTP_RCPT) {
		smtp_fault(ss, SMTP_PROTOCOL_ERROR, 503, "sender already given");
		return;
	}
	/* Whether HELO was needed is the policy's question (hosts_require_helo). */
	if (args.len == 0 && ss->state != SMTP_CONNECTED) {
		smtp_fault(ss, SMTP_PROTOCOL_ERROR, 501, "MAIL must have an address operand");
		return;
	}
	struct smtp_path_cmd c = smtp_path_parse(args);
	struct smtp_answer a = ss->policy->mail(ss->arg, &c);
	if (a.code == 0 || a.code / 100 == 2) {
		smtp_new_transaction(ss);
		ss->state = SMTP_MAIL;
	}
	smtp_give(ss, a, 250, "OK");
}
