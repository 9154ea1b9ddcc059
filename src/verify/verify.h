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
enum verify_result verify_address(struct eval *ev, struct str address, const struct verify_opts *o, struct verify_answer *ret);
/* -bv / -bt: print to out in Exim's form; exit codes as the manual's 5. */
int verify_print(struct eval *ev, struct str address, bool as_sender, bool test_route, struct strbuf *out);
