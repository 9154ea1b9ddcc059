/* SPDX-License-Identifier: Apache-2.0
 * Verification of senders and recipients (manual 44.41-46): by routing, and by callout with its
 * cache in hints. Also -bv and VRFY. */
#pragma once
#include "expand/expand.h"
#include "route/route.h"

enum verify_result { VERIFY_OK, VERIFY_FAIL, VERIFY_DEFER };
enum verify_flags {
	VERIFY_SENDER = 1, VERIFY_CALLOUT = 2, VERIFY_DEFER_OK = 4, VERIFY_CALLOUT_DEFER_OK = 8, VERIFY_NO_CACHE = 16,
	VERIFY_RANDOM = 32, VERIFY_POSTMASTER = 64, VERIFY_FULL_POSTMASTER = 128, VERIFY_USE_SENDER = 256,
	VERIFY_USE_POSTMASTER = 512, VERIFY_HOLD = 1024, VERIFY_SUCCESS_ON_REDIRECT = 2048, VERIFY_NO_DETAILS = 4096,
	VERIFY_EXPN = 8192, VERIFY_IS_HEADER = 16384
};
struct verify_opts {
	unsigned flags;
	int32_t callout_s, callout_overall_s, callout_connect_s; /* timeouts; -1 = defaults */
	struct str mailfrom, postmaster_mailfrom;
};
struct verify_answer {
	struct str user_message, log_message;   /* why not */
	struct str failure_kind;                /* "qualify", "route", "mail", "recipient", "postmaster" */
	struct str address_data, domain_data, local_part_data;
	int basic_errno;
	bool cached;
	struct str callout_address;
	struct address *address;                /* as routed */
};
/* Route an address as the manual's 44.21 says, and call out if asked. The text that the caller may give the
 * client and the log is in the answer. Nothing is remembered here but in the callout hints. Threads: owner. */
enum verify_result verify_address(struct eval *ev, struct str address, const struct verify_opts *o, struct verify_answer *ret);
/* -bv, -bvs, -bt: print to out in Exim's form; exit codes as the manual's 5. DETAILS: the caller may
 * see why (an admin). EXPN: what the address is replaced by, "<address>" a line, or why not. */
enum verify_print_flags {
	VERIFY_PRINT_SENDER = 1, VERIFY_PRINT_ROUTE = 2, VERIFY_PRINT_VERBOSE = 4, VERIFY_PRINT_DETAILS = 8, VERIFY_PRINT_EXPN = 16
};
int verify_print(struct eval *ev, struct str address, unsigned flags, struct strbuf *out);

/* --- Headers of the message (44.17); *ret_log says what is wrong. -------------------------------- */
enum verify_result verify_header_syntax(struct eval *ev, struct str *ret_log);
enum verify_result verify_header_names(struct eval *ev, struct str *ret_log);
enum verify_result verify_not_blind(struct eval *ev, bool caseless, struct str *ret_log);
/* Sender:, Reply-To: or From: has an address that verifies. */
enum verify_result verify_header_sender(struct eval *ev, const struct verify_opts *o, struct verify_answer *ret);

/* Is the HELO name the client's (manual 14, helo_verify_hosts)? Sets peer->helo_verified or
 * helo_verify_failed; the name's addresses may be looked up. A local peer is always believed. */
enum verify_result verify_helo(struct eval *ev);
