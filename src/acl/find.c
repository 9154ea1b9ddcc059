/* SPDX-License-Identifier: Apache-2.0
 * Which ACL a text means (manual 44.3), the entry points, and the compile hook.
 *
 * A text without "/" in front and without blanks is a name first, then an ACL in itself; one with
 * blanks is an ACL in itself. Those that an option of the configuration spells out are compiled
 * with it (struct acl_set); others, and files, when they are used. */
#include "acl/acl_priv.h"
#include "base/banned.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* config->compiled_acls: text -> struct acl of inline ACLs known when loading. */
struct acl_set {
	struct map inline_acls;
};

#define ACL_FILE_MAX (1u << 20)

static bool read_all(struct arena *a, const char *path, struct str *ret, int *ret_errno)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct strbuf sb;
	char buf[8192];
	ssize_t n = 0;

	*ret_errno = errno;
	if (fd < 0)
		return false;
	sb_init(&sb, a, ACL_FILE_MAX);
	while (!sb.over && ((n = read(fd, buf, sizeof buf)) > 0 || (n < 0 && errno == EINTR)))
		if (n > 0)
			sb_addn(&sb, buf, (size_t)n);
	*ret_errno = sb.over ? EFBIG : errno;
	close(fd);
	*ret = sb_str(&sb);
	return n >= 0 && !sb.over;
}

static const struct acl *from_file(struct acl_run *r, struct str path)
{
	struct arena *a = r->ev->lx.arena;
	struct why why = {0};
	struct str text;
	const struct acl *acl;
	int err;

	if (!read_all(a, str_cstr(a, path), &text, &err)) {
		acl_fault(r, ACL_ERROR, "failed to open ACL file \"%.*s\": %s", STR_ARG(path), status_text(ST_ERRNO(err)));
		return NULL;
	}
	acl = acl_compile_text(a, r->ev->lx.config, text, &why);
	if (!acl)
		acl_fault(r, ACL_ERROR, "%s", why.text);
	return acl;
}

static const struct acl *find(struct acl_run *r, struct str text)
{
	const struct config *cfg = r->ev->lx.config;
	const struct acl_set *set = cfg->compiled_acls;
	const struct config_acl *named;
	const struct acl *acl;
	struct why why = {0};
	bool file = str_starts(text, "/");

	named = file || str_chr(text, ' ') >= 0 ? NULL : config_find_acl(cfg, text);
	if (named && !named->compiled)
		acl_fault(r, ACL_ERROR, "ACL \"%.*s\" was not compiled", STR_ARG(text));
	if (named)
		return named->compiled;
	if (text.taint) {
		log_write(r->ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "attempt to use tainted ACL text \"%.*s\"",
		    STR_ARG(text));
		acl_fault(r, ACL_ERROR, "internal configuration error");
		return NULL;
	}
	if (file)
		return from_file(r, text);
	acl = set ? map_get(&set->inline_acls, text) : NULL;
	if (!acl)
		acl = acl_compile_text(r->ev->lx.arena, cfg, text, &why);
	if (!acl)
		acl_fault(r, ACL_ERROR, "%s", why.text);
	return acl;
}

enum acl_verdict acl_call(struct acl_run *r, struct str text, struct str *ret_user, struct str *ret_log)
{
	struct acl_run inner = {.ev = r->ev, .f = r->f};
	const struct acl *acl;
	enum acl_verdict v = ACL_ERROR;

	if (r->f->depth >= LIMIT_ACL_DEPTH) {
		acl_fault(&inner, ACL_ERROR, "ACL nested too deep: possible loop");
	} else {
		acl = find(&inner, str_trim(text));
		r->f->depth++;
		if (acl)
			v = acl_obey(&inner, acl);
		r->f->depth--;
	}
	*ret_user = inner.user;
	*ret_log = inner.log;
	return v;
}

