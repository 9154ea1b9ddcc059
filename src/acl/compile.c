/* SPDX-License-Identifier: Apache-2.0
 * ACL text to statements (manual 44.8): once per snapshot for the ACLs of the configuration and
 * for those named inline by an option or an `acl` condition; at run time for files and computed
 * texts. A line is a verb, a condition or modifier, or a verb followed by one of them; what is
 * in front of the first verb is an error. Strings are parsed here into their trees, so that a
 * run parses nothing. */
#include "acl/acl_priv.h"
#include "base/banned.h"

const char *const acl_verb_names[VERBS] = {"accept", "defer", "deny", "discard", "drop", "require", "warn"};

struct compiler {
	struct arena *arena;
	const struct config *cfg;
	struct acl *acl;
	struct acl_stmt **next_stmt;
	struct acl_stmt *stmt;
	struct acl_cond **next_cond;
	const struct config_line *line;
	struct why *why;
};

static bool name_char(int c)
{
	return ch_alnum(c) || c == '_';
}

static struct xstr arg_of(struct compiler *k, struct str text, unsigned flags)
{
	struct xstr x = {.text = str_dup(k->arena, text), .file = k->line->file, .line = k->line->line};

	x.tree = expand_parse(k->arena, k->cfg, x.text);
	if (flags & ROW_DOMAINS)
		match_compile_list(k->arena, k->cfg, &x, LIST_DOMAIN);
	else if (flags & ROW_HOSTS)
		match_compile_list(k->arena, k->cfg, &x, LIST_HOST);
	else if (flags & ROW_ADDRESSES)
		match_compile_list(k->arena, k->cfg, &x, LIST_ADDRESS);
	else if (flags & ROW_LOCAL_PARTS)
		match_compile_list(k->arena, k->cfg, &x, LIST_LOCAL_PART);
	return x;
}

/* One word of `acl = name arg "arg two"`: up to white space, or quoted with escapes (6.16). */
static struct str call_word(struct arena *a, struct rd *r)
{
	struct strbuf sb;
	const char *start = r->p;

	if (!rd_accept(r, '"')) {
		while (!rd_done(r) && !ch_space(rd_peek(r)))
			rd_byte(r);
		return str_n(start, (size_t)(r->p - start));
	}
	sb_init(&sb, a, LIMIT_CONFIG_LINE);
	while (!rd_done(r) && !rd_accept(r, '"')) {
		int c = rd_byte(r);

		if (c == '\\' && !rd_done(r)) {
			c = rd_byte(r);
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
		}
		sb_ch(&sb, (char)c);
	}
	return sb_str(&sb);
}

static void compile_call(struct compiler *k, struct acl_cond *c)
{
	struct rd r = rd_of(c->arg.text);

	for (rd_skip_space(&r); !rd_done(&r) && c->calls < countof(c->call); rd_skip_space(&r))
		c->call[c->calls++] = arg_of(k, call_word(k->arena, &r), 0);
}

/* The name behind `set`; r stands after it. */
static bool set_name(struct compiler *k, struct rd *r, struct str *ret)
{
	struct str rest;

	rd_skip_space(r);
	rest = rd_rest(r);
	if (str_starts(rest, "dkim_verify_status") || str_starts(rest, "dkim_verify_reason")) {
		why_set(k->why, false, "setting \"%.*s\" is not supported yet", STR_ARG(rd_while(r, name_char)));
		return false;
	}
	if (!str_starts(rest, "acl_c") && !str_starts(rest, "acl_m")) {
		why_set(k->why, false, "invalid variable name after \"set\" in ACL modifier \"set %.*s\" "
		    "(must start \"acl_c\" or \"acl_m\")", STR_ARG(rest));
		return false;
	}
	if (rest.len < 6 || (!ch_digit(rest.p[5]) && rest.p[5] != '_')) {
		why_set(k->why, false, "invalid variable name after \"set\" in ACL modifier \"set %.*s\" "
		    "(digit or underscore must follow acl_c or acl_m)", STR_ARG(rest));
		return false;
	}
	*ret = str_dup(k->arena, rd_while(r, name_char));
	if (!rd_done(r) && rd_peek(r) != '=' && !ch_space(rd_peek(r))) {
		why_set(k->why, false, "invalid character \"%c\" in variable name in ACL modifier \"set %.*s\"",
		    rd_peek(r), STR_ARG(rest));
		return false;
	}
	return true;
}

static bool check_row(struct compiler *k, const struct acl_row *row, bool negate)
{
	if (row->flags & ROW_REFUSED)
		why_set(k->why, false, "ACL condition \"%s\" is not supported yet", row->name);
	else if (negate && (row->flags & ROW_MODIFIER))
		why_set(k->why, false, "ACL error: negation is not allowed with \"%s\"", row->name);
	else if (strcmp(row->name, "endpass") == 0 && k->stmt->verb != VERB_ACCEPT && k->stmt->verb != VERB_DISCARD)
		why_set(k->why, false, "ACL error: \"%s\" is not allowed with \"%s\"", row->name, acl_verb_names[k->stmt->verb]);
	else
		return true;
	return false;
}

