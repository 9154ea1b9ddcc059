/* SPDX-License-Identifier: Apache-2.0
 * Macros (manual 6.4 to 6.9). A name is replaced wherever it stands, inside words too; the macros
 * are applied one after the other in the order of their definition, each over what the ones
 * before it left. Predefined ones come first. They are not kept as strings: a name is looked up
 * in the option and driver tables when a line has an underscore followed by a capital, so that
 * a start pays nothing for a thousand names that it does not use. */
#include "config/config_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"

#include "base/banned.h"

/* Pairs of bytes: those that occur in a line, so that a macro whose first pair does not is passed
 * over; and those that stand behind the underscore of predefined names. */
static unsigned pair_of(char a, char b)
{
	return ((unsigned)(unsigned char)a * 31u + (unsigned char)b) & 1023u;
}
static void pairs_add(struct macro_pairs *p, char a, char b)
{
	unsigned h = pair_of(a, b);
	p->bit[h / 64] |= 1ull << (h % 64);
}
static bool pairs_within(const struct macro_pairs *part, const struct macro_pairs *all)
{
	for (size_t i = 0; i < countof(part->bit); i++)
		if (part->bit[i] & ~all->bit[i])
			return false;
	return true;
}
static bool pairs_has(const struct macro_pairs *p, char a, char b)
{
	unsigned h = pair_of(a, b);
	return p->bit[h / 64] >> (h % 64) & 1;
}
static void pairs_of(struct str s, struct macro_pairs *p)
{
	memset(p, 0, sizeof *p);
	for (size_t i = 0; i + 1 < s.len; i++)
		pairs_add(p, s.p[i], s.p[i + 1]);
}

/* ---- predefined ---- */

/* Is `name` (upper case) that of a row? */
static bool row_named(const struct opt_row *rows, size_t count, struct str name)
{
	char lower[128];
	if (name.len == 0 || name.len >= sizeof lower)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		if (ch_lower(name.p[i]))
			return false;
		lower[i] = ch_tolower(name.p[i]);
	}
	const struct opt_row *row = option_find(rows, count, (struct str){.p = lower, .len = name.len});
	return row && !(row->flags & OPT_REFUSED);
}

static bool is_upper_of(struct str name, const char *lower)
{
	size_t n = strlen(lower);
	if (name.len != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if (name.p[i] != ch_toupper(lower[i]))
			return false;
	return true;
}

static bool cut_prefix(struct str *name, const char *prefix)
{
	if (!str_starts(*name, prefix))
		return false;
	*name = str_from(*name, strlen(prefix));
	return true;
}

static const struct {
	const char *drivers, *generic, *private;
} kind_prefix[DRIVER_KINDS] = {
	[DRIVER_ROUTER] = {"_DRIVER_ROUTER_", "_OPT_ROUTERS_", "_OPT_ROUTER_"},
	[DRIVER_TRANSPORT] = {"_DRIVER_TRANSPORT_", "_OPT_TRANSPORTS_", "_OPT_TRANSPORT_"},
	[DRIVER_AUTHENTICATOR] = {"_DRIVER_AUTHENTICATOR_", "_OPT_AUTHENTICATORS_", "_OPT_AUTHENTICATOR_"},
};

static bool private_option(const struct driver_family *f, struct str rest)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct driver_info *d = f->drivers[i];
		size_t n = strlen(d->name);
		if (rest.len > n + 1 && rest.p[n] == '_' && is_upper_of(str_sub(rest, 0, n), d->name) &&
		    row_named(d->options, d->option_count, str_from(rest, n + 1)))
			return true;
	}
	return false;
}

static bool of_family(const struct driver_family *f, enum driver_kind kind, struct str name)
{
	struct str rest = name;
	if (cut_prefix(&rest, kind_prefix[kind].drivers)) {
		for (size_t i = 0; i < f->count; i++)
			if (is_upper_of(rest, f->drivers[i]->name))
				return true;
		return false;
	}
	if (cut_prefix(&rest, kind_prefix[kind].generic))
		return f->count > 0 && (str_eqc(rest, "DRIVER") || row_named(f->generic, f->generic_count, rest));
	if (cut_prefix(&rest, kind_prefix[kind].private))
		return private_option(f, rest);
	return false;
}

