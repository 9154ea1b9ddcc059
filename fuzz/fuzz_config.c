/* SPDX-License-Identifier: Apache-2.0
 * Configuration text: whatever it says, reading ends in a snapshot or a sentence, no file is
 * opened, and what was read can be printed. The first byte chooses whether -D defines a macro. */
#include "config/config.h"

#define LIST "+a"

static const struct opt_row generic[] = {{.name = "driver", .type = OPT_STRING}, {.name = "more", .type = OPT_BOOLX, .offset = 64},
	{.name = "set", .type = OPT_MULTI, .offset = 128}, {.name = "user", .type = OPT_USER, .offset = 192}};
static const struct opt_row private[] = {{.name = "mode", .type = OPT_OCTAL}, {.name = "times", .type = OPT_TIMES, .offset = 64}};
static const struct driver_info driver = {.name = "d", .options = private, .option_count = 2, .options_size = 256};
static const struct driver_info *const drivers[] = {&driver};
#define FAMILY {.drivers = drivers, .count = 1, .generic = generic, .generic_count = 4, .generic_size = 512}
static const char *const have[] = {"_HAVE_X", "_HAVE_X_Y=z", NULL};
static const struct config_schema schema = {.family = {FAMILY, FAMILY, FAMILY}, .have_macros = have};

static void print_all(const struct config *c, struct arena *a)
{
	static const char *const words[] = {"all", "config", "macros", "routers", "transports", LIST};
	for (size_t i = 0; i < countof(words); i++) {
		struct strbuf out, err;
		sb_init(&out, a, 64u << 20);
		sb_init(&err, a, 4096);
		config_print(c, str_c(words[i]), STR_NONE, i & 1, false, &out, &err);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const defines[] = {"DD=x DD\\", "EE", NULL};
	struct why why = {0};
	struct config_source src = {.defines = size > 0 && data[0] & 1 ? defines : NULL};
	struct arena *a = arena_new("fuzz", 1u << 30, 0, 0);
	struct env env;
	env_init(&env);
	struct str text = str_n((const char *)data, size);
	if (!str_starts(text, "#e")) /* the name of this host would be asked of the system each time */
		text = str_cat(a, STR("primary_hostname = fuzz\n"), text);
	struct config *c = config_parse(&schema, &env, text, STR("/fuzz"), &src, &why);
	if (c)
		print_all(c, a);
	else
		must(why.text[0] != 0);
	config_unref(c);
	arena_free(a);
	return 0;
}
