/* SPDX-License-Identifier: Apache-2.0 */
/* System calls that concern the process itself: its memory, its threads, its end. The others are
 * the host's. Linux 6.1 include/uapi/asm-generic/unistd.h, arch/riscv/kernel/sys_riscv.c */
#include "level/process/internal.h"
#include <sched.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

enum {
	NR_EXIT = 93,
	NR_EXIT_GROUP = 94,
	NR_SET_TID_ADDRESS = 96,
	NR_SET_ROBUST_LIST = 99,
	NR_CLOCK_GETTIME = 113,
	NR_SIGALTSTACK = 132,
	NR_SIGSUSPEND = 133,
	NR_SIGACTION = 134,
	NR_SIGPROCMASK = 135,
	NR_SIGPENDING = 136,
	NR_SIGTIMEDWAIT = 137,
	NR_SIGRETURN = 139,
	NR_PRCTL = 167,
	NR_GETTIMEOFDAY = 169,
	NR_SHMAT = 196,
	NR_SHMDT = 197,
	NR_BRK = 214,
	NR_CLONE = 220,
	NR_EXECVE = 221,
	NR_SECCOMP = 277,
	NR_EXECVEAT = 281,
	NR_CLONE3 = 435,
	NR_MUNMAP = 215,
	NR_MREMAP = 216,
	NR_MMAP = 222,
	NR_MPROTECT = 226,
	NR_MADVISE = 233,
	NR_HWPROBE = 258,
	NR_FLUSH_ICACHE = 259,
	NR_PKEY_MPROTECT = 288,
	NR_CALLS = 512,
};

static int64_t call_exit_group(struct task *t, const uint64_t a[6])
{
	report_exit(t);
	debug_ended(t->p, (int)a[0], 0);
	halt_leave(t->p);
	_exit((int)a[0]);
}

static int64_t call_set_tid_address(struct task *t, const uint64_t a[6])
{
	t->clear_tid = a[0];
	return gettid();
}

static int64_t call_set_robust_list(struct task *t, const uint64_t a[6])
{
	(void)t;
	/* the layout is the same, and the host's kernel sees to it when this thread ends */
	return syscall(SYS_set_robust_list, a[0], a[1]) < 0 ? -errno : 0;
}

static int64_t call_flush_icache(struct task *t, const uint64_t a[6])
{
	enum { LOCAL = 1 };
	if (a[2] & ~(uint64_t)LOCAL)
		return -EINVAL;
	task_code_stale(t, a[0], a[1]);
	return 0;
}

/* There are no keys to be had, but for the one that is none: Linux 6.1 mm/mprotect.c */
static int64_t call_pkey_mprotect(struct task *t, const uint64_t a[6])
{
	return (int)a[3] == -1 ? mem_mprotect(t, a) : -EINVAL;
}

/* The C library asks the host's page of the kind first: no system call, most of the time. */
static int64_t call_clock_gettime(struct task *t, const uint64_t a[6])
{
	struct timespec now;
	if (clock_gettime((clockid_t)a[0], &now) < 0)
		return -errno;
	return linux_write(&t->p->sys, a[1], &now, sizeof now);
}

static int64_t call_gettimeofday(struct task *t, const uint64_t a[6])
{
	struct timeval now;
	struct timezone zone = {0};
	gettimeofday(&now, &zone);
	if (a[0] && linux_write(&t->p->sys, a[0], &now, sizeof now))
		return -EFAULT;
	return a[1] ? linux_write(&t->p->sys, a[1], &zone, sizeof zone) : 0;
}

/* ---- riscv_hwprobe: Linux 6.11 Documentation/arch/riscv/hwprobe.rst ---- */

/* FD, C, V, Zba, Zbb, Zbs, Zicboz, Zbc, Zfhmin, Zvfhmin, Zfa, Zacas, Zicond, Zawrs */
#define PROBE_EXTENSIONS                                                                           \
	(UINT64_C(1) << 0 | UINT64_C(1) << 1 | UINT64_C(1) << 2 | UINT64_C(1) << 31 |              \
	 UINT64_C(1) << 3 | UINT64_C(1) << 4 |               \
	 UINT64_C(1) << 5 | UINT64_C(1) << 6 | UINT64_C(1) << 7 | UINT64_C(1) << 28 |              \
	 UINT64_C(1) << 32 | UINT64_C(1) << 34 | UINT64_C(1) << 35 | UINT64_C(1) << 48)

static bool probe(uint64_t key, uint64_t *ret)
{
	enum { IMA = 1, FAST = 3, BLOCK = 64 };
	switch (key) {
	case 0: case 1: case 2: *ret = 0; return true; /* vendor, architecture, implementation */
	case 3: *ret = IMA; return true;
	case 4: *ret = PROBE_EXTENSIONS; return true;
	case 5: case 9: *ret = FAST; return true; /* misaligned accesses */
	case 6: *ret = BLOCK; return true;
	case 7: *ret = USER_END - 1; return true;
	case 8: *ret = RV_TIMEBASE_HZ; return true;
	default: *ret = 0; return false;
	}
}

