/* SPDX-License-Identifier: Apache-2.0
 * -bt and -bv (manual 5): what routing makes of an address, in Exim's form. Testing, and verifying
 * with -v, show everything that comes of it: failures as they happen, then what would be
 * delivered, local before remote, last routed first. Plain verifying is one line. */
#include "base/limits.h"
#include "message/address.h"
#include "verify/verify_priv.h"
#include "base/banned.h"

struct printer {
	struct eval *ev;
	struct route_job job;
	unsigned flags;
	struct strbuf *out;
	struct str name;         /* the address as asked, qualified */
	struct address *todo;
	struct address *accepted[2]; /* local, remote */
	struct map seen;
	int rc;
	bool done;
};

static bool full(const struct printer *p)
{
	return p->flags & (VERIFY_PRINT_ROUTE | VERIFY_PRINT_VERBOSE);
}

static void parents(struct printer *p, const struct address *ad)
{
	for (const struct address *up = ad->parent; up; up = up->parent)
		sb_printf(p->out, "    <-- %.*s\n", STR_ARG(up->address));
}

static void trouble(struct printer *p, const struct address *ad, const char *what, int rc)
{
	struct str who = full(p) ? ad->address : p->name;

	sb_printf(p->out, "%.*s %s", STR_ARG(who), what);
	if ((p->flags & VERIFY_PRINT_DETAILS) && !str_empty(ad->message))
		sb_printf(p->out, ": %.*s", STR_ARG(ad->message));
	sb_ch(p->out, '\n');
	if (full(p))
		parents(p, ad);
	if (rc > p->rc)
		p->rc = rc;
	p->done = !full(p);
}

static void verified(struct printer *p)
{
	sb_printf(p->out, "%.*s verified\n", STR_ARG(p->name));
	p->done = true;
}

/* EXPN: the address, or what it is replaced by. */
static void expanded(struct printer *p, const struct address *list)
{
	for (const struct address *ad = list; ad; ad = ad->next)
		sb_printf(p->out, "<%.*s>\n", STR_ARG(ad->address));
	p->done = true;
}

static void accepted(struct printer *p, struct address *ad)
{
	struct address **list = &p->accepted[ad->hosts != NULL];

	if (p->flags & VERIFY_PRINT_EXPN) {
		expanded(p, ad);
		return;
	}
	if (!full(p)) {
		verified(p);
		return;
	}
	ad->next = *list;
	*list = ad;
}

static void children(struct printer *p, const struct address *ad)
{
	struct address *list = p->job.new_addresses, **tail = &p->todo;

	p->job.new_addresses = NULL;
	if (p->flags & VERIFY_PRINT_EXPN) {
		expanded(p, list ? list : ad);
		return;
	}
	if (!full(p) && (!list || list->next || list->kind != ADDRESS_MAIL)) {
		verified(p);
		return;
	}
	if (ad->generation > LIMIT_ROUTE_DEPTH) {
		trouble(p, ad, "cannot be resolved at this time", 1);
		return;
	}
	while (*tail)
		tail = &(*tail)->next;
	*tail = list;
}

/* A pipe, a file, a reply: there is nothing to route. */
static void special(struct printer *p, const struct address *ad)
{
	const struct str from = ad->parent ? ad->parent->address : p->name;

	sb_printf(p->out, "%.*s -> %.*s", STR_ARG(from), STR_ARG(ad->address));
	if (ad->state == ADDRESS_FAILED || ad->state == ADDRESS_DEFERRED)
		sb_addc(p->out, " *** forbidden ***\n");
	else
		sb_printf(p->out, "\n  transport = %.*s\n", STR_ARG(ad->transport ? ad->transport->name : STR("unset")));
}

static void one(struct printer *p, struct address *ad)
{
	if (ad->kind != ADDRESS_MAIL) {
		special(p, ad);
		return;
	}
	if (ad->state == ADDRESS_ROUTED) { /* the copy that an unseen router kept */
		accepted(p, ad);
		return;
	}
	switch (route_address(&p->job, ad)) {
	case ROUTE_ACCEPT: accepted(p, ad); break;
	case ROUTE_REROUTED: children(p, ad); break;
	case ROUTE_DEFER: trouble(p, ad, "cannot be resolved at this time", 1); break;
	case ROUTE_DISCARD:
		if (full(p))
			sb_printf(p->out, "mail to %.*s is discarded\n", STR_ARG(ad->address));
		else
			verified(p);
		break;
	case ROUTE_FAIL:
	case ROUTE_DECLINE:
	case ROUTE_PASS: trouble(p, ad, p->flags & (VERIFY_PRINT_ROUTE | VERIFY_PRINT_EXPN) ? "is undeliverable" : "failed to verify", 2); break;
	}
}

