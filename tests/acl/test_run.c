/* SPDX-License-Identifier: Apache-2.0
 * Verbs, conditions and modifiers at RCPT: verdict, text for the client, text for the log, and
 * what was logged meanwhile. The rows with odd texts were learnt by running exim4 -bh. */
#include "fixture.h"

static const char *const verdicts[] = {"ok", "fail", "drop", "discard", "defer", "error"};

/* lines after "a:\n"; verdict user|log|logged, "-" = unset / nothing */
static const struct {
	const char *acl, *want;
} cases_rcpt[] = {
	/* verbs */
	{" accept", "ok -|-|-"},
	{"", "fail -|-|-"},
	{" deny", "fail -|-|-"},
	{" deny message = hello", "fail hello|hello|-"},
	{" deny\n log_message = lm\n message = um", "fail um|lm|-"},
	{" deny log_message = lm", "fail -|lm|-"},
	{" defer", "defer -|-|-"},
	{" defer message = foo", "defer foo|foo|-"},
	{" drop message = bye", "drop bye|bye|-"},
	{" discard log_message = dl", "discard -|dl|-"},
	{" discard message = m", "discard m|m|-"},
	{" require message = no\n  domains = other.ex", "fail no|no|-"},
	{" require message = no\n  domains = +local\n  message = later\n accept", "ok -|-|-"},
	{" require domains = +local\n  message = never\n  hosts = 1.1.1.1", "fail never|never|-"},
	{" accept message = in\n  domains = other.ex\n deny", "fail -|-|-"},
	{" accept message = in\n  domains = +local", "ok in|in|-"},
	{" accept domains = +local\n  endpass\n  hosts = 1.1.1.1\n  message = late\n accept", "fail -|-|-"},
	{" accept domains = +local\n  message = early\n  endpass\n  hosts = 1.1.1.1\n accept", "fail early|early|-"},
	{" accept domains = other.ex\n  endpass\n  hosts = 1.1.1.1\n accept", "ok -|-|-"},
	{" accept message = x\n  endpass", "ok -|-|-"},
	{" accept message = in\n  hosts = 1.1.1.1", "fail in|in|-"}, {" discard log_message = lg\n  hosts = 1.1.1.1", "fail -|lg|-"},
	{" deny hosts = 1.1.1.1\n  message = no", "fail -|-|-"}, {" accept verify = certificate", "fail no verified certificate|no verified certificate|-"},
	{" accept verify = certificate\n warn hosts = 1.1.1.1", "fail -|-|-"}, {" deny acl = no", "fail from no|from no|-"},
	{" accept message = mine\n acl = no", "fail mine|from no|-"}, {" warn acl = no", "fail -|-|-"},
	{" warn log_message = w1\n warn log_message = w1\n accept", "ok -|-|H=(c.ex) [10.0.0.2] Warning: w1"},
	{" warn condition = foo\n accept", "ok -|-|H=(c.ex) [10.0.0.2] Warning: ACL \"warn\" statement skipped: condition test deferred: invalid \"condition\" value \"foo\""},
	{" warn control = foo\n accept", "error -|syntax error in \"control=foo\"|-"},
	/* codes in messages */
	{" deny message = 599 1.2.3 foo", "fail 599 1.2.3 foo|599 1.2.3 foo|-"},
	{" deny message = 450 x", "fail 550 x|550 x|configured error code starts with incorrect digit (expected 5) in \"450 x\""},
	{" defer message = 550 foo", "defer 451 foo|451 foo|configured error code starts with incorrect digit (expected 4) in \"550 foo\""},
	{" accept message = 599 foo", "ok 250 foo|250 foo|configured error code starts with incorrect digit (expected 2) in \"599 foo\""},
	/* expansion trouble */
	{" deny message = ${foo}", "fail -|-|failed to expand ACL message \"${foo}\": unknown variable in \"${foo}\""},
	{" accept set acl_m1 = ${foo}", "error -|failed to expand ACL string \"${foo}\": unknown variable in \"${foo}\"|-"},
	{" accept condition = ${if eq{a}{b}{1}fail}", "ok -|-|-"},
	{" accept !condition = ${if eq{a}{b}{1}fail}", "ok -|-|-"},
	/* condition */
	{" accept condition = 2", "ok -|-|-"}, {" accept condition = TRUE", "ok -|-|-"}, {" accept condition = no", "fail -|-|-"},
	{" accept condition = 0", "fail -|-|-"}, {" accept condition =", "fail -|-|-"}, {" accept !condition = 0", "ok -|-|-"},
	{" deny condition = foo", "defer -|invalid \"condition\" value \"foo\"|-"},
	/* lists */
	{" accept domains = x.ex : +local", "ok -|-|-"}, {" accept domains = !+local : *", "fail -|-|-"},
	{" accept hosts = +relay", "ok -|-|-"}, {" accept hosts = !10.0.0.2 : *", "fail -|-|-"}, {" accept !hosts = 10.0.0.3", "ok -|-|-"},
	{" accept local_parts = GOOD", "ok -|-|-"}, {" accept local_parts = bad : g*", "fail -|-|-"}, {" accept local_parts = ^go", "ok -|-|-"},
	{" accept senders = +caseful : S@s.ex", "fail -|-|-"}, {" accept senders = S@s.ex", "ok -|-|-"}, {" accept senders = s@s.ex", "ok -|-|-"}, {" accept senders = :", "fail -|-|-"}, {" accept senders = *@t.ex", "fail -|-|-"},
	{" accept sender_domains = *.ex", "ok -|-|-"}, {" accept recipients = good@loc.ex", "ok -|-|-"},
	{" accept recipients = +vip", "fail -|-|-"}, {" accept authenticated = *", "fail -|-|-"}, {" accept encrypted = *", "fail -|-|-"},
	/* nested */
	{" accept acl = yes", "ok -|-|-"}, {" accept acl = no\n deny message = d", "fail d|d|-"},
	{" deny acl = yes\n  message = n", "fail n|n|-"}, {" require acl = no", "fail from no|from no|-"},
	{" require acl = dropper", "drop dropped|dropped|-"}, {" accept acl = thrower", "discard t|t|-"},
	{" deny acl = thrower", "error -|nested ACL returned \"discard\" for \"deny\" command (only allowed with \"accept\" or \"discard\")|-"},
	{" accept acl = a", "error -|ACL nested too deep: possible loop|-"},
	{" accept acl = nope", "error -|unknown ACL verb \"nope\" in \"nope\"|-"},
	{" deny acl = accept hosts = *", "fail -|-|-"},
	{" accept acl = /nonexist", "error -|failed to open ACL file \"/nonexist\": No such file or directory|-"},
	{" accept acl = $sender_address_local_part", "error -|internal configuration error|attempt to use tainted ACL text \"s\""},
	{" deny acl = args 1 \"${if eq{a}{a}{two}}\" \"3 3\"", "fail 3:1:two:3 3|3:1:two:3 3|-"},
	{" warn set acl_m0 = ${acl{args}{p}}\n deny message = [$acl_m0] $acl_narg:$acl_arg1:", "fail [1:p::] 0::|[1:p::] 0::|-"},
	{" deny message = ${if acl{{no}{1}}{yes $value}{no $value}}", "fail no from no|no from no|-"},
	{" deny message = [${acl{thrower}}]", "fail -|-|failed to expand ACL message \"[${acl{thrower}}]\": DISCARD from acl \"thrower\""},
	/* modifiers */
	{" accept delay = foo", "error -|syntax error in argument for \"delay\" modifier: \"foo\" is not a time value|-"},
	{" accept delay = 1h", "ok -|-|-"},
	{" accept logwrite = :main,reject: hello\n logwrite = :foo: bar\n logwrite = a\\nb", "ok -|-|hello|unknown log name in \":foo: bar\" in \"logwrite\" in RCPT ACL|a\\nb"},
	{" accept log_reject_target = foo", "ok -|-|unknown log name \"foo\" in \"log_reject_target\" in RCPT ACL"},
	{" accept queue = ../x", "error -|Directory separator not permitted in queue name: '../x'|-"},
	{" accept queue = $sender_address_local_part", "error -|Tainted name 's' for queue not permitted|-"},
	{" warn set acl_m_x = 3\n set acl_c1 = $acl_m_x$acl_m_x\n deny message = $acl_m_x:$acl_c1:$acl_m_y:", "fail 3:33::|3:33::|-"},
	{" accept continue = $acl_m1", "ok -|-|-"},
	{" accept udpsend = x", "error -|missing destination port in \"udpsend\" modifier|-"},
	/* controls */
	{" accept control = foo", "error -|syntax error in \"control=foo\"|-"},
	{" accept control = freeze/foo", "error -|syntax error in \"control=freeze/foo\"|-"},
	{" accept control = no_multiline_responses/foo", "error -|syntax error in \"control=no_multiline_responses/foo\"|-"},
	{" accept control = utf8_downconvert/foo", "error -|bad option value for control=utf8_downconvert|-"},
	{" accept control = no_pipelining\n control = allow_auth_unadvertised", "error -|cannot use \"control=allow_auth_unadvertised\" in RCPT ACL|-"},
	{" warn control = caseful_local_part\n deny message = $local_part", "fail Good|Good|-"},
	{" warn control = caseful_local_part\n control = caselower_local_part\n deny message = $local_part", "fail good|good|-"},
	/* verify */
	{" accept verify = foo", "error -|expected \"sender[=address]\", \"recipient\", \"helo\", \"header_syntax\", \"header_sender\", \"header_names_ascii\" or \"reverse_host_lookup\" at start of ACL condition \"verify foo\"|-"},
	{" accept verify = sender/foo", "error -|unknown option \"foo\" in ACL condition \"verify sender/foo\"|-"},
	{" accept verify = sender/callout=foo", "error -|bad time value in ACL condition \"verify sender/callout=foo\"|-"},
	{" accept verify = helo/foo", "error -|unexpected '/' found in \"helo/foo\" (this verify item has no options)|-"},
	{" deny verify = not_blind", "error -|cannot verify not_blind in ACL for RCPT|-"},
	{" accept verify = sender/callout=mailfrom=x@y", "error -|\"mailfrom\" is allowed as a callout option only for verify=header_sender (detected in ACL condition \"sender/callout=mailfrom=x@y\")|-"},
	{" accept verify=sender/callout=use_sender", "error -|use_sender or use_postmaster cannot be used for a sender verify callout|-"},
	{" deny !verify=certificate", "fail no verified certificate|no verified certificate|-"},
	{" require verify = recipient", "fail -|-|-"}, /* nothing follows require: the implicit deny */
	{" deny !verify = sender", "fail Sender verify failed|Sender verify failed|-"},
	{" deny !verify = sender\n log_message = LM", "fail Sender verify failed|LM: Sender verify failed|-"},
	{" deny message = M:$acl_verify_message\n !verify = sender", "fail M:Sender verify failed|Sender verify failed|-"},
	{" warn !verify = sender\n logwrite = V:$acl_verify_message:$sender_verify_failure\n deny message = X$acl_verify_message/$sender_verify_failure",
	    "fail X/route|X/route|V:Sender verify failed:route"},
	{" deny !verify = sender=dfr@loc.ex", "defer -|Could not complete sender verify|-"},
	{" accept verify = sender=dfr@loc.ex/defer_ok", "ok -|-|-"},
	{" deny !verify = sender=foo\n accept", "fail Sender verify failed|Sender verify failed|-"},
	{" accept verify = sender=good@loc.ex\n  message = $sender_address_data", "ok data of good|data of good|-"},
	{" accept verify = reverse_host_lookup\n  message = $sender_host_name", "ok host.ex|host.ex|-"},
	/* dnslists */
	{" deny dnslists = bl.ex\n message = $dnslist_domain/$dnslist_matched/$dnslist_value/$dnslist_text", "fail bl.ex/10.0.0.2/127.0.0.2, 127.0.0.4/listed here|bl.ex/10.0.0.2/127.0.0.2, 127.0.0.4/listed here|-"},
	{" accept dnslists = none.ex", "fail -|-|-"},
	{" accept dnslists = bl.ex=127.0.0.2", "ok -|-|-"}, {" accept dnslists = bl.ex=127.0.0.3", "fail -|-|-"},
	{" accept dnslists = bl.ex==127.0.0.2", "fail -|-|-"}, {" accept dnslists = bl.ex==127.0.0.2,127.0.0.4", "ok -|-|-"},
	{" accept dnslists = bl.ex!=127.0.0.2", "fail -|-|-"}, {" accept dnslists = bl.ex!==127.0.0.2", "ok -|-|-"},
	{" accept dnslists = bl.ex!=127.0.0.9", "ok -|-|-"}, {" accept dnslists = bl.ex&0.0.0.2", "ok -|-|-"},
	{" accept dnslists = bl.ex=&0.0.0.2", "fail -|-|-"}, {" accept dnslists = bl.ex!=&0.0.0.2", "ok -|-|-"},
	{" accept dnslists = bl.ex!&0.0.0.1", "ok -|-|-"}, {" accept dnslists = bl.ex&0.0.0.3", "fail -|-|-"},
	{" accept dnslists = bl.ex/10.0.0.9", "ok -|-|-"}, {" accept dnslists = bl.ex/<|10.0.0.8|10.0.0.9\n message = $dnslist_matched", "ok 10.0.0.9|10.0.0.9|-"},
	{" accept dnslists = rhs.ex/name.ex", "ok -|-|-"}, {" accept dnslists = rhs.ex=127.0.0.5/x.ex::name.ex", "ok -|-|-"},
	{" accept dnslists = <; bl.ex/<|2001:db8::1", "ok -|-|-"},
	{" accept dnslists = one.ex,merged.ex=127.0.0.10\n message = $dnslist_domain $dnslist_text $dnslist_value", "ok one.ex one says 127.0.0.1|one.ex one says 127.0.0.1|-"},
	{" accept dnslists = one.ex,merged.ex=127.0.0.11", "fail -|-|-"}, {" accept dnslists = none.ex,merged.ex", "fail -|-|-"},
	{" accept dnslists = lost.ex", "fail -|-|DNS list lookup for 10.0.0.2 at lost.ex returned 192.0.2.1; not in 127.0/8 and discarded"},
	{" accept dnslists = tmp.ex : bl.ex", "ok -|-|DNS list lookup defer (probably timeout) for tmp.ex: assumed not in list"},
	{" accept dnslists = +include_unknown : tmp.ex", "ok -|-|DNS list lookup defer (probably timeout) for tmp.ex: assumed in list"},
	{" accept dnslists = +defer_unknown : tmp.ex", "defer -|-|DNS list lookup defer (probably timeout) for tmp.ex: returned DEFER"},
	{" accept dnslists = +foo : bl.ex", "ok -|-|unknown item in dnslist (ignored): +foo"},
	/* ratelimit, seen */
	{" accept ratelimit = foo", "error -|error in arguments to \"ratelimit\" condition: \"foo\" is not a positive number|-"},
	{" accept ratelimit = 1", "error -|error in arguments to \"ratelimit\" condition: \"NULL\" is not a time value|-"},
	{" accept ratelimit=1/0s", "error -|error in arguments to \"ratelimit\" condition: \"0s\" is not a time value|-"},
	{" accept ratelimit = 1/1h/per_conn/per_mail", "error -|error in arguments to \"ratelimit\" condition: conflicting per_* options|-"},
	{" accept ratelimit = 1/1h/strict/leaky", "error -|error in arguments to \"ratelimit\" condition: conflicting update modes|-"},
	{" accept ratelimit=1/1h/count=-1", "error -|error in arguments to \"ratelimit\" condition: \"count=-1\" is not a positive number|-"},
	{" accept ratelimit = 0/1h/strict\n message = $sender_rate $sender_rate_limit $sender_rate_period", "ok 1.0 0 1h|1.0 0 1h|-"},
	{" accept ratelimit = 2/1h", "fail -|-|-"}, {" accept ratelimit = 0k/1h/readonly/x\n message = $sender_rate", "ok 0.0|0.0|-"},
	{" accept seen = x", "error -|failed to parse 'x'|-"}, {" accept seen = -5m/foo", "error -|unrecognised option 'foo' in '-5m/foo'|-"},
	{" accept seen = 5m", "fail -|-|-"}, {" warn seen = 5m\n accept seen = 5m", "ok -|-|-"}, {" warn seen = 5m\n accept seen = -5m", "fail -|-|-"},
};

