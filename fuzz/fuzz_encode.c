/* SPDX-License-Identifier: Apache-2.0
 * base64, hex, quoted-printable, xtext: decoding anything; what we encode decodes to what it was. */
#include "message/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 65536)
		return 0;
	struct arena *a = arena_new("fuzz", 64u << 20, 0, 0);
	struct str s = str_n((const char *)data, size), back;
	uint64_t v;
	unsigned bad;
	base64_decode(a, s, &back);
	hex_decode(a, s, &back);
	xtext_decode(a, s, &back);
	qp_decode(a, s, &bad);
	base62_decode(s, &v);
	must(base64_decode(a, base64_encode(a, s), &back) && str_eq(back, s));
	must(base64_decode(a, base64_encode_lines(a, s), &back) && str_eq(back, s));
	must(hex_decode(a, hex_encode(a, s), &back) && str_eq(back, s));
	must(xtext_decode(a, xtext_encode(a, s), &back) && str_eq(back, s));
	must(str_eq(qp_decode(a, qp_encode(a, s), &bad), s) && bad == 0);
	arena_free(a);
	return 0;
}
