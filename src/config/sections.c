/* SPDX-License-Identifier: Apache-2.0
 * The main section, named lists and ACLs, and the sections whose lines belong to rooms above
 * (manual 6.2, 10.2, 14). What was read is kept as text for -bP config. */
#include "config/config_priv.h"

#include "base/limits.h"

#include "base/banned.h"

/* ---- for -bP config ---- */

/* White space is narrowed to one blank, but not within double quotes. */
static void show(struct reading *r, struct str line)
{
	bool quoted = false;
	sb_fill(&r->shown, ' ', r->indent);
	for (size_t i = 0; i < line.len; i++) {
		char c = line.p[i];
		quoted ^= c == '"';
		if (quoted || !ch_space(c))
			sb_ch(&r->shown, c);
		else if (!ch_space(line.p[i + 1])) /* a line never ends in a space */
			sb_ch(&r->shown, ' ');
	}
	sb_ch(&r->shown, '\n');
}

static bool is_label(struct str line)
{
	size_t i = 0;
	while (i < line.len && (ch_alnum(line.p[i]) || line.p[i] == '_'))
		i++;
	return i > 0 && str_eqc(str_ltrim(str_from(line, i)), ":");
}

static void show_begin(struct reading *r, struct str line)
{
	r->indent = 0;
	sb_ch(&r->shown, '\n');
	show(r, line);
	r->indent = 2;
}

static void show_line(struct reading *r, struct str line)
{
	bool label = r->indent > 0 && is_label(line);
	if (label) {
		sb_ch(&r->shown, '\n');
		r->indent = 2;
	}
	show(r, line);
	if (label)
		r->indent = 4;
}

bool section_line(struct reading *r, struct str *ret, struct str *ret_begin)
{
	enum section section;
	*ret_begin = STR_NONE;
	if (!lines_next(&r->lines, ret))
		return false;
	if (section_begins(*ret, &section, ret_begin)) {
		show_begin(r, *ret);
		return false;
	}
	show_line(r, *ret);
	return true;
}

/* ---- options ---- */

/* A refused option may stand there with its default, or switched off: an empty value, false. */
static bool harmless(const struct opt_row *row, const struct opt_set *set)
{
	struct str v = set->rest;
	bool def = row->def && strcmp(row->def, "true") == 0;
	if (row->type == OPT_BOOL && v.len == 0)
		return set->negated || def;
	if (set->negated || v.len == 0 || v.p[0] != '=')
		return false;
	v = str_trim(str_from(v, 1));
	if (row->type == OPT_BOOL)
		return str_ieqc(v, "false") || str_ieqc(v, "no") || (def && (v.len == 0 || str_ieqc(v, "true") || str_ieqc(v, "yes")));
	return v.len == 0 || str_eqc(v, "\"\"") || (row->def && str_eqc(v, row->def));
}

bool reading_option(struct reading *r, const struct opt_row *row, const struct opt_set *set, void *base, bool main, bool repeated)
{
	struct why why = {0};
	if (row->flags & OPT_REFUSED)
		return harmless(row, set) || lines_error(&r->lines, "option \"%s\" is not supported yet", row->name);
	struct option_context x = {.cfg = r->cfg, .env = r->env, .arena = r->cfg->arena, .file = r->lines.file,
		.line = r->lines.line, .main = main, .why = &why, .repeated = repeated};
	return option_set(&x, row, set, base) || lines_error(&r->lines, "%s", why.text);
}

/* ---- named lists (manual 10.2) ---- */

static const struct {
	const char *word, *text;
} list_words[LIST_KINDS] = {
	[LIST_DOMAIN] = {"domainlist", "domain list"},
	[LIST_HOST] = {"hostlist", "host list"},
	[LIST_ADDRESS] = {"addresslist", "address list"},
	[LIST_LOCAL_PART] = {"localpartlist", "local part list"},
};