static struct str describe(struct fixture *x, enum acl_verdict v)
{
	struct str logged = fixture_logged(x);

	return str_printf(x->a, "%s %.*s|%.*s|%.*s", verdicts[v], STR_ARG(str_is_set(x->user) ? x->user : STR("-")),
	    STR_ARG(str_is_set(x->log) ? x->log : STR("-")), STR_ARG(str_empty(logged) ? STR("-") : logged));
}

static void every_row(void)
{
	static const char others[] = "yes:\n accept\nno:\n deny message = from no\ndropper:\n drop message = dropped\n"
	    "thrower:\n discard message = t\nargs:\n accept message = $acl_narg:$acl_arg1:$acl_arg2:$acl_arg3\n";

	for (size_t i = 0; i < countof(cases_rcpt); i++) {
		struct fixture x;
		struct why why = {0};
		char acl[4096];

		snprintf(acl, sizeof acl, "a:\n%s\n%s", cases_rcpt[i].acl, others);
		if (!fixture_load(&x, "", acl, &why)) {
			check_str(str_c(why.text), cases_rcpt[i].acl);
		} else {
			const char *want = cases_rcpt[i].want;
			struct str got = describe(&x, fixture_run(&x, ACL_RCPT, "a"));

			if (!str_eqc(got, want))
				fprintf(stderr, "row %zu:\n%s\n", i, cases_rcpt[i].acl);
			check_str(got, want);
		}
		fixture_done(&x);
	}
}

