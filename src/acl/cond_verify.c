/* SPDX-License-Identifier: Apache-2.0
 * verify (manual 44.17, 44.21 to 44.25): what is verified is a word, options follow behind
 * slashes. Verified senders are kept for the message; why one failed is told once, by
 * acl_sender_details. The work itself is done in verify/. */
#include "acl/conditions.h"
#include "message/address.h"
#include "verify/verify.h"
#include "base/banned.h"

enum item {
	ITEM_SENDER, ITEM_RECIPIENT, ITEM_HELO, ITEM_HEADER_SYNTAX, ITEM_HEADER_SENDER, ITEM_HEADER_NAMES, ITEM_NOT_BLIND,
	ITEM_REVERSE, ITEM_CERTIFICATE, ITEM_CSA, ITEM_ARC
};
#define WHERE_HEADERS \
	(ACL_W(DATA) | ACL_W(MIME) | ACL_W(DKIM) | ACL_W(PRDR) | ACL_W(NOT_SMTP) | ACL_W(NOT_SMTP_MIME) | ACL_W(QUIT) | ACL_W(NOTQUIT))
static const struct item_row {
	const char *name;
	enum item item;
	bool options, address_options;
	uint32_t where;
} items[] = {
	{"certificate", ITEM_CERTIFICATE, false, false, ACL_ANYWHERE},
	{"csa", ITEM_CSA, true, false, ACL_ANYWHERE},
	{"header_names_ascii", ITEM_HEADER_NAMES, false, false, WHERE_HEADERS},
	{"header_sender", ITEM_HEADER_SENDER, true, true, WHERE_HEADERS},
	{"header_syntax", ITEM_HEADER_SYNTAX, false, false, WHERE_HEADERS},
	{"helo", ITEM_HELO, false, false, ACL_ANYWHERE},
	{"not_blind", ITEM_NOT_BLIND, true, false, WHERE_HEADERS},
	{"recipient", ITEM_RECIPIENT, true, true, ACL_W(RCPT)},
	{"reverse_host_lookup", ITEM_REVERSE, true, false, ACL_ANYWHERE},
	{"sender", ITEM_SENDER, true, true,
	    ACL_W(MAIL) | ACL_W(RCPT) | ACL_W(PREDATA) | ACL_W(DATA) | ACL_W(NOT_SMTP) | ACL_W(NOT_SMTP_START) | ACL_W(NOT_SMTP_MIME)},
	{"arc", ITEM_ARC, true, false, ACL_ANYWHERE},
};

struct verify_cond {
	struct acl_run *r;
	const struct item_row *row;
	struct str arg;       /* the whole text, for messages */
	struct verify_opts o;
	struct str address;   /* sender=... */
	bool address_set, defer_ok, caseless, quota;
};

static enum acl_verdict bad_time(struct verify_cond *v)
{
	return acl_fault(v->r, ACL_ERROR, "bad time value in ACL condition \"verify %.*s\"", STR_ARG(v->arg));
}

static bool is_flag(struct str word, const char *name, unsigned flag, unsigned *flags)
{
	if (!str_eqc(word, name))
		return false;
	*flags |= flag;
	return true;
}

/* "name = value" of a callout parameter. */
static bool has_value(struct str word, const char *name, struct str *ret)
{
	struct str value, head = str_trim(str_cut(word, '=', &value));

	if (!str_is_set(value) || !str_eqc(head, name))
		return false;
	*ret = str_trim(value);
	return true;
}

static enum acl_verdict callout_time(struct verify_cond *v, struct str text, int32_t *ret)
{
	int64_t s = interval_parse(text);

	if (s < 0 || s > INT32_MAX)
		return bad_time(v);
	*ret = (int32_t)s;
	return ACL_OK;
}

static enum acl_verdict callout_param(struct verify_cond *v, struct str word)
{
	unsigned *f = &v->o.flags;
	struct str value;

