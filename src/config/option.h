/* SPDX-License-Identifier: Apache-2.0
 * An option is one row: name, type, field, default (config text, read by the same parser), flags,
 * one sentence. From the row come parsing, the default, -bP, the reference page. Rows of the main
 * section stand in config/main_options.def, those of drivers at the foot of the driver. */
#pragma once
#include "base/str.h"

struct xtree; /* expand/: the parsed string */
struct xlist; /* lookup/: the compiled list */

/* A string option: its text and what load time made of it. text.p == NULL: unset. */
struct xstr {
	struct str text;
	const struct xtree *tree; /* set when the option is expandable (OPT_EXPAND) */
	const struct xlist *list; /* set for lists that need no expansion */
	const char *file; /* where it was set, for messages; NULL for a default */
	int line;
};

/* A user or group that may only be known after expansion (manual 6.15). */
struct xuser {
	bool set;
	int32_t id; /* valid when text is unset; -1 otherwise */
	int32_t gid; /* primary group, for users given by name */
	struct xstr text;
};

struct id_list {
	const int32_t *id;
	size_t count;
	bool set;
};
struct time_list {
	const int32_t *seconds;
	size_t count;
};

enum opt_type {
	OPT_BOOL,       /* bool */
	OPT_BOOL_VERIFY,/* bool; also sets the rows NAME_sender and NAME_recipient of the same block
	                 * (verify, fail_verify of routers) */
	OPT_BOOLX,      /* struct xstr: a boolean that may be an expansion (more, unseen of routers).
	                 * "more", "no_more", "not_more" and the plain words give the text "true" or
	                 * "false"; any other text is kept for expand_bool() */
	OPT_INT,        /* int32_t, decimal/octal/hex, K/M/G allowed */
	OPT_SIZE,       /* int64_t, bytes, K/M/G */
	OPT_OCTAL,      /* uint32_t */
	OPT_FIXED,      /* int32_t, thousandths; -1 unset */
	OPT_TIME,       /* int32_t, seconds */
	OPT_TIMES,      /* struct time_list */
	OPT_STRING,     /* struct xstr; quoted strings are unescaped */
	OPT_LIST,       /* struct xstr: string list */
	OPT_DOMAINS,    /* struct xstr: domain list */
	OPT_HOSTS,      /* struct xstr: host list */
	OPT_ADDRESSES,  /* struct xstr: address list */
	OPT_LOCAL_PARTS,/* struct xstr: local part list */
	OPT_USER,       /* struct xuser, expandable */
	OPT_GROUP,      /* struct xuser, expandable */
	OPT_USERS,      /* struct id_list */
	OPT_GROUPS,     /* struct id_list */
	OPT_HEADERS,    /* struct xstr; repeated settings are joined with a newline (headers_add) */
	OPT_REMOVES,    /* struct xstr; repeated settings are joined with a colon (headers_remove) */
	OPT_REWRITE,    /* struct xstr: headers_rewrite of transports */
	OPT_CONDITION,  /* struct xstr; repeated settings are ANDed into one text:
	                 * "${if and {{bool_lax{FIRST}} {bool_lax{NEXT}}}}" */
	OPT_MULTI       /* struct xstr; repeated settings are joined with ";" (set of routers) */
};

enum opt_flags {
	OPT_EXPAND = 1,
	OPT_HIDE = 2,       /* -bP shows it to admins only, as if `hide` stood there */
	OPT_REFUSED = 4,    /* not at work yet: setting it is an error that says so */
	OPT_COMPUTED = 8,   /* the default is computed after reading */
	OPT_GENERIC = 16,   /* offset is into the generic block of a driver instance */
	OPT_OBSOLETE = 32,  /* accepted and without effect by the manual's own word */
	OPT_REPEAT = 64     /* may be set more than once */
};

struct opt_row {
	const char *name;
	enum opt_type type;
	size_t offset;
	const char *def; /* NULL: unset / zero */
	unsigned flags;
	const char *doc;
};

/* Row macro for driver options: checks the field's C type when compiling.
 * #define ROW(name, TYPE, struct s, field, def, flags, doc) */
#define OPT_CTYPE_BOOL bool
#define OPT_CTYPE_BOOL_VERIFY bool
#define OPT_CTYPE_BOOLX struct xstr
#define OPT_CTYPE_CONDITION struct xstr
#define OPT_CTYPE_INT int32_t
#define OPT_CTYPE_SIZE int64_t
#define OPT_CTYPE_OCTAL uint32_t
#define OPT_CTYPE_FIXED int32_t
#define OPT_CTYPE_TIME int32_t
#define OPT_CTYPE_TIMES struct time_list
#define OPT_CTYPE_STRING struct xstr
#define OPT_CTYPE_LIST struct xstr
#define OPT_CTYPE_DOMAINS struct xstr
#define OPT_CTYPE_HOSTS struct xstr
#define OPT_CTYPE_ADDRESSES struct xstr
#define OPT_CTYPE_LOCAL_PARTS struct xstr
#define OPT_CTYPE_USER struct xuser
#define OPT_CTYPE_GROUP struct xuser
#define OPT_CTYPE_USERS struct id_list
#define OPT_CTYPE_GROUPS struct id_list
#define OPT_CTYPE_HEADERS struct xstr
#define OPT_CTYPE_REMOVES struct xstr
#define OPT_CTYPE_REWRITE struct xstr
#define OPT_CTYPE_MULTI struct xstr

#define OPT_ROW(strct, name_, TYPE, field, def_, flags_, doc_) \
	{.name = (name_), .type = OPT_##TYPE, .offset = offsetof(strct, field) + \
		0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((strct *)0)->field), OPT_CTYPE_##TYPE) ? 1 : -1]), \
	 .def = (def_), .flags = (flags_), .doc = (doc_)}
/* A row that is refused or has no field of its own. */
#define OPT_ROW_REFUSED(name_, TYPE, doc_) {.name = (name_), .type = OPT_##TYPE, .flags = OPT_REFUSED, .doc = (doc_)}
