/* SPDX-License-Identifier: Apache-2.0
 * DNS over libunbound: validated in process (DNSSEC), cached, shared by all threads of a process.
 * A second implementation answers from data, for tests (resolver_new_fake). */
#pragma once
#include "base/env.h"
#include "base/status.h"
#include "net/addr.h"

enum dns_type {
	DNS_A = 1, DNS_NS = 2, DNS_CNAME = 5, DNS_SOA = 6, DNS_PTR = 12, DNS_MX = 15, DNS_TXT = 16,
	DNS_AAAA = 28, DNS_SRV = 33, DNS_TLSA = 52, DNS_SPF = 99, DNS_CAA = 257
};
/* Answers, not failures: AGAIN is a temporary failure of the lookup itself. */
enum dns_answer { DNS_FOUND, DNS_NODATA, DNS_NXDOMAIN, DNS_AGAIN };

struct dns_record {
	struct str name;        /* owner, without the final dot */
	enum dns_type type;
	uint32_t ttl;
	/* by type: */
	struct ip_addr ip;      /* A, AAAA */
	uint16_t preference;    /* MX; SRV priority */
	uint16_t weight, port;  /* SRV */
	struct str target;      /* MX, SRV, CNAME, PTR, NS, SOA mname: name without final dot, lower case kept as sent */
	struct str text;        /* TXT, SPF: all strings joined; tainted */
	const struct str *strings; /* TXT: each string */
	size_t string_count;
	struct str rdata;       /* raw, every type (TLSA, SOA, CAA are read from it) */
};
struct dns_result {
	enum dns_answer answer;
	bool secure;            /* DNSSEC: validated by us, or, where we have no trust anchor, the name server said AD */
	bool authoritative;
	uint32_t ttl;
	struct dns_record *record;
	size_t count;
	struct str canonical;   /* final name after CNAMEs, unset if none */
	struct str why;         /* for AGAIN */
};

struct resolver_opts {
	const char *resolv_conf;  /* NULL = /etc/resolv.conf */
	const char *hosts_file;   /* NULL = /etc/hosts */
	const char *root_key;     /* trust anchor file, NULL = system's when there is one (and dnssec is set) */
	const char *forward;      /* "addr[@port]", overrides resolv.conf */
	int retrans_s, retry;     /* dns_retrans, dns_retry; 0 = default */
	bool use_edns0, dnssec;
};
struct resolver *resolver_new(const struct resolver_opts *o, struct why *why);
/* Answers from text: zone lines "name ttl type data", "name AGAIN" for a temporary failure. */
struct resolver *resolver_new_fake(struct str zone_text, struct why *why);
void resolver_free(struct resolver *r);

/* Look up; the result lives in `a`. Names are queried as absolute. CNAMEs are followed.
 * A name that is no valid DNS name gives DNS_NXDOMAIN. Threads: any. */
struct dns_result *dns_query(struct resolver *r, struct arena *a, struct str name, enum dns_type type);
/* Same, with each label of the name appended to the search list (dns_search); single: dns_qualify_single. */
struct dns_result *dns_query_search(struct resolver *r, struct arena *a, struct str name, enum dns_type type, bool qualify_single, bool search);
/* Addresses of a host by /etc/hosts and DNS ("byname", getaddrinfo's view, nsswitch order). */
struct dns_result *host_by_name(struct resolver *r, struct arena *a, struct str name, bool want_v4, bool want_v6);
/* Names of an address: DNS PTR, then /etc/hosts, in the order given ("bydns:byaddr"); the caller checks them forward. */
struct dns_result *host_by_addr(struct resolver *r, struct arena *a, const struct ip_addr *ip, bool dns, bool hosts);
const char *dns_type_name(enum dns_type t);
bool dns_type_parse(struct str s, enum dns_type *ret);
