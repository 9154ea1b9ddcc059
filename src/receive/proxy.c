/* SPDX-License-Identifier: Apache-2.0
 * Clients behind a PROXY protocol front (manual 59, hosts_proxy): the header stands in front of
 * everything; without a good one only QUIT is obeyed, so here the connection is refused. */
#include "receive/receive_priv.h"

#include "base/banned.h"

/* False: the negotiation failed, *ret is the answer. */
bool rs_proxy(struct receive_session *rs, struct smtp_answer *ret)
{
	struct peer *p = &rs->peer;
	struct proxy_header h;
	struct why why = {0};
	if (rs->local || rs->test_host || str_empty(p->host_address) || !rs_host_in(rs, &rs->cfg->main.hosts_proxy))
		return true;
	int64_t ms = (int64_t)rs->cfg->main.proxy_protocol_timeout * 1000;
	if (proxy_read(rs->stream, ms, &h, &why) != ST_OK) {
		rs_log(rs, LOGTO_MAIN, "Failure proxy protocol on connection from %.*s: %s", STR_ARG(rs_from(rs)), why.text);
		*ret = answer(503, "Command refused, required Proxy negotiation failed");
		ret->drop = true;
		return false;
	}
	if (h.local || !h.src.family)
		return true;
	/* As the manual names them: "local" is the proxy's own end, "external" the one clients see. */
	p->proxy_local_address = p->host_address;
	p->proxy_local_port = p->host_port;
	p->proxy_external_address = ip_text(rs->arena, &h.dst);
	p->proxy_external_port = h.dst_port;
	p->host_address = ip_text(rs->arena, &h.src);
	p->host_port = h.src_port;
	p->interface_address = p->proxy_external_address;
	p->interface_port = p->proxy_external_port;
	rs_set_rcvhost(rs);
	return true;
}