/* Names and addresses in columns. */
static void hosts(struct printer *p, const struct route_host *first)
{
	uint32_t names = 0, addresses = 0;

	for (const struct route_host *h = first; h; h = h->next) {
		names = h->name.len > names ? h->name.len : names;
		addresses = h->address.len > addresses ? h->address.len : addresses;
	}
	for (const struct route_host *h = first; h; h = h->next) {
		sb_printf(p->out, "  host %.*s", STR_ARG(h->name));
		sb_fill(p->out, ' ', names - h->name.len);
		if (str_is_set(h->address)) {
			sb_printf(p->out, " [%.*s]", STR_ARG(h->address));
			sb_fill(p->out, ' ', addresses - h->address.len);
		}
		if (h->mx >= 0)
			sb_printf(p->out, " MX=%d", h->mx);
		if (h->port > 0)
			sb_printf(p->out, " port=%d", h->port);
		if (h->secure)
			sb_addc(p->out, " AD");
		sb_ch(p->out, '\n');
	}
}

static void show(struct printer *p, struct address *ad)
{
	sb_add(p->out, ad->address);
	if (map_has(&p->seen, ad->unique))
		sb_addc(p->out, "   [duplicate, would not be delivered]");
	else
		map_put(&p->seen, ad->unique, ad);
	sb_ch(p->out, '\n');
	parents(p, ad);
	sb_printf(p->out, "  router = %.*s, transport = %.*s\n", STR_ARG(ad->router ? ad->router->name : STR("unset")),
	    STR_ARG(ad->transport ? ad->transport->name : STR("unset")));
	hosts(p, ad->hosts);
}

/* Syntax, qualification, rewriting. False: told, or nothing to do. */
static bool begin(struct printer *p, struct str text, int *ret_rc)
{
	struct arena *a = p->ev->lx.arena;
	const struct main_options *o = &p->ev->lx.config->main;
	bool as_sender = p->flags & VERIFY_PRINT_SENDER, changed = false;
	unsigned how = ADDR_ALLOW_UNQUALIFIED | ADDR_IN_HEADER | (o->allow_domain_literals ? ADDR_ALLOW_LITERAL : 0) |
	    (o->allow_utf8_domains ? ADDR_ALLOW_UTF8 : 0) | (o->strip_trailing_dot ? ADDR_STRIP_DOT : 0);
	struct addr_parts parts;
	const char *error = NULL;

	*ret_rc = 0;
	if (str_empty(str_trim(text)))
		return false;
	if (!addr_parse(a, text, how, &p->name, &parts, &error) || str_empty(p->name)) {
		sb_printf(p->out, "syntax error: %s\n", error ? error : "missing or malformed local part");
		*ret_rc = 2;
		return false;
	}
	if (!str_is_set(parts.domain))
		p->name = str_cat(a, p->name, STR("@"), as_sender ? p->ev->lx.config->qualify_domain : p->ev->lx.config->qualify_recipient);
	p->name = rewrite_one(p->ev, p->name, as_sender ? REWRITE_ENV_FROM : REWRITE_ENV_TO, &changed);
	return true;
}

int verify_print(struct eval *ev, struct str address, unsigned flags, struct strbuf *out)
{
	struct printer p = {.ev = ev, .flags = flags, .out = out};
	int rc;

	if (!begin(&p, address, &rc))
		return rc;
	map_init(&p.seen, ev->lx.arena, false);
	p.job = (struct route_job){
		.config = ev->lx.config, .env = ev->lx.env, .arena = ev->lx.arena, .message = ev->lx.message, .peer = ev->lx.peer,
		.eval = ev, .body_fd = -1, .trace_fd = -1,
		.purpose = flags & VERIFY_PRINT_EXPN ? ROUTE_VERIFY_EXPN : flags & VERIFY_PRINT_ROUTE ? ROUTE_TEST : flags & VERIFY_PRINT_SENDER ? ROUTE_VERIFY_SENDER : ROUTE_VERIFY_RECIPIENT,
	};
	p.todo = address_new(ev->lx.arena, p.name, -1);
	while (p.todo && !p.done) {
		struct address *ad = p.todo;

		p.todo = ad->next;
		ad->next = NULL;
		one(&p, ad);
	}
	for (unsigned i = 0; i < countof(p.accepted); i++)
		for (struct address *ad = p.accepted[i]; ad; ad = ad->next)
			show(&p, ad);
	return p.rc;
}
