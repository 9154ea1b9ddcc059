/* SPDX-License-Identifier: Apache-2.0
 * Walking JSON text (manual 11.5): brackets, braces and strings are counted, nothing is decoded. */
#include "expand/json_text.h"
#include "base/banned.h"

bool json_array_begin(struct str *s)
{
	*s = str_ltrim(*s);
	if (str_empty(*s) || s->p[0] != '[')
		return false;
	*s = str_trim(str_from(*s, 1));
	if (s->len && s->p[s->len - 1] == ']')
		*s = str_rtrim(str_sub(*s, 0, s->len - 1));
	return true;
}

bool json_array_next(struct str *s, struct str *ret_item)
{
	size_t i = 0;
	int depth = 0;
	bool quoted = false;

	*s = str_ltrim(*s);
	if (str_empty(*s))
		return false;
	for (; i < s->len; i++) {
		char c = s->p[i];
		if (quoted) {
			if (c == '\\')
				i++;
			else if (c == '"')
				quoted = false;
			continue;
		}
		if (c == '"')
			quoted = true;
		else if (c == '[' || c == '{')
			depth++;
		else if (c == ']' || c == '}') {
			if (--depth < 0)
				break;
		} else if (c == ',' && depth == 0)
			break;
	}
	if (i > s->len)
		i = s->len;
	*ret_item = str_rtrim(str_sub(*s, 0, i));
	*s = i < s->len && s->p[i] == ',' ? str_from(*s, i + 1) : STR_NONE;
	return true;
}

bool json_unquote(struct str s, struct str *ret)
{
	if (s.len < 2 || s.p[0] != '"' || s.p[s.len - 1] != '"')
		return false;
	*ret = str_sub(s, 1, s.len - 2);
	return true;
}

/* The end of the string that begins at s.p[0] == '"': index of its closing quote, or len. */
static size_t string_end(struct str s)
{
	size_t i = 1;

	while (i < s.len && s.p[i] != '"')
		i += s.p[i] == '\\' ? 2 : 1;
	return i < s.len ? i : s.len;
}

int json_member(struct str object, struct str key, struct str *ret, const char **error)
{
	struct str item;

	object = str_ltrim(object);
	if (str_empty(object) || object.p[0] != '{')
		return 0;
	object = str_trim(str_from(object, 1));
	if (object.len && object.p[object.len - 1] == '}')
		object = str_sub(object, 0, object.len - 1);
	while (json_array_next(&object, &item)) {
		if (str_empty(item) || item.p[0] != '"') {
			*error = "missing '\"' wrapping object name";
			return -1;
		}
		size_t end = string_end(item);
		struct str name = str_sub(item, 1, end - 1), rest = str_ltrim(str_from(item, end + 1));
		if (!str_eq(name, key))
			continue;
		if (str_empty(rest) || rest.p[0] != ':') {
			*error = "missing object value-separator";
			return -1;
		}
		*ret = str_trim(str_from(rest, 1));
		return 1;
	}
	return 0;
}
