/* SPDX-License-Identifier: Apache-2.0
 * The queue: what is due when. Four parts, each usable alone:
 *   retry_rule.h   rules of the retry section, next try times (manual 32)
 *   retry_db.h     records of failing hosts and addresses in the hints, and the decisions from them
 *   index.h        the messages in the courier's memory: due times, states
 *   destination.h  how many connections each destination may have, and who must wait */
#pragma once
#include "queue/destination.h"
#include "queue/errnos.h"
#include "queue/index.h"
#include "queue/retry_db.h"
#include "queue/retry_rule.h"
