/* SPDX-License-Identifier: Apache-2.0
 * The smtp transport (manual 30): its options and its door. Runs in the courier's thread; LMTP over
 * TCP is the same with protocol = lmtp. What needs a room that is not at work yet (signing, DANE,
 * SOCKS, early pipelining, session resumption) is refused by name. */
#include "transport/drivers/smtp.h"

#include "base/banned.h"

static bool mentions_socket(struct str s)
{
	return str_find(s, STR("sending_")) >= 0;
}

/* Options that shape a connection and are not constant make part of the pool's key. */
static void find_changes(struct config *cfg, struct smtp_options *o)
{
	const struct xstr *const tls[] = {&o->tls_certificate, &o->tls_privatekey, &o->tls_sni, &o->tls_require_ciphers,
	    &o->tls_verify_certificates, &o->tls_crl, &o->tls_alpn, &o->tls_verify_hosts, &o->tls_try_verify_hosts,
	    &o->tls_verify_cert_hostnames};
	for (size_t i = 0; i < countof(tls); i++)
		o->key_changes = o->key_changes || str_chr(tls[i]->text, '$') >= 0;
	o->helo_needs_socket = mentions_socket(o->helo_data.text);
	/* An authenticator that looks at the message logs in anew for each. */
	static const char *const per_message[] = {"sender", "local_part", "domain", "h_", "header", "authenticated", "acl_m", "message",
	    "recipient", "return_path", "address_data"};
	for (const struct driver_instance *di = cfg->drivers[DRIVER_AUTHENTICATOR]; di; di = di->next) {
		for (size_t i = 0; i < di->driver->option_count; i++) {
			const struct opt_row *row = &di->driver->options[i];
			if (row->type != OPT_STRING || (row->flags & OPT_REFUSED))
				continue;
			struct str text = ((const struct xstr *)(const void *)((const char *)di->options + row->offset))->text;
			for (size_t k = 0; k < countof(per_message) && str_chr(text, '$') >= 0; k++)
				o->auth_changes = o->auth_changes || str_find(text, str_c(per_message[k])) >= 0;
		}
	}
}

static bool find_protocol(struct driver_instance *di, struct smtp_options *o, struct why *why)
{
	struct str p = o->protocol.text;
	bool plain = str_empty(p) || str_eqc(p, "smtp");
	o->lmtp = str_eqc(p, "lmtp");
	o->tls_on_connect = str_eqc(p, "smtps") || str_eqc(p, "submissions");
	if (!plain && !o->lmtp && !o->tls_on_connect)
		return config_error_at(why, NULL, 0, "unknown protocol \"%.*s\" for %s transport", STR_ARG(p), di->name.p);
	if (!str_is_set(o->port.text))
		o->port.text = plain ? STR("25") : p;
	return true;
}

static bool refuse(struct driver_instance *di, struct str value, const char *name, const char *allowed, struct why *why)
{
	if (str_empty(value) || str_eqc(value, allowed))
		return true;
	return config_error_at(why, NULL, 0, "option \"%s\" of the %s transport is not supported yet with the value \"%.*s\"", name,
	    di->name.p, STR_ARG(value));
}

static bool smtp_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	struct smtp_options *o = di->options;
	if (o->command_timeout <= 0 || o->data_timeout <= 0 || o->final_timeout <= 0)
		return config_error_at(why, NULL, 0, "command, data, or final timeout value is zero for %s transport", di->name.p);
	if (!find_protocol(di, o, why) || !refuse(di, o->hosts_try_dane.text, "hosts_try_dane", "*", why) ||
	    !refuse(di, o->hosts_try_prdr.text, "hosts_try_prdr", "*", why) ||
	    !refuse(di, o->utf8_downconvert.text, "utf8_downconvert", "-1", why))
		return false;
	if (o->hosts_max_try < 1)
		o->hosts_max_try = 1;
	if (o->hosts_max_try_hardlimit < o->hosts_max_try)
		o->hosts_max_try_hardlimit = o->hosts_max_try;
	find_changes(cfg, o);
	return true;
}

static int smtp_max_rcpt(const struct driver_instance *di, struct eval *ev)
{
	const struct smtp_options *o = di->options;
	int64_t n = 100;
	if (expand_int(ev, &o->max_rcpt, 100, &n) != EXPAND_OK || n < 0 || n > INT32_MAX)
		n = 100;
	return (int)n;
}

/* multi_domain, expanded for an address. */
static bool smtp_can_share(const struct driver_instance *di, struct eval *ev, const struct address *a, const struct address *b)
{
	const struct smtp_options *o = di->options;
	struct addr_view view = a->view;
	bool yes = true;
	if (str_ieq(a->view.domain, b->view.domain))
		return true;
	void *old = ev->space[SPACE_ADDRESS];
	ev->space[SPACE_ADDRESS] = &view;
	if (expand_bool(ev, &o->multi_domain, true, &yes) != EXPAND_OK)
		yes = false;
	ev->space[SPACE_ADDRESS] = old;
	return yes;
}

