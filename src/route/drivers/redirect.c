/* SPDX-License-Identifier: Apache-2.0
 * redirect (manual 22): aliases and forward files. The data come from `data` or from `file`, which
 * is read as the user that the router names; what the list holds becomes children of the address.
 * Filters are refused by name as long as there is no interpreter for them. */
#include "route/route_priv.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "message/address.h"
#include "route/redirect_data.h"

#include "base/banned.h"

#define FILE_MAX 1048576

struct redirect_options {
	bool allow_defer, allow_fail, allow_filter, allow_freeze, check_ancestor, check_group, check_owner;
	bool filter_prepend_home, forbid_blackhole, forbid_exim_filter, forbid_file, forbid_filter_dlfunc;
	bool forbid_filter_existstest, forbid_filter_logwrite, forbid_filter_lookup, forbid_filter_perl;
	bool forbid_filter_readfile, forbid_filter_readsocket, forbid_filter_reply, forbid_filter_run;
	bool forbid_include, forbid_pipe, forbid_sieve_filter, forbid_smtp_code, hide_child_in_errmsg;
	bool ignore_eacces, ignore_enotdir, one_time, qualify_preserve_domain, repeat_use, rewrite, skip_syntax_errors;
	struct xstr data, directory_transport, file, file_transport, include_directory, pipe_transport, qualify_domain;
	struct xstr reply_transport, sieve_inbox, sieve_subaddress, sieve_useraddress;
	struct xstr sieve_vacation_directory, syntax_errors_text, syntax_errors_to;
	struct id_list owners, owngroups;
	uint32_t modemask;
};

