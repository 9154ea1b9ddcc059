/* SPDX-License-Identifier: Apache-2.0
 * Addresses: first byte = flags. What is taken is taken again, the same; lists end. */
#include "message/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1 || size > 65536)
		return 0;
	struct arena *a = arena_new("fuzz", 64u << 20, 0, 0);
	struct str text = str_tainted(str_n((const char *)data + 1, size - 1)), got, again;
	struct addr_parts parts;
	const char *error = NULL;
	unsigned flags = data[0] & 127u;
	if (addr_parse(a, text, flags, &got, &parts, &error)) {
		must(got.taint || got.len == 0);
		must(got.len == 0 || (addr_parse(a, got, flags, &again, NULL, &error) && str_eq(got, again)));
		must(str_chr(got, '\n') < 0);
		addr_quote_local(a, addr_unquote_local(a, parts.local_part));
		if (str_is_set(parts.domain))
			must(addr_domain_valid(parts.domain, true, true));
	} else {
		must(error != NULL);
	}
	struct rd r = rd_of(text);
	bool group = false;
	for (size_t n = 0; addr_list_next(&r, &got, &group); n++)
		must(n < size && got.len);
	addr_quote_phrase(a, text, STR("UTF-8"));
	arena_free(a);
	return 0;
}
