/* SPDX-License-Identifier: Apache-2.0
 * Submission by a caller without privilege: to the daemon's socket, or, while no daemon runs,
 * into the drop folder where the next one finds it. */
#pragma once
#include "cli/program.h"
#include "receive/receive.h"

int submit_to_daemon(struct program *p, const struct local_caller *caller);
