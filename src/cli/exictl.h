/* SPDX-License-Identifier: Apache-2.0
 * exictl: the administrator's tool. A command is a row; Exim's own utilities that read our files
 * (exim_dumpdb, exim_tidydb, exim_msgdate) are the same commands under another name of the program. */
#pragma once

struct exictl_command {
	const char *name;       /* "hints dump": the words that select it */
	const char *personality; /* the program name that selects it as well, or NULL */
	const char *usage, *help;
	int (*run)(int argc, char **argv); /* what follows the name; argv[0] is the first argument */
};
extern const struct exictl_command exictl_hints[], exictl_queue[], exictl_msgdate[];
