/* SPDX-License-Identifier: Apache-2.0
 * HELO and EHLO: is the name well formed (manual 14 helo_accept_junk_hosts, helo_allow_chars), may
 * the host go on (acl_smtp_helo, helo_verify_hosts), and what is it offered (49.x, RFC 1870, 3461,
 * 4954, 6531, 9422). */
#include "receive/receive_priv.h"

#include "sasl/sasl.h"
#include "verify/verify.h"

#include "base/banned.h"

static bool is_literal(struct str s)
{
	struct ip_addr ip;
	if (s.len < 3 || s.p[0] != '[' || s.p[s.len - 1] != ']')
		return false;
	struct str in = str_sub(s, 1, s.len - 2);
	if (str_istarts(in, "IPv6:") || str_istarts(in, "IPv4:"))
		in = str_from(in, 5);
	return ip_parse(in, &ip);
}

static bool well_formed(const struct config *cfg, struct str name)
{
	if (name.len && name.p[0] == '[')
		return is_literal(name);
	for (size_t i = 0; i < name.len; i++) {
		unsigned char c = (unsigned char)name.p[i];
		bool utf8 = c & 0x80 && cfg->main.allow_utf8_domains;
		if (!ch_alnum(c) && c != '.' && c != '-' && !utf8 && str_chr(cfg->main.helo_allow_chars.text, (char)c) < 0)
			return false;
	}
	return name.len > 0;
}

static struct smtp_answer malformed(struct receive_session *rs, struct str name, bool ehlo)
{
	const char *verb = ehlo ? "EHLO" : "HELO";
	rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "rejected %s from %.*s: syntactically invalid argument(s): %.*s", verb,
	    STR_ARG(rs_from(rs)), STR_ARG(name.len ? name : STR("(no argument given)")));
	struct str text = str_printf(rs->env->scratch, "Syntactically invalid %s argument(s)", verb);
	return answer_fault(SMTP_COUNTED_ERROR, 501, text);
}

/* helo_lookup_domains (default: our own names): such a HELO makes us look up who it is. */
static void look_up_suspect(struct receive_session *rs)
{
	struct moment mo;
	if (str_empty(rs->peer.host_address) || !str_empty(rs->peer.host_name) || rs->peer.host_lookup_failed)
		return;
	moment_open(&mo, rs);
	if (match_domain(&mo.ev.lx, &rs->cfg->main.helo_lookup_domains, rs->peer.helo, 0, NULL) == MATCH_YES)
		match_lookup_peer_name(&mo.ev.lx);
	rs_keep_peer(rs);
}

static bool helo_verifies(struct receive_session *rs)
{
	struct moment mo;
	moment_open(&mo, rs);
	bool good = verify_helo(&mo.ev) == VERIFY_OK;
	rs_keep_peer(rs);
	return good;
}

/* False: refused, *ret set. */
static bool check_verified(struct receive_session *rs, bool ehlo, struct smtp_answer *ret)
{
	const struct main_options *m = &rs->cfg->main;
	const char *verb = ehlo ? "EHLO" : "HELO";
	if (str_empty(rs->peer.host_address) || rs->batch)
		return true;
	if (rs_host_in(rs, &m->helo_verify_hosts)) {
		if (helo_verifies(rs))
			return true;
		rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "%.*srejected \"%s %.*s\"", STR_ARG(str_cat(rs->env->scratch, rs_who(rs), STR(" "))), verb,
		    STR_ARG(rs->peer.helo));
		*ret = answer_fault(SMTP_COUNTED_ERROR, 550, str_printf(rs->env->scratch, "%s argument does not match calling host", verb));
		return false;
	}
	if (rs_host_in(rs, &m->helo_try_verify_hosts))
		(void)helo_verifies(rs);
	return true;
}

static void hello_line(struct receive_session *rs, struct strbuf *sb)
{
	const struct peer *p = &rs->peer;
	sb_printf(sb, "%.*s Hello ", STR_ARG(rs_hostname(rs)));
	if (!str_empty(p->ident))
		sb_printf(sb, "%.*s at ", STR_ARG(p->ident));
	sb_add(sb, str_empty(p->host_name) ? p->helo : p->host_name);
	if (!str_empty(p->host_address))
		sb_printf(sb, " [%.*s]", STR_ARG(p->host_address));
}

static void offer_limits(struct receive_session *rs, struct strbuf *sb)
{
	const struct main_options *m = &rs->cfg->main;
	int64_t mails, rcpts;
	if (str_empty(rs->peer.host_address) || !rs_host_in(rs, &m->limits_advertise_hosts))
		return;
	if (!rs_expand_size(rs, &m->smtp_accept_max_per_connection, 0, &mails) || !rs_expand_size(rs, &m->recipients_max, 0, &rcpts))
		return;
	if (mails <= 0 && rcpts <= 0)
		return;
	sb_addc(sb, "\nLIMITS");
	if (mails > 0)
		sb_printf(sb, " MAILMAX=%lld", (long long)mails);
	if (rcpts > 0)
		sb_printf(sb, " RCPTMAX=%lld", (long long)rcpts);
}

static void offer_auth(struct receive_session *rs, struct strbuf *sb)
{
	rs->auth_offered = false;
	if (!rs->cfg->drivers[DRIVER_AUTHENTICATOR] || !rs_host_in(rs, &rs->cfg->main.auth_advertise_hosts))
		return;
	struct moment mo;
	moment_open(&mo, rs);
	struct str list = sasl_advertise(&mo.ev);
	if (str_empty(list))
		return;
	rs->auth_offered = true;
	sb_printf(sb, "\nAUTH %.*s", STR_ARG(list));
}

