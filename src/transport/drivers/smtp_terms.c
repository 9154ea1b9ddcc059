/* SPDX-License-Identifier: Apache-2.0
 * What is expanded for one host, with $host and $host_address set to it (manual 30.2): port,
 * interface, EHLO name, which host lists it is in; and the key under which a connection made on
 * these terms waits in the pool. */
#include <netdb.h>

#include "base/limits.h"
#include "net/addr.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

bool smtp_match_host(struct smtp_job *j, const struct xstr *list, bool *ret)
{
	*ret = false;
	if (str_empty(list->text))
		return true;
	if (str_eqc(list->text, "*")) {
		*ret = true;
		return true;
	}
	switch (match_host(&j->d->eval->lx, list, j->host->name, j->host->address, 0, NULL)) {
	case MATCH_YES: *ret = true; return true;
	case MATCH_NO: return true;
	case MATCH_DEFER: break;
	}
	smtp_fault_text(j, DERR_LISTDEFER, "host list match deferred in %s transport: %.*s", transport_name(j->d),
	    STR_ARG(j->d->eval->lx.error));
	return false;
}

void smtp_set_host(struct smtp_job *j, struct route_host *h)
{
	struct out_view *v = &j->d->out;
	j->host = h;
	*v = (struct out_view){.host = h->name, .host_address = h->address, .host_port = h->port, .transport_name = j->d->transport->name};
	j->terms = (struct smtp_terms){0};
	j->fault = (struct smtp_fault){0};
}

static bool expand_for_host(struct smtp_job *j, const struct xstr *x, const char *what, bool soft, struct str *ret)
{
	enum expand_status st = expand(j->d->eval, x, ret);
	if (st == EXPAND_OK)
		return true;
	if (st == EXPAND_FORCED && soft) {
		*ret = STR_NONE;
		return true;
	}
	smtp_fault_text(j, DERR_UNKNOWN, "failed to expand \"%s\" option for %s transport: %.*s", what, transport_name(j->d),
	    STR_ARG(j->d->eval->lx.error));
	return false;
}

/* ---- port ---- */

/* What /etc/services may lack (manual 30 port). */
static int known_service(struct str name)
{
	static const struct {
		const char *name;
		int port;
	} known[] = {{"smtp", 25}, {"smtps", 465}, {"submissions", 465}, {"submission", 587}, {"lmtp", 24}};
	for (size_t i = 0; i < countof(known); i++) {
		if (str_eqc(name, known[i].name))
			return known[i].port;
	}
	return 0;
}

static int service_port(struct smtp_job *j, struct str name)
{
	struct servent se, *found = NULL;
	char *buf = arena_alloc(j->tx, 4096);
	if (getservbyname_r(str_cstr(j->tx, name), "tcp", &se, buf, 4096, &found) == 0 && found)
		return ntohs((uint16_t)found->s_port);
	return known_service(name);
}

static bool find_port(struct smtp_job *j)
{
	struct str text;
	uint64_t n;
	if (!expand_for_host(j, &j->o->port, "port", false, &text))
		return false;
	if (text.len && ch_digit(text.p[0]))
		j->terms.port = str_uint(text, 65535, &n) ? (int)n : 0;
	else
		j->terms.port = service_port(j, text);
	if (j->terms.port == 0) {
		smtp_fault_text(j, DERR_UNKNOWN, "TCP port \"%.*s\" is not defined for %s transport", STR_ARG(text), transport_name(j->d));
		return false;
	}
	if (j->host->port)
		j->terms.port = j->host->port;
	j->d->out.host_port = j->terms.port;
	return true;
}

/* ---- interface: the first of the host's family ---- */

static bool find_interface(struct smtp_job *j)
{
	struct str rest, item;
	int sep = 0;
	if (!expand_for_host(j, &j->o->interface, "interface", true, &rest) || str_empty(rest))
		return j->fault.message.p == NULL;
	while (list_next(j->tx, &rest, &sep, &item)) {
		struct ip_addr ip;
		if (!ip_parse(item, &ip)) {
			smtp_fault_text(j, DERR_UNKNOWN, "\"%.*s\" is not a valid IP address for the \"interface\" option for %s transport",
			    STR_ARG(item), transport_name(j->d));
			return false;
		}
		if (ip.family == j->terms.ip.family) {
			j->terms.interface = item;
			break;
		}
	}
	return true;
}

/* ---- dscp ---- */

