/* SPDX-License-Identifier: Apache-2.0
 * Lists (manual chapter 10): tables of lists, subjects and answers; compiled lists against lists
 * read left to right; host lists with a resolver that answers from text. */
#include "expand/expand.h"
#include "lookup/lookup.h"
#include "net/resolver.h"
#include "test.h"
#include <stdlib.h>
#include <unistd.h>

static const char conf_text[] =
    "primary_hostname = mail.test.ex\n"
    "domainlist local = test.ex : !not.other.ex : *.other.ex\n"
    "domainlist outer = +local : relay.ex\n"
    "domainlist loop = a.ex : +loop2\n"
    "domainlist loop2 = +loop\n"
    "domainlist expanded = ${lc:UPPER.ex}\n"
    "domainlist forced = ${if eq{a}{b}{x}fail}\n"
    "hostlist relay = <; 10.0.0.0/8 ; 2001:db8::/32 ; !192.168.1.1 ; 192.168.0.0/16\n"
    "addresslist bad = *@bad.ex : spam@test.ex\n"
    "localpartlist lps = root : ^admin\n";

static const char zone[] =
    "1.2.0.192.in-addr.arpa 60 PTR client.good.ex\n"
    "client.good.ex 60 A 192.0.2.1\n"
    "2.2.0.192.in-addr.arpa 60 PTR liar.good.ex\n"
    "liar.good.ex 60 A 192.0.2.99\n"
    "4.2.0.192.in-addr.arpa AGAIN\n"
    "named.ex 60 A 192.0.2.7\n"
    "slow.ex AGAIN\n"
    "mx.ex 60 MX 10 mail.test.ex\n"
    "mx.ex 60 MX 20 elsewhere.ex\n"
    "second.ex 60 MX 10 elsewhere.ex\n"
    "second.ex 60 MX 20 mail.test.ex\n"
    "elsewhere.ex 60 A 192.0.2.50\n";

static bool (*const hooks[])(struct config *cfg, struct env *env, struct why *why) = {expand_compile_all, match_compile_all};
static const struct config_schema schema = {.compile = hooks, .compile_count = countof(hooks)};

struct bench {
	struct env env;
	struct arena *a;
	struct config *cfg;
	struct eval ev;
};

static void bench_init(struct bench *b)
{
	struct why why = {{0}, 0, false};

	test_env(&b->env);
	b->a = arena_new("match", 64u << 20, 0, 0);
	b->env.lookups = lookup_cache_new();
	b->env.resolver = resolver_new_fake(str_c(zone), &why);
	if (!b->env.resolver)
		printf("%s\n", why.text);
	b->cfg = config_parse(&schema, &b->env, str_c(conf_text), STR("/test"), NULL, &why);
	if (!b->cfg)
		printf("%s\n", why.text);
	check(b->cfg && b->env.resolver);
	eval_init(&b->ev, b->cfg, &b->env, b->a);
}

static void bench_done(struct bench *b)
{
	config_unref(b->cfg);
	resolver_free(b->env.resolver);
	lookup_cache_free(b->env.lookups);
	arena_free(b->a);
	test_env_done(&b->env);
}

struct row {
	const char *list, *subject;
	enum match_result want;
	const char *data; /* NULL: not looked at */
};

typedef enum match_result (*matcher)(struct lookup_context *, const struct xstr *, struct str, unsigned, struct str *);

/* Each list as it stands and compiled. */
static void run_rows(struct bench *b, matcher match, enum list_kind kind, const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (int compiled = 0; compiled < 2; compiled++) {
			struct xstr x = {.text = str_c(rows[i].list)};
			struct str data = STR_NONE;
			if (compiled)
				match_compile_list(b->a, b->cfg, &x, kind);
			enum match_result got = match(&b->ev.lx, &x, str_c(rows[i].subject), MATCH_CASELESS_LOCAL, &data);
			if (got != rows[i].want)
				printf("%s against %s (%s): ", rows[i].subject, rows[i].list, compiled ? "compiled" : "read");
			check_int(got, rows[i].want);
			if (rows[i].data && got == MATCH_YES)
				check_str(data, rows[i].data);
		}
}

