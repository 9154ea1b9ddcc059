/* SPDX-License-Identifier: Apache-2.0
 * What authenticator drivers share. */
#pragma once
#include "sasl/sasl.h"

static inline const struct sasl_generic *sasl_generic(const struct driver_instance *di)
{
	return di->generic;
}
struct sasl_view *sasl_view(struct eval *ev);
/* Put a value into $authN and, as former releases had it, into $N; n from 1. */
void sasl_set_auth(struct eval *ev, unsigned n, struct str value);
/* NUL-separated strings of one answer into $auth<have+1>...; returns how many there are now. */
unsigned sasl_split(struct eval *ev, struct str data, unsigned have);
/* The generic server_condition (33.1): SASL_OK when it is unset. */
enum sasl_result sasl_condition(struct eval *ev, const struct driver_instance *di, struct str *ret_message);
/* An expansion's failure in a server: forced is a failed authentication, anything else temporary. */
enum sasl_result sasl_expand(struct eval *ev, const struct xstr *x, struct str *ret, struct str *ret_message);
/* The outcome of the last command of a client's exchange. */
enum sasl_result sasl_final(int code);
/* server_param2 and its like: expand n options into $auth<from>... */
enum sasl_result sasl_params(struct eval *ev, const struct xstr *const *option, unsigned n, unsigned from, struct str *ret_message);
