/* SPDX-License-Identifier: Apache-2.0
 * Obeying an ACL: statements in order, conditions until one fails, then the verb (manual 44.9,
 * 44.11). What `message` and `log_message` hold is expanded only when the statement's outcome is
 * known. Way of the texts: a condition leaves its own in r->user and r->log; the modifiers replace
 * the first and stand before the second. */
#include "acl/acl_priv.h"
#include "base/banned.h"

static const char *const where_names[ACL_WHERES] = {
	[ACL_UNKNOWN] = "unknown", [ACL_CONNECT] = "connection", [ACL_HELO] = "EHLO or HELO", [ACL_AUTH] = "AUTH",
	[ACL_MAIL] = "MAIL", [ACL_MAILAUTH] = "MAILAUTH", [ACL_RCPT] = "RCPT", [ACL_PREDATA] = "PREDATA",
	[ACL_DATA] = "DATA", [ACL_MIME] = "MIME", [ACL_DKIM] = "DKIM", [ACL_PRDR] = "PRDR",
	[ACL_STARTTLS] = "STARTTLS", [ACL_ETRN] = "ETRN", [ACL_ATRN] = "ATRN", [ACL_EXPN] = "EXPN",
	[ACL_VRFY] = "VRFY", [ACL_QUIT] = "QUIT", [ACL_NOTQUIT] = "NOTQUIT", [ACL_NOT_SMTP] = "non-SMTP",
	[ACL_NOT_SMTP_START] = "non-SMTP-start", [ACL_NOT_SMTP_MIME] = "non-SMTP-MIME", [ACL_WELLKNOWN] = "WELLKNOWN",
	[ACL_DELIVERY] = "delivery",
};

const char *acl_where_name(enum acl_where w)
{
	return where_names[w];
}

enum acl_verdict acl_fault(struct acl_run *r, enum acl_verdict v, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;

	sb_init(&sb, r->ev->lx.arena, LIMIT_EXPANSION);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	r->log = sb_str(&sb);
	return v;
}

enum acl_verdict acl_fault_expand(struct acl_run *r, enum expand_status st, const char *what, struct str text)
{
	return acl_fault(r, st == EXPAND_DEFER ? ACL_DEFER : ACL_ERROR, "failed to expand %s \"%.*s\": %.*s", what,
	    STR_ARG(text), STR_ARG(r->ev->lx.error));
}

/* A modifier's text, or unset when it fails (told to main and panic log) or is empty. */
static struct str message_text(struct acl_run *r, const struct xstr *x, struct str verify_message)
{
	struct str text;
	enum expand_status st;

	r->f->verify_message = verify_message;
	st = expand(r->ev, x, &text);
	if (st == EXPAND_OK)
		return str_empty(text) ? STR_NONE : text;
	if (st != EXPAND_FORCED)
		log_write(r->ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE, "failed to expand ACL message \"%.*s\": %.*s",
		    STR_ARG(x->text), STR_ARG(r->ev->lx.error));
	return STR_NONE;
}

/* Does this outcome of the conditions use the messages? 44.9: accept when it accepts, or when it
 * fails, for behind an endpass and at the end of the ACL that denies; require when it denies; the
 * others when the conditions hold. */
static bool messages_wanted(const struct acl_run *r, enum acl_verdict rc)
{
	bool failed = rc == ACL_FAIL || rc == ACL_DROP;

	switch (r->verb) {
	case VERB_ACCEPT: return rc == ACL_OK || failed;
	case VERB_DISCARD: return rc == ACL_OK || rc == ACL_DISCARD || failed;
	case VERB_REQUIRE: return failed;
	case VERB_DEFER:
	case VERB_DENY:
	case VERB_DROP:
	case VERB_WARN: return rc == ACL_OK;
	case VERBS: break;
	}
	return false;
}

static void statement_messages(struct acl_run *r, enum acl_verdict rc)
{
	struct str old_user = r->user;
	struct str old_log = str_is_set(r->log) ? r->log : old_user;
	struct str text;

	r->log_is_own = false;
	if (!messages_wanted(r, rc))
		return;
	/* What nested ACLs and verifications said matters only where access is denied. */
	if (r->verb == VERB_WARN || (rc == ACL_OK && (r->verb == VERB_ACCEPT || r->verb == VERB_DISCARD)))
		r->log = r->user = STR_NONE;
	if (r->message && !(r->endpass && rc == ACL_OK)) {
		text = message_text(r, r->message, old_user);
		if (str_is_set(text))
			r->user = text;
	}
	if (r->log_message) {
		text = message_text(r, r->log_message, old_log);
		if (str_is_set(text)) {
			r->log = str_is_set(r->log) ? str_cat(r->ev->lx.arena, text, STR(": "), r->log) : text;
			r->log_is_own = true;
		}
	}
	if (!str_is_set(r->log))
		r->log = r->user;
}

static enum acl_verdict run_cond(struct acl_run *r, const struct acl_cond *c)
{
	const struct acl_row *row = c->row;
	struct str arg = c->arg.text;