#define ROW(n, TYPE, def, flags, doc) OPT_ROW(struct redirect_options, #n, TYPE, n, def, flags, doc)
static const struct opt_row rows[] = {
	ROW(allow_defer, BOOL, "false", 0, "Permit :defer:"),
	ROW(allow_fail, BOOL, "false", 0, "Permit :fail:"),
	ROW(allow_filter, BOOL, "false", 0, "Take data that begin with #Exim filter or #Sieve filter as a filter"),
	ROW(allow_freeze, BOOL, "false", 0, "Permit freeze in a filter"),
	ROW(check_ancestor, BOOL, "false", 0, "Replace a child that is an ancestor by the current address"),
	ROW(check_group, BOOL, NULL, OPT_COMPUTED, "Check the group of the file"),
	ROW(check_owner, BOOL, NULL, OPT_COMPUTED, "Check the owner of the file"),
	ROW(data, STRING, NULL, OPT_EXPAND, "The redirection data"),
	ROW(directory_transport, STRING, NULL, OPT_EXPAND, "Transport for paths that end in a slash"),
	ROW(file, STRING, NULL, OPT_EXPAND, "File that holds the redirection data"),
	ROW(file_transport, STRING, NULL, OPT_EXPAND, "Transport for paths"),
	ROW(filter_prepend_home, BOOL, "true", 0, "Put $home before relative paths of a filter's save"),
	ROW(forbid_blackhole, BOOL, "false", 0, "Refuse :blackhole:"),
	ROW(forbid_exim_filter, BOOL, "false", 0, "Refuse Exim filters"),
	ROW(forbid_file, BOOL, "false", 0, "Refuse deliveries to files"),
	ROW(forbid_filter_dlfunc, BOOL, "false", 0, "Lock dlfunc out of filters"),
	ROW(forbid_filter_existstest, BOOL, "false", 0, "Lock exists and stat out of filters"),
	ROW(forbid_filter_logwrite, BOOL, "false", 0, "Lock logging out of filters"),
	ROW(forbid_filter_lookup, BOOL, "false", 0, "Lock lookups out of filters"),
	ROW(forbid_filter_perl, BOOL, "false", 0, "Lock Perl out of filters"),
	ROW(forbid_filter_readfile, BOOL, "false", 0, "Lock readfile out of filters"),
	ROW(forbid_filter_readsocket, BOOL, "false", 0, "Lock readsocket out of filters"),
	ROW(forbid_filter_reply, BOOL, "false", 0, "Lock replies out of filters"),
	ROW(forbid_filter_run, BOOL, "false", 0, "Lock run out of filters"),
	ROW(forbid_include, BOOL, "false", 0, "Refuse :include:"),
	ROW(forbid_pipe, BOOL, "false", 0, "Refuse deliveries to pipes"),
	ROW(forbid_sieve_filter, BOOL, "false", 0, "Refuse Sieve filters"),
	ROW(forbid_smtp_code, BOOL, "false", 0, "Ignore reply codes in :fail: and :defer: texts"),
	ROW(hide_child_in_errmsg, BOOL, "false", 0, "Do not show generated addresses in bounces"),
	ROW(ignore_eacces, BOOL, "false", 0, "A file that may not be read counts as absent"),
	ROW(ignore_enotdir, BOOL, "false", 0, "A path through a file counts as absent"),
	ROW(include_directory, STRING, NULL, 0, "Where :include: files must be"),
	ROW(modemask, OCTAL, "022", 0, "Mode bits that the file must not have"),
	ROW(one_time, BOOL, "false", 0, "Expand once: children become recipients of the message"),
	ROW(owners, USERS, NULL, 0, "Permitted owners of the file"),
	ROW(owngroups, GROUPS, NULL, 0, "Permitted groups of the file"),
	ROW(pipe_transport, STRING, NULL, OPT_EXPAND, "Transport for pipes"),
	ROW(qualify_domain, STRING, NULL, OPT_EXPAND, "Domain for unqualified children"),
	ROW(qualify_preserve_domain, BOOL, "false", 0, "Qualify children with the parent's domain"),
	ROW(repeat_use, BOOL, "true", 0, "May handle descendants of what it handled"),
	ROW(reply_transport, STRING, NULL, OPT_EXPAND, "Transport for replies"),
	ROW(rewrite, BOOL, "true", 0, "Rewrite children by the global rules"),
	OPT_ROW_REFUSED("sieve_enotify_mailto_owner", STRING, "Owner shown in Sieve notifications"),
	ROW(sieve_inbox, STRING, "inbox", OPT_EXPAND, "Name of Sieve's inbox"),
	ROW(sieve_subaddress, STRING, NULL, OPT_EXPAND, "Sieve's :subaddress"),
	ROW(sieve_useraddress, STRING, NULL, OPT_EXPAND, "Sieve's :user"),
	ROW(sieve_vacation_directory, STRING, NULL, OPT_EXPAND, "Where Sieve's vacation keeps its records"),
	ROW(skip_syntax_errors, BOOL, "false", 0, "Pass over malformed items"),
	OPT_ROW_REFUSED("srs", STRING, "SRS by the old library"),
	OPT_ROW_REFUSED("srs_alias", STRING, "SRS by the old library"),
	OPT_ROW_REFUSED("srs_condition", STRING, "SRS by the old library"),
	OPT_ROW_REFUSED("srs_dbinsert", STRING, "SRS by the old library"),
	OPT_ROW_REFUSED("srs_dbselect", STRING, "SRS by the old library"),
	ROW(syntax_errors_text, STRING, NULL, OPT_EXPAND, "First part of the message about syntax errors"),
	ROW(syntax_errors_to, STRING, NULL, 0, "Who is told of syntax errors"),
};
#undef ROW

static bool refuse(const struct driver_instance *di, struct why *why, const char *text)
{
	why_set(why, false, "%.*s router:\n  %s", STR_ARG(di->name), text);
	return false;
}

static bool redirect_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	(void)cfg;
	struct redirect_options *o = di->options;
	struct router_generic *g = di->generic;
	bool data = str_is_set(o->data.text), file = str_is_set(o->file.text);
	if (data == file)
		return refuse(di, why, data ? "only one of \"file\" or \"data\" may be specified for a redirect router"
		                            : "\"file\" or \"data\" must be specified for a redirect router");
	if (str_is_set(g->transport.text))
		return refuse(di, why, "\"transport\" is set for a redirect router");
	if (o->one_time && (str_is_set(g->headers_add.text) || str_is_set(g->headers_remove.text)))
		return refuse(di, why, "a one_time redirection list may not be used with headers_add or headers_remove");
	if (o->one_time && config_was_set(di, "unseen") && !str_eqc(g->unseen.text, "false"))
		return refuse(di, why, "a one_time redirection list may not be used with unseen");
	if (o->allow_filter && !g->check_local_user && !g->user.set)
		return refuse(di, why, "\"user\" or \"check_local_user\" must be set with \"allow_filter\"");
	if (o->qualify_preserve_domain && str_is_set(o->qualify_domain.text))
		return refuse(di, why, "only one of \"qualify_domain\" or \"qualify_preserve_domain\" must be set");
	if (o->one_time)
		o->forbid_pipe = o->forbid_file = o->forbid_filter_reply = true;
	if (!config_was_set(di, "check_owner"))
		o->check_owner = g->check_local_user || o->owners.set;
	if (!config_was_set(di, "check_group"))
		o->check_group = (g->check_local_user && !(o->modemask & 020)) || o->owngroups.set;
	return true;
}

