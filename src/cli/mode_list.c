/* SPDX-License-Identifier: Apache-2.0
 * -bp family and -bpc (manual 5; reference formats 8). The spool is read directly, without locks:
 * what a list shows is what is on disk at that moment. */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/banned.h"

struct lister {
	struct program *p;
	struct str queue;
	unsigned long count;
	unsigned flags;
	bool selected; /* only the ids given as arguments */
};

/* "25m", "3h", "2d": whole units, as Exim shows age. */
static void print_age(int64_t seconds)
{
	int64_t m = seconds / 60;
	if (m > 90 * 24 * 60 / 24 / 60 * 60 / 60 && m >= 90) {
		int64_t h = (m + 30) / 60;
		if (h > 72)
			printf("%2lldd ", (long long)((h + 12) / 24));
		else
			printf("%2lldh ", (long long)h);
	} else
		printf("%2lldm ", (long long)m);
}

static void print_size(int64_t size)
{
	if (size < 1024)
		printf("%5lld", (long long)size);
	else if (size < 10 * 1024)
		printf("%4.1fK", (double)size / 1024);
	else if (size < 1024 * 1024)
		printf("%4lldK", (long long)((size + 512) / 1024));
	else if (size < 10 * 1024 * 1024)
		printf("%4.1fM", (double)size / (1024 * 1024));
	else
		printf("%4lldM", (long long)((size + 512 * 1024) / (1024 * 1024)));
}

static void print_recipients(const struct lister *l, const struct message *m)
{
	for (size_t i = 0; i < m->recipients; i++) {
		bool done = message_is_done(m, m->recipient[i].address);
		if (done && (l->flags & LIST_UNDELIVERED))
			continue;
		printf("        %s %.*s\n", done ? "D" : " ", STR_ARG(m->recipient[i].address));
	}
	uint32_t pos = 0;
	for (struct map_slot *s; (l->flags & LIST_GENERATED) && (s = map_next(&m->done, &pos));) {
		bool listed = false;
		for (size_t i = 0; i < m->recipients && !listed; i++)
			listed = str_eq(m->recipient[i].address, s->key);
		if (!listed)
			printf("       +D %.*s\n", STR_ARG(s->key));
	}
}

static void print_message(const struct lister *l, const char *id, const struct message *m)
{
	int64_t now = clock_s(&l->p->world.env.clock);
	print_age(now - m->received_us / 1000000);
	print_size(m->size ? m->size : m->body_size + (int64_t)m->headers.size);
	printf(" %s ", id);
	if (m->sender_set_untrusted)
		printf("(%.*s) ", STR_ARG(m->login));
	printf("<%.*s>", STR_ARG(m->sender));
	if (m->frozen_at)
		fputs(" *** frozen ***", stdout);
	putchar('\n');
	print_recipients(l, m);
	putchar('\n');
}

static bool show(void *arg, const struct spool_entry *e)
{
	struct lister *l = arg;
	if (!e->has_header)
		return true;
	l->count++;
	if (l->p->args->mode == MODE_COUNT_QUEUE)
		return true;
	if (l->flags & LIST_IDS) {
		puts(e->id);
		return true;
	}
	struct arena *a = arena_new("list", LIMIT_ARENA_MESSAGE, 0, 0);
	struct message *m;
	struct why why = {0};
	enum spool_found found = spool_read_header(l->p->world.spool, l->queue, str_c(e->id), a, &m, &why);
	if (found == SPOOL_FOUND)
		print_message(l, e->id, m);
	else if (found != SPOOL_GONE)
		printf("           %s *** spool format error: %s ***\n\n", e->id, why.text);
	arena_free(a);
	return true;
}

static bool wanted(void *arg, const struct spool_entry *e)
{
	struct lister *l = arg;
	for (size_t i = 0; i < l->p->args->args; i++)
		if (str_eqc(l->p->args->arg[i], e->id))
			return show(arg, e);
	return true;
}

int mode_list(struct program *p)
{
	struct why why = {0};
	if (p->world.config->main.queue_list_requires_admin && !program_needs_admin(p))
		return 1;
	if (!program_become(p, ROLE_EXIM) || !program_open(p, WORLD_SPOOL))
		return 1;
	struct lister l = {.p = p, .queue = str_is_set(p->args->queue_name) ? p->args->queue_name : STR(""),
	    .flags = p->args->list};
	bool only = p->args->args > 0 && p->args->mode == MODE_LIST_QUEUE;
	if (spool_scan(p->world.spool, l.queue, only ? wanted : show, &l, &why) != ST_OK) {
		program_say("%s", why.text);
		return 1;
	}
	if (p->args->mode == MODE_COUNT_QUEUE)
		printf("%lu\n", l.count);
	return 0;
}
