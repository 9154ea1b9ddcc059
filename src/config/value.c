/* SPDX-License-Identifier: Apache-2.0
 * One option's line taken apart, and its value read by the type of its row (manual 6.11 to 6.20).
 * Defaults are read by the same code, so a row holds no second truth. */
#include "config/config_priv.h"

#include <grp.h>
#include <pwd.h>

#include "base/limits.h"

#include "base/banned.h"

#define NAME_ARG(set) STR_ARG((set)->written)

static bool fail(struct option_context *x, const char *fmt, ...) printf_like(2, 3);
static bool fail(struct option_context *x, const char *fmt, ...)
{
	char text[WHY_SIZE];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	why_set(x->why, false, "%s", text);
	return false;
}

const struct opt_row *option_find(const struct opt_row *rows, size_t count, struct str name)
{
	size_t lo = 0, hi = count;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = str_cmp(name, str_c(rows[mid].name));
		if (c == 0)
			return &rows[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}

static struct str take_name(struct str *line)
{
	size_t i = 0;
	while (i < line->len && (ch_alnum(line->p[i]) || line->p[i] == '_'))
		i++;
	struct str name = str_sub(*line, 0, i);
	*line = str_ltrim(str_from(*line, i));
	return name;
}

bool option_split(struct lines *l, struct str line, struct opt_set *ret)
{
	*ret = (struct opt_set){.rest = line};
	if (line.len == 0 || !ch_alpha(line.p[0]))
		return lines_error(l, "option setting expected: %.*s", STR_ARG(line));
	ret->written = take_name(&ret->rest);
	if (str_eqc(ret->written, "hide")) {
		ret->hide = true;
		ret->written = take_name(&ret->rest);
	}
	ret->name = ret->written;
	if (str_starts(ret->name, "no_")) {
		ret->negated = true;
		ret->name = str_from(ret->name, 3);
	} else if (str_starts(ret->name, "not_")) {
		ret->negated = true;
		ret->name = str_from(ret->name, 4);
	}
	return true;
}

/* ---- numbers ---- */

struct number {
	int64_t value;
	struct str rest; /* what follows */
	bool any, over;
};

static int digit_of(char c)
{
	if (ch_digit(c))
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 99;
}

static struct number take_integer(struct str s, int base)
{
	struct number n = {.rest = s};
	size_t i = 0;
	bool negative = false;
	if (i < s.len && (s.p[i] == '-' || s.p[i] == '+'))
		negative = s.p[i++] == '-';
	if (base == 0) {
		base = i < s.len && s.p[i] == '0' ? 8 : 10;
		if (base == 8 && i + 2 < s.len && ch_tolower(s.p[i + 1]) == 'x' && digit_of(s.p[i + 2]) < 16)
			i += 2, base = 16;
	}
	for (; i < s.len && digit_of(s.p[i]) < base; i++) {
		n.any = true;
		if (__builtin_mul_overflow(n.value, base, &n.value) || __builtin_add_overflow(n.value, digit_of(s.p[i]), &n.value))
			n.over = true, n.value = 0;
	}
	if (negative)
		n.value = -n.value;
	if (n.any)
		n.rest = str_from(s, i);
	return n;
}

static void take_multiplier(struct number *n, bool tera)
{
	static const char letters[] = "KMGT";
	if (n->rest.len == 0)
		return;
	const char *at = memchr(letters, ch_toupper(n->rest.p[0]), tera ? 4 : 3);
	if (!at)
		return;
	for (const char *p = letters; p <= at; p++)
		if (__builtin_mul_overflow(n->value, 1024, &n->value))
			n->over = true, n->value = 0;
	n->rest = str_from(n->rest, 1);
}

static bool set_integer(struct option_context *x, const struct opt_set *set, int64_t low, int64_t high, int64_t *ret)
{
	struct number n = take_integer(set->rest, 0);
	if (!n.any)
		return fail(x, "integer expected for %.*s", NAME_ARG(set));
	take_multiplier(&n, high > INT32_MAX);
	if (n.over || n.value > high || n.value < low)
		return fail(x, "absolute value of integer \"%.*s\" is too large (overflow)", STR_ARG(set->rest));
	if (str_trim(n.rest).len > 0)
		return fail(x, "extra characters follow integer value for %.*s", NAME_ARG(set));
	*ret = n.value;
	return true;
}

static bool set_octal(struct option_context *x, const struct opt_set *set, uint32_t *ret)
{
	struct number n = take_integer(set->rest, 8);
	if (!n.any)
		return fail(x, "octal integer expected for %.*s", NAME_ARG(set));
	if (n.over || n.value < 0 || n.value > UINT32_MAX)
		return fail(x, "value of octal integer \"%.*s\" is too large (overflow)", STR_ARG(set->rest));
	if (str_trim(n.rest).len > 0)
		return fail(x, "extra characters follow octal integer value for %.*s", NAME_ARG(set));
	*ret = (uint32_t)n.value;
	return true;
}

static bool set_fixed(struct option_context *x, const struct opt_set *set, int32_t *ret)
{
	struct number n = take_integer(set->rest, 10);
	if (!n.any)
		return fail(x, "fixed-point number expected for %.*s", NAME_ARG(set));
	if (n.over || n.value < 0 || n.value > INT32_MAX / 1000 - 1)
		return fail(x, "integer \"%.*s\" is too large (overflow)", STR_ARG(set->rest));
	int64_t value = n.value * 1000;
	struct str rest = n.rest;
	if (rest.len > 0 && rest.p[0] == '.') {
		size_t i = 1;
		for (int unit = 100; i < rest.len && ch_digit(rest.p[i]); i++, unit /= 10)
			value += (rest.p[i] - '0') * unit;
		rest = str_from(rest, i);
	}
	if (str_trim(rest).len > 0)
		return fail(x, "extra characters follow fixed-point value for %.*s", NAME_ARG(set));
	*ret = (int32_t)value;
	return true;
}

/* Manual 6.16: numbers with letters, in any order; -1 if malformed. */
static int32_t time_of(struct str s)
{
	int64_t total = 0;
	if (s.len == 0)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		int64_t n = 0;
		size_t digits = i;
		for (; i < s.len && ch_digit(s.p[i]); i++)
			if ((n = n * 10 + (s.p[i] - '0')) > INT32_MAX)
				return -1;
		if (i == digits || i >= s.len)
			return -1;
		switch (s.p[i]) {
		case 'w': n *= 7; fallthrough;
		case 'd': n *= 24; fallthrough;
		case 'h': n *= 60; fallthrough;
		case 'm': n *= 60; fallthrough;
		case 's': break;
		default: return -1;
		}
		if ((total += n) > INT32_MAX)
			total = INT32_MAX;
	}
	return (int32_t)total;
}

