/* SPDX-License-Identifier: Apache-2.0
 * A text becomes a snapshot: defaults, lines, facts, checks of the drivers, the compile hooks of
 * the rooms above, then the pages are made read-only. struct config lies in pages of its own, so
 * placed that its first field, the count of users, ends the first page: that page alone stays
 * writable, and a stray write to anything else faults. */
#include "config/config_priv.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"

#include "base/banned.h"

#define PAGE 4096u
#define SEALED_FROM offsetof(struct config, arena)
#define PAGES_SIZE (PAGE + ((sizeof(struct config) - SEALED_FROM + PAGE - 1) & ~(size_t)(PAGE - 1)))

static struct config *snapshot_new(void)
{
	char *pages = mmap(NULL, PAGES_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(pages != MAP_FAILED);
	struct config *c = (struct config *)(void *)(pages + PAGE - SEALED_FROM);
	c->refs = 1;
	c->arena = arena_new("configuration", LIMIT_ARENA_CONFIG, 256 * 1024, ARENA_SEALABLE);
	return c;
}

static char *snapshot_pages(struct config *c)
{
	return (char *)c - (PAGE - SEALED_FROM);
}

static void snapshot_free(struct config *c)
{
	char *pages = snapshot_pages(c);
	must(mprotect(pages, PAGES_SIZE, PROT_READ | PROT_WRITE) == 0);
	struct arena *a = c->arena;
	arena_unseal(a);
	arena_free(a);
	must(munmap(pages, PAGES_SIZE) == 0);
}

static void snapshot_seal(struct config *c)
{
	arena_seal(c->arena);
	must(mprotect(snapshot_pages(c) + PAGE, PAGES_SIZE - PAGE, PROT_READ) == 0);
}

struct config *config_ref(struct config *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void config_unref(struct config *c)
{
	if (c && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0)
		snapshot_free(c);
}

const struct config_acl *config_find_acl(const struct config *c, struct str name)
{
	return map_get(&c->acl_by_name, name);
}

const struct named_list *config_find_list(const struct config *c, enum list_kind kind, struct str name)
{
	return map_get(&c->list_by_name[kind], name);
}

static bool compile(struct reading *r)
{
	const struct config_schema *s = r->cfg->schema;
	for (size_t i = 0; i < s->compile_count; i++) {
		struct why why = {0};
		if (s->compile[i](r->cfg, r->env, &why))
			continue;
		if (str_starts(str_c(why.text), "Exim configuration error"))
			why_set(r->why, false, "%s", why.text);
		else
			config_error(r->why, "%s", why.text);
		return false;
	}
	return true;
}

static bool read_all(struct reading *r, struct config_files *files, const struct config_source *src)
{
	struct config *c = r->cfg;
	map_init(&r->templates, c->arena, false);
	map_init(&c->main_set, c->arena, false);
	map_init(&c->acl_by_name, c->arena, false);
	for (unsigned k = 0; k < LIST_KINDS; k++)
		map_init(&c->list_by_name[k], c->arena, false);
	sb_init(&r->shown, c->arena, LIMIT_CONFIG_FILE);
	lines_init(&r->lines, c->arena, files, src, &r->shown, r->why);
	if (!main_defaults(r) || !sections_read(r))
		return false;
	c->macros = r->lines.macros.first;
	c->text = sb_str(&r->shown);
	if (!config_facts(r))
		return false;
	for (unsigned k = 0; k < DRIVER_KINDS; k++)
		if (!drivers_check(r, k))
			return false;
	return compile(r);
}

struct config *config_parse(const struct config_schema *schema, struct env *env, struct str text, struct str path,
    const struct config_source *src, struct why *why)
{
	static const struct config_schema nothing;
	struct config *c = snapshot_new();
	struct why own = {0};
	struct config_source with_schema = src ? *src : (struct config_source){0};
	with_schema.schema = schema;
	struct reading *r = arena_new_of(c->arena, struct reading);
	*r = (struct reading){.cfg = c, .env = env, .why = why ? why : &own};
	c->schema = schema ? schema : &nothing;
	c->path = str_dup(c->arena, path);
	struct config_files *files = arena_new_of(c->arena, struct config_files);
	files->arena = c->arena;
	files->src = &with_schema;
	bool ok = config_files_split(files, str_dup(c->arena, text), c->path, r->why);
	if (files->collected)
		with_schema.defines = files->defines;
	if (!ok || !read_all(r, files, &with_schema)) {
		snapshot_free(c);
		return NULL;
	}
	snapshot_seal(c);
	return c;
}
