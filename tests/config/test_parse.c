/* SPDX-License-Identifier: Apache-2.0
 * The grammar of chapter 6: what is read, and in which words mistakes are told. The words were
 * learnt by running Exim 4.96 on the same lines. */
#include "test.h"
#include "fake.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/banned.h"

static struct config *load(const char *text, struct why *why)
{
	struct env env;
	test_env(&env);
	why->text[0] = 0;
	struct config *c = config_parse(&fake_schema, &env, str_c(text), STR("/etc/x.conf"), NULL, why);
	test_env_done(&env);
	return c;
}

/* Every text must be refused with these words; "N:" is shorthand for the line, "-" for none. */
static const struct {
	const char *text, *words;
} bad[] = {
	{"foo = bar\n", "1:main option \"foo\" unknown"},
	{"no_foo\n", "1:main option \"no_foo\" unknown"},
	{"hide\n", "1:main option \"\" unknown"},
	{"hide foo\n", "1:main option \"foo\" unknown"},
	{"hide hide queue_only\n", "1:main option \"hide\" unknown"},
	{"begin\n", "1:main option \"begin\" unknown"},
	{"begin\tacl\n", "1:main option \"begin\" unknown"},
	{".foo\n", "1:option setting expected: .foo"},
	{"qualify_domain = a\nqualify_domain = b\n", "2:\"qualify_domain\" option set for the second time"},
	{"queue_only\nno_queue_only\n", "2:\"no_queue_only\" option set for the second time"},
	{"queue_only = maybe\n", "1:\"maybe\" is not a valid value for the \"queue_only\" option"},
	{"queue_only = y\n", "1:\"y\" is not a valid value for the \"queue_only\" option"},
	{"queue_only = yes x\n", "1:extra characters follow \"yes\" for boolean option queue_only"},
	{"queue_only yes\n", "1:extra characters follow boolean option queue_only"},
	{"no_queue_only = true\n", "1:extra characters follow boolean option no_queue_only"},
	{"no_qualify_domain = x\n", "1:negation prefix applied to a non-boolean option"},
	{"qualify_domain\n", "1:unexpected end of line (data missing) after qualify_domain"},
	{"timezone x\n", "1:missing \"=\" after timezone"},
	{"smtp_accept_max = 3x\n", "1:extra characters follow integer value for smtp_accept_max"},
	{"smtp_accept_max = 10 K\n", "1:extra characters follow integer value for smtp_accept_max"},
	{"smtp_accept_max = x\n", "1:integer expected for smtp_accept_max"},
	{"smtp_accept_max = \n", "1:integer expected for smtp_accept_max"},
	{"smtp_accept_max = 99999999999\n", "1:absolute value of integer \"99999999999\" is too large (overflow)"},
	{"smtp_accept_max = 3000000K\n", "1:absolute value of integer \"3000000K\" is too large (overflow)"},
	{"check_spool_space = 99999999999999999999G\n", "1:absolute value of integer \"99999999999999999999G\" is too large (overflow)"},
	{"queue_only_load = x\n", "1:fixed-point number expected for queue_only_load"},
	{"queue_only_load = .5\n", "1:fixed-point number expected for queue_only_load"},
	{"queue_only_load = -3.5\n", "1:integer \"-3.5\" is too large (overflow)"},
	{"auto_thaw = 3\n", "1:invalid time value for auto_thaw"},
	{"auto_thaw = 3h x\n", "1:invalid time value for auto_thaw"},
	{"auto_thaw = \"3h\"\n", "1:invalid time value for auto_thaw"},
	{"delay_warning = 3h:x\n", "1:invalid time value for delay_warning"},
	{"delay_warning = 8h:3h\n", "1:time values out of order for delay_warning"},
	{"delay_warning = 1h:2h:3h:4h:5h:6h:7h:8h:9h:10h:11h\n", "1:too many time values for delay_warning"},
	{"qualify_domain = \"abc\n", "1:missing quote at end of string value for qualify_domain"},
	{"qualify_domain = \"abc\" x\n", "1:extra characters follow string value for qualify_domain"},
	{"trusted_users = nosuchuser\n", "1:user nosuchuser was not found"},
	{"exim_user = nosuchuser\n", "1:user nosuchuser was not found"},
	{"exim_user = \n", "1:user  was not found"},
	{"exim_user = ${up:mail}\n", "1:user ${up:mail} was not found"},
	{"exim_group = nosuchgroup\n", "1:group nosuchgroup was not found"},
	{"trusted_groups = root:nosuchgroup\n", "1:group nosuchgroup was not found"},
	{"log_selector = +foo\n", "-unknown log_selector setting: +foo"},
	{"log_selector = foo\n", "-malformed log_selector setting: + or - expected but found \"foo\""},
	{"log_selector = +all -foo\n", "-unknown log_selector setting: -foo"},
	{"log_selector = +all - arguments\n", "-unknown log_selector setting: -"},
	{"AA = 1\nAA = 2\n", "-macro \"AA\" is already defined (use \"==\" if you want to redefine it)"},
	{"AA = 1\nAAB = 2\n", "-\"AAB\" cannot be defined as a macro because previously defined macro \"AA\" is a substring"},
	{"X_HAVE_TLS = 1\n", "-\"X_HAVE_TLS\" cannot be defined as a macro because previously defined macro \"_HAVE_TLS\" is a substring"},
	{"AA == 1\n", "-can't redefine an undefined macro \"AA\""},
	{"AA 1\n", "1:malformed macro definition"},
	{"AA-1 = 2\n", "1:malformed macro definition"},
	{".include /nonexistent\n", "1:failed to open included configuration file /nonexistent"},
	{".include_if_exists foo\n", "1:.include specifies a non-absolute path \"foo\""},
	{".ifdef X\n", "1:Unexpected end of configuration file: .endif missing"},
	{"# a\n.ifdef X\n\nfoo\n", "4:Unexpected end of configuration file: .endif missing"},
	{".endif\n", "1:.endif without matching .ifdef"},
	{".else\n", "1:.else without matching .ifdef"},
	{"begin foo\n", "1:\"foo\" is not a known configuration section name"},
	{"begin rout\n", "1:\"rout\" is not a known configuration section name"},
	{"begin routers # x\n", "1:\"routers # x\" is not a known configuration section name"},
	{"begin routers\nbegin routers\n", "2:\"routers\" section is repeated in the configuration file"},
	{"begin local_scan\n", "1:local_scan() options not supported: (LOCAL_SCAN_HAS_OPTIONS not defined in Local/Makefile)"},
	{"begin routers\nfoo\n", "2:router name missing"},
	{"begin routers\n1foo:\n driver = accept\n", "2:router name missing"},
	{"begin transports\n driver = appendfile\n", "2:transport name missing"},
	{"begin routers\nfoo: x\n", "2:extra characters follow driver name foo"},
	{"begin routers\nfoo:\nfoo2:\n", "-no driver defined for router \"foo\""},
	{"begin routers\nfoo:\n driver = nosuch\n", "3:router foo: cannot find router driver \"nosuch\""},
	{"begin transports\nfoo:\n driver =\n", "3:transport foo: cannot find transport driver \"\""},
	{"begin authenticators\nfoo:\n driver = nosuch\n", "3:authenticator foo: cannot find authenticator driver \"nosuch\""},
	{"begin routers\nfoo:\n data = x\n driver = accept\n",
	    "3:option \"data\" unknown (\"driver\" must be specified before any private options)"},
	{"begin routers\nfoo:\n driver = accept\n nosuch = 1\n", "4:option \"nosuch\" unknown"},
	{"begin routers\nfoo:\n driver = accept\n future = 1\n", "4:option \"future\" is not supported yet"},
	{"begin routers\nfoo:\n driver = accept\n driver = accept\n", "4:\"driver\" option set for the second time"},
	{"begin routers\nfoo:\n driver = accept\n no_driver\n", "4:\"no_driver\" option set for the second time"},
	{"begin routers\nfoo:\n driver = accept\n domains = a\n domains = b\n", "5:\"domains\" option set for the second time"},
	{"begin routers\nfoo:\n driver = accept\n transport = x\nfoo:\n", "-there are two routers called \"foo\""},
	{"begin routers\nfoo:\n driver = accept\n", "-foo router:\n  a transport is required for this router"},
	{"begin routers\nfoo:\n user = nosuchuser\n", "3:user nosuchuser was not found"},
	{"begin transports\nfoo:\n driver = appendfile\nFOO = 3\n file = /x\n", "5:transport name missing"},
	{"begin transports\nfoo:\n driver = appendfile\n headers_rewrite = a\n headers_rewrite = b\n",
	    "5:\"headers_rewrite\" option set for the second time"},
	{"begin transports\nfoo:\n driver = appendfile\n mode = 888\n", "4:octal integer expected for mode"},
	{"begin transports\nfoo:\n driver = appendfile\n mode = 0x77\n", "4:extra characters follow octal integer value for mode"},
	{"begin acl\nfoo:\n accept\nfoo:\n", "4:there are two ACLs called \"foo\""},
	{"begin acl\n accept\n", "2:missing or malformed ACL name"},
	{"begin acl\nfoo-bar:\n", "2:missing or malformed ACL name"},
	{"begin acl\nfoo:\n accept\nXX=1\n accept\n", "5:missing or malformed ACL name"},
	{"domainlist a\n", "1:missing '=' after \"a\""},
	{"domainlist a b = b\n", "1:missing '=' after \"a\""},
	{"domainlist a = b\ndomainlist a = c\n", "2:duplicate name \"a\" for a named domain list"},
	{"hostlist a = b\nhide hostlist a = c\n", "2:duplicate name \"a\" for a named host list"},
	{"foo = x : \\\n   q\\\n # comment\n  z\n", "4:main option \"foo\" unknown"},
	{"host_lookup = x:\\\n  # comment\n\n q\n", "4:main option \"q\" unknown"},
	{"trusted_users = root::mail\n", "1:user root:mail was not found"},
	{"syslog_facility = foo\n", "-failed to interpret syslog_facility \"foo\""},
	{"localhost_number = 3 x\n", "-localhost_number value is not a number: 3 x"},
	{"localhost_number = 300\n", "-localhost_number is greater than the maximum allowed value (16)"},
	{"exim_user = 1234\n", "-exim_user is set numerically, but exim_group is not set"},
	{"smtp_accept_max = 0\nsmtp_accept_queue = 20\n",
	    "-smtp_accept_max must be set if smtp_accept_queue or smtp_accept_max_per_host is set"},
	{"perl_startup = do '/x'\n", "1:option \"perl_startup\" is not supported yet"},
};

