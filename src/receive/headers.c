/* SPDX-License-Identifier: Apache-2.0
 * Header lines put in order as a message comes in (manual 48.3, 48.5): the Received: line, lines
 * that must not be in transit, what local and submission-mode messages lack, unqualified
 * addresses, rewriting. */
#include "receive/receive_priv.h"

#include "route/route.h"

#include "base/banned.h"

static struct str now_text(struct receive_session *rs, struct arena *a)
{
	return clock_rfc5322(a, clock_s(&rs->env->clock), false);
}

/* Text and date of the Received: line; the date stands last and can be set again. */
void rs_add_received(struct receive_session *rs)
{
	struct receive_tx *tx = rs->tx;
	const struct xstr *option = &rs->cfg->main.received_header_text;
	struct str text = STR_NONE;
	struct moment mo;
	moment_open(&mo, rs);
	if (expand(&mo.ev, option, &text) != EXPAND_OK) {
		rs_log_id(rs, LOGTO_MAIN | LOGTO_PANIC, "string expansion failed for received_header_text: %.*s", STR_ARG(mo.ev.lx.error));
		text = str_printf(tx->arena, "Received: by %.*s id %s", STR_ARG(rs->cfg->primary_hostname), tx->m->id);
	}
	if (str_empty(text))
		return;
	struct str date = clock_rfc5322(tx->arena, tx->m->received_us / 1000000, false);
	char *whole = arena_alloc(tx->arena, text.len + date.len + 5);
	int n = snprintf(whole, text.len + date.len + 5, "%.*s;\n\t%.*s\n", STR_ARG(text), STR_ARG(date));
	tx->received_date = whole + n - 1 - date.len;
	tx->received = headers_add_front(&tx->m->headers, tx->arena, (struct str){.p = whole, .len = (uint32_t)n, .taint = 1}, HDR_RECEIVED);
}

/* 48.5.9: once accepted, the date is that of acceptance. */
void rs_received_now(struct receive_session *rs)
{
	struct receive_tx *tx = rs->tx;
	if (!tx->received || tx->received->kind == HDR_OLD || tx->received->text.p + tx->received->text.len < tx->received_date)
		return;
	struct str date = now_text(rs, tx->arena);
	size_t room = (size_t)(tx->received->text.p + tx->received->text.len - tx->received_date) - 1;
	if (date.len == room)
		memcpy(tx->received_date, date.p, date.len);
}

static struct header *find(const struct message *m, const char *name)
{
	for (struct header *h = m->headers.first; h; h = h->next)
		if (header_is(h, name))
			return h;
	return NULL;
}

static void strike(struct message *m, const char *name)
{
	for (struct header *h = m->headers.first; h; h = h->next)
		if (header_is(h, name))
			h->kind = HDR_OLD;
}

static void put_behind(struct headers *hs, struct arena *a, struct header *at, struct str text, char kind)
{
	struct header *h = arena_new_of(a, struct header);
	h->text = text;
	h->kind = kind;
	h->next = at->next;
	at->next = h;
	if (!h->next)
		hs->tail = &h->next;
	hs->count++;
	hs->size += text.len;
}

/* Where `member` (as in the header) holds the bare address: behind "<", or at its first occurrence. */
static ptrdiff_t place_of(struct str member, struct str address)
{
	ptrdiff_t from = str_chr(member, '<');
	if (from < 0)
		from = 0;
	ptrdiff_t at = str_find(str_from(member, (size_t)from), address);
	return at < 0 ? -1 : from + at;
}

