/* SPDX-License-Identifier: Apache-2.0
 * ${run (manual 11.5). The command is cut into words first and each word is expanded on its own,
 * so that no value can become two words or another command; with the option preexpand the whole
 * is expanded before. Never a shell. The child gets a clean descriptor table and is killed after
 * a minute. */
#include "expand/tree.h"
#include "expand/text.h"
#include "base/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/banned.h"

enum { RUN_WORDS_MAX = 256, RUN_TIMEOUT_MS = 60000 };
extern char **environ;

static void parse_run(struct xparser *x, struct xnode *n)
{
	while (xparse_take(x, ',')) {
		struct str opt = xparse_name(x, "_");
		if (str_eqc(opt, "preexpand")) {
			n->form = 1;
		} else {
			xparse_error(x, "bad option '%.*s' for run", STR_ARG(opt));
			return;
		}
	}
	xparse_space(x);
	if (!xparse_take(x, '{')) {
		xparse_error(x, "missing '{' for command arg of run");
		return;
	}
	n->arg[n->args++] = xparse_braced(x);
	if (!x->failed)
		xparse_yesno(x, n);
}

/* Words as a command line has them: blanks between, "..." with escapes, '...' as it stands. */
static bool next_word(struct rd *r, struct arena *a, struct str *ret)
{
	struct strbuf sb;

	rd_skip_space(r);
	if (rd_done(r))
		return false;
	if (rd_peek(r) == '"') {
		const char *from = r->p;
		*ret = text_dequote(r, a);
		(void)from;
		return true;
	}
	sb_init(&sb, a, LIMIT_EXPANSION);
	if (rd_accept(r, '\'')) {
		sb_add(&sb, rd_until(r, '\''));
		rd_accept(r, '\'');
	} else {
		while (!rd_done(r) && !ch_space(rd_peek(r)))
			sb_ch(&sb, (char)rd_byte(r));
	}
	*ret = sb_str(&sb);
	return true;
}

static enum expand_status make_argv(struct eval *ev, const struct xnode *n, char **argv)
{
	struct str command = n->arg[0]->raw, word;
	enum expand_status st;
	unsigned count = 0;

	if (n->form == 1) {
		st = xeval(ev, n->arg[0], &command);
		if (st != EXPAND_OK)
			return st;
		if (command.taint)
			return expand_fail(ev, "Tainted '%.*s' (command for ${run,preexpand})", STR_ARG(command));
	}
	struct rd r = rd_of(command);
	while (next_word(&r, ev->lx.arena, &word)) {
		struct str v = word;
		if (count >= RUN_WORDS_MAX)
			return expand_fail(ev, "Too many arguments to command \"%.*s\" in ${run} expansion", STR_ARG(command));
		if (n->form == 0) {
			struct str text = word;
			text.taint = 0;
			st = expand_text(ev, text, &v);
			if (st == EXPAND_FAILED || st == EXPAND_DEFER)
				expand_fail(ev, "Expansion of \"%.*s\" from command \"%.*s\" in ${run} expansion failed: %.*s",
				    STR_ARG(word), STR_ARG(command), STR_ARG(ev->lx.error));
			if (st != EXPAND_OK)
				return st;
		}
		if (count == 0 && v.taint)
			return expand_fail(ev, "Tainted '%.*s' (command for ${run})", STR_ARG(v));
		argv[count++] = str_cstr(ev->lx.arena, v);
	}
	argv[count] = NULL;
	if (!count)
		return expand_fail(ev, "null command in ${run} expansion");
	return EXPAND_OK;
}

/* Start argv with its output on the returned descriptor; -1 with errno. */
static int start(char **argv, pid_t *ret_pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&fa, p[1], 1);
	posix_spawn_file_actions_adddup2(&fa, p[1], 2);
	posix_spawn_file_actions_addclosefrom_np(&fa, 3);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
	int e = posix_spawn(ret_pid, argv[0], &fa, &attr, argv, environ);
	posix_spawn_file_actions_destroy(&fa);
	posix_spawnattr_destroy(&attr);
	close(p[1]);
	if (e) {
		close(p[0]);
		errno = e;
		return -1;
	}
	return p[0];
}

/* Read to the end; false: the time was up. */
static bool collect(struct eval *ev, int fd, struct strbuf *sb)
{
	int64_t until = clock_mono_ms(&ev->lx.env->clock) + RUN_TIMEOUT_MS;
	char buf[4096];

	for (;;) {
		int64_t left = until - clock_mono_ms(&ev->lx.env->clock);
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		if (left <= 0 || sb->over)
			return false;
		int got = poll(&pfd, 1, (int)left);
		if (got < 0 && errno != EINTR)
			return false;
		if (got <= 0)
			continue;
		ssize_t n = read(fd, buf, sizeof buf);
		if (n == 0)
			return true;
		if (n > 0)
			sb_addn(sb, buf, (size_t)n);
		else if (errno != EINTR)
			return false;
	}
}

static enum expand_status run_run(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	char *argv[RUN_WORDS_MAX + 1];
	struct strbuf sb;
	pid_t pid;
	int status = 0;

	if (ev->forbid & EVAL_FORBID_RUN)
		return expand_fail(ev, "running a command is not permitted");
	if (n->args < 1 || n->arg[0]->broken)
		return xbroken(ev, n->tree);
	enum expand_status st = make_argv(ev, n, argv);
	if (st != EXPAND_OK)
		return st;
	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	int fd = start(argv, &pid);
	if (fd < 0) {
		ev->runrc = 127;
	} else {
		bool done = collect(ev, fd, &sb);
		close(fd);
		if (!done)
			kill(-pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		if (!done)
			return expand_fail(ev, sb.over ? "command output is too long" : "command timed out");
		ev->runrc = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	}
	struct str got = sb_str(&sb);
	got.taint = 1;
	return xyesno(ev, n, ev->runrc == 0, got, out);
}

const struct expand_item items_run[] = {
    {.name = "run", .lazy = true, .parse = parse_run, .run = run_run},
    {0},
};
