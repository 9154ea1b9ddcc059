/* SPDX-License-Identifier: Apache-2.0
 * Handshakes over a socket pair, server in a thread; certificates are made here. */
#include "test.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/tls.h"

static struct arena *a;
static struct env env;
static char dir[] = "/tmp/eximius-tls-XXXXXX";
static struct str ca_file, host_file, other_file, client_file;
static struct tlsa host_tlsa;

static EVP_PKEY *ca_key;
static X509 *ca_cert;

static void add_ext(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	must(e != NULL);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

static struct str write_file(const char *name, X509 *x, EVP_PKEY *key)
{
	char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	must(f && PEM_write_X509(f, x) == 1);
	if (key)
		must(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
	return str_dup(a, str_c(path));
}

/* A certificate for cn, signed by the CA (or by itself, as the CA). */
static struct str make_cert(const char *file, const char *cn, const char *names, bool rsa)
{
	static long serial = 1;
	EVP_PKEY *key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
	X509 *x = X509_new();
	must(key && x);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "O", MBSTRING_ASC, (const unsigned char *)"Test", -1, -1, 0);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)cn, -1, -1, 0);
	bool is_ca = !ca_cert;
	X509 *issuer = is_ca ? x : ca_cert;
	X509_set_issuer_name(x, X509_get_subject_name(issuer));
	add_ext(x, issuer, NID_basic_constraints, is_ca ? "critical,CA:TRUE" : "CA:FALSE");
	if (names)
		add_ext(x, issuer, NID_subject_alt_name, names);
	must(X509_sign(x, is_ca ? key : ca_key, EVP_sha256()) > 0);
	struct str path = write_file(file, x, is_ca ? NULL : key);
	if (is_ca) {
		ca_cert = x;
		ca_key = key;
		return path;
	}
	if (strcmp(cn, "mx.example.org") == 0) {
		unsigned char md[32];
		unsigned n = sizeof md;
		must(X509_pubkey_digest(x, EVP_sha256(), md, &n) == 1);
		unsigned char *spki = NULL;
		int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &spki);
		must(len > 0 && EVP_Digest(spki, (size_t)len, md, &n, EVP_sha256(), NULL) == 1);
		OPENSSL_free(spki);
		host_tlsa = (struct tlsa){.usage = 3, .selector = 1, .matching = 1, .data = str_dup(a, str_n((const char *)md, 32))};
	}
	X509_free(x);
	EVP_PKEY_free(key);
	return path;
}

struct server {
	int fd;
	struct tls_server_settings set;
	bool cut; /* end without close-notify */
	enum status st;
	struct why why;
	struct tls_info info; /* texts copied */
	char cipher[100], sni[100], peer[200], binding[100];
};

static void keep(char *to, size_t n, struct str s)
{
	snprintf(to, n, "%.*s", STR_ARG(s));
}

static bool pick_by_name(void *arg, struct str sni, struct tls_server_settings *set)
{
	(void)arg;
	if (str_eqc(sni, "refused.example.org"))
		return false;
	if (str_eqc(sni, "other.example.org"))
		set->certificate = other_file;
	return true;
}

static void *serve(void *arg)
{
	struct server *v = arg;
	struct stream *s = stream_new(v->fd, v->fd);
	stream_set_timeout(s, 5000);
	v->st = tls_accept(&env, s, &v->set, pick_by_name, NULL, 5000, &v->why);
	if (v->st == ST_OK) {
		v->info = *stream_tls(s);
		keep(v->cipher, sizeof v->cipher, v->info.cipher);
		keep(v->sni, sizeof v->sni, v->info.sni);
		keep(v->peer, sizeof v->peer, v->info.peer_dn);
		keep(v->binding, sizeof v->binding, v->info.channel_binding);
		struct str line;
		enum line_end end;
		while (stream_read_line(s, 100000, &line, &end) == ST_OK)
			if (stream_printf(s, "got %u %.2s\r\n", line.len, line.p) != ST_OK || stream_flush(s) != ST_OK)
				break;
	}
	if (v->cut)
		stream_drop(s);
	else
		stream_close(s);
	return NULL;
}

static pthread_t thread;

static struct stream *begin(struct server *v)
{
	int fd[2];
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	v->fd = fd[1];
	must(pthread_create(&thread, NULL, serve, v) == 0);
	struct stream *s = stream_new(fd[0], fd[0]);
	stream_set_timeout(s, 5000);
	return s;
}

