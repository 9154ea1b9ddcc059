/* SPDX-License-Identifier: Apache-2.0
 * The arrival line (manual 53.4, 53.13, 53.15): "<= sender H=... P=esmtps X=... A=... K S=... id=..."
 * with the fields that log_selector asks for, in Exim's order. */
#include "receive/receive_priv.h"

#include "base/banned.h"

static const struct header *find_header(const struct message *m, const char *name)
{
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (header_is(h, name))
			return h;
	return NULL;
}

static struct str msg_id_text(const struct message *m)
{
	const struct header *h = find_header(m, "Resent-Message-ID");
	if (!h)
		h = find_header(m, "Message-ID");
	if (!h)
		return STR_NONE;
	struct str v = str_trim(header_value(h));
	ptrdiff_t open = str_chr(v, '<'), shut = str_rchr(v, '>');
	if (open >= 0 && shut > open)
		v = str_sub(v, (size_t)open + 1, (size_t)(shut - open - 1));
	return v;
}

/* Control bytes never reach the log; "\" and the quote are escaped inside of quotes. */
static void add_quoted(const struct receive_session *rs, struct strbuf *sb, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			sb_ch(sb, '\\');
		if (c >= '\b' && c <= '\r') /* manual 53: the usual letters of C */
			sb_printf(sb, "\\%c", "btnvfr"[c - '\b']);
		else if (c < 0x20 || c == 0x7f || (c >= 0x80 && !rs->cfg->main.print_topbitchars))
			sb_printf(sb, "\\%03o", c);
		else
			sb_ch(sb, (char)c);
	}
}

static void add_subject(struct receive_session *rs, struct strbuf *sb)
{
	struct str text = STR_NONE;
	struct message *m = rs->tx->m;
	if (!config_logs(rs->cfg, LOGSEL_SUBJECT) || !find_header(m, "Subject"))
		return;
	struct str charset = str_empty(rs->cfg->main.headers_charset.text) ? STR("UTF-8") : rs->cfg->main.headers_charset.text;
	if (!headers_get(&m->headers, rs->tx->arena, STR("Subject"), HEADER_DECODED, charset, &text))
		return;
	sb_addc(sb, " T=\"");
	add_quoted(rs, sb, str_trim(text));
	sb_ch(sb, '"');
}

static void add_pipelining(struct receive_session *rs, struct strbuf *sb)
{
	if (!config_logs(rs->cfg, LOGSEL_PIPELINING) || !rs->smtp || !smtp_session_opts(rs->smtp)->pipelining)
		return;
	bool used = smtp_session_pipelined(rs->smtp);
	sb_addc(sb, " L");
	if (rs->early_used)
		sb_ch(sb, '*');
	else if (!used)
		sb_addc(sb, rs->early_offered ? ".-" : "-");
	else if (rs->early_offered)
		sb_ch(sb, '.');
}

static void add_auth(struct receive_session *rs, struct strbuf *sb)
{
	const struct peer *p = &rs->peer;
	if (str_empty(p->auth_name))
		return;
	sb_add(sb, rs_auth_text(rs));
	if (config_logs(rs->cfg, LOGSEL_SMTP_MAILAUTH) && !str_empty(p->auth_sender))
		sb_printf(sb, ":%.*s", STR_ARG(p->auth_sender));
}

static void add_session(struct receive_session *rs, struct strbuf *sb)
{
	const struct peer *p = &rs->peer;
	const struct receive_tx *tx = rs->tx;
	if (!str_empty(p->received_protocol))
		sb_printf(sb, " P=%.*s", STR_ARG(p->received_protocol));
	add_pipelining(rs, sb);
	sb_add(sb, rs_tls_text(rs, true));
	add_auth(rs, sb);
	if (tx->prdr)
		sb_addc(sb, " PRDR");
	if (!str_empty(p->proxy_local_address) && config_logs(rs->cfg, LOGSEL_PROXY))
		sb_printf(sb, " PRX=%.*s", STR_ARG(p->proxy_local_address));
	if (tx->chunking)
		sb_addc(sb, " K");
}

static void add_facts(struct receive_session *rs, struct strbuf *sb)
{
	const struct message *m = rs->tx->m;
	sb_printf(sb, " S=%lld", (long long)m->size);
	if (config_logs(rs->cfg, LOGSEL_EIGHTBITMIME))
		sb_printf(sb, " M8S=%d", m->body_type);
	if (config_logs(rs->cfg, LOGSEL_RECEIVE_TIME)) {
		int64_t us = m->received_done_us - m->received_us;
		if (config_logs(rs->cfg, LOGSEL_MILLISEC))
			sb_printf(sb, " RT=%lld.%03llds", (long long)(us / 1000000), (long long)(us / 1000 % 1000));
		else
			sb_printf(sb, " RT=%llds", (long long)(us / 1000000));
	}
	struct str id = msg_id_text(m);
	if (!str_empty(id) && config_logs(rs->cfg, LOGSEL_MSG_ID) && !rs->tx->made_message_id)
		sb_printf(sb, " id=%.*s", STR_ARG(id));
	if (!str_empty(id) && config_logs(rs->cfg, LOGSEL_MSG_ID_CREATED) && rs->tx->made_message_id)
		sb_printf(sb, " id*=%.*s", STR_ARG(id));
	add_subject(rs, sb);
}

static void add_addresses(struct receive_session *rs, struct strbuf *sb)
{
	const struct message *m = rs->tx->m;
	if (config_logs(rs->cfg, LOGSEL_RECEIVED_SENDER))
		sb_printf(sb, " from <%.*s>", STR_ARG(m->original_sender));
	if (!config_logs(rs->cfg, LOGSEL_RECEIVED_RECIPIENTS) || m->recipients == 0)
		return;
	sb_addc(sb, " for");
	for (size_t i = 0; i < m->recipients; i++)
		sb_printf(sb, " %.*s", STR_ARG(m->recipient[i].address));
}

void rs_log_arrival(struct receive_session *rs)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, LIMIT_LOG_LINE);
	bool fake = rs->effects.fakereject;
	sb_printf(&sb, "%s %.*s", fake ? "(=" : "<=", STR_ARG(str_empty(m->sender) ? STR("<>") : m->sender));
	if (!str_empty(tx->reference))
		sb_printf(&sb, " R=%.*s", STR_ARG(tx->reference));
	sb_printf(&sb, " %.*s", STR_ARG(rs_who(rs)));
	add_session(rs, &sb);
	add_facts(rs, &sb);
	if (!str_empty(m->queue_name))
		sb_printf(&sb, " Q=%.*s", STR_ARG(m->queue_name));
	add_addresses(rs, &sb);
	rs_log_text(rs, LOGTO_MAIN, str_c(m->id), sb_str(&sb), STR_NONE);
}
