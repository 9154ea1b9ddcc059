/* SPDX-License-Identifier: Apache-2.0
 * Variables about the client (struct peer; manual 11.9). The host name is looked up when it is
 * first asked for. */
#include "expand/tree.h"
#include "lookup/match.h"
#include "base/banned.h"

#define GET(fn) static bool fn(struct eval *ev, void *obj, struct str *ret)
#define PEER ((struct peer *)obj)

GET(get_host_name)
{
	if (!PEER->host_name.p && PEER->host_address.p && !PEER->host_lookup_failed && !PEER->host_lookup_deferred)
		match_lookup_peer_name(&ev->lx);
	*ret = PEER->host_name;
	return true;
}

static struct str port(struct eval *ev, int n, const char *unset)
{
	return n > 0 ? str_printf(ev->lx.arena, "%d", n) : str_c(unset);
}
GET(get_host_port) { *ret = port(ev, PEER->host_port, "0"); return true; }
GET(get_interface_port) { *ret = port(ev, PEER->interface_port, "-1"); return true; }
GET(get_proxy_local_port) { *ret = port(ev, PEER->proxy_local_port, "0"); return true; }
GET(get_proxy_external_port) { *ret = port(ev, PEER->proxy_external_port, "0"); return true; }
GET(get_proxy_session) { *ret = PEER->proxy_local_address.p ? STR("yes") : STR("no"); return true; }
GET(get_host_dnssec) { *ret = PEER->host_dnssec ? STR("yes") : STR("no"); return true; }
GET(get_helo_verified) { *ret = PEER->helo_verified ? STR("yes") : STR("no"); return true; }

GET(get_active_hostname)
{
	*ret = PEER->active_hostname.p ? PEER->active_hostname : ev->lx.config ? ev->lx.config->primary_hostname : STR_NONE;
	return true;
}

/* Name, HELO and address for display, as log lines show them; set once a connection was told of. */
GET(get_fullhost)
{
	struct peer *p = PEER;
	struct strbuf sb;

	if (!p->host_address.p || !p->rcvhost.p)
		return true;
	sb_init(&sb, ev->lx.arena, 4096);
	if (p->host_name.p)
		sb_add(&sb, p->host_name);
	if (p->helo.p && !str_ieq(p->helo, p->host_name)) {
		sb_addc(&sb, p->host_name.p ? " (" : "(");
		sb_add(&sb, p->helo);
		sb_ch(&sb, ')');
	}
	sb_addc(&sb, sb.len ? " [" : "[");
	sb_add(&sb, p->host_address);
	sb_ch(&sb, ']');
	if (p->host_port > 0 && ev->lx.config && config_logs(ev->lx.config, LOGSEL_INCOMING_PORT))
		sb_printf(&sb, ":%d", p->host_port);
	*ret = sb_str(&sb);
	return true;
}

#define STRV(n, field, tnt) EXPAND_VAR_STR(n, SPACE_PEER, struct peer, field, tnt)
#define FN(n, fn, tnt, no) {.name = (n), .space = SPACE_PEER, .kind = VAR_FN, .get = (fn), .taint = (tnt), .none = (no)}
#define INT(n, field) {.name = (n), .space = SPACE_PEER, .kind = VAR_INT32, .offset = offsetof(struct peer, field)}
#define BOOLV(n, field) {.name = (n), .space = SPACE_PEER, .kind = VAR_BOOL, .offset = offsetof(struct peer, field)}
const struct expand_var vars_peer[] = {
    STRV("authenticated_id", auth_id, true),
    STRV("authenticated_sender", auth_sender, true),
    BOOLV("host_lookup_deferred", host_lookup_deferred),
    BOOLV("host_lookup_failed", host_lookup_failed),
    STRV("interface_address", interface_address, false),
    FN("interface_port", get_interface_port, false, "-1"),
    STRV("proxy_external_address", proxy_external_address, false),
    FN("proxy_external_port", get_proxy_external_port, false, "0"),
    STRV("proxy_local_address", proxy_local_address, false),
    FN("proxy_local_port", get_proxy_local_port, false, "0"),
    FN("proxy_session", get_proxy_session, false, "no"),
    STRV("received_ip_address", interface_address, false),
    FN("received_port", get_interface_port, false, "-1"),
    STRV("received_protocol", received_protocol, false),
    FN("sender_fullhost", get_fullhost, true, NULL),
    FN("sender_helo_dnssec", get_host_dnssec, false, "no"),
    STRV("sender_helo_name", helo, true),
    FN("sender_helo_verified", get_helo_verified, false, "no"),
    STRV("sender_host_address", host_address, false),
    STRV("sender_host_authenticated", auth_name, false),
    FN("sender_host_dnssec", get_host_dnssec, false, "no"),
    FN("sender_host_name", get_host_name, true, NULL),
    FN("sender_host_port", get_host_port, false, "0"),
    STRV("sender_ident", ident, true),
    STRV("sender_rcvhost", rcvhost, true),
    FN("smtp_active_hostname", get_active_hostname, false, NULL),
    INT("tls_bits", tls.bits),
    BOOLV("tls_certificate_verified", tls.verified),
    STRV("tls_cipher", tls.cipher, false),
    INT("tls_in_bits", tls.bits),
    BOOLV("tls_in_certificate_verified", tls.verified),
    STRV("tls_in_cipher", tls.cipher, false),
    STRV("tls_in_cipher_std", tls.cipher_std, false),
    INT("tls_in_ocsp", tls.ocsp),
    STRV("tls_in_ourcert", tls.our_cert, true),
    STRV("tls_in_peercert", tls.peer_cert, true),
    STRV("tls_in_peerdn", tls.peer_dn, true),
    INT("tls_in_resumption", tls.resumption),
    STRV("tls_in_sni", tls.sni, true),
    STRV("tls_in_ver", tls.version, false),
    STRV("tls_peerdn", tls.peer_dn, true),
    STRV("tls_sni", tls.sni, true),
    {0},
};
