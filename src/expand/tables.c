/* SPDX-License-Identifier: Apache-2.0
 * Finding names: items, operators, conditions and variables, in this room's tables and in those
 * that rooms above register (config->schema->expand). Found once per parsed string, so a walk
 * over the rows is good enough for everything but variables, which are indexed when the
 * configuration loads. */
#include "expand/tree.h"
#include "base/banned.h"

static const struct expand_item *const item_sets[] = {items_control, items_list, items_text, items_file,
    items_lookup, items_run, items_hash, items_sign, items_extract, items_srs, items_cert};
static const struct expand_operator *const op_sets[] = {ops_text, ops_hash, ops_number, ops_address, ops_misc, ops_idn};
static const struct expand_condition_row *const cond_sets[] = {cond_logic, cond_compare, cond_match, cond_misc, cond_auth, cond_srs, cond_saslauthd};
static const struct expand_var *const var_sets[] = {vars_basic, vars_peer, vars_message, vars_address, vars_upper};

/* Rows of the manual that are not at work unless a room above registered them. */
static const char *const not_yet[] = {"dlfunc", "perl", "acl", "authresults", "pam", "radius",
    "ldapauth", "arc_state", "arc_state_reason", "arc_domains",
    "arc_oldest_pass", "spf_result", "spf_received", "spf_header_comment", "spf_smtp_comment",
    "spf_result_guessed", "dmarc_status", "dmarc_status_text", "dmarc_domain_policy", "dmarc_used_domain",
    "dcc_header", "dcc_result", "ldap_dn", "spam_score", "malware_name"};

bool xnot_yet(struct str name)
{
	for (size_t i = 0; i < countof(not_yet); i++)
		if (str_eqc(name, not_yet[i]))
			return true;
	return false;
}

static const struct expand_registry *registry(const struct config *cfg)
{
	return cfg && cfg->schema ? cfg->schema->expand : NULL;
}

#define FIND_ROW(type, set) \
	for (const type *r = (set); r->name; r++) \
		if (str_eqc(name, r->name)) \
			return r

const struct expand_item *xfind_item(const struct config *cfg, struct str name)
{
	const struct expand_registry *reg = registry(cfg);

	for (size_t i = 0; i < countof(item_sets); i++)
		FIND_ROW(struct expand_item, item_sets[i]);
	for (size_t i = 0; reg && reg->item_sets && reg->item_sets[i]; i++)
		FIND_ROW(struct expand_item, reg->item_sets[i]);
	return NULL;
}

const struct expand_condition_row *xfind_condition(const struct config *cfg, struct str name)
{
	const struct expand_registry *reg = registry(cfg);

	for (size_t i = 0; i < countof(cond_sets); i++)
		FIND_ROW(struct expand_condition_row, cond_sets[i]);
	for (size_t i = 0; reg && reg->condition_sets && reg->condition_sets[i]; i++)
		FIND_ROW(struct expand_condition_row, reg->condition_sets[i]);
	return NULL;
}

static const struct expand_operator *find_op(const struct config *cfg, struct str name)
{
	const struct expand_registry *reg = registry(cfg);

	for (size_t i = 0; i < countof(op_sets); i++)
		FIND_ROW(struct expand_operator, op_sets[i]);
	for (size_t i = 0; reg && reg->operator_sets && reg->operator_sets[i]; i++)
		FIND_ROW(struct expand_operator, reg->operator_sets[i]);
	return NULL;
}

/* An underscore may be part of a name or begin parameters: whole names first. */
const struct expand_operator *xfind_operator(const struct config *cfg, struct str name, struct str *ret_params)
{
	const struct expand_operator *op = find_op(cfg, name);
	ptrdiff_t at = str_chr(name, '_');

	*ret_params = STR_NONE;
	if (op || at < 0)
		return op;
	op = find_op(cfg, str_sub(name, 0, (size_t)at));
	if (op)
		*ret_params = str_from(name, (size_t)at + 1);
	return op;
}

const struct expand_var *xfind_var(const struct config *cfg, struct str name)
{
	const struct expand_registry *reg = registry(cfg);

	if (cfg && cfg->compiled_vars)
		return map_get(cfg->compiled_vars, name);
	for (size_t i = 0; i < countof(var_sets); i++)
		FIND_ROW(struct expand_var, var_sets[i]);
	for (size_t i = 0; reg && reg->var_sets && reg->var_sets[i]; i++)
		FIND_ROW(struct expand_var, reg->var_sets[i]);
	return NULL;
}

static void index_set(struct map *m, const struct expand_var *set)
{
	for (; set->name; set++)
		if (!map_has(m, str_c(set->name)))
			map_put(m, str_c(set->name), (void *)(uintptr_t)set);
}

