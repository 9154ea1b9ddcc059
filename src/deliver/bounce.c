/* SPDX-License-Identifier: Apache-2.0
 * Bounces and warnings (manual 48, 50; RFC 3461, 3464): one message for each address that errors
 * go to. A failed address is settled when its bounce is durable, or when by rule none is due. */
#include "deliver/attempt.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/limits.h"

#include "base/banned.h"

#define TEMPLATE_ITEMS 6
#define TEMPLATE_MAX (256u << 10)

const struct expand_var deliver_vars[] = {
	EXPAND_VAR_STR("bounce_recipient", SPACE_BOUNCE, struct bounce_view, recipient, false),
	{.name = "bounce_return_size_limit", .space = SPACE_BOUNCE, .kind = VAR_INT64, .offset = offsetof(struct bounce_view, return_size_limit)},
	EXPAND_VAR_STR("warn_message_delay", SPACE_BOUNCE, struct bounce_view, warn_delay, false),
	EXPAND_VAR_STR("warn_message_recipients", SPACE_BOUNCE, struct bounce_view, warn_recipients, false),
	{.name = NULL},
};

/* --- Templates (manual 50.1, 50.2) ----------------------------------------------------------- */
struct template {
	struct str item[TEMPLATE_ITEMS]; /* unset or empty: the default text */
};

static void read_template(struct attempt *at, const struct xstr *option, const char *name, struct template *t)
{
	struct str path;
	*t = (struct template){0};
	if (str_empty(option->text) || expand(&at->ev, option, &path) != EXPAND_OK || str_empty(path))
		return;
	int fd = open(str_cstr(at->arena, path), O_RDONLY | O_CLOEXEC | O_NOCTTY);
	char *buf = arena_alloc(at->arena, TEMPLATE_MAX);
	ssize_t n = fd < 0 ? -1 : read(fd, buf, TEMPLATE_MAX);
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "Failed to open %.*s for %s", STR_ARG(path), name);
		return;
	}
	struct rd r = rd_of(str_n(buf, (size_t)n));
	for (size_t i = 0; i < TEMPLATE_ITEMS && !rd_done(&r); i++) {
		struct strbuf sb;
		sb_init(&sb, at->arena, TEMPLATE_MAX);
		while (!rd_done(&r)) {
			struct str line = rd_line(&r);
			if (str_eqc(line, "****"))
				break;
			sb_add(&sb, line);
			sb_ch(&sb, '\n');
		}
		if (sb.len && expand_text(&at->ev, sb_str(&sb), &t->item[i]) != EXPAND_OK) {
			attempt_log(at, LOGTO_MAIN | LOGTO_PANIC, "Failed to expand %s: %.*s", name, STR_ARG(at->ev.lx.error));
			t->item[i] = STR_NONE;
		}
	}
}

/* --- Bounces --------------------------------------------------------------------------------- */
static struct str errors_address(const struct attempt *at, const struct address *ad)
{
	return ad->errors_to_set ? ad->errors_to : at->m->sender;
}

static const struct address *top_of(const struct address *ad)
{
	while (ad->parent)
		ad = ad->parent;
	return ad;
}

/* Is nobody to be told? Then the address is settled here, or the message frozen. */
static bool nobody_to_tell(struct attempt *at, struct address *ad)
{
	uint8_t notify = top_of(ad)->dsn_notify;
	if (!str_empty(errors_address(at, ad))) {
		if (ad->suppress_bounce || (notify && !(notify & DSN_FAILURE))) {
			settle(at, ad);
			return true;
		}
		return false;
	}
	int64_t age = (at->now_us - at->m->received_us) / 1000000;
	if (ad->errors_to_set || age >= at->cfg->main.ignore_bounce_errors_after) {
		attempt_log(at, LOGTO_MAIN, "%.*s: error ignored", STR_ARG(address_for_log(at->arena, ad, false)));
		settle(at, ad);
		return true;
	}
	at->freeze = true; /* manual 3.14.3: a bounce that cannot be delivered */
	at->freeze_text = STR(" (delivery error message)");
	return true;
}

