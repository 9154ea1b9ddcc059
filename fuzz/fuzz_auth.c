/* SPDX-License-Identifier: Apache-2.0
 * The client's side of AUTH as arbitrary bytes: the first chooses the authenticator and whether
 * there is initial data, lines after it are the decoded answers. Success must be earned. */
#include "lookup/match.h"
#include "sasl/sasl.h"

static const char text[] = "primary_hostname = h.ex\nbegin authenticators\n"
    "p:\n driver = plaintext\n public_name = PLAIN\n server_prompts = :\n"
    " server_condition = ${if and{{eq{$auth2}{user}}{eq{$auth3}{secret}}}}\n server_set_id = $auth2\n"
    "l:\n driver = plaintext\n public_name = LOGIN\n server_prompts = User : Password\n"
    " server_condition = ${if and{{eq{$auth1}{user}}{eq{$auth2}{secret}}}}\n server_set_id = $auth1\n"
    "c:\n driver = cram_md5\n public_name = CRAM-MD5\n server_secret = ${if eq{$auth1}{user}{secret}fail}\n server_set_id = $auth1\n"
    "e:\n driver = external\n public_name = EXTERNAL\n server_param2 = $auth1\n server_condition = ${if eq{$auth2}{user}}\n server_set_id = $auth1\n";

static const struct expand_var *const var_sets[] = {sasl_vars, NULL};
static const struct expand_registry registry = {.var_sets = var_sets};
static bool (*const hooks[])(struct config *cfg, struct env *env, struct why *why) = {expand_compile_all, match_compile_all};

static uint32_t fixed_random(struct env *env)
{
	(void)env;
	return 7;
}

struct talk {
	struct sasl_talk talk;
	struct str rest;
};

static enum sasl_result answer(struct sasl_talk *t, struct str plain, struct str *ret)
{
	struct talk *k = container_of(t, struct talk, talk);

	(void)plain;
	if (!str_is_set(k->rest))
		return SASL_CANCELLED;
	*ret = str_cut(k->rest, '\n', &k->rest);
	return SASL_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const mechanisms[] = {"PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL"};
	static struct config_schema schema = {.expand = &registry, .compile = hooks, .compile_count = countof(hooks)};
	static struct config *cfg;
	static struct env env;
	struct talk k = {.talk.challenge = answer};
	struct arena *a = arena_new("fuzz", 1u << 26, 0, 0);
	struct why why = {0};
	struct str message, initial = STR_NONE;
	struct peer peer = {0};
	struct eval ev;

	if (!cfg) {
		env_init(&env);
		env.random = fixed_random;
		schema.family[DRIVER_AUTHENTICATOR] = sasl_family;
		cfg = config_parse(&schema, &env, str_c(text), STR("fuzz"), NULL, &why);
		must(cfg != NULL);
	}
	eval_init(&ev, cfg, &env, a);
	eval_set_peer(&ev, &peer);
	if (size > 0) {
		k.rest = str_tainted(str_dup(a, str_n((const char *)data + 1, size - 1)));
		if (data[0] & 4)
			initial = str_cut(k.rest, '\n', &k.rest);
		const struct driver_instance *di = sasl_server_find(cfg, str_c(mechanisms[data[0] & 3]));
		enum sasl_result r = sasl_server_run(&ev, di, &k.talk, initial, str_is_set(initial), &message);
		must(r != SASL_OK || str_eqc(peer.auth_id, "user"));
		must(r == SASL_OK || !str_is_set(peer.auth_name));
	}
	arena_free(a);
	return 0;
}
