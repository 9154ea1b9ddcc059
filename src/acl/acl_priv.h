/* SPDX-License-Identifier: Apache-2.0
 * What the files of acl/ share: the compiled form, and one run of it. */
#pragma once
#include "acl/acl.h"
#include "base/limits.h"

enum acl_verb { VERB_ACCEPT, VERB_DEFER, VERB_DENY, VERB_DISCARD, VERB_DROP, VERB_REQUIRE, VERB_WARN, VERBS };

struct acl_row;
struct acl_cond {
	struct acl_cond *next;
	const struct acl_row *row;
	struct xstr arg;        /* with its tree, and its list where it is one */
	struct str word;        /* `set`: the variable; `acl`: the first word as written */
	struct xstr call[10];   /* `acl`: name and arguments, expanded one by one (44.17) */
	uint8_t calls;
	bool negate;
};
struct acl_stmt {
	struct acl_stmt *next;
	struct acl_cond *first;
	enum acl_verb verb;
	bool has_endpass;
	const char *file;
	int line;
};
struct acl {
	struct str name;
	struct acl_stmt *first;
};

/* One run, from acl_run to its answer. */
struct acl_run {
	struct eval *ev;
	struct acl_frame *f;
	enum acl_verb verb;          /* of the statement at work */
	struct str user, log;        /* what the conditions of the statement said */
	const struct xstr *message, *log_message; /* modifiers seen so far */
	bool endpass;
	bool log_is_own;             /* log came from log_message, not from message */
};

#define ACL_W(x) (1u << ACL_##x)
#define ACL_ANYWHERE (~0u)
#define ACL_PLAIN (ACL_W(NOT_SMTP) | ACL_W(NOT_SMTP_START))

enum acl_row_flags {
	ROW_MODIFIER = 1,
	ROW_EXPAND = 2,   /* the argument is expanded before run is called */
	ROW_REFUSED = 4,  /* known, not served yet */
	ROW_DOMAINS = 8, ROW_HOSTS = 16, ROW_ADDRESSES = 32, ROW_LOCAL_PARTS = 64, /* a list, matched as it stands */
};
struct acl_row {
	const char *name;
	unsigned flags;
	uint32_t where;
	/* A condition answers ACL_OK (true) or ACL_FAIL (false); both kinds may answer ACL_DEFER or
	 * ACL_ERROR with r->log set; `acl` also ACL_DROP and ACL_DISCARD. */
	enum acl_verdict (*run)(struct acl_run *r, const struct acl_cond *c, struct str arg);
};
extern const struct acl_row acl_rows[];
const struct acl_row *acl_row_find(struct str name);

/* compile.c: one ACL from lines; false with a text without position in why. lines may be NULL.
 * `at` is told the line at which it failed. */
struct acl *acl_compile(struct arena *a, const struct config *cfg, struct str name, const struct config_line *lines,
    const struct config_line **ret_at, struct why *why);
/* From a text of lines as in a file: comments, blank lines and continuations apply (44.3). */
struct acl *acl_compile_text(struct arena *a, const struct config *cfg, struct str text, struct why *why);
extern const char *const acl_verb_names[VERBS];

/* run.c */
enum acl_verdict acl_obey(struct acl_run *r, const struct acl *acl);
/* find.c: the ACL that `text` names (name, file or inline) is obeyed one level deeper. */
enum acl_verdict acl_call(struct acl_run *r, struct str text, struct str *ret_user, struct str *ret_log);

/* Answers with a text for the log. */
enum acl_verdict acl_fault(struct acl_run *r, enum acl_verdict v, const char *fmt, ...) printf_like(3, 4);
/* "expansion failed" as an answer. */
enum acl_verdict acl_fault_expand(struct acl_run *r, enum expand_status st, const char *what, struct str text);
/* headers.c: add_header and the message of warn: lines that wait. */
/* log_text.c: control bytes made visible */
struct str acl_log_text(struct eval *ev, struct str s);
void acl_header_wait(struct acl_run *r, struct str text);
struct addr_view *acl_view(struct acl_run *r);
/* control.c: a control that is known but not served, when the argument names it outright. */
bool acl_control_refused(struct str arg);
/* Next option of a slash-separated list, "//" being one slash. */
bool acl_slash_next(struct arena *a, struct str *rest, struct str *ret);
/* A value kept in a map of the connection or the message: copied to that arena. */
void acl_keep(struct map *m, struct arena *a, struct str key, struct str value);
