/* SPDX-License-Identifier: Apache-2.0
 * The log lines of deliveries (manual 53.7 to 53.12, 53.15): fields in Exim's order, each by its
 * selector; and the lines of msglog, which are kept in memory until it is known that the message
 * stays in the queue: most messages are gone before anybody could read theirs. */
#include "deliver/attempt.h"

#include <stdarg.h>

#include "base/limits.h"

#include "base/banned.h"

void attempt_log(struct attempt *at, unsigned where, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;
	sb_init(&sb, at->arena, LIMIT_LOG_LINE);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	log_line(at->env->log, where, str_c(at->m->id), sb_str(&sb));
}

static void msglog_keep(struct attempt *at, struct str text)
{
	if (!spool_settings(at->job->spool)->message_logs)
		return;
	struct msglog_line *l = arena_new_of(at->arena, struct msglog_line);
	l->text = text;
	*at->lines_tail = l;
	at->lines_tail = &l->next;
}

void attempt_msglog(struct attempt *at, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;
	sb_init(&sb, at->arena, LIMIT_LOG_LINE);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	msglog_keep(at, sb_str(&sb));
}

static const struct header *find_header(const struct message *m, const char *name)
{
	for (const struct header *h = m->headers.first; h; h = h->next)
		if (header_is(h, name))
			return h;
	return NULL;
}

/* The id of the message that this one is about: bounces and replies say it in References:. */
static struct str reference_of(const struct message *m)
{
	const struct header *h = m->local_error ? find_header(m, "References") : NULL;
	struct str v = h ? str_trim(header_value(h)) : STR_NONE;
	ptrdiff_t open = str_rchr(v, '<');
	v = open > 0 ? str_from(v, (size_t)open) : v;
	ptrdiff_t at = str_rchr(v, '@');
	return str_starts(v, "<E") && at > 2 ? str_sub(v, 2, (size_t)at - 2) : STR_NONE;
}

/* Message-ID: as the sender wrote it; ours is not worth saying. */
static struct str foreign_id(const struct message *m)
{
	const struct header *h = find_header(m, "Message-ID");
	struct str v = h ? str_trim(header_value(h)) : STR_NONE;
	if (v.len < 3 || v.p[0] != '<' || v.p[v.len - 1] != '>')
		return STR_NONE;
	v = str_sub(v, 1, v.len - 2);
	bool ours = v.p[0] == 'E' && str_starts(str_from(v, 1), m->id);
	return ours ? STR_NONE : v;
}

/* The first line of a message's own log, as reception would have written it. */
static void msglog_received(struct attempt *at)
{
	const struct message *m = at->m;
	struct strbuf sb;
	sb_init(&sb, at->arena, LIMIT_LOG_LINE);
	sb_printf(&sb, "Received from %.*s", STR_ARG(str_empty(m->sender) ? STR("<>") : m->sender));
	struct str about = reference_of(m), id = foreign_id(m);
	if (!str_empty(about))
		sb_printf(&sb, " R=%.*s", STR_ARG(about));
	if (!str_empty(m->peer.host_address)) {
		sb_addc(&sb, " H=");
		if (!str_empty(m->peer.host_name))
			sb_printf(&sb, "%.*s ", STR_ARG(m->peer.host_name));
		if (!str_empty(m->peer.helo) && !str_ieq(m->peer.helo, m->peer.host_name))
			sb_printf(&sb, "(%.*s) ", STR_ARG(m->peer.helo));
		sb_printf(&sb, "[%.*s]", STR_ARG(m->peer.host_address));
	}
	if (!str_empty(m->peer.ident))
		sb_printf(&sb, " U=%.*s", STR_ARG(m->peer.ident));
	sb_printf(&sb, " P=%.*s S=%lld", STR_ARG(m->peer.received_protocol), (long long)m->size);
	if (!str_empty(id) && config_logs(at->cfg, LOGSEL_MSG_ID))
		sb_printf(&sb, " id=%.*s", STR_ARG(id));
	spool_msglog(at->job->spool, at->job->queue_name, str_c(m->id), "%.*s", STR_ARG(sb_str(&sb)));
}

void attempt_msglog_write(struct attempt *at)
{
	if (at->first && at->lines)
		msglog_received(at);
	at->first = false;
	for (const struct msglog_line *l = at->lines; l; l = l->next)
		spool_msglog(at->job->spool, at->job->queue_name, str_c(at->m->id), "%.*s", STR_ARG(l->text));
	at->lines = NULL;
	at->lines_tail = &at->lines;
}

struct str log_duration(struct attempt *at, int64_t us)
{
	if (us < 0)
		us = 0;
	if (config_logs(at->cfg, LOGSEL_MILLISEC) && us < 60000000)
		return str_printf(at->arena, "%lld.%03llds", (long long)(us / 1000000), (long long)(us / 1000 % 1000));
	return interval_format(at->arena, us / 1000000);
}

