/* SPDX-License-Identifier: Apache-2.0
 * Attempts at messages in a real spool, with transports that answer by the local part: what is
 * logged, what stays in the queue, what bounces say. */
#include "deliver/attempt.h"
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- A transport that does what the local part says ------------------------------------------ */
struct no_options {
	char none;
};
static bool all_well; /* nothing is deferred any more */
static void answer(struct address *ad)
{
	struct str l = ad->view.local_part;
	struct route_host *h = ad->hosts;
	ad->state = ADDRESS_DELIVERED;
	if (h) {
		ad->host_used = h;
		ad->smtp_reply = STR("250 OK \"x\"");
	}
	if (str_starts(l, "fail")) {
		ad->state = ADDRESS_FAILED;
		ad->smtp_reply = STR_NONE;
		ad->message = STR("SMTP error from remote mail server after RCPT TO:<fail@q.test>: 550 5.1.1 no such\nuser");
	} else if (str_starts(l, "defer") && !all_well) {
		ad->state = ADDRESS_DEFERRED;
		ad->basic_errno = 111;
		ad->host_used = NULL;
	} else if (str_starts(l, "later")) {
		ad->state = ADDRESS_DEFERRED;
		ad->basic_errno = DERR_RCPT4XX;
		ad->message = STR("451 come back");
	} else if (str_starts(l, "outp")) {
		ad->state = ADDRESS_FAILED;
		ad->return_output = STR("what the command said\n");
		ad->message = STR("return message generated");
	}
}
static void fake_run(struct delivery *d)
{
	for (struct address *ad = d->addresses; ad; ad = ad->next)
		answer(ad);
}
static const struct transport_driver fake = {.info = {.name = "fake", .options_size = sizeof(struct no_options)}, .run = fake_run};
static const struct driver_info *const fakes[] = {&fake.info};

static const struct expand_var *const vars[] = {deliver_vars, NULL};
static const struct expand_item *const no_items[] = {NULL};
static const struct expand_condition_row *const no_conditions[] = {NULL};
static const struct expand_registry registry = {.var_sets = vars, .item_sets = no_items, .condition_sets = no_conditions};
static bool (*const steps[])(struct config *, struct env *, struct why *) = {
    expand_compile_all, match_compile_all, rewrite_compile, retry_compile_all, route_compile};

static const char text[] =
    "primary_hostname = h.test\nqualify_domain = q.test\nlocal_interfaces = 127.0.0.1\n"
    "delay_warning = 4h:8h\nhold_domains = held.test\n"
    "begin routers\n"
    "rfail:\n driver = redirect\n local_parts = gone\n allow_fail\n data = :fail: Gone away\n"
    "hole:\n driver = redirect\n local_parts = hole\n data = :blackhole:\n"
    "alias:\n driver = redirect\n local_parts = alias\n data = ok1, defer1, ok2\n"
    "list:\n driver = redirect\n local_parts = list\n one_time\n data = ok1, defer1\n"
    "noerr:\n driver = accept\n local_parts = failquiet\n errors_to =\n transport = t\n"
    "owner:\n driver = accept\n local_parts = failowner\n errors_to = owner@q.test\n transport = t\n"
    "remote:\n driver = manualroute\n domains = remote.test\n route_list = * 10.0.0.1\n transport = t\n"
    "all:\n driver = accept\n local_parts = ok : ok1 : ok2 : failx : defer : defer1 : later : sender : owner : outp\n transport = t\n"
    "begin transports\nt:\n driver = fake\n"
    "begin retry\nnorule.test * \n* * F,2h,15m; G,4d,1h,1.5\n";

static struct env env;
static struct config *cfg;
static struct spool *spool;
static struct hints *hints;
static char dir[] = "/tmp/test_deliver_XXXXXX";
static struct arena *arena;
static int log_fd = -1;

static void release_config(void)
{
	config_unref(cfg);
}