static void mistakes_are_told_in_exims_words(void)
{
	for (size_t i = 0; i < countof(bad); i++) {
		struct why why;
		struct config *c = load(bad[i].text, &why);
		if (c) {
			test_fail(__FILE__, __LINE__, bad[i].text);
			config_unref(c);
			continue;
		}
		char want[WHY_SIZE];
		const char *words = strchr(bad[i].words, bad[i].words[0] == '-' ? '-' : ':') + 1;
		if (bad[i].words[0] == '-')
			snprintf(want, sizeof want, "Exim configuration error:\n  %s", words);
		else
			snprintf(want, sizeof want, "Exim configuration error in line %.*s of /etc/x.conf:\n  %s",
			    (int)(words - 1 - bad[i].words), bad[i].words, words);
		check_str(str_c(why.text), want);
	}
}

/* The value of `timezone`, an unexpanded string, after these lines. */
static const struct {
	const char *text, *timezone;
} strings[] = {
	{"timezone = UTC\n", "UTC"},
	{"  timezone   =   a  b  \n", "a  b"},
	{"timezone=\n", ""},
	{"timezone = \"\"\n", ""},
	{"timezone = \"  a \"\n", "  a "},
	{"timezone = \"a\\tb\\x411\\1012\\q\\\\\\\"\"\n", "a\tbA1A2q\\\""},
	{"timezone = \"a\\\n   b\"\n", "ab"},
	{"timezone = a\\tb\n", "a\\tb"},
	{"timezone = a # no comment\n", "a # no comment"},
	{"timezone = uucp:\\\n    # This comment line is ignored\n    mail\n", "uucp:mail"},
	{"timezone = x:\\\n  # comment \\\n q\n", "x:q"},
	{"timezone = x : \\   \n    q  \n", "x : q"},
	{"timezone = x\\\n", "x"},
	{"# comment \\\ntimezone = z\n", "z"},
	{"timezone = z", "z"},
	{"timezone = z\r\n", "z"},
	{"\\\n\\\n\ntimezone = z", "z"},
	{"A=1\nB=A2\ntimezone=B\n", "12"},
	{"BB=2\nAX=BBq\ntimezone=AX\n", "2q"},
	{"AX=qBB\nBB=2\ntimezone=AX\n", "q2"},
	{"AX=qAX\ntimezone=AX-AX\n", "qAX-qAX"},
	{"AX=1\nAX==AX 2\ntimezone=AX\n", "1 2"},
	{"AX=1 \\\n   2\ntimezone=AX\n", "1 2"},
	{"AX=\"q\"\ntimezone=AX\n", "q"},
	{"AX=\nAX\ntimezone=q\n", "q"},
	{"AX=#\nAX foo\ntimezone=q\n", "q"},
	{"AX=1\ntimezone = XAX1\n", "X11"},
	{"AXB=1\nAX=2\ntimezone=AX AXB\n", "2 1"},
	{"AX=q\ntimezone=x\\\nAX = 3\n", "xq = 3"},
	{"timezone = _HAVE_TLS _HAVE_TLS_ALPN\n", "y y"},
	{"timezone = _DKIM_SIGN_HEADERS\n", "From:To"},
	{".ifdef _OPT_MAIN_TIMEZONE\ntimezone = q\n.endif\n", "q"},
	{".ifdef _OPT_MAIN_PERL_STARTUP\ntimezone = q\n.else\ntimezone = refused\n.endif\n", "refused"},
	{".ifdef _DRIVER_ROUTER_ACCEPT\ntimezone = q\n.endif\n", "q"},
	{".ifndef _DRIVER_ROUTER_NONE\ntimezone = q\n.endif\n", "q"},
	{".ifdef _OPT_ROUTERS_DOMAINS\n.ifdef _OPT_ROUTER_ACCEPT_FANCY\ntimezone = q\n.endif\n.endif\n", "q"},
	{".ifdef _EXP_COND_BOOL_LAX\n.ifndef _EXP_COND_BOO\ntimezone = _EXP_ITEM_LOOKUP\n.endif\n.endif\n", "y"},
	{".ifdef _LOG_PID\ntimezone = q\n.endif\n", "q"},
	{" .ifdef X\nfoo\n .else\ntimezone = q\n.endif junk\n", "q"},
	{".ifdef X\nfoo\n.elifdef Y\nbar\n.elifndef Z\ntimezone = q\n.else\nfoo\n.endif junk\n", "q"},
	{"X=1\n.ifdef X\ntimezone=1\n.elifdef X\nbar\n.elifndef Z\nfoo\n.else\nfoo\n.endif\n", "1"},
	{".ifdef X\n.ifdef Y\n.else\nfoo\n.endif\n.foo\n.include /qq\n.else\ntimezone=q\n.endif", "q"},
	{"X=1\n.ifdef Y X\ntimezone=q\n.endif", "q"},
	{".ifdef X\nX=1\n.endif\n.ifdef X\nfoo\n.endif\ntimezone=q", "q"},
};

