/* SPDX-License-Identifier: Apache-2.0
 * The pipe transport (manual 29): which command, in which environment, and what its end means. */
#include "transport/drivers/pipe.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"

#include "base/banned.h"

/* ---- the command ---- */

static bool in_list(struct delivery *d, struct str list, const char *name)
{
	struct str item;
	int sep = 0;
	while (list_next(d->arena, &list, &sep, &item)) {
		if (str_eqc(item, name))
			return true;
	}
	return false;
}

/* A command without a slash is sought in `path`; true with the full name in argv[0]. */
static bool search_path(struct piping *p, struct str path)
{
	struct str dir;
	int sep = ':';
	struct stat st;
	while (list_next(p->d->arena, &path, &sep, &dir)) {
		char *full = arena_printf(p->d->arena, "%.*s/%s", STR_ARG(dir), p->command.argv[0]);
		if (stat(full, &st) == 0 && S_ISREG(st.st_mode) && access(full, X_OK) == 0) {
			p->command.argv[0] = full;
			return true;
		}
	}
	return false;
}

/* allow_commands, restrict_to_path, then the path (manual 29.5). */
static bool locate(struct piping *p, struct str path)
{
	struct delivery *d = p->d;
	const char *name = p->command.argv[0];
	struct str allowed = STR_NONE;
	if (str_is_set(p->o->allow_commands.text)) {
		if (!option_expand(d, &p->o->allow_commands, "allow_commands", &allowed))
			return false;
		bool listed = in_list(d, allowed, name);
		if (!listed && !p->o->restrict_to_path) {
			result_fail(d, 0, "\"%s\" command not permitted by %s transport", name, transport_name(d));
			return false;
		}
		if (listed && name[0] == '/')
			return true;
		if (!listed && strchr(name, '/')) {
			result_fail(d, 0, "\"/\" found in \"%s\" (command for %s transport) - failed for security reasons", name, transport_name(d));
			return false;
		}
	} else if (p->o->restrict_to_path && strchr(name, '/')) {
		result_fail(d, 0, "\"/\" found in \"%s\" (command for %s transport) - failed for security reasons", name, transport_name(d));
		return false;
	}
	if (name[0] == '/')
		return true;
	if (search_path(p, path))
		return true;
	result_fail(d, 0, "\"%s\" command not found for %s transport", name, transport_name(d));
	return false;
}

static bool by_shell(struct piping *p, struct str line, bool expand_it)
{
	struct delivery *d = p->d;
	struct str text = line;
	if (expand_it && expand_text(d->eval, line, &text) != EXPAND_OK) {
		result_defer(d, 0, "Expansion of command \"%.*s\" in %s transport failed: %.*s", STR_ARG(line), transport_name(d),
		    STR_ARG(d->eval->lx.error));
		return false;
	}
	const char **argv = arena_alloc_array(d->arena, 4, sizeof *argv);
	argv[0] = "/bin/sh";
	argv[1] = "-c";
	argv[2] = str_cstr(d->arena, text);
	p->command = (struct command){.argv = argv, .argc = 3};
	return true;
}

/* A taint that was found in arguments fails for good, one in the command itself defers, as Exim does. */
static bool by_ourselves(struct piping *p, struct str line, unsigned flags, struct str path)
{
	struct delivery *d = p->d;
	struct why why = {0};
	char *what = arena_printf(d->arena, "%s transport", transport_name(d));
	if (!command_parse(d, line, flags | COMMAND_UNTAINTED, what, &p->command, &why)) {
		if (why.temporary)
			result_defer(d, 0, "%s", why.text);
		else
			result_fail(d, 0, "%s", why.text);
		return false;
	}
	return locate(p, path);
}

static bool find_command(struct piping *p, struct str path)
{
	struct delivery *d = p->d;
	const struct address *ad = d->addresses;
	bool redirected = ad->kind == ADDRESS_PIPE, expand_it = true;
	struct str line = p->o->command.text;
	unsigned flags = COMMAND_EXPAND;
	if (redirected && p->o->force_command) {
		flags |= COMMAND_ADDRESS_PIPE;
	} else if (redirected) {
		line = str_ltrim(str_from(ad->address, 1)); /* "|command" */
		expand_it = ad->expand_file;
		flags = expand_it ? COMMAND_EXPAND : 0;
	} else if (str_empty(line)) {
		result_defer(d, DERR_UNKNOWN, "no command specified for %s transport", transport_name(d));
		return false;
	}
	if (line.taint) {
		result_defer(d, 0, "Tainted '%.*s' (command for %s transport) not permitted", STR_ARG(line), transport_name(d));
		for (struct address *a = d->addresses; a; a = a->next)
			a->log_flags |= ADDRESS_LOG_PANIC;
		return false;
	}
	p->shown = line;
	return p->o->use_shell ? by_shell(p, line, expand_it) : by_ourselves(p, line, flags, path);
}

