/* SPDX-License-Identifier: Apache-2.0
 * The TLS layer under a stream, and what a finished handshake tells ($tls_in_cipher and friends in
 * Exim's OpenSSL forms). SSL runs non-blocking on the socket; the stream waits by poll.
 * A peer's close ends the session: read returns 0 for good, nothing falls back to clear text. */
#include "net/tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/banned.h"

/* OpenSSL 3 does not tell what it holds; measured about this with both buffers released. */
#define SSL_SIZE (20u << 10)

static ssize_t outcome(SSL *ssl, int rc, short *want)
{
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_ZERO_RETURN: return 0;
	case SSL_ERROR_WANT_READ:
		*want = POLLIN;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		*want = POLLOUT;
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_SYSCALL:
		if (errno == 0)
			return 0;
		return -1;
	default: {
		/* The connection was cut without close-notify: an end as any other, since SMTP marks
		 * the end of data itself. */
		bool cut = ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
		ERR_clear_error();
		errno = EPROTO;
		return cut ? 0 : -1;
	}
	}
}

static ssize_t tls_read(struct stream *s, void *p, size_t n, short *want)
{
	struct tls_conn *t = s->layer_data;
	size_t got = 0;
	ERR_clear_error();
	errno = 0;
	int rc = SSL_read_ex(t->ssl, p, n, &got);
	return rc == 1 ? (ssize_t)got : outcome(t->ssl, rc, want);
}

static ssize_t tls_write(struct stream *s, const void *p, size_t n, short *want)
{
	struct tls_conn *t = s->layer_data;
	size_t sent = 0;
	ERR_clear_error();
	errno = 0;
	int rc = SSL_write_ex(t->ssl, p, n, &sent);
	if (rc == 1)
		return (ssize_t)sent;
	ssize_t r = outcome(t->ssl, rc, want);
	if (r == 0) {
		errno = EPIPE;
		r = -1;
	}
	return r;
}

static bool tls_pending(struct stream *s)
{
	struct tls_conn *t = s->layer_data;
	return SSL_pending(t->ssl) > 0;
}

static void tls_farewell(struct stream *s)
{
	struct tls_conn *t = s->layer_data;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl);
	ERR_clear_error();
}

static void tls_release(struct stream *s)
{
	tls_conn_free(s->layer_data);
	s->layer_data = NULL;
	s->tls = NULL;
}

static size_t tls_footprint(const struct stream *s)
{
	const struct tls_conn *t = s->layer_data;
	return sizeof *t + arena_footprint(t->arena) + SSL_SIZE;
}

static const struct stream_layer layer_tls = {
	.read = tls_read,
	.write = tls_write,
	.pending = tls_pending,
	.farewell = tls_farewell,
	.release = tls_release,
	.footprint = tls_footprint,
};

void tls_conn_free(struct tls_conn *t)
{
	if (!t)
		return;
	X509_free(t->info.peer_cert);
	SSL_free(t->ssl);
	tls_context_unref(t->context);
	tls_context_unref(t->by_sni);
	arena_free(t->arena);
	free(t);
}

struct tls_conn *tls_conn_new(struct stream *s, struct tls_context *c, struct why *why)
{
	if (s->layer != &stream_plain || s->in_at != s->in_end) {
		why_set(why, true, "%s", s->layer != &stream_plain ? "TLS already active" : "data in clear behind STARTTLS");
		tls_context_unref(c);
		return NULL;
	}
	struct tls_conn *t = calloc(1, sizeof *t);
	must(t != NULL);
	t->context = c;
	t->arena = arena_new("tls", 1u << 20, 1024, 0);
	ERR_clear_error();
	t->ssl = SSL_new(c->ctx);
	if (!t->ssl || SSL_set_rfd(t->ssl, s->in_fd) != 1 || SSL_set_wfd(t->ssl, s->out_fd) != 1) {
		tls_why(why, "SSL_new");
		tls_conn_free(t);
		return NULL;
	}
	SSL_set_app_data(t->ssl, t);
	return t;
}

static enum status handshake_failed(struct tls_conn *t, int err, const char *what, struct why *why)
{
	if (t->refusal.len) {
		why_set(why, true, "(%s): %.*s", what, STR_ARG(t->refusal));
	} else if (ERR_peek_error()) {
		tls_why(why, what);
		long verify = SSL_get_verify_result(t->ssl);
		if (verify != X509_V_OK && why && strstr(why->text, "certificate verify failed")) {
			size_t n = strlen(why->text);
			snprintf(why->text + n, sizeof why->text - n, " (%s)", X509_verify_cert_error_string(verify));
		}
	} else {
		why_set(why, true, "(%s): %s", what, err ? status_text(ST_ERRNO(err)) : "connection closed during the handshake");
	}
	if (why)
		why->errnum = err;
	ERR_clear_error();
	return err ? ST_ERRNO(err) : ST_ERRNO(EPROTO);
}

