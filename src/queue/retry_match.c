/* SPDX-License-Identifier: Apache-2.0
 * Patterns and senders of retry rules by address list matching (manual 32.2: "processed as a
 * one-item address list, which means that it is expanded"). */
#include "expand/expand.h"
#include "lookup/match.h"
#include "queue/retry_rule.h"

#include "base/banned.h"

static bool in_list(const struct retry_matcher *m, const struct xstr *list, struct str address, bool sender)
{
	struct lookup_context *cx = m->arg;
	unsigned flags = MATCH_CASELESS_LOCAL | (sender ? (unsigned)MATCH_SENDER : 0u);
	/* A list that cannot be decided now does not match: the next rule may. */
	return match_address(cx, list, address, flags, NULL) == MATCH_YES;
}

struct retry_matcher retry_matcher_lists(struct lookup_context *cx)
{
	return (struct retry_matcher){.in_list = in_list, .arg = cx};
}

static void compile_list(struct config *cfg, struct xstr *list)
{
	if (!str_is_set(list->text))
		return;
	if (str_chr(list->text, '$') >= 0)
		list->tree = expand_parse(cfg->arena, cfg, list->text);
	else
		match_compile_list(cfg->arena, cfg, list, LIST_ADDRESS);
}

bool retry_compile_all(struct config *cfg, struct env *env, struct why *why)
{
	(void)env;
	const struct retry_rules *rules = NULL;
	if (!retry_rules_parse(cfg->retry, cfg->arena, &rules, why))
		return false;
	for (struct retry_rule *r = rules->first; r; r = r->next) {
		compile_list(cfg, &r->pattern);
		compile_list(cfg, &r->senders);
	}
	cfg->compiled_retry = rules;
	return true;
}
