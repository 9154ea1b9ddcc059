/* SPDX-License-Identifier: Apache-2.0
 * Requests and replies of the agent on the wire. The parent unpacks the request's envelope only;
 * `payload` stays bytes until the child's handler reads it. */
#include "ipc/msg_agent.h"

#include "base/banned.h"

void agent_request_pack(struct strbuf *sb, const struct agent_request *q)
{
	pk_u8(sb, (uint8_t)q->task);
	pk_u32(sb, (uint32_t)q->who.uid);
	pk_u32(sb, (uint32_t)q->who.gid);
	pk_u8(sb, q->who.initgroups);
	pk_str(sb, q->who.home);
	pk_str(sb, q->who.cwd);
	pk_str(sb, q->who.login);
	pk_u32(sb, q->who.umask);
	pk_u64(sb, (uint64_t)q->timeout_ms);
	pk_str(sb, q->payload);
}

bool agent_request_unpack(struct str payload, struct agent_request *ret)
{
	struct rd r = rd_of(payload);
	struct agent_request q = {0};
	uint8_t task = up_u8(&r);
	q.who.uid = (int32_t)up_u32(&r);
	q.who.gid = (int32_t)up_u32(&r);
	q.who.initgroups = up_u8(&r) != 0;
	q.who.home = up_str(&r);
	q.who.cwd = up_str(&r);
	q.who.login = up_str(&r);
	q.who.umask = up_u32(&r);
	uint64_t ms = up_u64(&r);
	q.payload = up_str(&r);
	if (r.bad || !rd_done(&r) || task >= AGENT_TASKS || ms > INT64_MAX / 2 || q.who.uid < 0 || q.who.gid < 0)
		return false;
	q.task = (enum agent_task)task;
	q.timeout_ms = (int64_t)ms;
	*ret = q;
	return true;
}

void agent_reply_pack(struct strbuf *sb, const struct agent_reply *p)
{
	pk_u32(sb, (uint32_t)p->status);
	pk_u8(sb, p->why.temporary);
	pk_u32(sb, (uint32_t)p->why.errnum);
	pk_str(sb, str_c(p->why.text));
	pk_str(sb, p->payload);
}

bool agent_reply_unpack(struct str payload, struct agent_reply *ret)
{
	struct rd r = rd_of(payload);
	struct agent_reply p = {0};
	p.status = (enum status)(int32_t)up_u32(&r);
	p.why.temporary = up_u8(&r) != 0;
	p.why.errnum = (int)up_u32(&r);
	struct str text = up_str(&r);
	p.payload = up_str(&r);
	if (r.bad || !rd_done(&r) || text.len >= WHY_SIZE || (int)p.status > 0)
		return false;
	if (text.len)
		memcpy(p.why.text, text.p, text.len);
	*ret = p;
	return true;
}