/* ---- the environment (manual 29.4) ---- */

enum { ENV_MAX = 128 };
struct env_list {
	struct arena *arena;
	const char **at;
	size_t n;
};

static void env_add(struct env_list *e, const char *name, struct str value)
{
	if (e->n + 1 < ENV_MAX)
		e->at[e->n++] = arena_printf(e->arena, "%s=%.*s", name, STR_ARG(value));
}

static void env_of_address(struct env_list *e, struct delivery *d)
{
	const struct address *ad = d->addresses;
	const struct addr_view *v = d->eval->space[SPACE_ADDRESS];
	const struct address *top = ad;
	while (top->kind != ADDRESS_MAIL && top->parent)
		top = top->parent;
	struct str local = ad->next ? STR("") : top->view.local_part;
	env_add(e, "LOCAL_PART", local);
	env_add(e, "LOGNAME", local);
	env_add(e, "USER", local);
	env_add(e, "LOCAL_PART_PREFIX", v->local_part_prefix);
	env_add(e, "LOCAL_PART_SUFFIX", v->local_part_suffix);
	env_add(e, "DOMAIN", v->domain);
	env_add(e, "RECIPIENT", top->address);
	if (ad->hosts)
		env_add(e, "HOST", ad->hosts->name);
	if (str_is_set(v->home))
		env_add(e, "HOME", v->home);
}

static bool make_environment(struct piping *p, struct str path)
{
	struct delivery *d = p->d;
	struct env_list e = {.arena = d->arena, .at = arena_alloc_array(d->arena, ENV_MAX, sizeof(char *))};
	const char *tz = getenv("TZ");
	struct str extra, item;
	int sep = 0;
	env_of_address(&e, d);
	env_add(&e, "MESSAGE_ID", str_c(d->message->id));
	env_add(&e, "PATH", path);
	env_add(&e, "SHELL", STR("/bin/sh"));
	env_add(&e, "QUALIFY_DOMAIN", d->config->qualify_domain);
	env_add(&e, "SENDER", d->message->sender);
	if (tz)
		env_add(&e, "TZ", str_c(tz));
	p->envp = e.at;
	if (str_empty(p->o->environment.text))
		return true;
	if (!option_expand(d, &p->o->environment, "environment", &extra))
		return false;
	while (list_next(d->arena, &extra, &sep, &item)) {
		if (e.n + 1 >= ENV_MAX) {
			result_defer(d, E2BIG, "too many environment settings for %s transport", transport_name(d));
			return false;
		}
		e.at[e.n++] = str_cstr(d->arena, item);
	}
	return true;
}

/* ---- how it ended ---- */

static bool temporary(struct piping *p, int code)
{
	struct str list = p->o->temp_errors.text, item;
	int sep = 0;
	int64_t n;
	if (str_eqc(list, "*"))
		return true;
	while (list_next(p->d->arena, &list, &sep, &item)) {
		if (str_int(item, &n) && n == code)
			return true;
	}
	return false;
}

static void keep_output(struct piping *p)
{
	for (struct address *ad = p->d->addresses; ad; ad = ad->next)
		ad->return_output = sb_str(&p->output);
}

/* The first line that is not empty, for the log. */
static void log_output(struct piping *p)
{
	struct str rest = sb_str(&p->output), line = STR("");
	while (str_is_set(rest) && str_empty(line))
		line = str_trim(str_cut(rest, '\n', &rest));
	struct str who = p->d->addresses->address;
	if (line.len)
		delivery_log(p->d, LOGTO_MAIN, "<%.*s>: %s transport output: %.*s", STR_ARG(who), transport_name(p->d), STR_ARG(line));
}