#define LOGSEL(name, id, on) name,
static const char *const log_names[] = {
#include "config/log_selectors.def"
};
#undef LOGSEL

static bool log_named(struct str rest)
{
	for (size_t i = 0; i < countof(log_names); i++)
		if (is_upper_of(rest, log_names[i]))
			return true;
	return str_eqc(rest, "ALL");
}

struct search {
	struct str name;
	bool found;
};

static void search_visit(void *ctx, const char *class, const char *name)
{
	struct search *s = ctx;
	if (!s->found && str_starts(s->name, class))
		s->found = is_upper_of(str_from(s->name, strlen(class)), name);
}

static bool told_by_rooms(const struct config_schema *schema, struct str name)
{
	struct search s = {.name = name};
	if (schema->each_macro && str_starts(name, "_EXP_"))
		schema->each_macro(schema, search_visit, &s);
	return s.found;
}

struct str macros_predefined(const struct config_schema *schema, struct str name)
{
	struct str rest = name;
	size_t count;
	if (cut_prefix(&rest, "_LOG_"))
		return log_named(rest) ? STR("y") : STR_NONE;
	if (cut_prefix(&rest, "_OPT_MAIN_")) {
		const struct opt_row *rows = config_main_rows(&count);
		return row_named(rows, count, rest) ? STR("y") : STR_NONE;
	}
	if (!schema)
		return STR_NONE;
	for (unsigned k = 0; k < DRIVER_KINDS; k++)
		if (of_family(&schema->family[k], k, name))
			return STR("y");
	if (told_by_rooms(schema, name))
		return STR("y");
	for (const char *const *h = schema->have_macros; h && *h; h++) {
		struct str value, have = str_cut(str_c(*h), '=', &value);
		if (str_eq(have, name))
			return str_is_set(value) ? value : STR("y");
	}
	return STR_NONE;
}

/* The longest predefined name at `at`; *ret_value is its value. */
static size_t predefined_at(const struct config_schema *schema, struct str line, size_t at, struct str *ret_value)
{
	size_t end = at;
	while (end < line.len && end - at < 120 && (ch_upper(line.p[end]) || ch_digit(line.p[end]) || line.p[end] == '_'))
		end++;
	for (; end > at + 2; end--) {
		*ret_value = macros_predefined(schema, str_sub(line, at, end - at));
		if (str_is_set(*ret_value))
			return end - at;
	}
	return 0;
}

static bool may_begin_predefined(const struct macros *m, struct str line, size_t i)
{
	return line.p[i] == '_' && i + 3 < line.len && ch_upper(line.p[i + 1]) && pairs_has(&m->predefined, line.p[i + 1], line.p[i + 2]) &&
	    pairs_has(&m->predefined, line.p[i + 2], line.p[i + 3]);
}

static void learn_name(struct macros *m, const char *name)
{
	if (strlen(name) < 4)
		return;
	pairs_add(&m->predefined, name[1], name[2]);
	pairs_add(&m->predefined, name[2], name[3]);
}

static void learn_predefined(struct macros *m)
{
	static const char *const classes[] = {"_LOG_", "_OPT_", "_DRIVER_", "_EXP_"};
	for (size_t i = 0; i < countof(classes); i++)
		learn_name(m, classes[i]);
	for (const char *const *h = m->schema ? m->schema->have_macros : NULL; h && *h; h++)
		learn_name(m, *h);
}

static bool apply_predefined(struct macros *m, struct str *line, size_t from)
{
	bool any = false;
	struct strbuf sb;
	size_t done = 0;
	for (size_t i = from; i < line->len; i++) {
		struct str value;
		size_t n = may_begin_predefined(m, *line, i) ? predefined_at(m->schema, *line, i, &value) : 0;
		if (n == 0)
			continue;
		if (!any)
			sb_init(&sb, m->arena, LIMIT_CONFIG_LINE);
		any = true;
		sb_add(&sb, str_sub(*line, done, i - done));
		sb_add(&sb, value);
		done = i + n;
		i = done - 1;
	}
	if (any) {
		sb_add(&sb, str_from(*line, done));
		*line = sb_str(&sb);
	}
	return any;
}

