/* SPDX-License-Identifier: Apache-2.0
 * -z: write a line of the administrator's to the main log (manual 5). */
#include "cli/program.h"

#include "base/limits.h"
#include "base/banned.h"

int mode_log(struct program *p)
{
	if (!program_needs_admin(p))
		return 1;
	struct strbuf sb;
	sb_init(&sb, p->arena, LIMIT_LOG_LINE);
	for (size_t i = 0; i < p->args->args; i++) {
		if (i)
			sb_ch(&sb, ' ');
		sb_add(&sb, p->args->arg[i]);
	}
	if (!program_become(p, ROLE_EXIM))
		return 1;
	log_line(p->world.env.log, LOGTO_MAIN, STR_NONE, sb_str(&sb));
	return 0;
}
