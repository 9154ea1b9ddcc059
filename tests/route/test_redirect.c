/* SPDX-License-Identifier: Apache-2.0
 * Redirection lists: what each text becomes (manual 22.4 to 22.6). */
#include "route/redirect_data.h"
#include "test.h"

struct row {
	const char *data, *want;
};

static bool include(void *arg, struct str path, struct str *ret_text, struct str *ret_error)
{
	(void)arg;
	if (str_eqc(path, "/ok"))
		*ret_text = STR("inc1@x, inc2@x\n# no\n/inc/file");
	else if (str_eqc(path, "/loop"))
		*ret_text = STR(":include:/loop");
	else
		*ret_error = str_c("failed to open included file /gone: No such file or directory");
	return str_empty(*ret_error);
}

static struct redirect_rules rules_all(void)
{
	return (struct redirect_rules){.allow_fail = true, .allow_defer = true, .incoming_domain = STR("in.dom"),
	    .qualify_domain = STR("qual.dom"), .include = include};
}

static struct str show(struct arena *a, const char *data, const struct redirect_rules *rules)
{
	static const char *const answers[] = {"", "nothing", "blackhole", "defer:", "fail:", "error:"};
	struct redirect_result r;
	struct strbuf sb;
	redirect_parse(a, str_c(data), rules, &r);
	sb_init(&sb, a, 65536);
	sb_printf(&sb, "%s", answers[r.answer]);
	if (r.answer >= REDIRECT_DEFER)
		sb_add(&sb, r.text);
	for (const struct redirect_item *i = r.answer == REDIRECT_ITEMS ? r.items : NULL; i; i = i->next)
		sb_printf(&sb, "%s%s%.*s", i == r.items ? "" : " ", i->kind == REDIRECT_ADDRESS ? "" : i->kind == REDIRECT_PIPE ? "P" : "F", STR_ARG(i->text));
	for (const struct redirect_error *e = r.errors; e; e = e->next)
		sb_printf(&sb, " !%.*s", STR_ARG(e->item));
	return sb_str(&sb);
}

static void run(const struct row *rows, size_t n, const struct redirect_rules *rules)
{
	struct arena *a = arena_new("test", 1 << 22, 0, 0);
	for (size_t i = 0; i < n; i++) {
		struct str got = show(a, rows[i].data, rules);
		if (!str_eqc(got, rows[i].want))
			printf("for \"%s\"\n", rows[i].data);
		check_str(got, rows[i].want);
	}
	arena_free(a);
}

static void lists_become_items(void)
{
	static const struct row rows[] = {
		{"", "nothing"},
		{"# only a comment\n  # another", "nothing"},
		{"a@b", "a@b"},
		{"a@b, c@d\ne@f", "a@b c@d e@f"},
		{"a@b, # rest is comment, x@y\nc@d", "a@b c@d"},
		{"fred", "fred@qual.dom"},
		{"\\fred", "fred@in.dom"},
		{"\"\\\\fred\"", "fred@in.dom"},
		{"Joe Bloggs <joe@q.r>, (comment) k@l.m", "joe@q.r k@l.m"},
		{"\"a b\"@x.y", "\"a b\"@x.y"},
		{"|/bin/cat", "P|/bin/cat"},
		{"|/bin/a b, c@d", "P|/bin/a b c@d"},
		{"\"|/some/command ready,steady,go\"", "P|/some/command ready,steady,go"},
		{"|/bin/sh -c (x", "P|/bin/sh -c (x"},
		{"/home/world/minbari", "F/home/world/minbari"},
		{"/dir/, a@b", "F/dir/ a@b"},
		{"/s=molari/o=babylon/@x400gate.way", "/s=molari/o=babylon/@x400gate.way"},
		{"|foo@bar.dom", "|foo@bar.dom"},
		{"(only a comment)", ""},
		{":include:/ok, z@z", "inc1@x inc2@x F/inc/file z@z"},
	};
	struct redirect_rules rules = rules_all();
	run(rows, countof(rows), &rules);
}

static void special_items_rule_the_list(void)
{
	static const struct row rows[] = {
		{":blackhole:", "blackhole"},
		{"a@b, :blackhole:", "blackhole"},
		{":fail: Gone away, no forwarding address", "fail:Gone away, no forwarding address"},
		{":fail: one line\nnext@x", "fail:one line"},
		{"a@b, :defer: not now", "defer:not now"},
		{":FAIL:", "fail:"},
		{":unknown:", "nothing"},
		{":include:relative", "error:included file \"relative\" is not an absolute path"},
		{":include:/gone", "error:failed to open included file /gone: No such file or directory"},
		{":include:/loop", "error:included files are nested too deeply at /loop"},
	};
	struct redirect_rules rules = rules_all();
	run(rows, countof(rows), &rules);
}

static void what_is_not_permitted_is_an_error(void)
{
	static const struct row rows[] = {
		{":fail: x", "error:\":fail: x\" is not permitted"},
		{":defer: x", "error:\":defer: x\" is not permitted"},
		{":blackhole:", "error:\":blackhole:\" is not permitted"},
		{":include:/ok", "error:included files not permitted"},
	};
	struct redirect_rules rules = {.forbid_blackhole = true, .forbid_include = true, .qualify_domain = STR("q")};
	run(rows, countof(rows), &rules);
	static const struct row inside[] = {
		{":include:/tmp/x", "error:included file /tmp/x is not in directory /etc/lists"},
		{":include:/etc/lists/../x", "error:included file /etc/lists/../x is not in directory /etc/lists"},
		{":include:/etc/listsx", "error:included file /etc/listsx is not in directory /etc/lists"},
	};
	rules = rules_all();
	rules.include_directory = STR("/etc/lists");
	run(inside, countof(inside), &rules);
}

static void malformed_items_can_be_skipped(void)
{
	struct redirect_rules rules = rules_all();
	struct arena *a = arena_new("test", 1 << 22, 0, 0);
	struct redirect_result r;
	redirect_parse(a, STR("a b@c, d@e"), &rules, &r);
	check_int(r.answer, REDIRECT_ERROR);
	check(str_ends(r.text, " in \"a b@c\""));
	rules.skip_errors = true;
	check_str(show(a, "a b@c, d@e", &rules), "d@e !a b@c");
	check_str(show(a, "a b@c", &rules), "nothing !a b@c");
	arena_free(a);
}

static void filters_are_told_apart(void)
{
	check_int(redirect_filter_kind(STR("#Exim filter\nfinish")), 'e');
	check_int(redirect_filter_kind(STR("\n # exim FILTER <<==")), 'e');
	check_int(redirect_filter_kind(STR("#Sieve filter")), 's');
	check_int(redirect_filter_kind(STR("# a comment\na@b")), 0);
	check_int(redirect_filter_kind(STR("#Eximfilter")), 0);
}

TEST_MAIN({"lists become items", lists_become_items}, {"special items rule the list", special_items_rule_the_list},
    {"what is not permitted is an error", what_is_not_permitted_is_an_error},
    {"malformed items can be skipped", malformed_items_can_be_skipped}, {"filters are told apart", filters_are_told_apart})
