/* SPDX-License-Identifier: Apache-2.0
 * The smtp transport (manual 30), shared by its files: smtp.c (options and the door), smtp_hosts.c
 * (which hosts, in which order), smtp_run.c (host after host until all is answered), smtp_terms.c
 * (what is expanded per host), smtp_connect.c (from nothing to a session ready for MAIL),
 * smtp_auth.c, smtp_tls.c, smtp_send.c (one transaction), smtp_error.c (what a failure means). */
#pragma once
#include "smtp/client.h"
#include "transport/pool.h"
#include "transport/steps.h"

struct smtp_options {
	struct xstr authenticated_sender, dnssec_request_domains, dnssec_require_domains, dscp, fallback_hosts, helo_data;
	struct xstr host_name_extract, hosts, hosts_avoid_esmtp, hosts_avoid_pipelining, hosts_avoid_tls, hosts_noproxy_tls;
	struct xstr hosts_nopass_tls, hosts_randomize, hosts_request_ocsp, hosts_require_alpn, hosts_require_auth;
	struct xstr hosts_require_ocsp, hosts_require_tls, hosts_try_auth, hosts_try_chunking, hosts_try_dane, hosts_try_fastopen;
	struct xstr hosts_try_prdr, hosts_verify_avoid_tls, interface, max_rcpt, multi_domain, port, protocol;
	struct xstr retry_include_ip_address, serialize_hosts, tls_alpn, tls_certificate, tls_crl, tls_privatekey;
	struct xstr tls_require_ciphers, tls_sni, tls_try_verify_hosts, tls_verify_cert_hostnames, tls_verify_certificates;
	struct xstr tls_verify_hosts, utf8_downconvert;
	int32_t command_timeout, connect_timeout, connection_max_messages, data_timeout, final_timeout, hosts_max_try;
	int32_t hosts_max_try_hardlimit, message_linelength_limit, size_addition, tls_dh_min_bits;
	bool address_retry_include_sender, allow_localhost, authenticated_sender_force, delay_after_cutoff, dns_qualify_single;
	bool dns_search_parents, gethostbyname, hosts_override, keepalive, lmtp_ignore_quota, tls_tempfail_tryclear;
	/* computed: */
	bool lmtp, tls_on_connect;
	bool helo_needs_socket; /* helo_data mentions $sending_...: expanded after the connect */
	bool key_changes;       /* an option that shapes the connection is not constant: part of the pool's key */
	bool auth_changes;      /* likewise for what authenticators send */
};

/* What is expanded for one host (30.2: with $host and $host_address set). */
struct smtp_terms {
	int port, dscp;
	struct ip_addr ip;
	struct str interface, helo;
	bool avoid_esmtp, avoid_pipelining, avoid_tls, require_tls, try_auth, require_auth, try_chunking, nopass_tls;
	struct str key; /* of the pool: all that makes two connections different */
};

enum smtp_stage { STAGE_HOST, STAGE_MESSAGE, STAGE_RCPT };
/* One failure, as Exim words it. */
struct smtp_fault {
	int err, more;       /* basic_errno, more_errno */
	int code;            /* SMTP code, 0 = none */
	struct str message;  /* unset: err's own text */
	bool permanent;      /* 5xx: the addresses fail */
	bool message_error;  /* concerns this message at this host, not the host */
	bool lost;           /* the connection is of no use any more */
	struct str remote_reply;
};

/* One run of the transport. */
struct smtp_job {
	struct delivery *d;
	const struct smtp_options *o;
	struct route_host *host;
	struct smtp_terms terms;
	struct conn *conn;
	struct arena *tx;        /* replies of this message */
	struct smtp_fault fault; /* of the host tried last */
	const char *const *filter;
	bool in_clear;           /* TLS failed at this host: second try without */
	bool any_tried;
	unsigned tried;
};

/* smtp_hosts.c */
/* The list for these addresses; false: results given. */
bool smtp_hosts(struct smtp_job *j, struct route_host **ret);
/* The transport's own fallback list, or the address's; NULL = none. */
struct route_host *smtp_fallback_hosts(struct smtp_job *j);
/* smtp_terms.c: false: j->fault set. */
bool smtp_terms_find(struct smtp_job *j);
bool smtp_match_host(struct smtp_job *j, const struct xstr *list, bool *ret);
void smtp_set_host(struct smtp_job *j, struct route_host *h);
/* smtp_connect.c: a session ready for MAIL, from the pool or new. false: j->fault set. */
bool smtp_session_get(struct smtp_job *j, bool fresh);
/* Hand it back, or end it. */
void smtp_session_end(struct smtp_job *j, bool usable);
/* smtp_tls.c */
bool smtp_start_tls(struct smtp_job *j);
/* smtp_auth.c */
bool smtp_authenticate(struct smtp_job *j);
/* smtp_send.c */
enum sent { SENT_DONE, SENT_STALE, SENT_FAILED };
/* As many of the pending addresses as one transaction takes. DONE: they have results. STALE: the pooled
 * connection was dead before it answered anything. FAILED: j->fault set, pending ones still pending. */
enum sent smtp_send(struct smtp_job *j);
/* smtp_error.c */
void smtp_fault_text(struct smtp_job *j, int err, const char *fmt, ...) printf_like(3, 4);
/* A reply that is not what was hoped for, after `what` ("EHLO x", "pipelined MAIL FROM:<...>"). */
void smtp_fault_reply(struct smtp_job *j, const struct smtp_reply *r, struct str what, enum smtp_stage stage);
void smtp_fault_status(struct smtp_job *j, enum status st, struct str what);
/* "H=name [ip]:port" as the log has it. */
struct str smtp_log_host(struct smtp_job *j);
/* smtp_run.c */
void smtp_run(struct delivery *d);
