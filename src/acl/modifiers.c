/* SPDX-License-Identifier: Apache-2.0
 * Modifiers (manual 44.12) but control and the header ones: continue, delay, endpass,
 * log_message, log_reject_target, logwrite, message, queue, set, udpsend. */
#include "acl/conditions.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "base/banned.h"
#include <sys/socket.h>
#include <unistd.h>

void acl_keep(struct map *m, struct arena *a, struct str key, struct str value)
{
	struct str *v = map_get(m, key);

	if (!v) {
		v = arena_new_of(a, struct str);
		map_put(m, str_dup(a, key), v);
	}
	*v = str_is_set(value) ? str_dup(a, value) : STR_NONE;
}

ACL_COND(continue)
{
	(void)r, (void)c, (void)arg;
	return ACL_OK;
}

ACL_COND(endpass)
{
	(void)c, (void)arg;
	r->endpass = true;
	return ACL_OK;
}

ACL_COND(message)
{
	(void)arg;
	r->message = &c->arg;
	return ACL_OK;
}

ACL_COND(log_message)
{
	(void)arg;
	r->log_message = &c->arg;
	return ACL_OK;
}

ACL_COND(delay)
{
	int64_t s = interval_parse(arg);

	(void)c;
	if (s < 0)
		return acl_fault(r, ACL_ERROR, "syntax error in argument for \"delay\" modifier: \"%.*s\" is not a time value",
		    STR_ARG(arg));
	if (s > INT32_MAX)
		s = INT32_MAX;
	if (s == 0)
		return ACL_OK;
	if (r->f->delay)
		r->f->delay(r->f->delay_arg, (int)s, !r->f->effects->no_delay_flush);
	else if (!r->f->test_host)
		nanosleep(&(struct timespec){.tv_sec = (time_t)s}, NULL);
	return ACL_OK;
}

static unsigned log_name(struct str s)
{
	return str_eqc(s, "main") ? LOGTO_MAIN : str_eqc(s, "reject") ? LOGTO_REJECT : str_eqc(s, "panic") ? LOGTO_PANIC : 0;
}

ACL_COND(log_reject_target)
{
	struct str item;
	unsigned where = 0;
	int sep = 0;

	(void)c;
	while (list_next(r->ev->lx.arena, &arg, &sep, &item)) {
		if (!log_name(item))
			log_write(r->ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE,
			    "unknown log name \"%.*s\" in \"log_reject_target\" in %s ACL", STR_ARG(item), acl_where_name(r->f->where));
		where |= log_name(item);
	}
	r->f->effects->log_reject = where;
	return ACL_OK;
}

/* ":main,reject: text"; *text is moved behind it. */
static unsigned logwrite_where(struct str *text)
{
	struct str rest = str_from(*text, 1), names, name;
	unsigned where = 0;
	ptrdiff_t end = str_chr(rest, ':');

	if (end < 0)
		return 0;
	for (names = str_sub(rest, 0, (size_t)end); str_is_set(names);) {
		name = str_trim(str_cut(names, ',', &names));
		if (str_empty(name))
			continue;
		if (!log_name(name))
			return 0;
		where |= log_name(name);
	}
	*text = str_from(rest, (size_t)end + 1);
	return where ? where : LOGTO_MAIN;
}

ACL_COND(logwrite)
{
	unsigned where = LOGTO_MAIN;
	struct str text = arg;

	(void)c;
	if (str_starts(text, ":")) {
		where = logwrite_where(&text);
		if (!where) {
			log_write(r->ev->lx.env->log, LOGTO_MAIN | LOGTO_PANIC, STR_NONE,
			    "unknown log name in \"%.*s\" in \"logwrite\" in %s ACL", STR_ARG(arg), acl_where_name(r->f->where));
			return ACL_OK;
		}
	}
	log_line(r->ev->lx.env->log, where, str_c(r->ev->lx.message ? r->ev->lx.message->id : NULL),
	    acl_log_text(r->ev, str_ltrim(text)));
	return ACL_OK;
}

ACL_COND(queue)
{
	(void)c;
	if (arg.taint)
		return acl_fault(r, ACL_ERROR, "Tainted name '%.*s' for queue not permitted", STR_ARG(arg));
	if (str_chr(arg, '/') >= 0)
		return acl_fault(r, ACL_ERROR, "Directory separator not permitted in queue name: '%.*s'", STR_ARG(arg));
	r->f->effects->queue_name = str_dup(r->f->tx->arena, arg);
	r->f->effects->queue_name_set = true;
	return ACL_OK;
}

/* acl_cNAME lives with the connection, and in the message that it will go with (44.10). */
ACL_COND(set)
{
	struct message *m = r->ev->lx.message;
	struct str name = str_from(c->word, 5);

	if (c->word.p[4] == 'c')
		acl_keep(&r->f->conn->acl_c, r->f->conn->arena, name, str_is_set(arg) ? arg : STR(""));
	if (m)
		acl_keep(c->word.p[4] == 'c' ? &m->acl_c : &m->acl_m, m->arena, name, str_is_set(arg) ? arg : STR(""));
	return ACL_OK;
}

static bool udp_target(struct acl_run *r, struct str host, struct ip_addr *ret)
{
	struct dns_result *d;

	if (ip_parse(host, ret))
		return true;
	if (!r->ev->lx.env->resolver)
		return false;
	d = host_by_name(r->ev->lx.env->resolver, r->ev->lx.arena, host, true, true);
	if (d->answer != DNS_FOUND || d->count == 0)
		return false;
	*ret = d->record[0].ip;
	return true;
}

/* A packet that could not be sent is not worth a message's delay: like a lost one. */
static void udp_send(const struct ip_addr *ip, int port, struct str data)
{
	struct sockaddr_storage ss;
	socklen_t len = ip_to_sockaddr(ip, port, &ss);
	int fd = socket(ip->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	(void)!sendto(fd, data.p, data.len, 0, (struct sockaddr *)&ss, len);
	close(fd);
}

ACL_COND(udpsend)
{
	struct str host, port, data;
	struct ip_addr ip;
	uint64_t n;
	int sep = 0;

	(void)c;
	if (!list_next(r->ev->lx.arena, &arg, &sep, &host))
		return acl_fault(r, ACL_ERROR, "missing destination host in \"udpsend\" modifier");
	if (!list_next(r->ev->lx.arena, &arg, &sep, &port))
		return acl_fault(r, ACL_ERROR, "missing destination port in \"udpsend\" modifier");
	data = str_is_set(arg) ? str_ltrim(arg) : STR_NONE;
	if (str_empty(data))
		return acl_fault(r, ACL_ERROR, "missing datagram payload in \"udpsend\" modifier");
	if (!str_uint(port, 65535, &n) || n == 0)
		return acl_fault(r, ACL_ERROR, "bad destination port in \"udpsend\" modifier");
	if (!udp_target(r, host, &ip))
		return acl_fault(r, ACL_DEFER, "DNS lookup failed in \"udpsend\" modifier");
	udp_send(&ip, (int)n, data);
	return ACL_OK;
}