static void wrong_place(void)
{
	struct fixture x;
	struct why why = {0};

	check(fixture_load(&x, "", "a:\n accept domains = x\nb:\n warn add_header = X: y\nc:\n warn delay = 1s\n", &why));
	check_int(fixture_run(&x, ACL_CONNECT, "a"), ACL_ERROR);
	check_str(x.log, "cannot test domains condition in connection ACL");
	check_int(fixture_run(&x, ACL_HELO, "b"), ACL_ERROR);
	check_str(x.log, "cannot use add_header condition in EHLO or HELO ACL");
	check_int(fixture_run(&x, ACL_NOTQUIT, "c"), ACL_ERROR);
	check_str(x.log, "cannot use delay condition in NOTQUIT ACL");
	fixture_done(&x);
}

static void details_once(void)
{
	struct fixture x;
	struct why why = {0};
	struct str client, log;

	check(fixture_load(&x, "", "a:\n deny !verify = sender\nb:\n deny !verify = sender/no_details\n", &why));
	check_int(fixture_run(&x, ACL_RCPT, "a"), ACL_FAIL);
	acl_sender_details(&x.ev, &x.f, ACL_FAIL, &client, &log);
	check_str(client, "Verification failed for <s@s.ex>\nUnrouteable address");
	check_str(log, "sender verify fail for <s@s.ex>: Unrouteable address");
	check_int(fixture_run(&x, ACL_RCPT, "a"), ACL_FAIL);
	acl_sender_details(&x.ev, &x.f, ACL_FAIL, &client, &log);
	check(!str_is_set(client) && !str_is_set(log));
	fixture_rcpt(&x, "bad@loc.ex", "good@loc.ex");
	check_int(fixture_run(&x, ACL_RCPT, "b"), ACL_FAIL);
	acl_sender_details(&x.ev, &x.f, ACL_FAIL, &client, &log);
	check(!str_is_set(client) && !str_is_set(log));
	fixture_done(&x);
}

