/* SPDX-License-Identifier: Apache-2.0
 * ${readfile and ${readsocket (manual 11.5). */
#include "expand/tree.h"
#include "base/limits.h"
#include "lookup/match.h"
#include "net/resolver.h"
#include "net/stream.h"
#include "net/tls.h"
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>
#include "base/banned.h"

/* Text with every newline replaced by eol, when that is given. */
static void put_lines(struct strbuf *out, const char *p, size_t n, const struct str *eol)
{
	if (!eol) {
		sb_addn(out, p, n);
		return;
	}
	while (n) {
		const char *nl = memchr(p, '\n', n);
		size_t part = nl ? (size_t)(nl - p) : n;
		sb_addn(out, p, part);
		if (!nl)
			return;
		sb_add(out, *eol);
		n -= part + 1;
		p = nl + 1;
	}
}

static enum expand_status run_readfile(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	char buf[8192];

	if (ev->forbid & EVAL_FORBID_READFILE)
		return expand_fail(ev, "file insertions are not permitted");
	if (!expand_untainted(ev, arg[0], "filename for readfile"))
		return EXPAND_FAILED;
	int fd = open(str_cstr(ev->lx.arena, arg[0]), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return expand_fail(ev, "failed to open %.*s: %s", STR_ARG(arg[0]), strerror(errno));
	for (;;) {
		ssize_t got = read(fd, buf, sizeof buf);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int e = errno;
			close(fd);
			return expand_fail(ev, "failed to read %.*s: %s", STR_ARG(arg[0]), strerror(e));
		}
		if (got == 0 || out->over)
			break;
		put_lines(out, buf, (size_t)got, args > 1 ? &arg[1] : NULL);
	}
	close(fd);
	return EXPAND_OK;
}

/* --- readsocket -------------------------------------------------------------------------------- */
struct socket_opts {
	int64_t timeout_ms;
	bool shutdown, tls;
	struct str sni;
};

static bool read_options(struct eval *ev, struct str text, struct socket_opts *o)
{
	struct str item, rest = text;
	int sep = 0;
	bool first = true;

	while (list_next(ev->lx.arena, &rest, &sep, &item)) {
		struct str value, name = str_cut(item, '=', &value);
		if (first) {
			int64_t s = interval_parse(item);
			if (s < 0) {
				expand_fail(ev, "bad time value %.*s", STR_ARG(item));
				return false;
			}
			o->timeout_ms = s * 1000;
			first = false;
		} else if (str_eqc(name, "shutdown")) {
			o->shutdown = !str_ieqc(value, "no");
		} else if (str_eqc(name, "tls")) {
			o->tls = o->tls || str_ieqc(value, "yes");
		} else if (str_eqc(name, "sni")) {
			o->sni = value;
			o->tls = o->tls || !str_empty(value);
		} else if (!str_eqc(name, "cache")) {
			expand_fail(ev, "bad option '%.*s' for readsocket", STR_ARG(item));
			return false;
		}
	}
	return true;
}

