/* SPDX-License-Identifier: Apache-2.0
 * Local transports through a real agent and its children (manual 23 to 29). */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "queue/errnos.h"
#include "transport/kit.h"

static struct kit k;
static const char body[] = "body\nFrom here\n.dot\nend\n";

static struct address *deliver(const char *transport, const char *to)
{
	struct address *ad = kit_address(&k, to);
	kit_run(&k, transport, ad);
	return ad;
}

static bool says(const struct address *ad, const char *part)
{
	bool yes = str_find(ad->message, str_c(part)) >= 0;
	if (!yes)
		printf("message: %.*s\n", STR_ARG(ad->message));
	return yes;
}

static void an_mbox_is_appended_to(void)
{
	kit_open(&k, "t:\n driver = appendfile\n file = %s/box\n envelope_to_add\n return_path_add\n headers_remove = x-rm\n headers_add = X-New: $local_part\n", body);
	struct address *ad = deliver("t", "fred@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	struct str text = kit_file(&k, "box");
	check(str_starts(text, "From sender@x.test "));
	ptrdiff_t nl = str_chr(text, '\n');
	check_str(str_from(text, (size_t)nl + 1),
	    "Return-path: <sender@x.test>\nEnvelope-to: fred@b.test\nReceived: by test\nFrom: <sender@x.test>\nSubject: test\n\tfolded\n"
	    "X-New: fred\n\nbody\n>From here\n.dot\nend\n\n");
	ad = deliver("t", "fred@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	check_int(kit_file(&k, "box").len, 2 * text.len);
	struct stat st;
	check_int(stat(arena_printf(k.a, "%s/box", k.dir), &st), 0);
	check_int(st.st_mode & 0777, 0600);
	check_int(access(arena_printf(k.a, "%s/box.lock", k.dir), F_OK), -1);
	kit_close(&k);
}

static void what_an_mbox_must_not_be(void)
{
	kit_open(&k,
	    "t:\n driver = appendfile\n file = %s/link\nd:\n driver = appendfile\n file = %s/dir\nn:\n driver = appendfile\n file = %s/narrow\n"
	    "m:\n driver = appendfile\n file = %s/none\n file_must_exist\nx:\n driver = appendfile\n file = ${lookup{x}lsearch{/nonexistent/x}}\n"
	    "r:\n driver = appendfile\n file = rel/x\nta:\n driver = appendfile\n file = %s/$local_part\n"
	    "l:\n driver = appendfile\n file = %s/busy\n lock_interval = 0s\n lock_retries = 2\n",
	    body);
	check_int(symlink("box", arena_printf(k.a, "%s/link", k.dir)), 0);
	check_int(mkdir(arena_printf(k.a, "%s/dir", k.dir), 0700), 0);
	check_int(close(creat(arena_printf(k.a, "%s/narrow", k.dir), 0400)), 0);
	check_int(close(creat(arena_printf(k.a, "%s/busy.lock", k.dir), 0600)), 0);
	struct address *ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DEFERRED);
	check_int(ad->basic_errno, DERR_NOTREGULAR);
	check(says(ad, "/link is a symbolic link"));
	ad = deliver("d", "f@b.test");
	check_int(ad->basic_errno, DERR_NOTREGULAR);
	check(says(ad, "/dir has too many links (2)"));
	ad = deliver("n", "f@b.test");
	check_int(ad->basic_errno, DERR_BADMODE);
	check(says(ad, "/narrow has the wrong mode 400 (600 expected)"));
	ad = deliver("m", "f@b.test");
	check_int(ad->basic_errno, ENOENT);
	check(says(ad, "/none does not exist, but file_must_exist is set"));
	ad = deliver("x", "f@b.test");
	check_int(ad->state, ADDRESS_DEFERRED);
	check(says(ad, "(file or directory name for x transport) failed: "));
	ad = deliver("r", "f@b.test");
	check_int(ad->basic_errno, DERR_NOTABSOLUTE);
	check_str(ad->message, "appendfile: file or directory name \"rel/x\" is not absolute");
	ad = deliver("ta", "f@b.test");
	check(str_starts(ad->message, "Tainted '/tmp/"));
	check(says(ad, "/f' (file or directory name for ta transport) not permitted"));
	ad = deliver("l", "f@b.test");
	check_int(ad->basic_errno, DERR_LOCKFAILED);
	check(says(ad, "/busy (lock file)"));
	kit_close(&k);
}

static void a_lock_by_fcntl_is_waited_for_and_respected(void)
{
	kit_open(&k, "t:\n driver = appendfile\n file = %s/box\n use_lockfile = false\n lock_interval = 0s\n lock_retries = 2\n", body);
	char *name = arena_printf(k.a, "%s/box", k.dir);
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	check_int(fcntl(fd, F_SETLK, &fl), 0);
	struct address *ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DEFERRED);
	check(says(ad, "/box (fcntl/flock)"));
	close(fd);
	ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	kit_close(&k);
}

