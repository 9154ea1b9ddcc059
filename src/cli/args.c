/* SPDX-License-Identifier: Apache-2.0
 * Manual chapter 5. A row is an option's text, how its value stands, and a setter. Rows are tried
 * longest first; "-q", "-R", "-S" and "-M" families have small parsers of their own because their
 * letters combine. Options that the manual itself calls ignored are rows without a setter. */
#include "cli/args.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "message/message.h"
#include "base/banned.h"

/* How an option's value stands: not at all; the next argument; attached ("-Cfile") or else the next. */
enum value_style { NO_VALUE, NEXT, ATTACHED_OR_NEXT, ATTACHED, ATTACHED_OPTIONAL };

struct scan {
	struct cli_args *args;
	int argc, at;
	char **argv;
	struct why *why;
};
struct row {
	const char *text;
	enum value_style style;
	bool (*set)(struct scan *s, struct str value);
	int arg; /* for shared setters */
};

static bool complain(struct scan *s, const char *what)
{
	why_set(s->why, false, "%s", what);
	return false;
}

static bool bad(struct scan *s, const char *option)
{
	why_set(s->why, false, "exim abandoned: unknown, malformed, or incomplete option %s", option);
	return false;
}

static bool next_value(struct scan *s, struct str *ret)
{
	if (s->at + 1 >= s->argc)
		return false;
	*ret = str_tainted(str_c(s->argv[++s->at]));
	return true;
}

#define SETTER(name) static bool name(struct scan *s, struct str v)
#define UNUSED_VALUE ((void)v)

SETTER(set_config)
{
	while (str_is_set(v)) {
		struct str item = str_trim(str_cut(v, ':', &v));
		if (s->args->config_count + 1 >= countof(s->args->config_paths))
			return complain(s, "too many configuration files after -C");
		if (item.len)
			s->args->config_paths[s->args->config_count++] = str_cstr(s->args->arena, item);
	}
	return true;
}

SETTER(set_define)
{
	if (s->args->define_count + 1 >= countof(s->args->defines))
		return complain(s, "exim: too many -D command line options");
	if (!v.len || !ch_upper(*str_trim(v).p)) {
		why_set(s->why, false, "exim: macro name set by -D must start with an upper case letter");
		return false;
	}
	s->args->defines[s->args->define_count++] = str_cstr(s->args->arena, str_trim(v));
	return true;
}

SETTER(set_debug)
{
	s->args->debug_set = true;
	s->args->debug = v;
	return true;
}

SETTER(set_verbose)
{
	UNUSED_VALUE;
	s->args->verbose = true;
	return true;
}

static bool set_mode(struct scan *s, enum cli_mode mode)
{
	if (s->args->mode != MODE_NONE && s->args->mode != mode)
		return complain(s, "exim: incompatible command-line options or arguments");
	s->args->mode = mode;
	return true;
}

#define MODE_SETTER(name, m) \
	SETTER(name) \
	{ \
		UNUSED_VALUE; \
		return set_mode(s, m); \
	}
MODE_SETTER(mode_help, MODE_HELP)
MODE_SETTER(mode_version, MODE_VERSION)
MODE_SETTER(mode_expand, MODE_EXPAND)
MODE_SETTER(mode_receive, MODE_RECEIVE)
MODE_SETTER(mode_batch, MODE_BATCH_SMTP)
MODE_SETTER(mode_smtp, MODE_SMTP)
MODE_SETTER(mode_route, MODE_ROUTE_TEST)
MODE_SETTER(mode_verify, MODE_VERIFY)
MODE_SETTER(mode_verify_sender, MODE_VERIFY_SENDER)
MODE_SETTER(mode_print, MODE_PRINT)
MODE_SETTER(mode_retry, MODE_RETRY_TEST)
MODE_SETTER(mode_rewrite, MODE_REWRITE_TEST)
MODE_SETTER(mode_rebuild, MODE_REBUILD)
MODE_SETTER(mode_count, MODE_COUNT_QUEUE)
MODE_SETTER(mode_log, MODE_LOG)

SETTER(mode_daemon)
{
	UNUSED_VALUE;
	s->args->daemon = s->args->listening = true;
	return set_mode(s, MODE_DAEMON);
}

