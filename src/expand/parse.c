/* SPDX-License-Identifier: Apache-2.0
 * The parser of expansion strings (manual chapter 11): text to tree, in one pass from left to
 * right. It never fails as a call: a syntax error becomes part of the tree (see tree.h). What
 * items and conditions take is known by their rows; those with a grammar of their own bring a
 * parse function. */
#include "expand/tree.h"
#include "base/limits.h"
#include <stdarg.h>
#include "base/banned.h"

void xparse_error(struct xparser *x, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;

	if (x->failed)
		return;
	x->failed = true;
	sb_init(&sb, x->arena, LIMIT_EXPANSION);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	x->tree->error = sb_str(&sb);
}

void xparse_space(struct xparser *x)
{
	while (x->p < x->end && ch_space(*x->p))
		x->p++;
}

bool xparse_at(const struct xparser *x, char c)
{
	return x->p < x->end && *x->p == c;
}

bool xparse_take(struct xparser *x, char c)
{
	if (!xparse_at(x, c))
		return false;
	x->p++;
	return true;
}

struct str xparse_name(struct xparser *x, const char *extra)
{
	const char *from = x->p;

	while (x->p < x->end && (ch_alnum((unsigned char)*x->p) || (*x->p && strchr(extra, *x->p))))
		x->p++;
	return str_n(from, (size_t)(x->p - from));
}

/* "subject:" of $h_subject: ; ends at a colon (taken) or where no graphic character stands. */
struct str xparse_header_name(struct xparser *x)
{
	const char *from = x->p;

	while (x->p < x->end && *x->p != ':' && (unsigned char)*x->p > ' ' && (unsigned char)*x->p < 0x7f)
		x->p++;
	struct str name = str_n(from, (size_t)(x->p - from));
	xparse_take(x, ':');
	return name;
}

bool xheader_prefix(struct str name, uint8_t *ret_form, size_t *ret_len)
{
	static const struct {
		const char *prefix;
		enum header_form form;
	} rows[] = {{"h_", HEADER_DECODED}, {"header_", HEADER_DECODED}, {"rh_", HEADER_RAW}, {"rheader_", HEADER_RAW},
	    {"bh_", HEADER_BODY}, {"bheader_", HEADER_BODY}, {"lh_", HEADER_LIST}, {"lheader_", HEADER_LIST}};

	for (size_t i = 0; i < countof(rows); i++)
		if (str_starts(name, rows[i].prefix)) {
			*ret_form = (uint8_t)rows[i].form;
			*ret_len = strlen(rows[i].prefix);
			return true;
		}
	return false;
}

static struct xnode *node_new(struct xparser *x, enum xkind kind)
{
	struct xnode *n = arena_new_of(x->arena, struct xnode);

	n->kind = kind;
	n->tree = x->tree;
	return n;
}

/* The node of a variable, or NULL. acl_c..., acl_m... and r_... exist as soon as they are named. */
struct xnode *xparse_variable(struct xparser *x, struct str name)
{
	struct xnode *n;

	if (name.len > 5 && (str_starts(name, "acl_c") || str_starts(name, "acl_m")) &&
	    (name.p[5] == '_' || ch_digit(name.p[5]))) {
		n = node_new(x, XN_ACL_VAR);
		n->form = (uint8_t)name.p[4];
		n->name = str_from(name, 5);
		n->text = name;
		return n;
	}
	if (str_starts(name, "r_")) {
		n = node_new(x, XN_ROUTER_VAR);
		n->name = str_from(name, 2);
		return n;
	}
	const struct expand_var *v = xfind_var(x->cfg, name);
	if (!v)
		return NULL;
	n = node_new(x, XN_VAR);
	n->name = name;
	n->u.var = v;
	return n;
}

/* One byte after a backslash (11.1, 11.2). */
static char parse_escape(struct xparser *x)
{
	char c = *x->p++;
	int value = 0;

	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'x':
		for (int i = 0; i < 2 && x->p < x->end && ch_xdigit((unsigned char)*x->p); i++) {
			char d = ch_tolower(*x->p++);
			value = value * 16 + (ch_digit(d) ? d - '0' : d - 'a' + 10);
		}
		return (char)value;
	case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7':
		value = c - '0';
		for (int i = 0; i < 2 && x->p < x->end && *x->p >= '0' && *x->p <= '7'; i++)
			value = value * 8 + (*x->p++ - '0');
		return (char)value;
	default:
		return c;
	}
}

static void add_node(struct xnode ***tail, struct xnode *n)
{
	if (!n)
		return;
	**tail = n;
	*tail = &n->next;
}