/* "@domain" behind each address without one; unset when none is. */
static struct str qualified(struct receive_session *rs, struct header *h, struct str domain)
{
	struct arena *a = rs->tx->arena;
	struct str value = header_value(h), member;
	struct rd r = rd_of(value);
	struct strbuf sb;
	const char *done = h->text.p;
	bool group = false;
	sb_init(&sb, a, LIMIT_ARENA_MESSAGE / 4);
	while (addr_list_next(&r, &member, &group)) {
		struct addr_parts parts = {0};
		struct str address;
		const char *error;
		if (!addr_parse(a, member, rs_address_flags(rs) | ADDR_IN_HEADER | ADDR_ALLOW_UNQUALIFIED, &address, &parts, &error)) {
			rs_log_id(rs, LOGTO_MAIN, "qualify/rewrite: %s", error);
			break;
		}
		if (str_is_set(parts.domain) || str_empty(address))
			continue;
		ptrdiff_t at = place_of(member, address);
		if (at < 0)
			continue;
		const char *end = member.p + at + address.len;
		sb_addn(&sb, done, (size_t)(end - done));
		sb_printf(&sb, "@%.*s", STR_ARG(domain));
		done = end;
	}
	if (sb.len == 0)
		return STR_NONE;
	sb_addn(&sb, done, (size_t)(h->text.p + h->text.len - done));
	return str_tainted(sb_str(&sb));
}

static void qualify_all(struct receive_session *rs)
{
	struct message *m = rs->tx->m;
	bool extract = !rs->smtp && rs->caller && rs->caller->extract_recipients; /* Bcc: goes away */
	for (struct header *h = m->headers.first; h; h = h->next) {
		bool from = h->kind == HDR_FROM || h->kind == HDR_SENDER || h->kind == HDR_REPLY_TO;
		bool to = h->kind == HDR_TO || h->kind == HDR_CC || (h->kind == HDR_BCC && !extract);
		if (!(from && m->allow_unqualified_sender) && !(to && m->allow_unqualified_recipient))
			continue;
		struct str text = qualified(rs, h, from ? rs->cfg->qualify_domain : rs->cfg->qualify_recipient);
		if (!str_is_set(text))
			continue;
		put_behind(&m->headers, m->arena, h, text, h->kind);
		h->kind = HDR_OLD;
		h = h->next;
	}
}

static bool is_resent(const struct message *m)
{
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (h->kind != HDR_OLD && str_istarts(h->text, "Resent-"))
			return true;
	return false;
}

/* Characters that a Message-ID may not hold become hyphens (48.5.8, message_id_header_text). */
static struct str id_part(struct receive_session *rs, const struct xstr *option, struct str def, bool domain)
{
	struct str s;
	if (!rs_expand(rs, option, STR_NONE, &s) || str_empty(s))
		return def;
	char *p = arena_cstr(rs->tx->arena, s.p, s.len);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)p[i];
		if (!ch_alnum(c) && c != '.' && (domain ? c != '-' : !strchr("!#$%&'*+-/=?^_`{|}~", c)))
			p[i] = '-';
	}
	return str_n(p, s.len);
}

static void add_message_id(struct receive_session *rs, bool resent)
{
	struct receive_tx *tx = rs->tx;
	struct str text = id_part(rs, &rs->cfg->main.message_id_header_text, STR(""), false);
	struct str domain = id_part(rs, &rs->cfg->main.message_id_header_domain, rs->cfg->primary_hostname, true);
	struct str line = str_printf(tx->arena, "%sMessage-Id: <E%s%s%.*s@%.*s>\n", resent ? "Resent-" : "", tx->m->id, text.len ? "." : "",
	    STR_ARG(text), STR_ARG(domain));
	tx->made_message_id = true;
	if (resent)
		headers_add_front(&tx->m->headers, tx->arena, line, HDR_ID);
	else
		headers_add(&tx->m->headers, tx->arena, line, HDR_ID);
}

static void add_date(struct receive_session *rs, bool resent)
{
	struct receive_tx *tx = rs->tx;
	struct str date = clock_rfc5322(tx->arena, tx->m->received_us / 1000000, false);
	struct str line = str_printf(tx->arena, "%sDate: %.*s\n", resent ? "Resent-" : "", STR_ARG(date));
	if (resent)
		headers_add_front(&tx->m->headers, tx->arena, line, HDR_OTHER);
	else
		headers_add(&tx->m->headers, tx->arena, line, HDR_OTHER);
}

/* The address that a submission-mode message from an authenticated client should come from; unset if unknown. */
static struct str submission_address(struct receive_session *rs)
{
	const struct acl_effects *e = &rs->effects;
	struct str id = rs->peer.auth_id;
	if (str_empty(id))
		return STR_NONE;
	if (!str_is_set(e->submission_domain))
		return rs_qualify(rs->tx->arena, id, rs->cfg->qualify_domain);
	return str_empty(e->submission_domain) ? id : rs_qualify(rs->tx->arena, id, e->submission_domain);
}

