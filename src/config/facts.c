/* SPDX-License-Identifier: Apache-2.0
 * What is computed when a configuration has been read (manual 14): the name of this host, the
 * domains that qualify addresses, the spool directory, the mail user, the log selector. */
#include "config/config_priv.h"

#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/utsname.h>
#include <syslog.h>

#include "build_config.h"

#include "base/banned.h"

/* Manual 14, primary_hostname: uname()'s name; if it has no dot, what the system's resolver makes
 * of it. */
static struct str this_host(struct arena *a)
{
	struct utsname un;
	if (uname(&un) != 0)
		return STR("localhost");
	struct str name = str_dup(a, str_c(un.nodename));
	if (str_chr(name, '.') >= 0)
		return name;
	struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM}, *found = NULL;
	if (getaddrinfo(un.nodename, NULL, &hints, &found) != 0)
		return name;
	if (found && found->ai_canonname && strchr(found->ai_canonname, '.'))
		name = str_dup(a, str_c(found->ai_canonname));
	freeaddrinfo(found);
	return name;
}

static struct str main_text(const struct xstr *x, struct str otherwise)
{
	return x->text.len > 0 ? x->text : otherwise;
}

static bool expanded(struct reading *r, const char *option, struct str *text)
{
	const struct config_schema *s = r->cfg->schema;
	struct why why = {0};
	if (str_chr(*text, '$') < 0)
		return true;
	if (!s->expand_now)
		return config_error(r->why, "failed to expand %s \"%.*s\": expansion is not available here", option, STR_ARG(*text));
	return s->expand_now(r->cfg, r->env, r->cfg->arena, *text, text, &why) ||
	    config_error(r->why, "failed to expand %s \"%.*s\": %s", option, STR_ARG(*text), why.text);
}

/* Manual 14: exim_group counts only where exim_user is set too, and is that user's if it is not.
 * The compiled-in user need not exist on this machine: then the first of these that does. */
static const char *const mail_users[] = {EXIMIUS_USER, "Debian-exim", "exim", "mail", "nobody"};

static void mail_user(struct config *c)
{
	struct main_options *m = &c->main;
	struct passwd pw, *found = NULL;
	struct group gr, *group = NULL;
	enum { ROOM = 65536 };
	char *buf = arena_alloc(c->arena, ROOM), *gbuf = buf + ROOM / 2;
	if (m->exim_user.set) {
		c->exim_uid = m->exim_user.id;
		c->exim_gid = m->exim_group.set ? m->exim_group.id : m->exim_user.gid;
	} else {
		for (size_t i = 0; i < countof(mail_users) && !found; i++)
			if (getpwnam_r(mail_users[i], &pw, buf, ROOM / 2, &found) != 0)
				found = NULL;
		c->exim_uid = found ? (int32_t)found->pw_uid : 65534;
		c->exim_gid = found ? (int32_t)found->pw_gid : 65534;
		if (found && strcmp(found->pw_name, EXIMIUS_USER) == 0 &&
		    getgrnam_r(EXIMIUS_GROUP, &gr, gbuf, ROOM / 2, &group) == 0 && group)
			c->exim_gid = (int32_t)group->gr_gid;
	}
	found = NULL;
	if (getpwuid_r((uid_t)c->exim_uid, &pw, buf, ROOM / 2, &found) != 0 || !found)
		c->exim_user_name = str_printf(c->arena, "%d", c->exim_uid);
	else
		c->exim_user_name = str_dup(c->arena, str_c(found->pw_name));
}

/* Where log files go when log_file_path does not say: what was compiled in, or in the spool (manual 53.1). */
static struct str default_log_path(struct config *c)
{
	struct str built_in = STR(EXIMIUS_LOG_FILE_PATH);
	return built_in.len ? built_in : str_cat(c->arena, c->spool_directory, STR("/log/%slog"));
}