/* Step until done. */
static enum status shake(struct stream *s, struct tls_conn *t, int (*step)(SSL *), const char *what, int64_t deadline,
    struct why *why)
{
	for (;;) {
		short want;
		ERR_clear_error();
		errno = 0;
		int rc = step(t->ssl);
		if (rc == 1)
			return ST_OK;
		int err = errno, e = SSL_get_error(t->ssl, rc);
		if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
			return handshake_failed(t, e == SSL_ERROR_SYSCALL ? err : 0, what, why);
		want = e == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
		enum status st = stream_poll(want == POLLIN ? s->in_fd : s->out_fd, want, deadline);
		if (st == ST_OK)
			continue;
		why_set(why, true, "(%s): %s", what, status_text(st));
		if (why)
			why->errnum = st == ST_TIMEOUT ? ETIMEDOUT : -(int)st;
		return st;
	}
}

enum status tls_handshake(struct stream *s, struct tls_conn *t, int (*step)(SSL *), const char *what, int64_t timeout_ms,
    struct why *why)
{
	enum status st = stream_flush(s);
	if (st != ST_OK)
		why_set(why, true, "(%s): %s", what, status_text(st));
	else
		st = shake(s, t, step, what, stream_deadline(timeout_ms), why);
	if (st != ST_OK) {
		/* What the socket holds now is neither clear text nor TLS. */
		s->eof = true;
		s->write_error = ST_ERRNO(EPROTO);
		tls_conn_free(t);
		return st;
	}
	tls_info_fill(t, SSL_is_server(t->ssl));
	t->server = NULL;
	t->client = NULL;
	t->env = NULL;
	s->layer = &layer_tls;
	s->layer_data = t;
	s->tls = &t->info;
	return ST_OK;
}

static struct str base64(struct arena *a, const unsigned char *p, size_t n)
{
	unsigned char *out = arena_alloc(a, n * 4 / 3 + 8);
	int len = EVP_EncodeBlock(out, p, (int)n);
	return str_n((const char *)out, (size_t)len);
}

/* RFC 9266 for TLS 1.3; tls-unique (RFC 5929 3), the first Finished message, before it. */
static struct str channel_binding(struct tls_conn *t, bool server)
{
	unsigned char buf[64];
	size_t n = 0;
	if (SSL_version(t->ssl) >= TLS1_3_VERSION) {
		static const char label[] = "EXPORTER-Channel-Binding";
		n = 32;
		if (SSL_export_keying_material(t->ssl, buf, n, label, sizeof label - 1, (const unsigned char *)"", 0, 1) != 1)
			return STR_NONE;
	} else {
		bool ours_first = server == (SSL_session_reused(t->ssl) == 1);
		n = ours_first ? SSL_get_finished(t->ssl, buf, sizeof buf) : SSL_get_peer_finished(t->ssl, buf, sizeof buf);
		if (n > sizeof buf)
			n = sizeof buf;
	}
	return base64(t->arena, buf, n);
}

static struct str peer_name(struct tls_conn *t)
{
	char buf[1024];
	if (!t->info.peer_cert)
		return STR_NONE;
	if (!X509_NAME_oneline(X509_get_subject_name(t->info.peer_cert), buf, sizeof buf))
		return STR_NONE;
	return str_tainted(str_dup(t->arena, str_c(buf)));
}

void tls_info_fill(struct tls_conn *t, bool server)
{
	struct tls_info *i = &t->info;
	struct arena *a = t->arena;
	const SSL_CIPHER *cipher = SSL_get_current_cipher(t->ssl);
	const char *v = SSL_get_version(t->ssl); /* "TLSv1.3" */
	const char *std = SSL_CIPHER_standard_name(cipher), *sni = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *alpn = NULL;
	unsigned alpn_len = 0;
	i->version = str_starts(str_c(v), "TLSv") ? str_printf(a, "TLS%s", v + 4) : str_dup(a, str_c(v));
	i->bits = SSL_CIPHER_get_bits(cipher, NULL);
	i->cipher = str_printf(a, "%.*s:%s:%d", STR_ARG(i->version), SSL_CIPHER_get_name(cipher), i->bits);
	i->cipher_std = str_dup(a, str_c(std));
	i->peer_cert = SSL_get1_peer_certificate(t->ssl);
	i->our_cert = SSL_get_certificate(t->ssl);
	i->peer_dn = peer_name(t);
	if (sni)
		i->sni = str_dup(a, str_c(sni));
	i->sni.taint = server;
	i->verified = i->peer_cert && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE && SSL_get_verify_result(t->ssl) == X509_V_OK;
	i->resumed = SSL_session_reused(t->ssl) == 1;
	i->ocsp = t->ocsp;
	i->ocsp_good = t->ocsp == 4;
	i->dane_verified = !server && i->verified && SSL_get0_dane_authority(t->ssl, NULL, NULL) >= 0;
	i->channel_binding = channel_binding(t, server);
	SSL_get0_alpn_selected(t->ssl, &alpn, &alpn_len);
	if (alpn_len)
		i->alpn = str_tainted(str_dup(a, str_n((const char *)alpn, alpn_len)));
}
