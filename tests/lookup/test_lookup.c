/* SPDX-License-Identifier: Apache-2.0
 * Lookups (manual chapter 9): types with decorations against files made here, the cache seeing a
 * changed file, taint, and the table of shared/conformance/lmdb. */
#include "expand/expand.h"
#include "lookup/lookup.h"
#include "net/resolver.h"
#include "base/strbuf.h"
#include "test.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char zone[] =
    "t.ex 60 TXT \"one\" \"two\"\n"
    "a.ex 60 A 192.0.2.1\n"
    "a.ex 60 A 192.0.2.2\n"
    "m.ex 60 MX 10 mx1.ex\n"
    "m.ex 60 MX 20 mx2.ex\n"
    "up.ex 60 NS ns.up.ex\n"
    "1.2.0.192.in-addr.arpa 60 PTR client.good.ex\n"
    "s.ex 60 SRV 1 2 25 host.ex\n"
    "slow.ex AGAIN\n";

struct bench {
	struct env env;
	struct arena *a;
	struct eval ev;
	char folder[64];
};

static void put_file(struct bench *b, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof path, "%s/%s", b->folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void bench_init(struct bench *b)
{
	struct why why = {{0}, 0, false};

	test_env(&b->env);
	b->a = arena_new("lookup", 64u << 20, 0, 0);
	b->env.lookups = lookup_cache_new();
	b->env.resolver = resolver_new_fake(str_c(zone), &why);
	check(b->env.resolver);
	eval_init(&b->ev, NULL, &b->env, b->a);
	snprintf(b->folder, sizeof b->folder, "/tmp/eximius-lookup-XXXXXX");
	check(mkdtemp(b->folder) != NULL);
	put_file(b, "ls", "# c\nk1: v1\nk2 : a\n  b\n# in between\n\tc\n\"q k\": quoted\nK3\tthree\n*.p.ex: partial\n*@d.ex: at\n*: star\nempty:\n");
	put_file(b, "wild", "*.w.ex: suffix\n^x\\d: regex\nplain: p\n");
	put_file(b, "ip", "10.1.2.3: host\n10.0.0.0/8: net\n\"::1\": six\n");
	put_file(b, "j.json", "{\"a\": {\"b\": [1, \"two\", null]}, \"s\": \"text\"}");
}

static void bench_done(struct bench *b)
{
	static const char *const names[] = {"ls", "wild", "ip", "j.json", "db.sqlite"};
	char path[256];

	for (size_t i = 0; i < countof(names); i++) {
		snprintf(path, sizeof path, "%s/%s", b->folder, names[i]);
		unlink(path);
	}
	rmdir(b->folder);
	resolver_free(b->env.resolver);
	lookup_cache_free(b->env.lookups);
	arena_free(b->a);
	test_env_done(&b->env);
}

/* The value, "(none)", or "defer: text". */
static struct str look(struct bench *b, const char *type, const char *file, struct str key)
{
	struct lookup_type t;
	struct str v = STR_NONE, name = file ? str_printf(b->a, "%s%s%s", file[0] == '/' || !file[0] ? "" : b->folder, file[0] && file[0] != '/' ? "/" : "", file) : STR_NONE;

	if (!lookup_type_parse(&b->ev.lx, str_c(type), &t))
		return str_cat(b->a, STR("type: "), b->ev.lx.error);
	switch (lookup_find(&b->ev.lx, &t, name, key, &v)) {
	case LOOKUP_FOUND: return v;
	case LOOKUP_NONE: return STR("(none)");
	case LOOKUP_DEFER: break;
	}
	return str_cat(b->a, STR("defer: "), b->ev.lx.error);
}

static void single_key_types(void)
{
	static const struct {
		const char *type, *file, *key, *want;
	} rows[] = {
	    {"lsearch", "ls", "k1", "v1"},
	    {"lsearch", "ls", "K1", "v1"},
	    {"lsearch", "ls", "k2", "a b c"},
	    {"lsearch", "ls", "q k", "quoted"},
	    {"lsearch", "ls", "k3", "three"},
	    {"lsearch", "ls", "empty", ""},
	    {"lsearch", "ls", "gone", "(none)"},
	    {"lsearch", "ls", "", "(none)"},
	    {"lsearch*", "ls", "gone", "star"},
	    {"lsearch*@", "ls", "u@d.ex", "at"},
	    {"lsearch*@", "ls", "u@e.ex", "star"},
	    {"partial-lsearch", "ls", "x.p.ex", "partial"},
	    {"partial-lsearch", "ls", "p.ex", "partial"},
	    {"partial3-lsearch", "ls", "x.p.ex", "(none)"},
	    {"partial0-lsearch", "ls", "q.q", "star"},
	    {"partial1()lsearch", "ls", "x.k1", "v1"},
	    {"lsearch,ret=key", "ls", "K1", "K1"},
	    {"lsearch,ret=full", "ls", "k1", "k1: v1"},
	    {"nwildlsearch", "wild", "a.W.ex", "suffix"},
	    {"nwildlsearch", "wild", "X7", "regex"},
	    {"nwildlsearch", "wild", "nothing", "(none)"},
	    {"iplsearch", "ip", "10.1.2.3", "host"},
	    {"iplsearch", "ip", "10.9.9.9", "net"},
	    {"iplsearch", "ip", "::1", "six"},
	    {"iplsearch", "ip", "11.1.1.1", "(none)"},
	    {"json", "j.json", "a:b:1", "two"},
	    {"json", "j.json", "s", "text"},
	    {"json", "j.json", "a:b:0", "1"},
	    {"json", "j.json", "a:nosuch", "(none)"},
	    {"dsearch", "", "ls", "defer: failed to open  for directory search: No such file or directory"},
	    {"dsearch", "/", "tmp", "tmp"},
	    {"dsearch,ret=full", "/", "tmp", "//tmp"},
	    {"dsearch,filter=file", "/", "tmp", "(none)"},
	    {"dsearch", "/", "a/b", "defer: key for dsearch lookup contains a slash: a/b"},
	    {"dsearch,key=path", "/", "tmp/..", "defer: key for dsearch lookup contains a .. component: tmp/.."},
	    {"nosuch", "ls", "k", "type: unknown lookup type \"nosuch\""},
	    {"nis", "ls", "k", "type: lookup type \"nis\" is not supported yet"},
	    {"partialx-lsearch", "ls", "k", "type: format error in lookup type \"partialx-lsearch\""},
	};
	struct bench b;

	bench_init(&b);
	for (size_t i = 0; i < countof(rows); i++) {
		check_str(look(&b, rows[i].type, rows[i].file, str_c(rows[i].key)), rows[i].want);
	}
	bench_done(&b);
}

static void dns(void)
{
	static const struct {
		const char *query, *want;
	} rows[] = {
	    {"t.ex", "one"},
	    {">:,; txt=t.ex", "one;two"},
	    {">:; txt=t.ex", "onetwo"},
	    {">: a=a.ex", "192.0.2.1:192.0.2.2"},
	    {"mx=m.ex", "10 mx1.ex\n20 mx2.ex"},
	    {">:,/ mx=m.ex", "10/mx1.ex:20/mx2.ex"},
	    {">: mxh=m.ex", "mx1.ex:mx2.ex"},
	    {"zns=a.b.up.ex", "ns.up.ex"},
	    {"ptr=192.0.2.1", "client.good.ex"},
	    {"srv=s.ex", "1 2 25 host.ex"},
	    {"a=gone.ex", "(none)"},
	    {"a=slow.ex", "defer: DNS lookup did not complete"},
	    {"defer_never,a=slow.ex", "(none)"},
	    {"a=slow.ex:a.ex", "192.0.2.1\n192.0.2.2"},
	    {"defer_strict,a=slow.ex:a.ex", "defer: DNS lookup did not complete"},
	    {"zz=a.ex", "defer: unsupported DNS record type"},
	};
	struct bench b;

	bench_init(&b);
	for (size_t i = 0; i < countof(rows); i++)
		check_str(look(&b, "dnsdb", NULL, str_c(rows[i].query)), rows[i].want);
	check(look(&b, "dnsdb", NULL, STR("t.ex")).taint);
	bench_done(&b);
}

static void a_changed_file_is_read_again(void)
{
	struct bench b;

	bench_init(&b);
	check_str(look(&b, "lsearch", "ls", STR("new")), "(none)");
	put_file(&b, "ls", "new: there\n");
	check_str(look(&b, "lsearch", "ls", STR("new")), "there");
	check_str(look(&b, "lsearch", "ls", STR("k1")), "(none)");
	lookup_cache_tidy(b.env.lookups);
	check_str(look(&b, "lsearch", "ls", STR("new")), "there");
	bench_done(&b);
}

static void taint(void)
{
	struct bench b;
	struct lookup_type t;
	struct str v;

	bench_init(&b);
	check(lookup_type_parse(&b.ev.lx, STR("lsearch"), &t));
	check_int(lookup_find(&b.ev.lx, &t, str_tainted(STR("/etc/passwd")), STR("root"), &v), LOOKUP_DEFER);
	check_str(b.ev.lx.error, "Tainted filename for search: '/etc/passwd'");
	check(look(&b, "lsearch", "ls", str_tainted(STR("k1"))).taint == 0);
	check(look(&b, "dsearch", "/", str_tainted(STR("tmp"))).taint == 0);
	struct str query = str_tainted(STR("/nosuch/x select 1"));
	check_str(look(&b, "sqlite", NULL, query), "defer: tainted search query is not properly quoted (sqlite)");
	query.quoter = lookup_quoter(lookup_driver_find(STR("sqlite")));
	check(str_starts(look(&b, "sqlite", NULL, query), "defer: unable to open database file /nosuch/x"));
	query.quoter = lookup_quoter(lookup_driver_find(STR("mysql")));
	check_str(look(&b, "sqlite", NULL, query), "defer: tainted search query is not properly quoted (sqlite)");
	bench_done(&b);
}

static void sql(void)
{
	struct bench b;

	bench_init(&b);
	struct str q = str_printf(b.a, "%s/db.sqlite create table t (k text, v text)", b.folder);
	check_str(look(&b, "sqlite", NULL, q), "(none)");
	q = str_printf(b.a, "%s/db.sqlite insert into t values ('a', 'x y'), ('b', '')", b.folder);
	check_str(look(&b, "sqlite", NULL, q), "(none)");
	struct str type = str_printf(b.a, "sqlite,file=%s/db.sqlite", b.folder);
	check_str(look(&b, str_cstr(b.a, type), NULL, STR("select v from t where k = 'a'")), "x y");
	check_str(look(&b, str_cstr(b.a, type), NULL, STR("select k, v from t order by k")), "k=a v=\"x y\" \nk=b v=\"\" ");
	check_str(look(&b, str_cstr(b.a, type), NULL, STR("select v from t where k = 'z'")), "(none)");
	check_str(look(&b, "sqlite", NULL, STR("select 1")), "defer: absolute file name expected for \"sqlite\" lookup");
	bench_done(&b);
}

/* "\\c3" is a byte. */
static struct str unescape(struct arena *a, const char *p, size_t n)
{
	struct strbuf sb;

	sb_init(&sb, a, 1u << 20);
	for (size_t i = 0; i < n; i++) {
		if (p[i] != '\\' || i + 2 >= n) {
			sb_ch(&sb, p[i]);
			continue;
		}
		char hex[3] = {p[i + 1], p[i + 2], 0};
		sb_ch(&sb, (char)strtol(hex, NULL, 16));
		i += 2;
	}
	return sb_str(&sb);
}

static void recorded_lmdb_table(void)
{
	struct bench b;
	char path[600], line[4096];
	int rows = 0;

	if (!test_shared())
		return;
	bench_init(&b);
	snprintf(path, sizeof path, "%s/conformance/lmdb/queries.tsv", test_shared());
	FILE *f = fopen(path, "r");
	check(f != NULL);
	snprintf(path, sizeof path, "%s/conformance/lmdb/table.mdb", test_shared());
	char *real = realpath(path, NULL);
	while (f && fgets(line, sizeof line, f)) {
		char *tab = strchr(line, '\t');
		if (rows++ == 0 || !tab)
			continue;
		struct str key = unescape(b.a, line, (size_t)(tab - line)), want = STR("(none)");
		size_t len = strcspn(tab + 3, "\n");
		if (tab[1] == '1')
			want = unescape(b.a, tab + 3, len);
		struct str got = look(&b, "lmdb", real, key);
		if (!str_eq(got, want))
			printf("key %.*s: got %.*s, want %.*s\n", STR_ARG(key), STR_ARG(got), STR_ARG(want));
		check(str_eq(got, want));
	}
	check(rows > 60);
	free(real);
	if (f)
		fclose(f);
	bench_done(&b);
}

TEST_MAIN({"single-key types", single_key_types}, {"dnsdb", dns}, {"a changed file is read again", a_changed_file_is_read_again},
    {"taint", taint}, {"sqlite", sql},
    {"recorded lmdb table", recorded_lmdb_table})
