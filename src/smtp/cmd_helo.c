/* SPDX-License-Identifier: Apache-2.0
 * HELO and EHLO (RFC 5321 4.1.1.1): the policy judges the name and says what is offered. A
 * transaction under way is gone, as after RSET. */
#include "smtp/server_priv.h"

#include "base/banned.h"

static void greet(struct smtp_session *ss, struct str name, bool ehlo)
{
	if (!(ehlo && ss->opts.early_pipelining) && smtp_sync_broken(ss, false))
		return;
	struct smtp_answer a = ss->policy->helo(ss->arg, name, ehlo);
	if (a.code == 0 || a.code / 100 == 2) {
		ss->state = SMTP_GREETED;
		ss->esmtp = ehlo;
		ss->bdat = BDAT_NONE;
	}
	smtp_give(ss, a, 250, "OK");
}

void smtp_cmd_helo(struct smtp_session *ss, struct str args)
{
	greet(ss, args, false);
}

void smtp_cmd_ehlo(struct smtp_session *ss, struct str args)
{
	greet(ss, args, true);
}