static bool find_dscp(struct smtp_job *j)
{
	static const struct {
		const char *name;
		int value;
	} names[] = {{"cs0", 0}, {"cs1", 8}, {"cs2", 16}, {"cs3", 24}, {"cs4", 32}, {"cs5", 40}, {"cs6", 48}, {"cs7", 56},
	    {"af11", 10}, {"af12", 12}, {"af13", 14}, {"af21", 18}, {"af22", 20}, {"af23", 22}, {"af31", 26}, {"af32", 28},
	    {"af33", 30}, {"af41", 34}, {"af42", 36}, {"af43", 38}, {"ef", 46}, {"lowdelay", 4}, {"throughput", 2},
	    {"reliability", 1}, {"mincost", 0}};
	struct str text;
	int64_t n;
	j->terms.dscp = -1;
	if (!expand_for_host(j, &j->o->dscp, "dscp", true, &text))
		return false;
	if (str_empty(text))
		return true;
	if (text.len > 2 && text.p[0] == '0' && (text.p[1] | 32) == 'x') {
		n = strtol(str_cstr(j->tx, text), NULL, 16);
	} else if (!str_int(text, &n)) {
		n = -1;
		for (size_t i = 0; i < countof(names); i++) {
			if (str_ieqc(text, names[i].name))
				n = names[i].value;
		}
	}
	if (n >= 0 && n <= 0x3f)
		j->terms.dscp = (int)n << 2;
	return true; /* an unknown name marks nothing (manual 30 dscp) */
}

/* ---- all ---- */

static bool find_lists(struct smtp_job *j)
{
	const struct smtp_options *o = j->o;
	struct smtp_terms *t = &j->terms;
	bool in = false;
	if (!smtp_match_host(j, &o->hosts_avoid_esmtp, &t->avoid_esmtp) ||
	    !smtp_match_host(j, &o->hosts_avoid_pipelining, &t->avoid_pipelining) ||
	    !smtp_match_host(j, &o->hosts_require_tls, &t->require_tls) ||
	    !smtp_match_host(j, &o->hosts_avoid_tls, &t->avoid_tls) ||
	    !smtp_match_host(j, &o->hosts_require_auth, &t->require_auth) ||
	    !smtp_match_host(j, &o->hosts_try_auth, &in) || !smtp_match_host(j, &o->hosts_try_chunking, &t->try_chunking) ||
	    !smtp_match_host(j, &o->hosts_nopass_tls, &t->nopass_tls))
		return false;
	t->try_auth = in || t->require_auth;
	if (j->in_clear && !t->require_tls)
		t->avoid_tls = true;
	return true;
}

static bool add_tls_key(struct smtp_job *j, struct strbuf *sb)
{
	const struct smtp_options *o = j->o;
	const struct xstr *const x[] = {&o->tls_certificate, &o->tls_privatekey, &o->tls_sni, &o->tls_require_ciphers,
	    &o->tls_verify_certificates, &o->tls_crl, &o->tls_alpn, &o->tls_verify_hosts, &o->tls_try_verify_hosts,
	    &o->tls_verify_cert_hostnames};
	for (size_t i = 0; i < countof(x); i++) {
		struct str value;
		if (str_chr(x[i]->text, '$') < 0)
			continue;
		if (!expand_for_host(j, x[i], "tls", true, &value))
			return false;
		sb_printf(sb, "|%.*s", STR_ARG(value));
	}
	return true;
}

static bool make_key(struct smtp_job *j)
{
	const struct smtp_terms *t = &j->terms;
	struct strbuf sb;
	sb_init(&sb, j->tx, LIMIT_SMTP_REPLY_TEXT);
	sb_printf(&sb, "%p|%u|%.*s|%.*s|%d|%.*s|%.*s|%d%d%d%d%d|%d", (const void *)j->d->config, j->d->transport->index,
	    STR_ARG(j->host->name), STR_ARG(j->host->address), t->port, STR_ARG(t->interface), STR_ARG(t->helo), t->avoid_tls,
	    t->require_tls, t->avoid_esmtp, t->try_auth, t->require_auth, t->dscp);
	if (j->o->key_changes && !t->avoid_tls && !add_tls_key(j, &sb))
		return false;
	if (t->try_auth && j->o->auth_changes)
		sb_printf(&sb, "|%.*s|%s", STR_ARG(j->d->message->sender), j->d->message->id);
	j->terms.key = sb_str(&sb);
	return true;
}

bool smtp_terms_find(struct smtp_job *j)
{
	if (!ip_parse(j->host->address, &j->terms.ip)) {
		smtp_fault_text(j, DERR_HOSTLOOKUP, "failed to lookup IP address for %.*s", STR_ARG(j->host->name));
		return false;
	}
	if (!find_port(j) || !find_interface(j) || !find_dscp(j) || !find_lists(j))
		return false;
	j->d->out.sending_ip_address = j->terms.interface;
	if (!j->o->helo_needs_socket && !expand_for_host(j, &j->o->helo_data, "helo_data", false, &j->terms.helo))
		return false;
	if (j->o->helo_needs_socket)
		j->terms.helo = j->o->helo_data.text; /* in the key; expanded when the socket is there */
	return make_key(j);
}
