/* SPDX-License-Identifier: Apache-2.0
 * Retry rules (manual 32): "pattern error [senders=list] sets". Parsed once when the configuration
 * loads; errors in Exim's words. Errors are basic_errno and more_errno of queue/errnos.h. */
#pragma once
#include "config/config.h"
#include "queue/errnos.h"

/* Low byte of more_errno: the host came from MX or address records. */
enum { MORE_FROM_MX = 'M', MORE_FROM_A = 'A' };

struct retry_set {
	char letter;      /* F, G, H */
	int64_t cutoff;   /* seconds since the first failure */
	int64_t interval;
	int32_t factor;   /* thousandths; G and H */
};
struct retry_rule {
	struct xstr pattern;  /* an address list of one item */
	struct str shown;     /* the pattern as written */
	struct str error;     /* as written, "*" for any */
	int basic_errno;      /* 0 = any */
	int more_errno;       /* what of it must match, see retry_rule.c */
	int kind;
	struct xstr senders;  /* unset = any */
	const struct retry_set *set;
	size_t sets;
	struct retry_rule *next;
	struct str text;      /* the whole line */
	const char *file;
	int line;
};
struct retry_rules {
	struct retry_rule *first;
};

/* Parse the lines of "begin retry". On failure why->text is Exim's, with file and line. */
must_check bool retry_rules_parse(const struct config_line *lines, struct arena *a, const struct retry_rules **ret, struct why *why);
/* Schema compile hook (retry_match.c): config->retry into config->compiled_retry, lists compiled. */
bool retry_compile_all(struct config *cfg, struct env *env, struct why *why);

/* How patterns and sender lists are matched: retry_matcher_lists (retry_match.c) by address list
 * matching; tests bring their own. */
struct retry_matcher {
	/* Is `address` in this address list (of one item, for patterns)? */
	bool (*in_list)(const struct retry_matcher *m, const struct xstr *list, struct str address, bool sender);
	void *arg;
};
struct lookup_context;
struct retry_matcher retry_matcher_lists(struct lookup_context *cx);

/* What failed. */
struct retry_failure {
	struct str key;       /* address, or domain, or name of the host */
	struct str domain;    /* tried when key is a host and does not match: the address's domain; unset = none */
	int basic_errno, more_errno;
	struct str sender;
	bool sender_known;    /* false (-brt without -f): rules with senders never match */
};
/* The first rule that matches; NULL if none. `a` holds what matching needs. */
const struct retry_rule *retry_rule_find(const struct retry_rules *rules, const struct retry_matcher *m, struct arena *a,
    const struct retry_failure *f);

/* When to try again. `previous` is the interval used last (0 = none). */
struct retry_next {
	int64_t next_try;
	bool expired;   /* all cutoffs have passed since first_failed; next_try is still computed from the last set */
};
struct retry_next retry_compute(const struct retry_rule *r, int64_t now, int64_t first_failed, int64_t previous,
    int64_t interval_max, uint32_t random);
/* The last cutoff; 0 for a rule without sets. */
int64_t retry_rule_cutoff(const struct retry_rule *r);
/* As -brt shows it, senders left out as Exim does: "*  *  F,2h,15m; G,16h,1h,1.5; ". */
struct str retry_rule_format(struct arena *a, const struct retry_rule *r);
