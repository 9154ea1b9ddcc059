/* SPDX-License-Identifier: Apache-2.0
 * TLS contexts and the pool that keeps them. A context is found by its settings written out as
 * text; it is built anew when a file that it came from changed (device, inode, size, mtime).
 * Connections hold references, so an old context lives until its last connection ends. */
#include "net/tls_priv.h"

#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/map.h"
#include "base/banned.h"

#define POOL_MAX 512

struct tls_pool {
	pthread_mutex_t lock;
	struct map map;
};

struct tls_pool *tls_pool_new(void)
{
	struct tls_pool *p = calloc(1, sizeof *p);
	must(p != NULL);
	pthread_mutex_init(&p->lock, NULL);
	map_init(&p->map, NULL, false);
	return p;
}

static void pool_clear(struct tls_pool *p)
{
	uint32_t pos = 0;
	for (struct map_slot *s; (s = map_next(&p->map, &pos));)
		tls_context_unref(s->value);
	map_done(&p->map);
}

void tls_pool_free(struct tls_pool *p)
{
	if (!p)
		return;
	pool_clear(p);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

void tls_context_unref(struct tls_context *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	for (size_t i = 0; i < c->staples; i++)
		X509_free(c->staple[i].cert);
	SSL_CTX_free(c->ctx);
	arena_free(c->arena);
	free(c);
}

static struct tls_context *build_context(struct str key, uint64_t stamp, const SSL_METHOD *method, tls_build_fn build,
    const void *settings, struct why *why)
{
	struct tls_context *c = calloc(1, sizeof *c);
	must(c != NULL);
	ERR_clear_error();
	atomic_init(&c->refs, 1);
	c->arena = arena_new("tls context", 16u << 20, 0, 0);
	c->key = str_dup(c->arena, key);
	c->stamp = stamp;
	c->ctx = SSL_CTX_new(method);
	if (!c->ctx) {
		tls_why(why, "SSL_CTX_new");
		tls_context_unref(c);
		return NULL;
	}
	if (!build(c, settings, why)) {
		ERR_clear_error();
		tls_context_unref(c);
		return NULL;
	}
	return c;
}

struct tls_context *tls_context_get(struct tls_pool *p, struct str key, uint64_t stamp, const SSL_METHOD *method,
    tls_build_fn build, const void *settings, struct why *why)
{
	if (!p)
		return build_context(key, stamp, method, build, settings, why);
	pthread_mutex_lock(&p->lock);
	struct tls_context *c = map_get(&p->map, key);
	if (c && c->stamp != stamp) {
		map_remove(&p->map, key);
		tls_context_unref(c);
		c = NULL;
	}
	if (!c) {
		/* Built under the lock: a herd after a certificate's change reads it once. */
		c = build_context(key, stamp, method, build, settings, why);
		if (c && p->map.live >= POOL_MAX)
			pool_clear(p);
		if (c)
			map_put(&p->map, c->key, c);
	}
	if (c)
		atomic_fetch_add(&c->refs, 1);
	pthread_mutex_unlock(&p->lock);
	return c;
}

bool tls_list_next(struct str *rest, char *sep, struct str *ret)
{
	if (!*sep) {
		*rest = str_ltrim(*rest);
		*sep = ':';
		if (rest->len >= 2 && rest->p[0] == '<' && !ch_alnum((unsigned char)rest->p[1]) && !ch_space((unsigned char)rest->p[1])) {
			*sep = rest->p[1];
			*rest = str_from(*rest, 2);
		}
	}
	while (str_is_set(*rest)) {
		*ret = str_trim(str_cut(*rest, *sep, rest));
		if (ret->len)
			return true;
	}
	return false;
}

static void stir(uint64_t *h, uint64_t v)
{
	*h = (*h ^ v) * 0x100000001b3u;
}

uint64_t tls_files_stamp(const struct str *lists, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (size_t i = 0; i < n; i++) {
		struct str rest = lists[i], name;
		char sep = 0, path[4096];
		while (tls_list_next(&rest, &sep, &name)) {
			struct stat st;
			if (str_starts(name, "PEM ") || str_starts(name, "DER "))
				name = str_ltrim(str_from(name, 4));
			if (name.len >= sizeof path)
				continue;
			memcpy(path, name.p, name.len);
			path[name.len] = 0;
			if (path[0] != '/' || stat(path, &st) < 0)
				continue;
			stir(&h, (uint64_t)st.st_dev);
			stir(&h, (uint64_t)st.st_ino);
			stir(&h, (uint64_t)st.st_size);
			stir(&h, (uint64_t)st.st_mtim.tv_sec);
			stir(&h, (uint64_t)st.st_mtim.tv_nsec);
		}
	}
	return h;
}

void tls_why(struct why *why, const char *what)
{
	char text[256] = "unknown error";
	unsigned long e = ERR_get_error();
	if (e)
		ERR_error_string_n(e, text, sizeof text);
	why_set(why, true, "(%s): %s", what, text);
	ERR_clear_error();
}

const char *tls_file_name(struct arena *a, struct str name, struct why *why)
{
	if (name.taint) {
		why_set(why, true, "Tainted filename '%.*s'", STR_ARG(name));
		return NULL;
	}
	return str_cstr(a, name);
}

static bool load_failed(struct why *why, const char *call, const char *file)
{
	tls_why(why, call);
	why_prefix(why, "(%s file=%s): ", call, file);
	return false;
}

static bool load_pair(SSL_CTX *ctx, const char *cert, const char *key, struct why *why)
{
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		return load_failed(why, "SSL_CTX_use_certificate_chain_file", cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return load_failed(why, "SSL_CTX_use_PrivateKey_file", key);
	return true;
}

bool tls_load_pairs(SSL_CTX *ctx, struct str certificates, struct str keys, struct why *why)
{
	struct arena *a = arena_new("tls names", 1u << 20, 0, 0);
	struct str cert, key;
	char cert_sep = 0, key_sep = 0;
	bool good = true, own = !str_empty(keys);
	while (good && tls_list_next(&certificates, &cert_sep, &cert)) {
		if (!own || !tls_list_next(&keys, &key_sep, &key))
			key = cert;
		const char *c = tls_file_name(a, cert, why), *k = tls_file_name(a, key, why);
		good = c && k && load_pair(ctx, c, k, why);
	}
	arena_free(a);
	return good;
}

static bool load_crl(SSL_CTX *ctx, const char *crl, struct why *why)
{
	struct stat st;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	if (stat(crl, &st) < 0) {
		why_set(why, true, "failed to stat %s for certificates revocation lists: %s", crl, status_text(ST_ERRNO(errno)));
		return false;
	}
	bool dir = S_ISDIR(st.st_mode);
	if (X509_STORE_load_locations(store, dir ? NULL : crl, dir ? crl : NULL) != 1)
		return load_failed(why, "X509_STORE_load_locations", crl);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return true;
}

static bool load_places(SSL_CTX *ctx, const char *place, const char *crl, bool send_names, struct why *why)
{
	struct stat st;
	/* Manual 14, tls_verify_certificates: named ones are added to the system's. */
	if (SSL_CTX_set_default_verify_paths(ctx) != 1)
		return load_failed(why, "SSL_CTX_set_default_verify_paths", "system");
	if (place && strcmp(place, "system") != 0 && *place) {
		if (stat(place, &st) < 0) {
			why_set(why, true, "failed to stat %s for certificates: %s", place, status_text(ST_ERRNO(errno)));
			return false;
		}
		bool dir = S_ISDIR(st.st_mode);
		if (st.st_size > 0 && SSL_CTX_load_verify_locations(ctx, dir ? NULL : place, dir ? place : NULL) != 1)
			return load_failed(why, "SSL_CTX_load_verify_locations", place);
		if (send_names && !dir)
			SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(place));
	}
	return !crl || !*crl || load_crl(ctx, crl, why);
}

bool tls_load_trust(SSL_CTX *ctx, struct str where, struct str crl, bool send_names, struct why *why)
{
	struct arena *a = arena_new("tls names", 1u << 20, 0, 0);
	const char *place = NULL, *lists = NULL;
	bool good = (!str_is_set(where) || (place = tls_file_name(a, where, why))) &&
		    (!str_is_set(crl) || (lists = tls_file_name(a, crl, why))) && load_places(ctx, place, lists, send_names, why);
	arena_free(a);
	return good;
}

/* Manual 43.4: TLS 1.3 has its own list of ciphers, which this option leaves alone. */
bool tls_set_ciphers(SSL_CTX *ctx, struct str ciphers, struct why *why)
{
	if (str_empty(ciphers))
		return true;
	struct arena *a = arena_new("tls names", 1u << 20, 0, 0);
	bool good = SSL_CTX_set_cipher_list(ctx, str_cstr(a, ciphers)) == 1;
	if (!good)
		tls_why(why, "SSL_CTX_set_cipher_list");
	arena_free(a);
	return good;
}

void tls_set_common(SSL_CTX *ctx, uint64_t options, uint64_t options_clear)
{
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_clear_options(ctx, options_clear);
	SSL_CTX_set_options(ctx, options);
}

bool tls_alpn_wire(struct arena *a, struct str list, struct str *ret, struct why *why)
{
	struct strbuf sb;
	struct str name;
	char sep = 0;
	sb_init(&sb, a, 1024);
	while (tls_list_next(&list, &sep, &name)) {
		if (name.len > 255) {
			why_set(why, false, "ALPN name too long");
			return false;
		}
		sb_ch(&sb, (char)name.len);
		sb_add(&sb, name);
	}
	*ret = sb_str(&sb);
	if (sb.over)
		why_set(why, false, "ALPN list too long");
	return !sb.over;
}

/* openssl_options, manual 14: Exim's names are OpenSSL's without "SSL_OP_", lower-cased; names of
 * options that OpenSSL 3 no longer has are accepted and mean nothing. */
static const struct {
	const char *name;
	uint64_t bits;
} option_words[] = {
	{"all", SSL_OP_ALL},
	{"allow_no_dhe_kex", SSL_OP_ALLOW_NO_DHE_KEX},
	{"allow_unsafe_legacy_renegotiation", SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION},
	{"cipher_server_preference", SSL_OP_CIPHER_SERVER_PREFERENCE},
	{"cryptopro_tlsext_bug", SSL_OP_CRYPTOPRO_TLSEXT_BUG},
	{"dont_insert_empty_fragments", SSL_OP_DONT_INSERT_EMPTY_FRAGMENTS},
	{"enable_middlebox_compat", SSL_OP_ENABLE_MIDDLEBOX_COMPAT},
	{"ephemeral_rsa", 0},
	{"ignore_unexpected_eof", SSL_OP_IGNORE_UNEXPECTED_EOF},
	{"legacy_server_connect", SSL_OP_LEGACY_SERVER_CONNECT},
	{"microsoft_big_sslv3_buffer", 0},
	{"microsoft_sess_id_bug", 0},
	{"msie_sslv2_rsa_padding", 0},
	{"netscape_challenge_bug", 0},
	{"netscape_reuse_cipher_change_bug", 0},
	{"no_anti_replay", SSL_OP_NO_ANTI_REPLAY},
	{"no_compression", SSL_OP_NO_COMPRESSION},
	{"no_encrypt_then_mac", SSL_OP_NO_ENCRYPT_THEN_MAC},
	{"no_extended_master_secret", SSL_OP_NO_EXTENDED_MASTER_SECRET},
	{"no_query_mtu", SSL_OP_NO_QUERY_MTU},
	{"no_renegotiation", SSL_OP_NO_RENEGOTIATION},
	{"no_session_resumption_on_renegotiation", SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION},
	{"no_sslv2", 0},
	{"no_sslv3", SSL_OP_NO_SSLv3},
	{"no_ticket", SSL_OP_NO_TICKET},
	{"no_tlsv1", SSL_OP_NO_TLSv1},
	{"no_tlsv1_1", SSL_OP_NO_TLSv1_1},
	{"no_tlsv1_2", SSL_OP_NO_TLSv1_2},
	{"no_tlsv1_3", SSL_OP_NO_TLSv1_3},
	{"prioritize_chacha", SSL_OP_PRIORITIZE_CHACHA},
	{"safari_ecdhe_ecdsa_bug", SSL_OP_SAFARI_ECDHE_ECDSA_BUG},
	{"single_dh_use", 0},
	{"single_ecdh_use", 0},
	{"ssleay_080_client_dh_bug", 0},
	{"sslref2_reuse_cert_type_bug", 0},
	{"tls_block_padding_bug", 0},
	{"tls_d5_bug", 0},
	{"tls_rollback_bug", SSL_OP_TLS_ROLLBACK_BUG},
	{"tlsext_padding", SSL_OP_TLSEXT_PADDING},
};

static bool option_word(struct str name, uint64_t *ret)
{
	for (size_t i = 0; i < countof(option_words); i++)
		if (str_ieqc(name, option_words[i].name)) {
			*ret = option_words[i].bits;
			return true;
		}
	return false;
}

bool tls_parse_options(struct str words, uint64_t *ret_set, uint64_t *ret_clear, struct why *why)
{
	uint64_t set = 0, clear = 0, bits;
	words = str_trim(words);
	while (words.len) {
		uint32_t n = 0;
		while (n < words.len && !ch_space((unsigned char)words.p[n]))
			n++;
		struct str word = str_sub(words, 0, n);
		words = str_ltrim(str_from(words, n));
		bool add = word.p[0] == '+';
		if ((!add && word.p[0] != '-') || !option_word(str_from(word, 1), &bits)) {
			why_set(why, false, "unknown openssl_options item \"%.*s\"", STR_ARG(word));
			return false;
		}
		set = add ? set | bits : set & ~bits;
		clear = add ? clear & ~bits : clear | bits;
	}
	*ret_set = set;
	*ret_clear = clear;
	return true;
}
