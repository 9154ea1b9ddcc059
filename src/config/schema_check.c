/* SPDX-License-Identifier: Apache-2.0
 * What every table of options must keep to: sorted, each default readable, no name twice. Tests of
 * all rooms call it, so that reading may rely on it. */
#include "config/config_priv.h"

#include "base/limits.h"

#include "base/banned.h"

static bool rows_ok(const char *table, const struct opt_row *rows, size_t count, size_t size, struct arena *a, struct why *why)
{
	struct config *cfg = arena_new_of(a, struct config);
	struct why bad = {0};
	struct option_context x = {.cfg = cfg, .arena = a, .why = &bad};
	void *block = arena_alloc(a, size + 1);
	for (size_t i = 0; i < count; i++) {
		if (i > 0 && strcmp(rows[i - 1].name, rows[i].name) >= 0) {
			why_set(why, false, "%s: \"%s\" stands behind \"%s\"", table, rows[i].name, rows[i - 1].name);
			return false;
		}
		if (rows[i].flags & OPT_REFUSED)
			continue;
		if (rows[i].offset >= (size ? size : 1) || !option_default(&x, &rows[i], block)) {
			why_set(why, false, "%s: default of \"%s\": %s", table, rows[i].name, bad.text[0] ? bad.text : "no such field");
			return false;
		}
	}
	return true;
}

static bool family_ok(const struct driver_family *f, struct arena *a, struct why *why)
{
	if (!rows_ok("generic options", f->generic, f->generic_count, f->generic_size, a, why))
		return false;
	for (size_t i = 0; i < f->count; i++) {
		const struct driver_info *d = f->drivers[i];
		if (!rows_ok(d->name, d->options, d->option_count, d->options_size, a, why))
			return false;
		for (size_t k = 0; k < d->option_count; k++)
			if (option_find(f->generic, f->generic_count, str_c(d->options[k].name))) {
				why_set(why, false, "%s: \"%s\" is a generic option too", d->name, d->options[k].name);
				return false;
			}
	}
	return true;
}

bool config_schema_check(const struct config_schema *schema, struct why *why)
{
	struct arena *a = arena_new("schema check", LIMIT_ARENA_CONFIG, 0, 0);
	size_t count;
	const struct opt_row *rows = config_main_rows(&count);
	bool ok = rows_ok("main options", rows, count, sizeof(struct main_options), a, why);
	for (unsigned k = 0; ok && k < DRIVER_KINDS; k++)
		ok = family_ok(&schema->family[k], a, why);
	arena_free(a);
	return ok;
}
