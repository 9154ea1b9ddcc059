/* SPDX-License-Identifier: Apache-2.0
 * TLS by OpenSSL 3 (manual chapter 43). Contexts are made from settings and cached by them in a
 * tls_pool, so certificates are read once per change of their files. STARTTLS begins on a stream;
 * what was buffered in clear behind it is a protocol error that the caller must have checked. */
#pragma once
#include "base/env.h"
#include "base/status.h"
#include "net/stream.h"

struct tls_pool;
struct tls_pool *tls_pool_new(void);
void tls_pool_free(struct tls_pool *p);

enum tls_verify { TLS_VERIFY_NO, TLS_VERIFY_TRY, TLS_VERIFY_REQUIRED };

/* One row of TLSA (RFC 6698), for clients. */
struct tlsa {
	uint8_t usage, selector, matching;
	struct str data;
};

struct tls_server_settings {
	struct str certificate, privatekey; /* file names (several, colon list, for RSA + ECDSA); key unset = in certificate;
	                                       certificate unset = self-signed, made once */
	struct str ciphers;          /* tls_require_ciphers, OpenSSL syntax */
	struct str dhparam, eccurve; /* names or files */
	struct str verify_certificates; /* CA file, dir, or "system" */
	struct str crl;
	struct str ocsp_file;
	struct str alpn;      /* colon list; empty = not checked */
	uint64_t options, options_clear; /* SSL_OP_* from openssl_options */
	enum tls_verify verify;
	bool require_alpn;
};

struct tls_client_settings {
	struct str certificate, privatekey, ciphers, crl, verify_certificates, alpn, sni;
	struct str verify_name;  /* host name to match, unset = not checked */
	enum tls_verify verify;
	const struct tlsa *tlsa; /* DANE */
	size_t tlsa_count;
	uint64_t options, options_clear;
	int dh_min_bits;
	bool request_ocsp, require_ocsp;
	struct str dane_domain;
};

/* What a finished handshake tells; strings live as long as the stream. */
struct tls_info {
	struct str version;      /* "TLS1.3" as Exim's $tls_in_ver */
	struct str cipher;       /* "TLS1.3:TLS_AES_256_GCM_SHA384:256" as $tls_in_cipher */
	struct str cipher_std;   /* IANA name */
	struct str peer_dn;      /* tainted */
	struct str sni;          /* as sent by the client; tainted */
	int bits;
	bool verified;           /* certificate checked and good */
	bool resumed, dane_verified, ocsp_good;
	int ocsp;                /* $tls_in_ocsp / $tls_out_ocsp values 0..4 */
	struct str channel_binding; /* tls-exporter or tls-unique, base64 */
	void *peer_cert, *our_cert; /* X509 *, owned by the stream */
	struct str alpn;
};

/* SNI callback: settings for this name (may be the same); false refuses. */
typedef bool (*tls_sni_fn)(void *arg, struct str sni, struct tls_server_settings *settings);

must_check enum status tls_accept(struct env *env, struct stream *s, const struct tls_server_settings *set,
    tls_sni_fn sni, void *sni_arg, int64_t timeout_ms, struct why *why);
must_check enum status tls_connect(struct env *env, struct stream *s, const struct tls_client_settings *set,
    int64_t timeout_ms, struct why *why);
/* End TLS but keep the socket (only for tests that speak to legacy peers). */
/* Check settings at start, so that a missing key is found before a client asks (manual 43.5). */
must_check enum status tls_server_check(struct env *env, const struct tls_server_settings *set, struct why *why);
/* "+no_sslv3 -all": openssl_options words (manual 14); false on an unknown word, named in why. */
bool tls_parse_options(struct str words, uint64_t *ret_set, uint64_t *ret_clear, struct why *why);