static bool set_time(struct option_context *x, const struct opt_set *set, int32_t *ret)
{
	int32_t t = time_of(set->rest);
	if (t < 0)
		return fail(x, "invalid time value for %.*s", NAME_ARG(set));
	*ret = t;
	return true;
}

static bool set_times(struct option_context *x, const struct opt_set *set, struct time_list *ret)
{
	enum { MOST = 10 }; /* Exim: delay_warning takes ten */
	int32_t *seconds = arena_array_of(x->arena, MOST, int32_t);
	size_t count = 0;
	struct str rest = set->rest;
	while (str_is_set(rest) && rest.len > 0) {
		struct str item = str_trim(str_cut(rest, ':', &rest));
		int32_t t = time_of(item);
		if (t < 0)
			return fail(x, "invalid time value for %.*s", NAME_ARG(set));
		if (count == MOST)
			return fail(x, "too many time values for %.*s", NAME_ARG(set));
		if (count > 0 && t <= seconds[count - 1])
			return fail(x, "time values out of order for %.*s", NAME_ARG(set));
		seconds[count++] = t;
	}
	*ret = (struct time_list){.seconds = seconds, .count = count};
	return true;
}

/* ---- booleans ---- */

static bool set_bool(struct option_context *x, const struct opt_set *set, bool *ret)
{
	struct str rest = set->rest;
	if (rest.len == 0) {
		*ret = !set->negated;
		return true;
	}
	if (set->negated || rest.p[0] != '=')
		return fail(x, "extra characters follow boolean option %.*s", NAME_ARG(set));
	rest = str_ltrim(str_from(rest, 1));
	struct str word = take_name(&rest);
	if (word.len == 0 && rest.len == 0)
		*ret = true;
	else if (str_ieqc(word, "true") || str_ieqc(word, "yes"))
		*ret = true;
	else if (str_ieqc(word, "false") || str_ieqc(word, "no"))
		*ret = false;
	else
		return fail(x, "\"%.*s\" is not a valid value for the \"%.*s\" option", STR_ARG(word), NAME_ARG(set));
	if (rest.len > 0)
		return fail(x, "extra characters follow \"%.*s\" for boolean option %.*s", STR_ARG(word), NAME_ARG(set));
	return true;
}