/* Plain text up to something special; ket: "}" is. Returns NULL when nothing stands here. */
static struct xnode *parse_text(struct xparser *x, bool ket)
{
	struct strbuf sb;
	const char *from = x->p;
	bool copied = false;

	sb_init(&sb, x->arena, LIMIT_EXPANSION);
	while (x->p < x->end && (*x->p != '$' || x->literal) && !(ket && *x->p == '}')) {
		if (*x->p != '\\') {
			x->p++;
			continue;
		}
		sb_addn(&sb, from, (size_t)(x->p - from));
		copied = true;
		if (++x->p == x->end) {
			xparse_error(x, "\\ at end of string");
			from = x->p;
			break;
		}
		if (*x->p == 'N') {
			from = ++x->p;
			while (x->p < x->end && !(x->p[0] == '\\' && x->p + 1 < x->end && x->p[1] == 'N'))
				x->p++;
			sb_addn(&sb, from, (size_t)(x->p - from));
			if (x->p < x->end)
				x->p += 2;
		} else {
			sb_ch(&sb, parse_escape(x));
		}
		from = x->p;
	}
	if (!copied && x->p == from)
		return NULL;
	struct xnode *n = node_new(x, XN_TEXT);
	if (copied) {
		sb_addn(&sb, from, (size_t)(x->p - from));
		n->text = sb_str(&sb);
	} else {
		n->text = str_n(from, (size_t)(x->p - from));
	}
	n->text.taint = 0;
	return n;
}

static struct xnode *parse_header(struct xparser *x, struct str prefix_and_name, uint8_t form, size_t prefix)
{
	x->p = prefix_and_name.p + prefix;
	struct xnode *n = node_new(x, XN_HEADER);
	n->form = form;
	n->name = xparse_header_name(x);
	if (str_chr(n->name, '}') >= 0)
		x->malformed_header = true;
	return n;
}

static struct xnode *parse_capture(struct xparser *x)
{
	struct xnode *n = node_new(x, XN_CAPTURE);
	unsigned v = 0;

	while (x->p < x->end && ch_digit(*x->p)) {
		if (v < 100000)
			v = v * 10 + (unsigned)(*x->p - '0');
		x->p++;
	}
	n->u.number = v;
	return n;
}

static struct xnode *parse_item(struct xparser *x, const struct expand_item *item, struct str name)
{
	struct xnode *n = node_new(x, XN_ITEM);

	n->name = name;
	n->u.item = item;
	if (item->parse)
		item->parse(x, n);
	else
		xparse_args(x, n, item->min_args, item->max_args, true);
	if (x->failed)
		n->broken = true;
	return n;
}

static struct xnode *parse_operator(struct xparser *x, struct str name)
{
	struct xnode *n = node_new(x, XN_OPERATOR);

	n->name = name;
	n->u.op = xfind_operator(x->cfg, name, &n->text);
	n->arg[0] = xparse_braced(x);
	n->args = 1;
	if (!x->failed && !n->u.op) {
		if (xnot_yet(name))
			xparse_error(x, "operator \"%.*s\" is not supported yet", STR_ARG(name));
		else
			xparse_error(x, "unknown expansion operator \"%.*s\"", STR_ARG(name));
	}
	n->broken = x->failed;
	return n;
}

/* After "${". */
static struct xnode *parse_dollar_brace(struct xparser *x)
{
	struct xnode *n;

	if (x->p < x->end && ch_digit(*x->p)) {
		n = parse_capture(x);
		if (!xparse_take(x, '}'))
			xparse_error(x, "} expected after number");
		return n;
	}
	if (x->p == x->end || !ch_alpha((unsigned char)*x->p)) {
		xparse_error(x, "letter or digit expected after ${");
		return NULL;
	}
	struct str name = xparse_name(x, "_-");
	const struct expand_item *item = xfind_item(x->cfg, name);
	if (item)
		return parse_item(x, item, name);
	if (xparse_take(x, '}')) {
		n = xparse_variable(x, name);
		if (!n)
			xparse_error(x, xnot_yet(name) ? "\"%.*s\" is not supported yet" : "unknown variable in \"${%.*s}\"", STR_ARG(name));
		return n;
	}
	if (xparse_take(x, ':'))
		return parse_operator(x, name);
	if (xnot_yet(name))
		xparse_error(x, "\"%.*s\" is not supported yet", STR_ARG(name));
	xparse_error(x, "\"${%.*s\" is not a known operator (or a } is missing in a variable reference)", STR_ARG(name));
	return NULL;
}

