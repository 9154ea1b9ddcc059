/* SPDX-License-Identifier: Apache-2.0
 * option_docs DIR: writes a page for each table of options into DIR, a heading for each row. Run by
 * tools/gen-option-docs; tools/check-options compares the result with docs/options. */
#include "daemon/schema.h"

#include <stdio.h>

#include "base/banned.h"

static const char *type_text(enum opt_type t)
{
	switch (t) {
	case OPT_BOOL:
	case OPT_BOOL_VERIFY: return "boolean";
	case OPT_BOOLX: return "boolean or expanded string";
	case OPT_INT:
	case OPT_SIZE: return "integer";
	case OPT_OCTAL: return "octal integer";
	case OPT_FIXED: return "fixed-point number";
	case OPT_TIME: return "time";
	case OPT_TIMES: return "time list";
	case OPT_STRING:
	case OPT_REWRITE:
	case OPT_CONDITION:
	case OPT_MULTI: return "string";
	case OPT_LIST:
	case OPT_HEADERS:
	case OPT_REMOVES: return "string list";
	case OPT_DOMAINS: return "domain list";
	case OPT_HOSTS: return "host list";
	case OPT_ADDRESSES: return "address list";
	case OPT_LOCAL_PARTS: return "local part list";
	case OPT_USER: return "user name or number";
	case OPT_GROUP: return "group name or number";
	case OPT_USERS: return "list of users";
	case OPT_GROUPS: return "list of groups";
	}
	return "";
}

/* These hold paths and the version of one build: the pages must not. */
static bool set_when_built(const char *name)
{
	return strcmp(name, "exim_path") == 0 || strcmp(name, "exim_version") == 0 || strcmp(name, "spool_directory") == 0;
}

static void print_row(FILE *f, const struct opt_row *row)
{
	fprintf(f, "\n### %s\n%s%s", row->name, type_text(row->type), row->flags & OPT_EXPAND ? ", expanded" : "");
	if (row->def && set_when_built(row->name))
		fputs("; default set when built", f);
	else if (row->def)
		fprintf(f, "; default `%s`", row->def);
	else if (row->flags & OPT_COMPUTED)
		fputs("; default computed", f);
	else
		fputs("; default unset", f);
	if (row->flags & OPT_OBSOLETE)
		fputs("; obsolete", f);
	fputs("\n\n", f);
	if (row->flags & OPT_REFUSED)
		fputs("**Not supported yet**: setting it is an error, unless to its default or to nothing.\n", f);
	fprintf(f, "%s.\n", row->doc);
}

static int page(const char *dir, const char *name, const char *title, const struct opt_row *rows, size_t count)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s.md", dir, name);
	FILE *f = fopen(path, "w");
	if (!f) {
		perror(path);
		return 1;
	}
	fprintf(f, "# %s\n\nMade from the table of options by `tools/gen-option-docs`; the manual says more.\n", title);
	for (size_t i = 0; i < count; i++)
		print_row(f, &rows[i]);
	return fclose(f) == 0 ? 0 : 1;
}

/* generic options of a kind, then a page for each driver */
static int family_pages(const char *dir, const char *kind, const struct driver_family *f)
{
	char name[256], title[256];
	snprintf(name, sizeof name, "%ss", kind);
	snprintf(title, sizeof title, "Generic options of %ss", kind);
	int failed = page(dir, name, title, f->generic, f->generic_count);
	for (size_t i = 0; i < f->count; i++) {
		const struct driver_info *d = f->drivers[i];
		snprintf(name, sizeof name, "%s_%s", kind, d->name);
		snprintf(title, sizeof title, "Options of the %s %s", d->name, kind);
		failed |= page(dir, name, title, d->options, d->option_count);
	}
	return failed;
}

int main(int argc, char **argv)
{
	size_t count;
	const struct opt_row *rows = config_main_rows(&count);
	if (argc != 2)
		return fputs("usage: option_docs DIR\n", stderr), 2;
	struct config_schema schema;
	eximius_schema(&schema);
	return page(argv[1], "main", "Main options", rows, count) |
	    family_pages(argv[1], "router", &schema.family[DRIVER_ROUTER]) |
	    family_pages(argv[1], "transport", &schema.family[DRIVER_TRANSPORT]) |
	    family_pages(argv[1], "authenticator", &schema.family[DRIVER_AUTHENTICATOR]);
}