/* A boolean that may be an expansion: kept as text. */
static bool set_boolx(struct option_context *x, const struct opt_set *set, struct xstr *ret)
{
	struct str rest = set->rest, text;
	if (!set->negated && rest.len > 0 && rest.p[0] == '=') {
		if (!option_string(x, set->written, str_ltrim(str_from(rest, 1)), &text))
			return false;
		if (text.len == 0 || str_ieqc(text, "yes") || str_ieqc(text, "true"))
			text = STR("true");
		else if (str_ieqc(text, "no") || str_ieqc(text, "false"))
			text = STR("false");
		else if (str_chr(text, '$') < 0)
			return fail(x, "\"%.*s\" is not a valid value for the \"%.*s\" option", STR_ARG(text), NAME_ARG(set));
	} else if (rest.len > 0) {
		return fail(x, "extra characters follow boolean option %.*s", NAME_ARG(set));
	} else {
		text = set->negated ? STR("false") : STR("true");
	}
	*ret = (struct xstr){.text = text, .file = x->file, .line = x->line};
	return true;
}

/* ---- strings (manual 6.17) ---- */

/* Behind a backslash: one character, or up to 3 octal or x and up to 2 hexadecimal digits. */
static char unescape(struct str s, size_t *i)
{
	char c = s.p[(*i)++];
	int value = 0;
	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'x':
		for (int n = 0; n < 2 && *i < s.len && ch_xdigit(s.p[*i]); n++)
			value = value * 16 + digit_of(s.p[(*i)++]);
		return (char)value;
	default: break;
	}
	if (c < '0' || c > '7')
		return c;
	value = c - '0';
	for (int n = 1; n < 3 && *i < s.len && s.p[*i] >= '0' && s.p[*i] <= '7'; n++)
		value = value * 8 + (s.p[(*i)++] - '0');
	return (char)value;
}

bool option_string(struct option_context *x, struct str name, struct str rest, struct str *ret)
{
	if (rest.len == 0 || rest.p[0] != '"') {
		*ret = rest.len ? rest : STR("");
		return true;
	}
	char *out = arena_alloc(x->arena, rest.len);
	size_t n = 0, i = 1;
	while (i < rest.len && rest.p[i] != '"') {
		if (rest.p[i] == '\\' && i + 1 < rest.len) {
			i++;
			out[n++] = unescape(rest, &i);
		} else {
			out[n++] = rest.p[i++];
		}
	}
	if (i >= rest.len)
		return fail(x, "missing quote at end of string value for %.*s", STR_ARG(name));
	if (str_trim(str_from(rest, i + 1)).len > 0)
		return fail(x, "extra characters follow string value for %.*s", STR_ARG(name));
	*ret = (struct str){.p = out, .len = (uint32_t)n};
	return true;
}

static void join_values(struct option_context *x, struct xstr *value, const char *between, struct str more)
{
	if (more.len == 0)
		return;
	if (value->text.len > 0 && *between && value->text.p[value->text.len - 1] == *between)
		between = "";
	value->text = value->text.len ? str_cat(x->arena, value->text, str_c(between), more) : more;
}

/* Repeated settings (manual 15, 24): each type has its own way to join. */
static void set_joined(struct option_context *x, const struct opt_row *row, struct xstr *value, struct str text)
{
	if (row->type == OPT_HEADERS) {
		join_values(x, value, "\n", text);
	} else if (row->type == OPT_REMOVES) {
		join_values(x, value, ":", text);
	} else if (row->type == OPT_CONDITION) {
		value->text = str_cat(x->arena, STR("${if and{{bool_lax{"), value->text, STR("}}{bool_lax{"), text, STR("}}}}"));
	} else {
		join_values(x, value, ";", text);
	}
}

static bool set_string(struct option_context *x, const struct opt_row *row, const struct opt_set *set, struct xstr *value)
{
	struct str text;
	if (!option_string(x, set->written, set->rest, &text))
		return false;
	if (x->repeated && str_is_set(value->text)) {
		set_joined(x, row, value, text);
		return true;
	}
	*value = (struct xstr){.text = text, .file = x->file, .line = x->line};
	return true;
}

