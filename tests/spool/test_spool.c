/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spool/ops.h"

/* A spool of its own for each test. */
struct box {
	struct env env;
	struct arena *a;
	char dir[64];
	struct spool *s;
	struct why why;
};

static void box_reopen(struct box *b, bool split)
{
	spool_close(b->s);
	struct spool_config cfg = {.directory = str_c(b->dir), .split = split, .uid = -1, .gid = -1, .localhost_number = -1, .message_logs = true};
	b->s = spool_open(&cfg, &b->env, &b->why);
	check(b->s != NULL);
}

static void box_open(struct box *b, bool split)
{
	*b = (struct box){.s = NULL};
	test_env(&b->env);
	b->a = arena_new("t", 64 << 20, 0, 0);
	snprintf(b->dir, sizeof b->dir, "%s", "/tmp/spool-test.XXXXXX");
	check(mkdtemp(b->dir) != NULL);
	box_reopen(b, split);
}

static void box_close(struct box *b)
{
	char command[128];
	spool_close(b->s);
	snprintf(command, sizeof command, "%s", b->dir);
	pid_t pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", command, (char *)NULL);
		_exit(1);
	}
	check(pid > 0);
	arena_free(b->a);
	test_env_done(&b->env);
}

/* One message put in the queue; its id in `id`. */
static enum status put(struct box *b, struct str queue, char id[MSG_ID_MAX])
{
	struct spool_writer *w = NULL;
	enum status st = spool_create(b->s, queue, id, &w, &b->why);
	if (st)
		return st;
	struct message *m = message_new(b->a);
	memcpy(m->id, id, MSG_ID_MAX);
	m->login = STR("root");
	m->sender = STR("me@here.ex");
	m->received_us = clock_us(&b->env.clock);
	message_add_recipient(m, STR("a@b.ex"));
	message_add_recipient(m, STR("c@d.ex"));
	headers_add(&m->headers, b->a, STR("Subject: t\n"), HDR_OTHER);
	st = spool_append(w, "line one\n", 9);
	if (!st)
		st = spool_append(w, "line two\n", 9);
	if (st) {
		spool_abort(w);
		return st;
	}
	return spool_commit(w, m, &b->why);
}

static bool count_entry(void *arg, const struct spool_entry *e)
{
	int *n = arg;
	n[e->has_header]++;
	return true;
}

static void a_committed_message_is_opened_journalled_updated_removed(void)
{
	struct box b;
	char id[MSG_ID_MAX];
	struct message *m = NULL;
	struct spool_msg *sm = NULL, *other = NULL;
	for (int split = 0; split < 2; split++) {
		box_open(&b, split);
		check_int(put(&b, STR(""), id), ST_OK);
		check_int(strlen(id), 23);
		check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
		check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &other, &b.why), SPOOL_LOCKED);
		check_int(m->body_size, 18);
		check_int(m->size, 18 + 11);
		check_str(spool_body_text(b.a, spool_msg_fd(sm), spool_msg_body_offset(sm), m->body_size, 12, false, false), "line one lin");
		check_str(spool_body_text(b.a, spool_msg_fd(sm), spool_msg_body_offset(sm), m->body_size, 6, true, true), "e two\n");
		check_int(spool_journal(sm, STR("a@b.ex")), ST_OK);
		check(spool_journal(sm, STR("a@b\nc")) != ST_OK);
		spool_release(sm);

		box_reopen(&b, !split); /* read wherever it lies */
		check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
		check(message_is_done(m, STR("a@b.ex")) && !message_is_done(m, STR("c@d.ex")));
		m->frozen_at = 5;
		check_int(spool_update(sm, m, &b.why), ST_OK);
		spool_release(sm);
		check_int(spool_read_header(b.s, STR(""), str_c(id), b.a, &m, &b.why), SPOOL_FOUND);
		check(message_is_done(m, STR("a@b.ex")));
		check_int(m->frozen_at, 5);
		check_int(m->body_size, 18);
		check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
		check_int(spool_remove(sm, &b.why), ST_OK);
		spool_release(sm);
		int n[2] = {0};
		check_int(spool_scan(b.s, STR(""), count_entry, n, &b.why), ST_OK);
		check_int(n[0] + n[1], 0);
		check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_GONE);
		box_close(&b);
	}
}