	if (is_flag(word, "defer_ok", VERIFY_CALLOUT_DEFER_OK, f) || is_flag(word, "no_cache", VERIFY_NO_CACHE, f) ||
	    is_flag(word, "random", VERIFY_RANDOM, f) || is_flag(word, "use_sender", VERIFY_USE_SENDER, f) ||
	    is_flag(word, "use_tptsender", VERIFY_USE_SENDER, f) || is_flag(word, "use_postmaster", VERIFY_USE_POSTMASTER, f) ||
	    is_flag(word, "hold", VERIFY_HOLD, f) || is_flag(word, "fullpostmaster", VERIFY_POSTMASTER | VERIFY_FULL_POSTMASTER, f))
		return ACL_OK;
	if (is_flag(word, "postmaster", VERIFY_POSTMASTER, f)) {
		v->o.postmaster_mailfrom = STR("");
		return ACL_OK;
	}
	if (has_value(word, "postmaster_mailfrom", &value)) {
		*f |= VERIFY_POSTMASTER;
		v->o.postmaster_mailfrom = value;
		return ACL_OK;
	}
	if (has_value(word, "mailfrom", &value)) {
		if (v->row->item != ITEM_HEADER_SENDER)
			return acl_fault(v->r, ACL_ERROR, "\"mailfrom\" is allowed as a callout option only for verify=header_sender "
			    "(detected in ACL condition \"%.*s\")", STR_ARG(v->arg));
		v->o.mailfrom = value;
		return ACL_OK;
	}
	if (has_value(word, "connect", &value))
		return callout_time(v, value, &v->o.callout_connect_s);
	if (has_value(word, "maxwait", &value))
		return callout_time(v, value, &v->o.callout_overall_s);
	return callout_time(v, word, &v->o.callout_s);
}

static enum acl_verdict callout_params(struct verify_cond *v, struct str list)
{
	struct str word;
	int sep = ',';

	v->o.flags |= VERIFY_CALLOUT;
	while (list_next(v->r->ev->lx.arena, &list, &sep, &word)) {
		enum acl_verdict a = callout_param(v, word);

		if (a != ACL_OK)
			return a;
	}
	return ACL_OK;
}

static enum acl_verdict one_option(struct verify_cond *v, struct str o)
{
	struct str value;
	bool addr = v->row->address_options;

	if (str_eqc(o, "defer_ok") && (addr || v->row->item == ITEM_REVERSE)) {
		v->defer_ok = true;
		v->o.flags |= VERIFY_DEFER_OK;
	} else if (addr && str_eqc(o, "no_details")) {
		v->o.flags |= VERIFY_NO_DETAILS;
	} else if (addr && str_eqc(o, "success_on_redirect")) {
		v->o.flags |= VERIFY_SUCCESS_ON_REDIRECT;
	} else if (addr && str_eqc(o, "callout_defer_ok")) { /* the old names */
		v->o.flags |= VERIFY_CALLOUT | VERIFY_CALLOUT_DEFER_OK;
	} else if (addr && str_eqc(o, "check_postmaster")) {
		v->o.flags |= VERIFY_CALLOUT | VERIFY_POSTMASTER;
	} else if (addr && str_eqc(o, "callout")) {
		v->o.flags |= VERIFY_CALLOUT;
	} else if (addr && has_value(o, "callout", &value)) {
		return callout_params(v, value);
	} else if (v->row->item == ITEM_RECIPIENT && (str_eqc(o, "quota") || has_value(o, "quota", &value))) {
		return acl_fault(v->r, ACL_ERROR, "\"quota\" in ACL condition \"verify %.*s\" is not supported yet", STR_ARG(v->arg));
	} else if (v->row->item == ITEM_NOT_BLIND && str_eqc(o, "case_insensitive")) {
		v->caseless = true;
	} else {
		return acl_fault(v->r, ACL_ERROR, "unknown option \"%.*s\" in ACL condition \"verify %.*s\"", STR_ARG(o), STR_ARG(v->arg));
	}
	return ACL_OK;
}

static enum acl_verdict check_combination(struct verify_cond *v)
{
	unsigned both = VERIFY_USE_SENDER | VERIFY_USE_POSTMASTER;

	if (v->row->item != ITEM_RECIPIENT && (v->o.flags & both))
		return acl_fault(v->r, ACL_ERROR, "use_sender or use_postmaster cannot be used for a sender verify callout");
	if ((v->o.flags & both) == both)
		return acl_fault(v->r, ACL_ERROR, "only one of use_sender and use_postmaster may be set for a recipient callout");
	return ACL_OK;
}

static enum acl_verdict parse(struct verify_cond *v)
{
	struct arena *a = v->r->ev->lx.arena;
	struct str rest = v->arg, word, value = STR_NONE, o;
	enum acl_verdict ok;