static bool redirect_repeat_use(const struct driver_instance *di)
{
	return ((const struct redirect_options *)di->options)->repeat_use;
}

/* --- The file -------------------------------------------------------------------------------- */
struct run {
	struct route_job *job;
	const struct driver_instance *di;
	const struct redirect_options *o;
	struct address *ad;
	int32_t uid, gid;   /* as whom files are read; -1 = as we are */
	bool from_file;
};

static bool in_list(const struct id_list *l, int32_t id)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->id[i] == id)
			return true;
	return false;
}

static enum route_verdict check_file(struct run *r, struct str path, const struct user_file_answer *f)
{
	const struct router_generic *g = router_generic(r->di);
	if (f->not_regular)
		return route_defer(r->job, r->ad, "%.*s is not a regular file", STR_ARG(path));
	if (f->mode & r->o->modemask)
		return route_defer(r->job, r->ad, "bad mode (0%o) for %.*s: 0%o bit(s) unexpected", f->mode, STR_ARG(path),
		    f->mode & r->o->modemask);
	bool local = g->check_local_user;
	if (r->o->check_owner && !in_list(&r->o->owners, f->uid) && !(local && f->uid == (int32_t)r->ad->view.uid))
		return route_defer(r->job, r->ad, "bad owner for %.*s", STR_ARG(path));
	if (r->o->check_group && !in_list(&r->o->owngroups, f->gid) && !(local && f->gid == (int32_t)r->ad->view.gid))
		return route_defer(r->job, r->ad, "bad group for %.*s", STR_ARG(path));
	if (f->too_big)
		return route_defer(r->job, r->ad, "%.*s is too big (max %d)", STR_ARG(path), FILE_MAX);
	return ROUTE_ACCEPT;
}

static enum route_verdict absent(struct run *r, struct str path, const struct user_file_answer *f)
{
	if (f->errnum == ENOENT && !r->o->ignore_enotdir && f->parent_errnum && f->parent_errnum != ENOTDIR) {
		ptrdiff_t slash = str_rchr(path, '/');
		return route_defer(r->job, r->ad, "failed to stat %.*s/. (%s)", STR_ARG(str_sub(path, 0, (size_t)slash)),
		    status_text(ST_ERRNO(f->parent_errnum)));
	}
	if (f->errnum == ENOENT || (f->errnum == EACCES && r->o->ignore_eacces) || (f->errnum == ENOTDIR && r->o->ignore_enotdir))
		return ROUTE_DECLINE;
	r->ad->basic_errno = f->errnum;
	return route_defer(r->job, r->ad, "failed to open %.*s: %s (euid=%d egid=%d)", STR_ARG(path),
	    status_text(ST_ERRNO(f->errnum)), r->uid < 0 ? (int)geteuid() : r->uid, r->gid < 0 ? (int)getegid() : r->gid);
}

static enum route_verdict read_file(struct run *r, struct str *ret)
{
	struct route_job *job = r->job;
	struct str path;
	enum expand_status st = expand(job->eval, &r->o->file, &path);
	if (st == EXPAND_FORCED)
		return ROUTE_DECLINE;
	if (st != EXPAND_OK)
		return route_defer(job, r->ad, "failed to expand \"%.*s\": %.*s", STR_ARG(r->o->file.text), STR_ARG(job->eval->lx.error));
	if (!str_starts(path, "/"))
		return route_defer(job, r->ad, "\"%.*s\" is not an absolute path", STR_ARG(path));
	if (!expand_untainted(job->eval, path, "filename for redirect router"))
		return route_defer(job, r->ad, "%.*s", STR_ARG(job->eval->lx.error));
	struct user_file uf = {.path = path, .uid = r->uid, .gid = r->gid, .max = FILE_MAX};
	struct user_file_answer f;
	struct why why;
	if (user_file_read(job->env, job->arena, &uf, &f, &why) != ST_OK)
		return route_defer(job, r->ad, "failed to read %.*s: %s", STR_ARG(path), why.text);
	if (f.errnum)
		return absent(r, path, &f);
	enum route_verdict v = check_file(r, path, &f);
	*ret = f.text;
	return v;
}

