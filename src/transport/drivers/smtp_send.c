/* SPDX-License-Identifier: Apache-2.0
 * One transaction (RFC 5321 3.3; LMTP: RFC 2033; CHUNKING: RFC 3030; DSN: RFC 3461). With
 * PIPELINING the whole envelope leaves in one write and its replies are taken one by one in order;
 * a small message by BDAT goes in that same write, so that a message costs one round trip.
 * Nothing is "delivered" that a reply did not say so. */
#include <errno.h>

#include "base/limits.h"
#include "message/encode.h"
#include "net/tls.h"
#include "transport/drivers/smtp.h"

#include "base/banned.h"

enum {
	SYNC_EVERY = 100,          /* replies are read after so many commands: neither side may block writing */
	INLINE_MAX = 48 * 1024,    /* a message that goes with its envelope */
	CHUNK = 256 * 1024
};

struct rcpt {
	struct address *ad;
	struct str command;
	bool ok;
};
struct tx {
	struct smtp_job *j;
	struct conn *c;
	struct smtp_client *cl;
	struct rcpt *rcpt;
	unsigned n, ok, read; /* read: RCPT replies taken */
	bool pipelining, bdat, inlined, dsn;
	bool rset_due, mail_due, answered;
	struct str mail;
	struct str text;      /* inlined: the message as it goes */
	struct str data_what;
	int64_t bytes;
};

static bool ext(const struct tx *x, unsigned bit)
{
	return x->cl->caps.ext & bit;
}

/* ---- the envelope ---- */

static bool ascii(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		if ((unsigned char)s.p[i] >= 0x80)
			return false;
	}
	return true;
}

/* Something of this message needs SMTPUTF8 and the host has it not (RFC 6531 3.2). */
static bool utf8_allowed(struct tx *x)
{
	struct delivery *d = x->j->d;
	bool needed = d->message->smtputf8 || !ascii(d->return_path);
	for (unsigned i = 0; i < x->n && !needed; i++)
		needed = !ascii(x->rcpt[i].ad->address);
	if (!needed || ext(x, SMTP_EXT_SMTPUTF8))
		return true;
	smtp_fault_text(x->j, DERR_UTF8_FWD, "utf8 support required but not offered for forwarding");
	x->j->fault.permanent = true;
	return false;
}

/* AUTH= of MAIL (RFC 4954 5; manual 30 authenticated_sender). */
static bool add_auth(struct tx *x, struct strbuf *sb)
{
	struct smtp_job *j = x->j;
	struct str who = j->d->message->peer.auth_sender, value;
	switch (expand(j->d->eval, &j->o->authenticated_sender, &value)) {
	case EXPAND_OK:
		if (!str_empty(value))
			who = value;
		break;
	case EXPAND_FORCED: break;
	case EXPAND_FAILED:
	case EXPAND_DEFER:
		smtp_fault_text(j, DERR_UNKNOWN, "failed to expand authenticated_sender: %.*s", STR_ARG(j->d->eval->lx.error));
		return false;
	}
	bool may = (x->c->authenticated && ext(x, SMTP_EXT_AUTH)) || (j->o->authenticated_sender_force && str_is_set(j->o->authenticated_sender.text));
	if (may && !str_empty(who))
		sb_printf(sb, " AUTH=%.*s", STR_ARG(xtext_encode(j->tx, who)));
	return true;
}

static bool make_mail(struct tx *x)
{
	struct smtp_job *j = x->j;
	const struct message *m = j->d->message;
	struct strbuf sb;
	sb_init(&sb, j->tx, LIMIT_SMTP_COMMAND);
	sb_printf(&sb, "MAIL FROM:<%.*s>", STR_ARG(j->d->return_path));
	if (ext(x, SMTP_EXT_SIZE) && j->o->size_addition >= 0)
		sb_printf(&sb, " SIZE=%lld", (long long)(m->size + j->o->size_addition));
	if (m->body_type == 8 && ext(x, SMTP_EXT_8BITMIME))
		sb_addc(&sb, " BODY=8BITMIME");
	if (x->dsn && m->dsn_ret != DSN_RET_NONE)
		sb_addc(&sb, m->dsn_ret == DSN_RET_HDRS ? " RET=HDRS" : " RET=FULL");
	if (x->dsn && !str_empty(m->dsn_envid))
		sb_printf(&sb, " ENVID=%.*s", STR_ARG(m->dsn_envid));
	if (ext(x, SMTP_EXT_SMTPUTF8) && (m->smtputf8 || !ascii(j->d->return_path)))
		sb_addc(&sb, " SMTPUTF8");
	if (!add_auth(x, &sb))
		return false;
	x->mail = sb_str(&sb);
	return true;
}

