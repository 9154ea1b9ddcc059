/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "message/address.h"

/* What Exim takes (the bare address) and what it says otherwise ("!" in front). */
static const struct {
	const char *text, *want;
	unsigned flags;
} cases[] = {
    {"a@b", "a@b", 0},
    {"\"a\".b@d.ex", "\"a\".b@d.ex", 0},
    {"<(x)a(c)@(d)e(f).(g)ex(c)>", "a@e.ex", 0},
    {"Fred <a@e.ex>", "a@e.ex", 0},
    {"Fred(x) <a@e.ex> (y)", "a@e.ex", 0},
    {"Fred. J. Bl <a@e.ex>", "a@e.ex", 0},
    {"a\"b\"c <a@e.ex>", "a@e.ex", 0},
    {"\\\"Fred <a@e.ex>", "a@e.ex", 0},
    {"=?utf-8?q?x?= <a@b>", "a@b", 0},
    {"a . b @ e . ex", "a.b@e.ex", 0},
    {"..@c", "..@c", 0},
    {"a\\ b@c", "a\\ b@c", 0},
    {"\" \"@c", "\" \"@c", 0},
    {"<@a,@b:b@c>", "b@c", 0},
    {"<@ a , @ b : b@c>", "b@c", 0},
    {"<a@ex->", "a@ex-", 0},
    {"\xc3\xa9@x.ex", "\xc3\xa9@x.ex", 0},
    {"a@\xc3\xa9.ex", "!domain missing or malformed", 0},
    {"a@\xc3\xa9.ex", "a@\xc3\xa9.ex", ADDR_ALLOW_UTF8},
    {"<>", "", ADDR_ALLOW_EMPTY},
    {"<>", "!missing or malformed local part", 0},
    {"fred", "fred", ADDR_ALLOW_UNQUALIFIED},
    {"fred", "!unqualified address not allowed", 0},
    {"<a@[1.2.3.4]>", "!domain literals not allowed", 0},
    {"<a@[1.2.3.4]>", "a@[1.2.3.4]", ADDR_ALLOW_LITERAL},
    {"<a@[IPv6:::1]>", "a@[IPv6:::1]", ADDR_ALLOW_LITERAL},
    {"<a@[x]>", "!malformed domain literal", ADDR_ALLOW_LITERAL},
    {"<a@b.>", "!domain missing or malformed", 0},
    {"<a@b.>", "a@b", ADDR_STRIP_DOT},
    {"<<a@b>>", "!missing or malformed local part", 0},
    {"<<a@b>>", "a@b", ADDR_STRIP_BRACKETS},
    {"<<a@b>", "!'>' missing at end of address", ADDR_STRIP_BRACKETS},
    {"<a b@c.ex>", "!\"@\" or \".\" expected after \"a\"", 0},
    {"<@x,@y a@b.ex>", "!colon expected after route list", 0},
    {"<a@b.ex", "!'>' missing at end of address", 0},
    {"a@b.ex>", "!malformed address: > may not follow a@b.ex", 0},
    {"<\"a b@b.ex>", "!unmatched doublequote in local part", 0},
    {"<@ex.ex>", "!no local part", 0},
    {"@", "!domain missing or malformed", 0},
    {"<a@ex_x.ex>", "!malformed address: _x.ex> may not follow <a@ex", 0},
    {"a@b c", "!malformed address: c may not follow a@b ", 0},
    {"Fred; <a@e.ex>", "!malformed address: ; <a@e.ex> may not follow Fred", ADDR_ALLOW_UNQUALIFIED},
    {"Fred, <a@e.ex>", "!missing or malformed local part (expected word or \"<\")", 0},
    {"a b@e.ex", "!missing or malformed local part (expected word or \"<\")", 0},
    {"a[b@c", "!missing or malformed local part (expected word or \"<\")", 0},
    {"(unterminated", "!empty address", 0},
    {";a@b", "!empty address", 0},
    {"", "!empty address", 0},
    {"<a@b(.ex>", "!'>' missing at end of address", 0},
    {"\"a\r\n b\"@c", "\"a b\"@c", 0},
    {"\"a\\\nb\"@c", "!unmatched doublequote in local part", 0},
    {"a\\\nb@c", "!missing or malformed local part (expected word or \"<\")", 0},
    {"\"x\\", "!unmatched doublequote in local part", 0},
};

