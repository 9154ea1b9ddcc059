/* SPDX-License-Identifier: Apache-2.0
 * What stays when a system call fails, when the process dies at one, and in which order things reach
 * the disk (the invariants of spool/format.h). */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spool/ops.h"

enum fault { FAULT_NONE, FAULT_FAIL, FAULT_DIE };

/* System calls that count; the n-th fails or is the last. Also what is not on disk yet. */
struct faulty {
	struct spool_ops ops;
	enum fault fault;
	int at, calls, error;
	bool hit;            /* the fault came */
	bool hit_unlink;     /* and it was in an unlink: then a name may stay */
	/* the disk as a power cut would leave it */
	struct {
		int fd;
		char name[40];
		bool dirty;
	} file[64];
	int files;
	bool folder_dirty, broken_order, updating;
};

static bool strikes(struct spool_ops *o, bool unlink)
{
	struct faulty *f = (struct faulty *)o;
	if (f->fault == FAULT_NONE || ++f->calls != f->at)
		return false;
	if (f->fault == FAULT_DIE)
		_exit(7);
	f->hit = true;
	f->hit_unlink = unlink;
	errno = f->error;
	return true;
}

static int f_openat(struct spool_ops *o, int dir, const char *name, int flags, unsigned mode)
{
	struct faulty *f = (struct faulty *)o;
	if (strikes(o, false))
		return -1;
	int fd = spool_ops_system.openat(o, dir, name, flags, mode);
	if (fd >= 0 && f->files < 64) {
		f->file[f->files].fd = fd;
		snprintf(f->file[f->files].name, sizeof f->file[0].name, "%s", name);
		f->file[f->files++].dirty = false;
		f->folder_dirty = true;
	}
	return fd;
}

static ssize_t f_writev(struct spool_ops *o, int fd, const struct iovec *v, int n)
{
	struct faulty *f = (struct faulty *)o;
	if (strikes(o, false))
		return -1;
	for (int i = f->files; i-- > 0;)
		if (f->file[i].fd == fd) {
			f->file[i].dirty = true;
			break;
		}
	/* A short write now and then: all of it must still arrive. */
	struct iovec part = {.iov_base = v->iov_base, .iov_len = v->iov_len > 3 ? 3 : v->iov_len};
	return v->iov_len > 3 && f->calls % 2 ? spool_ops_system.writev(o, fd, &part, 1) : spool_ops_system.writev(o, fd, v, n);
}

static int f_renameat(struct spool_ops *o, int from_dir, const char *from, int to_dir, const char *to)
{
	struct faulty *f = (struct faulty *)o;
	if (strikes(o, false))
		return -1;
	for (int i = 0; i < f->files; i++)
		f->broken_order |= f->file[i].dirty && strncmp(from, "hdr.", 4) == 0; /* invariant 1 */
	f->folder_dirty = true;
	return spool_ops_system.renameat(o, from_dir, from, to_dir, to);
}

static int f_linkat(struct spool_ops *o, int from_dir, const char *from, int to_dir, const char *to)
{
	return strikes(o, false) ? -1 : spool_ops_system.linkat(o, from_dir, from, to_dir, to);
}

static int f_unlinkat(struct spool_ops *o, int dir, const char *name)
{
	struct faulty *f = (struct faulty *)o;
	if (strikes(o, true))
		return -1;
	/* invariant 6: -J goes when the new -H has its name on disk */
	f->broken_order |= f->updating && str_ends(str_c(name), "-J") && f->folder_dirty;
	return spool_ops_system.unlinkat(o, dir, name);
}

static int f_sync(struct spool_ops *o, int fd)
{
	struct faulty *f = (struct faulty *)o;
	if (strikes(o, false))
		return -1;
	for (int i = 0; i < f->files; i++)
		if (f->file[i].fd == fd)
			f->file[i].dirty = false;
	return 0;
}

static int f_fsync(struct spool_ops *o, int fd)
{
	struct faulty *f = (struct faulty *)o;
	if (f_sync(o, fd))
		return -1;
	f->folder_dirty = false;
	return 0;
}

static int f_syncfs(struct spool_ops *o, int fd)
{
	struct faulty *f = (struct faulty *)o;
	if (f_fsync(o, fd))
		return -1;
	for (int i = 0; i < f->files; i++)
		f->file[i].dirty = false;
	return 0;
}

