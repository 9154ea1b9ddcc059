/* SPDX-License-Identifier: Apache-2.0
 * What a local delivery's request and reply look like between courier and agent's child: both
 * directions of each in one table. Strings of an address by their offsets, so that writer and
 * reader cannot disagree. A malformed payload is refused whole. */
#include "base/limits.h"
#include "base/rd.h"
#include "transport/local.h"
#include "transport/steps.h"

#include "base/banned.h"

#define A(field) offsetof(struct address, field)
static const size_t request_strings[] = {
    A(address), A(unique), A(cc_local_part), A(lc_local_part), A(errors_to), A(headers_add), A(headers_remove), A(dsn_orcpt),
    A(view.local_part), A(view.domain), A(view.local_part_prefix), A(view.local_part_prefix_v), A(view.local_part_suffix),
    A(view.local_part_suffix_v), A(view.local_part_data), A(view.domain_data), A(view.original_local_part),
    A(view.original_domain), A(view.parent_local_part), A(view.parent_domain), A(view.address_data),
    A(view.sender_address_data), A(view.host_data), A(view.home), A(view.self_hostname), A(view.address_file),
    A(view.address_pipe), A(view.router_name), A(view.transport_name), A(view.return_path), A(view.errors_address),
    A(view.recipients), A(view.local_part_verified), A(view.address),
};
static const size_t ancestor_strings[] = {
    A(address), A(view.local_part), A(view.local_part_prefix), A(view.local_part_suffix),
};
static const size_t reply_strings[] = {
    A(message), A(user_message), A(smtp_reply), A(remote_mta), A(file_name), A(return_output),
};
#undef A
#define R(field) offsetof(struct address_reply, field)
static const size_t autoreply_strings[] = {
    R(from), R(reply_to), R(to), R(cc), R(bcc), R(subject), R(headers), R(text), R(file), R(logfile), R(oncelog),
};
#undef R

static void put_strings(struct strbuf *sb, const void *obj, const size_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pk_str(sb, *(const struct str *)(const void *)((const char *)obj + at[i]));
}

static void get_strings(struct arena *a, struct rd *r, void *obj, const size_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct str s = up_str(r);
		*(struct str *)(void *)((char *)obj + at[i]) = str_is_set(s) ? str_dup(a, s) : s;
	}
}
#define PUT(sb, obj, table) put_strings((sb), (obj), (table), countof(table))
#define GET(a, r, obj, table) get_strings((a), (r), (obj), (table), countof(table))

/* ---- request ---- */

static void put_vars(struct strbuf *sb, const struct map *vars)
{
	uint32_t pos = 0;
	pk_u32(sb, vars ? vars->live : 0);
	for (struct map_slot *s; vars && (s = map_next(vars, &pos)) != NULL;) {
		pk_str(sb, s->key);
		pk_str(sb, *(const struct str *)s->value);
	}
}

static struct map *get_vars(struct arena *a, struct rd *r)
{
	uint32_t n = up_u32(r);
	if (n == 0)
		return NULL;
	struct map *m = arena_new_of(a, struct map);
	map_init(m, a, false);
	while (n-- && !r->bad) {
		struct str *value = arena_new_of(a, struct str), key = str_dup(a, up_str(r));
		*value = str_dup(a, up_str(r));
		map_put(m, key, value);
	}
	return m;
}

static void put_reply(struct strbuf *sb, const struct address_reply *p)
{
	pk_u8(sb, p != NULL);
	if (!p)
		return;
	PUT(sb, p, autoreply_strings);
	pk_u64(sb, (uint64_t)p->once_repeat);
	pk_u32(sb, p->mode);
	pk_u8(sb, (uint8_t)(p->file_expand | p->return_message << 1));
}

static struct address_reply *get_reply(struct arena *a, struct rd *r)
{
	if (!up_u8(r))
		return NULL;
	struct address_reply *p = arena_new_of(a, struct address_reply);
	GET(a, r, p, autoreply_strings);
	p->once_repeat = (int64_t)up_u64(r);
	p->mode = up_u32(r);
	uint8_t bits = up_u8(r);
	p->file_expand = bits & 1;
	p->return_message = bits & 2;
	return p;
}

