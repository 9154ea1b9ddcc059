/* SPDX-License-Identifier: Apache-2.0
 * The exchanges of the authenticators, as server and as client, by scripts. */
#include "lookup/match.h"
#include "sasl/sasl.h"
#include "test.h"
#include <stdlib.h>

static const char text[] = "primary_hostname = h.ex\nbegin authenticators\n"
    "p:\n driver = plaintext\n public_name = PLAIN\n server_prompts = :\n"
    " server_condition = ${if and{{eq{$auth2}{user}}{eq{$auth3}{secret}}}}\n server_set_id = $auth2\n client_send = ^me^pa^^ss\n"
    "l:\n driver = plaintext\n public_name = LOGIN\n server_prompts = User Name : Password\n"
    " server_condition = ${if eq{$1:$auth2}{user:secret}}\n server_set_id = $auth1\n client_send = : me : <$auth1>\n"
    "t:\n driver = plaintext\n public_name = TEMP\n server_prompts = :\n server_condition = try later $auth1\n"
    "f:\n driver = plaintext\n public_name = FORCED\n server_condition = ${if eq{a}{b}{x}fail}\n"
    "b:\n driver = plaintext\n public_name = BROKEN\n server_condition = ${foo}\n"
    "x:\n driver = plaintext\n public_name = BADPROMPT\n server_prompts = ${foo}\n server_condition = 1\n"
    "c:\n driver = cram_md5\n public_name = CRAM-MD5\n server_secret = ${if eq{$auth1}{tim}{tanstaaftanstaaf}fail}\n server_set_id = $auth1\n"
    " client_name = tim\n client_secret = tanstaaftanstaaf\n"
    "e:\n driver = external\n public_name = EXTERNAL\n server_param2 = x$auth1\n server_condition = ${if eq{$auth2}{xuser}}\n server_set_id = $auth1\n"
    " client_send = ident\n"
    "h:\n driver = plaintext\n public_name = HIDDEN\n server_advertise_condition = no\n server_condition = 1\n"
    "k:\n driver = tls\n server_param1 = a\n server_param2 = b\n server_condition = ${if eq{$auth1$auth2}{ab}}\n server_set_id = cert\n";

static const struct expand_var *const var_sets[] = {sasl_vars, NULL};
static const struct expand_registry registry = {.var_sets = var_sets};
static bool (*const hooks[])(struct config *cfg, struct env *env, struct why *why) = {expand_compile_all, match_compile_all};
static struct config_schema schema = {.expand = &registry, .compile = hooks, .compile_count = countof(hooks)};

struct world {
	struct env env;
	struct config *cfg;
	struct arena *a;
	struct eval ev;
	struct peer peer;
	struct sasl_view view;
};

static bool load(struct world *w, const char *config, struct why *why)
{
	*w = (struct world){0};
	test_env(&w->env);
	w->a = arena_new("test", 1u << 24, 0, 0);
	schema.family[DRIVER_AUTHENTICATOR] = sasl_family;
	w->cfg = config_parse(&schema, &w->env, str_c(config), STR("/etc/x.conf"), NULL, why);
	if (!w->cfg)
		return false;
	eval_init(&w->ev, w->cfg, &w->env, w->a);
	eval_set_peer(&w->ev, &w->peer);
	w->ev.space[SPACE_AUTH] = &w->view;
	return true;
}

static void done(struct world *w)
{
	if (w->cfg)
		config_unref(w->cfg);
	arena_free(w->a);
	test_env_done(&w->env);
}

struct script {
	struct sasl_talk talk;
	struct arena *a;
	struct str answers;      /* parts by "|"; NULs by "^" */
	struct str heard;        /* challenges, or commands, by "|" */
	int final;
};

static struct str nuls(struct arena *a, struct str s)
{
	char *p = str_cstr(a, s);

	for (uint32_t i = 0; i < s.len; i++)
		if (p[i] == '^')
			p[i] = 0;
	return str_n(p, s.len);
}

static enum sasl_result answer(struct sasl_talk *t, struct str plain, struct str *ret)
{
	struct script *k = container_of(t, struct script, talk);

