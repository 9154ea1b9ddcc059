/* SPDX-License-Identifier: Apache-2.0
 * -q, -R, -S without a daemon (manual 5): go through the queue once, one message after another,
 * each in this process. Two-phase runs (-qq) route first, so that messages for one host can share
 * a connection in the second phase: the pool of idle connections does that in one pass here. */
#include "cli/work.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lookup/match.h"
#include "base/limits.h"
#include "base/banned.h"

struct ids {
	struct arena *arena;
	struct str *id;
	size_t count, room;
	const struct queue_run *run;
};

static bool collect(void *arg, const struct spool_entry *e)
{
	struct ids *list = arg;
	struct str id = str_c(e->id);
	if (!e->has_header)
		return true;
	if (str_is_set(list->run->start) && str_cmp(id, list->run->start) < 0)
		return true;
	if (str_is_set(list->run->end) && str_cmp(id, list->run->end) > 0)
		return true;
	if (list->count == list->room) {
		size_t room = list->room ? list->room * 2 : 256;
		struct str *more = arena_array_of(list->arena, room, struct str);
		if (list->count)
			memcpy(more, list->id, list->count * sizeof *more);
		list->id = more;
		list->room = room;
	}
	list->id[list->count++] = str_dup(list->arena, id);
	return true;
}

/* Random order unless queue_run_in_order (manual 14), so that one bad message cannot hold the rest. */
static void shuffle(struct program *p, struct ids *list)
{
	for (size_t i = list->count; i > 1; i--) {
		size_t j = p->world.env.random(&p->world.env) % i;
		struct str t = list->id[i - 1];
		list->id[i - 1] = list->id[j];
		list->id[j] = t;
	}
}

static bool contains(struct program *p, struct str text, struct str part, bool regex)
{
	if (!regex)
		return str_ifind(text, part) >= 0;
	struct eval ev;
	eval_init(&ev, p->world.config, &p->world.env, p->world.env.scratch);
	return match_regex(&ev.lx, part, text, false) == 1;
}

/* Does -R or -S select this message? */
static bool selected(struct program *p, struct str queue, struct str id, bool first_only)
{
	const struct cli_args *args = p->args;
	bool by_sender = str_is_set(args->select_sender), by_recipient = str_is_set(args->select_recipient);
	if (!by_sender && !by_recipient && !first_only)
		return true;
	struct arena *a = arena_new("select", LIMIT_ARENA_MESSAGE, 0, 0);
	struct message *m;
	struct why why;
	bool yes = spool_read_header(p->world.spool, queue, id, a, &m, &why) == SPOOL_FOUND;
	if (yes && first_only)
		yes = m->deliver_firsttime;
	if (yes && by_sender)
		yes = contains(p, m->sender, args->select_sender, args->select_sender_regex);
	if (yes && by_recipient) {
		yes = false;
		for (size_t i = 0; i < m->recipients && !yes; i++)
			yes = !message_is_done(m, m->recipient[i].address) &&
				contains(p, m->recipient[i].address, args->select_recipient, args->select_recipient_regex);
	}
	arena_free(a);
	return yes;
}

static void describe(const struct program *p, const struct queue_run *run, struct strbuf *sb)
{
	const struct cli_args *args = p->args;
	if (str_is_set(run->name))
		sb_printf(sb, " '%.*s'", STR_ARG(run->name));
	sb_addc(sb, " queue run: ");
	sb_printf(sb, "pid=%d", (int)getpid());
	if (run->two_phase || run->first_only || run->force || run->local_only) {
		sb_addc(sb, " -q");
		sb_addc(sb, run->two_phase ? "q" : "");
		sb_addc(sb, run->first_only ? "i" : "");
		sb_addc(sb, run->force_frozen ? "ff" : run->force ? "f" : "");
		sb_addc(sb, run->local_only ? "l" : "");
	}
	if (str_is_set(args->select_recipient))
		sb_printf(sb, " -R%s %.*s", args->select_recipient_regex ? "r" : "", STR_ARG(args->select_recipient));
	if (str_is_set(args->select_sender))
		sb_printf(sb, " -S%s %.*s", args->select_sender_regex ? "r" : "", STR_ARG(args->select_sender));
}

static int run_once(struct program *p, const struct queue_run *run)
{
	struct strbuf what;
	struct why why = {0};
	struct str queue = str_is_set(run->name) ? run->name : STR("");
	struct ids list = {.arena = p->arena, .run = run};
	const struct config *c = p->world.config;
	sb_init(&what, p->arena, LIMIT_LOG_LINE);
	describe(p, run, &what);
	if (config_logs(c, LOGSEL_QUEUE_RUN))
		log_write(p->world.env.log, LOGTO_MAIN, STR_NONE, "Start%.*s", STR_ARG(sb_str(&what)));
	if (spool_scan(p->world.spool, queue, collect, &list, &why) != ST_OK) {
		program_say("%s", why.text);
		return 1;
	}
	if (!c->main.queue_run_in_order)
		shuffle(p, &list);
	unsigned flags = DELIVER_QUEUE_RUN | (run->force ? DELIVER_FORCE : 0) |
		(run->force_frozen ? DELIVER_FORCE_FROZEN : 0) | (run->local_only ? DELIVER_LOCAL_ONLY : 0);
	for (size_t i = 0; i < list.count; i++)
		if (selected(p, queue, list.id[i], run->first_only))
			work_deliver(p, queue, list.id[i], flags, p->args->select_sender, p->args->select_recipient);
	if (config_logs(c, LOGSEL_QUEUE_RUN))
		log_write(p->world.env.log, LOGTO_MAIN, STR_NONE, "End%.*s", STR_ARG(sb_str(&what)));
	return 0;
}

int mode_queue_run(struct program *p)
{
	int rc = 0;
	if (p->world.config->main.prod_requires_admin && !program_needs_admin(p))
		return 1;
	if (!program_become(p, ROLE_EXIM_WITH_AGENT) ||
	    !program_open(p, WORLD_SPOOL | WORLD_HINTS | WORLD_RESOLVER | WORLD_TLS | WORLD_POOL))
		return 1;
	for (size_t i = 0; i < p->args->run_count; i++)
		rc |= run_once(p, &p->args->runs[i]);
	return rc;
}
