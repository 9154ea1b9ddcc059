/* SPDX-License-Identifier: Apache-2.0
 * STARTTLS (RFC 3207): nothing may stand behind it in clear, all that was said is forgotten, and
 * there is no way back. */
#include "smtp/server_priv.h"

#include "base/banned.h"

void smtp_cmd_starttls(struct smtp_session *ss, struct str args)
{
	(void)args;
	if (smtp_sync_broken(ss, ss->opts.tls_offered))
		return;
	struct smtp_answer a = ss->policy->starttls(ss->arg);
	if (a.code && a.code != 220) {
		smtp_give(ss, a, 220, "");
		return;
	}
	smtp_give(ss, a, 220, "TLS go ahead");
	if (stream_flush(ss->stream) != ST_OK) {
		ss->write_failed = true;
		return;
	}
	if (!ss->policy->tls_accept(ss->arg)) {
		smtp_lost(ss, "tls-failed");
		return;
	}
	ss->state = SMTP_CONNECTED;
	ss->esmtp = false;
	ss->helo_free = ss->auth_free = true;
}