	k->heard = str_cat(k->a, k->heard, plain, STR("|"));
	if (!str_is_set(k->answers))
		return SASL_CANCELLED;
	*ret = nuls(k->a, str_cut(k->answers, '|', &k->answers));
	return SASL_OK;
}

static const struct {
	const char *mechanism, *initial, *answers;
	enum sasl_result want;
	const char *id, *heard; /* id: of success, or fail_id */
} server_cases[] = {
	{"PLAIN", "^user^secret", NULL, SASL_OK, "user", ""},
	{"plain", NULL, "^user^secret", SASL_OK, "user", "|"},
	{"PLAIN", "^user^wrong", NULL, SASL_FAIL, "user", ""},
	{"PLAIN", "", NULL, SASL_FAIL, "", ""},
	{"PLAIN", NULL, NULL, SASL_CANCELLED, NULL, "|"},
	{"LOGIN", NULL, "user|secret", SASL_OK, "user", "User Name|Password|"},
	{"LOGIN", "user", "secret", SASL_OK, "user", "Password|"},
	{"LOGIN", "user^secret", NULL, SASL_OK, "user", ""},
	{"LOGIN", NULL, "user", SASL_CANCELLED, NULL, "User Name|Password|"},
	{"TEMP", "x", NULL, SASL_DEFER, NULL, ""},
	{"FORCED", "x", NULL, SASL_FAIL, NULL, ""},
	{"BROKEN", "x", NULL, SASL_DEFER, NULL, ""},
	{"BADPROMPT", NULL, "x", SASL_DEFER, NULL, ""},
	{"CRAM-MD5", "x", NULL, SASL_UNEXPECTED, NULL, ""},
	{"CRAM-MD5", NULL, "tim 00000000000000000000000000000000", SASL_FAIL, "tim", NULL},
	{"CRAM-MD5", NULL, "joe 00000000000000000000000000000000", SASL_FAIL, "joe", NULL},
	{"CRAM-MD5", NULL, "tim", SASL_FAIL, NULL, NULL},
	{"EXTERNAL", "user", NULL, SASL_OK, "user", ""},
	{"EXTERNAL", NULL, "user", SASL_OK, "user", "|"},
	{"EXTERNAL", "other", NULL, SASL_FAIL, "other", ""},
};

static void servers(void)
{
	for (size_t i = 0; i < countof(server_cases); i++) {
		struct world w;
		struct why why = {0};
		struct str message;

		check(load(&w, text, &why));
		struct script k = {.talk.challenge = answer, .a = w.a, .answers = str_c(server_cases[i].answers), .heard = STR("")};
		const struct driver_instance *di = sasl_server_find(w.cfg, str_c(server_cases[i].mechanism));
		check(di != NULL);
		struct str initial = nuls(w.a, str_c(server_cases[i].initial));
		check_int(sasl_server_run(&w.ev, di, &k.talk, initial, server_cases[i].initial != NULL, &message), server_cases[i].want);
		bool ok = server_cases[i].want == SASL_OK;
		if (server_cases[i].id)
			check_str(ok ? w.peer.auth_id : w.view.fail_id, server_cases[i].id);
		check(ok == str_is_set(w.peer.auth_name));
		if (server_cases[i].heard)
			check_str(k.heard, server_cases[i].heard);
		if (server_cases[i].want == SASL_DEFER)
			check(str_is_set(message));
		done(&w);
	}
}

static void advertising(void)
{
	struct world w;
	struct why why = {0};

	check(load(&w, text, &why));
	check_str(sasl_advertise(&w.ev), "PLAIN LOGIN TEMP FORCED BROKEN BADPROMPT CRAM-MD5 EXTERNAL");
	check(sasl_server_find(w.cfg, STR("HIDDEN")) != NULL);
	check(sasl_server_choose(&w.ev, STR("HIDDEN")) == NULL);
	check(sasl_server_choose(&w.ev, STR("Login")) != NULL);
	check(sasl_server_find(w.cfg, STR("k")) == NULL);
	struct str message;
	check_int(sasl_server_run(&w.ev, sasl_tls_find(w.cfg), NULL, STR_NONE, false, &message), SASL_OK);
	check_str(w.peer.auth_id, "cert");
	done(&w);
}