/* ---- users and groups (manual 6.19) ---- */

static bool all_digits(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ch_digit(s.p[i]))
			return false;
	return s.len > 0;
}

static bool user_id(struct option_context *x, struct str name, int32_t *ret_uid, int32_t *ret_gid)
{
	uint64_t n;
	*ret_gid = -1;
	if (all_digits(name) && str_uint(name, INT32_MAX, &n)) {
		*ret_uid = (int32_t)n;
		return true;
	}
	struct passwd pw, *found = NULL;
	char buf[4096];
	if (name.len == 0 || getpwnam_r(str_cstr(x->arena, name), &pw, buf, sizeof buf, &found) != 0 || !found)
		return fail(x, "user %.*s was not found", STR_ARG(name));
	*ret_uid = (int32_t)found->pw_uid;
	*ret_gid = (int32_t)found->pw_gid;
	return true;
}

static bool group_id(struct option_context *x, struct str name, int32_t *ret)
{
	uint64_t n;
	if (all_digits(name) && str_uint(name, INT32_MAX, &n)) {
		*ret = (int32_t)n;
		return true;
	}
	struct group gr, *found = NULL;
	enum { ROOM = 65536 };
	char *buf = arena_alloc(x->arena, ROOM);
	if (name.len == 0 || getgrnam_r(str_cstr(x->arena, name), &gr, buf, ROOM, &found) != 0 || !found)
		return fail(x, "group %.*s was not found", STR_ARG(name));
	*ret = (int32_t)found->gr_gid;
	return true;
}

static bool has_dollar(struct str s)
{
	return str_chr(s, '$') >= 0;
}

static bool expand_now(struct option_context *x, const struct opt_set *set, struct str *text)
{
	if (!has_dollar(*text))
		return true;
	const struct config_schema *schema = x->cfg ? x->cfg->schema : NULL;
	if (!schema || !schema->expand_now)
		return fail(x, "failed to expand value for %.*s: expansion is not available here", NAME_ARG(set));
	struct why why = {0};
	struct str out;
	if (!schema->expand_now(x->cfg, x->env, x->arena, *text, &out, &why))
		return fail(x, "failed to expand value \"%.*s\" for %.*s: %s", STR_ARG(*text), NAME_ARG(set), why.text);
	*text = out;
	return true;
}

static bool set_user(struct option_context *x, const struct opt_row *row, const struct opt_set *set, struct xuser *ret)
{
	struct str text;
	if (!option_string(x, set->written, set->rest, &text))
		return false;
	struct xuser u = {.set = true, .id = -1, .gid = -1};
	if (has_dollar(text) && (!x->main || (row->flags & OPT_EXPAND)))
		u.text = (struct xstr){.text = text, .file = x->file, .line = x->line};
	else if (row->type == OPT_USER ? !user_id(x, text, &u.id, &u.gid) : !group_id(x, text, &u.id))
		return false;
	*ret = u;
	return true;
}

/* Lists (manual 6.20): "<;" in front changes the separator, a doubled one stands for itself, an
 * empty item at the end is none. */
static char list_separator(struct str *list)
{
	*list = str_trim(*list);
	if (list->len < 2 || list->p[0] != '<' || ch_alnum(list->p[1]))
		return ':';
	char sep = list->p[1];
	*list = str_from(*list, 2);
	return sep;
}

static bool list_item(struct arena *a, struct str *list, char sep, struct str *ret)
{
	struct strbuf item;
	size_t i = 0;
	if (str_trim(*list).len == 0)
		return false;
	sb_init(&item, a, list->len);
	while (i < list->len) {
		char c = list->p[i++];
		if (c == sep) {
			if (i >= list->len || list->p[i] != sep)
				break;
			i++;
		}
		sb_ch(&item, c);
	}
	*list = str_from(*list, i);
	*ret = str_trim(sb_str(&item));
	return true;
}