static void bounce_head(struct notice *n, const struct address *list, const struct template *t)
{
	struct attempt *at = n->at;
	const char *sep = "X-Failed-Recipients: ";
	for (const struct address *ad = list; ad; ad = ad->next) {
		if (ad->hide_child && ad->parent)
			continue;
		const struct address *show = ad->kind == ADDRESS_MAIL || !ad->parent ? ad : ad->parent;
		sb_printf(&n->head, "%s%.*s", sep, STR_ARG(show->address));
		sep = ",\n  ";
	}
	if (*sep == ',')
		sb_ch(&n->head, '\n');
	notice_reply_to(n);
	sb_addc(&n->head, "Auto-Submitted: auto-replied\n");
	notice_from(n);
	sb_printf(&n->head, "To: %.*s\n", STR_ARG(n->to[0]));
	notice_references(n);
	notice_multipart(n);
	if (!str_empty(t->item[0]))
		sb_add(&n->head, t->item[0]);
	else
		sb_printf(&n->head, "Subject: Mail delivery failed%s\n", str_ieq(n->to[0], at->m->sender) ? ": returning message to sender" : "");
}

static void bounce_intro(struct notice *n, const struct template *t)
{
	struct attempt *at = n->at;
	if (!str_empty(t->item[1])) {
		sb_add(&n->body, t->item[1]);
		sb_ch(&n->body, '\n');
		return;
	}
	sb_addc(&n->body, "This message was created automatically by mail delivery software.\n");
	struct str extra = at->cfg->main.bounce_message_text.text;
	if (!str_empty(extra))
		sb_printf(&n->body, "%.*s%s", STR_ARG(extra), str_ends(extra, "\n") ? "" : "\n");
	if (str_ieq(n->to[0], at->m->sender))
		sb_addc(&n->body, "\nA message that you sent could not be delivered to one or more of its\n"
		                  "recipients. This is a permanent error. The following address(es) failed:\n\n");
	else
		sb_printf(&n->body, "\nA message sent by\n\n  <%.*s>\n\ncould not be delivered to one or more of its recipients. The following\n"
		                    "address(es) failed:\n\n", STR_ARG(at->m->sender));
}

static void bounce_outputs(struct notice *n, const struct address *list, const struct template *t)
{
	unsigned count = 0;
	for (const struct address *ad = list; ad; ad = ad->next)
		count += !str_empty(ad->return_output);
	if (!count)
		return;
	if (!str_empty(t->item[2]))
		sb_add(&n->body, t->item[2]);
	else
		sb_printf(&n->body, "The following text was generated during the delivery attempt%s:\n", count > 1 ? "s" : "");
	for (const struct address *ad = list; ad; ad = ad->next) {
		if (str_empty(ad->return_output))
			continue;
		struct strbuf name;
		sb_init(&name, n->at->arena, LIMIT_LOG_LINE);
		bounce_address(&name, ad);
		sb_addc(&n->body, "\n------ ");
		struct str text = str_rtrim(sb_str(&name)), line;
		for (bool first = true; str_is_set(text); first = false) {
			line = str_cut(text, '\n', &text);
			sb_printf(&n->body, "%s%.*s", first ? "" : "\n       ", STR_ARG(first ? line : str_ltrim(line)));
		}
		sb_addc(&n->body, " ------\n\n");
		sb_add(&n->body, ad->return_output);
		sb_addc(&n->body, str_ends(ad->return_output, "\n") ? "\n" : "\n\n");
	}
}

/* Exim: in the report the last one stands first. */
static void status_backwards(struct notice *n, const struct address *list, const char *action, char class)
{
	size_t count = 0;
	for (const struct address *ad = list; ad; ad = ad->next)
		count++;
	const struct address **all = arena_array_of(n->at->arena, count, const struct address *);
	count = 0;
	for (const struct address *ad = list; ad; ad = ad->next)
		all[count++] = ad;
	while (count-- > 0)
		if (str_empty(all[count]->return_output))
			dsn_recipient(n->at, &n->body, all[count], action, class);
}

static void status_part(struct notice *n, const struct address *list, const char *action, char class)
{
	struct attempt *at = n->at;
	sb_printf(&n->body, "--%s\nContent-type: message/delivery-status\n\nReporting-MTA: dns; %.*s\n", n->boundary,
	    STR_ARG(at->cfg->primary_hostname));
	if (!str_empty(at->m->dsn_envid))
		sb_printf(&n->body, "Original-Envelope-ID: %.*s\n", STR_ARG(at->m->dsn_envid));
	for (const struct address *ad = list; ad; ad = ad->next)
		if (!str_empty(ad->return_output))
			dsn_recipient(at, &n->body, ad, action, class);
	status_backwards(n, list, action, class);
	sb_ch(&n->body, '\n');
}

