/* SPDX-License-Identifier: Apache-2.0
 * Operators that look around: expand, listcount, listnamed, stat, and RFC 2047 (manual 11.6). */
#include "expand/tree.h"
#include "lookup/match.h"
#include "message/header.h"
#include <errno.h>
#include <sys/stat.h>
#include "base/banned.h"

#define OP(fn) static enum expand_status fn(struct eval *ev, struct str params, struct str s, struct strbuf *out)

OP(op_expand)
{
	struct str v;

	/* The value is text of the configuration only if nothing from outside is in it. */
	enum expand_status st = expand_text(ev, s, &v);
	if (st == EXPAND_OK)
		sb_add(out, v);
	else if (st == EXPAND_FAILED || st == EXPAND_DEFER)
		expand_fail(ev, "internal expansion of \"%.*s\" failed: %.*s", STR_ARG(s), STR_ARG(ev->lx.error));
	return st;
}

OP(op_listcount)
{
	struct str item;
	int sep = 0, count = 0;

	while (list_next(ev->lx.arena, &s, &sep, &item))
		count++;
	sb_printf(out, "%d", count);
	return EXPAND_OK;
}

static const struct {
	const char *word;
	char letter;
	enum list_kind kind;
} list_kinds[] = {{"address", 'a', LIST_ADDRESS}, {"domain", 'd', LIST_DOMAIN}, {"host", 'h', LIST_HOST}, {"local_part", 'l', LIST_LOCAL_PART}};

static bool put_list(struct eval *ev, struct str list, enum list_kind kind, struct strbuf *out, bool *any, int depth)
{
	struct str item;
	int sep = 0;

	while (list_next(ev->lx.arena, &list, &sep, &item)) {
		if (item.len > 1 && item.p[0] == '+') {
			const struct named_list *nl = config_find_list(ev->lx.config, kind, str_from(item, 1));
			if (nl && depth < 20) {
				put_list(ev, nl->value.text, kind, out, any, depth + 1);
				continue;
			}
		}
		if (*any)
			sb_addc(out, " : ");
		*any = true;
		for (uint32_t i = 0; i < item.len; i++) {
			sb_ch(out, item.p[i]);
			if (item.p[i] == ':')
				sb_ch(out, ':');
		}
	}
	return true;
}

OP(op_listnamed)
{
	const struct named_list *nl = NULL;
	const char *word = NULL;
	enum list_kind kind = LIST_DOMAIN;
	bool any = false;

	s = str_trim(s);
	if (s.len && s.p[0] == '+')
		s = str_from(s, 1);
	for (size_t i = 0; i < countof(list_kinds) && !nl; i++) {
		if (params.p && (params.len != 1 || params.p[0] != list_kinds[i].letter))
			continue;
		word = list_kinds[i].word;
		kind = list_kinds[i].kind;
		nl = ev->lx.config ? config_find_list(ev->lx.config, kind, s) : NULL;
	}
	if (!word)
		return expand_fail(ev, "bad suffix on \"list\" operator");
	if (!nl && params.p)
		return expand_fail(ev, "\"%.*s\" is not a %s named list", STR_ARG(s), word);
	if (!nl)
		return expand_fail(ev, "\"%.*s\" is not a named list", STR_ARG(s));
	put_list(ev, nl->value.text, kind, out, &any, 0);
	return EXPAND_OK;
}

static void put_mode(struct strbuf *out, mode_t m)
{
	static const char *const bits[] = {"---", "--x", "-w-", "-wx", "r--", "r-x", "rw-", "rwx"};
	char text[16];

	snprintf(text, sizeof text, "%c%s%s%s", S_ISREG(m) ? '-' : S_ISDIR(m) ? 'd' : S_ISCHR(m) ? 'c' : S_ISBLK(m) ? 'b' : S_ISFIFO(m) ? 'f' : '-',
	    bits[m >> 6 & 7], bits[m >> 3 & 7], bits[m & 7]);
	if (m & S_ISUID)
		text[3] = m & S_IXUSR ? 's' : 'S';
	if (m & S_ISGID)
		text[6] = m & S_IXGRP ? 's' : 'S';
	if (m & S_ISVTX)
		text[9] = m & S_IXOTH ? 't' : 'T';
	sb_addc(out, text);
}

OP(op_stat)
{
	struct stat sb;

	if (ev->forbid & EVAL_FORBID_EXISTS)
		return expand_fail(ev, "Use of the stat() expansion is not permitted");
	if (stat(str_cstr(ev->lx.arena, s), &sb) < 0)
		return expand_fail(ev, "stat(%.*s) failed: %s", STR_ARG(s), strerror(errno));
	sb_printf(out, "mode=%04lo smode=", (unsigned long)(sb.st_mode & 07777));
	put_mode(out, sb.st_mode);
	sb_printf(out, " inode=%lu device=%lu links=%lu uid=%lu gid=%lu size=%lld atime=%lld mtime=%lld ctime=%lld",
	    (unsigned long)sb.st_ino, (unsigned long)sb.st_dev, (unsigned long)sb.st_nlink, (unsigned long)sb.st_uid,
	    (unsigned long)sb.st_gid, (long long)sb.st_size, (long long)sb.st_atime, (long long)sb.st_mtime, (long long)sb.st_ctime);
	return EXPAND_OK;
}

static struct str charset(struct eval *ev)
{
	if (ev->lx.config && ev->lx.config->main.headers_charset.text.p)
		return ev->lx.config->main.headers_charset.text;
	return STR("UTF-8");
}

OP(op_rfc2047)
{
	sb_add(out, rfc2047_encode(ev->lx.arena, s, charset(ev)));
	return EXPAND_OK;
}

OP(op_rfc2047d)
{
	const char *error = NULL;
	bool check = !ev->lx.config || ev->lx.config->main.check_rfc2047_length;

	sb_add(out, rfc2047_decode(ev->lx.arena, s, charset(ev), check, &error));
	if (error)
		return expand_fail(ev, "%s", error);
	return EXPAND_OK;
}

const struct expand_operator ops_misc[] = {
    {.name = "expand", .run = op_expand},
    {.name = "listcount", .run = op_listcount},
    {.name = "listnamed", .run = op_listnamed},
    {.name = "stat", .run = op_stat},
    {.name = "rfc2047", .run = op_rfc2047},
    {.name = "rfc2047d", .run = op_rfc2047d},
    {0},
};
