/* SPDX-License-Identifier: Apache-2.0
 * build/eximius: the server and its sendmail-compatible command. */
#include "cli/run.h"

int main(int argc, char **argv)
{
	return cli_run(argc, argv);
}
