/* SPDX-License-Identifier: Apache-2.0
 * Address and network text: what is accepted prints and reads back as the same. */
#include "net/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new("fuzz", 1 << 20, 0, 0);
	struct str s = str_n((const char *)data, size);
	struct ip_addr ip, again;
	unsigned bits;
	if (ip_parse(s, &ip))
		must(ip_parse(ip_text(a, &ip), &again) && ip_eq(&ip, &again));
	if (ip_net_parse(s, &ip, &bits)) {
		ip_mask(&ip, bits);
		must(ip_in_net(&ip, &ip, bits) && ip_reverse(a, &ip).len);
	}
	arena_free(a);
	return 0;
}