	if (!acl_slash_next(a, &rest, &word))
		word = STR("");
	for (size_t i = 0; i < countof(items) && !v->row; i++)
		if (str_ieqc(word, items[i].name) || (items[i].item == ITEM_SENDER && has_value(word, "sender", &value)))
			v->row = &items[i];
	if (!v->row)
		return acl_fault(v->r, ACL_ERROR, "expected \"sender[=address]\", \"recipient\", \"helo\", \"header_syntax\", "
		    "\"header_sender\", \"header_names_ascii\" or \"reverse_host_lookup\" at start of ACL condition \"verify %.*s\"",
		    STR_ARG(v->arg));
	if (v->row->item == ITEM_CSA || v->row->item == ITEM_ARC)
		return acl_fault(v->r, ACL_ERROR, "\"verify = %s\" is not supported yet", v->row->name);
	if (str_is_set(rest) && !v->row->options)
		return acl_fault(v->r, ACL_ERROR, "unexpected '/' found in \"%.*s\" (this verify item has no options)", STR_ARG(v->arg));
	if (!(v->row->where & (1u << v->r->f->where)))
		return acl_fault(v->r, ACL_ERROR, v->row->item == ITEM_SENDER
		    ? "cannot verify %s in ACL for %s (only possible for MAIL, RCPT, PREDATA, or DATA)" : "cannot verify %s in ACL for %s",
		    v->row->name, acl_where_name(v->r->f->where));
	v->address = value;
	v->address_set = str_is_set(value);
	v->o.callout_s = v->o.callout_overall_s = v->o.callout_connect_s = -1;
	while (acl_slash_next(a, &rest, &o)) {
		ok = one_option(v, o);
		if (ok != ACL_OK)
			return ok;
	}
	ok = check_combination(v);
	if (v->r->f->no_callout)
		v->o.flags &= ~(unsigned)VERIFY_CALLOUT;
	return ok;
}

/* --- What each item does ---------------------------------------------------------------------- */

static enum acl_verdict verdict(enum verify_result res)
{
	return res == VERIFY_OK ? ACL_OK : res == VERIFY_FAIL ? ACL_FAIL : ACL_DEFER;
}

static void before_callout(struct verify_cond *v)
{
	const struct acl_frame *f = v->r->f;

	if ((v->o.flags & VERIFY_CALLOUT) && f->flush && !f->effects->no_callout_flush)
		f->flush(f->flush_arg);
}

static struct acl_verified *known_sender(struct acl_transaction *tx, struct str address, unsigned flags)
{
	for (struct acl_verified *s = tx->verified; s; s = s->next)
		if (str_eq(s->address, address) && (s->flags | VERIFY_NO_DETAILS) == (flags | VERIFY_NO_DETAILS))
			return s;
	return NULL;
}

static struct acl_verified *remember(struct verify_cond *v, struct str address, enum verify_result res, const struct verify_answer *ans)
{
	struct acl_transaction *tx = v->r->f->tx;
	struct arena *a = tx->arena;
	struct acl_verified *s = arena_new_of(a, struct acl_verified);

	s->address = str_dup(a, address);
	s->flags = v->o.flags;
	s->result = (int)res;
	s->user_message = str_is_set(ans->user_message) ? str_dup(a, ans->user_message) : STR_NONE;
	s->log_message = str_is_set(ans->log_message) ? str_dup(a, ans->log_message) : STR_NONE;
	s->failure_kind = str_is_set(ans->failure_kind) ? str_dup(a, ans->failure_kind) : STR_NONE;
	s->address_data = str_is_set(ans->address_data) ? str_dup(a, ans->address_data) : STR_NONE;
	s->next = tx->verified;
	tx->verified = s;
	return s;
}

static struct acl_verified *verified_sender(struct verify_cond *v, struct str address)
{
	struct acl_verified *s = known_sender(v->r->f->tx, address, v->o.flags);
	struct verify_answer ans = {0};
	enum verify_result res;

	if (s)
		return s;
	if (!str_is_set(addr_split(address).domain)) {
		ans.failure_kind = STR("qualify");
		return remember(v, address, VERIFY_FAIL, &ans);
	}
	before_callout(v);
	res = verify_address(v->r->ev, address, &v->o, &ans);
	return remember(v, address, res, &ans);
}

