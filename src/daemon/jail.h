/* SPDX-License-Identifier: Apache-2.0
 * The sandbox of the processes that face the network, computed from the configuration: what is
 * not named there does not exist for them (DESIGN, Four processes). */
#pragma once
#include "daemon/world.h"

enum jail_kind { JAIL_RECEIVER, JAIL_COURIER };
/* Become the mail user for good, then Landlock and seccomp. */
bool jail_enter(struct world *w, enum jail_kind kind, struct why *why);
