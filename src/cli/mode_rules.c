/* SPDX-License-Identifier: Apache-2.0
 * -brt: which retry rule applies; -brw: how addresses are rewritten (manual 5, 31, 32). */
#include "cli/program.h"

#include <stdio.h>

#include "base/limits.h"
#include "expand/expand.h"
#include "queue/retry_rule.h"
#include "route/route.h"
#include "base/banned.h"

/* The numbers that an error's name stands for, read as a rule of its own. */
static bool error_numbers(struct program *p, struct str name, struct retry_failure *f)
{
	struct config_line line = {.text = str_cat(p->arena, STR("* "), name), .file = "-brt", .line = 1};
	const struct retry_rules *rules;
	struct why why;
	if (!retry_rules_parse(&line, p->arena, &rules, &why) || !rules->first)
		return false;
	f->basic_errno = rules->first->basic_errno;
	f->more_errno = rules->first->more_errno;
	return true;
}

static struct str as_domain_key(struct program *p, struct str s)
{
	if (str_chr(s, '@') >= 0)
		return s;
	if (str_chr(s, '.') < 0)
		printf("Warning: \"%.*s\" contains no '@' and no '.' characters. It is being \n"
		       "treated as a one-component domain, not as a local part.\n\n", STR_ARG(s));
	return str_cat(p->arena, STR("*@"), s);
}

static int retry_test(struct program *p, struct eval *ev)
{
	const struct cli_args *args = p->args;
	struct retry_failure f = {.sender = args->sender, .sender_known = args->sender_given};
	if (args->args == 0) {
		printf("-brt needs a domain or address argument\n");
		return 1;
	}
	f.key = as_domain_key(p, args->arg[0]);
	size_t next = 1;
	if (next < args->args && str_chr(args->arg[next], '.') >= 0)
		f.domain = args->arg[next++];
	if (next < args->args && !error_numbers(p, args->arg[next], &f)) {
		printf("unknown or malformed retry error \"%.*s\"\n", STR_ARG(args->arg[next]));
		return 1;
	}
	struct retry_matcher m = retry_matcher_lists(&ev->lx);
	const struct retry_rule *r = retry_rule_find(p->world.config->compiled_retry, &m, p->arena, &f);
	if (r)
		printf("Retry rule: %.*s\n", STR_ARG(retry_rule_format(p->arena, r)));
	else
		printf("No retry information found\n");
	return 0;
}

int mode_rules(struct program *p)
{
	struct eval ev;
	struct strbuf out;
	if (!program_become(p, ROLE_EXIM) || !program_open(p, WORLD_RESOLVER))
		return 1;
	eval_init(&ev, p->world.config, &p->world.env, p->arena);
	if (p->args->mode == MODE_RETRY_TEST)
		return retry_test(p, &ev);
	sb_init(&out, p->arena, LIMIT_EXPANSION);
	for (size_t i = 0; i < p->args->args; i++)
		rewrite_test(&ev, p->args->arg[i], &out);
	fwrite(sb_str(&out).p, 1, out.len, stdout);
	return 0;
}
