/* SPDX-License-Identifier: Apache-2.0
 * The -M family (manual 5): show, deliver, freeze, edit or remove single messages. A row per
 * action; changes are made under the message's lock and logged with the name of who made them. */
#include "cli/work.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "message/address.h"
#include "base/banned.h"

struct change {
	struct program *p;
	struct str id;
	struct message *m;
	struct spool_msg *sm;
};

#define ACTION(name) static bool name(struct change *c)

static void log_change(const struct change *c, const char *what, struct str address, const char *after)
{
	struct program *p = c->p;
	log_write(p->world.env.log, LOGTO_MAIN, c->id, "%s%.*s%s by %.*s", what, STR_ARG(address), after, STR_ARG(p->id.login));
	spool_msglog(p->world.spool, c->m->queue_name, c->id, "%s%.*s%s by %.*s", what, STR_ARG(address), after,
	    STR_ARG(p->id.login));
}

static bool save(struct change *c, const char *said)
{
	struct why why = {0};
	if (spool_update(c->sm, c->m, &why) != ST_OK) {
		printf("Message %.*s could not be changed: %s\n", STR_ARG(c->id), why.text);
		return false;
	}
	printf("Message %.*s %s\n", STR_ARG(c->id), said);
	return true;
}

ACTION(freeze)
{
	if (c->m->frozen_at) {
		printf("Message %.*s is already frozen\n", STR_ARG(c->id));
		return false;
	}
	c->m->frozen_at = clock_s(&c->p->world.env.clock);
	c->m->manual_thaw = false;
	if (!save(c, "is now frozen"))
		return false;
	log_change(c, "frozen", STR(""), "");
	return true;
}

ACTION(thaw)
{
	if (!c->m->frozen_at) {
		printf("Message %.*s is not frozen\n", STR_ARG(c->id));
		return false;
	}
	c->m->frozen_at = 0;
	c->m->manual_thaw = true;
	if (!save(c, "is no longer frozen"))
		return false;
	log_change(c, "unfrozen", STR(""), "");
	return true;
}

ACTION(remove_message)
{
	struct why why = {0};
	if (spool_remove(c->sm, &why) != ST_OK) {
		printf("Message %.*s could not be removed: %s\n", STR_ARG(c->id), why.text);
		return false;
	}
	printf("Message %.*s has been removed\n", STR_ARG(c->id));
	log_write(c->p->world.env.log, LOGTO_MAIN, c->id, "removed by %.*s", STR_ARG(c->p->id.login));
	log_write(c->p->world.env.log, LOGTO_MAIN, c->id, "Completed");
	return true;
}

ACTION(mark_all)
{
	for (size_t i = 0; i < c->m->recipients; i++) {
		struct str address = c->m->recipient[i].address;
		if (message_is_done(c->m, address))
			continue;
		message_set_done(c->m, address);
		log_change(c, "address <", address, "> marked delivered");
	}
	return save(c, "has been modified");
}

static struct recipient *find_recipient(struct message *m, struct str address)
{
	for (size_t i = 0; i < m->recipients; i++)
		if (str_ieq(m->recipient[i].address, address))
			return &m->recipient[i];
	return NULL;
}

static bool refused(const struct change *c, const char *doing, const char *fmt, struct str address, const char *why)
{
	printf("Message %.*s - error while %s:\n  ", STR_ARG(c->id), doing);
	printf("%s%.*s%s", fmt, STR_ARG(address), why);
	putchar('\n');
	return false;
}

ACTION(mark)
{
	const struct cli_args *args = c->p->args;
	for (size_t i = 0; i < args->args; i++) {
		struct recipient *r = find_recipient(c->m, args->arg[i]);
		if (!r)
			return refused(c, "marking as delivered", "", args->arg[i], " is not a recipient: message not updated");
		message_set_done(c->m, r->address);
		log_change(c, "address <", r->address, "> marked delivered");
	}
	return save(c, "has been modified");
}

/* A complete address, or a text for refused(). */
static bool clean_address(struct change *c, struct str given, unsigned flags, struct str *ret, const char **error)
{
	struct addr_parts parts;
	return addr_parse(c->m->arena, given, flags, ret, &parts, error);
}

