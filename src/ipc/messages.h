/* SPDX-License-Identifier: Apache-2.0
 * Every message between our processes: one row a type; encode and decode of those with a payload
 * stand together in messages.c, so both ends share one truth. (Requests to the agent: ipc/agent.h.) */
#pragma once
#include "ipc/channel.h"

enum message_type {
	IPC_QUEUED = 16,    /* receiver -> courier: a message is durable */
	IPC_PEER,           /* master -> receiver: here is a channel to the (new) courier; -> courier: one to a receiver (fd) */
	IPC_CONFIG,         /* master -> all: new configuration text (fd of a sealed memfd) */
	IPC_LISTEN,         /* master -> receiver: listen on this too after IPC_CONFIG (fd) */
	IPC_STOP,           /* master -> all: finish what is under way, then exit 0 */
	IPC_RUN_QUEUE,      /* master -> courier: a queue run is due; control -> courier: -q etc. */
	IPC_AGENT,          /* master -> receiver, courier: attach to the new agent (its hub channel, fd) */
	IPC_READY,          /* child -> master: jailed and at work */
	IPC_TYPES
};

/* IPC_QUEUED */
struct msg_queued {
	struct str id, queue;
	uint32_t how; /* enum receive_how */
};
/* IPC_LISTEN */
struct msg_listen {
	uint32_t index;
	bool tls_on_connect, last;
};
/* IPC_RUN_QUEUE: the letters of -q and the selection of -R/-S. */
struct msg_run_queue {
	struct str queue, sender, recipient;
	uint32_t flags; /* enum run_queue_flags */
};
enum run_queue_flags { RUN_FORCE = 1, RUN_FORCE_FROZEN = 2, RUN_FIRST_ONLY = 4, RUN_LOCAL_ONLY = 8, RUN_TWO_PHASE = 16 };

void msg_queued_put(struct strbuf *sb, const struct msg_queued *m);
bool msg_queued_get(struct str payload, struct msg_queued *ret);
void msg_listen_put(struct strbuf *sb, const struct msg_listen *m);
bool msg_listen_get(struct str payload, struct msg_listen *ret);
void msg_run_queue_put(struct strbuf *sb, const struct msg_run_queue *m);
bool msg_run_queue_get(struct str payload, struct msg_run_queue *ret);
