/* SPDX-License-Identifier: Apache-2.0
 * What the files of verify/ share. */
#pragma once
#include "verify/verify.h"

/* --- callout_cache.c: what was learned of a domain and of an address (44.22.2) ----------------- */
enum cached { CACHED_UNKNOWN = '?', CACHED_ACCEPT = 'a', CACHED_REJECT = 'r', CACHED_REJECT_NULL = 'm' };
struct callout_domain {
	enum cached result;           /* of everything up to MAIL; CACHED_REJECT_NULL: MAIL FROM:<> alone */
	enum cached postmaster, random;
	int64_t postmaster_s, random_s; /* when they were learned */
};
/* Expired answers come back as unknown. */
void callout_domain_read(struct eval *ev, struct str domain, struct callout_domain *ret);
void callout_domain_write(struct eval *ev, struct str domain, const struct callout_domain *d);
/* CACHED_ACCEPT, CACHED_REJECT or CACHED_UNKNOWN. */
enum cached callout_address_read(struct eval *ev, struct str key);
void callout_address_write(struct eval *ev, struct str key, enum cached result);

/* --- callout.c --------------------------------------------------------------------------------- */
/* Ask the hosts to which `ad` was routed (or those of its transport) whether they take `address`. */
enum verify_result callout_run(struct eval *ev, struct route_job *job, struct address *ad, struct str address,
    const struct verify_opts *o, struct verify_answer *ret);

/* --- option.c: options of a transport by name, so that no driver is known here ------------------ */
/* NULL: the driver has none of that name. */
const struct xstr *verify_option_text(const struct driver_instance *di, const char *name);
/* Expanded; unset when there is none, when it is unset, or when the expansion fails. */
struct str verify_option(struct eval *ev, const struct driver_instance *di, const char *name);
bool verify_option_bool(const struct driver_instance *di, const char *name);
