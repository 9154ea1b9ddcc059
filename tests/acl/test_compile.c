/* SPDX-License-Identifier: Apache-2.0
 * What is no ACL, in Exim's words; learnt by running Exim 4.96 on the same lines. */
#include "fixture.h"

static const struct {
	const char *acl, *words;
} bad[] = {
	{"a:\n accept foo = bar\n", "error in ACL: unknown ACL condition/modifier in \"accept foo = bar\""},
	{"a:\n accept hosts\n", "error in ACL: \"=\" missing after ACL \"hosts\" condition"},
	{"a:\n frob\n", "error in ACL: unknown ACL verb \"frob\" in \"frob\""},
	{"a:\n accept set foo = 3\n", "error in ACL: invalid variable name after \"set\" in ACL modifier \"set foo = 3\" (must start \"acl_c\" or \"acl_m\")"},
	{"a:\n accept set acl_m-3 = 3\n", "error in ACL: invalid variable name after \"set\" in ACL modifier \"set acl_m-3 = 3\" (digit or underscore must follow acl_c or acl_m)"},
	{"a:\n accept !message = x\n", "error in ACL: ACL error: negation is not allowed with \"message\""},
	{"a:\n accept !endpass\n", "error in ACL: ACL error: negation is not allowed with \"endpass\""},
	{"a:\n deny endpass\n", "error in ACL: ACL error: \"endpass\" is not allowed with \"deny\""},
	{"a:\n hosts = 3\n", "error in ACL: unknown ACL verb \"hosts\" in \"hosts = 3\""},
	{"a:\n accept message\n", "error in ACL: \"=\" missing after ACL \"message\" modifier"},
	{"a:\n deny set acl_m1\n", "error in ACL: \"=\" missing after ACL \"set\" modifier"},
	{"a:\n accept set acl_c1_3 = 3\n accept set acl_cfoo = 3\n", "error in ACL: invalid variable name after \"set\" in ACL modifier \"set acl_cfoo = 3\" (digit or underscore must follow acl_c or acl_m)"},
	{"a:\n accept hosts : x\n", "error in ACL: \"=\" missing after ACL \"hosts\" condition"},
	{"a:\n accept   = 3\n", "error in ACL: unknown ACL condition/modifier in \"accept   = 3\""},
	{"a:\n Accept\n", "error in ACL: unknown ACL verb \"Accept\" in \"Accept\""},
	{"a:\n acc!hosts = x\n", "error in ACL: unknown ACL verb \"acc\" in \"acc!hosts = x\""},
	{"a:\n deny malware = *\n", "error in ACL: ACL condition \"malware\" is not supported yet"},
	{"a:\n accept control = debug/tag=x\n", "error in ACL: \"control=debug/tag=x\" is not supported yet"},
};

static void errors_have_exims_words(void)
{
	for (size_t i = 0; i < countof(bad); i++) {
		struct fixture x;
		struct why why = {0};

		check(!fixture_load(&x, "", bad[i].acl, &why));
		if (!strstr(why.text, bad[i].words)) {
			check_str(str_c(why.text), bad[i].words);
		}
		check(strstr(why.text, " of /etc/x.conf:\n  error in ACL: ") != NULL);
		fixture_done(&x);
	}
}

static const char *const good[] = {
	"a:\n accept endpass = 3\n", "a:\n accept endpass endpass\n", "a:\n accept ! hosts = 3\n", "a:\n accept!hosts=3\n",
	"a:\n accept\n  !acl = b\n", "a:\n", "a: accept\n", "a:\n deny set acl_m_x1 = 3\n  delay = 1s\n",
	"a:\n accept control = nosuch\n verify = nosuch\n",
};

static void these_are_acls(void)
{
	for (size_t i = 0; i < countof(good); i++) {
		struct fixture x;
		struct why why = {0};

		if (!fixture_load(&x, "", good[i], &why))
			check_str(str_c(why.text), good[i]);
		fixture_done(&x);
	}
}

TEST_MAIN({"errors have Exim's words", errors_have_exims_words}, {"these are ACLs", these_are_acls})
