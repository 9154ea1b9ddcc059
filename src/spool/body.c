/* SPDX-License-Identifier: Apache-2.0
 * $message_body and $message_body_end (manual 11.9, message_body_visible, message_body_newlines). */
#include <errno.h>
#include <unistd.h>

#include "base/limits.h"
#include "spool/spool.h"

#include "base/banned.h"

struct str spool_body_text(struct arena *a, int fd, int64_t offset, int64_t size, size_t n, bool end, bool keep_newlines)
{
	if (size <= 0 || n == 0)
		return str_tainted(STR(""));
	if (n > LIMIT_EXPANSION)
		n = LIMIT_EXPANSION;
	size_t want = (uint64_t)size < n ? (size_t)size : n, got = 0;
	int64_t from = end ? offset + size - (int64_t)want : offset;
	char *text = arena_alloc(a, want + 1);
	while (got < want) {
		ssize_t r = pread(fd, text + got, want - got, (off_t)(from + (int64_t)got));
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	/* "Binary zeros are changed to spaces", newlines too unless asked. */
	for (size_t i = 0; i < got; i++)
		if (text[i] == '\0' || (text[i] == '\n' && !keep_newlines))
			text[i] = ' ';
	return str_tainted(str_n(text, got));
}