SETTER(mode_daemon_foreground)
{
	s->args->foreground = true;
	return mode_daemon(s, v);
}

SETTER(mode_inetd_wait)
{
	s->args->inetd_wait_s = v.len ? interval_parse(v) : 0;
	if (s->args->inetd_wait_s < 0)
		return complain(s, "exim: bad time value after -bw");
	return set_mode(s, MODE_INETD_WAIT);
}

SETTER(mode_expand_message)
{
	s->args->message_file = v;
	return set_mode(s, MODE_EXPAND);
}

SETTER(mode_host)
{
	s->args->host_test = v;
	return set_mode(s, MODE_TEST_HOST);
}

SETTER(mode_host_callout)
{
	s->args->with_callout = true;
	return mode_host(s, v);
}

SETTER(mode_info)
{
	s->args->info = v;
	return set_mode(s, MODE_INFO);
}

SETTER(mode_filter)
{
	s->args->filter_file = v;
	return set_mode(s, MODE_FILTER_TEST);
}

SETTER(mode_system_filter)
{
	s->args->filter_file = v;
	return set_mode(s, MODE_SYSTEM_FILTER_TEST);
}

/* "-bp" and its letters a, i, r, u in the forms of manual 5. */
SETTER(mode_list)
{
	for (uint32_t i = 0; i < v.len; i++) {
		switch (v.p[i]) {
		case 'a': s->args->list |= LIST_GENERATED; break;
		case 'i': s->args->list |= LIST_IDS; break;
		case 'r': s->args->list |= LIST_UNSORTED; break;
		case 'u': s->args->list |= LIST_UNDELIVERED; break;
		default: return bad(s, s->argv[s->at]);
		}
	}
	return set_mode(s, MODE_LIST_QUEUE);
}

#define STR_SETTER(name, field) \
	SETTER(name) \
	{ \
		s->args->field = v; \
		return true; \
	}
STR_SETTER(set_full_name, full_name)
STR_SETTER(set_rebuild_argument, rebuild_argument)
STR_SETTER(set_o_host, o_host_address)
STR_SETTER(set_o_auth, o_auth_name)
STR_SETTER(set_o_auth_id, o_auth_id)
STR_SETTER(set_o_auth_sender, o_auth_sender)
STR_SETTER(set_o_interface, o_interface)
STR_SETTER(set_o_reference, o_reference)
STR_SETTER(set_o_protocol, o_protocol)
STR_SETTER(set_o_name, o_host_name)
STR_SETTER(set_o_ident, o_ident)
STR_SETTER(set_listen, listen_on)
STR_SETTER(set_pid_file, pid_file)
STR_SETTER(set_tag, syslog_tag)
STR_SETTER(set_reference, reference)
STR_SETTER(set_queue_name, queue_name)
STR_SETTER(set_f_domain, filter_domain)
STR_SETTER(set_f_local, filter_local_part)
STR_SETTER(set_f_prefix, filter_prefix)
STR_SETTER(set_f_suffix, filter_suffix)

#define FLAG_SETTER(name, field) \
	SETTER(name) \
	{ \
		UNUSED_VALUE; \
		s->args->field = true; \
		return true; \
	}
FLAG_SETTER(set_extract, extract)
/* Manual 5: -N implies -v. */
SETTER(set_no_delivery)
{
	UNUSED_VALUE;
	s->args->no_delivery = s->args->verbose = true;
	return true;
}

FLAG_SETTER(set_tls_on_connect, tls_on_connect)
FLAG_SETTER(set_no_qualify, no_qualify)
FLAG_SETTER(set_names_only, names_only)
FLAG_SETTER(set_no_notifier, no_notifier)
FLAG_SETTER(set_suppress_fixups, suppress_fixups)

SETTER(set_dot)
{
	UNUSED_VALUE;
	s->args->dot_ends = false;
	return true;
}

SETTER(set_extract_dot)
{
	UNUSED_VALUE;
	s->args->extract = true;
	s->args->dot_ends = false;
	return true;
}

SETTER(set_sender)
{
	s->args->sender = v;
	s->args->sender_given = true;
	return true;
}

SETTER(set_error_mode)
{
	if (v.len != 1 || !strchr("bempqw", *v.p))
		return bad(s, s->argv[s->at]);
	s->args->error_mode = *v.p;
	return true;
}

