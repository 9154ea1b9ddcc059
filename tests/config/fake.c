/* SPDX-License-Identifier: Apache-2.0 */
#include "fake.h"

#include "base/banned.h"

#define G(name, TYPE, def, flags) OPT_ROW(struct fake_router_generic, #name, TYPE, name, def, flags, "test")
static const struct opt_row router_generic[] = {
	G(condition, CONDITION, NULL, OPT_EXPAND | OPT_REPEAT),
	G(domains, DOMAINS, NULL, OPT_EXPAND),
	G(driver, STRING, NULL, 0),
	G(headers_add, HEADERS, NULL, OPT_EXPAND),
	G(headers_remove, REMOVES, NULL, OPT_EXPAND),
	G(more, BOOLX, "true", 0),
	G(set, MULTI, NULL, OPT_EXPAND | OPT_REPEAT),
	G(transport, STRING, NULL, OPT_EXPAND),
	G(user, USER, NULL, OPT_EXPAND),
	G(verify, BOOL_VERIFY, "true", 0),
	G(verify_recipient, BOOL, "true", 0),
	G(verify_sender, BOOL, "true", 0),
};
#undef G
static const struct opt_row accept_rows[] = {
	OPT_ROW(struct fake_accept, "data", STRING, data, NULL, OPT_EXPAND, "test"),
	OPT_ROW(struct fake_accept, "fancy", BOOL, fancy, "false", 0, "test"),
	OPT_ROW_REFUSED("future", STRING, "test"),
};

static bool accept_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	const struct fake_router_generic *g = di->generic;
	if (str_is_set(g->transport.text))
		return true;
	why_set(why, false, "%.*s router:\n  a transport is required for this router", STR_ARG(di->name));
	return false;
}

static const struct driver_info fake_router = {
	.name = "accept", .options = accept_rows, .option_count = countof(accept_rows),
	.options_size = sizeof(struct fake_accept), .check = accept_check,
};
static const struct driver_info *const routers[] = {&fake_router};

#define G(name, TYPE, def, flags) OPT_ROW(struct fake_transport_generic, #name, TYPE, name, def, flags, "test")
static const struct opt_row transport_generic[] = {
	G(body_only, BOOL, "false", 0),
	G(driver, STRING, NULL, 0),
	G(group, GROUP, NULL, OPT_EXPAND),
	G(headers_rewrite, REWRITE, NULL, 0),
	G(home_directory, STRING, NULL, OPT_EXPAND),
	G(user, USER, NULL, OPT_EXPAND),
};
#undef G
#define G(name, TYPE, def, flags) OPT_ROW(struct fake_appendfile, #name, TYPE, name, def, flags, "test")
static const struct opt_row appendfile_rows[] = {
	G(file, STRING, NULL, OPT_EXPAND),
	G(lock_interval, TIME, "3s", 0),
	G(lock_retries, INT, "10", 0),
	G(message_suffix, STRING, "\"\\n\"", OPT_EXPAND),
	G(mode, OCTAL, "0600", 0),
	G(owners, USERS, NULL, 0),
};
#undef G
static const struct driver_info fake_transport = {
	.name = "appendfile", .options = appendfile_rows, .option_count = countof(appendfile_rows),
	.options_size = sizeof(struct fake_appendfile),
};
static const struct driver_info *const transports[] = {&fake_transport};

static const struct opt_row auth_generic[] = {
	OPT_ROW(struct fake_auth_generic, "driver", STRING, driver, NULL, 0, "test"),
	OPT_ROW(struct fake_auth_generic, "public_name", STRING, public_name, NULL, 0, "test"),
};
static const struct opt_row plaintext_rows[] = {
	OPT_ROW(struct fake_plaintext, "server_prompts", STRING, server_prompts, NULL, OPT_EXPAND, "test"),
};
static const struct driver_info fake_auth = {
	.name = "plaintext", .options = plaintext_rows, .option_count = countof(plaintext_rows),
	.options_size = sizeof(struct fake_plaintext),
};
static const struct driver_info *const auths[] = {&fake_auth};

/* "${up:x}" is all that it can: x in capitals. */
static bool fake_expand(struct config *cfg, struct env *env, struct arena *a, struct str text, struct str *ret, struct why *why)
{
	if (str_starts(text, "${up:") && str_ends(text, "}")) {
		*ret = str_upper(a, str_sub(text, 5, text.len - 6));
		return true;
	}
	why_set(why, false, "unknown item");
	return false;
}

static void fake_each_macro(const struct config_schema *schema, void (*visit)(void *ctx, const char *class, const char *name), void *ctx)
{
	visit(ctx, "_EXP_ITEM_", "lookup");
	visit(ctx, "_EXP_COND_", "bool_lax");
}

static const char *const have[] = {"_HAVE_TLS", "_HAVE_TLS_ALPN", "_DKIM_SIGN_HEADERS=From:To", NULL};

const struct config_schema fake_schema = {
	.family = {
		[DRIVER_ROUTER] = {.drivers = routers, .count = 1, .generic = router_generic,
			.generic_count = countof(router_generic), .generic_size = sizeof(struct fake_router_generic)},
		[DRIVER_TRANSPORT] = {.drivers = transports, .count = 1, .generic = transport_generic,
			.generic_count = countof(transport_generic), .generic_size = sizeof(struct fake_transport_generic)},
		[DRIVER_AUTHENTICATOR] = {.drivers = auths, .count = 1, .generic = auth_generic,
			.generic_count = countof(auth_generic), .generic_size = sizeof(struct fake_auth_generic)},
	},
	.have_macros = have,
	.each_macro = fake_each_macro,
	.expand_now = fake_expand,
};
