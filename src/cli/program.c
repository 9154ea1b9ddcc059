/* SPDX-License-Identifier: Apache-2.0
 * From a bare process to a world with a configuration. The order matters: the files are read with
 * the privilege the caller may use (manual 5 -C, -D), the agent is forked while we are still
 * root, and only then is root given up. */
#include "cli/program.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "build_config.h"
#include "daemon/proc_agent.h"
#include "daemon/schema.h"
#include "base/banned.h"

void program_say(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fputs("exim: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

/* Entries before the log is configured go to standard error; a configuration that cannot be read
 * is also put into the panic log of the compiled-in spool directory, as Exim does. */
static void report_config_error(struct program *p, const struct why *why)
{
	log_write(p->world.env.log, LOGTO_PANIC, STR_NONE, "%s", why->text);
}

static void default_paths(struct program *p)
{
	struct cli_args *args = p->args;
	struct str rest = STR(EXIMIUS_CONFIGURE_FILE);
	while (str_is_set(rest) && args->config_count + 1 < countof(args->config_paths)) {
		struct str item = str_trim(str_cut(rest, ':', &rest));
		if (item.len)
			args->config_paths[args->config_count++] = str_cstr(p->arena, item);
	}
}

/* Manual 5, -C and -D: a caller who is neither root nor the mail user loses privilege for them,
 * unless the file is the one that is used anyway. */
static bool limit_caller(struct program *p)
{
	bool foreign = p->args->config_count > 0 || p->args->define_count > 0;
	if (!foreign || p->id.real_uid == 0 || !p->id.root)
		return true;
	struct why why;
	p->source.check_owner = false;
	if (!privilege_become(p->id.real_uid, p->id.real_gid, true, &why)) {
		program_say("%s", why.text);
		return false;
	}
	p->id.root = false;
	return true;
}

static bool parse(struct program *p, struct why *why)
{
	struct str text, path;
	if (config_gather(&p->source, p->arena, &text, &path, why) != ST_OK)
		return false;
	p->world.config = config_parse(&p->schema, &p->world.env, text, path, &p->source, why);
	return p->world.config != NULL;
}

bool program_load(struct program *p)
{
	struct why why = {0};
	struct env *env = &p->world.env;
	p->source.check_owner = true;
	if (!limit_caller(p))
		return false;
	if (p->args->config_count == 0)
		default_paths(p);
	eximius_schema(&p->schema);
	p->source.show_macros = p->args->debug_set && p->args->mode == MODE_EXPAND;
	p->source.paths = p->args->config_paths;
	p->source.defines = p->args->defines;
	p->source.schema = &p->schema;
	p->source.exim_uid = p->source.exim_gid = -1;
	if (!parse(p, &why)) {
		report_config_error(p, &why);
		return false;
	}
	const struct config *c = p->world.config;
	env->exim_uid = c->exim_uid;
	env->exim_gid = c->exim_gid;
	env->real_uid = p->id.real_uid;
	env->real_gid = p->id.real_gid;
	env->privileged = p->id.root;
	identity_judge(&p->id, c);
	world_configure_log(&p->world);
	return privilege_clean_environment(c, env, &why);
}

static bool start_agent(struct program *p, struct why *why)
{
	if (p->agent_started)
		return true;
	if (!agent_process_start(&p->world, why))
		return false;
	p->agent_started = true;
	return true;
}

bool program_become(struct program *p, enum program_role role)
{
	struct why why = {0};
	const struct config *c = p->world.config;
	bool ok = true;
	if (role == ROLE_EXIM_WITH_AGENT)
		ok = start_agent(p, &why);
	if (ok && role == ROLE_CALLER && p->id.set_id)
		ok = privilege_become(p->id.real_uid, p->id.real_gid, true, &why);
	if (ok && (role == ROLE_EXIM || role == ROLE_EXIM_WITH_AGENT) && p->id.root)
		ok = privilege_become(c->exim_uid, c->exim_gid, true, &why);
	if (!ok)
		program_say("%s", why.text);
	return ok;
}

bool program_open(struct program *p, unsigned parts)
{
	struct why why = {0};
	if (world_open(&p->world, parts, &why))
		return true;
	log_write(p->world.env.log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "%s", why.text);
	program_say("%s", why.text);
	return false;
}

bool program_needs_admin(struct program *p)
{
	if (p->id.admin)
		return true;
	program_say("permission denied");
	return false;
}
