/* SPDX-License-Identifier: Apache-2.0
 * The configuration: the grammar of the manual's chapter 6 read into a snapshot that is checked,
 * compiled by the rooms above, sealed (mprotect) and shared by all threads until the last session
 * that began with it is gone. One text for all processes: config_gather() reads the files once
 * (includes and macros not yet applied), config_parse() makes the snapshot from that text. */
#pragma once
#include "base/env.h"
#include "base/map.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "config/option.h"

struct config;
struct expand_registry;

/* struct main_options: one field per row of main_options.def. */
#define OPT(name, TYPE, field, def, flags, doc) OPT_CTYPE_##TYPE field;
#define OPT_NONE(name, TYPE, def, flags, doc)
struct main_options {
#include "config/main_options.def"
};
#undef OPT
#undef OPT_NONE

/* What the rooms above register: one per driver type. */
enum driver_kind { DRIVER_ROUTER, DRIVER_TRANSPORT, DRIVER_AUTHENTICATOR, DRIVER_KINDS };

struct driver_instance;
/* The part of a driver that config/ knows; room-specific structs embed it as their first member. */
struct driver_info {
	const char *name;
	const struct opt_row *options; /* sorted by name */
	size_t option_count;
	size_t options_size;           /* of the private block */
	/* Check and compute after reading (whole snapshot present); false with a text in why. */
	bool (*check)(struct config *cfg, struct driver_instance *di, struct why *why);
};
struct driver_family {
	const struct driver_info *const *drivers;
	size_t count;
	const struct opt_row *generic; /* sorted by name */
	size_t generic_count, generic_size;
};
struct driver_instance {
	struct str name;
	const struct driver_info *driver;
	void *generic, *options;
	struct driver_instance *next;
	unsigned index;
	const char *file;
	int line;
	uint8_t *was_set;      /* bit per generic row, then per private row */
	struct map rows_set;   /* option name -> (void *)1, for -bP and checks */
	bool in_use;
};

/* One logical line of a section whose grammar belongs to a room above. */
struct config_line {
	struct str text; /* continuation joined, macros replaced */
	const char *file;
	int line;
	struct config_line *next;
};
/* "begin acl": one per name. */
struct config_acl {
	struct str name;
	const struct config_line *lines;
	const char *file;
	int line;
	const void *compiled; /* struct acl, set by acl_compile_all */
	struct config_acl *next;
};

enum list_kind { LIST_DOMAIN, LIST_HOST, LIST_ADDRESS, LIST_LOCAL_PART, LIST_KINDS };
struct named_list {
	struct str name;
	struct xstr value;
	bool hide;
	unsigned index; /* of its kind: for caches */
	struct named_list *next;
};
struct config_macro {
	struct str name, value;
	bool command_line;
	struct config_macro *next;
};

struct config_schema {
	struct driver_family family[DRIVER_KINDS];
	/* predefined macros (manual 6.9 "_HAVE_...", "_EXP_...", "_ACL_..."): NULL-terminated
	 * "NAME" (value y) or "NAME=value"; those of options, drivers and log selectors
	 * (_OPT_MAIN_..., _DRIVER_ROUTER_..., _LOG_...) are made from the rows. */
	const char *const *have_macros;
	const struct expand_registry *expand; /* variables, items, conditions of all rooms (expand/expand.h) */
	/* Called in this order after all is read, before sealing: expand, lists, ACL, retry ... */
	bool (*const *compile)(struct config *cfg, struct env *env, struct why *why);
	size_t compile_count;
	/* Tell all predefined macros that rooms above make of their own rows: visit("_EXP_ITEM_", "lookup"). */
	void (*each_macro)(const struct config_schema *schema, void (*visit)(void *ctx, const char *class, const char *name), void *ctx);
	/* Expand one text while reading, for the few settings that are needed at once (trusted_users,
	 * spool_directory ...). The result lives in `a`. NULL: such a value with a $ is an error. */
	bool (*expand_now)(struct config *cfg, struct env *env, struct arena *a, struct str text, struct str *ret, struct why *why);
};

