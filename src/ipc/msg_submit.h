/* SPDX-License-Identifier: Apache-2.0
 * Local submission between the command (an unprivileged caller) and the daemon: a u32 length, the
 * packed request, then raw bytes: the message up to the end of input, or an SMTP session. After a
 * message the daemon answers with a u32 length and the packed reply. Who calls is not in the
 * request: the daemon asks the kernel (SO_PEERCRED). */
#pragma once
#include "base/rd.h"
#include "base/strbuf.h"

enum submit_kind { SUBMIT_MESSAGE, SUBMIT_SMTP, SUBMIT_BATCH };
#define SUBMIT_RECIPIENTS_MAX 512
struct msg_submit {
	uint8_t kind;
	uint8_t dot_ends, extract, error_mode, deliver_mode, no_delivery, sender_given;
	struct str sender, full_name, cwd, queue, protocol, ident, host_name, host_address, interface_address, auth_id,
	    auth_name, auth_sender;
	uint32_t host_port, interface_port;
	struct str recipient[SUBMIT_RECIPIENTS_MAX];
	uint32_t recipients;
};
struct msg_submit_reply {
	uint32_t exit_status;
	struct str id, error_text;
};
#define SUBMIT_REQUEST_MAX (1u << 20)
void msg_submit_put(struct strbuf *sb, const struct msg_submit *m);
bool msg_submit_get(struct str payload, struct msg_submit *ret);
void msg_submit_reply_put(struct strbuf *sb, const struct msg_submit_reply *m);
bool msg_submit_reply_get(struct str payload, struct msg_submit_reply *ret);
