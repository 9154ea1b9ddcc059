/* SPDX-License-Identifier: Apache-2.0
 * DATA and BDAT: may the message come (44.5 predata), its text on the way to header parser and
 * spool, and what became of it. Answers here are those of failures; a whole message goes on to
 * finish.c. */
#include "receive/receive_priv.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/banned.h"

/* Recipients were all refused, or none was given: 503, repeating a reply that all of them got. */
static struct smtp_answer no_recipients(struct receive_session *rs, bool bdat)
{
	struct receive_tx *tx = rs->tx;
	const char *verb = bdat ? "BDAT" : "DATA";
	struct str reply = tx ? (tx->rcpt_differ ? STR_NONE : tx->rcpt_reply) : rs->orphan_rcpt ? STR("503 sender not yet given") : STR_NONE;
	bool pipelined = tx && tx->last_was_rcpt && smtp_session_opts(rs->smtp)->pipelining;
	struct str last = str_printf(rs->env->scratch, "%calid RCPT command must precede %s", pipelined ? 'V' : 'v', verb);
	struct str text = last;
	if (str_is_set(reply))
		text = str_cat(rs->env->scratch, STR("All RCPT commands were rejected with this error:\n"), reply, STR("\n"), last);
	rs->orphan_rcpt = false;
	if (pipelined)
		return answer_str(503, text);
	struct smtp_answer a = answer_fault(SMTP_PROTOCOL_ERROR, 503, text);
	a.fault_text = last;
	return a;
}

static bool take_body(void *arg, const char *p, size_t n)
{
	struct receive_session *rs = arg;
	struct receive_tx *tx = rs->tx;
	if (tx->writer) {
		tx->write_failed |= spool_append(tx->writer, p, n) != ST_OK;
		return !tx->write_failed;
	}
	if (rs->test_fd >= 0)
		tx->write_failed |= write(rs->test_fd, p, n) != (ssize_t)n;
	return !tx->write_failed;
}

static bool is_from_line(void *arg, struct str line)
{
	struct receive_session *rs = arg;
	return rs_from_line(rs, line);
}

/* An id, and a place for the body. */
static bool open_message(struct receive_session *rs, struct why *why)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	tx->started_us = clock_us(&rs->env->clock);
	m->received_us = tx->started_us;
	rs->test_fd = -1;
	if (rs->effects.queue_name_set)
		m->queue_name = str_dup(tx->arena, rs->effects.queue_name);
	if (rs->test_host || !rs->spool) {
		msgid_make(m->id, tx->started_us, (uint64_t)getpid(), -1);
		rs->test_fd = memfd_create("message", MFD_CLOEXEC);
		return true;
	}
	return spool_create(rs->spool, m->queue_name, m->id, &tx->writer, why) == ST_OK;
}

bool rs_open_data(struct receive_session *rs, struct why *why)
{
	const struct main_options *m = &rs->cfg->main;
	struct receive_tx *tx = rs->tx;
	if (!open_message(rs, why))
		return false;
	build_init(&tx->build, tx->arena, &tx->m->headers);
	if (m->header_maxsize > 0)
		tx->build.header_max = (size_t)m->header_maxsize;
	tx->build.line_max = m->header_line_maxsize > 0 ? (size_t)m->header_line_maxsize : 0;
	tx->build.body = take_body;
	tx->build.from_line = is_from_line;
	tx->build.arg = rs;
	return true;
}

void rs_close_data(struct receive_session *rs)
{
	if (rs->test_fd >= 0)
		close(rs->test_fd);
	rs->test_fd = -1;
}

static bool predata(struct receive_session *rs, bool bdat, struct smtp_answer *ret)
{
	const struct xstr *acl = &rs->cfg->main.acl_smtp_predata;
	struct moment mo;
	if (!str_is_set(acl->text) || rs->tx->m->recipients == 0)
		return true;
	moment_open(&mo, rs);
	return rs_acl(rs, &mo, ACL_PREDATA, acl, bdat ? STR("BDAT") : STR("DATA"), 354, STR_NONE, ret) == ACL_OK;
}

struct smtp_answer policy_data_begin(void *arg, bool bdat)
{
	struct receive_session *rs = arg;
	struct receive_tx *tx = rs->tx;
	struct smtp_answer a = answer(354, NULL);
	struct why why = {0};
	rs_command_begins(rs);
	if (!tx || (tx->m->recipients == 0 && !tx->discarded && !tx->rcpt_discarded))
		return no_recipients(rs, bdat);
	if (tx->too_many_logged && rs->cfg->main.recipients_max_reject)
		return answer(554, "Too many recipients");
	if (!predata(rs, bdat, &a))
		return a;
	tx->chunking = bdat;
	rs_override_sender(rs);
	if (!rs_open_data(rs, &why)) {
		rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "spool file could not be made: %s", why.text);
		return answer(451, "Temporary local problem - please try later");
	}
	if (!str_is_set(a.text))
		a.text = STR("Enter message, ending with \".\" on a line by itself");
	return a;
}