static bool send_one(struct attempt *at, struct str to, const struct address *list)
{
	struct notice n;
	struct template t;
	struct bounce_view view = {.recipient = to, .return_size_limit = at->cfg->main.bounce_return_size_limit};
	at->ev.space[SPACE_BOUNCE] = &view;
	notice_begin(&n, at, to);
	read_template(at, &at->cfg->main.bounce_message_file, "bounce_message_file", &t);
	bounce_head(&n, list, &t);
	bounce_intro(&n, &t);
	for (const struct address *ad = list; ad; ad = ad->next) {
		sb_addc(&n.body, "  ");
		bounce_address(&n.body, ad);
		bounce_error(&n.body, ad, "");
	}
	sb_ch(&n.body, '\n');
	bounce_outputs(&n, list, &t);
	status_part(&n, list, "failed", '5');
	if (at->cfg->main.bounce_return_message)
		notice_copy(&n, at->m->dsn_ret != DSN_RET_HDRS);
	else
		sb_printf(&n.body, "--%s--\n", n.boundary);
	notice_errors_copy(&n);
	bool ok = notice_send(&n, str_c(at->m->id));
	at->ev.space[SPACE_BOUNCE] = NULL;
	return ok;
}

void send_bounces(struct attempt *at)
{
	while (at->failed) {
		struct address *group = NULL, **tail = &group, *rest = NULL, **rest_tail = &rest, *next;
		struct str to = errors_address(at, at->failed);
		for (struct address *ad = at->failed; ad; ad = next) {
			next = ad->next;
			ad->next = NULL;
			if (!str_ieq(errors_address(at, ad), to)) {
				*rest_tail = ad;
				rest_tail = &ad->next;
			} else if (!nobody_to_tell(at, ad)) {
				*tail = ad;
				tail = &ad->next;
			}
		}
		at->failed = rest;
		if (!group)
			continue;
		bool ok = send_one(at, to, group);
		for (struct address *ad = group; ad; ad = next) {
			next = ad->next;
			if (ok)
				settle(at, ad);
		}
	}
}

/* --- Warnings (manual 50.2; delay_warning in 14) --------------------------------------------- */
/* How many warnings are due at this age; past the last time its distance to the one before repeats. */
static int warnings_due(const struct time_list *t, int64_t age)
{
	int n = 0;
	while ((size_t)n < t->count && age >= t->seconds[n])
		n++;
	if (t->count == 0 || (size_t)n < t->count)
		return n;
	int64_t last = t->seconds[t->count - 1], step = t->count > 1 ? last - t->seconds[t->count - 2] : last;
	return step > 0 ? n + (int)((age - last) / step) : n;
}

static struct str delay_text(struct attempt *at, int64_t age)
{
	if (age < 120 * 60)
		return str_printf(at->arena, "%lld minutes", (long long)(age / 60));
	return str_printf(at->arena, "%lld hours", (long long)(age / 3600));
}

static void warning_intro(struct notice *n, const struct template *t, const struct bounce_view *view, bool many)
{
	struct attempt *at = n->at;
	if (!str_empty(t->item[1])) {
		sb_add(&n->body, t->item[1]);
		sb_ch(&n->body, '\n');
		return;
	}
	struct str text;
	sb_addc(&n->body, "This message was created automatically by mail delivery software.\n");
	if (str_ieq(n->to[0], at->m->sender))
		sb_addc(&n->body, "A message that you sent ");
	else
		sb_printf(&n->body, "A message sent by\n\n  <%.*s>\n\n", STR_ARG(at->m->sender));
	sb_printf(&n->body, "has not yet been delivered to one or more of its\nrecipients after more than %.*s on the queue on %.*s.\n\n",
	    STR_ARG(view->warn_delay), STR_ARG(at->cfg->primary_hostname));
	sb_printf(&n->body, "The message identifier is:     %s\n", at->m->id);
	if (headers_get(&at->m->headers, at->arena, STR("subject"), HEADER_RAW, STR_NONE, &text))
		sb_printf(&n->body, "The subject of the message is: %.*s\n", STR_ARG(str_trim(text)));
	if (headers_get(&at->m->headers, at->arena, STR("date"), HEADER_RAW, STR_NONE, &text))
		sb_printf(&n->body, "The date of the message is:    %.*s\n", STR_ARG(str_trim(text)));
	sb_printf(&n->body, "\nThe address%s to which the message has not yet been delivered %s:\n\n", many ? "es" : "", many ? "are" : "is");
}

