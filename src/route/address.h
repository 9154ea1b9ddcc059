/* SPDX-License-Identifier: Apache-2.0
 * An address on its way: from a recipient of the message, through routers (which may make
 * children of it), to a transport, to its result. Text lives in the delivery's arena. */
#pragma once
#include "config/config.h"
#include "expand/scope.h"
#include "message/message.h"

enum address_kind { ADDRESS_MAIL, ADDRESS_PIPE, ADDRESS_FILE, ADDRESS_DIRECTORY, ADDRESS_AUTOREPLY };

/* What became of it so far. */
enum address_state {
	ADDRESS_NEW,        /* to be routed */
	ADDRESS_ROUTED,     /* has a transport */
	ADDRESS_PARENT,     /* replaced by its children: done when they are */
	ADDRESS_DISCARDED,  /* :blackhole:, seen finish: counts as delivered */
	ADDRESS_DELIVERED,
	ADDRESS_DEFERRED,
	ADDRESS_FAILED
};

/* One host of a host list (remote deliveries). */
enum host_status { HOST_UNTRIED, HOST_USABLE, HOST_UNUSABLE_RETRY, HOST_UNUSABLE_EXPIRED, HOST_TRIED };
struct route_host {
	struct route_host *next;
	struct str name;
	struct str address;     /* text; unset = not yet looked up */
	int port;               /* 0 = the transport's */
	int mx;                 /* preference; -1 none; hosts of equal preference are shuffled */
	int sort_key;
	bool secure;            /* DNSSEC */
	enum host_status status;
	const void *tlsa;       /* DANE rows */
	size_t tlsa_count;
	struct str certname;
};

struct address;
struct address {
	struct address *next;          /* of whatever list it is on */
	struct address *parent, *first_child, *sibling;
	struct address *dup_of;        /* the same delivery as this one: shares its fate */
	int recipient;                 /* index in the message's recipients, -1 for errors_to etc. */
	enum address_kind kind;
	enum address_state state;
	struct str address;            /* current form: "local@domain", or "|command", "/file", ">reply" */
	struct str unique;             /* key for duplicates and the done map (prefix kept, domain folded) */
	struct addr_view view;         /* what expansions see: local part, domain, prefix, data ... */
	struct str cc_local_part, lc_local_part;
	/* From routers: */
	const struct driver_instance *router, *transport, *start_router;
	struct route_host *hosts, *fallback_hosts;
	struct str errors_to; bool errors_to_set; /* set and empty = ignore errors */
	struct str headers_add;        /* text, newline-terminated lines, appended per router */
	struct str headers_remove;     /* colon list of names, items not yet expanded (manual 15: at transport time) */
	int32_t uid, gid; bool uid_set, gid_set, initgroups;
	struct str home, current;      /* directories for local transports; `current` is expanded there */
	bool home_expanded;            /* `home` is final; else the transport expands it */
	struct str host_list;          /* manualroute to a local transport: its $host */
	int generation;                /* redirections so far */
	bool one_time, expand_file, allow_reply, file_fail_quietly;
	bool local_host_removed, seen_unseen;
	bool homonym;                  /* bears the name of an ancestor */
	bool hide_child;               /* hide_child_in_errmsg of the router that made it */
	bool bypassed;                 /* /dev/null: delivered without a transport */
	struct str prop_srs;
	uint8_t dsn_notify; struct str dsn_orcpt; bool dsn_lasthop, dsn_done;
	struct str reply_template; void *reply; /* ADDRESS_AUTOREPLY */
	struct str self_hostname;
	/* Result: */
	struct str message;            /* text for the log and the bounce */
	struct str user_message;       /* shown to the sender instead (expandable fail text) */
	int basic_errno, more_errno;   /* for retry rules: enum in queue/retry_rule.h */
	bool special_freeze, suppress_bounce;
	int retry_kind;                /* which retry key a failure concerns */
	struct str retry_key;
	struct route_host *host_used;
	struct str smtp_reply;         /* final response, for C="..." and DSN */
	struct str remote_mta, log_extra; /* H=.. X=.. parts already formatted */
	struct str tls_cipher, tls_peer_dn; bool tls_verified;
	int64_t done_us, transport_us; /* when, how long */
	int64_t sent_size;             /* bytes that went out, for S= ; 0 = not told */
	bool suppressed;               /* -N: not really delivered */
	bool log_affixes;              /* its transport has rcpt_include_affixes */
	bool settled;                  /* delivered, or answered by a bounce that is durable */
	struct str file_name;          /* appendfile: where it went */
	uint32_t log_flags;            /* ADDRESS_LOG_ */
	struct str shadow_message;     /* shadow transport that ran: "name" or "name (why not)", for ST= */
	struct str return_output;      /* what a command said, for the bounce (return_output of pipe) */
	uint8_t smtp_flags;            /* ADDRF_ */
};
/* The head of struct transport_driver (transport/transport.h asserts it): all that routing asks
 * of a transport. */
struct transport_head {
	struct driver_info info;
	bool local; /* runs as a user */
};
static inline bool transport_is_local(const struct driver_instance *t)
{
	return ((const struct transport_head *)(const void *)t->driver)->local;
}

enum address_flags {
	ADDRF_PIPELINING = 1, ADDRF_CHUNKING = 2, ADDRF_PRDR = 4, ADDRF_TLS_ON_CONNECT = 8,
	ADDRF_REUSED = 16, /* second or later message of a connection: "*" in the log */
	ADDRF_DSN_SENT = 32, /* the next host speaks DSN */
	ADDRF_QUIET_FAIL = 64
};

enum address_log_flags {
	ADDRESS_LOG_PANIC = 1,  /* its result goes to the panic log too */
	ADDRESS_LOG_NOTHING = 2, /* disable_logging */
	ADDRESS_RETRY_EXPIRED = 4 /* deferred, but every host is past its last retry cutoff: to be failed, "retry timeout exceeded" */
};

/* What a filter's mail or vacation command, or a router, wants sent (ADDRESS_AUTOREPLY: address.reply). */
struct address_reply {
	struct str from, reply_to, to, cc, bcc, subject, headers, text, file, logfile, oncelog;
	int64_t once_repeat;
	uint32_t mode;
	bool file_expand, return_message;
};

/* A new one from a recipient: split, views filled. */
struct address *address_new(struct arena *a, struct str text, int recipient);
/* A child that inherits what routers attached to its parent: data, variables, errors_to, headers. */
struct address *address_child(struct arena *a, struct address *parent, struct str text);
/* The same for "|command", "/file", "/directory/", ">reply". */
struct address *address_child_kind(struct arena *a, struct address *parent, struct str text, enum address_kind kind);
/* The address changed: fill local part, domain and unique anew. */
void address_split(struct arena *a, struct address *ad);
/* The log's form: "addr", "addr <original>", "|cmd <orig>" (manual 53.8, all_parents). */
struct str address_for_log(struct arena *a, const struct address *ad, bool all_parents);
/* The same for "=>" lines, where log_as_local leaves the domain out. */
struct str address_for_delivery_log(struct arena *a, const struct address *ad, bool all_parents);
struct str address_topmost(const struct address *ad);
/* A homonym got its transport: complete its unique name. */
void address_set_transport_key(struct arena *a, struct address *ad);
