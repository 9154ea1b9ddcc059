/* SPDX-License-Identifier: Apache-2.0 */
#include "ipc/msg_submit.h"

#include "ipc/channel.h"
#include "base/banned.h"

void msg_submit_put(struct strbuf *sb, const struct msg_submit *m)
{
	const uint8_t bytes[] = {m->kind, m->dot_ends, m->extract, m->error_mode, m->deliver_mode, m->no_delivery, m->sender_given};
	const struct str texts[] = {m->sender, m->full_name, m->cwd, m->queue, m->protocol, m->ident, m->host_name,
	    m->host_address, m->interface_address, m->auth_id, m->auth_name, m->auth_sender};
	for (size_t i = 0; i < countof(bytes); i++)
		pk_u8(sb, bytes[i]);
	for (size_t i = 0; i < countof(texts); i++)
		pk_str(sb, texts[i]);
	pk_u32(sb, m->host_port);
	pk_u32(sb, m->interface_port);
	pk_u32(sb, m->recipients);
	for (uint32_t i = 0; i < m->recipients; i++)
		pk_str(sb, m->recipient[i]);
}

bool msg_submit_get(struct str payload, struct msg_submit *ret)
{
	struct rd r = rd_of(str_tainted(payload));
	uint8_t *bytes[] = {&ret->kind, &ret->dot_ends, &ret->extract, &ret->error_mode, &ret->deliver_mode,
	    &ret->no_delivery, &ret->sender_given};
	struct str *texts[] = {&ret->sender, &ret->full_name, &ret->cwd, &ret->queue, &ret->protocol, &ret->ident,
	    &ret->host_name, &ret->host_address, &ret->interface_address, &ret->auth_id, &ret->auth_name, &ret->auth_sender};
	for (size_t i = 0; i < countof(bytes); i++)
		*bytes[i] = up_u8(&r);
	for (size_t i = 0; i < countof(texts); i++) {
		*texts[i] = up_str(&r);
		texts[i]->taint = 1; /* whatever the other side says */
	}
	ret->host_port = up_u32(&r);
	ret->interface_port = up_u32(&r);
	ret->recipients = up_u32(&r);
	if (ret->recipients > SUBMIT_RECIPIENTS_MAX)
		return false;
	for (uint32_t i = 0; i < ret->recipients; i++) {
		ret->recipient[i] = up_str(&r);
		ret->recipient[i].taint = 1;
	}
	return !r.bad && rd_left(&r) == 0 && ret->kind <= SUBMIT_BATCH;
}

void msg_submit_reply_put(struct strbuf *sb, const struct msg_submit_reply *m)
{
	pk_u32(sb, m->exit_status);
	pk_str(sb, m->id);
	pk_str(sb, m->error_text);
}

bool msg_submit_reply_get(struct str payload, struct msg_submit_reply *ret)
{
	struct rd r = rd_of(payload);
	ret->exit_status = up_u32(&r);
	ret->id = up_str(&r);
	ret->error_text = up_str(&r);
	return !r.bad && rd_left(&r) == 0;
}