static void setup(void)
{
	static struct config_schema schema;
	static struct driver_family fam;
	static struct spool_config sc;
	struct why why = {.text = ""};
	if (cfg)
		return;
	test_env(&env);
	arena = arena_new("test", 1 << 28, 0, 0);
	must(mkdtemp(dir));
	fam = transport_family;
	fam.drivers = fakes;
	fam.count = 1;
	schema = (struct config_schema){.expand = &registry, .compile = steps, .compile_count = countof(steps)};
	schema.family[DRIVER_ROUTER] = route_family;
	schema.family[DRIVER_TRANSPORT] = fam;
	static const char *const none[] = {NULL};
	struct config_source src = {.paths = none, .defines = none, .exim_uid = (int32_t)getuid(), .exim_gid = (int32_t)getgid()};
	struct str conf = str_printf(arena, "spool_directory = %s\n%s", dir, text);
	cfg = config_parse(&schema, &env, conf, STR("/test.conf"), &src, &why);
	if (!cfg)
		printf("%s\n", why.text);
	must(cfg);
	atexit(release_config);
	sc = (struct spool_config){.directory = str_c(dir), .message_logs = true, .no_sync = true, .uid = -1, .gid = -1, .localhost_number = -1};
	spool = spool_open(&sc, &env, &why);
	hints = hints_open(str_cstr(arena, str_printf(arena, "%s/db", dir)), true, &why);
	if (!spool || !hints)
		printf("%s\n", why.text);
	must(spool && hints);
	log_fd = open(arena_printf(arena, "%s/log", dir), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	log_copy_to(env.log, log_fd);
}

/* The log since last time, without time stamps, ids as their numbers. */
static struct str log_text(void)
{
	char *buf = arena_alloc(arena, 1 << 16);
	ssize_t n = pread(log_fd, buf, (1 << 16) - 1, 0);
	must(ftruncate(log_fd, 0) == 0);
	struct rd r = rd_of(str_n(buf, n < 0 ? 0 : (size_t)n));
	struct strbuf sb;
	struct str ids[16];
	size_t count = 0;
	sb_init(&sb, arena, 1 << 17);
	while (!rd_done(&r)) {
		struct rd line = rd_of(rd_line(&r));
		rd_word(&line);
		rd_word(&line);
		for (struct str w = rd_word(&line); !str_empty(w); w = rd_word(&line)) {
			struct str id = str_starts(w, "R=") ? str_from(w, 2) : w;
			size_t k = 0;
			if (msgid_valid(id)) {
				while (k < count && !str_eq(ids[k], id))
					k++;
				if (k == count && count < countof(ids))
					ids[count++] = id;
				sb_printf(&sb, "%s%zu ", w.len != id.len ? "R=" : "", k + 1);
			} else if (str_starts(w, "S=") || str_starts(w, "U=")) {
				sb_printf(&sb, "%.*s ", STR_ARG(str_sub(w, 0, 2)));
			} else {
				sb_printf(&sb, "%.*s ", STR_ARG(w));
			}
		}
		if (sb.len)
			sb_truncate(&sb, sb.len - 1);
		sb_ch(&sb, '\n');
	}
	return sb_str(&sb);
}

static struct str message(const char *sender, const char *const *to, struct message **ret)
{
	struct why why;
	struct spool_writer *w;
	struct message *m = message_new(arena);
	must(spool_create(spool, STR(""), m->id, &w, &why) == ST_OK);
	m->queue_name = STR("");
	m->sender = str_c(sender);
	m->sender_set = m->deliver_firsttime = true;
	m->received_us = clock_us(&env.clock);
	m->login = STR("test");
	for (; *to; to++)
		message_add_recipient(m, str_tainted(str_c(*to)))->parent = -1;
	/* 31 of them, one more than received_headers_max allows, for a sender named "loop". */
	for (int i = 0; i < 31 && str_starts(m->sender, "loop@"); i++)
		headers_add(&m->headers, arena, STR("Received: by h.test\n"), HDR_RECEIVED);
	headers_add(&m->headers, arena, STR("Message-Id: <orig@q.test>\n"), HDR_ID);
	headers_add(&m->headers, arena, STR("Subject: hello\n"), HDR_OTHER);
	must(spool_append(w, "line one\nline two\n", 18) == ST_OK);
	m->body_size = 18;
	m->body_lines = 2;
	m->size = 60;
	if (ret)
		*ret = m;
	must(spool_commit(w, m, &why) == ST_OK);
	return str_c(m->id);
}
#define TO(...) ((const char *const[]){__VA_ARGS__, NULL})

static struct deliver_job job;
static enum deliver_outcome deliver(struct str id, unsigned flags)
{
	job = (struct deliver_job){.config = cfg, .env = &env, .spool = spool, .queue_name = STR(""), .id = id, .flags = flags};
	return deliver_message(&job);
}

static struct str bounce_text;
static void keep_bounce(void *arg, const struct message *m)
{
	(void)arg;
	struct strbuf sb;
	struct message *again;
	struct spool_msg *sm;
	struct why why;
	sb_init(&sb, arena, 1 << 20);
	for (const struct header *h = m->headers.first; h; h = h->next)
		sb_add(&sb, h->text);
	sb_ch(&sb, '\n');
	must(spool_open_msg(spool, STR(""), str_c(m->id), arena, &again, &sm, &why) == SPOOL_FOUND);
	char *buf = arena_alloc(arena, 1 << 16);
	ssize_t n = pread(spool_msg_fd(sm), buf, 1 << 16, spool_msg_body_offset(sm));
	sb_addn(&sb, buf, n < 0 ? 0 : (size_t)n);
	spool_release(sm);
	bounce_text = sb_str(&sb);
}
/* An attempt whose bounces stay in the queue, the last one's text in bounce_text. */
static enum deliver_outcome deliver_keeping(struct str id, unsigned flags)
{
	job = (struct deliver_job){.config = cfg, .env = &env, .spool = spool, .queue_name = STR(""), .id = id, .flags = flags, .made = keep_bounce};
	return deliver_message(&job);
}

static void delivered_messages_leave_the_queue(void)
{
	setup();
	struct str id = message("sender@q.test", TO("ok@q.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_COMPLETED);
	check_str(log_text(), "1 => ok@q.test R=all T=t\n1 Completed\n");
	check_int(deliver(id, 0), DELIVER_GONE);
	id = message("sender@q.test", TO("a@remote.test", "b@remote.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_COMPLETED);
	struct str got = log_text();
	check(str_starts(got, "1 => a@remote.test R=remote T=t H=10.0.0.1 [10.0.0.1] C=\"250 OK \\\"x\\\"\"\n1 "));
	check(str_find(got, STR("b@remote.test R=remote T=t H=10.0.0.1 [10.0.0.1]")) > 0 && str_ends(got, "1 Completed\n"));
	id = message("sender@q.test", TO("hole@q.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_COMPLETED);
	check_str(log_text(), "1 => :blackhole: <hole@q.test> R=hole\n1 Completed\n");
	id = message("sender@q.test", TO("ok@q.test"), NULL);
	check_int(deliver(id, DELIVER_DONT), DELIVER_COMPLETED);
	check_str(log_text(), "1 *> ok@q.test R=all T=t C=\"delivery bypassed by -N option\"\n1 Completed\n");
}

static void a_message_that_goes_round_fails(void)
{
	setup();
	struct str id = message("loop@q.test", TO("ok@q.test"), NULL);
	deliver(id, DELIVER_FIRST);
	check(str_find(log_text(), STR("1 ** ok@q.test : Too many \"Received\" headers - suspected mail loop\n")) >= 0);
}

static void failures_are_answered(void)
{
	setup();
	struct str id = message("sender@q.test", TO("gone@q.test", "nobody@q.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_COMPLETED);
	check_str(log_text(), "1 ** nobody@q.test : Unrouteable address\n1 ** gone@q.test R=rfail : Gone away\n"
	                      "2 <= <> R=1 U= P=local S=\n2 => sender@q.test R=all T=t\n2 Completed\n1 Completed\n");
	id = message("sender@q.test", TO("failquiet@q.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_COMPLETED);
	struct str got = log_text();
	check(str_find(got, STR("1 failquiet@q.test: error ignored\n1 Completed\n")) > 0);
	id = message("", TO("nobody@q.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_FROZEN);
	check_str(log_text(), "1 ** nobody@q.test : Unrouteable address\n1 Frozen (delivery error message)\n");
	check_int(deliver(id, DELIVER_QUEUE_RUN), DELIVER_FROZEN);
	check_str(log_text(), "1 Message is frozen\n");
	check_int(deliver(id, DELIVER_FORCE | DELIVER_FORCE_FROZEN), DELIVER_FROZEN);
	check(str_starts(log_text(), "1 Unfrozen by forced delivery\n"));
	check_int(deliver(id, DELIVER_FAIL_ALL | DELIVER_FORCE_FROZEN), DELIVER_COMPLETED); /* a bounce is discarded */
	log_text();
}

static void bounces_say_what_happened(void)
{
	setup();
	struct message *m;
	struct str id = message("sender@q.test", TO("failx@remote.test", "gone@q.test", "alias@q.test"), &m);
	check_int(deliver_keeping(id, DELIVER_FIRST), DELIVER_PENDING);
	log_text();
	struct str b = bounce_text;
	check(str_find(b, STR("X-Failed-Recipients: failx@remote.test,\n  gone@q.test\nAuto-Submitted: auto-replied\n"
	                      "From: Mail Delivery System <Mailer-Daemon@q.test>\nTo: sender@q.test\nReferences: <orig@q.test>\n"
	                      "Content-Type: multipart/report; report-type=delivery-status; boundary=")) > 0);
	check(str_find(b, STR("Subject: Mail delivery failed: returning message to sender\n")) > 0);
	check(str_find(b, STR("recipients. This is a permanent error. The following address(es) failed:\n\n"
	                      "  failx@remote.test\n    host 10.0.0.1 [10.0.0.1]\n"
	                      "    SMTP error from remote mail server after RCPT TO:<fail@q.test>:\n    550 5.1.1 no such\n    user\n"
	                      "  gone@q.test\n    Gone away\n\n--")) > 0);
	check(str_find(b, STR("Content-type: message/delivery-status\n\nReporting-MTA: dns; h.test\n\n"
	                      "Action: failed\nFinal-Recipient: rfc822;gone@q.test\nStatus: 5.0.0\n\n"
	                      "Action: failed\nFinal-Recipient: rfc822;failx@remote.test\nStatus: 5.0.0\nRemote-MTA: dns; 10.0.0.1\n"
	                      "Diagnostic-Code: smtp; 550 5.1.1 no such\n    user\n\n--")) > 0);
	check(str_find(b, STR("Content-type: message/rfc822\n\nReturn-path: <sender@q.test>\nMessage-Id: <orig@q.test>\n"
	                      "Subject: hello\n\nline one\nline two\n\n--")) > 0);
	id = message("sender@q.test", TO("failowner@q.test"), NULL);
	check_int(deliver_keeping(id, DELIVER_FIRST), DELIVER_COMPLETED);
	check(str_find(bounce_text, STR("To: owner@q.test\n")) > 0 && str_find(bounce_text, STR("Subject: Mail delivery failed\n")) > 0);
	check(str_find(bounce_text, STR("A message sent by\n\n  <sender@q.test>\n\ncould not be delivered to one or more of its recipients. The following\n")) > 0);
	id = message("sender@q.test", TO("outp@q.test"), NULL);
	check_int(deliver_keeping(id, DELIVER_FIRST), DELIVER_COMPLETED);
	check(str_find(bounce_text, STR("failed:\n\n  outp@q.test\n\nThe following text was generated during the delivery attempt:\n\n"
	                                "------ outp@q.test ------\n\nwhat the command said\n\n--")) > 0);
	log_text();
}

static void deferred_addresses_stay(void)
{
	setup();
	struct message *m;
	struct str id = message("sender@q.test", TO("ok@q.test", "defer@q.test", "x@held.test"), &m);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_PENDING);
	check_str(log_text(), "1 == x@held.test defer (-23): domain is held\n1 => ok@q.test R=all T=t\n"
	                      "1 == defer@q.test R=all T=t defer (111): Connection refused\n");
	struct message *again;
	struct why why;
	must(spool_read_header(spool, STR(""), id, arena, &again, &why) == SPOOL_FOUND);
	check(message_is_done(again, STR("ok@q.test")) && !message_is_done(again, STR("defer@q.test")));
	check(!again->deliver_firsttime);
	char path[512];
	snprintf(path, sizeof path, "%s/msglog/%.*s", dir, STR_ARG(id));
	struct stat st;
	check(stat(path, &st) == 0 && st.st_size > 0);
	check_int(deliver(id, DELIVER_FORCE), DELIVER_PENDING);
	struct str got = log_text();
	check(str_find(got, STR("ok@q.test")) < 0 && str_find(got, STR("defer@q.test R=all T=t defer (111)")) > 0);
	/* Children one by one: only what is left is tried again. */
	id = message("sender@q.test", TO("alias@q.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_PENDING);
	got = log_text();
	check(str_find(got, STR("=> ok1@q.test <alias@q.test> R=all T=t")) > 0 && str_find(got, STR("== defer1@q.test <alias@q.test> R=all T=t defer (111): Connection refused")) > 0);
	check_int(deliver(id, DELIVER_FORCE), DELIVER_PENDING);
	check_str(log_text(), "1 == defer1@q.test <alias@q.test> R=all T=t defer (111): Connection refused\n");
	all_well = true;
	check_int(deliver(id, DELIVER_FORCE), DELIVER_COMPLETED);
	check_str(log_text(), "1 => defer1@q.test <alias@q.test> R=all T=t\n1 Completed\n");
	all_well = false;
	/* A delivery that an earlier attempt made for an address of this name is not made again. */
	struct message *homonym;
	id = message("sender@q.test", TO("ok@q.test", "defer@q.test"), &homonym);
	check_int(deliver(id, DELIVER_LOCAL_ONLY), DELIVER_PENDING);
	log_text();
	struct spool_msg *sm;
	must(spool_open_msg(spool, STR(""), id, arena, &again, &sm, &why) == SPOOL_FOUND);
	message_set_done(again, STR("ok@q.test/t"));
	must(spool_update(sm, again, &why) == ST_OK);
	spool_release(sm);
	all_well = true;
	check_int(deliver(id, DELIVER_FORCE), DELIVER_COMPLETED);
	check_str(log_text(), "1 => defer@q.test R=all T=t\n1 Completed\n");
	all_well = false;
	id = message("sender@q.test", TO("list@q.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_PENDING);
	log_text();
	must(spool_read_header(spool, STR(""), id, arena, &again, &why) == SPOOL_FOUND);
	check_int((long long)again->recipients, 2);
	check_str(again->recipient[1].address, "defer1@q.test");
	check(message_is_done(again, STR("list@q.test")));
	check_int(deliver(id, DELIVER_FORCE), DELIVER_PENDING);
	check_str(log_text(), "1 == defer1@q.test <list@q.test> R=all T=t defer (111): Connection refused\n");
}

static void retry_times_are_kept(void)
{
	setup();
	int64_t start = clock_us(&env.clock);
	env.hints = hints;
	struct str id = message("sender@q.test", TO("later@remote.test"), NULL);
	check_int(deliver(id, DELIVER_FIRST), DELIVER_PENDING);
	check_str(log_text(), "1 == later@remote.test R=remote T=t defer (-44) H=10.0.0.1 [10.0.0.1]: 451 come back\n");
	check_int(job.next_due_s, start / 1000000 + 900);
	check_int(deliver(id, DELIVER_QUEUE_RUN), DELIVER_PENDING);
	check_str(log_text(), "1 == later@remote.test routing defer (-52): retry time not reached\n");
	check_int(job.next_due_s, start / 1000000 + 900);
	test_clock_set(start + 901LL * 1000000);
	check_int(deliver(id, DELIVER_QUEUE_RUN), DELIVER_PENDING);
	check(str_find(log_text(), STR("defer (-44)")) > 0);
	/* After 4h a warning goes out, once. */
	test_clock_set(start + 4LL * 3600 * 1000000);
	check_int(deliver_keeping(id, DELIVER_QUEUE_RUN), DELIVER_PENDING);
	check(str_find(log_text(), STR("<= <> R=1 U=")) > 0);
	check(str_find(bounce_text, STR("delayed 4 hours\n")) > 0);
	check(str_find(bounce_text, STR("The address to which the message has not yet been delivered is:\n\n  later@remote.test\n"
	                                "    host 10.0.0.1")) < 0);
	check(str_find(bounce_text, STR("is:\n\n  later@remote.test\n    Delay reason: 451 come back\n\nNo action is required")) > 0);
	test_clock_set(start + 6LL * 3600 * 1000000);
	deliver_keeping(id, DELIVER_QUEUE_RUN);
	check(str_find(log_text(), STR("<= <>")) < 0);
	/* Past the last cutoff it fails. */
	test_clock_set(start + 5LL * 86400 * 1000000);
	check_int(deliver_keeping(id, DELIVER_QUEUE_RUN), DELIVER_COMPLETED);
	struct str got = log_text();
	check(str_find(got, STR("1 ** later@remote.test: retry timeout exceeded\n")) > 0);
	check(str_find(bounce_text, STR("451 come back: retry timeout exceeded\n")) > 0);
	/* No rule: a temporary error is permanent. */
	id = message("sender@q.test", TO("later@norule.test"), NULL);
	check_int(deliver_keeping(id, DELIVER_FIRST), DELIVER_COMPLETED);
	log_text();
	test_clock_set(start);
	env.hints = NULL;
}

static void bounces_are_durable_first(void)
{
	/* The bounce cannot be written: the address stays, nothing is lost. */
	setup();
	struct str id = message("sender@q.test", TO("nobody@q.test"), NULL);
	char *input = arena_printf(arena, "%s/input", dir);
	must(chmod(input, 0500) == 0);
	enum deliver_outcome out = deliver(id, DELIVER_FIRST);
	must(chmod(input, 0700) == 0);
	if (getuid() != 0)
		check_int(out, DELIVER_PENDING);
	log_text();
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}
static void clean_up(void)
{
	setup();
	hints_close(hints);
	spool_close(spool);
	check(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

TEST_MAIN({"delivered messages leave the queue", delivered_messages_leave_the_queue}, {"failures are answered", failures_are_answered},
    {"a message that goes round fails", a_message_that_goes_round_fails},
    {"bounces say what happened", bounces_say_what_happened}, {"deferred addresses stay", deferred_addresses_stay},
    {"retry times are kept", retry_times_are_kept}, {"bounces are durable first", bounces_are_durable_first}, {"clean up", clean_up})