static void index_vars(struct config *cfg)
{
	const struct expand_registry *reg = registry(cfg);
	struct map *m = arena_new_of(cfg->arena, struct map);

	map_init(m, cfg->arena, false);
	/* Rooms above come first: what they know better replaces our rows. */
	for (size_t i = 0; reg && reg->var_sets && reg->var_sets[i]; i++)
		index_set(m, reg->var_sets[i]);
	for (size_t i = 0; i < countof(var_sets); i++)
		index_set(m, var_sets[i]);
	cfg->compiled_vars = m;
}

static bool is_text(enum opt_type t)
{
	return t == OPT_STRING || t == OPT_LIST || t == OPT_DOMAINS || t == OPT_HOSTS || t == OPT_ADDRESSES ||
	    t == OPT_LOCAL_PARTS || t == OPT_HEADERS || t == OPT_REMOVES || t == OPT_REWRITE || t == OPT_BOOLX ||
	    t == OPT_CONDITION || t == OPT_MULTI;
}

static void compile_rows(struct config *cfg, const struct opt_row *rows, size_t n, void *block)
{
	for (size_t i = 0; block && i < n; i++) {
		const struct opt_row *r = &rows[i];
		struct xstr *x = NULL;
		if (r->flags & (OPT_REFUSED | OPT_OBSOLETE))
			continue;
		if (is_text(r->type) && (r->flags & OPT_EXPAND))
			x = (struct xstr *)(void *)((char *)block + r->offset);
		else if (r->type == OPT_BOOLX || r->type == OPT_CONDITION)
			x = (struct xstr *)(void *)((char *)block + r->offset);
		else if (r->type == OPT_USER || r->type == OPT_GROUP)
			x = &((struct xuser *)(void *)((char *)block + r->offset))->text;
		if (x && x->text.p && !x->tree)
			x->tree = expand_parse(cfg->arena, cfg, x->text);
	}
}

bool expand_compile_all(struct config *cfg, struct env *env, struct why *why)
{
	size_t n;
	const struct opt_row *rows = config_main_rows(&n);

	index_vars(cfg);
	for (int k = 0; k < LIST_KINDS; k++)
		for (struct named_list *nl = cfg->lists[k]; nl; nl = nl->next)
			if (memchr(nl->value.text.p, '$', nl->value.text.len) || memchr(nl->value.text.p, '\\', nl->value.text.len))
				nl->value.tree = expand_parse(cfg->arena, cfg, nl->value.text);
	compile_rows(cfg, rows, n, &cfg->main);
	for (int k = 0; k < DRIVER_KINDS; k++) {
		const struct driver_family *f = &cfg->schema->family[k];
		for (struct driver_instance *di = cfg->drivers[k]; di; di = di->next) {
			compile_rows(cfg, f->generic, f->generic_count, di->generic);
			compile_rows(cfg, di->driver->options, di->driver->option_count, di->options);
		}
	}
	return true;
}

#define EACH_ROW(type, class, set) \
	for (const type *r = (set); r->name; r++) \
		if (ch_alpha(r->name[0])) /* signs make no macros */ \
			visit(ctx, (class), r->name)

void expand_each_macro(const struct config_schema *schema, void (*visit)(void *ctx, const char *class, const char *name), void *ctx)
{
	static const struct expand_registry none;
	const struct expand_registry *reg = schema->expand ? schema->expand : &none;

	for (size_t i = 0; i < countof(item_sets); i++)
		EACH_ROW(struct expand_item, "_EXP_ITEM_", item_sets[i]);
	for (size_t i = 0; reg->item_sets && reg->item_sets[i]; i++)
		EACH_ROW(struct expand_item, "_EXP_ITEM_", reg->item_sets[i]);
	for (size_t i = 0; i < countof(op_sets); i++)
		EACH_ROW(struct expand_operator, "_EXP_OP_", op_sets[i]);
	for (size_t i = 0; reg->operator_sets && reg->operator_sets[i]; i++)
		EACH_ROW(struct expand_operator, "_EXP_OP_", reg->operator_sets[i]);
	for (size_t i = 0; i < countof(cond_sets); i++)
		EACH_ROW(struct expand_condition_row, "_EXP_COND_", cond_sets[i]);
	for (size_t i = 0; reg->condition_sets && reg->condition_sets[i]; i++)
		EACH_ROW(struct expand_condition_row, "_EXP_COND_", reg->condition_sets[i]);
	for (size_t i = 0; i < countof(var_sets); i++)
		EACH_ROW(struct expand_var, "_EXP_VAR_", var_sets[i]);
	for (size_t i = 0; reg->var_sets && reg->var_sets[i]; i++)
		EACH_ROW(struct expand_var, "_EXP_VAR_", reg->var_sets[i]);
}