static void strings_macros_and_conditions(void)
{
	for (size_t i = 0; i < countof(strings); i++) {
		struct why why;
		struct config *c = load(strings[i].text, &why);
		if (!c) {
			check_str(str_c(why.text), strings[i].text);
			continue;
		}
		check_str(c->main.timezone.text, strings[i].timezone);
		config_unref(c);
	}
}

static void numbers_and_times(void)
{
	struct why why;
	struct config *c = load("smtp_accept_max = 0x10\nremote_max_parallel = 010\nlookup_open_max = 10k\n"
	    "check_spool_space = 3G\nqueue_only_load = 3.1239\nsmtp_load_reserve = 3.\nauto_thaw = 5m3h\n"
	    "ignore_bounce_errors_after = 9999w\ndelay_warning = 3h : 8h\nsmtp_backlog_monitor = -5\nqueue_only =\nno_message_logs\n"
	    "not_accept_8bitmime\nsplit_spool_directory = YES\n", &why);
	check_str(str_c(why.text), "");
	if (!c)
		return;
	check_int(c->main.smtp_accept_max, 16);
	check_int(c->main.remote_max_parallel, 8);
	check_int(c->main.lookup_open_max, 10240);
	check_int(c->main.check_spool_space, 3ll << 30);
	check_int(c->main.queue_only_load, 3123);
	check_int(c->main.smtp_load_reserve, 3000);
	check_int(c->main.deliver_queue_load_max, -1);
	check_int(c->main.auto_thaw, 3 * 3600 + 300);
	check_int(c->main.ignore_bounce_errors_after, INT32_MAX);
	check_int(c->main.delay_warning.count, 2);
	check_int(c->main.delay_warning.seconds[1], 8 * 3600);
	check_int(c->main.smtp_backlog_monitor, -5);
	check(c->main.queue_only);
	check(!c->main.message_logs);
	check(!c->main.accept_8bitmime);
	check(c->main.split_spool_directory);
	config_unref(c);
}

