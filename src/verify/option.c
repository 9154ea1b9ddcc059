/* SPDX-License-Identifier: Apache-2.0
 * A callout wants some options of the transport (44.22: port, interface, helo_data, protocol,
 * hosts). They are found by name in the driver's rows: verify/ knows no driver. */
#include "verify/verify_priv.h"
#include "base/banned.h"

static const void *field(const struct driver_instance *di, const char *name, enum opt_type *ret_type)
{
	for (size_t i = 0; di && i < di->driver->option_count; i++) {
		const struct opt_row *row = &di->driver->options[i];

		if (strcmp(row->name, name) != 0 || (row->flags & OPT_REFUSED))
			continue;
		*ret_type = row->type;
		return (const char *)(row->flags & OPT_GENERIC ? di->generic : di->options) + row->offset;
	}
	return NULL;
}

const struct xstr *verify_option_text(const struct driver_instance *di, const char *name)
{
	enum opt_type type = OPT_BOOL;
	const void *p = field(di, name, &type);

	return type == OPT_STRING || type == OPT_LIST || type == OPT_DOMAINS || type == OPT_HOSTS || type == OPT_MULTI ? p : NULL;
}

struct str verify_option(struct eval *ev, const struct driver_instance *di, const char *name)
{
	const struct xstr *x = verify_option_text(di, name);
	struct str s = STR_NONE;

	if (!x || !str_is_set(x->text) || expand(ev, x, &s) != EXPAND_OK)
		return STR_NONE;
	return s;
}

bool verify_option_bool(const struct driver_instance *di, const char *name)
{
	enum opt_type type = OPT_STRING;
	const void *p = field(di, name, &type);

	return p && type == OPT_BOOL && *(const bool *)p;
}
