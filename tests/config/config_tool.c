/* SPDX-License-Identifier: Apache-2.0
 * config_tool [-n] [-u] [-t] -C FILE [WORD [NAME]]...: reads a configuration as the program does and
 * prints it as -bP does. -u: as no admin. -t: prints how long
 * reading took instead. For tests/config/compare-bP and for looking at things by hand. */
#include "test.h"
#include "daemon/schema.h"

#include "base/banned.h"

static int run(struct config *c, char **words, bool admin, bool names_only, struct arena *a)
{
	struct strbuf out, err;
	bool ok = true;
	do {
		sb_init(&out, a, 16u << 20);
		sb_init(&err, a, 65536);
		struct str what = str_c(*words), name = STR_NONE;
		static const char *const pairs[] = {"router", "transport", "authenticator", "macro"};
		for (size_t i = 0; i < countof(pairs); i++)
			if (*words && words[1] && str_eqc(what, pairs[i]))
				name = str_c(*++words);
		ok = config_print(c, what, name, admin, names_only, &out, &err);
		fwrite(out.p, 1, out.len, stdout);
		fflush(stdout);
		fwrite(err.p, 1, err.len, stderr);
	} while (*words && *++words);
	return ok ? 0 : 1;
}

static struct config *read_file(const char *file, struct env *env, struct arena *a, struct why *why)
{
	const char *const paths[] = {file, NULL};
	struct config_schema *schema = arena_new_of(a, struct config_schema);
	eximius_schema(schema);
	struct config_source src = {.paths = paths, .exim_uid = -1, .exim_gid = -1, .schema = schema};
	struct str text, path;
	if (config_gather(&src, a, &text, &path, why) != ST_OK)
		return NULL;
	return config_parse(schema, env, text, path, &src, why);
}

int main(int argc, char **argv)
{
	const char *file = NULL;
	bool admin = true, names_only = false, timed = false;
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i++) {
		names_only |= strcmp(argv[i], "-n") == 0;
		admin &= strcmp(argv[i], "-u") != 0;
		timed |= strcmp(argv[i], "-t") == 0;
		if (strcmp(argv[i], "-C") == 0 && i + 1 < argc)
			file = argv[++i];
	}
	struct env env;
	struct why why = {0};
	test_env(&env);
	struct arena *a = arena_new("tool", 256u << 20, 0, 0);
	struct timespec t0, t1;
	clock_gettime(CLOCK_MONOTONIC, &t0);
	struct config *c = file ? read_file(file, &env, a, &why) : NULL;
	clock_gettime(CLOCK_MONOTONIC, &t1);
	int rc = 1;
	if (!c)
		fprintf(stderr, "%s\n", why.text);
	else if (timed)
		rc = printf("%.3f ms\n", (double)(t1.tv_sec - t0.tv_sec) * 1e3 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e6) < 0;
	else
		rc = run(c, argv + i, admin, names_only, a);
	config_unref(c);
	arena_free(a);
	test_env_done(&env);
	return rc;
}
