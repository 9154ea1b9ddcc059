/* SPDX-License-Identifier: Apache-2.0
 * The real backend: libunbound with one background thread for the whole process, made at the first
 * query. Callers hand in a question and wait; one of them watches the library's descriptor and
 * runs the callbacks for all (as ipc/agent_client.c does), so a query starts no thread.
 *
 * Validation: with a trust anchor that was named, always. With the system's root key, when what
 * answers us can deliver a validated root key set: a plain forwarder that strips DNSSEC would
 * otherwise turn every name into a failure. Which it is, is asked with a strict context at the first
 * query and, while the answer was no, again every RECHECK_MS; once yes, it stays strict. */
#include "net/resolver_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unbound.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/list.h"
#include "base/banned.h"

#define TRIES 4       /* like the C library: 2 attempts, with a doubled time */
#define RETRANS_S 5
#define RECHECK_MS 600000

/* One question. On the heap: when its asker gave up, the callback still comes. */
struct question {
	struct list link;
	struct unbound *u;
	pthread_cond_t woken;
	bool done, abandoned;
	int err;
	struct ub_result *result;
};

struct unbound {
	struct resolver *resolver;
	const char *forward, *root_key;
	bool dnssec;
	int64_t patience_ms;
	pthread_mutex_t lock;
	struct ub_ctx *ctx;
	char fault[200];
	bool watching; /* someone is at the library's descriptor */
	struct list questions;
	unsigned asking;     /* calls inside the library: the context must not be swapped under them */
	bool validating;     /* ctx checks signatures */
	bool probing;        /* one thread finds out whether it can */
	pthread_cond_t probed;
	int64_t recheck_at;
};

static const char *const system_keys[] = {"/var/lib/unbound/root.key", "/usr/share/dns/root.key", "/etc/unbound/root.key",
	"/etc/trusted-key.key"};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void *unbound_new(const struct resolver_opts *o, struct resolver *r)
{
	struct unbound *u = calloc(1, sizeof *u);
	must(u != NULL);
	u->resolver = r;
	u->forward = o->forward ? arena_cstr(r->arena, o->forward, strlen(o->forward)) : NULL;
	u->root_key = o->root_key ? arena_cstr(r->arena, o->root_key, strlen(o->root_key)) : NULL;
	u->dnssec = o->dnssec || o->root_key;
	u->patience_ms = (int64_t)(o->retrans_s > 0 ? o->retrans_s : RETRANS_S) * (o->retry > 0 ? o->retry : TRIES) * 1000;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->probed, NULL);
	list_init(&u->questions);
	return u;
}

static void question_free(struct question *q)
{
	ub_resolve_free(q->result);
	pthread_cond_destroy(&q->woken);
	free(q);
}

static void unbound_release(void *data)
{
	struct unbound *u = data;
	if (u->ctx)
		ub_ctx_delete(u->ctx);
	list_each_safe(at, next, &u->questions)
		question_free(list_entry(at, struct question, link));
	pthread_cond_destroy(&u->probed);
	pthread_mutex_destroy(&u->lock);
	free(u);
}

static bool set(struct unbound *u, int err, const char *what)
{
	if (err == 0)
		return true;
	snprintf(u->fault, sizeof u->fault, "resolver: %s: %s", what, ub_strerror(err));
	return false;
}

static bool set_options(struct unbound *u, struct ub_ctx *ctx)
{
	static const char *const options[][2] = {
		{"do-not-query-localhost:", "no"}, /* resolv.conf often names 127.0.0.1 */
		{"unblock-lan-zones:", "yes"},     /* 10.in-addr.arpa and the like are the site's to answer */
		{"insecure-lan-zones:", "yes"},
		{"infra-host-ttl:", "60"},         /* a forwarder that was down is tried again soon */
		{"infra-keep-probing:", "yes"},
		{"cache-max-negative-ttl:", "300"},
		{"so-rcvbuf:", "0"},
		{"use-syslog:", "no"},
		{"msg-cache-size:", "16m"},
		{"rrset-cache-size:", "32m"},
	};
	for (size_t i = 0; i < countof(options); i++)
		if (!set(u, ub_ctx_set_option(ctx, options[i][0], options[i][1]), options[i][0]))
			return false;
	return true;
}

static bool set_servers(struct unbound *u, struct ub_ctx *ctx)
{
	if (u->forward)
		return set(u, ub_ctx_set_fwd(ctx, u->forward), u->forward);
	const struct resolv_conf *c = resolver_conf(u->resolver);
	for (size_t i = 0; i < c->servers; i++)
		if (!set(u, ub_ctx_set_fwd(ctx, c->server[i].p), c->server[i].p))
			return false;
	return true;
}

