/* SPDX-License-Identifier: Apache-2.0
 * A client has connected (manual 14: host_lookup, host_reject_connection, smtp_accept_*; 44.5
 * acl_smtp_connect; 49.1): may it stay, and what banner does it see. */
#include "receive/receive_priv.h"

#include <stdlib.h>

#include "base/banned.h"

struct str rs_hostname(struct receive_session *rs)
{
	return str_empty(rs->peer.active_hostname) ? rs->cfg->primary_hostname : rs->peer.active_hostname;
}

bool rs_early_pipelining(struct receive_session *rs)
{
	if (rs->batch || str_empty(rs->peer.host_address) || rs->tls_on_connect)
		return false;
	return rs_host_in(rs, &rs->cfg->main.pipelining_connect_advertise_hosts);
}

/* smtp_bare_newline: a list of "treatment" words per host is not needed: the option expands. */
void rs_choose_bare(struct receive_session *rs)
{
	static const struct {
		const char *word;
		enum bare_newline bare;
	} words[] = {{"reject", BARE_REJECT}, {"space", BARE_SPACE}, {"normalize", BARE_NORMALIZE}, {"exim", BARE_EXIM}};
	struct smtp_server_opts *so = smtp_session_opts(rs->smtp);
	struct str word;
	if (so->local || !rs_expand(rs, &rs->cfg->main.smtp_bare_newline, STR("reject"), &word))
		return;
	word = str_trim(word);
	for (size_t i = 0; i < countof(words); i++)
		if (str_ieqc(word, words[i].word)) {
			so->bare = words[i].bare;
			return;
		}
	rs_log(rs, LOGTO_MAIN | LOGTO_PANIC, "smtp_bare_newline is \"%.*s\": it must be reject, space, normalize or exim", STR_ARG(word));
}

static void log_connection(struct receive_session *rs)
{
	if (!config_logs(rs->cfg, LOGSEL_SMTP_CONNECTION) || rs_host_in(rs, &rs->cfg->main.hosts_connection_nolog))
		return;
	if (rs->local || rs->inetd || rs->test_host)
		rs_log(rs, LOGTO_MAIN, "SMTP connection from %.*s%s", STR_ARG(rs_from(rs)), rs->inetd ? " (via inetd)" : "");
	else
		rs_log(rs, LOGTO_MAIN, "SMTP connection from %.*s (TCP/IP connection count = %u)", STR_ARG(rs_from(rs)), rs->connections);
}

static struct smtp_answer refused(struct receive_session *rs, int code, const char *text, const char *why)
{
	if (config_logs(rs->cfg, LOGSEL_CONNECTION_REJECT))
		rs_log(rs, LOGTO_MAIN, "Connection from %.*s refused: %s", STR_ARG(rs_from(rs)), why);
	struct smtp_answer a = answer(code, text);
	a.drop = true;
	return a;
}

static bool host_limit_passed(struct receive_session *rs)
{
	int64_t most;
	if (!str_is_set(rs->cfg->main.smtp_accept_max_per_host.text))
		return false;
	return rs_expand_size(rs, &rs->cfg->main.smtp_accept_max_per_host, 0, &most) && most > 0 && rs->from_host > most;
}

/* smtp_accept_max, smtp_accept_reserve, smtp_load_reserve: `connections` counts this one. */
static bool over_limits(struct receive_session *rs, struct smtp_answer *ret)
{
	const struct main_options *m = &rs->cfg->main;
	char why[120];
	double load = 0;
	if (m->smtp_accept_max > 0 && rs->connections > (unsigned)m->smtp_accept_max) {
		*ret = refused(rs, 421, "Too many concurrent SMTP connections; please try again later.", "too many connections");
		return true;
	}
	bool reserved = m->smtp_accept_max > 0 && m->smtp_accept_reserve > 0 &&
	    rs->connections > (unsigned)(m->smtp_accept_max - m->smtp_accept_reserve);
	if (reserved && !rs_host_in(rs, &m->smtp_reserve_hosts)) {
		(void)snprintf(why, sizeof why, "not in reserve list: connected=%u max=%d reserve=%d", rs->connections - 1,
		    m->smtp_accept_max, m->smtp_accept_reserve);
		*ret = refused(rs, 421, "Too many concurrent SMTP connections; please try again later.", why);
		return true;
	}
	if (m->smtp_load_reserve > 0 && getloadavg(&load, 1) == 1 && load * 1000 > m->smtp_load_reserve &&
	    !rs_host_in(rs, &m->smtp_reserve_hosts)) {
		(void)snprintf(why, sizeof why, "not in reserve list and load average = %.2f", load);
		*ret = refused(rs, 421, "Too much load; please try again later.", why);
		return true;
	}
	if (host_limit_passed(rs)) {
		*ret = refused(rs, 421, "Too many concurrent SMTP connections from this IP address; please try again later.",
		    "too many connections from that IP address");
		return true;
	}
	return false;
}

