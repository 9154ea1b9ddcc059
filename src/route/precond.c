/* SPDX-License-Identifier: Apache-2.0
 * The preconditions of a router in the order of manual 3.12. They also set what the router and the
 * transport see: affixes, $domain_data, $local_part_data, $home, the local user's ids. */
#include "route/route_priv.h"

#include <pwd.h>
#include <unistd.h>

#include "base/banned.h"

/* --- Affixes --------------------------------------------------------------------------------- */
/* Length of the affix of `local` by one list item, or -1; *ret_wild: what "*" stood for. */
static ptrdiff_t prefix_len(struct str local, struct str item, struct str *ret_wild)
{
	*ret_wild = STR_NONE;
	if (str_empty(item) || item.p[0] != '*') {
		return item.len <= local.len && str_ieq(str_sub(local, 0, item.len), item) ? (ptrdiff_t)item.len : -1;
	}
	struct str mark = str_from(item, 1);
	for (size_t at = local.len >= mark.len ? local.len - mark.len + 1 : 0; at-- > 0;)
		if (str_ieq(str_sub(local, at, mark.len), mark)) {
			*ret_wild = str_sub(local, 0, at);
			return (ptrdiff_t)(at + mark.len);
		}
	return -1;
}

static ptrdiff_t suffix_len(struct str local, struct str item, struct str *ret_wild)
{
	*ret_wild = STR_NONE;
	if (str_empty(item) || item.p[item.len - 1] != '*') {
		return item.len <= local.len && str_ieq(str_from(local, local.len - item.len), item) ? (ptrdiff_t)item.len : -1;
	}
	struct str mark = str_sub(item, 0, item.len - 1);
	for (size_t at = 0; at + mark.len <= local.len; at++)
		if (str_ieq(str_sub(local, at, mark.len), mark)) {
			*ret_wild = str_from(local, at + mark.len);
			return (ptrdiff_t)(local.len - at);
		}
	return -1;
}

static ptrdiff_t affix_find(struct arena *a, struct str list, struct str local,
    ptrdiff_t (*len)(struct str, struct str, struct str *), struct str *ret_wild)
{
	struct str item;
	int sep = 0;
	while (list_next(a, &list, &sep, &item)) {
		ptrdiff_t n = len(local, item, ret_wild);
		if (n >= 0)
			return n;
	}
	return -1;
}

static enum precond affixes(struct route_job *job, const struct router_generic *g, struct address *ad)
{
	struct addr_view *v = &ad->view;
	struct str local = g->caseful_local_part ? ad->cc_local_part : ad->lc_local_part, wild;
	v->local_part_prefix = v->local_part_prefix_v = v->local_part_suffix = v->local_part_suffix_v = STR_NONE;
	if (str_is_set(g->local_part_prefix.text)) {
		ptrdiff_t n = affix_find(job->arena, g->local_part_prefix.text, local, prefix_len, &wild);
		if (n < 0 && !g->local_part_prefix_optional)
			return PRECOND_SKIP;
		if (n > 0) {
			v->local_part_prefix = str_sub(local, 0, (size_t)n);
			v->local_part_prefix_v = wild;
			local = str_from(local, (size_t)n);
		}
	}
	if (str_is_set(g->local_part_suffix.text)) {
		ptrdiff_t n = affix_find(job->arena, g->local_part_suffix.text, local, suffix_len, &wild);
		if (n < 0 && !g->local_part_suffix_optional)
			return PRECOND_SKIP;
		if (n > 0) {
			v->local_part_suffix = str_from(local, local.len - (size_t)n);
			v->local_part_suffix_v = wild;
			local = str_sub(local, 0, local.len - (size_t)n);
		}
	}
	v->local_part = local;
	return PRECOND_RUN;
}

/* --- What the routing is for ----------------------------------------------------------------- */
static bool wanted_for(const struct route_job *job, const struct router_generic *g)
{
	switch (job->purpose) {
	case ROUTE_DELIVER: return !g->verify_only;
	case ROUTE_TEST: return g->address_test && !g->verify_only;
	case ROUTE_VERIFY_EXPN: return g->expn && !g->verify_only;
	case ROUTE_VERIFY_RECIPIENT: return g->verify_recipient;
	case ROUTE_VERIFY_SENDER: return g->verify_sender;
	}
	return false;
}

/* --- Lists ----------------------------------------------------------------------------------- */
static enum precond of_match(struct route_job *job, struct address *ad, enum match_result m, const char *what)
{
	if (m == MATCH_DEFER)
		route_defer(job, ad, "%s check lookup or other defer", what);
	return m == MATCH_YES ? PRECOND_RUN : m == MATCH_NO ? PRECOND_SKIP : PRECOND_DEFER;
}

