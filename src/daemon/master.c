/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"
#include "daemon/proc_agent.h"
#include "daemon/proc_courier.h"
#include "daemon/proc_receiver.h"
#include "daemon/reload.h"
#include "expand/expand.h"
#include "ipc/messages.h"
#include "net/stream.h"
#include "base/banned.h"

enum { RECEIVERS_MAX = 16, RESTART_MIN_MS = 1000, DESCRIPTORS = 65536 };
enum role { ROLE_AGENT, ROLE_COURIER, ROLE_RECEIVER };

struct child {
	enum role role;
	unsigned number;
	pid_t pid;             /* 0 = not running */
	struct channel *channel;
	unsigned starts;
	int64_t started_ms, restart_at_ms; /* restart_at 0 = none due */
};
struct master {
	struct world *world;
	const struct config_schema *schema;
	const struct master_opts *opts;
	struct arena *arena;   /* of the current configuration's listeners */
	struct counters *counters;
	struct listeners listeners;
	int fds[RECEIVERS_MAX][LISTENERS_MAX];
	int submit_fd;
	struct child child[2 + RECEIVERS_MAX];
	unsigned receivers, children;
	int signal_fd;
	char pid_path[512];
	int64_t next_run_ms[8];
	bool stopping, courier_told;
};

static const char *const role_name[] = {"agent", "courier", "receiver"};

static int64_t now_ms(const struct master *m)
{
	struct clock c = m->world->env.clock;
	return clock_mono_ms(&c);
}

static void say(const struct master *m, unsigned where, const char *fmt, ...) printf_like(3, 4);
static void say(const struct master *m, unsigned where, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	log_line(m->world->env.log, where, STR_NONE, str_c(text));
}

static void drop_channel(struct master *m, struct child *c)
{
	if (c->role == ROLE_AGENT)
		m->world->agent_hub = NULL; /* a child forked now learns of the next agent by IPC_AGENT */
	channel_close(c->channel);
	c->channel = NULL;
}

/* <spool>/drop, where callers without privilege leave messages while no daemon runs: anyone may make
 * files there (1733), which belong to him and, by set-gid, to the mail group that reads them. */
static void make_drop_folder(struct master *m)
{
	const struct config *c = m->world->config;
	char path[512];
	struct stat st;
	if (!m->world->env.privileged)
		return;
	snprintf(path, sizeof path, "%.*s", STR_ARG(c->spool_directory));
	/* Exim makes the spool 0750; callers must get through to submit and drop. What lies beside them
	 * keeps its own modes. */
	if (stat(path, &st) == 0 && !(st.st_mode & 0001))
		(void)chmod(path, (st.st_mode & 07777) | 0001);
	snprintf(path, sizeof path, "%.*s/drop", STR_ARG(c->spool_directory));
	int fd = mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || fchown(fd, (uid_t)c->exim_uid, (gid_t)c->exim_gid) < 0 || fchmod(fd, 03733) < 0)
		say(m, LOGTO_MAIN, "%s cannot be made: local callers need a running daemon", path);
	if (fd >= 0)
		close(fd);
}

/* What a child must not keep: the other children's channels, sockets that are not its own. */
static void child_forget(struct master *m, const struct child *self)
{
	sigset_t none;
	sigemptyset(&none);
	close(m->signal_fd);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (unsigned i = 0; i < m->children; i++)
		if (m->child[i].channel && !(self->role != ROLE_AGENT && m->child[i].role == ROLE_AGENT)) {
			channel_close(m->child[i].channel);
			m->child[i].channel = NULL;
		}
	for (unsigned r = 0; r < m->receivers; r++)
		for (size_t l = 0; l < m->listeners.count; l++)
			if (m->fds[r][l] >= 0 && !(self->role == ROLE_RECEIVER && self->number == r)) {
				close(m->fds[r][l]);
				m->fds[r][l] = -1;
			}
	if (m->submit_fd >= 0 && self->role != ROLE_RECEIVER) {
		close(m->submit_fd);
		m->submit_fd = -1;
	}
}

static void run_receiver(struct master *m, const struct child *c, int fd)
{
	static struct receiver_start start; /* lives as long as the process, which ends in the call */
	start = (struct receiver_start){.world = m->world,
	    .schema = m->schema,
	    .master_fd = fd,
	    .number = c->number,
	    .counters = m->counters,
	    .listeners = m->listeners,
	    .submit_fd = m->submit_fd,
	    .queue_only = m->opts->queue_only};
	memcpy(start.fds, m->fds[c->number], sizeof start.fds);
	proc_receiver_main(&start);
}

