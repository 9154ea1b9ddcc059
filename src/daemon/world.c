/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/world.h"

#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/limits.h"
#include "expand/expand.h"
#include "hints/hints.h"
#include "lookup/lookup.h"
#include "net/resolver.h"
#include "net/tls.h"
#include "transport/transport.h"
#include "base/banned.h"

/* An option expanded with nothing but the configuration in sight. */
static bool expand_main(struct world *w, const struct xstr *x, struct str *ret, struct why *why)
{
	struct eval ev;
	eval_init(&ev, w->config, &w->env, w->arena);
	if (expand(&ev, x, ret) == EXPAND_OK) {
		*ret = str_dup(w->arena, *ret);
		return true;
	}
	why_set(why, false, "%.*s", STR_ARG(ev.lx.error));
	return false;
}

static const struct {
	const char *name;
	int value;
} facilities[] = {{"mail", LOG_MAIL}, {"user", LOG_USER}, {"news", LOG_NEWS}, {"uucp", LOG_UUCP}, {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}, {"daemon", LOG_DAEMON}};

static int facility_of(struct str name)
{
	for (size_t i = 0; i < countof(facilities); i++)
		if (str_ieqc(name, facilities[i].name))
			return facilities[i].value;
	return LOG_MAIL;
}

bool world_configure_log(struct world *w, struct why *why)
{
	const struct config *c = w->config;
	const struct main_options *m = &c->main;
	struct str paths = STR("");
	if (str_is_set(m->log_file_path.text) && !expand_main(w, &m->log_file_path, &paths, why)) {
		why_prefix(why, "failed to expand log_file_path: ");
		return false;
	}
	struct log_config lc = {.paths = paths,
	    .default_path = str_cat(w->arena, c->spool_directory, STR("/log/%slog")),
	    .utc = str_ieqc(m->timezone.text, "utc"),
	    .timezone = m->log_timezone,
	    .millisec = config_logs(c, LOGSEL_MILLISEC),
	    .pid = config_logs(c, LOGSEL_PID),
	    .write_rejectlog = m->write_rejectlog,
	    .syslog_duplication = m->syslog_duplication,
	    .syslog_timestamp = m->syslog_timestamp,
	    .syslog_pid = m->syslog_pid,
	    .syslog_facility = facility_of(m->syslog_facility.text),
	    .syslog_name = str_dup(w->arena, m->syslog_processname.text),
	    .uid = c->exim_uid,
	    .gid = c->exim_gid};
	log_configure(w->env.log, &lc);
	return true;
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
	    .localhost_number = -1};
	sc.log_directory = str_cat(w->arena, c->spool_directory, STR("/log"));
	struct str number = STR_NONE;
	if (str_is_set(m->localhost_number.text)) {
		uint64_t n;
		if (!expand_main(w, &m->localhost_number, &number, why) || !str_uint(str_trim(number), 16, &n)) {
			why_set(why, false, "localhost_number is not a number from 0 to 16: %.*s", STR_ARG(number));
			return false;
		}
		sc.localhost_number = (int)n;
	}
	w->spool = spool_open(&sc, &w->env, why);
	return w->spool != NULL;
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
