/* SPDX-License-Identifier: Apache-2.0
 * STARTTLS and TLS-on-connect, the server's side (manual 43.4-43.7): the tls_* options are expanded
 * for each connection, again when the client names a server (tls_certificate may use $tls_in_sni);
 * what the handshake tells becomes the peer's facts ($tls_in_*). */
#include "receive/receive_priv.h"

#include "net/tls.h"

#include "base/banned.h"

/* Expand an option into `to`; false when that failed. */
static bool setting(struct receive_session *rs, const struct xstr *x, struct str *to)
{
	return rs_expand(rs, x, STR_NONE, to);
}

static bool gather(struct receive_session *rs, struct tls_server_settings *set)
{
	const struct main_options *m = &rs->cfg->main;
	struct why why = {0};
	*set = (struct tls_server_settings){0};
	bool ok = setting(rs, &m->tls_certificate, &set->certificate) && setting(rs, &m->tls_privatekey, &set->privatekey) &&
	    setting(rs, &m->tls_require_ciphers, &set->ciphers) && setting(rs, &m->tls_dhparam, &set->dhparam) &&
	    setting(rs, &m->tls_eccurve, &set->eccurve) && setting(rs, &m->tls_crl, &set->crl) &&
	    setting(rs, &m->tls_verify_certificates, &set->verify_certificates) && setting(rs, &m->tls_ocsp_file, &set->ocsp_file) &&
	    setting(rs, &m->tls_alpn, &set->alpn);
	if (!ok)
		return false;
	set->verify = rs_host_in(rs, &m->tls_verify_hosts) ? TLS_VERIFY_REQUIRED :
	    rs_host_in(rs, &m->tls_try_verify_hosts) ? TLS_VERIFY_TRY : TLS_VERIFY_NO;
	set->require_alpn = rs_host_in(rs, &m->hosts_require_alpn);
	if (!str_empty(m->openssl_options.text) && !tls_parse_options(m->openssl_options.text, &set->options, &set->options_clear, &why)) {
		rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "TLS error: %s", why.text);
		return false;
	}
	return true;
}

static bool by_server_name(void *arg, struct str sni, struct tls_server_settings *set)
{
	struct receive_session *rs = arg;
	rs->peer.tls.sni = str_tainted(str_dup(rs->arena, sni));
	return gather(rs, set);
}

static void keep_facts(struct receive_session *rs)
{
	const struct tls_info *t = stream_tls(rs->stream);
	struct peer *p = &rs->peer;
	if (!t)
		return;
	p->tls.active = true;
	p->tls.version = t->version;
	p->tls.cipher = t->cipher;
	p->tls.cipher_std = t->cipher_std;
	p->tls.peer_dn = t->peer_dn;
	if (str_is_set(t->sni))
		p->tls.sni = t->sni;
	p->tls.bits = t->bits;
	p->tls.verified = t->verified;
	p->tls.ocsp = t->ocsp;
	p->tls.resumption = t->resumed;
}

/* After STARTTLS nothing that was said before counts (RFC 3207 4.2). */
static void forget(struct receive_session *rs)
{
	struct peer *p = &rs->peer;
	tx_end(rs, NULL);
	if (!rs->cfg->main.tls_remember_esmtp)
		p->esmtp = false;
	p->helo = p->auth_name = p->auth_id = p->auth_sender = STR_NONE;
	p->helo_verified = p->helo_verify_failed = p->smtputf8 = false;
	rs->helo_given = rs->auth_offered = rs->tls_offered = rs->dsn_offered = rs->utf8_offered = rs->prdr_offered = false;
	struct smtp_server_opts *so = smtp_session_opts(rs->smtp);
	so->pipelining = so->chunking = so->tls_offered = so->early_pipelining = false;
	rs->early_offered = false;
	rs_set_rcvhost(rs);
	rs_set_protocol(rs);
}

bool policy_tls_accept(void *arg)
{
	struct receive_session *rs = arg;
	struct tls_server_settings set;
	struct why why = {0};
	if (!rs->env->tls || !gather(rs, &set))
		return false;
	enum status st = tls_accept(rs->env, rs->stream, &set, by_server_name, rs, rs->timeout_ms, &why);
	if (st != ST_OK) {
		rs_log(rs, LOGTO_MAIN, "TLS error on connection from %.*s (SSL_accept): %s", STR_ARG(rs_from(rs)), why.text);
		return false;
	}
	keep_facts(rs);
	forget(rs);
	return true;
}

struct smtp_answer policy_starttls(void *arg)
{
	struct receive_session *rs = arg;
	const struct xstr *acl = &rs->cfg->main.acl_smtp_starttls;
	struct smtp_answer a;
	rs_command_begins(rs);
	if (!rs->tls_offered)
		return answer_fault(SMTP_PROTOCOL_ERROR, 503, STR("STARTTLS command used when not advertised"));
	if (str_is_set(acl->text)) {
		struct moment mo;
		moment_open(&mo, rs);
		if (rs_acl(rs, &mo, ACL_STARTTLS, acl, STR("STARTTLS "), 220, STR_NONE, &a) != ACL_OK)
			return a;
	}
	tx_end(rs, NULL);
	return (struct smtp_answer){.code = 220};
}