static void add_notify(struct strbuf *sb, uint8_t n)
{
	static const struct {
		uint8_t bit;
		const char *word;
	} words[] = {{DSN_SUCCESS, "SUCCESS"}, {DSN_FAILURE, "FAILURE"}, {DSN_DELAY, "DELAY"}};
	const char *sep = "";
	if (n == 0)
		return;
	sb_addc(sb, " NOTIFY=");
	if (n & DSN_NEVER) {
		sb_addc(sb, "NEVER");
		return;
	}
	for (size_t i = 0; i < countof(words); i++) {
		if (n & words[i].bit) {
			sb_addc(sb, sep);
			sb_addc(sb, words[i].word);
			sep = ",";
		}
	}
}

static void make_rcpt(struct tx *x, struct rcpt *r)
{
	struct smtp_job *j = x->j;
	struct strbuf sb;
	struct str to = envelope_rcpt(j->d, r->ad);
	sb_init(&sb, j->tx, LIMIT_SMTP_COMMAND);
	sb_printf(&sb, "RCPT TO:<%.*s>", STR_ARG(to));
	if (j->o->lmtp && j->o->lmtp_ignore_quota && ext(x, SMTP_EXT_IGNOREQUOTA))
		sb_addc(&sb, " IGNOREQUOTA");
	if (x->dsn && !r->ad->dsn_lasthop) {
		add_notify(&sb, r->ad->dsn_notify);
		if (!str_empty(r->ad->dsn_orcpt))
			sb_printf(&sb, " ORCPT=%.*s", STR_ARG(r->ad->dsn_orcpt));
	}
	r->command = sb_str(&sb);
}

static unsigned most_rcpts(const struct tx *x)
{
	int max = transport_max_rcpt(x->j->d->transport, x->j->d->eval);
	bool believed = x->c->tls || !ext(x, SMTP_EXT_STARTTLS);
	if (believed && x->cl->caps.rcptmax > 0 && (max <= 0 || x->cl->caps.rcptmax < max))
		max = x->cl->caps.rcptmax;
	return max <= 0 ? LIMIT_RECIPIENTS : (unsigned)max;
}

static void collect(struct tx *x)
{
	struct address *list = x->j->d->addresses, *first = NULL;
	unsigned most = most_rcpts(x), n = 0;
	bool one_domain = x->cl->caps.rcptdomainmax == 1 && (x->c->tls || !ext(x, SMTP_EXT_STARTTLS));
	for (struct address *ad = list; ad && n < most; ad = ad->next)
		n += result_pending(ad);
	x->rcpt = arena_array_of(x->j->tx, n, struct rcpt);
	for (struct address *ad = list; ad && x->n < n; ad = ad->next) {
		if (!result_pending(ad) || (one_domain && first && !str_ieq(first->view.domain, ad->view.domain)))
			continue;
		first = first ? first : ad;
		x->rcpt[x->n].ad = ad;
		make_rcpt(x, &x->rcpt[x->n++]);
	}
}

/* ---- replies ---- */

static struct str what(const struct tx *x, struct str command)
{
	return x->pipelining ? str_cat(x->j->tx, STR("pipelined "), command) : command;
}

static struct smtp_reply take(struct tx *x)
{
	struct smtp_reply r = smtp_client_reply(x->cl);
	if (r.code && r.code != 421)
		x->answered = true;
	return r;
}

static bool good(const struct smtp_reply *r)
{
	return r->code >= 200 && r->code < 300;
}

