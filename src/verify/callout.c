/* SPDX-License-Identifier: Apache-2.0
 * Callouts (manual 44.22): is the address taken by a host to which it was routed? The order of a
 * conversation: greeting, EHLO, then up to three transactions of MAIL and one RCPT, with RSET
 * between them: a random local part, the address, the postmaster. A 2xx or 5xx to the RCPT is the
 * answer; with anything else the next host is asked, until the overall time is up.
 *
 * What is told on failure: user_message for the client (lines "Called:", "Sent:", "Response:" for
 * a sender; the response for a recipient), log_message with the host and the step. */
#include "verify/verify_priv.h"
#include "base/limits.h"
#include "message/address.h"
#include "net/stream.h"
#include "smtp/client.h"
#include "base/banned.h"

enum step { STEP_OK, STEP_REFUSED, STEP_AGAIN };

struct callout {
	struct eval *ev;
	const struct verify_opts *o;
	struct verify_answer *ret;
	struct address *ad;
	struct str address, domain, from, key; /* key: of the address's cache record */
	struct callout_domain known;
	bool domain_changed, cache;
	int64_t timeout_ms, connect_ms, until_ms;
	const struct route_host *host;
	struct smtp_client client;
	const char *sent; /* the command that `reply` answers */
	struct str last_error; /* of the host that could not say */
};

static bool sender(const struct callout *c)
{
	return (c->o->flags & VERIFY_SENDER) != 0;
}

static struct str host_words(const struct callout *c)
{
	return str_printf(c->ev->lx.arena, "%.*s [%.*s]", STR_ARG(c->host->name), STR_ARG(c->host->address));
}

/* Remember why this host gave no answer. */
static enum step again(struct callout *c, const struct smtp_reply *r)
{
	struct arena *a = c->ev->lx.arena;

	if (r->code == 0)
		c->last_error = str_printf(a, "%.*s : %s after %s", STR_ARG(host_words(c)),
		    r->st == ST_TIMEOUT ? "SMTP timeout" : r->st == ST_EOF ? "Remote host closed connection" : "SMTP error", c->sent);
	else
		c->last_error = str_printf(a, "%.*s : SMTP error from remote mail server after %s: %.*s", STR_ARG(host_words(c)), c->sent,
		    STR_ARG(r->text));
	return STEP_AGAIN;
}

static enum step refused(struct callout *c, const struct smtp_reply *r, const char *kind, bool quote_command)
{
	struct arena *a = c->ev->lx.arena;

	c->ret->failure_kind = str_c(kind);
	c->ret->callout_address = c->host->address;
	c->ret->user_message = sender(c)
	    ? str_printf(a, "Called:   %.*s\nSent:     %s\nResponse: %.*s", STR_ARG(c->host->address), c->sent, STR_ARG(r->text))
	    : str_printf(a, "Callout verification failed:\n%.*s", STR_ARG(r->text));
	c->ret->log_message = quote_command
	    ? str_printf(a, "%.*s : response to \"%s\" was: %.*s", STR_ARG(host_words(c)), c->sent, STR_ARG(r->text))
	    : str_printf(a, "%.*s : SMTP error from remote mail server after %s: %.*s", STR_ARG(host_words(c)), c->sent, STR_ARG(r->text));
	return STEP_REFUSED;
}

static struct smtp_reply command(struct callout *c, struct str text)
{
	c->sent = str_cstr(c->ev->lx.arena, text);
	return smtp_client_cmd(&c->client, "%s", c->sent);
}

/* --- Connecting ------------------------------------------------------------------------------- */

static struct str helo_name(struct callout *c)
{
	struct eval *ev = c->ev;
	struct out_view out = {.host = c->host->name, .host_address = c->host->address};
	void *saved = ev->space[SPACE_OUT];
	struct str name;

	ev->space[SPACE_OUT] = &out;
	name = verify_option(ev, c->ad->transport, "helo_data");
	ev->space[SPACE_OUT] = saved;
	if (!str_empty(name))
		return name;
	if (ev->lx.peer && str_is_set(ev->lx.peer->active_hostname))
		return ev->lx.peer->active_hostname;
	return ev->lx.config->primary_hostname;
}

