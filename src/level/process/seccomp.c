/* SPDX-License-Identifier: Apache-2.0 */
/* The program's own filters of its system calls: they see its numbers and its architecture, so they
 * cannot be the host's. Linux 6.1 kernel/seccomp.c, net/core/filter.c bpf_check_classic,
 * Documentation/userspace-api/seccomp_filter.rst */
#include "level/process/internal.h"
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { NR_READ = 63, NR_WRITE = 64, NR_EXIT = 93, NR_SIGRETURN = 139, NR_PRCTL = 167 };
enum { DATA = sizeof(struct seccomp_data), FILTERS_MAX = 32768, PENALTY = 4, CODE_SECCOMP = 1 };

/* Newest first; a tree whose leaves are threads. */
struct filter {
	struct filter *older;   /* owned: a reference */
	_Atomic unsigned refs;
	unsigned total;         /* instructions of all, and what the kernel adds */
	uint16_t n;
	struct sock_filter code[];
};

static struct filter *filter_ref(struct filter *f)
{
	if (f)
		f->refs++;
	return f;
}

static void filter_drop(struct filter *f)
{
	while (f && --f->refs == 0) {
		struct filter *older = f->older;
		free(f);
		f = older;
	}
}

void seccomp_inherit(struct task *t, const struct task *from)
{
	struct filter *f = from ? filter_ref(from->filter) : NULL;
	filter_drop(t->filter);
	t->filter = f;
	t->strict = from && from->strict;
}

/* ---- programs: are they sound? ---- */

static bool op_known(const struct sock_filter *s)
{
	switch (s->code) {
	case BPF_LD | BPF_W | BPF_ABS: return s->k < DATA && !(s->k & 3);
	case BPF_ALU | BPF_DIV | BPF_K: return s->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K: return s->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX: return s->k < BPF_MEMWORDS;
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_ALU | BPF_NEG:
	case BPF_JMP | BPF_JA: return true;
	default: break;
	}
	unsigned op = BPF_OP(s->code), class = BPF_CLASS(s->code);
	if (s->code & ~0xffu)
		return false;
	if (class == BPF_ALU)
		return op == BPF_ADD || op == BPF_SUB || op == BPF_MUL || op == BPF_DIV ||
		       op == BPF_AND || op == BPF_OR || op == BPF_XOR || op == BPF_LSH ||
		       op == BPF_RSH;
	return class == BPF_JMP && (op == BPF_JEQ || op == BPF_JGE || op == BPF_JGT ||
	                            op == BPF_JSET);
}

/* All jumps go forward, and stay inside. */
static bool jumps_ok(const struct sock_filter *s, unsigned i, unsigned n)
{
	if (BPF_CLASS(s->code) != BPF_JMP)
		return true;
	if (BPF_OP(s->code) == BPF_JA)
		return s->k < n - i - 1;
	return i + s->jt + 1u < n && i + s->jf + 1u < n;
}

/* No word of memory is loaded that is not stored on every way there. @have: n words of scratch. */
static bool memory_ok(const struct sock_filter *code, unsigned n, uint16_t *have)
{
	uint16_t valid = 0;
	memset(have, 0xff, n * sizeof *have);
	for (unsigned i = 0; i < n; i++) {
		const struct sock_filter *s = &code[i];
		valid &= have[i];
		switch (s->code) {
		case BPF_ST:
		case BPF_STX: valid |= (uint16_t)(1u << s->k); break;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
			if (!(valid >> s->k & 1))
				return false;
			break;
		default:
			if (BPF_CLASS(s->code) == BPF_RET)
				valid = 0xffff;
			if (BPF_CLASS(s->code) != BPF_JMP)
				break;
			have[i + 1 + (BPF_OP(s->code) == BPF_JA ? s->k : s->jt)] &= valid;
			if (BPF_OP(s->code) != BPF_JA)
				have[i + 1 + s->jf] &= valid;
			valid = 0xffff;
		}
	}
	return true;
}

bool seccomp_sound(const void *code, unsigned n)
{
	const struct sock_filter *s = code;
	uint16_t have[BPF_MAXINSNS];
	if (!n || n > BPF_MAXINSNS || BPF_CLASS(s[n - 1].code) != BPF_RET)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!op_known(&s[i]) || !jumps_ok(&s[i], i, n))
			return false;
	return memory_ok(s, n, have);
}

/* ---- programs run ---- */

