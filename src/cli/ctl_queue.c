/* SPDX-License-Identifier: Apache-2.0
 * exictl queue: the queue in words instead of letters; each is a command line of manual chapter 5. */
#include "cli/exictl.h"

#include <stdio.h>

#include "base/attr.h"
#include "cli/run.h"
#include "base/banned.h"

#define ARGS_MAX 600

static int as_command(const char *option, int argc, char **argv)
{
	char *line[ARGS_MAX + 3];
	int n = 0;
	line[n++] = (char[]){"eximius"};
	char text[32];
	snprintf(text, sizeof text, "%s", option);
	line[n++] = text;
	for (int i = 0; i < argc && n < ARGS_MAX; i++)
		line[n++] = argv[i];
	line[n] = NULL;
	return cli_run(n, line);
}

#define QUEUE_COMMAND(name, option) \
	static int name(int argc, char **argv) \
	{ \
		return as_command(option, argc, argv); \
	}
QUEUE_COMMAND(list, "-bp")
QUEUE_COMMAND(count, "-bpc")
QUEUE_COMMAND(show, "-Mvc")
QUEUE_COMMAND(log_of, "-Mvl")
QUEUE_COMMAND(deliver, "-M")
QUEUE_COMMAND(freeze, "-Mf")
QUEUE_COMMAND(thaw, "-Mt")
QUEUE_COMMAND(give_up, "-Mg")
QUEUE_COMMAND(remove_messages, "-Mrm")

const struct exictl_command exictl_queue[] = {
    {"queue list", NULL, "[ID ...]", "messages that wait (-bp)", list},
    {"queue count", NULL, "", "how many (-bpc)", count},
    {"queue show", NULL, "ID ...", "a message as it is (-Mvc)", show},
    {"queue log", NULL, "ID ...", "what happened to it (-Mvl)", log_of},
    {"queue deliver", NULL, "ID ...", "try now (-M)", deliver},
    {"queue freeze", NULL, "ID ...", "do not try (-Mf)", freeze},
    {"queue thaw", NULL, "ID ...", "try again (-Mt)", thaw},
    {"queue bounce", NULL, "ID ...", "give up, tell the sender (-Mg)", give_up},
    {"queue remove", NULL, "ID ...", "forget without a bounce (-Mrm)", remove_messages},
    {0},
};
