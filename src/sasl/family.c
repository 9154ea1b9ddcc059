/* SPDX-License-Identifier: Apache-2.0
 * The authenticator drivers as one family, and what is common to all of them (manual 33):
 * advertising, choosing, the generic conditions and identities. */
#include "sasl/sasl_priv.h"
#include "base/limits.h"
#include "base/banned.h"

#define SASL(name) extern const struct sasl_driver sasl_##name;
#include "sasl/drivers.def"
#undef SASL

static const struct driver_info *const drivers[] = {
#define SASL(name) &sasl_##name.info,
#include "sasl/drivers.def"
#undef SASL
};

static const struct opt_row generic_rows[] = {
#define OPT(name, TYPE, field, def, flags, doc) OPT_ROW(struct sasl_generic, name, TYPE, field, def, (flags) | OPT_GENERIC, doc),
#define OPT_NONE(name, TYPE, def, flags, doc)
#include "sasl/generic_options.def"
#undef OPT
#undef OPT_NONE
};

const struct driver_family sasl_family = {
	.drivers = drivers,
	.count = countof(drivers),
	.generic = generic_rows,
	.generic_count = countof(generic_rows),
	.generic_size = sizeof(struct sasl_generic),
};

#define VIEW(n, field) EXPAND_VAR_STR(n, SPACE_AUTH, struct sasl_view, field, true)
const struct expand_var sasl_vars[] = {
	VIEW("auth1", auth[0]), VIEW("auth2", auth[1]), VIEW("auth3", auth[2]), VIEW("auth4", auth[3]),
	VIEW("authenticated_fail_id", fail_id),
	{0}
};

static const struct sasl_driver *driver(const struct driver_instance *di)
{
	return (const struct sasl_driver *)(const void *)di->driver; /* info is its first member */
}

static struct str public_name(const struct driver_instance *di)
{
	struct str name = sasl_generic(di)->public_name.text;

	return str_is_set(name) ? name : di->name;
}

static bool serves(const struct driver_instance *di)
{
	return !driver(di)->no_mechanism && driver(di)->is_server && driver(di)->is_server(di);
}

/* --- What drivers use ------------------------------------------------------------------------- */

struct sasl_view *sasl_view(struct eval *ev)
{
	if (!ev->space[SPACE_AUTH])
		ev->space[SPACE_AUTH] = arena_new_of(ev->lx.arena, struct sasl_view);
	return ev->space[SPACE_AUTH];
}

void sasl_set_auth(struct eval *ev, unsigned n, struct str value)
{
	struct sasl_view *v = sasl_view(ev);

	if (n == 0 || n > countof(v->auth))
		return;
	v->auth[n - 1] = value;
	ev->captures.v[n] = value;
	if (ev->captures.count <= n)
		ev->captures.count = n + 1;
}

unsigned sasl_split(struct eval *ev, struct str data, unsigned have)
{
	struct str part;

	do {
		part = str_cut(data, '\0', &data);
		have++;
		sasl_set_auth(ev, have, part);
	} while (str_is_set(data));
	return have;
}

enum sasl_result sasl_expand(struct eval *ev, const struct xstr *x, struct str *ret, struct str *ret_message)
{
	switch (expand(ev, x, ret)) {
	case EXPAND_OK: return SASL_OK;
	case EXPAND_FORCED: return SASL_FAIL;
	case EXPAND_FAILED:
	case EXPAND_DEFER: break;
	}
	*ret_message = ev->lx.error;
	return SASL_DEFER;
}

enum sasl_result sasl_params(struct eval *ev, const struct xstr *const *option, unsigned n, unsigned from, struct str *ret_message)
{
	for (unsigned i = 0; i < n; i++) {
		struct str value;
		enum sasl_result r;

		if (!str_is_set(option[i]->text))
			continue;
		r = sasl_expand(ev, option[i], &value, ret_message);
		if (r != SASL_OK)
			return r;
		sasl_set_auth(ev, from + i, value);
	}
	return SASL_OK;
}

enum sasl_result sasl_condition(struct eval *ev, const struct driver_instance *di, struct str *ret_message)
{
	const struct xstr *x = &sasl_generic(di)->server_condition;
	struct str s;
	enum sasl_result r;

	if (!str_is_set(x->text))
		return SASL_OK;
	r = sasl_expand(ev, x, &s, ret_message);
	if (r != SASL_OK)
		return r;
	if (str_empty(s) || str_eqc(s, "0") || str_ieqc(s, "no") || str_ieqc(s, "false"))
		return SASL_FAIL;
	if (str_eqc(s, "1") || str_ieqc(s, "yes") || str_ieqc(s, "true"))
		return SASL_OK;
	*ret_message = s;
	return SASL_DEFER;
}

enum sasl_result sasl_final(int code)
{
	return code / 100 == 2 ? SASL_OK : code / 100 == 5 ? SASL_FAIL : code / 100 == 3 ? SASL_ERROR : SASL_DEFER;
}

