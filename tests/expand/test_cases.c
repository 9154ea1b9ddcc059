/* SPDX-License-Identifier: Apache-2.0
 * The recorded answers of shared/conformance/expansions, each case evaluated in this process as
 * -be and -bem do. tests/expand/excluded.txt names those that cannot pass, with the reason; every
 * other case must be equal byte for byte, and every case must end without a crash. */
#include "acl/acl.h"
#include "expand/expand.h"
#include "lookup/lookup.h"
#include "test.h"
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static bool (*const hooks[])(struct config *cfg, struct env *env, struct why *why) = {expand_compile_all, match_compile_all, acl_compile_all};
static const struct expand_var *const var_sets[] = {acl_vars, NULL};
static const struct expand_item *const item_sets[] = {acl_items, NULL};
static const struct expand_condition_row *const condition_sets[] = {acl_conditions, NULL};
static const struct expand_registry registry = {.var_sets = var_sets, .item_sets = item_sets, .condition_sets = condition_sets};
static const struct config_schema schema = {.expand = &registry, .compile = hooks, .compile_count = countof(hooks)};

enum { LINE_MAX_CASE = 65536 };

struct bench {
	struct env env;
	struct arena *a;
	struct config *cfg;
	char folder[512];
	struct str excluded;
	int equal, total;
};

static struct str read_file(struct arena *a, const char *path)
{
	struct stat sb;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &sb) < 0)
		return STR_NONE;
	char *p = arena_alloc(a, (size_t)sb.st_size + 1);
	ssize_t n = read(fd, p, (size_t)sb.st_size);
	close(fd);
	return n < 0 ? STR_NONE : str_n(p, (size_t)n);
}

static struct str with_data(struct bench *b, struct str s)
{
	struct strbuf sb;
	ptrdiff_t at;

	sb_init(&sb, b->a, 1u << 20);
	while ((at = str_find(s, STR("@DATA@"))) >= 0) {
		sb_add(&sb, str_sub(s, 0, (size_t)at));
		sb_printf(&sb, "%s/data", b->folder);
		s = str_from(s, (size_t)at + 6);
	}
	sb_add(&sb, s);
	return sb_str(&sb);
}

/* "10.1.2.3.2525": an address with a port behind a dot. */
static void set_address(struct arena *a, const char *text, struct str *ret_address, int *ret_port)
{
	struct str s = str_c(text);
	int dots = 0;

	for (uint32_t i = 0; i < s.len; i++)
		dots += s.p[i] == '.';
	if (dots == 4 || (str_chr(s, ':') >= 0 && dots == 1)) {
		ptrdiff_t at = str_rchr(s, '.');
		*ret_port = (int)strtol(s.p + at + 1, NULL, 10);
		s = str_sub(s, 0, (size_t)at);
	}
	*ret_address = str_dup(a, s);
}

static void set_args(struct bench *b, struct message *m, const json_t *args)
{
	size_t n = json_array_size(args);

	m->peer.ident = STR("root");
	m->sender = STR("root@test.ex");
	m->peer.auth_sender = STR("root@test.ex");
	m->peer.auth_id = STR("root");
	for (size_t i = 0; i + 1 < n; i += 2) {
		const char *o = json_string_value(json_array_get(args, i)), *v = json_string_value(json_array_get(args, i + 1));
		struct str value = str_dup(b->a, str_c(v));
		if (strcmp(o, "-oMa") == 0)
			set_address(b->a, v, &m->peer.host_address, &m->peer.host_port);
		else if (strcmp(o, "-oMi") == 0)
			set_address(b->a, v, &m->peer.interface_address, &m->peer.interface_port);
		else if (strcmp(o, "-oMs") == 0)
			m->peer.host_name = value;
		else if (strcmp(o, "-oMr") == 0)
			m->peer.received_protocol = value;
		else if (strcmp(o, "-oMaa") == 0)
			m->peer.auth_name = value;
		else if (strcmp(o, "-oMai") == 0)
			m->peer.auth_id = value;
		else if (strcmp(o, "-oMas") == 0)
			m->peer.auth_sender = value;
		else if (strcmp(o, "-oMt") == 0)
			m->peer.ident = value;
	}
}

static void set_message(struct bench *b, struct eval *ev, struct message *m, const char *name)
{
	char path[768];

	snprintf(path, sizeof path, "%s/data/%s", b->folder, name);
	struct str text = read_file(b->a, path);
	struct rd r = rd_of(text);
	headers_parse(&m->headers, b->a, &r);
	/* A local submission adds its Received: line. */
	if (m->headers.first)
		headers_add_front(&m->headers, b->a, STR("Received: from root by mail.test.ex; Mon, 1 Jan 2024 00:00:00 +0000\n"), HDR_RECEIVED);
	ev->body_fd = open(path, O_RDONLY | O_CLOEXEC);
	ev->body_offset = (int64_t)(r.p - text.p);
	if (ev->body_offset < (int64_t)text.len && text.p[ev->body_offset] == '\n')
		ev->body_offset++;
	ev->body_size = (int64_t)text.len - ev->body_offset;
}

