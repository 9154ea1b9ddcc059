/* SPDX-License-Identifier: Apache-2.0
 * Replies and EHLO answers of a server, as bytes on a socket: read whole, bounded, parsed. */
#include <sys/socket.h>
#include <unistd.h>

#include "smtp/client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];
	if (size > 100000 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		return 0;
	struct arena *a = arena_new("fuzz", 1 << 26, 0, 0);
	struct stream *s = stream_new(fd[0], fd[0]);
	struct smtp_client c;
	smtp_client_init(&c, s, a, size % 2);
	c.command_timeout_ms = 1000;
	if (send(fd[1], data, size, MSG_DONTWAIT) >= 0) {
		shutdown(fd[1], SHUT_WR);
		for (int i = 0; i < 20; i++) {
			struct smtp_reply r = smtp_client_reply(&c);
			must((r.code == 0) == (r.st != ST_OK));
			must(r.code == 0 || (r.code >= 200 && r.code < 600));
			struct smtp_caps caps;
			smtp_caps_parse(a, r.text, &caps);
			if (r.code == 0)
				break;
		}
	}
	close(fd[1]);
	stream_drop(s);
	arena_free(a);
	return 0;
}
