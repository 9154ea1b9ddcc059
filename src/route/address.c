/* SPDX-License-Identifier: Apache-2.0
 * Addresses on their way: made from recipients and by redirection, named for the log (manual 3.11,
 * 53.8). `unique` is what tells two deliveries apart, in this attempt and, written to -J and -H,
 * in later ones: the address with its domain folded; a child that bears the name of an ancestor
 * gets "/" and its transport's name behind it, as Exim writes it, and a pipe, file or reply the
 * unique name of its parent (manual 22.7). */
#include "route/address.h"

#include "base/limits.h"
#include "message/address.h"
#include "route/route.h"

#include "base/banned.h"

static struct str fold_domain(struct arena *a, struct str local, struct str domain)
{
	if (!str_is_set(domain))
		return local;
	return str_cat(a, local, STR("@"), domain);
}

void address_split(struct arena *a, struct address *ad)
{
	struct addr_parts parts = addr_split(ad->address);
	struct str domain = str_is_set(parts.domain) ? str_lower(a, parts.domain) : STR_NONE;
	ad->cc_local_part = addr_unquote_local(a, parts.local_part);
	ad->lc_local_part = str_lower(a, ad->cc_local_part);
	ad->view.local_part = ad->lc_local_part;
	ad->view.domain = domain;
	ad->view.address = ad->address;
	ad->unique = fold_domain(a, parts.local_part, domain);
}

struct address *address_new(struct arena *a, struct str text, int recipient)
{
	struct address *ad = arena_new_of(a, struct address);
	ad->recipient = recipient;
	ad->address = str_dup(a, text);
	ad->uid = ad->gid = -1;
	ad->view.uid = ad->view.gid = -1;
	ad->dsn_notify = 0;
	address_split(a, ad);
	ad->view.original_local_part = ad->cc_local_part;
	ad->view.original_domain = ad->view.domain;
	return ad;
}

static bool is_ancestor_name(const struct address *from, const struct address *child)
{
	for (const struct address *p = from; p; p = p->parent)
		if (str_ieq(p->view.domain, child->view.domain) && str_eq(p->cc_local_part, child->cc_local_part))
			return true;
	return false;
}

static void inherit(struct address *ad, const struct address *parent)
{
	const struct addr_view *pv = &parent->view;
	ad->view.address_data = pv->address_data;
	ad->view.router_vars = pv->router_vars;
	ad->view.domain_data = pv->domain_data;
	ad->view.local_part_data = pv->local_part_data;
	ad->view.original_local_part = pv->original_local_part;
	ad->view.original_domain = pv->original_domain;
	ad->view.parent_local_part = pv->local_part;
	ad->view.parent_domain = pv->domain;
	ad->view.uid = ad->view.gid = -1;
	ad->errors_to = parent->errors_to;
	ad->errors_to_set = parent->errors_to_set;
	ad->headers_add = parent->headers_add;
	ad->headers_remove = parent->headers_remove;
	ad->one_time = parent->one_time;
	ad->prop_srs = parent->prop_srs;
	ad->recipient = parent->recipient;
	ad->generation = parent->generation + 1;
}

static void link_child(struct address *parent, struct address *child)
{
	struct address **at = &parent->first_child;
	while (*at)
		at = &(*at)->sibling;
	child->parent = parent;
	*at = child;
}

struct address *address_child_kind(struct arena *a, struct address *parent, struct str text, enum address_kind kind)
{
	struct address *ad = arena_new_of(a, struct address);
	ad->uid = ad->gid = -1;
	ad->address = str_dup(a, text);
	ad->kind = kind;
	inherit(ad, parent);
	link_child(parent, ad);
	if (ad->kind == ADDRESS_MAIL) {
		address_split(a, ad);
		ad->homonym = is_ancestor_name(parent, ad);
		if (ad->homonym)
			ad->unique = str_cat(a, ad->unique, STR("/"));
		return ad;
	}
	/* Pipes and files run for the parent: its halves are what the transport sees. */
	ad->cc_local_part = parent->cc_local_part;
	ad->lc_local_part = parent->lc_local_part;
	ad->view = parent->view;
	ad->view.parent_local_part = parent->view.local_part;
	ad->view.parent_domain = parent->view.domain;
	ad->unique = str_cat(a, ad->address, STR(":"), parent->unique);
	if (ad->kind == ADDRESS_PIPE)
		ad->view.address_pipe = str_ltrim(str_from(ad->address, 1));
	else if (ad->kind != ADDRESS_AUTOREPLY)
		ad->view.address_file = ad->address;
	return ad;
}

struct address *address_child(struct arena *a, struct address *parent, struct str text)
{
	return address_child_kind(a, parent, text, ADDRESS_MAIL);
}

static const struct address *top_of(const struct address *ad)
{
	while (ad->parent)
		ad = ad->parent;
	return ad;
}

struct str address_topmost(const struct address *ad)
{
	return top_of(ad)->address;
}

static struct str for_log(struct arena *a, const struct address *ad, bool all_parents, bool local_style)
{
	const struct address *top = top_of(ad);
	struct str own = ad->address;
	if (ad->kind == ADDRESS_MAIL && str_is_set(ad->view.domain)) { /* as the routers saw it */
		own = ad->view.local_part;
		if (!ad->transport || ad->log_affixes)
			own = str_cat(a, ad->view.local_part_prefix, own, ad->view.local_part_suffix);
		if (!local_style || (ad->transport && !transport_is_local(ad->transport)) || !ad->router || !router_logs_as_local(ad->router))
			own = str_cat(a, own, STR("@"), ad->view.domain);
	} else if (ad->kind != ADDRESS_MAIL && !str_empty(ad->file_name)) {
		own = ad->file_name;
	}
	struct strbuf sb;
	sb_init(&sb, a, LIMIT_LOG_LINE);
	sb_add(&sb, own);
	const struct address *p = ad->parent;
	bool immediate = ad->kind != ADDRESS_MAIL && p && p != top;
	if ((all_parents || immediate) && p && p != top) {
		sb_addc(&sb, " (");
		for (const char *sep = ""; p && p != top && (all_parents || p == ad->parent); p = p->parent) {
			sb_addc(&sb, sep);
			sb_add(&sb, p->address);
			sep = ", ";
		}
		sb_addc(&sb, ")");
	}
	if (!str_ieq(own, top->address))
		sb_printf(&sb, " <%.*s>", STR_ARG(top->address));
	return sb_str(&sb);
}

struct str address_for_log(struct arena *a, const struct address *ad, bool all_parents)
{
	return for_log(a, ad, all_parents, false);
}

struct str address_for_delivery_log(struct arena *a, const struct address *ad, bool all_parents)
{
	return for_log(a, ad, all_parents, true);
}

void address_set_transport_key(struct arena *a, struct address *ad)
{
	if (ad->homonym && ad->transport && str_ends(ad->unique, "/"))
		ad->unique = str_cat(a, ad->unique, ad->transport->name);
}
