/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* The whole command as Exim's manual, chapter 5, has it; argv as main() got it. Returns the exit
 * status. Also called by exictl with a command line that it made. Threads: startup. */
int cli_run(int argc, char **argv);
