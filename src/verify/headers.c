/* SPDX-License-Identifier: Apache-2.0
 * Checks of a message's header lines (manual 44.17): header_syntax, header_names_ascii,
 * not_blind, header_sender. Texts are Exim's. */
#include "message/address.h"
#include "message/header.h"
#include "verify/verify_priv.h"
#include "base/limits.h"
#include "base/banned.h"

/* Lines that hold addresses, by their plain or Resent- name. */
static bool named(const struct header *h, const char *const *names)
{
	struct str name = header_name(h);

	if (h->kind == HDR_OLD)
		return false;
	if (str_istarts(name, "Resent-"))
		name = str_from(name, 7);
	for (; *names; names++)
		if (str_ieqc(name, *names))
			return true;
	return false;
}

/* Unqualified addresses are for local messages and hosts that may send them (44.17). */
static bool may_be_unqualified(const struct message *m, const struct header *h)
{
	static const char *const to[] = {"To", "Cc", "Bcc", NULL};

	if (!str_is_set(m->peer.host_address))
		return true;
	return named(h, to) ? m->allow_unqualified_recipient : m->allow_unqualified_sender;
}

static struct str one_line(struct eval *ev, struct str text)
{
	struct strbuf sb;

	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	for (uint32_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\n')
			sb_addc(&sb, "\\n");
		else
			sb_ch(&sb, text.p[i]);
	}
	return sb_str(&sb);
}

static unsigned parse_flags(struct eval *ev)
{
	const struct main_options *o = &ev->lx.config->main;

	return ADDR_IN_HEADER | (o->allow_domain_literals ? ADDR_ALLOW_LITERAL : 0) |
	    (o->allow_utf8_domains || (ev->lx.message && ev->lx.message->smtputf8) ? ADDR_ALLOW_UTF8 : 0) |
	    (o->strip_trailing_dot ? ADDR_STRIP_DOT : 0);
}

enum verify_result verify_header_syntax(struct eval *ev, struct str *ret_log)
{
	static const char *const checked[] = {"Sender", "From", "Reply-To", "To", "Cc", "Bcc", NULL};
	const struct message *m = ev->lx.message;

	for (const struct header *h = m ? m->headers.first : NULL; h; h = h->next) {
		struct rd r;
		struct str member, bare;
		struct addr_parts parts;
		const char *error = NULL;

		if (!named(h, checked))
			continue;
		r = rd_of(str_trim(header_value(h)));
		while (addr_list_next(&r, &member, NULL)) {
			if (addr_parse(ev->lx.arena, member, parse_flags(ev) | ADDR_ALLOW_UNQUALIFIED, &bare, &parts, &error) &&
			    (str_is_set(parts.domain) || may_be_unqualified(m, h)))
				continue;
			*ret_log = str_printf(ev->lx.arena, "%s: failing address in \"%.*s:\" header %s: %.*s",
			    error ? error : "unqualified address not permitted", STR_ARG(header_name(h)),
			    member.len > 1024 ? "begins" : "is", STR_ARG(one_line(ev, str_sub(str_trim(member), 0, 1024))));
			return VERIFY_FAIL;
		}
	}
	return VERIFY_OK;
}

enum verify_result verify_header_names(struct eval *ev, struct str *ret_log)
{
	const struct message *m = ev->lx.message;

	for (const struct header *h = m ? m->headers.first : NULL; h; h = h->next) {
		struct str name;
		uint32_t i = 0;

		if (h->kind == HDR_OLD)
			continue;
		name = str_rtrim(header_name(h));
		while (i < name.len && name.p[i] >= 33 && name.p[i] <= 126)
			i++;
		if (i == name.len)
			continue;
		*ret_log = str_printf(ev->lx.arena, "Invalid character in header \"%.*s\" found", STR_ARG(name));
		return VERIFY_FAIL;
	}
	return VERIFY_OK;
}

