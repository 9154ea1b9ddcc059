/* SPDX-License-Identifier: Apache-2.0
 * The sections routers, transports and authenticators (manual 6.21): instances, each a name with
 * a colon and options below it. Which drivers and options exist is told by the schema; config/
 * names none. An instance begins as a copy of its driver's defaults, which are read once. */
#include "config/config_priv.h"

#include "base/banned.h"

static const struct {
	const char *word, *plural;
} kind_words[DRIVER_KINDS] = {
	[DRIVER_ROUTER] = {"router", "routers"},
	[DRIVER_TRANSPORT] = {"transport", "transports"},
	[DRIVER_AUTHENTICATOR] = {"authenticator", "authenticators"},
};

const char *driver_kind_word(enum driver_kind kind)
{
	return kind_words[kind].word;
}

struct section_state {
	struct reading *r;
	enum driver_kind kind;
	const struct driver_family *family;
	struct driver_instance *now, **tail;
	bool driver_hidden;
};

/* A block with the defaults of these rows, made once for each table. */
static void *from_template(struct reading *r, const struct opt_row *rows, size_t count, size_t size)
{
	struct config *cfg = r->cfg;
	struct str key = {.p = (const char *)&rows, .len = sizeof rows};
	void *block = map_get(&r->templates, key);
	if (!block) {
		struct option_context x = {.cfg = cfg, .env = r->env, .arena = cfg->arena, .why = r->why};
		block = arena_alloc(cfg->arena, size ? size : 1);
		for (size_t i = 0; i < count; i++)
			if (!(rows[i].flags & OPT_REFUSED))
				must(option_default(&x, &rows[i], block)); /* tests read every default */
		const struct opt_row **copy = arena_dup(cfg->arena, &rows, sizeof rows);
		map_put(&r->templates, (struct str){.p = (const char *)copy, .len = sizeof rows}, block);
	}
	return arena_dup(cfg->arena, block, size ? size : 1);
}

static bool end_instance(struct section_state *s)
{
	struct driver_instance *di = s->now;
	s->now = NULL;
	if (di && !di->driver) {
		s->r->lines.failed = true;
		return config_error(s->r->why, "no driver defined for %s \"%.*s\"", kind_words[s->kind].word, STR_ARG(di->name));
	}
	return true;
}

static bool new_instance(struct section_state *s, struct str name, struct str rest)
{
	struct reading *r = s->r;
	if (!end_instance(s))
		return false;
	if (rest.len > 0)
		return lines_error(&r->lines, "extra characters follow driver name %.*s", STR_ARG(name));
	unsigned index = 0;
	for (struct driver_instance *di = r->cfg->drivers[s->kind]; di; di = di->next, index++)
		if (str_eq(di->name, name)) {
			r->lines.failed = true;
			return config_error(r->why, "there are two %s called \"%.*s\"", kind_words[s->kind].plural, STR_ARG(name));
		}
	struct driver_instance *di = arena_new_of(r->cfg->arena, struct driver_instance);
	*di = (struct driver_instance){.name = str_dup(r->cfg->arena, name), .index = index, .file = r->lines.file, .line = r->lines.line};
	di->generic = from_template(r, s->family->generic, s->family->generic_count, s->family->generic_size);
	map_init(&di->rows_set, r->cfg->arena, false);
	*s->tail = di;
	s->tail = &di->next;
	s->now = di;
	return true;
}

/* ---- options of an instance ---- */

static bool set_driver(struct section_state *s, const struct opt_set *set)
{
	struct reading *r = s->r;
	struct driver_instance *di = s->now;
	struct opt_row row = {.name = "driver", .type = OPT_STRING};
	struct xstr value = {0};
	if (di->driver)
		return lines_error(&r->lines, "\"%.*s\" option set for the second time", STR_ARG(set->written));
	if (!reading_option(r, &row, set, &value, false, false))
		return false;
	for (size_t i = 0; i < s->family->count; i++)
		if (str_eqc(value.text, s->family->drivers[i]->name))
			di->driver = s->family->drivers[i];
	const char *word = kind_words[s->kind].word;
	if (!di->driver)
		return lines_error(&r->lines, "%s %.*s: cannot find %s driver \"%.*s\"", word, STR_ARG(di->name), word, STR_ARG(value.text));
	di->options = from_template(r, di->driver->options, di->driver->option_count, di->driver->options_size);
	uint8_t *bits = arena_alloc(r->cfg->arena, (s->family->generic_count + di->driver->option_count + 8) / 8);
	for (size_t i = 0; i < s->family->generic_count; i++)
		if (map_has(&di->rows_set, str_c(s->family->generic[i].name)))
			bits[i / 8] |= (uint8_t)(1u << (i % 8));
	di->was_set = bits;
	const struct opt_row *g = option_find(s->family->generic, s->family->generic_count, STR("driver"));
	if (g && g->type == OPT_STRING && !(g->flags & OPT_REFUSED))
		*(struct xstr *)(void *)((char *)di->generic + g->offset) = value;
	map_put(&di->rows_set, STR("driver"), set->hide ? (void *)2 : (void *)1);
	return true;
}