/* The server's part: "334 text" or a code; "334!" is no base64. */
static enum sasl_result respond(struct sasl_talk *t, struct str mechanism, bool first, struct str response, struct str *ret_challenge, int *ret_final)
{
	struct script *k = container_of(t, struct script, talk);
	struct str line = str_cut(k->answers, '|', &k->answers);

	k->heard = str_cat(k->a, k->heard, first ? mechanism : STR(""), first ? STR(":") : STR(""), str_is_set(response) ? response : STR("-"), STR("|"));
	*ret_final = (int)strtol(str_cstr(k->a, line), NULL, 10);
	*ret_challenge = str_from(line, 4);
	return str_starts(line, "334!") ? SASL_BAD64 : SASL_OK;
}

static const struct {
	const char *name, *answers;
	enum sasl_result want;
	const char *heard; /* "^" is NUL */
} client_cases[] = {
	{"p", "235 ok", SASL_OK, "PLAIN:^me^pa#ss|"},
	{"p", "535 no", SASL_FAIL, "PLAIN:^me^pa#ss|"},
	{"p", "435 no", SASL_DEFER, "PLAIN:^me^pa#ss|"},
	{"p", "334 more", SASL_CANCELLED, "PLAIN:^me^pa#ss|"},
	{"l", "334 User|334 Pass|235 ok", SASL_OK, "LOGIN:-|me|<User>|"},
	{"l", "334 User|334!|235 ok", SASL_CANCELLED, "LOGIN:-|me|"},
	/* the example of RFC 2195 2 */
	{"c", "334 <1896.697170952@postoffice.reston.mci.net>|235 ok", SASL_OK, "CRAM-MD5:-|tim b913a602c7eda7a495b4e6e7334d3890|"},
	{"c", "535 no", SASL_FAIL, "CRAM-MD5:-|"},
	{"e", "235 ok", SASL_OK, "EXTERNAL:ident|"},
};

static void clients(void)
{
	for (size_t i = 0; i < countof(client_cases); i++) {
		struct world w;
		struct why why = {0};
		struct str id, message;

		check(load(&w, text, &why));
		struct script k = {.talk.respond = respond, .a = w.a, .answers = str_c(client_cases[i].answers), .heard = STR("")};
		const struct driver_instance *di = config_find_driver(w.cfg, DRIVER_AUTHENTICATOR, str_c(client_cases[i].name));
		check_int(sasl_client_run(&w.ev, di, &k.talk, &id, &message), client_cases[i].want);
		char *p = str_cstr(w.a, k.heard);
		for (uint32_t j = 0; j < k.heard.len; j++)
			p[j] = p[j] == '^' ? '#' : p[j] ? p[j] : '^';
		check_str(str_n(p, k.heard.len), client_cases[i].heard);
		done(&w);
	}
}

static void choosing(void)
{
	struct world w;
	struct why why = {0};

	check(load(&w, text, &why));
	const struct driver_instance *di = sasl_client_next(&w.ev, NULL, STR("GSSAPI CRAM-MD5 login"));
	check(di && str_eqc(di->name, "l"));
	di = sasl_client_next(&w.ev, di, STR("GSSAPI CRAM-MD5 login"));
	check(di && str_eqc(di->name, "c"));
	check(sasl_client_next(&w.ev, di, STR("GSSAPI CRAM-MD5 login")) == NULL);
	done(&w);
}

static void refused_by_name(void)
{
	static const char *const drivers[] = {"spa", "gsasl", "cyrus_sasl", "heimdal_gssapi"};

	for (size_t i = 0; i < countof(drivers); i++) {
		struct world w;
		struct why why = {0};
		char config[256];

		snprintf(config, sizeof config, "begin authenticators\na:\n driver = %s\n public_name = X\n", drivers[i]);
		check(!load(&w, config, &why));
		check(strstr(why.text, drivers[i]) && strstr(why.text, "not supported yet"));
		done(&w);
	}
}

TEST_MAIN({"servers", servers}, {"advertising", advertising}, {"clients", clients}, {"choosing", choosing},
    {"what is not served is refused by name", refused_by_name})
