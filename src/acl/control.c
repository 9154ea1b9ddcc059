/* SPDX-License-Identifier: Apache-2.0
 * The control modifier (manual 44.13): a function a row of controls.def, each leaving a mark in
 * struct acl_effects for receive/. */
#include "acl/conditions.h"
#include "message/address.h"
#include "base/banned.h"
#include <netinet/ip.h>

#define CONTROL_MESSAGE (ACL_W(MAIL) | ACL_W(RCPT) | ACL_W(PREDATA) | ACL_W(DATA) | ACL_W(MIME))

/* What stands behind "name/"; unset when nothing does. False: a syntax error. */
typedef bool control_fn(struct acl_run *r, struct str options);

#define FLAG(fn, field) \
	static bool fn(struct acl_run *r, struct str options) \
	{ \
		(void)options; \
		r->f->effects->field = true; \
		return true; \
	}
FLAG(control_allow_auth, allow_auth_unadvertised)
FLAG(control_dkim_disable, dkim_disable_verify)
FLAG(control_dmarc_disable, dmarc_disable_verify)
FLAG(control_dmarc_forensic, dmarc_enable_forensic)
FLAG(control_no_callout_flush, no_callout_flush)
FLAG(control_no_delay_flush, no_delay_flush)
FLAG(control_no_mbox_unspool, no_mbox_unspool)
FLAG(control_no_multiline, no_multiline)
FLAG(control_no_pipelining, no_pipelining)
FLAG(control_suppress_fixups, suppress_local_fixups)
#undef FLAG

static bool control_enforce_sync(struct acl_run *r, struct str options)
{
	(void)options;
	r->f->effects->enforce_sync = 1;
	return true;
}

static bool control_no_enforce_sync(struct acl_run *r, struct str options)
{
	(void)options;
	r->f->effects->enforce_sync = -1;
	return true;
}

static bool control_caseful(struct acl_run *r, struct str options)
{
	(void)options;
	acl_view(r)->local_part = addr_split(r->f->recipient).local_part;
	return true;
}

static bool control_caselower(struct acl_run *r, struct str options)
{
	(void)options;
	acl_view(r)->local_part = str_lower(r->ev->lx.arena, addr_split(r->f->recipient).local_part);
	return true;
}

/* "/defer=pass", "/sender=transport"; for the first recipient only, else ignored (44.13). */
static bool control_cutthrough(struct acl_run *r, struct str options)
{
	struct acl_effects *e = r->f->effects;
	struct str o;

	if (r->f->where != ACL_RCPT || r->f->recipients_count > 0)
		return true;
	e->cutthrough = true;
	while (acl_slash_next(r->ev->lx.arena, &options, &o)) {
		if (str_eqc(o, "defer=pass"))
			e->cutthrough_defer_pass = true;
		else if (str_eqc(o, "defer=spool"))
			e->cutthrough_defer_pass = false;
		else if (str_eqc(o, "sender=transport"))
			e->cutthrough_sender_transport = true;
		else if (str_eqc(o, "sender=orig"))
			e->cutthrough_sender_transport = false;
		else
			return false;
	}
	return true;
}

static const struct {
	const char *name;
	int value;
} dscp_names[] = {
	{"af11", IPTOS_DSCP_AF11}, {"af12", IPTOS_DSCP_AF12}, {"af13", IPTOS_DSCP_AF13}, {"af21", IPTOS_DSCP_AF21},
	{"af22", IPTOS_DSCP_AF22}, {"af23", IPTOS_DSCP_AF23}, {"af31", IPTOS_DSCP_AF31}, {"af32", IPTOS_DSCP_AF32},
	{"af33", IPTOS_DSCP_AF33}, {"af41", IPTOS_DSCP_AF41}, {"af42", IPTOS_DSCP_AF42}, {"af43", IPTOS_DSCP_AF43},
	{"ef", IPTOS_DSCP_EF}, {"lowcost", IPTOS_LOWCOST}, {"lowdelay", IPTOS_LOWDELAY}, {"mincost", IPTOS_MINCOST},
	{"reliability", IPTOS_RELIABILITY}, {"throughput", IPTOS_THROUGHPUT},
};

/* A word, or 0 to 0x3F which is moved into its place in the header byte. An unknown word is ignored. */
static bool control_dscp(struct acl_run *r, struct str options)
{
	uint64_t n = 0;
	bool number;

	if (str_empty(options))
		return false;
	for (size_t i = 0; i < countof(dscp_names); i++) {
		if (str_ieqc(options, dscp_names[i].name)) {
			r->f->effects->dscp = dscp_names[i].value + 1;
			return true;
		}
	}
	if (str_istarts(options, "0x")) {
		number = options.len > 2 && options.len <= 4;
		for (uint32_t i = 2; i < options.len; i++) {
			char c = ch_tolower(options.p[i]);

			number = number && ch_xdigit(c);
			n = n * 16 + (uint64_t)(ch_digit(c) ? c - '0' : c - 'a' + 10);
		}
	} else {
		number = str_uint(options, 0x3f, &n);
	}
	if (number && n <= 0x3f)
		r->f->effects->dscp = (int)(n << 2) + 1;
	return true;
}

