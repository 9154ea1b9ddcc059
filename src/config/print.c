/* SPDX-License-Identifier: Apache-2.0
 * -bP (manual 5): options, drivers, named lists, macros and the configuration as it was read. The
 * forms are those that Exim prints, byte for byte; scripts read them. */
#include "config/config_priv.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include "base/limits.h"

#include "base/banned.h"

#define HIDDEN "<value not displayable>"
#define IS_HIDDEN ((void *)2)

struct printing {
	const struct config *cfg;
	struct strbuf *out, *err;
	bool admin, names_only;
};

/* ---- values ---- */

/* Text as Exim shows it: control characters and bytes above 126 as escapes. */
static void print_text(struct strbuf *out, struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		switch (c) {
		case '\n': sb_addc(out, "\\n"); break;
		case '\r': sb_addc(out, "\\r"); break;
		case '\t': sb_addc(out, "\\t"); break;
		case '\b': sb_addc(out, "\\b"); break;
		case '\v': sb_addc(out, "\\v"); break;
		case '\f': sb_addc(out, "\\f"); break;
		default:
			if (ch_print(c))
				sb_ch(out, c);
			else
				sb_printf(out, "\\%03o", (unsigned)(unsigned char)c);
		}
	}
}

static void print_with_unit(struct strbuf *out, int64_t n, int64_t smallest)
{
	static const char units[] = " KMGT";
	size_t u = 0;
	if (smallest > 1) { /* held in kilobytes (manual 14, check_spool_space) */
		n = n < 0 ? n : (n + smallest - 1) / smallest;
		u = 1;
	}
	while (n != 0 && n % 1024 == 0 && u < 4)
		n /= 1024, u++;
	sb_printf(out, "%lld", (long long)n);
	if (n != 0 && u > 0)
		sb_ch(out, units[u]);
}

static void print_fixed(struct strbuf *out, int32_t n)
{
	if (n < 0)
		return;
	char frac[8];
	snprintf(frac, sizeof frac, "%03d", n % 1000);
	for (size_t i = 2; i > 0 && frac[i] == '0'; i--)
		frac[i] = 0;
	sb_printf(out, "%d.%s", n / 1000, frac);
}

