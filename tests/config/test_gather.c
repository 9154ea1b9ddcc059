/* SPDX-License-Identifier: Apache-2.0
 * Reading files once: which one, whose, what is included; and that the text alone is enough. */
#include "test.h"
#include "fake.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/banned.h"

struct place {
	char dir[64];
	struct arena *a;
	struct env env;
};

static const char *at(struct place *p, const char *name)
{
	return arena_printf(p->a, "%s/%s", p->dir, name);
}

static const char *put(struct place *p, const char *name, const char *text)
{
	const char *path = at(p, name);
	FILE *f = fopen(path, "w");
	must(f && fputs(text, f) >= 0 && fclose(f) == 0 && chmod(path, 0644) == 0);
	return path;
}

static void place_init(struct place *p)
{
	*p = (struct place){.dir = "/tmp/eximius-test-XXXXXX"};
	must(mkdtemp(p->dir) != NULL);
	p->a = arena_new("place", 16u << 20, 0, 0);
	test_env(&p->env);
}

static void place_done(struct place *p)
{
	static const char *const names[] = {"main", "one", "two", "sub/three", "sub"};
	for (size_t i = 0; i < countof(names); i++)
		(void)remove(at(p, names[i]));
	check_int(rmdir(p->dir), 0);
	arena_free(p->a);
	test_env_done(&p->env);
}

static struct config *gather(struct place *p, struct config_source *src, struct str *ret_text, struct why *why)
{
	struct str path;
	src->schema = &fake_schema;
	why->text[0] = 0;
	if (config_gather(src, p->a, ret_text, &path, why) != ST_OK)
		return NULL;
	return config_parse(&fake_schema, &p->env, *ret_text, path, src, why);
}

static void inclusions_follow_macros(void)
{
	struct place p;
	struct str text;
	struct why why;
	place_init(&p);
	must(mkdir(at(&p, "sub"), 0755) == 0);
	put(&p, "main", "WHERE = sub\ntimezone = a:\\\n  .include one\n  b\n.include \"WHERE/three\"\n"
	    ".ifdef NOT\n.include nowhere\n.endif\n.include_if_exists /nonexistent/x\nqualify_domain = AFTER.example\n");
	put(&p, "one", "one:\\\n# nothing\n");
	put(&p, "sub/three", ".include ../two\n");
	put(&p, "two", "AFTER = two\nprimary_hostname = h.example");
	const char *paths[] = {at(&p, "main"), NULL};
	struct config_source src = {.paths = paths, .exim_uid = -1, .exim_gid = -1};
	struct config *c = gather(&p, &src, &text, &why);
	check_str(str_c(why.text), "");
	if (c) {
		check_str(c->main.timezone.text, "a:one:b");
		check_str(c->qualify_domain, "two.example");
		check_str(c->primary_hostname, "h.example");
		check(str_eqc(c->path, paths[0]));
	}
	config_unref(c);
	static const char *const defines[] = {"NOT=a", NULL};
	src.defines = defines;
	check(!gather(&p, &src, &text, &why)); /* .include nowhere */
	check(str_find(str_c(why.text), STR("failed to open included configuration file")) > 0);
	static const char *const harmless[] = {"WHERE=sub", NULL};
	src.defines = harmless;
	config_unref(gather(&p, &src, &text, &why));
	/* Another process has the text only. */
	for (size_t i = 0; i < 4; i++) {
		static const char *const names[] = {"main", "one", "two", "sub/three"};
		must(remove(at(&p, names[i])) == 0);
	}
	c = config_parse(&fake_schema, &p.env, text, str_c(paths[0]), NULL, &why);
	check(c && str_eqc(c->qualify_domain, "two.example") && c->macros->command_line);
	config_unref(c);
	place_done(&p);
}

static void mistakes_name_the_included_file(void)
{
	struct place p;
	struct str text;
	struct why why;
	place_init(&p);
	put(&p, "main", "queue_only\n.include one\n");
	put(&p, "one", "\nfoo = 1\n");
	const char *paths[] = {"/nonexistent/a", at(&p, "main"), NULL};
	struct config_source src = {.paths = paths, .exim_uid = -1, .exim_gid = -1};
	check(!gather(&p, &src, &text, &why));
	check(str_eqc(str_c(why.text), arena_printf(p.a, "Exim configuration error in line 2 of %s:\n  main option \"foo\" unknown", at(&p, "one"))));
	put(&p, "one", ".include two\n");
	check(!gather(&p, &src, &text, &why));
	check(str_eqc(str_c(why.text), arena_printf(p.a,
	    "Exim configuration error in line 1 of %s:\n  failed to open included configuration file %s", at(&p, "one"), at(&p, "two"))));
	put(&p, "one", ".include one\n");
	check(!gather(&p, &src, &text, &why));
	check(str_find(str_c(why.text), STR(".include nested too deeply")) > 0);
	place_done(&p);
}

