/* SPDX-License-Identifier: Apache-2.0
 * agent: acting as a given user. A tiny root process (daemon: its own; without a daemon: forked
 * by cli/ before privileges are dropped) takes a task, forks, becomes the user, runs the task's
 * handler, and passes back its answer. The parent never reads message data.
 * What a task does is registered by upper rooms (transport: deliver; route: read .forward ...):
 * the handler runs in the child only, with the same configuration snapshot.
 * Where the program has no privilege, tasks for our own uid still work; others fail with EPERM. */
#pragma once
#include "base/env.h"
#include "base/status.h"
#include "ipc/channel.h"

enum agent_task {
	AGENT_DELIVER,   /* a local transport for a batch of addresses (transport/local.c) */
	AGENT_READ_FILE, /* a file as the user: .forward, include lists (route/) */
	AGENT_STAT,      /* require_files, exists as the user */
	AGENT_FILTER,    /* run a user's filter file */
	AGENT_COMMAND,   /* argv with stdin text, output back: queryprogram, ${run, transport filter */
	AGENT_PAM,       /* a password check */
	AGENT_TASKS
};

struct agent_who {
	int32_t uid, gid;
	bool initgroups;     /* supplementary groups of uid's login */
	struct str home, cwd;
	struct str login;    /* for initgroups; unset = getpwuid */
	uint32_t umask;
};

/* Runs in the child, already as the user. Fill `reply` (bounded by LIMIT_IPC_FRAME).
 * fds are those passed with the request. */
typedef void (*agent_handler)(struct env *env, const void *config, struct str request, const int *fds,
    unsigned nfds, struct strbuf *reply);
struct agent_row {
	enum agent_task task;
	agent_handler run;
	/* never_uids does not apply: tasks that deliver nothing (a file read, a password check). */
	bool never_exempt;
	/* Programs that it runs may be set-uid or set-gid (pipes to mailing list wrappers, PAM's
	 * helpers); without it the child has no-new-privileges. */
	bool may_gain;
};

/* Client side. Blocks until the child is done or timeout (ms, 0 = none; then it is killed:
 * ST_TIMEOUT). reply lives in `a`. Threads: any. */
must_check enum status agent_call(struct agent *ag, struct arena *a, enum agent_task task, const struct agent_who *who,
    struct str request, const int *fds, unsigned nfds, int64_t timeout_ms, struct str *ret_reply, struct why *why);
/* A client on a channel to the agent process. */
struct agent *agent_client_new(int channel_fd);
void agent_client_free(struct agent *ag);
/* Where channels come from when there is none or the last broke: a descriptor, or -1. Called with
 * the client locked, so by one thread at a time. renew: new calls take a new channel; those under
 * way keep theirs, which is closed behind the last of them. Threads: any. */
void agent_client_attach_by(struct agent *ag, int (*attach)(void *arg), void *arg, bool renew);

/* Server side: serve a channel until it closes (the body of the agent process). rows: by task.
 * never_users is checked here as well (manual 14): the last door before a uid is taken. */
struct agent_server {
	struct env *env;
	const void *config;
	const struct agent_row *rows;
	size_t row_count;
	const int32_t *never_uids;
	size_t never_count;
};
/* At most AGENT_CHILDREN at work at once, the rest waits its turn. The process must be
 * single-threaded (it forks). Children: descriptors 0 and 1 are /dev/null, 2 is ours, the rest of
 * ours is closed; the environment is HOME, LOGNAME, USER, PATH, SHELL and TZ; a process group of
 * their own, killed whole at the timeout, which counts from the child's start. */
#define AGENT_CHILDREN 64
void agent_serve(const struct agent_server *s, int channel_fd);
