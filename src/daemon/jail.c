/* SPDX-License-Identifier: Apache-2.0
 * What a jailed process may open: the spool and the log folder (write), the system's read-only
 * folders (libraries, resolver, time zones, certificates), and each folder that the configuration
 * text names: a path that is not constant opens its longest constant folder for reading. */
#include "daemon/jail.h"

#include <string.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "daemon/privilege.h"
#include "base/sandbox.h"
#include "base/banned.h"

#define PATHS_MAX 256

struct paths {
	struct arena *arena;
	struct sandbox_path list[PATHS_MAX];
	size_t count;
};

static void add(struct paths *p, const char *path, int mode)
{
	for (size_t i = 0; i < p->count; i++)
		if (strcmp(p->list[i].path, path) == 0) {
			if (mode == SB_WRITE)
				p->list[i].mode = SB_WRITE;
			return;
		}
	if (p->count < PATHS_MAX)
		p->list[p->count++] = (struct sandbox_path){.path = path, .mode = mode};
}

static bool path_char(int c)
{
	return ch_alnum(c) || c == '/' || c == '.' || c == '_' || c == '-' || c == '+' || c == '@' || c == ',';
}

/* A path in the configuration's text: the file's folder, so that a file that is replaced by
 * renaming (as lsearch files are) stays reachable; a folder itself when it is one. */
static void add_from_text(struct paths *p, struct str word, bool constant)
{
	struct stat st;
	char *path = str_cstr(p->arena, word);
	if (constant && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		add(p, path, SB_READ);
		return;
	}
	char *slash = strrchr(path, '/');
	while (slash && slash != path) {
		*slash = 0;
		if (stat(path, &st) == 0) {
			add(p, path, S_ISDIR(st.st_mode) ? SB_READ : SB_READ);
			return;
		}
		slash = strrchr(path, '/');
	}
}

static void scan_text(struct paths *p, struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.p[i] != '/' || (i && path_char((unsigned char)text.p[i - 1])))
			continue;
		uint32_t from = i;
		while (i < text.len && path_char((unsigned char)text.p[i]))
			i++;
		bool constant = i == text.len || (text.p[i] != '$' && text.p[i] != '{');
		if (i - from > 1)
			add_from_text(p, str_sub(text, from, i - from), constant);
	}
}

static const char *const system_paths[] = {"/etc", "/usr", "/lib", "/lib64", "/run", "/dev/null", "/dev/urandom",
    "/proc/loadavg", "/proc/meminfo", "/proc/self", "/sys/devices/system/cpu", "/var/run", "/var/lib"};

bool jail_enter(struct world *w, enum jail_kind kind, struct why *why)
{
	const struct config *c = w->config;
	struct paths *p = arena_new_of(w->arena, struct paths);
	p->arena = w->arena;
	add(p, str_cstr(p->arena, c->spool_directory), SB_WRITE);
	for (size_t i = 0; i < countof(system_paths); i++)
		add(p, system_paths[i], SB_READ);
	scan_text(p, c->text);
	struct str log = c->main.log_file_path.text;
	if (str_is_set(log) && str_chr(log, '/') >= 0) {
		struct str path = str_from(log, (size_t)str_chr(log, '/'));
		add(p, str_cstr(p->arena, str_sub(path, 0, (size_t)str_rchr(path, '/'))), SB_WRITE);
	}
	bool runs = str_find(c->text, STR("${run")) >= 0;
	struct sandbox s = {.paths = p->list,
	    .count = p->count,
	    .may_exec = runs,
	    .may_fork = runs,
	    .may_network_listen = kind == JAIL_RECEIVER,
	    .may_connect = true};
	if (w->env.privileged && !privilege_become(c->exim_uid, c->exim_gid, true, why))
		return false;
	w->env.privileged = false;
	return sandbox_enter(&s, why) == ST_OK;
}
