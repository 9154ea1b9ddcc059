/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "message/encode.h"

static struct arena *a;

static void base64_goes_and_comes(void)
{
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}, {"\xff\xfe", "//4="}};
	struct str back;
	a = arena_new("t", 1 << 20, 0, 0);
	for (size_t i = 0; i < countof(pairs); i++) {
		check_str(base64_encode(a, str_c(pairs[i][0])), pairs[i][1]);
		check(base64_decode(a, str_c(pairs[i][1]), &back));
		check_str(back, pairs[i][0]);
	}
	check(base64_decode(a, STR(" Zm9v\r\nYmFy "), &back));
	check_str(back, "foobar");
	static const char *const bad[] = {"Zg", "Zg=", "Zg==x", "Z===", "====", "Zm9v=", "Zg==Zg==", "Z!9v", "Zm9vZ"};
	for (size_t i = 0; i < countof(bad); i++)
		check(!base64_decode(a, str_c(bad[i]), &back));
	char zeros[100] = {0};
	struct str lines = base64_encode_lines(a, str_n(zeros, sizeof zeros)), rest = lines;
	check_int(str_cut(rest, '\n', &rest).len, 76);
	check(str_ends(lines, "\n"));
	check(base64_decode(a, lines, &back) && back.len == 100);
	arena_free(a);
}

static void numbers_go_and_come(void)
{
	uint64_t v = 0;
	a = arena_new("t", 1 << 20, 0, 0);
	check_str(base62_encode(a, 0, 1), "0");
	check_str(base62_encode(a, 61, 6), "00000z");
	check_str(base62_encode(a, UINT64_MAX, 1), "LygHa16AHYF");
	check(base62_decode(STR("LygHa16AHYF"), &v) && v == UINT64_MAX);
	check(!base62_decode(STR("LygHa16AHYG"), &v));
	check(!base62_decode(STR(""), &v) && !base62_decode(STR("a-b"), &v));
	check_str(base32_number(a, 32), "ba");
	check(base32_number_decode(STR("ba"), &v) && v == 32);
	arena_free(a);
}

static void quoted_printable_goes_and_comes(void)
{
	unsigned bad = 0;
	a = arena_new("t", 1 << 20, 0, 0);
	check_str(qp_encode(a, STR("a=b \n\xc3\xa9\tx\t\n")), "a=3Db=20\n=C3=A9\tx=09\n");
	struct strbuf sb;
	sb_init(&sb, a, 1000);
	sb_fill(&sb, 'x', 200);
	struct str soft = qp_encode(a, sb_str(&sb)), rest = soft;
	check_int(str_cut(rest, '\n', &rest).len, 76);
	check_str(qp_decode(a, soft, &bad), sb_str(&sb).p);
	check_int(bad, 0);
	check_str(qp_decode(a, STR("a=  \nb=3Dc=zz=\r\nd="), &bad), "ab=c=zzd");
	check_int(bad, 1);
	arena_free(a);
}

static void hex_and_xtext_go_and_come(void)
{
	struct str back;
	a = arena_new("t", 1 << 20, 0, 0);
	check_str(hex_encode(a, STR("\x01\xfe")), "01fe");
	check(hex_decode(a, STR("01Fe"), &back) && str_eqc(back, "\x01\xfe"));
	check(!hex_decode(a, STR("0"), &back) && !hex_decode(a, STR("0g"), &back));
	check_str(xtext_encode(a, STR("a+b=c d")), "a+2Bb+3Dc+20d");
	check(xtext_decode(a, STR("a+2Bb+3Dc"), &back));
	check_str(back, "a+b=c");
	check(!xtext_decode(a, STR("a+2"), &back) && !xtext_decode(a, STR("a b"), &back) && !xtext_decode(a, STR("a=b"), &back));
	arena_free(a);
}

TEST_MAIN({"base64 goes and comes", base64_goes_and_comes}, {"numbers go and come", numbers_go_and_come},
    {"quoted-printable goes and comes", quoted_printable_goes_and_comes}, {"hex and xtext go and come", hex_and_xtext_go_and_come})
