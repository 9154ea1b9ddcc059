/* SPDX-License-Identifier: Apache-2.0
 * DNS answers: the first byte picks the type asked for. */
#include "net/resolver_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = {DNS_A, DNS_AAAA, DNS_MX, DNS_TXT, DNS_SRV, DNS_SOA, DNS_TLSA, DNS_PTR, DNS_CNAME};
	if (size < 1 || size > 65536)
		return 0;
	struct arena *a = arena_new("fuzz", 256u << 20, 0, 0);
	struct dns_result x = {0};
	if (dns_answer_parse(a, str_n((const char *)data + 1, size - 1), STR("a.test"), types[data[0] % countof(types)], &x))
		must((x.answer == DNS_FOUND) == (x.count > 0));
	arena_free(a);
	return 0;
}
