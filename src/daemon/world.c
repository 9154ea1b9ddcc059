/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/world.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "build_config.h"
#include "hints/hints.h"
#include "lookup/lookup.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "transport/transport.h"
#include "base/banned.h"

/* What an empty item of log_file_path stands for (manual 53.1). */
static struct str built_in_log_path(struct world *w)
{
	struct str built_in = STR(EXIMIUS_LOG_FILE_PATH);
	return built_in.len ? built_in : str_cat(w->arena, w->config->spool_directory, STR("/log/%slog"));
}

void world_configure_log(struct world *w)
{
	const struct config *c = w->config;
	const struct main_options *m = &c->main;
	struct log_config lc = {.paths = c->log_file_path,
	    .default_path = built_in_log_path(w),
	    .utc = str_ieqc(m->timezone.text, "utc"),
	    .timezone = m->log_timezone,
	    .millisec = config_logs(c, LOGSEL_MILLISEC),
	    .pid = config_logs(c, LOGSEL_PID),
	    .write_rejectlog = m->write_rejectlog,
	    .syslog_duplication = m->syslog_duplication,
	    .syslog_timestamp = m->syslog_timestamp,
	    .syslog_pid = m->syslog_pid,
	    .syslog_facility = c->syslog_facility,
	    .syslog_name = str_dup(w->arena, m->syslog_processname.text),
	    .uid = c->exim_uid,
	    .gid = c->exim_gid};
	log_configure(w->env.log, &lc);
}

static bool open_spool(struct world *w, struct why *why)
{
	const struct config *c = w->config;
	const struct main_options *m = &c->main;
	struct spool_config sc = {.directory = c->spool_directory,
	    .split = m->split_spool_directory,
	    .wireformat = m->spool_wireformat,
	    .message_logs = m->message_logs,
	    .preserve_message_logs = m->preserve_message_logs,
	    .no_sync = m->disable_fsync,
	    .uid = c->exim_uid,
	    .gid = c->exim_gid,
	    .min_space = m->check_spool_space,
	    .min_inodes = m->check_spool_inodes,
	    .min_log_space = m->check_log_space,
	    .min_log_inodes = m->check_log_inodes,
	    .localhost_number = c->localhost_number};
	sc.log_directory = str_cat(w->arena, c->spool_directory, STR("/log"));
	w->spool = spool_open(&sc, &w->env, why);
	return w->spool != NULL;
}

void world_reconfigure(struct world *w)
{
	const struct main_options *m = &w->config->main;
	if (w->spool)
		spool_set_limits(w->spool, &(struct spool_config){.min_space = m->check_spool_space,
		    .min_inodes = m->check_spool_inodes, .min_log_space = m->check_log_space, .min_log_inodes = m->check_log_inodes});
}

static bool open_resolver(struct world *w, struct why *why)
{
	const struct main_options *m = &w->config->main;
	struct resolver_opts ro = {.retrans_s = m->dns_retrans,
	    .retry = m->dns_retry,
	    .use_edns0 = m->dns_use_edns0 != 0,
	    .dnssec = m->dns_dnssec_ok != 0};
	w->env.resolver = resolver_new(&ro, why);
	return w->env.resolver != NULL;
}

bool world_open(struct world *w, unsigned parts, struct why *why)
{
	unsigned todo = parts & ~w->parts;
	if ((todo & WORLD_SPOOL) && !open_spool(w, why))
		return false;
	if (todo & WORLD_HINTS) {
		char *dir = arena_printf(w->arena, "%.*s/db", STR_ARG(w->config->spool_directory));
		w->env.hints = hints_open(dir, true, why);
		if (!w->env.hints)
			return false;
	}
	if ((todo & WORLD_RESOLVER) && !open_resolver(w, why))
		return false;
	if (todo & WORLD_TLS)
		w->env.tls = tls_pool_new();
	if (todo & WORLD_POOL)
		w->conns = conn_pool_new(&w->env, 200, 5000);
	w->parts |= parts;
	return true;
}

void world_close(struct world *w)
{
	conn_pool_free(w->conns);
	tls_pool_free(w->env.tls);
	if (w->env.resolver)
		resolver_free(w->env.resolver);
	if (w->env.hints)
		hints_close(w->env.hints);
	if (w->spool)
		spool_close(w->spool);
	w->conns = NULL;
	w->env.tls = NULL;
	w->env.resolver = NULL;
	w->env.hints = NULL;
	w->spool = NULL;
	w->parts = 0;
}

void world_thread_env(const struct world *w, struct env *ret)
{
	*ret = w->env;
	ret->scratch = arena_new("scratch", LIMIT_ARENA_SCRATCH, 0, 0);
	ret->lookups = lookup_cache_new();
}

void world_thread_env_done(struct env *env)
{
	lookup_cache_free(env->lookups);
	arena_free(env->scratch);
}
