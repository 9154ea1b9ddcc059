/* SPDX-License-Identifier: Apache-2.0
 * What expansions see of a session beside peer and message (SPACE_SESSION). */
#pragma once
#include "base/str.h"

struct receive_session;
struct receive_view {
	struct str notquit_reason;    /* $smtp_notquit_reason */
	struct receive_session *rs;
	int32_t count_at_start;       /* $smtp_count_at_connection_start */
};
