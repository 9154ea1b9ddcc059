/* SPDX-License-Identifier: Apache-2.0
 * The reader of redirection lists. Items end at a comma or newline outside quotes, comments and
 * angle brackets; "#" begins a comment at the start of an item. The special items rule the whole
 * list, so they end it at once. */
#include "route/redirect_data.h"

#include "base/limits.h"
#include "message/address.h"

#include "base/banned.h"

struct reader {
	struct arena *a;
	const struct redirect_rules *rules;
	struct redirect_result *ret;
	unsigned depth;
};

char redirect_filter_kind(struct str data)
{
	struct rd r = rd_of(data);
	rd_skip_space(&r);
	if (!rd_accept(&r, '#'))
		return 0;
	rd_skip_blank(&r);
	char kind = rd_accept_itext(&r, "exim") ? 'e' : rd_accept_itext(&r, "sieve") ? 's' : 0;
	if (!kind || (rd_peek(&r) != ' ' && rd_peek(&r) != '\t'))
		return 0;
	rd_skip_blank(&r);
	return rd_accept_itext(&r, "filter") ? kind : 0;
}

/* --- Finding items --------------------------------------------------------------------------- */
static void skip_between(struct rd *r)
{
	for (;;) {
		rd_skip_space(r);
		if (rd_accept(r, ','))
			continue;
		if (rd_peek(r) != '#')
			return;
		rd_until(r, '\n');
	}
}

/* Take the bytes of one item; the comma or newline stays. */
static struct str take_item(struct rd *r)
{
	const char *from = r->p;
	int comments = 0;
	bool quoted = false, angle = false;
	for (int c; (c = rd_peek(r)) >= 0; rd_byte(r)) {
		if (c == '\\' && rd_left(r) > 1 && (quoted || comments)) {
			rd_byte(r);
			continue;
		}
		if (quoted) {
			quoted = c != '"';
			continue;
		}
		if (c == '(' || (c == ')' && comments)) {
			comments += c == '(' ? 1 : -1;
			continue;
		}
		if (c == '\n' || (comments == 0 && !angle && c == ','))
			break;
		if (comments)
			continue;
		quoted = c == '"';
		angle = c == '<' || (angle && c != '>');
	}
	struct str s = {.p = from, .len = (uint32_t)(r->p - from), .taint = r->taint};
	return str_rtrim(s);
}

/* Pipes and files end at the next comma or newline that no double quotes enclose; comments and
 * angle brackets mean nothing there. */
static struct str take_plain(struct rd *r)
{
	const char *from = r->p;
	bool quoted = false;
	for (int c; (c = rd_peek(r)) >= 0 && c != '\n' && (quoted || c != ','); rd_byte(r))
		if (c == '"')
			quoted = !quoted;
	struct str s = {.p = from, .len = (uint32_t)(r->p - from), .taint = r->taint};
	return str_rtrim(s);
}

/* An item that is one quoted string as a whole loses the quotes. */
static struct str unquote(struct arena *a, struct str item)
{
	if (item.len < 2 || item.p[0] != '"' || item.p[item.len - 1] != '"')
		return item;
	for (uint32_t i = 1; i + 1 < item.len; i++) {
		if (item.p[i] == '\\')
			i++;
		else if (item.p[i] == '"')
			return item;
	}
	struct strbuf sb;
	sb_init(&sb, a, item.len);
	sb.taint = item.taint;
	for (uint32_t i = 1; i + 1 < item.len; i++) {
		if (item.p[i] == '\\' && i + 2 < item.len)
			i++;
		sb_ch(&sb, item.p[i]);
	}
	return str_trim(sb_str(&sb));
}

/* --- What an item is ------------------------------------------------------------------------- */
static void add_item(struct reader *rd, enum redirect_kind kind, struct str text)
{
	struct redirect_item *it = arena_new_of(rd->a, struct redirect_item);
	it->kind = kind;
	it->text = text;
	*rd->ret->tail = it;
	rd->ret->tail = &it->next;
	rd->ret->count++;
}

static bool end_with(struct reader *rd, enum redirect_answer answer, struct str text)
{
	rd->ret->answer = answer;
	rd->ret->text = text;
	return false;
}

static bool bad_item(struct reader *rd, struct str text, struct str item)
{
	if (!rd->rules->skip_errors) {
		struct str t = str_empty(item) ? text : str_cat(rd->a, text, STR(" in \""), item, STR("\""));
		return end_with(rd, REDIRECT_ERROR, t);
	}
	struct redirect_error *e = arena_new_of(rd->a, struct redirect_error);
	e->text = text;
	e->item = item;
	*rd->ret->errors_tail = e;
	rd->ret->errors_tail = &e->next;
	return true;
}

static bool not_permitted(struct reader *rd, struct str item)
{
	return end_with(rd, REDIRECT_ERROR, str_cat(rd->a, STR("\""), item, STR("\" is not permitted")));
}

static unsigned parse_flags(const struct redirect_rules *rules)
{
	return (rules->allow_literal ? ADDR_ALLOW_LITERAL : 0u) | (rules->allow_utf8 ? ADDR_ALLOW_UTF8 : 0u) |
	    (rules->strip_dot ? ADDR_STRIP_DOT : 0u);
}

static bool is_full_address(struct reader *rd, struct str item)
{
	struct addr_parts parts;
	const char *error;
	struct str bare;
	return addr_parse(rd->a, item, parse_flags(rd->rules), &bare, &parts, &error) && str_is_set(parts.domain);
}

