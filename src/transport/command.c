/* SPDX-License-Identifier: Apache-2.0
 * Command lines of pipe, lmtp and transport filters (manual 29.3): split into arguments first,
 * each expanded by itself after, so that no value can make a second argument.
 *
 *   argument = '"' text with backslash escapes '"' / "'" text "'" / text without white space */
#include "base/limits.h"
#include "base/rd.h"
#include "transport/steps.h"

#include "base/banned.h"

enum { ARGS_MAX = 4096 };

struct parse {
	struct delivery *d;
	struct command *to;
	struct str line;
	unsigned flags;
	const char *what;
	struct why *why;
};

static int escaped(struct rd *r)
{
	int c = rd_byte(r), v = 0;
	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'b': return '\b';
	case 'f': return '\f';
	case 'v': return '\v';
	case 'x':
		for (int i = 0; i < 2 && ch_xdigit(rd_peek(r)); i++) {
			int h = rd_byte(r);
			v = v * 16 + (ch_digit(h) ? h - '0' : (h | 32) - 'a' + 10);
		}
		return v;
	default: break;
	}
	if (c < '0' || c > '7')
		return c;
	v = c - '0';
	for (int i = 0; i < 2 && rd_peek(r) >= '0' && rd_peek(r) <= '7'; i++)
		v = v * 8 + rd_byte(r) - '0';
	return v & 0xff;
}

static struct str double_quoted(struct arena *a, struct rd *r)
{
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_EXPANSION);
	sb.taint = r->taint;
	while (!rd_done(r)) {
		int c = rd_byte(r);
		if (c == '"')
			break;
		if (c == '\\' && !rd_done(r))
			c = escaped(r);
		sb_ch(&sb, (char)c);
	}
	return sb.len ? sb_str(&sb) : STR("");
}

static bool not_space(int c)
{
	return !ch_space(c);
}

static struct str next_word(struct arena *a, struct rd *r)
{
	if (rd_accept(r, '"'))
		return double_quoted(a, r);
	if (rd_accept(r, '\'')) {
		struct str s = rd_until(r, '\'');
		(void)rd_accept(r, '\'');
		return s;
	}
	return rd_while(r, not_space);
}

static bool add(struct parse *p, struct str arg, bool addresses)
{
	struct command *to = p->to;
	if (to->argc + 1 >= ARGS_MAX) {
		why_set(p->why, true, "Too many arguments in command \"%.*s\" in %s", STR_ARG(p->line), p->what);
		return false;
	}
	if (arg.taint && to->argc > 0 && !addresses && (p->flags & COMMAND_UNTAINTED)) {
		why_set(p->why, false, "Tainted arg %zu for %s command: '%.*s'", to->argc, p->what, STR_ARG(arg));
		return false;
	}
	if (arg.taint && to->argc == 0 && (p->flags & COMMAND_UNTAINTED)) {
		why_set(p->why, true, "Tainted '%.*s' (command for %s) not permitted", STR_ARG(arg), p->what);
		return false;
	}
	to->argv[to->argc++] = str_cstr(p->d->arena, arg);
	return true;
}

static bool add_expanded(struct parse *p, struct str word)
{
	struct str value = word;
	if (p->flags & COMMAND_EXPAND) {
		switch (expand_text(p->d->eval, word, &value)) {
		case EXPAND_OK: break;
		case EXPAND_FORCED:
		case EXPAND_FAILED:
		case EXPAND_DEFER:
			why_set(p->why, true, "Expansion of \"%.*s\" from command \"%.*s\" in %s failed: %.*s", STR_ARG(word),
			    STR_ARG(p->line), p->what, STR_ARG(p->d->eval->lx.error));
			return false;
		}
	}
	return add(p, value, false);
}

/* $pipe_addresses: each address an argument (manual 25, 29.3). */
static bool add_addresses(struct parse *p)
{
	for (struct address *ad = p->d->addresses; ad; ad = ad->next) {
		if (!add(p, ad->address, true))
			return false;
	}
	return true;
}

/* $address_pipe under force_command: the arguments of the redirected command. */
static bool add_address_pipe(struct parse *p)
{
	struct str text = p->d->addresses->view.address_pipe;
	struct rd r = rd_of(str_starts(text, "|") ? str_from(text, 1) : text);
	bool expand_them = p->d->addresses->expand_file;
	for (rd_skip_space(&r); !rd_done(&r); rd_skip_space(&r)) {
		struct str word = next_word(p->d->arena, &r);
		if (expand_them ? !add_expanded(p, word) : !add(p, word, false))
			return false;
	}
	return true;
}

bool command_parse(struct delivery *d, struct str line, unsigned flags, const char *what, struct command *ret,
    struct why *why)
{
	struct parse p = {.d = d, .to = ret, .line = line, .flags = flags, .what = what, .why = why};
	struct rd r = rd_of(line);
	ret->argv = arena_alloc_array(d->arena, ARGS_MAX, sizeof(char *));
	ret->argc = 0;
	for (rd_skip_space(&r); !rd_done(&r); rd_skip_space(&r)) {
		struct str word = next_word(d->arena, &r);
		bool ok;
		if ((flags & COMMAND_EXPAND) && str_eqc(word, "$pipe_addresses"))
			ok = add_addresses(&p);
		else if ((flags & COMMAND_ADDRESS_PIPE) && str_eqc(word, "$address_pipe"))
			ok = add_address_pipe(&p);
		else
			ok = add_expanded(&p, word);
		if (!ok)
			return false;
	}
	if (ret->argc == 0) {
		why_set(why, true, "command is empty in %s", what);
		return false;
	}
	return true;
}
