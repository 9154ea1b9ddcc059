/* SPDX-License-Identifier: Apache-2.0
 * Delivering from a command, without a daemon: the courier's work in this process. */
#pragma once
#include "cli/program.h"
#include "deliver/deliver.h"

/* Deliver one message now. flags: enum deliver_flags. */
enum deliver_outcome work_deliver(struct program *p, struct str queue, struct str id, unsigned flags,
    struct str only_sender, struct str only_recipient);
/* The same in a child process that outlives us if it must (-odb). */
void work_deliver_background(struct program *p, struct str queue, struct str id, unsigned flags);
/* "10.0.0.1.25" -> address and port; false if malformed. */
bool cli_host_port(struct str text, struct str *ret_address, int *ret_port);
