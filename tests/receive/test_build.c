/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "receive/build.h"

struct got {
	struct arena *a;
	struct headers h;
	struct strbuf body;
	struct build b;
	bool from_seen;
};

static bool body(void *arg, const char *p, size_t n)
{
	struct got *g = arg;
	sb_addn(&g->body, p, n);
	return true;
}

static bool from_line(void *arg, struct str line)
{
	struct got *g = arg;
	g->from_seen = true;
	return !str_ends(line, "kept");
}

/* Feed in pieces of `step` bytes. */
static void run(struct got *g, const char *text, size_t step, size_t header_max, size_t line_max)
{
	*g = (struct got){.a = arena_new("test", 64u << 20, 0, 0)};
	headers_init(&g->h);
	sb_init(&g->body, g->a, 1u << 20);
	build_init(&g->b, g->a, &g->h);
	g->b.body = body;
	g->b.from_line = from_line;
	g->b.arg = g;
	if (header_max)
		g->b.header_max = header_max;
	g->b.line_max = line_max;
	size_t n = strlen(text);
	for (size_t at = 0; at < n; at += step)
		(void)build_feed(&g->b, text + at, n - at < step ? n - at : step);
	build_finish(&g->b);
}

static void show(struct got *g, struct strbuf *sb)
{
	sb_init(sb, g->a, 1u << 16);
	for (const struct header *h = g->h.first; h; h = h->next) {
		sb_ch(sb, h->kind);
		sb_add(sb, h->text);
	}
	sb_addc(sb, "|");
	sb_add(sb, sb_str(&g->body));
}

struct row {
	const char *in, *out;
};

static void headers_and_body(void)
{
	static const struct row rows[] = {
		{"A: b\n\nx\n", " A: b\n|x\n"},
		{"A: b\n c\n\td\nFrom: e\n\nx\ny\n", " A: b\n c\n\td\nFFrom: e\n|x\ny\n"},
		{"B : c\n : d\nfoo\n", " B : c\n : d\n|foo\n"},
		{"no header\nA: b\n\nx\n", "|no header\nA: b\n\nx\n"},
		{" A: b\n\nx\n", "| A: b\n\nx\n"},
		{"\nhi\n", "|hi\n"},
		{"A: b\nC D: e\n\nx\n", " A: b\n|C D: e\n\nx\n"},
		{"A: b", " A: b\n|"},
		{"A: b\n", " A: b\n|"},
		{"", "|"},
		{"From a@b Fri\nA: b\n\nx\n", " A: b\n|x\n"},
		{"From a@b kept\nA: b\n\nx\n", "|From a@b kept\nA: b\n\nx\n"},
		{"A: b\nFrom a@b Fri\n\nx\n", " A: b\n|From a@b Fri\n\nx\n"},
		{":empty\n\nx\n", "|:empty\n\nx\n"},
	};
	for (size_t i = 0; i < countof(rows); i++)
		for (size_t step = 1; step <= 64; step += step) {
			struct got g;
			struct strbuf sb;
			run(&g, rows[i].in, step, 0, 0);
			show(&g, &sb);
			check_str(sb_str(&sb), rows[i].out);
			check_int(g.b.trouble, BUILD_OK);
			check_int(g.b.read, (long long)strlen(rows[i].in));
			arena_free(g.a);
		}
}

static void what_is_counted(void)
{
	struct got g;
	run(&g, "A: b\n\n12345\n\n1234567\nxx", 3, 0, 0);
	check_int(g.b.body_lines, 3);
	check_int(g.b.max_line, 7);
	check_int(g.b.body_size, 17);
	check(!g.b.eight_bit);
	arena_free(g.a);
	run(&g, "Subject: long line\n\nx\xc3\xa9\n", 4, 0, 0);
	check_int(g.b.max_line, 18);
	check(g.b.eight_bit);
	arena_free(g.a);
}

static void ceilings(void)
{
	struct got g;
	run(&g, "A: bbbbbbbbbbbbbbbbbbbbbbbbb\n\nx\n", 5, 20, 0);
	check_int(g.b.trouble, BUILD_HEADER_TOO_BIG);
	arena_free(g.a);
	run(&g, "A: b\n ccccccccccccccc\n\nx\n", 5, 0, 16);
	check_int(g.b.trouble, BUILD_LINE_TOO_LONG);
	arena_free(g.a);
	run(&g, "A: b\nC: cccccccc\n\nx\n", 5, 0, 16);
	check_int(g.b.trouble, BUILD_OK);
	arena_free(g.a);
}

TEST_MAIN({"headers and body", headers_and_body}, {"what is counted", what_is_counted}, {"ceilings", ceilings})