static uint32_t alu(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD: return a + b;
	case BPF_SUB: return a - b;
	case BPF_MUL: return a * b;
	case BPF_DIV: return b ? a / b : 0;
	case BPF_AND: return a & b;
	case BPF_OR: return a | b;
	case BPF_XOR: return a ^ b;
	case BPF_LSH: return a << (b & 31);
	case BPF_RSH: return a >> (b & 31);
	default: return -a;
	}
}

static bool compare(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ: return a == b;
	case BPF_JGT: return a > b;
	case BPF_JGE: return a >= b;
	default: return (a & b) != 0;
	}
}

uint32_t seccomp_eval(const void *code, const void *data)
{
	const struct sock_filter *s = code;
	uint32_t a = 0, x = 0, m[BPF_MEMWORDS] = {0};
	for (;; s++) {
		uint32_t b = BPF_SRC(s->code) == BPF_X ? x : s->k;
		switch (s->code) {
		case BPF_RET | BPF_K: return s->k;
		case BPF_RET | BPF_A: return a;
		case BPF_LD | BPF_W | BPF_ABS: a = le32_at((const uint8_t *)data + s->k); break;
		case BPF_LD | BPF_W | BPF_LEN: a = DATA; break;
		case BPF_LDX | BPF_W | BPF_LEN: x = DATA; break;
		case BPF_LD | BPF_IMM: a = s->k; break;
		case BPF_LDX | BPF_IMM: x = s->k; break;
		case BPF_LD | BPF_MEM: a = m[s->k]; break;
		case BPF_LDX | BPF_MEM: x = m[s->k]; break;
		case BPF_ST: m[s->k] = a; break;
		case BPF_STX: m[s->k] = x; break;
		case BPF_MISC | BPF_TAX: x = a; break;
		case BPF_MISC | BPF_TXA: a = x; break;
		case BPF_JMP | BPF_JA: s += s->k; break;
		default:
			if (BPF_CLASS(s->code) == BPF_JMP)
				s += compare(BPF_OP(s->code), a, b) ? s->jt : s->jf;
			else
				a = alu(BPF_OP(s->code), a, b);
		}
	}
}

/* ---- a call is about to be made ---- */

static uint32_t verdict(const struct task *t, unsigned nr, const uint64_t a[6])
{
	struct seccomp_data d = {.nr = (int)nr, .arch = AUDIT_ARCH_RISCV64,
		.instruction_pointer = t->h->npc};
	uint32_t worst = SECCOMP_RET_ALLOW;
	memcpy(d.args, a, sizeof d.args);
	for (const struct filter *f = t->filter; f; f = f->older) {
		uint32_t v = seccomp_eval(f->code, &d);
		if ((int32_t)(v & SECCOMP_RET_ACTION_FULL) <
		    (int32_t)(worst & SECCOMP_RET_ACTION_FULL))
			worst = v;
	}
	return worst;
}

/* The thread ends, or the process, if it is the only one. */
static int64_t thread_kill(struct task *t)
{
	if (t->p->ntasks == 1)
		proc_die(t->p, SIGSYS);
	t->status = SIGSYS;
	rv_hart_request(t->h, RV_REQ_STOP);
	return 0;
}

static int64_t trap(struct task *t, unsigned nr, unsigned data)
{
	siginfo_t info = {.si_signo = SIGSYS, .si_code = CODE_SECCOMP, .si_errno = (int)data};
	info.si_call_addr = (void *)(uintptr_t)t->h->npc;
	info.si_syscall = (int)nr;
	info.si_arch = AUDIT_ARCH_RISCV64;
	signals_force(t, &info);
	return (int64_t)t->h->x[10]; /* the handler's, or what it was */
}

bool seccomp_stops(struct task *t, unsigned nr, const uint64_t a[6], int64_t *ret)
{
	enum { ERRNO_MAX = 4095 };
	if (t->strict && nr != NR_READ && nr != NR_WRITE && nr != NR_EXIT && nr != NR_SIGRETURN)
		proc_die(t->p, SIGKILL);
	uint32_t v = t->filter ? verdict(t, nr, a) : SECCOMP_RET_ALLOW;
	unsigned data = v & SECCOMP_RET_DATA;
	switch (v & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
	case SECCOMP_RET_LOG: return false;
	case SECCOMP_RET_ERRNO: *ret = -(int64_t)min_u64(data, ERRNO_MAX); return true;
	case SECCOMP_RET_TRAP: *ret = trap(t, nr, data); return true;
	case SECCOMP_RET_TRACE: /* nobody traces, nobody listens */
	case SECCOMP_RET_USER_NOTIF: *ret = -ENOSYS; return true;
	case SECCOMP_RET_KILL_THREAD: *ret = thread_kill(t); return true;
	default: proc_die(t->p, SIGSYS);
	}
}

