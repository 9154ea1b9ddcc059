/* SPDX-License-Identifier: Apache-2.0
 * The envelope as transports write it: recipients of RCPT commands (affixes: manual 24
 * rcpt_include_affixes), the Envelope-to: header, batched SMTP (manual 49.4.1). */
#include "base/limits.h"
#include "message/address.h"
#include "transport/steps.h"

#include "base/banned.h"

/* Mail for a pipe, file or reply was addressed to what generated it. */
static struct address *mail_address(struct address *ad)
{
	while (ad->kind != ADDRESS_MAIL && ad->parent)
		ad = ad->parent;
	return ad;
}

struct str envelope_rcpt(const struct delivery *d, struct address *ad)
{
	ad = mail_address(ad);
	struct str prefix = ad->view.local_part_prefix, suffix = ad->view.local_part_suffix;
	if (transport_generic(d)->rcpt_include_affixes || (prefix.len == 0 && suffix.len == 0))
		return ad->address;
	struct addr_parts parts = addr_split(ad->address);
	struct str local = parts.local_part;
	if (local.len && local.p[0] != '"' && local.len >= prefix.len + suffix.len)
		local = str_sub(local, prefix.len, local.len - prefix.len - suffix.len);
	else
		local = addr_quote_local(d->arena, ad->view.local_part);
	return str_is_set(parts.domain) ? str_cat(d->arena, local, STR("@"), parts.domain) : local;
}

static bool seen_before(const struct delivery *d, const struct address *ad, struct str top)
{
	for (const struct address *p = d->addresses; p != ad; p = p->next) {
		if (str_eq(address_topmost(p), top))
			return true;
	}
	return false;
}

struct str envelope_to_header(struct delivery *d)
{
	struct strbuf sb;
	bool first = true;
	sb_init(&sb, d->arena, LIMIT_HEADER_DEFAULT);
	for (const struct address *ad = d->addresses; ad; ad = ad->next) {
		struct str top = address_topmost(ad);
		if (seen_before(d, ad, top))
			continue;
		sb_addc(&sb, first ? "Envelope-to: " : ",\n ");
		sb_add(&sb, top);
		first = false;
	}
	sb_ch(&sb, '\n');
	return sb_str(&sb);
}

struct str envelope_bsmtp(struct delivery *d, bool crlf)
{
	const char *end = crlf ? "\r\n" : "\n";
	struct strbuf sb;
	sb_init(&sb, d->arena, LIMIT_EXPANSION);
	sb_printf(&sb, "MAIL FROM:<%.*s>%s", STR_ARG(d->return_path), end);
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		struct str to = envelope_rcpt(d, ad);
		sb_printf(&sb, "RCPT TO:<%.*s>%s", STR_ARG(to), end);
	}
	sb_printf(&sb, "DATA%s", end);
	return sb_str(&sb);
}
