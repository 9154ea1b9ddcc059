/* SPDX-License-Identifier: Apache-2.0
 * -bi (manual 5): run bi_command as the caller, with -oA's value as its only argument; without a
 * bi_command there is nothing to do. */
#include "cli/program.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/banned.h"

int mode_rebuild(struct program *p)
{
	struct str command = p->world.config->main.bi_command.text;
	if (str_empty(command))
		return 0;
	if (!program_become(p, ROLE_CALLER))
		return 1;
	char *path = str_cstr(p->arena, command);
	char *argv[] = {path, NULL, NULL};
	if (str_is_set(p->args->rebuild_argument))
		argv[1] = str_cstr(p->arena, p->args->rebuild_argument);
	fflush(NULL);
	execv(path, argv);
	program_say("%s: exec failed: %s", path, strerrordesc_np(errno));
	return 1;
}
