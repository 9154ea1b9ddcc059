/* SPDX-License-Identifier: Apache-2.0
 * Runs in a receiver, one pool thread a submission (local callers are few and send at once). The
 * caller's uid and gid come from the kernel; trust is judged by the configuration; texts are
 * tainted. Nothing of the caller's environment or descriptors reaches us. */
#include "daemon/local_service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "ipc/msg_submit.h"
#include "base/banned.h"

#define REQUEST_TIMEOUT_MS 60000

struct service {
	struct job job;
	struct world *world;
	struct lender *lender;
	int fd;
	void (*queued)(void *arg, const struct message *m, unsigned how);
	void *queued_arg;
	char deliver_mode;
	struct config *config;
};

static void on_queued(void *arg, const struct message *m, unsigned how)
{
	struct service *s = arg;
	if (s->deliver_mode == 'q')
		how = (how & ~(unsigned)RECEIVE_DELIVER) | RECEIVE_QUEUE_ONLY;
	else if (s->deliver_mode == 's')
		how |= RECEIVE_QUEUE_SMTP;
	s->queued(s->queued_arg, m, how);
}

static bool in_ids(const struct id_list *l, int32_t id)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->id[i] == id)
			return true;
	return false;
}

/* Manual 5.2, for a caller known by SO_PEERCRED and the group file. */
static void judge(const struct config *cfg, struct local_caller *c, const char *login)
{
	bool self = c->uid == 0 || c->uid == cfg->exim_uid;
	gid_t groups[256];
	int n = (int)countof(groups);
	c->trusted = self || in_ids(&cfg->main.trusted_users, c->uid);
	c->admin = self;
	if (!login || getgrouplist(login, (gid_t)c->gid, groups, &n) < 0)
		return;
	for (int i = 0; i < n; i++) {
		c->trusted |= in_ids(&cfg->main.trusted_groups, (int32_t)groups[i]);
		c->admin |= (int32_t)groups[i] == cfg->exim_gid || in_ids(&cfg->main.admin_groups, (int32_t)groups[i]);
	}
}

/* Names and trust of a uid that the kernel vouched for. */
static void know_caller(const struct config *cfg, struct arena *a, uid_t uid, gid_t gid, struct local_caller *c)
{
	struct passwd pw, *found = NULL;
	char buf[4096];
	c->uid = (int32_t)uid;
	c->gid = (int32_t)gid;
	if (getpwuid_r(uid, &pw, buf, sizeof buf, &found) == 0 && found) {
		c->login = str_dup(a, str_c(pw.pw_name));
		c->gecos = str_dup(a, str_c(pw.pw_gecos));
		c->gid = (int32_t)pw.pw_gid;
	} else
		c->login = str_printf(a, "uid%d", (int)uid);
	judge(cfg, c, found ? c->login.p : NULL);
}

static bool peer_caller(struct service *s, struct arena *a, struct local_caller *c)
{
	struct ucred cred;
	socklen_t n = sizeof cred;
	if (getsockopt(s->fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) < 0)
		return false;
	know_caller(s->config, a, cred.uid, cred.gid, c);
	return true;
}

static void fill_caller(struct local_caller *c, const struct msg_submit *m)
{
	c->cwd = m->cwd;
	c->sender = m->sender;
	c->sender_given = m->sender_given;
	c->full_name = m->full_name;
	c->dot_ends = m->dot_ends;
	c->extract_recipients = m->extract;
	c->error_mode = (char)m->error_mode;
	c->deliver_mode = m->deliver_mode;
	c->no_delivery = m->no_delivery;
	c->queue_name = m->queue;
	if (!c->trusted)
		return;
	c->protocol = m->protocol;
	c->ident = m->ident;
	c->host_name = m->host_name;
	c->host_address = m->host_address;
	c->host_port = (int)m->host_port;
	c->interface_address = m->interface_address;
	c->interface_port = (int)m->interface_port;
	c->auth_id = m->auth_id;
	c->auth_name = m->auth_name;
	c->auth_sender = m->auth_sender;
}

static bool read_request(struct stream *st, struct arena *a, struct msg_submit *ret)
{
	uint8_t head[4];
	if (stream_read(st, head, sizeof head) != ST_OK)
		return false;
	uint32_t n = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
	if (n == 0 || n > SUBMIT_REQUEST_MAX)
		return false;
	char *p = arena_alloc(a, n);
	return stream_read(st, p, n) == ST_OK && msg_submit_get(str_n(p, n), ret);
}

static struct str read_back(struct arena *a, int fd)
{
	off_t n = lseek(fd, 0, SEEK_END);
	if (n <= 0 || n > (off_t)LIMIT_IPC_FRAME)
		return STR("");
	char *p = arena_alloc(a, (size_t)n);
	ssize_t got = pread(fd, p, (size_t)n, 0);
	return str_n(p, got > 0 ? (size_t)got : 0);
}

static void take_message(struct stream *st, struct arena *a, const struct receive_opts *o, const struct msg_submit *m)
{
	int err = memfd_create("submit-errors", MFD_CLOEXEC);
	struct receive_result r = receive_local(o, st, err, m->recipient, m->recipients);
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_IPC_FRAME + 4096);
	msg_submit_reply_put(&sb, &(struct msg_submit_reply){.exit_status = (uint32_t)r.exit_status,
	    .id = str_c(r.id), .error_text = err >= 0 ? read_back(a, err) : STR("")});
	struct str text = sb_str(&sb);
	uint8_t head[4] = {(uint8_t)(text.len >> 24), (uint8_t)(text.len >> 16), (uint8_t)(text.len >> 8), (uint8_t)text.len};
	if (stream_write(st, head, sizeof head) == ST_OK && stream_put(st, text) == ST_OK)
		(void)!stream_flush(st);
	if (err >= 0)
		close(err);
}

