/* SPDX-License-Identifier: Apache-2.0
 * iplookup (manual 19): known by name, so that a configuration that uses it is refused with a sentence
 * that says so instead of "unknown driver". */
#include "route/route_priv.h"

#include "base/banned.h"

struct iplookup_options {
	char none; /* its options are refused with it */
};

static const struct opt_row rows[] = {
	OPT_ROW_REFUSED("hosts", STRING, "Servers"),
	OPT_ROW_REFUSED("optional", BOOL, "Pass on when no server answers"),
	OPT_ROW_REFUSED("port", INT, "Port"),
	OPT_ROW_REFUSED("protocol", STRING, "udp or tcp"),
	OPT_ROW_REFUSED("query", STRING, "What is sent"),
	OPT_ROW_REFUSED("reroute", STRING, "New address from the answer"),
	OPT_ROW_REFUSED("response_pattern", STRING, "Expected answer"),
	OPT_ROW_REFUSED("timeout", TIME, "Time limit"),
};

static bool iplookup_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	why_set(why, false, "%.*s router:\n  the iplookup driver is not supported yet", STR_ARG(di->name));
	return false;
}

static enum route_verdict iplookup_run(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	(void)di;
	return route_defer(job, ad, "the iplookup driver is not supported yet");
}

extern const struct router_driver router_iplookup;
const struct router_driver router_iplookup = {
	.info = {.name = "iplookup", .options = rows, .option_count = countof(rows), .options_size = sizeof(struct iplookup_options), .check = iplookup_check},
	.run = iplookup_run,
};
