/* SPDX-License-Identifier: Apache-2.0
 * JSON as expansions read it (manual 11.5, extract json): values are found by walking the text;
 * they come out as written. */
#pragma once
#include "base/str.h"

/* "[" taken from the head of *s; false if it is no array. */
bool json_array_begin(struct str *s);
/* Next element, trimmed, of an array (or member "key": value of an object); false at the end. */
bool json_array_next(struct str *s, struct str *ret_item);
/* Take off the quotes of a string; false if it is none. */
bool json_unquote(struct str s, struct str *ret);
/* Value of a member of an object. 1 found, 0 not there, -1 with a text in *error. */
int json_member(struct str object, struct str key, struct str *ret, const char **error);