static bool named_list(struct reading *r, enum list_kind kind, struct str rest, bool hide)
{
	struct config *cfg = r->cfg;
	size_t i = 0;
	while (i < rest.len && (ch_alnum(rest.p[i]) || rest.p[i] == '_'))
		i++;
	struct str name = str_sub(rest, 0, i), value = str_ltrim(str_from(rest, i));
	if (value.len == 0 || value.p[0] != '=')
		return lines_error(&r->lines, "missing '=' after \"%.*s\"", STR_ARG(name));
	if (name.len == 0)
		return lines_error(&r->lines, "name missing after \"%s\"", list_words[kind].word);
	if (map_has(&cfg->list_by_name[kind], name))
		return lines_error(&r->lines, "duplicate name \"%.*s\" for a named %s", STR_ARG(name), list_words[kind].text);
	struct why why = {0};
	struct option_context x = {.cfg = cfg, .arena = cfg->arena, .why = &why};
	struct named_list *l = arena_new_of(cfg->arena, struct named_list);
	*l = (struct named_list){.name = name, .hide = hide, .index = cfg->list_count[kind]++,
		.value = {.file = r->lines.file, .line = r->lines.line}};
	if (!option_string(&x, name, str_ltrim(str_from(value, 1)), &l->value.text))
		return lines_error(&r->lines, "%s", why.text);
	struct named_list **at = &cfg->lists[kind];
	while (*at)
		at = &(*at)->next;
	*at = l;
	map_put(&cfg->list_by_name[kind], name, l);
	return true;
}

/* Is it a named list? Then read it: *ret_was. */
static bool maybe_list(struct reading *r, struct str line, bool *ret_was)
{
	bool hide = str_starts(line, "hide") && line.len > 4 && ch_space(line.p[4]);
	struct str rest = hide ? str_ltrim(str_from(line, 4)) : line;
	*ret_was = false;
	for (unsigned k = 0; k < LIST_KINDS; k++) {
		size_t n = strlen(list_words[k].word);
		if (str_starts(rest, list_words[k].word) && rest.len > n && ch_space(rest.p[n])) {
			*ret_was = true;
			return named_list(r, k, str_ltrim(str_from(rest, n)), hide);
		}
	}
	return true;
}

/* ---- main section ---- */

static bool main_option(struct reading *r, struct str line)
{
	struct config *cfg = r->cfg;
	struct opt_set set;
	size_t count;
	if (!option_split(&r->lines, line, &set))
		return false;
	const struct opt_row *rows = config_main_rows(&count), *row = option_find(rows, count, main_row_synonym(set.name));
	if (!row)
		return lines_error(&r->lines, "main option \"%.*s\" unknown", STR_ARG(set.written));
	struct str key = str_c(row->name);
	if (map_has(&cfg->main_set, key) && !option_repeats(row))
		return lines_error(&r->lines, "\"%.*s\" option set for the second time", STR_ARG(set.written));
	if (!reading_option(r, row, &set, &cfg->main, true, map_has(&cfg->main_set, key)))
		return false;
	map_put(&cfg->main_set, key, set.hide || (row->flags & OPT_HIDE) ? (void *)2 : (void *)1);
	return true;
}

static bool main_read(struct reading *r, struct str *ret_begin)
{
	struct str line;
	bool was;
	while (section_line(r, &line, ret_begin)) {
		if (section_macro(SECTION_MAIN, line)) {
			if (!lines_macro(&r->lines, line))
				return false;
			continue;
		}
		if (!maybe_list(r, line, &was) || (!was && !main_option(r, line)))
			return false;
	}
	return !r->lines.failed;
}

bool main_defaults(struct reading *r)
{
	size_t count;
	const struct opt_row *rows = config_main_rows(&count);
	struct option_context x = {.cfg = r->cfg, .env = r->env, .arena = r->cfg->arena, .main = true, .why = r->why};
	for (size_t i = 0; i < count; i++) {
		struct opt_row row = rows[i];
		if (row.flags & OPT_REFUSED) /* what is not at work is unset, whatever its default */
			row.def = NULL;
		must(option_default(&x, &row, &r->cfg->main)); /* tests read every default */
	}
	return true;
}

/* ---- sections of rooms above ---- */

static struct config_line *line_kept(struct reading *r, struct str text)
{
	struct config_line *l = arena_new_of(r->cfg->arena, struct config_line);
	*l = (struct config_line){.text = text, .file = r->lines.file, .line = r->lines.line};
	return l;
}

