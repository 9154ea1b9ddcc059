/* SPDX-License-Identifier: Apache-2.0
 * The lmtp transport (manual 28): LMTP (RFC 2033) with a command on a pipe or with a server on a
 * UNIX socket, as the user. LMTP over TCP is the smtp transport's. One recipient's failure after
 * the data is that recipient's alone. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "smtp/client.h"
#include "transport/steps.h"

#include "base/banned.h"

struct lmtp_options {
	struct xstr batch_id, command, socket;
	int32_t batch_max, timeout;
	bool ignore_quota;
};
struct lmtp {
	struct delivery *d;
	const struct lmtp_options *o;
	struct smtp_client cl;
	struct smtp_body body;
	int pid; /* of the command; 0 = a socket */
	const char *const *filter;
};

static void fault_status(struct lmtp *l, enum status st, struct str what)
{
	if (st == ST_TIMEOUT)
		result_defer(l->d, ETIMEDOUT, "LMTP timeout after %.*s", STR_ARG(what));
	else if (st == ST_EOF || st == ST_ERRNO(EPIPE) || st == ST_ERRNO(ECONNRESET))
		result_defer(l->d, DERR_SMTPCLOSED, "LMTP connection closed after %.*s", STR_ARG(what));
	else
		result_defer(l->d, st < -4095 ? DERR_SMTPFORMAT : -(int)st, "LMTP error after %.*s", STR_ARG(what));
}

static bool good(const struct smtp_reply *r)
{
	return r->code >= 200 && r->code < 300;
}

/* An answer that concerns all. */
static void fault_all(struct lmtp *l, const struct smtp_reply *r, struct str what, int err4)
{
	if (r->code == 0 && r->st != ST_MALFORMED) {
		fault_status(l, r->st, what);
		return;
	}
	bool permanent = r->code >= 500;
	result_all(l->d, permanent ? ADDRESS_FAILED : ADDRESS_DEFERRED, r->code == 0 ? DERR_SMTPFORMAT : permanent ? 0 : err4,
	    str_printf(l->d->arena, r->code ? "LMTP error after %.*s: %.*s" : "Malformed LMTP response after %.*s: %.*s", STR_ARG(what),
	        STR_ARG(r->text)));
}

static void fault_one(struct lmtp *l, struct address *ad, const struct smtp_reply *r, struct str what, int err4)
{
	bool permanent = r->code >= 500;
	result_set(ad, permanent ? ADDRESS_FAILED : ADDRESS_DEFERRED, permanent ? 0 : err4,
	    str_printf(l->d->arena, "LMTP error after %.*s: %.*s", STR_ARG(what), STR_ARG(r->text)));
	ad->more_errno = permanent ? 0 : (r->code % 100) << 8;
	ad->smtp_reply = str_dup(l->d->arena, r->text);
}

/* ---- the conversation ---- */

static bool greet(struct lmtp *l)
{
	struct smtp_reply r = smtp_client_reply(&l->cl);
	if (!good(&r)) {
		fault_all(l, &r, STR("initial connection"), 0);
		return false;
	}
	r = smtp_client_hello(&l->cl, l->d->config->primary_hostname);
	if (!good(&r))
		fault_all(l, &r, str_cat(l->d->arena, STR("LHLO "), l->d->config->primary_hostname), 0);
	return good(&r);
}

/* MAIL and RCPTs; the number of recipients taken, -1: results given. */
static int envelope(struct lmtp *l)
{
	struct delivery *d = l->d;
	int ok = 0;
	bool quota = l->o->ignore_quota && (l->cl.caps.ext & SMTP_EXT_IGNOREQUOTA);
	struct smtp_reply r = smtp_client_cmd(&l->cl, "MAIL FROM:<%.*s>", STR_ARG(d->return_path));
	if (!good(&r)) {
		fault_all(l, &r, str_printf(d->arena, "MAIL FROM:<%.*s>", STR_ARG(d->return_path)), DERR_MAIL4XX);
		return -1;
	}
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		struct str to = envelope_rcpt(d, ad);
		struct str what = str_printf(d->arena, "RCPT TO:<%.*s>", STR_ARG(to));
		r = smtp_client_cmd(&l->cl, "%.*s%s", STR_ARG(what), quota ? " IGNOREQUOTA" : "");
		if (r.code < 400 && !good(&r)) {
			fault_all(l, &r, what, 0);
			return -1;
		}
		if (good(&r))
			ok++;
		else
			fault_one(l, ad, &r, what, DERR_RCPT4XX);
	}
	return ok;
}

