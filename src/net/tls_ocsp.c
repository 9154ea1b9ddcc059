/* SPDX-License-Identifier: Apache-2.0
 * OCSP stapling (RFC 6066 8, RFC 6960), both sides. The server gives what tls_ocsp_file holds while
 * it is within its time; the client checks a given proof against the chain that it verified.
 * Values of $tls_in_ocsp: 0 not asked, 1 no answer, 2 not verified, 3 failed, 4 good. */
#include "net/tls_priv.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include "base/banned.h"

#define CLOCK_SKEW 300
#define STAPLE_MAX 65536

/* Is each single response within its time? */
static bool in_time(OCSP_BASICRESP *basic)
{
	int n = OCSP_resp_count(basic);
	for (int i = 0; i < n; i++) {
		ASN1_GENERALIZEDTIME *this = NULL, *next = NULL;
		OCSP_single_get0_status(OCSP_resp_get0(basic, i), NULL, NULL, &this, &next);
		if (OCSP_check_validity(this, next, CLOCK_SKEW, -1) != 1)
			return false;
	}
	return n > 0;
}

static bool usable(OCSP_RESPONSE *r)
{
	OCSP_BASICRESP *basic = r && OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(r) : NULL;
	bool good = basic && in_time(basic);
	OCSP_BASICRESP_free(basic);
	return good;
}

static OCSP_RESPONSE *read_response(const char *path, bool pem)
{
	OCSP_RESPONSE *r = NULL;
	BIO *b = BIO_new_file(path, "rb");
	if (b && pem)
		r = PEM_ASN1_read_bio((d2i_of_void *)(void (*)(void))d2i_OCSP_RESPONSE, PEM_STRING_OCSP_RESPONSE, b, NULL, NULL, NULL);
	else if (b)
		r = d2i_OCSP_RESPONSE_bio(b, NULL);
	BIO_free(b);
	return r;
}

static bool load_one(struct tls_context *c, const char *path, bool pem, struct why *why)
{
	OCSP_RESPONSE *r = read_response(path, pem);
	unsigned char *der = NULL;
	int n = r ? i2d_OCSP_RESPONSE(r, &der) : -1;
	OCSP_RESPONSE_free(r);
	if (n <= 0 || n > STAPLE_MAX) {
		OPENSSL_free(der);
		tls_why(why, "OCSP response");
		why_prefix(why, "tls_ocsp_file %s: ", path);
		return false;
	}
	c->staple[c->staples++].der = str_dup(c->arena, str_n((const char *)der, (size_t)n));
	OPENSSL_free(der);
	return true;
}

/* The i-th proof belongs to the i-th certificate; contexts hold them by key type. */
static void match_certificates(struct tls_context *c)
{
	for (long rc = SSL_CTX_set_current_cert(c->ctx, SSL_CERT_SET_FIRST); rc == 1 && c->staples > 1;
	     rc = SSL_CTX_set_current_cert(c->ctx, SSL_CERT_SET_NEXT))
		for (size_t k = 0; k < c->staples; k++) {
			const unsigned char *p = (const unsigned char *)c->staple[k].der.p;
			OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, c->staple[k].der.len);
			OCSP_BASICRESP *basic = r ? OCSP_response_get1_basic(r) : NULL;
			X509 *x = SSL_CTX_get0_certificate(c->ctx);
			ASN1_INTEGER *serial = NULL;
			if (basic && x && OCSP_resp_count(basic) > 0 && !c->staple[k].cert &&
			    OCSP_id_get0_info(NULL, NULL, NULL, &serial, (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(OCSP_resp_get0(basic, 0))) == 1 &&
			    ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(x)) == 0 && X509_up_ref(x) == 1)
				c->staple[k].cert = x;
			OCSP_BASICRESP_free(basic);
			OCSP_RESPONSE_free(r);
		}
	ERR_clear_error();
}

