/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>

#include "smtp/dot.h"

/* Feed `in` whole, and byte by byte: the answers must agree. Returns octets used, -1 = no end. */
static long run(enum bare_newline mode, const char *in, size_t n, char *out, size_t *ret_out, bool *ret_bare)
{
	struct dot d;
	size_t len = 0, used = 0;
	dot_init(&d, mode, true);
	for (; used < n && !d.done; used++) {
		size_t one;
		dot_feed(&d, in + used, 1, out + len, &one);
		len += one;
	}
	char *whole = malloc(2 * n + DOT_MORE);
	struct dot w;
	size_t whole_len;
	dot_init(&w, mode, true);
	size_t whole_used = dot_feed(&w, in, n, whole, &whole_len);
	check_int(whole_used, (long long)used);
	check_int(whole_len, (long long)len);
	check(memcmp(whole, out, len) == 0);
	check_int(w.done, d.done);
	check_int(w.bare, d.bare);
	free(whole);
	*ret_out = len;
	*ret_bare = d.bare || d.nul;
	return d.done ? (long)used : -1;
}

struct row {
	enum bare_newline mode;
	const char *in, *out;
	bool bare;
	int rest; /* octets behind the end; -1 = data does not end */
};

#define H "A: b\r\n\r\n"
static void what_becomes_of_text(void)
{
	static const struct row rows[] = {
		{BARE_REJECT, "A: b\r\n\r\nx\r\n.\r\nQUIT\r\n", "A: b\n\nx\n", false, 6},
		{BARE_REJECT, ".\r\n", "", false, 0},
		{BARE_REJECT, "..x\r\n...\r\n.y\r\n.\r\n", ".x\n..\ny\n", false, 0},
		{BARE_REJECT, H "a\n.\r\nx\r\n.\r\n", "A: b\n\na .\nx\n", true, 0},
		{BARE_REJECT, H "a\r\n.\n", NULL, true, -1},
		{BARE_SPACE, H "a\rb\nc\r\n.\r\n", "A: b\n\na b c\n", true, 0},
		{BARE_NORMALIZE, H "a\n.\nb\r\n.\r\n", "A: b\n\na\n.\nb\n", true, 0},
		{BARE_NORMALIZE, H "a\n.\r\nb\r\n.\r\n", "A: b\n\na\n.\nb\n", true, 0},
		{BARE_EXIM, H "foo\rbar\r\n.\r\n", "A: b\n\nfoo\nbar\n", true, 0},
		{BARE_EXIM, H "foo\nbar\r\n.\r\n", "A: b\n\nfoo bar\n", true, 0},
		{BARE_EXIM, "A: b\n\nfoo\rbar\n.\n", "A: b\n\nfoo\nbar\n", true, 0},
		{BARE_EXIM, "A: b\n\nfoo\r\nbar\r\n.\r\n", "A: b\n\nfoo\nbar\n", true, 0},
		{BARE_EXIM, "A: b\r\nC: d\rE: f\r\n\r\nx\r\r\ny\r\n.\r\n", "A: b\nC: d\n E: f\n\nx\n\ny\n", true, 0},
		{BARE_EXIM, "A: b\r\nC: d\nE: f\r\n\r\na\r\n.\r\n", "A: b\nC: d\n E: f\n\na\n", true, 0},
		{BARE_EXIM, H "x\n.\nMAIL\r\n.\r\n", "A: b\n\nx . MAIL\n", true, 0},
	};
	for (size_t i = 0; i < countof(rows); i++) {
		char out[512];
		size_t len, n = strlen(rows[i].in);
		bool bare;
		long used = run(rows[i].mode, rows[i].in, n, out, &len, &bare);
		check_int(used, rows[i].rest < 0 ? -1 : (long)n - rows[i].rest);
		check_int(bare, rows[i].bare);
		if (rows[i].out)
			check_str(str_n(out, len), rows[i].out);
	}
}

static void only_one_thing_ends_data(void)
{
	static const struct {
		const char *p;
		size_t n;
	} ends[] = {{"\n.\n", 3}, {"\n.\r", 3}, {"\r.\n", 3}, {"\r.\r", 3}, {"\n.\r\n", 4}, {"\r.\r\n", 4}, {"\r\n\0.\r\n", 6},
		{"\r\n.\r\r\n", 6}, {"\r\r\n.\r\r\n", 7}, {"\r\n.\n", 4}, {"\r\n.\r", 4}};
	for (int mode = BARE_REJECT; mode <= BARE_EXIM; mode++)
		for (size_t i = 0; i < countof(ends); i++) {
			char in[256], out[600];
			size_t n = 0, len;
			bool bare;
			memcpy(in, H "x", 9);
			n = 9;
			memcpy(in + n, ends[i].p, ends[i].n);
			n += ends[i].n;
			static const char more[] = "MAIL FROM:<e@e>\r\n.\r\n";
			memcpy(in + n, more, sizeof more - 1);
			n += sizeof more - 1;
			check_int(run((enum bare_newline)mode, in, n, out, &len, &bare), (long)n);
			check(bare);
		}
}

static void nul_is_kept_and_told(void)
{
	char out[64];
	size_t len;
	bool bare;
	check_int(run(BARE_REJECT, "a\0b\r\n.\r\n", 8, out, &len, &bare), 8);
	check(bare);
	check_int(len, 4);
}

static void bdat_has_no_dots(void)
{
	struct dot d;
	char out[64];
	size_t len;
	dot_init(&d, BARE_REJECT, false);
	check_int(dot_feed(&d, "..one\r\n.\r\nx", 11, out, &len), 11);
	check_str(str_n(out, len), "..one\n.\nx");
	check_int(dot_finish(&d, out), 1);
	dot_init(&d, BARE_REJECT, false);
	dot_feed(&d, "x\r\n", 3, out, &len);
	check_int(dot_finish(&d, out), 0);
	check(!d.bare);
	dot_init(&d, BARE_REJECT, false);
	dot_feed(&d, "x\r", 2, out, &len);
	check(dot_finish(&d, out) > 0);
	check(d.bare);
}

TEST_MAIN({"what becomes of text", what_becomes_of_text}, {"only one thing ends data", only_one_thing_ends_data},
    {"NUL is kept and told", nul_is_kept_and_told}, {"BDAT has no dots", bdat_has_no_dots})
