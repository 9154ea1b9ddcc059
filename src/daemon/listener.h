/* SPDX-License-Identifier: Apache-2.0
 * Where the daemon listens (manual 13): local_interfaces, daemon_smtp_ports, -oX, tls_on_connect. */
#pragma once
#include "daemon/world.h"
#include "net/addr.h"

#define LISTENERS_MAX 64
struct listener {
	struct ip_addr ip;
	int port;
	bool any;            /* 0.0.0.0 or ::0 */
	bool tls_on_connect;
};
struct listeners {
	struct listener l[LISTENERS_MAX];
	size_t count;
};
/* override: -oX, unset = none. False with Exim's kind of text in why. */
bool listeners_read(struct world *w, struct str override, bool tls_on_connect, struct listeners *ret, struct why *why);
/* One socket of each for one receiver (all share the port). fds[count]. Retries as daemon_startup_retries says. */
bool listeners_bind(struct world *w, const struct listeners *ls, int *ret_fds, struct why *why);
/* "listening for SMTP on port 25 (IPv6 and IPv4)" for the log. */
struct str listeners_describe(struct arena *a, const struct world *w, const struct listeners *ls);
