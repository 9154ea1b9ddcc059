/* SPDX-License-Identifier: Apache-2.0
 * Lists of hosts as text (manual 20.4, 20.5): names and addresses with ports, in "+" groups that
 * are shuffled one by one when the list is randomized. */
#include "route/route_priv.h"

#include "base/banned.h"

int hostlist_port(struct str *item)
{
	struct ip_addr ip;
	uint64_t port;
	struct str s = *item;
	if (str_starts(s, "[")) {
		ptrdiff_t end = str_chr(s, ']');
		struct str after = end > 0 ? str_from(s, (size_t)end + 1) : STR_NONE;
		if (end <= 0 || !ip_parse(str_sub(s, 1, (size_t)end - 1), &ip))
			return 0;
		if (str_empty(after)) {
			*item = str_sub(s, 1, (size_t)end - 1);
			return 0;
		}
		if (after.p[0] != ':' || !str_uint(str_from(after, 1), 65535, &port))
			return 0;
		*item = str_sub(s, 1, (size_t)end - 1);
		return (int)port;
	}
	ptrdiff_t colon = str_rchr(s, ':');
	if (colon <= 0 || ip_parse(s, &ip) || !str_uint(str_from(s, (size_t)colon + 1), 65535, &port))
		return 0;
	*item = str_sub(s, 0, (size_t)colon);
	return (int)port;
}

/* Fisher-Yates over one group, order kept in an array. */
static void shuffle(struct env *env, struct route_host **h, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = env->random(env) % i;
		struct route_host *t = h[i - 1];
		h[i - 1] = h[j];
		h[j] = t;
	}
}

#define GROUP_MAX 256

struct route_host *hostlist_build(struct route_job *job, struct str text, bool randomize)
{
	struct route_host *first = NULL, **tail = &first, *group[GROUP_MAX];
	size_t n = 0;
	struct str item;
	int sep = 0;
	for (bool more = true; more;) {
		more = list_next(job->arena, &text, &sep, &item);
		bool plus = more && str_eqc(item, "+");
		if (more && !plus && !str_empty(item)) {
			struct route_host *h = arena_new_of(job->arena, struct route_host);
			h->port = hostlist_port(&item);
			h->name = item;
			h->mx = -1;
			group[n++] = h;
		}
		if (more && !plus && n < GROUP_MAX)
			continue;
		if (randomize)
			shuffle(job->env, group, n);
		for (size_t i = 0; i < n; i++) {
			*tail = group[i];
			tail = &group[i]->next;
		}
		n = 0;
	}
	return first;
}