static void run_courier(struct master *m, const struct child *c, int fd)
{
	static struct courier_start start;
	start = (struct courier_start){
	    .world = m->world, .schema = m->schema, .master_fd = fd, .dont_deliver = m->opts->dont_deliver,
	    .restarted = c->starts > 1};
	proc_courier_main(&start);
}

static void child_main(struct master *m, const struct child *c, int fd)
{
	child_forget(m, c);
	switch (c->role) {
	case ROLE_AGENT:
		agent_hub(m->world, fd);
		_exit(0);
	case ROLE_COURIER: run_courier(m, c, fd); break;
	case ROLE_RECEIVER: run_receiver(m, c, fd); break;
	}
	_exit(0);
}

static bool child_start(struct master *m, struct child *c)
{
	int pair[2];
	if (channel_pair(pair) != ST_OK) {
		say(m, LOGTO_MAIN | LOGTO_PANIC, "cannot make a channel for the %s: %s", role_name[c->role], strerrordesc_np(errno));
		return false;
	}
	if (c->role == ROLE_RECEIVER)
		counters_forget(m->counters, c->number);
	c->starts++;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		child_main(m, c, pair[1]);
	}
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		say(m, LOGTO_MAIN | LOGTO_PANIC, "cannot fork the %s: %s", role_name[c->role], strerrordesc_np(errno));
		return false;
	}
	channel_close(c->channel);
	c->channel = channel_new(pair[0]);
	c->pid = pid;
	c->started_ms = now_ms(m);
	c->restart_at_ms = 0;
	if (c->role == ROLE_AGENT)
		m->world->agent_hub = c->channel;
	return true;
}

static struct child *courier_of(struct master *m)
{
	return &m->child[1];
}

/* A fresh channel between the courier and one receiver, both told. */
static void introduce(struct master *m, struct child *receiver)
{
	int pair[2];
	struct child *courier = courier_of(m);
	if (!courier->pid || !receiver->pid || channel_pair(pair) != ST_OK)
		return;
	(void)!channel_send(courier->channel, IPC_PEER, 0, STR(""), &pair[0], 1);
	(void)!channel_send(receiver->channel, IPC_PEER, 0, STR(""), &pair[1], 1);
	close(pair[0]);
	close(pair[1]);
}

static void introduce_all(struct master *m)
{
	for (unsigned i = 2; i < m->children; i++)
		introduce(m, &m->child[i]);
}

static bool start_all(struct master *m)
{
	for (unsigned i = 0; i < m->children; i++)
		if (!child_start(m, &m->child[i]))
			return false;
	introduce_all(m);
	return true;
}

static void plan_children(struct master *m)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	m->receivers = m->opts->listening ? (unsigned)(cores < 1 ? 1 : cores > RECEIVERS_MAX ? RECEIVERS_MAX : cores) : 0;
	m->child[0] = (struct child){.role = ROLE_AGENT};
	m->child[1] = (struct child){.role = ROLE_COURIER};
	for (unsigned r = 0; r < m->receivers; r++)
		m->child[2 + r] = (struct child){.role = ROLE_RECEIVER, .number = r};
	m->children = 2 + m->receivers;
}

/* A child ended. Its cause is logged; unless we are stopping it is started again, at most once a
 * second, so that a crash at start does not spin. */
static void child_ended(struct master *m, struct child *c, int status)
{
	c->pid = 0;
	if (m->stopping)
		return;
	if (WIFSIGNALED(status))
		say(m, LOGTO_MAIN | LOGTO_PANIC, "%s process %u ended by signal %d (%s): starting another", role_name[c->role],
		    c->number, WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
	else
		say(m, LOGTO_MAIN | LOGTO_PANIC, "%s process %u ended with status %d: starting another", role_name[c->role],
		    c->number, WEXITSTATUS(status));
	int64_t ran = now_ms(m) - c->started_ms;
	c->restart_at_ms = now_ms(m) + (ran < RESTART_MIN_MS ? RESTART_MIN_MS - ran : 0);
}

static void reap(struct master *m)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (unsigned i = 0; i < m->children; i++)
			if (m->child[i].pid == pid)
				child_ended(m, &m->child[i], status);
}