static bool out_write(void *arg, const char *p, size_t n)
{
	struct lmtp *l = arg;
	enum status st = smtp_body_write(&l->body, p, n);
	if (st != ST_OK)
		errno = st == ST_TIMEOUT ? ETIMEDOUT : st == ST_EOF ? EPIPE : -(int)st;
	return st == ST_OK;
}

static bool send_message(struct lmtp *l)
{
	struct delivery *d = l->d;
	struct why why = {0};
	struct message_output out = {.delivery = d, .flags = transport_output_flags(d) | OUT_RAW, .write = out_write, .arg = l, .filter = l->filter};
	l->body = (struct smtp_body){.stream = l->cl.stream, .dots = true, .at_line_start = true};
	if (!transport_write_message(&out, &why)) {
		if (why.errnum == ETIMEDOUT || why.errnum == EPIPE)
			fault_status(l, why.errnum == EPIPE ? ST_EOF : ST_TIMEOUT, STR("DATA"));
		else
			result_defer(d, why.errnum ? why.errnum : DERR_UNKNOWN, "%s", why.text);
		return false;
	}
	enum status st = smtp_body_end(&l->body);
	if (st == ST_OK)
		st = stream_flush(l->cl.stream);
	if (st != ST_OK)
		fault_status(l, st, STR("sending data block"));
	return st == ST_OK;
}

static void final_answers(struct lmtp *l)
{
	for (struct address *ad = l->d->addresses; ad; ad = ad->next) {
		if (!result_pending(ad))
			continue;
		struct smtp_reply r = smtp_client_reply(&l->cl);
		if (r.code == 0) {
			fault_all(l, &r, STR("end of data"), 0);
			return;
		}
		if (good(&r)) {
			result_set(ad, ADDRESS_DELIVERED, 0, STR_NONE);
			ad->smtp_reply = str_dup(l->d->arena, r.text);
		} else {
			fault_one(l, ad, &r, STR("end of data"), DERR_DATA4XX);
		}
	}
}

static void talk(struct lmtp *l)
{
	if (!greet(l))
		return;
	int ok = envelope(l);
	if (ok > 0) {
		struct smtp_reply r = smtp_client_cmd(&l->cl, "DATA");
		if (r.code / 100 != 3) {
			fault_all(l, &r, STR("DATA"), DERR_DATA4XX);
		} else if (send_message(l)) {
			final_answers(l);
		} else {
			return; /* no dot was sent: it must not take this for a whole message */
		}
	}
	stream_set_timeout(l->cl.stream, 1000);
	if (stream_put(l->cl.stream, STR("QUIT\r\n")) == ST_OK && stream_flush(l->cl.stream) == ST_OK)
		(void)smtp_client_reply(&l->cl);
}

/* ---- the other end ---- */

static struct stream *open_command(struct lmtp *l)
{
	struct delivery *d = l->d;
	static const char *const env[] = {"PATH=/bin:/usr/bin", NULL};
	struct command c;
	struct why why = {0};
	int in[2], out[2], exec_errno;
	char *what = arena_printf(d->arena, "%s transport", transport_name(d));
	if (!command_parse(d, l->o->command.text, COMMAND_EXPAND | COMMAND_UNTAINTED, what, &c, &why)) {
		result_all(d, why.temporary ? ADDRESS_DEFERRED : ADDRESS_FAILED, 0, str_c(arena_printf(d->arena, "%s", why.text)));
		return NULL;
	}
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		result_defer(d, errno, "unable to create pipe in %s transport", transport_name(d));
		return NULL;
	}
	struct spawn sp = {.argv = c.argv, .envp = env, .in = in[0], .out = out[1], .err = -1, .umask = 077};
	l->pid = spawn_start(&sp, &exec_errno);
	close(in[0]);
	close(out[1]);
	if (l->pid < 0 || exec_errno) {
		result_defer(d, exec_errno ? exec_errno : errno, "Failed to create child process for %s transport", transport_name(d));
		close(in[1]);
		close(out[0]);
		return NULL;
	}
	return stream_new(out[0], in[1]);
}

