/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/privilege.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "expand/expand.h"
#include "lookup/match.h"
#include "base/banned.h"

void identity_read(struct identity *id, struct arena *a)
{
	*id = (struct identity){.real_uid = (int32_t)getuid(),
	    .real_gid = (int32_t)getgid(),
	    .root = geteuid() == 0,
	    .set_id = geteuid() != getuid() || getegid() != getgid()};
	struct passwd pw, *found = NULL;
	char buf[4096];
	if (getpwuid_r((uid_t)id->real_uid, &pw, buf, sizeof buf, &found) == 0 && found) {
		id->login = str_dup(a, str_c(pw.pw_name));
		id->gecos = str_dup(a, str_c(pw.pw_gecos));
		id->home = str_dup(a, str_c(pw.pw_dir));
	}
}

bool identity_in_group(const struct identity *id, int32_t gid)
{
	gid_t groups[256];
	if (gid < 0)
		return false;
	if (id->real_gid == gid)
		return true;
	int n = getgroups((int)countof(groups), groups);
	for (int i = 0; i < n; i++)
		if ((int32_t)groups[i] == gid)
			return true;
	return false;
}

static bool in_ids(const struct id_list *l, int32_t id)
{
	for (size_t i = 0; i < l->count; i++)
		if (l->id[i] == id)
			return true;
	return false;
}

static bool in_any_group(const struct identity *id, const struct id_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		if (identity_in_group(id, l->id[i]))
			return true;
	return false;
}

void identity_judge(struct identity *id, const struct config *cfg)
{
	bool self = id->real_uid == 0 || id->real_uid == cfg->exim_uid;
	id->trusted = self || in_ids(&cfg->main.trusted_users, id->real_uid) ||
		in_any_group(id, &cfg->main.trusted_groups);
	id->admin = self || identity_in_group(id, cfg->exim_gid) || in_any_group(id, &cfg->main.admin_groups);
}

bool privilege_become(int32_t uid, int32_t gid, bool init_groups, struct why *why)
{
	uid_t u = (uid_t)uid;
	gid_t g = (gid_t)gid;
	if (geteuid() == 0) {
		struct passwd pw, *found = NULL;
		char buf[4096];
		bool named = init_groups && getpwuid_r(u, &pw, buf, sizeof buf, &found) == 0 && found;
		if (named ? initgroups(pw.pw_name, g) : setgroups(1, &g)) {
			why_set(why, true, "cannot set groups: %s", status_text(ST_ERRNO(errno)));
			return false;
		}
	}
	if (setresgid(g, g, g) || setresuid(u, u, u)) {
		why_set(why, true, "cannot become uid=%d gid=%d: %s", (int)uid, (int)gid, status_text(ST_ERRNO(errno)));
		return false;
	}
	uid_t ru, eu, su;
	getresuid(&ru, &eu, &su);
	must(ru == u && eu == u && su == u);
	if (u != 0)
		must(setuid(0) != 0);
	return true;
}

void privilege_clean_process(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			_exit(71); /* EX_OSERR: no descriptor can be trusted */
	DIR *d = opendir("/proc/self/fd");
	if (d) {
		int own = dirfd(d);
		for (struct dirent *e; (e = readdir(d));) {
			uint64_t fd;
			if (str_uint(str_c(e->d_name), 1 << 20, &fd) && fd > 2 && (int)fd != own)
				close((int)fd);
		}
		closedir(d);
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGALRM, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
}

static bool kept(struct eval *ev, const struct xstr *keep, const char *name)
{
	struct str rest = keep->text;
	if (str_empty(rest))
		return false;
	return match_list_text(&ev->lx, LIST_KINDS, rest, str_c(name), 0, NULL) == MATCH_YES;
}

bool privilege_clean_environment(const struct config *cfg, struct env *env, struct why *why)
{
	(void)why;
	struct arena_mark mark = arena_mark(env->scratch);
	struct eval ev;
	eval_init(&ev, cfg, env, env->scratch);
	extern char **environ;
	char *drop[1024];
	size_t drops = 0;
	for (char **e = environ; e && *e && drops < countof(drop); e++) {
		char *eq = strchr(*e, '=');
		char *name = arena_cstr(env->scratch, *e, eq ? (size_t)(eq - *e) : strlen(*e));
		if (!kept(&ev, &cfg->main.keep_environment, name))
			drop[drops++] = name;
	}
	for (size_t i = 0; i < drops; i++)
		unsetenv(drop[i]);
	struct str rest = cfg->main.add_environment.text, item;
	int sep = 0;
	while (str_is_set(rest) && list_next(env->scratch, &rest, &sep, &item)) {
		struct str value;
		struct str name = str_cut(item, '=', &value);
		if (name.len && str_is_set(value))
			setenv(str_cstr(env->scratch, name), str_cstr(env->scratch, value), 1);
	}
	if (str_is_set(cfg->main.timezone.text) && cfg->main.timezone.text.len)
		setenv("TZ", str_cstr(env->scratch, cfg->main.timezone.text), 1);
	else if (str_is_set(cfg->main.timezone.text))
		unsetenv("TZ");
	tzset();
	arena_release(env->scratch, mark);
	return true;
}
