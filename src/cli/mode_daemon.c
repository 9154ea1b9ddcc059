/* SPDX-License-Identifier: Apache-2.0
 * -bd, -bdf, -q<time> (manual 5, 13): the command becomes the master process. */
#include "cli/program.h"

#include "base/limits.h"
#include "daemon/master.h"
#include "ipc/messages.h"
#include "base/banned.h"

static uint32_t run_flags(const struct queue_run *r)
{
	return (r->force ? RUN_FORCE : 0) | (r->force_frozen ? RUN_FORCE_FROZEN : 0) | (r->first_only ? RUN_FIRST_ONLY : 0) |
		(r->local_only ? RUN_LOCAL_ONLY : 0) | (r->two_phase ? RUN_TWO_PHASE : 0);
}

/* "-q30m", "-qqG<name>/1h" as the log names it. */
static void describe(struct strbuf *sb, struct arena *a, const struct queue_run *r, bool first)
{
	sb_printf(sb, "%s-q%s%s%s%s", first ? "" : " ", r->two_phase ? "q" : "", r->first_only ? "i" : "",
	    r->force_frozen ? "ff" : r->force ? "f" : "", r->local_only ? "l" : "");
	if (str_is_set(r->name))
		sb_printf(sb, "G%.*s/", STR_ARG(r->name));
	sb_add(sb, interval_format(a, r->interval_s));
}

int mode_daemon(struct program *p)
{
	if (!program_needs_admin(p))
		return 1;
	struct master_opts o = {.source = p->source,
	    .listening = p->args->listening,
	    .foreground = p->args->foreground,
	    .tls_on_connect = p->args->tls_on_connect,
	    .listen_on = p->args->listen_on,
	    .pid_file = p->args->pid_file,
	    .queue_only = p->args->deliver_given && p->args->deliver_mode == 'q',
	    .dont_deliver = p->args->no_delivery};
	struct strbuf sb;
	sb_init(&sb, p->arena, 4096);
	for (size_t i = 0; i < p->args->run_count; i++) {
		const struct queue_run *r = &p->args->runs[i];
		o.run[i].interval_s = r->interval_s;
		o.run[i].queue = r->name;
		o.run[i].flags = run_flags(r);
		describe(&sb, p->arena, r, i == 0);
	}
	o.runs = p->args->run_count;
	o.runs_text = sb_str(&sb);
	if (p->args->foreground || p->args->debug_set)
		p->world.env.debug_fd = 2;
	return master_run(&p->world, &p->schema, &o);
}
