/* SPDX-License-Identifier: Apache-2.0
 * What a failure means and how it is worded (manual 32.2): errors of the host, of the message at
 * the host, of a recipient; temporary or for good. */
#include <errno.h>

#include "base/limits.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

static void set_kind(struct smtp_job *j)
{
	j->fault.more |= j->host && j->host->mx >= 0 ? 'M' : 'A';
}

void smtp_fault_text(struct smtp_job *j, int err, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;
	sb_init(&sb, j->d->arena, LIMIT_SMTP_REPLY_TEXT * 2);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	j->fault = (struct smtp_fault){.err = err, .message = sb_str(&sb)};
	set_kind(j);
}

void smtp_fault_status(struct smtp_job *j, enum status st, struct str what)
{
	int err = -(int)st;
	if (st == ST_TIMEOUT)
		smtp_fault_text(j, ETIMEDOUT, "SMTP timeout after %.*s", STR_ARG(what));
	else if (st == ST_EOF || err == ECONNRESET || err == EPIPE)
		smtp_fault_text(j, DERR_SMTPCLOSED, "Remote host closed connection in response to %.*s", STR_ARG(what));
	else if (st == ST_LIMIT)
		smtp_fault_text(j, DERR_SMTPFORMAT, "SMTP reply too long in response to %.*s", STR_ARG(what));
	else
		smtp_fault_text(j, err, "after %.*s", STR_ARG(what));
	j->fault.lost = true;
}

static int stage_errno(int code, enum smtp_stage stage, struct str what)
{
	if (code < 400 || code >= 500)
		return 0;
	switch (stage) {
	case STAGE_HOST: return 0;
	case STAGE_RCPT: return DERR_RCPT4XX;
	case STAGE_MESSAGE: return str_find(what, STR("MAIL FROM")) >= 0 ? DERR_MAIL4XX : DERR_DATA4XX;
	}
	return 0;
}

void smtp_fault_reply(struct smtp_job *j, const struct smtp_reply *r, struct str what, enum smtp_stage stage)
{
	if (r->code == 0 && r->st == ST_MALFORMED) {
		if (r->text.len == 0)
			smtp_fault_text(j, DERR_SMTPFORMAT, "Malformed SMTP reply (an empty line) in response to %.*s", STR_ARG(what));
		else
			smtp_fault_text(j, DERR_SMTPFORMAT, "Malformed SMTP reply in response to %.*s: %.*s", STR_ARG(what),
			    STR_ARG(r->text));
		j->fault.lost = true;
		return;
	}
	if (r->code == 0) {
		smtp_fault_status(j, r->st, what);
		return;
	}
	bool for_one = j->o->lmtp && str_eqc(what, "end of data"); /* LMTP answers each recipient then */
	smtp_fault_text(j, stage_errno(r->code, stage, what), "%s after %.*s: %.*s",
	    for_one ? "LMTP error" : "SMTP error from remote mail server", STR_ARG(what), STR_ARG(r->text));
	j->fault.code = r->code;
	j->fault.permanent = r->code >= 500;
	j->fault.message_error = stage == STAGE_MESSAGE;
	j->fault.lost = r->code == 421;
	j->fault.remote_reply = str_dup(j->d->arena, r->text);
	if (r->code >= 400 && r->code < 500 && stage != STAGE_HOST)
		j->fault.more = (r->code % 100) << 8 | (j->fault.more & 0xff);
}

struct str smtp_log_host(struct smtp_job *j)
{
	struct arena *a = j->d->arena;
	bool port = j->terms.port != 0 && j->terms.port != 25 && config_logs(j->d->config, LOGSEL_OUTGOING_PORT);
	struct str port_text = port ? str_printf(a, ":%d", j->terms.port) : STR("");
	return str_cat(a, STR("H="), j->host->name, STR(" ["), j->host->address, STR("]"), port_text);
}
