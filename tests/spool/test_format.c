/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <dirent.h>
#include <stdlib.h>

#include "spool/spool.h"

/* The whole file, read into the arena. */
static struct str slurp(struct arena *a, const char *path)
{
	FILE *f = fopen(path, "rb");
	check(f != NULL);
	if (!f)
		return STR_NONE;
	char *text = arena_alloc(a, 1 << 20);
	size_t n = fread(text, 1, 1 << 20, f);
	fclose(f);
	return str_n(text, n);
}

static void same_again(struct arena *a, struct str text, const char *what)
{
	struct message *m = NULL;
	struct why why = {.text = ""};
	enum status st = spool_parse_header(text, a, &m, &why);
	if (st)
		printf("%s: %s\n", what, why.text);
	check_int(st, ST_OK);
	if (st)
		return;
	struct str out = spool_format_header(a, m);
	if (!str_eq(out, text))
		printf("%s: differs\n%.*s\n---\n%.*s\n", what, STR_ARG(text), STR_ARG(out));
	check(str_eq(out, text));
}

static void real_files_of_exim_come_back_byte_for_byte(void)
{
	struct arena *a = arena_new("t", 64 << 20, 0, 0);
	const char *shared = test_shared();
	struct str path = str_printf(a, "%s/conformance/spool-exim/input", shared ? shared : ".");
	DIR *dir = shared ? opendir(path.p) : NULL;
	check(!shared || dir != NULL);
	unsigned files = 0;
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (!str_ends(str_c(e->d_name), "-H"))
			continue;
		same_again(a, slurp(a, str_printf(a, "%.*s/%s", STR_ARG(path), e->d_name).p), e->d_name);
		files++;
	}
	if (dir)
		closedir(dir);
	check(!shared || files == 6);
	arena_free(a);
}

/* Every line that Exim 4.96 was seen to write, in its order. */
static const char all_lines[] =
    "1xV4xf-0002yB-2I-H\nroot 0 0\n<other@x.ex>\n1795343899 3\n"
    "-received_time_usec .712438\n-received_time_complete 1795343899.714766\n--helo_name h.ex\n"
    "-host_address [1.2.3.4]:5\n-host_name hn.ex\n-host_auth ha\n-host_auth_pubname PLAIN\n"
    "-interface_address [::1]:25\n-active_hostname active.test.ex\n-ident root\n--received_protocol sss\n"
    "-aclc 3 5\nval3x\n--aclc q 3\nabc\n--aclm y 7\nab\n\ncde\n-aclm 2 0\n\n--(lsearch)aclm lq 3\nabc\n"
    "-debug_selector 0x1\n-debuglog_name foo\n-body_linecount 5\n-max_received_linelength 10\n-body_zerocount 3\n"
    "-auth_id ai\n-auth_sender as\n-allow_unqualified_recipient\n-allow_unqualified_sender\n-deliver_firsttime\n"
    "-frozen 1795343946\n-N\n-host_lookup_failed\n-local\n-localerror\n-local_scan scan text\n-spam_bar +++++\n"
    "-spam_score 5.5\n-spam_score_int 55\n-manual_thaw\n-sender_set_untrusted\n-tls_certificate_verified\n-tls_cipher A\n"
    "--tls_peercert -----BEGIN-----\\nMII\\n\n-tls_peerdn B\n-tls_sni C\n-tls_ourcert X\\n\n-tls_ocsp 2\n-tls_resumption B\n-tls_ver TLSx\n"
    "-smtputf8\n-utf8_optdowncvt\n-dsn_envid abc\n-dsn_ret 1\n-newer_line of some Exim\n"
    "YY m@loc.ex\nYN c@loc.ex\nNN a@loc.ex\nNY v@loc.ex\nNN z@loc.ex\n"
    "5\nu@d.ex\nv@loc.ex\none@d.ex  0,0 err@x.ex 8,0#3\nc@d.ex rfc822;z y 10,4 err@x 5,-1#3\n\"q q#1\"@d.ex  0,2  0,-1#3\n\n"
    "011  Subject: t\n017F From: other@x.ex\n014* Deleted: line\n";

static void every_known_line_comes_back_byte_for_byte(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	same_again(a, str_n(all_lines, sizeof all_lines - 1), "all lines");
	arena_free(a);
}

