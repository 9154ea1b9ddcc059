/* SPDX-License-Identifier: Apache-2.0
 * Slash-separated parameters of conditions and controls. */
#include "acl/acl_priv.h"
#include "base/banned.h"

bool acl_slash_next(struct arena *a, struct str *rest, struct str *ret)
{
	int sep = '/';

	return str_is_set(*rest) && list_next(a, rest, &sep, ret);
}