/* The code that an answer of this kind has when the text gives none. */
static const char *usual_code(enum acl_where where, enum acl_verdict v)
{
	switch (v) {
	case ACL_OK:
	case ACL_DISCARD: return where == ACL_CONNECT ? "220" : where == ACL_PREDATA ? "354" : "250";
	case ACL_FAIL:
	case ACL_DROP: return "550";
	case ACL_DEFER:
	case ACL_ERROR: break;
	}
	return "451";
}

/* 44.12 message: a code in front must be of the class that would be sent anyway. */
static struct str check_code(struct acl_run *r, enum acl_verdict v, struct str text)
{
	const char *usual = usual_code(r->f->where, v);

	if (text.len < 4 || !ch_digit(text.p[0]) || !ch_digit(text.p[1]) || !ch_digit(text.p[2]) || text.p[3] != ' ')
		return text;
	if (r->f->where == ACL_QUIT || r->f->where == ACL_NOTQUIT || text.p[0] == usual[0])
		return text;
	log_write(r->ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE,
	    "configured error code starts with incorrect digit (expected %c) in \"%.*s\"", usual[0], STR_ARG(text));
	return str_cat(r->ev->lx.arena, str_c(usual), str_from(text, 3));
}

/* The local part is lower-cased for ACLs about a recipient; `control = caseful_local_part` takes it back (44.13). */
static void lower_local_part(struct eval *ev, const struct acl_frame *f)
{
	struct addr_view *v = ev->space[SPACE_ADDRESS];

	if (f->where != ACL_RCPT && f->where != ACL_PRDR && f->where != ACL_VRFY)
		return;
	for (uint32_t i = 0; i < v->local_part.len; i++) {
		if (ch_upper(v->local_part.p[i])) {
			v->local_part = str_lower(ev->lx.arena, v->local_part);
			break;
		}
	}
}

static enum acl_verdict run_top(struct eval *ev, struct acl_frame *f, struct str name, struct str *ret_user, struct str *ret_log)
{
	struct acl_run r = {.ev = ev, .f = f};
	void *saved_acl = ev->space[SPACE_ACL], *saved_view = ev->space[SPACE_ADDRESS];
	enum acl_verdict v;

	ev->space[SPACE_ACL] = f;
	if (!saved_view)
		ev->space[SPACE_ADDRESS] = &f->own_view;
	f->effects->log_reject = LOGTO_MAIN | LOGTO_REJECT;
	lower_local_part(ev, f);
	v = acl_call(&r, name, ret_user, ret_log);
	/* `discard` has no meaning before the data (44.4) and none outside reception. */
	if (v == ACL_DISCARD && (f->where == ACL_PREDATA || f->where == ACL_MAILAUTH)) {
		*ret_user = STR_NONE;
		*ret_log = str_printf(ev->lx.arena, "\"discard\" verb not allowed in %s ACL", acl_where_name(f->where));
		v = ACL_ERROR;
	}
	if (str_is_set(*ret_user) && f->where != ACL_NOT_SMTP && f->where != ACL_NOT_SMTP_START) {
		bool same = ret_log->p == ret_user->p;

		*ret_user = check_code(&r, v, *ret_user);
		if (same)
			*ret_log = *ret_user;
	}
	if ((v == ACL_DEFER || v == ACL_ERROR) && !f->temp_details && !ev->lx.config->main.smtp_return_error_details)
		*ret_user = STR_NONE;
	ev->space[SPACE_ACL] = saved_acl;
	ev->space[SPACE_ADDRESS] = saved_view;
	return v;
}

enum acl_verdict acl_run_named(struct eval *ev, struct acl_frame *f, struct str name, struct str *ret_user, struct str *ret_log)
{
	*ret_user = *ret_log = STR_NONE;
	return run_top(ev, f, name, ret_user, ret_log);
}

enum acl_verdict acl_run(struct eval *ev, struct acl_frame *f, const struct xstr *option, struct str *ret_user, struct str *ret_log)
{
	struct str name;
	enum expand_status st = expand(ev, option, &name);