static void end(struct stream *s)
{
	stream_close(s);
	pthread_join(thread, NULL);
}

static struct why why;

static void lines_pass_as_in_clear(void)
{
	struct server v = {.set = {.certificate = host_file}};
	struct tls_client_settings set = {.verify_certificates = ca_file, .verify = TLS_VERIFY_REQUIRED,
		.verify_name = STR("mx.example.org"), .sni = STR("mx.example.org")};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	const struct tls_info *i = stream_tls(s);
	check(i != NULL);
	check_str(i->version, "TLS1.3");
	check_str(i->cipher, "TLS1.3:TLS_AES_256_GCM_SHA384:256");
	check_str(i->cipher_std, "TLS_AES_256_GCM_SHA384");
	check_int(i->bits, 256);
	check_str(i->peer_dn, "/O=Test/CN=mx.example.org");
	check(i->peer_dn.taint);
	check(i->verified && !i->dane_verified && !i->resumed);
	check_int(i->channel_binding.len, 44);
	struct str binding = str_dup(a, i->channel_binding), line;
	enum line_end e;
	check_int(stream_put(s, STR("abc\r\nde\r\n")), ST_OK);
	check_int(stream_flush(s), ST_OK);
	check_int(stream_read_line(s, 100, &line, &e), ST_OK);
	check_str(line, "got 3 ab");
	check_int(stream_read_line(s, 100, &line, &e), ST_OK);
	check_str(line, "got 2 de");
	char *big = malloc(90002);
	memset(big, 'x', 90000);
	memcpy(big + 90000, "\r\n", 2);
	check_int(stream_write(s, big, 90002), ST_OK);
	check_int(stream_flush(s), ST_OK);
	check_int(stream_read_line(s, 100, &line, &e), ST_OK);
	check_str(line, "got 90000 xx");
	free(big);
	stream_park(s);
	check(!stream_pending(s, true));
	end(s);
	check_int(v.st, ST_OK);
	check_str(str_c(v.cipher), "TLS1.3:TLS_AES_256_GCM_SHA384:256");
	check_str(str_c(v.sni), "mx.example.org");
	check(v.info.sni.taint);
	check(!v.info.verified);
	check_str(str_c(v.binding), str_cstr(a, binding));
}

static void a_self_signed_certificate_is_made(void)
{
	struct server v = {0};
	struct tls_client_settings set = {.verify = TLS_VERIFY_TRY, .verify_certificates = ca_file};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check(!stream_tls(s)->verified);
	end(s);
	check_int(v.st, ST_OK);
	set.verify = TLS_VERIFY_REQUIRED;
	s = begin(&v);
	check(tls_connect(&env, s, &set, 5000, &why) != ST_OK);
	check(strstr(why.text, "certificate verify failed") != NULL);
	check(stream_tls(s) == NULL);
	check(stream_put(s, STR("x")) != ST_OK); /* nothing in clear after that */
	end(s);
	check(v.st != ST_OK);
}

static void names_must_match(void)
{
	struct server v = {.set = {.certificate = host_file}};
	struct tls_client_settings set = {.verify_certificates = ca_file, .verify = TLS_VERIFY_REQUIRED,
		.verify_name = STR("wrong.example.org")};
	struct stream *s = begin(&v);
	check(tls_connect(&env, s, &set, 5000, &why) != ST_OK);
	check(strstr(why.text, "ostname mismatch") != NULL);
	end(s);
	set.verify = TLS_VERIFY_TRY;
	s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check(!stream_tls(s)->verified);
	end(s);
	set.verify_name = STR("a.wild.example.org");
	s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check(stream_tls(s)->verified);
	end(s);
}

static void the_name_asked_for_picks_the_certificate(void)
{
	struct server v = {.set = {.certificate = host_file}};
	struct tls_client_settings set = {.verify_certificates = ca_file, .verify = TLS_VERIFY_REQUIRED,
		.verify_name = STR("other.example.org"), .sni = STR("other.example.org")};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check_str(stream_tls(s)->peer_dn, "/O=Test/CN=other.example.org");
	end(s);
	set.sni = STR("refused.example.org");
	s = begin(&v);
	check(tls_connect(&env, s, &set, 5000, &why) != ST_OK);
	end(s);
	check(strstr(v.why.text, "server name refused") != NULL);
}

