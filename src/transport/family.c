/* SPDX-License-Identifier: Apache-2.0
 * The table of transport drivers, the generic options (manual 24), what is checked and computed
 * when a configuration loads, and which addresses may go together (manual 25). */
#include "transport/steps.h"

#include "base/banned.h"

#define TRANSPORT(name) extern const struct transport_driver transport_##name;
#include "transport/drivers.def"
#undef TRANSPORT

#define TRANSPORT(name) &transport_##name.info,
static const struct driver_info *const drivers[] = {
#include "transport/drivers.def"
};
#undef TRANSPORT

#define OPT(name, TYPE, field, def, flags, doc) OPT_ROW(struct transport_generic, name, TYPE, field, def, (flags) | OPT_GENERIC, doc),
#define OPT_NONE(name, TYPE, def, flags, doc) OPT_ROW_REFUSED(name, TYPE, doc),
static const struct opt_row generic_rows[] = {
#include "transport/generic_options.def"
};
#undef OPT
#undef OPT_NONE

const struct driver_family transport_family = {
	.drivers = drivers,
	.count = countof(drivers),
	.generic = generic_rows,
	.generic_count = countof(generic_rows),
	.generic_size = sizeof(struct transport_generic),
};

/* ---- load time ---- */

static bool check_generic(struct config *cfg, struct driver_instance *t, struct why *why)
{
	struct transport_generic *g = t->generic;
	bool local = transport_driver_of(t)->local;
	const char *name = t->name.p;
	if (g->body_only && g->headers_only)
		return config_error_at(why, NULL, 0, "%s transport: body_only and headers_only are mutually exclusive", name);
	if (g->user.set && str_empty(g->user.text.text) && g->user.gid < 0 && !g->group.set)
		return config_error_at(why, NULL, 0, "user set without group for the %s transport", name);
	if (!config_was_set(t, "retry_use_local_part"))
		g->retry_use_local_part = local;
	if (str_empty(g->shadow_transport.text))
		return true;
	if (!local)
		return config_error_at(why, NULL, 0, "shadow transport not allowed on non-local transport %s", name);
	g->shadow_di = config_find_driver(cfg, DRIVER_TRANSPORT, g->shadow_transport.text);
	if (g->shadow_di && !transport_driver_of(g->shadow_di)->local)
		return config_error_at(why, NULL, 0, "%.*s is not a local transport", STR_ARG(g->shadow_transport.text));
	return true;
}

bool transport_compile(struct config *cfg, struct env *env, struct why *why)
{
	(void)env;
	for (struct driver_instance *t = cfg->drivers[DRIVER_TRANSPORT]; t; t = t->next) {
		if (!check_generic(cfg, t, why))
			return false;
	}
	return true;
}

/* ---- batching (manual 25) ---- */

static bool mentions_text(struct str text, const char *variable)
{
	struct str name = str_c(variable);
	ptrdiff_t at;
	for (size_t from = 0; (at = str_find(str_from(text, from), name)) >= 0; from += (size_t)at + name.len) {
		size_t p = from + (size_t)at, end = p + name.len;
		bool starts = p > 0 && (text.p[p - 1] == '$' || text.p[p - 1] == '{' || text.p[p - 1] == ':');
		char after = end < text.len ? text.p[end] : ' ';
		if (starts && !ch_alnum(after) && after != '_')
			return true;
	}
	return false;
}

static bool rows_mention(const struct opt_row *row, size_t n, const void *block, const char *variable)
{
	for (size_t i = 0; i < n; i++) {
		/* The text of a quota warning names the recipient even where nobody wrote it. */
		bool apart = str_eqc(str_c(row[i].name), "batch_id") || str_eqc(str_c(row[i].name), "quota_warn_message");
		if (!(row[i].flags & OPT_EXPAND) || (row[i].flags & OPT_REFUSED) || apart)
			continue;
		const void *field = (const char *)block + row[i].offset;
		bool is_user = row[i].type == OPT_USER || row[i].type == OPT_GROUP;
		struct str text = is_user ? ((const struct xuser *)field)->text.text : ((const struct xstr *)field)->text;
		if (mentions_text(text, variable))
			return true;
	}
	return false;
}

/* "If any of the transport's options contain a reference to $local_part". */
static bool mentions(const struct driver_instance *t, const char *variable)
{
	return rows_mention(generic_rows, countof(generic_rows), t->generic, variable) ||
	    rows_mention(t->driver->options, t->driver->option_count, t->options, variable);
}

static bool same_host(const struct address *a, const struct address *b)
{
	if (!a->hosts || !b->hosts)
		return a->hosts == b->hosts;
	return str_ieq(a->hosts->name, b->hosts->name);
}

static bool same_hosts(const struct address *a, const struct address *b)
{
	const struct route_host *x = a->hosts, *y = b->hosts;
	for (; x && y; x = x->next, y = y->next) {
		if (!str_ieq(x->name, y->name) || !str_eq(x->address, y->address) || x->port != y->port || x->mx != y->mx)
			return false;
	}
	return !x && !y;
}

static bool same_terms(const struct address *a, const struct address *b)
{
	return a->errors_to_set == b->errors_to_set && str_eq(a->errors_to, b->errors_to) &&
	    str_eq(a->headers_add, b->headers_add) && str_eq(a->headers_remove, b->headers_remove) &&
	    a->uid_set == b->uid_set && a->gid_set == b->gid_set && a->uid == b->uid && a->gid == b->gid &&
	    str_eq(a->home, b->home) && str_eq(a->current, b->current);
}

static struct str batch_id(struct eval *ev, const struct xstr *x, const struct address *ad)
{
	struct addr_view view = ad->view;
	struct str value = STR_NONE;
	void *old = ev->space[SPACE_ADDRESS];
	ev->space[SPACE_ADDRESS] = &view;
	if (expand(ev, x, &value) != EXPAND_OK)
		value = STR_NONE;
	ev->space[SPACE_ADDRESS] = old;
	return value;
}

static bool local_can_share(const struct driver_instance *t, const struct transport_driver *driver, struct eval *ev,
    const struct address *a, const struct address *b)
{
	const struct xstr *id = NULL;
	if (!driver->batch || driver->batch(t, &id) <= 1 || a->kind != b->kind || !same_host(a, b))
		return false;
	if (a->kind != ADDRESS_MAIL && !str_eq(a->address, b->address))
		return false;
	if (mentions(t, "local_part") || mentions(t, "local_part_data") ||
	    ((mentions(t, "domain") || mentions(t, "domain_data")) && !str_ieq(a->view.domain, b->view.domain)))
		return false;
	if (!id || str_empty(id->text))
		return true;
	struct str x = batch_id(ev, id, a), y = batch_id(ev, id, b);
	return str_is_set(x) && str_is_set(y) && str_eq(x, y);
}

bool transport_can_share(const struct driver_instance *t, struct eval *ev, const struct address *a, const struct address *b)
{
	const struct transport_driver *driver = transport_driver_of(t);
	if (a->transport != b->transport || !same_terms(a, b))
		return false;
	if (driver->local)
		return local_can_share(t, driver, ev, a, b);
	return same_hosts(a, b) && (!driver->can_share || driver->can_share(t, ev, a, b));
}

int transport_max_rcpt(const struct driver_instance *t, struct eval *ev)
{
	const struct transport_driver *driver = transport_driver_of(t);
	const struct xstr *id = NULL;
	if (driver->batch)
		return driver->batch(t, &id);
	return driver->max_rcpt ? driver->max_rcpt(t, ev) : 1;
}
