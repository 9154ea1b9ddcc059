/* SPDX-License-Identifier: Apache-2.0
 * The one place that knows all rooms: what the configuration language consists of. */
#pragma once
#include "config/config.h"

/* Fill in options, drivers, variables, items and compile steps of every room. `ret` must outlive
 * the configurations made with it. Threads: any. */
void eximius_schema(struct config_schema *ret);
