/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "ipc/channel.h"

static struct arena *a;
static struct channel *left, *right;

static void open_pair(void)
{
	int fd[2];
	check_int(channel_pair(fd), ST_OK);
	left = channel_new(fd[0]);
	right = channel_new(fd[1]);
}

static void close_pair(void)
{
	channel_close(left);
	channel_close(right);
}

static void fields_come_back_as_packed(void)
{
	struct strbuf sb;
	sb_init(&sb, a, 1000);
	pk_u8(&sb, 200);
	pk_u32(&sb, 0xdeadbeef);
	pk_u64(&sb, UINT64_MAX - 1);
	pk_str(&sb, str_tainted(STR("foreign")));
	pk_str(&sb, STR_NONE);
	pk_str(&sb, STR(""));
	struct rd r = rd_of(sb_str(&sb));
	check_int(up_u8(&r), 200);
	check_int(up_u32(&r), 0xdeadbeef);
	check(up_u64(&r) == UINT64_MAX - 1);
	struct str s = up_str(&r);
	check_str(s, "foreign");
	check(s.taint);
	check(!str_is_set(up_str(&r)));
	s = up_str(&r);
	check(str_is_set(s) && s.len == 0 && !s.taint);
	check(rd_done(&r) && !r.bad);
	up_u8(&r);
	check(r.bad);
	struct rd cut = rd_of(str_sub(sb_str(&sb), 0, 16)); /* inside the first str */
	up_u8(&cut), up_u32(&cut), up_u64(&cut);
	check(!str_is_set(up_str(&cut)) && cut.bad);
}

static void frames_carry_descriptors(void)
{
	open_pair();
	int p[2];
	check_int(pipe(p), 0);
	check_int(channel_send(left, 7, 99, STR("hello"), p, 2), ST_OK);
	check_int(channel_send(left, 8, 100, STR(""), NULL, 0), ST_OK);
	struct frame f;
	check_int(channel_recv(right, a, 1000, &f), ST_OK);
	check_int(f.type, 7);
	check_int(f.serial, 99);
	check_str(f.payload, "hello");
	check_int(f.fds, 2);
	check_int(write(f.fd[1], "x", 1), 1);
	char c;
	check_int(read(p[0], &c, 1), 1);
	frame_close_fds(&f);
	check_int(channel_recv(right, a, 1000, &f), ST_OK);
	check_int(f.serial, 100);
	check_int(f.fds, 0);
	check_int(channel_recv(right, a, 0, &f), ST_TIMEOUT);
	close(p[0]);
	close(p[1]);
	channel_close(left);
	check_int(channel_recv(right, a, 1000, &f), ST_EOF);
	channel_close(right);
}

static void *send_big(void *arg)
{
	struct str *s = arg;
	for (uint32_t i = 0; i < 10; i++)
		must(channel_send(left, 1, i, *s, NULL, 0) == ST_OK);
	return NULL;
}

static void the_largest_frame_passes_and_no_larger(void)
{
	open_pair();
	char *p = arena_alloc(a, LIMIT_IPC_FRAME + 1);
	memset(p, 'b', LIMIT_IPC_FRAME + 1);
	struct str s = str_n(p, LIMIT_IPC_FRAME);
	pthread_t t;
	check_int(pthread_create(&t, NULL, send_big, &s), 0);
	struct frame f;
	for (uint32_t i = 0; i < 10; i++) {
		check_int(channel_recv(right, a, 5000, &f), ST_OK);
		check_int(f.serial, i);
		check(str_eq(f.payload, s));
	}
	pthread_join(t, NULL);
	check_int(channel_send(left, 1, 1, str_n(p, LIMIT_IPC_FRAME + 1), NULL, 0), ST_LIMIT);
	close_pair();
}

static void malformed_frames_end_the_channel(void)
{
	struct frame f;
	open_pair();
	static const char huge[] = "\1\0\0\0\0\0\0\0\xff\xff\xff\x7f";
	check_int(write(channel_fd(left), huge, 12), 12);
	check_int(channel_recv(right, a, 1000, &f), ST_MALFORMED);
	check_int(channel_recv(right, a, 1000, &f), ST_EOF);
	check_int(channel_send(left, 1, 1, STR("x"), NULL, 0), ST_EOF); /* the other end hears of it */
	close_pair();
	open_pair();
	check_int(write(channel_fd(left), "\1\0\0\0\0", 5), 5);
	channel_close(left);
	check_int(channel_recv(right, a, 1000, &f), ST_MALFORMED);
	channel_close(right);
}

int main(void)
{
	static const struct test_row rows[] = {{"fields come back as packed", fields_come_back_as_packed},
		{"frames carry descriptors", frames_carry_descriptors},
		{"the largest frame passes and no larger", the_largest_frame_passes_and_no_larger},
		{"malformed frames end the channel", malformed_frames_end_the_channel}};
	a = arena_new("t", 64u << 20, 0, 0);
	int rc = test_main(rows, countof(rows));
	arena_free(a);
	return rc;
}
