/* SPDX-License-Identifier: Apache-2.0
 * Receiving: the policy behind the SMTP callbacks, and local submission. Bytes in, a durable message out. */
#pragma once
#include "base/env.h"
#include "config/config.h"
#include "expand/expand.h"
#include "message/message.h"
#include "net/stream.h"
#include "smtp/server.h"
#include "spool/spool.h"

/* Told of each message that became durable: in the daemon it goes to the courier; without one the
 * command delivers it (or leaves it) itself. */
struct receive_sink {
	void (*queued)(void *arg, const struct message *m, unsigned how);
	/* ETRN, its argument without the "#": begin a queue run; false: one for it runs already. NULL: not possible. */
	bool (*etrn)(void *arg, struct str text);
	void *arg;
};
enum receive_how { RECEIVE_DELIVER = 1, RECEIVE_QUEUE_ONLY = 2, RECEIVE_QUEUE_SMTP = 4, RECEIVE_FROZEN = 8 };

/* One incoming SMTP session from connect to close: small, parks between commands. */
struct receive_session;
struct receive_opts {
	const struct config *config; /* one reference is taken */
	struct env *env;
	struct spool *spool;
	struct receive_sink sink;
	bool tls_on_connect;
	bool local;      /* -bs with standard input: caller facts below */
	bool batch;      /* -bS */
	bool test_host;  /* -bh: nothing is written, trace to stderr */
	bool test_callout; /* -bhc: and callouts are made */
	struct str sender_host_address; int sender_host_port; /* -bh, -oMa, inetd */
	struct str interface_address; int interface_port;
	struct local_caller *caller;
	unsigned connections, connections_from_host; /* at accept, for smtp_accept_* and $smtp counts */
	void *counters;  /* unused here: the daemon counts what its sink is told */
};
/* The stream stays the caller's: close it after receive_session_free. */
struct receive_session *receive_session_new(struct stream *s, const struct receive_opts *o);
enum smtp_run receive_session_start(struct receive_session *rs);
/* Bytes are there (or the park deadline passed: timed_out). */
enum smtp_run receive_session_resume(struct receive_session *rs, bool timed_out);
/* Another pool thread takes the session up: its env replaces the one it was made with. Nothing of
 * an env may be kept in a session that parks. */
void receive_session_use_env(struct receive_session *rs, struct env *env);
/* -bs, -bS: the status the command ends with (manual 5). */
int receive_session_exit_status(const struct receive_session *rs);
void receive_session_free(struct receive_session *rs);
int64_t receive_session_park_ms(const struct receive_session *rs);
size_t receive_session_footprint(const struct receive_session *rs);
void receive_session_shutdown(struct receive_session *rs);

/* Who calls, for local submission (manual 5, 48). */
struct local_caller {
	int32_t uid, gid;
	struct str login, gecos, cwd;
	bool admin, trusted;
	struct str sender;       /* -f */ bool sender_given;
	struct str full_name;    /* -F */
	struct str protocol, ident, auth_id, auth_name, auth_sender, host_name, host_address, interface_address, helo; /* -oM.. */
	int host_port, interface_port;
	int64_t received_s;      /* -oMs ..., 0 = now */
	bool dot_ends;           /* no -i */
	bool extract_recipients; /* -t */
	bool errors_to_stderr, error_mode_queue; /* -oem, -oee ... */
	char error_mode;         /* 'b','e','m','p','q','w' of -oe */
	bool dsn_full, dsn_hdrs; uint8_t dsn_notify; struct str envid;
	int deliver_mode;        /* 'b','f','i','q','s' of -od */
	bool no_delivery;        /* -N */
	bool suppress_from_line;
	struct str reference;    /* -oMm: the message that this one is about */
	bool no_qualify;         /* -bnq: header addresses stay unqualified */
	struct str body_type; struct str queue_name;
};
/* Take a message from `in` (not SMTP: -bm, -t). recipients: arguments. Exit status as the manual's (5 -oe..).
 * Errors are written to err or mailed as -oe says. */
struct receive_result {
	int exit_status;
	char id[MSG_ID_MAX];
	bool accepted;
};
struct receive_result receive_local(const struct receive_opts *o, struct stream *in, int err_fd, const struct str *recipients, size_t count);
extern const struct expand_var receive_vars[];
