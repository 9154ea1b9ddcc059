/* SPDX-License-Identifier: Apache-2.0
 * world: everything one process works with, made from a configuration: log, spool, resolver,
 * hints, TLS contexts, idle connections. A process has one; threads get an env of their own. */
#pragma once
#include "base/env.h"
#include "config/config.h"
#include "spool/spool.h"

struct channel;
struct conn_pool;
enum world_parts { WORLD_SPOOL = 1, WORLD_HINTS = 2, WORLD_RESOLVER = 4, WORLD_TLS = 8, WORLD_POOL = 16 };

struct world {
	struct env env;         /* of the main thread */
	struct config *config;  /* the current snapshot; one reference */
	struct arena *arena;    /* texts made from the configuration; replaced with it */
	struct spool *spool;
	struct conn_pool *conns;
	struct channel *agent_hub; /* to the agent process, NULL = none */
	unsigned parts;
};

/* The log as the configuration has it. */
void world_configure_log(struct world *w);
/* Open the parts asked for. Lazy ones (resolver) cost nothing until used. */
bool world_open(struct world *w, unsigned parts, struct why *why);
/* After a reload: what open parts take from the new configuration. */
void world_reconfigure(struct world *w);
void world_close(struct world *w);
/* A thread's env: shares all that is safe to share; own scratch arena and lookup cache. */
void world_thread_env(const struct world *w, struct env *ret);
void world_thread_env_done(struct env *env);