struct config {
	unsigned refs; /* changed by config_ref/unref only, lives in a page of its own */
	struct arena *arena;
	const struct config_schema *schema;
	struct str path;       /* the main file */
	struct main_options main;
	struct map main_set;   /* names of main options that were set -> (void *)1; hidden ones -> 2 */
	struct named_list *lists[LIST_KINDS];
	struct map list_by_name[LIST_KINDS];
	unsigned list_count[LIST_KINDS];
	struct driver_instance *drivers[DRIVER_KINDS]; /* in order of the file */
	struct config_acl *acls;
	struct map acl_by_name;
	struct config_line *retry, *rewrite, *local_scan;
	struct config_macro *macros;
	struct str text;       /* all lines as read, for -bP config */
	/* Facts, computed when loaded: */
	struct str primary_hostname, qualify_domain, qualify_recipient, spool_directory;
	/* Expanded: log_file_path (colon list, unset option: "<spool>/log/%slog"), pid_file_path, process_log_path. */
	struct str log_file_path, pid_file_path, process_log_path;
	int32_t localhost_number; /* -1: unset */
	int syslog_facility;      /* LOG_MAIL ... */
	int32_t exim_uid, exim_gid;
	struct str exim_user_name; /* of exim_uid; the number where it has no name */
	uint64_t log_selector[2];  /* bits of enum log_selector, config/log_selector.h */
	bool untrusted;  /* -C or -D by a caller who lost privilege for it */
	/* What rooms above compiled; each slot's type is theirs. */
	const void *compiled_retry, *compiled_rewrite, *compiled_routers, *compiled_vars, *compiled_acls;
};

/* Where to read and with what. */
struct config_source {
	const char *const *paths; /* tried in order; first that exists */
	const char *const *defines; /* "NAME=value" of -D, NULL-terminated */
	bool check_owner; /* refuse files that others may write (manual 6.2) */
	int32_t exim_uid, exim_gid; /* allowed owners beside root, -1 none */
	const struct config_schema *schema; /* its predefined macros; NULL: those of config/ alone */
	bool show_macros; /* -be with -d: each macro that is replaced, on standard output */
};
/* Read main file and all includes into one text that names each file and holds the -D too, so that
 * another process can parse it without opening anything and without `src`. Lives in `a`. */
must_check enum status config_gather(const struct config_source *src, struct arena *a, struct str *ret_text, struct str *ret_path, struct why *why);
/* Parse, fill in defaults, check, compile, seal. NULL with a text in why in Exim's words
 * ("Exim configuration error in line 3 of /etc/exim.conf:\n  main option \"x\" unknown"). */
struct config *config_parse(const struct config_schema *schema, struct env *env, struct str text, struct str path,
    const struct config_source *src, struct why *why);
/* Words for checks and compile hooks: set why to "Exim configuration error in line 3 of FILE:\n
 * text" (file NULL: without the place) and return false. A hook's text that does not begin with
 * "Exim configuration error" gets "Exim configuration error:\n  " in front. */
bool config_error_at(struct why *why, const char *file, int line, const char *fmt, ...) printf_like(4, 5);
/* For tests: are all tables of options sorted, without doubles, their defaults readable? */
bool config_schema_check(const struct config_schema *schema, struct why *why);
struct config *config_ref(struct config *c);
void config_unref(struct config *c);

/* -bP (manual 5): name may be an option, a section word, "all", "+list"; prints to out.
 * admin: hidden values are shown. names_only: -n. Returns false for an unknown name (message printed). */
bool config_print(const struct config *cfg, struct str what, struct str name, bool admin, bool names_only, struct strbuf *out, struct strbuf *err);

const struct opt_row *config_main_rows(size_t *ret_count);
struct driver_instance *config_find_driver(const struct config *c, enum driver_kind kind, struct str name);
const struct config_acl *config_find_acl(const struct config *c, struct str name);
const struct named_list *config_find_list(const struct config *c, enum list_kind kind, struct str name);
bool config_was_set(const struct driver_instance *di, const char *option);

/* Log selector bits: config/log_selectors.def has a row each: LOGSEL(name, enum, default). */
#define LOGSEL(name, id, on) LOGSEL_##id,
enum log_selector {
#include "config/log_selectors.def"
	LOGSEL_COUNT
};
#undef LOGSEL
static inline bool config_logs(const struct config *c, enum log_selector s)
{
	return (c->log_selector[s / 64] >> (s % 64)) & 1;
}