static void look_up_name(struct receive_session *rs)
{
	struct peer *p = &rs->peer;
	if (!str_empty(p->host_name) || !rs_host_in(rs, &rs->cfg->main.host_lookup))
		return;
	struct moment mo;
	moment_open(&mo, rs);
	if (str_empty(p->host_name) && !p->host_lookup_failed)
		match_lookup_peer_name(&mo.ev.lx);
	rs_keep_peer(rs);
	if (str_empty(p->host_name) && config_logs(rs->cfg, LOGSEL_HOST_LOOKUP_FAILED))
		rs_log(rs, LOGTO_MAIN, "no host name found for IP address %.*s", STR_ARG(p->host_address));
	rs_set_rcvhost(rs);
}

static struct smtp_answer banner(struct receive_session *rs)
{
	struct str text;
	if (!rs_expand(rs, &rs->cfg->main.smtp_banner, STR(""), &text)) {
		struct smtp_answer a = answer(421, "Temporary local problem - please try later");
		a.drop = true;
		return a;
	}
	return answer_str(220, text);
}

static struct smtp_answer connect_acl(struct receive_session *rs)
{
	const struct xstr *acl = &rs->cfg->main.acl_smtp_connect;
	struct smtp_answer a = {0};
	if (!str_is_set(acl->text))
		return a;
	struct moment mo;
	moment_open(&mo, rs);
	enum acl_verdict v = rs_acl(rs, &mo, ACL_CONNECT, acl, STR("connection in \"connect\" ACL"), 220, STR_NONE, &a);
	if (v != ACL_OK)
		a.drop = true;
	return a;
}

static bool set_active_hostname(struct receive_session *rs)
{
	struct str name = STR_NONE;
	if (!str_is_set(rs->cfg->main.smtp_active_hostname.text))
		return true;
	if (!rs_expand(rs, &rs->cfg->main.smtp_active_hostname, STR_NONE, &name))
		return false;
	if (!str_empty(name) && !str_eq(name, rs->cfg->primary_hostname))
		rs->peer.active_hostname = str_dup(rs->arena, name);
	return true;
}

struct smtp_answer policy_connect(void *arg)
{
	struct receive_session *rs = arg;
	const struct main_options *m = &rs->cfg->main;
	struct smtp_answer a = {0};
	if (!set_active_hostname(rs)) {
		a = answer(421, "Temporary local problem - please try later");
		a.drop = true;
		return a;
	}
	log_connection(rs);
	if (!str_empty(rs->peer.host_address)) {
		if (!rs->local && !rs->inetd && !rs->test_host && over_limits(rs, &a))
			return a;
		look_up_name(rs);
		if (rs_host_in(rs, &m->host_reject_connection)) {
			if (config_logs(rs->cfg, LOGSEL_CONNECTION_REJECT))
				rs_log(rs, LOGTO_MAIN | LOGTO_REJECT, "refused connection from %.*s (host_reject_connection)", STR_ARG(rs_from(rs)));
			a = answer(554, "SMTP service not available");
			a.drop = true;
			return a;
		}
		rs_ask_ident(rs);
	}
	rs->counted = true;
	if (m->smtp_accept_max_nonmail >= 0 && !rs_host_in(rs, &m->smtp_accept_max_nonmail_hosts))
		smtp_session_opts(rs->smtp)->max_nonmail = -1;
	a = connect_acl(rs);
	if (rs->effects.enforce_sync && !rs->local && !rs->test_host)
		smtp_session_opts(rs->smtp)->enforce_sync = rs->effects.enforce_sync > 0;
	if (a.drop || a.code >= 400 || str_is_set(a.text))
		return a;
	return banner(rs);
}
