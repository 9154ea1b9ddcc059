/* SPDX-License-Identifier: Apache-2.0
 * Finding a key in the bytes of a cdb file. */
#pragma once
#include "base/str.h"

bool cdb_get(struct str file, struct str key, struct str *ret);
