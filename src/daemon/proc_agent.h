/* SPDX-License-Identifier: Apache-2.0
 * The agent process: root, tiny, acts as users for the others. It begins as a hub that is handed
 * channels; each channel is served by a fork of the hub, so that clients cannot disturb each other. */
#pragma once
#include "daemon/world.h"

/* Fork the hub (call while still root and single-threaded) and attach to it. */
bool agent_process_start(struct world *w, struct why *why);
/* A channel of our own: after a fork, because two processes cannot share one. */
bool agent_process_attach(struct world *w);
/* The agent was replaced: from now on attach to the new one by its hub channel (fd is taken). Calls
 * under way are served by the old one to their end. */
void agent_process_replace(struct world *w, int hub_fd);
/* The hub's body, for the master, which forks it itself. Returns when hub_fd closes. */
void agent_hub(const struct world *w, int hub_fd);