SETTER(set_deliver_mode)
{
	s->args->deliver_given = true;
	s->args->deliver_queue_smtp = str_eqc(v, "qs");
	if (s->args->deliver_queue_smtp)
		s->args->deliver_mode = 's';
	else if (v.len == 1 && strchr("bfiq", *v.p))
		s->args->deliver_mode = *v.p == 'i' ? 'f' : *v.p;
	else
		return bad(s, s->argv[s->at]);
	return true;
}

SETTER(set_receive_timeout)
{
	s->args->receive_timeout_s = interval_parse(v);
	return s->args->receive_timeout_s >= 0 || complain(s, "exim: bad time value after -or");
}

SETTER(set_smtp_timeout)
{
	s->args->smtp_timeout_s = interval_parse(v);
	return s->args->smtp_timeout_s >= 0 || complain(s, "exim: bad time value after -os");
}

SETTER(set_connection_max)
{
	uint64_t n;
	if (!v.len)
		v = STR("1");
	if (!str_uint(v, 1000000, &n))
		return complain(s, "exim: number expected after -oB");
	s->args->connection_max = (int)n;
	return true;
}

/* "-p<rval>:<sval>": protocol and host name (manual 5). */
SETTER(set_protocol_host)
{
	struct str host;
	s->args->o_protocol = str_cut(v, ':', &host);
	if (str_is_set(host))
		s->args->o_host_name = host;
	return true;
}

/* -q[q][i][f[f]][l][G<name>[/<time>]][<time>] and "-q start end". */
SETTER(set_queue_run)
{
	struct cli_args *args = s->args;
	if (args->run_count == countof(args->runs))
		return complain(s, "exim: too many -q options");
	struct queue_run *run = &args->runs[args->run_count++];
	struct rd r = rd_of(v);
	*run = (struct queue_run){0};
	run->two_phase = rd_accept(&r, 'q');
	run->first_only = rd_accept(&r, 'i');
	if (rd_accept(&r, 'f'))
		run->force = true;
	if (run->force && rd_accept(&r, 'f'))
		run->force_frozen = true;
	run->local_only = rd_accept(&r, 'l');
	if (rd_accept(&r, 'G')) {
		run->name = rd_until(&r, '/');
		rd_accept(&r, '/');
	}
	if (!rd_done(&r)) {
		if (*r.p == 'R' || *r.p == 'S')
			return bad(s, s->argv[s->at]);
		run->interval_s = interval_parse(rd_rest(&r));
		if (run->interval_s <= 0) {
			why_set(s->why, false, "exim: bad time value %.*s: abandoned", STR_ARG(rd_rest(&r)));
			return false;
		}
		args->daemon = true;
		if (args->mode == MODE_NONE)
			args->mode = MODE_DAEMON;
		return args->mode == MODE_DAEMON || complain(s, "exim: incompatible command-line options or arguments");
	}
	if (args->mode == MODE_DAEMON && !args->listening)
		return complain(s, "exim: incompatible command-line options or arguments");
	if (s->at + 1 < s->argc && s->argv[s->at + 1][0] != '-' && msgid_valid(str_c(s->argv[s->at + 1])))
		next_value(s, &run->start);
	if (run->start.len && s->at + 1 < s->argc && msgid_valid(str_c(s->argv[s->at + 1])))
		next_value(s, &run->end);
	return set_mode(s, MODE_QUEUE_RUN);
}

/* -R[r][f[f]] text, -S likewise; also as -qR..., after -q's letters. */
static bool set_selection(struct scan *s, struct str v, bool sender, bool two_phase)
{
	struct cli_args *args = s->args;
	struct rd r = rd_of(v);
	struct queue_run run = {.two_phase = two_phase};
	bool regex = rd_accept(&r, 'r');
	if (rd_accept(&r, 'f'))
		run.force = true;
	if (run.force && rd_accept(&r, 'f'))
		run.force_frozen = true;
	struct str text = rd_rest(&r);
	if (!text.len && !next_value(s, &text)) {
		why_set(s->why, false, "exim: string expected after -%c", sender ? 'S' : 'R');
		return false;
	}
	if (sender) {
		args->select_sender = text;
		args->select_sender_regex = regex;
	} else {
		args->select_recipient = text;
		args->select_recipient_regex = regex;
	}
	if (args->run_count == 0)
		args->runs[args->run_count++] = run;
	else {
		args->runs[0].force |= run.force;
		args->runs[0].force_frozen |= run.force_frozen;
		args->runs[0].two_phase |= run.two_phase;
	}
	return set_mode(s, MODE_QUEUE_RUN);
}