/* "Full Name <address>", or the address alone (48.7). */
static struct str with_name(struct receive_session *rs, struct str name, struct str address)
{
	struct arena *a = rs->tx->arena;
	if (str_empty(name))
		return address;
	struct str charset = str_empty(rs->cfg->main.headers_charset.text) ? STR("UTF-8") : rs->cfg->main.headers_charset.text;
	return str_cat(a, addr_quote_phrase(a, name, charset), STR(" <"), address, STR(">"));
}

/* -F, or the name of the account unless a trusted caller's -f or From line names
 * somebody else (manual 5, -F; 48.4). */
static struct str originator(struct receive_session *rs)
{
	const struct local_caller *c = rs->caller;
	if (rs->effects.submission)
		return rs->effects.submission_name;
	if (!c)
		return STR_NONE;
	if (str_is_set(c->full_name))
		return c->full_name;
	if (rs->smtp)
		return rs->tx->m->sender_local ? c->gecos : STR_NONE;
	/* sender_local is also false where -oMa gave a host: that names nobody. */
	bool from_line = !rs->tx->m->sender_local && str_empty(rs->peer.host_address);
	return c->trusted && (c->sender_given || from_line) ? STR_NONE : c->gecos;
}

static void add_from(struct receive_session *rs, bool resent)
{
	struct receive_tx *tx = rs->tx;
	struct str address = tx->m->sender;
	if (str_empty(address) && rs->effects.submission)
		address = submission_address(rs);
	if (str_empty(address))
		return;
	struct str line = str_printf(tx->arena, "%sFrom: %.*s\n", resent ? "Resent-" : "", STR_ARG(with_name(rs, originator(rs), address)));
	headers_add(&tx->m->headers, tx->arena, str_tainted(line), HDR_FROM);
}

/* The one address of a From: line, without comments. */
static struct str from_address(struct receive_session *rs, const struct header *h)
{
	struct rd r = rd_of(header_value(h));
	struct str member, address;
	struct addr_parts parts;
	const char *error;
	if (!addr_list_next(&r, &member, NULL))
		return STR_NONE;
	if (!addr_parse(rs->tx->arena, member, rs_address_flags(rs) | ADDR_IN_HEADER | ADDR_ALLOW_UNQUALIFIED, &address, &parts, &error))
		return STR_NONE;
	return address;
}

/* "From: login" of a non-SMTP message becomes "From: Full Name <login@domain>" (48.5.7). */
static void complete_login(struct receive_session *rs, const char *name)
{
	struct receive_tx *tx = rs->tx;
	const struct local_caller *c = rs->caller;
	struct header *h = find(tx->m, name);
	if (!h || !c || rs->smtp || !str_eq(str_trim(header_value(h)), c->login))
		return;
	struct str address = rs_qualify(tx->arena, c->login, rs->cfg->qualify_domain);
	struct str full = str_is_set(c->full_name) ? c->full_name : c->gecos;
	struct str line = str_printf(tx->arena, "%s: %.*s\n", name, STR_ARG(with_name(rs, full, address)));
	h->kind = HDR_OLD;
	headers_add(&tx->m->headers, tx->arena, str_tainted(line), HDR_FROM);
}

static bool has_affix(struct str list, struct str local, struct str want, bool prefix)
{
	while (str_is_set(list) && list.len) {
		struct str rest;
		struct str item = str_trim(str_cut(list, ':', &rest));
		list = rest;
		bool star = prefix ? str_starts(item, "*") : str_ends(item, "*");
		struct str fixed = star ? (prefix ? str_from(item, 1) : str_sub(item, 0, item.len - 1)) : item;
		for (size_t cut = fixed.len; cut <= local.len; cut++) {
			struct str affix = prefix ? str_sub(local, 0, cut) : str_from(local, local.len - cut);
			struct str left = prefix ? str_from(local, cut) : str_sub(local, 0, local.len - cut);
			struct str end = prefix ? str_from(affix, cut - fixed.len) : str_sub(affix, 0, fixed.len);
			if ((star || cut == fixed.len) && str_ieq(end, fixed) && str_ieq(left, want))
				return true;
		}
	}
	return false;
}