static void recipients_verify(void)
{
	static const struct {
		const char *recipient, *acl;
		enum acl_verdict want;
		const char *user;
	} cases[] = {
		{"good@loc.ex", "v", ACL_OK, NULL}, {"bad@loc.ex", "v", ACL_FAIL, "no such"}, {"dfr@loc.ex", "v", ACL_DEFER, "wait"},
		{"nope@loc.ex", "v", ACL_FAIL, "Unrouteable address"}, {"two@loc.ex", "v", ACL_OK, NULL}, {"one@loc.ex", "v", ACL_OK, NULL},
		{"onebad@loc.ex", "v", ACL_FAIL, "no such"}, {"onebad@loc.ex", "r", ACL_OK, NULL}, {"dfr@loc.ex", "d", ACL_OK, NULL},
	};
	struct fixture x;
	struct why why = {0};

	check(fixture_load(&x, "", "v:\n require verify = recipient\n accept\nr:\n require verify = recipient/success_on_redirect\n accept\n"
	    "d:\n require verify = recipient/defer_ok\n accept\n", &why));
	for (size_t i = 0; i < countof(cases); i++) {
		fixture_rcpt(&x, "s@s.ex", cases[i].recipient);
		check_int(fixture_run(&x, ACL_RCPT, cases[i].acl), cases[i].want);
		if (cases[i].user)
			check_str(x.user, cases[i].user);
	}
	fixture_done(&x);
}

