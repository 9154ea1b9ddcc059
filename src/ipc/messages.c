/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/messages.h"

#include "base/banned.h"

void msg_queued_put(struct strbuf *sb, const struct msg_queued *m)
{
	pk_str(sb, m->id);
	pk_str(sb, m->queue);
	pk_u32(sb, m->how);
}

bool msg_queued_get(struct str payload, struct msg_queued *ret)
{
	struct rd r = rd_of(payload);
	ret->id = up_str(&r);
	ret->queue = up_str(&r);
	ret->how = up_u32(&r);
	return !r.bad && rd_left(&r) == 0;
}

void msg_listen_put(struct strbuf *sb, const struct msg_listen *m)
{
	pk_u32(sb, m->index);
	pk_u8(sb, (uint8_t)m->tls_on_connect);
	pk_u8(sb, (uint8_t)m->last);
}

bool msg_listen_get(struct str payload, struct msg_listen *ret)
{
	struct rd r = rd_of(payload);
	ret->index = up_u32(&r);
	ret->tls_on_connect = up_u8(&r) != 0;
	ret->last = up_u8(&r) != 0;
	return !r.bad && rd_left(&r) == 0;
}

void msg_run_queue_put(struct strbuf *sb, const struct msg_run_queue *m)
{
	pk_str(sb, m->queue);
	pk_str(sb, m->sender);
	pk_str(sb, m->recipient);
	pk_u32(sb, m->flags);
}

bool msg_run_queue_get(struct str payload, struct msg_run_queue *ret)
{
	struct rd r = rd_of(payload);
	ret->queue = up_str(&r);
	ret->sender = up_str(&r);
	ret->recipient = up_str(&r);
	ret->flags = up_u32(&r);
	return !r.bad && rd_left(&r) == 0;
}