/* --- Fields ---------------------------------------------------------------------------------- */
/* Line ends and control characters never reach the log as such. */
static void add_safe(struct strbuf *sb, struct str text)
{
	for (uint32_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c == '\n')
			sb_addc(sb, i + 1 < text.len ? "\\n" : "");
		else if (c == '\t')
			sb_addc(sb, "\\t");
		else if (c < 32 || c == 127)
			sb_printf(sb, "\\%03o", c);
		else
			sb_ch(sb, (char)c);
	}
}

static void add_sender(struct attempt *at, struct strbuf *sb, const struct address *ad)
{
	if (config_logs(at->cfg, LOGSEL_SENDER_ON_DELIVERY)) {
		sb_addc(sb, " F=<");
		add_safe(sb, at->m->sender);
		sb_addc(sb, ">");
	}
	if (str_is_set(ad->prop_srs))
		sb_printf(sb, " SRS=<%.*s>", STR_ARG(ad->prop_srs));
	if (config_logs(at->cfg, LOGSEL_RETURN_PATH_ON_DELIVERY) && ad->transport && !ad->bypassed) {
		sb_addc(sb, " P=<");
		add_safe(sb, str_is_set(ad->view.return_path) ? ad->view.return_path : at->m->sender);
		sb_addc(sb, ">");
	}
}

static void add_drivers(struct strbuf *sb, const struct address *ad)
{
	if (ad->router)
		sb_printf(sb, " R=%.*s", STR_ARG(ad->router->name));
	if (ad->bypassed)
		sb_addc(sb, " T=**bypassed**");
	else if (ad->transport)
		sb_printf(sb, " T=%.*s", STR_ARG(ad->transport->name));
}

static void add_host(struct attempt *at, struct strbuf *sb, const struct address *ad)
{
	const struct route_host *h = ad->host_used;
	if (!h)
		return;
	sb_printf(sb, " H=%.*s [%.*s]", STR_ARG(h->name), STR_ARG(h->address));
	if (config_logs(at->cfg, LOGSEL_OUTGOING_PORT))
		sb_printf(sb, ":%d", h->port ? h->port : 25);
	if (ad->smtp_flags & ADDRF_REUSED)
		sb_ch(sb, '*');
	if (config_logs(at->cfg, LOGSEL_DNSSEC) && h->secure)
		sb_addc(sb, " DS");
}

/* What the transport formatted: with the host in front or without. */
static void add_remote(struct attempt *at, struct strbuf *sb, const struct address *ad)
{
	if (!str_starts(ad->log_extra, "H="))
		add_host(at, sb, ad);
	if (ad->transport && transport_is_local(ad->transport) && ad->hosts && !ad->bypassed)
		sb_printf(sb, " H=%.*s", STR_ARG(ad->hosts->name));
	if (str_empty(ad->log_extra))
		return;
	if (ad->log_extra.p[0] != ' ')
		sb_ch(sb, ' ');
	sb_add(sb, ad->log_extra);
}

static void add_confirmation(struct attempt *at, struct strbuf *sb, const struct address *ad)
{
	if (!config_logs(at->cfg, LOGSEL_SMTP_CONFIRMATION) || str_empty(ad->smtp_reply))
		return;
	sb_addc(sb, " C=\"");
	for (uint32_t i = 0; i < ad->smtp_reply.len; i++) {
		unsigned char c = (unsigned char)ad->smtp_reply.p[i];
		if (c == '"' || c == '\\')
			sb_ch(sb, '\\');
		if (c == '\n')
			sb_addc(sb, "\\\\n");
		else if (c >= 32 && c != 127)
			sb_ch(sb, (char)c);
	}
	sb_ch(sb, '"');
}

static void add_times(struct attempt *at, struct strbuf *sb, const struct address *ad, bool queue_time)
{
	int64_t now = clock_us(&at->env->clock);
	if (queue_time && config_logs(at->cfg, LOGSEL_QUEUE_TIME)) {
		int64_t from = at->m->received_us;
		if (config_logs(at->cfg, LOGSEL_QUEUE_TIME_EXCLUSIVE) && at->m->received_done_us)
			from = at->m->received_done_us;
		struct str t = log_duration(at, now - from);
		sb_printf(sb, " QT=%.*s", STR_ARG(t));
	}
	if (config_logs(at->cfg, LOGSEL_DELIVER_TIME)) {
		struct str t = log_duration(at, ad->transport_us);
		sb_printf(sb, " DT=%.*s", STR_ARG(t));
	}
}

struct str result_text(struct arena *a, const struct address *ad)
{
	struct str message = str_is_set(ad->message) ? ad->message : STR("");
	if (ad->basic_errno <= 0)
		return message;
	struct str e = str_c(status_text(ST_ERRNO(ad->basic_errno)));
	return str_empty(message) ? str_dup(a, e) : str_cat(a, e, STR(": "), message);
}

static bool quiet(const struct address *ad)
{
	if (ad->log_flags & ADDRESS_LOG_NOTHING)
		return true;
	return ad->router && ((const struct router_generic *)ad->router->generic)->disable_logging;
}

static unsigned where_to(const struct address *ad)
{
	return LOGTO_MAIN | (ad->log_flags & ADDRESS_LOG_PANIC ? LOGTO_PANIC : 0);
}

