/* SPDX-License-Identifier: Apache-2.0
 * passwd: a user's entry, with * for the password (manual 9.4.6). */
#include "lookup/lookup.h"
#include <errno.h>
#include <pwd.h>
#include "base/banned.h"

static enum lookup_found passwd_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	size_t size = 16384;
	struct passwd pw, *found = NULL;
	char *buf = arena_alloc(cx->arena, size);
	int e = getpwnam_r(str_cstr(cx->arena, key), &pw, buf, size, &found);

	if (e != 0 && e != ENOENT && !found) {
		why_set(why, true, "getpwnam: %s", strerror(e));
		return LOOKUP_DEFER;
	}
	if (!found)
		return LOOKUP_NONE;
	*ret = str_printf(cx->arena, "*:%u:%u:%s:%s:%s", (unsigned)pw.pw_uid, (unsigned)pw.pw_gid, pw.pw_gecos, pw.pw_dir, pw.pw_shell);
	return LOOKUP_FOUND;
}

const struct lookup_driver lookup_passwd = {.name = "passwd", .style = LOOKUP_QUERY, .find = passwd_find};
