/* SPDX-License-Identifier: Apache-2.0
 * Asking the client's ident service who has connected (RFC 1413; manual 14 rfc1413_hosts,
 * rfc1413_query_timeout, which is 0s = never unless set). */
#include "receive/receive_priv.h"

#include "base/rd.h"
#include "net/stream.h"

#include "base/banned.h"

#define IDENT_LINE 512
#define IDENT_NAME 128

/* "port , port : USERID : system : name" */
static struct str parse_answer(struct str line)
{
	struct rd r = rd_of(line);
	(void)rd_until(&r, ':');
	rd_expect(&r, ':');
	struct str kind = str_trim(rd_until(&r, ':'));
	rd_expect(&r, ':');
	(void)rd_until(&r, ':');
	rd_expect(&r, ':');
	if (r.bad || !str_ieqc(kind, "USERID"))
		return STR_NONE;
	return str_sub(str_trim(rd_rest(&r)), 0, IDENT_NAME);
}

static struct str ask(struct receive_session *rs, struct stream *s)
{
	struct str line;
	enum line_end end;
	stream_set_timeout(s, (int64_t)rs->cfg->main.rfc1413_query_timeout * 1000);
	if (stream_printf(s, "%d , %d\r\n", rs->peer.host_port, rs->peer.interface_port) != ST_OK || stream_flush(s) != ST_OK)
		return STR_NONE;
	if (stream_read_line(s, IDENT_LINE, &line, &end) != ST_OK)
		return STR_NONE;
	return str_dup(rs->arena, parse_answer(line));
}

void rs_ask_ident(struct receive_session *rs)
{
	const struct main_options *m = &rs->cfg->main;
	struct peer *p = &rs->peer;
	struct ip_addr to, from;
	struct stream *s;
	if (m->rfc1413_query_timeout <= 0 || rs->local || rs->test_host || !p->host_port || !rs_host_in(rs, &m->rfc1413_hosts))
		return;
	if (!ip_parse(p->host_address, &to) || !ip_parse(p->interface_address, &from))
		return;
	struct connect_opts o = {.from = from, .timeout_ms = (int64_t)m->rfc1413_query_timeout * 1000, .dscp = -1};
	enum status st = net_connect(&to, 113, &o, &s, NULL);
	if (st != ST_OK) {
		if (st == ST_TIMEOUT && config_logs(rs->cfg, LOGSEL_IDENT_TIMEOUT))
			rs_log(rs, LOGTO_MAIN, "ident connection to %.*s timed out", STR_ARG(p->host_address));
		return;
	}
	p->ident = ask(rs, s);
	stream_drop(s);
	rs_set_rcvhost(rs);
}
