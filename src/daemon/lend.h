/* SPDX-License-Identifier: Apache-2.0
 * Environments lent to pool threads for one job: scratch arena and lookup cache are a thread's
 * own while it works, and idle ones are kept for the next. Threads: any. */
#pragma once
#include "daemon/world.h"

struct lender;
struct lender *lender_new(const struct world *w);
void lender_free(struct lender *l);
struct env *lender_take(struct lender *l);
void lender_give(struct lender *l, struct env *env);