static void faulty_init(struct faulty *f, enum fault fault, int at, int error)
{
	*f = (struct faulty){.ops = {.openat = f_openat, .writev = f_writev, .renameat = f_renameat, .linkat = f_linkat,
				 .unlinkat = f_unlinkat, .fdatasync = f_sync, .fsync = f_fsync, .syncfs = f_syncfs},
	    .fault = fault,
	    .at = at,
	    .error = error};
}

struct box {
	struct env env;
	struct arena *a;
	char dir[64];
	struct spool *s;
	struct why why;
};

static void box_reopen(struct box *b, struct spool_ops *ops)
{
	spool_close(b->s);
	struct spool_config cfg = {.directory = str_c(b->dir), .uid = -1, .gid = -1, .localhost_number = -1};
	b->s = spool_open(&cfg, &b->env, &b->why);
	check(b->s != NULL);
	if (ops)
		spool_set_ops(b->s, ops);
}

static void box_open(struct box *b, struct spool_ops *ops)
{
	*b = (struct box){.s = NULL};
	test_env(&b->env);
	b->a = arena_new("t", 64 << 20, 0, 0);
	snprintf(b->dir, sizeof b->dir, "%s", "/tmp/spool-fault.XXXXXX");
	check(mkdtemp(b->dir) != NULL);
	box_reopen(b, ops);
}

/* Names in input/. */
static int names(struct box *b, bool remove)
{
	char path[400];
	snprintf(path, sizeof path, "%s/input", b->dir);
	DIR *dir = opendir(path);
	int n = 0;
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		n++;
		snprintf(path, sizeof path, "%s/input/%s", b->dir, e->d_name);
		if (remove)
			unlink(path);
	}
	if (dir)
		closedir(dir);
	return n;
}

static void box_close(struct box *b)
{
	char path[128];
	spool_close(b->s);
	names(b, true);
	snprintf(path, sizeof path, "%s/input", b->dir);
	rmdir(path);
	snprintf(path, sizeof path, "%s/slow/input", b->dir);
	rmdir(path);
	snprintf(path, sizeof path, "%s/slow", b->dir);
	rmdir(path);
	check_int(rmdir(b->dir), 0);
	arena_free(b->a);
	test_env_done(&b->env);
}

static enum status put(struct box *b, char id[MSG_ID_MAX])
{
	struct spool_writer *w = NULL;
	enum status st = spool_create(b->s, STR(""), id, &w, &b->why);
	if (st)
		return st;
	struct message *m = message_new(b->a);
	memcpy(m->id, id, MSG_ID_MAX);
	m->login = STR("root");
	m->received_us = clock_us(&b->env.clock);
	message_add_recipient(m, STR("a@b.ex"));
	message_add_recipient(m, STR("c@d.ex"));
	headers_add(&m->headers, b->a, STR("Subject: t\n"), HDR_OTHER);
	st = spool_append(w, "line one\n", 9);
	if (st) {
		spool_abort(w);
		return st;
	}
	return spool_commit(w, m, &b->why);
}

/* Put, deliver one recipient, update, remove: a byte to `report` after each step that was answered with OK. */
enum step { STEP_NONE, STEP_PUT, STEP_JOURNAL, STEP_UPDATE, STEP_REMOVING, STEP_REMOVED };

static void report(int fd, char id[MSG_ID_MAX], enum step step)
{
	char line[MSG_ID_MAX + 1];
	memcpy(line, id, MSG_ID_MAX);
	line[MSG_ID_MAX] = (char)step;
	if (write(fd, line, sizeof line) != (ssize_t)sizeof line)
		_exit(9);
}

static void life_of_a_message(struct box *b, int to)
{
	char id[MSG_ID_MAX];
	struct message *m = NULL;
	struct spool_msg *sm = NULL;
	if (put(b, id))
		return;
	report(to, id, STEP_PUT);
	if (spool_open_msg(b->s, STR(""), str_c(id), b->a, &m, &sm, &b->why) != SPOOL_FOUND)
		return;
	if (spool_journal(sm, STR("a@b.ex")) == ST_OK)
		report(to, id, STEP_JOURNAL);
	message_set_done(m, STR("a@b.ex"));
	if (spool_update(sm, m, &b->why) == ST_OK)
		report(to, id, STEP_UPDATE);
	report(to, id, STEP_REMOVING);
	if (spool_remove(sm, &b->why) == ST_OK)
		report(to, id, STEP_REMOVED);
	spool_release(sm);
}

