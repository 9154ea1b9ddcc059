/* SPDX-License-Identifier: Apache-2.0
 * Logical lines (manual 6.2, 6.3, 6.5, 6.10): physical lines are trimmed, comments dropped, macros
 * put in, conditions and inclusions obeyed, continuations joined; in that order, which is Exim's:
 * so a comment or an inclusion may stand inside a continued setting. An empty line ends a
 * continued one. Positions in messages are those of the last physical line read, as Exim's are. */
#include "config/config_priv.h"

#include "base/limits.h"

#include "base/banned.h"

bool config_error(struct why *why, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char text[WHY_SIZE];
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	why_set(why, false, "Exim configuration error:\n  %s", text);
	return false;
}

bool config_error_at(struct why *why, const char *file, int line, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char text[WHY_SIZE];
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (file)
		why_set(why, false, "Exim configuration error in line %d of %s:\n  %s", line, file, text);
	else
		why_set(why, false, "Exim configuration error:\n  %s", text);
	return false;
}

bool lines_error(struct lines *l, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char text[WHY_SIZE];
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	l->failed = true;
	return config_error_at(l->why, l->file, l->line, "%s", text);
}

static void mark(struct lines *l, const char *name, int line)
{
	if (l->marks)
		sb_printf(l->marks, "# %d \"%s\"\n", line, name);
}

static bool lines_open_file(struct lines *l, struct config_file *file)
{
	if (l->open_count >= LIMIT_CONFIG_INCLUDE_DEPTH)
		return lines_error(l, ".include nested too deeply (more than %d files)", LIMIT_CONFIG_INCLUDE_DEPTH);
	struct lines_open *o = arena_new_of(l->arena, struct lines_open);
	*o = (struct lines_open){.file = file, .name = str_cstr(l->arena, file->path), .below = l->top};
	if (l->top)
		mark(l, l->top->name, l->top->line);
	mark(l, o->name, 1);
	l->top = o;
	l->open_count++;
	return true;
}

void lines_init(struct lines *l, struct arena *a, struct config_files *files, const struct config_source *src, struct strbuf *marks, struct why *why)
{
	*l = (struct lines){.arena = a, .files = files, .marks = marks, .why = why};
	macros_init(&l->macros, a, src);
	if (files->first) {
		lines_open_file(l, files->first);
		l->file = l->top->name;
	}
}

/* The next physical line, trimmed; false at the very end. */
static bool physical(struct lines *l, struct str *ret)
{
	while (l->top && l->top->pos >= l->top->file->text.len) {
		l->top = l->top->below;
		l->open_count--;
		if (l->top)
			mark(l, l->top->name, l->top->line);
	}
	struct lines_open *o = l->top;
	if (!o)
		return false;
	struct str rest = str_from(o->file->text, o->pos);
	const char *nl = memchr(rest.p, '\n', rest.len);
	struct str line = str_sub(rest, 0, nl ? (size_t)(nl - rest.p) : rest.len);
	o->pos += line.len + (nl ? 1 : 0);
	l->total += line.len + 1;
	o->line++;
	l->file = o->name;
	l->line = o->line;
	*ret = str_trim(line);
	return true;
}

static const char *const section_name[] = {
	[SECTION_ACL] = "acl", [SECTION_AUTHENTICATORS] = "authenticators", [SECTION_LOCAL_SCAN] = "local_scan",
	[SECTION_RETRY] = "retry", [SECTION_REWRITE] = "rewrite", [SECTION_ROUTERS] = "routers",
	[SECTION_TRANSPORTS] = "transports",
};

bool section_begins(struct str line, enum section *ret, struct str *ret_name)
{
	if (!str_istarts(line, "begin "))
		return false;
	*ret_name = str_trim(str_from(line, 6));
	*ret = SECTION_NONE;
	for (size_t i = SECTION_ACL; i < countof(section_name); i++)
		if (str_ieqc(*ret_name, section_name[i]))
			*ret = (enum section)i;
	return true;
}

/* Where macros are looked for: behind the name and the sign of a definition; 0 if it is none. */
static size_t macro_start(struct str line)
{
	if (line.len == 0 || !ch_upper(line.p[0]))
		return 0;
	size_t i = 0;
	while (i < line.len && (ch_alnum(line.p[i]) || line.p[i] == '_'))
		i++;
	while (i < line.len && ch_space(line.p[i]))
		i++;
	return i < line.len && line.p[i] == '=' ? i : 0;
}

bool section_macro(enum section s, struct str line)
{
	switch (s) {
	case SECTION_MAIN: return ch_upper(line.p[0]);
	case SECTION_ACL:
	case SECTION_AUTHENTICATORS:
	case SECTION_ROUTERS:
	case SECTION_TRANSPORTS: return macro_start(line) > 0;
	case SECTION_LOCAL_SCAN:
	case SECTION_RETRY:
	case SECTION_REWRITE:
	case SECTION_NONE: break;
	}
	return false;
}

/* ---- conditions ---- */

static bool skipping(const struct lines *l)
{
	return l->if_count > 0 && l->ifs[l->if_count - 1].skipping;
}

static bool if_open(struct lines *l, bool truth)
{
	if (l->if_count >= LINES_IF_DEPTH)
		return lines_error(l, ".ifdef nested too deeply (more than %d)", LINES_IF_DEPTH);
	bool outer = skipping(l);
	l->ifs[l->if_count++] = (struct lines_if){.skipping = outer || !truth, .done = outer || truth};
	return true;
}