static void ids_never_repeat_though_the_clock_stands(void)
{
	struct box b;
	char one[MSG_ID_MAX], two[MSG_ID_MAX];
	box_open(&b, false);
	check_int(put(&b, STR(""), one), ST_OK);
	check_int(put(&b, STR(""), two), ST_OK);
	check(strcmp(one, two) < 0);
	check(msgid_valid(str_c(one)));
	check_int(msgid_time(str_c(one)), clock_s(&b.env.clock));
	check(msgid_valid(STR("16VDhn-0001bo-D3")) && !msgid_valid(STR("16VDhn-0001bo-D3x")));
	box_close(&b);
}

static void named_queues_are_apart_and_messages_move_between_them(void)
{
	struct box b;
	char id[MSG_ID_MAX];
	struct message *m = NULL;
	struct spool_msg *sm = NULL;
	struct str *name = NULL;
	size_t count = 0;
	box_open(&b, true);
	check_int(put(&b, STR("slow"), id), ST_OK);
	check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_GONE);
	check_int(spool_open_msg(b.s, STR("slow"), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
	check_str(m->queue_name, "slow");
	check_int(spool_move(sm, STR(""), &b.why), ST_OK);
	spool_release(sm);
	check_int(spool_open_msg(b.s, STR("slow"), str_c(id), b.a, &m, &sm, &b.why), SPOOL_GONE);
	check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
	check(spool_move(sm, STR("../x"), &b.why) != ST_OK);
	spool_release(sm);
	check_int(spool_queues(b.s, b.a, &name, &count), ST_OK);
	check_int((long long)count, 2);
	check_str(name[1], "slow");
	box_close(&b);
}

static void write_file(struct box *b, const char *name, const char *text)
{
	char path[160];
	snprintf(path, sizeof path, "%s/input/%s", b->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void damage_is_told_and_left_and_debris_goes(void)
{
	struct box b;
	char id[MSG_ID_MAX], name[64];
	struct message *m = NULL;
	struct spool_msg *sm = NULL;
	box_open(&b, false);
	check_int(put(&b, STR(""), id), ST_OK);
	snprintf(name, sizeof name, "%s-H", id);
	write_file(&b, name, "");
	check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_DAMAGED);
	check(strstr(b.why.text, id) != NULL);
	write_file(&b, "16VDhn-0001bo-D3-D", "16VDhn-0001bo-D3-D\nx\n");
	write_file(&b, "16VDhn-0001bo-D3-J", "a@b\n");
	write_file(&b, "hdr.16VDhn-0001bo-D3", "16V");
	write_file(&b, "notes", "keep me");
	int n[2] = {0};
	check_int(spool_scan(b.s, STR(""), count_entry, n, &b.why), ST_OK);
	check_int(n[0], 1);
	check_int(n[1], 1);
	unsigned removed = 0;
	check_int(spool_tidy(b.s, 60, &removed), ST_OK);
	check_int(removed, 0); /* the test's clock stands in 2024: the files are of its future */
	test_clock_set(4102444800000000);
	check_int(spool_tidy(b.s, 60, &removed), ST_OK);
	check_int(removed, 3);
	check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_DAMAGED);
	test_clock_set(1709896953456789);
	box_close(&b);
}

static void low_space_is_seen(void)
{
	struct box b;
	box_open(&b, false);
	check_int(spool_check_space(b.s, 0), SPACE_OK);
	spool_close(b.s);
	struct spool_config cfg = {.directory = str_c(b.dir), .uid = -1, .gid = -1, .localhost_number = -1, .min_space = 1024};
	b.s = spool_open(&cfg, &b.env, &b.why);
	check_int(spool_check_space(b.s, 1), SPACE_OK);
	check_int(spool_check_space(b.s, INT64_MAX - 5000), SPACE_LOW);
	check_int(spool_check_space(b.s, INT64_MAX), SPACE_LOW);
	box_close(&b);
}

static void a_missing_spool_is_made(void)
{
	struct box b;
	char dir[80];
	box_open(&b, false);
	spool_close(b.s);
	snprintf(dir, sizeof dir, "%s/new", b.dir);
	struct spool_config cfg = {.directory = str_c(dir), .uid = -1, .gid = -1, .localhost_number = -1};
	b.s = spool_open(&cfg, &b.env, &b.why);
	check(b.s != NULL);
	box_close(&b);
}

TEST_MAIN({"a committed message is opened, journalled, updated, removed", a_committed_message_is_opened_journalled_updated_removed},
    {"ids never repeat though the clock stands", ids_never_repeat_though_the_clock_stands},
    {"named queues are apart and messages move between them", named_queues_are_apart_and_messages_move_between_them},
    {"damage is told and left, and debris goes", damage_is_told_and_left_and_debris_goes},
    {"low space is seen", low_space_is_seen},
    {"a missing spool is made", a_missing_spool_is_made})
