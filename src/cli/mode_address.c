/* SPDX-License-Identifier: Apache-2.0
 * -bt, -bv, -bvs (manual 5): addresses from the arguments or standard input. */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/limits.h"
#include "verify/verify.h"
#include "base/banned.h"

static int one(struct program *p, struct str address)
{
	struct arena *a = arena_new("address", LIMIT_ARENA_MESSAGE, 0, 0);
	struct strbuf out;
	struct eval ev;
	sb_init(&out, a, LIMIT_EXPANSION);
	eval_init(&ev, p->world.config, &p->world.env, a);
	struct message *m = message_new(a);
	m->login = p->id.login;
	m->uid = p->id.real_uid;
	m->gid = p->id.real_gid;
	m->peer.local = true;
	m->sender = str_is_set(p->args->sender) ? p->args->sender : STR_NONE;
	m->sender_set = p->args->sender_given;
	eval_set_message(&ev, m);
	eval_set_peer(&ev, &m->peer);
	unsigned how = (p->args->mode == MODE_VERIFY_SENDER ? VERIFY_PRINT_SENDER : 0) |
	    (p->args->mode == MODE_ROUTE_TEST ? VERIFY_PRINT_ROUTE : 0) | (p->id.admin ? VERIFY_PRINT_DETAILS : 0) |
	    (p->args->verbose || p->args->debug_set ? VERIFY_PRINT_VERBOSE : 0);
	int rc = verify_print(&ev, address, how, &out);
	fwrite(sb_str(&out).p, 1, out.len, stdout);
	fflush(stdout);
	arena_free(a);
	return rc;
}

int mode_address(struct program *p)
{
	int worst = 0;
	if (p->world.config->main.commandline_checks_require_admin && !program_needs_admin(p))
		return 1;
	if (!program_become(p, ROLE_EXIM_WITH_AGENT) || !program_open(p, WORLD_RESOLVER))
		return 1;
	struct why why = {0};
	(void)world_open(&p->world, WORLD_HINTS, &why); /* callouts do without what is remembered */
	log_echo_to(p->world.env.log, 2, LOG_ECHO_ADDRESS_TEST);
	for (size_t i = 0; i < p->args->args; i++) {
		int rc = one(p, p->args->arg[i]);
		worst = rc > worst ? rc : worst;
	}
	if (p->args->args)
		return worst;
	char *line = NULL;
	size_t room = 0;
	ssize_t n;
	fputs("> ", stdout);
	fflush(stdout);
	while ((n = getline(&line, &room, stdin)) > 0) {
		struct str address = str_trim(str_tainted(str_n(line, (size_t)n)));
		if (address.len) {
			int rc = one(p, address);
			worst = rc > worst ? rc : worst;
		}
		fputs("> ", stdout);
		fflush(stdout);
	}
	free(line);
	putchar('\n');
	return worst;
}
