/* SPDX-License-Identifier: Apache-2.0
 * The controls of ACLs (manual 44.13), a row each in acl/controls.def. */
#pragma once
#include "base/attr.h"

#define CONTROL(name, id, where, options, fn) ACL_CONTROL_##id,
enum acl_control {
#include "acl/controls.def"
	ACL_CONTROLS
};
#undef CONTROL
