/* SPDX-License-Identifier: Apache-2.0
 * sqlite (manual 9.13.5): the database is named by the option file=, by the main option
 * sqlite_dbfile, or by an absolute name before the statement. Several columns come as
 * name=value pairs, rows are joined by newlines, as for all SQL types (9.13). */
#include "lookup/lookup.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include <sqlite3.h>
#include "base/banned.h"

static struct str sqlite_quote(struct arena *a, struct str s, struct str opts)
{
	struct strbuf sb;

	if (opts.p)
		return STR_NONE;
	sb_init(&sb, a, s.len * 2ull + 1);
	for (uint32_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\'')
			sb_ch(&sb, '\'');
		sb_ch(&sb, s.p[i]);
	}
	return sb_str(&sb);
}

static void put_value(struct strbuf *out, struct str v)
{
	bool quote = str_empty(v);

	for (uint32_t i = 0; i < v.len && !quote; i++)
		quote = ch_space(v.p[i]) || v.p[i] == '"' || v.p[i] == '\\';
	if (!quote) {
		sb_add(out, v);
		return;
	}
	sb_ch(out, '"');
	for (uint32_t i = 0; i < v.len; i++) {
		if (v.p[i] == '"' || v.p[i] == '\\')
			sb_ch(out, '\\');
		sb_ch(out, v.p[i]);
	}
	sb_ch(out, '"');
}

static void put_row(sqlite3_stmt *st, struct strbuf *out)
{
	int columns = sqlite3_column_count(st);

	for (int i = 0; i < columns; i++) {
		const char *text = (const char *)sqlite3_column_text(st, i);
		struct str v = str_n(text ? text : "", text ? (size_t)sqlite3_column_bytes(st, i) : 0);
		if (columns == 1) {
			sb_add(out, v);
			return;
		}
		sb_addc(out, sqlite3_column_name(st, i));
		sb_ch(out, '=');
		put_value(out, v);
		sb_ch(out, ' ');
	}
}

static bool database_name(struct lookup_context *cx, struct str opts, struct str *query, struct str *ret, struct why *why)
{
	*ret = STR_NONE;
	while (opts.p) {
		struct str one = str_cut(opts, ',', &opts);
		if (str_starts(one, "file="))
			*ret = str_from(one, 5);
	}
	if (!ret->p && cx->config && cx->config->main.sqlite_dbfile.text.p) {
		bool forced;
		if (!cx->ops || !cx->ops->expand_x(cx, &cx->config->main.sqlite_dbfile, ret, &forced)) {
			why_set(why, true, "failed to expand sqlite_dbfile");
			return false;
		}
	}
	if (!ret->p && query->len && query->p[0] == '/') {
		uint32_t n = 0;
		while (n < query->len && !ch_space(query->p[n]))
			n++;
		*ret = str_sub(*query, 0, n);
		*query = str_ltrim(str_from(*query, n));
		ret->taint = 0; /* the query was checked as a whole */
	}
	if (str_empty(*ret) || ret->p[0] != '/') {
		why_set(why, true, "absolute file name expected for \"sqlite\" lookup");
		return false;
	}
	return true;
}

static enum lookup_found run(struct lookup_context *cx, sqlite3 *db, struct str query, struct str *ret, struct why *why)
{
	struct strbuf sb;
	sqlite3_stmt *st = NULL;
	int rows = 0, e;

	sb_init(&sb, cx->arena, LIMIT_LOOKUP_VALUE);
	e = sqlite3_prepare_v2(db, query.p, (int)query.len, &st, NULL);
	while (e == SQLITE_OK || e == SQLITE_ROW) {
		e = st ? sqlite3_step(st) : SQLITE_DONE;
		if (e != SQLITE_ROW)
			break;
		if (rows++)
			sb_ch(&sb, '\n');
		put_row(st, &sb);
	}
	sqlite3_finalize(st);
	if (e != SQLITE_DONE) {
		why_set(why, true, "sqlite: %s", sqlite3_errmsg(db));
		return LOOKUP_DEFER;
	}
	if (sb.over) {
		why_set(why, true, "sqlite: the result is too long");
		return LOOKUP_DEFER;
	}
	*ret = sb_str(&sb);
	return rows ? LOOKUP_FOUND : LOOKUP_NONE;
}

static enum lookup_found sqlite_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	struct str name;
	sqlite3 *db = NULL;
	enum lookup_found got;

	*do_cache = false;
	if (!database_name(cx, opts, &key, &name, why))
		return LOOKUP_DEFER;
	if (name.taint) {
		why_set(why, true, "Tainted filename for search: '%.*s'", STR_ARG(name));
		return LOOKUP_DEFER;
	}
	if (sqlite3_open_v2(str_cstr(cx->arena, name), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK) {
		why_set(why, true, "unable to open database file %.*s: %s", STR_ARG(name), db ? sqlite3_errmsg(db) : "out of memory");
		sqlite3_close(db);
		return LOOKUP_DEFER;
	}
	int wait = cx->config ? cx->config->main.sqlite_lock_timeout : 5;
	sqlite3_busy_timeout(db, wait * 1000);
	got = run(cx, db, key, ret, why);
	sqlite3_close(db);
	return got;
}

const struct lookup_driver lookup_sqlite = {
    .name = "sqlite", .style = LOOKUP_QUERY, .find = sqlite_find, .quote = sqlite_quote};
