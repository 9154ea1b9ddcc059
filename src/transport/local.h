/* SPDX-License-Identifier: Apache-2.0
 * Local deliveries: the parent's side (transport/local.c), who they run as (user.c), what travels
 * to the agent's child and back (msg_deliver.c), the child's side (child.c). */
#pragma once
#include "transport/transport.h"

/* The user, group and directories of a batch (manual 23). False: all addresses have results. */
bool local_who(struct delivery *d, struct agent_who *ret);
void local_run(struct delivery *d);
/* Run a filter through the agent, for a remote transport. */
bool local_filter(struct delivery *d, const char *const *argv, int in_fd, int out_fd, int64_t timeout_ms, struct why *why);
/* In the child (filter.c). */
bool filter_spawn(const char *const *argv, int in_fd, int out_fd, int64_t timeout_ms, struct why *why);

enum deliver_request_kind { DELIVER_REQUEST_RUN = 1, DELIVER_REQUEST_FILTER = 2 };
struct deliver_request {
	enum deliver_request_kind kind;
	struct str transport, return_path, header; /* header unset: it comes as the second descriptor */
	int64_t body_offset, body_size, start_us, message_size; /* message_size: what -H does not say */
	bool shadow;
	int8_t deliver_firsttime;
	struct str prepared[TRANSPORT_PREPARED];
	struct address *addresses;
	/* FILTER: */
	const char *const *argv;
	int64_t timeout_ms;
};
void deliver_request_pack(struct strbuf *sb, const struct deliver_request *q);
bool deliver_request_unpack(struct arena *a, struct str payload, struct deliver_request *ret);
/* Results of the addresses, in order, then log entries (where, text). */
struct deliver_reply {
	struct str log, submissions;
};
void deliver_reply_pack(struct strbuf *sb, const struct address *addresses, const struct deliver_reply *p);
bool deliver_reply_unpack(struct arena *a, struct str payload, struct address *addresses, struct deliver_reply *ret);
void deliver_log_pack(struct strbuf *sb, unsigned where, struct str text);
/* Write the entries that came back. */
void deliver_log_write(struct delivery *d, struct str log);
