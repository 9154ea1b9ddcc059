/* SPDX-License-Identifier: Apache-2.0
 * The string language (manual chapter 11): parsed once into a tree, evaluated from it. Items,
 * operators, conditions and variables are rows; rooms above bring their own (struct
 * expand_registry). Error texts and their moments are Exim's. */
#pragma once
#include "expand/scope.h"
#include "lookup/context.h"
#include "lookup/match.h"

enum expand_status {
	EXPAND_OK,
	EXPAND_FORCED, /* forced failure: "fail" reached; the caller's option says what that means */
	EXPAND_FAILED, /* ev->lx.error has the text */
	EXPAND_DEFER   /* failed, and a lookup or match was deferred: temporary */
};

/* A parsed string; holds its own errors, which appear when they are reached. */
const struct xtree *expand_parse(struct arena *a, const struct config *cfg, struct str text);
/* Expand an option (its tree when compiled, else its text). Unset option gives unset, EXPAND_OK. */
enum expand_status expand(struct eval *ev, const struct xstr *x, struct str *ret);
/* Expand text known only at run time (parsed with a small cache). */
enum expand_status expand_text(struct eval *ev, struct str text, struct str *ret);
/* As Exim reads a condition string: "", "0", "no", "false" are false; "1", "yes", "true" or anything else true
 * (manual 15 `condition`); forced failure = false. */
enum expand_status expand_condition(struct eval *ev, const struct xstr *x, bool *ret);
enum expand_status expand_int(struct eval *ev, const struct xstr *x, int64_t def, int64_t *ret);
enum expand_status expand_bool(struct eval *ev, const struct xstr *x, bool def, bool *ret);
/* `${if`-style text "{...}" as acl's condition; see acl. */

/* A value for a file name, command, or query: false with Exim's text ("Tainted filename ...") if tainted. */
bool expand_untainted(struct eval *ev, struct str s, const char *what);

/* Schema compile hook: parse every OPT_EXPAND option of main, drivers; index the variables. */
bool expand_compile_all(struct config *cfg, struct env *env, struct why *why);

/* config_schema.expand_now: a setting that is needed while the configuration is being read. */
bool expand_setting(struct config *cfg, struct env *env, struct arena *a, struct str text, struct str *ret, struct why *why);
/* Schema hook: the predefined macros of manual 6.9 for every row of this room and of those above, as
 * class "_EXP_ITEM_" and name "lookup". */
void expand_each_macro(const struct config_schema *schema, void (*visit)(void *ctx, const char *class, const char *name), void *ctx);

/* --- What rooms above register --------------------------------------------------------------- */
enum var_kind { VAR_STR, VAR_CSTR, VAR_INT32, VAR_INT64, VAR_BOOL, VAR_FN };
struct expand_var {
	const char *name;
	enum expand_space space;
	enum var_kind kind;
	size_t offset;       /* into the struct that stands in that space */
	bool taint;          /* values always come from outside */
	/* VAR_FN: obj is ev's pointer for the space (non-NULL). false = expansion failure, text in ev->lx.error. */
	bool (*get)(struct eval *ev, void *obj, struct str *ret);
	const char *none; /* the value while nothing stands in the space; NULL: empty, "0" for numbers and booleans */
};
#define EXPAND_VAR_STR(n, sp, strct, field, tnt) {.name = (n), .space = (sp), .kind = VAR_STR, .offset = offsetof(strct, field), .taint = (tnt)}

struct xnode; /* argument trees, for items that evaluate lazily */
struct xparser;
/* An item ${name{a}{b}...} or ${name ...}. */
struct expand_item {
	const char *name;
	uint8_t min_args, max_args; /* braced arguments; evaluated in order before run, unless lazy */
	bool lazy;                  /* run evaluates its arguments itself with expand_arg() */
	enum expand_status (*run)(struct eval *ev, const struct xnode *node, const struct str *arg, unsigned args, struct strbuf *out);
	void (*parse)(struct xparser *x, struct xnode *n); /* a grammar of its own (rows of expand/ only) */
};
struct expand_condition_row {
	const char *name;
	uint8_t min_args, max_args;
	bool lazy;
	bool grouped;               /* name{{a}{b}...}: as many as are there, in braces of their own */
	enum expand_status (*test)(struct eval *ev, const struct xnode *node, const struct str *arg, unsigned args, bool *ret);
	void (*parse)(struct xparser *x, struct xnode *n); /* as above */
};
struct expand_operator {
	const char *name;          /* "lc"; parametrised ones get their parameters: "substr_3_2" -> "3_2" */
	enum expand_status (*run)(struct eval *ev, struct str params, struct str subject, struct strbuf *out);
	bool certificate;          /* of a certificate variable it takes the DER form */
};
struct expand_registry {
	const struct expand_var *const *var_sets; /* NULL-terminated arrays by name == NULL rows */
	const struct expand_item *const *item_sets;
	const struct expand_condition_row *const *condition_sets;
	const struct expand_operator *const *operator_sets;
};
enum expand_status expand_arg(struct eval *ev, const struct xnode *node, unsigned n, struct str *ret);
/* Fail with a text; returns EXPAND_FAILED. */
enum expand_status expand_fail(struct eval *ev, const char *fmt, ...) printf_like(2, 3);