/* The anchor in use: the one named, else the system's, when validation is wanted. */
static const char *anchor(const struct unbound *u)
{
	if (u->root_key || !u->dnssec)
		return u->root_key;
	for (size_t i = 0; i < countof(system_keys); i++)
		if (access(system_keys[i], R_OK) == 0)
			return system_keys[i];
	return NULL;
}

/* A context, strict if a key is given; NULL with u->fault. Other threads may be at work in others. */
static struct ub_ctx *new_context(struct unbound *u, const char *key)
{
	/* Zones that the library answers by itself and a site may well serve (RFC 6761's test., too). */
	static const char *const zones[] = {"test.", "localhost.", "127.in-addr.arpa.", "home.arpa.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa."};
	struct ub_ctx *ctx = ub_ctx_create();
	bool good = ctx != NULL && set_options(u, ctx) && set_servers(u, ctx) && set(u, ub_ctx_async(ctx, 1), "threads");
	if (good && key)
		good = set(u, ub_ctx_add_ta_file(ctx, key), key);
	else if (good)
		good = set(u, ub_ctx_set_option(ctx, "module-config:", "iterator"), "module-config");
	for (size_t i = 0; i < countof(zones) && good; i++)
		good = set(u, ub_ctx_zone_remove(ctx, zones[i]), zones[i]);
	if (good)
		return ctx;
	if (ctx)
		ub_ctx_delete(ctx);
	else
		snprintf(u->fault, sizeof u->fault, "resolver: out of memory");
	return NULL;
}

struct probe {
	bool done, secure, answered;
};

static void probe_answered(void *arg, int err, struct ub_result *result)
{
	struct probe *p = arg;
	p->done = true;
	p->answered = err == 0 && result && (result->secure || result->bogus || result->rcode == 0);
	p->secure = err == 0 && result && result->secure;
	ub_resolve_free(result);
}

/* Can the other side deliver what validation needs? */
static struct probe try_anchor(struct unbound *u, struct ub_ctx *ctx)
{
	struct probe p = {0};
	int64_t end = now_ms() + u->patience_ms;
	if (ub_resolve_async(ctx, ".", 48 /* DNSKEY */, 1, &p, probe_answered, NULL) != 0)
		return p;
	for (int64_t left; !p.done && (left = end - now_ms()) > 0;) {
		struct pollfd fd = {.fd = ub_fd(ctx), .events = POLLIN};
		if (poll(&fd, 1, (int)left) > 0)
			ub_process(ctx);
	}
	return p;
}

/* Find out about validation; the lock is held on entry and exit, `probing` keeps others out. */
static void decide(struct unbound *u, const char *key)
{
	u->probing = true;
	pthread_mutex_unlock(&u->lock);
	struct ub_ctx *strict = new_context(u, key), *plain = NULL;
	struct probe p = strict ? try_anchor(u, strict) : (struct probe){0};
	if (strict && !p.secure) {
		ub_ctx_delete(strict);
		strict = NULL;
		if (!u->ctx)
			plain = new_context(u, NULL);
	}
	pthread_mutex_lock(&u->lock);
	if (strict && u->ctx && (u->asking || !list_empty(&u->questions))) {
		ub_ctx_delete(strict); /* in use just now: next time */
		strict = NULL;
	} else if (strict) {
		if (u->ctx)
			ub_ctx_delete(u->ctx);
		u->ctx = strict;
		u->validating = true;
	} else if (plain) {
		u->ctx = plain;
	}
	/* No answer at all says nothing about DNSSEC: ask again sooner. */
	u->recheck_at = now_ms() + (p.answered ? RECHECK_MS : RECHECK_MS / 60);
	u->probing = false;
	pthread_cond_broadcast(&u->probed);
}

/* The lock is held. */
static bool ensure_context(struct unbound *u)
{
	while (u->probing && !u->ctx)
		pthread_cond_wait(&u->probed, &u->lock);
	if (u->ctx && (u->validating || u->probing || !u->recheck_at || now_ms() < u->recheck_at))
		return true;
	const char *key = anchor(u);
	if (key && !u->root_key) {
		decide(u, key);
	} else if (!u->ctx) {
		u->ctx = new_context(u, key);
		u->validating = u->ctx && key;
	}
	return u->ctx != NULL;
}

/* libunbound's callback, in whichever thread watches; the lock is not held. */
static void answered(void *arg, int err, struct ub_result *result)
{
	struct question *q = arg;
	struct unbound *u = q->u;
	pthread_mutex_lock(&u->lock);
	q->err = err;
	q->result = result;
	q->done = true;
	pthread_cond_signal(&q->woken);
	if (q->abandoned) {
		list_remove(&q->link);
		question_free(q);
	}
	pthread_mutex_unlock(&u->lock);
}

