/* SPDX-License-Identifier: Apache-2.0
 * env: what a piece of work may ask of the world outside its arguments: time, log, randomness,
 * names, hints, acting as a user. One per thread or process, made by daemon/ or cli/, or by a
 * test with its own clock and resolver. The pointers belong to who made it. */
#pragma once
#include "base/clock.h"
#include "base/log.h"

struct resolver;     /* net/resolver.h */
struct hints;        /* hints/hints.h */
struct agent;        /* ipc/agent.h: acting as a user */
struct lookup_cache; /* lookup/lookup.h: open files and connections of this thread */
struct tls_pool;     /* net/tls.h: contexts by their settings */
struct courier_link; /* receive/handover.h: who is told of a new message */

struct env {
	struct clock clock;
	struct log *log;
	struct arena *scratch; /* per thread; mark and release around use */
	struct resolver *resolver;
	struct hints *hints;
	struct agent *agent;
	struct lookup_cache *lookups;
	struct tls_pool *tls;
	struct courier_link *courier;
	uint32_t (*random)(struct env *env);
	unsigned debug;  /* -d selector bits, 0 = off */
	int debug_fd;    /* where debug text goes */
	int32_t real_uid, real_gid; /* the caller's */
	int32_t exim_uid, exim_gid; /* the mail user's */
	bool privileged; /* the program can change user (itself root, or an agent that is) */
};

/* A system environment: real clock and randomness, everything else unset. */
void env_init(struct env *env);
