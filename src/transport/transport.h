/* SPDX-License-Identifier: Apache-2.0
 * Transports (manual chapters 24-30): a message and addresses in, a result per address out.
 * Local ones run in the agent's child as the user; remote ones in the courier. */
#pragma once
#include "expand/expand.h"
#include "ipc/agent.h"
#include "route/address.h"
#include "spool/spool.h"

#define OPT(name, TYPE, field, def, flags, doc) OPT_CTYPE_##TYPE field;
#define OPT_NONE(name, TYPE, def, flags, doc)
struct transport_generic {
#include "transport/generic_options.def"
	const struct driver_instance *shadow_di;
};
#undef OPT
#undef OPT_NONE

enum { TRANSPORT_PREPARED = 8 };

/* One delivery: a batch of addresses that go together to one transport. */
struct retry_moment;
struct delivery {
	const struct config *config;
	struct env *env;
	struct arena *arena;
	const struct driver_instance *transport;
	struct message *message;
	struct spool_msg *spool_msg;   /* NULL in the agent's child: use body_* */
	int body_fd; int64_t body_offset, body_size;
	struct address *addresses;     /* results are written into them */
	struct eval *eval;
	struct out_view out;
	struct str return_path;
	struct conn_pool *pool;        /* idle connections of the courier; NULL = none */
	const struct retry_moment *retry; /* hosts are asked and noted here; NULL = no retry records (queue/retry_db.h) */
	bool dont_deliver;             /* -N */
	bool test_only;
	bool shadow;                   /* runs as another transport's shadow */
	/* What the driver's prepare expanded in the parent, for its run in the child (quota: manual 26). */
	struct str prepared[TRANSPORT_PREPARED];
	int64_t start_us;              /* when the transport began: QT, DT of the log */
	/* In the child: log entries and messages to be sent (autoreply, quota warnings) travel with the reply. */
	struct strbuf *log_to, *submit_to;
	struct spool *spool;           /* where such messages go; NULL = none can be sent */
	void (*submitted)(struct delivery *d, const struct message *m); void *submitted_arg; /* told of each; may be NULL */
	void (*msglog)(struct delivery *d, struct str line); void *msglog_arg; /* a line for the message's own log; may be NULL */
	void (*event)(struct delivery *d, const char *name, struct str data);
};
struct transport_driver {
	struct driver_info info; /* first */
	bool local;              /* runs as a user */
	/* Results go to each address: state, message, basic_errno, ... */
	void (*run)(struct delivery *d);
	/* In the parent before becoming the user; may be NULL. false = defer, text in why. */
	bool (*prepare)(struct delivery *d, struct why *why);
	/* Runs as who submitted the message (pipe_as_creator); may be NULL. */
	bool (*as_creator)(const struct driver_instance *di);
	/* How many addresses go together, and the batch_id option; NULL: transport_max_rcpt says. */
	int (*batch)(const struct driver_instance *di, const struct xstr **ret_batch_id);
	/* For remote drivers: most addresses of a run (0 = no limit); whether two may go together. */
	int (*max_rcpt)(const struct driver_instance *di, struct eval *ev);
	bool (*can_share)(const struct driver_instance *di, struct eval *ev, const struct address *a, const struct address *b);
	/* A 4xx to RCPT delays sender and recipient together (retry_key_rcpt); NULL: it never comes to that. */
	bool (*retry_includes_sender)(const struct driver_instance *di);
	/* Most time a local run may take, in ms; 0 = no limit. NULL: ten minutes. */
	int64_t (*time_limit_ms)(const struct driver_instance *di);
};
_Static_assert(offsetof(struct transport_driver, local) == offsetof(struct transport_head, local), "head of a transport driver");
extern const struct driver_family transport_family;
static inline const struct transport_driver *transport_driver_of(const struct driver_instance *di)
{
	return (const struct transport_driver *)(const void *)di->driver; /* info is its first member */
}

/* Deliver a batch: runs remote drivers here, local ones through env->agent as their user
 * (manual 23), with shadow transports. Results are in the addresses. */
void transport_run(struct delivery *d);
/* The agent's row for AGENT_DELIVER. */
extern const struct agent_row transport_agent_row;

/* The message as one transport sends it: headers with Return-path:, Envelope-to:, Delivery-date:,
 * headers_add/remove/rewrite of router and transport, body, size limits, check_string (manual 24). */
struct message_output {
	struct delivery *delivery;
	unsigned flags; /* OUT_CRLF, OUT_DOTS, OUT_NO_HEADERS, OUT_NO_BODY ... */
	struct str check_string, escape_string;
	bool (*write)(void *arg, const char *p, size_t n); void *arg; /* false: failed, errno says why */
	int64_t written;  /* bytes handed to write */
	int lines;        /* LFs among them */
	const char *const *filter; /* transport_filter: argv, NULL = none (transport_filter_argv) */
};
enum output_flags { OUT_CRLF = 1, OUT_NO_HEADERS = 2, OUT_NO_BODY = 4, OUT_ENVELOPE_TO = 8, OUT_DELIVERY_DATE = 16, OUT_RETURN_PATH = 32,
	OUT_RAW = 64 /* line ends as they are stored: the caller converts them */ };
/* The flags that the generic options of d's transport ask for. */
unsigned transport_output_flags(const struct delivery *d);
/* One pass over headers and body. false: why->errnum is the errno of a failed read or write, or 0. */
bool transport_write_message(struct message_output *o, struct why *why);
/* Headers alone as they will be sent, with the empty line at their end; LF line ends. Unset: an
 * expansion failed, text in why. */
struct str transport_headers_text(struct delivery *d, unsigned flags, struct why *why);

/* Idle outgoing connections by destination (host address, port, transport, TLS terms): courier-wide. Threads: any. */
struct conn_pool *conn_pool_new(struct env *env, unsigned max_idle, int64_t idle_ms);
void conn_pool_free(struct conn_pool *p);
void conn_pool_tidy(struct conn_pool *p);
/* $inode, $mailstore_basename. */
extern const struct expand_var transport_vars[];
bool transport_compile(struct config *cfg, struct env *env, struct why *why);
/* How many addresses one run may take, and whether two addresses may share it (manual 25, 30 multi_domain, batch_id). */
int transport_max_rcpt(const struct driver_instance *t, struct eval *ev);
bool transport_can_share(const struct driver_instance *t, struct eval *ev, const struct address *a, const struct address *b);