static bool plain_read(struct reading *r, struct config_line **tail, struct str *ret_begin)
{
	struct str line;
	while (section_line(r, &line, ret_begin)) {
		*tail = line_kept(r, line);
		tail = &(*tail)->next;
	}
	return !r->lines.failed;
}

static bool acl_label(struct str line, struct str *ret_name)
{
	size_t i = 0;
	while (i < line.len && (ch_alnum(line.p[i]) || line.p[i] == '_'))
		i++;
	struct str rest = str_ltrim(str_from(line, i));
	*ret_name = str_sub(line, 0, i);
	return i > 0 && ch_alpha(line.p[0]) && rest.len > 0 && rest.p[0] == ':';
}

static struct config_acl *acl_new(struct reading *r, struct str name, struct config_acl ***tail)
{
	struct config *cfg = r->cfg;
	if (map_has(&cfg->acl_by_name, name)) {
		lines_error(&r->lines, "there are two ACLs called \"%.*s\"", STR_ARG(name));
		return NULL;
	}
	struct config_acl *acl = arena_new_of(cfg->arena, struct config_acl);
	*acl = (struct config_acl){.name = name, .file = r->lines.file, .line = r->lines.line};
	**tail = acl;
	*tail = &acl->next;
	map_put(&cfg->acl_by_name, name, acl);
	return acl;
}

static bool acls_read(struct reading *r, struct str *ret_begin)
{
	struct config_acl **tail = &r->cfg->acls, *acl = NULL;
	const struct config_line **last = NULL;
	struct config_line *kept = NULL;
	struct str line, name;
	while (section_line(r, &line, ret_begin)) {
		if (section_macro(SECTION_ACL, line)) {
			acl = NULL; /* manual 6.4: between ACLs, not within */
			if (!lines_macro(&r->lines, line))
				return false;
		} else if (acl_label(line, &name)) {
			acl = acl_new(r, name, &tail);
			if (!acl)
				return false;
			last = &acl->lines;
			kept = NULL;
		} else if (!acl) {
			return lines_error(&r->lines, "missing or malformed ACL name");
		} else {
			struct config_line *more = line_kept(r, line);
			if (kept)
				kept->next = more;
			else
				*last = more;
			kept = more;
		}
	}
	return !r->lines.failed;
}

static bool section_read(struct reading *r, enum section section, struct str *ret_begin)
{
	switch (section) {
	case SECTION_ACL: return acls_read(r, ret_begin);
	case SECTION_AUTHENTICATORS: return drivers_read(r, DRIVER_AUTHENTICATOR, ret_begin);
	case SECTION_ROUTERS: return drivers_read(r, DRIVER_ROUTER, ret_begin);
	case SECTION_TRANSPORTS: return drivers_read(r, DRIVER_TRANSPORT, ret_begin);
	case SECTION_RETRY: return plain_read(r, &r->cfg->retry, ret_begin);
	case SECTION_REWRITE: return plain_read(r, &r->cfg->rewrite, ret_begin);
	case SECTION_LOCAL_SCAN:
		return lines_error(&r->lines, "local_scan() options not supported: (LOCAL_SCAN_HAS_OPTIONS not defined in Local/Makefile)");
	case SECTION_MAIN:
	case SECTION_NONE: break;
	}
	return false;
}

bool sections_read(struct reading *r)
{
	struct str begin;
	if (!main_read(r, &begin))
		return false;
	while (str_is_set(begin)) {
		enum section section = SECTION_NONE;
		struct str name, line = str_cat(r->cfg->arena, STR("begin "), begin);
		section_begins(line, &section, &name);
		if (section == SECTION_NONE)
			return lines_error(&r->lines, "\"%.*s\" is not a known configuration section name", STR_ARG(begin));
		if (r->sections_seen & (1u << section))
			return lines_error(&r->lines, "\"%.*s\" section is repeated in the configuration file", STR_ARG(begin));
		r->sections_seen |= 1u << section;
		if (!section_read(r, section, &begin))
			return false;
	}
	return true;
}