/* One item of log_file_path: empty, "syslog", or a path with one %s and perhaps %D or %M. */
static bool log_path_ok(struct reading *r, struct str item)
{
	if (item.len == 0 || str_eqc(item, "syslog"))
		return true;
	size_t names = 0;
	for (size_t i = 0; i < item.len; i++) {
		if (item.p[i] != '%')
			continue;
		char c = i + 1 < item.len ? item.p[i + 1] : ' ';
		names += c == 's';
		if ((c != 's' && c != 'D' && c != 'M') || names > 1) {
			why_set(r->why, false, "log_file_path \"%.*s\" contains unexpected \"%%\" character", STR_ARG(item));
			return false;
		}
	}
	if (names == 0)
		why_set(r->why, false, "log_file_path \"%.*s\" does not contain \"%%s\"", STR_ARG(item));
	return names == 1;
}

static bool log_files(struct reading *r)
{
	struct config *c = r->cfg;
	c->log_file_path = main_text(&c->main.log_file_path, default_log_path(c));
	if (!expanded(r, "log_file_path", &c->log_file_path))
		return false;
	struct str rest = c->log_file_path;
	while (str_is_set(rest))
		if (!log_path_ok(r, str_trim(str_cut(rest, ':', &rest))))
			return false;
	return true;
}

static bool paths(struct reading *r)
{
	struct config *c = r->cfg;
	const struct main_options *m = &c->main;
	c->spool_directory = main_text(&m->spool_directory, STR(EXIMIUS_SPOOL_DIRECTORY));
	if (!expanded(r, "spool_directory", &c->spool_directory) || !log_files(r))
		return false;
	c->pid_file_path = main_text(&m->pid_file_path, str_cat(c->arena, c->spool_directory, STR("/exim-daemon.pid")));
	c->process_log_path = main_text(&m->process_log_path, str_cat(c->arena, c->spool_directory, STR("/exim-process.info")));
	return expanded(r, "pid_file_path", &c->pid_file_path);
}

/* Manual 14: 0 to 16 after expansion. */
static bool localhost_number(struct reading *r)
{
	struct config *c = r->cfg;
	struct str text = c->main.localhost_number.text;
	int64_t n;
	c->localhost_number = -1;
	if (text.len == 0)
		return true;
	if (!expanded(r, "localhost_number", &text))
		return false;
	if (!str_int(str_trim(text), &n))
		return config_error(r->why, "localhost_number value is not a number: %.*s", STR_ARG(text));
	if (n < 0 || n > 16)
		return config_error(r->why, "localhost_number is greater than the maximum allowed value (16)");
	c->localhost_number = (int32_t)n;
	return true;
}

static bool syslog_facility(struct reading *r)
{
	static const struct {
		const char *name;
		int facility;
	} known[] = {{"mail", LOG_MAIL}, {"user", LOG_USER}, {"news", LOG_NEWS}, {"uucp", LOG_UUCP}, {"daemon", LOG_DAEMON},
		{"local0", LOG_LOCAL0}, {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3},
		{"local4", LOG_LOCAL4}, {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}};
	struct str name = r->cfg->main.syslog_facility.text;
	r->cfg->syslog_facility = LOG_MAIL;
	if (name.len == 0)
		return true;
	for (size_t i = 0; i < countof(known); i++)
		if (str_eqc(name, known[i].name)) {
			r->cfg->syslog_facility = known[i].facility;
			return true;
		}
	return config_error(r->why, "failed to interpret syslog_facility \"%.*s\"", STR_ARG(name));
}

bool config_facts(struct reading *r)
{
	struct config *c = r->cfg;
	struct main_options *m = &c->main;
	mail_user(c);
	if (m->exim_user.set && !m->exim_group.set && c->exim_gid < 0)
		return config_error(r->why, "exim_user is set numerically, but exim_group is not set");
	c->primary_hostname = m->primary_hostname.text.len ? m->primary_hostname.text : this_host(c->arena);
	c->qualify_domain = main_text(&m->qualify_domain, c->primary_hostname);
	c->qualify_recipient = main_text(&m->qualify_recipient, c->qualify_domain);
	if (m->smtp_accept_max == 0 && (m->smtp_accept_queue > 0 || m->smtp_accept_max_per_host.text.len > 0))
		return config_error(r->why, "smtp_accept_max must be set if smtp_accept_queue or smtp_accept_max_per_host is set");
	log_selector_default(c->log_selector);
	return paths(r) && localhost_number(r) && syslog_facility(r) &&
	    log_selector_parse(m->log_selector.text, c->log_selector, r->why);
}
