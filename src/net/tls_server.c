/* SPDX-License-Identifier: Apache-2.0
 * TLS as a server: certificates (or a self-signed one), DH and curves, client verification, ALPN,
 * OCSP staples, and other settings by the name that the client asks for (SNI, manual 43.10). */
#include "net/tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/banned.h"

static int verify_try(int ok, X509_STORE_CTX *ctx)
{
	(void)ok, (void)ctx; /* what was wrong stays as the verify result; the session goes on */
	return 1;
}

static void apply_verify(SSL *ssl, SSL_CTX *ctx, enum tls_verify verify)
{
	int mode = verify == TLS_VERIFY_NO ? SSL_VERIFY_NONE : SSL_VERIFY_PEER;
	if (verify == TLS_VERIFY_REQUIRED)
		mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	SSL_verify_cb cb = verify == TLS_VERIFY_TRY ? verify_try : NULL;
	if (ssl)
		SSL_set_verify(ssl, mode, cb);
	else
		SSL_CTX_set_verify(ctx, mode, cb);
}

/* For a server without tls_certificate: better encrypted to nobody in particular than in clear. */
static bool self_sign(SSL_CTX *ctx, struct why *why)
{
	char host[256] = "localhost";
	(void)gethostname(host, sizeof host - 1);
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	bool good = key && x && X509_set_version(x, X509_VERSION_3) && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
		    X509_gmtime_adj(X509_getm_notBefore(x), -3600) && X509_time_adj_ex(X509_getm_notAfter(x), 365, 0, NULL) &&
		    X509_set_pubkey(x, key);
	X509_NAME *name = good ? X509_get_subject_name(x) : NULL;
	good = name && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)host, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, name) == 1 && X509_sign(x, key, EVP_sha256()) > 0 && SSL_CTX_use_certificate(ctx, x) == 1 &&
	       SSL_CTX_use_PrivateKey(ctx, key) == 1;
	if (!good)
		tls_why(why, "self-signed certificate");
	X509_free(x);
	EVP_PKEY_free(key);
	return good;
}

/* Names of manual 14 (tls_dhparam) and OpenSSL's for the same groups. ike1 and ike2 are below what
 * OpenSSL takes; Exim's own primes are not published in the manual: ffdhe2048 has their strength. */
static const struct {
	const char *name, *group;
} dh_names[] = {
	{"ffdhe2048", "ffdhe2048"}, {"ffdhe3072", "ffdhe3072"}, {"ffdhe4096", "ffdhe4096"}, {"ffdhe6144", "ffdhe6144"},
	{"ffdhe8192", "ffdhe8192"}, {"ike5", "modp_1536"}, {"ike14", "modp_2048"}, {"ike15", "modp_3072"},
	{"ike16", "modp_4096"}, {"ike17", "modp_6144"}, {"ike18", "modp_8192"}, {"ike22", "dh_1024_160"},
	{"ike23", "dh_2048_224"}, {"ike24", "dh_2048_256"}, {"default", "ffdhe2048"}, {"exim.dev.20160529.1", "ffdhe2048"},
	{"exim.dev.20160529.2", "ffdhe2048"}, {"exim.dev.20160529.3", "ffdhe2048"}, {"historic", "ffdhe2048"},
};

static EVP_PKEY *dh_group(const char *group)
{
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *pc = EVP_PKEY_CTX_new_from_name(NULL, "DH", NULL);
	if (pc && EVP_PKEY_paramgen_init(pc) == 1 && EVP_PKEY_CTX_set_group_name(pc, group) == 1)
		(void)EVP_PKEY_paramgen(pc, &key);
	EVP_PKEY_CTX_free(pc);
	return key;
}

static EVP_PKEY *dh_file(const char *path)
{
	EVP_PKEY *key = NULL;
	BIO *b = BIO_new_file(path, "r");
	if (b)
		key = PEM_read_bio_Parameters(b, NULL);
	BIO_free(b);
	return key;
}

