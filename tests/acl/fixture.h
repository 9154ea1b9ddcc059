/* SPDX-License-Identifier: Apache-2.0
 * A configuration with ACLs in it, a client, a message, and what was logged. */
#pragma once
#include "acl/acl.h"
#include "net/resolver.h"
#include "test.h"

struct fixture {
	struct env env;
	struct config *cfg;
	struct arena *a;
	struct eval ev;
	struct peer peer;
	struct message *m;
	struct addr_view view;
	struct acl_frame f;
	struct acl_effects effects;
	struct acl_transaction tx;
	struct acl_connection conn;
	int log_fd;
	char dir[64];
	struct str user, log;
};
/* The text after "begin acl"; `main` stands before it. NULL cfg: why has the text. */
bool fixture_load(struct fixture *x, const char *main, const char *acl, struct why *why);
void fixture_done(struct fixture *x);
/* RCPT TO:<recipient> from MAIL FROM:<sender>. */
void fixture_rcpt(struct fixture *x, const char *sender, const char *recipient);
enum acl_verdict fixture_run(struct fixture *x, enum acl_where where, const char *acl);
/* What was logged so far, without times; forgets it. */
struct str fixture_logged(struct fixture *x);
struct str fixture_expand(struct fixture *x, const char *text);