static void drivers_and_their_options(void)
{
	struct why why;
	struct config *c = load("begin routers\nXX = 3\nr1:\n  condition = a\n  driver = accept\n  condition = b\n  verify = false\n"
	    "  set = r_x=XX\n  set = r_y=2\n  headers_add = a:b\n  headers_add = c:d\n  headers_remove = x:y:\n  headers_remove = z\n"
	    "  transport = t1\n  user = ${local_part}\nFoo :\n  driver = accept\n  no_more\n  fancy\n  transport = t1\n"
	    "begin transports\nt1:\n  driver = appendfile\n  file = /x\n  hide home_directory = /h\n  mode = 644\n  owners = root : 7\n"
	    "begin authenticators\nPLAIN:\n  driver = plaintext\n  public_name = PLAIN\n", &why);
	check_str(str_c(why.text), "");
	if (!c)
		return;
	struct driver_instance *r1 = c->drivers[DRIVER_ROUTER], *foo = config_find_driver(c, DRIVER_ROUTER, STR("Foo"));
	const struct fake_router_generic *g = r1->generic;
	check_str(r1->name, "r1");
	check_str(g->condition.text, "${if and{{bool_lax{a}}{bool_lax{b}}}}");
	check_str(g->set.text, "r_x=3;r_y=2");
	check_str(g->headers_add.text, "a:b\nc:d");
	check_str(g->headers_remove.text, "x:y:z");
	check(!g->verify && !g->verify_sender && !g->verify_recipient);
	check_str(g->more.text, "true");
	check_int(g->user.id, -1);
	check_str(g->user.text.text, "${local_part}");
	check(foo && foo == r1->next && foo->index == 1);
	check(foo && ((const struct fake_accept *)foo->options)->fancy && config_was_set(foo, "fancy") && !config_was_set(foo, "domains"));
	check_str(((const struct fake_router_generic *)foo->generic)->more.text, "false");
	const struct driver_instance *t1 = config_find_driver(c, DRIVER_TRANSPORT, STR("t1"));
	const struct fake_appendfile *af = t1->options;
	check_int(af->mode, 0644);
	check_int(af->lock_interval, 3);
	check_str(af->message_suffix.text, "\n");
	check_int(af->owners.count, 2);
	check_int(af->owners.id[1], 7);
	check(config_find_driver(c, DRIVER_AUTHENTICATOR, STR("PLAIN")) != NULL);
	config_unref(c);
}

