/* SPDX-License-Identifier: Apache-2.0 */
#include "base/env.h"

#include <sys/random.h>

#include "base/banned.h"

static uint32_t system_random(struct env *env)
{
	(void)env;
	uint32_t v = 0;
	must(getrandom(&v, sizeof v, 0) == (ssize_t)sizeof v);
	return v;
}

void env_init(struct env *env)
{
	*env = (struct env){.clock = clock_system,
	    .random = system_random,
	    .debug_fd = 2,
	    .real_uid = -1,
	    .real_gid = -1,
	    .exim_uid = -1,
	    .exim_gid = -1};
}
