/* SPDX-License-Identifier: Apache-2.0
 * Variables of the session (SPACE_SESSION): $smtp_notquit_reason,
 * $smtp_command_history, $smtp_count_at_connection_start. */
#include "receive/receive_priv.h"

#include "base/banned.h"

static bool get_history(struct eval *ev, void *obj, struct str *ret)
{
	struct receive_view *v = obj;
	*ret = v->rs && v->rs->smtp ? smtp_session_history(v->rs->smtp, ev->lx.arena) : STR("");
	return true;
}

const struct expand_var receive_vars[] = {
	{.name = "smtp_command_history", .space = SPACE_SESSION, .kind = VAR_FN, .get = get_history},
	{.name = "smtp_count_at_connection_start", .space = SPACE_SESSION, .kind = VAR_INT32,
	 .offset = offsetof(struct receive_view, count_at_start)},
	EXPAND_VAR_STR("smtp_notquit_reason", SPACE_SESSION, struct receive_view, notquit_reason, false),
	{.name = NULL},
};
