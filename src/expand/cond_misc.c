/* SPDX-License-Identifier: Apache-2.0
 * Conditions about the world: files, the state of delivery (manual 11.7). */
#include "expand/tree.h"
#include <errno.h>
#include <sys/stat.h>
#include "base/banned.h"

static enum expand_status test_exists(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	struct stat sb;

	if (ev->forbid & EVAL_FORBID_EXISTS)
		return expand_fail(ev, "File existence tests are not permitted");
	*ret = stat(str_cstr(ev->lx.arena, arg[0]), &sb) == 0;
	return EXPAND_OK;
}

static enum expand_status test_first_delivery(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	*ret = ev->lx.message && ev->lx.message->deliver_firsttime;
	return EXPAND_OK;
}

/* The courier has no queue-runner processes: what it does on -q is told by the context. */
static enum expand_status test_queue_running(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, bool *ret)
{
	*ret = ev->queue_running;
	return EXPAND_OK;
}

const struct expand_condition_row cond_misc[] = {
    {.name = "exists", .min_args = 1, .max_args = 1, .test = test_exists},
    {.name = "first_delivery", .test = test_first_delivery},
    {.name = "queue_running", .test = test_queue_running},
    {0},
};