static void restart_due(struct master *m)
{
	for (unsigned i = 0; i < m->children; i++) {
		struct child *c = &m->child[i];
		if (!c->restart_at_ms || c->restart_at_ms > now_ms(m) || !child_start(m, c))
			continue;
		if (c->role == ROLE_COURIER)
			introduce_all(m);
		else if (c->role == ROLE_RECEIVER)
			introduce(m, c);
		else { /* the others hold channels to the agent that died: they start afresh in order */
			for (unsigned k = 1; k < m->children; k++)
				if (m->child[k].pid)
					(void)!channel_send(m->child[k].channel, IPC_AGENT, 0, STR(""), (int[]){channel_fd(c->channel)}, 1);
		}
	}
}

static void queue_runs(struct master *m)
{
	for (size_t i = 0; i < m->opts->runs; i++) {
		int64_t every = m->opts->run[i].interval_s * 1000;
		if (every <= 0 || m->next_run_ms[i] > now_ms(m))
			continue;
		struct strbuf sb;
		struct arena_mark mark = arena_mark(m->world->env.scratch);
		sb_init(&sb, m->world->env.scratch, 4096);
		msg_run_queue_put(&sb, &(struct msg_run_queue){.queue = m->opts->run[i].queue, .flags = m->opts->run[i].flags});
		if (courier_of(m)->pid)
			(void)!channel_send(courier_of(m)->channel, IPC_RUN_QUEUE, 0, sb_str(&sb), NULL, 0);
		arena_release(m->world->env.scratch, mark);
		m->next_run_ms[i] = now_ms(m) + every;
	}
}

static int64_t until_next(const struct master *m)
{
	int64_t at = INT64_MAX;
	for (unsigned i = 0; i < m->children; i++)
		if (m->child[i].restart_at_ms && m->child[i].restart_at_ms < at)
			at = m->child[i].restart_at_ms;
	for (size_t i = 0; i < m->opts->runs; i++)
		if (m->opts->run[i].interval_s > 0 && m->next_run_ms[i] < at)
			at = m->next_run_ms[i];
	if (at == INT64_MAX)
		return -1;
	return at > now_ms(m) ? at - now_ms(m) : 0;
}

static void hand_config(struct master *m, int memfd)
{
	for (unsigned i = 1; i < m->children; i++) {
		struct child *c = &m->child[i];
		if (!c->pid)
			continue;
		(void)!channel_send(c->channel, IPC_CONFIG, 0, STR(""), &memfd, 1);
		for (size_t l = 0; c->role == ROLE_RECEIVER && l < m->listeners.count; l++) {
			char room[64];
			struct arena *a = arena_new("listen", 4096, sizeof room, 0);
			struct strbuf sb;
			sb_init(&sb, a, 64);
			msg_listen_put(&sb, &(struct msg_listen){.index = (uint32_t)l, .tls_on_connect = m->listeners.l[l].tls_on_connect});
			if (m->fds[c->number][l] >= 0)
				(void)!channel_send(c->channel, IPC_LISTEN, 0, sb_str(&sb), &m->fds[c->number][l], 1);
			arena_free(a);
		}
	}
}

static bool same_listener(const struct listener *a, const struct listener *b)
{
	return ip_eq(&a->ip, &b->ip) && a->port == b->port;
}

/* Sockets of the new set: those that stay keep their queue of waiting connections. */
static bool rebind(struct master *m, const struct listeners *fresh, struct why *why)
{
	for (unsigned r = 0; r < m->receivers; r++) {
		int fds[LISTENERS_MAX];
		for (size_t l = 0; l < fresh->count; l++) {
			fds[l] = -1;
			for (size_t o = 0; o < m->listeners.count; o++)
				if (same_listener(&fresh->l[l], &m->listeners.l[o])) {
					fds[l] = m->fds[r][o];
					m->fds[r][o] = -1;
				}
			struct listeners one = {.count = 1};
			one.l[0] = fresh->l[l];
			if (fds[l] < 0 && !listeners_bind(m->world, &one, &fds[l], why))
				say(m, LOGTO_MAIN | LOGTO_PANIC, "reload: %s", why->text);
		}
		for (size_t o = 0; o < m->listeners.count; o++)
			if (m->fds[r][o] >= 0)
				close(m->fds[r][o]);
		memcpy(m->fds[r], fds, sizeof fds);
	}
	m->listeners = *fresh;
	return true;
}

/* An error text may have several lines; the log wants one. */
static void one_line(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (*from == '\n') {
			*to++ = ' ';
			while (from[1] == ' ' || from[1] == '\n')
				from++;
		} else
			*to++ = *from;
	}
	*to = 0;
}