/* RSET and MAIL. False: fault set. */
static bool take_mail(struct tx *x)
{
	if (x->rset_due) {
		struct smtp_reply r = take(x);
		x->rset_due = false;
		if (r.code == 0) {
			smtp_fault_reply(x->j, &r, STR("RSET"), STAGE_HOST);
			return false;
		}
		x->c->need_rset = false;
	}
	if (!x->mail_due)
		return true;
	x->mail_due = false;
	struct smtp_reply r = take(x);
	if (good(&r))
		return true;
	smtp_fault_reply(x->j, &r, what(x, x->mail), STAGE_MESSAGE);
	return false;
}

/* A recipient's answer is its own (manual 32.2); 452 behind accepted ones: later, in the next
 * transaction (RFC 5321 4.5.3.1.10). False: the connection is lost. */
static bool take_rcpt(struct tx *x)
{
	struct rcpt *p = &x->rcpt[x->read++];
	struct smtp_reply r = take(x);
	if (good(&r)) {
		p->ok = true;
		x->ok++;
		return true;
	}
	if (r.code == 0 || r.code == 421 || (r.code < 400 && r.code != 0)) {
		smtp_fault_reply(x->j, &r, r.code ? p->command : what(x, p->command), STAGE_RCPT);
		x->j->fault.lost = true;
		return false;
	}
	if (r.code == 452 && x->ok)
		return true;
	struct str cmd = str_cut(p->command, '>', &(struct str){0});
	smtp_fault_reply(x->j, &r, str_cat(x->j->tx, cmd, STR(">")), STAGE_RCPT);
	result_set(p->ad, x->j->fault.permanent ? ADDRESS_FAILED : ADDRESS_DEFERRED, x->j->fault.err, x->j->fault.message);
	p->ad->more_errno = x->j->fault.more;
	p->ad->host_used = x->j->host;
	p->ad->smtp_reply = x->j->fault.remote_reply;
	p->ad->log_extra = smtp_log_host(x->j);
	x->j->fault = (struct smtp_fault){0};
	return true;
}

static bool take_outstanding(struct tx *x, unsigned upto)
{
	if (smtp_client_flush(x->cl) != ST_OK)
		x->answered = x->answered || false; /* what the peer said before it closed is read first */
	if (!take_mail(x))
		return false;
	while (x->read < upto) {
		if (!take_rcpt(x))
			return false;
	}
	return true;
}

/* ---- sending ---- */

static void put(struct tx *x, struct str line)
{
	/* A failed write sticks to the stream; the reply that then does not come says so. */
	enum status st = smtp_client_put(x->cl, "%.*s", STR_ARG(line));
	if (st == ST_MALFORMED || st == ST_LIMIT)
		smtp_fault_text(x->j, DERR_UNKNOWN, "an address of this message cannot be sent in an SMTP command");
}

static bool envelope(struct tx *x)
{
	unsigned sent = 0;
	if (x->c->need_rset) {
		put(x, STR("RSET"));
		x->rset_due = true;
		if (!x->pipelining && !take_outstanding(x, 0))
			return false;
	}
	put(x, x->mail);
	x->mail_due = true;
	x->c->need_rset = true;
	if (!x->pipelining && !take_outstanding(x, 0))
		return false;
	for (unsigned i = 0; i < x->n; i++) {
		put(x, x->rcpt[i].command);
		sent++;
		if ((!x->pipelining || sent % SYNC_EVERY == 0) && !take_outstanding(x, i + 1))
			return false;
	}
	return x->j->fault.message.p == NULL;
}

struct out {
	struct tx *x;
	struct smtp_body body;
	struct strbuf mem;
	unsigned chunks;
	bool failed; /* the fault stands in the job */
};

static bool send_chunk(struct out *o, bool last)
{
	struct tx *x = o->x;
	struct str cmd = str_printf(x->j->tx, "BDAT %u%s", o->mem.len, last ? " LAST" : "");
	if (o->chunks++) { /* the one before is answered first: one chunk is on its way at most */
		struct smtp_reply r = take(x);
		if (!good(&r)) {
			smtp_fault_reply(x->j, &r, x->data_what, STAGE_MESSAGE);
			o->failed = true;
			return false;
		}
	}
	put(x, cmd);
	x->data_what = cmd;
	enum status st = stream_write(x->c->stream, o->mem.p, o->mem.len);
	if (st == ST_OK)
		st = smtp_client_flush(x->cl);
	x->bytes += o->mem.len;
	sb_truncate(&o->mem, 0);
	if (st == ST_OK)
		return true;
	smtp_fault_status(x->j, st, cmd);
	o->failed = true;
	return false;
}

