/* SPDX-License-Identifier: Apache-2.0
 * psl and regdom: public suffix and registered domain by a Public Suffix List file (manual 9.3.12). */
#include "lookup/lookup.h"
#include <errno.h>
#include <libpsl.h>
#include <unistd.h>
#include "base/banned.h"

static bool psl_open(struct lookup_context *cx, struct str file, void **ret, struct why *why)
{
	char *path = str_cstr(cx->arena, file);
	psl_ctx_t *psl = psl_load_file(path);

	if (!psl) {
		why_set(why, false, "failed to open %s for psl lookup: %s", path, access(path, R_OK) < 0 ? strerror(errno) : "no public suffix list");
		return false;
	}
	*ret = psl;
	return true;
}

static void psl_close(void *handle)
{
	psl_free(handle);
}

static enum lookup_found answer(struct lookup_context *cx, const char *v, struct str key, struct str *ret)
{
	if (!v)
		return LOOKUP_NONE;
	*ret = str_dup(cx->arena, str_c(v));
	return LOOKUP_FOUND;
}

static enum lookup_found psl_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	return answer(cx, psl_unregistrable_domain(handle, str_cstr(cx->arena, key)), key, ret);
}

static enum lookup_found regdom_find(struct lookup_context *cx, void *handle, struct str file, struct str key, struct str opts,
    struct str *ret, bool *do_cache, struct why *why)
{
	return answer(cx, psl_registrable_domain(handle, str_cstr(cx->arena, key)), key, ret);
}

const struct lookup_driver lookup_psl = {
    .name = "psl", .style = LOOKUP_FILE, .open = psl_open, .close = psl_close, .find = psl_find};
const struct lookup_driver lookup_regdom = {
    .name = "regdom", .style = LOOKUP_FILE, .open = psl_open, .close = psl_close, .find = regdom_find};