static bool open_inet(struct eval *ev, struct str spec, const struct socket_opts *o, struct stream **ret)
{
	ptrdiff_t at = str_rchr(spec, ':');
	struct str host = at < 0 ? spec : str_sub(spec, 0, (size_t)at), port = at < 0 ? STR_NONE : str_from(spec, (size_t)at + 1);
	struct connect_opts co = {.timeout_ms = o->timeout_ms, .dscp = -1};
	struct ip_addr ip, *list = &ip;
	size_t count = 1;
	uint64_t number;
	struct why why = {{0}, 0, false};

	if (at < 0) {
		expand_fail(ev, "missing port for readsocket %.*s", STR_ARG(spec));
		return false;
	}
	if (!str_uint(port, 65535, &number)) {
		struct servent se, *found = NULL;
		char buf[1024];
		if (getservbyname_r(str_cstr(ev->lx.arena, port), "tcp", &se, buf, sizeof buf, &found) != 0 || !found) {
			expand_fail(ev, "unknown port \"%.*s\"", STR_ARG(port));
			return false;
		}
		number = ntohs((uint16_t)found->s_port);
	}
	if (host.len > 1 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = str_sub(host, 1, host.len - 2);
	if (!ip_parse(host, &ip)) {
		struct dns_result *r = ev->lx.env->resolver ? host_by_name(ev->lx.env->resolver, ev->lx.arena, host, true, true) : NULL;
		if (!r || r->answer != DNS_FOUND) {
			expand_fail(ev, "no IP address found for host %.*s", STR_ARG(host));
			return false;
		}
		count = r->count;
		list = arena_array_of(ev->lx.arena, count + 1, struct ip_addr);
		for (size_t i = 0; i < count; i++)
			list[i] = r->record[i].ip;
	}
	for (size_t i = 0; i < count; i++)
		if (net_connect(&list[i], (int)number, &co, ret, &why) == ST_OK)
			return true;
	expand_fail(ev, "failed to connect to any address for %.*s: %s", STR_ARG(host), why.text);
	return false;
}

static bool open_socket(struct eval *ev, struct str name, const struct socket_opts *o, struct stream **ret)
{
	struct why why = {{0}, 0, false};

	if (!expand_untainted(ev, name, "filename for readsocket"))
		return false;
	if (str_starts(name, "inet:"))
		return open_inet(ev, str_from(name, 5), o, ret);
	if (net_connect_unix(str_cstr(ev->lx.arena, name), o->timeout_ms, ret, &why) == ST_OK)
		return true;
	expand_fail(ev, "failed to connect to socket %.*s: %s", STR_ARG(name), strerror(why.errnum ? why.errnum : ECONNREFUSED));
	return false;
}

static bool start_tls(struct eval *ev, struct stream *s, const struct socket_opts *o)
{
	struct tls_client_settings set = {.sni = o->sni, .verify = TLS_VERIFY_NO};
	struct why why = {{0}, 0, false};

	if (tls_connect(ev->lx.env, s, &set, o->timeout_ms, &why) == ST_OK)
		return true;
	expand_fail(ev, "TLS connect failed: %s", why.text);
	return false;
}

static bool talk(struct eval *ev, struct stream *s, const struct str *arg, unsigned args, const struct socket_opts *o, struct strbuf *out)
{
	stream_set_timeout(s, o->timeout_ms);
	if (!str_empty(arg[1]) && (stream_put(s, arg[1]) != ST_OK || stream_flush(s) != ST_OK)) {
		expand_fail(ev, "request write to socket failed: %s", strerror(errno));
		return false;
	}
	if (o->shutdown && !o->tls)
		stream_shutdown_write(s);
	for (;;) {
		struct str got;
		enum status st = stream_peek(s, &got);
		if (st == ST_EOF || out->over)
			return true;
		if (st != ST_OK) {
			expand_fail(ev, st == ST_TIMEOUT ? "socket read timed out" : "socket read failed: %s", status_text(st));
			return false;
		}
		put_lines(out, got.p, got.len, args > 3 ? &arg[3] : NULL);
		stream_consume(s, got.len);
	}
}

static void parse_readsocket(struct xparser *x, struct xnode *n)
{
	if (!xparse_args(x, n, 2, 4, false))
		return;
	n->late = true;
	if (xparse_take(x, '{'))
		n->no = xparse_braced(x);
	xparse_space(x);
	if (!x->failed && !xparse_take(x, '}'))
		xparse_error(x, xparse_at(x, '{') ? "Too many arguments for 'readsocket' (max is 5)" : "missing '}' closing readsocket");
}

static enum expand_status run_readsocket(struct eval *ev, const struct xnode *n, const struct str *arg, unsigned args, struct strbuf *out)
{
	struct socket_opts o = {.timeout_ms = 5000, .shutdown = true};
	struct stream *s = NULL;
	struct strbuf sb;

	if (ev->forbid & EVAL_FORBID_READSOCKET)
		return expand_fail(ev, "socket insertions are not permitted");
	if (args > 2 && !str_empty(arg[2]) && !read_options(ev, arg[2], &o))
		return EXPAND_FAILED;
	sb_init(&sb, ev->lx.arena, LIMIT_EXPANSION);
	bool ok = open_socket(ev, arg[0], &o, &s) && (!o.tls || start_tls(ev, s, &o)) && talk(ev, s, arg, args, &o, &sb);
	stream_close(s);
	if (!ok)
		return n->no ? xeval_into(ev, n->no, out) : EXPAND_FAILED;
	struct str got = sb_str(&sb);
	got.taint = 1;
	sb_add(out, got);
	return xskip(ev, n, n->no);
}

const struct expand_item items_file[] = {
    {.name = "readfile", .min_args = 1, .max_args = 2, .run = run_readfile},
    {.name = "readsocket", .parse = parse_readsocket, .run = run_readsocket},
    {0},
};
