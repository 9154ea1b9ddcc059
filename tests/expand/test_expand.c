/* SPDX-License-Identifier: Apache-2.0
 * What the recorded answers cannot show: taint, forced and temporary failure, ceilings and depth,
 * what is skipped, constants handed out uncopied, certificates, commands. */
#include "expand/expand.h"
#include "lookup/lookup.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "test.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct bench {
	struct env env;
	struct arena *a;
	struct eval ev;
	struct message *m;
};

static void bench_init(struct bench *b)
{
	test_env(&b->env);
	b->a = arena_new("expand", 1u << 30, 0, 0);
	b->env.lookups = lookup_cache_new();
	eval_init(&b->ev, NULL, &b->env, b->a);
	b->m = message_new(b->a);
	b->m->sender = STR("joe@src.ex");
	eval_set_message(&b->ev, b->m);
}

static void bench_done(struct bench *b)
{
	lookup_cache_free(b->env.lookups);
	arena_free(b->a);
	test_env_done(&b->env);
}

static enum expand_status run(struct bench *b, const char *text, struct str *ret)
{
	*ret = STR_NONE;
	return expand_text(&b->ev, str_c(text), ret);
}

static void constants_are_not_copied(void)
{
	struct bench b;
	struct str got, text = STR("plain text with } and no dollar");

	bench_init(&b);
	struct xstr x = {.text = text, .tree = expand_parse(b.a, NULL, text)};
	check_int(expand(&b.ev, &x, &got), EXPAND_OK);
	check(got.p == text.p);
	struct xstr var = {.text = STR("$sender_address"), .tree = expand_parse(b.a, NULL, STR("$sender_address"))};
	check_int(expand(&b.ev, &var, &got), EXPAND_OK);
	check(got.p == b.m->sender.p);
	struct xstr unset = {0};
	check_int(expand(&b.ev, &unset, &got), EXPAND_OK);
	check(!str_is_set(got));
	bench_done(&b);
}