static void addresses_are_taken_or_refused_in_exims_words(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	for (size_t i = 0; i < countof(cases); i++) {
		struct str got = STR_NONE;
		const char *error = NULL;
		const char *want = cases[i].want;
		bool good = addr_parse(a, str_c(cases[i].text), cases[i].flags, &got, NULL, &error);
		if (good != (*want != '!'))
			printf("case %s: %s\n", cases[i].text, good ? "taken" : error);
		check(good == (*want != '!'));
		if (*want == '!')
			check_str(str_c(error), want + 1);
		else
			check_str(got, want);
	}
	arena_free(a);
}

static void parts_of_an_address_lie_within_it(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	struct str got;
	struct addr_parts parts;
	check(addr_parse(a, str_tainted(STR("Q <\"a@b\"@C.ex>")), 0, &got, &parts, NULL));
	check_str(parts.local_part, "\"a@b\"");
	check_str(parts.domain, "C.ex");
	check(parts.domain.taint && got.taint);
	check_str(addr_split(got).domain, "C.ex");
	check(!str_is_set(addr_split(STR("\"a@b\"")).domain));
	arena_free(a);
}

static void a_list_yields_its_members_and_enters_groups(void)
{
	struct rd r = rd_of(STR("Fred <a@b>, x , \"q, r\" <z@y>,, g: a@b, c@d; , e(f,g)@g, <@r:s@t>"));
	static const char *const want[] = {"Fred <a@b>", "x", "\"q, r\" <z@y>", "a@b", "c@d", "e(f,g)@g", "<@r:s@t>"};
	struct str text;
	bool group = false;
	for (size_t i = 0; i < countof(want); i++) {
		check(addr_list_next(&r, &text, &group));
		check_str(text, want[i]);
	}
	check(!addr_list_next(&r, &text, &group));
}

static void local_parts_are_quoted_and_unquoted(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	check_str(addr_quote_local(a, STR("a b")), "\"a b\"");
	check_str(addr_quote_local(a, STR(".a")), "\".a\"");
	check_str(addr_quote_local(a, STR("a..b")), "a..b");
	check_str(addr_quote_local(a, STR("a\"b\\c")), "\"a\\\"b\\\\c\"");
	check_str(addr_quote_local(a, STR("")), "\"\"");
	check_str(addr_quote_local(a, STR("a\nb")), "\"a\\nb\"");
	check_str(addr_unquote_local(a, STR("\"a\\\"b\".c\\@d")), "a\"b.c@d");
	check_str(addr_quote_phrase(a, STR("Fred Bloggs"), STR("UTF-8")), "Fred Bloggs");
	check_str(addr_quote_phrase(a, STR("Fred. B"), STR("UTF-8")), "\"Fred. B\"");
	check_str(addr_quote_phrase(a, STR("h\xc3\xa9"), STR("UTF-8")), "=?UTF-8?Q?h=C3=A9?=");
	check(addr_domain_valid(STR("a-b.c"), false, false));
	check(!addr_domain_valid(STR("a."), false, false));
	check(!addr_domain_valid(STR("-a"), false, false));
	check(!addr_domain_valid(STR("[1.2.3.4]"), false, false));
	check(addr_domain_valid(STR("[1.2.3.4]"), true, false));
	arena_free(a);
}

TEST_MAIN({"addresses are taken or refused in Exim's words", addresses_are_taken_or_refused_in_exims_words},
    {"parts of an address lie within it", parts_of_an_address_lie_within_it},
    {"a list yields its members and enters groups", a_list_yields_its_members_and_enters_groups},
    {"local parts are quoted and unquoted", local_parts_are_quoted_and_unquoted})
