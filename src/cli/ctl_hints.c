/* SPDX-License-Identifier: Apache-2.0
 * exictl hints: show and tidy the hints databases (manual 54.11). Output is exim_dumpdb's. */
#include "cli/exictl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/limits.h"
#include "hints/hints.h"
#include "message/message.h"
#include "queue/retry_db.h"
#include "spool/spool.h"
#include "base/banned.h"

struct dump {
	struct arena *arena;
	bool utc, keys_only, any;
};

static const char *when(const struct dump *d, int64_t t, char *to, size_t room)
{
	struct tm tm;
	time_t s = (time_t)t;
	if (d->utc)
		gmtime_r(&s, &tm);
	else
		localtime_r(&s, &tm);
	strftime(to, room, "%d-%b-%Y %H:%M:%S", &tm);
	return to;
}

static bool dump_retry(void *arg, struct str key, struct str value)
{
	struct dump *d = arg;
	struct retry_record r;
	char a[40], b[40], c[40];
	if (d->keys_only) {
		printf("  %.*s\n", STR_ARG(key));
		return true;
	}
	if (!retry_record_parse(value, &r)) {
		printf("  %.*s (damaged record)\n", STR_ARG(key));
		return true;
	}
	printf("  %.*s %d %d %.*s\n%s  %s  %s%s\n", STR_ARG(key), r.basic_errno, r.more_errno, STR_ARG(r.text),
	    when(d, r.first_failed, a, sizeof a), when(d, r.last_try, b, sizeof b), when(d, r.next_try, c, sizeof c),
	    r.expired ? " *" : "");
	return true;
}

/* A record of another database: stamp (decimal seconds, up to a blank), then text. */
static bool dump_stamped(void *arg, struct str key, struct str value)
{
	struct dump *d = arg;
	struct rd r = rd_of(value);
	char at[40];
	if (d->keys_only) {
		printf("%.*s\n", STR_ARG(key));
		return true;
	}
	uint64_t stamp = rd_number(&r, INT64_MAX);
	rd_skip_blank(&r);
	if (r.bad)
		printf("%.*s\t%.*s\n", STR_ARG(key), STR_ARG(value));
	else if (rd_left(&r))
		printf("%s %.*s %.*s\n", when(d, (int64_t)stamp, at, sizeof at), STR_ARG(key), STR_ARG(rd_rest(&r)));
	else
		printf("%.*s\t%s\n", STR_ARG(key), when(d, (int64_t)stamp, at, sizeof at));
	return true;
}

static struct hints *open_hints(const char *spool, struct arena *a)
{
	struct why why = {0};
	struct hints *h = hints_open(arena_printf(a, "%s/db", spool), false, &why);
	if (!h)
		fprintf(stderr, "%s\n", why.text);
	return h;
}

static int hints_dump(int argc, char **argv)
{
	struct dump d = {.arena = arena_new("dump", LIMIT_ARENA_SCRATCH, 0, 0)};
	int at = 0;
	for (; at < argc && argv[at][0] == '-' && argv[at][1]; at++) {
		d.utc |= strcmp(argv[at], "-z") == 0;
		d.keys_only |= strcmp(argv[at], "-k") == 0;
	}
	if (argc - at != 2) {
		fprintf(stderr, "usage: exictl hints dump [-z] [-k] SPOOL-DIRECTORY DATABASE\n");
		return 1;
	}
	struct hints *h = open_hints(argv[at], d.arena);
	if (!h)
		return 1;
	bool retry = strcmp(argv[at + 1], "retry") == 0;
	enum status st = hints_each(h, argv[at + 1], retry ? dump_retry : dump_stamped, &d);
	hints_close(h);
	arena_free(d.arena);
	if (st == ST_OK)
		return 0;
	fprintf(stderr, "%s: %s\n", argv[at + 1], status_text(st));
	return 1;
}

struct tidy {
	struct arena *arena;
	struct spool *spool;
	int64_t oldest;
	struct str gone[4096];
	size_t count;
};

/* Keys of message errors end in the id of a message: without the message they are of no use. */
static bool message_is_gone(struct tidy *t, struct str key)
{
	ptrdiff_t at = str_rchr(key, ':');
	struct str id = str_from(key, (size_t)(at + 1));
	struct message *m;
	struct why why;
	if (at < 0 || !msgid_valid(id))
		return false;
	return spool_read_header(t->spool, STR(""), id, t->arena, &m, &why) == SPOOL_GONE;
}

static bool tidy_record(void *arg, struct str key, struct str value)
{
	struct tidy *t = arg;
	struct rd r = rd_of(value);
	uint64_t stamp = rd_number(&r, INT64_MAX);
	bool old = !r.bad && (int64_t)stamp < t->oldest;
	if (t->count < countof(t->gone) && (old || message_is_gone(t, key))) {
		printf("deleted %.*s (%s)\n", STR_ARG(key), old ? "too old" : "message is gone");
		t->gone[t->count++] = str_dup(t->arena, key);
	}
	return true;
}

static int hints_tidy(int argc, char **argv)
{
	int64_t age = 30 * 86400;
	int at = 0;
	if (argc > 1 && strcmp(argv[0], "-t") == 0) {
		age = interval_parse(str_c(argv[1]));
		at = 2;
	}
	if (argc - at != 2 || age < 0) {
		fprintf(stderr, "usage: exictl hints tidy [-t TIME] SPOOL-DIRECTORY DATABASE\n");
		return 1;
	}
	struct env env;
	struct why why = {0};
	env_init(&env);
	env.log = log_new(&env.clock);
	struct arena *a = arena_new("tidy", LIMIT_ARENA_MESSAGE, 0, 0);
	struct tidy *t = arena_new_of(a, struct tidy);
	t->arena = a;
	t->oldest = clock_s(&env.clock) - age;
	struct spool_config sc = {.directory = str_c(argv[at]), .uid = -1, .gid = -1, .localhost_number = -1};
	t->spool = spool_open(&sc, &env, &why);
	struct hints *h = t->spool ? open_hints(argv[at], a) : NULL;
	if (!h) {
		fprintf(stderr, "%s\n", why.text);
		return 1;
	}
	enum status st = hints_each(h, argv[at + 1], tidy_record, t);
	for (size_t i = 0; i < t->count; i++)
		(void)hints_del(h, argv[at + 1], t->gone[i]);
	hints_close(h);
	printf("Tidying complete\n");
	return st != ST_OK;
}

const struct exictl_command exictl_hints[] = {
    {"hints dump", "exim_dumpdb", "[-z] [-k] SPOOL DATABASE", "show a hints database (retry, callout, ...)", hints_dump},
    {"hints tidy", "exim_tidydb", "[-t TIME] SPOOL DATABASE", "drop records that are old or of no use", hints_tidy},
    {0},
};
