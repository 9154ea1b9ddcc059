/* SPDX-License-Identifier: Apache-2.0
 * Inside of TLS, for sibling files: contexts (tls_context.c), what each side adds (tls_server.c,
 * tls_client.c), stapling (tls_ocsp.c), the layer on a stream and what it tells (tls_info.c). */
#pragma once
#include "net/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "base/strbuf.h"
#include "net/stream_priv.h"

#define TLS_STAPLES 8

/* An SSL_CTX and what its callbacks need; shared, never changed once made. */
struct tls_context {
	atomic_uint refs;
	SSL_CTX *ctx;
	struct arena *arena;
	struct str key;      /* the settings as text */
	uint64_t stamp;      /* of the files that it was made from */
	struct str alpn;     /* protocols in wire form */
	struct {
		struct str der;
		X509 *cert; /* whose it is; NULL = any */
	} staple[TLS_STAPLES];
	size_t staples;
	bool require_alpn;
};

/* One TLS connection: the stream's layer_data. */
struct tls_conn {
	SSL *ssl;
	struct arena *arena;
	struct tls_info info;
	struct tls_context *context, *by_sni;
	/* while the handshake runs: */
	struct env *env;
	const struct tls_server_settings *server;
	const struct tls_client_settings *client;
	tls_sni_fn sni;
	void *sni_arg;
	int ocsp;
	struct str refusal; /* why a callback of ours said no */
};

/* Fill the context from settings; false with why. */
typedef bool (*tls_build_fn)(struct tls_context *c, const void *settings, struct why *why);
/* The context for `key`, from the pool (may be NULL) or built; NULL with why. Unref it. */
struct tls_context *tls_context_get(struct tls_pool *p, struct str key, uint64_t stamp, const SSL_METHOD *method,
    tls_build_fn build, const void *settings, struct why *why);
void tls_context_unref(struct tls_context *c);
/* A number that changes when one of the listed files does. */
uint64_t tls_files_stamp(const struct str *lists, size_t n);

/* Steps that both sides share. Each is content with an unset str. */
bool tls_load_pairs(SSL_CTX *ctx, struct str certificates, struct str keys, struct why *why);
bool tls_load_trust(SSL_CTX *ctx, struct str where, struct str crl, bool send_names, struct why *why);
bool tls_set_ciphers(SSL_CTX *ctx, struct str ciphers, struct why *why);
void tls_set_common(SSL_CTX *ctx, uint64_t options, uint64_t options_clear);
/* "smtp : esmtp" to length-prefixed names; false if a name is empty or too long. */
bool tls_alpn_wire(struct arena *a, struct str list, struct str *ret, struct why *why);
/* Take the next item of an Exim list off *rest (colon, or "<c" first); false at the end. */
bool tls_list_next(struct str *rest, char *sep, struct str *ret);
/* The file name, NUL-terminated, or NULL with why if tainted (manual 11: tainted names are refused). */
const char *tls_file_name(struct arena *a, struct str name, struct why *why);

/* why: "(what): OpenSSL's oldest error", and forget its queue. */
void tls_why(struct why *why, const char *what);
bool tls_staple_load(struct tls_context *c, struct str files, struct why *why);
int tls_staple_send(SSL *ssl, void *context);
int tls_staple_check(SSL *ssl, void *unused);

/* Put an SSL on the stream, shake hands by `step` until the deadline; on success the layer stands. */
struct tls_conn *tls_conn_new(struct stream *s, struct tls_context *c, struct why *why);
enum status tls_handshake(struct stream *s, struct tls_conn *t, int (*step)(SSL *), const char *what, int64_t timeout_ms,
    struct why *why);
void tls_conn_free(struct tls_conn *t);
void tls_info_fill(struct tls_conn *t, bool server);
