/* SPDX-License-Identifier: Apache-2.0
 * Outgoing connections that wait for the next message: ready for MAIL, known by all that makes
 * them what they are (key). Courier-wide. Threads: any; a connection that was taken out belongs
 * to who took it. */
#pragma once
#include "base/list.h"
#include "smtp/client.h"
#include "transport/transport.h"

struct conn {
	struct list link;
	struct arena *arena;   /* lives as long as the connection */
	struct stream *stream;
	struct smtp_client client;
	struct str key, host, address, sending_ip, auth_name;
	int port, sending_port;
	unsigned messages;     /* begun on it */
	bool tls, authenticated, reused, need_rset, max_reached;
	int64_t idle_since_ms;
};
struct conn *conn_new(struct stream *s);
/* QUIT, if it still makes sense, and close. Accepts NULL. */
void conn_quit(struct conn *c);
/* The same, and hears the answer (at most a second): the server is done with us then. */
void conn_quit_wait(struct conn *c);
/* Close without a word. */
void conn_drop(struct conn *c);
/* One that is idle, alive (nothing to read, not hung up) and of this key, or NULL. */
struct conn *conn_pool_take(struct conn_pool *p, struct str key);
/* Give it back; past the limits the one idle longest is closed. */
void conn_pool_give(struct conn_pool *p, struct conn *c);