static void run_session(struct stream *st, const struct receive_opts *o)
{
	struct receive_session *rs = receive_session_new(st, o);
	enum smtp_run run = receive_session_start(rs);
	while (run == SMTP_PARK) {
		int64_t ms = receive_session_park_ms(rs);
		enum status ready = stream_wait(st, ms);
		run = receive_session_resume(rs, ready == ST_TIMEOUT);
	}
	receive_session_free(rs);
}

static struct receive_opts options(struct service *s, struct env *env, const struct msg_submit *m, struct local_caller *c)
{
	s->deliver_mode = (char)m->deliver_mode;
	return (struct receive_opts){.config = s->config,
	    .env = env,
	    .spool = s->world->spool,
	    .sink = {.queued = on_queued, .arg = s},
	    .local = true,
	    .batch = m->kind == SUBMIT_BATCH,
	    .sender_host_address = c->host_address,
	    .sender_host_port = c->host_port,
	    .interface_address = c->interface_address,
	    .interface_port = c->interface_port,
	    .caller = c};
}

static void serve(struct service *s, struct env *env, struct arena *a)
{
	struct stream *st = stream_new(s->fd, s->fd);
	struct msg_submit *m = arena_new_of(a, struct msg_submit);
	struct local_caller caller = {0};
	stream_set_timeout(st, REQUEST_TIMEOUT_MS);
	if (!peer_caller(s, a, &caller) || !read_request(st, a, m)) {
		stream_drop(st);
		return;
	}
	fill_caller(&caller, m);
	struct receive_opts o = options(s, env, m, &caller);
	if (m->kind != SUBMIT_MESSAGE) {
		run_session(st, &o);
		stream_close(st);
		return;
	}
	take_message(st, a, &o, m);
	stream_close(st);
}

static void service_run(struct job *j)
{
	struct service *s = container_of(j, struct service, job);
	struct env *env = lender_take(s->lender);
	struct arena *a = arena_new("submit", LIMIT_ARENA_SESSION, 0, 0);
	serve(s, env, a);
	arena_free(a);
	lender_give(s->lender, env);
	config_unref(s->config);
	free(s);
}

void local_service_new(struct world *w, struct config *config, struct pool *pool, struct lender *lender, int fd,
    void (*queued)(void *arg, const struct message *m, unsigned how), void *arg)
{
	struct service *s = calloc(1, sizeof *s);
	must(s != NULL);
	*s = (struct service){.job = {.run = service_run},
	    .world = w,
	    .config = config,
	    .lender = lender,
	    .fd = fd,
	    .queued = queued,
	    .queued_arg = arg};
	pool_submit(pool, &s->job);
}

/* --- The drop folder ----------------------------------------------------------------------------- */

/* One file: the request, then the message. Who owns the file submitted it. Errors go to him by
 * mail, because nobody waits. The file goes when the message is in the spool or was answered. */
static void take_dropped(struct service *s, struct env *env, struct arena *a, int dir, const char *name)
{
	struct stat st;
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1) {
		log_write(env->log, LOGTO_MAIN, STR_NONE, "drop/%s cannot be used: left alone", name);
		if (fd >= 0)
			close(fd);
		return;
	}
	struct stream *in = stream_new(fd, fd);
	struct msg_submit *m = arena_new_of(a, struct msg_submit);
	struct local_caller caller = {0};
	know_caller(s->config, a, st.st_uid, st.st_gid, &caller);
	bool done = true; /* a file that is no request is not asked twice */
	if (read_request(in, a, m) && m->kind == SUBMIT_MESSAGE) {
		fill_caller(&caller, m);
		caller.error_mode = 'm';
		struct receive_opts o = options(s, env, m, &caller);
		struct receive_result r = receive_local(&o, in, -1, m->recipient, m->recipients);
		done = r.accepted || r.exit_status != 75; /* EX_TEMPFAIL: stays for the next time */
	} else
		log_write(env->log, LOGTO_MAIN, STR_NONE, "drop/%s is no submission: removed", name);
	stream_drop(in);
	if (done)
		(void)unlinkat(dir, name, 0);
}

static void drop_run(struct job *j)
{
	struct service *s = container_of(j, struct service, job);
	struct env *env = lender_take(s->lender);
	DIR *d = fdopendir(s->fd);
	for (struct dirent *e; d && (e = readdir(d));) {
		if (!str_ends(str_c(e->d_name), ".msg"))
			continue;
		struct arena *a = arena_new("drop", LIMIT_ARENA_SESSION, 0, 0);
		take_dropped(s, env, a, dirfd(d), e->d_name);
		arena_free(a);
	}
	if (d)
		closedir(d);
	lender_give(s->lender, env);
	config_unref(s->config);
	free(s);
}

void local_service_drop(struct world *w, struct config *config, struct pool *pool, struct lender *lender,
    void (*queued)(void *arg, const struct message *m, unsigned how), void *arg)
{
	char path[512];
	snprintf(path, sizeof path, "%.*s/drop", STR_ARG(w->config->spool_directory));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		config_unref(config);
		return; /* no folder, nothing dropped */
	}
	struct service *s = calloc(1, sizeof *s);
	must(s != NULL);
	*s = (struct service){.job = {.run = drop_run},
	    .world = w,
	    .config = config,
	    .lender = lender,
	    .fd = fd,
	    .queued = queued,
	    .queued_arg = arg};
	pool_submit(pool, &s->job);
}
