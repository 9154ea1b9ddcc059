/* SPDX-License-Identifier: Apache-2.0
 * -bP: what Exim prints for the same configuration (4.96, run on the same text). */
#include "test.h"
#include "fake.h"

#include "base/banned.h"

static const char conf[] =
    "primary_hostname = h.example\n"
    "hide qualify_domain = secret.example\n"
    "AX = 1\n"
    "domainlist local = a : b\n"
    "hide domainlist hid = a : b\n"
    "hostlist local = 1.2.3.4\n"
    "hide hostlist both = x\n"
    "addresslist both = y@z\n"
    "trusted_users = root : 4242\n"
    "delay_warning = 3h:1d\n"
    "queue_only_load = 3.05\n"
    "check_spool_space = 2000K\n"
    "check_log_space = 1025\n"
    "timezone = \"a\\n\\x01 \xc3\xa9\"\n"
    "host_lookup = a \\\n   b\t\tc\n"
    "hide queue_only\n"
    "begin acl\n"
    "foo:\n"
    "  accept  domains = \"a   b\"\n"
    "begin routers\n"
    "r1:\n"
    "  driver = accept\n"
    "  transport = t1\n"
    "  hide condition = x\n"
    "r2 :\n"
    "  driver = accept\n"
    "  transport = t1\n"
    "  no_more\n"
    "begin transports\n"
    "t1:\n"
    "  driver = appendfile\n"
    "  mode = 660\n"
    "  group = 4242\n"
    "t2:\n"
    "  driver = appendfile\n"
    "  user = root\n"
    "begin retry\n"
    "* *   F,2h,15m\n";

