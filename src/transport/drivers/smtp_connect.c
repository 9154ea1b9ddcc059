/* SPDX-License-Identifier: Apache-2.0
 * From nothing to a session that is ready for MAIL: connect, banner, EHLO, STARTTLS, EHLO again,
 * AUTH (manual 30); or one from the pool that was made on the same terms. */
#include <errno.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "net/tls.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

static void event(struct smtp_job *j, const char *name, struct str data)
{
	if (j->d->event)
		j->d->event(j->d, name, data);
}

/* Our end of the socket, for $sending_ip_address and helo_data. */
static void note_local_end(struct smtp_job *j, struct conn *c)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof sa;
	struct ip_addr ip;
	if (getsockname(stream_fd(c->stream), (struct sockaddr *)&sa, &n) < 0)
		return;
	ip_from_sockaddr((const struct sockaddr *)&sa, &ip, &c->sending_port);
	c->sending_ip = ip_text(c->arena, &ip);
	(void)j;
}

static void publish(struct smtp_job *j)
{
	struct out_view *v = &j->d->out;
	const struct conn *c = j->conn;
	v->sending_ip_address = c->sending_ip;
	v->sending_port = c->sending_port;
	const struct tls_info *t = stream_tls(c->stream);
	v->tls_active = t != NULL;
	if (!t)
		return;
	v->tls_ver = t->version;
	v->tls_cipher = t->cipher;
	v->tls_cipher_std = t->cipher_std;
	v->tls_peer_dn = t->peer_dn;
	v->tls_sni = t->sni;
	v->tls_bits = t->bits;
	v->tls_ocsp = t->ocsp;
	v->tls_verified = t->verified;
}

static bool open_socket(struct smtp_job *j)
{
	struct connect_opts co = {.timeout_ms = (int64_t)j->o->connect_timeout * 1000, .keepalive = j->o->keepalive, .nodelay = true,
	    .dscp = j->terms.dscp};
	struct stream *s;
	struct why why = {0};
	if (!str_empty(j->terms.interface) && !ip_parse(j->terms.interface, &co.from))
		co.from.family = 0;
	enum status st = net_connect(&j->terms.ip, j->terms.port, &co, &s, &why);
	if (st != ST_OK) {
		j->fault = (struct smtp_fault){.err = st == ST_TIMEOUT ? ETIMEDOUT : -(int)st, .lost = true};
		j->fault.more = (st == ST_TIMEOUT || -(int)st == ETIMEDOUT ? MORE_CONNECT_TIMEOUT : 0) | (j->host->mx >= 0 ? 'M' : 'A');
		return false;
	}
	struct conn *c = j->conn = conn_new(s);
	c->key = str_dup(c->arena, j->terms.key);
	c->host = str_dup(c->arena, j->host->name);
	c->address = str_dup(c->arena, j->host->address);
	c->port = j->terms.port;
	smtp_client_init(&c->client, s, c->arena, j->o->lmtp);
	c->client.command_timeout_ms = (int64_t)j->o->command_timeout * 1000;
	note_local_end(j, c);
	event(j, "tcp:connect", STR_NONE);
	return true;
}

static bool read_banner(struct smtp_job *j)
{
	struct smtp_client *cl = &j->conn->client;
	struct smtp_reply r = smtp_client_reply(cl);
	if (r.code < 200 || r.code >= 300) {
		smtp_fault_reply(j, &r, STR("initial connection"), STAGE_HOST);
		return false;
	}
	cl->banner = str_dup(cl->arena, r.text);
	event(j, "smtp:connect", cl->banner);
	return true;
}

static bool say_hello(struct smtp_job *j)
{
	struct smtp_client *cl = &j->conn->client;
	/* RFC 5321 2.3.5: an old server, by its banner, is greeted with HELO (hosts_avoid_esmtp). */
	bool helo = j->terms.avoid_esmtp && !j->o->lmtp;
	struct smtp_reply r = helo ? smtp_client_helo(cl, j->terms.helo) : smtp_client_hello(cl, j->terms.helo);
	if (r.code >= 200 && r.code < 300) {
		event(j, "smtp:ehlo", r.text);
		return true;
	}
	struct str verb = j->o->lmtp ? STR("LHLO ") : cl->esmtp ? STR("EHLO ") : STR("HELO ");
	smtp_fault_reply(j, &r, str_cat(j->tx, verb, j->terms.helo), STAGE_HOST);
	return false;
}

