/* SPDX-License-Identifier: Apache-2.0
 * The tree of a parsed string, for the files of this room only.
 *
 * A syntax error ends the parsing of the whole text, so a tree holds at most one: its text is
 * xtree.error, and the places that stand open where it happened are marked broken. It appears
 * when evaluation, or skipping, reaches the mark: everything to the left happened before, as when
 * one reads from left to right. */
#pragma once
#include "expand/expand.h"

enum xkind { XN_TEXT, XN_VAR, XN_CAPTURE, XN_HEADER, XN_ACL_VAR, XN_ROUTER_VAR, XN_ITEM, XN_OPERATOR };

/* One string: pieces in order. */
struct xseq {
	struct xnode *first;
	struct str constant; /* set when it is plain text */
	struct str raw;      /* as written */
	const struct xtree *tree;
	bool broken;         /* the syntax error stands at its end (or inside) */
};

struct xtree {
	struct xseq seq;
	struct str error; /* unset: none */
	bool refused;     /* the error is a feature that is not at work yet */
};

#define XARGS_MAX 10
struct xnode {
	struct xnode *next;
	const struct xtree *tree;
	enum xkind kind;
	bool broken;   /* the syntax error stands in this node, after the arguments it has */
	bool late;     /* ... in its yes/no part, so what the item does comes first */
	bool negate;   /* conditions: "!" */
	bool fail;     /* "fail" stands where the second string would */
	uint8_t form;  /* headers: enum header_form; extract: 0, 1 json, 2 jsons; acl variables: 'c' 'm' */
	struct str name, text;
	union {
		const struct expand_var *var;
		const struct expand_item *item;
		const struct expand_operator *op;
		const struct expand_condition_row *cond;
		unsigned number;
	} u;
	struct xseq *arg[XARGS_MAX];
	unsigned args;
	struct xseq *yes, *no;
	struct xnode *sub;   /* condition of if, filter, forany...; first of and/or (chained by next) */
	const void *extra;   /* what an item keeps: a lookup type, the words of a command */
};

/* --- parse.c ---------------------------------------------------------------------------------- */
struct xparser {
	struct arena *arena;
	const struct config *cfg;
	struct xtree *tree;
	struct str text;
	const char *p, *end;
	unsigned depth;
	bool failed, malformed_header, literal;
};
void xparse_error(struct xparser *x, const char *fmt, ...) printf_like(2, 3);
void xparse_space(struct xparser *x);
bool xparse_at(const struct xparser *x, char c);
bool xparse_take(struct xparser *x, char c);
/* The string up to "}", which is taken; the "{" was. */
struct xseq *xparse_braced(struct xparser *x);
/* The same, where a dollar means nothing. */
struct xseq *xparse_literal(struct xparser *x);
/* {a}{b}... as many as are there; false (failed) when fewer than min, or, if ends, no "}" follows. */
bool xparse_args(struct xparser *x, struct xnode *n, unsigned min, unsigned max, bool ends);
/* {yes}{no} or {yes}fail or less, and the closing "}". */
void xparse_yesno(struct xparser *x, struct xnode *n);
struct xnode *xparse_condition(struct xparser *x);
struct str xparse_name(struct xparser *x, const char *extra);
bool xparse_def(struct xparser *x, struct xnode *n);
struct xnode *xparse_variable(struct xparser *x, struct str name);
struct str xparse_header_name(struct xparser *x);
bool xheader_prefix(struct str name, uint8_t *ret_form, size_t *ret_len);

/* --- tables.c --------------------------------------------------------------------------------- */
const struct expand_item *xfind_item(const struct config *cfg, struct str name);
const struct expand_condition_row *xfind_condition(const struct config *cfg, struct str name);
const struct expand_operator *xfind_operator(const struct config *cfg, struct str name, struct str *ret_params);
const struct expand_var *xfind_var(const struct config *cfg, struct str name);
/* Names the manual knows and the program does not serve yet. */
bool xnot_yet(struct str name);

/* --- eval.c ----------------------------------------------------------------------------------- */
enum expand_status xeval(struct eval *ev, const struct xseq *s, struct str *ret);
enum expand_status xeval_into(struct eval *ev, const struct xseq *s, struct strbuf *out);
enum expand_status xskip(struct eval *ev, const struct xnode *n, const struct xseq *s);
enum expand_status xbroken(struct eval *ev, const struct xtree *t);
enum expand_status xcondition(struct eval *ev, const struct xnode *n, bool *ret);
enum expand_status xskip_condition(struct eval *ev, const struct xnode *n);
/* The yes/no part: `$value` is `value` in the yes string, which is the result when it is missing. */
enum expand_status xyesno(struct eval *ev, const struct xnode *n, bool found, struct str value, struct strbuf *out);
enum expand_status xvalue(struct eval *ev, const struct xnode *n, struct str *ret);
/* Put ` inside "name" item` behind the error. */
enum expand_status xinside(struct eval *ev, enum expand_status st, const char *name, const char *what);
/* Failure of a kind that trying again may cure. */
enum expand_status xdefer(struct eval *ev, const char *fmt, ...) printf_like(2, 3);
bool xvar_value(struct eval *ev, const struct expand_var *v, struct str *ret);
bool xheader_value(struct eval *ev, struct str name, uint8_t form, struct str *ret);
enum expand_status xtruth(struct eval *ev, struct str s, bool *ret);

struct xsaved {
	const struct str *v;
	unsigned count;
	struct str value;
};
void xsave(struct eval *ev, struct xsaved *s);
void xrestore(struct eval *ev, const struct xsaved *s);

/* The DER form of a string that is one certificate variable; false: it is something else. */
bool xcertificate_der(struct eval *ev, const struct xseq *s, struct str pem, struct str *ret);
enum expand_status xquote_lookup(struct eval *ev, struct str params, struct str s, struct strbuf *out);

/* The tables of this room, each ending in a row without a name. */
extern const struct expand_item items_control[], items_list[], items_text[], items_file[], items_lookup[], items_run[],
    items_hash[], items_sign[], items_extract[], items_srs[], items_cert[];
extern const struct expand_operator ops_text[], ops_hash[], ops_number[], ops_address[], ops_misc[], ops_idn[];
extern const struct expand_condition_row cond_logic[], cond_compare[], cond_match[], cond_misc[], cond_auth[], cond_srs[], cond_saslauthd[];
extern const struct expand_var vars_basic[], vars_peer[], vars_message[], vars_address[], vars_upper[];
