/* SPDX-License-Identifier: Apache-2.0
 * What all processes of a daemon count together, in memory they share: connections at once in all
 * and per host (smtp_accept_max*, manual 14). Threads and processes: any. */
#pragma once
#include "base/attr.h"
#include "net/addr.h"

struct counters;
struct counters *counters_new(void);
/* A connection begins: numbers including it are returned. */
void counters_enter(struct counters *c, const struct ip_addr *host, unsigned *ret_all, unsigned *ret_host);
void counters_leave(struct counters *c, const struct ip_addr *host);
unsigned counters_connections(const struct counters *c);
/* A receiver died: forget the connections it held. */
void counters_forget(struct counters *c, unsigned receiver);
/* Which receiver this process is (0..63), so that its share can be forgotten. */
void counters_be(struct counters *c, unsigned receiver);
