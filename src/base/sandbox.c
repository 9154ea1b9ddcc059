/* SPDX-License-Identifier: Apache-2.0
 * Landlock by its system calls (its header is younger than some systems; ABI 1 to 5 are told
 * apart), seccomp by libseccomp as an allow-list: what is not named kills. Calls that libraries try
 * and can do without, or that are younger than this list, get ENOSYS or EPERM instead. */
#include "base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/banned.h"

/* --- Landlock --- */

#define LL_CREATE_RULESET 444
#define LL_ADD_RULE 445
#define LL_RESTRICT_SELF 446
#define LL_VERSION 1u /* flag of create_ruleset */
#define LL_PATH_BENEATH 1

enum {
	FS_EXECUTE = 1 << 0, FS_WRITE_FILE = 1 << 1, FS_READ_FILE = 1 << 2, FS_READ_DIR = 1 << 3, FS_REMOVE_DIR = 1 << 4,
	FS_REMOVE_FILE = 1 << 5, FS_MAKE_CHAR = 1 << 6, FS_MAKE_DIR = 1 << 7, FS_MAKE_REG = 1 << 8, FS_MAKE_SOCK = 1 << 9,
	FS_MAKE_FIFO = 1 << 10, FS_MAKE_BLOCK = 1 << 11, FS_MAKE_SYM = 1 << 12, FS_REFER = 1 << 13 /* ABI 2 */,
	FS_TRUNCATE = 1 << 14 /* ABI 3 */, FS_IOCTL_DEV = 1 << 15 /* ABI 5 */,
	NET_BIND_TCP = 1 << 0, NET_CONNECT_TCP = 1 << 1 /* ABI 4 */
};
#define FS_ABI1 0x1fffu
#define FS_OF_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

