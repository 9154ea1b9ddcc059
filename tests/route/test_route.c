/* SPDX-License-Identifier: Apache-2.0
 * Whole configurations of routers, addresses put through them, and what comes out, with a resolver
 * that answers from text. The transports are named but never run. */
#include "config/config.h"
#include "lookup/match.h"
#include "net/resolver.h"
#include "queue/retry_rule.h"
#include "route/route.h"
#include "test.h"

#include <stdlib.h>
#include <pwd.h>
#include <unistd.h>

/* --- Transports that only have a name and a kind --------------------------------------------- */
struct no_options {
	char none;
};
static const struct transport_head fake_local = {.info = {.name = "local", .options_size = sizeof(struct no_options)}, .local = true};
static const struct transport_head fake_remote = {.info = {.name = "remote", .options_size = sizeof(struct no_options)}};
static const struct driver_info *const fakes[] = {&fake_local.info, &fake_remote.info};
static const struct driver_family fake_transports = {.drivers = fakes, .count = 2, .generic_size = 1};

static const struct expand_var *const no_vars[] = {NULL};
static const struct expand_item *const no_items[] = {NULL};
static const struct expand_condition_row *const no_conditions[] = {NULL};
static const struct expand_registry registry = {.var_sets = no_vars, .item_sets = no_items, .condition_sets = no_conditions};
static bool (*const steps[])(struct config *, struct env *, struct why *) = {expand_compile_all, match_compile_all, rewrite_compile, route_compile};

static const char zone[] =
    "two.test 300 MX 10 mx1.two.test\ntwo.test 300 MX 20 mx2.two.test\n"
    "mx1.two.test 300 A 10.1.0.1\nmx1.two.test 300 AAAA fd00::1\nmx2.two.test 300 A 10.1.0.2\n"
    "plain.test 300 A 10.2.0.1\n"
    "null.test 300 MX 0 .\n"
    "dead.test 300 MX 10 nohost.test\n"
    "toip.test 300 MX 10 10.9.9.9\n"
    "again.test AGAIN\n"
    "self.test 300 MX 5 me.test\nself.test 300 MX 10 mx1.two.test\nme.test 300 A 127.0.0.1\n"
    "second.test 300 MX 5 mx1.two.test\nsecond.test 300 MX 10 me.test\nsecond.test 300 MX 20 mx2.two.test\n"
    "srv.test 300 MX 5 mx1.two.test\n_smtp._tcp.srv.test 300 SRV 0 0 2525 mx2.two.test\n"
    "short.wide.test 300 MX 5 mx2.two.test\n"
    "onlymx.test 300 A 10.2.0.2\n";

