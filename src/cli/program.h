/* SPDX-License-Identifier: Apache-2.0
 * One run of the command: who called, with what configuration, and the world it works in. Modes
 * (mode_*.c) get this and return an exit status. */
#pragma once
#include "cli/args.h"
#include "daemon/privilege.h"
#include "daemon/world.h"

struct program {
	struct cli_args *args;
	struct identity id;
	struct config_schema schema;
	struct config_source source;
	struct world world;
	struct arena *arena;
	bool agent_started;
};

/* Read and parse the configuration, set up the log, judge the caller. False: message was printed
 * (and logged where possible); the exit status is 1. */
bool program_load(struct program *p);
/* Give up root as the mode needs (manual 56.2): the agent is started first when the mode may deliver. */
enum program_role { ROLE_CALLER, ROLE_EXIM, ROLE_EXIM_WITH_AGENT, ROLE_KEEP };
bool program_become(struct program *p, enum program_role role);
/* Open parts of the world; prints and returns false on failure. */
bool program_open(struct program *p, unsigned parts);
/* "exim: text" on standard error. */
void program_say(const char *fmt, ...) printf_like(1, 2);
/* Is an admin / prints "Permission denied" and returns false. */
bool program_needs_admin(struct program *p);

/* Modes, one a file. */
int mode_version(struct program *p);
int mode_print(struct program *p);
int mode_expand(struct program *p);
int mode_address(struct program *p);
int mode_rules(struct program *p);      /* -brt, -brw */
int mode_receive(struct program *p);    /* -bm -t -bs -bS */
int mode_test_host(struct program *p);  /* -bh */
int mode_list(struct program *p);       /* -bp family, -bpc */
int mode_message(struct program *p);    /* -M family */
int mode_queue_run(struct program *p);  /* -q -R -S */
int mode_rebuild(struct program *p);    /* -bi */
int mode_log(struct program *p);        /* -z */
int mode_daemon(struct program *p);     /* -bd -bdf -q<time> */
