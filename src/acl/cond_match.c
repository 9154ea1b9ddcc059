/* SPDX-License-Identifier: Apache-2.0
 * Conditions that compare what is known with a list or a string (manual 44.17): acl,
 * authenticated, condition, domains, encrypted, hosts, local_parts, recipients, sender_domains,
 * senders. Lists are matched as they stand (compiled where constant): no expansion here. */
#include "acl/conditions.h"
#include "message/address.h"
#include "base/banned.h"

struct addr_view *acl_view(struct acl_run *r)
{
	return r->ev->space[SPACE_ADDRESS] ? r->ev->space[SPACE_ADDRESS] : &r->f->own_view;
}

static enum acl_verdict answer(struct acl_run *r, enum match_result m)
{
	if (m == MATCH_DEFER && str_is_set(r->ev->lx.error))
		r->log = r->ev->lx.error;
	return m == MATCH_YES ? ACL_OK : m == MATCH_NO ? ACL_FAIL : ACL_DEFER;
}

/* A nested ACL with its arguments in $acl_arg1... (44.17); those of the caller come back after it. */
static enum acl_verdict call_with(struct acl_run *r, struct str name, const struct str *arg, int32_t n)
{
	struct acl_frame *f = r->f;
	struct str saved[countof(f->arg)];
	int32_t saved_n = f->narg;
	enum acl_verdict v;

	memcpy(saved, f->arg, sizeof saved);
	for (size_t i = 0; i < countof(f->arg); i++)
		f->arg[i] = (int32_t)i < n ? arg[i] : STR_NONE;
	f->narg = n;
	v = acl_call(r, name, &r->user, &r->log);
	memcpy(f->arg, saved, sizeof saved);
	f->narg = saved_n;
	return v;
}

ACL_COND(acl)
{
	struct str name = STR_NONE, args[9] = {0};

	(void)arg;
	for (unsigned i = 0; i < c->calls; i++) {
		enum expand_status st = expand(r->ev, &c->call[i], i ? &args[i - 1] : &name);

		if (st == EXPAND_FORCED)
			return c->negate ? ACL_FAIL : ACL_OK;
		if (st != EXPAND_OK)
			return acl_fault_expand(r, st, "ACL string", c->call[i].text);
	}
	return call_with(r, name, args, c->calls ? c->calls - 1 : 0);
}

/* A string list against one word; "*" is any. */
static enum acl_verdict in_words(struct acl_run *r, struct str list, struct str word)
{
	struct str item;
	int sep = 0;

	if (!str_is_set(word) || str_empty(word))
		return ACL_FAIL;
	while (list_next(r->ev->lx.arena, &list, &sep, &item)) {
		bool no = str_starts(item, "!");
		struct str pat = no ? str_ltrim(str_from(item, 1)) : item;

		if (str_eqc(pat, "*") || str_ieq(pat, word) || (str_starts(pat, "*") && pat.len > 1 &&
		    str_iends(word, str_cstr(r->ev->lx.arena, str_from(pat, 1)))) || (str_starts(pat, "^") &&
		    match_regex(&r->ev->lx, pat, word, false) == 1))
			return no ? ACL_FAIL : ACL_OK;
	}
	return ACL_FAIL;
}

ACL_COND(authenticated)
{
	(void)c;
	return in_words(r, arg, r->ev->lx.peer ? r->ev->lx.peer->auth_name : STR_NONE);
}

ACL_COND(encrypted)
{
	const struct peer *p = r->ev->lx.peer;

	(void)c;
	return in_words(r, arg, p && p->tls.active ? p->tls.cipher : STR_NONE);
}

ACL_COND(condition)
{
	int64_t n;

	(void)c;
	if (str_empty(arg) || str_ieqc(arg, "no") || str_ieqc(arg, "false"))
		return ACL_FAIL;
	if (str_ieqc(arg, "yes") || str_ieqc(arg, "true"))
		return ACL_OK;
	if (str_int(arg, &n))
		return n ? ACL_OK : ACL_FAIL;
	return acl_fault(r, ACL_DEFER, "invalid \"condition\" value \"%.*s\"", STR_ARG(arg));
}

ACL_COND(domains)
{
	struct addr_view *v = acl_view(r);
	struct str data = STR_NONE;
	enum match_result m = match_domain(&r->ev->lx, &c->arg, v->domain, 0, &data);

	(void)arg;
	v->domain_data = m == MATCH_YES ? data : STR_NONE;
	return answer(r, m);
}

ACL_COND(local_parts)
{
	struct addr_view *v = acl_view(r);
	struct str data = STR_NONE;
	/* +caseful is about the local part as it came; $local_part is in lower case unless an ACL asked for it. */
	struct str given = str_ieq(v->local_part, v->original_local_part) ? v->original_local_part : v->local_part;
	enum match_result m = match_local_part(&r->ev->lx, &c->arg, given, MATCH_CASELESS_LOCAL, &data);

	(void)arg;
	v->local_part_data = m == MATCH_YES ? data : STR_NONE;
	return answer(r, m);
}

ACL_COND(hosts)
{
	struct str data = STR_NONE;
	enum match_result m = match_peer(&r->ev->lx, &c->arg, 0, &data);

	(void)arg;
	acl_view(r)->host_data = m == MATCH_YES ? data : STR_NONE;
	return answer(r, m);
}

ACL_COND(recipients)
{
	enum match_result m;

	(void)arg;
	r->f->recipient_data = STR_NONE;
	m = match_address(&r->ev->lx, &c->arg, r->f->recipient, MATCH_CASELESS_LOCAL, &r->f->recipient_data);
	return answer(r, m);
}

static struct str sender(const struct acl_run *r)
{
	return r->ev->lx.message ? r->ev->lx.message->sender : STR_NONE;
}

ACL_COND(senders)
{
	struct str s = sender(r);

	(void)arg;
	r->f->sender_data = STR_NONE;
	return answer(r, match_address(&r->ev->lx, &c->arg, str_is_set(s) ? s : STR(""),
	    MATCH_CASELESS_LOCAL | MATCH_SENDER, &r->f->sender_data));
}

ACL_COND(sender_domains)
{
	struct addr_parts p = addr_split(sender(r));

	(void)arg;
	return answer(r, match_domain(&r->ev->lx, &c->arg, str_is_set(p.domain) ? p.domain : STR(""), 0, NULL));
}
