/* SPDX-License-Identifier: Apache-2.0
 * A policy that takes everything and writes down what it was asked, and a session over a socket
 * pair whose far end the test holds. */
#pragma once
#include "smtp/server.h"


#include <sys/socket.h>
#include <unistd.h>

struct fake {
	struct arena *arena;
	struct stream *stream;
	struct smtp_session *ss;
	struct strbuf told;    /* "mail a@b;rcpt c@d;data;..." */
	struct strbuf body;
	int far;
	bool has_sender;
};

static struct smtp_answer f_connect(void *arg)
{
	return (struct smtp_answer){.code = 220, .text = STR("test ESMTP")};
}
static struct smtp_answer f_helo(void *arg, struct str name, bool ehlo)
{
	struct fake *f = arg;
	sb_printf(&f->told, "%s %.*s;", ehlo ? "ehlo" : "helo", STR_ARG(name));
	f->has_sender = false;
	smtp_session_opts(f->ss)->pipelining = smtp_session_opts(f->ss)->chunking = ehlo;
	return (struct smtp_answer){.code = 250, .text = ehlo ? STR("hi\nPIPELINING\nHELP") : STR("hi")};
}
static struct smtp_answer f_mail(void *arg, const struct smtp_path_cmd *c)
{
	struct fake *f = arg;
	sb_printf(&f->told, "mail %.*s[%.*s];", STR_ARG(c->address), STR_ARG(c->params));
	f->has_sender = true;
	return (struct smtp_answer){0};
}
static struct smtp_answer f_rcpt(void *arg, const struct smtp_path_cmd *c)
{
	struct fake *f = arg;
	sb_printf(&f->told, "rcpt %.*s[%.*s];", STR_ARG(c->address), STR_ARG(c->params));
	if (!f->has_sender)
		return (struct smtp_answer){.code = 503, .text = STR("sender not yet given"), .fault = SMTP_PROTOCOL_ERROR};
	return (struct smtp_answer){0};
}
static struct smtp_answer f_data_begin(void *arg, bool bdat)
{
	struct fake *f = arg;
	sb_addc(&f->told, bdat ? "bdat;" : "data;");
	if (!f->has_sender)
		return (struct smtp_answer){.code = 503, .text = STR("valid RCPT command must precede DATA"), .fault = SMTP_PROTOCOL_ERROR};
	return (struct smtp_answer){.code = 354};
}
static bool f_chunk(void *arg, const char *p, size_t n)
{
	struct fake *f = arg;
	sb_addn(&f->body, p, n);
	return true;
}
static struct smtp_answer f_data_end(void *arg, enum smtp_eod how)
{
	struct fake *f = arg;
	sb_printf(&f->told, "end %d;", how);
	f->has_sender = false;
	if (how == SMTP_EOD_BARE)
		return (struct smtp_answer){.code = 550, .text = STR("5.5.2 bare")};
	return (struct smtp_answer){.code = how == SMTP_EOD_OK ? 250 : 421, .text = STR("OK id=x")};
}
static struct smtp_answer f_starttls(void *arg)
{
	return (struct smtp_answer){0};
}
static bool f_tls_accept(void *arg)
{
	struct fake *f = arg;
	sb_addc(&f->told, "tls;");
	return true;
}
static struct smtp_answer f_auth(void *arg, struct str mechanism, struct str initial)
{
	struct fake *f = arg;
	struct str line;
	if (smtp_session_challenge(f->ss, STR("Zm9v"), f->arena, &line) != ST_OK)
		return (struct smtp_answer){.code = 501, .text = STR("failed")};
	sb_printf(&f->told, "auth %.*s %.*s;", STR_ARG(mechanism), STR_ARG(line));
	return (struct smtp_answer){0};
}
static struct smtp_answer f_rset(void *arg)
{
	struct fake *f = arg;
	f->has_sender = false;
	return (struct smtp_answer){0};
}
static struct smtp_answer f_text(void *arg, struct str text)
{
	return (struct smtp_answer){.code = 252, .text = text};
}
static struct smtp_answer f_quit(void *arg)
{
	return (struct smtp_answer){.code = 221, .text = STR("bye")};
}
static void f_lost(void *arg, const char *how)
{
	struct fake *f = arg;
	sb_printf(&f->told, "lost %s;", how);
}
static void f_trouble(void *arg, enum smtp_trouble kind, struct str detail)
{
	struct fake *f = arg;
	sb_printf(&f->told, "trouble %d;", kind);
}
static const struct smtp_policy fake_policy = {.connect = f_connect, .helo = f_helo, .mail = f_mail,
	.rcpt = f_rcpt, .data_begin = f_data_begin, .data_chunk = f_chunk, .data_end = f_data_end,
	.starttls = f_starttls, .tls_accept = f_tls_accept, .auth = f_auth, .rset = f_rset, .vrfy = f_text,
	.help = f_text, .quit = f_quit, .lost = f_lost, .protocol_error = f_trouble};

static inline void fake_open(struct fake *f, const struct smtp_server_opts *o)
{
	int fd[2];
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) == 0);
	*f = (struct fake){.far = fd[1], .arena = arena_new("fake", 64u << 20, 0, 0)};
	f->stream = stream_new(fd[0], fd[0]);
	sb_init(&f->told, f->arena, 1u << 20);
	sb_init(&f->body, f->arena, 16u << 20);
	f->ss = smtp_session_new(f->arena, f->stream, &fake_policy, f, o);
}
static inline void fake_close(struct fake *f)
{
	stream_drop(f->stream);
	if (f->far >= 0)
		close(f->far);
	arena_free(f->arena);
}
