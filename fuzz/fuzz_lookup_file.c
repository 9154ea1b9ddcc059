/* SPDX-License-Identifier: Apache-2.0
 * Files that lookups read: the first byte picks the form, the first line is the key. */
#include "base/rd.h"
#include "expand/json_text.h"
#include "lookup/drivers/cdb.h"
#include "lookup/read_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	struct arena *a = arena_new("fuzz", 256u << 20, 1 << 14, 0);
	struct str text, v, key = str_cut(str_n((const char *)data + 1, size - 1), '\n', &text);
	const char *error;
	if (!text.p)
		text = STR("");
	text = str_dup(a, text);
	if (data[0] % 3 == 0) {
		struct text_file *f = lsearch_parse(a, text);
		struct entry *e = lsearch_get(f, key);
		if (e)
			must(lsearch_value(f, e, STR("ret=full"), a).len >= key.len);
	} else if (data[0] % 3 == 1) {
		if (cdb_get(text, key, &v))
			must(v.len <= text.len);
	} else {
		struct str list = text;
		json_member(text, key, &v, &error);
		if (json_array_begin(&list))
			while (json_array_next(&list, &v))
				must(v.len <= text.len);
	}
	arena_free(a);
	return 0;
}
