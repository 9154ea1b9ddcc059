/* SPDX-License-Identifier: Apache-2.0
 * json: an element of a JSON file, chosen by a list of names and numbers (manual 9.3.7). */
#include "lookup/lookup.h"
#include "lookup/match.h"
#include "lookup/read_file.h"
#include "base/limits.h"
#include <jansson.h>
#include "base/banned.h"

static bool json_open(struct lookup_context *cx, struct str file, void **ret, struct why *why)
{
	struct str text;
	json_error_t error;

	if (!lookup_read_file(cx->arena, file, "json search", &text, why))
		return false;
	json_t *root = json_loadb(text.p, text.len, JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &error);
	if (!root) {
		why_set(why, true, "JSON error in %.*s line %d: %s", STR_ARG(file), error.line, error.text);
		return false;
	}
	*ret = root;
	return true;
}

static void json_close(void *handle)
{
	json_decref(handle);
}

static const json_t *step(struct lookup_context *cx, const json_t *j, struct str selector)
{
	uint64_t at;

	if (json_is_array(j))
		return str_uint(selector, UINT32_MAX, &at) ? json_array_get(j, (size_t)at) : NULL;
	if (json_is_object(j))
		return json_object_getn(j, selector.p, selector.len);
	return NULL;
}

static enum lookup_found json_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	const json_t *j = handle;
	struct str selector;
	int sep = 0;

	while (j && list_next(cx->arena, &key, &sep, &selector))
		j = step(cx, j, selector);
	if (!j)
		return LOOKUP_NONE;
	if (json_is_string(j)) {
		*ret = str_dup(cx->arena, str_n(json_string_value(j), json_string_length(j)));
		return LOOKUP_FOUND;
	}
	char *text = json_dumps(j, JSON_ENCODE_ANY);
	if (!text || strlen(text) > LIMIT_LOOKUP_VALUE) {
		free(text);
		why_set(why, true, "the JSON element is too long");
		return LOOKUP_DEFER;
	}
	*ret = str_dup(cx->arena, str_c(text));
	free(text);
	return LOOKUP_FOUND;
}

const struct lookup_driver lookup_json = {
    .name = "json", .style = LOOKUP_FILE, .wild_ok = true, .open = json_open, .close = json_close, .find = json_find};
