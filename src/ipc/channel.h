/* SPDX-License-Identifier: Apache-2.0
 * channel: framed messages with descriptor passing over a SOCK_SEQPACKET/STREAM pair. A frame is
 * type (u16), flags (u16), serial (u32), length (u32), payload; at most LIMIT_IPC_FRAME bytes and
 * LIMIT_IPC_FDS descriptors. A malformed frame ends the channel: no guessing at a boundary.
 * Threads: send from any (locked); receive in one. */
#pragma once
#include "base/rd.h"
#include "base/status.h"
#include "base/strbuf.h"

struct channel;
struct frame {
	uint16_t type, flags;
	uint32_t serial;
	struct str payload;
	int fd[8];
	unsigned fds; /* the receiver owns them; frame_close_fds for those it does not take */
};

must_check enum status channel_pair(int fd[2]);
struct channel *channel_new(int fd);
void channel_close(struct channel *c);
int channel_fd(const struct channel *c);
must_check enum status channel_send(struct channel *c, uint16_t type, uint32_t serial, struct str payload, const int *fds, unsigned nfds);
/* Receive one frame, waiting at most ms (-1 = for ever). Payload lives in `a`. ST_EOF at the end. */
must_check enum status channel_recv(struct channel *c, struct arena *a, int64_t ms, struct frame *ret);
void frame_close_fds(struct frame *f);

/* Fields inside a payload: both ends of a type stand together in ipc/msg_X.c. */
void pk_u8(struct strbuf *sb, uint8_t v);
void pk_u32(struct strbuf *sb, uint32_t v);
void pk_u64(struct strbuf *sb, uint64_t v);
void pk_str(struct strbuf *sb, struct str s); /* keeps unset and taint */
uint8_t up_u8(struct rd *r);
uint32_t up_u32(struct rd *r);
uint64_t up_u64(struct rd *r);
struct str up_str(struct rd *r); /* points into the payload */
