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
	/* client: sends base64 of `response` ("AUTH mech response" first); *ret_challenge decoded for 334; *ret_final code otherwise */
	enum sasl_result (*respond)(struct sasl_talk *t, struct str mechanism, bool first, struct str response, struct str *ret_challenge, int *ret_final);
	void *arg;
};
struct sasl_view { /* SPACE_AUTH */
	struct str auth[4];       /* $auth1.. */
	struct str fail_id;       /* $authenticated_fail_id */
};
struct sasl_driver {
	struct driver_info info; /* first */
	enum sasl_result (*server)(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial, bool has_initial, struct str *ret_message);
	enum sasl_result (*client)(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str *ret_message);
};
extern const struct driver_family sasl_family;
extern const struct expand_var sasl_vars[];
/* The instance that serves this mechanism now (server_advertise_condition checked by the caller's list). */
const struct driver_instance *sasl_server_find(const struct config *cfg, struct str mechanism);
/* Run it: sets peer->auth_* on success (server_set_id, server_condition ...). */
enum sasl_result sasl_server_run(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial, bool has_initial, struct str *ret_message);
/* "PLAIN LOGIN" as advertised now. */
struct str sasl_advertise(struct eval *ev);