static const char text[] =
    "primary_hostname = me.test\nqualify_domain = q.test\n"
    "local_interfaces = 127.0.0.1\nallow_domain_literals\n"
    "domainlist local = q.test\n"
    "begin routers\n"
    "literal:\n driver = ipliteral\n transport = smtp\n"
    "badtpt:\n driver = accept\n local_parts = badtpt\n transport = ${if eq{1}{1}{nosuch}}\n"
    "fail:\n driver = redirect\n local_parts = fail\n allow_fail\n data = :fail: gone away\n"
    "deferr:\n driver = redirect\n local_parts = deferr\n allow_defer\n data = :defer: not now\n"
    "notallowed:\n driver = redirect\n local_parts = notallowed\n data = :defer: x\n"
    "hole:\n driver = redirect\n local_parts = hole\n data = :blackhole:\n"
    "alias:\n driver = redirect\n domains = +local\n local_parts = al\n data = one, two@two.test, |/bin/cat, /tmp/f, /tmp/d/\n"
    " pipe_transport = p\n file_transport = f\n"
    "again:\n driver = redirect\n local_parts = loop\n data = loop@q.test, one\n"
    "affix:\n driver = accept\n local_part_prefix = real- : *-pre-\n local_part_suffix = +* \n local_part_suffix_optional\n"
    " transport = ${local_part}_${local_part_prefix_v}_${local_part_suffix_v}_t\n"
    "cond:\n driver = accept\n local_parts = cond1 : cond2\n condition = yes\n condition = ${if eq{$local_part}{cond1}}\n transport = f\n"
    "unseen:\n driver = accept\n local_parts = seen\n unseen\n transport = p\n"
    "vars:\n driver = accept\n local_parts = vars\n set = r_a = 1\n set = r_b = ${r_a}2\n address_data = <$r_b>\n"
    " transport = ${if eq{$address_data}{<12>}{f}{p}}\n headers_add = X-A: $r_b\n headers_remove = b : c\n errors_to = one@q.test\n"
    "nomore:\n driver = redirect\n local_parts = nomore\n data =\n no_more\n cannot_route_message = cannot route $local_part\n"
    "passto:\n driver = manualroute\n local_parts = passto\n route_list = * 127.0.0.1\n self = pass\n pass_router = last\n transport = smtp\n"
    "user:\n driver = accept\n local_parts = root\n check_local_user\n transport = f\n"
    "manual:\n driver = manualroute\n domains = manual.test\n transport = smtp\n"
    " route_list = * \"<+ [10.3.0.1]:26 + mx1.two.test:27 + 127.0.0.1 + 10.3.0.2\"\n"
    "manmx:\n driver = manualroute\n domains = manmx.test\n transport = smtp\n route_list = * two.test/mx::2525\n"
    "manre:\n driver = manualroute\n domains = \\N^m(\\d)\\.re\\.test$\\N\n transport = smtp\n route_list = ^m(\\\\d) 10.4.0.$1\n"
    "manloc:\n driver = manualroute\n domains = manloc.test\n route_list = * a.b:c.d f\n"
    "manign:\n driver = manualroute\n domains = manign.test\n transport = smtp\n host_find_failed = ignore\n host_all_ignored = fail\n"
    " route_list = * nohost.test:nohost2.test\n"
    "mandef:\n driver = manualroute\n domains = mandef.test\n transport = smtp\n route_list = * nohost.test\n"
    "srv:\n driver = dnslookup\n domains = srv.test\n check_srv = smtp\n transport = smtp\n"
    "secmx:\n driver = dnslookup\n domains = second.test\n local_parts = sec\n check_secondary_mx\n transport = smtp\n"
    "onlymx:\n driver = dnslookup\n domains = onlymx.test\n mx_domains = *\n transport = smtp\n no_more\n"
    "dns:\n driver = dnslookup\n domains = ! +local\n transport = smtp\n widen_domains = wide.test\n ignore_target_hosts = 10.1.0.2\n no_more\n"
    "locals:\n driver = accept\n domains = +local\n local_parts = one : hello\n transport = f\n"
    "last:\n driver = accept\n local_parts = passto\n transport = f\n"
    "begin transports\nf:\n driver = local\np:\n driver = local\nsmtp:\n driver = remote\n"
    "joe_x_y_t:\n driver = local\njoe___t:\n driver = local\n"
    "begin rewrite\n*@old.test $1@q.test T\n";

static struct config *cfg;
static struct env env;
static struct arena *arena;

static void release_config(void)
{
	if (cfg)
		config_unref(cfg);
}

static void setup(void)
{
	static struct config_schema schema;
	struct why why = {.text = ""};
	schema = (struct config_schema){.expand = &registry, .compile = steps, .compile_count = countof(steps)};
	schema.family[DRIVER_ROUTER] = route_family;
	schema.family[DRIVER_TRANSPORT] = fake_transports;
	static const char *const none[] = {NULL};
	struct config_source src = {.paths = none, .defines = none, .exim_uid = -1, .exim_gid = -1};
	if (cfg)
		return;
	test_env(&env);
	arena = arena_new("test", 1 << 26, 0, 0);
	env.resolver = resolver_new_fake(str_c(zone), &why);
	if (!env.resolver)
		printf("%s\n", why.text);
	cfg = config_parse(&schema, &env, str_c(text), STR("/test.conf"), &src, &why);
	atexit(release_config);
	if (!cfg)
		printf("%s\n", why.text);
	must(cfg && env.resolver);
}

