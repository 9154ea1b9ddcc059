/* SPDX-License-Identifier: Apache-2.0
 * What the files of config/ share: the line reader, the macros, one option's setting, printing. */
#pragma once
#include "config/config.h"

/* ---- files: where lines come from (config/gather.c) ---- */

enum config_file_state {
	CONFIG_FILE_READ = 'f',
	CONFIG_FILE_MISSING = 'n',
	CONFIG_FILE_FAILED = 'e', /* text says why: told when the parser comes to it */
	CONFIG_FILE_DEFINE = 'd'  /* no file: the path is a -D */
};
struct config_file {
	struct str path, text;
	enum config_file_state state;
	struct config_file *next;
};
enum { CONFIG_DEFINES = 500 }; /* most -D of one command line */
/* The files of one configuration; the first is the main file. */
struct config_files {
	struct config_file *first, *last;
	/* Reads a file that is not among them yet; NULL: nothing is ever opened. */
	void (*load)(struct config_files *files, struct config_file *file);
	const struct config_source *src;
	struct arena *arena;
	/* From a collected text: the -D that it was collected with, NULL-terminated. */
	const char *defines[CONFIG_DEFINES + 1];
	size_t define_count;
	bool collected;
};
/* The file of that name, loaded if need be. */
struct config_file *config_files_get(struct config_files *files, struct str path);
/* From the one text that config_gather made, or any text as the main file `path`. */
bool config_files_split(struct config_files *files, struct str text, struct str path, struct why *why);

/* ---- macros (config/macro.c, manual 6.4 to 6.9) ---- */

struct macro_pairs {
	uint64_t bit[16];
};
struct macros {
	struct arena *arena;
	struct macro_pairs predefined; /* bytes 2, 3 and 3, 4 of all predefined names */
	const struct config_schema *schema;
	struct config_macro *first, **tail;
	unsigned count;
	bool show; /* config_source.show_macros */
	size_t produced; /* bytes of lines made by replacing, all in all: a bound on what redefinition can blow up */
};
void macros_init(struct macros *m, struct arena *a, const struct config_source *src);
/* Put values in place of the names found in `line` from `from` on; true if any was. */
bool macros_apply(struct macros *m, struct str line, size_t from, struct str *ret);
/* A line NAME = value or NAME == value; false with a text (*ret_located: it wants file and line). */
bool macros_define(struct macros *m, struct str line, bool *ret_located, struct why *why);
/* All predefined ones as NAME=value lines, in the order that -bP macros prints them. */
void macros_print_predefined(const struct config_schema *schema, bool names_only, struct strbuf *out);
/* Value of a predefined macro; unset if there is none of that name. */
struct str macros_predefined(const struct config_schema *schema, struct str name);

/* ---- logical lines (config/lines.c, manual 6.2, 6.3, 6.10) ---- */

enum { LINES_IF_DEPTH = 100 };
struct lines_if {
	bool skipping;   /* lines of this branch are left out */
	bool done;       /* a branch was taken already, or the whole is inside a skipped one */
};
struct lines_open {
	struct config_file *file;
	const char *name; /* its path, NUL-terminated */
	size_t pos;
	int line;
	struct lines_open *below;
};
struct lines {
	struct arena *arena;
	struct config_files *files;
	struct macros macros;
	struct lines_open *top;
	unsigned open_count;
	struct lines_if ifs[LINES_IF_DEPTH];
	unsigned if_count;
	size_t total; /* bytes of physical lines read, included files as often as they were */
	struct strbuf joined;
	struct strbuf *marks; /* gets a line where a file begins or goes on, for -bP config; may be NULL */
	const char *file; /* of the last physical line read */
	int line;
	bool failed;
	struct why *why;
};
void lines_init(struct lines *l, struct arena *a, struct config_files *files, const struct config_source *src,
    struct strbuf *marks, struct why *why);
/* The next logical line, trimmed, never empty, NUL-terminated, in the arena; false at the end or
 * when `failed`. */
bool lines_next(struct lines *l, struct str *ret);
/* "Exim configuration error in line 3 of /x:\n  text"; returns false. */
bool lines_error(struct lines *l, const char *fmt, ...) printf_like(2, 3);
/* "Exim configuration error:\n  text"; returns false. */
bool config_error(struct why *why, const char *fmt, ...) printf_like(2, 3);
/* Sections differ in where macros may be defined (manual 6.4). */
enum section {
	SECTION_MAIN,
	SECTION_ACL,
	SECTION_AUTHENTICATORS,
	SECTION_LOCAL_SCAN,
	SECTION_RETRY,
	SECTION_REWRITE,
	SECTION_ROUTERS,
	SECTION_TRANSPORTS,
	SECTION_NONE
};
/* The section that a line "begin NAME" begins (SECTION_NONE: no such name, *ret_name says which);
 * false if the line is none. */
bool section_begins(struct str line, enum section *ret, struct str *ret_name);
/* Does this line of that section define a macro? */
bool section_macro(enum section s, struct str line);
bool lines_macro(struct lines *l, struct str line);

/* ---- one option (config/value.c, manual 6.11 to 6.20) ---- */

struct opt_set { /* an option line taken apart */
	struct str name;    /* as it is in the table */
	struct str written; /* with no_ or not_ */
	struct str rest;    /* behind the name, spaces skipped */
	bool hide, negated;
};
bool option_split(struct lines *l, struct str line, struct opt_set *ret);
const struct opt_row *option_find(const struct opt_row *rows, size_t count, struct str name);
struct option_context {
	struct config *cfg;
	struct env *env;
	struct arena *arena;
	const char *file;
	int line;
	bool main;       /* of the main section: users are expanded at once */
	struct why *why; /* bare text */
	bool repeated;   /* the option has a value already that this one joins */
};
/* Give the option of that row in `base` its value; false with a bare text in x->why. */
bool option_set(struct option_context *x, const struct opt_row *row, const struct opt_set *set, void *base);
bool option_default(struct option_context *x, const struct opt_row *row, void *base);
bool option_repeats(const struct opt_row *row);
/* A quoted or plain string value (manual 6.17). */
bool option_string(struct option_context *x, struct str name, struct str rest, struct str *ret);

/* The main option that this name is a synonym of, or the name itself. */
struct str main_row_synonym(struct str name);

/* ---- sections (config/drivers.c, config/sections.c) ---- */

struct reading {
	struct config *cfg;
	struct env *env;
	struct lines lines;
	struct why *why;
	struct strbuf shown; /* for -bP config */
	unsigned indent;     /* of what is shown */
	struct map templates; /* driver_info -> its defaults */
	unsigned sections_seen;
};
bool drivers_read(struct reading *r, enum driver_kind kind, struct str *ret_begin);
bool drivers_check(struct reading *r, enum driver_kind kind);
bool reading_option(struct reading *r, const struct opt_row *row, const struct opt_set *set, void *base, bool main, bool repeated);
/* Next line of a section; false at its end: *ret_begin is then the next "begin" line or unset. */
bool section_line(struct reading *r, struct str *ret, struct str *ret_begin);
const char *driver_kind_word(enum driver_kind kind); /* "router" */
bool sections_read(struct reading *r);
bool main_defaults(struct reading *r);
bool config_facts(struct reading *r);
/* log_selector's text to bits; false with Exim's words. */
bool log_selector_parse(struct str text, uint64_t bits[2], struct why *why);
void log_selector_default(uint64_t bits[2]);
