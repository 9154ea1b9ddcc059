/* SPDX-License-Identifier: Apache-2.0
 * Real configurations through the program's own schema, drivers, expansions and ACLs included: the
 * manual's example, and Debian's generated one where its tools are installed. */
#include "test.h"

#include "daemon/schema.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/banned.h"

static struct config *load(const char *path, const char *const *defines, struct env *env, struct why *why)
{
	struct config_schema *schema = arena_new_of(env->scratch, struct config_schema);
	eximius_schema(schema);
	const char *paths[] = {path, NULL};
	struct config_source src = {.paths = paths, .defines = defines, .exim_uid = -1, .exim_gid = -1, .schema = schema};
	struct str text, name;
	why->text[0] = 0;
	if (config_gather(&src, env->scratch, &text, &name, why) != ST_OK)
		return NULL;
	return config_parse(schema, env, text, name, &src, why);
}

static bool loaded(const struct config *c, const struct why *why)
{
	check_str(str_c(why->text), "");
	check(c != NULL);
	return c != NULL;
}

static void every_table_is_in_order(void)
{
	struct config_schema schema;
	struct why why = {0};
	eximius_schema(&schema);
	check(config_schema_check(&schema, &why));
	check_str(str_c(why.text), "");
}

static void the_manuals_example_loads(void)
{
	struct env env;
	struct why why;
	test_env(&env);
	static const char *const plain[] = {NULL}, *const smarthost[] = {"ROUTER_SMARTHOST=mail.example", NULL};
	struct config *c = load("examples/exim-default.conf", plain, &env, &why);
	if (loaded(c, &why)) {
		check(config_find_driver(c, DRIVER_ROUTER, STR("dnslookup")) && !config_find_driver(c, DRIVER_ROUTER, STR("smarthost")));
		check(config_find_driver(c, DRIVER_TRANSPORT, STR("local_delivery")) && config_find_acl(c, STR("acl_check_rcpt")));
	}
	config_unref(c);
	c = load("examples/exim-default.conf", smarthost, &env, &why);
	if (loaded(c, &why))
		check(config_find_driver(c, DRIVER_ROUTER, STR("smarthost")) != NULL);
	config_unref(c);
	test_env_done(&env);
}

/* update-exim4.conf -o FILE; false where Debian's tools are not. */
static bool debian_writes(const char *file)
{
	const char *const argv[] = {"/usr/sbin/update-exim4.conf", "-o", file, NULL};
	char *args[countof(argv)];
	char *const none[] = {NULL};
	pid_t child;
	posix_spawn_file_actions_t quiet;
	int status = 1;
	if (access(argv[0], X_OK) != 0 || geteuid() != 0)
		return false;
	memcpy(args, argv, sizeof argv);
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 2, "/dev/null", O_WRONLY, 0);
	if (posix_spawn(&child, argv[0], &quiet, NULL, args, none) != 0 || waitpid(child, &status, 0) != child)
		status = 1;
	posix_spawn_file_actions_destroy(&quiet);
	return status == 0;
}

static void debians_configuration_loads(void)
{
	char file[] = "/tmp/eximius-debian-XXXXXX";
	struct env env;
	struct why why;
	static const char *const none[] = {NULL};
	int fd = mkstemp(file);
	must(fd >= 0);
	close(fd);
	test_env(&env);
	if (debian_writes(file)) {
		struct config *c = load(file, none, &env, &why);
		if (loaded(c, &why))
			check(c->drivers[DRIVER_ROUTER] && c->drivers[DRIVER_TRANSPORT] && c->acls && c->retry);
		config_unref(c);
	} else {
		printf("no exim4-config here: Debian's configuration is not tried\n");
	}
	check_int(unlink(file), 0);
	test_env_done(&env);
}

TEST_MAIN({"every table is in order", every_table_is_in_order}, {"the manual's example loads", the_manuals_example_loads},
    {"Debian's configuration loads", debians_configuration_loads})
