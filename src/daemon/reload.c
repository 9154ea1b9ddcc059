/* SPDX-License-Identifier: Apache-2.0
 * Content of the memfd: the path, a NUL, the gathered text (config_gather). */
#include "daemon/reload.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/banned.h"

static bool write_all(int fd, struct str s)
{
	while (s.len) {
		ssize_t n = write(fd, s.p, s.len);
		if (n <= 0)
			return false;
		s = str_from(s, (size_t)n);
	}
	return true;
}

int reload_seal(struct str text, struct str path)
{
	int fd = memfd_create("eximius-config", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
	if (!write_all(fd, path) || !write_all(fd, str_n("", 1)) || !write_all(fd, text) || fcntl(fd, F_ADD_SEALS, seals) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

struct config *reload_parse(const struct config_schema *schema, struct env *env, int fd, struct why *why)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > LIMIT_CONFIG_FILE) {
		why_set(why, true, "the configuration that was handed over cannot be read");
		return NULL;
	}
	size_t size = (size_t)st.st_size;
	char *map = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED) {
		why_set(why, true, "the configuration that was handed over cannot be mapped");
		return NULL;
	}
	struct str text, path = str_cut(str_n(map, size), 0, &text);
	struct config_source handed = {.exim_uid = -1, .exim_gid = -1, .schema = schema};
	struct config *c = str_is_set(text) ? config_parse(schema, env, text, path, &handed, why) : NULL;
	munmap(map, size);
	return c;
}