static bool set_dh(SSL_CTX *ctx, struct arena *a, struct str what, struct why *why)
{
	EVP_PKEY *key = NULL;
	if (str_eqc(what, "none"))
		return true;
	if (str_empty(what)) {
		SSL_CTX_set_dh_auto(ctx, 1);
		return true;
	}
	const char *text = tls_file_name(a, what, why);
	if (!text)
		return false;
	if (*text == '/')
		key = dh_file(text);
	for (size_t i = 0; i < countof(dh_names) && !key; i++)
		if (strcmp(text, dh_names[i].name) == 0)
			key = dh_group(dh_names[i].group);
	if (!key || SSL_CTX_set0_tmp_dh_pkey(ctx, key) != 1) {
		EVP_PKEY_free(key);
		tls_why(why, "DH parameters");
		why_prefix(why, "tls_dhparam '%s': ", text);
		return false;
	}
	return true;
}

static bool set_curve(SSL_CTX *ctx, struct arena *a, struct str curve, struct why *why)
{
	if (str_empty(curve) || str_eqc(curve, "auto"))
		return true;
	struct strbuf sb;
	struct str name;
	char sep = 0;
	sb_init(&sb, a, 1024);
	while (tls_list_next(&curve, &sep, &name)) {
		if (sb.len)
			sb_ch(&sb, ':');
		sb_add(&sb, name);
	}
	if (SSL_CTX_set1_groups_list(ctx, str_cstr(a, sb_str(&sb))) == 1)
		return true;
	tls_why(why, "SSL_CTX_set1_groups_list");
	return false;
}

