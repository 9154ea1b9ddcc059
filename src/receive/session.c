/* SPDX-License-Identifier: Apache-2.0
 * An incoming SMTP session from the policy's side: made, parked, resumed, ended (receive.h). */
#include "receive/receive_priv.h"

#include "base/banned.h"

#define SESSION_FIRST 2048u

const struct smtp_policy receive_policy = {
	.connect = policy_connect, .helo = policy_helo, .mail = policy_mail, .rcpt = policy_rcpt,
	.data_begin = policy_data_begin, .data_chunk = policy_data_chunk, .data_end = policy_data_end,
	.starttls = policy_starttls, .tls_accept = policy_tls_accept, .auth = policy_auth, .rset = policy_rset,
	.noop = policy_noop, .vrfy = policy_vrfy, .expn = policy_expn, .etrn = policy_etrn, .help = policy_help,
	.quit = policy_quit, .lost = policy_lost, .protocol_error = policy_protocol_error, .batch_error = policy_batch_error,
};

/* The two ends of the connection: as told, or as the kernel knows them. */
static void learn_addresses(struct receive_session *rs, const struct receive_opts *o)
{
	struct peer *p = &rs->peer;
	struct sockaddr_storage ss;
	struct ip_addr ip;
	socklen_t len = sizeof ss;
	p->host_address = str_dup(rs->arena, o->sender_host_address);
	p->host_port = o->sender_host_port;
	p->interface_address = str_dup(rs->arena, o->interface_address);
	p->interface_port = o->interface_port;
	if (rs->test_host || (rs->caller && !str_empty(p->host_address)))
		return;
	int fd = stream_fd(rs->stream);
	if (str_empty(p->host_address) && getpeername(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    (ss.ss_family == AF_INET || ss.ss_family == AF_INET6)) {
		ip_from_sockaddr((struct sockaddr *)&ss, &ip, &p->host_port);
		p->host_address = ip_text(rs->arena, &ip);
	}
	/* -bs called by inetd: the caller is not who sends (manual 13.x, 5 -bs). */
	rs->inetd = rs->local && !str_empty(p->host_address);
	if (rs->inetd) {
		rs->local = false;
		rs->caller = NULL;
	}
	if (rs->caller)
		return;
	len = sizeof ss;
	if (str_empty(p->interface_address) && getsockname(fd, (struct sockaddr *)&ss, &len) == 0 &&
	    (ss.ss_family == AF_INET || ss.ss_family == AF_INET6)) {
		ip_from_sockaddr((struct sockaddr *)&ss, &ip, &p->interface_port);
		p->interface_address = ip_text(rs->arena, &ip);
	}
}

static void learn_caller(struct receive_session *rs)
{
	const struct local_caller *c = rs->caller;
	struct peer *p = &rs->peer;
	if (!c)
		return;
	p->ident = str_is_set(c->ident) ? c->ident : c->login;
	p->local = str_empty(p->host_address);
	p->auth_name = c->auth_name;
	p->auth_id = c->auth_id;
	p->auth_sender = c->auth_sender;
	p->host_name = c->host_name;
	rs->kept_name = p->host_name;
	if (!str_empty(c->host_address))
		p->host_address = c->host_address;
	if (c->host_port)
		p->host_port = c->host_port;
	if (!str_empty(c->interface_address)) {
		p->interface_address = c->interface_address;
		p->interface_port = c->interface_port;
	}
}

static struct smtp_server_opts server_opts(const struct receive_session *rs)
{
	const struct main_options *m = &rs->cfg->main;
	bool from_here = rs->local || rs->test_host;
	return (struct smtp_server_opts){
		.local = from_here, .batch = rs->batch, .pipelining = false, .enforce_sync = m->smtp_enforce_sync && !from_here,
		.bare = from_here ? BARE_EXIM : BARE_REJECT, .max_synprot_errors = m->smtp_max_synprot_errors,
		.max_unknown_commands = m->smtp_max_unknown_commands, .max_nonmail = m->smtp_accept_max_nonmail,
		.command_timeout_ms = rs->timeout_ms, .data_timeout_ms = rs->timeout_ms,
	};
}

struct receive_session *receive_session_new(struct stream *s, const struct receive_opts *o)
{
	struct arena *a = arena_new("session", LIMIT_ARENA_SESSION, SESSION_FIRST, 0);
	struct receive_session *rs = arena_new_of(a, struct receive_session);
	rs->arena = a;
	rs->stream = s;
	union {
		const struct config *is;
		struct config *counted;
	} cfg = {o->config};
	rs->cfg = config_ref(cfg.counted);
	rs->env = o->env;
	rs->spool = o->spool;
	rs->sink = o->sink;
	rs->caller = o->caller;
	rs->local = o->local;
	rs->batch = o->batch;
	rs->test_host = o->test_host;
	rs->test_callout = o->test_callout;
	rs->tls_on_connect = o->tls_on_connect;
	rs->connections = o->connections;
	rs->from_host = o->connections_from_host;
	rs->view.rs = rs;
	rs->view.count_at_start = (int32_t)o->connections;
	if (rs->test_host) { /* what is logged is shown, not kept */
		rs->test_env = arena_new_of(a, struct env);
		*rs->test_env = *o->env;
		rs->test_env->log = log_new(&rs->test_env->clock);
		rs->env = rs->test_env;
	}
	rs->connected_us = clock_us(&rs->env->clock);
	rs->timeout_ms = 300000;
	rs->peer.batched = o->batch;
	learn_addresses(rs, o);
	learn_caller(rs);
	acl_connection_init(&rs->acl_conn, a);
	return rs;
}

int receive_session_exit_status(const struct receive_session *rs)
{
	return rs->batch_failed || (rs->broken && !rs->batch) ? 1 : 0; /* a batch may end without QUIT */
}

void receive_session_use_env(struct receive_session *rs, struct env *env)
{
	rs->env = env;
}

static void begin_run(struct receive_session *rs)
{
	rs->mark = arena_mark(rs->env->scratch);
	rs->marked = true;
}

/* Nothing waits for the client with more memory than it needs. */
static enum smtp_run end_run(struct receive_session *rs, enum smtp_run run)
{
	rs_keep_peer(rs);
	arena_release(rs->env->scratch, rs->mark);
	rs->marked = false;
	if (!rs->tx && rs->tx_arena) {
		arena_free(rs->tx_arena);
		rs->tx_arena = NULL;
	}
	if (run == SMTP_DONE)
		rs->ended = true;
	return run;
}

enum smtp_run receive_session_start(struct receive_session *rs)
{
	begin_run(rs);
	struct str timeout;
	int64_t s = 300;
	if (rs_expand(rs, &rs->cfg->main.smtp_receive_timeout, STR("5m"), &timeout) && (s = interval_parse(str_trim(timeout))) < 0)
		s = 300;
	rs->timeout_ms = s * 1000;
	struct smtp_server_opts so = server_opts(rs);
	rs->smtp = smtp_session_new(rs->arena, rs->stream, &receive_policy, rs, &so);
	rs_set_rcvhost(rs);
	struct smtp_answer no;
	if (!rs_proxy(rs, &no)) {
		smtp_session_reply(rs->smtp, no.code, no.text);
		return end_run(rs, SMTP_DONE);
	}
	rs_choose_bare(rs);
	if (rs->tls_on_connect) {
		rs->peer.tls.on_connect = true;
		if (!policy_tls_accept(rs))
			return end_run(rs, SMTP_DONE);
	}
	rs->early_offered = rs_early_pipelining(rs);
	smtp_session_opts(rs->smtp)->early_pipelining = rs->early_offered;
	rs->early_used = rs->early_offered && stream_pending(rs->stream, true);
	rs->started = true;
	return end_run(rs, smtp_session_start(rs->smtp));
}

enum smtp_run receive_session_resume(struct receive_session *rs, bool timed_out)
{
	begin_run(rs);
	/* Standard input has no loop that waits for it. */
	if (!timed_out && (rs->local || rs->inetd || rs->test_host))
		timed_out = stream_wait(rs->stream, rs->timeout_ms) == ST_TIMEOUT;
	if (timed_out) {
		smtp_session_timeout(rs->smtp);
		return end_run(rs, SMTP_DONE);
	}
	return end_run(rs, smtp_session_run(rs->smtp));
}

void receive_session_shutdown(struct receive_session *rs)
{
	if (!rs->smtp || rs->ended)
		return;
	begin_run(rs);
	smtp_session_shutdown(rs->smtp, str_cat(rs->env->scratch, rs_hostname(rs), STR(": SMTP service not available - shutting down")));
	(void)end_run(rs, SMTP_DONE);
}

void receive_session_free(struct receive_session *rs)
{
	if (!rs)
		return;
	if (rs->tx) {
		begin_run(rs);
		tx_end(rs, NULL);
		(void)end_run(rs, SMTP_DONE);
	}
	arena_free(rs->tx_arena);
	if (rs->test_env)
		log_free(rs->test_env->log);
	union {
		const struct config *is;
		struct config *counted;
	} cfg = {rs->cfg};
	arena_free(rs->arena);
	config_unref(cfg.counted);
}

int64_t receive_session_park_ms(const struct receive_session *rs)
{
	return rs->timeout_ms;
}

size_t receive_session_footprint(const struct receive_session *rs)
{
	return arena_footprint(rs->arena) + (rs->tx_arena ? arena_footprint(rs->tx_arena) : 0) + stream_footprint(rs->stream);
}
