/* SPDX-License-Identifier: Apache-2.0
 * Time by the context, so that tests bring their own. Wall time in microseconds since the epoch
 * for what people see and what is stored; monotonic milliseconds for waiting. */
#pragma once
#include "base/str.h"
#include <time.h>

struct clock {
	int64_t (*wall_us)(struct clock *c);
	int64_t (*mono_ms)(struct clock *c);
};

extern const struct clock clock_system; /* the real one; copy it into a struct env */

static inline int64_t clock_us(struct clock *c) { return c->wall_us(c); }
static inline time_t clock_s(struct clock *c) { return (time_t)(c->wall_us(c) / 1000000); }
static inline int64_t clock_mono_ms(struct clock *c) { return c->mono_ms(c); }

/* "Fri, 08 Mar 2024 11:22:33 +0000" in local time (RFC 5322 3.3); utc: in +0000. */
struct str clock_rfc5322(struct arena *a, time_t t, bool utc);
/* "2024-03-08 11:22:33", with zone " +0000" appended when asked. */
struct str clock_log(struct arena *a, time_t t, bool utc, bool zone);
/* Exim's time intervals "1w2d3h4m5s" <-> seconds (manual 6.16); -1 if malformed. */
int64_t interval_parse(struct str s);
struct str interval_format(struct arena *a, int64_t seconds);
