/* SPDX-License-Identifier: Apache-2.0
 * build/exictl: finds the command and runs it; without one, lists them. */
#include "cli/exictl.h"

#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/banned.h"

static const struct exictl_command *const families[] = {exictl_queue, exictl_hints, exictl_msgdate};

static int usage(FILE *to)
{
	fputs("exictl: look at and steer Eximius\n\n", to);
	for (size_t f = 0; f < countof(families); f++)
		for (const struct exictl_command *c = families[f]; c->name; c++)
			fprintf(to, "  exictl %-14s %-34s %s\n", c->name, c->usage, c->help);
	return to == stderr;
}

/* The words of `name` at the front of argv: how many, 0 = they do not stand there. */
static int words_match(const char *name, int argc, char **argv)
{
	int n = 0;
	while (*name) {
		size_t len = strcspn(name, " ");
		if (n == argc || strlen(argv[n]) != len || strncmp(argv[n], name, len) != 0)
			return 0;
		n++;
		name += len;
		name += *name == ' ';
	}
	return n;
}

int main(int argc, char **argv)
{
	const char *slash = argc ? strrchr(argv[0], '/') : NULL;
	const char *self = slash ? slash + 1 : argc ? argv[0] : "exictl";
	for (size_t f = 0; f < countof(families); f++)
		for (const struct exictl_command *c = families[f]; c->name; c++) {
			if (c->personality && strcmp(self, c->personality) == 0)
				return c->run(argc - 1, argv + 1);
			int n = argc > 1 ? words_match(c->name, argc - 1, argv + 1) : 0;
			if (n)
				return c->run(argc - 1 - n, argv + 1 + n);
		}
	if (argc > 1 && strcmp(argv[1], "--help") != 0) {
		fprintf(stderr, "exictl: unknown command \"%s\"\n\n", argv[1]);
		return usage(stderr);
	}
	return usage(stdout);
}
