/* SPDX-License-Identifier: Apache-2.0
 * Sees: requests of the courier and the receivers (who, which task, payload not interpreted), and
 * descriptors passed through to children. It parses nothing from the network and reads no message.
 * Privilege: root where the program has it; it cannot be jailed tighter than what its children
 * need, because a local delivery may be any command of any user. */
#include "daemon/proc_agent.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "ipc/agent.h"
#include "route/route.h"
#include "transport/transport.h"
#include "base/banned.h"

enum { HUB_ATTACH = 1 };

static void serve(const struct world *w, int fd)
{
	struct agent_row rows[4];
	size_t n = 0;
	rows[n++] = transport_agent_row;
	for (size_t i = 0; i < countof(route_agent_rows); i++)
		rows[n++] = route_agent_rows[i];
	const struct id_list *never = &w->config->main.never_users;
	/* Root is never delivered to (manual 4, FIXED_NEVER_USERS), whatever never_users says. */
	int32_t ids[256] = {0};
	size_t ids_n = 1;
	for (size_t i = 0; i < never->count && ids_n < countof(ids); i++)
		ids[ids_n++] = never->id[i];
	struct env env = w->env;
	struct agent_server s = {.env = &env,
	    .config = w->config,
	    .rows = rows,
	    .row_count = n,
	    .never_uids = ids,
	    .never_count = ids_n};
	agent_serve(&s, fd);
}

void agent_hub(const struct world *w, int hub_fd)
{
	struct channel *c = channel_new(hub_fd);
	struct arena *a = arena_new("hub", LIMIT_ARENA_SCRATCH, 0, 0);
	struct frame f;
	signal(SIGCHLD, SIG_IGN); /* servers end by themselves */
	prctl(PR_SET_NAME, "exm-agent");
	while (channel_recv(c, a, -1, &f) == ST_OK) {
		if (f.type == HUB_ATTACH && f.fds == 1 && fork() == 0) {
			signal(SIGCHLD, SIG_DFL);
			close(hub_fd);
			serve(w, f.fd[0]);
			_exit(0);
		}
		frame_close_fds(&f);
		arena_reset(a);
	}
}

static void quiet_standard_files(bool keep_stderr)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		_exit(71);
	dup2(null, 0);
	dup2(null, 1);
	if (!keep_stderr)
		dup2(null, 2);
}

bool agent_process_start(struct world *w, struct why *why)
{
	int pair[2];
	if (channel_pair(pair) != ST_OK) {
		why_set(why, true, "cannot make a channel to the agent");
		return false;
	}
	pid_t pid = fork();
	if (pid < 0) {
		why_set(why, true, "cannot fork the agent");
		return false;
	}
	if (pid == 0) {
		close(pair[0]);
		setsid();
		quiet_standard_files(w->env.debug != 0);
		agent_hub(w, pair[1]);
		_exit(0);
	}
	close(pair[1]);
	w->agent_hub = channel_new(pair[0]);
	if (agent_process_attach(w))
		return true;
	why_set(why, true, "cannot reach the agent");
	return false;
}

/* A channel to a server of its own, asked of the hub; -1: it is not there. */
static int hub_attach(void *arg)
{
	struct channel *hub = arg;
	int pair[2];
	if (!hub || channel_pair(pair) != ST_OK)
		return -1;
	enum status st = channel_send(hub, HUB_ATTACH, 0, STR(""), &pair[1], 1);
	close(pair[1]);
	if (st == ST_OK)
		return pair[0];
	close(pair[0]);
	return -1;
}

bool agent_process_attach(struct world *w)
{
	int fd = hub_attach(w->agent_hub);
	struct agent *client = agent_client_new(fd);
	agent_client_attach_by(client, hub_attach, w->agent_hub, false);
	__atomic_store_n(&w->env.agent, client, __ATOMIC_RELEASE);
	return fd >= 0;
}

void agent_process_replace(struct world *w, int hub_fd)
{
	struct channel *old = w->agent_hub;
	w->agent_hub = channel_new(hub_fd);
	agent_client_attach_by(w->env.agent, hub_attach, w->agent_hub, true);
	channel_close(old);
}