/* SIGHUP: the files are read and checked here; a broken configuration changes nothing. */
static void reload(struct master *m)
{
	struct why why = {0};
	struct arena *a = arena_new("reload", LIMIT_ARENA_CONFIG, 0, 0);
	struct str text, path;
	struct listeners fresh;
	struct config *next = NULL;
	say(m, LOGTO_MAIN, "pid %d: SIGHUP received: reading the configuration again", (int)getpid());
	if (config_gather(&m->opts->source, a, &text, &path, &why) == ST_OK)
		next = config_parse(m->schema, &m->world->env, text, path, &m->opts->source, &why);
	if (!next) {
		one_line(why.text);
		say(m, LOGTO_MAIN | LOGTO_PANIC, "reload: %s", why.text);
		say(m, LOGTO_MAIN, "the configuration in use stays as it was");
		arena_free(a);
		return;
	}
	int memfd = reload_seal(text, path);
	struct config *old = m->world->config;
	m->world->config = next;
	if (memfd < 0 || !listeners_read(m->world, m->opts->listen_on, m->opts->tls_on_connect, &fresh, &why)) {
		m->world->config = old;
		config_unref(next);
		say(m, LOGTO_MAIN | LOGTO_PANIC, "reload: %s", memfd < 0 ? "no memory for the text" : why.text);
	} else {
		world_configure_log(m->world);
		rebind(m, &fresh, &why);
		hand_config(m, memfd);
		/* The agent holds the old snapshot: a new one takes over, the old serves what it has. */
		struct child *agent = &m->child[0];
		drop_channel(m, agent);
		agent->pid = 0;
		agent->restart_at_ms = now_ms(m);
		config_unref(old);
	}
	if (memfd >= 0)
		close(memfd);
	arena_free(a);
}

static void begin_stop(struct master *m)
{
	m->stopping = true;
	for (unsigned i = 2; i < m->children; i++)
		if (m->child[i].pid)
			(void)!channel_send(m->child[i].channel, IPC_STOP, 0, STR(""), NULL, 0);
}

/* Receivers first, then the courier (their messages are still handed over), the agent last. */
static bool stop_step(struct master *m)
{
	unsigned receivers = 0;
	for (unsigned i = 2; i < m->children; i++)
		receivers += m->child[i].pid != 0;
	if (receivers)
		return false;
	struct child *courier = courier_of(m);
	if (courier->pid && !m->courier_told) {
		(void)!channel_send(courier->channel, IPC_STOP, 0, STR(""), NULL, 0);
		m->courier_told = true;
	}
	return !courier->pid;
}

static void signals(struct master *m)
{
	struct signalfd_siginfo si;
	while (read(m->signal_fd, &si, sizeof si) == (ssize_t)sizeof si) {
		switch (si.ssi_signo) {
		case SIGCHLD: reap(m); break;
		case SIGHUP:
			if (!m->stopping)
				reload(m);
			break;
		case SIGTERM:
		case SIGINT:
			if (!m->stopping)
				begin_stop(m);
			break;
		default: break;
		}
	}
}

/* Children only ever say IPC_READY; a channel that closed is dealt with when the child is reaped. */
static void from_child(struct master *m, struct child *c)
{
	struct frame f;
	struct arena_mark mark = arena_mark(m->world->env.scratch);
	if (channel_recv(c->channel, m->world->env.scratch, 0, &f) == ST_OK)
		frame_close_fds(&f);
	else
		drop_channel(m, c);
	arena_release(m->world->env.scratch, mark);
}

static void loop(struct master *m)
{
	for (;;) {
		struct pollfd p[3 + RECEIVERS_MAX] = {{.fd = m->signal_fd, .events = POLLIN}};
		struct child *who[3 + RECEIVERS_MAX] = {NULL};
		nfds_t n = 1;
		for (unsigned i = 0; i < m->children; i++)
			if (m->child[i].channel) {
				who[n] = &m->child[i];
				p[n++] = (struct pollfd){.fd = channel_fd(m->child[i].channel), .events = POLLIN};
			}
		if (poll(p, n, (int)until_next(m)) < 0 && errno != EINTR)
			return;
		signals(m);
		for (nfds_t i = 1; i < n; i++)
			if (p[i].revents && who[i]->channel && channel_fd(who[i]->channel) == p[i].fd)
				from_child(m, who[i]);
		if (m->stopping && stop_step(m))
			return;
		if (!m->stopping) {
			restart_due(m);
			queue_runs(m);
		}
	}
}