static void files_that_others_may_write_are_refused(void)
{
	struct place p;
	struct str text;
	struct why why;
	place_init(&p);
	const char *paths[] = {put(&p, "main", "queue_only\n"), NULL};
	struct config_source src = {.paths = paths, .check_owner = true, .exim_uid = (int32_t)getuid(), .exim_gid = -1};
	struct config *c = gather(&p, &src, &text, &why);
	check(c != NULL);
	config_unref(c);
	must(chmod(paths[0], 0646) == 0);
	check(!gather(&p, &src, &text, &why));
	check(str_eqc(str_c(why.text), arena_printf(p.a, "Exim configuration file %s has the wrong owner, group, or mode", paths[0])));
	must(chmod(paths[0], 0664) == 0);
	check((getgid() == 0) == ((c = gather(&p, &src, &text, &why)) != NULL));
	config_unref(c);
	src.exim_gid = (int32_t)getgid();
	c = gather(&p, &src, &text, &why);
	check(c != NULL);
	config_unref(c);
	src.check_owner = false;
	must(chmod(paths[0], 0666) == 0);
	c = gather(&p, &src, &text, &why);
	check(c != NULL);
	config_unref(c);
	place_done(&p);
}

static void damaged_texts_are_refused(void)
{
	struct place p;
	struct why why;
	static const char *const bad[] = {"#eximius-configuration 1\n", "#eximius-configuration 1\nf 10 /x\nabc\n",
		"#eximius-configuration 1\nz 3 /x\nabc\n", "#eximius-configuration 1\nf 99999999999999999999 /x\nabc\n",
		"#eximius-configuration 1\nf 3 /x\nabcd\n", "#eximius-configuration 1\nd 0 A=1\n\n",
		"#eximius-configuration 1\nn 0 /x\n\n"};
	place_init(&p);
	for (size_t i = 0; i < countof(bad); i++)
		if (config_parse(&fake_schema, &p.env, str_c(bad[i]), STR("/x"), NULL, &why))
			test_fail(__FILE__, __LINE__, bad[i]);
	place_done(&p);
}

/* The word .include may come out of macros. */
static void inclusions_may_be_made_by_macros(void)
{
	static const char *const texts[] = {"INC = include\n.INC one\n", "INC = .include\nINC one\n", "  .INC one\n"};
	struct place p;
	struct str text;
	struct why why;
	static const char *const define[] = {"INC=include", NULL};
	place_init(&p);
	put(&p, "one", "timezone = one\n");
	for (size_t i = 0; i < countof(texts); i++) {
		const char *paths[] = {put(&p, "main", texts[i]), NULL};
		struct config_source src = {.paths = paths, .defines = i == 2 ? define : NULL, .exim_uid = -1, .exim_gid = -1};
		struct config *c = gather(&p, &src, &text, &why);
		check_str(str_c(why.text), "");
		check(c && str_eqc(c->main.timezone.text, "one"));
		config_unref(c);
	}
	struct str lacking = STR("#eximius-configuration 1\nf 24 /a\n.include_if_exists /b/c\n\n");
	check(!config_parse(&fake_schema, &p.env, lacking, STR("/a"), NULL, &why));
	check(str_find(str_c(why.text), STR("/b/c was not collected")) > 0);
	place_done(&p);
}

static void missing_files_are_told(void)
{
	struct place p;
	struct str text;
	struct why why;
	place_init(&p);
	const char *paths[] = {"/nonexistent/a", "/nonexistent/b", NULL};
	struct config_source src = {.paths = paths, .exim_uid = -1, .exim_gid = -1};
	check(!gather(&p, &src, &text, &why));
	check_str(str_c(why.text), "non-existent configuration file(s): /nonexistent/a:/nonexistent/b");
	paths[0] = p.dir;
	check(!gather(&p, &src, &text, &why));
	check(str_ends(str_c(why.text), "is a directory"));
	place_done(&p);
}

TEST_MAIN({"inclusions follow macros", inclusions_follow_macros}, {"mistakes name the included file", mistakes_name_the_included_file},
    {"files that others may write are refused", files_that_others_may_write_are_refused},
    {"damaged texts are refused", damaged_texts_are_refused}, {"inclusions may be made by macros", inclusions_may_be_made_by_macros},
    {"missing files are told", missing_files_are_told})
