/* SPDX-License-Identifier: Apache-2.0
 * Running a program, in the agent's child: a process of one thread that is already the user. The
 * new process leads a group of its own, so that all it starts can be killed with it (manual 29
 * timeout). That it could not be executed comes back by a close-on-exec pipe. */
#include "transport/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/banned.h"

/* The three standard descriptors, none clobbered before it was used. */
static bool plug(const struct spawn *sp)
{
	int from[3] = {sp->in, sp->out, sp->err};
	for (int i = 0; i < 3; i++) {
		if (from[i] < 0)
			from[i] = open("/dev/null", i == 0 ? O_RDONLY | O_CLOEXEC : O_WRONLY | O_CLOEXEC);
		if (from[i] >= 0 && from[i] < 3)
			from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3);
		if (from[i] < 0)
			return false;
	}
	return dup2(from[0], 0) == 0 && dup2(from[1], 1) == 1 && dup2(from[2], 2) == 2;
}

__attribute__((noreturn)) static void become(const struct spawn *sp, int report)
{
	static const int reset[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGALRM, SIGUSR1, SIGUSR2};
	sigset_t none;
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < countof(reset); i++)
		(void)signal(reset[i], SIG_DFL);
	(void)setpgid(0, 0);
	(void)umask(sp->umask);
	struct rlimit no_core = {0, sp->core ? RLIM_INFINITY : 0};
	if (sp->core)
		no_core.rlim_cur = RLIM_INFINITY;
	(void)setrlimit(RLIMIT_CORE, &no_core);
	if (report < 3)
		report = fcntl(report, F_DUPFD_CLOEXEC, 3);
	if (plug(sp)) {
		(void)execve(sp->argv[0], (char *const *)(uintptr_t)sp->argv, (char *const *)(uintptr_t)sp->envp);
	}
	int err = errno;
	ssize_t n = write(report, &err, sizeof err);
	(void)n;
	_exit(127);
}

int spawn_start(const struct spawn *sp, int *ret_exec_errno)
{
	int report[2];
	*ret_exec_errno = 0;
	if (pipe2(report, O_CLOEXEC) < 0)
		return -1;
	int pid = fork();
	if (pid == 0) {
		close(report[0]);
		become(sp, report[1]);
	}
	int err = errno;
	close(report[1]);
	if (pid > 0) {
		(void)setpgid(pid, pid);
		int e;
		ssize_t n;
		do
			n = read(report[0], &e, sizeof e);
		while (n < 0 && errno == EINTR);
		if (n == (ssize_t)sizeof e)
			*ret_exec_errno = e;
	}
	close(report[0]);
	errno = err;
	return pid;
}

int spawn_wait(int pid, int64_t ms, int *ret_status)
{
	int fd = ms > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1, ready = 1;
	if (fd >= 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		do
			ready = poll(&p, 1, ms > INT32_MAX ? INT32_MAX : (int)ms);
		while (ready < 0 && errno == EINTR);
		close(fd);
	}
	if (ready == 0)
		return 0;
	int got;
	do
		got = waitpid(pid, ret_status, 0);
	while (got < 0 && errno == EINTR);
	return got == pid ? 1 : -1;
}

void spawn_kill(int pid)
{
	int status;
	if (kill(-pid, SIGKILL) < 0)
		(void)kill(pid, SIGKILL);
	(void)spawn_wait(pid, 0, &status);
}