static bool pid_file_path(struct master *m)
{
	struct str path = m->opts->pid_file;
	struct eval ev;
	if (!str_is_set(path) && (str_is_set(m->opts->listen_on) || !m->opts->listening))
		return false; /* manual 5 -oX: a daemon off the standard writes none unless -oP */
	eval_init(&ev, m->world->config, &m->world->env, m->world->arena);
	if (!str_is_set(path))
		expand(&ev, &m->world->config->main.pid_file_path, &path);
	if (str_is_set(path) && path.len)
		snprintf(m->pid_path, sizeof m->pid_path, "%.*s", STR_ARG(path));
	else
		snprintf(m->pid_path, sizeof m->pid_path, "%.*s/exim-daemon.pid", STR_ARG(m->world->config->spool_directory));
	return true;
}

static void write_pid(struct master *m)
{
	if (!pid_file_path(m))
		return;
	(void)unlink(m->pid_path);
	int fd = open(m->pid_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0) {
		say(m, LOGTO_MAIN | LOGTO_PANIC, "failed to open pid file %s: %s", m->pid_path, strerrordesc_np(errno));
		m->pid_path[0] = 0;
		return;
	}
	dprintf(fd, "%d\n", (int)getpid());
	close(fd);
}

static void block_signals(struct master *m)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	m->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	must(m->signal_fd >= 0);
}

static bool bind_all(struct master *m, struct why *why)
{
	m->submit_fd = -1;
	if (!m->opts->listening)
		return true;
	if (!listeners_read(m->world, m->opts->listen_on, m->opts->tls_on_connect, &m->listeners, why))
		return false;
	for (unsigned r = 0; r < m->receivers; r++)
		if (!listeners_bind(m->world, &m->listeners, m->fds[r], why))
			return false;
	make_drop_folder(m);
	char *path = arena_printf(m->world->arena, "%.*s/submit", STR_ARG(m->world->config->spool_directory));
	/* A second daemon on other ports (-oX) leaves the first one's socket alone. */
	if (!str_is_set(m->opts->listen_on) || access(path, F_OK) != 0) {
		struct why no_socket = {0};
		if (net_listen_unix(path, 0666, 128, &m->submit_fd, &no_socket) != ST_OK)
			say(m, LOGTO_MAIN, "no local submission socket: %s", no_socket.text);
	}
	return true;
}

static void detach(const struct master_opts *o, const struct world *w)
{
	if (o->foreground || w->env.debug)
		return;
	pid_t pid = fork();
	if (pid != 0)
		_exit(pid < 0);
	setsid();
	int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd <= 2 && null >= 0; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
}

/* Sessions and messages hold descriptors: as many as the system gives us, within reason. */
static void raise_descriptors(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur >= DESCRIPTORS)
		return;
	rlim_t hard = r.rlim_max;
	if (r.rlim_max < DESCRIPTORS && geteuid() == 0)
		r.rlim_max = DESCRIPTORS;
	r.rlim_cur = r.rlim_max < DESCRIPTORS ? r.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &r) == 0)
		return;
	r.rlim_cur = r.rlim_max = hard; /* a container's root may not pass it */
	(void)setrlimit(RLIMIT_NOFILE, &r); /* else what it is stands: callers wait when it is used up */
}

int master_run(struct world *w, const struct config_schema *schema, const struct master_opts *o)
{
	struct master *m = arena_new_of(w->arena, struct master);
	struct why why = {0};
	*m = (struct master){.world = w, .schema = schema, .opts = o, .counters = counters_new()};
	detach(o, w);
	raise_descriptors();
	prctl(PR_SET_NAME, "exm-master");
	plan_children(m);
	if (!bind_all(m, &why)) {
		say(m, LOGTO_MAIN | LOGTO_PANIC, "%s", why.text);
		return 1;
	}
	block_signals(m);
	write_pid(m);
	for (size_t i = 0; i < o->runs; i++)
		m->next_run_ms[i] = now_ms(m);
	if (!start_all(m))
		return 1;
	struct str where = o->listening ? listeners_describe(w->arena, w, &m->listeners) : STR("not listening for SMTP");
	say(m, LOGTO_MAIN, "exim %s daemon started: pid=%d, %s%.*s, %.*s", EXIMIUS_VERSION, (int)getpid(),
	    o->runs ? "" : "no queue runs", STR_ARG(o->runs_text), STR_ARG(where));
	loop(m);
	if (m->pid_path[0])
		(void)unlink(m->pid_path);
	return 0;
}