static void effects_are_left(void)
{
	struct fixture x;
	struct why why = {0};

	check(fixture_load(&x, "",
	    "a:\n accept control = freeze/no_tell\n control = freeze\n control = queue/first_pass_route\n control = fakereject/no/thanks\n"
	    "  control = submission/sender_retain/domain=d.ex/name=A/B\n queue = q1\n control = dscp/0x10\n control = no_enforce_sync\n"
	    "  control = cutthrough_delivery/defer=pass\n log_reject_target = panic\n",
	    &why));
	check_int(fixture_run(&x, ACL_RCPT, "a"), ACL_OK);
	check(x.effects.freeze && !x.effects.freeze_no_tell && x.effects.queue_only && x.effects.queue_first_pass);
	check(x.effects.fakereject && x.effects.submission && x.effects.submission_sender_retain);
	check_str(x.effects.fake_text, "no/thanks");
	check_str(x.effects.submission_domain, "d.ex");
	check_str(x.effects.submission_name, "A/B");
	check_str(x.effects.queue_name, "q1");
	check_int(x.effects.dscp, 0x40 + 1);
	check_int(x.effects.enforce_sync, -1);
	check(x.effects.cutthrough && x.effects.cutthrough_defer_pass);
	check_int(x.effects.log_reject, LOGTO_PANIC);
	acl_effects_next(&x.effects);
	check(!x.effects.freeze && !x.effects.cutthrough && !str_is_set(x.effects.queue_name));
	check_int(x.effects.enforce_sync, -1);
	fixture_done(&x);
}

