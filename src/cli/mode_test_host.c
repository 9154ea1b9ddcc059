/* SPDX-License-Identifier: Apache-2.0
 * -bh, -bhc (manual 5): an SMTP session that pretends to come from an address; nothing is kept. */
#include "cli/work.h"

#include <stdio.h>

#include "net/addr.h"
#include "receive/receive.h"
#include "base/banned.h"

/* "10.0.0.1", "10.0.0.1.25", "10.0.0.1:25", "[::1]:25" */
bool cli_host_port(struct str text, struct str *ret_address, int *ret_port)
{
	struct ip_addr ip;
	uint64_t port;
	*ret_port = 0;
	*ret_address = text;
	if (ip_parse(text, &ip))
		return true;
	if (text.len && text.p[0] == '[') {
		struct str rest;
		struct str inner = str_cut(str_from(text, 1), ']', &rest);
		*ret_address = inner;
		if (!str_is_set(rest) || !ip_parse(inner, &ip))
			return false;
		if (rest.len == 0)
			return true;
		if ((*rest.p != ':' && *rest.p != '.') || !str_uint(str_from(rest, 1), 65535, &port))
			return false;
		*ret_port = (int)port;
		return true;
	}
	ptrdiff_t at = str_rchr(text, '.');
	ptrdiff_t colon = str_rchr(text, ':');
	if (colon > at)
		at = colon;
	if (at <= 0 || !str_uint(str_from(text, (size_t)at + 1), 65535, &port))
		return false;
	*ret_address = str_sub(text, 0, (size_t)at);
	*ret_port = (int)port;
	return ip_parse(*ret_address, &ip);
}

int mode_test_host(struct program *p)
{
	struct receive_opts o = {.config = p->world.config, .env = &p->world.env, .test_host = true,
	    .test_callout = p->args->with_callout};
	if (!cli_host_port(p->args->host_test, &o.sender_host_address, &o.sender_host_port)) {
		program_say("malformed IP address: %.*s", STR_ARG(p->args->host_test));
		return 1;
	}
	struct ip_addr ip;
	if (ip_parse(o.sender_host_address, &ip))
		o.sender_host_address = ip_text(p->arena, &ip);
	if (str_is_set(p->args->o_interface) &&
	    !cli_host_port(p->args->o_interface, &o.interface_address, &o.interface_port)) {
		program_say("malformed IP address: %.*s", STR_ARG(p->args->o_interface));
		return 1;
	}
	if (p->world.config->main.commandline_checks_require_admin && !program_needs_admin(p))
		return 1;
	if (!program_become(p, ROLE_EXIM_WITH_AGENT) || !program_open(p, WORLD_RESOLVER | WORLD_HINTS | WORLD_TLS | WORLD_SPOOL))
		return 1;
	o.spool = p->world.spool;
	log_echo_to(p->world.env.log, 2, LOG_ECHO_HOST_TEST);
	printf("\n**** SMTP testing session as if from host %.*s\n**** but without any ident (RFC 1413) callback.\n"
	       "**** This is not for real!\n\n", STR_ARG(o.sender_host_address));
	fflush(stdout);
	struct receive_session *rs = receive_session_new(stream_new(0, 1), &o);
	enum smtp_run run = receive_session_start(rs);
	while (run == SMTP_PARK)
		run = receive_session_resume(rs, false);
	int status = receive_session_exit_status(rs);
	receive_session_free(rs);
	return status;
}
