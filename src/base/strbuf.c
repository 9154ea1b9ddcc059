/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <stdio.h>

#include "base/banned.h"

void sb_init(struct strbuf *sb, struct arena *a, size_t ceiling)
{
	must(ceiling < UINT32_MAX);
	*sb = (struct strbuf){.arena = a, .ceiling = (uint32_t)ceiling};
}

/* Room for n more bytes and a NUL; false (and `over`) past the ceiling. */
static bool grow(struct strbuf *sb, size_t n)
{
	if (sb->over || n > sb->ceiling - sb->len) {
		sb->over = true;
		return false;
	}
	size_t need = sb->len + n + 1;
	if (need <= sb->room)
		return true;
	size_t want = sb->room ? (size_t)sb->room * 2 : 64;
	if (want < need)
		want = need;
	if (want > (size_t)sb->ceiling + 1)
		want = (size_t)sb->ceiling + 1;
	if (!sb->p || !arena_extend(sb->arena, sb->p, sb->room, want)) {
		char *p = arena_alloc(sb->arena, want);
		if (sb->len)
			memcpy(p, sb->p, sb->len);
		sb->p = p;
	}
	sb->room = (uint32_t)want;
	return true;
}

void sb_addn(struct strbuf *sb, const char *p, size_t len)
{
	if (len == 0 || !grow(sb, len))
		return;
	memcpy(sb->p + sb->len, p, len);
	sb->len += (uint32_t)len;
}

void sb_add(struct strbuf *sb, struct str s)
{
	if (s.taint) {
		sb->quoter = sb->taint && sb->quoter != s.quoter ? 0 : s.quoter;
		sb->taint |= s.taint;
	}
	sb_addn(sb, s.p, s.len);
}

void sb_addc(struct strbuf *sb, const char *s)
{
	sb_addn(sb, s, strlen(s));
}

void sb_ch(struct strbuf *sb, char c)
{
	sb_addn(sb, &c, 1);
}

void sb_fill(struct strbuf *sb, char c, size_t n)
{
	if (n == 0 || !grow(sb, n))
		return;
	memset(sb->p + sb->len, c, n);
	sb->len += (uint32_t)n;
}

void sb_vprintf(struct strbuf *sb, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	must(n >= 0);
	if (n > 0 && grow(sb, (size_t)n)) {
		vsnprintf(sb->p + sb->len, (size_t)n + 1, fmt, again);
		sb->len += (uint32_t)n;
	}
	va_end(again);
}

void sb_printf(struct strbuf *sb, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	sb_vprintf(sb, fmt, ap);
	va_end(ap);
}

void sb_truncate(struct strbuf *sb, size_t len)
{
	if (len < sb->len)
		sb->len = (uint32_t)len;
}

struct str sb_str(struct strbuf *sb)
{
	if (!sb->p)
		return (struct str){.p = "", .taint = sb->taint, .quoter = sb->quoter};
	sb->p[sb->len] = 0;
	return (struct str){.p = sb->p, .len = sb->len, .taint = sb->taint, .quoter = sb->quoter};
}