static int port_of(struct callout *c)
{
	struct str port;
	uint64_t n;

	if (c->host->port > 0)
		return c->host->port;
	port = verify_option(c->ev, c->ad->transport, "port");
	if (str_uint(port, 65535, &n) && n > 0)
		return (int)n;
	return str_eqc(verify_option(c->ev, c->ad->transport, "protocol"), "lmtp") || str_ieqc(port, "lmtp") ? 24
	    : str_ieqc(port, "submission") ? 587 : str_ieqc(port, "smtps") || str_ieqc(port, "submissions") ? 465 : 25;
}

static enum step dial(struct callout *c, struct stream **ret)
{
	struct connect_opts co = {.timeout_ms = c->connect_ms, .nodelay = true, .dscp = -1};
	struct str from = verify_option(c->ev, c->ad->transport, "interface"), one;
	struct why why = {0};
	struct ip_addr ip, src;
	enum status st;
	int sep = 0;

	if (!ip_parse(c->host->address, &ip)) {
		c->last_error = str_printf(c->ev->lx.arena, "%.*s : no IP address", STR_ARG(c->host->name));
		return STEP_AGAIN;
	}
	while (!str_empty(from) && list_next(c->ev->lx.arena, &from, &sep, &one))
		if (ip_parse(one, &src) && src.family == ip.family && co.from.family == 0)
			co.from = src;
	st = net_connect(&ip, port_of(c), &co, ret, &why);
	if (st == ST_OK)
		return STEP_OK;
	c->last_error = str_printf(c->ev->lx.arena, "%.*s : %s", STR_ARG(host_words(c)), status_text(st));
	return STEP_AGAIN;
}

/* Greeting and EHLO. A refusal here is of all callouts to the domain. */
static enum step greet(struct callout *c)
{
	struct str name = helo_name(c);
	struct smtp_reply r;

	c->sent = "initial connection";
	r = smtp_client_reply(&c->client);
	if (r.code / 100 == 2) {
		r = smtp_client_hello(&c->client, name);
		c->sent = str_cstr(c->ev->lx.arena, str_cat(c->ev->lx.arena,
		    c->client.lmtp ? STR("LHLO ") : c->client.esmtp ? STR("EHLO ") : STR("HELO "), name));
	}
	if (r.code / 100 == 2)
		return STEP_OK;
	if (r.code / 100 != 5)
		return again(c, &r);
	c->known.result = CACHED_REJECT;
	c->domain_changed = true;
	return refused(c, &r, "mail", false);
}

/* --- Transactions ----------------------------------------------------------------------------- */

static enum step mail(struct callout *c, struct str from, bool first)
{
	struct smtp_reply r;

	if (!first) {
		r = command(c, STR("RSET"));
		if (r.code / 100 != 2)
			return again(c, &r);
	}
	r = command(c, str_cat(c->ev->lx.arena, STR("MAIL FROM:<"), from, STR(">")));
	if (r.code / 100 == 2)
		return STEP_OK;
	if (r.code / 100 != 5)
		return again(c, &r);
	if (str_empty(from)) {
		c->known.result = CACHED_REJECT_NULL;
		c->domain_changed = true;
	}
	return refused(c, &r, "mail", true);
}

static enum step rcpt(struct callout *c, struct str address, const char *kind)
{
	struct smtp_reply r = command(c, str_cat(c->ev->lx.arena, STR("RCPT TO:<"), address, STR(">")));

	if (r.code / 100 == 2)
		return STEP_OK;
	return r.code / 100 == 5 ? refused(c, &r, kind, false) : again(c, &r);
}

/* STEP_OK: everything is taken there, so there is nothing to learn of the address itself. */
static enum step random_probe(struct callout *c)
{
	struct str local;
	enum step s;

	if (expand(c->ev, &c->ev->lx.config->main.callout_random_local_part, &local) != EXPAND_OK || str_empty(local))
		return STEP_REFUSED;
	s = rcpt(c, str_cat(c->ev->lx.arena, local, STR("@"), c->domain), "random");
	if (s == STEP_AGAIN)
		return s;
	c->known.random = s == STEP_OK ? CACHED_ACCEPT : CACHED_REJECT;
	c->known.random_s = clock_s(&c->ev->lx.env->clock);
	c->domain_changed = true;
	*c->ret = (struct verify_answer){.address = c->ret->address, .address_data = c->ret->address_data};
	if (s == STEP_OK)
		c->ret->failure_kind = STR("random");
	return s;
}

