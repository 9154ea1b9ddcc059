/* SPDX-License-Identifier: Apache-2.0
 * Is an accepted message to be delivered at once? (manual 5 -od..., 14 queue_only, queue_only_file,
 * queue_only_load, smtp_accept_queue, smtp_accept_queue_per_connection). What queue_domains and
 * queue_smtp_domains keep is the deliverer's matter. */
#include "receive/receive_priv.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/banned.h"

/* "smtp/path" queues remote deliveries only, "path" all. */
static unsigned file_says(struct receive_session *rs)
{
	struct str rest = rs->cfg->main.queue_only_file.text, item;
	int sep = 0;
	unsigned how = 0;
	while (str_is_set(rest) && list_next(rs->env->scratch, &rest, &sep, &item)) {
		bool smtp = str_starts(item, "smtp");
		struct str path = smtp ? str_from(item, 4) : item;
		if (path.len && path.p[0] == '/' && access(str_cstr(rs->env->scratch, path), F_OK) == 0)
			how |= smtp ? RECEIVE_QUEUE_SMTP : RECEIVE_QUEUE_ONLY;
	}
	return how;
}

static bool load_says(struct receive_session *rs)
{
	const struct main_options *m = &rs->cfg->main;
	double load;
	if (m->queue_only_load <= 0)
		return false;
	bool high = rs->load_latched || (getloadavg(&load, 1) == 1 && load * 1000 > m->queue_only_load);
	if (high && m->queue_only_load_latch)
		rs->load_latched = true;
	return high;
}

unsigned rs_how(struct receive_session *rs)
{
	const struct main_options *m = &rs->cfg->main;
	const struct local_caller *c = rs->caller;
	unsigned how = file_says(rs);
	bool queue = m->queue_only || rs->effects.queue_only;
	if (c && c->deliver_mode == 'q')
		queue = true;
	else if (c && c->deliver_mode && c->deliver_mode != 's' && m->queue_only_override && !rs->effects.queue_only)
		queue = false;
	if (rs->effects.queue_first_pass || (c && c->deliver_mode == 's'))
		how |= RECEIVE_QUEUE_SMTP;
	if (!queue && !rs->local && rs->smtp) {
		rs->queued++;
		queue = (m->smtp_accept_queue > 0 && rs->connections > (unsigned)m->smtp_accept_queue) ||
		    (m->smtp_accept_queue_per_connection > 0 && rs->queued > (unsigned)m->smtp_accept_queue_per_connection);
	}
	if (queue || load_says(rs))
		how |= RECEIVE_QUEUE_ONLY;
	if (rs->tx->m->frozen_at)
		how |= RECEIVE_FROZEN;
	return how & (RECEIVE_QUEUE_ONLY | RECEIVE_FROZEN) ? how : how | RECEIVE_DELIVER;
}