static bool smtp_retry_includes_sender(const struct driver_instance *di)
{
	const struct smtp_options *o = di->options;
	return o->address_retry_include_sender;
}

#define ROW(name, TYPE, def, flags, doc) OPT_ROW(struct smtp_options, #name, TYPE, name, def, flags, doc)
#define NOT_YET(name, TYPE, doc) OPT_ROW_REFUSED(#name, TYPE, doc)
static const struct opt_row smtp_rows[] = {
	ROW(address_retry_include_sender, BOOL, "true", 0, "Delay sender and recipient together after a 4xx to RCPT"),
	ROW(allow_localhost, BOOL, "false", 0, "Deliver even if a host turns out to be this one"),
	NOT_YET(arc_sign, STRING, "ADMD id, selector, key and options for adding an ARC set"),
	ROW(authenticated_sender, STRING, NULL, OPT_EXPAND, "Value of AUTH= on MAIL"),
	ROW(authenticated_sender_force, BOOL, "false", 0, "Send it even when not authenticated"),
	ROW(command_timeout, TIME, "5m", 0, "Time limit for the response to a command"),
	ROW(connect_timeout, TIME, "5m", 0, "Time limit for connecting"),
	ROW(connection_max_messages, INT, "500", 0, "Most messages over one connection"),
	NOT_YET(dane_require_tls_ciphers, STRING, "Ciphers when DANE is in effect"),
	ROW(data_timeout, TIME, "5m", 0, "Time limit for each block of data"),
	ROW(delay_after_cutoff, BOOL, "true", 0, "Try again slowly after the retry cutoff instead of bouncing at once"),
	NOT_YET(dkim_canon, STRING, "Canonicalization of DKIM signatures"),
	NOT_YET(dkim_domain, LIST, "Domains to sign for"),
	NOT_YET(dkim_hash, STRING, "Hash of DKIM signatures"),
	NOT_YET(dkim_identity, STRING, "i= tag value"),
	NOT_YET(dkim_private_key, STRING, "Private key, or a file holding it"),
	NOT_YET(dkim_selector, STRING, "Selector(s)"),
	NOT_YET(dkim_sign_headers, STRING, "Headers to sign, with + and = oversigning marks"),
	NOT_YET(dkim_strict, STRING, "What to do when signing fails"),
	NOT_YET(dkim_timestamps, STRING, "t= and x= tags: lifetime in seconds"),
	ROW(dns_qualify_single, BOOL, "true", 0, "Resolver adds the default domain"),
	ROW(dns_search_parents, BOOL, "false", 0, "Resolver searches parent domains"),
	ROW(dnssec_request_domains, DOMAINS, "*", OPT_EXPAND, "Domains for which DNSSEC is asked"),
	ROW(dnssec_require_domains, DOMAINS, NULL, OPT_EXPAND, "Domains that need DNSSEC"),
	ROW(dscp, STRING, NULL, OPT_EXPAND, "DSCP mark for the connection"),
	ROW(fallback_hosts, LIST, NULL, OPT_EXPAND, "Hosts tried last"),
	ROW(final_timeout, TIME, "10m", 0, "Time limit for the response to the final dot"),
	ROW(gethostbyname, BOOL, "false", 0, "Use the system's name lookup rather than DNS"),
	NOT_YET(gnutls_compat_mode, BOOL, "GnuTLS compatibility mode"),
	ROW(helo_data, STRING, "$primary_hostname", OPT_EXPAND, "HELO or EHLO argument"),
	NOT_YET(host_name_extract, LIST, "Extract a server name from banner and EHLO response, for TLS session keys"),
	ROW(hosts, LIST, NULL, OPT_EXPAND, "Hosts when the router supplies none"),
	ROW(hosts_avoid_esmtp, HOSTS, NULL, OPT_EXPAND, "Hosts sent HELO only"),
	ROW(hosts_avoid_pipelining, HOSTS, NULL, OPT_EXPAND, "Hosts with which PIPELINING is not used"),
	ROW(hosts_avoid_tls, HOSTS, NULL, OPT_EXPAND, "Hosts with which TLS is not used"),
	ROW(hosts_max_try, INT, "5", 0, "Addresses tried in one delivery"),
	ROW(hosts_max_try_hardlimit, INT, "50", 0, "Hard limit on those"),
	ROW(hosts_nopass_tls, HOSTS, NULL, OPT_EXPAND, "Hosts for which a TLS connection carries one message"),
	ROW(hosts_noproxy_tls, HOSTS, NULL, OPT_EXPAND | OPT_OBSOLETE, "TLS connections stay in one process here: nothing is proxied"),
	ROW(hosts_override, BOOL, "false", 0, "Use hosts in place of those from the router"),
	NOT_YET(hosts_pipe_connect, HOSTS, "Hosts with which early pipelining is tried"),
	ROW(hosts_randomize, BOOLX, "false", OPT_EXPAND, "Shuffle the hosts"),
	ROW(hosts_request_ocsp, HOSTS, "*", OPT_EXPAND, "Hosts asked for a stapled OCSP proof"),
	ROW(hosts_require_alpn, HOSTS, NULL, OPT_EXPAND, "Hosts that must negotiate ALPN"),
	ROW(hosts_require_auth, HOSTS, NULL, OPT_EXPAND, "Hosts to which authentication must succeed"),
	NOT_YET(hosts_require_dane, HOSTS, "Hosts that must be DANE-verified"),
	ROW(hosts_require_ocsp, HOSTS, NULL, OPT_EXPAND, "Hosts that must supply a good OCSP proof"),
	ROW(hosts_require_tls, HOSTS, NULL, OPT_EXPAND, "Hosts that must use TLS"),
	ROW(hosts_try_auth, HOSTS, NULL, OPT_EXPAND, "Hosts to which authentication is tried"),
	ROW(hosts_try_chunking, HOSTS, "*", OPT_EXPAND, "Hosts with which BDAT is used"),
	ROW(hosts_try_dane, HOSTS, "*", OPT_EXPAND, "Hosts for which TLSA is looked up"),
	ROW(hosts_try_fastopen, HOSTS, "*", OPT_EXPAND | OPT_OBSOLETE, "Hosts with which TCP Fast Open is tried: left to the kernel"),
	ROW(hosts_try_prdr, HOSTS, "*", OPT_EXPAND, "Hosts with which PRDR is used"),
	ROW(hosts_verify_avoid_tls, HOSTS, NULL, OPT_EXPAND, "Hosts with which TLS is not used for callouts"),
	ROW(interface, LIST, NULL, OPT_EXPAND, "Local address to bind"),
	ROW(keepalive, BOOL, "true", 0, "SO_KEEPALIVE on the connection"),
	ROW(lmtp_ignore_quota, BOOL, "false", 0, "IGNOREQUOTA with LMTP"),
	ROW(max_rcpt, STRING, "100", OPT_EXPAND, "RCPTs per transaction"),
	ROW(message_linelength_limit, INT, "998", 0, "Longest line sent before the message is bounced"),
	ROW(multi_domain, BOOLX, "true", OPT_EXPAND, "Put recipients of several domains in one transaction"),
	ROW(port, STRING, NULL, OPT_EXPAND | OPT_COMPUTED, "Port to connect to"),
	ROW(protocol, STRING, NULL, 0, "smtp, smtps, submissions or lmtp"),
	ROW(retry_include_ip_address, BOOLX, "true", OPT_EXPAND, "Include the IP address in host retry keys"),
	ROW(serialize_hosts, HOSTS, NULL, OPT_EXPAND, "Hosts with which one connection at a time is used"),
	ROW(size_addition, INT, "1024", 0, "Added to SIZE on MAIL; negative disables SIZE"),
	NOT_YET(socks_proxy, STRING, "SOCKS5 proxies to go through"),
	ROW(tls_alpn, STRING, NULL, OPT_EXPAND, "ALPN name offered"),
	ROW(tls_certificate, STRING, NULL, OPT_EXPAND, "Client certificate"),
	ROW(tls_crl, STRING, NULL, OPT_EXPAND, "Revocation list"),
	ROW(tls_dh_min_bits, INT, "1024", 0, "Smallest DH size accepted"),
	ROW(tls_privatekey, STRING, NULL, OPT_EXPAND, "Client private key"),
	ROW(tls_require_ciphers, STRING, NULL, OPT_EXPAND, "Permitted ciphers"),
	NOT_YET(tls_resumption_hosts, HOSTS, "Hosts with which session resumption is tried"),
	ROW(tls_sni, STRING, NULL, OPT_EXPAND, "SNI sent"),
	ROW(tls_tempfail_tryclear, BOOL, "true", 0, "Go on in clear if TLS setup fails"),
	ROW(tls_try_verify_hosts, HOSTS, "*", OPT_EXPAND, "Hosts whose certificate is checked but not required"),
	ROW(tls_verify_cert_hostnames, HOSTS, "*", OPT_EXPAND, "Hosts whose certificate name is checked"),
	ROW(tls_verify_certificates, STRING, "system", OPT_EXPAND, "CA certificates: \"system\", file or directory"),
	ROW(tls_verify_hosts, HOSTS, NULL, OPT_EXPAND, "Hosts that must have a good certificate"),
	ROW(utf8_downconvert, STRING, "-1", OPT_EXPAND, "Convert UTF-8 envelope addresses: 1 always, 0 never, -1 as needed"),
};

const struct transport_driver transport_smtp = {
	.info = {.name = "smtp", .options = smtp_rows, .option_count = countof(smtp_rows), .options_size = sizeof(struct smtp_options),
	    .check = smtp_check},
	.run = smtp_run,
	.max_rcpt = smtp_max_rcpt,
	.can_share = smtp_can_share,
	.retry_includes_sender = smtp_retry_includes_sender,
};