ACTION(add_recipients)
{
	const struct cli_args *args = c->p->args;
	for (size_t i = 0; i < args->args; i++) {
		struct str address;
		const char *error = "";
		if (!clean_address(c, args->arg[i], 0, &address, &error)) {
			char text[256];
			snprintf(text, sizeof text, ": %s", error);
			return refused(c, "adding recipients", "bad address ", args->arg[i], text);
		}
		message_add_recipient(c->m, address);
		log_change(c, "recipient <", address, "> added");
	}
	return save(c, "has been modified");
}

ACTION(edit_sender)
{
	const struct cli_args *args = c->p->args;
	struct str address;
	const char *error = "";
	if (args->args != 1)
		return refused(c, "editing sender", "only one sender address can be given", STR(""), "");
	if (!clean_address(c, args->arg[0], ADDR_ALLOW_EMPTY, &address, &error)) {
		char text[256];
		snprintf(text, sizeof text, ": %s", error);
		return refused(c, "editing sender", "bad address ", args->arg[0], text);
	}
	c->m->sender = address;
	if (!save(c, "has been modified"))
		return false;
	log_change(c, "sender address changed to <", address, ">");
	return true;
}

ACTION(move_queue)
{
	struct why why = {0};
	if (spool_move(c->sm, c->p->args->queue_name, &why) != ST_OK) {
		printf("Message %.*s could not be moved: %s\n", STR_ARG(c->id), why.text);
		return false;
	}
	log_change(c, "moved to queue '", c->p->args->queue_name, "'");
	return true;
}

static const struct {
	enum message_action act;
	bool (*run)(struct change *c);
} changes[] = {{ACT_FREEZE, freeze}, {ACT_THAW, thaw}, {ACT_REMOVE, remove_message}, {ACT_MARK_ALL, mark_all}, {ACT_MARK, mark},
    {ACT_ADD_RECIPIENT, add_recipients}, {ACT_EDIT_SENDER, edit_sender}, {ACT_MOVE, move_queue}};

/* Who is no admin may remove what was submitted in his name (manual 5 -Mrm). */
static bool allowed(const struct change *c)
{
	const struct program *p = c->p;
	if (p->id.admin || (p->args->action == ACT_REMOVE && c->m->uid == p->id.real_uid))
		return true;
	printf("Permission denied\n");
	return false;
}

static bool apply(struct program *p, struct str id)
{
	struct change c = {.p = p, .id = id};
	struct why why = {0};
	struct arena *a = arena_new("message", LIMIT_ARENA_MESSAGE, 0, 0);
	struct str queue = str_is_set(p->args->queue_name) && p->args->action != ACT_MOVE ? p->args->queue_name : STR("");
	bool ok = false;
	switch (spool_open_msg(p->world.spool, queue, id, a, &c.m, &c.sm, &why)) {
	case SPOOL_FOUND:
		for (size_t i = 0; i < countof(changes); i++)
			if (changes[i].act == p->args->action)
				ok = allowed(&c) && changes[i].run(&c);
		spool_release(c.sm);
		break;
	case SPOOL_GONE: printf("Spool data file for %.*s does not exist\n", STR_ARG(id)); break;
	case SPOOL_LOCKED: printf("Message %.*s is locked\n", STR_ARG(id)); break;
	case SPOOL_DAMAGED:
	case SPOOL_ERROR: printf("Spool read error for %.*s: %s\n", STR_ARG(id), why.text); break;
	}
	arena_free(a);
	return ok;
}

