/* SPDX-License-Identifier: Apache-2.0
 * Local deliveries, the child's side: already the user, alone in its process. Rebuilds the
 * delivery from the request, runs the driver, answers with a result per address. It trusts nothing
 * in the reply path to the message's content: results are states and texts. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"
#include "transport/local.h"
#include "transport/steps.h"

#include "base/banned.h"

static bool read_header(struct arena *a, int fd, struct str *ret)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > LIMIT_SPOOL_HEADER)
		return false;
	char *p = arena_alloc(a, (size_t)st.st_size);
	int64_t n = 0;
	while (n < st.st_size) {
		ssize_t k = pread(fd, p + n, (size_t)(st.st_size - n), n);
		if (k <= 0)
			return false;
		n += k;
	}
	*ret = str_n(p, (size_t)n);
	return true;
}

static void run_driver(struct delivery *d)
{
	struct eval ev;
	struct addr_view common;
	eval_init(&ev, d->config, d->env, d->arena);
	ev.body_fd = d->body_fd;
	ev.body_offset = d->body_offset;
	ev.body_size = d->body_size;
	d->eval = &ev;
	delivery_views(d, &common);
	transport_driver_of(d->transport)->run(d);
	for (struct address *ad = d->addresses; ad; ad = ad->next) {
		if (result_pending(ad))
			result_set(ad, ADDRESS_DEFERRED, DERR_UNKNOWN, STR("transport gave no result for this address"));
	}
}

static bool build(struct delivery *d, const struct deliver_request *q, const int *fds, unsigned nfds, struct why *why)
{
	struct str header = q->header;
	d->transport = config_find_driver(d->config, DRIVER_TRANSPORT, q->transport);
	if (!d->transport || !transport_driver_of(d->transport)->local || nfds < 1 || !q->addresses) {
		why_set(why, true, "malformed request for a local delivery");
		return false;
	}
	if (!str_is_set(header) && (nfds < 2 || !read_header(d->arena, fds[1], &header))) {
		why_set(why, true, "failed to read the message header");
		return false;
	}
	if (spool_parse_header(header, d->arena, &d->message, why) != ST_OK)
		return false;
	d->message->deliver_firsttime = q->deliver_firsttime;
	d->message->size = q->message_size;
	d->message->body_size = q->body_size;
	d->body_fd = fds[0];
	d->body_offset = q->body_offset;
	d->body_size = q->body_size;
	d->addresses = q->addresses;
	d->return_path = q->return_path;
	d->start_us = q->start_us;
	d->shadow = q->shadow;
	memcpy(d->prepared, q->prepared, sizeof d->prepared);
	return true;
}

static void do_filter(const struct deliver_request *q, const int *fds, unsigned nfds, struct strbuf *reply)
{
	struct why why = {0};
	bool ok = nfds == 2 && q->argv && q->argv[0] && filter_spawn(q->argv, fds[0], fds[1], q->timeout_ms, &why);
	pk_u32(reply, (uint32_t)why.errnum);
	pk_str(reply, ok ? STR_NONE : str_c(why.text[0] ? why.text : "malformed request for a transport filter"));
}

static void agent_deliver(struct env *env, const void *config, struct str request, const int *fds, unsigned nfds,
    struct strbuf *reply)
{
	struct arena *a = arena_new("local delivery", LIMIT_ARENA_MESSAGE, 65536, 0);
	struct deliver_request q;
	struct delivery d = {.config = config, .env = env, .arena = a};
	struct why why = {0};
	struct strbuf log, submit;
	sb_init(&log, a, LIMIT_IPC_FRAME / 4);
	sb_init(&submit, a, LIMIT_IPC_FRAME / 2);
	d.log_to = &log;
	d.submit_to = &submit;
	if (!deliver_request_unpack(a, request, &q)) {
		pk_u8(reply, 0xff); /* no state: the parent takes it for what it is, a failure of ours */
	} else if (q.kind == DELIVER_REQUEST_FILTER) {
		do_filter(&q, fds, nfds, reply);
	} else {
		d.addresses = q.addresses;
		if (build(&d, &q, fds, nfds, &why))
			run_driver(&d);
		else
			result_all(&d, ADDRESS_DEFERRED, DERR_UNKNOWN, str_c(why.text));
		struct deliver_reply p = {.log = sb_str(&log), .submissions = sb_str(&submit)};
		deliver_reply_pack(reply, q.addresses, &p);
	}
	arena_free(a);
}

const struct agent_row transport_agent_row = {.task = AGENT_DELIVER, .run = agent_deliver, .may_gain = true};