static enum step last_report(int from, char id[MSG_ID_MAX])
{
	char line[MSG_ID_MAX + 1];
	enum step step = STEP_NONE;
	while (read(from, line, sizeof line) == (ssize_t)sizeof line) {
		memcpy(id, line, MSG_ID_MAX);
		step = (enum step)line[MSG_ID_MAX];
	}
	return step;
}

static bool collect(void *arg, const struct spool_entry *e)
{
	struct spool_entry *last = arg;
	if (e->has_header)
		*last = *e;
	return true;
}

/* After a death: the message is whole or not there; after STEP_PUT it is there. */
static void look(struct box *b, enum step step, const char *id)
{
	struct spool_entry e = {.has_header = false};
	struct message *m = NULL;
	struct spool_msg *sm = NULL;
	box_reopen(b, NULL);
	check_int(spool_scan(b->s, STR(""), collect, &e, &b->why), ST_OK);
	bool must_be_there = step >= STEP_PUT && step < STEP_REMOVING;
	bool must_be_gone = step == STEP_REMOVED;
	check(!must_be_there || (e.has_header && strcmp(e.id, id) == 0));
	check(!must_be_gone || !e.has_header);
	if (e.has_header) {
		enum spool_found found = spool_open_msg(b->s, STR(""), str_c(e.id), b->a, &m, &sm, &b->why);
		check_int(found, SPOOL_FOUND);
		if (found == SPOOL_FOUND) {
			check_int(m->body_size, 9);
			check_int((long long)m->recipients, 2);
			check(step < STEP_JOURNAL || message_is_done(m, STR("a@b.ex")));
			check(!message_is_done(m, STR("c@d.ex")));
			check_int(spool_remove(sm, &b->why), ST_OK);
			spool_release(sm);
		}
	}
	unsigned removed = 0;
	test_clock_set(4102444800000000);
	check_int(spool_tidy(b->s, 60, &removed), ST_OK);
	test_clock_set(1709896953456789);
	check_int(names(b, false), 0);
}

