/* SPDX-License-Identifier: Apache-2.0
 * What an expansion can see: pointers to facts, one per space. A NULL space makes its variables
 * empty. Structs here are plain facts that rooms above fill in; their variables are rows in
 * expand/vars_*.c. Spaces that only an upper room knows carry that room's own rows. */
#pragma once
#include "lookup/context.h"

enum expand_space {
	SPACE_NONE,     /* from config, clock, process: always there */
	SPACE_PEER,     /* struct peer: $sender_host_address, $sender_helo_name, $tls_in_* ... */
	SPACE_MESSAGE,  /* struct message: $message_id, $h_..., $sender_address ... */
	SPACE_ADDRESS,  /* struct addr_view: $local_part, $domain ... */
	SPACE_OUT,      /* struct out_view: $host, $host_address, $tls_out_* ... */
	SPACE_ACL,      /* acl/: $acl_verify_message, $dnslist_*, $acl_arg*, $sender_rate ... */
	SPACE_SESSION,  /* receive/: $smtp_command, $rcpt_count ... */
	SPACE_AUTH,     /* sasl/: $auth1.., $authenticated_fail_id */
	SPACE_BOUNCE,   /* deliver/: $bounce_recipient, $warn_message_* */
	SPACE_FILTER,   /* filter/: $n0.., $thisaddress */
	SPACE_EVENT,    /* $event_name, $event_data */
	SPACE_MAILAUTH, /* SPF, DKIM, DMARC, ARC results */
	SPACE_SCAN,     /* scanners and MIME parts */
	SPACE_COUNT
};

struct addr_view {
	struct str local_part, domain;           /* current */
	struct str local_part_prefix, local_part_prefix_v, local_part_suffix, local_part_suffix_v;
	struct str local_part_data, domain_data;
	struct str original_local_part, original_domain;
	struct str parent_local_part, parent_domain;
	struct str address_data, sender_address_data, host_data;
	struct str home, self_hostname;
	struct str address_file, address_pipe;
	struct str router_name, transport_name;
	struct str return_path, errors_address;
	struct str recipients, local_part_verified;
	struct str address; /* whole, $... of events */
	struct map *router_vars; /* NAME of $r_NAME -> struct str * */
	int64_t uid, gid; /* $local_user_uid; -1 unset */
	int64_t inode; struct str mailstore_basename; /* appendfile, while it names a file */
	bool verify;
	struct str verify_mode; /* "", "R", "S" */
};

struct out_view {
	struct str host, host_address, sending_ip_address, tls_peer_dn, tls_sni, helo_data;
	struct str tls_ver, tls_cipher, tls_cipher_std, tls_our_cert, tls_peer_cert, tls_dane, dkim_domain, dkim_selector;
	int32_t host_port, sending_port, tls_bits, tls_ocsp, tls_resumption;
	bool tls_active, tls_verified, tls_dane_ok, host_lookup_deferred, host_lookup_failed;
	struct str callout_address, transport_name;
};

/* One evaluation context. Zero it, set what is known; made by eval_init. Threads: owner. */
struct eval {
	struct lookup_context lx; /* first: config, env, arena, peer, message, captures, error */
	void *space[SPACE_COUNT]; /* SPACE_PEER and SPACE_MESSAGE mirror lx */
	struct captures captures;
	struct str value;         /* $value */
	struct str item, item_value; /* $item of list items */
	struct str srs_recipient; /* left by inbound_srs */
	struct str prvs_address, prvs_keynum, prvs_result; /* $prvscheck_... */
	struct str run_output; int runrc; /* $runrc */
	unsigned depth;
	unsigned forbid;          /* EVAL_FORBID_* for redirect data and filters (manual 22) */
	bool forced, in_bem, queue_running;
	void *body;               /* struct eval_body *: where $message_body is read from */
	int body_fd; int64_t body_offset, body_size; /* body_fd -1 = none */
	struct str caller_login;
	struct str headers_charset; /* "headers charset" of a filter; unset: the option headers_charset */
	int debug_depth;
};
enum eval_forbid {
	EVAL_FORBID_DLFUNC = 1, EVAL_FORBID_EXISTS = 2, EVAL_FORBID_LOOKUP = 4, EVAL_FORBID_PERL = 8,
	EVAL_FORBID_READFILE = 16, EVAL_FORBID_READSOCKET = 32, EVAL_FORBID_RUN = 64
};
void eval_init(struct eval *ev, const struct config *cfg, struct env *env, struct arena *a);
void eval_set_peer(struct eval *ev, struct peer *p);
void eval_set_message(struct eval *ev, struct message *m);
