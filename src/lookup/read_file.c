/* SPDX-License-Identifier: Apache-2.0
 * Reading a whole file into an arena. */
#include "lookup/read_file.h"
#include "base/limits.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/banned.h"

static bool read_all(int fd, char *p, size_t size, size_t *ret_len)
{
	size_t have = 0;

	while (have < size) {
		ssize_t n = read(fd, p + have, size - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		have += (size_t)n;
	}
	*ret_len = have;
	return true;
}

void lookup_open_failed(struct why *why, const char *path, const char *what, int e)
{
	if (e == EACCES)
		why_set(why, false, "failed to open %s for %s: %s (euid=%ld egid=%ld)", path, what, strerror(e), (long)geteuid(), (long)getegid());
	else
		why_set(why, false, "failed to open %s for %s: %s", path, what, strerror(e));
}

bool lookup_read_file(struct arena *a, struct str name, const char *what, struct str *ret, struct why *why)
{
	char *path = str_cstr(a, name);
	struct stat sb;
	size_t len = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &sb) < 0 || S_ISDIR(sb.st_mode)) {
		int e = fd >= 0 && S_ISDIR(sb.st_mode) ? EISDIR : errno;
		if (fd >= 0)
			close(fd);
		lookup_open_failed(why, path, what, e);
		return false;
	}
	if (sb.st_size > (off_t)LIMIT_CONFIG_FILE) {
		close(fd);
		why_set(why, false, "failed to open %s for %s: %s", path, what, strerror(EFBIG));
		return false;
	}
	/* A device or pipe tells no size: as much as the ceiling allows would be too much. */
	size_t size = S_ISREG(sb.st_mode) ? (size_t)sb.st_size : 1u << 20;
	char *p = arena_alloc(a, size + 1);
	bool ok = read_all(fd, p, size, &len);
	int e = errno;
	close(fd);
	if (!ok) {
		why_set(why, true, "failed to read %s for %s: %s", path, what, strerror(e));
		return false;
	}
	*ret = str_n(p, len);
	return true;
}
