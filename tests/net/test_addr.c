/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "net/addr.h"

static struct arena *a;

static void literals_are_read_strictly(void)
{
	static const struct {
		const char *text, *back;
	} good[] = {{"10.0.0.1", "10.0.0.1"}, {"::1", "::1"}, {"2001:DB8:0:0::1", "2001:db8::1"},
		{"::ffff:1.2.3.4", "::ffff:1.2.3.4"}, {"fe80::1%1", "fe80::1%lo"}, {"0.0.0.0", "0.0.0.0"}};
	static const char *bad[] = {"", "1.2.3", "1.2.3.4.5", "01.2.3.4x", "256.1.1.1", "0x7f.1.1.1", "[::1]", "::1%", "::g",
		"1.2.3.4 ", "1.2.3.4/8", "::1%nosuchinterface0", ":", "1:2:3:4:5:6:7:8:9"};
	struct ip_addr ip;
	for (size_t i = 0; i < countof(good); i++) {
		check(ip_parse(str_c(good[i].text), &ip));
		check_str(ip_text(a, &ip), good[i].back);
	}
	for (size_t i = 0; i < countof(bad); i++)
		check(!ip_parse(str_c(bad[i]), &ip));
	check(!ip_parse(str_n("1.2.3.4\0", 8), &ip));
}

static bool in(const char *addr, const char *net)
{
	struct ip_addr ip, n;
	unsigned bits;
	check(ip_parse(str_c(addr), &ip));
	check(ip_net_parse(str_c(net), &n, &bits));
	return ip_in_net(&ip, &n, bits);
}

static void networks_hold_their_addresses(void)
{
	check(in("10.1.2.3", "10.0.0.0/8"));
	check(!in("11.1.2.3", "10.0.0.0/8"));
	check(in("192.168.3.255", "192.168.2.0/23"));
	check(!in("192.168.4.0", "192.168.2.0/23"));
	check(in("1.2.3.4", "0.0.0.0/0"));
	check(!in("1.2.3.4", "::/0"));
	check(in("2001:db8:ffff::1", "2001:db8::/32"));
	check(in("::1", "::1"));
	check(!in("::1", "::2"));
	struct ip_addr n;
	unsigned bits;
	check(!ip_net_parse(STR("10.0.0.0/33"), &n, &bits));
	check(!ip_net_parse(STR("10.0.0.0/"), &n, &bits));
	check(!ip_net_parse(STR("10.0.0.0/-1"), &n, &bits));
	check(!ip_net_parse(STR("::/129"), &n, &bits));
	check(ip_parse(STR("192.168.135.77"), &n));
	ip_mask(&n, 19);
	check_str(ip_text(a, &n), "192.168.128.0");
	ip_mask(&n, 0);
	check_str(ip_text(a, &n), "0.0.0.0");
}

static void reversed_names(void)
{
	struct ip_addr ip;
	check(ip_parse(STR("10.2.3.4"), &ip));
	check_str(ip_reverse(a, &ip), "4.3.2.10");
	check(ip_parse(STR("2001:db8::567:89ab"), &ip));
	check_str(ip_reverse(a, &ip), "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2");
}

static void sockaddrs_go_both_ways(void)
{
	struct sockaddr_storage ss;
	struct ip_addr ip, back;
	int port;
	check(ip_parse(STR("::ffff:10.0.0.9"), &ip));
	check_int(ip_to_sockaddr(&ip, 2525, &ss), sizeof(struct sockaddr_in6));
	ip_from_sockaddr((const struct sockaddr *)&ss, &back, &port);
	check_int(port, 2525);
	check_str(ip_text(a, &back), "10.0.0.9"); /* a mapped peer is a v4 peer */
	check(ip_parse(STR("10.0.0.9"), &ip));
	check(ip_eq(&ip, &back));
}

int main(void)
{
	static const struct test_row rows[] = {{"literals are read strictly", literals_are_read_strictly},
		{"networks hold their addresses", networks_hold_their_addresses}, {"reversed names", reversed_names},
		{"sockaddrs go both ways", sockaddrs_go_both_ways}};
	a = arena_new("t", 1 << 20, 0, 0);
	int rc = test_main(rows, countof(rows));
	arena_free(a);
	return rc;
}
