/* SPDX-License-Identifier: Apache-2.0
 * The agent process is forked before the tests make threads. As root it becomes user nobody. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/strbuf.h"
#include "ipc/agent.h"

static struct arena *a;
static struct env env;
static struct agent_who me;
static struct why why;
static struct agent *agent;
static pid_t server;
static int forbidden = 77777;

/* DELIVER: tells who and where it is. */
static void task_whoami(struct env *e, const void *config, struct str request, const int *fds, unsigned nfds, struct strbuf *reply)
{
	(void)e;
	char cwd[200];
	mode_t mask = umask(0);
	int open_fds = 0;
	for (int fd = 3; fd < 256; fd++)
		open_fds += fcntl(fd, F_GETFD) >= 0;
	sb_printf(reply, "%d %d %o %s HOME=%s SECRET=%s nnp=%d extra=%d %s ", (int)getuid(), (int)getegid(), mask,
	    getcwd(cwd, sizeof cwd), getenv("HOME"), getenv("SECRET") ? "leaked" : "none",
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), open_fds - (int)nfds - 1, (const char *)config);
	for (unsigned i = 0; i < nfds; i++) {
		char buf[20];
		ssize_t n = read(fds[i], buf, sizeof buf);
		sb_addn(reply, buf, n > 0 ? (size_t)n : 0);
	}
	sb_add(reply, request);
}

/* COMMAND: dies, hangs or talks too much as told; or waits for a byte on its descriptor. */
static void task_misbehave(struct env *e, const void *config, struct str request, const int *fds, unsigned nfds, struct strbuf *reply)
{
	(void)e, (void)config;
	char c;
	if (str_eqc(request, "die"))
		raise(SIGKILL);
	if (str_eqc(request, "exit"))
		_exit(3);
	if (str_eqc(request, "hang")) {
		if (fork() == 0)
			pause();
		pause();
	}
	if (str_eqc(request, "talk"))
		sb_fill(reply, 'x', LIMIT_IPC_FRAME);
	if (str_eqc(request, "wait") && nfds == 1 && read(fds[0], &c, 1) == 1)
		sb_ch(reply, c);
}

static const struct agent_row rows[] = {
	{.task = AGENT_DELIVER, .run = task_whoami},
	{.task = AGENT_COMMAND, .run = task_misbehave, .may_gain = true},
	{.task = AGENT_STAT, .run = task_misbehave, .never_exempt = true},
};

static void start_agent(void)
{
	int fd[2];
	must(channel_pair(fd) == ST_OK);
	setenv("SECRET", "1", 1);
	server = fork();
	must(server >= 0);
	if (server == 0) {
		close(fd[0]);
		struct agent_server s = {.env = &env, .config = "cfg", .rows = rows, .row_count = countof(rows),
			.never_uids = &forbidden, .never_count = 1};
		agent_serve(&s, fd[1]);
		_exit(0);
	}
	close(fd[1]);
	agent = agent_client_new(fd[0]);
}

static enum status call(enum agent_task task, const struct agent_who *who, const char *text, int64_t ms, struct str *ret)
{
	why = (struct why){0};
	return agent_call(agent, a, task, who, str_c(text), NULL, 0, ms, ret, &why);
}

static void a_task_runs_as_the_user_in_a_clean_room(void)
{
	struct str got = STR_NONE;
	struct agent_who who = me;
	who.home = STR("/home/x");
	who.cwd = STR("/tmp");
	who.umask = 027;
	int p[2];
	check_int(pipe(p), 0);
	check_int(write(p[1], "passed ", 7), 7);
	check_int(agent_call(agent, a, AGENT_DELIVER, &who, str_tainted(STR("hello")), p, 1, 10000, &got, &why), ST_OK);
	check_str(got, str_cstr(a, str_printf(a, "%d %d 27 /tmp HOME=/home/x SECRET=none nnp=1 extra=0 cfg passed hello", me.uid, me.gid)));
	check(got.taint);
	close(p[0]);
	close(p[1]);
}

static void refusals_name_their_reason(void)
{
	struct str got;
	struct agent_who who = me;
	who.uid = forbidden;
	check_int(call(AGENT_COMMAND, &who, "", 1000, &got), ST_ERRNO(EPERM));
	check(strstr(why.text, "never_users") != NULL);
	check_int(call(AGENT_FILTER, &me, "", 1000, &got), ST_ERRNO(ENOSYS));
	who = me;
	who.cwd = STR("/nonexistent/dir");
	check_int(call(AGENT_DELIVER, &who, "", 1000, &got), ST_ERRNO(ENOENT));
	check(strstr(why.text, "/nonexistent/dir") != NULL);
	who = me;
	who.uid = forbidden;
	enum status st = call(AGENT_STAT, &who, "", 1000, &got); /* exempt: a matter of privilege alone */
	check_int(st, geteuid() == 0 ? ST_OK : ST_ERRNO(EPERM));
	char *big = arena_alloc(a, LIMIT_IPC_FRAME);
	check_int(agent_call(agent, a, AGENT_DELIVER, &me, str_n(big, LIMIT_IPC_FRAME), NULL, 0, 0, &got, &why), ST_LIMIT);
}