static void no_success(struct piping *p, int code)
{
	struct delivery *d = p->d;
	bool temp = temporary(p, code) && !p->o->return_output;
	const char *signal_text = "";
	const char *end = "";
	if (code == 127)
		signal_text = " (could mean unable to exec or command does not exist)";
	else if (temp && (code == 75 || code == 73))
		signal_text = code == 75 ? " (could mean temporary error)" : " (could mean cannot create output file)";
	else if (code > 128 && code < 128 + 32)
		signal_text = arena_printf(d->arena, " (could mean shell command ended by signal %d (%s)", code - 128, strsignal(code - 128)), end = ")";
	struct str text = str_printf(d->arena, "Child process of %s transport returned %d%s%s from command: %s", transport_name(d), code,
	    signal_text, end, p->command.argv[0]);
	if (temp ? p->o->log_defer_output || p->o->log_output : p->o->log_fail_output || p->o->log_output)
		log_output(p);
	if (!temp && p->o->return_fail_output && !str_empty(d->message->sender))
		keep_output(p);
	result_all(d, temp ? ADDRESS_DEFERRED : ADDRESS_FAILED, 0, text);
}

static void died(struct piping *p, int sig)
{
	struct delivery *d = p->d;
	struct str text = str_printf(d->arena, "Child process of %s transport (running command \"%.*s\") was terminated by signal %d (%s)",
	    transport_name(d), STR_ARG(p->shown), sig, strsignal(sig));
	if (p->o->log_fail_output || p->o->log_output)
		log_output(p);
	if (p->o->freeze_signal)
		result_freeze(d, 0, "%.*s", STR_ARG(text));
	else if (p->o->ignore_status)
		result_done(d);
	else
		result_all(d, ADDRESS_FAILED, 0, text);
	if (p->o->return_fail_output && !str_empty(d->message->sender) && d->addresses->state == ADDRESS_FAILED)
		keep_output(p);
}

static void succeeded(struct piping *p)
{
	struct delivery *d = p->d;
	if (p->o->log_output)
		log_output(p);
	if (p->o->return_output && p->output.len) { /* whatever the status (manual 29.2) */
		if (!str_empty(d->message->sender))
			keep_output(p);
		result_fail(d, 0, "return message generated");
		return;
	}
	result_done(d);
}

static void judge(struct piping *p, int status)
{
	struct delivery *d = p->d;
	int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	if (p->write_failed) {
		result_defer(d, p->write_why.errnum ? p->write_why.errnum : DERR_PIPEFAIL, "%s", p->write_why.text);
	} else if (p->timed_out) {
		if (p->o->timeout_defer)
			result_defer(d, 0, "pipe delivery process timed out");
		else
			result_fail(d, 0, "pipe delivery process timed out");
	} else if (p->exec_errno && p->o->freeze_exec_fail) {
		result_freeze(d, 0, "pipe process failed to exec \"%.*s\": %s", STR_ARG(p->shown), status_text(ST_ERRNO(p->exec_errno)));
	} else if (WIFSIGNALED(status)) {
		died(p, WTERMSIG(status));
	} else if (code != 0 && !p->o->ignore_status && !(p->o->return_output && p->output.len)) {
		no_success(p, code);
	} else {
		succeeded(p);
	}
}

static void pipe_run(struct delivery *d)
{
	struct piping p = {.d = d, .o = d->transport->options, .to = -1, .from = -1};
	struct why why = {0};
	struct str path;
	int status = 0;
	if (!option_expand(d, &p.o->path, "path", &path) || !find_command(&p, path) || !make_environment(&p, path))
		return;
	if (!transport_filter_argv(d, &p.filter, &why)) {
		result_defer(d, DERR_FILTER_FAIL, "%s", why.text);
		return;
	}
	if (pipe_run_command(&p, &status))
		judge(&p, status);
}

/* ---- options ---- */

static bool numbers_or_star(struct arena *a, struct str list)
{
	struct str item;
	int sep = 0;
	int64_t n;
	if (str_eqc(list, "*"))
		return true;
	while (list_next(a, &list, &sep, &item)) {
		if (!str_int(item, &n))
			return false;
	}
	return true;
}

static bool pipe_check(struct config *cfg, struct driver_instance *di, struct why *why)
{
	struct pipe_options *o = di->options;
	const char *name = di->name.p;
	if (o->return_output && o->return_fail_output)
		return config_error_at(why, NULL, 0, "both return_output and return_fail_output set for %s transport", name);
	if (o->log_output && o->log_fail_output)
		return config_error_at(why, NULL, 0, "both log_output and log_fail_output set for the %s transport", name);
	if (o->use_shell && o->restrict_to_path)
		return config_error_at(why, NULL, 0, "both restrict_to_path and use_shell set for %s transport", name);
	if (o->use_shell && str_is_set(o->allow_commands.text))
		return config_error_at(why, NULL, 0, "both allow_commands and use_shell set for %s transport", name);
	if (!numbers_or_star(cfg->arena, o->temp_errors.text))
		return config_error_at(why, NULL, 0, "temp_errors must be a list of numbers or an asterisk for the %s transport", name);
	if (o->use_bsmtp) {
		o->check_string.text = STR(".");
		o->escape_string.text = STR("..");
		return true;
	}
	if (!config_was_set(di, "message_prefix"))
		o->message_prefix.text = STR("From ${if def:return_path{$return_path}{MAILER-DAEMON}} ${tod_bsdinbox}\n");
	if (!config_was_set(di, "message_suffix"))
		o->message_suffix.text = STR("\n");
	return true;
}