static void domains(void)
{
	static const struct row rows[] = {
	    {"a.ex : b.ex", "B.EX", MATCH_YES, "b.ex"},
	    {"a.ex : b.ex", "c.ex", MATCH_NO, NULL},
	    {"", "c.ex", MATCH_NO, NULL},
	    {":", "", MATCH_YES, ""},
	    {"!a.ex", "a.ex", MATCH_NO, NULL},
	    {"!a.ex", "b.ex", MATCH_YES, NULL},
	    {"! a.ex : *.ex", "b.ex", MATCH_YES, "*.ex"},
	    {"! a.ex : *.ex", "a.ex", MATCH_NO, NULL},
	    {"*key.ex", "donkey.ex", MATCH_YES, "*key.ex"},
	    {"<; a.ex ; b.ex", "b.ex", MATCH_YES, "b.ex"},
	    {"a::b", "a:b", MATCH_YES, "a:b"},
	    {"^c.n", "CAN", MATCH_YES, "^c.n"},
	    {"^(?-i)c.n", "CAN", MATCH_NO, NULL},
	    {"^(", "x", MATCH_DEFER, NULL},
	    {"@", "mail.test.ex", MATCH_YES, "mail.test.ex"},
	    {"@[]", "[127.0.0.1]", MATCH_YES, "@[]"},
	    {"@[]", "[192.0.2.77]", MATCH_NO, NULL},
	    {"+local", "test.ex", MATCH_YES, "test.ex"},
	    {"+local", "not.other.ex", MATCH_NO, NULL},
	    {"+local", "is.other.ex", MATCH_YES, "*.other.ex"},
	    {"+outer", "relay.ex", MATCH_YES, "relay.ex"},
	    {"!+outer", "relay.ex", MATCH_NO, NULL},
	    {"!+outer", "elsewhere.ex", MATCH_YES, NULL},
	    {"+nosuch", "x", MATCH_DEFER, NULL},
	    {"a : +nosuch", "a", MATCH_YES, "a"},
	    {"+loop", "a.ex", MATCH_YES, "a.ex"},
	    {"+loop", "x.ex", MATCH_DEFER, NULL},
	    {"+expanded", "upper.ex", MATCH_YES, "upper.ex"},
	    {"+forced", "upper.ex", MATCH_NO, NULL},
	    {"nosuch;/x", "a", MATCH_DEFER, NULL},
	    {"lsearch;/nosuch/file", "a", MATCH_DEFER, NULL},
	    {"mysql;select", "a", MATCH_DEFER, NULL},
	    {"testdb;yes", "a", MATCH_YES, "yes"},
	    {"testdb;fail", "a", MATCH_NO, NULL},
	    {"testdb;defer", "a", MATCH_DEFER, NULL},
	    {"@mx_any", "mx.ex", MATCH_YES, "@mx_any"},
	    {"@mx_primary", "mx.ex", MATCH_YES, NULL},
	    {"@mx_secondary", "mx.ex", MATCH_NO, NULL},
	    {"@mx_primary", "second.ex", MATCH_NO, NULL},
	    {"@mx_secondary", "second.ex", MATCH_YES, NULL},
	    {"@mx_any", "elsewhere.ex", MATCH_NO, NULL},
	    {"a:b:c:d:e:!f:*", "f", MATCH_NO, NULL},
	    {"a:b:c:d:e:!f:*", "E", MATCH_YES, "e"},
	    {"a:b:!c:!d:!e:!g:!h:*", "g", MATCH_NO, NULL},
	};
	struct bench b;

	bench_init(&b);
	run_rows(&b, match_domain, LIST_DOMAIN, rows, countof(rows));
	bench_done(&b);
}

