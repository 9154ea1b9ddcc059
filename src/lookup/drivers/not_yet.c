/* SPDX-License-Identifier: Apache-2.0
 * Lookup types that are not spoken yet: without a find function the framework refuses them by
 * name. Their quoting rules are at work, since configurations use those elsewhere too. */
#include "lookup/lookup.h"
#include "base/strbuf.h"
#include "base/banned.h"

static struct str with_backslash(struct arena *a, struct str s, const char *set)
{
	struct strbuf sb;

	sb_init(&sb, a, s.len * 4ull + 1);
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (c == '\n' || c == '\t' || c == '\r' || c == '\b') {
			sb_ch(&sb, '\\');
			sb_ch(&sb, c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : 'b');
			continue;
		}
		if (c && strchr(set, c))
			sb_ch(&sb, '\\');
		sb_ch(&sb, c);
	}
	return sb_str(&sb);
}

static struct str mysql_quote(struct arena *a, struct str s, struct str opts)
{
	return opts.p ? STR_NONE : with_backslash(a, s, "'\"\\");
}

static struct str pgsql_quote(struct arena *a, struct str s, struct str opts)
{
	struct strbuf sb;

	if (opts.p)
		return STR_NONE;
	sb_init(&sb, a, s.len * 4ull + 1);
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		if (c == '\'')
			sb_addc(&sb, "''");
		else if (c == '\n' || c == '\t' || c == '\r' || c == '\b') {
			sb_ch(&sb, '\\');
			sb_ch(&sb, c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : 'b');
		} else {
			if (c == '\\' || c == '"')
				sb_ch(&sb, '\\');
			sb_ch(&sb, c);
		}
	}
	return sb_str(&sb);
}

static struct str redis_quote(struct arena *a, struct str s, struct str opts)
{
	struct strbuf sb;

	if (opts.p)
		return STR_NONE;
	sb_init(&sb, a, s.len * 2ull + 1);
	for (uint32_t i = 0; i < s.len; i++) {
		if (ch_space(s.p[i]) || s.p[i] == '\\')
			sb_ch(&sb, '\\');
		sb_ch(&sb, s.p[i]);
	}
	return sb_str(&sb);
}

/* ldap: characters special in filters, or with ldap_dn in names, then URL-quoted (9.11.3). */
static struct str ldap_quote(struct arena *a, struct str s, struct str opts)
{
	static const char url[] = "!$'-._+*";
	bool dn = str_eqc(opts, "dn");
	struct strbuf sb;

	if (opts.p && !dn)
		return STR_NONE;
	sb_init(&sb, a, s.len * 9ull + 16);
	for (uint32_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool edge = i == 0 || i + 1 == s.len;
		if (!dn && c && strchr("*()\\", c)) {
			sb_printf(&sb, "%%5C%02X", (unsigned)(unsigned char)c);
			continue;
		}
		if (dn && c && (strchr(",+\"\\<>;", c) || (c == ' ' && edge) || (c == '#' && i == 0)))
			sb_addc(&sb, "%5C");
		if (ch_alnum((unsigned char)c) || (c && strchr(url, c)))
			sb_ch(&sb, c);
		else
			sb_printf(&sb, "%%%02X", (unsigned)(unsigned char)c);
	}
	return sb_str(&sb);
}

static struct str nisplus_quote(struct arena *a, struct str s, struct str opts)
{
	struct strbuf sb;

	if (opts.p)
		return STR_NONE;
	sb_init(&sb, a, s.len * 2ull + 1);
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			sb_ch(&sb, '"');
		sb_ch(&sb, s.p[i]);
	}
	return sb_str(&sb);
}

#define QUERY(n, q) const struct lookup_driver lookup_##n = {.name = #n, .style = LOOKUP_QUERY, .quote = q}
QUERY(mysql, mysql_quote);
QUERY(pgsql, pgsql_quote);
QUERY(oracle, mysql_quote);
QUERY(redis, redis_quote);
QUERY(ldap, ldap_quote);
QUERY(ldapm, ldap_quote);
QUERY(ldapdn, ldap_quote);
QUERY(nisplus, nisplus_quote);
QUERY(whoson, NULL);
const struct lookup_driver lookup_nis = {.name = "nis", .style = LOOKUP_FILE};
const struct lookup_driver lookup_nis0 = {.name = "nis0", .style = LOOKUP_FILE};
const struct lookup_driver lookup_spf = {.name = "spf", .style = LOOKUP_FILE};
