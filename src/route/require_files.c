/* SPDX-License-Identifier: Apache-2.0
 * require_files (manual 15): a list of paths that must exist (or, with "!", must not). An item
 * without a slash names the user (and ",group") as whom the following ones are examined; "+" says
 * that "permission denied" means "does not exist". */
#include "route/route_priv.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "base/banned.h"

struct check_as {
	int32_t uid, gid;
};

/* "user" or "user,group"; false: no such user or group. */
static bool parse_user(struct route_job *job, struct str item, struct check_as *as)
{
	struct str group, user = str_trim(str_cut(item, ',', &group));
	char buf[8192];
	uint64_t n;
	if (str_uint(user, INT32_MAX, &n)) {
		as->uid = (int32_t)n;
		as->gid = -1;
	} else {
		struct passwd pw, *found = NULL;
		if (getpwnam_r(str_cstr(job->arena, user), &pw, buf, sizeof buf, &found) != 0 || !found)
			return false;
		as->uid = (int32_t)pw.pw_uid;
		as->gid = (int32_t)pw.pw_gid;
	}
	if (!str_is_set(group))
		return true;
	group = str_trim(group);
	if (str_uint(group, INT32_MAX, &n)) {
		as->gid = (int32_t)n;
		return true;
	}
	struct group gr, *found = NULL;
	if (getgrnam_r(str_cstr(job->arena, group), &gr, buf, sizeof buf, &found) != 0 || !found)
		return false;
	as->gid = (int32_t)gr.gr_gid;
	return true;
}

static enum precond check_path(struct route_job *job, struct address *ad, struct str path, const struct check_as *as)
{
	bool invert = false, eacces_is_absent = false;
	for (; path.len && (path.p[0] == '!' || path.p[0] == '+'); path = str_ltrim(str_from(path, 1))) {
		invert = invert || path.p[0] == '!';
		eacces_is_absent = eacces_is_absent || path.p[0] == '+';
	}
	if (!str_starts(path, "/")) {
		route_defer(job, ad, "require_files: \"%.*s\" is not absolute", STR_ARG(path));
		return PRECOND_DEFER;
	}
	if (!expand_untainted(job->eval, path, "filename in require_files")) {
		route_defer(job, ad, "%.*s", STR_ARG(job->eval->lx.error));
		return PRECOND_DEFER;
	}
	struct user_file uf = {.path = path, .uid = as->uid, .gid = as->gid};
	struct why why;
	int e = 0;
	if (user_file_stat(job->env, job->arena, &uf, &e, &why) != ST_OK) {
		route_defer(job, ad, "require_files: %s", why.text);
		return PRECOND_DEFER;
	}
	if (e != 0 && e != ENOENT && e != ENOTDIR && !(e == EACCES && eacces_is_absent)) {
		ad->basic_errno = e;
		route_defer(job, ad, "require_files: error for %.*s: %s", STR_ARG(path), status_text(ST_ERRNO(e)));
		return PRECOND_DEFER;
	}
	return (e == 0) != invert ? PRECOND_RUN : PRECOND_SKIP;
}

enum precond route_require_files(struct route_job *job, const struct driver_instance *di, struct address *ad)
{
	const struct router_generic *g = router_generic(di);
	struct str rest = g->require_files.text, item, path;
	struct check_as as = {-1, -1};
	int sep = 0;
	while (str_is_set(g->require_files.text) && list_next(job->arena, &rest, &sep, &item)) {
		enum expand_status st = expand_text(job->eval, item, &path);
		if (st == EXPAND_FORCED)
			continue;
		if (st != EXPAND_OK) {
			route_defer(job, ad, "failed to expand \"%.*s\" for require_files: %.*s", STR_ARG(item),
			    STR_ARG(job->eval->lx.error));
			return PRECOND_DEFER;
		}
		path = str_trim(path);
		if (str_empty(path))
			continue;
		if (str_chr(path, '/') < 0 && path.p[0] != '!' && path.p[0] != '+') {
			if (!parse_user(job, path, &as))
				return PRECOND_SKIP;
			continue;
		}
		enum precond p = check_path(job, ad, path, &as);
		if (p != PRECOND_RUN)
			return p;
	}
	return PRECOND_RUN;
}