/* Manual 14, tls_alpn: a client that offers several names, or none of ours, is declined. */
static int alpn_select(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len, void *arg)
{
	struct tls_conn *t = SSL_get_app_data(ssl);
	const struct tls_context *c = t->by_sni ? t->by_sni : arg;
	if (c->alpn.len == 0)
		return SSL_TLSEXT_ERR_NOACK;
	bool single = in_len > 1 && in[0] + 1u == in_len;
	for (uint32_t at = 0; single && at < c->alpn.len; at += (unsigned char)c->alpn.p[at] + 1u)
		if ((unsigned char)c->alpn.p[at] == in[0] && memcmp(c->alpn.p + at + 1, in + 1, in[0]) == 0) {
			*out = in + 1;
			*out_len = in[0];
			return SSL_TLSEXT_ERR_OK;
		}
	t->refusal = STR("ALPN not acceptable");
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static struct tls_context *server_context(struct env *env, const struct tls_server_settings *set, struct why *why);

/* The client named a host: go on with that name's settings. */
static int sni_switch(SSL *ssl, int *alert, void *unused)
{
	(void)unused;
	struct tls_conn *t = SSL_get_app_data(ssl);
	const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
	if (!name || !t->sni || t->by_sni)
		return SSL_TLSEXT_ERR_OK;
	struct tls_server_settings set = *t->server;
	struct why why = {0};
	if (!t->sni(t->sni_arg, str_tainted(str_dup(t->arena, str_c(name))), &set)) {
		t->refusal = STR("server name refused");
		*alert = SSL_AD_UNRECOGNIZED_NAME;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	struct tls_context *c = server_context(t->env, &set, &why);
	if (!c) {
		t->refusal = str_dup(t->arena, str_c(why.text));
		*alert = SSL_AD_INTERNAL_ERROR;
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	}
	t->by_sni = c;
	SSL_set_SSL_CTX(ssl, c->ctx);
	SSL_clear_options(ssl, SSL_get_options(ssl) & ~SSL_CTX_get_options(c->ctx));
	SSL_set_options(ssl, SSL_CTX_get_options(c->ctx));
	apply_verify(ssl, NULL, set.verify);
	return SSL_TLSEXT_ERR_OK;
}

static bool build_server(struct tls_context *c, const void *settings, struct why *why)
{
	const struct tls_server_settings *set = settings;
	SSL_CTX *ctx = c->ctx;
	tls_set_common(ctx, set->options, set->options_clear);
	if (str_empty(set->certificate) ? !self_sign(ctx, why) : !tls_load_pairs(ctx, set->certificate, set->privatekey, why))
		return false;
	if (!tls_set_ciphers(ctx, set->ciphers, why) || !set_dh(ctx, c->arena, set->dhparam, why) ||
	    !set_curve(ctx, c->arena, set->eccurve, why) || !tls_alpn_wire(c->arena, set->alpn, &c->alpn, why))
		return false;
	if (set->verify != TLS_VERIFY_NO && !tls_load_trust(ctx, set->verify_certificates, set->crl, true, why))
		return false;
	if (!str_empty(set->ocsp_file) && !tls_staple_load(c, set->ocsp_file, why))
		return false;
	apply_verify(NULL, ctx, set->verify);
	c->require_alpn = set->require_alpn;
	static const unsigned char session_context[] = "eximius";
	SSL_CTX_set_session_id_context(ctx, session_context, sizeof session_context - 1);
	/* Nobody may resume a session yet (tls_resumption_hosts), so no ticket is made and sent after the handshake. */
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_tlsext_servername_callback(ctx, sni_switch);
	SSL_CTX_set_alpn_select_cb(ctx, alpn_select, c);
	SSL_CTX_set_tlsext_status_cb(ctx, tls_staple_send);
	SSL_CTX_set_tlsext_status_arg(ctx, c);
	return true;
}

static struct tls_context *server_context(struct env *env, const struct tls_server_settings *set, struct why *why)
{
	const struct str files[] = {set->certificate, set->privatekey, set->dhparam, set->verify_certificates, set->crl, set->ocsp_file};
	struct arena *a = arena_new("tls key", 1u << 20, 0, 0);
	struct strbuf key;
	sb_init(&key, a, 1u << 19);
	sb_printf(&key, "server %d %d %llx %llx", (int)set->verify, set->require_alpn, (unsigned long long)set->options,
	    (unsigned long long)set->options_clear);
	const struct str texts[] = {set->ciphers, set->eccurve, set->alpn};
	for (size_t i = 0; i < countof(files) + countof(texts); i++) {
		struct str s = i < countof(files) ? files[i] : texts[i - countof(files)];
		sb_printf(&key, " %u%c", s.len, s.taint ? 't' : ':');
		sb_add(&key, s);
	}
	struct tls_context *c = NULL;
	if (key.over)
		why_set(why, true, "TLS settings are too long");
	else
		c = tls_context_get(env ? env->tls : NULL, sb_str(&key), tls_files_stamp(files, countof(files)), TLS_server_method(),
		    build_server, set, why);
	arena_free(a);
	return c;
}

enum status tls_server_check(struct env *env, const struct tls_server_settings *set, struct why *why)
{
	struct tls_context *c = server_context(env, set, why);
	tls_context_unref(c);
	return c ? ST_OK : ST_ERRNO(EINVAL);
}

enum status tls_accept(struct env *env, struct stream *s, const struct tls_server_settings *set, tls_sni_fn sni,
    void *sni_arg, int64_t timeout_ms, struct why *why)
{
	struct tls_context *c = server_context(env, set, why);
	if (!c)
		return ST_ERRNO(EINVAL);
	bool require_alpn = set->require_alpn;
	struct tls_conn *t = tls_conn_new(s, c, why);
	if (!t)
		return ST_MALFORMED;
	t->env = env;
	t->server = set;
	t->sni = sni;
	t->sni_arg = sni_arg;
	enum status st = tls_handshake(s, t, SSL_accept, "SSL_accept", timeout_ms, why);
	if (st == ST_OK && require_alpn && !str_is_set(s->tls->alpn)) {
		why_set(why, true, "(SSL_accept): ALPN required but not negotiated");
		s->eof = true;
		s->write_error = ST_ERRNO(EPROTO);
		st = ST_ERRNO(EPROTO);
	}
	return st;
}
