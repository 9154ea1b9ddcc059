/* SPDX-License-Identifier: Apache-2.0
 * The fake resolver, the machine's name files, answers off the wire; and libunbound against a name
 * server of our own on the loopback, as it stands in resolv.conf of a namespace. */
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rd.h"
#include "base/strbuf.h"
#include "net/resolver_priv.h"

static struct arena *a;
static struct why why;

static const char zone[] =
	"# a zone\n"
	"example.com 3600 MX 20 mx2.example.com\n"
	"example.com 600 MX 10 mx1.example.com.\n"
	"DNSSEC mx1.example.com 300 A 192.0.2.1\n"
	"mx1.example.com 300 AAAA 2001:db8::1\n"
	"DNSSEC _25._tcp.mx1.example.com 300 TLSA 3 1 1 0aFF\n"
	"alias.example.com 100 CNAME mx1.example.com\n"
	"loop.example.com 100 CNAME loop.example.com\n"
	"broken.example.com AGAIN\n"
	"txt.example.com 60 TXT \"v=spf1 \" \"-all\"\n"
	"1.2.0.192.in-addr.arpa 60 PTR mx1.example.com\n"
	"_smtp._tcp.example.com 60 SRV 1 2 25 mx1.example.com\n"
	"example.com 60 SOA ns.example.com root.example.com 7 1 2 3 4\n"
	"short.local.test 60 A 192.0.2.9\n";

static void the_fake_answers_from_text(void)
{
	struct resolver *r = resolver_new_fake(str_c(zone), &why);
	check(r != NULL);
	struct dns_result *x = dns_query(r, a, STR("EXAMPLE.com."), DNS_MX);
	check_int(x->answer, DNS_FOUND);
	check_int((long long)x->count, 2);
	check_int(x->record[1].preference, 10);
	check_str(x->record[1].target, "mx1.example.com");
	check_int(x->ttl, 600);
	check(!x->secure);
	check(x->record[0].target.taint);
	x = dns_query(r, a, STR("alias.example.com"), DNS_A);
	check_int(x->answer, DNS_FOUND);
	check_str(x->canonical, "mx1.example.com");
	check_str(ip_text(a, &x->record[0].ip), "192.0.2.1");
	check_int(x->ttl, 100);
	check(!x->secure);
	check(dns_query(r, a, STR("mx1.example.com"), DNS_A)->secure);
	check_int(dns_query(r, a, STR("alias.example.com"), DNS_CNAME)->answer, DNS_FOUND);
	check_int(dns_query(r, a, STR("loop.example.com"), DNS_A)->answer, DNS_NODATA);
	check_int(dns_query(r, a, STR("example.com"), DNS_A)->answer, DNS_NODATA);
	check_int(dns_query(r, a, STR("nowhere.example.com"), DNS_A)->answer, DNS_NXDOMAIN);
	check_int(dns_query(r, a, STR("broken.example.com"), DNS_A)->answer, DNS_AGAIN);
	x = dns_query(r, a, STR("txt.example.com"), DNS_TXT);
	check_str(x->record[0].text, "v=spf1 -all");
	check_int((long long)x->record[0].string_count, 2);
	x = dns_query(r, a, STR("_25._tcp.mx1.example.com"), DNS_TLSA);
	check_int(x->record[0].rdata.len, 5);
	check(memcmp(x->record[0].rdata.p, "\3\1\1\x0a\xff", 5) == 0);
	check(x->secure);
	check_int(dns_query(r, a, STR("_smtp._tcp.example.com"), DNS_SRV)->record[0].port, 25);
	check_int(dns_query(r, a, STR("example.com"), DNS_SOA)->record[0].rdata.len, 16 + 18 + 20);
	resolver_free(r);
	check(resolver_new_fake(STR("x 1 A 1.2.3\n"), &why) == NULL);
	check(strstr(why.text, "line 1") != NULL);
}