/* After "$". */
static struct xnode *parse_dollar(struct xparser *x)
{
	if (xparse_take(x, '{'))
		return parse_dollar_brace(x);
	if (x->p < x->end && ch_digit(*x->p))
		return parse_capture(x);
	if (x->p == x->end || !ch_alpha((unsigned char)*x->p)) {
		xparse_error(x, "$ not followed by letter, digit, or {");
		return NULL;
	}
	struct str name = xparse_name(x, "_");
	uint8_t form;
	size_t prefix;
	if (xheader_prefix(name, &form, &prefix))
		return parse_header(x, name, form, prefix);
	struct xnode *n = xparse_variable(x, name);
	if (!n)
		xparse_error(x, xnot_yet(name) ? "variable \"%.*s\" is not supported yet" : "unknown variable name \"%.*s\"", STR_ARG(name));
	return n;
}

static void parse_seq(struct xparser *x, struct xseq *s, bool ket)
{
	struct xnode **tail = &s->first;
	const char *from = x->p;

	s->tree = x->tree;
	if (++x->depth > LIMIT_EXPANSION_DEPTH)
		xparse_error(x, "string expansion nested too deeply");
	while (!x->failed && x->p < x->end && !(ket && *x->p == '}')) {
		add_node(&tail, parse_text(x, ket));
		if (!x->failed && xparse_take(x, '$'))
			add_node(&tail, parse_dollar(x));
	}
	s->raw = str_n(from, (size_t)(x->p - from));
	if (ket && !x->failed && x->p == x->end)
		xparse_error(x, x->malformed_header ? "missing } at end of string - could be header name not terminated by colon"
		                                    : "missing } at end of string");
	s->broken = x->failed;
	if (!s->broken && !s->first)
		s->constant = STR("");
	else if (!s->broken && s->first->kind == XN_TEXT && !s->first->next)
		s->constant = s->first->text;
	x->depth--;
}

struct xseq *xparse_braced(struct xparser *x)
{
	struct xseq *s = arena_new_of(x->arena, struct xseq);

	parse_seq(x, s, true);
	if (!x->failed)
		x->p++;
	return s;
}

struct xseq *xparse_literal(struct xparser *x)
{
	x->literal = true;
	struct xseq *s = xparse_braced(x);
	x->literal = false;
	return s;
}

bool xparse_args(struct xparser *x, struct xnode *n, unsigned min, unsigned max, bool ends)
{
	xparse_space(x);
	while (n->args < max && n->args < XARGS_MAX && xparse_take(x, '{')) {
		n->arg[n->args++] = xparse_braced(x);
		if (x->failed)
			return false;
		xparse_space(x);
	}
	if (n->args < min) {
		xparse_error(x, "Not enough arguments for '%.*s' (min is %u)", STR_ARG(n->name), min);
		return false;
	}
	if (!ends || xparse_take(x, '}'))
		return true;
	if (xparse_at(x, '{'))
		xparse_error(x, "Too many arguments for '%.*s' (max is %u)", STR_ARG(n->name), max);
	else
		xparse_error(x, "missing '}' after '%.*s'", STR_ARG(n->name));
	return false;
}

static void yesno_end(struct xparser *x)
{
	xparse_space(x);
	if (xparse_take(x, '}'))
		return;
	if (x->malformed_header)
		xparse_error(x, "missing or misplaced { or } - could be header name not terminated by colon");
	else
		xparse_error(x, "curly-bracket problem in conditional yes/no parsing: did not close with '}'\n remaining string is '%.*s'",
		    (int)(x->end - x->p), x->p);
}

void xparse_yesno(struct xparser *x, struct xnode *n)
{
	n->late = true;
	xparse_space(x);
	if (x->failed || xparse_take(x, '}'))
		return;
	if (!xparse_take(x, '{')) {
		if (x->malformed_header)
			xparse_error(x, "missing or misplaced { or } - could be header name not terminated by colon");
		else
			xparse_error(x, "curly-bracket problem in conditional yes/no parsing: 'yes' part did not start with '{'");
		return;
	}
	n->yes = xparse_braced(x);
	if (x->failed)
		return;
	xparse_space(x);
	if (xparse_take(x, '{')) {
		n->no = xparse_braced(x);
		if (!x->failed)
			yesno_end(x);
		return;
	}
	if (xparse_take(x, '}'))
		return;
	struct str word = xparse_name(x, "_");
	if (!str_eqc(word, "fail")) {
		xparse_error(x, "syntax error in \"%.*s\" item - \"fail\" expected", STR_ARG(n->name));
		return;
	}
	n->fail = true;
	yesno_end(x);
}

