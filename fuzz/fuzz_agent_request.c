/* SPDX-License-Identifier: Apache-2.0
 * Requests to the privileged agent, and replies from its children: what unpacks packs again. */
#include "ipc/msg_agent.h"

#include "base/limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct agent_request q, again;
	struct agent_reply p;
	struct strbuf sb;
	struct arena *a = arena_new("fuzz", 8u << 20, 0, 0);
	struct str s = str_n((const char *)data, size);
	if (agent_request_unpack(s, &q)) {
		sb_init(&sb, a, LIMIT_IPC_FRAME);
		agent_request_pack(&sb, &q);
		must(sb.over || (agent_request_unpack(sb_str(&sb), &again) && again.who.uid == q.who.uid));
	}
	if (agent_reply_unpack(s, &p))
		must(strlen(p.why.text) < WHY_SIZE);
	arena_free(a);
	return 0;
}