static bool out_write(void *arg, const char *p, size_t n)
{
	struct out *o = arg;
	enum status st = smtp_body_write(&o->body, p, n);
	if (st == ST_OK && o->x->bdat && !o->x->inlined && o->mem.len >= CHUNK)
		return send_chunk(o, false);
	if (st == ST_OK)
		return true;
	if (st == ST_LIMIT)
		errno = EMSGSIZE;
	else
		errno = st == ST_TIMEOUT ? ETIMEDOUT : st == ST_EOF ? EPIPE : -(int)st;
	return false;
}

static bool write_message(struct tx *x, struct out *o, struct why *why)
{
	struct delivery *d = x->j->d;
	struct message_output out = {.delivery = d, .flags = transport_output_flags(d) | OUT_RAW, .write = out_write, .arg = o,
	    .filter = x->j->filter};
	return transport_write_message(&out, why);
}

/* The whole message to memory, when it is small. False: fault. */
static bool inline_message(struct tx *x)
{
	struct out o = {.x = x};
	struct why why = {0};
	sb_init(&o.mem, x->j->tx, LIMIT_ARENA_MESSAGE / 4);
	int64_t size = x->j->d->message->size; /* with room for line ends and added headers: mostly one piece */
	o.mem.room = (uint32_t)(size + size / 16 + 4096);
	o.mem.p = arena_alloc(x->j->tx, o.mem.room);
	o.body = (struct smtp_body){.memory = &o.mem, .at_line_start = true};
	x->inlined = true;
	if (write_message(x, &o, &why) && smtp_body_end(&o.body) == ST_OK) {
		x->text = sb_str(&o.mem);
		return true;
	}
	smtp_fault_text(x->j, why.errnum ? why.errnum : DERR_UNKNOWN, "%s", why.text);
	return false;
}

/* A message that cannot be written to its end must not seem complete: the connection goes. */
static void write_fault(struct tx *x, const struct out *o, const struct why *why)
{
	if (o->failed)
		return;
	if (why->errnum == ETIMEDOUT)
		smtp_fault_status(x->j, ST_TIMEOUT, x->data_what);
	else if (why->errnum == EPIPE || why->errnum == ECONNRESET)
		smtp_fault_status(x->j, ST_EOF, str_printf(x->j->tx, "sending data block"));
	else
		smtp_fault_text(x->j, why->errnum ? why->errnum : DERR_UNKNOWN, "%s", why->text);
	x->j->fault.lost = true;
}

static bool send_data(struct tx *x)
{
	struct out o = {.x = x, .body = {.stream = x->c->stream, .dots = true, .at_line_start = true}};
	struct why why = {0};
	stream_set_timeout(x->c->stream, (int64_t)x->j->o->data_timeout * 1000);
	if (!write_message(x, &o, &why)) {
		write_fault(x, &o, &why);
		return false;
	}
	enum status st = smtp_body_end(&o.body);
	if (st == ST_OK)
		st = stream_flush(x->c->stream);
	x->bytes = o.body.bytes;
	x->data_what = st == ST_OK ? STR("end of data") : STR("sending data block");
	if (st == ST_OK)
		return true;
	smtp_fault_status(x->j, st, x->data_what);
	return false;
}

static bool send_bdat(struct tx *x)
{
	struct out o = {.x = x};
	struct why why = {0};
	sb_init(&o.mem, x->j->tx, CHUNK * 4);
	o.mem.p = arena_alloc(x->j->tx, CHUNK * 2);
	o.mem.room = CHUNK * 2;
	o.body = (struct smtp_body){.memory = &o.mem, .at_line_start = true};
	if (!write_message(x, &o, &why) || smtp_body_end(&o.body) != ST_OK) {
		write_fault(x, &o, &why);
		return false;
	}
	return send_chunk(&o, true);
}

/* ---- results ---- */

