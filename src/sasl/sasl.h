/* SPDX-License-Identifier: Apache-2.0
 * SMTP AUTH mechanisms ("authenticators", manual 33-42), server and client side; a driver a file. */
#pragma once
#include "expand/expand.h"
#include "config/config.h"

#define OPT(name, TYPE, field, def, flags, doc) OPT_CTYPE_##TYPE field;
#define OPT_NONE(name, TYPE, def, flags, doc)
struct sasl_generic {
#include "sasl/generic_options.def"
};
#undef OPT
#undef OPT_NONE

enum sasl_result { SASL_OK, SASL_FAIL, SASL_DEFER, SASL_CANCELLED, SASL_BAD64, SASL_UNEXPECTED, SASL_ERROR };

/* How a mechanism talks: server: send a challenge, get the client's decoded answer; client: send
 * a response, get the server's next challenge (or the final code). */
struct sasl_talk {
	enum sasl_result (*challenge)(struct sasl_talk *t, struct str plain, struct str *ret_answer); /* server */
	/* client: sends base64 of `response` ("AUTH mech response" first, "AUTH mech" when it is unset); then either
	 * *ret_final is 334 and *ret_challenge decoded, or *ret_final is the final code. SASL_BAD64: a 334 whose
	 * challenge was no base64 (may go on); SASL_DEFER: the connection broke. */
	enum sasl_result (*respond)(struct sasl_talk *t, struct str mechanism, bool first, struct str response, struct str *ret_challenge, int *ret_final);
	void *arg;
};
struct sasl_view { /* SPACE_AUTH; kept by the caller for as long as the variables are to be seen */
	struct str auth[4];       /* $auth1.. */
	struct str fail_id;       /* $authenticated_fail_id */
};
struct sasl_driver {
	struct driver_info info; /* first */
	bool no_mechanism; /* nothing to advertise: runs after the TLS handshake (manual 42) */
	/* Are the options set that make it one? NULL = never. */
	bool (*is_server)(const struct driver_instance *di);
	bool (*is_client)(const struct driver_instance *di);
	enum sasl_result (*server)(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial, bool has_initial, struct str *ret_message);
	enum sasl_result (*client)(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str *ret_message);
};
extern const struct driver_family sasl_family;
extern const struct expand_var sasl_vars[];

/* --- Server ------------------------------------------------------------------------------------- */
/* "PLAIN LOGIN" as advertised now (auth_advertise_hosts is the caller's to check); unset = none. */
struct str sasl_advertise(struct eval *ev);
/* The first instance that serves this mechanism; NULL = none. */
const struct driver_instance *sasl_server_find(const struct config *cfg, struct str mechanism);
/* The same among those that are advertised now: two may have one public name and different conditions. */
const struct driver_instance *sasl_server_choose(struct eval *ev, struct str mechanism);
/* Run it. Success sets auth_name and auth_id (server_set_id; unset = none) of ev's peer; on failure
 * the view's fail_id has that value. ret_message: text for a temporary answer and the log, unset =
 * the usual. All text lives in ev->lx.arena; SPACE_AUTH is filled, made there if it is not set.
 * Threads: owner. */
enum sasl_result sasl_server_run(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial,
    bool has_initial, struct str *ret_message);
/* The tls authenticator, if there is one; to be run once after a handshake. */
const struct driver_instance *sasl_tls_find(const struct config *cfg);

/* --- Client ------------------------------------------------------------------------------------- */
/* Next instance behind `after` (NULL = from the start) that is a client for a mechanism of the
 * blank-separated list `offered` and whose client_condition holds. */
const struct driver_instance *sasl_client_next(struct eval *ev, const struct driver_instance *after, struct str offered);
/* SASL_OK: authenticated, *ret_id is client_set_id. SASL_FAIL: refused, try another. SASL_CANCELLED: an
 * expansion was forced to fail, try another. SASL_DEFER, SASL_ERROR: give the host up for now, why in ret_message. */
enum sasl_result sasl_client_run(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str *ret_id, struct str *ret_message);
