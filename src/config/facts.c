/* SPDX-License-Identifier: Apache-2.0
 * What is computed when a configuration has been read (manual 14): the name of this host, the
 * domains that qualify addresses, the spool directory, the mail user, the log selector. */
#include "config/config_priv.h"

#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <sys/utsname.h>

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

/* The compiled-in user need not exist on this machine: then the first of these that does. */
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
		if (m->exim_group.set)
			c->exim_gid = m->exim_group.id;
	}
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
	c->spool_directory = main_text(&m->spool_directory, STR(EXIMIUS_SPOOL_DIRECTORY));
	if (!expanded(r, "spool_directory", &c->spool_directory))
		return false;
	log_selector_default(c->log_selector);
	return log_selector_parse(m->log_selector.text, c->log_selector, r->why);
}