static struct str headers_text(struct fixture *x)
{
	struct strbuf sb;

	sb_init(&sb, x->a, 65536);
	for (const struct header *h = x->m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD)
			sb_add(&sb, h->text);
	return sb_str(&sb);
}

static void headers_come_and_go(void)
{
	struct fixture x;
	struct why why = {0};

	check(fixture_load(&x, "",
	    "a:\n warn add_header = X-End: 1\n add_header = :after_received:X-Rec: 2\n  add_header = :at_start:X-Top: 3\n"
	    "  add_header = :at_start_rfc:X-Rfc: 4\n add_header = X-End: 1\n add_header = \\nno header\\nX-Two: a\\n b\\n\n"
	    "  remove_header = subject : ^(?i)x-kill.*gone\n accept\n",
	    &why));
	x.m->headers.tail = &x.m->headers.first;
	headers_add(&x.m->headers, x.a, STR("Received: a\n"), HDR_RECEIVED);
	headers_add(&x.m->headers, x.a, STR("Resent-To: b\n"), HDR_TO);
	headers_add(&x.m->headers, x.a, STR("Subject: s\n"), HDR_OTHER);
	headers_add(&x.m->headers, x.a, STR("X-Kill: is gone\n"), HDR_OTHER);
	headers_add(&x.m->headers, x.a, STR("X-Kill: stays\n"), HDR_OTHER);
	check_int(fixture_run(&x, ACL_RCPT, "a"), ACL_OK);
	check_str(fixture_expand(&x, "${length_8:$headers_added}"), "X-End: 1");
	acl_headers_apply(&x.ev, x.m, &x.effects);
	check_str(headers_text(&x), "X-Rfc: 4\nX-Top: 3\nReceived: a\nX-Rec: 2\nResent-To: b\nX-Kill: stays\nX-End: 1\n"
	    "X-ACL-Warn: no header\nX-Two: a\n b\n");
	check(!x.effects.headers_add && !str_is_set(x.effects.headers_remove));
	fixture_done(&x);
}

