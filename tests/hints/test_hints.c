/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hints/hints.h"

static struct arena *a;
static char dir[40];
static struct why why;

static struct hints *open_new(void)
{
	snprintf(dir, sizeof dir, "/tmp/eximius-hints-XXXXXX");
	must(mkdtemp(dir) != NULL);
	struct hints *h = hints_open(dir, true, &why);
	check(h != NULL);
	return h;
}

static void remove_dir(void)
{
	DIR *d = opendir(dir);
	for (struct dirent *e; (e = readdir(d));)
		(void)!unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	rmdir(dir);
}

static const char *in_dir(const char *name)
{
	return arena_printf(a, "%s/%s", dir, name);
}

static bool count_rows(void *arg, struct str key, struct str value)
{
	(void)key, (void)value;
	return ++*(int *)arg < 3;
}

static void values_come_back(void)
{
	struct hints *h = open_new();
	struct str v;
	check(!hints_get(h, "retry", STR("k"), a, &v));
	check_int(hints_put(h, "retry", STR("k"), STR("one")), ST_OK);
	check_int(hints_put(h, "callout", STR("k"), STR("")), ST_OK);
	check(hints_get(h, "retry", STR("k"), a, &v));
	check_str(v, "one");
	check(v.taint);
	check(hints_get(h, "callout", STR("k"), a, &v));
	check_str(v, "");
	check_int(hints_del(h, "retry", STR("k")), ST_OK);
	check_int(hints_del(h, "retry", STR("k")), ST_OK);
	check(!hints_get(h, "retry", STR("k"), a, &v));
	check_int(hints_put(h, "retry", STR(""), STR("x")), ST_ERRNO(EINVAL));
	struct str *names;
	size_t n;
	check_int(hints_list(h, a, &names, &n), ST_OK);
	check_int((long long)n, 2);
	check_str(names[0], "callout");
	for (int i = 0; i < 5; i++)
		check_int(hints_put(h, "seen", str_printf(a, "k%d", i), STR("x")), ST_OK);
	int rows = 0;
	check_int(hints_each(h, "seen", count_rows, &rows), ST_OK);
	check_int(rows, 3);
	rows = 0;
	check_int(hints_each(h, "none", count_rows, &rows), ST_OK);
	check_int(rows, 0);
	hints_close(h);
	h = hints_open(dir, false, &why);
	check(h && hints_get(h, "seen", STR("k1"), a, &v));
	hints_close(h);
	remove_dir();
	check(hints_open(dir, false, &why) == NULL);
	check(strstr(why.text, dir) != NULL);
}

static void long_keys_stay_apart(void)
{
	struct hints *h = open_new();
	char *one = arena_alloc(a, 2000), *two = arena_alloc(a, 2000);
	memset(one, 'x', 2000);
	memset(two, 'x', 2000);
	two[1999] = 'y';
	struct str v;
	check_int(hints_put(h, "retry", str_n(one, 2000), STR("1")), ST_OK);
	check_int(hints_put(h, "retry", str_n(two, 2000), STR("2")), ST_OK);
	check(hints_get(h, "retry", str_n(one, 2000), a, &v));
	check_str(v, "1");
	check(hints_get(h, "retry", str_n(two, 2000), a, &v));
	check_str(v, "2");
	hints_close(h);
	remove_dir();
}

static bool add_one(void *arg, struct arena *t, struct str old, struct str *ret)
{
	int64_t n = 0;
	(void)arg;
	if (str_is_set(old))
		must(str_int(old, &n));
	*ret = str_printf(t, "%lld", (long long)n + 1);
	return true;
}

static bool forget(void *arg, struct arena *t, struct str old, struct str *ret)
{
	(void)t, (void)ret;
	*(bool *)arg = str_is_set(old);
	return true;
}

enum { WRITERS = 4, TIMES = 100 };

static void *count_up(void *arg)
{
	for (int i = 0; i < TIMES; i++)
		must(hints_update(arg, "ratelimit", STR("n"), add_one, NULL) == ST_OK);
	return NULL;
}