static bool set_ids(struct option_context *x, const struct opt_row *row, const struct opt_set *set, struct id_list *ret)
{
	struct str rest, item;
	if (!option_string(x, set->written, set->rest, &rest) || !expand_now(x, set, &rest))
		return false;
	size_t most = rest.len / 2 + 1;
	int32_t *id = arena_array_of(x->arena, most, int32_t), gid;
	struct id_list list = {.id = id, .set = true};
	char sep = list_separator(&rest);
	while (list_item(x->arena, &rest, sep, &item)) {
		if (row->type == OPT_USERS ? !user_id(x, item, &id[list.count], &gid) : !group_id(x, item, &id[list.count]))
			return false;
		list.count++;
	}
	*ret = list;
	return true;
}

/* ---- all types ---- */

static bool set_number(struct option_context *x, const struct opt_row *row, const struct opt_set *set, char *at)
{
	int64_t n;
	switch ((unsigned)row->type) {
	case OPT_INT:
		if (!set_integer(x, set, -(int64_t)INT32_MAX, INT32_MAX, &n))
			return false;
		*(int32_t *)(void *)at = (int32_t)n;
		return true;
	case OPT_SIZE:
		if (!set_integer(x, set, -INT64_MAX, INT64_MAX, &n))
			return false;
		*(int64_t *)(void *)at = n;
		return true;
	case OPT_OCTAL: return set_octal(x, set, (uint32_t *)(void *)at);
	case OPT_FIXED: return set_fixed(x, set, (int32_t *)(void *)at);
	case OPT_TIME: return set_time(x, set, (int32_t *)(void *)at);
	default: return set_times(x, set, (struct time_list *)(void *)at);
	}
}

bool option_repeats(const struct opt_row *row)
{
	return (row->flags & OPT_REPEAT) || row->type == OPT_HEADERS || row->type == OPT_REMOVES ||
	    row->type == OPT_CONDITION || row->type == OPT_MULTI;
}

bool option_set(struct option_context *x, const struct opt_row *row, const struct opt_set *set, void *base)
{
	char *at = (char *)base + row->offset;
	if (row->type == OPT_BOOL || row->type == OPT_BOOL_VERIFY)
		return set_bool(x, set, (bool *)(void *)at);
	if (row->type == OPT_BOOLX)
		return set_boolx(x, set, (struct xstr *)(void *)at);
	if (set->negated)
		return fail(x, "negation prefix applied to a non-boolean option");
	if (set->rest.len == 0)
		return fail(x, "unexpected end of line (data missing) after %.*s", NAME_ARG(set));
	if (set->rest.p[0] != '=')
		return fail(x, "missing \"=\" after %.*s", NAME_ARG(set));
	struct opt_set value = *set;
	value.rest = str_ltrim(str_from(set->rest, 1));
	switch (row->type) {
	case OPT_INT:
	case OPT_SIZE:
	case OPT_OCTAL:
	case OPT_FIXED:
	case OPT_TIME:
	case OPT_TIMES: return set_number(x, row, &value, at);
	case OPT_USER:
	case OPT_GROUP: return set_user(x, row, &value, (struct xuser *)(void *)at);
	case OPT_USERS:
	case OPT_GROUPS: return set_ids(x, row, &value, (struct id_list *)(void *)at);
	case OPT_BOOL:
	case OPT_BOOL_VERIFY:
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
	case OPT_MULTI: break;
	}
	return set_string(x, row, &value, (struct xstr *)(void *)at);
}

/* What "unset" is where zero is a value of its own. */
static void unset(const struct opt_row *row, char *at)
{
	if (row->type == OPT_FIXED)
		*(int32_t *)(void *)at = -1;
	else if (row->type == OPT_USER || row->type == OPT_GROUP)
		*(struct xuser *)(void *)at = (struct xuser){.id = -1, .gid = -1};
}

static bool holds_text(enum opt_type t)
{
	return (t >= OPT_STRING || t == OPT_BOOLX) && t != OPT_USER && t != OPT_GROUP && t != OPT_USERS && t != OPT_GROUPS;
}

bool option_default(struct option_context *x, const struct opt_row *row, void *base)
{
	char *at = (char *)base + row->offset;
	if (!row->def) {
		unset(row, at);
		return true;
	}
	struct str def = str_c(row->def);
	if (holds_text(row->type) && !str_starts(def, "\"")) {
		*(struct xstr *)(void *)at = (struct xstr){.text = def};
		return true;
	}
	struct opt_set set = {.name = str_c(row->name), .written = str_c(row->name),
		.rest = str_cat(x->arena, STR("= "), def)};
	return option_set(x, row, &set, base);
}