static void rates_over_time(void)
{
	struct fixture x;
	struct why why = {0};

	check(fixture_load(&x, "", "s:\n accept ratelimit = 1.9/1h/strict\n message = $sender_rate\n deny message = $sender_rate\n"
	    "u:\n accept ratelimit = 0/1h/strict/unique=$sender_address/key\n message = $sender_rate\nr:\n accept ratelimit = 0/1h/readonly\n message = $sender_rate\n", &why));
	test_clock_set(1700000000000000);
	check_int(fixture_run(&x, ACL_RCPT, "s"), ACL_FAIL);
	check_int(fixture_run(&x, ACL_RCPT, "s"), ACL_FAIL); /* the same message: not counted again */
	check_str(x.user, "1.0");
	fixture_rcpt(&x, "t@s.ex", "good@loc.ex");
	check_int(fixture_run(&x, ACL_RCPT, "s"), ACL_OK);
	check_str(x.user, "2.0");
	test_clock_set(1700000000000000 + 3600000000);
	fixture_rcpt(&x, "u@s.ex", "good@loc.ex");
	check_int(fixture_run(&x, ACL_RCPT, "r"), ACL_OK);
	check_str(x.user, "0.7"); /* 2 / e */
	fixture_rcpt(&x, "u@s.ex", "good@loc.ex");
	check_int(fixture_run(&x, ACL_RCPT, "s"), ACL_FAIL);
	check_str(x.user, "1.4"); /* 1 - 1/e + 2/e */
	for (int i = 0; i < 4; i++) {
		fixture_rcpt(&x, i % 2 ? "a@s.ex" : "b@s.ex", "good@loc.ex");
		check_int(fixture_run(&x, ACL_RCPT, "u"), ACL_OK);
	}
	check_str(x.user, "2.0");
	fixture_done(&x);
}

static void inline_and_unset(void)
{
	struct fixture x;
	struct why why = {0};

	check(fixture_load(&x, "acl_smtp_vrfy = accept\n", "a:\n accept\n", &why));
	check_int(fixture_run(&x, ACL_VRFY, "accept"), ACL_OK);
	check_int(fixture_run(&x, ACL_RCPT, "deny hosts = 10.0.0.2\n message = inline"), ACL_FAIL);
	check_str(x.user, "inline");
	check_int(fixture_run(&x, ACL_RCPT, "${if eq{a}{b}{a}fail}"), ACL_OK);
	check_int(fixture_run(&x, ACL_RCPT, "${foo}"), ACL_ERROR);
	check_int(fixture_run(&x, ACL_PREDATA, "discard"), ACL_ERROR);
	check_int(fixture_run(&x, ACL_PREDATA, "accept message = 354 go"), ACL_OK);
	check_str(x.user, "354 go");
	fixture_done(&x);
}

TEST_MAIN({"every row", every_row}, {"wrong place", wrong_place}, {"details are told once", details_once},
    {"recipients verify", recipients_verify}, {"effects are left", effects_are_left}, {"headers come and go", headers_come_and_go},
    {"rates over time", rates_over_time}, {"inline and unset", inline_and_unset})
