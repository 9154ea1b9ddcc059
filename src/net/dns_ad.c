/* SPDX-License-Identifier: Apache-2.0
 * The word of a validating name server, for a machine that has no trust anchor of its own: Exim
 * takes the AD flag of the resolver that resolv.conf names (manual 14, dns_dnssec_ok), and so
 * must we, or DANE would end where a local resolver validates. libunbound does not hand the flag
 * on, so the question is put once more, with AD set (RFC 6840 5.7), and only the flag is read. */
#include "net/resolver_priv.h"

#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/rd.h"
#include "base/strbuf.h"
#include "base/banned.h"

#define AD_WAIT_MS 2000
#define FLAG_QR 0x8000u
#define FLAG_AD 0x0020u

static int open_to(struct str server)
{
	struct str port_text, addr = str_cut(server, '@', &port_text);
	struct ip_addr ip;
	struct sockaddr_storage sa;
	uint64_t port = 53;
	if (!ip_parse(addr, &ip) || (str_is_set(port_text) && !str_uint(port_text, 65535, &port)))
		return -1;
	int fd = socket(ip.family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = ip_to_sockaddr(&ip, (int)port, &sa);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&sa, len) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Id, flags RD and AD, one question, an OPT record with 1232 bytes of room. */
static struct str make_question(struct arena *a, struct str name, enum dns_type type)
{
	struct strbuf sb;
	uint16_t id = 0;
	sb_init(&sb, a, 600);
	if (getrandom(&id, sizeof id, 0) != (ssize_t)sizeof id)
		return STR_NONE;
	sb_addn(&sb, (const char *)&id, sizeof id);
	sb_addn(&sb, "\1\x20\0\1\0\0\0\0\0\1", 10);
	while (str_is_set(name) && name.len && !str_eqc(name, ".")) {
		struct str label = str_cut(name, '.', &name);
		sb_ch(&sb, (char)label.len);
		sb_add(&sb, label);
	}
	sb_ch(&sb, 0);
	sb_ch(&sb, (char)((unsigned)type >> 8));
	sb_ch(&sb, (char)type);
	sb_addn(&sb, "\0\1", 2);
	sb_addn(&sb, "\0\0\x29\4\xd0\0\0\0\0\0\0", 11);
	return sb_str(&sb);
}

/* Is it the answer to this question (id and question echoed), with AD? */
static bool says_secure(struct str question, struct str packet, bool *ret_ours)
{
	struct rd r = rd_of(packet);
	struct str id = rd_take(&r, 2);
	unsigned flags = (unsigned)rd_be(&r, 2), count = (unsigned)rd_be(&r, 2);
	rd_take(&r, 6);
	size_t len = question.len - 12 - 11;
	struct str echoed = rd_take(&r, len);
	*ret_ours = !r.bad && str_eq(id, str_sub(question, 0, 2)) && count == 1 && str_ieq(echoed, str_sub(question, 12, len)) &&
		    (flags & FLAG_QR);
	return *ret_ours && (flags & FLAG_AD) && (flags & 15) == 0;
}

bool dns_ad_says(struct arena *a, struct str server, struct str name, enum dns_type type)
{
	struct str question = make_question(a, name, type);
	int fd = str_is_set(question) ? open_to(server) : -1;
	char buf[4096];
	bool secure = false, ours = false;
	if (fd < 0)
		return false;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	if (send(fd, question.p, question.len, MSG_NOSIGNAL) == (ssize_t)question.len)
		for (int packets = 0; !ours && packets < 4 && poll(&p, 1, AD_WAIT_MS) > 0; packets++) {
			ssize_t n = recv(fd, buf, sizeof buf, 0);
			if (n < 0)
				break;
			secure = says_secure(question, str_n(buf, (size_t)n), &ours);
		}
	close(fd);
	return secure;
}