	*ret_user = *ret_log = STR_NONE;
	if (st == EXPAND_FORCED)
		return ACL_OK;
	if (st != EXPAND_OK) {
		*ret_log = str_printf(ev->lx.arena, "failed to expand ACL string \"%.*s\": %.*s", STR_ARG(option->text),
		    STR_ARG(ev->lx.error));
		return st == EXPAND_DEFER ? ACL_DEFER : ACL_ERROR;
	}
	return run_top(ev, f, name, ret_user, ret_log);
}

void acl_effects_next(struct acl_effects *e)
{
	*e = (struct acl_effects){
		.no_delay_flush = e->no_delay_flush, .no_callout_flush = e->no_callout_flush, .no_pipelining = e->no_pipelining,
		.allow_auth_unadvertised = e->allow_auth_unadvertised, .no_multiline = e->no_multiline,
		.enforce_sync = e->enforce_sync, .dscp = e->dscp,
	};
}

void acl_connection_init(struct acl_connection *c, struct arena *a)
{
	*c = (struct acl_connection){.arena = a};
	map_init(&c->acl_c, a, false);
	map_init(&c->rates, a, false);
}

void acl_transaction_init(struct acl_transaction *t, struct arena *a)
{
	*t = (struct acl_transaction){.arena = a};
	map_init(&t->warned, a, false);
	map_init(&t->rates, a, false);
}

/* --- Loading ---------------------------------------------------------------------------------- */

static void why_at(struct why *why, const char *file, int line)
{
	if (file)
		why_prefix(why, "Exim configuration error in line %d of %s:\n  error in ACL: ", line, file);
	else
		why_prefix(why, "Exim configuration error:\n  error in ACL: ");
}

/* An option or a word that can only mean an ACL in itself: compiled now if it is one. What is
 * none is an error when it is used, as Exim has it. */
static void compile_inline(struct config *cfg, struct acl_set *set, struct str text)
{
	struct why why = {0};
	struct acl *acl;

	text = str_trim(text);
	if (str_empty(text) || str_chr(text, '$') >= 0 || str_chr(text, '\\') >= 0 || str_starts(text, "/") ||
	    map_has(&set->inline_acls, text) || (str_chr(text, ' ') < 0 && config_find_acl(cfg, text)))
		return;
	acl = acl_compile_text(cfg->arena, cfg, text, &why);
	if (acl)
		map_put(&set->inline_acls, text, acl);
}

static void compile_nested(struct config *cfg, struct acl_set *set, const struct acl *acl)
{
	for (const struct acl_stmt *s = acl->first; s; s = s->next)
		for (const struct acl_cond *c = s->first; c; c = c->next)
			if (c->calls)
				compile_inline(cfg, set, c->call[0].text);
}

bool acl_compile_all(struct config *cfg, struct env *env, struct why *why)
{
	struct acl_set *set = arena_new_of(cfg->arena, struct acl_set);
	const struct opt_row *rows;
	size_t count;

	map_init(&set->inline_acls, cfg->arena, false);
	for (struct config_acl *ca = cfg->acls; ca; ca = ca->next) {
		const struct config_line *at = NULL;
		struct acl *acl = acl_compile(cfg->arena, cfg, ca->name, ca->lines, &at, why);

		if (!acl) {
			why_at(why, at ? at->file : NULL, at ? at->line : 0);
			return false;
		}
		ca->compiled = acl;
	}
	for (struct config_acl *ca = cfg->acls; ca; ca = ca->next)
		compile_nested(cfg, set, ca->compiled);
	rows = config_main_rows(&count);
	for (size_t i = 0; i < count; i++) {
		const struct xstr *x = (const void *)((const char *)&cfg->main + rows[i].offset);

		if (strncmp(rows[i].name, "acl_", 4) == 0 && rows[i].type == OPT_STRING && !(rows[i].flags & OPT_REFUSED) &&
		    str_is_set(x->text))
			compile_inline(cfg, set, x->text);
	}
	cfg->compiled_acls = set;
	return true;
}
