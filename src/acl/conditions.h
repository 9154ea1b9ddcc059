/* SPDX-License-Identifier: Apache-2.0
 * One function a row of conditions.def; which file it stands in is said beside it. */
#pragma once
#include "acl/acl_priv.h"

#define ACL_COND(name) enum acl_verdict acl_cond_##name(struct acl_run *r, const struct acl_cond *c, struct str arg)
/* cond_match.c */
ACL_COND(acl);
ACL_COND(authenticated);
ACL_COND(condition);
ACL_COND(domains);
ACL_COND(encrypted);
ACL_COND(hosts);
ACL_COND(local_parts);
ACL_COND(recipients);
ACL_COND(sender_domains);
ACL_COND(senders);
/* cond_*.c */
ACL_COND(dnslists);
ACL_COND(ratelimit);
ACL_COND(seen);
ACL_COND(verify);
/* control.c */
ACL_COND(control);
/* headers.c */
ACL_COND(add_header);
ACL_COND(remove_header);
/* modifiers.c */
ACL_COND(continue);
ACL_COND(delay);
ACL_COND(endpass);
ACL_COND(log_message);
ACL_COND(log_reject_target);
ACL_COND(logwrite);
ACL_COND(message);
ACL_COND(queue);
ACL_COND(set);
ACL_COND(udpsend);
