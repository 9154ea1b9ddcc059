/* SPDX-License-Identifier: Apache-2.0
 * What the transport tests share: a configuration with transports, an agent to act as users, a
 * message with a body, and a scripted server to speak SMTP with. */
#pragma once
#include "test.h"
#include "transport/transport.h"

struct kit {
	struct env env;
	struct arena *a;
	struct config *cfg;
	struct message *m;
	struct eval ev;
	struct delivery d;
	struct spool *spool;
	int body_fd;
	char dir[64];  /* a temporary directory, removed at the end */
	int agent_pid, agent_fd;
	char log[65536]; /* what was logged */
	int log_fd;
};
/* text: the transports section, "%s" in it (once or more) being dir. The body has LF lines. */
void kit_open(struct kit *k, const char *transports, const char *body);
void kit_close(struct kit *k);
struct address *kit_address(struct kit *k, const char *text);
/* Run the transport for these addresses (already linked). */
void kit_run(struct kit *k, const char *transport, struct address *list);
/* The file's text, or unset. */
struct str kit_file(struct kit *k, const char *name);
const char *kit_log(struct kit *k);
void kit_host(struct kit *k, struct address *ad, int port);

/* A server that follows a script, one line a step:
 *   "S text"  send the line ("~" in it: a line end)        "C text"  the next line of the client must be this
 *   "D"       read data up to the dot, keep it      "B n"  read n bytes, keep them
 *   "X"       close, and accept the next connection
 * Ends (closing) when the script does. */
struct server {
	int listener, port;
	const char *script;
	char data[262144];
	size_t data_len;
	char wrong[512]; /* the first thing that was not as scripted; empty = all well */
	void *thread;
};
void server_start(struct server *s, const char *script);
/* Waits for its end; checks that all went by the script. */
void server_end(struct server *s);