bool tls_staple_load(struct tls_context *c, struct str files, struct why *why)
{
	struct str name;
	char sep = 0;
	bool pem = false;
	while (tls_list_next(&files, &sep, &name)) {
		if (str_starts(name, "PEM ") || str_starts(name, "DER ")) {
			pem = name.p[0] == 'P';
			name = str_ltrim(str_from(name, 4));
		}
		const char *path = tls_file_name(c->arena, name, why);
		if (!path)
			return false;
		if (c->staples == TLS_STAPLES) {
			why_set(why, true, "tls_ocsp_file: more than %d proofs", TLS_STAPLES);
			return false;
		}
		if (!load_one(c, path, pem, why))
			return false;
	}
	match_certificates(c);
	return true;
}

int tls_staple_send(SSL *ssl, void *arg)
{
	struct tls_conn *t = SSL_get_app_data(ssl);
	const struct tls_context *c = t->by_sni ? t->by_sni : arg;
	const X509 *ours = SSL_get_certificate(ssl);
	t->ocsp = 1;
	for (size_t i = 0; i < c->staples; i++) {
		if (c->staple[i].cert && (!ours || X509_cmp(c->staple[i].cert, ours) != 0))
			continue;
		struct str der = c->staple[i].der;
		const unsigned char *p = (const unsigned char *)der.p;
		OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, der.len);
		bool good = usable(r);
		OCSP_RESPONSE_free(r);
		ERR_clear_error();
		if (!good)
			break; /* an expired proof does more harm than none */
		unsigned char *copy = OPENSSL_memdup(der.p, der.len);
		if (!copy || SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)der.len) != 1)
			break;
		t->ocsp = 4;
		return SSL_TLSEXT_ERR_OK;
	}
	return SSL_TLSEXT_ERR_NOACK;
}

/* The status that the proof gives for the peer's own certificate. */
static int peer_status(SSL *ssl, OCSP_BASICRESP *basic, STACK_OF(X509) *chain)
{
	X509 *peer = SSL_get0_peer_certificate(ssl);
	X509 *issuer = sk_X509_num(chain) > 1 ? sk_X509_value(chain, 1) : peer;
	OCSP_CERTID *id = peer && issuer ? OCSP_cert_to_id(NULL, peer, issuer) : NULL;
	ASN1_GENERALIZEDTIME *this = NULL, *next = NULL;
	int status = -1, reason, result = 2;
	if (id && OCSP_resp_find_status(basic, id, &status, &reason, NULL, &this, &next) == 1) {
		if (status == V_OCSP_CERTSTATUS_REVOKED)
			result = 3;
		else if (status == V_OCSP_CERTSTATUS_GOOD && OCSP_check_validity(this, next, CLOCK_SKEW, -1) == 1)
			result = 4;
		else
			result = 3;
	}
	OCSP_CERTID_free(id);
	return result;
}

int tls_staple_check(SSL *ssl, void *unused)
{
	(void)unused;
	struct tls_conn *t = SSL_get_app_data(ssl);
	const unsigned char *p = NULL;
	long n = SSL_get_tlsext_status_ocsp_resp(ssl, &p);
	bool required = t->client && t->client->require_ocsp;
	t->ocsp = 1;
	if (p && n > 0 && n <= STAPLE_MAX) {
		OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, n);
		OCSP_BASICRESP *basic =
		    r && OCSP_response_status(r) == OCSP_RESPONSE_STATUS_SUCCESSFUL ? OCSP_response_get1_basic(r) : NULL;
		STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
		if (!chain)
			chain = SSL_get_peer_cert_chain(ssl);
		t->ocsp = 2;
		if (basic && chain && OCSP_basic_verify(basic, chain, SSL_CTX_get_cert_store(SSL_get_SSL_CTX(ssl)), 0) > 0)
			t->ocsp = peer_status(ssl, basic, chain);
		else if (basic)
			t->ocsp = 3;
		OCSP_BASICRESP_free(basic);
		OCSP_RESPONSE_free(r);
	}
	ERR_clear_error();
	/* A revoked certificate ends it always; a missing proof only when one is required. */
	if (t->ocsp == 3 || (required && t->ocsp != 4)) {
		t->refusal = t->ocsp == 3 ? STR("bad OCSP proof from the server") : STR("no good OCSP proof from the server");
		return 0;
	}
	return 1;
}