struct ll_ruleset {
	uint64_t fs, net;
};
struct ll_path {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

static const struct sandbox_path system_paths[] = {
	{"/etc/hosts", SB_READ}, {"/etc/resolv.conf", SB_READ}, {"/etc/nsswitch.conf", SB_READ}, {"/etc/host.conf", SB_READ},
	{"/etc/gai.conf", SB_READ}, {"/etc/services", SB_READ}, {"/etc/protocols", SB_READ}, {"/etc/localtime", SB_READ},
	{"/etc/timezone", SB_READ}, {"/etc/ld.so.cache", SB_READ}, {"/etc/ssl/openssl.cnf", SB_READ}, {"/etc/ssl/certs", SB_READ},
	{"/usr/lib/ssl", SB_READ}, {"/usr/share/ca-certificates", SB_READ}, {"/usr/local/share/ca-certificates", SB_READ},
	{"/usr/share/zoneinfo", SB_READ}, {"/usr/share/dns", SB_READ}, {"/usr/share/publicsuffix", SB_READ},
	{"/var/lib/unbound/root.key", SB_READ}, {"/usr/lib", SB_READ}, {"/lib", SB_READ}, {"/lib64", SB_READ},
	{"/usr/local/lib", SB_READ}, {"/dev/urandom", SB_READ}, {"/dev/random", SB_READ}, {"/dev/null", SB_APPEND},
};

static uint64_t rights_of(enum sandbox_mode mode)
{
	switch (mode) {
	case SB_READ: return FS_READ_FILE | FS_READ_DIR;
	case SB_WRITE: return (FS_ABI1 & ~(uint64_t)(FS_EXECUTE | FS_MAKE_CHAR | FS_MAKE_BLOCK)) | FS_REFER | FS_TRUNCATE;
	case SB_APPEND: return FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_IOCTL_DEV;
	case SB_LISTDIR: return FS_READ_DIR;
	case SB_EXEC: return FS_READ_FILE | FS_READ_DIR | FS_EXECUTE;
	case SB_SOCKET: return FS_READ_DIR | FS_MAKE_SOCK | FS_REMOVE_FILE | FS_READ_FILE | FS_WRITE_FILE;
	}
	return 0;
}

static enum status fail(struct why *why, int err, const char *what)
{
	why_set(why, true, "sandbox: %s: %s", what, status_text(ST_ERRNO(err)));
	return ST_ERRNO(err);
}

static enum status add_path(int ruleset, const struct sandbox_path *p, uint64_t handled, struct why *why)
{
	struct stat st;
	int fd = open(p->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return ST_OK; /* not there, or not ours to see: nothing to open then */
	uint64_t rights = rights_of(p->mode) & handled;
	if (fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rights &= FS_OF_FILES;
	struct ll_path rule = {.allowed = rights, .parent = fd};
	long rc = rights ? syscall(LL_ADD_RULE, ruleset, LL_PATH_BENEATH, &rule, 0u) : 0;
	int err = errno;
	close(fd);
	return rc < 0 ? fail(why, err, p->path) : ST_OK;
}

static enum status add_paths(int ruleset, const struct sandbox *s, uint64_t handled, struct why *why)
{
	enum status st = ST_OK;
	for (size_t i = 0; i < countof(system_paths) && st == ST_OK; i++)
		st = add_path(ruleset, &system_paths[i], handled, why);
	for (size_t i = 0; i < s->count && st == ST_OK; i++)
		st = add_path(ruleset, &s->paths[i], handled, why);
	return st;
}

static enum status enter_landlock(const struct sandbox *s, struct why *why)
{
	long abi = syscall(LL_CREATE_RULESET, NULL, (size_t)0, LL_VERSION);
	if (abi < 1) {
		why_set(why, false, "sandbox: the kernel has no Landlock (%s): files are not confined", status_text(ST_ERRNO(errno)));
		return ST_OK;
	}
	struct ll_ruleset attr = {.fs = FS_ABI1};
	if (abi >= 2)
		attr.fs |= FS_REFER;
	if (abi >= 3)
		attr.fs |= FS_TRUNCATE;
	if (abi >= 5)
		attr.fs |= FS_IOCTL_DEV;
	if (abi >= 4 && !s->may_connect)
		attr.net |= NET_CONNECT_TCP;
	int ruleset = (int)syscall(LL_CREATE_RULESET, &attr, abi >= 4 ? sizeof attr : sizeof attr.fs, 0u);
	if (ruleset < 0)
		return fail(why, errno, "Landlock rules");
	enum status st = add_paths(ruleset, s, attr.fs, why);
	if (st == ST_OK && syscall(LL_RESTRICT_SELF, ruleset, 0u) < 0)
		st = fail(why, errno, "Landlock");
	close(ruleset);
	return st;
}

/* --- seccomp --- */

/* What our code and the libraries it links call in ordinary work. */
static const int allowed[] = {
	/* files */
	SCMP_SYS(access), SCMP_SYS(chdir), SCMP_SYS(chmod), SCMP_SYS(chown), SCMP_SYS(close), SCMP_SYS(close_range),
	SCMP_SYS(copy_file_range), SCMP_SYS(creat), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2), SCMP_SYS(fadvise64), SCMP_SYS(fallocate), SCMP_SYS(fchdir), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
	SCMP_SYS(fchown), SCMP_SYS(fchownat), SCMP_SYS(fcntl), SCMP_SYS(fdatasync), SCMP_SYS(fgetxattr), SCMP_SYS(flock),
	SCMP_SYS(fstat), SCMP_SYS(fstatfs), SCMP_SYS(fsync), SCMP_SYS(ftruncate), SCMP_SYS(futimesat), SCMP_SYS(getcwd),
	SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(getxattr), SCMP_SYS(inotify_add_watch), SCMP_SYS(inotify_init),
	SCMP_SYS(inotify_init1), SCMP_SYS(inotify_rm_watch), SCMP_SYS(ioctl), SCMP_SYS(lchown), SCMP_SYS(lgetxattr), SCMP_SYS(link),
	SCMP_SYS(linkat), SCMP_SYS(lseek), SCMP_SYS(lstat), SCMP_SYS(memfd_create), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
	SCMP_SYS(newfstatat), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(pipe), SCMP_SYS(pipe2),
	SCMP_SYS(pread64), SCMP_SYS(preadv), SCMP_SYS(preadv2), SCMP_SYS(pwrite64), SCMP_SYS(pwritev), SCMP_SYS(pwritev2),
	SCMP_SYS(read), SCMP_SYS(readahead), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(readv), SCMP_SYS(rename),
	SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(rmdir), SCMP_SYS(sendfile), SCMP_SYS(splice), SCMP_SYS(stat),
	SCMP_SYS(statfs), SCMP_SYS(statx), SCMP_SYS(symlink), SCMP_SYS(symlinkat), SCMP_SYS(sync_file_range), SCMP_SYS(syncfs),
	SCMP_SYS(tee), SCMP_SYS(truncate), SCMP_SYS(umask), SCMP_SYS(unlink), SCMP_SYS(unlinkat), SCMP_SYS(utime),
	SCMP_SYS(utimensat), SCMP_SYS(utimes), SCMP_SYS(write), SCMP_SYS(writev),
	/* sockets */
	SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(bind), SCMP_SYS(getpeername), SCMP_SYS(getsockname), SCMP_SYS(getsockopt),
	SCMP_SYS(recvfrom), SCMP_SYS(recvmmsg), SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(sendmsg), SCMP_SYS(sendto),
	SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(socket), SCMP_SYS(socketpair),
	/* waiting */
	SCMP_SYS(epoll_create), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_wait), SCMP_SYS(eventfd), SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(pselect6),
	SCMP_SYS(select), SCMP_SYS(signalfd), SCMP_SYS(signalfd4), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_gettime),
	SCMP_SYS(timerfd_settime),
	/* memory and threads */
	SCMP_SYS(arch_prctl), SCMP_SYS(brk), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(futex), SCMP_SYS(futex_waitv),
	SCMP_SYS(get_robust_list), SCMP_SYS(getcpu), SCMP_SYS(madvise), SCMP_SYS(membarrier), SCMP_SYS(mincore), SCMP_SYS(mlock),
	SCMP_SYS(mlock2), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(mremap), SCMP_SYS(msync), SCMP_SYS(munlock),
	SCMP_SYS(munmap), SCMP_SYS(prctl), SCMP_SYS(rseq), SCMP_SYS(sched_getaffinity), SCMP_SYS(sched_getattr),
	SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_setaffinity), SCMP_SYS(sched_yield),
	SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address), SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min),
	/* signals, children */
	SCMP_SYS(kill), SCMP_SYS(pause), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_send_signal), SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigsuspend), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack), SCMP_SYS(tgkill), SCMP_SYS(tkill),
	SCMP_SYS(wait4), SCMP_SYS(waitid),
	/* time, identity, numbers */
	SCMP_SYS(alarm), SCMP_SYS(clock_getres), SCMP_SYS(clock_gettime), SCMP_SYS(clock_nanosleep), SCMP_SYS(getegid),
	SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getgroups), SCMP_SYS(getitimer), SCMP_SYS(getpgid), SCMP_SYS(getpgrp),
	SCMP_SYS(getpid), SCMP_SYS(getppid), SCMP_SYS(getpriority), SCMP_SYS(getrandom), SCMP_SYS(getresgid),
	SCMP_SYS(getresuid), SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(getsid), SCMP_SYS(gettid),
	SCMP_SYS(gettimeofday), SCMP_SYS(getuid), SCMP_SYS(nanosleep), SCMP_SYS(prlimit64), SCMP_SYS(setitimer),
	SCMP_SYS(setrlimit), SCMP_SYS(sysinfo), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(uname),
	/* shared memory and semaphores of database clients */
	SCMP_SYS(semctl), SCMP_SYS(semget), SCMP_SYS(semop), SCMP_SYS(semtimedop), SCMP_SYS(shmat), SCMP_SYS(shmctl),
	SCMP_SYS(shmdt), SCMP_SYS(shmget),
};

