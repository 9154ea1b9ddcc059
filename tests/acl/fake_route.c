/* SPDX-License-Identifier: Apache-2.0
 * Routers by name of the local part, so that verification is seen without route/. */
#include "message/address.h"
#include "route/route.h"

struct address *address_new(struct arena *a, struct str text, int recipient)
{
	struct address *ad = arena_new_of(a, struct address);
	struct addr_parts p = addr_split(text);

	ad->address = text;
	ad->recipient = recipient;
	ad->view.local_part = p.local_part;
	ad->view.domain = p.domain;
	return ad;
}

enum route_verdict route_address(struct route_job *job, struct address *ad)
{
	struct str who = ad->view.local_part;

	ad->view.address_data = str_cat(job->arena, STR("data of "), who);
	if (str_eqc(who, "bad")) {
		ad->message = ad->user_message = STR("no such");
		return ROUTE_FAIL;
	}
	if (str_eqc(who, "dfr")) {
		ad->message = ad->user_message = STR("wait");
		return ROUTE_DEFER;
	}
	if (str_eqc(who, "two") || str_eqc(who, "one") || str_eqc(who, "onebad")) {
		job->new_addresses = address_new(job->arena, str_eqc(who, "onebad") ? STR("bad@loc.ex") : STR("good@loc.ex"), -1);
		if (str_eqc(who, "two"))
			job->new_addresses->next = address_new(job->arena, STR("bad@loc.ex"), -1);
		return ROUTE_REROUTED;
	}
	if (str_ieqc(who, "good"))
		return ROUTE_ACCEPT;
	ad->message = ad->user_message = STR("Unrouteable address");
	return ROUTE_FAIL;
}

enum host_lookup host_find(struct route_job *job, struct str name, const struct host_find_opts *o, struct route_host **ret, struct str *ret_fqdn, struct why *why)
{
	(void)job, (void)name, (void)o, (void)ret, (void)ret_fqdn, (void)why;
	return HOST_NOT_FOUND;
}
