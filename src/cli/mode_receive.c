/* SPDX-License-Identifier: Apache-2.0
 * Taking messages from the caller (manual 5, 48): -bm and -t by receive_local(), -bs and -bS as a
 * session on standard input. What was accepted is delivered as -od says. */
#include "cli/work.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/submit.h"
#include "receive/receive.h"
#include "base/banned.h"

/* -odX, else the configuration: queue_only turns the default into 'q' unless overridden. */
static char deliver_mode(const struct program *p)
{
	const struct main_options *m = &p->world.config->main;
	if (p->args->deliver_given && (!m->queue_only || m->queue_only_override))
		return p->args->deliver_mode;
	return m->queue_only ? 'q' : 'b';
}

static void queued(void *arg, const struct message *m, unsigned how)
{
	struct program *p = arg;
	char mode = deliver_mode(p);
	struct str id = str_c(m->id);
	if ((how & (RECEIVE_QUEUE_ONLY | RECEIVE_FROZEN)) || mode == 'q')
		return;
	unsigned flags = DELIVER_FIRST | (mode == 's' || (how & RECEIVE_QUEUE_SMTP) ? DELIVER_LOCAL_ONLY : 0);
	if (mode == 'f')
		work_deliver(p, m->queue_name, id, flags, STR_NONE, STR_NONE);
	else
		work_deliver_background(p, m->queue_name, id, flags);
}

static bool host_port_option(struct str text, struct str *address, int *port)
{
	if (!str_is_set(text) || cli_host_port(text, address, port))
		return true;
	program_say("malformed IP address: %.*s", STR_ARG(text));
	return false;
}

/* The caller as the manual's chapter 5 lets the options change it; -oM... are for trusted ones. */
static bool fill_caller(struct program *p, struct local_caller *c)
{
	const struct cli_args *args = p->args;
	char cwd[4096];
	*c = (struct local_caller){.uid = p->id.real_uid,
	    .gid = p->id.real_gid,
	    .login = p->id.login,
	    .gecos = p->id.gecos,
	    .cwd = getcwd(cwd, sizeof cwd) ? str_dup(p->arena, str_c(cwd)) : STR("/"),
	    .admin = p->id.admin,
	    .trusted = p->id.trusted,
	    .sender = args->sender,
	    .sender_given = args->sender_given,
	    .full_name = args->full_name,
	    .dot_ends = args->dot_ends,
	    .extract_recipients = args->extract,
	    .error_mode = args->error_mode,
	    .deliver_mode = deliver_mode(p),
	    .no_delivery = args->no_delivery,
	    .no_qualify = args->no_qualify,
	    .queue_name = args->queue_name};
	if (!p->id.trusted)
		return true;
	if (str_is_set(args->o_reference) && !msgid_valid(args->o_reference)) {
		program_say("-oMm must be a valid message ID");
		return false;
	}
	c->reference = args->o_reference;
	c->protocol = args->o_protocol;
	c->ident = args->o_ident;
	c->auth_id = args->o_auth_id;
	c->auth_name = args->o_auth_name;
	c->auth_sender = args->o_auth_sender;
	c->host_name = args->o_host_name;
	return host_port_option(args->o_host_address, &c->host_address, &c->host_port) &&
		host_port_option(args->o_interface, &c->interface_address, &c->interface_port);
}

static int run_session(struct receive_opts *o)
{
	struct receive_session *rs = receive_session_new(stream_new(0, 1), o);
	enum smtp_run run = receive_session_start(rs);
	while (run == SMTP_PARK)
		run = receive_session_resume(rs, false);
	int rc = receive_session_exit_status(rs);
	receive_session_free(rs);
	return rc;
}

int mode_receive(struct program *p)
{
	struct local_caller caller;
	if (!fill_caller(p, &caller))
		return 1;
	/* Without privilege and not the mail user: the daemon takes it, or the drop folder keeps it. */
	if (!p->id.root && p->id.real_uid != p->world.config->exim_uid && (int32_t)geteuid() != p->world.config->exim_uid)
		return submit_to_daemon(p, &caller);
	if (!program_become(p, ROLE_EXIM_WITH_AGENT) ||
	    !program_open(p, WORLD_SPOOL | WORLD_HINTS | WORLD_RESOLVER | WORLD_TLS))
		return 1;
	struct receive_opts o = {.config = p->world.config,
	    .env = &p->world.env,
	    .spool = p->world.spool,
	    .sink = {.queued = queued, .arg = p},
	    .tls_on_connect = p->args->tls_on_connect,
	    .local = true,
	    .batch = p->args->mode == MODE_BATCH_SMTP,
	    .caller = &caller};
	if (str_is_set(caller.host_address)) {
		o.sender_host_address = caller.host_address;
		o.sender_host_port = caller.host_port;
		o.interface_address = caller.interface_address;
		o.interface_port = caller.interface_port;
	}
	if (p->args->mode != MODE_RECEIVE)
		return run_session(&o);
	struct stream *in = stream_new(0, 0);
	struct receive_result r = receive_local(&o, in, 2, p->args->arg, p->args->args);
	stream_drop(in);
	return r.exit_status;
}
