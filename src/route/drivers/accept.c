/* SPDX-License-Identifier: Apache-2.0
 * accept (manual 16): takes every address that its preconditions let through. */
#include "route/route_priv.h"

#include "base/banned.h"

struct accept_options {
	char none; /* no private options */
};

static bool accept_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	const struct router_generic *g = di->generic;
	if (str_is_set(g->transport.text) || g->verify_only)
		return true;
	why_set(why, false, "%.*s router:\n  a transport is required for this router", STR_ARG(di->name));
	return false;
}

static enum route_verdict accept_run(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	enum route_verdict v = step_common(job, di, ad);
	return v == ROUTE_ACCEPT ? step_queue(job, di, ad, NULL) : v;
}

extern const struct router_driver router_accept;
const struct router_driver router_accept = {
	.info = {.name = "accept", .options_size = sizeof(struct accept_options), .check = accept_check},
	.run = accept_run,
};
