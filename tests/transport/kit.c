/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/kit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lookup/lookup.h"
#include "net/resolver.h"
#include "route/route.h"
#include "sasl/sasl.h"

static bool (*const hooks[])(struct config *cfg, struct env *env, struct why *why) = {
    expand_compile_all, match_compile_all, route_compile, transport_compile};
static const struct expand_var *const vars[] = {transport_vars, NULL};
static const struct expand_registry registry = {.var_sets = vars};

static struct config_schema *schema(void)
{
	static struct config_schema s = {.compile = hooks, .compile_count = countof(hooks), .expand = &registry};
	s.family[DRIVER_ROUTER] = route_family;
	s.family[DRIVER_TRANSPORT] = transport_family;
	s.family[DRIVER_AUTHENTICATOR] = sasl_family;
	return &s;
}

static void start_agent(struct kit *k)
{
	int fd[2];
	check_int(channel_pair(fd), ST_OK);
	k->agent_pid = fork();
	if (k->agent_pid == 0) {
		close(fd[0]);
		struct agent_server s = {.env = &k->env, .config = k->cfg, .rows = &transport_agent_row, .row_count = 1};
		k->env.clock = clock_system;
		agent_serve(&s, fd[1]);
		_exit(0);
	}
	close(fd[1]);
	k->env.agent = agent_client_new(fd[0]);
}

static void make_message(struct kit *k, const char *body)
{
	struct message *m = k->m = message_new(k->a);
	static const char *const lines[] = {"Received: by test\n", "From: <sender@x.test>\n", "X-Rm: 1\n", "Subject: test\n\tfolded\n"};
	(void)snprintf(m->id, sizeof m->id, "1xV5DT-000000002yI-2T00");
	m->sender = str_tainted(STR("sender@x.test"));
	m->sender_set = true;
	m->login = STR("root");
	m->received_us = clock_us(&k->env.clock);
	for (size_t i = 0; i < countof(lines); i++)
		headers_add(&m->headers, k->a, str_c(lines[i]), header_kind_of(str_c(lines[i])));
	size_t n = strlen(body);
	for (size_t i = 0; i < n; i++)
		m->body_lines += body[i] == '\n';
	m->body_size = (int64_t)n;
	m->size = m->body_size + (int64_t)m->headers.size + 1;
	m->max_line = 80;
	k->body_fd = memfd_create("body", MFD_CLOEXEC);
	check_int(write(k->body_fd, "1xV5DT-000000002yI-2T00-D\n", 26), 26);
	check_int(write(k->body_fd, body, n), (long long)n);
}