SETTER(set_select_recipient)
{
	return set_selection(s, v, false, false);
}

SETTER(set_select_sender)
{
	return set_selection(s, v, true, false);
}

SETTER(set_select_recipient_twice)
{
	return set_selection(s, v, false, true);
}

SETTER(set_select_sender_twice)
{
	return set_selection(s, v, true, true);
}

/* -M family: the letters after -M, then ids; -Mar, -Mes, -Mmd, -MG take more (manual 5). */
static const struct {
	const char *letters;
	enum message_action act;
} actions[] = {{"", ACT_DELIVER}, {"ar", ACT_ADD_RECIPIENT}, {"c", ACT_DELIVER_RETRY}, {"es", ACT_EDIT_SENDER},
    {"f", ACT_FREEZE}, {"g", ACT_GIVE_UP}, {"G", ACT_MOVE}, {"mad", ACT_MARK_ALL}, {"md", ACT_MARK},
    {"rm", ACT_REMOVE}, {"set", ACT_SET}, {"t", ACT_THAW}, {"vb", ACT_SHOW_BODY}, {"vc", ACT_SHOW_COPY},
    {"vh", ACT_SHOW_HEADER}, {"vl", ACT_SHOW_LOG}};

SETTER(set_message_action)
{
	struct cli_args *args = s->args;
	size_t i = 0;
	while (i < countof(actions) && !str_eqc(v, actions[i].letters))
		i++;
	if (i == countof(actions))
		return bad(s, s->argv[s->at]);
	args->action = actions[i].act;
	if (args->action == ACT_MOVE && !next_value(s, &args->queue_name))
		return complain(s, "exim: queue name expected after -MG");
	bool one = args->action == ACT_ADD_RECIPIENT || args->action == ACT_MARK || args->action == ACT_EDIT_SENDER ||
		args->action == ACT_SET;
	while (s->at + 1 < s->argc) {
		struct str id = str_c(s->argv[s->at + 1]);
		if (!msgid_valid(id)) {
			if (one && args->id_count)
				break;
			why_set(s->why, false, "exim: malformed message id %.*s after %s option", STR_ARG(id),
			    args->action == ACT_SET ? "-Mset" : "-M");
			return false;
		}
		if (args->id_count == ARGS_MAX)
			return complain(s, "exim: too many message ids");
		args->ids[args->id_count++] = id;
		s->at++;
		if (one)
			break;
	}
	if (args->id_count == 0)
		return complain(s, "exim: no message ids given after -M option");
	if (args->action == ACT_SET)
		return true;
	return set_mode(s, MODE_MESSAGE);
}