static enum step postmaster(struct callout *c)
{
	enum step s = mail(c, str_is_set(c->o->postmaster_mailfrom) ? c->o->postmaster_mailfrom : STR(""), false);

	if (s != STEP_OK)
		return s;
	s = rcpt(c, str_cat(c->ev->lx.arena, STR("postmaster@"), c->domain), "postmaster");
	if (s == STEP_REFUSED && (c->o->flags & VERIFY_FULL_POSTMASTER))
		s = rcpt(c, STR("postmaster"), "postmaster");
	if (s == STEP_AGAIN)
		return s;
	c->known.postmaster = s == STEP_OK ? CACHED_ACCEPT : CACHED_REJECT;
	c->known.postmaster_s = clock_s(&c->ev->lx.env->clock);
	c->domain_changed = true;
	return s;
}

static enum step converse(struct callout *c)
{
	enum step s = greet(c);
	bool first = true;

	if (s == STEP_OK)
		s = mail(c, c->from, first);
	if (s != STEP_OK)
		return s;
	if (c->known.result != CACHED_ACCEPT) {
		c->known.result = CACHED_ACCEPT;
		c->domain_changed = true;
	}
	if ((c->o->flags & VERIFY_RANDOM) && c->known.random == CACHED_UNKNOWN) {
		s = random_probe(c);
		if (s != STEP_REFUSED)
			return s;
		s = mail(c, c->from, false);
		if (s != STEP_OK)
			return s;
	}
	s = rcpt(c, c->address, "recipient");
	if (s != STEP_AGAIN && c->cache)
		callout_address_write(c->ev, c->key, s == STEP_OK ? CACHED_ACCEPT : CACHED_REJECT);
	if (s == STEP_OK && (c->o->flags & VERIFY_POSTMASTER) && c->known.postmaster == CACHED_UNKNOWN)
		s = postmaster(c);
	return s;
}

static enum step ask_host(struct callout *c)
{
	struct stream *s = NULL;
	enum step step = dial(c, &s);

	if (step != STEP_OK)
		return step;
	stream_set_timeout(s, c->timeout_ms);
	smtp_client_init(&c->client, s, c->ev->lx.arena, str_eqc(verify_option(c->ev, c->ad->transport, "protocol"), "lmtp"));
	c->client.command_timeout_ms = c->timeout_ms;
	step = converse(c);
	if (step != STEP_AGAIN || c->client.outstanding == 0)
		(void)smtp_client_cmd(&c->client, "QUIT");
	stream_close(s);
	return step;
}

/* --- Before and after ------------------------------------------------------------------------- */

/* What the cache knows; true: that is the answer. */
static bool from_cache(struct callout *c, enum verify_result *ret)
{
	unsigned flags = c->o->flags;
	enum cached a;

	callout_domain_read(c->ev, c->domain, &c->known);
	*ret = VERIFY_FAIL;
	c->ret->cached = true;
	if (c->known.result == CACHED_REJECT || (c->known.result == CACHED_REJECT_NULL && str_empty(c->from))) {
		c->ret->failure_kind = STR("mail");
		c->ret->user_message = STR("(result of an earlier callout reused).");
		return true;
	}
	if ((flags & VERIFY_RANDOM) && c->known.random == CACHED_ACCEPT) {
		c->ret->failure_kind = STR("random");
		*ret = VERIFY_OK;
		return true;
	}
	if ((flags & VERIFY_POSTMASTER) && c->known.postmaster == CACHED_REJECT) {
		c->ret->failure_kind = STR("postmaster");
		c->ret->user_message = STR("(result of earlier verification reused).");
		return true;
	}
	a = callout_address_read(c->ev, c->key);
	if (a == CACHED_ACCEPT && !((flags & VERIFY_POSTMASTER) && c->known.postmaster == CACHED_UNKNOWN)) {
		*ret = VERIFY_OK;
		return true;
	}
	if (a == CACHED_REJECT) {
		c->ret->failure_kind = STR("recipient");
		c->ret->user_message = STR("Previous (cached) callout verification failure");
		return true;
	}
	c->ret->cached = false;
	return false;
}

static enum verify_result finish(struct callout *c, enum step s)
{
	struct arena *a = c->ev->lx.arena;
	const char *what = sender(c) ? "sender" : "recipient";

