/* SPDX-License-Identifier: Apache-2.0
 * A doubly linked ring whose node sits inside the struct it links. */
#pragma once
#include "base/attr.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *l) { l->next = l->prev = l; }
static inline bool list_empty(const struct list *l) { return l->next == l; }
static inline void list_link(struct list *at, struct list *node)
{
	node->prev = at;
	node->next = at->next;
	at->next->prev = node;
	at->next = node;
}
static inline void list_push(struct list *l, struct list *node) { list_link(l->prev, node); }
static inline void list_unshift(struct list *l, struct list *node) { list_link(l, node); }
static inline void list_remove(struct list *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = node;
}
#define list_each(pos, head) for (struct list *pos = (head)->next; pos != (head); pos = pos->next)
#define list_each_safe(pos, nxt, head) \
	for (struct list *pos = (head)->next, *nxt = pos->next; pos != (head); pos = nxt, nxt = pos->next)
#define list_entry(node, type, member) container_of(node, type, member)
