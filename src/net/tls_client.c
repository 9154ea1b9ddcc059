/* SPDX-License-Identifier: Apache-2.0
 * TLS as a client: verification by name (RFC 6125) or by DANE (RFC 7672), SNI, ALPN, stapled
 * proofs, a client certificate. */
#include "net/tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/banned.h"

static int verify_try(int ok, X509_STORE_CTX *ctx)
{
	(void)ok, (void)ctx;
	return 1;
}

static bool wants_proof(const struct tls_client_settings *set)
{
	return set->request_ocsp || set->require_ocsp;
}

static bool build_client(struct tls_context *c, const void *settings, struct why *why)
{
	const struct tls_client_settings *set = settings;
	SSL_CTX *ctx = c->ctx;
	tls_set_common(ctx, set->options, set->options_clear);
	if (!str_empty(set->certificate) && !tls_load_pairs(ctx, set->certificate, set->privatekey, why))
		return false;
	if (!tls_set_ciphers(ctx, set->ciphers, why) || !tls_alpn_wire(c->arena, set->alpn, &c->alpn, why))
		return false;
	if ((set->verify != TLS_VERIFY_NO || wants_proof(set)) &&
	    !tls_load_trust(ctx, set->verify_certificates, set->crl, false, why))
		return false;
	if (set->tlsa_count && SSL_CTX_dane_enable(ctx) != 1) {
		tls_why(why, "SSL_CTX_dane_enable");
		return false;
	}
	if (c->alpn.len && SSL_CTX_set_alpn_protos(ctx, (const unsigned char *)c->alpn.p, c->alpn.len) != 0) {
		tls_why(why, "SSL_CTX_set_alpn_protos");
		return false;
	}
	if (wants_proof(set))
		SSL_CTX_set_tlsext_status_cb(ctx, tls_staple_check);
	return true;
}

static struct tls_context *client_context(struct env *env, const struct tls_client_settings *set, struct why *why)
{
	const struct str files[] = {set->certificate, set->privatekey, set->crl, set->verify_certificates};
	const struct str texts[] = {set->ciphers, set->alpn};
	struct arena *a = arena_new("tls key", 1u << 20, 0, 0);
	struct strbuf key;
	sb_init(&key, a, 1u << 19);
	sb_printf(&key, "client %d %d %d %llx %llx", set->verify != TLS_VERIFY_NO, set->tlsa_count > 0, wants_proof(set),
	    (unsigned long long)set->options, (unsigned long long)set->options_clear);
	for (size_t i = 0; i < countof(files) + countof(texts); i++) {
		struct str s = i < countof(files) ? files[i] : texts[i - countof(files)];
		sb_printf(&key, " %u%c", s.len, s.taint ? 't' : ':');
		sb_add(&key, s);
	}
	struct tls_context *c = NULL;
	if (key.over)
		why_set(why, true, "TLS settings are too long");
	else
		c = tls_context_get(env ? env->tls : NULL, sb_str(&key), tls_files_stamp(files, countof(files)), TLS_client_method(),
		    build_client, set, why);
	arena_free(a);
	return c;
}

static char *name_text(struct tls_conn *t, struct str name)
{
	while (name.len && name.p[name.len - 1] == '.')
		name.len--;
	return str_cstr(t->arena, name);
}

/* RFC 7672 3.1: only DANE-TA(2) and DANE-EE(3) mean something for SMTP; unusable records are passed
 * over, and when none is left the session is encrypted but not authenticated. */
static bool set_dane(struct tls_conn *t, const struct tls_client_settings *set, int *ret_usable, struct why *why)
{
	int usable = 0;
	struct str base = str_empty(set->dane_domain) ? set->verify_name : set->dane_domain;
	if (SSL_dane_enable(t->ssl, name_text(t, base)) != 1) {
		tls_why(why, "SSL_dane_enable");
		return false;
	}
	SSL_dane_set_flags(t->ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
	SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (!str_empty(set->verify_name) && !str_ieq(set->verify_name, base) && SSL_add1_host(t->ssl, name_text(t, set->verify_name)) != 1) {
		tls_why(why, "SSL_add1_host");
		return false;
	}
	for (size_t i = 0; i < set->tlsa_count; i++) {
		const struct tlsa *r = &set->tlsa[i];
		if (r->usage != 2 && r->usage != 3)
			continue;
		int rc = SSL_dane_tlsa_add(t->ssl, r->usage, r->selector, r->matching, (const unsigned char *)r->data.p, r->data.len);
		ERR_clear_error(); /* malformed or of an unknown kind: unusable, not an error */
		usable += rc > 0;
	}
	*ret_usable = usable;
	return true;
}

static bool set_peer(struct tls_conn *t, const struct tls_client_settings *set, struct why *why)
{
	int usable = 0;
	if (set->tlsa_count) {
		if (!set_dane(t, set, &usable, why))
			return false;
		SSL_set_verify(t->ssl, usable ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
	} else {
		SSL_set_verify(t->ssl, set->verify == TLS_VERIFY_NO ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
		    set->verify == TLS_VERIFY_TRY ? verify_try : NULL);
		if (set->verify != TLS_VERIFY_NO && !str_empty(set->verify_name)) {
			SSL_set_hostflags(t->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
			if (SSL_set1_host(t->ssl, name_text(t, set->verify_name)) != 1) {
				tls_why(why, "SSL_set1_host");
				return false;
			}
		}
	}
	/* DANE set the base domain as SNI (RFC 7672 8.1); a name of the caller's goes before it. */
	if (!str_empty(set->sni) && SSL_set_tlsext_host_name(t->ssl, name_text(t, set->sni)) != 1) {
		tls_why(why, "SSL_set_tlsext_host_name");
		return false;
	}
	if (wants_proof(set)) {
		SSL_set_tlsext_status_type(t->ssl, TLSEXT_STATUSTYPE_ocsp);
		t->ocsp = 1;
	}
	return true;
}

static bool dh_too_small(const struct tls_conn *t, int min_bits)
{
	EVP_PKEY *key = NULL;
	if (min_bits <= 0 || SSL_get_peer_tmp_key(t->ssl, &key) != 1)
		return false;
	bool small = EVP_PKEY_get_base_id(key) == EVP_PKEY_DH && EVP_PKEY_get_bits(key) < min_bits;
	EVP_PKEY_free(key);
	return small;
}

enum status tls_connect(struct env *env, struct stream *s, const struct tls_client_settings *set, int64_t timeout_ms,
    struct why *why)
{
	struct tls_context *c = client_context(env, set, why);
	if (!c)
		return ST_ERRNO(EINVAL);
	struct tls_conn *t = tls_conn_new(s, c, why);
	if (!t)
		return ST_MALFORMED;
	t->env = env;
	t->client = set;
	if (!set_peer(t, set, why)) {
		tls_conn_free(t);
		return ST_ERRNO(EINVAL);
	}
	enum status st = tls_handshake(s, t, SSL_connect, "SSL_connect", timeout_ms, why);
	if (st != ST_OK)
		return st;
	const char *fault = NULL;
	if (set->require_ocsp && t->ocsp != 4)
		fault = "no good OCSP proof from the server";
	else if (dh_too_small(t, set->dh_min_bits))
		fault = "the server's DH group is too small";
	if (fault) {
		why_set(why, true, "(SSL_connect): %s", fault);
		s->eof = true;
		s->write_error = ST_ERRNO(EPROTO);
		return ST_ERRNO(EPROTO);
	}
	return ST_OK;
}
