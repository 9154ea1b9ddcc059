/* SPDX-License-Identifier: Apache-2.0
 * The program: read the command line, load the configuration, hand over to the mode. */
#include "cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/program.h"
#include "lookup/lookup.h"
#include "base/banned.h"

static const char help_text[] =
    "Eximius is a mail transfer agent. It is normally called by mail user agents,\n"
    "not directly from a shell command line. Options and arguments control what it\n"
    "does when it is called: they are those of Exim; docs/command-line.md lists them.\n";

static int mode_help(void)
{
	fputs(help_text, stdout);
	return 0;
}

static int refuse(const char *what)
{
	program_say("%s is not supported yet", what);
	return 1;
}

static int run_mode(struct program *p)
{
	switch (p->args->mode) {
	case MODE_NONE:
	case MODE_HELP: return mode_help();
	case MODE_VERSION: return mode_version(p);
	case MODE_DAEMON: return mode_daemon(p);
	case MODE_RECEIVE:
	case MODE_SMTP:
	case MODE_BATCH_SMTP: return mode_receive(p);
	case MODE_TEST_HOST: return mode_test_host(p);
	case MODE_EXPAND: return mode_expand(p);
	case MODE_FILTER_TEST: return refuse("-bf");
	case MODE_SYSTEM_FILTER_TEST: return refuse("-bF");
	case MODE_ROUTE_TEST:
	case MODE_VERIFY:
	case MODE_VERIFY_SENDER: return mode_address(p);
	case MODE_PRINT: return mode_print(p);
	case MODE_LIST_QUEUE:
	case MODE_COUNT_QUEUE: return mode_list(p);
	case MODE_RETRY_TEST:
	case MODE_REWRITE_TEST: return mode_rules(p);
	case MODE_QUEUE_RUN: return mode_queue_run(p);
	case MODE_MESSAGE: return mode_message(p);
	case MODE_REBUILD: return mode_rebuild(p);
	case MODE_LOG: return mode_log(p);
	case MODE_INFO: return refuse("-bI");
	case MODE_INETD_WAIT: return refuse("-bw");
	}
	return 1;
}

int cli_run(int argc, char **argv)
{
	struct program p = {0};
	struct why why = {0};
	privilege_clean_process();
	env_init(&p.world.env);
	p.arena = arena_new("program", LIMIT_ARENA_CONFIG, 0, 0);
	p.world.arena = p.arena;
	p.world.env.log = log_new(&p.world.env.clock);
	p.world.env.scratch = arena_new("scratch", LIMIT_ARENA_SCRATCH, 0, 0);
	p.world.env.lookups = lookup_cache_new();
	identity_read(&p.id, p.arena);
	p.args = arena_new_of(p.arena, struct cli_args);
	if (!cli_args_parse(p.arena, argc, argv, p.args, &why) || !cli_args_check(p.args, &why)) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	if (p.args->mode == MODE_HELP)
		return mode_help();
	if (p.args->debug_set)
		p.world.env.debug = 1;
	if (!program_load(&p))
		return 1;
	if (p.args->verbose)
		log_echo_to(p.world.env.log, 2, LOG_ECHO_VERBOSE);
	int rc = run_mode(&p);
	world_close(&p.world); /* idle connections say QUIT */
	return rc;
}
