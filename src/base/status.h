/* SPDX-License-Identifier: Apache-2.0
 * The outcome of machinery: 0 or a negative errno; and `struct why`, the sentence for a person.
 * Answers ("not found", "declined") are not failures: they are enums of their own domain. */
#pragma once
#include "base/attr.h"

/* ST_OK or a negative errno value (ST_ERRNO(errno)); so any negative number below 4096 is valid. */
enum status { ST_OK = 0, ST_EOF = -4096, ST_TIMEOUT = -4097, ST_LIMIT = -4098, ST_MALFORMED = -4099 };
#define ST_ERRNO(e) ((enum status)(-(e)))

/* Text of a status, "Connection refused"; static storage or thread-local. Threads: any. */
const char *status_text(enum status st);

#define WHY_SIZE 1024
/* A bounded message; each level may put its words in front. `temporary` says whether trying
 * again may help: an MTA that confuses the two loses mail, so when in doubt it is true. */
struct why {
	char text[WHY_SIZE];
	int errnum;     /* errno at the cause, 0 = none */
	bool temporary;
};

/* why_set: replace the text; why_prefix: put words in front, cutting the tail if too long.
 * Both accept why == NULL. Threads: owner. */
void why_set(struct why *why, bool temporary, const char *fmt, ...) printf_like(3, 4);
void why_prefix(struct why *why, const char *fmt, ...) printf_like(2, 3);
