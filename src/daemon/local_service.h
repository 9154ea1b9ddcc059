/* SPDX-License-Identifier: Apache-2.0
 * Local submission over the daemon's UNIX socket: the caller is known by SO_PEERCRED, says in one
 * frame how it was called (options, arguments), and then the message or an SMTP session follows. */
#pragma once
#include "daemon/lend.h"
#include "net/loop.h"
#include "receive/receive.h"

/* Takes one reference of config and the descriptor. `queued` as in struct receive_sink. */
void local_service_new(struct world *w, struct config *config, struct pool *pool, struct lender *lender, int fd,
    void (*queued)(void *arg, const struct message *m, unsigned how), void *arg);
/* Take what callers left in <spool>/drop while no daemon ran. One reference of config is taken. */
void local_service_drop(struct world *w, struct config *config, struct pool *pool, struct lender *lender,
    void (*queued)(void *arg, const struct message *m, unsigned how), void *arg);
