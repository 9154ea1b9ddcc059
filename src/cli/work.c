/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/work.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/proc_agent.h"
#include "base/banned.h"

enum deliver_outcome work_deliver(struct program *p, struct str queue, struct str id, unsigned flags,
    struct str only_sender, struct str only_recipient)
{
	struct deliver_job job = {.config = p->world.config,
	    .env = &p->world.env,
	    .spool = p->world.spool,
	    .pool = p->world.conns,
	    .queue_name = queue,
	    .id = id,
	    .flags = flags | (p->args->no_delivery ? DELIVER_DONT : 0),
	    .cancelled_by = p->id.login,
	    .only_sender = only_sender,
	    .only_recipient = only_recipient};
	if (p->args->verbose)
		fprintf(stderr, "delivering %.*s\n", STR_ARG(id));
	return deliver_message(&job);
}

/* A child of its own session does the delivery, so that the caller may go away. The agent's
 * channel is not shared: the child starts with a connection of its own. */
void work_deliver_background(struct program *p, struct str queue, struct str id, unsigned flags)
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		log_write(p->world.env.log, LOGTO_MAIN | LOGTO_PANIC, id, "failed to fork for delivery: the message stays queued");
		return;
	}
	if (pid > 0)
		return;
	setsid();
	agent_process_attach(&p->world);
	/* Standard input and output belong to the caller: a pipe reader must see its end. */
	if (!freopen("/dev/null", "r", stdin) || !freopen("/dev/null", "w", stdout))
		_exit(1);
	if (!p->args->debug_set)
		(void)!freopen("/dev/null", "w", stderr);
	work_deliver(p, queue, id, flags, STR_NONE, STR_NONE);
	world_close(&p->world);
	_exit(0);
}