static void facts_are_read_from_the_lines(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	struct message *m = NULL;
	struct why why;
	check_int(spool_parse_header(str_n(all_lines, sizeof all_lines - 1), a, &m, &why), ST_OK);
	check_str(m->sender, "other@x.ex");
	check_int(m->received_us, 1795343899712438);
	check_int(m->received_done_us, 1795343899714766);
	check_int(m->warnings, 3);
	check_str(m->peer.host_address, "1.2.3.4");
	check_int(m->peer.host_port, 5);
	check_str(m->peer.interface_address, "::1");
	check(m->peer.helo.taint && !m->peer.host_name.taint);
	check_str(*(struct str *)map_get(&m->acl_m, STR("y")), "ab\n\ncde");
	check_str(*(struct str *)map_get(&m->acl_c, STR("3")), "val3x");
	check_str(m->peer.tls.peer_cert, "-----BEGIN-----\nMII\n");
	check_int(m->dsn_ret, DSN_RET_FULL);
	check_int(m->utf8_downconvert, -1);
	check_str(m->unknown_lines, "-newer_line of some Exim\n");
	check_int((long long)m->done.live, 5);
	check(message_is_done(m, STR("v@LOC.ex")) && !message_is_done(m, STR("V@loc.ex")));
	check_int((long long)m->recipients, 5);
	check_str(m->recipient[2].address, "one@d.ex");
	check_str(m->recipient[2].errors_to, "err@x.ex");
	check_int(m->recipient[2].parent, 0);
	check_str(m->recipient[3].orcpt, "rfc822;z y");
	check_int(m->recipient[3].dsn_notify, DSN_SUCCESS);
	check_str(m->recipient[4].address, "\"q q#1\"@d.ex");
	check_int(m->recipient[4].dsn_notify, DSN_NEVER);
	check_int(m->headers.first->next->next->kind, HDR_OLD);
	arena_free(a);
}

static void the_manuals_form_of_one_time_children_is_read(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	struct message *m = NULL;
	struct why why;
	struct str text = STR("16VDhn-000000001bo-D342-H\nfred 1 2\n<>\n5 0\n-host_address 10.0.0.1.77\n-acl 3 1\nx\n-acl 12 1\ny\n"
			      "XX\n2\ntop@a\nkid@a err@x.ex 8,0#1\n\n");
	check_int(spool_parse_header(text, a, &m, &why), ST_OK);
	check_str(m->recipient[1].address, "kid@a");
	check_str(m->recipient[1].errors_to, "err@x.ex");
	check_str(m->peer.host_address, "10.0.0.1");
	check_int(m->peer.host_port, 77);
	check_str(*(struct str *)map_get(&m->acl_c, STR("3")), "x");
	check_str(*(struct str *)map_get(&m->acl_m, STR("2")), "y");
	arena_free(a);
}

static void a_value_from_outside_cannot_make_a_line(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	struct message *m = message_new(a), *back = NULL;
	struct why why;
	memcpy(m->id, "16VDhn-000000001bo-D342", 24);
	m->login = STR("root");
	m->peer.auth_id = str_tainted(STR("x\n-N\n-frozen 1"));
	m->peer.helo = str_tainted(STR("a\0-local"));
	message_add_recipient(m, STR("a@b"));
	check_int(spool_parse_header(spool_format_header(a, m), a, &back, &why), ST_OK);
	check(!back->dont_deliver && back->frozen_at == 0);
	check_str(back->peer.auth_id, "x -N -frozen 1");
	arena_free(a);
}

static void damaged_files_are_refused(void)
{
	struct arena *a = arena_new("t", 64 << 20, 0, 0);
	struct why why;
	struct message *m = NULL;
	struct str whole = str_n(all_lines, sizeof all_lines - 1);
	/* A file cut anywhere is seen to be cut, unless the cut is between two header lines. */
	unsigned taken = 0;
	for (uint32_t n = 0; n < whole.len; n++) {
		if (spool_parse_header(str_sub(whole, 0, n), a, &m, &why) == ST_OK) {
			check(str_eq(spool_format_header(a, m), str_sub(whole, 0, n)));
			taken++;
		}
		arena_reset(a);
	}
	check_int(taken, 3); /* no header line, one, two */
	arena_free(a);
}

static void done_tree_is_balanced_and_sorted(void)
{
	struct arena *a = arena_new("t", 1 << 20, 0, 0);
	struct message *m = message_new(a);
	memcpy(m->id, "16VDhn-000000001bo-D342", 24);
	message_set_done(m, STR("darcy@austen.fict.example"));
	message_set_done(m, STR("editor@thesaurus.ref.EXAMPLE"));
	message_set_done(m, STR("alice@wonderland.fict.example"));
	struct str text = spool_format_header(a, m);
	check(str_find(text, STR("YY darcy@austen.fict.example\nNN alice@wonderland.fict.example\n"
				 "NN editor@thesaurus.ref.example\n")) > 0);
	arena_free(a);
}

TEST_MAIN({"real files of Exim come back byte for byte", real_files_of_exim_come_back_byte_for_byte},
    {"every known line comes back byte for byte", every_known_line_comes_back_byte_for_byte},
    {"facts are read from the lines", facts_are_read_from_the_lines},
    {"the manual's form of one_time children is read", the_manuals_form_of_one_time_children_is_read},
    {"a value from outside cannot make a line", a_value_from_outside_cannot_make_a_line},
    {"damaged files are refused", damaged_files_are_refused},
    {"the tree of done addresses is balanced and sorted", done_tree_is_balanced_and_sorted})