static bool read_include(void *arg, struct str path, struct str *ret_text, struct str *ret_error)
{
	struct run *r = arg;
	struct route_job *job = r->job;
	if (!expand_untainted(job->eval, path, "included file for redirect router")) {
		*ret_error = job->eval->lx.error;
		return false;
	}
	struct user_file uf = {.path = path, .uid = r->uid, .gid = r->gid, .max = FILE_MAX};
	struct user_file_answer f;
	struct why why;
	if (user_file_read(job->env, job->arena, &uf, &f, &why) != ST_OK)
		*ret_error = str_printf(job->arena, "failed to open included file %.*s: %s", STR_ARG(path), why.text);
	else if (f.errnum)
		*ret_error = str_printf(job->arena, "failed to open included file %.*s: %s", STR_ARG(path), status_text(ST_ERRNO(f.errnum)));
	else if (f.not_regular)
		*ret_error = str_printf(job->arena, "included file %.*s is not a regular file", STR_ARG(path));
	else if (f.too_big)
		*ret_error = str_printf(job->arena, "included file %.*s is too big (max %d)", STR_ARG(path), FILE_MAX);
	*ret_text = f.text;
	return str_empty(*ret_error);
}

static enum route_verdict get_data(struct run *r, struct str *ret)
{
	if (str_is_set(r->o->file.text))
		return read_file(r, ret);
	struct eval *ev = r->job->eval;
	enum expand_status st = expand(ev, &r->o->data, ret);
	if (st == EXPAND_FORCED)
		return ROUTE_DECLINE;
	if (st != EXPAND_OK)
		return route_defer(r->job, r->ad, "failed to expand \"%.*s\": %.*s", STR_ARG(r->o->data.text), STR_ARG(ev->lx.error));
	return ROUTE_ACCEPT;
}

/* --- Children -------------------------------------------------------------------------------- */
/* Local parts are told apart by case where the router that handled the ancestor does so. */
static bool is_ancestor(const struct address *ad, struct str text)
{
	for (const struct address *p = ad->parent; p; p = p->parent) {
		bool caseful = p->router && router_generic(p->router)->caseful_local_part;
		if (str_ieq(p->address, text) && (!caseful || str_eq(addr_split(p->address).local_part, addr_split(text).local_part)))
			return true;
	}
	return false;
}

static void child_fails(struct run *r, struct address *c, const char *text)
{
	c->router = r->di;
	c->state = ADDRESS_FAILED;
	c->message = str_c(text);
}

static void add_pipe_or_file(struct run *r, const struct redirect_item *it)
{
	struct route_job *job = r->job;
	enum address_kind kind = it->kind == REDIRECT_PIPE ? ADDRESS_PIPE : str_ends(it->text, "/") ? ADDRESS_DIRECTORY : ADDRESS_FILE;
	struct address *c = address_child_kind(job->arena, r->ad, it->text, kind);
	const struct xstr *option = c->kind == ADDRESS_PIPE ? &r->o->pipe_transport
	    : c->kind == ADDRESS_DIRECTORY ? &r->o->directory_transport : &r->o->file_transport;
	const char *name = c->kind == ADDRESS_PIPE ? "pipe_transport"
	    : c->kind == ADDRESS_DIRECTORY ? "directory_transport" : "file_transport";
	route_push(job, c);
	c->router = r->di;
	c->state = ADDRESS_ROUTED;
	const struct driver_instance *t = NULL;
	job->eval->space[SPACE_ADDRESS] = &c->view;
	enum route_verdict v = step_transport(job, r->di, option, name, c, &t);
	job->eval->space[SPACE_ADDRESS] = &r->ad->view;
	c->transport = t;
	if (c->kind == ADDRESS_PIPE && r->o->forbid_pipe)
		return child_fails(r, c, "delivery to pipe forbidden");
	if (c->kind != ADDRESS_PIPE && r->o->forbid_file)
		return child_fails(r, c, "delivery to file forbidden");
	if (v == ROUTE_ACCEPT && !t) {
		c->basic_errno = ROUTE_ERR_NO_TRANSPORT;
		v = route_defer(job, c, "%s unset in %.*s router", name, STR_ARG(r->di->name));
	}
	c->home = r->ad->home;
	c->home_expanded = r->ad->home_expanded;
	if (t)
		c->view.transport_name = t->name;
	c->bypassed = v == ROUTE_ACCEPT && str_eqc(it->text, "/dev/null"); /* manual 22.6: no user is needed */
	if (c->bypassed)
		c->state = ADDRESS_DISCARDED;
	else if (v == ROUTE_ACCEPT)
		v = step_identity(job, r->di, c);
	if (v != ROUTE_ACCEPT)
		c->state = ADDRESS_DEFERRED;
}

