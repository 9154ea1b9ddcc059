/* SPDX-License-Identifier: Apache-2.0
 * Redirection lists (manual 22.4 to 22.6): text in, items out. Pure but for :include:, which asks
 * its caller for a file's text. */
#pragma once
#include "base/strbuf.h"

enum redirect_kind { REDIRECT_ADDRESS, REDIRECT_PIPE, REDIRECT_FILE };
struct redirect_item {
	struct redirect_item *next;
	enum redirect_kind kind;
	struct str text; /* "local@domain", "|command", "/path" */
};
struct redirect_error { /* skip_syntax_errors: what was passed over */
	struct redirect_error *next;
	struct str text, item;
};
enum redirect_answer {
	REDIRECT_ITEMS,      /* at least one item (or one that was only a comment) */
	REDIRECT_NOTHING,    /* empty, comments only, :unknown: : the router declines */
	REDIRECT_BLACKHOLE, REDIRECT_DEFER, REDIRECT_FAIL, /* text: what follows the word */
	REDIRECT_ERROR       /* text says what is wrong */
};
struct redirect_rules {
	bool allow_fail, allow_defer, forbid_blackhole, forbid_include, skip_errors;
	bool allow_literal, allow_utf8, strip_dot;
	struct str incoming_domain; /* for "\local" */
	struct str qualify_domain;  /* for other unqualified addresses */
	struct str include_directory;
	/* The text of an included file; false with an error text. */
	bool (*include)(void *arg, struct str path, struct str *ret_text, struct str *ret_error);
	void *arg;
};
struct redirect_result {
	enum redirect_answer answer;
	struct redirect_item *items, **tail;
	struct redirect_error *errors, **errors_tail;
	struct str text;
	unsigned count, comments; /* comments: items that were nothing else */
};
#define REDIRECT_ITEMS_MAX 50000
#define REDIRECT_INCLUDE_DEPTH 20

void redirect_parse(struct arena *a, struct str data, const struct redirect_rules *rules, struct redirect_result *ret);
/* "#Exim filter", "# Exim filter", "#Sieve filter" at the start: 'e', 's', else 0. */
char redirect_filter_kind(struct str data);
