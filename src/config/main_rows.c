/* SPDX-License-Identifier: Apache-2.0
 * The table of main options, made from config/main_options.def. */
#include "config/config_priv.h"

#include "build_config.h"

#include "base/banned.h"

#define OPT(name, TYPE, field, def, flags, doc) OPT_ROW(struct main_options, name, TYPE, field, def, flags, doc),
static const struct opt_row rows[] = {
#include "config/main_options.def"
};
#undef OPT

const struct opt_row *config_main_rows(size_t *ret_count)
{
	*ret_count = countof(rows);
	return rows;
}

/* Manual 14: other names of the same option. */
static const struct {
	const char *name, *is;
} synonyms[] = {
	{"daemon_smtp_port", "daemon_smtp_ports"},
	{"max_user_name_length", "max_username_length"},
	{"return_size_limit", "bounce_return_size_limit"},
};

struct str main_row_synonym(struct str name)
{
	for (size_t i = 0; i < countof(synonyms); i++)
		if (str_eqc(name, synonyms[i].name))
			return str_c(synonyms[i].is);
	return name;
}
