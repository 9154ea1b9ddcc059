/* SPDX-License-Identifier: Apache-2.0
 * Routers (manual chapters 3, 15-22): address in, verdict and next addresses out. */
#pragma once
#include "base/env.h"
#include "expand/expand.h"
#include "ipc/agent.h"
#include "route/address.h"

/* What a router answers; and what routing one address through all of them answers. */
enum route_verdict { ROUTE_ACCEPT, ROUTE_DECLINE, ROUTE_PASS, ROUTE_DISCARD, ROUTE_FAIL, ROUTE_DEFER, ROUTE_REROUTED };

enum route_purpose { ROUTE_DELIVER, ROUTE_VERIFY_RECIPIENT, ROUTE_VERIFY_SENDER, ROUTE_VERIFY_EXPN, ROUTE_TEST };

/* Generic options of a router, every row of route/generic_options.def (manual 15). */
#define OPT(name, TYPE, field, def, flags, doc) OPT_CTYPE_##TYPE field;
#define OPT_NONE(name, TYPE, def, flags, doc)
struct router_generic {
#include "route/generic_options.def"
	const struct driver_instance *pass_router_di, *redirect_router_di, *transport_di;
};
#undef OPT
#undef OPT_NONE

/* One routing job: all that routers need beside the address. */
struct spool_msg;
struct route_job {
	const struct config *config;
	struct env *env;
	struct arena *arena;
	struct message *message;   /* NULL when only an address is tested */
	struct peer *peer;
	struct eval *eval;         /* views are set per address */
	enum route_purpose purpose;
	int body_fd; int64_t body_offset, body_size;
	bool callout_follows;
	int trace_fd;              /* -bt/-bv -d output; -1 = none */
	struct spool_msg *spool_msg; /* for filters; NULL = none */
	struct address *new_addresses; /* children made, to be routed in turn */
	/* Asked before an address is routed (retry times, held domains); false: it has set state and
	 * message, and the address goes to `deferred` or `failed`. NULL = no question. */
	bool (*before)(struct route_job *job, struct address *ad); void *before_arg;
	/* Told of each address as its routing ends, in the order in which that happens; NULL =
	 * nobody. What failed, was deferred or discarded is then his, and on no list. */
	void (*routed)(struct route_job *job, struct address *ad);
	/* Send a short message of the system to `to` (syntax_errors_to); NULL = cannot. */
	void (*send_note)(struct route_job *job, struct str to, struct str subject, struct str text); void *note_arg;
	bool headers_changed;      /* a router rewrote header lines of the message */
	struct address *local, *remote, *failed, *deferred, *done; /* where route_address puts results */
};
struct router_driver {
	struct driver_info info; /* first */
	/* May set ad->transport, hosts, state; children go to job->new_addresses. */
	enum route_verdict (*run)(struct route_job *job, const struct driver_instance *di, struct address *ad);
	/* False: skipped for a child of which any ancestor went through it (redirect's repeat_use). NULL = true. */
	bool (*repeat_use)(const struct driver_instance *di);
};
/* All drivers; rows of route/drivers.def. */
extern const struct driver_family route_family;

/* Route one address (preconditions, drivers, pass, more, unseen, self, redirections pushed to
 * job->new_addresses). The verdict is stored in the address's state/message too. */
enum route_verdict route_address(struct route_job *job, struct address *ad);
/* Route a list with all the children, until nothing is new; duplicates merged by `unique`. The
 * results stand on the job's lists, last one first, as Exim takes them for delivery. */
void route_all(struct route_job *job, struct address *list);
/* Address rewriting (manual 31): envelope and headers by "begin rewrite"; flags as there. */
enum rewrite_where { REWRITE_TO = 1, REWRITE_FROM = 2, REWRITE_CC = 4, REWRITE_BCC = 8, REWRITE_REPLY_TO = 16, REWRITE_SENDER = 32, REWRITE_ENV_FROM = 64, REWRITE_ENV_TO = 128, REWRITE_SMTP = 256, REWRITE_TRANSPORT = 512 };
struct rewrite_rules;
bool rewrite_compile(struct config *cfg, struct env *env, struct why *why);
/* One bare address at one place (REWRITE_ENV_FROM, REWRITE_ENV_TO, REWRITE_SMTP: the raw argument). */
struct str rewrite_one(struct eval *ev, struct str address, unsigned which, bool *ret_changed);
/* All header lines of m by the main rules; what was stays as HDR_OLD before what is. */
void rewrite_headers(struct eval *ev, struct message *m);
/* A transport's headers_rewrite: a colon list of rules, parsed once into `a`; NULL with why. */
const struct rewrite_rules *rewrite_parse_list(struct arena *a, const struct config *cfg, struct str text, struct why *why);
/* One header line by rules: true with the new text ("Name: ...\n") if it changed. */
bool rewrite_header_line(struct eval *ev, const struct rewrite_rules *rules, const struct header *h, struct str *ret_text);
/* -brw: the eight lines, to out. */
void rewrite_test(struct eval *ev, struct str address, struct strbuf *out);
bool route_compile(struct config *cfg, struct env *env, struct why *why);

/* Host lists: add, sort by MX, look up addresses, drop ourselves ("self"). Used by dnslookup, manualroute, smtp hosts=. */
enum host_lookup { HOST_FOUND, HOST_FOUND_LOCAL, HOST_NOT_FOUND, HOST_LOOKUP_DEFER, HOST_NULL_MX, HOST_ALL_IGNORED };
struct host_find_opts {
	const struct xstr *ignore_target_hosts;
	bool allow_mx, by_dns_a, by_name, same_domain_copy, dnssec_request, dnssec_require, qualify_single, search_parents;
	struct str srv_service; bool check_secondary_mx, ipv4_only, ipv4_prefer;
	const struct xstr *mx_fail_domains, *srv_fail_domains, *mx_domains;
};
enum host_lookup host_find(struct route_job *job, struct str name, const struct host_find_opts *o, struct route_host **ret, struct str *ret_fqdn, struct why *why);
bool host_is_local(struct env *env, const struct config *cfg, struct str ip_text);
/* log_as_local: deliveries show the local part only. */
static inline bool router_logs_as_local(const struct driver_instance *router)
{
	return ((const struct router_generic *)router->generic)->log_as_local;
}

/* The agent's rows of this room: AGENT_READ_FILE (read or stat a file as a user). */
extern const struct agent_row route_agent_rows[1];
