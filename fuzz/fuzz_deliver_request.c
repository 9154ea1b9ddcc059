/* SPDX-License-Identifier: Apache-2.0
 * The request that the agent's child gets for a local delivery: what is accepted packs again to
 * the same bytes. */
#include "base/limits.h"
#include "transport/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *a = arena_new("fuzz", 1 << 28, 0, 0);
	struct deliver_request q, again;
	if (size < LIMIT_IPC_FRAME && deliver_request_unpack(a, str_n((const char *)data, size), &q)) {
		struct strbuf sb, twice;
		sb_init(&sb, a, LIMIT_IPC_FRAME * 2);
		sb_init(&twice, a, LIMIT_IPC_FRAME * 2);
		deliver_request_pack(&sb, &q);
		must(deliver_request_unpack(a, sb_str(&sb), &again));
		deliver_request_pack(&twice, &again);
		must(str_eq(sb_str(&sb), sb_str(&twice)));
	}
	arena_free(a);
	return 0;
}
