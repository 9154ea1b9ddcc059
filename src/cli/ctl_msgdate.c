/* SPDX-License-Identifier: Apache-2.0
 * exictl msgdate: the time inside a message id (manual 54.13). */
#include "cli/exictl.h"

#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/clock.h"
#include "message/message.h"
#include "base/banned.h"

static int msgdate(int argc, char **argv)
{
	struct arena *a = arena_new("msgdate", 1 << 20, 0, 0);
	bool utc = false;
	int rc = argc ? 0 : 1;
	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "-u") == 0 || strcmp(argv[i], "--utc") == 0) {
			utc = true;
			continue;
		}
		struct str id = str_c(argv[i]);
		if (!msgid_valid(id)) {
			fprintf(stderr, "%s is no message id\n", argv[i]);
			rc = 1;
			continue;
		}
		printf("%.*s\n", STR_ARG(clock_log(a, (time_t)msgid_time(id), utc, false)));
	}
	arena_free(a);
	return rc;
}

const struct exictl_command exictl_msgdate[] = {
    {"msgdate", "exim_msgdate", "[-u] ID ...", "when a message was received", msgdate},
    {0},
};
