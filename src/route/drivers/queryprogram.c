/* SPDX-License-Identifier: Apache-2.0
 * queryprogram (manual 21): known by name, so that a configuration that uses it is refused with a sentence
 * that says so instead of "unknown driver". */
#include "route/route_priv.h"

#include "base/banned.h"

struct queryprogram_options {
	char none; /* its options are refused with it */
};

static const struct opt_row rows[] = {
	OPT_ROW_REFUSED("command", STRING, "Command to run"),
	OPT_ROW_REFUSED("command_group", STRING, "Group it runs as"),
	OPT_ROW_REFUSED("command_user", STRING, "User it runs as"),
	OPT_ROW_REFUSED("current_directory", STRING, "Where it runs"),
	OPT_ROW_REFUSED("timeout", TIME, "Time limit"),
};

static bool queryprogram_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	why_set(why, false, "%.*s router:\n  the queryprogram driver is not supported yet", STR_ARG(di->name));
	return false;
}

static enum route_verdict queryprogram_run(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	(void)di;
	return route_defer(job, ad, "the queryprogram driver is not supported yet");
}

extern const struct router_driver router_queryprogram;
const struct router_driver router_queryprogram = {
	.info = {.name = "queryprogram", .options = rows, .option_count = countof(rows), .options_size = sizeof(struct queryprogram_options), .check = queryprogram_check},
	.run = queryprogram_run,
};