static bool find_helo(struct smtp_job *j)
{
	publish(j);
	if (!j->o->helo_needs_socket)
		return true;
	if (expand(j->d->eval, &j->o->helo_data, &j->terms.helo) == EXPAND_OK)
		return true;
	smtp_fault_text(j, DERR_UNKNOWN, "failed to expand \"helo_data\" option for %s transport: %.*s", transport_name(j->d),
	    STR_ARG(j->d->eval->lx.error));
	return false;
}

/* STARTTLS where it is offered and wanted. */
static bool secure(struct smtp_job *j)
{
	struct conn *c = j->conn;
	if (j->o->tls_on_connect || j->terms.avoid_tls)
		return true;
	if (!(c->client.caps.ext & SMTP_EXT_STARTTLS)) {
		if (!j->terms.require_tls)
			return true;
		smtp_fault_text(j, DERR_TLSREQUIRED, "a TLS session is required, but the server did not offer TLS support");
		return false;
	}
	struct smtp_reply r = smtp_client_cmd(&c->client, "STARTTLS");
	if (r.code == 220 && stream_pending(c->stream, true)) {
		/* Bytes in clear behind the 220 could only be somebody else's (smuggling.md). */
		smtp_fault_text(j, DERR_SMTPFORMAT, "unexpected data behind the response to STARTTLS");
		j->fault.lost = true;
		return false;
	}
	if (r.code == 220)
		return smtp_start_tls(j) && say_hello(j);
	if (r.code == 0 || j->terms.require_tls || (r.code < 500 && !j->o->tls_tempfail_tryclear)) {
		smtp_fault_reply(j, &r, STR("STARTTLS"), STAGE_HOST);
		j->fault.permanent = false; /* another host, or another day, may do better */
		if (j->terms.require_tls && r.code)
			j->fault.err = DERR_TLSREQUIRED;
		return false;
	}
	return true;
}

static bool make_session(struct smtp_job *j)
{
	j->conn = NULL;
	if (!open_socket(j) || !find_helo(j))
		return false;
	if (j->o->tls_on_connect && !smtp_start_tls(j))
		return false;
	if (!read_banner(j) || !say_hello(j) || !secure(j))
		return false;
	publish(j);
	j->conn->tls = stream_tls(j->conn->stream) != NULL;
	return smtp_authenticate(j);
}

bool smtp_session_get(struct smtp_job *j, bool fresh)
{
	j->conn = fresh ? NULL : conn_pool_take(j->d->pool, j->terms.key);
	if (!j->conn && !make_session(j)) {
		if (j->conn && j->fault.lost)
			conn_drop(j->conn);
		else
			conn_quit(j->conn);
		j->conn = NULL;
		return false;
	}
	j->conn->client.tx = j->tx;
	j->conn->client.command_timeout_ms = (int64_t)j->o->command_timeout * 1000;
	publish(j);
	return true;
}

static unsigned most_messages(const struct smtp_job *j)
{
	unsigned most = j->o->connection_max_messages > 0 ? (unsigned)j->o->connection_max_messages : UINT32_MAX;
	const struct smtp_caps *caps = &j->conn->client.caps;
	bool believed = j->conn->tls || !(caps->ext & SMTP_EXT_STARTTLS);
	if (believed && caps->mailmax > 0 && (unsigned)caps->mailmax < most)
		most = (unsigned)caps->mailmax;
	return most;
}

void smtp_session_end(struct smtp_job *j, bool usable)
{
	struct conn *c = j->conn;
	j->conn = NULL;
	if (!c)
		return;
	j->conn = c;
	bool more = usable && j->d->pool && c->messages < most_messages(j) && !(c->tls && j->terms.nopass_tls);
	j->conn = NULL;
	c->client.tx = NULL;
	event(j, "tcp:close", STR_NONE);
	if (more)
		conn_pool_give(j->d->pool, c);
	else if (usable && !j->d->pool)
		conn_quit_wait(c);
	else if (usable)
		conn_quit(c);
	else
		conn_drop(c);
}
