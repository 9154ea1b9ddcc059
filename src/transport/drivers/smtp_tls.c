/* SPDX-License-Identifier: Apache-2.0
 * TLS as a client (manual 30, 43.6): settings from the options, each expanded for the host; what a
 * failed handshake means. */
#include <errno.h>

#include "net/tls.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

static bool get(struct smtp_job *j, const struct xstr *x, const char *what, struct str *ret)
{
	enum expand_status st = expand(j->d->eval, x, ret);
	if (st == EXPAND_FORCED)
		*ret = STR_NONE;
	if (st == EXPAND_OK || st == EXPAND_FORCED)
		return true;
	smtp_fault_text(j, DERR_TLSFAILURE, "TLS session: expansion of %s failed: %.*s", what, STR_ARG(j->d->eval->lx.error));
	return false;
}

static bool find_verify(struct smtp_job *j, struct tls_client_settings *s)
{
	const struct smtp_options *o = j->o;
	bool must_be = false, try = false, name = false;
	if (!smtp_match_host(j, &o->tls_verify_hosts, &must_be) || !smtp_match_host(j, &o->tls_try_verify_hosts, &try) ||
	    !smtp_match_host(j, &o->tls_verify_cert_hostnames, &name))
		return false;
	if (!str_is_set(o->tls_verify_hosts.text) && !str_is_set(o->tls_try_verify_hosts.text))
		must_be = true; /* "as if this option selected all hosts" */
	s->verify = must_be ? TLS_VERIFY_REQUIRED : try ? TLS_VERIFY_TRY : TLS_VERIFY_NO;
	if (s->verify != TLS_VERIFY_NO && name)
		s->verify_name = str_is_set(j->host->certname) ? j->host->certname : j->host->name;
	return true;
}

static bool find_settings(struct smtp_job *j, struct tls_client_settings *s)
{
	const struct smtp_options *o = j->o;
	*s = (struct tls_client_settings){.dh_min_bits = o->tls_dh_min_bits};
	return get(j, &o->tls_certificate, "tls_certificate", &s->certificate) &&
	    get(j, &o->tls_privatekey, "tls_privatekey", &s->privatekey) &&
	    get(j, &o->tls_require_ciphers, "tls_require_ciphers", &s->ciphers) && get(j, &o->tls_crl, "tls_crl", &s->crl) &&
	    get(j, &o->tls_verify_certificates, "tls_verify_certificates", &s->verify_certificates) &&
	    get(j, &o->tls_alpn, "tls_alpn", &s->alpn) && get(j, &o->tls_sni, "tls_sni", &s->sni) && find_verify(j, s) &&
	    smtp_match_host(j, &o->hosts_request_ocsp, &s->request_ocsp) &&
	    smtp_match_host(j, &o->hosts_require_ocsp, &s->require_ocsp);
}

bool smtp_start_tls(struct smtp_job *j)
{
	struct tls_client_settings s;
	struct why why = {0};
	bool need_alpn = false;
	if (!find_settings(j, &s) || !smtp_match_host(j, &j->o->hosts_require_alpn, &need_alpn))
		return false;
	enum status st = tls_connect(j->d->env, j->conn->stream, &s, (int64_t)j->o->command_timeout * 1000, &why);
	const struct tls_info *t = stream_tls(j->conn->stream);
	if (st == ST_OK && need_alpn && (!t || str_empty(t->alpn))) {
		why_set(&why, true, "no ALPN was negotiated");
		st = ST_MALFORMED;
	}
	if (st == ST_OK)
		return true;
	if (st == ST_TIMEOUT)
		smtp_fault_text(j, DERR_TLSFAILURE, "TLS session: (tls lib connect fn): timed out");
	else
		smtp_fault_text(j, DERR_TLSFAILURE, "TLS session: %s", why.text);
	j->fault.lost = true;
	return false;
}
