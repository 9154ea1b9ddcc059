/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "message/header.h"

/* The expected texts are what Exim 4.96 printed for the same message (-bem). */
static const char mail[] =
    "From: a@b.ex\nTo: x@y.ex,\n z@w.ex  \nTo:   second@y.ex \nTo: \nX-A:  one  \nX-A: two:colon\n\tcont\n"
    "X-B: =?utf-8?q?h=C3=A9?= =?utf-8?b?w6k=?= x\nX-C: =?iso-8859-1?q?h=E9_x?=\nX-D: =?foo?q?h=E9_x?=\n"
    "X-E: =?utf-8?x?h?= =?utf-8?q?=00z?=\nX-F: =?utf-8?q?a?=\n =?utf-8?q?b?=  c\n\nbody\n";

static struct arena *a;
static struct headers h;

static void begin(void)
{
	a = arena_new("t", 16 << 20, 0, 0);
	headers_init(&h);
	struct rd r = rd_of(str_tainted(str_n(mail, sizeof mail - 1)));
	check(headers_parse(&h, a, &r));
	check_str(rd_rest(&r), "body\n");
}

static void value(const char *name, enum header_form form, const char *want)
{
	struct str got = STR_NONE;
	check(headers_get(&h, a, str_c(name), form, STR("UTF-8"), &got));
	check_str(got, want);
	check(got.taint);
}

static void values_of_one_name_are_joined_as_exim_joins_them(void)
{
	begin();
	value("to", HEADER_RAW, " x@y.ex,\n z@w.ex  \n   second@y.ex \n \n");
	value("TO", HEADER_BODY, "x@y.ex,\n z@w.ex,\nsecond@y.ex");
	value("To", HEADER_LIST, " x@y.ex,\n z@w.ex  :   second@y.ex : ");
	value("X-A", HEADER_RAW, "  one  \n two:colon\n\tcont\n");
	value("X-A", HEADER_DECODED, "one\ntwo:colon\n\tcont");
	value("X-A", HEADER_LIST, "  one  : two::colon\n\tcont");
	value("X-B", HEADER_DECODED, "h\xc3\xa9\xc3\xa9 x");
	value("X-C", HEADER_DECODED, "h\xc3\xa9 x");
	value("X-C", HEADER_BODY, "h\xe9 x");
	value("X-D", HEADER_DECODED, "h\xe9 x");
	value("X-E", HEADER_DECODED, "=?utf-8?x?h?= ?z");
	value("X-F", HEADER_DECODED, "ab  c");
	struct str none;
	check(!headers_get(&h, a, STR("None"), HEADER_RAW, STR_NONE, &none));
	arena_free(a);
}

static const char *order(void)
{
	struct strbuf sb;
	sb_init(&sb, a, 1000);
	for (struct header *p = h.first; p; p = p->next) {
		sb_add(&sb, header_name(p));
		sb_addc(&sb, p->kind == HDR_OLD ? "* " : " ");
	}
	return sb_str(&sb).p;
}

static void lines_are_added_where_asked_and_removed_by_name(void)
{
	begin();
	headers_add(&h, a, STR("Last: no newline"), HDR_OTHER);
	check(str_ends(h.tail ? container_of(h.tail, struct header, next)->text : STR_NONE, "newline\n"));
	headers_add_front(&h, a, STR("First: x\n"), HDR_OTHER);
	headers_add_at(&h, a, "X-A", false, STR("After: x\n"), HDR_OTHER);
	headers_add_at(&h, a, "X-A", true, STR("Before: x\n"), HDR_OTHER);
	headers_add_at(&h, a, "Nothing", false, STR("End: x\n"), HDR_OTHER);
	headers_add_at(&h, a, "Nothing", true, STR("Top: x\n"), HDR_OTHER);
	check_int(headers_remove(&h, STR("to"), 2), 1);
	check_int(headers_remove(&h, STR("x-*"), 0), 7);
	check_int(headers_remove(&h, STR("to"), 0), 2);
	check_str(str_c(order()), "Top First From To* To* To* Before X-A* X-A* After X-B* X-C* X-D* X-E* X-F* Last End ");
	headers_add(&h, a, STR("Very: last\n"), HDR_OTHER);
	check(str_ends(str_c(order()), "End Very "));
	arena_free(a);
}