static void names_that_are_none_do_not_exist(void)
{
	struct resolver *r = resolver_new_fake(str_c(zone), &why);
	char longest[300];
	memset(longest, 'a', sizeof longest);
	static const char *bad[] = {"", ".", "a..b", ".a", "a b", "a\\b",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.b"};
	for (size_t i = 0; i < countof(bad); i++)
		check_int(dns_query(r, a, str_c(bad[i]), DNS_A)->answer, DNS_NXDOMAIN);
	for (int i = 0; i < 300; i += 10)
		longest[i] = '.';
	check_int(dns_query(r, a, str_n(longest + 1, 280), DNS_A)->answer, DNS_NXDOMAIN);
	resolver_free(r);
}

static char dir[] = "/tmp/eximius-dns-XXXXXX";

static const char *put_file(const char *name, const char *text)
{
	const char *path = arena_printf(a, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	must(f && fputs(text, f) >= 0);
	fclose(f);
	return path;
}

/* The fake's data with the machine's files of the test. */
static struct resolver *with_files(const char *conf, const char *hosts)
{
	struct resolver *r = resolver_new_fake(str_c(zone), &why);
	must(r != NULL);
	r->conf_path = conf;
	r->hosts_path = hosts;
	return r;
}

static void search_lists_complete_names(void)
{
	struct resolver *r = with_files(put_file("resolv", "nameserver 192.0.2.53 \nsearch example.com local.test\noptions ndots:1\n"), "/dev/null");
	check_int(dns_query_search(r, a, STR("short"), DNS_A, false, false)->answer, DNS_NXDOMAIN);
	check_int(dns_query_search(r, a, STR("mx1"), DNS_A, true, false)->answer, DNS_FOUND);
	check_int(dns_query_search(r, a, STR("short"), DNS_A, true, false)->answer, DNS_NXDOMAIN); /* first domain only */
	struct dns_result *x = dns_query_search(r, a, STR("short"), DNS_A, true, true);
	check_int(x->answer, DNS_FOUND);
	check_str(x->record[0].name, "short.local.test");
	check_int(dns_query_search(r, a, STR("short.local"), DNS_A, true, false)->answer, DNS_NXDOMAIN);
	check_int(dns_query_search(r, a, STR("mx1."), DNS_A, true, true)->answer, DNS_NXDOMAIN);
	check_int(dns_query_search(r, a, STR("broken"), DNS_A, true, true)->answer, DNS_AGAIN);
	resolver_free(r);
}

static void resolv_conf_is_read_as_documented(void)
{
	struct resolv_conf c;
	resolv_conf_parse(a, STR("; c\nnameserver ::1\nnameserver bad\n#nameserver 9.9.9.9\nnameserver 127.0.0.1 # x\n"
				 "domain one.test two.test\noptions edns0 ndots:3 rotate\nsearch a.test b.test"), &c);
	check_int((long long)c.servers, 2);
	check_str(c.server[1], "127.0.0.1");
	check_int((long long)c.searches, 2);
	check_str(c.search[1], "b.test");
	check_int(c.ndots, 3);
	resolv_conf_read(a, "/nonexistent", &c);
	check_str(c.server[0], "127.0.0.1");
}

static void the_hosts_file_comes_first_and_is_read_again(void)
{
	const char *path = put_file("hosts", "127.0.0.1 localhost\n192.0.2.77 mx1.example.com mx1 # comment\n2001:db8::77 mx1.example.com\n");
	struct resolver *r = with_files("/dev/null", path);
	struct dns_result *x = host_by_name(r, a, STR("MX1.example.com"), true, true);
	check_int((long long)x->count, 2);
	check_str(ip_text(a, &x->record[0].ip), "192.0.2.77");
	x = host_by_name(r, a, STR("mx1"), true, false);
	check_int((long long)x->count, 1);
	check_str(x->canonical, "mx1.example.com");
	struct ip_addr ip;
	check(ip_parse(STR("192.0.2.77"), &ip));
	x = host_by_addr(r, a, &ip, true, true);
	check_int((long long)x->count, 2);
	check_str(x->record[1].target, "mx1");
	check_int(host_by_addr(r, a, &ip, true, false)->answer, DNS_NXDOMAIN);
	check(ip_parse(STR("192.0.2.1"), &ip));
	check_str(host_by_addr(r, a, &ip, true, true)->record[0].target, "mx1.example.com");
	put_file("hosts", "192.0.2.78 mx1.example.com other\n");
	x = host_by_name(r, a, STR("mx1.example.com"), true, true);
	check_int((long long)x->count, 1);
	x = host_by_name(r, a, STR("alias.example.com"), true, true);
	check_int((long long)x->count, 2); /* by DNS, both families */
	check_str(x->canonical, "mx1.example.com");
	resolver_free(r);
}

static void bad_packets_are_refused(void)
{
	struct dns_result x = {0};
	static const char loop[] = "\0\1\x81\x80\0\0\0\1\0\0\0\0" "\xc0\x0c\0\1\0\1\0\0\0\1\0\4\1\2\3\4";
	check(!dns_answer_parse(a, str_n(loop, sizeof loop - 1), STR("a"), DNS_A, &x));
	static const char cut[] = "\0\1\x81\x80\0\0\0\1\0\0\0\0" "\1a\0\0\1\0\1\0\0\0\1\0\4\1\2\3";
	check(!dns_answer_parse(a, str_n(cut, sizeof cut - 1), STR("a"), DNS_A, &x));
	static const char good[] = "\0\1\x81\x80\0\0\0\1\0\0\0\0" "\1a\0\0\1\0\1\0\0\0\1\0\4\1\2\3\4";
	check(dns_answer_parse(a, str_n(good, sizeof good - 1), STR("A"), DNS_A, &x));
	check_int(x.answer, DNS_FOUND);
	static const char odd[] = "\0\1\x81\x80\0\0\0\1\0\0\0\0" "\3a.b\0\0\x10\0\1\0\0\0\1\0\3\2hi";
	x = (struct dns_result){0};
	check(dns_answer_parse(a, str_n(odd, sizeof odd - 1), STR("a\\.b"), DNS_TXT, &x));
	check_int(x.answer, DNS_FOUND);
	check_str(x.record[0].text, "hi");
}

/* --- a name server of our own: authoritative, as Knot would be on 127.0.0.1 --- */

static int server_fd;
static atomic_int queries;

static void put_name(struct strbuf *sb, struct str name)
{
	while (str_is_set(name) && name.len) {
		struct str label = str_cut(name, '.', &name);
		sb_ch(sb, (char)label.len);
		sb_add(sb, label);
	}
	sb_ch(sb, 0);
}

static void put16(struct strbuf *sb, unsigned v)
{
	sb_ch(sb, (char)(v >> 8));
	sb_ch(sb, (char)v);
}

static void put_record(struct strbuf *sb, const char *name, unsigned type, struct str data)
{
	put_name(sb, str_c(name));
	put16(sb, type);
	put16(sb, 1);
	put16(sb, 0);
	put16(sb, 60);
	put16(sb, data.len);
	sb_add(sb, data);
}

static struct str question_name(struct arena *t, struct rd *r)
{
	struct strbuf sb;
	sb_init(&sb, t, 300);
	for (size_t n; (n = (size_t)rd_be(r, 1)) && !r->bad;) {
		if (sb.len)
			sb_ch(&sb, '.');
		sb_add(&sb, rd_take(r, n));
	}
	return str_lower(t, sb_str(&sb));
}

static struct str answer_to(struct arena *t, struct str packet)
{
	struct rd r = rd_of(packet);
	struct strbuf sb, mx;
	struct str id = rd_take(&r, 2);
	rd_take(&r, 10);
	const char *from = r.p;
	struct str name = question_name(t, &r);
	unsigned type = (unsigned)rd_be(&r, 2);
	rd_take(&r, 2);
	unsigned rcode = 3, n = 0;
	struct strbuf body;
	sb_init(&body, t, 1000);
	if (str_eqc(name, "a.site.test") || str_eqc(name, "1.0.0.10.in-addr.arpa")) {
		rcode = 0;
		if (type == 1)
			put_record(&body, "a.site.test", 1, STR("\x0a\0\0\1")), n++;
		if (type == 12)
			put_record(&body, "1.0.0.10.in-addr.arpa", 12, STR("\1a\4site\4test\0")), n++;
	} else if (str_eqc(name, "alias.site.test")) {
		rcode = 0;
		put_record(&body, "alias.site.test", 5, STR("\1a\4site\4test\0")), n++;
	} else if (str_eqc(name, "site.test")) {
		rcode = 0;
		sb_init(&mx, t, 100);
		put16(&mx, 5);
		put_name(&mx, STR("a.site.test"));
		if (type == 15)
			put_record(&body, "site.test", 15, sb_str(&mx)), n++;
	} else if (str_eqc(name, "fail.site.test")) {
		rcode = 2;
	}
	sb_init(&sb, t, 4096);
	sb_add(&sb, id);
	put16(&sb, (str_eqc(name, "a.site.test") ? 0x8420u : 0x8400u) | rcode); /* AD for one name */
	put16(&sb, 1);
	put16(&sb, n);
	put16(&sb, 0);
	put16(&sb, 0);
	sb_addn(&sb, from, (size_t)(r.p - from));
	sb_add(&sb, sb_str(&body));
	return sb_str(&sb);
}

static void *serve(void *arg)
{
	(void)arg;
	char buf[2000];
	struct sockaddr_in peer;
	for (;;) {
		socklen_t len = sizeof peer;
		ssize_t n = recvfrom(server_fd, buf, sizeof buf, 0, (struct sockaddr *)&peer, &len);
		if (n <= 1)
			return NULL;
		atomic_fetch_add(&queries, 1);
		struct arena *t = arena_new("t", 1 << 20, 0, 0);
		struct str out = answer_to(t, str_n(buf, (size_t)n));
		(void)!sendto(server_fd, out.p, out.len, 0, (struct sockaddr *)&peer, len);
		arena_free(t);
	}
}

static struct resolver *real;

static void *ask_many(void *arg)
{
	int *good = arg;
	struct arena *t = arena_new("t", 1 << 22, 0, 0);
	for (int i = 0; i < 20; i++) {
		*good += dns_query(real, t, STR("a.site.test"), DNS_A)->answer == DNS_FOUND;
		*good += dns_query(real, t, str_printf(t, "no%d.site.test", i), DNS_A)->answer == DNS_NXDOMAIN;
	}
	arena_free(t);
	return NULL;
}

static void unbound_asks_the_name_server_on_the_loopback(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	pthread_t t, many[8];
	int good[8] = {0};
	server_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check_int(bind(server_fd, (struct sockaddr *)&sa, len), 0);
	check_int(getsockname(server_fd, (struct sockaddr *)&sa, &len), 0);
	check_int(pthread_create(&t, NULL, serve, NULL), 0);
	struct resolver_opts o = {.forward = arena_printf(a, "127.0.0.1@%d", ntohs(sa.sin_port)), .hosts_file = "/dev/null", .dnssec = true};
	real = resolver_new(&o, &why);
	check(real != NULL);
	struct dns_result *x = dns_query(real, a, STR("site.test"), DNS_MX);
	check_int(x->answer, DNS_FOUND);
	check_str(x->record[0].target, "a.site.test");
	check_int(x->record[0].preference, 5);
	check(!x->secure);
	x = dns_query(real, a, STR("ALIAS.site.test"), DNS_A);
	check_int(x->answer, DNS_FOUND);
	check_str(x->canonical, "a.site.test");
	check_str(ip_text(a, &x->record[0].ip), "10.0.0.1");
	struct ip_addr ip;
	check(ip_parse(STR("10.0.0.1"), &ip));
	x = host_by_addr(real, a, &ip, true, true);
	check_int(x->answer, DNS_FOUND);
	check_str(x->record[0].target, "a.site.test");
	check(dns_query(real, a, STR("a.site.test"), DNS_A)->secure); /* as the name server says */
	check(!x->secure);
	check_int(dns_query(real, a, STR("a.site.test"), DNS_TXT)->answer, DNS_NODATA);
	check_int(dns_query(real, a, STR("none.site.test"), DNS_A)->answer, DNS_NXDOMAIN);
	x = dns_query(real, a, STR("fail.site.test"), DNS_A);
	check_int(x->answer, DNS_AGAIN);
	check_str(x->why, "server failure");
	int before = atomic_load(&queries);
	check_int(dns_query(real, a, STR("a.site.test"), DNS_A)->answer, DNS_FOUND);
	check_int(atomic_load(&queries), before + 1); /* from the cache; the one asks for AD only */
	for (int i = 0; i < 8; i++)
		check_int(pthread_create(&many[i], NULL, ask_many, &good[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(many[i], NULL);
		check_int(good[i], 40);
	}
	resolver_free(real);
	check_int(sendto(server_fd, "", 0, 0, (struct sockaddr *)&sa, len), 0);
	pthread_join(t, NULL);
	close(server_fd);
}

static void silence_times_out(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof sa;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check_int(bind(fd, (struct sockaddr *)&sa, len), 0);
	check_int(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	struct resolver_opts o = {.forward = arena_printf(a, "127.0.0.1@%d", ntohs(sa.sin_port)), .retrans_s = 1, .retry = 1};
	struct resolver *r = resolver_new(&o, &why);
	struct dns_result *x = dns_query(r, a, STR("a.site.test"), DNS_A);
	check_int(x->answer, DNS_AGAIN);
	check_str(x->why, "timed out");
	resolver_free(r);
	close(fd);
}

int main(void)
{
	static const struct test_row rows[] = {{"the fake answers from text", the_fake_answers_from_text},
		{"names that are none do not exist", names_that_are_none_do_not_exist},
		{"search lists complete names", search_lists_complete_names},
		{"resolv.conf is read as documented", resolv_conf_is_read_as_documented},
		{"the hosts file comes first and is read again", the_hosts_file_comes_first_and_is_read_again},
		{"bad packets are refused", bad_packets_are_refused},
		{"unbound asks the name server on the loopback", unbound_asks_the_name_server_on_the_loopback},
		{"silence times out", silence_times_out}};
	a = arena_new("t", 64u << 20, 0, 0);
	must(mkdtemp(dir) != NULL);
	int rc = test_main(rows, countof(rows));
	unlink(arena_printf(a, "%s/hosts", dir));
	unlink(arena_printf(a, "%s/resolv", dir));
	rmdir(dir);
	arena_free(a);
	return rc;
}
