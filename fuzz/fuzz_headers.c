/* SPDX-License-Identifier: Apache-2.0
 * Message text in two pieces into the header splitter: nothing is lost but From lines' and empty
 * lines' ends, and the pieces make no difference. */
#include "receive/build.h"

static bool body(void *arg, const char *p, size_t n)
{
	*(size_t *)arg += n;
	return true;
}

static size_t run(struct arena *a, const char *p, size_t n, size_t cut)
{
	struct headers h;
	struct build b;
	size_t bytes = 0;
	headers_init(&h);
	build_init(&b, a, &h);
	b.body = body;
	b.arg = &bytes;
	(void)(build_feed(&b, p, cut) && build_feed(&b, p + cut, n - cut));
	build_finish(&b);
	for (const struct header *x = h.first; x; x = x->next) {
		must(x->text.len > 0 && x->text.p[x->text.len - 1] == '\n');
		bytes += x->text.len;
	}
	return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	struct arena *a = arena_new("fuzz", 512u << 20, 0, 0);
	const char *p = (const char *)data + 1;
	size_t n = size - 1;
	size_t cut = n ? data[0] % n : 0;
	must(run(a, p, n, 0) == run(a, p, n, cut));
	arena_free(a);
	return 0;
}
