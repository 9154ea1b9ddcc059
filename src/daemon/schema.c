/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/schema.h"

#include "acl/acl.h"
#include "deliver/deliver.h"
#include "expand/expand.h"
#include "lookup/match.h"
#include "queue/retry_rule.h"
#include "receive/receive.h"
#include "route/route.h"
#include "sasl/sasl.h"
#include "transport/transport.h"
#include "base/banned.h"

/* Manual 6.9: what was built in. Options, drivers and log selectors make their own macros from
 * their rows. A name here is a promise: what stands under .ifdef of it is used. */
static const char *const have_macros[] = {"_HAVE_IPV6", "_HAVE_TLS", "_HAVE_OPENSSL", "_HAVE_DNSSEC", "_HAVE_CRYPTEQ",
    "_HAVE_PIPE_CONNECT", "_HAVE_ESMTP_LIMITS",
    "_HAVE_TRANSPORT_APPEND_MAILDIR", "_HAVE_TRANSPORT_APPEND_MAILSTORE", "_HAVE_TRANSPORT_APPEND_MBX",
    "_HAVE_LOOKUP_LSEARCH", "_HAVE_LOOKUP_DSEARCH", "_HAVE_LOOKUP_CDB", "_HAVE_LOOKUP_DBM", "_HAVE_LOOKUP_LMDB",
    "_HAVE_LOOKUP_JSON", "_HAVE_LOOKUP_PASSWD", "_HAVE_LOOKUP_DNSDB", "_HAVE_LOOKUP_SQLITE", NULL};

static const struct expand_var *const var_sets[] = {acl_vars, receive_vars, sasl_vars, deliver_vars, NULL};
static const struct expand_item *const item_sets[] = {acl_items, NULL};
static const struct expand_condition_row *const condition_sets[] = {acl_conditions, NULL};
static const struct expand_registry registry = {
    .var_sets = var_sets, .item_sets = item_sets, .condition_sets = condition_sets};

/* Each step may use what those before it made. */
static bool (*const compile_steps[])(struct config *cfg, struct env *env, struct why *why) = {expand_compile_all,
    match_compile_all, rewrite_compile, retry_compile_all, route_compile, transport_compile, acl_compile_all};

void eximius_schema(struct config_schema *ret)
{
	*ret = (struct config_schema){.have_macros = have_macros,
	    .expand = &registry,
	    .each_macro = expand_each_macro,
	    .expand_now = expand_setting,
	    .compile = compile_steps,
	    .compile_count = countof(compile_steps)};
	ret->family[DRIVER_ROUTER] = route_family;
	ret->family[DRIVER_TRANSPORT] = transport_family;
	ret->family[DRIVER_AUTHENTICATOR] = sasl_family;
}