static void sections_of_other_rooms(void)
{
	struct why why;
	struct config *c = load("domainlist local = a : b\nhide addresslist x = \"q\\t\"\nbegin ACL\n check:\n  accept domains = a\\\n     b\n"
	    "  deny\nM = 1\nempty:\nlast : ignored\n drop message = a:b\nbegin retry\n* * F,M,15m\nXX = 1\nbegin rewrite\n*@M x\n", &why);
	check_str(str_c(why.text), "");
	if (!c)
		return;
	const struct config_acl *a = config_find_acl(c, STR("check"));
	check(a && a->lines && a->lines->next && !a->lines->next->next);
	check_str(a->lines->text, "accept domains = ab");
	check_int(a->lines->line, 6);
	check(config_find_acl(c, STR("empty")) && !config_find_acl(c, STR("empty"))->lines);
	check_str(config_find_acl(c, STR("last"))->lines->text, "drop message = a:b");
	check_str(c->retry->text, "* * F,1,15m");
	check_str(c->retry->next->text, "XX = 1");
	check_str(c->rewrite->text, "*@1 x");
	check_str(config_find_list(c, LIST_DOMAIN, STR("local"))->value.text, "a : b");
	check_str(config_find_list(c, LIST_ADDRESS, STR("x"))->value.text, "q\t");
	check(config_find_list(c, LIST_ADDRESS, STR("x"))->hide);
	check(!config_find_list(c, LIST_HOST, STR("local")));
	config_unref(c);
}

