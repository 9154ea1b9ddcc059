/* SPDX-License-Identifier: Apache-2.0
 * What a delivery sees and says: the variables of its address or addresses (manual 23.4, 30), and
 * its log entries. */
#include "base/strbuf.h"
#include "transport/local.h"
#include "transport/steps.h"

#include "base/banned.h"

void delivery_log(struct delivery *d, unsigned where, const char *fmt, ...)
{
	struct strbuf sb;
	va_list ap;
	sb_init(&sb, d->arena, 65536);
	va_start(ap, fmt);
	sb_vprintf(&sb, fmt, ap);
	va_end(ap);
	if (transport_generic(d)->disable_logging && !(where & LOGTO_PANIC))
		return;
	if (d->log_to)
		deliver_log_pack(d->log_to, where, sb_str(&sb));
	else
		log_line(d->env->log, where, str_c(d->message->id), sb_str(&sb));
}

/* Of several addresses: local parts never, the domain where all have the same. */
static void merge(const struct address *list, struct addr_view *to)
{
	bool same = true;
	*to = list->view;
	for (const struct address *ad = list->next; ad; ad = ad->next)
		same = same && str_ieq(ad->view.domain, list->view.domain);
	to->local_part = to->local_part_prefix = to->local_part_suffix = to->original_local_part = STR_NONE;
	to->local_part_prefix_v = to->local_part_suffix_v = to->parent_local_part = STR_NONE;
	to->original_domain = to->parent_domain = STR_NONE;
	to->local_part_data = STR_NONE;
	if (!same)
		to->domain = to->domain_data = STR_NONE;
}

void delivery_views(struct delivery *d, struct addr_view *common)
{
	struct address *ad = d->addresses;
	for (struct address *p = ad; p; p = p->next) {
		p->view.transport_name = d->transport->name;
		p->view.return_path = d->return_path;
		if (p->router)
			p->view.router_name = p->router->name;
	}
	if (ad->next)
		merge(ad, common);
	else
		*common = ad->view;
	eval_set_message(d->eval, d->message);
	eval_set_peer(d->eval, &d->message->peer);
	d->eval->space[SPACE_ADDRESS] = common;
	d->eval->space[SPACE_OUT] = &d->out;
	d->out.transport_name = d->transport->name;
	if (ad->hosts && !str_is_set(d->out.host)) {
		d->out.host = ad->hosts->name;
		d->out.host_address = ad->hosts->address;
	}
}

const struct expand_var transport_vars[] = {
	{.name = "inode", .space = SPACE_ADDRESS, .kind = VAR_INT64, .offset = offsetof(struct addr_view, inode)},
	EXPAND_VAR_STR("mailstore_basename", SPACE_ADDRESS, struct addr_view, mailstore_basename, false),
	{.name = NULL},
};