static void a_death_at_any_call_leaves_a_message_whole_or_none(void)
{
	bool survived = false;
	int n = 1;
	for (; !survived && n < 200; n++) {
		struct box b;
		char id[MSG_ID_MAX] = "";
		int pipefd[2];
		box_open(&b, NULL);
		check(pipe(pipefd) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			struct faulty f;
			faulty_init(&f, FAULT_DIE, n, 0);
			spool_set_ops(b.s, &f.ops);
			life_of_a_message(&b, pipefd[1]);
			_exit(0);
		}
		close(pipefd[1]);
		int status = 0;
		check(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
		survived = WEXITSTATUS(status) == 0;
		check(survived || WEXITSTATUS(status) == 7);
		enum step step = last_report(pipefd[0], id);
		close(pipefd[0]);
		look(&b, step, id);
		box_close(&b);
	}
	check(n > 15); /* so many calls there are at least */
}

static void a_failed_call_undoes_all_and_says_temporary(void)
{
	static const int errors[] = {ENOSPC, EIO};
	for (size_t k = 0; k < countof(errors); k++) {
		bool again = true;
		for (int n = 1; again && n < 100; n++) {
			struct box b;
			struct faulty f;
			char id[MSG_ID_MAX];
			box_open(&b, NULL);
			faulty_init(&f, FAULT_FAIL, n, errors[k]);
			spool_set_ops(b.s, &f.ops);
			b.why = (struct why){.temporary = false};
			enum status st = put(&b, id);
			again = f.hit;
			check((st != ST_OK) == f.hit);
			if (st) {
				check(b.why.temporary);
				check_int(st, ST_ERRNO(errors[k]));
				check_int(names(&b, false), f.hit_unlink ? 1 : 0);
			} else {
				check_int(names(&b, false), 2);
			}
			box_close(&b);
		}
	}
}

static void a_failed_update_leaves_the_old_header_and_the_journal(void)
{
	bool again = true;
	for (int n = 1; again && n < 100; n++) {
		struct box b;
		struct faulty f;
		char id[MSG_ID_MAX];
		struct message *m = NULL;
		struct spool_msg *sm = NULL;
		box_open(&b, NULL);
		check_int(put(&b, id), ST_OK);
		check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
		check_int(spool_journal(sm, STR("a@b.ex")), ST_OK);
		faulty_init(&f, FAULT_FAIL, n, EIO);
		spool_set_ops(b.s, &f.ops);
		message_set_done(m, STR("a@b.ex"));
		m->warnings = 1;
		enum status st = spool_update(sm, m, &b.why);
		again = f.hit;
		check((st != ST_OK) == f.hit);
		spool_release(sm);
		box_reopen(&b, NULL);
		check_int(spool_read_header(b.s, STR(""), str_c(id), b.a, &m, &b.why), SPOOL_FOUND);
		check(message_is_done(m, STR("a@b.ex")));
		box_close(&b);
	}
}

static void a_move_never_leaves_it_nowhere(void)
{
	bool again = true;
	for (int n = 1; again && n < 100; n++) {
		struct box b;
		struct faulty f;
		char id[MSG_ID_MAX];
		struct message *m = NULL;
		struct spool_msg *sm = NULL;
		box_open(&b, NULL);
		check_int(put(&b, id), ST_OK);
		check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
		faulty_init(&f, FAULT_FAIL, n, EIO);
		spool_set_ops(b.s, &f.ops);
		enum status st = spool_move(sm, STR("slow"), &b.why);
		again = f.hit;
		spool_release(sm);
		box_reopen(&b, NULL);
		struct spool_msg *here = NULL, *there = NULL;
		enum spool_found in_main = spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &here, &b.why);
		enum spool_found in_slow = spool_open_msg(b.s, STR("slow"), str_c(id), b.a, &m, &there, &b.why);
		check(in_main == SPOOL_FOUND || in_slow == SPOOL_FOUND);
		/* both names: one lock, so nobody delivers it twice at once */
		check(!(in_main == SPOOL_FOUND && in_slow == SPOOL_FOUND));
		check(st != ST_OK || in_slow == SPOOL_FOUND);
		if (here)
			check_int(spool_remove(here, &b.why), ST_OK);
		if (there)
			check_int(spool_remove(there, &b.why), ST_OK);
		spool_release(here);
		spool_release(there);
		if (in_slow == SPOOL_LOCKED &&
		    spool_open_msg(b.s, STR("slow"), str_c(id), b.a, &m, &there, &b.why) == SPOOL_FOUND) {
			check_int(spool_remove(there, &b.why), ST_OK);
			spool_release(there);
		}
		test_clock_set(4102444800000000);
		unsigned removed = 0;
		check_int(spool_tidy(b.s, 60, &removed), ST_OK);
		test_clock_set(1709896953456789);
		box_close(&b);
	}
}

static void bytes_reach_the_disk_before_their_name(void)
{
	struct box b;
	struct faulty f;
	char id[MSG_ID_MAX];
	struct message *m = NULL;
	struct spool_msg *sm = NULL;
	box_open(&b, NULL);
	faulty_init(&f, FAULT_NONE, 0, 0);
	spool_set_ops(b.s, &f.ops);
	check_int(put(&b, id), ST_OK);
	check(!f.broken_order && !f.folder_dirty);
	f.files = 0;
	check_int(spool_open_msg(b.s, STR(""), str_c(id), b.a, &m, &sm, &b.why), SPOOL_FOUND);
	check_int(spool_journal(sm, STR("a@b.ex")), ST_OK);
	f.files = 0;
	f.updating = true;
	check_int(spool_update(sm, m, &b.why), ST_OK);
	check(!f.broken_order && !f.folder_dirty);
	spool_release(sm);
	box_close(&b);
}

TEST_MAIN({"a death at any call leaves a message whole or none", a_death_at_any_call_leaves_a_message_whole_or_none},
    {"a failed call undoes all and says temporary", a_failed_call_undoes_all_and_says_temporary},
    {"a failed update leaves the old header and the journal", a_failed_update_leaves_the_old_header_and_the_journal},
    {"a move never leaves it nowhere", a_move_never_leaves_it_nowhere},
    {"bytes reach the disk before their name", bytes_reach_the_disk_before_their_name})