static void facts(void)
{
	struct why why;
	struct config *c = load("primary_hostname = h.example\nspool_directory = /var/${up:x}\ntrusted_users = root:${up:7}\n"
	    "log_selector = +all -pid +pid -subject\n", &why);
	check(!c); /* the list as a whole goes to the expander, which knows one item only */
	c = load("primary_hostname = h.example\nspool_directory = ${up:/x}\nlog_selector = +all -pid +pid-subject\n", &why);
	check_str(str_c(why.text), "");
	if (!c)
		return;
	check_str(c->qualify_domain, "h.example");
	check_str(c->qualify_recipient, "h.example");
	check_str(c->spool_directory, "/X");
	check(config_logs(c, LOGSEL_PID) && config_logs(c, LOGSEL_ARGUMENTS) && !config_logs(c, LOGSEL_SUBJECT));
	config_unref(c);
	c = load("qualify_domain = q.example\n", &why);
	check_str(c->qualify_recipient, "q.example");
	check(c->primary_hostname.len > 0);
	check(config_logs(c, LOGSEL_RETRY_DEFER) && !config_logs(c, LOGSEL_PID));
	config_unref(c);
}

static void lists_of_users(void)
{
	struct why why;
	struct config *c = load("trusted_users = root : 7:\nadmin_groups = <; root ; 9\nnever_users =\n", &why);
	check_str(str_c(why.text), "");
	if (!c)
		return;
	check_int(c->main.trusted_users.count, 2);
	check_int(c->main.trusted_users.id[1], 7);
	check_int(c->main.admin_groups.count, 2);
	check_int(c->main.admin_groups.id[1], 9);
	check(c->main.never_users.set && c->main.never_users.count == 0 && !c->main.trusted_groups.set);
	config_unref(c);
}

static void log_paths(void)
{
	struct why why;
	check(!load("log_file_path = foo\n", &why));
	check_str(str_c(why.text), "log_file_path \"foo\" does not contain \"%s\"");
	check(!load("log_file_path = /a/%s/%s\n", &why));
	check_str(str_c(why.text), "log_file_path \"/a/%s/%s\" contains unexpected \"%\" character");
	struct config *c = load("log_file_path = syslog : /a/%slog-%D :\nlocalhost_number = 11\n", &why);
	check_str(str_c(why.text), "");
	check_int(c->localhost_number, 11);
	config_unref(c);
}

