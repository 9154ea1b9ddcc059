/* SPDX-License-Identifier: Apache-2.0
 * The process at the other end of the pipe transport (manual 29.3): the message goes in while its
 * output comes out, by one poll, so that neither side can block the other for ever. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transport/drivers/pipe.h"

#include "base/banned.h"

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Milliseconds left, -1 for ever, 0 over. */
static int left(const struct piping *p)
{
	if (p->deadline_ms == 0)
		return -1;
	int64_t ms = p->deadline_ms - now_ms();
	return ms <= 0 ? 0 : ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* Take what the command said; false at its end. */
static bool hear(struct piping *p)
{
	char buf[4096];
	ssize_t n = read(p->from, buf, sizeof buf);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	p->output_size += n;
	sb_addn(&p->output, buf, (size_t)n);
	if (p->o->max_output > 0 && p->output_size > p->o->max_output && !p->killed_for_output) {
		p->killed_for_output = true;
		(void)kill(-p->pid, SIGKILL);
	}
	return true;
}

static void close_output(struct piping *p)
{
	if (p->from >= 0)
		close(p->from);
	p->from = -1;
}

static void kill_it(struct piping *p)
{
	p->timed_out = true;
	(void)kill(-p->pid, SIGKILL);
}

/* Message bytes for the command. False ends the writing: it closed its input, or time is up. */
static bool feed(void *arg, const char *data, size_t n)
{
	struct piping *p = arg;
	while (n) {
		struct pollfd f[2] = {{.fd = p->to, .events = POLLOUT}, {.fd = p->from, .events = POLLIN}};
		int ready = poll(f, 2, left(p));
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0) {
			kill_it(p);
			return errno = ETIMEDOUT, false;
		}
		if (f[1].revents && !hear(p))
			close_output(p);
		if (!f[0].revents)
			continue;
		ssize_t w = write(p->to, data, n);
		if (w < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (w < 0) {
			p->lost_reader = errno == EPIPE;
			return false;
		}
		data += w;
		n -= (size_t)w;
	}
	return true;
}

static bool put_expanded(struct piping *p, const struct xstr *x, const char *what)
{
	struct delivery *d = p->d;
	struct str text;
	if (expand(d->eval, x, &text) != EXPAND_OK) {
		why_set(&p->write_why, true, "Expansion of \"%.*s\" (%s for %s transport) failed", STR_ARG(x->text), what, transport_name(d));
		p->write_why.errnum = DERR_EXPANDFAIL;
		p->write_failed = true;
		return false;
	}
	return str_empty(text) || feed(p, text.p, text.len);
}

static bool put_message(struct piping *p)
{
	struct delivery *d = p->d;
	const struct pipe_options *o = p->o;
	struct message_output out = {.delivery = d, .flags = transport_output_flags(d) | (o->use_crlf ? OUT_CRLF : 0u),
	    .check_string = o->check_string.text, .escape_string = o->escape_string.text, .write = feed, .arg = p, .filter = p->filter};
	if (!str_is_set(out.escape_string))
		out.check_string = STR_NONE;
	if (transport_write_message(&out, &p->write_why))
		return true;
	if (!p->lost_reader && !p->timed_out)
		p->write_failed = true;
	return false;
}

static void write_all(struct piping *p)
{
	const struct pipe_options *o = p->o;
	struct str bsmtp = o->use_bsmtp ? envelope_bsmtp(p->d, o->use_crlf) : STR("");
	if (put_expanded(p, &o->message_prefix, "message_prefix") && (bsmtp.len == 0 || feed(p, bsmtp.p, bsmtp.len)) &&
	    put_message(p) && put_expanded(p, &o->message_suffix, "message_suffix") && o->use_bsmtp)
		(void)feed(p, o->use_crlf ? ".\r\n" : ".\n", o->use_crlf ? 3 : 2);
	close(p->to);
	p->to = -1;
}

/* What it still says, until it closes or time is up. */
static void listen_to_end(struct piping *p)
{
	while (p->from >= 0) {
		struct pollfd f = {.fd = p->from, .events = POLLIN};
		int ready = poll(&f, 1, left(p));
		if (ready < 0 && errno == EINTR)
			continue;
		if (ready == 0 && !p->timed_out)
			kill_it(p);
		if (ready <= 0 || !hear(p))
			close_output(p);
	}
}

static bool start(struct piping *p)
{
	int in[2], out[2];
	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		result_defer(p->d, errno, "unable to create pipe in %s transport", transport_name(p->d));
		return false;
	}
	struct spawn sp = {.argv = p->command.argv, .envp = p->envp, .in = in[0], .out = out[1], .err = out[1], .umask = p->o->umask,
	    .core = p->o->permit_coredump};
	p->pid = spawn_start(&sp, &p->exec_errno);
	int err = errno;
	close(in[0]);
	close(out[1]);
	p->to = in[1];
	p->from = out[0];
	if (p->pid > 0) {
		(void)fcntl(p->to, F_SETFL, fcntl(p->to, F_GETFL) | O_NONBLOCK);
		return true;
	}
	close(p->to);
	close(p->from);
	result_defer(p->d, err, "Failed to create child process for %s transport", transport_name(p->d));
	return false;
}

bool pipe_run_command(struct piping *p, int *ret_status)
{
	sb_init(&p->output, p->d->arena, p->o->max_output > 0 ? (size_t)p->o->max_output + 8192 : 1 << 20);
	p->deadline_ms = p->o->timeout > 0 ? now_ms() + (int64_t)p->o->timeout * 1000 : 0;
	(void)signal(SIGPIPE, SIG_IGN); /* we are a process of our own */
	if (!start(p))
		return false;
	write_all(p);
	if (p->write_failed) /* half a message: it must not be taken for a whole one */
		spawn_kill(p->pid);
	else
		listen_to_end(p);
	close_output(p);
	if (p->write_failed)
		return true;
	if (spawn_wait(p->pid, p->deadline_ms ? (left(p) > 0 ? left(p) : 1) : 0, ret_status) == 0) {
		kill_it(p);
		(void)spawn_wait(p->pid, 0, ret_status);
	}
	(void)kill(-p->pid, SIGKILL); /* what it left behind in its group */
	return true;
}