static bool tls_offer(struct receive_session *rs)
{
	return !rs->peer.tls.active && !rs->batch && rs->env->tls && rs_host_in(rs, &rs->cfg->main.tls_advertise_hosts);
}

static bool offer_size(struct receive_session *rs, struct strbuf *sb)
{
	int64_t limit;
	if (!rs_expand_size(rs, &rs->cfg->main.message_size_limit, 50 << 20, &limit))
		return false;
	if (limit > 0)
		sb_printf(sb, "\nSIZE %lld", (long long)limit);
	else
		sb_addc(sb, "\nSIZE");
	return true;
}

static void offers(struct receive_session *rs, struct strbuf *sb)
{
	const struct main_options *m = &rs->cfg->main;
	struct smtp_server_opts *so = smtp_session_opts(rs->smtp);
	(void)offer_size(rs, sb);
	offer_limits(rs, sb);
	if (m->accept_8bitmime)
		sb_addc(sb, "\n8BITMIME");
	rs->dsn_offered = rs_host_in(rs, &m->dsn_advertise_hosts);
	if (rs->dsn_offered)
		sb_addc(sb, "\nDSN");
	if (str_is_set(m->acl_smtp_etrn.text))
		sb_addc(sb, "\nETRN");
	if (str_is_set(m->acl_smtp_vrfy.text))
		sb_addc(sb, "\nVRFY");
	if (str_is_set(m->acl_smtp_expn.text))
		sb_addc(sb, "\nEXPN");
	so->pipelining = !rs->effects.no_pipelining && rs_host_in(rs, &m->pipelining_advertise_hosts);
	if (so->pipelining)
		sb_addc(sb, "\nPIPELINING");
	if (so->pipelining && rs->early_offered && !rs->peer.tls.active)
		sb_addc(sb, "\nPIPECONNECT");
	offer_auth(rs, sb);
	so->chunking = rs_host_in(rs, &m->chunking_advertise_hosts);
	rs->peer.chunking_offered = so->chunking;
	if (so->chunking)
		sb_addc(sb, "\nCHUNKING");
	so->tls_offered = rs->tls_offered = tls_offer(rs);
	if (rs->tls_offered)
		sb_addc(sb, "\nSTARTTLS");
	rs->prdr_offered = m->prdr_enable;
	if (rs->prdr_offered)
		sb_addc(sb, "\nPRDR");
	rs->utf8_offered = rs_host_in(rs, &m->smtputf8_advertise_hosts);
	if (rs->utf8_offered)
		sb_addc(sb, "\nSMTPUTF8");
	sb_addc(sb, "\nHELP");
}

static void take_name(struct receive_session *rs, struct str name, bool ehlo)
{
	struct peer *p = &rs->peer;
	if (!str_eq(p->helo, name))
		p->helo = str_tainted(str_dup(rs->arena, name));
	p->helo_verified = p->helo_verify_failed = false;
	p->esmtp = ehlo;
	p->smtputf8 = false;
	look_up_suspect(rs);
	rs_set_rcvhost(rs);
}

static struct smtp_answer greeting(struct receive_session *rs, bool ehlo, struct smtp_answer user)
{
	struct smtp_server_opts *so = smtp_session_opts(rs->smtp);
	struct strbuf sb;
	sb_init(&sb, rs->env->scratch, LIMIT_SMTP_REPLY_TEXT);
	rs->helo_given = true;
	rs_set_protocol(rs);
	if (str_is_set(user.text))
		sb_add(&sb, user.text);
	else
		hello_line(rs, &sb);
	rs->auth_offered = rs->tls_offered = rs->dsn_offered = rs->utf8_offered = rs->prdr_offered = false;
	so->pipelining = so->chunking = so->tls_offered = false;
	if (ehlo)
		offers(rs, &sb);
	return answer_str(user.code ? user.code : 250, sb_str(&sb));
}

struct smtp_answer policy_helo(void *arg, struct str name, bool ehlo)
{
	struct receive_session *rs = arg;
	struct smtp_answer a = {0};
	rs_command_begins(rs);
	tx_end(rs, rs->tx ? (ehlo ? "EHLO" : "HELO") : NULL);
	rs->helo_given = false;
	if (!well_formed(rs->cfg, name) && (!name.len || !rs_host_in(rs, &rs->cfg->main.helo_accept_junk_hosts))) {
		rs->peer.helo = STR_NONE;
		rs_set_rcvhost(rs);
		return malformed(rs, name, ehlo);
	}
	take_name(rs, name, ehlo);
	if (!check_verified(rs, ehlo, &a)) {
		rs->peer.helo = STR_NONE;
		return a;
	}
	if (str_is_set(rs->cfg->main.acl_smtp_helo.text)) {
		struct moment mo;
		moment_open(&mo, rs);
		struct str what = str_cat(rs->env->scratch, STR("EHLO or HELO "), rs->peer.helo);
		if (rs_acl(rs, &mo, ACL_HELO, &rs->cfg->main.acl_smtp_helo, what, 250, STR_NONE, &a) != ACL_OK) {
			rs->peer.helo = STR_NONE;
			rs_set_rcvhost(rs);
			return a;
		}
	}
	return greeting(rs, ehlo, a);
}