/* The first file of a folder; its name in *ret, NULL if there is none. */
static struct str only_file(const char *folder, char **ret)
{
	DIR *dir = opendir(arena_printf(k.a, "%s/%s", k.dir, folder));
	*ret = NULL;
	for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
		if (e->d_name[0] != '.' && (!*ret || strcmp(e->d_name, *ret) < 0))
			*ret = arena_printf(k.a, "%s", e->d_name);
	}
	if (dir)
		closedir(dir);
	return *ret ? kit_file(&k, arena_printf(k.a, "%s/%s", folder, *ret)) : STR_NONE;
}

static void a_maildir_with_its_quota(void)
{
	kit_open(&k, "t:\n driver = appendfile\n directory = %s/md\n maildir_format\n maildir_tag = ,S=$message_size\n maildir_use_size_file\n quota = 230\n", body);
	k.m->size = 110;
	struct address *ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	char *name;
	struct str text = only_file("md/new", &name);
	check_str(text, "Received: by test\nFrom: <sender@x.test>\nX-Rm: 1\nSubject: test\n\tfolded\n\nbody\nFrom here\n.dot\nend\n");
	check(name && strstr(name, ".me.test,S=") && strstr(name, ".H"));
	check_str(kit_file(&k, "md/maildirsize"), arena_printf(k.a, "230S,0C\n0 0\n%u 1\n", text.len));
	check_int(access(arena_printf(k.a, "%s/md/cur", k.dir), F_OK), 0);
	check(!str_is_set(only_file("md/tmp", &name)));
	ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DEFERRED);
	check_int(ad->basic_errno, DERR_EXIMQUOTA);
	check(says(ad, "mailbox is full (MTA-imposed quota exceeded while writing to tmp/"));
	kit_close(&k);
}

static void other_forms_of_new_files(void)
{
	kit_open(&k,
	    "p:\n driver = appendfile\n directory = %s/plain\n directory_file = m-$local_part_data\nms:\n driver = appendfile\n directory = %s/ms\n mailstore_format\n"
	    " mailstore_prefix = pre\nbs:\n driver = appendfile\n file = %s/bsmtp\n use_bsmtp\n batch_max = 10\n use_crlf\n"
	    "mbx:\n driver = appendfile\n file = %s/mbx\n mbx_format\n message_prefix =\n message_suffix =\nnull:\n driver = appendfile\n file = /dev/null\n",
	    body);
	check_int(deliver("p", "f@b.test")->state, ADDRESS_DELIVERED);
	check(str_starts(kit_file(&k, "plain/m-f"), "Received: by test\n"));
	check_int(deliver("ms", "f@b.test")->state, ADDRESS_DELIVERED);
	char *name;
	check_str(only_file("ms", &name), "pre\nsender@x.test\nf@b.test\n");
	struct address *a = kit_address(&k, "a@b.test");
	a->next = kit_address(&k, "b@c.test");
	kit_run(&k, "bs", a);
	check_int(a->state, ADDRESS_DELIVERED);
	check_int(a->next->state, ADDRESS_DELIVERED);
	check_str(kit_file(&k, "bsmtp"),
	    "MAIL FROM:<sender@x.test>\r\nRCPT TO:<a@b.test>\r\nRCPT TO:<b@c.test>\r\nDATA\r\nReceived: by test\r\nFrom: <sender@x.test>\r\n"
	    "X-Rm: 1\r\nSubject: test\r\n\tfolded\r\n\r\nbody\r\nFrom here\r\n..dot\r\nend\r\n.\r\n");
	check_int(deliver("mbx", "f@b.test")->state, ADDRESS_DELIVERED);
	struct str mbx = kit_file(&k, "mbx");
	check(str_starts(mbx, "*mbx*\r\n"));
	check_int(strlen(str_cstr(k.a, mbx)), 85); /* 30 empty lines for keywords, then NULs up to 2048 */
	check(mbx.len > 2048 && str_find(str_from(mbx, 2048), STR(";000000000000-00000000\r\nReceived: by test\r\n")) > 0);
	check_int(deliver("null", "f@b.test")->state, ADDRESS_DELIVERED);
	kit_close(&k);
}