static void counters_add_up_over_threads_and_processes(void)
{
	snprintf(dir, sizeof dir, "/tmp/eximius-hints-XXXXXX");
	must(mkdtemp(dir) != NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct hints *mine = hints_open(dir, true, NULL);
		count_up(mine);
		hints_close(mine);
		_exit(0);
	}
	struct hints *h = hints_open(dir, true, &why);
	check(h != NULL);
	pthread_t t[WRITERS];
	for (int i = 0; i < WRITERS; i++)
		check_int(pthread_create(&t[i], NULL, count_up, h), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(t[i], NULL);
	int status;
	check_int(waitpid(pid, &status, 0), pid);
	check_int(status, 0);
	struct str v;
	check(hints_get(h, "ratelimit", STR("n"), a, &v));
	check_str(v, "500");
	bool was = false;
	check_int(hints_update(h, "ratelimit", STR("n"), forget, &was), ST_OK);
	check(was);
	check(!hints_get(h, "ratelimit", STR("n"), a, &v));
	hints_close(h);
	remove_dir();
}

static void the_map_grows(void)
{
	struct hints *h = open_new();
	char *big = arena_alloc(a, 100000);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		/* Another process makes it larger than our map. */
		struct hints *mine = hints_open(dir, false, NULL);
		for (int i = 0; i < 400; i++)
			if (!mine || hints_put(mine, "tls", str_printf(a, "k%d", i), str_n(big, 100000)) != ST_OK)
				_exit(1);
		hints_close(mine);
		_exit(0);
	}
	int status;
	check_int(waitpid(pid, &status, 0), pid);
	check_int(status, 0);
	struct str v;
	check(hints_get(h, "tls", STR("k399"), a, &v));
	check_int(v.len, 100000);
	for (int i = 0; i < 400; i++)
		check_int(hints_put(h, "tls", str_printf(a, "m%d", i), str_n(big, 100000)), ST_OK);
	hints_close(h);
	remove_dir();
}

static void a_broken_file_is_set_aside(void)
{
	struct hints *h = open_new();
	check_int(hints_put(h, "retry", STR("k"), STR("v")), ST_OK);
	hints_close(h);
	int fd = open(in_dir("hints.mdb"), O_WRONLY);
	char junk[9000];
	memset(junk, 'J', sizeof junk);
	check_int(write(fd, junk, sizeof junk), sizeof junk);
	close(fd);
	h = hints_open(dir, true, &why);
	check(h != NULL);
	struct str v;
	check(!hints_get(h, "retry", STR("k"), a, &v));
	check_int(hints_put(h, "retry", STR("k"), STR("v2")), ST_OK);
	check(hints_get(h, "retry", STR("k"), a, &v));
	check_int(access(in_dir("hints.mdb.broken"), F_OK), 0);
	hints_close(h);
	remove_dir();
}

/* Overwrite n bytes at `at`, pretend an earlier boot, open; the store must be usable. Returns whether
 * it was set aside; if not (the page was a free one), all must be there. */
static bool damage(off_t at, size_t n, off_t cut)
{
	struct hints *h = open_new();
	char junk[4096];
	memset(junk, 0xA5, sizeof junk);
	for (int i = 0; i < 300; i++)
		check_int(hints_put(h, i % 2 ? "retry" : "seen", str_printf(a, "k%d", i), str_n(junk, 200)), ST_OK);
	hints_close(h);
	int fd = open(in_dir("hints.mdb"), O_RDWR);
	check_int(pwrite(fd, junk, n, at), (long long)n);
	if (cut)
		check_int(ftruncate(fd, cut), 0);
	close(fd);
	check_int(unlink(in_dir("hints.boot")), 0);
	h = hints_open(dir, true, &why);
	check(h != NULL);
	struct str v;
	check_int(hints_put(h, "retry", STR("new"), STR("v")), ST_OK);
	check(hints_get(h, "retry", STR("new"), a, &v));
	bool aside = access(in_dir("hints.mdb.broken"), F_OK) == 0;
	int there = 0;
	for (int i = 0; i < 300; i++)
		there += hints_get(h, i % 2 ? "retry" : "seen", str_printf(a, "k%d", i), a, &v);
	check_int(there, aside ? 0 : 300);
	hints_close(h);
	remove_dir();
	return aside;
}

static void damage_of_a_crash_is_found(void)
{
	int aside = 0;
	check(damage(0, 4096, 16384));
	check(damage(8, 1, 8192)); /* cut behind the meta pages */
	for (off_t page = 2; page < 60; page++)
		aside += damage(page * 4096 + 8, 4000, 0);
	check(aside > 5);
}

static void files_belong_to_the_folders_owner(void)
{
	if (geteuid() != 0)
		return;
	snprintf(dir, sizeof dir, "/tmp/eximius-hints-XXXXXX");
	must(mkdtemp(dir) != NULL && chown(dir, 12345, 12345) == 0);
	struct hints *h = hints_open(dir, true, &why);
	struct stat st;
	check(h && stat(in_dir("hints.mdb"), &st) == 0);
	check_int(st.st_uid, 12345);
	check(stat(in_dir("hints.mdb-lock"), &st) == 0);
	check_int(st.st_gid, 12345);
	hints_close(h);
	remove_dir();
}

int main(void)
{
	static const struct test_row rows[] = {{"values come back", values_come_back}, {"long keys stay apart", long_keys_stay_apart},
		{"counters add up over threads and processes", counters_add_up_over_threads_and_processes},
		{"the map grows", the_map_grows}, {"a broken file is set aside", a_broken_file_is_set_aside},
		{"damage of a crash is found", damage_of_a_crash_is_found},
		{"files belong to the folder's owner", files_belong_to_the_folders_owner}};
	a = arena_new("t", 256u << 20, 0, 0);
	int rc = test_main(rows, countof(rows));
	arena_free(a);
	return rc;
}
