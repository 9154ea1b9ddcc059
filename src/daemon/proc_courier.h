/* SPDX-License-Identifier: Apache-2.0
 * The courier process: owns the queue. */
#pragma once
#include "daemon/world.h"

struct courier_start {
	struct world *world;
	const struct config_schema *schema;
	int master_fd;
	bool dont_deliver; /* -N */
	bool restarted;    /* after a crash: what was handed over and not attempted is taken up again */
};
/* Does not return. */
void proc_courier_main(struct courier_start *s) __attribute__((noreturn));