static void show_hosts(struct strbuf *sb, const struct route_host *h)
{
	for (; h; h = h->next) {
		sb_printf(sb, " %.*s", STR_ARG(str_is_set(h->address) ? h->address : h->name));
		if (h->port)
			sb_printf(sb, ":%d", h->port);
	}
}

static void show_list(struct strbuf *sb, const char *what, const struct address *list)
{
	for (const struct address *ad = list; ad; ad = ad->next) {
		sb_printf(sb, "%s%s %.*s", sb->len ? "; " : "", what, STR_ARG(ad->address));
		if (ad->parent)
			sb_printf(sb, "<%.*s>", STR_ARG(ad->parent->address));
		if (ad->transport)
			sb_printf(sb, " R=%.*s T=%.*s", STR_ARG(ad->router->name), STR_ARG(ad->transport->name));
		show_hosts(sb, ad->hosts);
		if (str_is_set(ad->message))
			sb_printf(sb, " (%.*s)", STR_ARG(ad->message));
		if (ad->special_freeze)
			sb_addc(sb, " FREEZE");
	}
}

static struct address *last_local;

static struct str routed(const char *address)
{
	struct message *m = message_new(arena);
	m->sender = STR("sender@two.test");
	m->sender_set = true;
	struct eval ev;
	eval_init(&ev, cfg, &env, arena);
	eval_set_message(&ev, m);
	struct route_job job = {.config = cfg, .env = &env, .arena = arena, .message = m, .eval = &ev, .purpose = ROUTE_DELIVER,
	    .body_fd = -1, .trace_fd = -1};
	struct strbuf sb;
	sb_init(&sb, arena, 65536);
	route_all(&job, address_new(arena, str_tainted(str_c(address)), 0));
	show_list(&sb, "local", job.local);
	show_list(&sb, "remote", job.remote);
	show_list(&sb, "failed", job.failed);
	show_list(&sb, "deferred", job.deferred);
	show_list(&sb, "done", job.done);
	last_local = job.local;
	return sb_str(&sb);
}

struct row {
	const char *address, *want;
};
static void run(const struct row *rows, size_t n)
{
	setup();
	for (size_t i = 0; i < n; i++) {
		struct str got = routed(rows[i].address);
		if (!str_eqc(got, rows[i].want))
			printf("for <%s>\n", rows[i].address);
		check_str(got, rows[i].want);
	}
}
#define RUN(rows) run(rows, countof(rows))

static void dns_finds_hosts(void)
{
	static const struct row rows[] = {
		{"a@two.test", "remote a@two.test R=dns T=smtp fd00::1 10.1.0.1"},
		{"a@plain.test", "remote a@plain.test R=dns T=smtp 10.2.0.1"},
		{"a@null.test", "failed a@null.test (an MX or SRV record indicated no SMTP service)"},
		{"a@dead.test", "failed a@dead.test (all relevant MX records point to non-existent hosts)"},
		{"a@toip.test", "failed a@toip.test (all relevant MX records point to non-existent hosts or (invalidly) to IP addresses)"},
		{"a@again.test", "deferred a@again.test (host lookup did not complete)"},
		{"a@nowhere.test", "failed a@nowhere.test (Unrouteable address)"},
		{"a@self.test", "deferred a@self.test (lowest numbered MX record points to local host) FREEZE"},
		{"a@second.test", "remote a@second.test R=dns T=smtp fd00::1 10.1.0.1"},
		{"sec@second.test", "remote sec@second.test R=secmx T=smtp fd00::1 10.1.0.1"},
		{"sec@onlymx.test", "failed sec@onlymx.test (Unrouteable address)"},
		{"a@srv.test", "remote a@srv.test R=srv T=smtp 10.1.0.2:2525"},
		{"a@bad_domain..test", "failed a@bad_domain..test (Unrouteable address)"},
		{"a@[10.7.7.7]", "remote a@[10.7.7.7] R=literal T=smtp 10.7.7.7"},
		{"a@[IPv6:fd00::7]", "remote a@[IPv6:fd00::7] R=literal T=smtp fd00::7"},
		{"a@[127.0.0.1]", "deferred a@[127.0.0.1] (remote host address is the local host) FREEZE"},
	};
	RUN(rows);
}