static const struct {
	const char *how; /* u: as no admin, n: -n */
	const char *what, *name, *out, *err;
} cases[] = {
	{"", "qualify_domain", NULL, "qualify_domain = secret.example\n", ""},
	{"u", "qualify_domain", NULL, "qualify_domain = <value not displayable>\n", ""},
	{"un", "qualify_domain", NULL, "<value not displayable>\n", ""},
	{"u", "queue_only", NULL, "queue_only = <value not displayable>\n", ""},
	{"n", "queue_only", NULL, "queue_only\n", ""},
	{"", "qualify_recipient", NULL, "qualify_recipient = secret.example\n", ""},
	{"n", "primary_hostname", NULL, "h.example\n", ""},
	{"", "no_queue_only", NULL, "", "no_queue_only is not a known option\n"},
	{"", "router", NULL, "", "router is not a known option\n"},
	{"", "split_spool_directory", NULL, "no_split_spool_directory\n", ""},
	{"", "trusted_users", NULL, "trusted_users = root:4242\n", ""},
	{"", "never_users", NULL, "never_users =\n", ""},
	{"", "delay_warning", NULL, "delay_warning = 3h:1d\n", ""},
	{"", "queue_only_load", NULL, "queue_only_load = 3.05\n", ""},
	{"", "deliver_queue_load_max", NULL, "deliver_queue_load_max =\n", ""},
	{"", "check_spool_space", NULL, "check_spool_space = 2000K\n", ""},
	{"", "check_log_space", NULL, "check_log_space = 2K\n", ""},
	{"", "bounce_return_size_limit", NULL, "bounce_return_size_limit = 100K\n", ""},
	{"", "return_size_limit", NULL, "return_size_limit = 100K\n", ""},
	{"", "header_maxsize", NULL, "header_maxsize = 1048576\n", ""},
	{"", "callout_domain_positive_expire", NULL, "callout_domain_positive_expire = 1w\n", ""},
	{"", "auto_thaw", NULL, "auto_thaw = 0s\n", ""},
	{"", "timezone", NULL, "timezone = a\\n\\001 \\303\\251\n", ""},
	{"", "+local", NULL, "domainlist local = a : b\nhostlist local = 1.2.3.4\n", ""},
	{"n", "+local", NULL, "a : b\n1.2.3.4\n", ""},
	{"", "+both", NULL, "addresslist both = y@z\nhostlist both = <value not displayable>\n", ""},
	{"", "+nosuch", NULL, "", "no address, domain, host, or local part list called \"nosuch\" exists\n"},
	{"", "router_list", NULL, "r1\nr2\n", ""},
	{"", "router", "nosuch", "", "router nosuch not found\n"},
	{"", "router", "r2", "condition = \ndomains = \ndriver = accept\nheaders_add = \nheaders_remove = \nno_more\nset = \ntransport = t1\n"
	    "user = \nverify_recipient\nverify_sender\ndata = \nno_fancy\n", ""},
	{"u", "router", "r2", "condition = <value not displayable>\ndomains = \ndriver = accept\nheaders_add = \nheaders_remove = \nno_more\n"
	    "set = \ntransport = t1\nuser = \nverify_recipient\nverify_sender\ndata = \nno_fancy\n", ""},
	{"", "transports", NULL, "\nt1 transport:\nno_body_only\ndriver = appendfile\ngroup = 4242\nheaders_rewrite = \nhome_directory = \n"
	    "user = \nfile = \nlock_interval = 3s\nlock_retries = 10\nmessage_suffix = \\n\nmode = 0660\nowners =\n"
	    "\nt2 transport:\nno_body_only\ndriver = appendfile\ngroup = root\nheaders_rewrite = \nhome_directory = \nuser = root\n"
	    "file = \nlock_interval = 3s\nlock_retries = 10\nmessage_suffix = \\n\nmode = 0600\nowners =\n", ""},
	{"", "transport", "t2", "no_body_only\ndriver = appendfile\ngroup = root\nheaders_rewrite = \nhome_directory = \nuser = root\n"
	    "file = \nlock_interval = 3s\nlock_retries = 10\nmessage_suffix = \\n\nmode = 0600\nowners =\n", ""},
	{"", "transport_list", NULL, "t1\nt2\n", ""},
	{"", "macro", "AX", "AX=1\n", ""},
	{"n", "macro", "AX", "1\n", ""},
	{"", "macro", "_HAVE_TLS", "_HAVE_TLS=y\n", ""},
	{"", "macro", "NOPE", "", "macro NOPE not found\n"},
	{"u", "macro", "AX", "", "exim: permission denied\n"},
	{"", "configure_file", NULL, "/etc/x.conf\n", ""},
	{"", "config_file", NULL, "/etc/x.conf\n", ""},
	{"", "local_scan", NULL, "", "local_scan() options are not supported\n"},
	{"u", "config", NULL,
	    "# Exim Configuration (" EXIMIUS_VERSION ")\n# 1 \"/etc/x.conf\"\nprimary_hostname = h.example\n"
	    "hide qualify_domain = <value not displayable>\nAX = <value not displayable>\ndomainlist local = a : b\n"
	    "hide domainlist hid = <value not displayable>\nhostlist local = 1.2.3.4\nhide hostlist both = <value not displayable>\n"
	    "addresslist both = y@z\ntrusted_users = root : 4242\ndelay_warning = 3h:1d\nqueue_only_load = 3.05\n"
	    "check_spool_space = 2000K\ncheck_log_space = 1025\ntimezone = \"a\\n\\x01 \xc3\xa9\"\nhost_lookup = a b c\n"
	    "<value not displayable>\n\nbegin acl\n\n  foo:\n    accept domains = \"a   b\"\n\nbegin routers\n\n  r1:\n    driver = accept\n"
	    "    transport = t1\n    hide condition = <value not displayable>\n\n  r2 :\n    driver = accept\n    transport = t1\n"
	    "    no_more\n\nbegin transports\n\n  t1:\n    driver = appendfile\n    mode = 660\n    group = 4242\n\n  t2:\n    driver = appendfile\n"
	    "    user = root\n\nbegin retry\n"
	    "  * * F,2h,15m\n", ""},
};

static void every_form(void)
{
	struct env env;
	struct why why = {0};
	test_env(&env);
	struct arena *a = arena_new("print", 16u << 20, 0, 0);
	struct config *c = config_parse(&fake_schema, &env, str_c(conf), STR("/etc/x.conf"), NULL, &why);
	check_str(str_c(why.text), "");
	for (size_t i = 0; c && i < countof(cases); i++) {
		struct strbuf out, err;
		sb_init(&out, a, 1u << 20);
		sb_init(&err, a, 65536);
		bool found = config_print(c, str_c(cases[i].what), str_c(cases[i].name), !strchr(cases[i].how, 'u'), strchr(cases[i].how, 'n'), &out, &err);
		check_str(sb_str(&out), cases[i].out);
		check_str(sb_str(&err), cases[i].err);
		check_int(found, cases[i].err[0] == 0);
	}
	config_unref(c);
	arena_free(a);
	test_env_done(&env);
}

TEST_MAIN({"every form", every_form})
