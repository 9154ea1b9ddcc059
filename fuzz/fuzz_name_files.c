/* SPDX-License-Identifier: Apache-2.0
 * The texts of resolv.conf, hosts and the fake resolver's zones. */
#include "net/resolver_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 16384)
		return 0;
	struct arena *a = arena_new("fuzz", 64u << 20, 0, 0);
	struct str s = str_n((const char *)data, size);
	struct resolv_conf c;
	struct hosts_table t;
	struct why why;
	resolv_conf_parse(a, s, &c);
	must(c.servers <= NAMESERVERS_MAX && c.searches <= SEARCH_MAX);
	hosts_parse(a, s, &t);
	struct resolver *r = resolver_new_fake(s, &why);
	if (r)
		must(dns_query(r, a, STR("a.test"), DNS_TXT) != NULL);
	resolver_free(r);
	arena_free(a);
	return 0;
}