/* ---- defined ---- */

struct macro {
	struct config_macro pub; /* first: the list that others see is one of these */
	struct macro_pairs pairs;
};

static struct config_macro *append(struct macros *m, struct str name, struct str value, bool command_line)
{
	struct macro *one = arena_new_of(m->arena, struct macro);
	struct config_macro *c = &one->pub;
	*c = (struct config_macro){.name = name, .value = value, .command_line = command_line};
	pairs_of(name, &one->pairs);
	*m->tail = c;
	m->tail = &c->next;
	m->count++;
	return c;
}

void macros_init(struct macros *m, struct arena *a, const struct config_source *src)
{
	*m = (struct macros){.arena = a, .schema = src ? src->schema : NULL, .show = src && src->show_macros};
	m->tail = &m->first;
	learn_predefined(m);
	for (const char *const *d = src ? src->defines : NULL; d && *d; d++) {
		struct str value, name = str_trim(str_cut(str_dup(a, str_c(*d)), '=', &value));
		append(m, name, str_is_set(value) ? str_ltrim(value) : STR(""), true);
	}
}

static bool replace_one(struct macros *m, const struct config_macro *c, struct str *line, size_t from)
{
	ptrdiff_t at = str_find(str_from(*line, from), c->name);
	if (at < 0 || c->name.len == 0)
		return false;
	struct strbuf sb;
	sb_init(&sb, m->arena, LIMIT_CONFIG_LINE + 1);
	size_t done = 0, pos = from;
	while (at >= 0) {
		pos += (size_t)at;
		sb_add(&sb, str_sub(*line, done, pos - done));
		sb_add(&sb, c->value);
		done = pos += c->name.len;
		at = str_find(str_from(*line, pos), c->name);
	}
	sb_add(&sb, str_from(*line, done));
	if (sb.over) /* told by the caller, which knows the line */
		sb_truncate(&sb, 0), sb.over = false, sb_fill(&sb, 'x', LIMIT_CONFIG_LINE + 1);
	*line = sb_str(&sb);
	m->produced += line->len;
	return true;
}

bool macros_apply(struct macros *m, struct str line, size_t from, struct str *ret)
{
	*ret = line;
	bool capital = false;
	for (size_t i = from; i < line.len && !capital; i++)
		capital = ch_upper(line.p[i]);
	if (!capital)
		return false;
	bool any = apply_predefined(m, ret, from);
	struct macro_pairs pairs;
	pairs_of(*ret, &pairs);
	for (const struct config_macro *c = m->first; c; c = c->next) {
		if (!pairs_within(&((const struct macro *)c)->pairs, &pairs) || !replace_one(m, c, ret, from))
			continue;
		any = true;
		if (m->show)
			printf("macro '%.*s' -> '%.*s'\n", STR_ARG(c->name), STR_ARG(c->value));
		if (ret->len > LIMIT_CONFIG_LINE)
			break;
		pairs_of(*ret, &pairs);
	}
	return any;
}

/* A macro whose name is part of `name`, or unset. */
static struct str part_of(struct macros *m, struct str name)
{
	struct str value;
	for (size_t i = 0; i < name.len; i++) {
		size_t n = may_begin_predefined(m, name, i) ? predefined_at(m->schema, name, i, &value) : 0;
		if (n)
			return str_sub(name, i, n);
	}
	for (const struct config_macro *c = m->first; c; c = c->next)
		if (str_find(name, c->name) >= 0)
			return c->name;
	return STR_NONE;
}

static struct config_macro *find(struct macros *m, struct str name)
{
	for (struct config_macro *c = m->first; c; c = c->next)
		if (str_eq(c->name, name))
			return c;
	return NULL;
}