static bool warn_one(struct attempt *at, struct str to, const struct address *list, int64_t age)
{
	struct notice n;
	struct template t;
	struct bounce_view view = {.recipient = to, .warn_recipients = to, .warn_delay = delay_text(at, age)};
	at->ev.space[SPACE_BOUNCE] = &view;
	notice_begin(&n, at, to);
	read_template(at, &at->cfg->main.warn_message_file, "warn_message_file", &t);
	notice_reply_to(&n);
	sb_addc(&n.head, "Auto-Submitted: auto-replied\n");
	notice_from(&n);
	sb_printf(&n.head, "To: %.*s\n", STR_ARG(to));
	notice_references(&n);
	notice_multipart(&n);
	if (!str_empty(t.item[0]))
		sb_add(&n.head, t.item[0]);
	else
		sb_printf(&n.head, "Subject: Warning: message %s delayed %.*s\n", at->m->id, STR_ARG(view.warn_delay));
	warning_intro(&n, &t, &view, list->next != NULL);
	for (const struct address *ad = list; ad; ad = ad->next) {
		sb_addc(&n.body, "  ");
		bounce_address(&n.body, ad);
		if (ad->kind == ADDRESS_MAIL && (!str_empty(ad->message) || ad->basic_errno > 0))
			bounce_error(&n.body, ad, "Delay reason: ");
	}
	sb_ch(&n.body, '\n');
	if (!str_empty(t.item[2]))
		sb_add(&n.body, t.item[2]);
	else
		sb_addc(&n.body, "No action is required on your part. Delivery attempts will continue for\n"
		                 "some time, and this warning may be repeated at intervals if the message\n"
		                 "remains undelivered. Eventually the mail delivery software will give up,\n"
		                 "and when that happens, the message will be returned to you.\n");
	sb_ch(&n.body, '\n');
	status_part(&n, list, "delayed", '4');
	notice_copy(&n, false);
	bool ok = notice_send(&n, str_c(at->m->id));
	at->ev.space[SPACE_BOUNCE] = NULL;
	return ok;
}

static bool warn_about(const struct attempt *at, const struct address *ad)
{
	uint8_t notify = top_of(ad)->dsn_notify;
	if (ad->basic_errno == DERR_HELD || ad->special_freeze || (notify && !(notify & DSN_DELAY)))
		return false;
	return !str_empty(errors_address(at, ad));
}

void send_warning(struct attempt *at)
{
	int64_t age = (at->now_us - at->m->received_us) / 1000000;
	int count = warnings_due(&at->cfg->main.delay_warning, age);
	bool yes = true;
	if (count <= at->m->warnings || at->freeze || !at->deferred || str_empty(at->m->sender))
		return;
	if (str_is_set(at->cfg->main.delay_warning_condition.text)) {
		enum expand_status st = expand_condition(&at->ev, &at->cfg->main.delay_warning_condition, &yes);
		yes = st == EXPAND_OK && yes;
	}
	struct address *left = NULL, *next;
	for (struct address *ad = at->deferred; ad; ad = ad->next)
		if (yes && warn_about(at, ad)) {
			struct address *copy = arena_dup(at->arena, ad, sizeof *ad);
			copy->next = left;
			left = copy;
		}
	bool sent = false;
	while (left) {
		struct address *group = NULL, *rest = NULL;
		struct str to = errors_address(at, left);
		for (struct address *ad = left; ad; ad = next) {
			next = ad->next;
			struct address **list = str_ieq(errors_address(at, ad), to) ? &group : &rest;
			ad->next = *list;
			*list = ad;
		}
		left = rest;
		sent = warn_one(at, to, group, age) || sent;
	}
	if (sent) {
		at->m->warnings = count;
		at->envelope_changed = true;
	}
}