static enum acl_verdict do_sender(struct verify_cond *v)
{
	struct acl_run *r = v->r;
	const struct message *m = r->ev->lx.message;
	struct str address = v->address_set ? v->address : m ? m->sender : STR_NONE;
	struct acl_verified *s;

	r->f->sender_verify_failure = STR_NONE;
	v->o.flags |= VERIFY_SENDER;
	if (str_empty(address))
		return ACL_OK;
	s = verified_sender(v, address);
	acl_view(r)->sender_address_data = s->address_data;
	r->f->sender_verify_failure = s->failure_kind;
	if (s->result == VERIFY_OK || (s->result == VERIFY_DEFER && v->defer_ok))
		return ACL_OK;
	s->no_details = (v->o.flags & VERIFY_NO_DETAILS) != 0;
	r->f->tx->sender_failed = s;
	r->user = s->result == VERIFY_FAIL ? STR("Sender verify failed") : STR("Could not complete sender verify");
	if (s->result == VERIFY_DEFER && (v->o.flags & VERIFY_CALLOUT) && str_is_set(s->user_message)) {
		r->user = s->user_message;
		r->f->temp_details = true;
	}
	r->log = r->user;
	r->f->verify_message = r->user;
	/* warn tells the whole of it in $acl_verify_message; a rejection has acl_sender_details for that */
	if (r->verb == VERB_WARN && s->result == VERIFY_FAIL && str_is_set(s->log_message))
		r->log = str_cat(r->ev->lx.arena, r->user, STR(": "), s->log_message);
	return verdict((enum verify_result)s->result);
}

static enum acl_verdict do_recipient(struct verify_cond *v)
{
	struct acl_run *r = v->r;
	struct verify_answer ans = {0};
	enum verify_result res;

	r->f->recipient_verify_failure = STR_NONE;
	before_callout(v);
	res = verify_address(r->ev, r->f->recipient, &v->o, &ans);
	r->f->recipient_verify_failure = ans.failure_kind;
	acl_view(r)->address_data = ans.address_data;
	if (str_is_set(ans.domain_data))
		acl_view(r)->domain_data = ans.domain_data;
	if (str_is_set(ans.local_part_data))
		acl_view(r)->local_part_data = ans.local_part_data;
	if (res == VERIFY_OK || (res == VERIFY_DEFER && v->defer_ok))
		return ACL_OK;
	r->user = ans.user_message;
	r->log = str_is_set(ans.log_message) ? ans.log_message : ans.user_message;
	if (res == VERIFY_DEFER && str_is_set(ans.user_message))
		r->f->temp_details = true;
	r->f->verify_message = str_is_set(r->user) ? r->user : r->log;
	return verdict(res);
}

static enum acl_verdict do_reverse(struct verify_cond *v)
{
	struct acl_run *r = v->r;
	struct peer *p = r->ev->lx.peer;

	if (!p || !str_is_set(p->host_address))
		return ACL_OK;
	if (!str_is_set(p->host_name) && !p->host_lookup_failed)
		match_lookup_peer_name(&r->ev->lx);
	if (str_is_set(p->host_name))
		return ACL_OK;
	if (p->host_lookup_deferred && v->defer_ok)
		return ACL_OK;
	return acl_fault(r, p->host_lookup_deferred ? ACL_DEFER : ACL_FAIL, "host lookup %s for reverse lookup check%s",
	    p->host_lookup_deferred ? "deferred" : "failed",
	    p->host_lookup_deferred ? "" : " (failed to find host name from IP address)");
}

static enum acl_verdict do_helo(struct verify_cond *v)
{
	struct peer *p = v->r->ev->lx.peer;

	if (!p || !str_is_set(p->host_address) || p->helo_verified)
		return ACL_OK;
	if (p->helo_verify_failed)
		return ACL_FAIL;
	return verdict(verify_helo(v->r->ev));
}

static enum acl_verdict do_header_sender(struct verify_cond *v)
{
	struct verify_answer ans = {0};
	enum verify_result res;

	v->o.flags |= VERIFY_SENDER | VERIFY_IS_HEADER;
	before_callout(v);
	res = verify_header_sender(v->r->ev, &v->o, &ans);
	if (res == VERIFY_DEFER && v->defer_ok)
		return ACL_OK;
	v->r->user = ans.user_message;
	v->r->log = ans.log_message;
	if (res != VERIFY_OK)
		v->r->f->verify_message = str_is_set(v->r->user) ? v->r->user : v->r->log;
	return verdict(res);
}

