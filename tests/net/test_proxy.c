/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <unistd.h>

#include "net/stream.h"

static struct arena *a;
static struct why why;

static enum status give(const char *bytes, size_t n, struct proxy_header *h, const char *rest)
{
	int fd[2];
	check_int(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	struct stream *s = stream_new(fd[0], fd[0]);
	check_int(write(fd[1], bytes, n), (long long)n);
	check_int(shutdown(fd[1], SHUT_WR), 0);
	enum status st = proxy_read(s, 1000, h, &why);
	if (rest && st == ST_OK) {
		struct str got = STR("");
		if (*rest)
			check_int(stream_peek(s, &got), ST_OK);
		check_str(got, rest);
	}
	stream_close(s);
	close(fd[1]);
	return st;
}

static void version_1(void)
{
	struct proxy_header h;
	static const char v4[] = "PROXY TCP4 192.0.2.1 10.0.0.1 56324 25\r\nEHLO x\r\n";
	check_int(give(v4, sizeof v4 - 1, &h, "EHLO x\r\n"), ST_OK);
	check_str(ip_text(a, &h.src), "192.0.2.1");
	check_str(ip_text(a, &h.dst), "10.0.0.1");
	check_int(h.src_port, 56324);
	check_int(h.dst_port, 25);
	check_int(h.version, 1);
	check(!h.local);
	static const char v6[] = "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n";
	check_int(give(v6, sizeof v6 - 1, &h, ""), ST_OK);
	check_str(ip_text(a, &h.src), "2001:db8::1");
	static const char unknown[] = "PROXY UNKNOWN what ever\r\nrest";
	check_int(give(unknown, sizeof unknown - 1, &h, "rest"), ST_OK);
	check(h.local);
	check_int(h.src.family, 0);
}

static void version_1_refused(void)
{
	static const char *bad[] = {"PROXY TCP4 192.0.2.1 10.0.0.1 56324 25\n", "PROXY TCP4 192.0.2.1 10.0.0.1 56324\r\n",
		"PROXY TCP6 192.0.2.1 10.0.0.1 56324 25\r\n", "PROXY TCP4 192.0.2.1 10.0.0.1 65536 25\r\n",
		"PROXY TCP4 192.0.2.1 10.0.0.1 -1 25\r\n", "PROXY TCP4  192.0.2.1 10.0.0.1 1 25\r\n",
		"PROXY TCP4 192.0.2.1 10.0.0.1 1 25 9\r\n", "PROXYTCP4 192.0.2.1 10.0.0.1 1 25\r\n", "EHLO x\r\n", "PROXX UNKNOWN\r\n",
		"PROXY UNKNOWN aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"};
	struct proxy_header h;
	for (size_t i = 0; i < countof(bad); i++)
		check_int(give(bad[i], strlen(bad[i]), &h, NULL), ST_MALFORMED);
	check_int(give("PRO", 3, &h, NULL), ST_EOF);
	check_int(give("", 0, &h, NULL), ST_EOF);
}

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static void version_2(void)
{
	struct proxy_header h;
	static const char v4[] = SIG "\x21\x11\0\x0f" "\xc0\0\2\1" "\x0a\0\0\1" "\xdc\x04" "\0\x19" "\x04\0\0" "HELO";
	check_int(give(v4, sizeof v4 - 1, &h, "HELO"), ST_OK);
	check_str(ip_text(a, &h.src), "192.0.2.1");
	check_int(h.src_port, 0xdc04);
	check_int(h.dst_port, 25);
	check_int(h.version, 2);
	static const char local[] = SIG "\x20\0\0\0" "x";
	check_int(give(local, sizeof local - 1, &h, "x"), ST_OK);
	check(h.local);
	static const char v6[] = SIG "\x21\x21\0\x24" "aaaaaaaaaaaaaaaa" "bbbbbbbbbbbbbbbb" "\0\1\0\2";
	check_int(give(v6, sizeof v6 - 1, &h, ""), ST_OK);
	check_int(h.dst.byte[15], 'b');
	static const char shortened[] = SIG "\x21\x21\0\x20" "aaaaaaaaaaaaaaaa" "bbbbbbbbbbbbbbbb";
	check_int(give(shortened, sizeof shortened - 1, &h, NULL), ST_MALFORMED);
	static const char version[] = SIG "\x31\x11\0\0";
	check_int(give(version, sizeof version - 1, &h, NULL), ST_MALFORMED);
	static const char huge[] = SIG "\x21\x11\xff\xff";
	check_int(give(huge, sizeof huge - 1, &h, NULL), ST_MALFORMED);
	static const char sig[] = "\r\n\r\n\0\r\nQUIX\n\x20\0\0\0";
	check_int(give(sig, sizeof sig - 1, &h, NULL), ST_MALFORMED);
	check_int(give(v6, sizeof v6 - 4, &h, NULL), ST_EOF);
	check(strstr(why.text, "PROXY header") != NULL);
}

int main(void)
{
	static const struct test_row rows[] = {{"version 1", version_1}, {"version 1 refused", version_1_refused}, {"version 2", version_2}};
	a = arena_new("t", 1 << 20, 0, 0);
	int rc = test_main(rows, countof(rows));
	arena_free(a);
	return rc;
}