void kit_open(struct kit *k, const char *transports, const char *body)
{
	struct why why = {0};
	memset(k, 0, sizeof *k);
	(void)signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	test_env(&k->env);
	k->env.clock = clock_system;
	k->env.lookups = lookup_cache_new();
	k->env.resolver = resolver_new_fake(STR(""), &why);
	k->log_fd = memfd_create("log", MFD_CLOEXEC);
	log_copy_to(k->env.log, k->log_fd);
	k->a = arena_new("kit", 1u << 29, 0, 0);
	(void)snprintf(k->dir, sizeof k->dir, "/tmp/eximius-test-XXXXXX");
	check(mkdtemp(k->dir) != NULL);
	check_int(chmod(k->dir, 0777), 0);
	struct strbuf sb;
	sb_init(&sb, k->a, 1 << 20);
	sb_printf(&sb, "primary_hostname = me.test\nqualify_domain = q.test\nnever_users =\nexim_user = %d\nexim_group = %d\nbegin transports\n",
	    (int)geteuid(), (int)getegid());
	for (const char *p = transports, *q; *p; p = q) {
		q = strstr(p, "%s");
		sb_addn(&sb, p, q ? (size_t)(q - p) : strlen(p));
		if (q)
			sb_addc(&sb, k->dir);
		q = q ? q + 2 : p + strlen(p);
	}
	struct config_source src = {.exim_uid = -1, .exim_gid = -1};
	k->cfg = config_parse(schema(), &k->env, sb_str(&sb), STR("test.conf"), &src, &why);
	if (!k->cfg) {
		printf("%s\n", why.text);
		exit(1);
	}
	start_agent(k);
	make_message(k, body);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

void kit_close(struct kit *k)
{
	int status;
	agent_client_free(k->env.agent);
	check_int(waitpid(k->agent_pid, &status, 0), k->agent_pid);
	(void)nftw(k->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	close(k->body_fd);
	config_unref(k->cfg);
	lookup_cache_free(k->env.lookups);
	resolver_free(k->env.resolver);
	arena_free(k->a);
	test_env_done(&k->env);
	close(k->log_fd);
}

struct address *kit_address(struct kit *k, const char *text)
{
	struct address *ad = address_new(k->a, str_tainted(str_c(text)), 0);
	ad->state = ADDRESS_ROUTED;
	ad->view.local_part_data = str_dup(k->a, ad->view.local_part);
	ad->view.local_part_data.taint = 0;
	return ad;
}

void kit_host(struct kit *k, struct address *ad, int port)
{
	struct route_host *h = arena_new_of(k->a, struct route_host);
	h->name = STR("there.test");
	h->address = STR("127.0.0.1");
	h->port = port;
	h->mx = -1;
	struct route_host **to = &ad->hosts;
	while (*to)
		to = &(*to)->next;
	*to = h;
}

void kit_run(struct kit *k, const char *transport, struct address *list)
{
	struct conn_pool *pool = k->d.pool;
	k->d = (struct delivery){.config = k->cfg, .env = &k->env, .arena = k->a, .message = k->m, .body_fd = k->body_fd,
	    .body_offset = 26, .body_size = k->m->body_size, .addresses = list, .eval = &k->ev, .pool = pool, .spool = k->spool};
	k->d.transport = config_find_driver(k->cfg, DRIVER_TRANSPORT, str_c(transport));
	check(k->d.transport != NULL);
	for (struct address *ad = list; ad; ad = ad->next)
		ad->transport = k->d.transport;
	eval_init(&k->ev, k->cfg, &k->env, k->a);
	transport_run(&k->d);
}

struct str kit_file(struct kit *k, const char *name)
{
	char *path = arena_printf(k->a, "%s/%s", k->dir, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return STR_NONE;
	char *buf = arena_alloc(k->a, 1 << 20);
	size_t n = fread(buf, 1, 1 << 20, f);
	(void)fclose(f);
	return str_n(buf, n);
}

const char *kit_log(struct kit *k)
{
	ssize_t n = pread(k->log_fd, k->log, sizeof k->log - 1, 0);
	k->log[n > 0 ? n : 0] = '\0';
	return k->log;
}

/* ---- the scripted server ---- */

struct wire {
	int fd;
	char in[65536];
	size_t len;
};

static bool more(struct wire *w)
{
	ssize_t n = w->len < sizeof w->in ? recv(w->fd, w->in + w->len, sizeof w->in - w->len, 0) : -1;
	if (n <= 0)
		return false;
	w->len += (size_t)n;
	return true;
}

static void take(struct wire *w, size_t n)
{
	memmove(w->in, w->in + n, w->len - n);
	w->len -= n;
}

static void keep(struct server *s, const char *p, size_t n)
{
	if (n > sizeof s->data - s->data_len)
		n = sizeof s->data - s->data_len;
	memcpy(s->data + s->data_len, p, n);
	s->data_len += n;
}

static void expect(struct server *s, struct wire *w, const char *want, size_t n)
{
	char *lf;
	while ((lf = memmem(w->in, w->len, "\r\n", 2)) == NULL) {
		if (!more(w)) {
			(void)snprintf(s->wrong, sizeof s->wrong, "want \"%.*s\", client closed", (int)n, want);
			return;
		}
	}
	size_t len = (size_t)(lf - w->in);
	if (len != n || memcmp(w->in, want, n) != 0)
		(void)snprintf(s->wrong, sizeof s->wrong, "want \"%.*s\", got \"%.*s\"", (int)n, want, (int)len, w->in);
	take(w, len + 2);
}

static void read_dot(struct server *s, struct wire *w)
{
	for (;;) {
		char *end = memmem(w->in, w->len, "\r\n.\r\n", 5);
		if (end) {
			size_t n = (size_t)(end - w->in) + 5;
			keep(s, w->in, n);
			take(w, n);
			return;
		}
		if (w->len > 4) {
			size_t n = w->len - 4;
			keep(s, w->in, n);
			take(w, n);
		}
		if (!more(w)) {
			(void)snprintf(s->wrong, sizeof s->wrong, "no end of data");
			return;
		}
	}
}

static void read_bytes(struct server *s, struct wire *w, size_t n)
{
	while (n) {
		if (w->len == 0 && !more(w)) {
			(void)snprintf(s->wrong, sizeof s->wrong, "chunk is short");
			return;
		}
		size_t k = w->len < n ? w->len : n;
		keep(s, w->in, k);
		take(w, k);
		n -= k;
	}
}

static void next_client(struct server *s, struct wire *w)
{
	struct timeval limit = {.tv_sec = 20};
	if (w->fd >= 0)
		close(w->fd);
	w->len = 0;
	w->fd = accept(s->listener, NULL, NULL);
	if (w->fd >= 0)
		(void)setsockopt(w->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	else
		(void)snprintf(s->wrong, sizeof s->wrong, "nobody connected");
}

/* One send, so that what belongs together arrives together; "~" is a line end. */
static void say(struct server *s, struct wire *w, const char *p, size_t n)
{
	char text[1024];
	size_t len = 0;
	for (size_t i = 0; i < n && len < sizeof text - 4; i++) {
		if (p[i] == '~')
			text[len++] = '\r';
		text[len++] = p[i] == '~' ? '\n' : p[i];
	}
	memcpy(text + len, "\r\n", 2);
	if (send(w->fd, text, len + 2, MSG_NOSIGNAL) < 0)
		(void)snprintf(s->wrong, sizeof s->wrong, "cannot send");
}

static void *server_main(void *arg)
{
	struct server *s = arg;
	struct wire *w = calloc(1, sizeof *w);
	w->fd = -1;
	next_client(s, w);
	for (const char *p = s->script, *end; *p && !s->wrong[0]; p = end + 1) {
		end = strchr(p, '\n');
		size_t n = (size_t)(end - p);
		if (*p == 'S') {
			say(s, w, p + 2, n - 2);
		} else if (*p == 'C') {
			expect(s, w, p + 2, n - 2);
		} else if (*p == 'D') {
			read_dot(s, w);
		} else if (*p == 'B') {
			read_bytes(s, w, (size_t)strtoul(p + 2, NULL, 10));
		} else if (*p == 'X') {
			next_client(s, w);
		}
	}
	if (w->fd >= 0)
		close(w->fd);
	free(w);
	return NULL;
}

void server_start(struct server *s, const char *script)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval limit = {.tv_sec = 20};
	socklen_t n = sizeof sa;
	memset(s, 0, sizeof *s);
	s->script = script;
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(bind(s->listener, (struct sockaddr *)&sa, sizeof sa) == 0 && listen(s->listener, 10) == 0);
	check_int(setsockopt(s->listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
	check(getsockname(s->listener, (struct sockaddr *)&sa, &n) == 0);
	s->port = ntohs(sa.sin_port);
	pthread_t *t = calloc(1, sizeof *t);
	check_int(pthread_create(t, NULL, server_main, s), 0);
	s->thread = t;
}

void server_end(struct server *s)
{
	pthread_join(*(pthread_t *)s->thread, NULL);
	free(s->thread);
	close(s->listener);
	if (s->wrong[0])
		printf("server: %s\n", s->wrong);
	check(!s->wrong[0]);
}