/* --- Server ----------------------------------------------------------------------------------- */

static bool advertised(struct eval *ev, const struct driver_instance *di)
{
	const struct xstr *x = &sasl_generic(di)->server_advertise_condition;
	struct str s;
	enum expand_status st;

	if (!str_is_set(x->text))
		return true;
	st = expand(ev, x, &s);
	if (st == EXPAND_FAILED)
		log_write(ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE,
		    "failed to expand condition \"%.*s\" for %.*s authenticator: %.*s", STR_ARG(x->text), STR_ARG(di->name),
		    STR_ARG(ev->lx.error));
	return st == EXPAND_OK && !(str_empty(s) || str_eqc(s, "0") || str_ieqc(s, "no") || str_ieqc(s, "false"));
}

struct str sasl_advertise(struct eval *ev)
{
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, LIMIT_SMTP_REPLY_LINE);
	for (const struct driver_instance *di = ev->lx.config->drivers[DRIVER_AUTHENTICATOR]; di; di = di->next) {
		if (!serves(di) || !advertised(ev, di))
			continue;
		if (sb.len)
			sb_ch(&sb, ' ');
		sb_add(&sb, public_name(di));
	}
	return sb.len ? sb_str(&sb) : STR_NONE;
}

const struct driver_instance *sasl_server_find(const struct config *cfg, struct str mechanism)
{
	for (const struct driver_instance *di = cfg->drivers[DRIVER_AUTHENTICATOR]; di; di = di->next)
		if (serves(di) && str_ieq(public_name(di), mechanism))
			return di;
	return NULL;
}

const struct driver_instance *sasl_server_choose(struct eval *ev, struct str mechanism)
{
	for (const struct driver_instance *di = ev->lx.config->drivers[DRIVER_AUTHENTICATOR]; di; di = di->next)
		if (serves(di) && str_ieq(public_name(di), mechanism) && advertised(ev, di))
			return di;
	return NULL;
}

const struct driver_instance *sasl_tls_find(const struct config *cfg)
{
	for (const struct driver_instance *di = cfg->drivers[DRIVER_AUTHENTICATOR]; di; di = di->next)
		if (driver(di)->no_mechanism && driver(di)->is_server && driver(di)->is_server(di))
			return di;
	return NULL;
}

enum sasl_result sasl_server_run(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str initial,
    bool has_initial, struct str *ret_message)
{
	const struct xstr *set_id = &sasl_generic(di)->server_set_id;
	struct sasl_view *v = sasl_view(ev);
	enum sasl_result r;
	struct str id = STR_NONE;

	*v = (struct sasl_view){0};
	ev->captures.count = 0;
	*ret_message = STR_NONE;
	r = driver(di)->server(ev, di, t, initial, has_initial, ret_message);
	if ((r == SASL_OK || r == SASL_FAIL) && str_is_set(set_id->text) && expand(ev, set_id, &id) != EXPAND_OK)
		id = STR_NONE;
	if (r == SASL_OK && ev->lx.peer) {
		ev->lx.peer->auth_name = di->name;
		ev->lx.peer->auth_id = id;
	}
	if (r == SASL_FAIL)
		v->fail_id = id;
	return r;
}

/* --- Client ----------------------------------------------------------------------------------- */

static bool is_offered(struct str offered, struct str name)
{
	while (str_is_set(offered))
		if (str_ieq(str_cut(offered, ' ', &offered), name))
			return true;
	return false;
}

static bool client_wanted(struct eval *ev, const struct driver_instance *di)
{
	const struct xstr *x = &sasl_generic(di)->client_condition;
	struct str s;

	if (!str_is_set(x->text))
		return true;
	return expand(ev, x, &s) == EXPAND_OK && !(str_eqc(s, "0") || str_ieqc(s, "no") || str_ieqc(s, "false") || str_empty(s));
}

const struct driver_instance *sasl_client_next(struct eval *ev, const struct driver_instance *after, struct str offered)
{
	for (const struct driver_instance *di = after ? after->next : ev->lx.config->drivers[DRIVER_AUTHENTICATOR]; di; di = di->next)
		if (driver(di)->is_client && driver(di)->is_client(di) && is_offered(offered, public_name(di)) && client_wanted(ev, di))
			return di;
	return NULL;
}

enum sasl_result sasl_client_run(struct eval *ev, const struct driver_instance *di, struct sasl_talk *t, struct str *ret_id, struct str *ret_message)
{
	const struct xstr *set_id = &sasl_generic(di)->client_set_id;
	struct sasl_view *v = sasl_view(ev);
	enum sasl_result r;

	*v = (struct sasl_view){0};
	ev->captures.count = 0;
	*ret_id = *ret_message = STR_NONE;
	r = driver(di)->client(ev, di, t, ret_message);
	if (r == SASL_OK && str_is_set(set_id->text) && expand(ev, set_id, ret_id) != EXPAND_OK)
		*ret_id = STR_NONE;
	return r;
}