static void put_address(struct strbuf *sb, const struct address *ad)
{
	uint8_t depth = 0;
	PUT(sb, ad, request_strings);
	pk_u8(sb, (uint8_t)ad->kind);
	pk_u32(sb, (uint32_t)ad->recipient);
	pk_u8(sb, (uint8_t)(ad->expand_file | ad->allow_reply << 1 | ad->errors_to_set << 2));
	pk_u64(sb, (uint64_t)ad->view.uid);
	pk_u64(sb, (uint64_t)ad->view.gid);
	pk_str(sb, ad->hosts ? ad->hosts->name : STR_NONE);
	put_vars(sb, ad->view.router_vars);
	put_reply(sb, ad->reply);
	for (const struct address *p = ad->parent; p && depth < LIMIT_ROUTE_DEPTH; p = p->parent)
		depth++;
	pk_u8(sb, depth);
	const struct address *p = ad->parent;
	for (uint8_t i = 0; i < depth; i++, p = p->parent) {
		PUT(sb, p, ancestor_strings);
		pk_u8(sb, (uint8_t)p->kind);
	}
}

static enum address_kind get_kind(struct rd *r)
{
	uint8_t k = up_u8(r);
	if (k > ADDRESS_AUTOREPLY)
		r->bad = true;
	return r->bad ? ADDRESS_MAIL : (enum address_kind)k;
}

static struct address *get_address(struct arena *a, struct rd *r)
{
	struct address *ad = arena_new_of(a, struct address);
	GET(a, r, ad, request_strings);
	ad->kind = get_kind(r);
	ad->recipient = (int)up_u32(r);
	uint8_t bits = up_u8(r);
	ad->expand_file = bits & 1;
	ad->allow_reply = bits & 2;
	ad->errors_to_set = bits & 4;
	ad->view.uid = (int64_t)up_u64(r);
	ad->view.gid = (int64_t)up_u64(r);
	struct str host = up_str(r);
	if (str_is_set(host)) {
		ad->hosts = arena_new_of(a, struct route_host);
		ad->hosts->name = str_dup(a, host);
	}
	ad->view.router_vars = get_vars(a, r);
	ad->reply = get_reply(a, r);
	ad->state = ADDRESS_ROUTED;
	struct address **to = &ad->parent;
	for (uint8_t depth = up_u8(r); depth-- && !r->bad; to = &(*to)->parent) {
		*to = arena_new_of(a, struct address);
		GET(a, r, *to, ancestor_strings);
		(*to)->kind = get_kind(r);
	}
	return ad;
}

static void put_argv(struct strbuf *sb, const char *const *argv)
{
	uint32_t n = 0;
	while (argv && argv[n])
		n++;
	pk_u32(sb, n);
	for (uint32_t i = 0; i < n; i++)
		pk_str(sb, str_c(argv[i]));
}

static const char *const *get_argv(struct arena *a, struct rd *r)
{
	uint32_t n = up_u32(r);
	if (r->bad || n > rd_left(r))
		return NULL;
	const char **argv = arena_alloc_array(a, n + 1, sizeof *argv);
	for (uint32_t i = 0; i < n; i++)
		argv[i] = str_cstr(a, up_str(r));
	return argv;
}

void deliver_request_pack(struct strbuf *sb, const struct deliver_request *q)
{
	uint32_t n = 0;
	pk_u8(sb, (uint8_t)q->kind);
	pk_str(sb, q->transport);
	pk_str(sb, q->return_path);
	pk_str(sb, q->header);
	pk_u64(sb, (uint64_t)q->body_offset);
	pk_u64(sb, (uint64_t)q->body_size);
	pk_u64(sb, (uint64_t)q->start_us);
	pk_u64(sb, (uint64_t)q->message_size);
	pk_u64(sb, (uint64_t)q->timeout_ms);
	pk_u8(sb, q->shadow);
	pk_u8(sb, (uint8_t)q->deliver_firsttime);
	for (unsigned i = 0; i < TRANSPORT_PREPARED; i++)
		pk_str(sb, q->prepared[i]);
	put_argv(sb, q->argv);
	for (const struct address *ad = q->addresses; ad; ad = ad->next)
		n++;
	pk_u32(sb, n);
	for (const struct address *ad = q->addresses; ad; ad = ad->next)
		put_address(sb, ad);
}