static void as_another_user(void)
{
	const struct passwd *pw = geteuid() == 0 ? getpwnam("nobody") : NULL;
	if (!pw) {
		printf("not root: deliveries as another user are not tested\n");
		return;
	}
	kit_open(&k, "t:\n driver = appendfile\n file = %s/box\n user = nobody\n group = nogroup\nroot:\n driver = appendfile\n file = %s/x\n user = root\n", body);
	check_int(deliver("t", "f@b.test")->state, ADDRESS_DELIVERED);
	struct stat st;
	check_int(stat(arena_printf(k.a, "%s/box", k.dir), &st), 0);
	check_int(st.st_uid, pw->pw_uid);
	struct address *ad = kit_address(&k, "f@b.test"); /* uid from the router */
	ad->uid = 0;
	ad->uid_set = true;
	kit_run(&k, "t", ad);
	check_int(ad->state, ADDRESS_DELIVERED);
	check_int(chown(arena_printf(k.a, "%s/box", k.dir), 0, 0), 0);
	ad = deliver("t", "f@b.test");
	check_int(ad->basic_errno, DERR_BADUGID);
	check(says(ad, "/box has wrong uid (0 != "));
	kit_close(&k);
}

static void commands_and_how_they_end(void)
{
	kit_open(&k,
	    "ok:\n driver = pipe\n command = /bin/sh -c \"cat >%s/out; env | sort >%s/env\"\n environment = X=1:Y=2\n"
	    "ret:\n driver = pipe\n command = /bin/sh -c \"cat >/dev/null; echo; echo oops; exit ${local_part_data}\"\n log_fail_output\n return_fail_output\n"
	    "none:\n driver = pipe\n command = /nonexistent/cmd\n"
	    "path:\n driver = pipe\n command = nosuchcommand\n"
	    "rest:\n driver = pipe\n command = /bin/true\n restrict_to_path\n"
	    "slow:\n driver = pipe\n command = /bin/sleep 100\n timeout = 1s\n"
	    "much:\n driver = pipe\n command = /usr/bin/yes\n max_output = 10K\n"
	    "deaf:\n driver = pipe\n command = /bin/true\n"
	    "taint:\n driver = pipe\n command = /bin/echo $local_part\n"
	    "addr:\n driver = pipe\n command = /bin/sh -c 'cat >/dev/null; printf \"%s|\" \"\\$@\"' x $pipe_addresses\n return_output\n batch_max = 5\n"
	    "filt:\n driver = pipe\n command = /bin/sh -c \"cat >%s/filtered\"\n transport_filter = /usr/bin/tr a-z A-Z\n"
	    "bad:\n driver = pipe\n command = /bin/cat\n transport_filter = /bin/sh -c \"exit 9\"\n",
	    body);
	struct address *ad = deliver("ok", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	struct str out = kit_file(&k, "out");
	check(str_starts(out, "From sender@x.test ") && str_ends(out, "\n\nbody\nFrom here\n.dot\nend\n\n"));
	struct str env = kit_file(&k, "env");
	check(str_find(env, STR("LOCAL_PART=f\n")) >= 0 && str_find(env, STR("RECIPIENT=f@b.test\n")) >= 0 && str_find(env, STR("\nX=1\nY=2\n")) >= 0);
	ad = deliver("ret", "3@b.test");
	check_int(ad->state, ADDRESS_FAILED);
	check_str(ad->message, "Child process of ret transport returned 3 from command: /bin/sh");
	check_str(ad->return_output, "\noops\n");
	check(strstr(kit_log(&k), "1xV5DT-000000002yI-2T00 <3@b.test>: ret transport output: oops\n"));
	ad = deliver("ret", "75@b.test");
	check_int(ad->state, ADDRESS_DEFERRED);
	check_str(ad->message, "Child process of ret transport returned 75 (could mean temporary error) from command: /bin/sh");
	ad = deliver("ret", "139@b.test");
	check_str(ad->message, "Child process of ret transport returned 139 (could mean shell command ended by signal 11 (Segmentation fault)) from command: /bin/sh");
	ad = deliver("none", "f@b.test");
	check_int(ad->state, ADDRESS_FAILED);
	check_str(ad->message, "Child process of none transport returned 127 (could mean unable to exec or command does not exist) from command: /nonexistent/cmd");
	ad = deliver("path", "f@b.test");
	check_str(ad->message, "\"nosuchcommand\" command not found for path transport");
	ad = deliver("rest", "f@b.test");
	check_str(ad->message, "\"/\" found in \"/bin/true\" (command for rest transport) - failed for security reasons");
	ad = deliver("slow", "f@b.test");
	check_int(ad->state, ADDRESS_FAILED);
	check_str(ad->message, "pipe delivery process timed out");
	ad = deliver("much", "f@b.test");
	check_str(ad->message, "Child process of much transport (running command \"/usr/bin/yes\") was terminated by signal 9 (Killed)");
	check_int(deliver("deaf", "f@b.test")->state, ADDRESS_DELIVERED);
	ad = deliver("taint", "f@b.test");
	check_int(ad->state, ADDRESS_FAILED);
	check_str(ad->message, "Tainted arg 1 for taint transport command: 'f'");
	ad = deliver("filt", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	check(str_find(kit_file(&k, "filtered"), STR("\n\nBODY\nFROM HERE\n")) > 0);
	ad = deliver("bad", "f@b.test");
	check_int(ad->state, ADDRESS_DEFERRED);
	check_int(ad->basic_errno, DERR_FILTER_FAIL);
	check_str(ad->message, "transport filter process failed (9)");
	kit_close(&k);
}

static void shadows_and_limits(void)
{
	kit_open(&k,
	    "t:\n driver = appendfile\n file = %s/box\n shadow_transport = s\n shadow_condition = ${if eq{$local_part}{f}}\ns:\n driver = appendfile\n file = %s/shadow\n"
	    "small:\n driver = appendfile\n file = %s/box\n message_size_limit = 10\nbad:\n driver = appendfile\n file = %s/box\n message_size_limit = 44litres\n",
	    body);
	struct address *ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	check_str(ad->shadow_message, "s");
	check(kit_file(&k, "shadow").len > 0);
	ad = deliver("t", "g@b.test");
	check(!str_is_set(ad->shadow_message));
	ad = deliver("small", "f@b.test");
	check_int(ad->state, ADDRESS_FAILED);
	check_str(ad->message, "message is too big (transport limit = 10)");
	ad = deliver("bad", "f@b.test");
	check_int(ad->state, ADDRESS_DEFERRED);
	check_str(ad->message, "invalid message_size_limit in bad transport: invalid integer \"44litres\"");
	kit_close(&k);
}

static void lmtp_on_a_pipe(void)
{
	kit_open(&k, "t:\n driver = lmtp\n command = /bin/sh %s/server\n batch_max = 10\n", body);
	FILE *f = fopen(arena_printf(k.a, "%s/server", k.dir), "we");
	check(f != NULL);
	fputs("echo '220 hi'; read x; echo '250 hello'; read m; echo '250 ok'; read r; echo '250 ok'; read r; echo '550 not you'; read r; echo '250 ok'\n"
	      "read d; echo '354 go'; while read l; do case \"$l\" in .?) break;; esac; done; echo '250 first'; echo '450 third later'; read q; echo '221 bye'\n", f);
	(void)fclose(f);
	struct address *a = kit_address(&k, "a@b.test"), *b = kit_address(&k, "b@b.test"), *c = kit_address(&k, "c@b.test");
	a->next = b;
	b->next = c;
	kit_run(&k, "t", a);
	check_int(a->state, ADDRESS_DELIVERED);
	check_str(a->smtp_reply, "250 first");
	check_int(b->state, ADDRESS_FAILED);
	check_str(b->message, "LMTP error after RCPT TO:<b@b.test>: 550 not you");
	check_int(c->state, ADDRESS_DEFERRED);
	check_str(c->message, "LMTP error after end of data: 450 third later");
	kit_close(&k);
}

static int count_of(const char *text, const char *what)
{
	int n = 0;
	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

static void a_reply_is_spooled_once(void)
{
	kit_open(&k, "t:\n driver = autoreply\n to = $sender_address\n subject = re\n text = hello\n once = %s/once\n log = %s/log\n", body);
	struct why why = {0};
	struct spool_config sc = {.directory = str_c(arena_printf(k.a, "%s/spool", k.dir)), .uid = -1, .gid = -1, .localhost_number = -1};
	check_int(mkdir(arena_printf(k.a, "%s/spool", k.dir), 0700), 0);
	k.spool = spool_open(&sc, &k.env, &why);
	check(k.spool != NULL);
	struct address *ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	check(strstr(kit_log(&k), " <= <> R=1xV5DT-000000002yI-2T00 "));
	ad = deliver("t", "f@b.test");
	check_int(ad->state, ADDRESS_DELIVERED);
	check_int(count_of(kit_log(&k), " <= <> R=1xV5DT"), 1); /* not again */
	char *name;
	struct str header = only_file("spool/input", &name);
	(void)header;
	check(name && strlen(name) > 16);
	check(str_find(kit_file(&k, "log"), STR("\n  To: sender@x.test\n  Subject: re\n")) > 0);
	spool_close(k.spool);
	k.spool = NULL;
	kit_close(&k);
}

TEST_MAIN({"an mbox is appended to", an_mbox_is_appended_to}, {"what an mbox must not be", what_an_mbox_must_not_be},
    {"a lock by fcntl is respected", a_lock_by_fcntl_is_waited_for_and_respected}, {"a maildir with its quota", a_maildir_with_its_quota},
    {"other forms of new files", other_forms_of_new_files}, {"as another user", as_another_user},
    {"commands and how they end", commands_and_how_they_end}, {"shadows and limits", shadows_and_limits},
    {"LMTP on a pipe", lmtp_on_a_pipe}, {"a reply is spooled, once", a_reply_is_spooled_once})