static void set_time(const json_t *c)
{
	const char *t = json_string_value(json_object_get(c, "faketime"));
	struct tm tm = {0};

	test_clock_set(1767225600000000);
	if (t && sscanf(t, "%d-%d-%d %d:%d:%d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) == 6) {
		tm.tm_year -= 1900;
		tm.tm_mon--;
		test_clock_set((int64_t)timegm(&tm) * 1000000);
	}
}

static struct str answer(struct bench *b, const json_t *c)
{
	struct eval ev;
	struct message *m = message_new(b->a);
	struct str got = STR_NONE, in = with_data(b, str_c(json_string_value(json_object_get(c, "in"))));
	const char *msg = json_string_value(json_object_get(c, "msg"));

	set_time(c);
	eval_init(&ev, b->cfg, &b->env, b->a);
	set_args(b, m, json_object_get(c, "args"));
	if (msg)
		set_message(b, &ev, m, msg);
	eval_set_message(&ev, m);
	enum expand_status st = expand_text(&ev, in, &got);
	if (ev.body_fd >= 0)
		close(ev.body_fd);
	if (st == EXPAND_OK)
		return got;
	return str_printf(b->a, "Failed: %.*s", STR_ARG(ev.lx.error));
}

static struct str wanted(struct bench *b, const json_t *c)
{
	const char *latin = json_string_value(json_object_get(c, "out_latin1")), *out = json_string_value(json_object_get(c, "out"));
	struct strbuf sb;

	if (!latin)
		return with_data(b, str_c(out));
	sb_init(&sb, b->a, 1u << 20);
	for (const unsigned char *p = (const unsigned char *)latin; *p; p++)
	{
		unsigned c1 = *p;
		if (c1 >= 0x80)
			c1 = (c1 & 3) << 6 | (*++p & 0x3fu);
		sb_ch(&sb, (char)c1);
	}
	return sb_str(&sb);
}

static bool is_excluded(struct bench *b, const char *id)
{
	struct str key = str_printf(b->a, "\n%s ", id);

	return str_find(b->excluded, key) >= 0;
}

static void run_file(struct bench *b, const char *name, bool compare)
{
	char path[768], *line = arena_alloc(b->a, LINE_MAX_CASE);
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", b->folder, name);
	f = fopen(path, "r");
	check(f != NULL);
	while (f && fgets(line, LINE_MAX_CASE, f)) {
		json_t *c = json_loads(line, 0, NULL);
		const char *id = json_string_value(json_object_get(c, "id"));
		if (!c || !id) {
			json_decref(c);
			continue;
		}
		struct str got = answer(b, c);
		if (compare) {
			struct str want = wanted(b, c);
			bool same = str_eq(got, want);
			b->total++;
			b->equal += same;
			if (!same && !is_excluded(b, id)) {
				printf("%s %s\n  got  %.*s\n  want %.*s\n", id, json_string_value(json_object_get(c, "in")), STR_ARG(got), STR_ARG(want));
				check(!"case differs");
			}
			if (same && is_excluded(b, id)) {
				printf("%s passes now: take it off excluded.txt\n", id);
				check(!"excluded case passes");
			}
		}
		json_decref(c);
	}
	if (f)
		fclose(f);
}

/* What -be has after keep_environment and add_environment. */
static void set_environment(void)
{
	clearenv();
	setenv("PATH", "/usr/bin:/bin", 1);
	setenv("EXPTEST", "hello world", 1);
	setenv("EXPEMPTY", "", 1);
	setenv("EXPLIST", "a::b::c", 1);
	setenv("TZ", "UTC", 1);
}

static void test_recorded_answers(void)
{
	struct bench b = {0};
	struct why why = {{0}, 0, false};
	char conf[700];
	const char *paths[] = {conf, NULL};
	struct config_source src = {.paths = paths, .exim_uid = -1, .exim_gid = -1};
	struct str text, path;

	if (!test_shared()) {
		printf("no conformance data: nothing compared\n");
		return;
	}
	snprintf(b.folder, sizeof b.folder, "%s/conformance/expansions", test_shared());
	char *real = realpath(b.folder, NULL);
	snprintf(b.folder, sizeof b.folder, "%s", real);
	free(real);
	snprintf(conf, sizeof conf, "%s/exim.conf", b.folder);
	test_env(&b.env);
	b.env.lookups = lookup_cache_new();
	b.a = arena_new("cases", 1u << 30, 1 << 20, 0);
	b.excluded = read_file(b.a, "tests/expand/excluded.txt");
	check(config_gather(&src, b.a, &text, &path, &why) == ST_OK);
	b.cfg = config_parse(&schema, &b.env, text, path, &src, &why);
	if (!b.cfg)
		printf("%s\n", why.text);
	check(b.cfg != NULL);
	set_environment();
	if (b.cfg) {
		run_file(&b, "ok.jsonl", true);
		run_file(&b, "failed.jsonl", true);
		run_file(&b, "crash.jsonl", false);
		config_unref(b.cfg);
	}
	printf("%d of %d recorded answers equal\n", b.equal, b.total);
	lookup_cache_free(b.env.lookups);
	arena_free(b.a);
	test_env_done(&b.env);
}

TEST_MAIN({"recorded answers of -be", test_recorded_answers})