/* ---- filters are installed ---- */

/* Who gains nothing by execve any more, or may do anything. */
static bool may_filter(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {{0}};
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1)
		return true;
	return !syscall(SYS_capget, &h, d) && d[0].effective >> CAP_SYS_ADMIN & 1;
}

/* struct sock_fprog at @at. */
static int64_t filter_read(struct task *t, uint64_t at, struct filter **ret)
{
	uint8_t head[16];
	if (linux_read(&t->p->sys, head, at, sizeof head))
		return -EFAULT;
	unsigned n = le16_at(head);
	if (!n || n > BPF_MAXINSNS)
		return -EINVAL;
	unsigned before = t->filter ? t->filter->total : 0;
	if (before + n > FILTERS_MAX)
		return -ENOMEM;
	if (!may_filter())
		return -EACCES;
	struct filter *f = calloc(1, sizeof *f + n * sizeof *f->code);
	if (!f)
		return -ENOMEM;
	int64_t r = linux_read(&t->p->sys, f->code, le64_at(head + 8), n * sizeof *f->code);
	if (!r && !seccomp_sound(f->code, n))
		r = -EINVAL;
	if (r) {
		free(f);
		return r;
	}
	f->n = (uint16_t)n;
	f->refs = 1;
	f->total = before + n + PENALTY;
	*ret = f;
	return 0;
}

/* Is @old among the filters of @t? */
static bool is_ancestor(const struct filter *old, const struct task *t)
{
	const struct filter *f = t->filter;
	while (f && f != old)
		f = f->older;
	return f == old;
}

/* All threads get the filters of @t: 0, or a thread that has others. With the lock. */
static int threads_check(const struct task *t)
{
	for (const struct task *o = t->p->tasks; o; o = o->next)
		if (o != t && (o->strict || !is_ancestor(o->filter, t)))
			return o->tid;
	return 0;
}

static void threads_sync(struct task *t)
{
	for (struct task *o = t->p->tasks; o; o = o->next) {
		if (o == t)
			continue;
		/* it may be running the old ones: they stay, below the new */
		struct filter *f = filter_ref(t->filter), *old = o->filter;
		__atomic_store_n(&o->filter, f, __ATOMIC_SEQ_CST);
		filter_drop(old);
	}
}

static int64_t filter_add(struct task *t, unsigned flags, uint64_t at)
{
	const unsigned known = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
			       SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
	struct filter *f = NULL;
	int64_t r = flags & ~known || t->strict ? -EINVAL : filter_read(t, at, &f);
	if (r < 0)
		return r;
	pthread_mutex_lock(&t->p->lock);
	int other = flags & SECCOMP_FILTER_FLAG_TSYNC ? threads_check(t) : 0;
	if (!other) {
		f->older = t->filter;
		t->filter = f;
		if (flags & SECCOMP_FILTER_FLAG_TSYNC)
			threads_sync(t);
	}
	pthread_mutex_unlock(&t->p->lock);
	if (!other)
		return 0;
	free(f);
	return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : other;
}

static int64_t strict_set(struct task *t)
{
	if (t->filter)
		return -EINVAL;
	t->strict = true;
	return 0;
}

static int64_t action_known(const struct task *t, uint64_t at)
{
	uint32_t action;
	if (linux_read(&t->p->sys, &action, at, sizeof action))
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW: return 0;
	default: return -EOPNOTSUPP; /* SECCOMP_RET_USER_NOTIF as well: nobody could listen */
	}
}

int64_t call_seccomp(struct task *t, const uint64_t a[6])
{
	switch ((uint32_t)a[0]) {
	case SECCOMP_SET_MODE_STRICT: return a[1] || a[2] ? -EINVAL : strict_set(t);
	case SECCOMP_SET_MODE_FILTER:
		return a[1] >> 32 ? -EINVAL : filter_add(t, (unsigned)a[1], a[2]);
	case SECCOMP_GET_ACTION_AVAIL: return a[1] ? -EINVAL : action_known(t, a[2]);
	default: return -EINVAL;
	}
}

int64_t call_prctl_process(struct task *t, const uint64_t a[6])
{
	if ((uint32_t)a[0] == PR_GET_SECCOMP)
		return t->filter ? SECCOMP_MODE_FILTER : 0;
	if ((uint32_t)a[0] != PR_SET_SECCOMP)
		return linux_call(&t->sys, NR_PRCTL, a);
	switch (a[1]) {
	case SECCOMP_MODE_STRICT: return strict_set(t);
	case SECCOMP_MODE_FILTER: return filter_add(t, 0, a[2]);
	default: return -EINVAL;
	}
}