/* Longer texts stand before their prefixes. */
static const struct row rows[] = {
    {"--help", NO_VALUE, mode_help, 0},
    {"--version", NO_VALUE, mode_version, 0},
    {"-Ac", NO_VALUE, NULL, 0},
    {"-Am", NO_VALUE, NULL, 0},
    {"-B", ATTACHED_OR_NEXT, NULL, 0},
    {"-bdf", NO_VALUE, mode_daemon_foreground, 0},
    {"-bd", NO_VALUE, mode_daemon, 0},
    {"-bem", NEXT, mode_expand_message, 0},
    {"-be", NO_VALUE, mode_expand, 0},
    {"-bfd", NEXT, set_f_domain, 0},
    {"-bfl", NEXT, set_f_local, 0},
    {"-bfp", NEXT, set_f_prefix, 0},
    {"-bfs", NEXT, set_f_suffix, 0},
    {"-bf", NEXT, mode_filter, 0},
    {"-bF", NEXT, mode_system_filter, 0},
    {"-bhc", NEXT, mode_host_callout, 0},
    {"-bh", NEXT, mode_host, 0},
    {"-bI:", ATTACHED, mode_info, 0},
    {"-bi", NO_VALUE, mode_rebuild, 0},
    {"-bm", NO_VALUE, mode_receive, 0},
    {"-bnq", NO_VALUE, set_no_qualify, 0},
    {"-bpc", NO_VALUE, mode_count, 0},
    {"-bp", ATTACHED_OPTIONAL, mode_list, 0},
    {"-bP", NO_VALUE, mode_print, 0},
    {"-brt", NO_VALUE, mode_retry, 0},
    {"-brw", NO_VALUE, mode_rewrite, 0},
    {"-bS", NO_VALUE, mode_batch, 0},
    {"-bs", NO_VALUE, mode_smtp, 0},
    {"-bt", NO_VALUE, mode_route, 0},
    {"-bV", NO_VALUE, mode_version, 0},
    {"-bvs", NO_VALUE, mode_verify_sender, 0},
    {"-bv", NO_VALUE, mode_verify, 0},
    {"-bw", ATTACHED_OPTIONAL, mode_inetd_wait, 0},
    {"-C", ATTACHED_OR_NEXT, set_config, 0},
    {"-dropcr", NO_VALUE, NULL, 0},
    {"-D", ATTACHED, set_define, 0},
    {"-d", ATTACHED_OPTIONAL, set_debug, 0},
    {"-ex", NO_VALUE, NULL, 0},
    {"-E", ATTACHED_OPTIONAL, set_reference, 0},
    {"-F", ATTACHED_OR_NEXT, set_full_name, 0},
    {"-f", ATTACHED_OR_NEXT, set_sender, 0},
    {"-G", NO_VALUE, set_suppress_fixups, 0},
    {"-h", ATTACHED_OR_NEXT, NULL, 0},
    {"-i", NO_VALUE, set_dot, 0},
    {"-L", ATTACHED_OR_NEXT, set_tag, 0},
    {"-MCG", NEXT, set_queue_name, 0},
    {"-M", ATTACHED_OPTIONAL, set_message_action, 0},
    {"-m", NO_VALUE, NULL, 0},
    {"-N", NO_VALUE, set_no_delivery, 0},
    {"-n", NO_VALUE, set_names_only, 0},
    {"-O", ATTACHED_OR_NEXT, NULL, 0},
    {"-oA", ATTACHED_OR_NEXT, set_rebuild_argument, 0},
    {"-oB", ATTACHED_OPTIONAL, set_connection_max, 0},
    {"-od", ATTACHED, set_deliver_mode, 0},
    {"-oe", ATTACHED, set_error_mode, 0},
    {"-oitrue", NO_VALUE, set_dot, 0},
    {"-oi", NO_VALUE, set_dot, 0},
    {"-oMaa", NEXT, set_o_auth, 0},
    {"-oMai", NEXT, set_o_auth_id, 0},
    {"-oMas", NEXT, set_o_auth_sender, 0},
    {"-oMa", NEXT, set_o_host, 0},
    {"-oMi", NEXT, set_o_interface, 0},
    {"-oMm", NEXT, set_o_reference, 0},
    {"-oMr", NEXT, set_o_protocol, 0},
    {"-oMs", NEXT, set_o_name, 0},
    {"-oMt", NEXT, set_o_ident, 0},
    {"-om", NO_VALUE, NULL, 0},
    {"-oo", NO_VALUE, NULL, 0},
    {"-oP", NEXT, set_pid_file, 0},
    {"-or", ATTACHED_OR_NEXT, set_receive_timeout, 0},
    {"-os", ATTACHED_OR_NEXT, set_smtp_timeout, 0},
    {"-ov", NO_VALUE, set_verbose, 0},
    {"-oX", NEXT, set_listen, 0},
    {"-oY", NO_VALUE, set_no_notifier, 0},
    {"-p", ATTACHED_OR_NEXT, set_protocol_host, 0},
    {"-qqR", ATTACHED_OPTIONAL, set_select_recipient_twice, 0},
    {"-qqS", ATTACHED_OPTIONAL, set_select_sender_twice, 0},
    {"-qR", ATTACHED_OPTIONAL, set_select_recipient, 0},
    {"-qS", ATTACHED_OPTIONAL, set_select_sender, 0},
    {"-q", ATTACHED_OPTIONAL, set_queue_run, 0},
    {"-R", ATTACHED_OPTIONAL, set_select_recipient, 0},
    {"-r", ATTACHED_OR_NEXT, set_sender, 0},
    {"-S", ATTACHED_OPTIONAL, set_select_sender, 0},
    {"-tls-on-connect", NO_VALUE, set_tls_on_connect, 0},
    {"-ti", NO_VALUE, set_extract_dot, 0},
    {"-t", NO_VALUE, set_extract, 0},
    {"-U", NO_VALUE, NULL, 0},
    {"-v", NO_VALUE, set_verbose, 0},
    {"-X", ATTACHED_OR_NEXT, NULL, 0},
    {"-x", NO_VALUE, NULL, 0},
    {"-z", NO_VALUE, mode_log, 0},
};