static struct stream *open_socket(struct lmtp *l)
{
	struct delivery *d = l->d;
	struct str name;
	struct stream *s;
	struct why why = {0};
	if (!option_expand(d, &l->o->socket, "socket", &name) || !option_untainted(d, name, "socket"))
		return NULL;
	enum status st = net_connect_unix(str_cstr(d->arena, name), (int64_t)l->o->timeout * 1000, &s, &why);
	if (st == ST_OK)
		return s;
	result_defer(d, st == ST_TIMEOUT ? ETIMEDOUT : -(int)st, "Failed to connect to socket %.*s for %s transport: %s", STR_ARG(name),
	    transport_name(d), status_text(st));
	return NULL;
}

static void lmtp_run(struct delivery *d)
{
	struct lmtp l = {.d = d, .o = d->transport->options};
	struct why why = {0};
	int status;
	if (!transport_filter_argv(d, &l.filter, &why)) {
		result_defer(d, DERR_FILTER_FAIL, "%s", why.text);
		return;
	}
	struct stream *s = str_is_set(l.o->command.text) ? open_command(&l) : open_socket(&l);
	if (s) {
		smtp_client_init(&l.cl, s, d->arena, true);
		l.cl.command_timeout_ms = (int64_t)l.o->timeout * 1000;
		talk(&l);
		stream_drop(s);
	}
	if (l.pid > 0 && spawn_wait(l.pid, 5000, &status) == 0)
		spawn_kill(l.pid);
}

/* ---- options ---- */

static bool lmtp_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	const struct lmtp_options *o = di->options;
	(void)cfg;
	if (str_is_set(o->command.text) == str_is_set(o->socket.text))
		return config_error_at(why, NULL, 0, "one (and only one) of command or socket must be set for the %s transport", di->name.p);
	return true;
}

static int lmtp_batch(const struct driver_instance *di, const struct xstr **ret_id)
{
	const struct lmtp_options *o = di->options;
	*ret_id = &o->batch_id;
	return o->batch_max < 1 ? 1 : o->batch_max;
}

#define ROW(name, TYPE, def, flags, doc) OPT_ROW(struct lmtp_options, #name, TYPE, name, def, flags, doc)
static const struct opt_row lmtp_rows[] = {
	ROW(batch_id, STRING, NULL, OPT_EXPAND, "String that must match for addresses to be batched"),
	ROW(batch_max, INT, "1", 0, "Most addresses in a batch"),
	ROW(command, STRING, NULL, OPT_EXPAND, "LMTP server command"),
	ROW(ignore_quota, BOOL, "false", 0, "Add IGNOREQUOTA to RCPT"),
	ROW(socket, STRING, NULL, OPT_EXPAND, "Unix socket of the LMTP server"),
	ROW(timeout, TIME, "5m", 0, "Time limit for a response"),
};

/* Each response has its own limit: the whole may take many of them. */
static int64_t lmtp_limit(const struct driver_instance *di)
{
	const struct lmtp_options *o = di->options;
	return ((int64_t)o->batch_max + 10) * o->timeout * 1000;
}

const struct transport_driver transport_lmtp = {
	.info = {.name = "lmtp", .options = lmtp_rows, .option_count = countof(lmtp_rows), .options_size = sizeof(struct lmtp_options),
	    .check = lmtp_check},
	.local = true,
	.run = lmtp_run,
	.batch = lmtp_batch,
	.time_limit_ms = lmtp_limit,
};