bool macros_define(struct macros *m, struct str line, bool *ret_located, struct why *why)
{
	size_t i = 0;
	while (i < line.len && (ch_alnum(line.p[i]) || line.p[i] == '_'))
		i++;
	struct str name = str_sub(line, 0, i), value = str_ltrim(str_from(line, i));
	if (value.len == 0 || value.p[0] != '=') {
		*ret_located = true;
		why_set(why, false, "malformed macro definition");
		return false;
	}
	value = str_from(value, 1);
	bool again = value.len > 0 && value.p[0] == '=';
	value = str_trim(again ? str_from(value, 1) : value);
	struct config_macro *old = find(m, name);
	if (old && old->command_line)
		return true; /* manual 6.7: -D overrides all in the file */
	*ret_located = false;
	if (again && !old) {
		why_set(why, false, "can't redefine an undefined macro \"%.*s\"", STR_ARG(name));
		return false;
	}
	if (!again && old) {
		why_set(why, false, "macro \"%.*s\" is already defined (use \"==\" if you want to redefine it)", STR_ARG(name));
		return false;
	}
	struct str part = old ? STR_NONE : part_of(m, name);
	if (str_is_set(part)) {
		why_set(why, false, "\"%.*s\" cannot be defined as a macro because previously defined macro \"%.*s\" is a substring",
		    STR_ARG(name), STR_ARG(part));
		return false;
	}
	if (old)
		old->value = str_dup(m->arena, value);
	else
		append(m, str_dup(m->arena, name), str_dup(m->arena, value), false);
	return true;
}

/* ---- -bP macros ---- */

static void print_name(struct strbuf *out, bool names_only, const char *prefix, const char *driver, const char *name)
{
	sb_addc(out, prefix);
	for (const char *p = driver; *p; p++)
		sb_ch(out, ch_toupper(*p));
	if (*driver && *name)
		sb_ch(out, '_');
	for (const char *p = name; *p; p++)
		sb_ch(out, ch_toupper(*p));
	sb_addc(out, names_only ? "\n" : "=y\n");
}

static void print_rows(struct strbuf *out, bool names_only, const char *prefix, const char *driver,
    const struct opt_row *rows, size_t count)
{
	for (size_t i = count; i-- > 0;)
		if (!(rows[i].flags & OPT_REFUSED))
			print_name(out, names_only, prefix, driver, rows[i].name);
}

static void print_family(struct strbuf *out, bool names_only, const struct driver_family *f, enum driver_kind kind)
{
	for (size_t i = f->count; i-- > 0;) {
		const struct driver_info *d = f->drivers[i];
		print_rows(out, names_only, kind_prefix[kind].private, d->name, d->options, d->option_count);
		print_name(out, names_only, kind_prefix[kind].drivers, "", d->name);
	}
	print_rows(out, names_only, kind_prefix[kind].generic, "", f->generic, f->generic_count);
}

struct print_told {
	struct strbuf *out;
	bool names_only;
};

static void print_visit(void *ctx, const char *class, const char *name)
{
	struct print_told *p = ctx;
	print_name(p->out, p->names_only, class, "", name);
}

void macros_print_predefined(const struct config_schema *schema, bool names_only, struct strbuf *out)
{
	size_t count;
	for (size_t i = countof(log_names); i-- > 0;)
		print_name(out, names_only, "_LOG_", "", log_names[i]);
	print_name(out, names_only, "_LOG_", "", "all");
	for (unsigned k = DRIVER_KINDS; schema && k-- > 0;)
		print_family(out, names_only, &schema->family[k], k);
	const struct opt_row *rows = config_main_rows(&count);
	print_rows(out, names_only, "_OPT_MAIN_", "", rows, count);
	struct print_told told = {.out = out, .names_only = names_only};
	if (schema && schema->each_macro)
		schema->each_macro(schema, print_visit, &told);
	for (const char *const *h = schema ? schema->have_macros : NULL; h && *h; h++) {
		struct str value, name = str_cut(str_c(*h), '=', &value);
		sb_add(out, name);
		if (!names_only) {
			sb_ch(out, '=');
			sb_add(out, str_is_set(value) ? value : STR("y"));
		}
		sb_ch(out, '\n');
	}
}
