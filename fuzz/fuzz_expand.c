/* SPDX-License-Identifier: Apache-2.0
 * Arbitrary text as an expansion string, parsed and evaluated; what would reach out (files,
 * commands, sockets, lookups) is forbidden. */
#include "expand/expand.h"
#include "lookup/lookup.h"
#include <unistd.h>

static uint32_t fixed_random(struct env *env)
{
	(void)env;
	return 7;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct env env;
	struct str got = {0};
	struct arena *a = arena_new("fuzz", 4ull << 30, 1 << 16, 0);
	struct eval *ev = arena_new_of(a, struct eval);

	if (size > 4096) {
		arena_free(a);
		return 0;
	}
	env_init(&env);
	env.random = fixed_random;
	env.lookups = lookup_cache_new();
	eval_init(ev, NULL, &env, a);
	eval_set_message(ev, message_new(a));
	ev->lx.message->sender = str_tainted(STR("joe@src.ex"));
	ev->forbid = ~0u;
	if (expand_text(ev, str_dup(a, str_n((const char *)data, size)), &got) == EXPAND_OK)
		must(got.p != NULL);
	else
		must(ev->lx.error.p != NULL);
	lookup_cache_free(env.lookups);
	arena_free(a);
	return 0;
}
