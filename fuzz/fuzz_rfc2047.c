/* SPDX-License-Identifier: Apache-2.0
 * Encoded words: decoding anything; what we encode decodes to what it was. */
#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 8192)
		return 0;
	struct arena *a = arena_new("fuzz", 64u << 20, 0, 0);
	struct str s = str_n((const char *)data, size);
	const char *error = NULL;
	rfc2047_decode(a, s, STR("ISO-8859-1"), false, &error);
	rfc2047_decode(a, s, STR("UTF-8"), true, &error);
	struct str words = rfc2047_encode(a, s, STR("UTF-8"));
	if (!str_eq(words, s) && str_chr(s, '\0') < 0)
		must(str_eq(rfc2047_decode(a, words, STR("UTF-8"), true, &error), s));
	arena_free(a);
	return 0;
}