/* The lock is held on entry and exit. Be the watcher until something came or the time is over. */
static void watch(struct unbound *u, int64_t ms)
{
	struct pollfd p = {.fd = ub_fd(u->ctx), .events = POLLIN};
	u->watching = true;
	pthread_mutex_unlock(&u->lock);
	if (poll(&p, 1, (int)ms) > 0)
		ub_process(u->ctx);
	pthread_mutex_lock(&u->lock);
	u->watching = false;
}

static void pass_the_watch(struct unbound *u)
{
	list_each(at, &u->questions) {
		struct question *q = list_entry(at, struct question, link);
		if (!q->done && !q->abandoned) {
			pthread_cond_signal(&q->woken);
			return;
		}
	}
}

/* The lock is held. Ask and wait; NULL if no answer came in time, or *ret_err. */
static struct question *ask(struct unbound *u, char *name, int type, int *ret_err)
{
	struct question *q = calloc(1, sizeof *q);
	pthread_condattr_t attr;
	must(q != NULL);
	q->u = u;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->woken, &attr);
	pthread_condattr_destroy(&attr);
	list_push(&u->questions, &q->link);
	/* Without our lock: the library has locks of its own, held while it calls back. */
	u->asking++;
	pthread_mutex_unlock(&u->lock);
	int err = ub_resolve_async(u->ctx, name, type, 1, q, answered, NULL);
	pthread_mutex_lock(&u->lock);
	u->asking--;
	*ret_err = err;
	int64_t end = now_ms() + u->patience_ms;
	while (!q->done && err == 0) {
		int64_t left = end - now_ms();
		if (left <= 0)
			break;
		if (!u->watching) {
			watch(u, left);
			continue;
		}
		struct timespec until = {.tv_sec = end / 1000, .tv_nsec = end % 1000 * 1000000};
		pthread_cond_timedwait(&q->woken, &u->lock, &until);
	}
	if (!u->watching)
		pass_the_watch(u);
	if (q->done || err != 0) {
		list_remove(&q->link);
		if (!q->done) {
			question_free(q);
			return NULL;
		}
		return q;
	}
	q->abandoned = true;
	return NULL;
}

static struct dns_result *again(struct dns_result *r, struct arena *a, const char *text)
{
	r->answer = DNS_AGAIN;
	r->why = str_dup(a, str_c(text));
	return r;
}

static struct dns_result *convert(struct arena *a, struct question *q, struct str name, enum dns_type type, bool validated,
    struct dns_result *ret)
{
	const struct ub_result *ub = q->result;
	if (q->err || !ub)
		return again(ret, a, ub_strerror(q->err));
	if (ub->bogus && validated)
		return again(ret, a, ub->why_bogus ? ub->why_bogus : "DNSSEC validation failed");
	if ((ub->rcode != 0 && ub->rcode != 3) || !ub->answer_packet)
		return again(ret, a, ub->rcode == 2 ? "server failure" : ub->rcode == 5 ? "query refused" : "no usable answer");
	if (ub->answer_len < 0 || ub->answer_len > LIMIT_DNS_ANSWER ||
	    !dns_answer_parse(a, str_n(ub->answer_packet, (size_t)ub->answer_len), name, type, ret))
		return again(ret, a, "malformed answer");
	ret->secure = validated && ub->secure;
	if (ret->answer != DNS_FOUND && ub->ttl > 0)
		ret->ttl = (uint32_t)ub->ttl;
	return ret;
}

static struct dns_result *unbound_query(void *data, struct arena *a, struct str name, enum dns_type type)
{
	struct unbound *u = data;
	struct dns_result *ret = arena_new_of(a, struct dns_result);
	char *text = str_cstr(a, name);
	int err = 0;
	pthread_mutex_lock(&u->lock);
	if (!ensure_context(u)) {
		pthread_mutex_unlock(&u->lock);
		return again(ret, a, u->fault);
	}
	bool validated = u->validating;
	struct question *q = ask(u, text, (int)type, &err);
	pthread_mutex_unlock(&u->lock);
	if (!q)
		return again(ret, a, err ? ub_strerror(err) : "timed out");
	ret = convert(a, q, name, type, validated, ret);
	question_free(q);
	/* Without an anchor of ours: the name server's word, as Exim takes it. */
	if (u->dnssec && !validated && ret->answer == DNS_FOUND)
		ret->secure = dns_ad_says(a, u->forward ? str_c(u->forward) : resolver_conf(u->resolver)->server[0], name, type);
	return ret;
}

const struct dns_backend dns_backend_unbound = {.query = unbound_query, .release = unbound_release};
