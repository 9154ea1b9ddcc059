/* SPDX-License-Identifier: Apache-2.0
 * Inside of the resolver, for sibling files: the two backends, answers off the wire, and the text
 * files of the machine (resolv.conf, hosts, nsswitch.conf). */
#pragma once
#include "net/resolver.h"

#include <pthread.h>

#define DNS_RECORDS_MAX 2000 /* in one answer; a 64 KB packet cannot hold many more */
#define DNS_CHAIN_MAX 16     /* CNAMEs in a row */
#define NAMESERVERS_MAX 8
#define SEARCH_MAX 16

/* Records of type `want` at the end of the CNAME chain that begins at `name`; rcode decides between
 * NXDOMAIN and NODATA. False if the packet is malformed. */
bool dns_answer_parse(struct arena *a, struct str packet, struct str name, enum dns_type want, struct dns_result *ret);
/* The records of all[] that answer, following CNAMEs; sets record, count, canonical, ttl, answer
 * (FOUND or NODATA). */
void dns_answer_pick(struct arena *a, const struct dns_record *all, size_t n, struct str name, enum dns_type want,
    struct dns_result *ret);
/* Is it a name that can be asked for (labels of 1..63 bytes, 253 in all)? A final dot is cut. */
bool dns_name_good(struct str *name);

/* Does this name server ("addr[@port]") call its answer authentic (AD)? False also when it is silent. */
bool dns_ad_says(struct arena *a, struct str server, struct str name, enum dns_type type);

struct resolv_conf {
	struct str server[NAMESERVERS_MAX];
	size_t servers;
	struct str search[SEARCH_MAX];
	size_t searches;
	unsigned ndots;
};
void resolv_conf_parse(struct arena *a, struct str text, struct resolv_conf *ret);
/* The file, or what holds without it: 127.0.0.1, and the domain of our host name as search list. */
void resolv_conf_read(struct arena *a, const char *path, struct resolv_conf *ret);
/* A whole small text file; unset if it cannot be read. */
struct str small_file_read(struct arena *a, const char *path, size_t max);

struct host_line {
	struct ip_addr ip;
	const struct str *names;
	size_t count;
};
struct hosts_table {
	struct host_line *line;
	size_t count;
};
void hosts_parse(struct arena *a, struct str text, struct hosts_table *ret);

/* A backend answers one absolute, valid name. */
struct dns_backend {
	struct dns_result *(*query)(void *data, struct arena *a, struct str name, enum dns_type type);
	void (*release)(void *data);
};

struct resolver {
	const struct dns_backend *backend;
	void *data;
	struct arena *arena;
	pthread_mutex_t lock; /* over the two tables below */
	bool conf_read;
	struct resolv_conf conf;
	const char *conf_path, *hosts_path;
	struct arena *hosts_arena;
	struct hosts_table hosts;
	int64_t hosts_stamp;
};

/* resolver_unbound.c */
extern const struct dns_backend dns_backend_unbound;
void *unbound_new(const struct resolver_opts *o, struct resolver *r);
/* resolver.c: resolv.conf, read at the first need. */
const struct resolv_conf *resolver_conf(struct resolver *r);
