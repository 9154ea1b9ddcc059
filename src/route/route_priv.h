/* SPDX-License-Identifier: Apache-2.0
 * Between the files of route/: what load time computed, the steps that drivers share. */
#pragma once
#include "ipc/agent.h"
#include "net/addr.h"
#include "route/route.h"

/* errno values of our own, as they stand in "defer (-N)" of the log and in the retry database. */
enum route_errno {
	ROUTE_ERR_UNKNOWN = -1,
	ROUTE_ERR_REDIRECT = -17,   /* error in redirect or filter data */
	ROUTE_ERR_NO_TRANSPORT = -30,
	ROUTE_ERR_UNKNOWN_HOST = -32,
	ROUTE_ERR_DNS_DEFER = -36
};

/* cfg->compiled_routers. */
struct route_compiled {
	const struct ip_addr *local; /* our addresses: interfaces and extra_local_interfaces */
	size_t locals;
};
static inline const struct router_generic *router_generic(const struct driver_instance *di)
{
	return di->generic;
}

/* Set the message of a deferral and say so. */
enum route_verdict route_defer(struct route_job *job, struct address *ad, const char *fmt, ...) printf_like(3, 4);
enum route_verdict route_fail(struct route_job *job, struct address *ad, const char *fmt, ...) printf_like(3, 4);
/* Verifying is one of the three verify purposes but EXPN. */
static inline bool route_verifying(const struct route_job *job)
{
	return job->purpose == ROUTE_VERIFY_RECIPIENT || job->purpose == ROUTE_VERIFY_SENDER;
}

/* precond.c: the preconditions of manual 3.12. */
enum precond { PRECOND_RUN, PRECOND_SKIP, PRECOND_DEFER };
enum precond route_preconditions(struct route_job *job, const struct driver_instance *di, struct address *ad);

/* require_files.c */
enum precond route_require_files(struct route_job *job, const struct driver_instance *di, struct address *ad);

/* steps.c */
/* Find a user or group by option; true also when the option is unset (*ret stays as it is). */
bool step_find_user(struct route_job *job, const struct driver_instance *di, const struct xuser *opt, const char *where,
    int32_t *ret_uid, int32_t *ret_gid, struct address *ad);
bool step_find_group(struct route_job *job, const struct driver_instance *di, const struct xuser *opt, int32_t *ret_gid, struct address *ad);
/* uid, gid, home, current directory and initgroups for a local delivery. */
enum route_verdict step_identity(struct route_job *job, const struct driver_instance *di, struct address *ad);
/* errors_to, headers_add, headers_remove, transport, in this order; ROUTE_ACCEPT or a deferral. */
enum route_verdict step_common(struct route_job *job, const struct driver_instance *di, struct address *ad);
/* The transport by the generic option; *ret NULL when it is unset. */
enum route_verdict step_transport(struct route_job *job, const struct driver_instance *di, const struct xstr *option,
    const char *option_name, struct address *ad, const struct driver_instance **ret);
/* Everything that follows when a router accepts for a transport, hosts being set. */
enum route_verdict step_queue(struct route_job *job, const struct driver_instance *di, struct address *ad,
    const struct driver_instance *transport);
/* The first host is ourselves: what `self` says. ROUTE_ACCEPT = go on ("send"). */
enum route_verdict step_self(struct route_job *job, const struct driver_instance *di, struct address *ad, const struct route_host *host);
/* The address's domain becomes `domain`; a child is made and routed anew. */
enum route_verdict step_change_domain(struct route_job *job, const struct driver_instance *di, struct address *ad,
    struct str domain, bool rewrite);
/* Copy the routing of ad to other unrouted addresses of the same domain (same_domain_copy_routing). */
void step_same_domain(struct route_job *job, const struct driver_instance *di, struct address *ad);
/* Append children to job->new_addresses. */
void route_push(struct route_job *job, struct address *child);

/* hostlist.c: text of a list of hosts with ports and "+" groups into hosts without addresses. */
struct route_host *hostlist_build(struct route_job *job, struct str text, bool randomize);
/* "host:port", "[ip]:port", "ip": the port is cut off; 0 = none. */
int hostlist_port(struct str *item);
/* How one name of a host list is looked up: address records, the system's way, or both in turn. */
enum name_method { METHOD_DNS_THEN_NAME, METHOD_DNS, METHOD_NAME };
/* Give host *at its addresses: it becomes one entry per address, ignored ones left out (removed
 * from the list when none is left). HOST_FOUND_LOCAL: one of them is ours. Nothing changes when
 * it has an address already, but for the local and ignore checks. */
enum host_lookup host_resolve(struct route_job *job, struct route_host **at, const struct host_find_opts *o,
    enum name_method method, struct why *why);
/* Is the name or address ours, by interfaces and hosts_treat_as_local. */
bool host_is_ours(struct route_job *job, const struct route_host *h);

/* user_file.c: reading as a user through the agent. */
struct user_file {
	struct str path;
	int32_t uid, gid;     /* -1 = as we are */
	size_t max;
};
struct user_file_answer {
	int errnum;           /* 0 = text is there */
	struct str text;
	uint32_t mode;
	int32_t uid, gid;
	bool not_regular;
	bool too_big;
	int parent_errnum;    /* ENOENT: what stat of the folder said */
};
enum status user_file_read(struct env *env, struct arena *a, const struct user_file *uf, struct user_file_answer *ret, struct why *why);
/* stat as the user: errno or 0. */
enum status user_file_stat(struct env *env, struct arena *a, const struct user_file *uf, int *ret_errno, struct why *why);