	if (s != STEP_AGAIN && c->domain_changed && c->cache)
		callout_domain_write(c->ev, c->domain, &c->known);
	if (s != STEP_AGAIN)
		return s == STEP_OK ? VERIFY_OK : VERIFY_FAIL;
	if (c->o->flags & VERIFY_CALLOUT_DEFER_OK)
		return VERIFY_OK;
	c->ret->user_message = str_printf(a, "Could not complete %s verify callout", what);
	c->ret->log_message = str_is_set(c->last_error) ? str_cat(a, c->ret->user_message, STR(": "), c->last_error) : c->ret->user_message;
	c->ret->failure_kind = STR_NONE;
	return VERIFY_DEFER;
}

/* Hosts of the transport, where the router gave none or hosts_override says so (44.22). */
static struct route_host *transport_hosts(struct callout *c, struct route_job *job)
{
	struct str list = verify_option(c->ev, c->ad->transport, "hosts"), name;
	struct host_find_opts fo = {.by_name = true};
	struct route_host *first = NULL, **tail = &first;
	int sep = 0;

	while (!str_empty(list) && list_next(c->ev->lx.arena, &list, &sep, &name)) {
		struct route_host *found = NULL;
		struct str fqdn;
		struct why why = {0};
		enum host_lookup hl = host_find(job, name, &fo, &found, &fqdn, &why);

		if (hl != HOST_FOUND && hl != HOST_FOUND_LOCAL) {
			c->last_error = str_printf(c->ev->lx.arena, "%.*s : %s", STR_ARG(name), why.text[0] ? why.text : "host not found");
			continue;
		}
		for (*tail = found; *tail; tail = &(*tail)->next)
			;
	}
	return first;
}

static void terms(struct callout *c)
{
	int32_t s = c->o->callout_s > 0 ? c->o->callout_s : 30;
	int32_t overall = c->o->callout_overall_s > 0 ? c->o->callout_overall_s : 4 * s;

	c->timeout_ms = (int64_t)s * 1000;
	c->connect_ms = (int64_t)(c->o->callout_connect_s > 0 ? c->o->callout_connect_s : s) * 1000;
	c->until_ms = clock_mono_ms(&c->ev->lx.env->clock) + (int64_t)overall * 1000;
}

static struct str callout_from(const struct callout *c)
{
	const struct message *m = c->ev->lx.message;

	if (c->o->flags & VERIFY_IS_HEADER)
		return str_is_set(c->o->mailfrom) ? c->o->mailfrom : STR("");
	if ((c->o->flags & VERIFY_USE_SENDER) && m && str_is_set(m->sender))
		return m->sender;
	if (c->o->flags & VERIFY_USE_POSTMASTER)
		return str_cat(c->ev->lx.arena, STR("postmaster@"), c->ev->lx.config->qualify_domain);
	return STR("");
}

enum verify_result callout_run(struct eval *ev, struct route_job *job, struct address *ad, struct str address,
    const struct verify_opts *o, struct verify_answer *ret)
{
	struct callout c = {.ev = ev, .o = o, .ret = ret, .ad = ad, .address = address};
	const struct route_host *hosts = ad->hosts;
	enum verify_result v;
	enum step s = STEP_AGAIN;

	/* only the smtp transport calls out; a router that verifies only may have none */
	if (ad->transport && !verify_option_text(ad->transport, "helo_data"))
		return VERIFY_OK;
	c.domain = str_lower(ev->lx.arena, addr_split(address).domain);
	c.from = callout_from(&c);
	c.key = str_empty(c.from) ? address : str_cat(ev->lx.arena, address, STR("/<"), c.from, STR(">"));
	c.cache = !(o->flags & VERIFY_NO_CACHE);
	c.known = (struct callout_domain){CACHED_UNKNOWN, CACHED_UNKNOWN, CACHED_UNKNOWN, 0, 0};
	if (ad->transport && (!hosts || verify_option_bool(ad->transport, "hosts_override")))
		hosts = transport_hosts(&c, job);
	if (!hosts && !str_is_set(c.last_error))
		return VERIFY_OK; /* nobody to ask */
	if (c.cache && from_cache(&c, &v))
		return v;
	terms(&c);
	for (c.host = hosts; c.host && s == STEP_AGAIN; c.host = c.host->next) {
		if (clock_mono_ms(&ev->lx.env->clock) >= c.until_ms)
			break;
		if (str_is_set(c.host->address))
			s = ask_host(&c);
	}
	return finish(&c, s);
}