static void kinds_are_known_by_name(void)
{
	check_int(header_kind_of(STR("FROM: x\n")), HDR_FROM);
	check_int(header_kind_of(STR("Resent-Sender: x\n")), HDR_SENDER);
	check_int(header_kind_of(STR("Message-ID : x\n")), HDR_ID);
	check_int(header_kind_of(STR("Received: x\n")), HDR_RECEIVED);
	check_int(header_kind_of(STR("Reply-To: x\n")), HDR_REPLY_TO);
	check_int(header_kind_of(STR("To-Do: x\n")), HDR_OTHER);
}

static void what_is_no_header_stops_the_parser(void)
{
	a = arena_new("t", 1 << 20, 0, 0);
	headers_init(&h);
	struct rd r = rd_of(STR("A: b\r\n c\r\nnot a header\nD: e\n"));
	check(!headers_parse(&h, a, &r));
	check_int(h.count, 1);
	check_str(h.first->text, "A: b\n c\n");
	check_str(rd_rest(&r), "not a header\nD: e\n");
	arena_free(a);
}

static void words_are_decoded_and_encoded(void)
{
	static const struct {
		const char *in, *want;
	} cases[] = {
	    {"=?utf-8?q?ok?= =?utf-8?q?a=4?=", "ok =?utf-8?q?a=4?="},
	    {"=?utf-8?q?a=4?= =?utf-8?q?ok?=", "=?utf-8?q?a=4?= ok"},
	    {"=?utf-8?b?!!!?= =?utf-8?q?ok?=", "=?utf-8?b?!!!?= ok"},
	    {"=?utf-8?q?a b?=", "=?utf-8?q?a b?="},
	    {"=?utf-8?q?ab?= \n =?utf-8?q?cd?=", "abcd"},
	    {"=?utf-8?q?ab?= x =?utf-8?q?cd?= y", "ab x cd y"},
	    {"=?utf-8?Q?ab", "=?utf-8?Q?ab"},
	    {"=?utf-8?b?YWI=?==?utf-8?b?YWI=?=", "abab"},
	    {"x =?utf-8?q?a?=y", "x ay"},
	    {"=?utf-8?q?a?=?=", "a?="},
	    {"=?utf-8?q?" "?=", ""},
	    {"=?utf-8?b?YQ?=", "=?utf-8?b?YQ?="},
	    {"=?iso-2022-jp?B?GyRCJDMbKEI=?=", "\xe3\x81\x93"},
	    /* 76 characters */
	    {"=?utf-8?q?xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx?=",
	        "=?utf-8?q?xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx?="},
	};
	a = arena_new("t", 1 << 20, 0, 0);
	const char *error = NULL;
	for (size_t i = 0; i < countof(cases); i++)
		check_str(rfc2047_decode(a, str_c(cases[i].in), STR("UTF-8"), true, &error), cases[i].want);
	check(error == NULL);
	rfc2047_decode(a, STR("=?foo?q?a=E9?="), STR("UTF-8"), true, &error);
	check_str(str_c(error), "iconv_open(\"UTF-8\", \"foo\") failed: Invalid argument (maybe unsupported conversion)");
	check_str(rfc2047_encode(a, STR("plain text"), STR("UTF-8")), "plain text");
	check_str(rfc2047_encode(a, STR("a=b"), STR("UTF-8")), "=?UTF-8?Q?a=3Db?=");
	check_str(rfc2047_encode(a, STR("h\xc3\xa9llo"), STR("UTF-8")), "=?UTF-8?Q?h=C3=A9llo?=");
	struct strbuf sb;
	sb_init(&sb, a, 1000);
	for (int i = 0; i < 40; i++)
		sb_addc(&sb, "\xe2\x82\xac ");
	struct str words = rfc2047_encode(a, sb_str(&sb), STR("UTF-8")), rest = words;
	check_str(rfc2047_decode(a, words, STR("UTF-8"), true, &error), sb_str(&sb).p);
	while (str_is_set(rest)) /* RFC 2047 2: none is longer than 75 */
		check(str_cut(rest, ' ', &rest).len <= 75);
	arena_free(a);
}

TEST_MAIN({"values of one name are joined as Exim joins them", values_of_one_name_are_joined_as_exim_joins_them},
    {"lines are added where asked and removed by name", lines_are_added_where_asked_and_removed_by_name},
    {"kinds are known by name", kinds_are_known_by_name},
    {"what is no header stops the parser", what_is_no_header_stops_the_parser},
    {"words are decoded and encoded", words_are_decoded_and_encoded})
