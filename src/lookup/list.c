/* SPDX-License-Identifier: Apache-2.0
 * Splitting lists (manual 6.20): separators, doubled separators, white space. */
#include "lookup/match.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "base/banned.h"

static bool special(int c)
{
	return c < 0x20 || c == 0x7f;
}

static bool punct(int c)
{
	return c > 0x20 && c < 0x7f && !ch_alnum(c);
}

bool list_next(struct arena *a, struct str *rest, int *sep, struct str *ret_item)
{
	struct str s = *rest;

	if (*sep == 0) {
		struct str t = str_ltrim(s);
		*sep = ':';
		if (t.len >= 2 && t.p[0] == '<' && (punct((unsigned char)t.p[1]) || special((unsigned char)t.p[1]))) {
			*sep = (unsigned char)t.p[1];
			s = str_from(t, 2);
		}
	}
	while (s.len && ch_space(s.p[0]) && s.p[0] != (char)*sep)
		s = str_from(s, 1);
	if (str_empty(s)) {
		*rest = STR_NONE;
		return false;
	}
	ptrdiff_t at = str_chr(s, (char)*sep);
	if (at < 0) {
		*ret_item = str_rtrim(s);
		*rest = STR_NONE;
		return true;
	}
	if (special(*sep) || (size_t)at + 1 == s.len || s.p[at + 1] != (char)*sep) {
		*ret_item = str_rtrim(str_sub(s, 0, (size_t)at));
		*rest = str_from(s, (size_t)at + 1);
		return true;
	}
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_EXPANSION);
	size_t i = 0;
	for (; i < s.len; i++) {
		if (s.p[i] == (char)*sep) {
			if (i + 1 == s.len || s.p[i + 1] != (char)*sep)
				break;
			i++;
		}
		sb_ch(&sb, s.p[i]);
	}
	sb.taint = s.taint;
	*ret_item = str_rtrim(sb_str(&sb));
	*rest = str_from(s, i < s.len ? i + 1 : i);
	return true;
}