static void manual_routes(void)
{
	static const struct row rows[] = {
		{"a@manual.test", "remote a@manual.test R=manual T=smtp 10.3.0.1:26 fd00::1:27 10.1.0.1:27"},
		{"a@manmx.test", "remote a@manmx.test R=manmx T=smtp fd00::1:2525 10.1.0.1:2525 10.1.0.2:2525"},
		{"a@m7.re.test", "remote a@m7.re.test R=manre T=smtp 10.4.0.7"},
		{"a@manloc.test", "local a@manloc.test R=manloc T=f a.b:c.d"},
		{"a@manign.test", "failed a@manign.test (lookup failed for all hosts in manign router: host_find_failed=ignore host_all_ignored=fail)"},
		{"a@mandef.test", "deferred a@mandef.test (lookup of host \"nohost.test\" failed in mandef router) FREEZE"},
		{"passto@q.test", "local passto@q.test R=last T=f"},
	};
	RUN(rows);
}

static void redirections(void)
{
	static const struct row rows[] = {
		{"fail@q.test", "failed fail@q.test (gone away)"},
		{"deferr@q.test", "deferred deferr@q.test (not now)"},
		{"notallowed@q.test", "deferred notallowed@q.test (error in redirect data: \":defer: x\" is not permitted)"},
		{"hole@q.test", "done hole@q.test"},
		{"loop@q.test", "local one@q.test<loop@q.test> R=locals T=f; failed loop@q.test<loop@q.test> (Unrouteable address)"},
		{"al@q.test", "local one@q.test<al@q.test> R=locals T=f; local /tmp/f<al@q.test> R=alias T=f; local |/bin/cat<al@q.test> R=alias T=p; "
		              "remote two@two.test<al@q.test> R=dns T=smtp fd00::1 10.1.0.1; deferred /tmp/d/<al@q.test> (directory_transport unset in alias router)"},
	};
	RUN(rows);
}

static void generic_options(void)
{
	static const struct row rows[] = {
		{"hello@q.test", "local hello@q.test R=locals T=f"},
		{"HELLO@Q.test", "local HELLO@Q.test R=locals T=f"},
		{"nobody@q.test", "failed nobody@q.test (Unrouteable address)"},
		{"badtpt@q.test", "deferred badtpt@q.test (transport \"nosuch\" not found in badtpt router)"},
		{"cond1@q.test", "local cond1@q.test R=cond T=f"},
		{"cond2@q.test", "failed cond2@q.test (Unrouteable address)"},
		{"nomore@q.test", "failed nomore@q.test (cannot route nomore)"},
		{"seen@q.test", "local seen@q.test<seen@q.test> R=unseen T=p; failed seen@q.test<seen@q.test> (Unrouteable address)"},
		{"vars@q.test", "local vars@q.test R=vars T=f"},
		{"root@q.test", "local root@q.test R=user T=f"},
	};
	RUN(rows);
}

static void affixes_are_taken_off(void)
{
	setup();
	/* The transport's name is tainted by the local part, so it is refused by name. */
	check_str(routed("x-pre-joe+y@q.test"), "deferred x-pre-joe+y@q.test (attempt to use tainted value 'joe_x_y_t' for transport in affix router)");
	check_str(routed("real-joe@q.test"), "deferred real-joe@q.test (attempt to use tainted value 'joe___t' for transport in affix router)");
}