static enum acl_verdict do_header_check(struct verify_cond *v)
{
	struct acl_run *r = v->r;
	struct str log = STR_NONE;
	enum verify_result res = v->row->item == ITEM_HEADER_SYNTAX ? verify_header_syntax(r->ev, &log)
	    : v->row->item == ITEM_HEADER_NAMES ? verify_header_names(r->ev, &log)
	    : verify_not_blind(r->ev, v->caseless, &log);

	if (res == VERIFY_OK)
		return ACL_OK;
	r->log = log;
	if (r->ev->lx.config->main.smtp_return_error_details)
		r->user = str_cat(r->ev->lx.arena, STR("Rejected after DATA: "), log);
	return verdict(res);
}

static enum acl_verdict do_certificate(struct verify_cond *v)
{
	const struct peer *p = v->r->ev->lx.peer;

	if (p && p->tls.verified)
		return ACL_OK;
	v->r->user = STR("no verified certificate");
	return ACL_FAIL;
}

ACL_COND(verify)
{
	struct verify_cond v = {.r = r, .arg = arg};
	enum acl_verdict parsed = parse(&v);

	(void)c;
	if (parsed != ACL_OK)
		return parsed;
	switch (v.row->item) {
	case ITEM_SENDER: return do_sender(&v);
	case ITEM_RECIPIENT: return do_recipient(&v);
	case ITEM_HELO: return do_helo(&v);
	case ITEM_HEADER_SYNTAX:
	case ITEM_HEADER_NAMES:
	case ITEM_NOT_BLIND: return do_header_check(&v);
	case ITEM_HEADER_SENDER: return do_header_sender(&v);
	case ITEM_REVERSE: return do_reverse(&v);
	case ITEM_CERTIFICATE: return do_certificate(&v);
	case ITEM_CSA:
	case ITEM_ARC: break; /* refused by parse */
	}
	return ACL_ERROR;
}

/* The lines in front of the answer (44.24), with a word to the postmaster of the other side where
 * a rule that all should keep is broken. */
static struct str client_details(struct eval *ev, const struct acl_verified *s)
{
	const char *what = "Verification failed for", *note = "";

	if (str_eqc(s->failure_kind, "mail")) {
		what = "Callback setup failed while verifying";
		note = "\nThe initial connection, or a HELO or MAIL FROM:<> command was\n"
		       "rejected. Refusing MAIL FROM:<> does not help fight spam, disregards\n"
		       "RFC requirements, and stops you from receiving standard bounce\n"
		       "messages. This host does not accept mail from domains whose servers\n"
		       "refuse bounces.";
	} else if (str_eqc(s->failure_kind, "postmaster")) {
		what = "Postmaster verification failed while checking";
		note = "\nSeveral RFCs state that you are required to have a postmaster\n"
		       "mailbox for each mail domain. This host does not accept mail\n"
		       "from domains whose servers reject the postmaster address.";
	}
	return str_printf(ev->lx.arena, "%s <%.*s>\n%.*s%s", what, STR_ARG(s->address), STR_ARG(s->user_message), note);
}

void acl_sender_details(struct eval *ev, struct acl_frame *f, enum acl_verdict verdict_given, struct str *ret_client, struct str *ret_log)
{
	struct acl_verified *s = f->tx->sender_failed;
	bool fail = verdict_given == ACL_FAIL || verdict_given == ACL_DROP;

	*ret_client = *ret_log = STR_NONE;
	if (!s || s->told)
		return;
	s->told = true;
	if (s->no_details)
		return;
	if (config_logs(ev->lx.config, LOGSEL_SENDER_VERIFY_FAIL))
		*ret_log = str_printf(ev->lx.arena, "sender verify %s for <%.*s>%s%.*s",
		    s->result == VERIFY_DEFER ? "defer" : "fail", STR_ARG(s->address), str_is_set(s->log_message) ? ": " : "",
		    STR_ARG(s->log_message));
	if (str_is_set(s->user_message) && (fail || ev->lx.config->main.smtp_return_error_details))
		*ret_client = client_details(ev, s);
}