static void deaths_are_told(void)
{
	struct str got;
	check_int(call(AGENT_COMMAND, &me, "die", 5000, &got), ST_ERRNO(EIO));
	check(strstr(why.text, "signal 9") != NULL);
	check(why.temporary);
	check_int(call(AGENT_COMMAND, &me, "exit", 5000, &got), ST_ERRNO(EIO));
	check(strstr(why.text, "status 3") != NULL);
	check_int(call(AGENT_COMMAND, &me, "hang", 50, &got), ST_TIMEOUT);
	check_int(call(AGENT_COMMAND, &me, "talk", 5000, &got), ST_LIMIT);
	check_int(call(AGENT_COMMAND, &me, "", 5000, &got), ST_OK); /* and it still serves */
}

/* More at once than there are places: all wait for a byte, given only when the last asked. */
enum { CALLERS = AGENT_CHILDREN + 6 };
static int gate[2];

static void *wait_at_the_gate(void *arg)
{
	struct arena *mine = arena_new("t", 1 << 20, 0, 0);
	struct str got = STR("?");
	struct why w;
	enum status st = agent_call(agent, mine, AGENT_COMMAND, &me, STR("wait"), &gate[0], 1, 30000, &got, &w);
	*(char *)arg = st == ST_OK && got.len == 1 ? got.p[0] : '?';
	arena_free(mine);
	return NULL;
}

static void many_callers_share_one_channel(void)
{
	pthread_t t[CALLERS];
	char got[CALLERS];
	check_int(pipe(gate), 0);
	for (int i = 0; i < CALLERS; i++)
		check_int(pthread_create(&t[i], NULL, wait_at_the_gate, &got[i]), 0);
	for (int i = 0; i < CALLERS; i++)
		check_int(write(gate[1], "g", 1), 1);
	for (int i = 0; i < CALLERS; i++) {
		pthread_join(t[i], NULL);
		check_int(got[i], 'g');
	}
	close(gate[0]);
	close(gate[1]);
}

static void the_agents_end_is_told(void)
{
	struct str got;
	int status;
	kill(server, SIGKILL);
	check_int(waitpid(server, &status, 0), server);
	check_int(call(AGENT_COMMAND, &me, "", 5000, &got), ST_EOF);
	check(why.temporary);
	agent_client_free(agent);
	start_agent();
	check_int(call(AGENT_COMMAND, &me, "", 5000, &got), ST_OK);
	agent_client_free(agent);
	check_int(waitpid(server, &status, 0), server); /* ends by itself when the channel does */
	check_int(status, 0);
}

static void without_privilege_only_ourselves(void)
{
	if (geteuid() == 0) {
		check_int(setresgid((gid_t)me.gid, (gid_t)me.gid, (gid_t)me.gid), 0);
		check_int(setresuid((uid_t)me.uid, (uid_t)me.uid, (uid_t)me.uid), 0);
	}
	start_agent();
	struct str got = STR_NONE;
	struct agent_who who = me;
	check_int(call(AGENT_DELIVER, &who, "", 5000, &got), ST_OK);
	who.uid++;
	check_int(call(AGENT_DELIVER, &who, "", 5000, &got), ST_ERRNO(EPERM));
	check(strstr(why.text, "no privilege") != NULL);
	agent_client_free(agent);
	check_int(waitpid(server, NULL, 0), server);
}

int main(void)
{
	static const struct test_row tests[] = {
		{"a task runs as the user in a clean room", a_task_runs_as_the_user_in_a_clean_room},
		{"refusals name their reason", refusals_name_their_reason}, {"deaths are told", deaths_are_told},
		{"many callers share one channel", many_callers_share_one_channel}, {"the agent's end is told", the_agents_end_is_told},
		{"without privilege only ourselves", without_privilege_only_ourselves}};
	signal(SIGPIPE, SIG_IGN);
	test_env(&env);
	a = arena_new("t", 64u << 20, 0, 0);
	const struct passwd *pw = geteuid() == 0 ? getpwnam("nobody") : NULL;
	me = (struct agent_who){.uid = pw ? (int32_t)pw->pw_uid : (int32_t)getuid(), .gid = pw ? (int32_t)pw->pw_gid : (int32_t)getegid(),
		.initgroups = true};
	start_agent();
	int rc = test_main(tests, countof(tests));
	arena_free(a);
	test_env_done(&env);
	return rc;
}