static void local_parts_and_addresses(void)
{
	static const struct row lps[] = {
	    {"root : postmaster", "ROOT", MATCH_YES, "root"},
	    {"+caseful : root : Root", "ROOT", MATCH_NO, NULL},
	    {"+caseful : root : Root", "Root", MATCH_YES, "Root"},
	    {"+lps", "administrator", MATCH_YES, "^admin"},
	    {"*master", "postmaster", MATCH_YES, "*master"},
	};
	static const struct row addresses[] = {
	    {"a@b.c", "A@B.C", MATCH_YES, "a@b.c"},
	    {"*@b.c", "x@b.c", MATCH_YES, "*@b.c"},
	    {"*x@b.c", "foox@b.c", MATCH_YES, NULL},
	    {"*x@b.c", "foo@b.c", MATCH_NO, NULL},
	    {"b.c", "x@b.c", MATCH_YES, "@b.c"},
	    {"*.c", "x@b.c", MATCH_YES, NULL},
	    {"^x@b", "x@b.c", MATCH_YES, NULL},
	    {"*@+local", "x@test.ex", MATCH_YES, "*@test.ex"},
	    {"*@+local", "x@not.other.ex", MATCH_NO, NULL},
	    {"+bad", "spam@test.ex", MATCH_YES, NULL},
	    {":", "", MATCH_YES, NULL},
	    {"*@b.c", "", MATCH_NO, NULL},
	    {"!a@b.c : *@b.c", "a@b.c", MATCH_NO, NULL},
	    {"+caseful : a@b.c", "A@b.c", MATCH_NO, NULL},
	    {"+caseful : A@B.c", "A@b.c", MATCH_NO, NULL}, /* domains of subjects are in lower case (10.5.1) */
	    {"+caseful : A@b.c", "A@B.c", MATCH_YES, NULL},
	    {"a@testdb;yes", "a@b.c", MATCH_YES, NULL},
	    {"a@testdb;fail", "a@b.c", MATCH_NO, NULL},
	    {"x@@", "x@mail.test.ex", MATCH_YES, NULL},
	    {"x@@", "x@other.ex", MATCH_NO, NULL},
	    {"*@@mx_any", "x@mx.ex", MATCH_YES, NULL},
	    {"testdb;yes", "", MATCH_YES, "yes"},
	    {"testdb;defer", "a@b.c", MATCH_DEFER, NULL},
	};
	struct bench b;

	bench_init(&b);
	run_rows(&b, match_local_part, LIST_LOCAL_PART, lps, countof(lps));
	run_rows(&b, match_address, LIST_ADDRESS, addresses, countof(addresses));
	bench_done(&b);
}

