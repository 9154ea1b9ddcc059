/* SPDX-License-Identifier: Apache-2.0
 * What leaves for DATA: CRLF lines only, no CR, LF or NUL by itself, every dot at a line start
 * doubled, one end of data and that at the end; the same however the input is cut. */
#include "base/limits.h"
#include "smtp/client.h"

static struct str run(struct arena *a, const char *p, size_t n, size_t piece)
{
	struct strbuf sb;
	sb_init(&sb, a, 1 << 24);
	struct smtp_body b = {.memory = &sb, .dots = true, .at_line_start = true};
	for (size_t i = 0; i < n; i += piece)
		must(smtp_body_write(&b, p + i, n - i < piece ? n - i : piece) == ST_OK);
	must(smtp_body_end(&b) == ST_OK);
	return sb_str(&sb);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new("fuzz", 1 << 27, 0, 0);
	if (size > 2 && size < 100000) {
		const char *p = (const char *)data + 1;
		struct str whole = run(a, p, size - 1, size), cut = run(a, p, size - 1, (size_t)data[0] % 7 + 1);
		must(str_eq(whole, cut));
		for (size_t i = 0; i < whole.len; i++) {
			must(whole.p[i] != '\0');
			must(whole.p[i] != '\n' || (i > 0 && whole.p[i - 1] == '\r'));
			must(whole.p[i] != '\r' || (i + 1 < whole.len && whole.p[i + 1] == '\n'));
			bool start = i == 0 || whole.p[i - 1] == '\n';
			must(!start || whole.p[i] != '.' || i + 3 == whole.len || whole.p[i + 1] == '.');
		}
		must(str_ends(whole, ".\r\n"));
	}
	arena_free(a);
	return 0;
}
