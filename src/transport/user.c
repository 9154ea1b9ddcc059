/* SPDX-License-Identifier: Apache-2.0
 * Who a local delivery runs as, and where (manual 23): each of uid, gid, home and current
 * directory from the first place that sets it. */
#include "transport/local.h"
#include "transport/steps.h"

#include <grp.h>
#include <pwd.h>

#include "base/banned.h"

static bool named_user(struct delivery *d, struct str name, int32_t *uid, int32_t *gid)
{
	struct passwd pw, *found = NULL;
	char *buf = arena_alloc(d->arena, 16384);
	if (getpwnam_r(str_cstr(d->arena, name), &pw, buf, 16384, &found) != 0 || !found)
		return false;
	*uid = (int32_t)pw.pw_uid;
	*gid = (int32_t)pw.pw_gid;
	return true;
}

static bool named_group(struct delivery *d, struct str name, int32_t *gid)
{
	struct group gr, *found = NULL;
	char *buf = arena_alloc(d->arena, 65536);
	if (getgrnam_r(str_cstr(d->arena, name), &gr, buf, 65536, &found) != 0 || !found)
		return false;
	*gid = (int32_t)gr.gr_gid;
	return true;
}

static bool number(struct str s, int32_t *ret)
{
	uint64_t n;
	if (!str_uint(s, INT32_MAX, &n))
		return false;
	*ret = (int32_t)n;
	return true;
}

/* The transport's own user; *gid stays -1 when it was a number. */
static bool transport_user(struct delivery *d, const struct xuser *u, int32_t *uid, int32_t *gid)
{
	struct str text;
	if (str_empty(u->text.text)) {
		*uid = u->id;
		*gid = u->gid;
		return true;
	}
	if (!option_expand(d, &u->text, "user", &text))
		return false;
	if (number(text, uid) || named_user(d, text, uid, gid))
		return true;
	result_defer(d, DERR_BADUGID, "Failed to find user \"%.*s\" from expanded string \"%.*s\" from the %s transport",
	    STR_ARG(text), STR_ARG(u->text.text), transport_name(d));
	return false;
}

static bool transport_group(struct delivery *d, const struct xuser *g, int32_t *gid)
{
	struct str text;
	if (str_empty(g->text.text)) {
		*gid = g->id;
		return true;
	}
	if (!option_expand(d, &g->text, "group", &text))
		return false;
	if (number(text, gid) || named_group(d, text, gid))
		return true;
	result_defer(d, DERR_BADUGID, "Failed to find group \"%.*s\" from expanded string \"%.*s\" from the %s transport",
	    STR_ARG(text), STR_ARG(g->text.text), transport_name(d));
	return false;
}

static bool never_user(struct delivery *d, int32_t uid)
{
	const struct id_list *never = &d->config->main.never_users;
	for (size_t i = 0; i < never->count; i++) {
		if (never->id[i] != uid)
			continue;
		result_defer(d, DERR_NEVERUSERS, "User %d set for %s transport is on the never_users list", uid, transport_name(d));
		delivery_log(d, LOGTO_MAIN | LOGTO_PANIC, "User %d set for %s transport is on the never_users list", uid,
		    transport_name(d));
		return true;
	}
	return false;
}

static bool choose_ids(struct delivery *d, struct agent_who *who)
{
	const struct transport_generic *g = transport_generic(d);
	const struct transport_driver *driver = transport_driver_of(d->transport);
	const struct address *ad = d->addresses;
	int32_t named_gid = -1;
	who->uid = who->gid = -1;
	if (g->user.set) {
		if (!transport_user(d, &g->user, &who->uid, &named_gid))
			return false;
		who->initgroups = g->initgroups;
	} else if (driver->as_creator && driver->as_creator(d->transport)) {
		who->uid = d->message->uid;
		named_gid = d->message->gid;
	} else if (ad->uid_set) {
		who->uid = ad->uid;
		who->initgroups = ad->initgroups;
	} else {
		who->uid = d->config->exim_uid;
		named_gid = d->config->exim_gid;
		who->initgroups = g->initgroups;
	}
	if (g->group.set) {
		if (!transport_group(d, &g->group, &who->gid))
			return false;
	} else if (ad->gid_set) {
		who->gid = ad->gid;
	} else {
		who->gid = named_gid;
	}
	if (who->gid < 0) {
		result_defer(d, DERR_BADUGID, "User set without group for %s transport", transport_name(d));
		return false;
	}
	return !never_user(d, who->uid);
}

/* An absolute directory, expanded unless it is final already. */
static bool directory(struct delivery *d, const struct xstr *own, struct str from_router, bool final, const char *what, struct str *ret)
{
	struct xstr x = own->text.p ? *own : (struct xstr){.text = from_router};
	*ret = STR_NONE;
	if (str_empty(x.text))
		return true;
	if (!own->text.p && final) {
		*ret = from_router;
	} else if (expand(d->eval, &x, ret) != EXPAND_OK) {
		result_defer(d, DERR_UNKNOWN, "%s directory \"%.*s\" failed to expand for %s transport: %.*s", what, STR_ARG(x.text),
		    transport_name(d), STR_ARG(d->eval->lx.error));
		return false;
	}
	if (ret->len && ret->p[0] != '/') {
		result_defer(d, DERR_NOTABSOLUTE, "%s directory path \"%.*s\" is not absolute for %s transport", what, STR_ARG(*ret),
		    transport_name(d));
		return false;
	}
	return true;
}

bool local_who(struct delivery *d, struct agent_who *ret)
{
	const struct transport_generic *g = transport_generic(d);
	struct address *ad = d->addresses;
	*ret = (struct agent_who){.umask = 077};
	if (!choose_ids(d, ret))
		return false;
	if (!directory(d, &g->home_directory, ad->home, ad->home_expanded, "home", &ret->home))
		return false;
	for (struct address *p = ad; p; p = p->next) {
		p->view.home = ret->home;
		p->view.uid = ret->uid;
		p->view.gid = ret->gid;
	}
	((struct addr_view *)d->eval->space[SPACE_ADDRESS])->home = ret->home;
	if (!directory(d, &g->current_directory, ad->current, false, "current", &ret->cwd))
		return false;
	if (str_empty(ret->cwd))
		ret->cwd = str_empty(ret->home) ? STR("/") : ret->home;
	return true;
}
