/* SPDX-License-Identifier: Apache-2.0
 * A message in memory: envelope, facts about who sent it, headers: all that the spool's -H file
 * holds (manual 57). The body stays in its -D file. Made by receive/, written and read by spool/,
 * seen by expansions. All text lives in the message's arena. */
#pragma once
#include "base/map.h"
#include "message/header.h"

/* The other end of the connection that a message came by, or a local caller. */
struct peer {
	struct str host_address; /* text; unset = local submission */
	int host_port;
	struct str interface_address;
	int interface_port;
	struct str host_name;    /* verified reverse name; unset if none */
	struct str host_aliases; /* colon list of further names */
	struct str helo;
	struct str ident;        /* ident callback, or login of a local caller */
	struct str received_protocol;
	struct str auth_name;    /* authenticator that succeeded: $sender_host_authenticated */
	struct str auth_pubname; /* its public name (-host_auth_pubname) */
	struct str auth_id;      /* $authenticated_id */
	struct str auth_sender;  /* $authenticated_sender */
	struct str active_hostname; /* when not the primary */
	struct str rcvhost;      /* $sender_rcvhost, computed at connect/HELO */
	struct str proxy_local_address, proxy_external_address; /* PROXY protocol */
	int proxy_local_port, proxy_external_port;
	struct {
		struct str version, cipher, cipher_std, peer_dn, sni, our_cert, peer_cert; /* certificates: PEM */
		int bits, ocsp, resumption;
		bool active, verified, on_connect;
	} tls;
	bool local;              /* submitted by a local process without TCP */
	bool host_lookup_failed, host_lookup_deferred, host_dnssec;
	bool helo_verified, helo_verify_failed, esmtp, pipelining_used, chunking_offered, smtputf8;
	bool batched;            /* -bS */
};

enum dsn_notify { DSN_NEVER = 1, DSN_SUCCESS = 2, DSN_FAILURE = 4, DSN_DELAY = 8 };
enum dsn_ret { DSN_RET_NONE, DSN_RET_HDRS, DSN_RET_FULL };

struct recipient {
	struct str address;
	struct str errors_to;  /* one_time children */
	int parent;            /* index, -1 = none */
	struct str orcpt;
	uint8_t dsn_notify;
	struct str prdr;
};

#define MSG_ID_MAX 24
struct acl_vars; /* acl/: maps of acl_c / acl_m values; plain maps here */

struct message {
	struct arena *arena;
	char id[MSG_ID_MAX];       /* 23 characters, or 16 of an old spool; NUL-terminated */
	struct str queue_name;     /* named queue, empty = main */
	struct peer peer;
	struct str login;          /* submitter, first -H line */
	int32_t uid, gid;
	struct str sender;         /* envelope sender; empty = <> */
	bool sender_set;
	struct str original_sender; /* before rewriting; for logs */
	int64_t received_us;       /* time of reception, microseconds */
	int64_t received_done_us;  /* complete (0 = unknown) */
	int warnings;              /* delay warnings sent */
	struct recipient *recipient;
	size_t recipients, recipient_room;
	/* Addresses done (text as in the non-recipients tree), value non-NULL. */
	struct map done;
	struct headers headers;
	struct map acl_m, acl_c;   /* name without "acl_m"/"acl_c" -> struct str * */
	int64_t size;              /* $message_size: headers + body as received */
	int64_t body_size;         /* bytes of -D after its first line */
	int body_lines, body_zeros, max_line;
	int64_t frozen_at;         /* 0 = not */
	struct str dsn_envid;
	enum dsn_ret dsn_ret;
	struct str local_scan_data, spam_score_int, spam_bar, spam_score;
	struct str unknown_lines;  /* -H lines of a newer Exim, kept and written back verbatim */
	struct str debug_selector, debuglog_name; /* control = debug, kept for later deliveries */
	const struct spool_memory *spool_memory; /* spool/: how the -H file read from looked */
	bool sender_local;         /* -local: a local sender, over TCP or not */
	bool deliver_firsttime, manual_thaw, dont_deliver, local_error, sender_set_untrusted;
	bool allow_unqualified_recipient, allow_unqualified_sender;
	bool wireformat;           /* -D has CRLF line ends */
	bool smtputf8; int8_t utf8_downconvert;
	bool body_8bit;
	uint8_t body_type;         /* BODY=: 0 none, 7, 8 */
	struct str raw_recipients_header;
};

struct message *message_new(struct arena *a);
struct recipient *message_add_recipient(struct message *m, struct str address);
bool message_is_done(const struct message *m, struct str address); /* domain case folded as Exim keys it */
void message_set_done(struct message *m, struct str address);

/* Message ids (manual 3.4; base 62, 6-11-4). `us` microseconds; sub: pid or thread-unique number. */
void msgid_make(char to[MSG_ID_MAX], int64_t us, uint64_t pid, int localhost_number);
/* The 16-character form that Exim before 4.97 knows (6-6-2; units of 500 us). `serial` keeps ids of
 * one unit and process apart: it goes into the high part of the process field. */
void msgid_make_short(char to[MSG_ID_MAX], int64_t us, uint64_t pid, uint32_t serial, int localhost_number);
bool msgid_valid(struct str s);           /* either length */
int64_t msgid_time(struct str id);        /* seconds */
/* Flattened time for logs "3s", "2h5m" come from base/clock.h. */
