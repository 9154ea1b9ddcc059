/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "hints/hints.h"
#include "message/address.h"
#include "sasl/sasl.h"
#include <ftw.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct expand_var *const var_sets[] = {acl_vars, sasl_vars, NULL};
static const struct expand_item *const item_sets[] = {acl_items, NULL};
static const struct expand_condition_row *const condition_sets[] = {acl_conditions, NULL};
static const struct expand_registry registry = {.var_sets = var_sets, .item_sets = item_sets, .condition_sets = condition_sets};
static bool (*const hooks[])(struct config *cfg, struct env *env, struct why *why) = {expand_compile_all, match_compile_all, acl_compile_all};
static const struct config_schema schema = {.expand = &registry, .compile = hooks, .compile_count = countof(hooks)};

static const char zone[] =
    "2.0.0.10.bl.ex 60 A 127.0.0.2\n2.0.0.10.bl.ex 60 A 127.0.0.4\n2.0.0.10.bl.ex 60 TXT \"listed here\"\n"
    "2.0.0.10.lost.ex 60 A 192.0.2.1\n"
    "2.0.0.10.merged.ex 60 A 127.0.0.10\n2.0.0.10.one.ex 60 A 127.0.0.1\n2.0.0.10.one.ex 60 TXT \"one says\"\n"
    "9.0.0.10.bl.ex 60 A 127.0.0.3\nname.ex.rhs.ex 60 A 127.0.0.5\n"
    "2.0.0.10.tmp.ex AGAIN\n"
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.bl.ex 60 A 127.0.0.6\n"
    "host.ex 60 A 10.0.0.2\n2.0.0.10.in-addr.arpa 60 PTR host.ex\n";

bool fixture_load(struct fixture *x, const char *main, const char *acl, struct why *why)
{
	char *text = NULL;
	static const char common[] = "primary_hostname = mail.ex\nqualify_domain = q.ex\n"
	    "domainlist local = loc.ex : *.loc.ex\nhostlist relay = 10.0.0.0/24 : 2001:db8::/32\naddresslist vip = boss@loc.ex\n";

	*x = (struct fixture){.log_fd = -1};
	test_env(&x->env);
	snprintf(x->dir, sizeof x->dir, "/tmp/test_acl.XXXXXX");
	if (!mkdtemp(x->dir) || asprintf(&text, "%s%s\nbegin acl\n%s", common, main, acl) < 0)
		return false;
	x->env.resolver = resolver_new_fake(str_c(zone), why);
	x->env.hints = hints_open(x->dir, true, why);
	x->log_fd = memfd_create("log", MFD_CLOEXEC);
	log_copy_to(x->env.log, x->log_fd);
	x->a = arena_new("test", 1u << 26, 0, 0);
	x->cfg = config_parse(&schema, &x->env, str_c(text), STR("/etc/x.conf"), NULL, why);
	free(text);
	if (!x->cfg)
		return false;
	eval_init(&x->ev, x->cfg, &x->env, x->a);
	x->peer.host_address = STR("10.0.0.2");
	x->peer.helo = STR("c.ex");
	acl_connection_init(&x->conn, x->a);
	eval_set_peer(&x->ev, &x->peer);
	fixture_rcpt(x, "s@s.ex", "Good@loc.ex");
	return true;
}

static int remove_one(const char *path, const struct stat *sb, int type, struct FTW *ftw)
{
	(void)sb, (void)type, (void)ftw;
	return remove(path);
}

void fixture_done(struct fixture *x)
{
	if (x->cfg)
		config_unref(x->cfg);
	hints_close(x->env.hints);
	resolver_free(x->env.resolver);
	arena_free(x->a);
	test_env_done(&x->env);
	if (x->log_fd >= 0)
		close(x->log_fd);
	nftw(x->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void fixture_rcpt(struct fixture *x, const char *sender, const char *recipient)
{
	struct addr_parts p = addr_split(str_tainted(str_c(recipient)));

	x->m = message_new(x->a);
	x->m->sender = str_tainted(str_c(sender));
	x->m->sender_set = true;
	x->m->size = -1;
	eval_set_message(&x->ev, x->m);
	acl_transaction_init(&x->tx, x->a);
	acl_effects_next(&x->effects);
	x->view = (struct addr_view){.local_part = str_lower(x->a, p.local_part), .domain = p.domain};
	x->f = (struct acl_frame){.effects = &x->effects, .tx = &x->tx, .conn = &x->conn, .recipient = str_tainted(str_c(recipient)),
	    .test_host = true, .smtp_command = str_tainted(STR("RCPT TO:<x>")), .smtp_argument = str_tainted(STR("TO:<x>"))};
	x->ev.space[SPACE_ADDRESS] = &x->view;
}

enum acl_verdict fixture_run(struct fixture *x, enum acl_where where, const char *acl)
{
	struct xstr option = {.text = str_c(acl)};

	x->f.where = where;
	x->f.command_rates = (struct map){0};
	return acl_run(&x->ev, &x->f, &option, &x->user, &x->log);
}

struct str fixture_logged(struct fixture *x)
{
	char *buf = arena_alloc(x->a, 65536);
	ssize_t n = pread(x->log_fd, buf, 65535, 0);
	struct strbuf sb;
	struct str rest = str_n(buf, n > 0 ? (size_t)n : 0), line, last = STR_NONE;

	sb_init(&sb, x->a, 65536);
	while (rest.len) {
		line = str_cut(rest, '\n', &rest);
		if (line.len <= 20)
			continue;
		/* main and panic log get the same line */
		if (!str_eq(str_from(line, 20), last))
			sb_printf(&sb, "%s%.*s", sb.len ? "|" : "", STR_ARG(str_from(line, 20)));
		last = str_from(line, 20);
	}
	if (ftruncate(x->log_fd, 0) != 0 || lseek(x->log_fd, 0, SEEK_SET) != 0)
		return STR("?");
	return sb_str(&sb);
}

struct str fixture_expand(struct fixture *x, const char *text)
{
	struct str s = STR_NONE;

	x->ev.space[SPACE_ACL] = &x->f;
	if (expand_text(&x->ev, str_c(text), &s) != EXPAND_OK)
		s = x->ev.lx.error;
	x->ev.space[SPACE_ACL] = NULL;
	return s;
}