static void dane_needs_no_authority(void)
{
	struct server v = {.set = {.certificate = host_file}};
	struct tlsa rows[] = {{.usage = 1, .selector = 0, .matching = 1, .data = STR("short")}, host_tlsa};
	struct tls_client_settings set = {.tlsa = rows, .tlsa_count = 2, .dane_domain = STR("mx.example.org"),
		.verify = TLS_VERIFY_REQUIRED};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check(stream_tls(s)->dane_verified && stream_tls(s)->verified);
	end(s);
	check_str(str_c(v.sni), "mx.example.org");
	char bad[32] = "";
	rows[1].data = str_n(bad, 32);
	s = begin(&v);
	check(tls_connect(&env, s, &set, 5000, &why) != ST_OK);
	end(s);
	set.tlsa_count = 1; /* unusable only: encrypted, not authenticated */
	s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check(!stream_tls(s)->dane_verified);
	end(s);
}

static void clients_may_be_asked_for_certificates(void)
{
	struct server v = {.set = {.certificate = host_file, .verify = TLS_VERIFY_REQUIRED, .verify_certificates = ca_file}};
	struct tls_client_settings set = {.certificate = client_file};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	end(s);
	check_int(v.st, ST_OK);
	check(v.info.verified);
	check_str(str_c(v.peer), "/O=Test/CN=client");
	set.certificate = STR_NONE;
	s = begin(&v);
	(void)!tls_connect(&env, s, &set, 5000, &why);
	end(s);
	check(v.st != ST_OK);
	v.set.verify = TLS_VERIFY_TRY;
	s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	end(s);
	check_int(v.st, ST_OK);
	check(!v.info.verified);
}