static bool same_recipient(struct str a, struct str b, bool caseless)
{
	struct addr_parts x = addr_split(a), y = addr_split(b);

	return str_is_set(x.domain) && str_is_set(y.domain) && str_ieq(x.domain, y.domain) &&
	    (caseless ? str_ieq(x.local_part, y.local_part) : str_eq(x.local_part, y.local_part));
}

static bool is_shown(struct eval *ev, struct str recipient, bool caseless)
{
	static const char *const shown[] = {"To", "Cc", NULL};

	for (const struct header *h = ev->lx.message->headers.first; h; h = h->next) {
		struct rd r;
		struct str member, bare;
		struct addr_parts parts;
		const char *error = NULL;

		if (!named(h, shown))
			continue;
		r = rd_of(str_trim(header_value(h)));
		while (addr_list_next(&r, &member, NULL)) {
			if (!addr_parse(ev->lx.arena, member, parse_flags(ev) | ADDR_ALLOW_UNQUALIFIED, &bare, &parts, &error))
				continue;
			if (!str_is_set(parts.domain))
				bare = str_cat(ev->lx.arena, bare, STR("@"), ev->lx.config->qualify_recipient);
			if (same_recipient(bare, recipient, caseless))
				return true;
		}
	}
	return false;
}

enum verify_result verify_not_blind(struct eval *ev, bool caseless, struct str *ret_log)
{
	const struct message *m = ev->lx.message;

	for (size_t i = 0; m && i < m->recipients; i++) {
		if (is_shown(ev, m->recipient[i].address, caseless))
			continue;
		*ret_log = STR("bcc recipient detected");
		return VERIFY_FAIL;
	}
	return VERIFY_OK;
}

/* All addresses of one line; VERIFY_OK as soon as one verifies. A syntax error ends it all. */
static enum verify_result sender_line(struct eval *ev, const struct header *h, const struct verify_opts *o, struct verify_answer *ret,
    bool *ret_stop)
{
	struct rd r = rd_of(str_trim(header_value(h)));
	enum verify_result worst = VERIFY_FAIL;
	struct str member, bare;
	struct addr_parts parts;

	while (addr_list_next(&r, &member, NULL)) {
		const char *error = NULL;
		enum verify_result v;

		if (!addr_parse(ev->lx.arena, member, parse_flags(ev) | ADDR_ALLOW_UNQUALIFIED, &bare, &parts, &error)) {
			ret->log_message = str_printf(ev->lx.arena, "syntax error in '%.*s:' header when scanning for sender: %s in \"%.*s\"",
			    STR_ARG(header_name(h)), error ? error : "malformed address", STR_ARG(one_line(ev, str_trim(member))));
			*ret_stop = true;
			return VERIFY_FAIL;
		}
		if (!str_is_set(parts.domain))
			continue;
		v = verify_address(ev, bare, o, ret);
		if (v == VERIFY_OK)
			return v;
		if (v == VERIFY_DEFER)
			worst = v;
	}
	return worst;
}

enum verify_result verify_header_sender(struct eval *ev, const struct verify_opts *o, struct verify_answer *ret)
{
	static const char *const order[][2] = {{"Sender", NULL}, {"Reply-To", NULL}, {"From", NULL}};
	const struct message *m = ev->lx.message;
	enum verify_result worst = VERIFY_FAIL;
	bool stop = false;

	for (size_t i = 0; i < countof(order); i++) {
		for (const struct header *h = m ? m->headers.first : NULL; h; h = h->next) {
			enum verify_result v;

			if (!named(h, order[i]))
				continue;
			v = sender_line(ev, h, o, ret, &stop);
			if (v == VERIFY_OK || stop)
				return v;
			if (v == VERIFY_DEFER)
				worst = v;
		}
	}
	*ret = (struct verify_answer){0};
	ret->log_message = STR("there is no valid sender in any header line");
	if (worst == VERIFY_DEFER)
		ret->log_message = STR("all attempts to verify a sender in a header line deferred");
	return worst;
}