	if (!(row->where & (1u << r->f->where)))
		return acl_fault(r, ACL_ERROR, "cannot %s %s condition in %s ACL", row->flags & ROW_MODIFIER ? "use" : "test",
		    row->name, acl_where_name(r->f->where));
	if (row->flags & ROW_EXPAND) {
		enum expand_status st = expand(r->ev, &c->arg, &arg);

		if (st == EXPAND_FORCED)
			return c->negate ? ACL_FAIL : ACL_OK; /* ignored, whichever way it stands */
		if (st != EXPAND_OK)
			return acl_fault_expand(r, st, "ACL string", c->arg.text);
	}
	return row->run(r, c, arg);
}

/* All conditions of a statement: ACL_OK, or the answer of the one at which it stopped. */
static enum acl_verdict run_conditions(struct acl_run *r, const struct acl_stmt *s)
{
	r->verb = s->verb;
	r->user = r->log = STR_NONE;
	r->message = r->log_message = NULL;
	r->endpass = false;
	for (const struct acl_cond *c = s->first; c; c = c->next) {
		enum acl_verdict rc = run_cond(r, c);

		if (c->negate && rc == ACL_OK)
			rc = ACL_FAIL;
		else if (c->negate && (rc == ACL_FAIL || rc == ACL_DROP))
			rc = ACL_OK;
		if (rc != ACL_OK)
			return rc;
	}
	return ACL_OK;
}

/* A line once per message (44.9, warn). */
static void warn_log(struct acl_run *r, struct str text)
{
	struct str line = str_cat(r->ev->lx.arena, acl_log_host(r->ev), STR(" Warning: "), text);
	struct acl_transaction *tx = r->f->tx;

	if (map_has(&tx->warned, line))
		return;
	acl_keep(&tx->warned, tx->arena, line, STR_NONE);
	log_line(r->ev->lx.env->log, LOGTO_MAIN, str_c(r->ev->lx.message ? r->ev->lx.message->id : NULL), line);
}

static void warn(struct acl_run *r)
{
	if (r->log_is_own)
		warn_log(r, r->log);
	/* The old way to add a header (44.12, message). */
	if (str_is_set(r->user))
		acl_header_wait(r, r->user);
}

static void warn_skipped(struct acl_run *r)
{
	struct str id = str_c(r->ev->lx.message ? r->ev->lx.message->id : NULL);

	if (config_logs(r->ev->lx.config, LOGSEL_ACL_WARN_SKIPPED))
		log_write(r->ev->lx.env->log, LOGTO_MAIN, id,
		    "%.*s Warning: ACL \"warn\" statement skipped: condition test deferred%s%.*s", STR_ARG(acl_log_host(r->ev)),
		    str_is_set(r->log) ? ": " : "", STR_ARG(r->log));
}

/* The verb's answer to its conditions; false: go on with the next statement. */
static bool verb_answer(struct acl_run *r, enum acl_verdict rc, enum acl_verdict *ret)
{
	*ret = rc;
	switch (r->verb) {
	case VERB_ACCEPT:
		return rc == ACL_OK || rc == ACL_DISCARD || r->endpass;
	case VERB_DISCARD:
		if (rc == ACL_OK)
			*ret = ACL_DISCARD;
		return rc == ACL_OK || rc == ACL_DISCARD || r->endpass;
	case VERB_DEFER:
		*ret = ACL_DEFER;
		if (rc == ACL_OK)
			r->f->temp_details = true;
		return rc == ACL_OK;
	case VERB_DENY:
		*ret = ACL_FAIL;
		return rc == ACL_OK;
	case VERB_DROP:
		*ret = ACL_DROP;
		return rc == ACL_OK;
	case VERB_REQUIRE:
		return rc != ACL_OK;
	case VERB_WARN:
		if (rc == ACL_OK)
			warn(r);
		r->user = r->log = STR_NONE;
		return false;
	case VERBS: break;
	}
	return false;
}

enum acl_verdict acl_obey(struct acl_run *r, const struct acl *acl)
{
	for (const struct acl_stmt *s = acl->first; s; s = s->next) {
		enum acl_verdict rc, answer;

		r->f->temp_details = false;
		rc = run_conditions(r, s);
		statement_messages(r, rc);
		r->f->verify_message = STR_NONE;
		if (rc == ACL_ERROR || (rc == ACL_DEFER && s->verb != VERB_WARN))
			return rc;
		if (rc == ACL_DEFER) {
			warn_skipped(r);
			r->user = r->log = STR_NONE;
			continue;
		}
		if (rc == ACL_DISCARD && s->verb != VERB_ACCEPT && s->verb != VERB_DISCARD)
			return acl_fault(r, ACL_ERROR, "nested ACL returned \"discard\" for \"%s\" command "
			    "(only allowed with \"accept\" or \"discard\")", acl_verb_names[s->verb]);
		if (verb_answer(r, rc, &answer))
			return answer;
	}
	return ACL_FAIL; /* the implicit deny (44.9), with what the last statement said */
}
