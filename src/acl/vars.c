/* SPDX-License-Identifier: Apache-2.0
 * What ACLs give to expansions: their variables, ${acl{...}} and the acl condition (manual 11.5,
 * 11.7, 11.9). Where no ACL is running (a router's condition, say) the item makes a moment of its
 * own: an ACL then may test what has no place in SMTP. */
#include "acl/acl_priv.h"
#include "base/banned.h"

static bool headers_added(struct eval *ev, void *obj, struct str *ret)
{
	const struct acl_frame *f = obj;
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	for (const struct acl_header *h = f->effects ? f->effects->headers_add : NULL; h; h = h->next)
		sb_add(&sb, h->next ? h->text : str_sub(h->text, 0, h->text.len - 1));
	*ret = sb_str(&sb);
	return true;
}

static bool csa_status(struct eval *ev, void *obj, struct str *ret)
{
	const struct acl_frame *f = obj;

	(void)ev;
	*ret = f->conn ? f->conn->csa_status : STR_NONE;
	return true;
}

#define VAR(n, field) EXPAND_VAR_STR(n, SPACE_ACL, struct acl_frame, field, false)
#define VAR_NUM(n, field_) {.name = (n), .space = SPACE_ACL, .kind = VAR_INT32, .offset = offsetof(struct acl_frame, field_), .none = "0"}
const struct expand_var acl_vars[] = {
	VAR("acl_arg1", arg[0]), VAR("acl_arg2", arg[1]), VAR("acl_arg3", arg[2]), VAR("acl_arg4", arg[3]),
	VAR("acl_arg5", arg[4]), VAR("acl_arg6", arg[5]), VAR("acl_arg7", arg[6]), VAR("acl_arg8", arg[7]),
	VAR("acl_arg9", arg[8]),
	VAR_NUM("acl_narg", narg),
	VAR("acl_verify_message", verify_message),
	{.name = "csa_status", .space = SPACE_ACL, .kind = VAR_FN, .get = csa_status},
	VAR("dnslist_domain", dnslist_domain),
	VAR("dnslist_matched", dnslist_matched),
	VAR("dnslist_text", dnslist_text),
	VAR("dnslist_value", dnslist_value),
	{.name = "headers_added", .space = SPACE_ACL, .kind = VAR_FN, .get = headers_added},
	VAR_NUM("rcpt_count", rcpt_count),
	VAR_NUM("rcpt_defer_count", rcpt_defer_count),
	VAR_NUM("rcpt_fail_count", rcpt_fail_count),
	VAR("recipient_data", recipient_data),
	VAR("recipient_verify_failure", recipient_verify_failure),
	VAR("sender_data", sender_data),
	VAR("sender_rate", sender_rate),
	VAR("sender_rate_limit", sender_rate_limit),
	VAR("sender_rate_period", sender_rate_period),
	VAR("sender_verify_failure", sender_verify_failure),
	EXPAND_VAR_STR("smtp_command", SPACE_ACL, struct acl_frame, smtp_command, true),
	EXPAND_VAR_STR("smtp_command_argument", SPACE_ACL, struct acl_frame, smtp_argument, true),
	{0}
};

/* Run the named ACL with arguments from inside an expansion. */
static enum acl_verdict call_from_expansion(struct eval *ev, const struct str *arg, unsigned args, struct str *ret_user)
{
	struct acl_frame *outer = ev->space[SPACE_ACL], *f = outer, own = {0};
	struct acl_effects effects = {0};
	struct acl_transaction tx;
	struct acl_connection conn;
	struct str saved[countof(own.arg)], log;
	struct acl_run r = {.ev = ev};
	int32_t saved_n;
	enum acl_verdict v;

	if (!f) {
		f = &own;
		acl_transaction_init(&tx, ev->lx.arena);
		acl_connection_init(&conn, ev->lx.arena);
		own.effects = &effects;
		own.tx = &tx;
		own.conn = &conn;
		ev->space[SPACE_ACL] = f;
	}
	memcpy(saved, f->arg, sizeof saved);
	saved_n = f->narg;
	for (unsigned i = 0; i < countof(f->arg); i++)
		f->arg[i] = i + 1 < args ? arg[i + 1] : STR_NONE;
	f->narg = (int32_t)args - 1;
	r.f = f;
	v = acl_call(&r, arg[0], ret_user, &log);
	memcpy(f->arg, saved, sizeof saved);
	f->narg = saved_n;
	ev->space[SPACE_ACL] = outer;
	return v;
}

static const char *verdict_name(enum acl_verdict v)
{
	switch (v) {
	case ACL_OK: return "OK";
	case ACL_FAIL: return "FAIL";
	case ACL_DROP: return "FAIL_DROP";
	case ACL_DISCARD: return "DISCARD";
	case ACL_DEFER: return "DEFER";
	case ACL_ERROR: break;
	}
	return "ERROR";
}

static enum expand_status acl_item(struct eval *ev, const struct xnode *node, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct str user = STR_NONE;
	enum acl_verdict v = call_from_expansion(ev, arg, args, &user);

	(void)node;
	if (v == ACL_DEFER)
		return EXPAND_FORCED;
	if (v != ACL_OK && v != ACL_FAIL)
		return expand_fail(ev, "%s from acl \"%.*s\"", verdict_name(v), STR_ARG(arg[0]));
	sb_add(out, user);
	return EXPAND_OK;
}

static enum expand_status acl_condition(struct eval *ev, const struct xnode *node, const struct str *arg, unsigned args, bool *ret)
{
	struct str user = STR_NONE;
	enum acl_verdict v = call_from_expansion(ev, arg, args, &user);

	(void)node;
	ev->value = user;
	if (v == ACL_DEFER)
		return EXPAND_FORCED;
	if (v != ACL_OK && v != ACL_FAIL)
		return expand_fail(ev, "%s from acl \"%.*s\"", verdict_name(v), STR_ARG(arg[0]));
	*ret = v == ACL_OK;
	return EXPAND_OK;
}

const struct expand_item acl_items[] = {
	{.name = "acl", .min_args = 1, .max_args = 10, .run = acl_item},
	{0}
};
const struct expand_condition_row acl_conditions[] = {
	{.name = "acl", .min_args = 1, .max_args = 10, .grouped = true, .test = acl_condition},
	{0}
};
