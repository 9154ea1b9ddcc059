/* SPDX-License-Identifier: Apache-2.0
 * For test_spool_exchange.py: our side of one spool shared with another Exim.
 *   spool_tool facts DIR ID        what we read, a line each
 *   spool_tool rewrite DIR ID      open, write back unchanged
 *   spool_tool write DIR SENDER RCPT...   the message on standard input; prints its id
 *   spool_tool lock DIR ID         holds the message until standard input ends; prints "held"
 *   spool_tool addresses           a line of standard input each: the bare address, or "! error" */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "message/address.h"
#include "spool/spool.h"

#include "base/banned.h"

static struct arena *arena;

static int fail(const char *text)
{
	fprintf(stderr, "%s\n", text);
	return 1;
}

static void line(const char *name, struct str value)
{
	printf("%s=%.*s\n", name, STR_ARG(value));
}

static struct str all_input(void)
{
	static char text[1 << 20];
	return str_n(text, fread(text, 1, sizeof text, stdin));
}

static int facts(const struct message *m)
{
	line("sender", m->sender);
	printf("received=%lld\nfrozen=%d\nsize=%lld\nbody_size=%lld\n", (long long)(m->received_us / 1000000), m->frozen_at != 0,
	    (long long)m->size, (long long)m->body_size);
	line("host", m->peer.host_address);
	line("helo", m->peer.helo);
	line("auth", m->peer.auth_id);
	line("protocol", m->peer.received_protocol);
	for (size_t i = 0; i < m->recipients; i++) {
		line("recipient", m->recipient[i].address);
		printf("notify=%d\ndone=%d\n", m->recipient[i].dsn_notify, message_is_done(m, m->recipient[i].address));
	}
	for (const struct header *h = m->headers.first; h; h = h->next)
		printf("header=%c %.*s", h->kind, STR_ARG(h->text));
	return 0;
}

static int work_on(struct spool *s, const char *verb, struct str id)
{
	struct why why = {.text = ""};
	struct message *m = NULL;
	struct spool_msg *sm = NULL;
	enum spool_found found = spool_open_msg(s, STR(""), id, arena, &m, &sm, &why);
	if (found != SPOOL_FOUND) {
		printf("found=%d %s\n", found, why.text);
		return 3;
	}
	int rc = 0;
	if (strcmp(verb, "facts") == 0) {
		rc = facts(m);
	} else if (strcmp(verb, "rewrite") == 0) {
		rc = spool_update(sm, m, &why) == ST_OK ? 0 : fail(why.text);
	} else {
		puts("held");
		fflush(stdout);
		all_input();
	}
	spool_release(sm);
	return rc;
}

static int write_message(struct spool *s, struct env *env, char **argv)
{
	struct why why = {.text = ""};
	struct message *m = message_new(arena);
	struct spool_writer *w = NULL;
	struct rd r = rd_of(all_input());
	if (!headers_parse(&m->headers, arena, &r) || spool_create(s, STR(""), m->id, &w, &why) != ST_OK)
		return fail(why.text);
	m->login = STR("tool");
	m->uid = (int32_t)getuid();
	m->gid = (int32_t)getgid();
	m->sender = str_tainted(str_c(argv[0]));
	m->received_us = clock_us(&env->clock);
	m->received_done_us = m->received_us + 5;
	m->peer.received_protocol = STR("esmtp");
	m->peer.host_address = STR("192.0.2.7");
	m->peer.host_port = 4321;
	m->peer.helo = str_tainted(STR("helo.ex"));
	m->deliver_firsttime = true;
	for (char **to = argv + 1; *to; to++)
		message_add_recipient(m, str_tainted(str_c(*to)));
	struct str body = rd_rest(&r);
	for (uint32_t i = 0; i < body.len; i++)
		m->body_lines += body.p[i] == '\n';
	if (spool_append(w, body.p, body.len) != ST_OK || spool_commit(w, m, &why) != ST_OK)
		return fail(why.text);
	puts(m->id);
	return 0;
}

static int addresses(void)
{
	struct rd r = rd_of(all_input());
	while (!rd_done(&r)) {
		const char *error = NULL;
		struct str got;
		bool good = addr_parse(arena, rd_line(&r), ADDR_ALLOW_UNQUALIFIED | ADDR_ALLOW_LITERAL, &got, NULL, &error);
		printf("%s%s\n", good ? "" : "! ", good ? str_cstr(arena, got) : error);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct env env;
	struct why why = {.text = ""};
	env_init(&env);
	arena = arena_new("spool_tool", 512u << 20, 0, 0);
	if (argc == 2 && strcmp(argv[1], "addresses") == 0)
		return addresses();
	if (argc < 4)
		return fail("usage: spool_tool facts|rewrite|lock DIR ID, write DIR SENDER RCPT..., addresses");
	/* New files belong to whom the folder belongs. */
	struct spool_config cfg = {.directory = str_c(argv[2]), .uid = -1, .gid = -1, .localhost_number = -1, .short_ids = true};
	if (getenv("SPOOL_UID"))
		cfg.uid = (int32_t)strtol(getenv("SPOOL_UID"), NULL, 10);
	if (getenv("SPOOL_GID"))
		cfg.gid = (int32_t)strtol(getenv("SPOOL_GID"), NULL, 10);
	struct spool *s = spool_open(&cfg, &env, &why);
	if (!s)
		return fail(why.text);
	int rc = strcmp(argv[1], "write") == 0 ? write_message(s, &env, argv + 3) : work_on(s, argv[1], str_c(argv[3]));
	spool_close(s);
	return rc;
}
