/* SPDX-License-Identifier: Apache-2.0
 * The agent's child: becomes the user, shuts the doors behind it, runs the handler. Order matters:
 * groups, gid, uid (checked that each took, and that there is no way back), and only then umask
 * and directory, so that a home that root must not enter is entered as the user. */
#include "ipc/msg_agent.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/banned.h"

static enum status fail(struct why *why, int err, const char *what)
{
	why_set(why, true, "%s: %s", what, status_text(ST_ERRNO(err)));
	why->errnum = err;
	return ST_ERRNO(err);
}

static enum status set_groups(const struct agent_who *who, const char *login, struct why *why)
{
	gid_t gid = (gid_t)who->gid;
	if (who->initgroups && *login) {
		if (initgroups(login, gid) < 0)
			return fail(why, errno, "initgroups failed");
	} else if (setgroups(1, &gid) < 0) {
		return fail(why, errno, "setgroups failed");
	}
	return ST_OK;
}

/* As ourselves only: no privilege to be anyone else. */
static enum status stay(const struct agent_who *who, struct why *why)
{
	if ((uid_t)who->uid == geteuid() && (uid_t)who->uid == getuid() && (gid_t)who->gid == getegid())
		return ST_OK;
	why_set(why, true, "unable to set gid=%d or uid=%d (euid=%d): no privilege", who->gid, who->uid, (int)geteuid());
	why->errnum = EPERM;
	return ST_ERRNO(EPERM);
}

static enum status become(const struct agent_who *who, const char *login, struct why *why)
{
	uid_t uid = (uid_t)who->uid, r, e, s;
	gid_t gid = (gid_t)who->gid, gr, ge, gs;
	if (geteuid() != 0)
		return stay(who, why);
	enum status st = set_groups(who, login, why);
	if (st != ST_OK)
		return st;
	if (setresgid(gid, gid, gid) < 0)
		return fail(why, errno, "setresgid failed");
	if (setresuid(uid, uid, uid) < 0)
		return fail(why, errno, "setresuid failed");
	if (getresgid(&gr, &ge, &gs) < 0 || gr != gid || ge != gid || gs != gid || getresuid(&r, &e, &s) < 0 || r != uid ||
	    e != uid || s != uid || (uid != 0 && setuid(0) == 0))
		return fail(why, EPERM, "the change of user did not take");
	return ST_OK;
}

/* Close all but `keep` (ascending order is made here) from 3 up. */
static void close_others(const int *fds, unsigned nfds, int out, int debug)
{
	int keep[LIMIT_IPC_FDS + 2];
	unsigned n = 0;
	for (unsigned i = 0; i < nfds; i++)
		keep[n++] = fds[i];
	keep[n++] = out;
	if (debug > 2)
		keep[n++] = debug;
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = i; j > 0 && keep[j - 1] > keep[j]; j--) {
			int t = keep[j];
			keep[j] = keep[j - 1];
			keep[j - 1] = t;
		}
	int from = 3;
	for (unsigned i = 0; i < n; i++) {
		if (keep[i] > from)
			close_range((unsigned)from, (unsigned)keep[i] - 1, 0);
		if (keep[i] >= from)
			from = keep[i] + 1;
	}
	close_range((unsigned)from, ~0u, 0);
}

static void clean_environment(const struct agent_who *who, struct arena *a, const char *login)
{
	const char *zone = getenv("TZ");
	char *tz = zone ? arena_cstr(a, zone, strlen(zone)) : NULL;
	clearenv();
	setenv("PATH", "/bin:/usr/bin", 1);
	setenv("SHELL", "/bin/sh", 1);
	if (str_is_set(who->home))
		setenv("HOME", str_cstr(a, who->home), 1);
	if (*login) {
		setenv("LOGNAME", login, 1);
		setenv("USER", login, 1);
	}
	if (tz)
		setenv("TZ", tz, 1);
}

static void plain_signals(void)
{
	for (int sig = 1; sig < 32; sig++)
		signal(sig, SIG_DFL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static const char *login_of(const struct agent_who *who, struct arena *a)
{
	if (str_is_set(who->login))
		return str_cstr(a, who->login);
	const struct passwd *pw = getpwuid((uid_t)who->uid);
	return pw ? arena_cstr(a, pw->pw_name, strlen(pw->pw_name)) : "";
}

static enum status prepare(const struct agent_server *s, const struct agent_row *row, const struct agent_request *q,
    struct arena *a, const int *fds, unsigned nfds, int out, struct why *why)
{
	setpgid(0, 0);
	plain_signals();
	int nil = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nil < 0 || dup2(nil, 0) < 0 || dup2(nil, 1) < 0)
		return fail(why, errno, "/dev/null");
	if (s->env && s->env->log)
		log_reopen(s->env->log); /* it must not write to a number that a mailbox takes next */
	const char *login = login_of(&q->who, a);
	close_others(fds, nfds, out, s->env && s->env->debug ? s->env->debug_fd : -1);
	enum status st = become(&q->who, login, why);
	if (st != ST_OK)
		return st;
	if (!row->may_gain && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(why, errno, "no_new_privs");
	umask((mode_t)(q->who.umask & 0777));
	clean_environment(&q->who, a, login);
	const char *cwd = str_is_set(q->who.cwd) ? str_cstr(a, q->who.cwd) : "/";
	if (chdir(cwd) < 0) {
		int err = errno;
		why_set(why, true, "failed to chdir to %s: %s", cwd, status_text(ST_ERRNO(err)));
		why->errnum = err;
		return ST_ERRNO(err);
	}
	return ST_OK;
}

static void write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			_exit(1);
		p += k;
		n -= (size_t)k;
	}
}

void agent_child(const struct agent_server *s, const struct agent_row *row, const struct agent_request *q,
    const int *fds, unsigned nfds, int out)
{
	struct arena *a = arena_new("agent child", 64u << 20, 0, 0);
	struct agent_reply p = {0};
	struct strbuf reply, packed, head;
	sb_init(&reply, a, LIMIT_IPC_FRAME - WHY_SIZE - 64);
	sb_init(&packed, a, LIMIT_IPC_FRAME);
	sb_init(&head, a, 4);
	p.status = prepare(s, row, q, a, fds, nfds, out, &p.why);
	if (p.status == ST_OK) {
		row->run(s->env, s->config, q->payload, fds, nfds, &reply);
		if (reply.over) {
			p.status = ST_LIMIT;
			why_set(&p.why, true, "the agent's answer is too large");
		} else {
			p.payload = sb_str(&reply);
		}
	}
	agent_reply_pack(&packed, &p);
	pk_u32(&head, packed.len);
	write_all(out, sb_str(&head).p, 4);
	write_all(out, sb_str(&packed).p, packed.len);
	_exit(0);
}