static int64_t call_hwprobe(struct task *t, const uint64_t a[6])
{
	enum { WHICH_CPUS = 1 };
	(void)t;
	if (a[4] & ~(uint64_t)WHICH_CPUS || a[4])
		return -EINVAL;
	for (uint64_t i = 0; i < a[1]; i++) {
		uint64_t at = a[0] + 16 * i, key, v;
		if (at < a[0] || at >= USER_END - 16 || !host_load(at, 8, &key))
			return -EFAULT;
		if (!probe(key, &v) && !host_store(at, 8, UINT64_MAX))
			return -EFAULT;
		if (!host_store(at + 8, 8, v))
			return -EFAULT;
	}
	return 0;
}

/* ---- clone: Linux 6.1 kernel/fork.c ---- */

static int64_t clone_run(struct task *t, const struct clone *c)
{
	const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
	if ((c->flags & thread) == thread)
		return thread_run(t, c);
	/* memory that two processes share cannot be had, but for a while (vfork) */
	if (c->flags & (CLONE_SIGHAND | CLONE_THREAD) ||
	    (c->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
		return -EINVAL;
	return fork_run(t, c);
}

static int64_t call_clone(struct task *t, const uint64_t a[6])
{
	enum { SIGNAL = 0xff };
	const struct clone c = {.flags = a[0] & ~(uint64_t)SIGNAL & UINT32_MAX,
		.signal = (int)(a[0] & SIGNAL), .stack = a[1], .parent_tid = a[2], .tls = a[3],
		.child_tid = a[4]};
	return clone_run(t, &c);
}

static int64_t call_clone3(struct task *t, const uint64_t a[6])
{
	enum { FLAGS, PIDFD, CHILD_TID, PARENT_TID, SIGNAL, STACK, STACK_SIZE, TLS, WORDS = 11 };
	enum { SIZE_FIRST = 64 };
	uint64_t v[WORDS] = {0};
	if (a[1] < SIZE_FIRST)
		return -EINVAL;
	if (a[1] > sizeof v)
		return -E2BIG;
	if (linux_read(&t->p->sys, v, a[0], a[1]))
		return -EFAULT;
	for (unsigned i = TLS + 1; i < WORDS; i++)
		if (v[i])
			return -EINVAL;
	const struct clone c = {.flags = v[FLAGS], .signal = (int)v[SIGNAL],
		.stack = v[STACK] ? v[STACK] + v[STACK_SIZE] : 0, .tls = v[TLS],
		.parent_tid = v[v[FLAGS] & CLONE_PIDFD ? PIDFD : PARENT_TID],
		.child_tid = v[CHILD_TID]};
	if (c.flags & CLONE_PIDFD && c.flags & CLONE_PARENT_SETTID)
		return -EINVAL;
	return clone_run(t, &c);
}

typedef int64_t call_fn(struct task *t, const uint64_t a[6]);
static call_fn *const calls[NR_CALLS] = {
	[NR_EXIT] = call_exit,
	[NR_EXIT_GROUP] = call_exit_group,
	[NR_SET_TID_ADDRESS] = call_set_tid_address,
	[NR_SET_ROBUST_LIST] = call_set_robust_list,
	[NR_CLOCK_GETTIME] = call_clock_gettime,
	[NR_GETTIMEOFDAY] = call_gettimeofday,
	[NR_PRCTL] = call_prctl_process,
	[NR_SECCOMP] = call_seccomp,
	[NR_SHMAT] = mem_shmat,
	[NR_SHMDT] = mem_shmdt,
	[NR_BRK] = mem_brk,
	[NR_MUNMAP] = mem_munmap,
	[NR_MREMAP] = mem_mremap,
	[NR_MMAP] = mem_mmap,
	[NR_MPROTECT] = mem_mprotect,
	[NR_MADVISE] = mem_madvise,
	[NR_SIGALTSTACK] = call_sigaltstack,
	[NR_SIGSUSPEND] = call_sigsuspend,
	[NR_SIGACTION] = call_sigaction,
	[NR_SIGPROCMASK] = call_sigprocmask,
	[NR_SIGPENDING] = call_sigpending,
	[NR_SIGTIMEDWAIT] = call_sigtimedwait,
	[NR_SIGRETURN] = call_sigreturn,
	[NR_CLONE] = call_clone,
	[NR_CLONE3] = call_clone3,
	[NR_EXECVE] = call_execve,
	[NR_EXECVEAT] = call_execveat,
	[NR_HWPROBE] = call_hwprobe,
	[NR_FLUSH_ICACHE] = call_flush_icache,
	[NR_PKEY_MPROTECT] = call_pkey_mprotect,
};

int64_t call_run(struct task *t, unsigned nr, const uint64_t a[6])
{
	int64_t r;
	if (unlikely(t->filter || t->strict) && seccomp_stops(t, nr, a, &r))
		return r;
	if (nr < NR_CALLS && calls[nr])
		return calls[nr](t, a);
	return linux_call(&t->sys, nr, a);
}
