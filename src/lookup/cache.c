/* SPDX-License-Identifier: Apache-2.0
 * The per-thread cache of lookups (manual 9.8). A file is looked at (stat) before each use, so a
 * changed file is read again; query drivers keep results only where they say so. */
#include "lookup/cache.h"
#include <sys/stat.h>
#include "base/banned.h"

enum { HANDLES_MAX = 25, RESULTS_MAX = 2000 };

static void drop_results(struct cached_handle *ch)
{
	uint32_t pos = 0;
	struct map_slot *s;

	while ((s = map_next(&ch->results, &pos)) != NULL) {
		struct cached_result *r = s->value;
		free(r->key);
		free(r->value);
		free(r);
	}
	map_done(&ch->results);
	map_init(&ch->results, NULL, false);
	ch->result_count = 0;
}

static void drop_handle(struct lookup_cache *c, struct cached_handle *ch)
{
	list_remove(&ch->link);
	c->handle_count--;
	drop_results(ch);
	map_done(&ch->results);
	if (ch->handle && ch->driver->close)
		ch->driver->close(ch->handle);
	free(ch->name);
	free(ch);
}

struct lookup_cache *lookup_cache_new(void)
{
	struct lookup_cache *c = calloc(1, sizeof *c);

	must(c);
	list_init(&c->handles);
	list_init(&c->regex_lru);
	map_init(&c->regex, NULL, false);
	return c;
}

static void drop_regexes(struct lookup_cache *c)
{
	list_each_safe(pos, next, &c->regex_lru) {
		struct cached_regex *r = list_entry(pos, struct cached_regex, link);
		pcre2_code_free(r->code);
		free(r->key);
		free(r);
	}
	map_done(&c->regex);
	list_init(&c->regex_lru);
	c->regex_count = 0;
}

void lookup_cache_free(struct lookup_cache *c)
{
	if (!c)
		return;
	list_each_safe(pos, next, &c->handles)
		drop_handle(c, list_entry(pos, struct cached_handle, link));
	drop_regexes(c);
	pcre2_match_data_free(c->md);
	pcre2_match_context_free(c->mcx);
	pcre2_jit_stack_free(c->stack);
	free(c);
}

void lookup_cache_tidy(struct lookup_cache *c)
{
	if (!c)
		return;
	list_each_safe(pos, next, &c->handles)
		drop_handle(c, list_entry(pos, struct cached_handle, link));
}

static bool stamp_of(const char *name, struct file_stamp *ret)
{
	struct stat sb;

	*ret = (struct file_stamp){0};
	if (stat(name, &sb) < 0)
		return false;
	*ret = (struct file_stamp){sb.st_dev, sb.st_ino, sb.st_size, sb.st_mtim, true};
	return true;
}

static bool same_stamp(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->set == b->set && a->dev == b->dev && a->ino == b->ino && a->size == b->size &&
	    a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec;
}

void *cache_open(struct lookup_context *cx, const struct lookup_driver *d, struct str file, struct cached_handle **ret_ch, struct why *why)
{
	struct lookup_cache *c = cx->env ? cx->env->lookups : NULL;
	struct file_stamp now = {0};
	void *handle = NULL;

	*ret_ch = NULL;
	if (d->style == LOOKUP_FILE && file.p)
		stamp_of(str_cstr(cx->arena, file), &now);
	if (c) {
		list_each_safe(pos, next, &c->handles) {
			struct cached_handle *ch = list_entry(pos, struct cached_handle, link);
			if (ch->driver != d || !str_eqc(file, ch->name))
				continue;
			if (!same_stamp(&ch->stamp, &now)) {
				drop_handle(c, ch);
				break;
			}
			list_remove(&ch->link);
			list_unshift(&c->handles, &ch->link);
			*ret_ch = ch;
			return ch->handle;
		}
	}
	if (!d->open(cx, file, &handle, why))
		return NULL;
	if (!c)
		return handle;
	while (c->handle_count >= HANDLES_MAX)
		drop_handle(c, list_entry(c->handles.prev, struct cached_handle, link));
	struct cached_handle *ch = calloc(1, sizeof *ch);
	must(ch);
	ch->driver = d;
	ch->name = strndup(file.p ? file.p : "", file.len);
	must(ch->name);
	ch->handle = handle;
	ch->stamp = now;
	map_init(&ch->results, NULL, false);
	list_unshift(&c->handles, &ch->link);
	c->handle_count++;
	*ret_ch = ch;
	return handle;
}

bool cache_get(struct cached_handle *ch, struct str key, struct arena *a, struct str *ret, bool *ret_found)
{
	const struct cached_result *r = ch ? map_get(&ch->results, key) : NULL;

	if (!r)
		return false;
	*ret_found = r->value != NULL;
	if (r->value) {
		*ret = str_dup(a, str_n(r->value, r->value_len));
		ret->taint = r->taint;
	}
	return true;
}

void cache_put(struct cached_handle *ch, struct str key, bool found, struct str value)
{
	if (!ch || ch->result_count >= RESULTS_MAX)
		return;
	struct cached_result *r = calloc(1, sizeof *r);
	must(r);
	r->key = strndup(key.p, key.len);
	must(r->key);
	if (found) {
		r->value = malloc(value.len + 1u);
		must(r->value);
		if (value.len)
			memcpy(r->value, value.p, value.len);
		r->value_len = value.len;
		r->taint = value.taint;
	}
	struct str k = str_n(r->key, strlen(r->key));
	if (k.len != key.len || map_has(&ch->results, k)) { /* a key with a zero in it is not kept */
		free(r->key);
		free(r->value);
		free(r);
		return;
	}
	map_put(&ch->results, k, r);
	ch->result_count++;
}