static struct str log_extra(struct tx *x)
{
	struct smtp_job *j = x->j;
	const struct config *cfg = j->d->config;
	const struct tls_info *t = stream_tls(x->c->stream);
	const struct out_view *v = &j->d->out;
	struct strbuf sb;
	struct str host = smtp_log_host(j);
	sb_init(&sb, j->d->arena, LIMIT_LOG_LINE);
	sb_add(&sb, host);
	if (x->c->messages > 1)
		sb_ch(&sb, '*');
	if (config_logs(cfg, LOGSEL_OUTGOING_INTERFACE))
		sb_printf(&sb, " I=[%.*s]:%d", STR_ARG(v->sending_ip_address), v->sending_port);
	if (t && config_logs(cfg, LOGSEL_TLS_CIPHER))
		sb_printf(&sb, " X=%.*s", STR_ARG(v->tls_cipher));
	if (t && config_logs(cfg, LOGSEL_TLS_CERTIFICATE_VERIFIED))
		sb_printf(&sb, " CV=%s", v->tls_verified ? "yes" : "no");
	if (t && config_logs(cfg, LOGSEL_TLS_PEERDN) && !str_empty(v->tls_peer_dn))
		sb_printf(&sb, " DN=\"%.*s\"", STR_ARG(v->tls_peer_dn));
	if (x->c->authenticated)
		sb_printf(&sb, " A=%.*s", STR_ARG(x->c->auth_name));
	if (x->pipelining && config_logs(cfg, LOGSEL_PIPELINING))
		sb_addc(&sb, " L");
	if (x->bdat)
		sb_addc(&sb, " K");
	return sb_str(&sb);
}

static void accepted(struct tx *x, struct address *ad, struct str reply, struct str extra)
{
	const struct out_view *v = &x->j->d->out;
	result_set(ad, ADDRESS_DELIVERED, 0, STR_NONE);
	ad->more_errno = 0;
	ad->host_used = x->j->host;
	ad->smtp_reply = reply;
	ad->log_extra = extra;
	if (x->c->tls) { /* the stream's texts go with it */
		ad->tls_cipher = str_dup(x->j->d->arena, v->tls_cipher);
		ad->tls_peer_dn = str_dup(x->j->d->arena, v->tls_peer_dn);
	}
	ad->tls_verified = v->tls_verified;
	ad->smtp_flags = (uint8_t)((x->pipelining ? ADDRF_PIPELINING : 0) | (x->bdat ? ADDRF_CHUNKING : 0) |
	    (x->c->messages > 1 ? ADDRF_REUSED : 0) | (x->dsn ? ADDRF_DSN_SENT : 0) | (x->j->o->tls_on_connect ? ADDRF_TLS_ON_CONNECT : 0));
}

static bool take_final_lmtp(struct tx *x)
{
	struct str extra = log_extra(x);
	for (unsigned i = 0; i < x->n; i++) {
		struct address *ad = x->rcpt[i].ad;
		if (!x->rcpt[i].ok)
			continue;
		struct smtp_reply r = take(x);
		if (good(&r)) {
			accepted(x, ad, str_dup(x->j->d->arena, r.text), extra);
			continue;
		}
		smtp_fault_reply(x->j, &r, STR("end of data"), STAGE_MESSAGE);
		if (r.code == 0)
			return false;
		result_set(ad, x->j->fault.permanent ? ADDRESS_FAILED : ADDRESS_DEFERRED, x->j->fault.err, x->j->fault.message);
		ad->more_errno = x->j->fault.more;
		ad->host_used = x->j->host;
		ad->log_extra = extra;
		x->j->fault = (struct smtp_fault){0};
	}
	return true;
}

static bool take_final(struct tx *x)
{
	int64_t keep = x->cl->command_timeout_ms;
	bool ok = true;
	x->cl->command_timeout_ms = (int64_t)x->j->o->final_timeout * 1000;
	if (x->j->o->lmtp) {
		ok = take_final_lmtp(x);
	} else {
		struct smtp_reply r = take(x);
		ok = good(&r);
		struct str after = x->bdat ? x->data_what : STR("end of data");
		if (!ok && r.st == ST_TIMEOUT)
			after = str_printf(x->j->tx, "end of data (%lld bytes written)", (long long)x->bytes);
		if (!ok)
			smtp_fault_reply(x->j, &r, after, STAGE_MESSAGE);
		struct str extra = ok ? log_extra(x) : STR_NONE, reply = ok ? str_dup(x->j->d->arena, r.text) : STR_NONE;
		for (unsigned i = 0; ok && i < x->n; i++) {
			if (x->rcpt[i].ok)
				accepted(x, x->rcpt[i].ad, reply, extra);
		}
	}
	x->cl->command_timeout_ms = keep;
	if (ok)
		x->c->need_rset = false;
	return ok;
}

