/* SPDX-License-Identifier: Apache-2.0
 * Reading variables: a row tells where a value lies (struct expand_var); headers and the body of
 * the message are read by name (manual 11.5, 11.9). */
#include "expand/tree.h"
#include "message/header.h"
#include "base/banned.h"

bool xvar_value(struct eval *ev, const struct expand_var *v, struct str *ret)
{
	char *obj = ev->space[v->space];

	if (!obj && v->space != SPACE_NONE) {
		*ret = v->none ? str_c(v->none) : v->kind == VAR_STR || v->kind == VAR_CSTR || v->kind == VAR_FN ? STR_NONE : STR("0");
		return true;
	}
	switch (v->kind) {
	case VAR_STR: *ret = *(const struct str *)(const void *)(obj + v->offset); break;
	case VAR_CSTR: *ret = str_c(*(const char *const *)(const void *)(obj + v->offset)); break;
	case VAR_INT32: *ret = str_printf(ev->lx.arena, "%d", *(const int32_t *)(const void *)(obj + v->offset)); break;
	case VAR_INT64: *ret = str_printf(ev->lx.arena, "%lld", (long long)*(const int64_t *)(const void *)(obj + v->offset)); break;
	case VAR_BOOL: *ret = *(const bool *)(const void *)(obj + v->offset) ? STR("1") : STR("0"); break;
	case VAR_FN:
		*ret = STR_NONE;
		if (!v->get(ev, obj, ret))
			return false;
		break;
	}
	if (v->taint && ret->p)
		ret->taint = 1;
	return true;
}

bool xheader_value(struct eval *ev, struct str name, uint8_t form, struct str *ret)
{
	struct message *m = ev->lx.message;
	struct str charset = ev->headers_charset;

	*ret = STR_NONE;
	if (!m)
		return true;
	if (!charset.p && ev->lx.config)
		charset = ev->lx.config->main.headers_charset.text;
	if (!charset.p)
		charset = STR("UTF-8");
	if (headers_get(&m->headers, ev->lx.arena, name, (enum header_form)form, charset, ret) && ret->p)
		ret->taint = 1;
	return true;
}