/* Is this From: address the sender's own, local_from_prefix and local_from_suffix allowed for? */
static bool is_own(struct receive_session *rs, struct str from, struct str own)
{
	const struct main_options *m = &rs->cfg->main;
	struct addr_parts f = addr_split(from), o = addr_split(own);
	if (str_ieq(from, own))
		return true;
	if (str_is_set(f.domain) && !str_ieq(f.domain, o.domain))
		return false;
	return str_ieq(f.local_part, o.local_part) || has_affix(m->local_from_prefix.text, f.local_part, o.local_part, true) ||
	    has_affix(m->local_from_suffix.text, f.local_part, o.local_part, false);
}

/* 48.5.12: a Sender: line when From: is not the sender's own address; then the envelope follows. */
static void check_sender(struct receive_session *rs, bool resent)
{
	struct receive_tx *tx = rs->tx;
	struct message *m = tx->m;
	bool submission = rs->effects.submission && !str_empty(rs->peer.host_address);
	struct str own = submission ? submission_address(rs) : rs->caller ? rs_qualify(tx->arena, rs->caller->login, rs->cfg->qualify_domain) : STR_NONE;
	const char *name = resent ? "Resent-From" : "From";
	struct header *h = find(m, name);
	if (!h || str_empty(own) || is_own(rs, from_address(rs, h), own))
		return;
	struct str who = with_name(rs, submission ? rs->effects.submission_name : str_is_set(rs->caller->full_name) ? rs->caller->full_name : rs->caller->gecos, own);
	struct str line = str_printf(tx->arena, "%sSender: %.*s\n", resent ? "Resent-" : "", STR_ARG(who));
	headers_add(&m->headers, tx->arena, str_tainted(line), HDR_SENDER);
	if (submission && !str_empty(m->sender))
		m->sender = own;
}

static void fix_sender(struct receive_session *rs, bool resent)
{
	const struct main_options *o = &rs->cfg->main;
	bool local = str_empty(rs->peer.host_address);
	bool untrusted = rs->caller && !rs->caller->trusted && local;
	bool submission = rs->effects.submission && !local && !rs->effects.submission_sender_retain;
	if (!untrusted && !submission)
		return;
	if (submission || !o->local_sender_retain) {
		strike(rs->tx->m, "Sender");
		strike(rs->tx->m, "Resent-Sender");
	}
	if (submission || o->local_from_check)
		check_sender(rs, resent);
}

static void strike_transit_lines(struct receive_session *rs)
{
	const struct main_options *o = &rs->cfg->main;
	if (o->return_path_remove)
		strike(rs->tx->m, "Return-path");
	if (o->envelope_to_remove)
		strike(rs->tx->m, "Envelope-to");
	if (o->delivery_date_remove)
		strike(rs->tx->m, "Delivery-date");
}

static void complete(struct receive_session *rs)
{
	struct message *m = rs->tx->m;
	bool resent = is_resent(m);
	complete_login(rs, "From");
	complete_login(rs, "Resent-From");
	if (!find(m, resent ? "Resent-Message-ID" : "Message-ID"))
		add_message_id(rs, resent);
	if (!find(m, resent ? "Resent-From" : "From"))
		add_from(rs, resent);
	fix_sender(rs, resent);
	if (!find(m, resent ? "Resent-Date" : "Date"))
		add_date(rs, resent);
}

void rs_fix_headers(struct receive_session *rs)
{
	struct message *m = rs->tx->m;
	bool local = str_empty(rs->peer.host_address);
	rs->tx->fixed = true;
	m->allow_unqualified_sender = rs_may_be_unqualified(rs, true) && !rs->tx->no_header_qualify;
	m->allow_unqualified_recipient = rs_may_be_unqualified(rs, false) && !rs->tx->no_header_qualify;
	strike_transit_lines(rs);
	if ((local || rs->effects.submission) && !rs->effects.suppress_local_fixups)
		complete(rs);
	qualify_all(rs);
	if (rs->cfg->rewrite) {
		struct moment mo;
		moment_open(&mo, rs);
		rewrite_headers(&mo.ev, m);
	}
}
