/* SPDX-License-Identifier: Apache-2.0
 * A message in memory: making one, its recipients, and the set of addresses that are done. */
#include "message/message.h"

#include "base/limits.h"
#include "base/banned.h"

struct message *message_new(struct arena *a)
{
	struct message *m = arena_new_of(a, struct message);
	m->arena = a;
	m->uid = m->gid = -1;
	map_init(&m->done, a, false);
	map_init(&m->acl_m, a, false);
	map_init(&m->acl_c, a, false);
	headers_init(&m->headers);
	return m;
}

struct recipient *message_add_recipient(struct message *m, struct str address)
{
	if (m->recipients == m->recipient_room) {
		size_t room = m->recipient_room ? m->recipient_room * 2 : 8;
		struct recipient *more = arena_array_of(m->arena, room, struct recipient);
		if (m->recipients)
			memcpy(more, m->recipient, m->recipients * sizeof *more);
		m->recipient = more;
		m->recipient_room = room;
	}
	struct recipient *r = &m->recipient[m->recipients++];
	*r = (struct recipient){.address = address, .parent = -1};
	return r;
}

/* Exim keeps local parts apart by case and folds domains: "A@B.C" and "A@b.c" are one, "a@b.c" another. */
static struct str done_key(struct arena *a, struct str address)
{
	ptrdiff_t at = str_rchr(address, '@');
	if (at < 0)
		return address;
	for (uint32_t i = (uint32_t)at; i < address.len; i++)
		if (ch_upper((unsigned char)address.p[i]))
			return str_cat(a, str_sub(address, 0, (size_t)at), str_lower(a, str_from(address, (size_t)at)));
	return address;
}

bool message_is_done(const struct message *m, struct str address)
{
	struct arena_mark mark = arena_mark(m->arena);
	bool done = map_has(&m->done, done_key(m->arena, address));
	arena_release(m->arena, mark);
	return done;
}

void message_set_done(struct message *m, struct str address)
{
	struct str key = done_key(m->arena, address);
	if (!map_has(&m->done, key))
		map_put(&m->done, key, m);
}