static void taint_travels(void)
{
	static const struct {
		const char *text;
		int taint;
	} rows[] = {
	    {"$sender_address", 1},
	    {"x$sender_address", 1},
	    {"${lc:$sender_address}", 1},
	    {"${substr{0}{1}{$sender_address}}", 1},
	    {"${if eq{a}{a}{$sender_address}}", 1},
	    {"${if eq{$sender_address}{a}{y}{n}}", 0},
	    {"${if eq{a}{b}{$sender_address}{n}}", 0},
	    {"${map{$sender_address}{$item}}", 1},
	    {"${sg{$sender_address}{x}{y}}", 1},
	    {"${tr{$sender_address}{x}{y}}", 1},
	    {"${extract{1}{@}{$sender_address}}", 1},
	    {"${hash_3:$sender_address}", 1},
	    {"${quote_sqlite:$sender_address}", 1},
	    {"${if inlist{$sender_address}{joe@src.ex}{$value}}", 0},
	    {"${if inlist{joe@src.ex}{$sender_address}{$value}}", 1},
	    {"${if match{$sender_address}{^(.)}{$1}}", 1},
	    {"${lookup{$sender_address}dsearch{/}{$value}{none}}", 0},
	    {"${lookup{tmp$tod_zone}dsearch{/}{$value}{none}}", 0},
	    {"$primary_hostname", 0},
	};
	struct bench b;
	struct str got;

	bench_init(&b);
	for (size_t i = 0; i < countof(rows); i++) {
		check_int(run(&b, rows[i].text, &got), EXPAND_OK);
		if (got.taint != rows[i].taint)
			printf("%s: ", rows[i].text);
		check_int(got.taint, rows[i].taint);
	}
	check_int(run(&b, "${expand:$sender_address}", &got), EXPAND_FAILED);
	check(str_find(b.ev.lx.error, STR("attempt to expand tainted string")) >= 0);
	check_int(run(&b, "${readfile{$sender_address}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "Tainted filename for readfile 'joe@src.ex'");
	check_int(run(&b, "${run{$sender_address x}}", &got), EXPAND_FAILED);
	check_int(run(&b, "${lookup{x}lsearch{/$sender_address}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "Tainted filename for search: '/joe@src.ex'");
	check_int(run(&b, "${lookup sqlite{/nosuch/x select '$sender_address'}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "tainted search query is not properly quoted (sqlite)");
	bench_done(&b);
}

static void failures_of_each_kind(void)
{
	static const struct {
		const char *text;
		enum expand_status want;
	} rows[] = {
	    {"${if eq{a}{b}{x}fail}", EXPAND_FORCED},
	    {"a${lookup{k}lsearch{/etc/hostname}{$value}fail}", EXPAND_FORCED},
	    {"${if eq{a}{a}{${if eq{a}{b}{x}fail}}}", EXPAND_FORCED},
	    {"${if eq{a}{b}{${if eq{a}{b}{x}fail}}}", EXPAND_OK},
	    {"${lookup testdb{defer}{y}{n}}", EXPAND_DEFER},
	    {"${lookup testdb{fail}{y}{n}}", EXPAND_OK},
	    {"${if match_domain{x}{testdb;defer}{y}{n}}", EXPAND_DEFER},
	    {"$nosuch", EXPAND_FAILED},
	    {"${lookup{a}nis{b}}", EXPAND_FAILED},
	    {"${perl{x}}", EXPAND_FAILED},
	};
	struct bench b;
	struct str got;

	bench_init(&b);
	for (size_t i = 0; i < countof(rows); i++) {
		enum expand_status st = run(&b, rows[i].text, &got);
		if (st != rows[i].want)
			printf("%s: ", rows[i].text);
		check_int(st, rows[i].want);
	}
	check_int(run(&b, "${perl{x}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "\"perl\" is not supported yet");
	check_int(run(&b, "${lookup mysql{x}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "lookup type \"mysql\" is not supported yet");
	bench_done(&b);
}

static void forbidden_things_stay_so(void)
{
	static const char *const rows[] = {"${readfile{/etc/hostname}}", "${run{/bin/true}}", "${readsocket{/x}{y}}",
	    "${lookup{a}lsearch{/etc/passwd}}", "${if exists{/}{y}{n}}", "${stat:/}"};
	struct bench b;
	struct str got;

	bench_init(&b);
	b.ev.forbid = ~0u;
	for (size_t i = 0; i < countof(rows); i++) {
		check_int(run(&b, rows[i], &got), EXPAND_FAILED);
		check(str_find(b.ev.lx.error, STR("not permitted")) >= 0);
	}
	bench_done(&b);
}

static void depth_and_size_are_bounded(void)
{
	struct bench b;
	struct strbuf sb;
	struct str got;

	bench_init(&b);
	sb_init(&sb, b.a, 1u << 20);
	for (int i = 0; i < 20000; i++)
		sb_addc(&sb, "${lc:");
	check_int(expand_text(&b.ev, sb_str(&sb), &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "string expansion nested too deeply");
	sb_init(&sb, b.a, 1u << 20);
	sb_addc(&sb, "${if ");
	for (int i = 0; i < 20000; i++)
		sb_addc(&sb, "and{{");
	check_int(expand_text(&b.ev, sb_str(&sb), &got), EXPAND_FAILED);
	sb_init(&sb, b.a, 1u << 20);
	sb_addc(&sb, "${eval:");
	sb_fill(&sb, '(', 50000);
	sb_ch(&sb, '}');
	check_int(expand_text(&b.ev, sb_str(&sb), &got), EXPAND_FAILED);
	/* 16 bytes doubled 24 times would be 256 MB. */
	check_int(run(&b, "${reduce{1:2:3:4:5:6:7:8:9:10:11:12:13:14:15:16:17:18:19:20:21:22:23:24}{0123456789abcdef}{$value$value}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "the result of the expansion is too long inside \"reduce\" item");
	bench_done(&b);
}

static void captures_and_value_come_back(void)
{
	struct bench b;
	struct str got;

	bench_init(&b);
	check_int(run(&b, "${if match{abc}{^(.)}{$1${if match{xyz}{^(.)}{$1}}$1}}[$1]", &got), EXPAND_OK);
	check_str(got, "axa[]");
	check_int(run(&b, "${extract{a}{a=1 b=2}{$value${extract{b}{a=1 b=2}{$value}}$value}}[$value]", &got), EXPAND_OK);
	check_str(got, "121[]");
	check_int(run(&b, "${map{a:b}{$item${map{x:y}{$item}}}}[$item]", &got), EXPAND_OK);
	check_str(got, "ax::y:bx::y[]");
	bench_done(&b);
}

static void commands(void)
{
	struct bench b;
	struct str got;

	bench_init(&b);
	b.env.clock = clock_system;
	check_int(run(&b, "${run{/bin/echo $sender_address \"a b\" 'c  d'}}", &got), EXPAND_OK);
	check_str(got, "joe@src.ex a b c  d\n");
	check(got.taint);
	check_int(run(&b, "${run{/bin/sh -c \"exit 3\"}{y}{n $runrc}}", &got), EXPAND_OK);
	check_str(got, "n 3");
	/* A value with blanks stays one word; no shell reads it. */
	b.m->sender = STR("x; touch /nosuch $(id)");
	check_int(run(&b, "${run{/bin/echo <$sender_address>}}", &got), EXPAND_OK);
	check_str(got, "<x; touch /nosuch $(id)>\n");
	check_int(run(&b, "${run,preexpand{/bin/echo a  b}}", &got), EXPAND_OK);
	check_str(got, "a b\n");
	bench_done(&b);
}

/* Answers two lines to what it reads, then closes. */
static void *serve(void *arg)
{
	int listener = *(int *)arg;

	for (int i = 0; i < 3; i++) {
		char buf[64];
		int fd = accept(listener, NULL, NULL);
		ssize_t n, all = 0;
		while ((n = read(fd, buf + all, sizeof buf - (size_t)all)) > 0)
			all += n;
		dprintf(fd, "got %.*s\nend\n", (int)all, buf);
		close(fd);
	}
	return NULL;
}

static void sockets(void)
{
	struct bench b;
	struct str got;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char folder[] = "/tmp/eximius-sock-XXXXXX", text[256];
	pthread_t thread;

	check(mkdtemp(folder) != NULL);
	snprintf(addr.sun_path, sizeof addr.sun_path, "%s/s", folder);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	check(bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, 4) == 0);
	check(pthread_create(&thread, NULL, serve, &fd) == 0);
	bench_init(&b);
	b.env.clock = clock_system;
	snprintf(text, sizeof text, "${readsocket{%s}{query}}", addr.sun_path);
	check_int(run(&b, text, &got), EXPAND_OK);
	check_str(got, "got query\nend\n");
	check(got.taint);
	snprintf(text, sizeof text, "${readsocket{%s}{q}{3s}{|}{failed}}", addr.sun_path);
	check_int(run(&b, text, &got), EXPAND_OK);
	check_str(got, "got q|end|");
	snprintf(text, sizeof text, "${readsocket{%s}{}{3s:cache=no}}", addr.sun_path);
	check_int(run(&b, text, &got), EXPAND_OK);
	check_str(got, "got \nend\n");
	pthread_join(thread, NULL);
	close(fd);
	unlink(addr.sun_path);
	rmdir(folder);
	check_int(run(&b, text, &got), EXPAND_FAILED);
	snprintf(text, sizeof text, "${readsocket{%s}{q}{3s}{|}{failed}}", addr.sun_path);
	check_int(run(&b, text, &got), EXPAND_OK);
	check_str(got, "failed");
	check_int(run(&b, "${readsocket{inet:127.0.0.1}{q}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "missing port for readsocket 127.0.0.1");
	check_int(run(&b, "${readsocket{/x}{q}{3x}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "bad time value 3x");
	bench_done(&b);
}

static char *make_certificate(void)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *x = X509_new();
	BIO *out = BIO_new(BIO_s_mem());
	char *text = NULL, *copy;

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 0xabcd);
	ASN1_TIME_set(X509_getm_notBefore(x), 1600000000);
	ASN1_TIME_set(X509_getm_notAfter(x), 1700000000);
	X509_NAME *name = X509_get_subject_name(x);
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Org", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"host.ex", -1, -1, 0);
	X509_set_issuer_name(x, name);
	X509_set_pubkey(x, key);
	X509_EXTENSION *alt = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:host.ex,DNS:alt.ex,email:a@b.ex");
	X509_add_ext(x, alt, -1);
	X509_EXTENSION_free(alt);
	X509_sign(x, key, EVP_sha256());
	PEM_write_bio_X509(out, x);
	long n = BIO_get_mem_data(out, &text);
	copy = strndup(text, (size_t)n);
	BIO_free(out);
	X509_free(x);
	EVP_PKEY_free(key);
	return copy;
}

static void certificates(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
	    {"${certextract{version}{$tls_in_peercert}}", "3"},
	    {"${certextract{serial_number}{$tls_in_peercert}}", "abcd"},
	    {"${certextract{subject}{$tls_in_peercert}}", "CN=host.ex,O=Org"},
	    {"${certextract{subject,CN}{$tls_in_peercert}}", "host.ex"},
	    {"${certextract{issuer,O}{$tls_in_peercert}{<$value>}{none}}", "<Org>"},
	    {"${certextract{issuer,OU}{$tls_in_peercert}{<$value>}{none}}", "none"},
	    {"${certextract{notbefore,int}{$tls_in_peercert}}", "1600000000"},
	    {"${certextract{notafter,int}{$tls_in_peercert}}", "1700000000"},
	    {"${certextract{sig_algorithm}{$tls_in_peercert}}", "ecdsa-with-SHA256"},
	    {"${certextract{subj_altname}{$tls_in_peercert}}", "DNS=host.ex\nDNS=alt.ex\nMAIL=a@b.ex"},
	    {"${certextract{subj_altname,dns,>:}{$tls_in_peercert}}", "host.ex:alt.ex"},
	    {"${certextract{ocsp_uri}{$tls_in_peercert}{y}{n}}", "n"},
	    {"${certextract{subject}{$tls_in_ourcert}{y}{n}}", "n"},
	    {"${strlen:${sha256:$tls_in_peercert}}", "64"},
	    {"${if eq{${sha256:$tls_in_peercert}}{${sha256:${base64d:${base64:$tls_in_peercert}}}}{same}{differ}}", "same"},
	};
	struct bench b;
	struct str got;
	char *pem = make_certificate();

	bench_init(&b);
	b.m->peer.tls.peer_cert = str_c(pem);
	for (size_t i = 0; i < countof(rows); i++) {
		check_int(run(&b, rows[i].text, &got), EXPAND_OK);
		check_str(got, rows[i].want);
	}
	check_int(run(&b, "${certextract{nosuch}{$tls_in_peercert}}", &got), EXPAND_FAILED);
	check_int(run(&b, "${certextract{version}{$sender_address}}", &got), EXPAND_FAILED);
	check_str(b.ev.lx.error, "second argument of \"certextract\" must be a certificate variable");
	b.m->peer.tls.peer_cert = STR("-----BEGIN CERTIFICATE-----\nrubbish\n");
	check_int(run(&b, "${certextract{version}{$tls_in_peercert}{y}{n}}", &got), EXPAND_OK);
	check_str(got, "n");
	bench_done(&b);
	free(pem);
}

static void conditions_and_numbers(void)
{
	struct bench b;
	struct xstr x;
	bool yes;
	int64_t n;

	bench_init(&b);
	static const struct {
		const char *text;
		bool want;
	} truth[] = {{"", false}, {"0", false}, {"no", false}, {"FALSE", false}, {"yes", true}, {"1", true}, {"anything", true},
	    {"${if eq{a}{b}{x}fail}", false}};
	for (size_t i = 0; i < countof(truth); i++) {
		x = (struct xstr){.text = str_c(truth[i].text)};
		check_int(expand_condition(&b.ev, &x, &yes), EXPAND_OK);
		check_int(yes, truth[i].want);
	}
	x = (struct xstr){.text = STR("${eval:2*3}K")};
	check_int(expand_int(&b.ev, &x, 5, &n), EXPAND_OK);
	check_int(n, 6144);
	x = (struct xstr){.text = STR("${if eq{a}{b}{x}fail}")};
	check_int(expand_int(&b.ev, &x, 5, &n), EXPAND_OK);
	check_int(n, 5);
	x = (struct xstr){.text = STR("x")};
	check_int(expand_int(&b.ev, &x, 5, &n), EXPAND_FAILED);
	check_int(expand_bool(&b.ev, &x, true, &yes), EXPAND_FAILED);
	x = (struct xstr){.text = STR("9223372036854775807G")};
	check_int(expand_int(&b.ev, &x, 5, &n), EXPAND_FAILED);
	bench_done(&b);
}

TEST_MAIN({"constants are not copied", constants_are_not_copied}, {"taint travels", taint_travels},
    {"failures of each kind", failures_of_each_kind}, {"forbidden things stay so", forbidden_things_stay_so},
    {"depth and size are bounded", depth_and_size_are_bounded}, {"captures and $value come back", captures_and_value_come_back},
    {"commands", commands}, {"sockets", sockets}, {"certificates", certificates}, {"conditions and numbers", conditions_and_numbers})