/* Tried by libraries that can do without: told that it cannot be. */
static const struct {
	int call, err;
} refused[] = {
	{SCMP_SYS(capget), EPERM}, {SCMP_SYS(capset), EPERM}, {SCMP_SYS(chroot), EPERM}, {SCMP_SYS(io_uring_setup), ENOSYS},
	{SCMP_SYS(keyctl), ENOSYS}, {SCMP_SYS(mbind), EPERM}, {SCMP_SYS(get_mempolicy), EPERM}, {SCMP_SYS(mknod), EPERM},
	{SCMP_SYS(mknodat), EPERM}, {SCMP_SYS(personality), EPERM}, {SCMP_SYS(sched_setscheduler), EPERM},
	{SCMP_SYS(sched_setparam), EPERM}, {SCMP_SYS(setgid), EPERM}, {SCMP_SYS(setgroups), EPERM}, {SCMP_SYS(setpriority), EPERM},
	{SCMP_SYS(setregid), EPERM}, {SCMP_SYS(setresgid), EPERM}, {SCMP_SYS(setresuid), EPERM}, {SCMP_SYS(setreuid), EPERM},
	{SCMP_SYS(setuid), EPERM}, {SCMP_SYS(setfsuid), EPERM}, {SCMP_SYS(setfsgid), EPERM}, {SCMP_SYS(setxattr), EPERM},
	{SCMP_SYS(fsetxattr), EPERM}, {SCMP_SYS(syslog), EPERM}, {SCMP_SYS(userfaultfd), ENOSYS},
};