static bool take_address(struct reader *rd, struct str item)
{
	struct str text = item;
	bool backslash = str_starts(item, "\\");
	if (backslash)
		text = str_from(item, 1);
	struct addr_parts parts = {0};
	const char *error = "malformed address";
	struct str bare;
	if (!addr_parse(rd->a, text, parse_flags(rd->rules) | ADDR_ALLOW_UNQUALIFIED, &bare, &parts, &error)) {
		if (text.p[0] == '(' && strcmp(error, "empty address") == 0) { /* manual 22.1: valid, though it yields nothing */
			rd->ret->comments++;
			return true;
		}
		return bad_item(rd, str_c(error), item);
	}
	if (backslash && str_is_set(parts.domain) &&
	    !addr_parse(rd->a, item, parse_flags(rd->rules), &bare, &parts, &error))
		return bad_item(rd, str_c(error), item);
	if (!str_is_set(parts.domain))
		bare = str_cat(rd->a, bare, STR("@"), backslash ? rd->rules->incoming_domain : rd->rules->qualify_domain);
	add_item(rd, REDIRECT_ADDRESS, bare);
	return true;
}

static bool read_list(struct reader *rd, struct str data);

static bool take_include(struct reader *rd, struct str item)
{
	const struct redirect_rules *rules = rd->rules;
	struct str path = str_ltrim(str_from(item, 9)), text = STR_NONE, error = STR_NONE;
	if (rules->forbid_include)
		return end_with(rd, REDIRECT_ERROR, STR("included files not permitted"));
	if (!str_starts(path, "/"))
		return end_with(rd, REDIRECT_ERROR, str_cat(rd->a, STR("included file \""), path, STR("\" is not an absolute path")));
	struct str dir = rules->include_directory;
	if (str_is_set(dir)) {
		bool inside = path.len > dir.len && memcmp(path.p, dir.p, dir.len) == 0 &&
		    (str_ends(dir, "/") || path.p[dir.len] == '/') && str_find(path, STR("/../")) < 0;
		if (!inside)
			return end_with(rd, REDIRECT_ERROR,
			    str_cat(rd->a, STR("included file "), path, STR(" is not in directory "), dir));
	}
	if (rd->depth >= REDIRECT_INCLUDE_DEPTH)
		return end_with(rd, REDIRECT_ERROR, str_cat(rd->a, STR("included files are nested too deeply at "), path));
	if (!rules->include || !rules->include(rules->arg, path, &text, &error))
		return end_with(rd, REDIRECT_ERROR, str_empty(error) ? STR("included files cannot be read here") : error);
	rd->depth++;
	bool more = read_list(rd, text);
	rd->depth--;
	return more;
}

/* ":fail:" and ":defer:" take the rest of the line; false from all but :include: and addresses. */
static bool take_special(struct reader *rd, struct rd *line, bool *ret_special)
{
	static const struct {
		const char *word;
		enum redirect_answer answer;
	} words[] = {{":fail:", REDIRECT_FAIL}, {":defer:", REDIRECT_DEFER}, {":blackhole:", REDIRECT_BLACKHOLE},
	    {":unknown:", REDIRECT_NOTHING}};
	struct rd probe = *line;
	*ret_special = true;
	for (size_t i = 0; i < countof(words); i++) {
		if (!rd_accept_itext(&probe, words[i].word))
			continue;
		struct str whole = str_trim(rd_until(line, '\n')), text = str_trim(rd_until(&probe, '\n'));
		if (words[i].answer == REDIRECT_FAIL && !rd->rules->allow_fail)
			return not_permitted(rd, whole);
		if (words[i].answer == REDIRECT_DEFER && !rd->rules->allow_defer)
			return not_permitted(rd, whole);
		if (words[i].answer == REDIRECT_BLACKHOLE && rd->rules->forbid_blackhole)
			return not_permitted(rd, STR(":blackhole:"));
		return end_with(rd, words[i].answer, text);
	}
	*ret_special = false;
	return true;
}

static bool take_one(struct reader *rd, struct rd *r)
{
	struct rd at = *r;
	bool special = false;
	if (rd_peek(r) == ':') {
		bool more = take_special(rd, r, &special);
		if (special)
			return more;
	}
	struct str item = unquote(rd->a, take_item(r));
	if (str_empty(item))
		return true;
	if (str_istarts(item, ":include:"))
		return take_include(rd, item);
	bool pipe = item.p[0] == '|', file = item.p[0] == '/';
	if (!pipe && !file)
		return take_address(rd, item);
	if (is_full_address(rd, item))
		return take_address(rd, item);
	if (rd_peek(&at) != '"') {
		*r = at;
		item = take_plain(r);
	}
	add_item(rd, pipe ? REDIRECT_PIPE : REDIRECT_FILE, item);
	return true;
}

/* False: the answer is final. */
static bool read_list(struct reader *rd, struct str data)
{
	struct rd r = rd_of(data);
	for (skip_between(&r); !rd_done(&r); skip_between(&r)) {
		if (!take_one(rd, &r))
			return false;
		if (rd->ret->count > REDIRECT_ITEMS_MAX)
			return end_with(rd, REDIRECT_ERROR, STR("too many items"));
	}
	return true;
}

void redirect_parse(struct arena *a, struct str data, const struct redirect_rules *rules, struct redirect_result *ret)
{
	*ret = (struct redirect_result){.answer = REDIRECT_NOTHING};
	ret->tail = &ret->items;
	ret->errors_tail = &ret->errors;
	struct reader rd = {.a = a, .rules = rules, .ret = ret};
	if (read_list(&rd, data) && (ret->count || ret->comments))
		ret->answer = REDIRECT_ITEMS;
}
