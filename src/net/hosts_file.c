/* SPDX-License-Identifier: Apache-2.0
 * The machine's own name files: resolv.conf(5) (nameserver, domain, search, options ndots) and
 * hosts(5). Lines that make no sense are passed over, as the C library does. */
#include "net/resolver_priv.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rd.h"
#include "base/banned.h"

#define RESOLV_CONF_MAX 65536
#define HOST_NAMES_MAX 64 /* on one line */

struct str small_file_read(struct arena *a, const char *path, size_t max)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return STR_NONE;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size < 0 || (size_t)st.st_size > max) {
		close(fd);
		return STR_NONE;
	}
	size_t size = (size_t)st.st_size, at = 0;
	char *p = arena_alloc(a, size + 1);
	while (at < size) {
		ssize_t n = read(fd, p + at, size - at);
		if (n <= 0)
			break;
		at += (size_t)n;
	}
	close(fd);
	return str_n(p, at);
}

/* Up to a comment. */
static struct rd line_of(struct rd *r)
{
	struct str line = rd_line(r);
	for (uint32_t i = 0; i < line.len; i++)
		if (line.p[i] == '#' || line.p[i] == ';') {
			line.len = i;
			break;
		}
	return rd_of(line);
}

static void set_search(struct arena *a, struct rd *line, bool single, struct resolv_conf *c)
{
	c->searches = 0; /* the last such line counts */
	for (struct str w; c->searches < (single ? 1u : SEARCH_MAX) && (w = rd_word(line)).len;)
		if (dns_name_good(&w))
			c->search[c->searches++] = str_dup(a, w);
}

void resolv_conf_parse(struct arena *a, struct str text, struct resolv_conf *ret)
{
	struct rd r = rd_of(text);
	*ret = (struct resolv_conf){.ndots = 1};
	while (!rd_done(&r)) {
		struct rd line = line_of(&r);
		struct str key = rd_word(&line), w;
		struct ip_addr ip;
		uint64_t n;
		if (str_eqc(key, "nameserver")) {
			w = rd_word(&line);
			if (ret->servers < NAMESERVERS_MAX && ip_parse(w, &ip))
				ret->server[ret->servers++] = str_dup(a, w);
		} else if (str_eqc(key, "search") || str_eqc(key, "domain")) {
			set_search(a, &line, str_eqc(key, "domain"), ret);
		} else if (str_eqc(key, "options")) {
			while ((w = rd_word(&line)).len)
				if (str_starts(w, "ndots:") && str_uint(str_from(w, 6), 15, &n))
					ret->ndots = (unsigned)n;
		}
	}
}

void resolv_conf_read(struct arena *a, const char *path, struct resolv_conf *ret)
{
	char host[256] = "";
	resolv_conf_parse(a, small_file_read(a, path, RESOLV_CONF_MAX), ret);
	if (ret->servers == 0)
		ret->server[ret->servers++] = STR("127.0.0.1"); /* resolv.conf(5) */
	if (ret->searches == 0 && gethostname(host, sizeof host - 1) == 0) {
		struct str domain;
		(void)str_cut(str_c(host), '.', &domain);
		if (str_is_set(domain) && dns_name_good(&domain))
			ret->search[ret->searches++] = str_dup(a, domain);
	}
}

static bool hosts_line(struct arena *a, struct rd *line, struct host_line *ret)
{
	struct str names[HOST_NAMES_MAX], w;
	size_t n = 0;
	if (!ip_parse(rd_word(line), &ret->ip))
		return false;
	while (n < HOST_NAMES_MAX && (w = rd_word(line)).len)
		if (dns_name_good(&w))
			names[n++] = str_dup(a, w);
	if (n == 0)
		return false;
	ret->names = arena_dup(a, names, n * sizeof *names);
	ret->count = n;
	return true;
}

void hosts_parse(struct arena *a, struct str text, struct hosts_table *ret)
{
	size_t lines = 1;
	struct rd r = rd_of(text);
	for (uint32_t i = 0; i < text.len; i++)
		lines += text.p[i] == '\n';
	*ret = (struct hosts_table){.line = arena_array_of(a, lines, struct host_line)};
	while (!rd_done(&r)) {
		struct rd line = line_of(&r);
		if (hosts_line(a, &line, &ret->line[ret->count]))
			ret->count++;
	}
}