bool policy_data_chunk(void *arg, const char *p, size_t n)
{
	struct receive_session *rs = arg;
	struct receive_tx *tx = rs->tx;
	struct build *b = &tx->build;
	tx->cut_in_header = n == 1 && *p == '\n' && !b->in_body && b->partial.len > 0;
	/* Beyond the limit text is only counted, so that the log can tell how much it was. */
	int64_t room = tx->size_limit > 0 ? tx->size_limit - b->read : INT64_MAX;
	if (b->trouble != BUILD_OK || room <= 0) {
		b->read += (int64_t)n;
		tx->over |= room <= 0 && n > 0;
		return true;
	}
	size_t fits = (int64_t)n > room ? (size_t)room : n;
	(void)build_feed(b, p, fits);
	b->read += (int64_t)(n - fits);
	tx->over |= fits < n;
	return true;
}

static struct smtp_answer abandoned(struct receive_session *rs, enum smtp_eod how)
{
	struct str from = rs_from(rs);
	rs->batch_in_data = true;
	rs->broken |= how == SMTP_EOD_TIMEOUT || !rs->test_host;
	if (how == SMTP_EOD_TIMEOUT) {
		rs_log(rs, LOGTO_MAIN, "SMTP data timeout (message abandoned) on connection from %.*s F=<%.*s> %.*s",
		    STR_ARG(str_empty(rs->peer.host_address) ? STR("local process") : from), STR_ARG(rs->tx->m->sender), STR_ARG(rs_duration(rs)));
		rs_notquit(rs, "data-timeout");
		return answer_str(421, str_cat(rs->env->scratch, rs_hostname(rs), STR(" SMTP incoming data timeout - closing connection.")));
	}
	if (config_logs(rs->cfg, LOGSEL_LOST_INCOMING_CONNECTION))
		rs_log_id(rs, LOGTO_MAIN, "SMTP connection from %.*s lost while reading message data%s", STR_ARG(from),
		    rs->tx && rs->tx->build.in_body ? "" : " (header)");
	rs_notquit(rs, "connection-lost");
	return answer(421, "Lost incoming connection");
}

static void log_rejected(struct receive_session *rs, const char *text)
{
	struct str line = str_printf(rs->env->scratch, "rejected from <%.*s> %.*s: %s", STR_ARG(rs->tx->m->sender), STR_ARG(rs_who(rs)), text);
	struct str id = str_c(rs->tx->m->id);
	rs_log_text(rs, LOGTO_MAIN, id, line, STR_NONE);
	if (!rs->test_host)
		rs_log_text(rs, LOGTO_REJECT, id, line, config_logs(rs->cfg, LOGSEL_REJECTED_HEADER) ? rs_reject_block(rs) : STR_NONE);
}

static struct smtp_answer header_trouble(struct receive_session *rs)
{
	const struct build *b = &rs->tx->build;
	switch (b->trouble) {
	case BUILD_HEADER_TOO_BIG:
	case BUILD_TOO_MANY_HEADERS:
		rs_log(rs, LOGTO_MAIN, "ridiculously long message header received from %.*s (more than %zu characters): message abandoned",
		    STR_ARG(rs_from(rs)), b->header_max);
		return answer(552, "Message header is ridiculously long");
	case BUILD_LINE_TOO_LONG:
		rs_log(rs, LOGTO_MAIN, "overlong message header line received from %.*s (more than %zu characters): message abandoned",
		    STR_ARG(rs_from(rs)), b->line_max);
		return answer(552, "A message header line is too long");
	case BUILD_WRITE_FAILED:
	case BUILD_OK: break;
	}
	rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "Error while writing spool file for message from %.*s", STR_ARG(rs_from(rs)));
	return answer(451, "Error while writing spool file");
}

/* A message that cannot be taken, whatever the ACLs would say. code 0: it can. */
struct smtp_answer rs_data_trouble(struct receive_session *rs, enum smtp_eod how)
{
	struct receive_tx *tx = rs->tx;
	char text[120];
	if (tx->build.trouble != BUILD_OK || tx->write_failed)
		return header_trouble(rs);
	if (tx->over) {
		(void)snprintf(text, sizeof text, "message too big: read=%lld max=%lld", (long long)tx->build.read, (long long)tx->size_limit);
		log_rejected(rs, text);
		return answer(552, "Message size exceeds maximum permitted");
	}
	if (how == SMTP_EOD_BARE) {
		log_rejected(rs, "bare CR or LF, or NUL, in message data");
		return answer(550, "5.5.2 message data contains a bare CR or LF, or NUL");
	}
	return (struct smtp_answer){0};
}

/* -bh: nothing was kept, whatever the reply says. */
static struct smtp_answer told_as_a_test(struct receive_session *rs, struct smtp_answer a)
{
	smtp_session_reply(rs->smtp, a.code, a.text);
	a.silent = stream_put(rs->stream, STR("\n**** SMTP testing: that is not a real message id!\n\n")) == ST_OK;
	return a;
}

struct smtp_answer policy_data_end(void *arg, enum smtp_eod how)
{
	struct receive_session *rs = arg;
	struct smtp_answer a;
	rs_command_begins(rs);
	if (how == SMTP_EOD_LOST || how == SMTP_EOD_TIMEOUT) {
		a = abandoned(rs, how);
	} else {
		build_finish(&rs->tx->build);
		a = rs_data_trouble(rs, how);
		bool taken = a.code == 0 && rs_finish(rs, &a) == FINISH_OK;
		/* the reply outlives the message's arena */
		a.text = str_dup(rs->env->scratch, a.text);
		if (taken && rs->test_host)
			a = told_as_a_test(rs, a);
	}
	rs_close_data(rs);
	tx_end(rs, NULL);
	return a;
}
