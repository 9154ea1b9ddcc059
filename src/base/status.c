/* SPDX-License-Identifier: Apache-2.0 */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

void must_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "eximius: bug: %s:%d: %s\n", file, line, cond);
	abort();
}

const char *status_text(enum status st)
{
	switch ((int)st) {
	case ST_OK: return "success";
	case ST_EOF: return "connection closed";
	case ST_TIMEOUT: return "timed out";
	case ST_LIMIT: return "limit exceeded";
	case ST_MALFORMED: return "malformed data";
	default: break;
	}
	const char *text = strerrordesc_np(-(int)st);
	return text ? text : "unknown error";
}

void why_set(struct why *why, bool temporary, const char *fmt, ...)
{
	if (!why)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
	why->temporary = temporary;
	why->errnum = 0;
}

void why_prefix(struct why *why, const char *fmt, ...)
{
	if (!why)
		return;
	char old[WHY_SIZE];
	memcpy(old, why->text, sizeof old);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(why->text, sizeof why->text, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof why->text) {
		size_t room = sizeof why->text - (size_t)n - 1, len = strnlen(old, sizeof old);
		if (len > room)
			len = room;
		memcpy(why->text + n, old, len);
		why->text[(size_t)n + len] = 0;
	}
}
