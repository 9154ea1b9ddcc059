/* SPDX-License-Identifier: Apache-2.0
 * Address rewriting (manual 31). Rules are parsed once: pattern (a one-item address list),
 * replacement (a tree), places, and the flags Q q R w. A replacement that comes out malformed is
 * logged and abandoned; the address stays as it was. */
#include "route/route.h"

#include "base/limits.h"
#include "message/address.h"

#include "base/banned.h"

#define REWRITE_HEADERS (REWRITE_TO | REWRITE_FROM | REWRITE_CC | REWRITE_BCC | REWRITE_REPLY_TO | REWRITE_SENDER)
#define REWRITE_REPEAT_MAX 10

struct rewrite_rule {
	struct rewrite_rule *next;
	struct str pattern;      /* as written */
	struct xstr list, replacement;
	unsigned where, number;
	bool unqualified, quit, repeat, whole; /* Q q R w */
};
struct rewrite_rules {
	struct rewrite_rule *first;
	unsigned where; /* union: nothing to do for other places */
};

static const struct {
	unsigned bit;
	char kind;
	const char *name, *label;
} places[] = {
	{REWRITE_SENDER, HDR_SENDER, "Sender", "  sender"},
	{REWRITE_FROM, HDR_FROM, "From", "    from"},
	{REWRITE_TO, HDR_TO, "To", "      to"},
	{REWRITE_CC, HDR_CC, "Cc", "      cc"},
	{REWRITE_BCC, HDR_BCC, "Bcc", "     bcc"},
	{REWRITE_REPLY_TO, HDR_REPLY_TO, "Reply-To", "reply-to"},
	{REWRITE_ENV_FROM, 0, "env-from", "env-from"},
	{REWRITE_ENV_TO, 0, "env-to", "  env-to"},
};

/* --- Reading rules --------------------------------------------------------------------------- */
static struct str take_part(struct arena *a, struct rd *r)
{
	rd_skip_space(r);
	if (rd_peek(r) != '"')
		return rd_word(r);
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_CONFIG_LINE);
	rd_byte(r);
	for (int c; (c = rd_peek(r)) >= 0 && c != '"'; rd_byte(r)) {
		if (c == '\\' && rd_left(r) > 1) {
			rd_byte(r);
			c = rd_peek(r);
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c;
		}
		sb_ch(&sb, (char)c);
	}
	rd_accept(r, '"');
	return sb_str(&sb);
}

static bool take_flag(struct rewrite_rule *r, int c)
{
	switch (c) {
	case 'E': r->where |= REWRITE_ENV_FROM | REWRITE_ENV_TO; return true;
	case 'F': r->where |= REWRITE_ENV_FROM; return true;
	case 'T': r->where |= REWRITE_ENV_TO; return true;
	case 'S': r->where |= REWRITE_SMTP; return true;
	case 'b': r->where |= REWRITE_BCC; return true;
	case 'c': r->where |= REWRITE_CC; return true;
	case 'f': r->where |= REWRITE_FROM; return true;
	case 'h': r->where |= REWRITE_HEADERS; return true;
	case 'r': r->where |= REWRITE_REPLY_TO; return true;
	case 's': r->where |= REWRITE_SENDER; return true;
	case 't': r->where |= REWRITE_TO; return true;
	case 'Q': r->unqualified = true; return true;
	case 'q': r->quit = true; return true;
	case 'R': r->repeat = true; return true;
	case 'w': r->whole = true; return true;
	default: return ch_space(c);
	}
}

static struct rewrite_rule *parse_rule(struct arena *a, const struct config *cfg, struct str line, bool transport, struct why *why)
{
	struct rd rd = rd_of(line);
	struct rewrite_rule *r = arena_new_of(a, struct rewrite_rule);
	r->pattern = take_part(a, &rd);
	struct str replacement = take_part(a, &rd);
	if (str_empty(replacement)) {
		why_set(why, false, "missing rewrite replacement string");
		return NULL;
	}
	for (int c; (c = rd_byte(&rd)) >= 0;)
		if (!take_flag(r, c)) {
			why_set(why, false, "unknown rewrite flag character '%c' in \"%.*s\"", ch_print(c) ? c : '?', STR_ARG(line));
			return NULL;
		}
	if (transport && (r->where & (REWRITE_ENV_FROM | REWRITE_ENV_TO | REWRITE_SMTP))) {
		why_set(why, false, "rewrite rule has envelope or SMTP flags in a transport: \"%.*s\"", STR_ARG(line));
		return NULL;
	}
	if (r->where == 0)
		r->where = REWRITE_HEADERS | (transport ? 0 : REWRITE_ENV_FROM | REWRITE_ENV_TO);
	const char *seps = ";|!~:";
	while (seps[1] && str_chr(r->pattern, seps[0]) >= 0)
		seps++;
	r->list.text = str_chr(r->pattern, ':') < 0 ? r->pattern : str_printf(a, "<%c %.*s", seps[0], STR_ARG(r->pattern));
	r->replacement.text = replacement;
	r->list.tree = expand_parse(a, cfg, r->list.text);
	r->replacement.tree = expand_parse(a, cfg, replacement);
	return r;
}

