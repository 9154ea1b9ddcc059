/* SPDX-License-Identifier: Apache-2.0
 * Requests to the agent and its replies as bytes: both directions of each, so that the two ends
 * share one truth. */
#pragma once
#include "ipc/agent.h"

enum { MSG_AGENT_REQUEST = 0x4101, MSG_AGENT_REPLY = 0x4102 };

struct agent_request {
	enum agent_task task;
	struct agent_who who;
	int64_t timeout_ms;
	struct str payload;
};
struct agent_reply {
	enum status status;
	struct why why;
	struct str payload;
};

void agent_request_pack(struct strbuf *sb, const struct agent_request *q);
/* False if malformed. Texts point into `payload`. */
bool agent_request_unpack(struct str payload, struct agent_request *ret);
void agent_reply_pack(struct strbuf *sb, const struct agent_reply *p);
bool agent_reply_unpack(struct str payload, struct agent_reply *ret);

/* The child's life, from fork to _exit (ipc/agent_child.c). `out`: where the reply is written, as
 * a length (u32) and a packed agent_reply. */
__attribute__((noreturn)) void agent_child(const struct agent_server *s, const struct agent_row *row,
    const struct agent_request *q, const int *fds, unsigned nfds, int out);