static int add_calls(scmp_filter_ctx f)
{
	int rc = 0;
	for (size_t i = 0; i < countof(allowed) && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, allowed[i], 0);
	for (size_t i = 0; i < countof(refused) && rc == 0; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO((unsigned)refused[i].err), refused[i].call, 0);
	/* Younger than this list: a C library that knows them knows how to do without. */
	for (int nr = 451; nr < 500 && rc == 0; nr++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), nr, 0);
	return rc;
}

/* New threads pass; a new process has neither CLONE_THREAD nor, from fork, CLONE_VM. */
static int add_fork(scmp_filter_ctx f, bool may)
{
	if (may) {
		static const int calls[] = {SCMP_SYS(clone), SCMP_SYS(clone3), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(setpgid),
			SCMP_SYS(setsid)};
		int rc = 0;
		for (size_t i = 0; i < countof(calls) && rc == 0; i++)
			rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
		return rc;
	}
	int rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	/* clone3 hides its flags in memory; glibc then takes clone */
	return rc ? rc : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

static int add_choices(scmp_filter_ctx f, const struct sandbox *s)
{
	int rc = add_fork(f, s->may_fork);
	if (rc == 0 && s->may_exec)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(execve), 0);
	if (rc == 0 && s->may_exec)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(execveat), 0);
	if (rc == 0 && s->may_network_listen)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(listen), 0);
	if (rc == 0)
		rc = seccomp_rule_add(f, s->may_connect ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EACCES), SCMP_SYS(connect), 0);
	return rc;
}

static enum status enter_seccomp(const struct sandbox *s, struct why *why)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!f)
		return fail(why, ENOMEM, "seccomp");
	int rc = seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree instead of a long list */
	if (rc == 0)
		rc = add_calls(f);
	if (rc == 0)
		rc = add_choices(f, s);
	if (rc == 0)
		rc = seccomp_load(f);
	seccomp_release(f);
	return rc < 0 ? fail(why, -rc, "seccomp") : ST_OK;
}

enum status sandbox_enter(const struct sandbox *s, struct why *why)
{
	if (why)
		why->text[0] = 0;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(why, errno, "no_new_privs");
	enum status st = enter_landlock(s, why);
	return st == ST_OK ? enter_seccomp(s, why) : st;
}
