/* SPDX-License-Identifier: Apache-2.0
 * strbuf: text that grows in an arena, up to a ceiling given when it is made (base/limits.h).
 * Past the ceiling nothing is added and `over` sticks: check it once, at the end. It joins the
 * taint of all it takes in. */
#pragma once
#include "base/str.h"
#include <stdarg.h>

struct strbuf {
	struct arena *arena;
	char *p;
	uint32_t len, room, ceiling;
	uint8_t taint;
	uint8_t quoter; /* of all tainted text it took in, 0 when they differ (see struct str) */
	bool over;
};

void sb_init(struct strbuf *sb, struct arena *a, size_t ceiling);
void sb_add(struct strbuf *sb, struct str s);
void sb_addc(struct strbuf *sb, const char *s);
void sb_addn(struct strbuf *sb, const char *p, size_t len);
void sb_ch(struct strbuf *sb, char c);
void sb_fill(struct strbuf *sb, char c, size_t n);
void sb_printf(struct strbuf *sb, const char *fmt, ...) printf_like(2, 3);
void sb_vprintf(struct strbuf *sb, const char *fmt, va_list ap) printf_like(2, 0);
void sb_truncate(struct strbuf *sb, size_t len);
/* What it holds, NUL-terminated behind the end; stays valid until the next addition. */
struct str sb_str(struct strbuf *sb);