static enum precond lists(struct route_job *job, const struct router_generic *g, struct address *ad)
{
	struct addr_view *v = &ad->view;
	struct lookup_context *lx = &job->eval->lx;
	unsigned flags = g->caseful_local_part ? 0 : MATCH_CASELESS_LOCAL;
	enum precond p;
	if (str_is_set(g->domains.text)) {
		struct str data = STR_NONE;
		p = of_match(job, ad, match_domain(lx, &g->domains, v->domain, 0, &data), "domains");
		if (p != PRECOND_RUN)
			return p;
		v->domain_data = data;
	}
	if (str_is_set(g->local_parts.text)) {
		struct str data = STR_NONE;
		p = of_match(job, ad, match_local_part(lx, &g->local_parts, v->local_part, flags, &data), "local_parts");
		if (p != PRECOND_RUN)
			return p;
		v->local_part_data = data;
	}
	return PRECOND_RUN;
}

/* --- check_local_user, router_home_directory ------------------------------------------------- */
static enum precond local_user(struct route_job *job, const struct router_generic *g, struct address *ad)
{
	struct addr_view *v = &ad->view;
	struct passwd pw, *found = NULL;
	char buf[4096], name[256];
	int max = job->config->main.max_username_length;
	size_t len = v->local_part.len;
	if (max > 0 && len > (size_t)max)
		len = (size_t)max;
	if (len == 0 || len >= sizeof name || memchr(v->local_part.p, '\0', len))
		return PRECOND_SKIP;
	memcpy(name, v->local_part.p, len);
	name[len] = '\0';
	int e = 0;
	for (int32_t tries = 0;; tries++) {
		e = getpwnam_r(name, &pw, buf, sizeof buf, &found);
		if ((e == 0 && found) || tries >= job->config->main.finduser_retries)
			break;
		sleep(1); /* Exim: finduser_retries waits a second between tries (manual 14) */
	}
	if (!found)
		return PRECOND_SKIP;
	v->uid = pw.pw_uid;
	v->gid = pw.pw_gid;
	v->local_part_data = str_dup(job->arena, str_c(pw.pw_name));
	v->home = str_dup(job->arena, str_c(pw.pw_dir));
	ad->home = v->home;
	ad->home_expanded = true;
	return PRECOND_RUN;
}

static enum precond home_directory(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	if (!str_is_set(g->router_home_directory.text))
		return PRECOND_RUN;
	struct str home;
	enum expand_status st = expand(job->eval, &g->router_home_directory, &home);
	if (st == EXPAND_OK) {
		ad->view.home = home;
		return PRECOND_RUN;
	}
	if (st == EXPAND_FORCED)
		return PRECOND_RUN;
	route_defer(job, ad, "failed to expand \"%.*s\" for router_home_directory: %.*s", STR_ARG(g->router_home_directory.text),
	    STR_ARG(job->eval->lx.error));
	return PRECOND_DEFER;
}

static enum precond senders(struct route_job *job, const struct router_generic *g, struct address *ad)
{
	if (!str_is_set(g->senders.text))
		return PRECOND_RUN;
	struct str sender = job->message && job->purpose != ROUTE_VERIFY_SENDER ? job->message->sender : STR("");
	if (!str_is_set(sender))
		sender = STR("");
	return of_match(job, ad, match_address(&job->eval->lx, &g->senders, sender, MATCH_SENDER | MATCH_CASELESS_LOCAL, NULL), "senders");
}

static enum precond condition(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	if (!str_is_set(g->condition.text))
		return PRECOND_RUN;
	bool yes = false;
	enum expand_status st = expand_condition(job->eval, &g->condition, &yes);
	if (st == EXPAND_OK || st == EXPAND_FORCED)
		return st == EXPAND_OK && yes ? PRECOND_RUN : PRECOND_SKIP;
	route_defer(job, ad, "failed to expand condition \"%.*s\" for %.*s router: %.*s", STR_ARG(g->condition.text),
	    STR_ARG(di->name), STR_ARG(job->eval->lx.error));
	return PRECOND_DEFER;
}

static void debug_text(struct route_job *job, const struct router_generic *g)
{
	if (!str_is_set(g->debug_print.text) || (!job->env->debug && job->trace_fd < 0))
		return;
	struct str text;
	if (expand(job->eval, &g->debug_print, &text) != EXPAND_OK)
		text = str_cat(job->arena, STR("failed to expand debug_output: "), job->eval->lx.error);
	dprintf(job->env->debug ? job->env->debug_fd : job->trace_fd, "%.*s%s", STR_ARG(text), str_ends(text, "\n") ? "" : "\n");
}

enum precond route_preconditions(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	enum precond p = affixes(job, g, ad);
	if (p != PRECOND_RUN)
		return p;
	if (!wanted_for(job, g))
		return PRECOND_SKIP;
	if ((p = lists(job, g, ad)) != PRECOND_RUN)
		return p;
	if (g->check_local_user && (p = local_user(job, g, ad)) != PRECOND_RUN)
		return p;
	if ((p = home_directory(job, di, ad)) != PRECOND_RUN)
		return p;
	debug_text(job, g);
	if ((p = senders(job, g, ad)) != PRECOND_RUN)
		return p;
	if ((p = route_require_files(job, di, ad)) != PRECOND_RUN)
		return p;
	return condition(job, di, ad);
}
