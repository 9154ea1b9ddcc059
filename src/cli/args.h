/* SPDX-License-Identifier: Apache-2.0
 * The command line of Exim (manual chapter 5): every option is a row of args.c. */
#pragma once
#include "base/strbuf.h"
#include "base/status.h"

enum cli_mode {
	MODE_NONE, MODE_HELP, MODE_VERSION, MODE_DAEMON, MODE_RECEIVE, MODE_SMTP, MODE_BATCH_SMTP, MODE_TEST_HOST,
	MODE_EXPAND, MODE_FILTER_TEST, MODE_SYSTEM_FILTER_TEST, MODE_ROUTE_TEST, MODE_VERIFY, MODE_VERIFY_SENDER, MODE_PRINT, MODE_LIST_QUEUE,
	MODE_COUNT_QUEUE, MODE_RETRY_TEST, MODE_REWRITE_TEST, MODE_QUEUE_RUN, MODE_MESSAGE, MODE_REBUILD, MODE_LOG,
	MODE_INFO, MODE_INETD_WAIT
};
/* -M family. */
enum message_action {
	ACT_NONE, ACT_DELIVER, ACT_DELIVER_RETRY, ACT_ADD_RECIPIENT, ACT_EDIT_SENDER, ACT_FREEZE, ACT_GIVE_UP,
	ACT_MARK_ALL, ACT_MARK, ACT_REMOVE, ACT_THAW, ACT_SHOW_BODY, ACT_SHOW_COPY, ACT_SHOW_HEADER, ACT_SHOW_LOG, ACT_MOVE,
	ACT_SET
};
enum list_flags { LIST_UNSORTED = 1, LIST_GENERATED = 2, LIST_IDS = 4, LIST_UNDELIVERED = 8 };

/* One -q... */
struct queue_run {
	int64_t interval_s;   /* 0 = once */
	bool two_phase, first_only, force, force_frozen, local_only, daemon;
	struct str name;      /* -qG; unset = main */
	struct str start, end; /* -q start end */
};
#define ARGS_MAX 512
struct cli_args {
	struct arena *arena;
	enum cli_mode mode;
	bool daemon, foreground, listening;
	const char *config_paths[64]; size_t config_count;
	const char *defines[256]; size_t define_count;
	bool debug_set; struct str debug; bool verbose;
	/* queue */
	struct queue_run runs[8]; size_t run_count;
	struct str select_sender, select_recipient; bool select_sender_regex, select_recipient_regex;
	enum message_action action;
	unsigned list;
	/* submission */
	struct str sender; bool sender_given;
	struct str full_name;
	bool dot_ends, extract, no_delivery, suppress_fixups, dropcr;
	char error_mode, deliver_mode; /* of -oe, -od */
	bool deliver_queue_smtp, deliver_given;
	struct str o_host_address, o_auth_name, o_auth_id, o_auth_sender, o_interface, o_reference, o_protocol,
	    o_host_name, o_ident;
	int64_t receive_timeout_s, smtp_timeout_s; /* -or, -os; -1 unset */
	int connection_max;    /* -oB; -1 unset */
	struct str listen_on;  /* -oX */
	struct str pid_file;   /* -oP */
	bool no_notifier;      /* -oY */
	struct str syslog_tag; /* -L */
	struct str reference;  /* -E */
	struct str dsn_ret, dsn_envid, dsn_notify; /* -R hdrs etc. of sendmail are not Exim's */
	bool tls_on_connect, no_qualify, with_callout, one_line, names_only;
	struct str host_test;  /* -bh address */
	struct str message_file; /* -bem */
	struct str queue_name; /* -MCG */
	struct str rebuild_argument; /* -oA, for -bi */
	struct str info;       /* -bI: */
	struct str filter_file, filter_domain, filter_local_part, filter_prefix, filter_suffix;
	int64_t inetd_wait_s;
	/* the rest */
	struct str arg[ARGS_MAX]; size_t args;
	struct str ids[ARGS_MAX]; size_t id_count;
};
/* Read argv. False: a message of Exim's wording is in why ("unknown, malformed, or incomplete option -x"). */
bool cli_args_parse(struct arena *a, int argc, char **argv, struct cli_args *ret, struct why *why);
/* Combinations that make no sense (manual 5); false with why. */
bool cli_args_check(const struct cli_args *args, struct why *why);