static void begin(struct attempt *at, struct strbuf *sb, const struct address *ad, bool delivery)
{
	bool all = config_logs(at->cfg, LOGSEL_ALL_PARENTS);
	sb_init(sb, at->arena, LIMIT_LOG_LINE);
	struct str name = delivery ? address_for_delivery_log(at->arena, ad, all) : address_for_log(at->arena, ad, all);
	add_safe(sb, name);
}

static void write_line(struct attempt *at, const struct address *ad, const char *flag, struct strbuf *sb)
{
	struct str line = str_cat(at->arena, str_c(flag), STR(" "), sb_str(sb));
	log_line(at->env->log, where_to(ad), str_c(at->m->id), line);
}

/* --- Lines ----------------------------------------------------------------------------------- */
static void log_discarded(struct attempt *at, const struct address *ad)
{
	attempt_log(at, LOGTO_MAIN, "=> :blackhole: <%.*s>%s%.*s", STR_ARG(ad->address), ad->router ? " R=" : "",
	    STR_ARG(ad->router ? ad->router->name : STR_NONE));
}

void log_delivered(struct attempt *at, const struct address *ad, const char *flag)
{
	if (ad->transport || ad->bypassed)
		attempt_msglog(at, "%.*s%s%.*s%s: %.*s transport succeeded", STR_ARG(ad->address), ad->parent ? " <" : "",
		    STR_ARG(ad->parent ? ad->parent->address : STR_NONE), ad->parent ? ">" : "",
		    STR_ARG(ad->bypassed ? STR("**bypassed**") : ad->transport->name));
	if (quiet(ad))
		return;
	if (ad->state == ADDRESS_DISCARDED && !ad->bypassed) {
		log_discarded(at, ad);
		return;
	}
	struct strbuf sb;
	begin(at, &sb, ad, true);
	add_sender(at, &sb, ad);
	add_drivers(&sb, ad);
	if (config_logs(at->cfg, LOGSEL_DELIVERY_SIZE))
		sb_printf(&sb, " S=%lld", (long long)(ad->bypassed ? 0 : ad->sent_size ? ad->sent_size : at->m->size));
	add_remote(at, &sb, ad);
	if (!str_empty(ad->shadow_message))
		sb_printf(&sb, " ST=%.*s", STR_ARG(ad->shadow_message));
	if (!str_empty(at->m->queue_name))
		sb_printf(&sb, " Q=%.*s", STR_ARG(at->m->queue_name));
	add_confirmation(at, &sb, ad);
	add_times(at, &sb, ad, true);
	write_line(at, ad, flag, &sb);
}

static bool is_retry_wait(int e)
{
	return e == DERR_ROUTE_RETRY || e == DERR_LOCAL_RETRY || e == DERR_HOST_RETRY;
}

void log_deferred(struct attempt *at, const struct address *ad)
{
	struct strbuf sb;
	begin(at, &sb, ad, false);
	add_drivers(&sb, ad);
	bool routing = !ad->transport && ad->basic_errno <= DERR_ROUTE_RETRY;
	sb_printf(&sb, "%s defer (%d)", routing ? " routing" : "", ad->basic_errno);
	if (ad->basic_errno > 0)
		sb_printf(&sb, ": %s", status_text(ST_ERRNO(ad->basic_errno)));
	if (config_logs(at->cfg, LOGSEL_DELIVER_TIME)) {
		struct str t = log_duration(at, ad->transport_us);
		sb_printf(&sb, " DT=%.*s", STR_ARG(t));
	}
	if (!str_starts(ad->message, "H="))
		add_host(at, &sb, ad);
	if (!str_empty(ad->message)) {
		sb_addc(&sb, ": ");
		add_safe(&sb, ad->message);
	}
	bool skip = is_retry_wait(ad->basic_errno);
	if (!skip || at->m->deliver_firsttime)
		attempt_msglog(at, "%.*s", STR_ARG(sb_str(&sb)));
	if (!quiet(ad) && (!skip || config_logs(at->cfg, LOGSEL_RETRY_DEFER)))
		write_line(at, ad, "==", &sb);
}

void log_failed(struct attempt *at, const struct address *ad)
{
	struct strbuf sb;
	begin(at, &sb, ad, false);
	add_sender(at, &sb, ad);
	add_drivers(&sb, ad);
	add_remote(at, &sb, ad);
	sb_addc(&sb, " : ");
	add_safe(&sb, result_text(at->arena, ad));
	add_times(at, &sb, ad, false);
	attempt_msglog(at, "%s%.*s", ad->router ? "" : "routing failed for ", STR_ARG(sb_str(&sb)));
	if (!quiet(ad))
		write_line(at, ad, "**", &sb);
}

void log_completed(struct attempt *at)
{
	if (!config_logs(at->cfg, LOGSEL_QUEUE_TIME_OVERALL)) {
		attempt_log(at, LOGTO_MAIN, "Completed");
		return;
	}
	struct str t = log_duration(at, clock_us(&at->env->clock) - at->m->received_us);
	attempt_log(at, LOGTO_MAIN, "Completed QT=%.*s", STR_ARG(t));
}
