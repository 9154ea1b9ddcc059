/* SPDX-License-Identifier: Apache-2.0
 * Bytes of a bad neighbour on a channel: frames are taken until it breaks, fields unpacked. */
#include "ipc/channel.h"

#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd[2];
	if (size > 65536 || channel_pair(fd) != ST_OK)
		return 0;
	struct arena *a = arena_new("fuzz", 64u << 20, 0, 0);
	struct channel *c = channel_new(fd[0]);
	must(write(fd[1], data, size) == (ssize_t)size);
	close(fd[1]);
	struct frame f;
	while (channel_recv(c, a, 0, &f) == ST_OK) {
		struct rd r = rd_of(f.payload);
		while (!rd_done(&r))
			up_str(&r);
		frame_close_fds(&f);
	}
	channel_close(c);
	arena_free(a);
	return 0;
}
