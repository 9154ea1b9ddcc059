/* SPDX-License-Identifier: Apache-2.0
 * -bV: version, what was built in, and where the configuration is (manual 5). */
#include "cli/program.h"

#include <stdio.h>

#include "build_config.h"
#include "route/route.h"
#include "sasl/sasl.h"
#include "transport/transport.h"
#include "base/banned.h"

static void print_family(const char *title, const struct driver_family *f)
{
	printf("%s:", title);
	for (size_t i = 0; i < f->count; i++)
		printf(" %s", f->drivers[i]->name);
	putchar('\n');
}

int mode_version(struct program *p)
{
	printf("Eximius version %s-1 #1\n", EXIMIUS_VERSION); /* -N: our release of that language version */
	printf("Speaks the configuration language, command line, spool and logs of Exim 4.99.\n");
	printf("Support for: IPv6 OpenSSL iconv() DNSSEC PIPELINING CHUNKING PROXY\n");
	print_family("Authenticators", &sasl_family);
	print_family("Routers", &route_family);
	print_family("Transports", &transport_family);
	printf("Fixed never_users: 0\n");
	printf("Configure owner: 0:0\n");
	printf("Size of off_t: %zu\n", sizeof(off_t));
	printf("Configuration file search path is %s\n", EXIMIUS_CONFIGURE_FILE);
	printf("Configuration file is %.*s\n", STR_ARG(p->world.config->path));
	return 0;
}