static void what_is_attached_to_the_address(void)
{
	setup();
	routed("vars@q.test");
	check(last_local);
	check_str(last_local->headers_add, "X-A: 12\n");
	check_str(last_local->headers_remove, "b:c");
	check(last_local->errors_to_set);
	check_str(last_local->errors_to, "one@q.test");
	check_str(last_local->view.address_data, "<12>");
	routed("root@q.test");
	check(last_local && last_local->uid_set);
	check_int(last_local->uid, 0);
	check_str(last_local->home, getpwnam("root")->pw_dir);
	check_int(last_local->view.local_part_data.taint, 0);
	routed("HELLO@Q.test");
	check_str(last_local->unique, "HELLO@q.test");
	check_str(last_local->view.local_part, "hello");
	check_str(address_for_log(arena, last_local, false), "hello@q.test");
	check_str(address_for_delivery_log(arena, last_local, false), "hello <HELLO@Q.test>");
}

static void names_for_the_log(void)
{
	setup();
	struct address *top = address_new(arena, STR("top@q.test"), 0);
	struct address *mid = address_child(arena, top, STR("mid@q.test"));
	struct address *pipe = address_child_kind(arena, mid, STR("|/bin/cat x"), ADDRESS_PIPE);
	struct address *same = address_child(arena, top, STR("top@q.test"));
	struct address *again = address_child(arena, top, STR("top@q.test"));
	check_str(address_for_log(arena, top, false), "top@q.test");
	check_str(address_for_log(arena, mid, false), "mid@q.test <top@q.test>");
	check_str(address_for_log(arena, pipe, false), "|/bin/cat x (mid@q.test) <top@q.test>");
	check_str(pipe->unique, "|/bin/cat x:mid@q.test");
	check_str(pipe->view.address_pipe, "/bin/cat x");
	check_str(same->unique, "top@q.test/");
	check_str(again->unique, "top@q.test/");
	struct address *deep = address_child(arena, mid, STR("deep@q.test"));
	check_str(address_for_log(arena, deep, true), "deep@q.test (mid@q.test) <top@q.test>");
	check_str(address_for_log(arena, deep, false), "deep@q.test <top@q.test>");
}

static void rewriting(void)
{
	setup();
	struct eval ev;
	bool changed;
	eval_init(&ev, cfg, &env, arena);
	check_str(rewrite_one(&ev, STR("Joe@old.test"), REWRITE_ENV_TO, &changed), "Joe@q.test");
	check(changed);
	check_str(rewrite_one(&ev, STR("Joe@old.test"), REWRITE_ENV_FROM, &changed), "Joe@old.test");
	check(!changed);
	struct why why;
	const struct rewrite_rules *rules = rewrite_parse_list(arena, cfg, STR("*@a.test $1@b.test f : \\N^(?i)x@(.*)$\\N \"X Y <z@$1>\" fw"), &why);
	must(rules);
	struct header h = {.text = STR("From: Joe B <joe@a.test>, X <X@c.test>\n"), .kind = HDR_FROM};
	struct str out = STR_NONE;
	check(rewrite_header_line(&ev, rules, &h, &out));
	check_str(out, "From: Joe B <joe@b.test>, X Y <z@c.test>\n");
	h.kind = HDR_TO;
	check(!rewrite_header_line(&ev, rules, &h, &out));
	check(!rewrite_parse_list(arena, cfg, STR("*@a.test $1@b.test F"), &why));
	check(!rewrite_parse_list(arena, cfg, STR("*@a.test"), &why));
	struct strbuf sb;
	sb_init(&sb, arena, 4096);
	rewrite_test(&ev, STR("Foo <foo@old.test>"), &sb);
	check(str_ends(sb_str(&sb), "env-from: foo@old.test\n  env-to: foo@q.test\n"));
	check(str_starts(sb_str(&sb), "  sender: Foo <foo@old.test>\n"));
}

TEST_MAIN({"dns finds hosts", dns_finds_hosts}, {"manual routes", manual_routes}, {"redirections", redirections},
    {"generic options", generic_options}, {"affixes are taken off", affixes_are_taken_off},
    {"what is attached to the address", what_is_attached_to_the_address}, {"names for the log", names_for_the_log},
    {"rewriting", rewriting})
