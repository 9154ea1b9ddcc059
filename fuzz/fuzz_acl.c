/* SPDX-License-Identifier: Apache-2.0
 * Arbitrary text as an ACL of its own: compiled, never obeyed. A refusal must say why. */
#include "acl/acl_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new("fuzz", 1ull << 30, 1 << 16, 0);
	struct why why = {0};

	if (size <= 8192 && !acl_compile_text(a, NULL, str_dup(a, str_n((const char *)data, size)), &why))
		must(why.text[0] != 0);
	arena_free(a);
	return 0;
}