static void tls12_and_options(void)
{
	struct server v = {.set = {.certificate = host_file, .ciphers = STR("ECDHE-RSA-AES128-GCM-SHA256")}};
	struct tls_client_settings set = {0};
	check(tls_parse_options(STR("+all -all +no_tlsv1_3 +no_sslv2"), &set.options, &set.options_clear, &why));
	check_int((long long)set.options, (long long)SSL_OP_NO_TLSv1_3);
	check(!tls_parse_options(STR("+no_tlsv1_4"), &set.options, &set.options_clear, &why));
	check(strstr(why.text, "no_tlsv1_4") != NULL);
	check(!tls_parse_options(STR("no_tlsv1"), &set.options, &set.options_clear, &why));
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check_str(stream_tls(s)->cipher, "TLS1.2:ECDHE-RSA-AES128-GCM-SHA256:128");
	check_str(stream_tls(s)->cipher_std, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
	struct str binding = str_dup(a, stream_tls(s)->channel_binding);
	end(s);
	check_str(str_c(v.binding), str_cstr(a, binding));
	v.set.ciphers = STR("ECDHE-ECDSA-AES128-SHA");
	s = begin(&v);
	check(tls_connect(&env, s, &set, 5000, &why) != ST_OK);
	end(s);
	check(strstr(v.why.text, "no shared cipher") != NULL);
}

static void alpn_is_declined_as_the_manual_says(void)
{
	struct server v = {.set = {.certificate = host_file, .alpn = STR("smtp : esmtp")}};
	struct tls_client_settings set = {.alpn = STR("smtp")};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check_str(stream_tls(s)->alpn, "smtp");
	end(s);
	set.alpn = STR("http/1.1");
	s = begin(&v);
	check(tls_connect(&env, s, &set, 5000, &why) != ST_OK);
	end(s);
	check(strstr(v.why.text, "ALPN") != NULL);
	set.alpn = STR("smtp:esmtp");
	s = begin(&v);
	check(tls_connect(&env, s, &set, 5000, &why) != ST_OK);
	end(s);
	set.alpn = STR_NONE;
	s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	end(s);
	check_int(v.st, ST_OK);
	v.set.require_alpn = true;
	s = begin(&v);
	(void)!tls_connect(&env, s, &set, 5000, &why);
	end(s);
	check(v.st != ST_OK);
}

static void a_cut_connection_is_an_end(void)
{
	struct server v = {.set = {.certificate = host_file}, .cut = true};
	struct tls_client_settings set = {0};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	struct str line;
	enum line_end e;
	stream_shutdown_write(s); /* close-notify: the server's read ends */
	check_int(stream_read_line(s, 100, &line, &e), ST_EOF);
	check_int(stream_read_line(s, 100, &line, &e), ST_EOF);
	end(s);
}

static void handshakes_fail_clearly(void)
{
	struct server v = {.set = {.certificate = host_file}};
	struct stream *s = begin(&v);
	check_int(stream_put(s, STR("MAIL FROM:<>\r\n")), ST_OK);
	check_int(stream_flush(s), ST_OK);
	end(s);
	check(v.st != ST_OK);
	check(strstr(v.why.text, "(SSL_accept)") != NULL);
	int fd[2];
	check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	s = stream_new(fd[0], fd[0]);
	struct tls_client_settings set = {0};
	check_int(tls_connect(&env, s, &set, 20, &why), ST_TIMEOUT);
	check(strstr(why.text, "timed out") != NULL);
	stream_close(s);
	s = stream_new(fd[1], fd[1]);
	stream_close(s);
	struct tls_server_settings bad = {.certificate = STR("/nonexistent/cert")};
	check(tls_server_check(&env, &bad, &why) != ST_OK);
	check(strstr(why.text, "/nonexistent/cert") != NULL);
	bad.certificate = str_tainted(host_file);
	check(tls_server_check(&env, &bad, &why) != ST_OK);
	check(strstr(why.text, "ainted") != NULL);
	bad = (struct tls_server_settings){.certificate = host_file, .dhparam = STR("ike99")};
	check(tls_server_check(&env, &bad, &why) != ST_OK);
	bad.dhparam = STR("ffdhe2048");
	bad.eccurve = STR("P-521:prime256v1");
	check_int(tls_server_check(&env, &bad, &why), ST_OK);
}

static void data_behind_starttls_is_refused(void)
{
	int fd[2];
	check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	struct stream *s = stream_new(fd[0], fd[0]);
	struct str line;
	enum line_end e;
	check_int(write(fd[1], "STARTTLS\r\nRSET\r\n", 16), 16);
	check_int(stream_read_line(s, 100, &line, &e), ST_OK);
	struct tls_server_settings set = {.certificate = host_file};
	check_int(tls_accept(&env, s, &set, NULL, NULL, 1000, &why), ST_MALFORMED);
	stream_close(s);
	close(fd[1]);
}

static void a_changed_certificate_is_read_again(void)
{
	struct str path = make_cert("changing", "first", NULL, false);
	struct server v = {.set = {.certificate = path}};
	struct tls_client_settings set = {0};
	struct stream *s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check_str(stream_tls(s)->peer_dn, "/O=Test/CN=first");
	end(s);
	unlink(str_cstr(a, path));
	make_cert("changing", "second", NULL, false);
	s = begin(&v);
	check_int(tls_connect(&env, s, &set, 5000, &why), ST_OK);
	check_str(stream_tls(s)->peer_dn, "/O=Test/CN=second");
	end(s);
}

int main(void)
{
	static const struct test_row rows[] = {{"lines pass as in clear", lines_pass_as_in_clear},
		{"a self-signed certificate is made", a_self_signed_certificate_is_made}, {"names must match", names_must_match},
		{"the name asked for picks the certificate", the_name_asked_for_picks_the_certificate},
		{"DANE needs no authority", dane_needs_no_authority},
		{"clients may be asked for certificates", clients_may_be_asked_for_certificates},
		{"TLS 1.2 and options", tls12_and_options},
		{"ALPN is declined as the manual says", alpn_is_declined_as_the_manual_says},
		{"a cut connection is an end", a_cut_connection_is_an_end}, {"handshakes fail clearly", handshakes_fail_clearly},
		{"data behind STARTTLS is refused", data_behind_starttls_is_refused},
		{"a changed certificate is read again", a_changed_certificate_is_read_again}};
	signal(SIGPIPE, SIG_IGN);
	test_env(&env);
	env.tls = tls_pool_new();
	a = arena_new("t", 16u << 20, 0, 0);
	must(mkdtemp(dir) != NULL);
	ca_file = make_cert("ca", "CA", NULL, false);
	host_file = make_cert("host", "mx.example.org", "DNS:mx.example.org,DNS:*.wild.example.org", true);
	other_file = make_cert("other", "other.example.org", "DNS:other.example.org", false);
	client_file = make_cert("client", "client", NULL, false);
	int rc = test_main(rows, countof(rows));
	const char *names[] = {"ca", "host", "other", "client", "changing"};
	for (size_t i = 0; i < countof(names); i++)
		unlink(arena_printf(a, "%s/%s", dir, names[i]));
	rmdir(dir);
	X509_free(ca_cert);
	EVP_PKEY_free(ca_key);
	tls_pool_free(env.tls);
	arena_free(a);
	test_env_done(&env);
	return rc;
}
