/* SPDX-License-Identifier: Apache-2.0
 * Blocks in a list, newest first; each is a bump allocator. A reset keeps the first block (the
 * last of the list), so a session that parks between commands costs little.
 * Invariant: bytes between `used` and `size` of every block are zero (or poisoned and zeroed when
 * taken again), so a reply can never show an older session's memory. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/banned.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_ASAN 1
#endif
#endif
#ifdef ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ALIGN 16u
#define FIRST_DEFAULT 4096u
#define BLOCK_MAX (1u << 20)

struct block {
	struct block *older;
	size_t size, used; /* of data[] */
	_Alignas(ALIGN) char data[];
};

struct cleanup {
	struct cleanup *older;
	void (*fn)(void *arg);
	void *arg;
};

struct arena {
	const char *name;
	size_t cap, held, first;
	unsigned flags;
	struct block *top;
	struct cleanup *cleanups;
};

static struct block *block_new(struct arena *a, size_t size)
{
	size_t total = sizeof(struct block) + size;
	must(a->held + total <= a->cap);
	struct block *b;
	if (a->flags & ARENA_SEALABLE) {
		total = (total + 4095) & ~(size_t)4095;
		b = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		must(b != MAP_FAILED);
	} else {
		b = calloc(1, total);
		must(b != NULL);
	}
	b->size = total - sizeof(struct block);
	a->held += total;
	POISON(b->data, b->size);
	return b;
}

static void block_free(struct arena *a, struct block *b)
{
	size_t total = sizeof(struct block) + b->size;
	UNPOISON(b->data, b->size);
	if (a->flags & ARENA_WIPE)
		explicit_bzero(b->data, b->used);
	a->held -= total;
	if (a->flags & ARENA_SEALABLE)
		munmap(b, total);
	else
		free(b);
}

/* Zero and poison what a block gives back beyond `keep`. */
static void block_cut(struct block *b, size_t keep)
{
	if (b->used > keep) {
		UNPOISON(b->data + keep, b->used - keep);
		explicit_bzero(b->data + keep, b->used - keep);
		POISON(b->data + keep, b->size - keep);
	}
	b->used = keep;
}

struct arena *arena_new(const char *name, size_t cap, size_t first, unsigned flags)
{
	struct arena *a = calloc(1, sizeof *a);
	must(a != NULL);
	*a = (struct arena){.name = name, .cap = cap, .first = first ? first : FIRST_DEFAULT, .flags = flags};
	return a;
}

static void run_cleanups(struct arena *a, struct cleanup *until)
{
	while (a->cleanups != until) {
		struct cleanup *c = a->cleanups;
		a->cleanups = c->older;
		c->fn(c->arg);
	}
}

void arena_reset(struct arena *a)
{
	run_cleanups(a, NULL);
	while (a->top && a->top->older) {
		struct block *b = a->top;
		a->top = b->older;
		block_free(a, b);
	}
	if (a->top)
		block_cut(a->top, 0);
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	run_cleanups(a, NULL);
	while (a->top) {
		struct block *b = a->top;
		a->top = b->older;
		block_free(a, b);
	}
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	must(size <= a->cap);
	size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	struct block *b = a->top;
	if (!b || b->size - b->used < need) {
		size_t want = b ? b->size * 2 : a->first;
		if (want > BLOCK_MAX)
			want = BLOCK_MAX;
		if (want < need)
			want = need;
		struct block *fresh = block_new(a, want);
		fresh->older = b;
		a->top = b = fresh;
	}
	void *p = b->data + b->used;
	b->used += need;
	UNPOISON(p, size);
	return p;
}

void *arena_alloc_array(struct arena *a, size_t n, size_t size)
{
	size_t total;
	must(!__builtin_mul_overflow(n, size, &total));
	return arena_alloc(a, total);
}

void *arena_dup(struct arena *a, const void *p, size_t len)
{
	void *copy = arena_alloc(a, len);
	if (len)
		memcpy(copy, p, len);
	return copy;
}

char *arena_cstr(struct arena *a, const char *p, size_t len)
{
	char *copy = arena_alloc(a, len + 1);
	if (len)
		memcpy(copy, p, len);
	copy[len] = 0;
	return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	must(n >= 0);
	char *text = arena_alloc(a, (size_t)n + 1);
	vsnprintf(text, (size_t)n + 1, fmt, again);
	va_end(again);
	return text;
}

void arena_on_reset(struct arena *a, void (*fn)(void *arg), void *arg)
{
	struct cleanup *c = arena_new_of(a, struct cleanup);
	*c = (struct cleanup){.older = a->cleanups, .fn = fn, .arg = arg};
	a->cleanups = c;
}

bool arena_extend(struct arena *a, void *p, size_t old_size, size_t new_size)
{
	struct block *b = a->top;
	size_t old = (old_size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	size_t need = (new_size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	if (!b || new_size < old_size || b->used < old || (char *)p != b->data + b->used - old)
		return false;
	if (b->size - b->used < need - old)
		return false;
	b->used += need - old;
	UNPOISON(p, new_size);
	return true;
}

size_t arena_footprint(const struct arena *a)
{
	return a->held + sizeof *a;
}

struct arena_mark arena_mark(struct arena *a)
{
	return (struct arena_mark){.block = a->top, .used = a->top ? a->top->used : 0, .cleanup = a->cleanups};
}

void arena_release(struct arena *a, struct arena_mark mark)
{
	run_cleanups(a, mark.cleanup);
	while (a->top != mark.block && a->top && a->top->older) {
		struct block *b = a->top;
		a->top = b->older;
		block_free(a, b);
	}
	if (a->top)
		block_cut(a->top, a->top == mark.block ? mark.used : 0);
}

static void protect(struct arena *a, int prot)
{
	must(a->flags & ARENA_SEALABLE);
	for (struct block *b = a->top, *older; b; b = older) {
		older = b->older;
		must(mprotect(b, sizeof *b + b->size, prot) == 0);
	}
}

void arena_seal(struct arena *a)
{
	protect(a, PROT_READ);
}

void arena_unseal(struct arena *a)
{
	protect(a, PROT_READ | PROT_WRITE);
}
