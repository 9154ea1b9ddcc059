/* SPDX-License-Identifier: Apache-2.0
 * The master: root, reads the configuration, binds ports, starts and restarts the other three,
 * hands descriptors round, reloads on SIGHUP, stops in order on SIGTERM. It parses nothing from
 * the network. */
#pragma once
#include "daemon/listener.h"
#include "daemon/world.h"

struct master_opts {
	struct config_source source;
	bool listening;          /* -bd; false: only queue runs (-q<time> alone) */
	bool foreground;
	bool tls_on_connect, queue_only;
	struct str listen_on;    /* -oX */
	struct str pid_file;     /* -oP */
	struct {
		int64_t interval_s;
		struct str queue;
		uint32_t flags;  /* enum run_queue_flags */
	} run[8];
	size_t runs;
	struct str runs_text;    /* "-q30m" for the log */
	bool dont_deliver;
};
/* Exit status of the program. */
int master_run(struct world *w, const struct config_schema *schema, const struct master_opts *o);