static bool apply_row(struct scan *s, const struct row *row, const char *option)
{
	struct str value = STR_NONE;
	const char *tail = option + strlen(row->text);
	if (row->style == ATTACHED || row->style == ATTACHED_OPTIONAL || (row->style == ATTACHED_OR_NEXT && *tail))
		value = str_tainted(str_c(tail));
	else if (row->style != NO_VALUE && !next_value(s, &value))
		return bad(s, option);
	return row->set ? row->set(s, value) : true;
}

static bool take_option(struct scan *s, const char *option)
{
	for (size_t i = 0; i < countof(rows); i++) {
		size_t n = strlen(rows[i].text);
		bool whole = rows[i].style == NO_VALUE || rows[i].style == NEXT;
		if (strncmp(option, rows[i].text, n) == 0 && (!whole || !option[n]))
			return apply_row(s, &rows[i], option);
	}
	return bad(s, option);
}

/* Manual 5.1: the name it is called by. */
static void by_program_name(struct scan *s, const char *path)
{
	const char *name = strrchr(path, '/');
	name = name ? name + 1 : path;
	struct cli_args *args = s->args;
	if (strcmp(name, "mailq") == 0)
		args->mode = MODE_LIST_QUEUE;
	else if (strcmp(name, "rsmtp") == 0)
		args->mode = MODE_BATCH_SMTP;
	else if (strcmp(name, "runq") == 0) {
		args->mode = MODE_QUEUE_RUN;
		args->run_count = 1;
	} else if (strcmp(name, "newaliases") == 0)
		args->mode = MODE_REBUILD;
	else if (strcmp(name, "rmail") == 0) {
		args->dot_ends = false;
		args->error_mode = 'e';
	}
}

bool cli_args_parse(struct arena *a, int argc, char **argv, struct cli_args *ret, struct why *why)
{
	*ret = (struct cli_args){.arena = a, .dot_ends = true, .receive_timeout_s = -1, .smtp_timeout_s = -1,
	    .connection_max = -1, .error_mode = 'm'};
	struct scan s = {.args = ret, .argc = argc, .argv = argv, .why = why};
	if (argc > 0)
		by_program_name(&s, argv[0]);
	bool options = true;
	for (s.at = 1; s.at < argc; s.at++) {
		const char *arg = argv[s.at];
		if (options && strcmp(arg, "--") == 0)
			options = false;
		else if (options && arg[0] == '-' && arg[1]) {
			if (!take_option(&s, arg))
				return false;
		} else if (ret->args == ARGS_MAX)
			return complain(&s, "exim: too many arguments");
		else
			ret->arg[ret->args++] = str_tainted(str_c(arg));
		/* After the first recipient Exim still takes options (sendmail's habit). */
	}
	if (ret->mode == MODE_NONE && ret->extract)
		ret->mode = MODE_RECEIVE;
	if (ret->mode == MODE_NONE)
		ret->mode = ret->args ? MODE_RECEIVE : MODE_HELP;
	return true;
}

bool cli_args_check(const struct cli_args *args, struct why *why)
{
	bool clash = (args->daemon && args->mode != MODE_DAEMON) ||
		(args->extract && args->mode != MODE_RECEIVE) ||
		(args->mode == MODE_QUEUE_RUN && args->extract);
	if (clash)
		why_set(why, false, "exim: incompatible command-line options or arguments");
	return !clash;
}
