/* SPDX-License-Identifier: Apache-2.0
 * PROXY headers from a socket. */
#include "net/stream.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];
	struct proxy_header h;
	struct why why;
	if (size > 8192 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		return 0;
	must(write(fd[1], data, size) == (ssize_t)size);
	close(fd[1]);
	struct stream *s = stream_new(fd[0], fd[0]);
	if (proxy_read(s, 1000, &h, &why) == ST_OK)
		must(h.local || (h.src.family == h.dst.family && h.src.family != 0));
	stream_drop(s);
	return 0;
}
