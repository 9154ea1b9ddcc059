/* SPDX-License-Identifier: Apache-2.0
 * The pipe transport (manual 29): pipe.c (options, command, environment) and pipe_run.c (the
 * process: feed it, hear it, judge how it ended). */
#pragma once
#include "transport/steps.h"

struct pipe_options {
	struct xstr allow_commands, batch_id, check_string, command, environment, escape_string, message_prefix, message_suffix, path;
	struct xstr temp_errors;
	int32_t batch_max, max_output, timeout;
	uint32_t umask;
	bool force_command, freeze_exec_fail, freeze_signal, ignore_status, log_defer_output, log_fail_output, log_output;
	bool permit_coredump, pipe_as_creator, restrict_to_path, return_fail_output, return_output, timeout_defer, use_bsmtp;
	bool use_crlf, use_shell;
};

struct piping {
	struct delivery *d;
	const struct pipe_options *o;
	struct command command;
	struct str shown;        /* the command as it stands in messages */
	const char **envp;
	const char *const *filter;
	/* of the process: */
	int pid, to, from, exec_errno;
	int64_t deadline_ms;     /* monotonic; 0 = none */
	struct strbuf output;
	int64_t output_size;
	bool timed_out, killed_for_output, lost_reader;
	struct why write_why;    /* the message could not be read or expanded: not the command's fault */
	bool write_failed;
};
/* Start it, write the message, read what it says, wait. *ret_status is of waitpid. False: results given. */
bool pipe_run_command(struct piping *p, int *ret_status);