/* -Mvh, -Mvb, -Mvl: the file itself, wherever a split spool keeps it. */
static bool copy_file(struct program *p, const char *sub, struct str id, const char *suffix)
{
	struct str dir = p->world.config->spool_directory;
	struct str queue = str_is_set(p->args->queue_name) ? p->args->queue_name : STR("");
	const char *slash = queue.len ? "/" : "";
	char path[1024], split[1024], buf[8192];
	snprintf(path, sizeof path, "%.*s%s%.*s/%s/%.*s%s", STR_ARG(dir), slash, STR_ARG(queue), sub, STR_ARG(id), suffix);
	snprintf(split, sizeof split, "%.*s%s%.*s/%s/%c/%.*s%s", STR_ARG(dir), slash, STR_ARG(queue), sub, id.p[5],
	    STR_ARG(id), suffix);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		fd = open(split, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0) {
		printf("Failed to open %s file for %.*s%s: No such file or directory\n", sub, STR_ARG(id), suffix);
		return false;
	}
	ssize_t n;
	while ((n = read(fd, buf, sizeof buf)) > 0)
		fwrite(buf, 1, (size_t)n, stdout);
	close(fd);
	return n == 0;
}

static bool show_copy(struct program *p, struct str id)
{
	struct arena *a = arena_new("copy", LIMIT_ARENA_MESSAGE, 0, 0);
	struct message *m;
	struct spool_msg *sm = NULL;
	struct why why = {0};
	bool ok = spool_open_msg(p->world.spool, STR(""), id, a, &m, &sm, &why) == SPOOL_FOUND;
	if (ok) {
		char buf[8192];
		int64_t at = spool_msg_body_offset(sm);
		ssize_t n;
		for (const struct header *h = m->headers.first; h; h = h->next)
			if (h->kind != HDR_OLD)
				fwrite(h->text.p, 1, h->text.len, stdout);
		putchar('\n');
		while ((n = pread(spool_msg_fd(sm), buf, sizeof buf, at)) > 0) {
			fwrite(buf, 1, (size_t)n, stdout);
			at += n;
		}
	} else
		printf("Spool read error for %.*s: %s\n", STR_ARG(id), why.text);
	spool_release(sm);
	arena_free(a);
	return ok;
}

static bool show(struct program *p, struct str id)
{
	if (p->args->action == ACT_SHOW_COPY)
		return show_copy(p, id);
	if (p->args->action == ACT_SHOW_LOG)
		return copy_file(p, "msglog", id, "");
	return copy_file(p, "input", id, p->args->action == ACT_SHOW_BODY ? "-D" : "-H");
}

static bool deliver(struct program *p, struct str id)
{
	unsigned flags = 0;
	if (p->args->action == ACT_DELIVER)
		flags = DELIVER_FORCE | DELIVER_FORCE_FROZEN;
	else if (p->args->action == ACT_GIVE_UP)
		flags = DELIVER_FAIL_ALL | DELIVER_FORCE_FROZEN;
	struct str queue = str_is_set(p->args->queue_name) ? p->args->queue_name : STR("");
	enum deliver_outcome out = work_deliver(p, queue, id, flags, STR_NONE, STR_NONE);
	if (out == DELIVER_GONE)
		printf("Spool data file for %.*s does not exist\n", STR_ARG(id));
	return out != DELIVER_GONE && out != DELIVER_ERROR;
}

int mode_message(struct program *p)
{
	enum message_action act = p->args->action;
	bool delivers = act == ACT_DELIVER || act == ACT_DELIVER_RETRY || act == ACT_GIVE_UP;
	bool shows = act >= ACT_SHOW_BODY && act <= ACT_SHOW_LOG;
	bool open_to_all = act == ACT_REMOVE || (delivers && act != ACT_GIVE_UP && !p->world.config->main.prod_requires_admin);
	if (!p->id.admin && !open_to_all) {
		fprintf(stderr, "exim: permission denied\n");
		return 1;
	}
	unsigned parts = WORLD_SPOOL | (delivers ? WORLD_HINTS | WORLD_RESOLVER | WORLD_TLS : 0);
	if (!program_become(p, delivers ? ROLE_EXIM_WITH_AGENT : ROLE_EXIM) || !program_open(p, parts))
		return 1;
	int rc = 0;
	for (size_t i = 0; i < p->args->id_count; i++) {
		struct str id = p->args->ids[i];
		if (!(delivers ? deliver(p, id) : shows ? show(p, id) : apply(p, id)))
			rc = 1;
	}
	return rc;
}