static void add_rule(struct rewrite_rules *rules, struct rewrite_rule ***tail, struct rewrite_rule *r)
{
	**tail = r;
	*tail = &r->next;
	rules->where |= r->where;
}

bool rewrite_compile(struct config *cfg, struct env *env, struct why *why)
{
	(void)env;
	struct rewrite_rules *rules = arena_new_of(cfg->arena, struct rewrite_rules);
	struct rewrite_rule **tail = &rules->first;
	unsigned n = 0;
	for (const struct config_line *l = cfg->rewrite; l; l = l->next) {
		struct rewrite_rule *r = parse_rule(cfg->arena, cfg, l->text, false, why);
		if (!r) {
			why_prefix(why, "Exim configuration error in line %d of %s:\n  ", l->line, l->file);
			return false;
		}
		r->number = ++n;
		add_rule(rules, &tail, r);
	}
	cfg->compiled_rewrite = rules->first ? rules : NULL;
	return true;
}

const struct rewrite_rules *rewrite_parse_list(struct arena *a, const struct config *cfg, struct str text, struct why *why)
{
	struct rewrite_rules *rules = arena_new_of(a, struct rewrite_rules);
	struct rewrite_rule **tail = &rules->first;
	struct str item;
	unsigned n = 0;
	for (int sep = 0; list_next(a, &text, &sep, &item);) {
		struct rewrite_rule *r = parse_rule(a, cfg, item, true, why);
		if (!r)
			return NULL;
		r->number = ++n;
		add_rule(rules, &tail, r);
	}
	return rules;
}

/* --- One address ----------------------------------------------------------------------------- */
/* $1, $2: what leading asterisks matched (31.5); regular expressions set their own. */
static void set_captures(struct eval *ev, const struct rewrite_rule *r, struct str address)
{
	struct captures *c = &ev->captures;
	struct str p = r->pattern;
	if (!str_starts(p, "^") && !str_starts(p, "\\N^") && str_chr(p, ';') < 0) {
		struct addr_parts want = addr_split(p), have = addr_split(address);
		struct str domain = str_is_set(want.domain) ? want.domain : p;
		unsigned n = 1;
		if (str_is_set(want.domain) && str_starts(want.local_part, "*"))
			c->v[n++] = str_sub(have.local_part, 0, have.local_part.len - (want.local_part.len - 1));
		if (str_starts(domain, "*"))
			c->v[n++] = str_sub(have.domain, 0, have.domain.len - (domain.len - 1));
		c->count = n;
	}
	c->v[0] = address;
	c->count = c->count ? c->count : 1;
}

static bool matches(struct eval *ev, const struct rewrite_rule *r, struct str address, unsigned which)
{
	ev->captures.count = 0;
	ev->value = STR_NONE;
	if (which == REWRITE_SMTP) {
		struct str p = r->pattern;
		if (str_starts(p, "\\N"))
			p = str_sub(p, 2, p.len - (str_ends(p, "\\N") ? 4 : 2));
		return str_starts(p, "^") && match_regex(&ev->lx, p, address, true) == 1;
	}
	struct str data = STR_NONE;
	if (match_address(&ev->lx, &r->list, address, MATCH_NO_CACHE, &data) != MATCH_YES)
		return false;
	if (str_chr(r->pattern, ';') >= 0)
		ev->value = data;
	set_captures(ev, r, address);
	return true;
}

static const char *place_name(unsigned which)
{
	for (size_t i = 0; i < countof(places); i++)
		if (places[i].bit == which)
			return places[i].name;
	return "SMTP";
}

