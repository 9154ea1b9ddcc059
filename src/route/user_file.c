/* SPDX-License-Identifier: Apache-2.0
 * Files that belong to users (.forward, include lists, require_files with a user): read or
 * examined as that user by the agent's child (ipc/agent.h), never by the process that routes.
 * A file that we can see to be absent ourselves costs no agent call. */
#include "route/route_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/limits.h"

#include "base/banned.h"

enum { OP_READ, OP_STAT };
enum { ANSWER_NOT_REGULAR = 1, ANSWER_TOO_BIG = 2 };
#define TEXT_MAX (LIMIT_IPC_FRAME - 4096)

/* What stat says of the folder that should hold `path`. */
static int parent_errno(const char *path)
{
	char dir[4096];
	const char *slash = strrchr(path, '/');
	size_t n = slash && slash > path ? (size_t)(slash - path) : 1;
	if (n + 3 > sizeof dir)
		return ENAMETOOLONG;
	memcpy(dir, path, n);
	memcpy(dir + n, "/.", 3);
	struct stat st;
	return stat(dir, &st) == 0 ? 0 : errno;
}

static void read_text(int fd, size_t size, struct arena *a, struct user_file_answer *ret)
{
	char *p = arena_alloc(a, size + 1);
	size_t n = 0;
	for (ssize_t got; n < size; n += (size_t)got) {
		got = read(fd, p + n, size - n);
		if (got < 0 && errno == EINTR) {
			got = 0;
			continue;
		}
		if (got < 0) {
			ret->errnum = errno;
			return;
		}
		if (got == 0)
			break;
	}
	ret->text = str_n(p, n);
}

static void read_here(const char *path, size_t max, struct arena *a, struct user_file_answer *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0) {
		ret->errnum = errno;
		if (fd >= 0)
			close(fd);
		else if (ret->errnum == ENOENT)
			ret->parent_errnum = parent_errno(path);
		return;
	}
	ret->mode = st.st_mode;
	ret->uid = (int32_t)st.st_uid;
	ret->gid = (int32_t)st.st_gid;
	ret->not_regular = !S_ISREG(st.st_mode);
	ret->too_big = !ret->not_regular && (uint64_t)st.st_size > (max < TEXT_MAX ? max : TEXT_MAX);
	if (!ret->not_regular && !ret->too_big)
		read_text(fd, (size_t)st.st_size, a, ret);
	close(fd);
}

static void read_task(struct env *env, const void *config, struct str request, const int *fds, unsigned nfds,
    struct strbuf *reply)
{
	(void)config, (void)fds, (void)nfds;
	struct rd r = rd_of(request);
	uint8_t op = up_u8(&r);
	uint64_t max = up_u64(&r);
	char *path = str_cstr(env->scratch, up_str(&r));
	struct user_file_answer ans = {0};
	struct stat st;
	if (r.bad)
		ans.errnum = EINVAL;
	else if (op == OP_READ)
		read_here(path, (size_t)max, env->scratch, &ans);
	else if (stat(path, &st) < 0)
		ans.errnum = errno;
	pk_u32(reply, (uint32_t)ans.errnum);
	pk_u32(reply, ans.mode);
	pk_u32(reply, (uint32_t)ans.uid);
	pk_u32(reply, (uint32_t)ans.gid);
	pk_u32(reply, (uint32_t)ans.parent_errnum);
	pk_u8(reply, (uint8_t)((ans.not_regular ? ANSWER_NOT_REGULAR : 0) | (ans.too_big ? ANSWER_TOO_BIG : 0)));
	pk_str(reply, ans.text);
}

static enum status ask(struct env *env, struct arena *a, uint8_t op, const struct user_file *uf,
    struct user_file_answer *ret, struct why *why)
{
	if (!env->agent) {
		why_set(why, true, "no agent is there to act as uid %d", uf->uid);
		return ST_ERRNO(EPERM);
	}
	struct strbuf req;
	sb_init(&req, a, LIMIT_IPC_FRAME);
	pk_u8(&req, op);
	pk_u64(&req, uf->max);
	pk_str(&req, uf->path);
	struct agent_who who = {.uid = uf->uid, .gid = uf->gid, .umask = 077};
	struct str reply;
	enum status st = agent_call(env->agent, a, AGENT_READ_FILE, &who, sb_str(&req), NULL, 0, 60000, &reply, why);
	if (st != ST_OK)
		return st;
	struct rd r = rd_of(reply);
	ret->errnum = (int)up_u32(&r);
	ret->mode = up_u32(&r);
	ret->uid = (int32_t)up_u32(&r);
	ret->gid = (int32_t)up_u32(&r);
	ret->parent_errnum = (int)up_u32(&r);
	uint8_t flags = up_u8(&r);
	ret->not_regular = flags & ANSWER_NOT_REGULAR;
	ret->too_big = flags & ANSWER_TOO_BIG;
	ret->text = up_str(&r);
	ret->text.taint = 0; /* Exim: what a user wrote in his own file may name files and commands */
	if (r.bad) {
		why_set(why, true, "malformed answer of the agent");
		return ST_MALFORMED;
	}
	return ST_OK;
}

static bool ours(const struct user_file *uf)
{
	return uf->uid < 0 || uf->uid == (int32_t)geteuid();
}

enum status user_file_read(struct env *env, struct arena *a, const struct user_file *uf, struct user_file_answer *ret,
    struct why *why)
{
	char *path = str_cstr(a, uf->path);
	*ret = (struct user_file_answer){0};
	struct stat st;
	if (ours(uf)) {
		read_here(path, uf->max, a, ret);
		return ST_OK;
	}
	if (stat(path, &st) < 0 && errno == ENOENT && (ret->parent_errnum = parent_errno(path)) == 0) {
		ret->errnum = ENOENT;
		return ST_OK;
	}
	return ask(env, a, OP_READ, uf, ret, why);
}

enum status user_file_stat(struct env *env, struct arena *a, const struct user_file *uf, int *ret_errno, struct why *why)
{
	struct user_file_answer ans = {0};
	struct stat st;
	if (ours(uf)) {
		*ret_errno = stat(str_cstr(a, uf->path), &st) == 0 ? 0 : errno;
		return ST_OK;
	}
	enum status r = ask(env, a, OP_STAT, uf, &ans, why);
	if (r == ST_OK)
		*ret_errno = ans.errnum;
	return r;
}

const struct agent_row route_agent_rows[1] = {
	{.task = AGENT_READ_FILE, .run = read_task},
};
