/* SPDX-License-Identifier: Apache-2.0
 * Transport filters (manual 24): the message goes through a command on its way out. The command
 * reads a file that holds the whole message and writes another, so nothing can block on a pipe;
 * it runs as the delivery's user: in the agent's child directly, for remote transports in a child
 * that the agent makes. */
#include "transport/local.h"
#include "transport/steps.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/banned.h"

bool transport_filter_argv(struct delivery *d, const char *const **ret, struct why *why)
{
	const struct xstr *x = &transport_generic(d)->transport_filter;
	struct command c;
	*ret = NULL;
	if (str_empty(x->text))
		return true;
	if (!command_parse(d, x->text, COMMAND_EXPAND | COMMAND_UNTAINTED, "transport filter", &c, why)) {
		if (why)
			why->temporary = true; /* "any kind of expansion failure causes delivery to be deferred" */
		return false;
	}
	if (c.argv[0][0] == '\0') /* expanded to nothing: no filter */
		return true;
	if (c.argv[0][0] != '/') {
		why_set(why, true, "transport filter command \"%s\" is not an absolute path", c.argv[0]);
		return false;
	}
	*ret = c.argv;
	return true;
}

/* In the child: as the user. 0 = fine. */
bool filter_spawn(const char *const *argv, int in_fd, int out_fd, int64_t timeout_ms, struct why *why)
{
	static const char *const env[] = {"PATH=/bin:/usr/bin", NULL};
	struct spawn sp = {.argv = argv, .envp = env, .in = in_fd, .out = out_fd, .err = out_fd, .umask = 022};
	int exec_errno, status;
	if (lseek(in_fd, 0, SEEK_SET) < 0) {
		why_set(why, true, "transport filter process failed (%s)", status_text(ST_ERRNO(errno)));
		return false;
	}
	int pid = spawn_start(&sp, &exec_errno);
	if (pid < 0) {
		why_set(why, true, "Failed to create transport filter process: %s", status_text(ST_ERRNO(errno)));
		return false;
	}
	int done = spawn_wait(pid, timeout_ms, &status);
	if (done <= 0) {
		spawn_kill(pid);
		why_set(why, true, "transport filter timeout while reading from the filter process");
		if (why)
			why->errnum = ETIMEDOUT;
		return false;
	}
	if (WIFSIGNALED(status))
		why_set(why, true, "transport filter process failed (-%d)", WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		why_set(why, true, "transport filter process failed (%d)", WEXITSTATUS(status));
	else
		return true;
	if (why)
		why->errnum = DERR_FILTER_FAIL;
	return false;
}

bool transport_filter_run(struct delivery *d, const char *const *argv, int in_fd, int out_fd, struct why *why)
{
	int64_t ms = (int64_t)transport_generic(d)->transport_filter_timeout * 1000;
	if (transport_driver_of(d->transport)->local)
		return filter_spawn(argv, in_fd, out_fd, ms, why);
	return local_filter(d, argv, in_fd, out_fd, ms, why);
}
