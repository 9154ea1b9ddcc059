/* SPDX-License-Identifier: Apache-2.0
 * One configuration text for all processes: the master reads the files, seals the text in a memfd
 * and hands it round; each process parses the same bytes, and none needs to open a file. */
#pragma once
#include "base/env.h"
#include "config/config.h"

/* Text and path into a sealed memfd; -1 on failure. */
int reload_seal(struct str text, struct str path);
/* Parse what a memfd holds. NULL with why. */
struct config *reload_parse(const struct config_schema *schema, struct env *env, int fd, struct why *why);
