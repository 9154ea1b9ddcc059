/* SPDX-License-Identifier: Apache-2.0
 * A schema with small drivers of each kind, to test config/ without the rooms above. */
#pragma once
#include "config/config.h"

struct fake_router_generic {
	struct xstr condition, domains, driver, headers_add, headers_remove, more, set, transport;
	struct xuser user;
	bool verify, verify_recipient, verify_sender;
};
struct fake_accept {
	struct xstr data;
	bool fancy;
};
struct fake_transport_generic {
	struct xstr driver, headers_rewrite, home_directory;
	bool body_only;
	struct xuser user, group;
};
struct fake_appendfile {
	struct xstr file, message_suffix;
	uint32_t mode;
	int32_t lock_interval, lock_retries;
	struct id_list owners;
};
struct fake_auth_generic {
	struct xstr driver, public_name;
};
struct fake_plaintext {
	struct xstr server_prompts;
};
extern const struct config_schema fake_schema;
