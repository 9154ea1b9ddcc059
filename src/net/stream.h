/* SPDX-License-Identifier: Apache-2.0
 * stream: bytes in and out over one descriptor, as stacked filters of one interface: TCP or UNIX
 * socket, pipe, PROXY header, TLS; the protocol above never asks what lies below. Blocking with
 * deadlines (poll), so threads read straight on. There is one input buffer, owned by the stream:
 * so "is anything buffered behind this command" (smtp_enforce_sync, STARTTLS) has one true answer.
 * Nothing here knows SMTP. Threads: owner. */
#pragma once
#include "base/env.h"
#include "base/status.h"
#include "net/addr.h"

struct stream;
struct tls_info; /* net/tls.h */

/* Take over a connected descriptor (made non-blocking; closed by stream_close). in/out may differ
 * (pipes, standard input and output); pass the same twice for a socket. */
struct stream *stream_new(int in_fd, int out_fd);
/* Orderly end: TLS close-notify if any, then close. Accepts NULL. */
void stream_close(struct stream *s);
/* Close without any bytes leaving (after fork, after an error). */
void stream_drop(struct stream *s);
int stream_fd(const struct stream *s);
/* For parking: give the input buffer back while it is empty (an idle session costs little). */
void stream_park(struct stream *s);
size_t stream_footprint(const struct stream *s);

/* Deadline for each following call, ms from its beginning; 0 = none. */
void stream_set_timeout(struct stream *s, int64_t ms);

/* Next line, without its end, at most `max` bytes. The line stays valid until the next read call.
 * *ret_end tells how it ended. ST_LIMIT: longer than max (the rest of the line is discarded up to
 * its LF, bounded by 64*max, then ST_EOF); ST_EOF; ST_TIMEOUT; or -errno. */
enum line_end { LINE_CRLF, LINE_LF, LINE_EOF };
must_check enum status stream_read_line(struct stream *s, size_t max, struct str *ret, enum line_end *ret_end);
/* What is buffered, at least one byte (reads if empty); valid until the next call. Then consume. */
must_check enum status stream_peek(struct stream *s, struct str *ret);
void stream_consume(struct stream *s, size_t n);
/* Take what has arrived into the buffer, without waiting: ST_OK when bytes came, -EAGAIN when
 * none are there yet, ST_EOF or another failure. Adds to what is buffered, so that a command of
 * which only a part came can be waited for without a thread. */
must_check enum status stream_fill(struct stream *s);
/* Exactly n bytes into buf. */
must_check enum status stream_read(struct stream *s, void *buf, size_t n);
/* Bytes that already arrived: in our buffer or TLS's; with `poll_fd` also in the kernel's. */
bool stream_pending(struct stream *s, bool poll_fd);
/* Wait until readable: ST_OK, ST_TIMEOUT, ST_EOF (peer hung up with nothing to read). */
must_check enum status stream_wait(struct stream *s, int64_t ms);

/* Output is buffered; flush sends. A failed write sticks: later calls return it too. */
must_check enum status stream_write(struct stream *s, const void *p, size_t n);
must_check enum status stream_put(struct stream *s, struct str text);
must_check enum status stream_printf(struct stream *s, const char *fmt, ...) printf_like(2, 3);
must_check enum status stream_flush(struct stream *s);
/* n bytes of file `fd` from `offset`, by sendfile where nothing is stacked on the socket. */
must_check enum status stream_send_file(struct stream *s, int fd, int64_t offset, int64_t n);
/* Half-close our side of the output (BDAT-less pipes, -bS). */
void stream_shutdown_write(struct stream *s);
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);

/* TLS on top (net/tls.h has the contexts); NULL while in clear. */
const struct tls_info *stream_tls(const struct stream *s);

/* PROXY protocol v1 and v2 read off the head of a stream, before anything else (manual 59).
 * ret addresses: family 0 when the header says LOCAL/UNKNOWN. */
struct proxy_header {
	struct ip_addr src, dst;
	int src_port, dst_port;
	bool local;
	uint8_t version;
};
must_check enum status proxy_read(struct stream *s, int64_t timeout_ms, struct proxy_header *ret, struct why *why);

/* Connections. ip/port given; bind to *from (family 0 = any). */
struct connect_opts {
	struct ip_addr from;
	int from_port;
	int64_t timeout_ms; /* 0 = the kernel's */
	bool keepalive, nodelay;
	int dscp; /* -1 = leave */
};
must_check enum status net_connect(const struct ip_addr *ip, int port, const struct connect_opts *o,
    struct stream **ret, struct why *why);
must_check enum status net_connect_unix(const char *path, int64_t timeout_ms, struct stream **ret, struct why *why);
must_check enum status net_listen(const struct ip_addr *ip, int port, int backlog, bool reuse_port, int *ret_fd, struct why *why);
must_check enum status net_listen_unix(const char *path, unsigned mode, int backlog, int *ret_fd, struct why *why);