static bool if_branch(struct lines *l, const char *word, bool truth)
{
	if (l->if_count == 0)
		return lines_error(l, "%s without matching .ifdef", word);
	struct lines_if *f = &l->ifs[l->if_count - 1];
	f->skipping = f->done || !truth;
	f->done = f->done || truth;
	return true;
}

static bool if_close(struct lines *l)
{
	if (l->if_count == 0)
		return lines_error(l, ".endif without matching .ifdef");
	l->if_count--;
	return true;
}

static bool has_word(struct str line, const char *word)
{
	size_t n = strlen(word);
	return str_starts(line, word) && (line.len == n || ch_space(line.p[n]));
}

/* Is it a condition? Then obey it. `replaced`: a macro was put into the line. */
static bool condition(struct lines *l, struct str line, bool replaced, bool *ret_was)
{
	*ret_was = true;
	if (has_word(line, ".ifdef"))
		return if_open(l, replaced);
	if (has_word(line, ".ifndef"))
		return if_open(l, !replaced);
	if (has_word(line, ".elifdef"))
		return if_branch(l, ".elifdef", replaced);
	if (has_word(line, ".elifndef"))
		return if_branch(l, ".elifndef", !replaced);
	if (has_word(line, ".else"))
		return if_branch(l, ".else", true);
	if (has_word(line, ".endif"))
		return if_close(l);
	*ret_was = false;
	return true;
}

/* ---- inclusion (manual 6.3) ---- */

static bool include(struct lines *l, struct str line, bool may_miss)
{
	struct str name = str_trim(str_from(line, strlen(may_miss ? ".include_if_exists" : ".include")));
	if (name.len > 1 && name.p[0] == '"' && name.p[name.len - 1] == '"')
		name = str_sub(name, 1, name.len - 2);
	if (name.len == 0)
		return lines_error(l, "file name missing after %s", may_miss ? ".include_if_exists" : ".include");
	if (memchr(name.p, 0, name.len))
		return lines_error(l, "file name after .include contains a zero byte");
	if (name.p[0] != '/') {
		if (may_miss)
			return lines_error(l, ".include specifies a non-absolute path \"%.*s\"", STR_ARG(name));
		struct str here = l->top->file->path;
		ptrdiff_t slash = str_rchr(here, '/');
		name = str_cat(l->arena, str_sub(here, 0, slash < 0 ? 0 : (size_t)slash + 1), name);
	}
	struct config_file *file = config_files_get(l->files, name);
	switch (file->state) {
	case CONFIG_FILE_READ: return lines_open_file(l, file);
	case CONFIG_FILE_FAILED: return lines_error(l, "%.*s", STR_ARG(file->text));
	case CONFIG_FILE_MISSING:
	case CONFIG_FILE_DEFINE: break;
	}
	return may_miss || lines_error(l, "failed to open included configuration file %.*s", STR_ARG(name));
}

/* ---- joining ---- */

/* One physical line with macros in place, if anything is left of it; *ret_used otherwise false. */
static bool prepared(struct lines *l, bool continuing, struct str *line, bool *ret_used)
{
	*ret_used = false;
	if (line->len == 0 || line->p[0] == '#')
		return true;
	struct str out = *line;
	if (l->total + l->macros.produced > LIMIT_CONFIG_FILE)
		return lines_error(l, "configuration too large: more than %u bytes with inclusions and macros", LIMIT_CONFIG_FILE);
	bool replaced = macros_apply(&l->macros, *line, continuing ? 0 : macro_start(*line), &out);
	if (out.len > LIMIT_CONFIG_LINE)
		return lines_error(l, "line too long after macro replacement");
	if (replaced)
		out = str_trim(out);
	if (out.len == 0 || out.p[0] == '#')
		return true;
	if (out.p[0] == '.') {
		bool was;
		if (!condition(l, out, replaced, &was))
			return false;
		if (was)
			return true;
	}
	if (skipping(l))
		return true;
	if (has_word(out, ".include_if_exists"))
		return include(l, out, true);
	if (has_word(out, ".include"))
		return include(l, out, false);
	*line = out;
	*ret_used = true;
	return true;
}

static bool at_end(struct lines *l)
{
	if (l->if_count > 0)
		lines_error(l, "Unexpected end of configuration file: .endif missing");
	return false;
}

/* One logical line into l->joined; false at the end or on failure. */
static bool join(struct lines *l)
{
	bool more = false, begun = false, used;
	struct str line;
	sb_init(&l->joined, l->arena, LIMIT_CONFIG_LINE);
	do {
		if (!physical(l, &line))
			return begun || at_end(l);
		if (line.len == 0 && begun)
			return true;
		if (!prepared(l, begun, &line, &used))
			return false;
		if (!used)
			continue;
		begun = true;
		more = line.p[line.len - 1] == '\\';
		sb_add(&l->joined, more ? str_sub(line, 0, line.len - 1) : line);
	} while (!begun || more);
	return true;
}

bool lines_next(struct lines *l, struct str *ret)
{
	do {
		if (l->failed || !join(l))
			return false;
		if (l->joined.over)
			return lines_error(l, "line too long: more than %u bytes", LIMIT_CONFIG_LINE);
		sb_truncate(&l->joined, str_rtrim(sb_str(&l->joined)).len);
	} while (l->joined.len == 0);
	*ret = sb_str(&l->joined);
	return true;
}

bool lines_macro(struct lines *l, struct str line)
{
	bool located = false;
	struct why why = {0};
	if (macros_define(&l->macros, line, &located, &why))
		return true;
	if (located)
		return lines_error(l, "%s", why.text);
	l->failed = true;
	return config_error(l->why, "%s", why.text);
}