static bool fake(struct acl_run *r, struct str text)
{
	/* All that follows the slash is the text; more slashes belong to it. */
	r->f->effects->fake_text = str_is_set(text) ? str_dup(r->f->tx->arena, text) : STR_NONE;
	return true;
}

static bool control_fakedefer(struct acl_run *r, struct str options)
{
	r->f->effects->fakedefer = true;
	r->f->effects->fakereject = false;
	return fake(r, options);
}

static bool control_fakereject(struct acl_run *r, struct str options)
{
	r->f->effects->fakereject = true;
	r->f->effects->fakedefer = false;
	return fake(r, options);
}

/* Nobody is told only if every freeze of the message says so. */
static bool control_freeze(struct acl_run *r, struct str options)
{
	struct acl_effects *e = r->f->effects;
	bool quiet = str_is_set(options);

	if (quiet && !str_eqc(options, "no_tell"))
		return false;
	e->freeze_no_tell = quiet && (!e->freeze || e->freeze_no_tell);
	e->freeze = true;
	return true;
}

static bool control_queue(struct acl_run *r, struct str options)
{
	struct acl_effects *e = r->f->effects;
	struct str o;

	e->queue_only = true;
	e->queue_first_pass = false;
	while (acl_slash_next(r->ev->lx.arena, &options, &o)) {
		if (str_eqc(o, "only"))
			continue;
		if (!str_eqc(o, "first_pass_route"))
			return false;
		e->queue_first_pass = true;
	}
	return true;
}

static bool control_submission(struct acl_run *r, struct str options)
{
	struct acl_effects *e = r->f->effects;
	struct arena *a = r->f->tx->arena;
	struct str o;

	e->submission = true;
	while (acl_slash_next(r->ev->lx.arena, &options, &o)) {
		if (str_eqc(o, "sender_retain")) {
			e->submission_sender_retain = true;
		} else if (str_starts(o, "domain=")) {
			e->submission_domain = str_dup(a, str_from(o, 7));
		} else if (str_starts(o, "name=")) {
			/* the last option: what follows is all its value */
			e->submission_name = str_is_set(options) ? str_cat(a, str_from(o, 5), STR("/"), options)
			    : str_dup(a, str_from(o, 5));
			break;
		} else {
			return false;
		}
	}
	return true;
}

static bool control_utf8(struct acl_run *r, struct str options)
{
	int64_t n = 1;

	if (str_is_set(options) && (!str_int(options, &n) || n < -1 || n > 1))
		return false;
	r->f->effects->utf8_downconvert_set = true;
	r->f->effects->utf8_downconvert = (int8_t)n;
	return true;
}

static const struct control_row {
	const char *name;
	enum acl_control id;
	uint32_t where;
	bool options;
	control_fn *run;
} controls[] = {
#define CONTROL(n, i, in, opts, fn) {.name = (n), .id = ACL_CONTROL_##i, .where = (in), .options = (opts), .run = (fn)},
#include "acl/controls.def"
#undef CONTROL
};

ACL_COND(control)
{
	struct str options = STR_NONE, name = str_cut(arg, '/', &options);

	(void)c;
	for (size_t i = 0; i < countof(controls); i++) {
		const struct control_row *row = &controls[i];

		if (!str_eqc(name, row->name))
			continue;
		if (!row->run)
			return acl_fault(r, ACL_ERROR, "\"control=%s\" is not supported yet", row->name);
		if (!(row->where & (1u << r->f->where)))
			return acl_fault(r, ACL_ERROR, "cannot use \"control=%s\" in %s ACL",
			    row->id == ACL_CONTROL_QUEUE_ONLY ? "queue" : row->name, acl_where_name(r->f->where));
		if (str_is_set(options) && !row->options)
			break;
		if (!row->run(r, options)) {
			if (row->id == ACL_CONTROL_UTF8_DOWNCONVERT)
				return acl_fault(r, ACL_ERROR, "bad option value for control=%s", row->name);
			break;
		}
		r->f->effects->control |= UINT64_C(1) << row->id;
		return ACL_OK;
	}
	return acl_fault(r, ACL_ERROR, "syntax error in \"control=%.*s\"", STR_ARG(arg));
}

/* Known and constant, but not served yet: refused when the configuration is read. */
bool acl_control_refused(struct str arg)
{
	struct str rest, name = str_cut(arg, '/', &rest);

	for (size_t i = 0; i < countof(controls); i++)
		if (!controls[i].run && str_eqc(name, controls[i].name))
			return true;
	return false;
}
