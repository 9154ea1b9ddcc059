/* SPDX-License-Identifier: Apache-2.0
 * -be, -bem, -Mset (manual 5): expansions of the arguments, or of lines from standard input. */
#include "cli/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "expand/expand.h"
#include "base/banned.h"

static void expand_one(struct eval *ev, struct str line)
{
	struct str out;
	enum expand_status st = expand_text(ev, line, &out);
	if (st == EXPAND_OK) {
		fwrite(out.p, 1, out.len, stdout);
		putchar('\n');
	} else
		printf("Failed: %.*s\n", STR_ARG(ev->lx.error));
	fflush(stdout);
}

static bool read_whole(struct program *p, int fd, struct str *ret)
{
	struct strbuf sb;
	char buf[8192];
	ssize_t n;
	sb_init(&sb, p->arena, LIMIT_SPOOL_HEADER);
	while ((n = read(fd, buf, sizeof buf)) > 0)
		sb_addn(&sb, buf, (size_t)n);
	*ret = str_tainted(sb_str(&sb));
	return n == 0 && !sb.over;
}

/* -bem FILE: headers, an empty line, the body. The body is read again through its descriptor. */
static bool load_file(struct program *p, struct eval *ev)
{
	char *path = str_cstr(p->arena, p->args->message_file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct str text;
	if (fd < 0 || !read_whole(p, fd, &text)) {
		program_say("failed to read %s: %s", path, strerrordesc_np(errno));
		return false;
	}
	struct message *m = message_new(p->arena);
	struct rd r = rd_of(text);
	headers_parse(&m->headers, p->arena, &r);
	if (!rd_accept_text(&r, "\r\n"))
		rd_accept(&r, '\n');
	m->size = text.len;
	m->body_size = (int64_t)rd_left(&r);
	for (const char *c = r.p; c < r.end; c++)
		m->body_lines += *c == '\n';
	eval_set_message(ev, m);
	ev->in_bem = true;
	ev->body_fd = fd;
	ev->body_offset = r.p - text.p;
	ev->body_size = m->body_size;
	return true;
}

static bool load_queued(struct program *p, struct eval *ev)
{
	struct message *m;
	struct why why = {0};
	if (!program_needs_admin(p) || !program_open(p, WORLD_SPOOL))
		return false;
	if (spool_read_header(p->world.spool, STR(""), p->args->ids[0], p->arena, &m, &why) != SPOOL_FOUND) {
		program_say("message %.*s not found: %s", STR_ARG(p->args->ids[0]), why.text);
		return false;
	}
	eval_set_message(ev, m);
	eval_set_peer(ev, &m->peer);
	return true;
}

/* "set acl_m_name = value" (manual 11.3): for the lines that follow. False: it is another line. */
static bool set_variable(struct program *p, struct eval *ev, struct str line)
{
	struct str value, name;
	if (!str_starts(line, "set acl_c") && !str_starts(line, "set acl_m"))
		return false;
	name = str_trim(str_cut(str_from(line, 4), '=', &value));
	if (!str_is_set(value) || name.len < 6)
		return false;
	if (!ev->lx.message)
		eval_set_message(ev, message_new(p->arena));
	struct str *kept = arena_new_of(p->arena, struct str);
	if (expand_text(ev, str_dup(p->arena, str_ltrim(value)), kept) != EXPAND_OK) {
		printf("Failed: %.*s\n", STR_ARG(ev->lx.error));
		return true;
	}
	*kept = str_dup(p->arena, *kept);
	map_put(name.p[4] == 'c' ? &ev->lx.message->acl_c : &ev->lx.message->acl_m, str_dup(p->arena, str_from(name, 5)), kept);
	return true;
}

/* Lines from standard input; a backslash at the end continues. A prompt stands before each. */
static void expand_lines(struct program *p, struct eval *ev)
{
	char *line = NULL;
	size_t room = 0;
	struct strbuf sb;
	ssize_t n;
	sb_init(&sb, p->arena, LIMIT_EXPANSION);
	fputs("> ", stdout);
	fflush(stdout);
	while ((n = getline(&line, &room, stdin)) > 0) {
		while (n > 0 && ch_space((unsigned char)line[n - 1]))
			n--;
		bool more = n > 0 && line[n - 1] == '\\';
		if (more)
			n--;
		struct str piece = str_n(line, (size_t)n);
		sb_add(&sb, sb.len ? str_ltrim(piece) : piece);
		if (!more) {
			if (!set_variable(p, ev, sb_str(&sb))) {
				struct arena_mark mark = arena_mark(p->arena);
				expand_one(ev, str_dup(p->arena, sb_str(&sb)));
				arena_release(p->arena, mark);
			}
			sb_truncate(&sb, 0);
		}
		fputs("> ", stdout);
		fflush(stdout);
	}
	free(line);
	putchar('\n');
}

int mode_expand(struct program *p)
{
	struct eval ev;
	if (p->args->action != ACT_SET && !program_become(p, ROLE_CALLER))
		return 1;
	program_open(p, WORLD_RESOLVER);
	eval_init(&ev, p->world.config, &p->world.env, p->arena);
	if (str_is_set(p->args->message_file) && !load_file(p, &ev))
		return 1;
	if (p->args->action == ACT_SET && !load_queued(p, &ev))
		return 1;
	for (size_t i = 0; i < p->args->args; i++)
		expand_one(&ev, (struct str){.p = p->args->arg[i].p, .len = p->args->arg[i].len});
	if (p->args->args == 0)
		expand_lines(p, &ev);
	return 0;
}
