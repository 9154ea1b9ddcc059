/* SPDX-License-Identifier: Apache-2.0
 * Each case runs in a child that enters the cage and tries something. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"

static char dir[] = "/tmp/eximius-sandbox-XXXXXX";
static bool landlock;

static const char *in_dir(const char *name)
{
	static char path[200];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

/* Exit status of fn in the cage, or 100 + the signal that ended it. */
static int run(struct sandbox s, int (*fn)(void))
{
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct why why;
		struct rlimit none = {0, 0};
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGSYS, SIG_DFL);
		if (sandbox_enter(&s, &why) != ST_OK) {
			fprintf(stderr, "%s\n", why.text);
			_exit(99);
		}
		_exit(fn());
	}
	int status;
	must(pid > 0 && waitpid(pid, &status, 0) == pid);
	return WIFSIGNALED(status) ? 100 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0600);
	int err = errno;
	if (fd >= 0)
		close(fd);
	return fd >= 0 ? 0 : err;
}

static int read_in(void)
{
	return try_open(in_dir("file"), O_RDONLY);
}

static int write_in(void)
{
	int rc = try_open(in_dir("new"), O_WRONLY | O_CREAT);
	return rc ? rc : unlink(in_dir("new")) == 0 ? 0 : errno;
}

static int read_elsewhere(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}

static int read_system(void)
{
	return try_open("/dev/null", O_RDWR) || try_open("/etc/hosts", O_RDONLY);
}

static void files_are_open_as_listed(void)
{
	struct sandbox_path row = {dir, SB_READ};
	struct sandbox s = {.paths = &row, .count = 1};
	check_int(run(s, read_in), 0);
	check_int(run(s, read_system), 0);
	check_int(run(s, write_in), landlock ? EACCES : 0);
	check_int(run(s, read_elsewhere), landlock ? EACCES : 0);
	row.mode = SB_WRITE;
	check_int(run(s, write_in), 0);
	row.mode = SB_LISTDIR;
	check_int(run(s, read_in), landlock ? EACCES : 0);
	static const struct sandbox_path rows[] = {{"/nonexistent/anything", SB_READ}, {"/etc/passwd", SB_READ}};
	check_int(run((struct sandbox){.paths = rows, .count = 2}, read_elsewhere), 0);
}

static int do_exec(void)
{
	char *argv[] = {(char[]){"true"}, NULL};
	execv("/bin/true", argv);
	return errno;
}

static int do_fork(void)
{
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? 0 : errno;
}

static void *nothing(void *arg)
{
	return arg;
}

static int do_thread(void)
{
	pthread_t t;
	int rc = pthread_create(&t, NULL, nothing, NULL);
	return rc ? rc : pthread_join(t, NULL);
}

static int do_listen(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return listen(fd, 1) == 0 ? 0 : errno;
}

static int do_connect(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(1), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	return connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0 ? 0 : errno;
}

static int do_ptrace(void)
{
	return (int)syscall(SYS_ptrace, 0, 0, 0, 0);
}

static int do_setuid(void)
{
	return syscall(SYS_setuid, getuid()) == 0 ? 0 : errno;
}

static void calls_are_allowed_as_chosen(void)
{
	static const struct sandbox_path binaries[] = {{"/bin", SB_EXEC}, {"/usr/bin", SB_EXEC}, {"/lib64", SB_EXEC}, {"/lib", SB_EXEC}, {"/usr/lib", SB_EXEC}};
	struct sandbox none = {0}, all = {.may_exec = true, .may_fork = true, .may_network_listen = true, .may_connect = true,
		.paths = binaries, .count = countof(binaries)};
	check_int(run(none, do_exec), 100 + SIGSYS);
	check_int(run(all, do_exec), 0);
	check_int(run(none, do_fork), 100 + SIGSYS);
	check_int(run(all, do_fork), 0);
	check_int(run(none, do_thread), 0);
	check_int(run(all, do_thread), 0);
	check_int(run(none, do_listen), 100 + SIGSYS);
	check_int(run(all, do_listen), 0);
	check_int(run(none, do_connect), EACCES);
	check_int(run(all, do_connect), ECONNREFUSED);
	check_int(run(all, do_ptrace), 100 + SIGSYS);
	check_int(run(all, do_setuid), EPERM);
	all.count = 0;
	if (landlock)
		check_int(run(all, do_exec), EACCES);
}

int main(void)
{
	static const struct test_row rows[] = {{"files are open as listed", files_are_open_as_listed},
		{"calls are allowed as chosen", calls_are_allowed_as_chosen}};
	must(mkdtemp(dir) != NULL);
	int fd = open(in_dir("file"), O_WRONLY | O_CREAT, 0600);
	must(fd >= 0);
	close(fd);
	landlock = syscall(444, NULL, (size_t)0, 1u) >= 1;
	int rc = test_main(rows, countof(rows));
	unlink(in_dir("file"));
	rmdir(dir);
	if (!landlock)
		printf("this kernel has no Landlock: files could not be confined\n");
	return rc;
}