static void add_address(struct run *r, const struct redirect_item *it)
{
	struct route_job *job = r->job;
	struct str text = it->text;
	bool changed = false;
	if (r->o->check_ancestor && is_ancestor(r->ad, text))
		text = r->ad->address;
	else if (r->o->rewrite)
		text = rewrite_one(job->eval, text, REWRITE_ENV_TO, &changed);
	struct address *c = address_child(job->arena, r->ad, text);
	c->one_time = c->one_time || r->o->one_time;
	c->hide_child = r->ad->hide_child || r->o->hide_child_in_errmsg;
	c->start_router = router_generic(r->di)->redirect_router_di;
	c->dsn_notify = 0;
	route_push(job, c);
}

static enum route_verdict add_children(struct run *r, const struct redirect_result *res)
{
	enum route_verdict v = step_common(r->job, r->di, r->ad);
	if (v != ROUTE_ACCEPT)
		return v;
	r->ad->router = r->di;
	for (const struct redirect_item *it = res->items; it; it = it->next) {
		if (it->kind == REDIRECT_ADDRESS)
			add_address(r, it);
		else
			add_pipe_or_file(r, it);
	}
	r->ad->state = ADDRESS_PARENT;
	return ROUTE_REROUTED;
}

/* --- Answers --------------------------------------------------------------------------------- */
static void tell_errors(struct run *r, const struct redirect_error *errors, bool others)
{
	struct route_job *job = r->job;
	struct strbuf sb;
	sb_init(&sb, job->arena, 65536);
	if (str_is_set(r->o->syntax_errors_text.text)) {
		struct str text;
		if (expand(job->eval, &r->o->syntax_errors_text, &text) == EXPAND_OK)
			sb_printf(&sb, "%.*s\n\n", STR_ARG(text));
	}
	sb_printf(&sb, "The %.*s router encountered the following error(s):\n\n", STR_ARG(r->di->name));
	for (const struct redirect_error *e = errors; e; e = e->next) {
		if (job->purpose == ROUTE_DELIVER || job->purpose == ROUTE_TEST)
			log_write(job->env->log, LOGTO_MAIN, job->message ? str_c(job->message->id) : STR_NONE,
			    "%.*s router: skipped error: %.*s in \"%.*s\"", STR_ARG(r->di->name), STR_ARG(e->text), STR_ARG(e->item));
		sb_printf(&sb, "  %.*s in the address\n  \"%.*s\"\n\n", STR_ARG(e->text), STR_ARG(e->item));
	}
	sb_addc(&sb, others ? "Other addresses were processed normally.\n" : "No valid addresses were generated.\n");
	struct str to = r->o->syntax_errors_to.text, text = STR_NONE;
	if (!str_is_set(to) || !job->send_note || job->purpose != ROUTE_DELIVER)
		return;
	if (expand_text(job->eval, to, &text) == EXPAND_OK && !str_empty(text))
		job->send_note(job, text, STR("error(s) in forwarding or filtering"), sb_str(&sb));
}

/* A text that begins with a reply code of the wrong class loses it (manual 22.6). */
static struct str without_code(struct run *r, struct str text, char class)
{
	bool code = text.len >= 4 && ch_digit(text.p[0]) && ch_digit(text.p[1]) && ch_digit(text.p[2]) && text.p[3] == ' ';
	if (!code)
		return text;
	bool wrong = text.p[0] != class;
	if (wrong && !r->o->forbid_smtp_code)
		log_write(r->job->env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE,
		    "configured error code starts with incorrect digit (expected %c) in \"%.*s\"", class, STR_ARG(text));
	if (!wrong && !r->o->forbid_smtp_code)
		return text;
	text = str_from(text, 4);
	size_t n = 0, dots = 0;
	while (n < text.len && (ch_digit(text.p[n]) || text.p[n] == '.'))
		dots += text.p[n++] == '.';
	return dots == 2 && n < text.len && text.p[n] == ' ' ? str_from(text, n + 1) : text;
}