/* ---- the two ways ---- */

/* All recipients were refused, but DATA had already gone out with them. */
static bool unwanted_data(struct tx *x, const struct smtp_reply *r)
{
	if (r->code / 100 != 3)
		return r->code != 0;
	if (stream_put(x->c->stream, STR(".\r\n")) != ST_OK || smtp_client_flush(x->cl) != ST_OK)
		return false;
	x->cl->outstanding++;
	return take(x).code != 0;
}

static bool by_data(struct tx *x)
{
	if (x->pipelining)
		put(x, STR("DATA"));
	if (!take_outstanding(x, x->n))
		return false;
	if (!x->pipelining && x->ok == 0)
		return true;
	if (!x->pipelining) {
		put(x, STR("DATA"));
		(void)smtp_client_flush(x->cl);
	}
	struct smtp_reply r = take(x);
	if (x->ok == 0) {
		if (!unwanted_data(x, &r))
			x->j->fault.lost = true;
		return true;
	}
	x->data_what = what(x, STR("DATA"));
	if (r.code / 100 != 3) { /* RFC 5321 4.2.1: the first digit decides */
		smtp_fault_reply(x->j, &r, x->data_what, STAGE_MESSAGE);
		return false;
	}
	x->cl->outstanding = x->j->o->lmtp ? x->ok : 1;
	return send_data(x) && take_final(x);
}

static bool by_bdat(struct tx *x)
{
	if (x->inlined) {
		x->data_what = str_printf(x->j->tx, "BDAT %u LAST", x->text.len);
		x->bytes = x->text.len;
		if (!x->pipelining && (!take_outstanding(x, x->n) || x->ok == 0))
			return x->j->fault.message.p == NULL;
		put(x, x->data_what);
		if (stream_write(x->c->stream, x->text.p, x->text.len) != ST_OK)
			x->bytes = 0; /* it sticks: the replies below tell how it ended */
		if (!take_outstanding(x, x->n))
			return false;
		if (x->ok)
			return take_final(x);
		struct smtp_reply r = take(x);
		x->j->fault.lost = r.code == 0;
		return true;
	}
	if (!take_outstanding(x, x->n))
		return false;
	return x->ok == 0 || (send_bdat(x) && take_final(x));
}

/* Replies that are still owed would be taken for those of the next message: such a connection is
 * done with. */
static enum sent finish(struct tx *x, bool ok)
{
	struct smtp_job *j = x->j;
	if (!ok && x->c->reused && !x->answered && (j->fault.err == DERR_SMTPCLOSED || j->fault.code == 421))
		return SENT_STALE;
	if (x->cl->outstanding)
		j->fault.lost = true;
	return ok ? SENT_DONE : SENT_FAILED;
}

enum sent smtp_send(struct smtp_job *j)
{
	struct tx x = {.j = j, .c = j->conn, .cl = &j->conn->client};
	j->fault = (struct smtp_fault){0};
	x.pipelining = ext(&x, SMTP_EXT_PIPELINING) && !j->terms.avoid_pipelining;
	x.dsn = ext(&x, SMTP_EXT_DSN);
	x.bdat = ext(&x, SMTP_EXT_CHUNKING) && j->terms.try_chunking && !j->filter && !j->o->lmtp;
	collect(&x);
	if (!utf8_allowed(&x) || !make_mail(&x))
		return SENT_FAILED;
	if (x.bdat && j->d->message->size <= INLINE_MAX && !inline_message(&x))
		return SENT_FAILED;
	x.c->messages++;
	bool ok = envelope(&x) && (x.bdat ? by_bdat(&x) : by_data(&x));
	return finish(&x, ok);
}