static void print_time(struct strbuf *out, int32_t t)
{
	static const struct {
		int32_t seconds;
		char letter;
	} units[] = {{604800, 'w'}, {86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	if (t == 0)
		sb_addc(out, "0s");
	for (size_t i = 0; i < countof(units); i++) {
		if (t >= units[i].seconds)
			sb_printf(out, "%d%c", t / units[i].seconds, units[i].letter);
		t %= units[i].seconds;
	}
}

static void print_times(struct strbuf *out, const struct time_list *l)
{
	for (size_t i = 0; i < l->count; i++) {
		if (i)
			sb_ch(out, ':');
		print_time(out, l->seconds[i]);
	}
}

static void print_id(struct strbuf *out, int32_t id, bool group)
{
	enum { ROOM = 65536 };
	char *buf = arena_alloc(out->arena, ROOM);
	struct passwd pw, *user = NULL;
	struct group gr, *found = NULL;
	if (!group && getpwuid_r((uid_t)id, &pw, buf, ROOM, &user) == 0 && user)
		sb_addc(out, user->pw_name);
	else if (group && getgrgid_r((gid_t)id, &gr, buf, ROOM, &found) == 0 && found)
		sb_addc(out, found->gr_name);
	else
		sb_printf(out, "%d", id);
}

static void print_user(struct strbuf *out, const struct xuser *u, bool group)
{
	if (str_is_set(u->text.text))
		print_text(out, u->text.text);
	else if (u->set)
		print_id(out, u->id, group);
}

static void print_ids(struct strbuf *out, const struct id_list *l, bool groups)
{
	for (size_t i = 0; i < l->count; i++) {
		if (i)
			sb_ch(out, ':');
		print_id(out, l->id[i], groups);
	}
}

/* Options whose values Exim shows with K and M where they fit; the others are plain numbers. */
static bool shown_with_unit(const char *name)
{
	static const char *const names[] = {"bounce_return_size_limit", "max_output", "once_file_size", "return_size_limit"};
	for (size_t i = 0; i < countof(names); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static void print_value(struct strbuf *out, const struct opt_row *row, const char *at)
{
	const void *p = at;
	switch (row->type) {
	case OPT_INT:
		if (shown_with_unit(row->name))
			print_with_unit(out, *(const int32_t *)p, 1);
		else
			sb_printf(out, "%d", *(const int32_t *)p);
		break;
	case OPT_SIZE:
		print_with_unit(out, *(const int64_t *)p, str_iends(str_c(row->name), "_space") ? 1024 : 1);
		break;
	case OPT_OCTAL: sb_printf(out, "%#o", *(const uint32_t *)p); break;
	case OPT_FIXED: print_fixed(out, *(const int32_t *)p); break;
	case OPT_TIME: print_time(out, *(const int32_t *)p); break;
	case OPT_TIMES: print_times(out, p); break;
	case OPT_USER: print_user(out, p, false); break;
	case OPT_GROUP: print_user(out, p, true); break;
	case OPT_USERS: print_ids(out, p, false); break;
	case OPT_GROUPS: print_ids(out, p, true); break;
	case OPT_BOOL:
	case OPT_BOOL_VERIFY: break;
	case OPT_BOOLX:
	case OPT_STRING:
	case OPT_LIST:
	case OPT_DOMAINS:
	case OPT_HOSTS:
	case OPT_ADDRESSES:
	case OPT_LOCAL_PARTS:
	case OPT_HEADERS:
	case OPT_REMOVES:
	case OPT_REWRITE:
	case OPT_CONDITION:
	case OPT_MULTI: print_text(out, ((const struct xstr *)p)->text); break;
	}
}

/* Exim leaves out the space behind = where a list of ids or a fixed-point number is empty. */
static bool space_when_empty(enum opt_type t)
{
	return t != OPT_USERS && t != OPT_GROUPS && t != OPT_FIXED;
}

static bool is_bool(const struct opt_row *row, const char *at, bool *ret)
{
	if (row->type == OPT_BOOL) {
		*ret = *(const bool *)(const void *)at;
		return true;
	}
	struct str text = row->type == OPT_BOOLX ? ((const struct xstr *)(const void *)at)->text : STR_NONE;
	*ret = str_eqc(text, "true");
	return row->type == OPT_BOOLX && (*ret || text.len == 0 || str_eqc(text, "false"));
}

static void print_pair(struct printing *p, const char *name, struct str value)
{
	if (!p->names_only)
		sb_printf(p->out, "%s = ", name);
	print_text(p->out, value);
	sb_ch(p->out, '\n');
}

static void print_row(struct printing *p, const struct opt_row *row, const void *base, bool hidden)
{
	const char *at = (const char *)base + row->offset;
	bool on;
	if (row->type == OPT_BOOL_VERIFY)
		return;
	if (hidden && !p->admin) {
		if (p->names_only)
			sb_addc(p->out, HIDDEN "\n");
		else
			sb_printf(p->out, "%s = " HIDDEN "\n", row->name);
		return;
	}
	if (is_bool(row, at, &on)) {
		sb_printf(p->out, "%s%s\n", on ? "" : "no_", row->name);
		return;
	}
	struct strbuf value;
	sb_init(&value, p->out->arena, LIMIT_CONFIG_LINE * 4);
	print_value(&value, row, at);
	if (!p->names_only)
		sb_printf(p->out, "%s =%s", row->name, value.len > 0 || space_when_empty(row->type) ? " " : "");
	sb_add(p->out, sb_str(&value));
	sb_ch(p->out, '\n');
}

/* A group that is not set is the primary one of the user set by name beside it (manual 15, group). */
static bool group_by_user(const struct opt_row *rows, size_t count, const struct opt_row *row, const void *base, struct xuser *ret)
{
	struct str name = str_c(row->name);
	char user[64];
	*ret = *(const struct xuser *)(const void *)((const char *)base + row->offset);
	if (ret->set || !str_ends(name, "group") || name.len >= sizeof user)
		return false;
	snprintf(user, sizeof user, "%.*suser", (int)name.len - 5, name.p);
	const struct opt_row *by = option_find(rows, count, str_c(user));
	if (!by || by->type != OPT_USER)
		return false;
	const struct xuser *u = (const void *)((const char *)base + by->offset);
	*ret = (struct xuser){.set = true, .id = u->gid};
	return u->set && u->gid >= 0 && !str_is_set(u->text.text);
}

static void print_one(struct printing *p, const struct opt_row *rows, size_t count, const struct opt_row *row, const void *base, bool hidden)
{
	struct xuser group;
	if (row->type == OPT_GROUP && group_by_user(rows, count, row, base, &group)) {
		struct opt_row plain = *row;
		plain.offset = 0;
		print_row(p, &plain, &group, hidden);
	} else {
		print_row(p, row, base, hidden);
	}
}

/* ---- main options ---- */

/* Facts that were computed stand for options that are not set. */
static bool computed(const struct config *c, const char *name, struct str *ret)
{
	const struct main_options *m = &c->main;
	if (strcmp(name, "primary_hostname") == 0)
		*ret = c->primary_hostname;
	else if (strcmp(name, "qualify_domain") == 0)
		*ret = c->qualify_domain;
	else if (strcmp(name, "qualify_recipient") == 0)
		*ret = c->qualify_recipient;
	else if (strcmp(name, "log_file_path") == 0 && !m->log_file_path.text.len)
		*ret = c->log_file_path;
	else if (strcmp(name, "pid_file_path") == 0 && !m->pid_file_path.text.len)
		*ret = c->pid_file_path;
	else if (strcmp(name, "process_log_path") == 0 && !m->process_log_path.text.len)
		*ret = c->process_log_path;
	else
		return false;
	return true;
}

static void print_main(struct printing *p, const struct opt_row *row)
{
	const struct config *c = p->cfg;
	bool hidden = map_get(&c->main_set, str_c(row->name)) == IS_HIDDEN;
	struct str fact;
	struct xuser user = {.set = true, .id = c->exim_uid}, group = {.set = true, .id = c->exim_gid};
	struct opt_row plain = *row;
	size_t count;
	const struct opt_row *rows = config_main_rows(&count);
	plain.offset = 0;
	if ((!hidden || p->admin) && computed(c, row->name, &fact))
		print_pair(p, row->name, fact);
	else if (strcmp(row->name, "exim_user") == 0)
		print_row(p, &plain, &user, hidden);
	else if (strcmp(row->name, "exim_group") == 0)
		print_row(p, &plain, &group, hidden);
	else
		print_one(p, rows, count, row, &c->main, hidden);
}

static bool print_main_named(struct printing *p, struct str name)
{
	size_t count;
	const struct opt_row *rows = config_main_rows(&count);
	const struct opt_row *row = option_find(rows, count, main_row_synonym(name));
	if (row) {
		struct opt_row as = *row;
		as.name = str_cstr(p->out->arena, name);
		print_main(p, str_eqc(name, row->name) ? row : &as);
		return true;
	}
	sb_printf(p->err, "%.*s is not a known option\n", STR_ARG(name));
	return false;
}

static void print_all_main(struct printing *p)
{
	size_t count;
	const struct opt_row *rows = config_main_rows(&count);
	for (size_t i = 0; i < count; i++)
		if (!(rows[i].flags & OPT_REFUSED) && str_eqc(main_row_synonym(str_c(rows[i].name)), rows[i].name))
			print_main(p, &rows[i]);
}

/* ---- drivers ---- */

/* Manual 6.11: hidden in one instance, hidden in all of the same driver. */
static bool hidden_in_any(struct printing *p, enum driver_kind kind, const struct driver_instance *of, const char *name)
{
	for (const struct driver_instance *di = p->cfg->drivers[kind]; di; di = di->next)
		if (di->driver == of->driver && map_get(&di->rows_set, str_c(name)) == IS_HIDDEN)
			return true;
	return false;
}

static void print_rows(struct printing *p, enum driver_kind kind, const struct driver_instance *di, const struct opt_row *rows,
    size_t count, size_t from, size_t to, const void *base)
{
	for (size_t i = from; i < to; i++)
		if (!(rows[i].flags & OPT_REFUSED))
			print_one(p, rows, count, &rows[i], base, hidden_in_any(p, kind, di, rows[i].name));
}

static void print_instance(struct printing *p, enum driver_kind kind, const struct driver_instance *di)
{
	const struct driver_family *f = &p->cfg->schema->family[kind];
	size_t before = 0;
	while (before < f->generic_count && strcmp(f->generic[before].name, "driver") < 0)
		before++;
	bool has_row = before < f->generic_count && strcmp(f->generic[before].name, "driver") == 0;
	print_rows(p, kind, di, f->generic, f->generic_count, 0, before, di->generic);
	print_pair(p, "driver", str_c(di->driver->name));
	before += has_row ? 1 : 0;
	print_rows(p, kind, di, f->generic, f->generic_count, before, f->generic_count, di->generic);
	print_rows(p, kind, di, di->driver->options, di->driver->option_count, 0, di->driver->option_count, di->options);
}

static bool print_driver(struct printing *p, enum driver_kind kind, struct str name)
{
	const struct driver_instance *di = config_find_driver(p->cfg, kind, name);
	if (di)
		print_instance(p, kind, di);
	else
		sb_printf(p->err, "%s %.*s not found\n", driver_kind_word(kind), STR_ARG(name));
	return di != NULL;
}

static void print_drivers(struct printing *p, enum driver_kind kind, bool list)
{
	for (const struct driver_instance *di = p->cfg->drivers[kind]; di; di = di->next) {
		if (list) {
			sb_printf(p->out, "%.*s\n", STR_ARG(di->name));
			continue;
		}
		sb_printf(p->out, "\n%.*s %s:\n", STR_ARG(di->name), driver_kind_word(kind));
		print_instance(p, kind, di);
	}
}

/* "router NAME", "routers", "router_list" and so on; false if `what` is none of them. */
static bool driver_words(struct printing *p, struct str what, struct str name, bool *ret_found)
{
	*ret_found = true;
	for (unsigned k = 0; k < DRIVER_KINDS; k++) {
		struct str rest = str_from(what, strlen(driver_kind_word(k)));
		if (!str_starts(what, driver_kind_word(k)))
			continue;
		if (rest.len == 0 && str_is_set(name))
			*ret_found = print_driver(p, k, name);
		else if (str_eqc(rest, "s") || str_eqc(rest, "_list"))
			print_drivers(p, k, rest.len > 1);
		else
			return false;
		return true;
	}
	return false;
}

/* ---- named lists ---- */

static bool print_lists(struct printing *p, struct str name)
{
	static const struct {
		enum list_kind kind;
		const char *word;
	} order[] = {{LIST_ADDRESS, "addresslist"}, {LIST_DOMAIN, "domainlist"}, {LIST_HOST, "hostlist"}, {LIST_LOCAL_PART, "localpartlist"}};
	bool found = false;
	for (size_t i = 0; i < countof(order); i++) {
		const struct named_list *l = config_find_list(p->cfg, order[i].kind, name);
		if (!l)
			continue;
		found = true;
		if (!p->names_only)
			sb_printf(p->out, "%s %.*s = ", order[i].word, STR_ARG(name));
		if (l->hide) /* Exim: from admin users too */
			sb_addc(p->out, HIDDEN);
		else
			print_text(p->out, l->value.text);
		sb_ch(p->out, '\n');
	}
	if (!found)
		sb_printf(p->err, "no address, domain, host, or local part list called \"%.*s\" exists\n", STR_ARG(name));
	return found;
}

/* ---- macros ---- */

static void print_macro(struct printing *p, struct str name, struct str value, bool with_name)
{
	if (with_name)
		sb_printf(p->out, "%.*s=", STR_ARG(name));
	sb_add(p->out, value);
	sb_ch(p->out, '\n');
}

static bool print_macro_named(struct printing *p, struct str name)
{
	for (const struct config_macro *m = p->cfg->macros; m; m = m->next)
		if (str_eq(m->name, name)) {
			print_macro(p, name, m->value, !p->names_only);
			return true;
		}
	struct str value = macros_predefined(p->cfg->schema, name);
	if (str_is_set(value)) {
		print_macro(p, name, value, !p->names_only);
		return true;
	}
	sb_printf(p->err, "macro %.*s not found\n", STR_ARG(name));
	return false;
}

static void print_macros(struct printing *p, bool list)
{
	macros_print_predefined(p->cfg->schema, list, p->out);
	for (const struct config_macro *m = p->cfg->macros; m; m = m->next)
		if (list)
			sb_printf(p->out, "%.*s\n", STR_ARG(m->name));
		else
			print_macro(p, m->name, m->value, true);
}

static bool macro_words(struct printing *p, struct str what, struct str name, bool *ret_found)
{
	bool one = str_eqc(what, "macro") && str_is_set(name), list = str_eqc(what, "macro_list");
	if (!one && !list && !str_eqc(what, "macros"))
		return false;
	*ret_found = p->admin;
	if (!p->admin)
		sb_addc(p->err, "exim: permission denied\n");
	else if (one)
		*ret_found = print_macro_named(p, name);
	else
		print_macros(p, list || p->names_only);
	return true;
}

/* ---- the whole text ---- */

/* The value of a macro or behind "hide" is for admins only. */
static bool line_hides(struct str line)
{
	return str_starts(line, "hide ") || (line.len > 0 && ch_upper(line.p[0]) && str_chr(line, '=') > 0);
}

static void print_config(struct printing *p)
{
	struct str rest = p->cfg->text;
	sb_addc(p->out, "# Exim Configuration (" EXIMIUS_VERSION ")\n");
	while (rest.len > 0) {
		struct str line = str_cut(rest, '\n', &rest), text = str_ltrim(line);
		ptrdiff_t sign = str_chr(line, '=');
		if (p->admin || !line_hides(text)) {
			sb_add(p->out, line);
		} else if (sign < 0) {
			sb_addc(p->out, HIDDEN);
		} else {
			sb_add(p->out, str_sub(line, 0, (size_t)sign + 1));
			sb_addc(p->out, " " HIDDEN);
		}
		sb_ch(p->out, '\n');
	}
}

static void print_environment(struct printing *p)
{
	for (char **e = environ; e && *e; e++) {
		struct str value, name = str_cut(str_c(*e), '=', &value);
		sb_add(p->out, p->names_only ? name : str_c(*e));
		sb_ch(p->out, '\n');
	}
}

bool config_print(const struct config *cfg, struct str what, struct str name, bool admin, bool names_only, struct strbuf *out, struct strbuf *err)
{
	struct printing p = {.cfg = cfg, .out = out, .err = err, .admin = admin, .names_only = names_only};
	bool found = true;
	if (what.len == 0 || str_eqc(what, "all"))
		print_all_main(&p);
	else if (what.p[0] == '+')
		found = print_lists(&p, str_from(what, 1));
	else if (str_eqc(what, "config"))
		print_config(&p);
	else if (str_eqc(what, "config_file") || str_eqc(what, "configure_file"))
		sb_printf(out, "%.*s\n", STR_ARG(cfg->path));
	else if (str_eqc(what, "environment"))
		print_environment(&p);
	else if (str_eqc(what, "local_scan"))
		sb_addc(err, "local_scan() options are not supported\n"), found = false;
	else if (!driver_words(&p, what, name, &found) && !macro_words(&p, what, name, &found))
		found = print_main_named(&p, what);
	return found;
}