static enum route_verdict answer(struct run *r, const struct redirect_result *res)
{
	struct address *ad = r->ad;
	if (res->errors)
		tell_errors(r, res->errors, res->answer == REDIRECT_ITEMS);
	switch (res->answer) {
	case REDIRECT_ITEMS: return add_children(r, res);
	case REDIRECT_NOTHING:
		if (res->errors) { /* for the log only: the sender is told no details */
			ad->message = STR("syntax error in redirection data");
			ad->user_message = STR("");
		}
		return ROUTE_DECLINE;
	case REDIRECT_BLACKHOLE: return ROUTE_DISCARD;
	case REDIRECT_FAIL:
		ad->message = res->text;
		ad->user_message = without_code(r, res->text, '5');
		return ROUTE_FAIL;
	case REDIRECT_DEFER:
		ad->message = res->text;
		ad->user_message = without_code(r, res->text, '4');
		ad->basic_errno = ROUTE_ERR_UNKNOWN;
		return ROUTE_DEFER;
	case REDIRECT_ERROR:
		ad->basic_errno = ROUTE_ERR_REDIRECT;
		return route_defer(r->job, ad, "error in redirect data: %.*s", STR_ARG(res->text));
	}
	return ROUTE_DEFER;
}

static enum route_verdict filter(struct run *r, char kind)
{
	const char *where = r->from_file ? "file" : "data";
	r->ad->basic_errno = ROUTE_ERR_REDIRECT;
	const char *text = "filtering not enabled";
	if (r->o->allow_filter) {
		if (kind == 'e')
			text = r->o->forbid_exim_filter ? "Exim filtering not enabled" : "Exim filters are not supported yet";
		else
			text = r->o->forbid_sieve_filter ? "Sieve filtering not enabled" : "Sieve filters are not supported yet";
	}
	return route_defer(r->job, r->ad, "error in filter %s: %s", where, text);
}

static bool qualify_with(struct run *r, struct str *ret)
{
	*ret = r->o->qualify_preserve_domain ? r->ad->view.domain : r->job->config->qualify_recipient;
	return !str_is_set(r->o->qualify_domain.text) || expand(r->job->eval, &r->o->qualify_domain, ret) == EXPAND_OK;
}

static enum route_verdict redirect_run(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	struct run r = {.job = job, .di = di, .o = di->options, .ad = ad, .uid = -1, .gid = -1};
	const struct router_generic *g = router_generic(di);
	if (g->check_local_user) {
		r.uid = (int32_t)ad->view.uid;
		r.gid = (int32_t)ad->view.gid;
	}
	if (!step_find_user(job, di, &g->user, "user", &r.uid, &r.gid, ad) || !step_find_group(job, di, &g->group, &r.gid, ad))
		return ROUTE_DEFER;
	r.from_file = str_is_set(r.o->file.text);
	struct str data = STR_NONE;
	enum route_verdict v = get_data(&r, &data);
	if (v != ROUTE_ACCEPT)
		return v;
	char kind = redirect_filter_kind(data);
	if (kind)
		return filter(&r, kind);
	struct redirect_rules rules = {.allow_fail = r.o->allow_fail, .allow_defer = r.o->allow_defer,
	    .forbid_blackhole = r.o->forbid_blackhole, .forbid_include = r.o->forbid_include,
	    .skip_errors = r.o->skip_syntax_errors, .incoming_domain = ad->view.domain,
	    .include_directory = r.o->include_directory.text, .include = read_include, .arg = &r,
	    .allow_literal = job->config->main.allow_domain_literals, .allow_utf8 = job->message && job->message->smtputf8,
	    .strip_dot = job->config->main.strip_trailing_dot};
	if (!qualify_with(&r, &rules.qualify_domain))
		return ROUTE_DECLINE;
	struct redirect_result res;
	redirect_parse(job->arena, data, &rules, &res);
	return answer(&r, &res);
}

extern const struct router_driver router_redirect;
const struct router_driver router_redirect = {
	.info = {.name = "redirect", .options = rows, .option_count = countof(rows),
	    .options_size = sizeof(struct redirect_options), .check = redirect_check},
	.run = redirect_run,
	.repeat_use = redirect_repeat_use,
};
