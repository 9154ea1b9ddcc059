/* SPDX-License-Identifier: Apache-2.0
 * Local deliveries, the parent's side: who, then one call to the agent, whose child runs the
 * driver as that user (manual 23). The body goes as a descriptor, headers and envelope as text. */
#include "transport/local.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "transport/steps.h"

#include "base/banned.h"

enum { HEADER_INLINE = 512 * 1024, DEFAULT_LIMIT_MS = 600000 };

static int header_fd(struct str header)
{
	int fd = memfd_create("header", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, header.p, header.len) != (ssize_t)header.len) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static int64_t time_limit(const struct delivery *d)
{
	const struct transport_driver *driver = transport_driver_of(d->transport);
	int64_t ms = driver->time_limit_ms ? driver->time_limit_ms(d->transport) : DEFAULT_LIMIT_MS;
	int64_t filter = str_empty(transport_generic(d)->transport_filter.text) ? 0 : transport_generic(d)->transport_filter_timeout;
	return ms ? ms + (filter + 60) * 1000 : 0;
}

static enum status call_agent(struct delivery *d, const struct agent_who *who, struct deliver_request *q, struct str *reply,
    struct why *why)
{
	struct strbuf sb;
	int fds[2] = {d->body_fd, -1};
	unsigned nfds = 1;
	struct str header = spool_format_header(d->arena, d->message);
	if (header.len <= HEADER_INLINE) {
		q->header = header;
	} else {
		fds[nfds++] = header_fd(header);
		if (fds[1] < 0) {
			why_set(why, true, "failed to pass the message header to the agent");
			return ST_LIMIT;
		}
	}
	sb_init(&sb, d->arena, LIMIT_IPC_FRAME);
	deliver_request_pack(&sb, q);
	enum status st = ST_LIMIT;
	if (sb.over)
		why_set(why, true, "local delivery request is too large");
	else
		st = agent_call(d->env->agent, d->arena, AGENT_DELIVER, who, sb_str(&sb), fds, nfds, time_limit(d), reply, why);
	if (nfds > 1)
		close(fds[1]);
	return st;
}

void local_run(struct delivery *d)
{
	struct agent_who who;
	struct why why = {0};
	const struct transport_driver *driver = transport_driver_of(d->transport);
	if (!local_who(d, &who))
		return;
	if (driver->prepare && !driver->prepare(d, &why)) {
		result_defer(d, why.errnum ? why.errnum : DERR_UNKNOWN, "%s", why.text);
		return;
	}
	struct deliver_request q = {.kind = DELIVER_REQUEST_RUN, .transport = d->transport->name, .return_path = d->return_path,
	    .body_offset = d->body_offset, .body_size = d->body_size, .start_us = d->start_us, .message_size = d->message->size, .shadow = d->shadow,
	    .deliver_firsttime = d->message->deliver_firsttime, .addresses = d->addresses};
	memcpy(q.prepared, d->prepared, sizeof q.prepared);
	struct str reply = STR_NONE;
	struct deliver_reply results = {0};
	enum status st = call_agent(d, &who, &q, &reply, &why);
	if (st == ST_TIMEOUT)
		result_defer(d, DERR_UNKNOWN, "local delivery process for %s transport timed out", transport_name(d));
	else if (st != ST_OK)
		result_defer(d, DERR_UNKNOWN, "%s: local delivery transport=%s", why.text, transport_name(d));
	else if (!deliver_reply_unpack(d->arena, reply, d->addresses, &results))
		result_freeze(d, DERR_UNKNOWN, "failed to read delivery status from the %s transport process", transport_name(d));
	deliver_log_write(d, results.log);
	submissions_send(d, results.submissions);
}

bool local_filter(struct delivery *d, const char *const *argv, int in_fd, int out_fd, int64_t timeout_ms, struct why *why)
{
	struct strbuf sb;
	struct agent_who who;
	struct str reply;
	int fds[2] = {in_fd, out_fd};
	struct deliver_request q = {.kind = DELIVER_REQUEST_FILTER, .argv = argv, .timeout_ms = timeout_ms};
	if (!local_who(d, &who)) {
		why_set(why, true, "no user for the transport filter of %s transport", transport_name(d));
		return false;
	}
	sb_init(&sb, d->arena, LIMIT_IPC_FRAME);
	deliver_request_pack(&sb, &q);
	int64_t limit = timeout_ms ? timeout_ms + 60000 : 0;
	if (sb.over ||
	    agent_call(d->env->agent, d->arena, AGENT_DELIVER, &who, sb_str(&sb), fds, 2, limit, &reply, why) != ST_OK)
		return false;
	struct rd r = rd_of(reply);
	int32_t err = (int32_t)up_u32(&r);
	struct str text = up_str(&r);
	if (!r.bad && !str_is_set(text))
		return true;
	why_set(why, true, "%.*s", r.bad ? 0 : (int)text.len, text.p ? text.p : "");
	if (why)
		why->errnum = err;
	return false;
}