/* One condition or modifier; r stands behind the verb, if there was one, `whole` is the line. */
static bool compile_cond(struct compiler *k, struct rd *r, bool negate, const struct acl_row *row)
{
	struct acl_cond *c;

	if (!check_row(k, row, negate))
		return false;
	c = arena_new_of(k->arena, struct acl_cond);
	c->row = row;
	c->negate = negate;
	*k->next_cond = c;
	k->next_cond = &c->next;
	if (strcmp(row->name, "set") == 0 && !set_name(k, r, &c->word))
		return false;
	if (strcmp(row->name, "endpass") == 0) {
		k->stmt->has_endpass = true;
		return true;
	}
	rd_skip_space(r);
	if (!rd_accept(r, '=')) {
		why_set(k->why, false, "\"=\" missing after ACL \"%s\" %s", row->name,
		    row->flags & ROW_MODIFIER ? "modifier" : "condition");
		return false;
	}
	rd_skip_space(r);
	c->arg = arg_of(k, rd_rest(r), row->flags);
	if (strcmp(row->name, "acl") == 0)
		compile_call(k, c);
	if (strcmp(row->name, "control") == 0 && acl_control_refused(c->arg.text)) {
		why_set(k->why, false, "\"control=%.*s\" is not supported yet", STR_ARG(c->arg.text));
		return false;
	}
	return true;
}

static bool is_verb(struct str name, enum acl_verb *ret)
{
	for (unsigned v = 0; v < VERBS; v++) {
		if (str_eqc(name, acl_verb_names[v])) {
			*ret = (enum acl_verb)v;
			return true;
		}
	}
	return false;
}

static void begin_stmt(struct compiler *k, enum acl_verb verb)
{
	struct acl_stmt *s = arena_new_of(k->arena, struct acl_stmt);

	s->verb = verb;
	s->file = k->line->file;
	s->line = k->line->line;
	*k->next_stmt = s;
	k->next_stmt = &s->next;
	k->stmt = s;
	k->next_cond = &s->first;
}

static bool compile_line(struct compiler *k)
{
	struct str whole = str_trim(k->line->text);
	struct rd r = rd_of(whole);
	bool negate = rd_accept(&r, '!');
	struct str name;
	const struct acl_row *row;
	enum acl_verb verb;

	rd_skip_space(&r);
	name = rd_while(&r, name_char);
	if (!negate && is_verb(name, &verb)) {
		begin_stmt(k, verb);
		rd_skip_space(&r);
		if (rd_done(&r))
			return true;
		negate = rd_accept(&r, '!');
		rd_skip_space(&r);
		name = rd_while(&r, name_char);
	} else if (!k->stmt) {
		why_set(k->why, false, "unknown ACL verb \"%.*s\" in \"%.*s\"", STR_ARG(name), STR_ARG(whole));
		return false;
	}
	row = acl_row_find(name);
	if (!row) {
		why_set(k->why, false, "unknown ACL condition/modifier in \"%.*s\"", STR_ARG(whole));
		return false;
	}
	return compile_cond(k, &r, negate, row);
}

struct acl *acl_compile(struct arena *a, const struct config *cfg, struct str name, const struct config_line *lines,
    const struct config_line **ret_at, struct why *why)
{
	struct compiler k = {.arena = a, .cfg = cfg, .why = why};

	k.acl = arena_new_of(a, struct acl);
	k.acl->name = str_dup(a, name);
	k.next_stmt = &k.acl->first;
	for (k.line = lines; k.line; k.line = k.line->next) {
		if (str_empty(str_trim(k.line->text)) || compile_line(&k))
			continue;
		if (ret_at)
			*ret_at = k.line;
		return NULL;
	}
	return k.acl;
}

/* The next logical line: comments and blank lines skipped, "\" at the end joins (manual 6.2). */
static bool text_line(struct arena *a, struct rd *r, struct str *ret)
{
	struct strbuf sb;
	bool more = false;

	sb_init(&sb, a, LIMIT_CONFIG_LINE);
	while (!rd_done(r)) {
		struct str line = str_trim(rd_line(r));

		if (str_starts(line, "#") || (!more && str_empty(line)))
			continue;
		more = str_ends(line, "\\");
		sb_add(&sb, more ? str_sub(line, 0, line.len - 1) : line);
		if (!more)
			break;
	}
	*ret = sb_str(&sb);
	return ret->len > 0;
}

struct acl *acl_compile_text(struct arena *a, const struct config *cfg, struct str text, struct why *why)
{
	struct config_line *first = NULL, **next = &first;
	struct rd r = rd_of(text);
	struct str line;

	while (text_line(a, &r, &line)) {
		struct config_line *l = arena_new_of(a, struct config_line);

		l->text = str_dup(a, line);
		*next = l;
		next = &l->next;
	}
	return acl_compile(a, cfg, STR("inline"), first, NULL, why);
}