/* The replacement as a bare address; false: this rule changes nothing. */
static bool parse_result(struct eval *ev, const struct rewrite_rule *r, struct str old, struct str text, unsigned which, struct str *ret)
{
	struct arena *a = ev->lx.arena;
	struct addr_parts parts;
	const char *error = NULL;
	if (which == REWRITE_SMTP) {
		*ret = text;
		return true;
	}
	unsigned flags = ADDR_ALLOW_UNQUALIFIED | ADDR_ALLOW_LITERAL | ADDR_ALLOW_UTF8 | ADDR_IN_HEADER | (which == REWRITE_ENV_FROM ? ADDR_ALLOW_EMPTY : 0);
	if (!addr_parse(a, text, flags, ret, &parts, &error)) {
		log_write(ev->lx.env->log, LOGTO_MAIN, STR_NONE, "Rewrite of %.*s yielded unparseable address: %s in \"%.*s\"", STR_ARG(old),
		    error, STR_ARG(text));
		return false;
	}
	if (str_is_set(parts.domain) || str_empty(*ret))
		return true;
	if (r->unqualified) {
		*ret = str_cat(a, *ret, STR("@"), ev->lx.config->qualify_recipient);
		return true;
	}
	log_write(ev->lx.env->log, LOGTO_MAIN, STR_NONE, "Rewrite of %.*s yielded unqualified address \"%.*s\"", STR_ARG(old), STR_ARG(text));
	return false;
}

struct rewrite_state {
	struct str address;
	struct str whole;      /* "w": replaces phrase and all */
	bool changed, stop;
};

/* Apply one rule once; true if the address was replaced. */
static bool apply(struct eval *ev, const struct rewrite_rule *r, unsigned which, struct rewrite_state *st)
{
	if (!matches(ev, r, st->address, which))
		return false;
	if (str_eqc(r->replacement.text, "*")) {
		st->stop = true;
		return false;
	}
	st->stop = r->quit;
	struct addr_parts parts = addr_split(st->address);
	struct addr_view view = {.local_part = parts.local_part, .domain = parts.domain};
	void *outer = ev->space[SPACE_ADDRESS];
	ev->space[SPACE_ADDRESS] = &view;
	struct str text, bare;
	enum expand_status es = expand(ev, &r->replacement, &text);
	ev->space[SPACE_ADDRESS] = outer;
	if (es == EXPAND_FORCED)
		return false;
	if (es != EXPAND_OK) {
		log_write(ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "Expansion of %.*s failed while rewriting: %.*s",
		    STR_ARG(r->replacement.text), STR_ARG(ev->lx.error));
		st->stop = true;
		return false;
	}
	if (!parse_result(ev, r, st->address, text, which, &bare))
		return false;
	if (config_logs(ev->lx.config, LOGSEL_ADDRESS_REWRITE))
		log_write(ev->lx.env->log, LOGTO_MAIN, ev->lx.message ? str_c(ev->lx.message->id) : STR_NONE,
		    "\"%.*s\" from %s rewritten as \"%.*s\" by rule %u", STR_ARG(st->address), place_name(which), STR_ARG(bare), r->number);
	st->address = bare;
	st->whole = r->whole ? text : STR_NONE;
	st->changed = true;
	return true;
}

static void run_rules(struct eval *ev, const struct rewrite_rules *rules, unsigned which, struct rewrite_state *st)
{
	struct captures saved = ev->captures;
	for (const struct rewrite_rule *r = rules->first; r && !st->stop; r = r->next) {
		if (!(r->where & which))
			continue;
		unsigned times = r->repeat ? REWRITE_REPEAT_MAX : 1;
		while (times-- > 0 && apply(ev, r, which, st) && r->repeat)
			;
	}
	ev->captures = saved;
}

struct str rewrite_one(struct eval *ev, struct str address, unsigned which, bool *ret_changed)
{
	const struct rewrite_rules *rules = ev->lx.config->compiled_rewrite;
	*ret_changed = false;
	if (!rules || !(rules->where & which) || str_empty(address))
		return address;
	struct rewrite_state st = {.address = address};
	run_rules(ev, rules, which, &st);
	*ret_changed = st.changed;
	return st.address;
}

/* --- Header lines ---------------------------------------------------------------------------- */
static struct str encode_whole(struct eval *ev, struct str whole)
{
	ptrdiff_t lt = str_rchr(whole, '<');
	if (lt <= 0)
		return whole;
	struct str phrase = str_trim(str_sub(whole, 0, (size_t)lt));
	for (uint32_t i = 0; i < phrase.len; i++) {
		unsigned char c = (unsigned char)phrase.p[i];
		if ((c < 32 && c != '\t') || c > 126)
			return str_cat(ev->lx.arena, rfc2047_encode(ev->lx.arena, phrase, ev->lx.config->main.headers_charset.text), STR(" "),
			    str_from(whole, (size_t)lt));
	}
	return whole;
}