/* Manual 15, verify and fail_verify: set NAME_sender and NAME_recipient together. */
static void set_verify_pair(struct section_state *s, const struct opt_row *row)
{
	static const char *const ends[] = {"_sender", "_recipient"};
	char *base = s->now->generic;
	for (size_t i = 0; i < countof(ends); i++) {
		struct str name = str_cat(s->r->cfg->arena, str_c(row->name), str_c(ends[i]));
		const struct opt_row *to = option_find(s->family->generic, s->family->generic_count, name);
		if (to && to->type == OPT_BOOL)
			*(bool *)(void *)(base + to->offset) = *(bool *)(void *)(base + row->offset);
	}
}

static bool set_row(struct section_state *s, const struct opt_row *row, const struct opt_set *set, void *base, size_t bit)
{
	struct driver_instance *di = s->now;
	struct str key = str_c(row->name);
	bool again = map_has(&di->rows_set, key);
	if (again && !option_repeats(row))
		return lines_error(&s->r->lines, "\"%.*s\" option set for the second time", STR_ARG(set->written));
	if (!reading_option(s->r, row, set, base, false, again))
		return false;
	bool hide = set->hide || (row->flags & OPT_HIDE) || map_get(&di->rows_set, key) == (void *)2;
	map_put(&di->rows_set, key, hide ? (void *)2 : (void *)1);
	if (di->was_set)
		di->was_set[bit / 8] |= (uint8_t)(1u << (bit % 8));
	if (row->type == OPT_BOOL_VERIFY)
		set_verify_pair(s, row);
	return true;
}

static bool instance_option(struct section_state *s, struct str line)
{
	struct reading *r = s->r;
	const struct driver_family *f = s->family;
	struct driver_instance *di = s->now;
	struct opt_set set;
	if (!option_split(&r->lines, line, &set))
		return false;
	if (str_eqc(set.name, "driver"))
		return set_driver(s, &set);
	const struct opt_row *row = option_find(f->generic, f->generic_count, set.name);
	if (row)
		return set_row(s, row, &set, di->generic, (size_t)(row - f->generic));
	if (!di->driver)
		return lines_error(&r->lines, "option \"%.*s\" unknown (\"driver\" must be specified before any private options)",
		    STR_ARG(set.written));
	row = option_find(di->driver->options, di->driver->option_count, set.name);
	if (row)
		return set_row(s, row, &set, di->options, f->generic_count + (size_t)(row - di->driver->options));
	return lines_error(&r->lines, "option \"%.*s\" unknown", STR_ARG(set.written));
}

static bool section_item(struct section_state *s, struct str line)
{
	if (section_macro(SECTION_ROUTERS, line))
		return end_instance(s) && lines_macro(&s->r->lines, line);
	size_t i = 0;
	while (i < line.len && (ch_alnum(line.p[i]) || line.p[i] == '_'))
		i++;
	struct str name = str_sub(line, 0, i), rest = str_ltrim(str_from(line, i));
	bool named = i > 0 && ch_alpha(line.p[0]);
	if (named && rest.len > 0 && rest.p[0] == ':')
		return new_instance(s, name, str_ltrim(str_from(rest, 1)));
	if (!s->now)
		return lines_error(&s->r->lines, "%s name missing", kind_words[s->kind].word);
	return instance_option(s, line);
}

bool drivers_read(struct reading *r, enum driver_kind kind, struct str *ret_begin)
{
	struct section_state s = {.r = r, .kind = kind, .family = &r->cfg->schema->family[kind]};
	struct str line;
	s.tail = &r->cfg->drivers[kind];
	while (section_line(r, &line, ret_begin))
		if (!section_item(&s, line))
			return false;
	return !r->lines.failed && end_instance(&s);
}

bool drivers_check(struct reading *r, enum driver_kind kind)
{
	for (struct driver_instance *di = r->cfg->drivers[kind]; di; di = di->next) {
		struct why why = {0};
		if (!di->driver->check || di->driver->check(r->cfg, di, &why))
			continue;
		if (str_starts(str_c(why.text), "Exim configuration error"))
			*r->why = why;
		else
			config_error(r->why, "%s", why.text);
		return false;
	}
	return true;
}

struct driver_instance *config_find_driver(const struct config *c, enum driver_kind kind, struct str name)
{
	for (struct driver_instance *di = c->drivers[kind]; di; di = di->next)
		if (str_eq(di->name, name))
			return di;
	return NULL;
}

bool config_was_set(const struct driver_instance *di, const char *option)
{
	return map_has(&di->rows_set, str_c(option));
}