/* def:name - of a header or a variable. */
bool xparse_def(struct xparser *x, struct xnode *n)
{
	if (!xparse_take(x, ':')) {
		xparse_error(x, "\":\" expected after \"def\"");
		return false;
	}
	struct str name = xparse_name(x, "_");
	uint8_t form;
	size_t prefix;
	if (str_empty(name)) {
		xparse_error(x, "variable name omitted after \"def:\"");
		return false;
	}
	if (xheader_prefix(name, &form, &prefix)) {
		n->sub = parse_header(x, name, form, prefix);
		return true;
	}
	unsigned digits = 0;
	while (digits < name.len && ch_digit(name.p[digits]))
		digits++;
	if (digits == name.len) {
		x->p = name.p;
		n->sub = parse_capture(x);
		return true;
	}
	n->sub = xparse_variable(x, name);
	if (!n->sub)
		xparse_error(x, "unknown variable \"%.*s\" after \"def:\"", STR_ARG(name));
	return n->sub != NULL;
}

static struct str condition_name(struct xparser *x)
{
	const char *from = x->p;

	if (x->p < x->end && ch_alpha((unsigned char)*x->p))
		return xparse_name(x, "_");
	if (x->p < x->end && (*x->p == '<' || *x->p == '>' || *x->p == '=')) {
		x->p++;
		xparse_take(x, '=');
	}
	return str_n(from, (size_t)(x->p - from));
}

/* acl {{name}{arg1}...} */
static void parse_grouped(struct xparser *x, struct xnode *n)
{
	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing { after \"%.*s\"", STR_ARG(n->name));
		return;
	}
	for (xparse_space(x); xparse_take(x, '{'); xparse_space(x)) {
		if (n->args == n->u.cond->max_args) {
			xparse_error(x, "too many arguments for \"%.*s\"", STR_ARG(n->name));
			return;
		}
		n->arg[n->args++] = xparse_braced(x);
		if (x->failed)
			return;
	}
	if (n->args < n->u.cond->min_args)
		xparse_error(x, "missing argument for \"%.*s\"", STR_ARG(n->name));
	else if (!xparse_take(x, '}'))
		xparse_error(x, "missing } at end of \"%.*s\"", STR_ARG(n->name));
}

struct xnode *xparse_condition(struct xparser *x)
{
	struct xnode *n = node_new(x, XN_ITEM);

	if (++x->depth > LIMIT_EXPANSION_DEPTH) {
		xparse_error(x, "string expansion nested too deeply");
		n->broken = true;
		return n;
	}
	xparse_space(x);
	while (xparse_take(x, '!')) {
		n->negate = !n->negate;
		xparse_space(x);
	}
	n->name = condition_name(x);
	if (str_empty(n->name)) {
		int left = (int)(x->end - x->p);
		xparse_error(x, "condition name expected, but found \"%.*s\"", left > 16 ? 16 : left, x->p);
		goto out;
	}
	n->u.cond = xfind_condition(x->cfg, n->name);
	if (!n->u.cond) {
		if (xnot_yet(n->name))
			xparse_error(x, "condition \"%.*s\" is not supported yet", STR_ARG(n->name));
		else
			xparse_error(x, "unknown condition \"%.*s\"", STR_ARG(n->name));
		goto out;
	}
	if (n->u.cond->parse) {
		n->u.cond->parse(x, n);
		goto out;
	}
	if (n->u.cond->grouped) {
		parse_grouped(x, n);
		goto out;
	}
	for (unsigned i = 0; i < n->u.cond->min_args; i++) {
		xparse_space(x);
		if (!xparse_take(x, '{')) {
			xparse_error(x, i == 0 ? "missing { after \"%.*s\"" : "missing 2nd string in {} after \"%.*s\"", STR_ARG(n->name));
			goto out;
		}
		n->arg[n->args++] = xparse_braced(x);
		if (x->failed)
			goto out;
	}
out:
	n->broken = x->failed;
	x->depth--;
	return n;
}

const struct xtree *expand_parse(struct arena *a, const struct config *cfg, struct str text)
{
	struct xtree *t = arena_new_of(a, struct xtree);
	struct xparser x = {.arena = a, .cfg = cfg, .tree = t, .text = text, .p = text.p, .end = text.p + text.len};

	parse_seq(&x, &t->seq, false);
	return t;
}