static bool pipe_creator(const struct driver_instance *di)
{
	return ((const struct pipe_options *)di->options)->pipe_as_creator;
}

static int pipe_batch(const struct driver_instance *di, const struct xstr **ret_id)
{
	const struct pipe_options *o = di->options;
	*ret_id = &o->batch_id;
	return o->batch_max < 1 ? 1 : o->batch_max;
}

static int64_t pipe_limit(const struct driver_instance *di)
{
	return (int64_t)((const struct pipe_options *)di->options)->timeout * 1000;
}

#define ROW(name, TYPE, def, flags, doc) OPT_ROW(struct pipe_options, #name, TYPE, name, def, flags, doc)
static const struct opt_row pipe_rows[] = {
	ROW(allow_commands, LIST, NULL, OPT_EXPAND, "Permitted commands"),
	ROW(batch_id, STRING, NULL, OPT_EXPAND, "String that must match for addresses to be batched"),
	ROW(batch_max, INT, "1", 0, "Most addresses in a batch"),
	ROW(check_string, STRING, NULL, 0, "Line start that is escaped"),
	ROW(command, STRING, NULL, OPT_EXPAND, "Command to run; each argument is expanded"),
	ROW(environment, LIST, NULL, OPT_EXPAND, "Extra environment settings"),
	ROW(escape_string, STRING, NULL, 0, "Replacement for check_string"),
	ROW(force_command, BOOL, "false", 0, "Use command in place of a redirected pipe"),
	ROW(freeze_exec_fail, BOOL, "false", 0, "Freeze if exec fails"),
	ROW(freeze_signal, BOOL, "false", 0, "Freeze if the command dies of a signal"),
	ROW(ignore_status, BOOL, "false", 0, "Treat any status as success"),
	ROW(log_defer_output, BOOL, "false", 0, "Log the first output line on defer"),
	ROW(log_fail_output, BOOL, "false", 0, "Log the first output line on failure"),
	ROW(log_output, BOOL, "false", 0, "Always log the first output line"),
	ROW(max_output, INT, "20K", 0, "Output limit before the command is killed"),
	ROW(message_prefix, STRING, NULL, OPT_EXPAND | OPT_COMPUTED, "Text written before the message"),
	ROW(message_suffix, STRING, NULL, OPT_EXPAND | OPT_COMPUTED, "Text written after the message"),
	ROW(path, STRING, "/bin:/usr/bin", OPT_EXPAND, "PATH for the command"),
	ROW(permit_coredump, BOOL, "false", 0, "Let the command dump core"),
	ROW(pipe_as_creator, BOOL, "false", 0, "Run as the user that submitted the message"),
	ROW(restrict_to_path, BOOL, "false", 0, "Command names may not contain slashes"),
	ROW(return_fail_output, BOOL, "false", 0, "Return output to the sender on failure"),
	ROW(return_output, BOOL, "false", 0, "Treat output as failure and return it"),
	ROW(temp_errors, LIST, "75:73", 0, "Exit codes that mean try again"),
	ROW(timeout, TIME, "1h", 0, "Time limit for the command"),
	ROW(timeout_defer, BOOL, "false", 0, "Timeout defers rather than fails"),
	ROW(umask, OCTAL, "022", 0, "umask for the command"),
	ROW(use_bsmtp, BOOL, "false", 0, "Send batch SMTP to the command"),
	OPT_ROW_REFUSED("use_classresources", BOOL, "Apply BSD login-class limits"),
	ROW(use_crlf, BOOL, "false", 0, "End lines with CRLF"),
	ROW(use_shell, BOOL, "false", 0, "Run under /bin/sh"),
};

const struct transport_driver transport_pipe = {
	.info = {.name = "pipe", .options = pipe_rows, .option_count = countof(pipe_rows), .options_size = sizeof(struct pipe_options),
	    .check = pipe_check},
	.local = true,
	.run = pipe_run,
	.as_creator = pipe_creator,
	.batch = pipe_batch,
	.time_limit_ms = pipe_limit,
};
