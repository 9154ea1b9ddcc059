/* SPDX-License-Identifier: Apache-2.0
 * Inside of a stream, for sibling files: the buffers, and the layer that moves bytes between them
 * and the descriptor (plain.c's functions, or TLS). */
#pragma once
#include "net/stream.h"

#include <sys/types.h>

/* read and write return a byte count, 0 (read) at the end of input, or -1 with errno; EAGAIN
 * comes with *want = POLLIN or POLLOUT, the readiness to wait for. */
struct stream_layer {
	ssize_t (*read)(struct stream *s, void *p, size_t n, short *want);
	ssize_t (*write)(struct stream *s, const void *p, size_t n, short *want);
	bool (*pending)(struct stream *s);  /* bytes held inside the layer */
	void (*farewell)(struct stream *s); /* the last words: TLS close-notify */
	void (*release)(struct stream *s);
	size_t (*footprint)(const struct stream *s);
};

struct stream {
	int in_fd, out_fd;
	bool in_socket, out_socket;
	bool eof;
	uint32_t in_at, in_end, in_room; /* unread bytes are in[in_at .. in_end) */
	uint32_t out_len, out_room;
	enum status write_error; /* sticks */
	char *in, *out;
	int64_t timeout_ms;
	uint64_t bytes_in, bytes_out;
	const struct stream_layer *layer;
	void *layer_data;
	struct tls_info *tls;
};

extern const struct stream_layer stream_plain;

/* Monotonic ms; the end of a call that may take ms from now (0 = no end). */
int64_t stream_now_ms(void);
static inline int64_t stream_deadline(int64_t ms)
{
	return ms > 0 ? stream_now_ms() + ms : 0;
}
/* poll one descriptor until the deadline: ST_OK, ST_TIMEOUT or -errno. */
must_check enum status stream_poll(int fd, short events, int64_t deadline);