/* One member of an address list: the working part is replaced in place. */
static bool rewrite_member(struct eval *ev, const struct rewrite_rules *rules, struct str member, unsigned which, struct strbuf *out)
{
	struct addr_parts parts;
	const char *error;
	struct str bare;
	unsigned flags = ADDR_ALLOW_UNQUALIFIED | ADDR_ALLOW_LITERAL | ADDR_ALLOW_UTF8 | ADDR_IN_HEADER;
	if (!addr_parse(ev->lx.arena, member, flags, &bare, &parts, &error) || !str_is_set(parts.domain)) {
		sb_add(out, member);
		return false;
	}
	struct rewrite_state st = {.address = bare};
	run_rules(ev, rules, which, &st);
	ptrdiff_t at = st.changed ? str_find(member, bare) : -1;
	if (!st.changed || (at < 0 && str_empty(st.whole))) {
		sb_add(out, member);
		return false;
	}
	if (!str_empty(st.whole)) {
		sb_add(out, encode_whole(ev, st.whole));
		return true;
	}
	sb_add(out, str_sub(member, 0, (size_t)at));
	sb_add(out, st.address);
	sb_add(out, str_from(member, (size_t)at + bare.len));
	return true;
}

static unsigned place_of(const struct header *h)
{
	for (size_t i = 0; i < countof(places); i++)
		if (places[i].kind && places[i].kind == h->kind)
			return places[i].bit;
	return 0;
}

bool rewrite_header_line(struct eval *ev, const struct rewrite_rules *rules, const struct header *h, struct str *ret_text)
{
	unsigned which = place_of(h);
	if (!which || !(rules->where & which))
		return false;
	struct rd rd = rd_of(h->text);
	struct strbuf sb;
	sb_init(&sb, ev->lx.arena, LIMIT_HEADER_DEFAULT);
	struct str name = header_name(h), member;
	rd_take(&rd, name.len);
	while (rd_peek(&rd) >= 0 && rd_peek(&rd) != ':')
		rd_byte(&rd);
	rd_accept(&rd, ':');
	const char *from = h->text.p;
	bool changed = false;
	while (addr_list_next(&rd, &member, NULL)) {
		if (str_empty(member) || member.p < from)
			continue;
		sb_addn(&sb, from, (size_t)(member.p - from)); /* separators and space, as they were */
		changed = rewrite_member(ev, rules, member, which, &sb) || changed;
		from = member.p + member.len;
	}
	sb_addn(&sb, from, (size_t)(h->text.p + h->text.len - from));
	sb.taint |= h->text.taint;
	if (!changed || sb.over)
		return false;
	*ret_text = sb_str(&sb);
	return true;
}

void rewrite_headers(struct eval *ev, struct message *m)
{
	const struct rewrite_rules *rules = ev->lx.config->compiled_rewrite;
	if (!rules || !(rules->where & REWRITE_HEADERS))
		return;
	for (struct header *h = m->headers.first; h; h = h->next) {
		struct str text;
		if (h->kind == HDR_OLD || !rewrite_header_line(ev, rules, h, &text))
			continue;
		struct header *now = arena_new_of(m->arena, struct header);
		now->text = str_dup(m->arena, text);
		now->kind = h->kind;
		now->next = h->next;
		if (m->headers.tail == &h->next)
			m->headers.tail = &now->next;
		h->next = now;
		h->kind = HDR_OLD;
		m->headers.count++;
		m->headers.size += now->text.len;
		h = now;
	}
}

/* --- -brw ------------------------------------------------------------------------------------ */
void rewrite_test(struct eval *ev, struct str address, struct strbuf *out)
{
	const struct rewrite_rules *rules = ev->lx.config->compiled_rewrite;
	struct addr_parts parts;
	const char *error = NULL;
	struct str bare;
	if (!addr_parse(ev->lx.arena, address, ADDR_ALLOW_UNQUALIFIED | ADDR_ALLOW_LITERAL | ADDR_IN_HEADER, &bare, &parts, &error)) {
		sb_printf(out, "Syntax error: %s\n", error);
		return;
	}
	for (size_t i = 0; i < countof(places); i++) {
		bool header = places[i].kind != 0;
		bool changed;
		sb_printf(out, "%s: ", places[i].label);
		if (!header)
			sb_add(out, rewrite_one(ev, bare, places[i].bit, &changed));
		else if (rules)
			rewrite_member(ev, rules, address, places[i].bit, out);
		else
			sb_add(out, address);
		sb_ch(out, '\n');
	}
}
