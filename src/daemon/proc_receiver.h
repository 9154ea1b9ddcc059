/* SPDX-License-Identifier: Apache-2.0
 * The receiver process: SMTP sessions, ACLs, checks; accepted messages go to the spool. */
#pragma once
#include "daemon/counters.h"
#include "daemon/listener.h"
#include "daemon/world.h"

struct receiver_start {
	struct world *world;       /* as the master had it at the fork */
	const struct config_schema *schema;
	int master_fd;             /* our end of the channel to the master */
	unsigned number;
	struct counters *counters;
	struct listeners listeners;
	int fds[LISTENERS_MAX];    /* our sockets, -1 = none */
	int submit_fd;             /* the UNIX socket for local submission, -1 = none */
	bool queue_only;           /* -odq given to the daemon */
	int deliver_mode;
};
/* Does not return. */
void proc_receiver_main(struct receiver_start *s) __attribute__((noreturn));
