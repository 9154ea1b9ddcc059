/* SPDX-License-Identifier: Apache-2.0
 * -bi (manual 5): Sendmail rebuilds its aliases; we run bi_command as the caller, with -oA's value. */
#include "cli/program.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/banned.h"

int mode_rebuild(struct program *p)
{
	struct str command = p->world.config->main.bi_command.text;
	char *argv[3] = {0};
	if (str_empty(command))
		return 0;
	if (!program_become(p, ROLE_CALLER))
		return 1;
	argv[0] = str_cstr(p->arena, command);
	if (str_is_set(p->args->rebuild_argument))
		argv[1] = str_cstr(p->arena, p->args->rebuild_argument);
	execv(argv[0], argv);
	program_say("exec of %s failed: %s", argv[0], strerrordesc_np(errno));
	return 1;
}