bool deliver_request_unpack(struct arena *a, struct str payload, struct deliver_request *ret)
{
	struct rd r = rd_of(payload);
	struct address **to = &ret->addresses;
	*ret = (struct deliver_request){0};
	uint8_t kind = up_u8(&r);
	ret->kind = kind == DELIVER_REQUEST_FILTER ? DELIVER_REQUEST_FILTER : DELIVER_REQUEST_RUN;
	ret->transport = up_str(&r);
	ret->return_path = up_str(&r);
	ret->header = up_str(&r);
	ret->body_offset = (int64_t)up_u64(&r);
	ret->body_size = (int64_t)up_u64(&r);
	ret->start_us = (int64_t)up_u64(&r);
	ret->message_size = (int64_t)up_u64(&r);
	ret->timeout_ms = (int64_t)up_u64(&r);
	ret->shadow = up_u8(&r);
	ret->deliver_firsttime = (int8_t)up_u8(&r);
	for (unsigned i = 0; i < TRANSPORT_PREPARED; i++)
		ret->prepared[i] = up_str(&r);
	ret->argv = get_argv(a, &r);
	for (uint32_t n = up_u32(&r); n-- && !r.bad; to = &(*to)->next)
		*to = get_address(a, &r);
	return !r.bad && rd_left(&r) == 0 && (kind == DELIVER_REQUEST_RUN || kind == DELIVER_REQUEST_FILTER);
}

/* ---- reply ---- */

void deliver_reply_pack(struct strbuf *sb, const struct address *addresses, const struct deliver_reply *p)
{
	for (const struct address *ad = addresses; ad; ad = ad->next) {
		pk_u8(sb, (uint8_t)ad->state);
		pk_u32(sb, (uint32_t)ad->basic_errno);
		pk_u32(sb, (uint32_t)ad->more_errno);
		pk_u32(sb, ad->log_flags);
		pk_u8(sb, ad->smtp_flags);
		pk_u8(sb, ad->special_freeze);
		PUT(sb, ad, reply_strings);
	}
	pk_str(sb, p->log);
	pk_str(sb, p->submissions);
}

static bool final_state(uint8_t st)
{
	return st == ADDRESS_DELIVERED || st == ADDRESS_DEFERRED || st == ADDRESS_FAILED;
}

bool deliver_reply_unpack(struct arena *a, struct str payload, struct address *addresses, struct deliver_reply *ret)
{
	struct rd r = rd_of(payload);
	for (struct address *ad = addresses; ad && !r.bad; ad = ad->next) {
		uint8_t st = up_u8(&r);
		if (!final_state(st))
			return false;
		ad->state = (enum address_state)st;
		ad->basic_errno = (int)up_u32(&r);
		ad->more_errno = (int)up_u32(&r);
		ad->log_flags |= up_u32(&r);
		ad->smtp_flags = up_u8(&r);
		ad->special_freeze = up_u8(&r);
		GET(a, &r, ad, reply_strings);
	}
	ret->log = up_str(&r);
	ret->submissions = up_str(&r);
	return !r.bad && rd_left(&r) == 0;
}

void deliver_log_pack(struct strbuf *sb, unsigned where, struct str text)
{
	pk_u32(sb, where);
	pk_str(sb, text);
}

void deliver_log_write(struct delivery *d, struct str log)
{
	struct rd r = rd_of(log);
	while (!rd_done(&r)) {
		unsigned where = up_u32(&r);
		struct str text = up_str(&r);
		if (!r.bad)
			log_line(d->env->log, where & (LOGTO_MAIN | LOGTO_REJECT | LOGTO_PANIC), str_c(d->message->id), text);
	}
}
