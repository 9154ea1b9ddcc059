/* SPDX-License-Identifier: Apache-2.0
 * -bP (manual 5): config/ prints; here only the arguments are paired up. */
#include "cli/program.h"

#include <stdio.h>

#include "base/limits.h"
#include "base/banned.h"

/* Words that take a name after them: "-bP router NAME". */
static bool takes_name(struct str word)
{
	static const char *const words[] = {"router", "transport", "authenticator", "macro"};
	for (size_t i = 0; i < countof(words); i++)
		if (str_eqc(word, words[i]))
			return true;
	return false;
}

int mode_print(struct program *p)
{
	struct strbuf out, err;
	bool ok = true; /* Exim: the last one decides the exit status */
	sb_init(&out, p->arena, LIMIT_CONFIG_FILE);
	sb_init(&err, p->arena, LIMIT_CONFIG_FILE);
	const struct cli_args *args = p->args;
	if (!program_become(p, ROLE_CALLER))
		return 1;
	if (args->args == 0)
		ok = config_print(p->world.config, STR_NONE, STR_NONE, p->id.admin, args->names_only, &out, &err);
	for (size_t i = 0; i < args->args; i++) {
		bool two = takes_name(args->arg[i]) && i + 1 < args->args;
		struct str name = two ? args->arg[i + 1] : STR_NONE;
		ok = config_print(p->world.config, args->arg[i], name, p->id.admin, args->names_only, &out, &err);
		i += two;
	}
	fwrite(sb_str(&out).p, 1, out.len, stdout);
	fwrite(sb_str(&err).p, 1, err.len, stderr);
	return ok ? 0 : 1;
}