static void hosts(void)
{
	static const struct row rows[] = {
	    {"10.0.0.0/8", "10.1.2.3", MATCH_YES, NULL},
	    {"10.0.0.0/8", "::ffff:10.1.2.3", MATCH_YES, NULL},
	    {"!10.1.2.3 : 10.0.0.0/8", "10.1.2.3", MATCH_NO, NULL},
	    {"2001::db8::::/32", "2001:db8::9", MATCH_YES, NULL},
	    {"+relay", "192.168.1.1", MATCH_NO, NULL},
	    {"+relay", "192.168.1.2", MATCH_YES, NULL},
	    {"+relay", "2001:db8::1", MATCH_YES, NULL},
	    {"10.0.0.1:10.0.0.2:10.0.0.3:10.1.0.0/16:10.0.0.4/31", "10.0.0.5", MATCH_YES, NULL},
	    {"10.0.0.1:10.0.0.2:10.0.0.3:10.1.0.0/16:10.0.0.4/31", "10.0.0.6", MATCH_NO, NULL},
	    {"0.0.0.0/0:10.0.0.2:10.0.0.3:10.1.0.0/16", "::1", MATCH_NO, NULL},
	    {"*", "", MATCH_YES, NULL},
	    {":", "", MATCH_YES, NULL},
	    {":", "10.0.0.1", MATCH_NO, NULL},
	    {"10.0.0.0/8", "", MATCH_NO, NULL},
	    {"@[]", "127.0.0.1", MATCH_YES, NULL},
	    {"named.ex", "192.0.2.7", MATCH_YES, NULL},
	    {"named.ex", "192.0.2.8", MATCH_NO, NULL},
	    {"slow.ex", "192.0.2.8", MATCH_DEFER, NULL},
	    {"+ignore_defer : slow.ex : 192.0.2.8", "192.0.2.8", MATCH_YES, NULL},
	    {"+include_defer : slow.ex", "192.0.2.8", MATCH_YES, NULL},
	    {"gone.ex : 192.0.2.8", "192.0.2.8", MATCH_NO, NULL},
	    {"+ignore_unknown : gone.ex : 192.0.2.8", "192.0.2.8", MATCH_YES, NULL},
	    {"+include_unknown : gone.ex", "192.0.2.8", MATCH_YES, NULL},
	    {"*.good.ex", "192.0.2.1", MATCH_YES, NULL},
	    {"^cli", "192.0.2.1", MATCH_YES, NULL},
	    {"*.good.ex", "192.0.2.2", MATCH_NO, NULL},   /* the name does not lead back */
	    {"*.good.ex : 192.0.2.2", "192.0.2.2", MATCH_NO, NULL},
	    {"192.0.2.2 : *.good.ex", "192.0.2.2", MATCH_YES, NULL},
	    {"*.good.ex", "192.0.2.4", MATCH_DEFER, NULL},
	    {"net-testdb;yes", "192.0.2.2", MATCH_YES, NULL},
	    {"net24-testdb;fail", "192.0.2.2", MATCH_NO, NULL},
	};
	struct bench b;

	bench_init(&b);
	for (size_t i = 0; i < countof(rows); i++)
		for (int compiled = 0; compiled < 2; compiled++) {
			struct xstr x = {.text = str_c(rows[i].list)};
			struct peer p = {.host_address = rows[i].subject[0] ? str_c(rows[i].subject) : STR_NONE};
			if (compiled)
				match_compile_list(b.a, b.cfg, &x, LIST_HOST);
			eval_set_peer(&b.ev, &p);
			enum match_result got = match_peer(&b.ev.lx, &x, 0, NULL);
			if (got != rows[i].want)
				printf("%s against %s (%s): ", rows[i].subject, rows[i].list, compiled ? "compiled" : "read");
			check_int(got, rows[i].want);
		}
	eval_set_peer(&b.ev, NULL);
	bench_done(&b);
}

static void files_in_lists(void)
{
	char path[] = "/tmp/eximius-list-XXXXXX";
	int fd = mkstemp(path);
	struct bench b;
	static const char text[] = "# comment\na.ex # more\n\n!c.ex\n*.d.ex\n";

	check(fd >= 0 && write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1);
	close(fd);
	bench_init(&b);
	struct str list = str_printf(b.a, "%s : z.ex", path), not_list = str_printf(b.a, "!%s : *", path);
	struct xstr x = {.text = list}, nx = {.text = not_list};
	check_int(match_domain(&b.ev.lx, &x, STR("a.ex"), 0, NULL), MATCH_YES);
	check_int(match_domain(&b.ev.lx, &x, STR("c.ex"), 0, NULL), MATCH_NO);
	check_int(match_domain(&b.ev.lx, &x, STR("x.d.ex"), 0, NULL), MATCH_YES);
	check_int(match_domain(&b.ev.lx, &x, STR("z.ex"), 0, NULL), MATCH_YES);
	check_int(match_domain(&b.ev.lx, &nx, STR("a.ex"), 0, NULL), MATCH_NO);
	check_int(match_domain(&b.ev.lx, &nx, STR("q.ex"), 0, NULL), MATCH_YES);
	unlink(path);
	check_int(match_domain(&b.ev.lx, &x, STR("a.ex"), 0, NULL), MATCH_DEFER);
	bench_done(&b);
}

static void regex_is_bounded(void)
{
	struct bench b;

	bench_init(&b);
	check_int(match_regex(&b.ev.lx, STR("^(a+)+$"), STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), true), -1);
	check_int(match_regex(&b.ev.lx, STR("b(.)"), STR("abc"), true), 1);
	check_str(b.ev.captures.v[1], "c");
	check_int(match_regex(&b.ev.lx, STR("("), STR("abc"), true), -1);
	bench_done(&b);
}

TEST_MAIN({"domain lists", domains}, {"local part and address lists", local_parts_and_addresses}, {"host lists", hosts},
    {"files in lists", files_in_lists}, {"regular expressions are bounded", regex_is_bounded})
