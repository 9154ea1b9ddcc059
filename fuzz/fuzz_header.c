/* SPDX-License-Identifier: Apache-2.0
 * A block of header lines, and the values that expansions ask for. */
#include "message/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new("fuzz", 64u << 20, 0, 0);
	struct headers h;
	struct str got;
	if (size > 65536)
		size = 65536;
	struct rd r = rd_of(str_tainted(str_n((const char *)data, size)));
	headers_init(&h);
	headers_parse(&h, a, &r);
	for (struct header *p = h.first; p; p = p->next) {
		must(str_ends(p->text, "\n") && header_name(p).len && header_value(p).len);
		must(p->kind == header_kind_of(p->text));
	}
	if (h.first)
		for (enum header_form f = HEADER_RAW; f <= HEADER_LIST; f++)
			must(headers_get(&h, a, header_name(h.first), f, STR("UTF-8"), &got));
	headers_add_at(&h, a, "Subject", true, STR("X: y"), HDR_OTHER);
	headers_remove(&h, STR("r*"), 0);
	arena_free(a);
	return 0;
}