static void refused_options_load_when_harmless(void)
{
	struct why why;
	static const char *const fine[] = {"perl_startup =\n", "no_perl_at_start\n", "perl_at_start = false\n", "dmarc_tld_file =\n",
		"smtputf8_advertise_hosts = *\n", "spamd_address = 127.0.0.1 783\n"};
	for (size_t i = 0; i < countof(fine); i++) {
		struct config *c = load(fine[i], &why);
		check_str(str_c(why.text), "");
		config_unref(c);
	}
	check(!load("perl_at_start\n", &why));
	check(!load("perl_at_start = yes\n", &why));
}

static void macros_of_the_command_line_win(void)
{
	struct env env;
	struct why why = {0};
	test_env(&env);
	static const char *const defines[] = {"AX= 2", "BX", NULL};
	struct config_source src = {.defines = defines};
	struct config *c = config_parse(&fake_schema, &env, STR("AX=1\nAX==4\nBX=3\ntimezone=AX-BX-"), STR("/x"), &src, &why);
	check_str(c->main.timezone.text, "2--");
	config_unref(c);
	check(!config_parse(&fake_schema, &env, STR("AXB=1\n"), STR("/x"), &src, &why));
	test_env_done(&env);
}

static void snapshots_are_counted(void)
{
	struct why why;
	struct config *c = load("timezone = x\n", &why);
	check(config_ref(c) == c);
	config_unref(c);
	check_str(c->main.timezone.text, "x");
	config_unref(c);
}

/* In a child: does writing to this byte end it? */
static bool write_faults(void *at)
{
	pid_t child = fork();
	if (child == 0) {
		const struct rlimit none = {0};
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)at = 1;
		_exit(0);
	}
	int status = 0;
	must(child > 0 && waitpid(child, &status, 0) == child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

static void snapshots_are_sealed(void)
{
	struct why why;
	struct config *c = load("timezone = x\\\n  y\nbegin transports\nt:\n  driver = appendfile\n", &why);
	check_str(str_c(why.text), "");
	if (!c)
		return;
	check(!write_faults(&c->refs));
	check(write_faults(&c->arena));
	check(write_faults(&c->main.queue_only));
	check(write_faults(&c->compiled_vars));
	check(write_faults(c->drivers[DRIVER_TRANSPORT]->options));
	config_unref(c);
}

static void rows_are_sorted_and_their_defaults_read(void)
{
	size_t n;
	config_main_rows(&n);
	check(n >= 302);
	struct why why = {0};
	check(config_schema_check(&fake_schema, &why));
	check_str(str_c(why.text), "");
	static const struct opt_row unsorted[] = {{.name = "b", .type = OPT_BOOL}, {.name = "a", .type = OPT_BOOL}};
	static const struct opt_row broken[] = {{.name = "b", .type = OPT_TIME, .def = "3"}};
	struct config_schema wrong = {.family[0] = {.generic = unsorted, .generic_count = 2, .generic_size = 8}};
	check(!config_schema_check(&wrong, &why));
	check_str(str_c(why.text), "generic options: \"a\" stands behind \"b\"");
	wrong.family[0] = (struct driver_family){.generic = broken, .generic_count = 1, .generic_size = 8};
	check(!config_schema_check(&wrong, &why));
	check_str(str_c(why.text), "generic options: default of \"b\": invalid time value for b");
	struct config *c = load("", &why);
	check(c != NULL);
	check_int(c->main.smtp_accept_max, 20);
	config_unref(c);
}

TEST_MAIN({"mistakes are told in Exim's words", mistakes_are_told_in_exims_words},
    {"strings, macros and conditions", strings_macros_and_conditions}, {"numbers and times", numbers_and_times},
    {"drivers and their options", drivers_and_their_options}, {"sections of other rooms", sections_of_other_rooms},
    {"facts", facts}, {"lists of users", lists_of_users}, {"log paths", log_paths},
    {"refused options load when harmless", refused_options_load_when_harmless},
    {"macros of the command line win", macros_of_the_command_line_win}, {"snapshots are counted", snapshots_are_counted},
    {"snapshots are sealed", snapshots_are_sealed},
    {"rows are sorted and their defaults read", rows_are_sorted_and_their_defaults_read})
