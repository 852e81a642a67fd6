/* SPDX-License-Identifier: Apache-2.0 */
/* Signals. The host's kernel keeps what is pending and blocked: the mask of a thread of ours is
 * that of the guest's thread. A signal that has a handler is taken by ours, which keeps it, blocks
 * all others, and makes the thread look around; between two instructions it is delivered: a frame
 * on the guest's stack, and the guest's mask is put back. So at most one is ever kept.
 * Linux 6.1 arch/riscv/kernel/signal.c, kernel/signal.c */
#include "level/process/internal.h"
#include <sys/syscall.h>

enum { ACT_IGN = 1, SIGNALS = 64, ON_STACK_MIN = 2048 };
#define SA_RESTORER_X86 0x04000000ul
#define BIT_OF(sig) (UINT64_C(1) << ((sig)-1))
#define UNBLOCKABLE (BIT_OF(SIGKILL) | BIT_OF(SIGSTOP))
#define DEFAULT_IGNORED (BIT_OF(SIGCHLD) | BIT_OF(SIGURG) | BIT_OF(SIGWINCH) | BIT_OF(SIGCONT))
#define DEFAULT_STOPS (BIT_OF(SIGTSTP) | BIT_OF(SIGTTIN) | BIT_OF(SIGTTOU))

/* The kernel's own layouts, of x86-64 and of riscv64. */
struct host_action {
	void (*handler)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};
struct frame_stack {
	uint64_t sp;
	uint32_t flags, pad;
	uint64_t size;
};
struct frame {
	siginfo_t info;
	uint64_t uc_flags, uc_link;
	struct frame_stack stack;
	uint64_t mask, unused[15], align;
	uint64_t pc, x[31];
	uint64_t f[32];
	uint32_t fcsr, rest[67];
};
/* Behind a frame whose rest says so: Linux 6.5 arch/riscv/include/uapi/asm/ptrace.h */
enum { VECTOR_HEAD = 65, VECTOR_MAGIC = 0x53465457 };
struct frame_vector {
	uint64_t vstart, vl, vtype, vcsr, vlenb, at; /* at: of v, which a handler may move */
	uint8_t v[32 * RV_VLENB_MAX + 16]; /* as many as there are, then a header of 0s */
};
enum { VECTOR_END = 16 };
/* Bytes of that header, struct frame_vector and the registers. */
static uint32_t vector_size(unsigned vlenb)
{
	return 8 + (uint32_t)offsetof(struct frame_vector, v) + 32 * vlenb;
}
/* Bytes behind a frame. */
static uint64_t vector_room(unsigned vlenb) { return vector_size(vlenb) - 8 + VECTOR_END; }
_Static_assert(offsetof(struct frame, pc) == 128 + 176, "uc_mcontext");
_Static_assert(sizeof(struct frame) == 128 + 176 + 256 + 528, "rt_sigframe");

static _Thread_local struct task *self;

__asm__(".pushsection .text\n"
        "signal_return:\n"
        "	mov $15, %eax\n"
        "	syscall\n"
        ".popsection\n");
extern void signal_return(void);

/* ---- the host's side ---- */

static uint64_t mask_of(const struct task *t) { return t->mask & ~t->p->sys.keep_signals; }

static void host_mask(uint64_t mask)
{
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, NULL, sizeof mask);
}

/* Something is to be seen to soon. Async-signal-safe. */
static void task_notice(struct task *t, int why)
{
	t->sys.pending |= why;
	if (!t->h)
		return;
	__atomic_fetch_or(&t->h->requests, RV_REQ_LOOK, __ATOMIC_SEQ_CST);
	__atomic_store_n(&t->h->limit, 0, __ATOMIC_SEQ_CST);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	struct task *t = self;
	uint64_t all = UINT64_MAX;
	if ((sig == SIGSEGV || sig == SIGBUS) && info->si_code > 0) {
		struct sigaction dfl = {.sa_handler = SIG_DFL};
		(void)!sigaction(sig, &dfl, NULL); /* a fault of ours: it comes again */
		return;
	}
	if (!t)
		return;
	if (sig == SIGNAL_KICK) {
		struct pending *looks = atomic_exchange(&t->looks, NULL);
		if (unlikely(looks))
			pending_look(looks);
		task_notice(t, LINUX_KICK);
		linux_interrupted(uc);
		return;
	}
	if (t->kept)
		return;
	t->info = *info;
	t->kept = sig;
	all &= ~t->p->sys.keep_signals;
	memcpy(&uc->uc_sigmask, &all, sizeof all);
	task_notice(t, LINUX_SIGNAL);
	linux_interrupted(uc);
}

/* What the host does with @sig, as the guest wants it. */
static void host_action(struct proc *p, int sig)
{
	const struct action *a = &p->actions[sig - 1];
	struct host_action h = {.restorer = signal_return, .mask = UINT64_MAX,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER_X86 |
			 (a->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT))};
	if (p->sys.keep_signals & BIT_OF(sig))
		return;
	h.handler = on_signal;
	bool watched = p->debug && !a->handler && !(DEFAULT_IGNORED & BIT_OF(sig));
	if (a->handler <= ACT_IGN && !watched) {
		memcpy(&h.handler, &a->handler, sizeof h.handler);
		h.flags &= SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESTORER_X86;
	}
	syscall(SYS_rt_sigaction, sig, &h, NULL, sizeof h.mask);
}

int signals_begin(struct proc *p, struct lodge_err *e)
{
	struct sigaction a = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	sigfillset(&a.sa_mask);
	for (int sig = 1; sig <= SIGNALS; sig++) {
		struct host_action h = {.flags = 0};
		syscall(SYS_rt_sigaction, sig, NULL, &h, sizeof h.mask);
		memcpy(&p->actions[sig - 1].handler, &h.handler, 8);
		if (p->actions[sig - 1].handler > ACT_IGN)
			p->actions[sig - 1].handler = 0;
	}
	struct host_action kick = {.handler = on_signal, .restorer = signal_return,
		.mask = UINT64_MAX,
		.flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_RESTORER_X86};
	syscall(SYS_rt_sigaction, SIGNAL_KICK, &kick, NULL, sizeof kick.mask);
	/* what is no fault of ours gets here by the handler of faults */
	if (sigaction(SIGSEGV, &a, NULL) < 0 || sigaction(SIGBUS, &a, NULL) < 0)
		return err_sys(e, "handlers of signals");
	return host_fault_begin(e);
}

void signals_watch(struct proc *p)
{
	for (int sig = 1; sig <= SIGNALS; sig++)
		if (!p->actions[sig - 1].handler && !(UNBLOCKABLE & BIT_OF(sig)) &&
		    sig != SIGNAL_KICK)
			host_action(p, sig);
}

void signals_task(struct task *t, const struct task *from)
{
	self = t;
	if (from)
		t->mask = from->mask;
	else
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &t->mask, sizeof t->mask);
	t->kept = 0;
	t->sys.pending = 0;
	t->alt = (struct alt){.flags = SS_DISABLE};
	host_mask(mask_of(t));
}

void signals_restore(struct proc *p, const uint64_t actions[])
{
	memcpy(p->actions, actions, sizeof p->actions);
	for (int sig = 1; sig <= SIGNALS; sig++)
		host_action(p, sig);
}

void signals_task_restored(struct task *t)
{
	uint64_t all = UINT64_MAX & ~t->p->sys.keep_signals;
	self = t;
	t->sys.pending = t->kept ? LINUX_SIGNAL : 0;
	host_mask(t->kept ? all : mask_of(t));
	rv_hart_request(t->h, RV_REQ_LOOK);
}

void signals_move(struct task *t)
{
	self = t;
	if (!t->kept)
		host_mask(mask_of(t));
}

void signals_end(void) { self = NULL; }

void signals_noticed(struct task *t)
{
	t->sys.pending = 0;
	if (t->kept) /* perhaps just now */
		t->sys.pending = LINUX_SIGNAL;
}

void signals_forked(struct task *t)
{
	t->kept = 0;
	t->sys.pending = 0;
	host_mask(mask_of(t));
}

void signals_exec(struct task *t)
{
	struct proc *p = t->p;
	for (int sig = 1; sig <= SIGNALS; sig++) {
		bool had = p->actions[sig - 1].handler > ACT_IGN;
		if (!had)
			continue;
		p->actions[sig - 1] = (struct action){.handler = 0};
		host_action(p, sig);
	}
	t->alt = (struct alt){.flags = SS_DISABLE};
}

/* ---- delivery ---- */

/* Bytes of a frame of @h as it is. */
static uint64_t frame_size(const struct rv_hart *h)
{
	return sizeof(struct frame) + (h->vs == 3 ? vector_room(h->vlenb) : 0);
}

uint64_t signals_stack_min(const struct proc *p)
{
	uint64_t most = sizeof(struct frame) + vector_room(p->env.vlen / 8) + 16; /* aligned */
	return most < ON_STACK_MIN ? ON_STACK_MIN : most;
}

static bool on_alt(const struct task *t, uint64_t sp)
{
	return !(t->alt.flags & SS_DISABLE) && sp - t->alt.sp < t->alt.size;
}

static void frame_save(const struct task *t, struct frame *f, uint64_t mask)
{
	const struct rv_hart *h = t->h;
	f->info = t->info;
	f->stack = (struct frame_stack){t->alt.sp, t->alt.flags, 0, t->alt.size};
	if (!(t->alt.flags & SS_DISABLE))
		f->stack.flags = on_alt(t, h->x[2]) ? SS_ONSTACK : 0;
	f->mask = mask;
	f->pc = h->npc;
	memcpy(f->x, &h->x[1], sizeof f->x);
	memcpy(f->f, h->f, sizeof f->f);
	f->fcsr = (uint32_t)h->fp.flags | h->frm << 5;
}

/* Vector registers, if the program has used any: behind the frame at @at. False: no room. */
static bool vector_save(struct task *t, struct frame *f, uint64_t at)
{
	struct rv_hart *h = t->h;
	if (h->vs != 3)
		return true;
	f->rest[VECTOR_HEAD] = VECTOR_MAGIC;
	f->rest[VECTOR_HEAD + 1] = vector_size(h->vlenb);
	struct frame_vector v = {.vstart = h->vstart, .vl = h->vl, .vtype = h->vtype,
		.vcsr = h->vxsat | (uint64_t)h->vxrm << 1, .vlenb = h->vlenb,
		.at = at + sizeof *f + offsetof(struct frame_vector, v)};
	memcpy(v.v, h->v, 32 * h->vlenb);
	if (linux_write(&t->p->sys, at + sizeof *f, &v, vector_room(h->vlenb)))
		return false;
	/* a handler begins with element 0 */
	rv_vector_restore(h, true, h->vl, h->vtype, 0, v.vcsr);
	return true;
}

/* False: the frame speaks of vectors that are not there. */
static bool vector_load(struct task *t, const struct frame *f, uint64_t at)
{
	struct rv_hart *h = t->h;
	struct frame_vector v;
	if (f->rest[VECTOR_HEAD] != VECTOR_MAGIC)
		return f->rest[VECTOR_HEAD] == 0;
	if (f->rest[VECTOR_HEAD + 1] != vector_size(h->vlenb) ||
	    linux_read(&t->p->sys, &v, at + sizeof *f, offsetof(struct frame_vector, v)) ||
	    v.vlenb != h->vlenb || linux_read(&t->p->sys, h->v, v.at, 32 * h->vlenb))
		return false;
	rv_vector_restore(h, true, v.vl, v.vtype, v.vstart, v.vcsr);
	return true;
}

/* t->info is delivered to @a. */
static void frame_make(struct task *t, int sig, struct action *a)
{
	struct frame f = {.uc_flags = 0};
	struct rv_hart *h = t->h;
	uint64_t sp = h->x[2], mask = t->has_saved ? t->saved_mask : t->mask;
	if (a->flags & SA_ONSTACK && !on_alt(t, sp) && !(t->alt.flags & SS_DISABLE))
		sp = t->alt.sp + t->alt.size;
	sp = (sp - frame_size(h)) & ~UINT64_C(15);
	frame_save(t, &f, mask);
	if (!vector_save(t, &f, sp) || linux_write(&t->p->sys, sp, &f, sizeof f))
		proc_die(t->p, SIGSEGV);
	h->x[1] = t->p->trampoline;
	h->x[2] = sp;
	h->x[10] = (uint64_t)sig;
	h->x[11] = sp + offsetof(struct frame, info);
	h->x[12] = sp + offsetof(struct frame, uc_flags);
	h->npc = a->handler;
	h->res_va = UINT64_MAX;
	t->mask |= a->mask | (a->flags & SA_NODEFER ? 0 : BIT_OF(sig));
	t->mask &= ~UNBLOCKABLE;
	t->has_saved = false;
	if (a->flags & SA_RESETHAND) {
		*a = (struct action){.handler = 0};
		host_action(t->p, sig);
	}
}

/* The call that was interrupted is made again, or has failed. */
static void call_settle(struct task *t, bool again)
{
	struct rv_hart *h = t->h;
	if (!t->restart)
		return;
	t->restart = false;
	if (again) {
		h->npc = h->pc;
		h->x[10] = t->restart_a0;
	} else {
		h->x[10] = (uint64_t)-EINTR;
		t->sys.until_ns = 0;
	}
}

static void default_do(struct task *t, int sig)
{
	if (BIT_OF(sig) & DEFAULT_IGNORED)
		return;
	if (BIT_OF(sig) & DEFAULT_STOPS)
		raise(SIGSTOP);
	else
		proc_die(t->p, sig);
}

/* What a debugger makes of @sig; 0: it is dropped. */
static int watched_signal(struct task *t, int sig)
{
	if (likely(!t->p->debug))
		return sig;
	int now = debug_signal(t, sig);
	if (now && now != sig)
		t->info = (siginfo_t){.si_signo = now, .si_code = SI_USER};
	return now;
}

/* The next one may come here. */
static void signal_done(struct task *t)
{
	t->kept = 0;
	t->sys.pending = 0;
	host_mask(mask_of(t));
}

void signals_deliver(struct task *t)
{
	if (t->back) /* soon */
		return;
	while (t->kept) {
		int sig = watched_signal(t, t->kept);
		if (!sig) {
			signal_done(t);
			continue;
		}
		pthread_mutex_lock(&t->p->lock);
		struct action *a = &t->p->actions[sig - 1], now = *a;
		if (now.handler > ACT_IGN) {
			call_settle(t, now.flags & SA_RESTART);
			frame_make(t, sig, a);
		}
		pthread_mutex_unlock(&t->p->lock);
		if (!now.handler)
			default_do(t, sig);
		signal_done(t);
	}
	call_settle(t, true);
	if (t->has_saved) {
		t->mask = t->saved_mask;
		t->has_saved = false;
		host_mask(mask_of(t));
	}
}

void signals_fault(struct task *t, int sig, int code, uint64_t at)
{
	siginfo_t info = {.si_signo = sig, .si_code = code};
	info.si_addr = (void *)(uintptr_t)at;
	if (unlikely(t->p->trace_fd >= 0))
		trace_signal(t, sig, at);
	signals_force(t, &info);
}

void signals_force(struct task *t, const siginfo_t *info)
{
	siginfo_t kept = t->info;
	t->info = *info;
	int sig = watched_signal(t, info->si_signo);
	if (!sig) { /* it is tried again */
		t->info = kept;
		return;
	}
	struct action *a = &t->p->actions[sig - 1];
	if (a->handler <= ACT_IGN || t->mask & BIT_OF(sig))
		proc_die(t->p, sig);
	frame_make(t, sig, a);
	t->info = kept;
	if (!t->kept)
		host_mask(mask_of(t));
}

/* ---- calls ---- */

int64_t call_sigaction(struct task *t, const uint64_t a[6])
{
	struct action put = {.handler = 0}, old;
	struct proc *p = t->p;
	if (a[3] != 8 || a[0] < 1 || a[0] > SIGNALS)
		return -EINVAL;
	int sig = (int)a[0];
	if (a[1] && linux_read(&p->sys, &put, a[1], sizeof put))
		return -EFAULT;
	if (a[1] && BIT_OF(sig) & UNBLOCKABLE)
		return -EINVAL;
	pthread_mutex_lock(&p->lock);
	old = p->actions[sig - 1];
	if (a[1]) {
		put.mask &= ~UNBLOCKABLE;
		p->actions[sig - 1] = put;
		host_action(p, sig);
	}
	pthread_mutex_unlock(&p->lock);
	return a[2] && linux_write(&p->sys, a[2], &old, sizeof old) ? -EFAULT : 0;
}

int64_t call_sigprocmask(struct task *t, const uint64_t a[6])
{
	uint64_t set = 0, old = t->mask;
	if (a[3] != 8)
		return -EINVAL;
	if (a[1]) {
		if (linux_read(&t->p->sys, &set, a[1], 8))
			return -EFAULT;
		switch ((int)a[0]) {
		case SIG_BLOCK: t->mask |= set; break;
		case SIG_UNBLOCK: t->mask &= ~set; break;
		case SIG_SETMASK: t->mask = set; break;
		default: return -EINVAL;
		}
		t->mask &= ~UNBLOCKABLE;
		if (!t->kept)
			host_mask(mask_of(t));
	}
	return a[2] && linux_write(&t->p->sys, a[2], &old, 8) ? -EFAULT : 0;
}

int64_t call_sigpending(struct task *t, const uint64_t a[6])
{
	uint64_t set = 0;
	if (a[1] > 8)
		return -EINVAL;
	syscall(SYS_rt_sigpending, &set, sizeof set);
	if (!t->kept)
		set &= t->mask;
	return linux_write(&t->p->sys, a[0], &set, a[1]) ? -EFAULT : 0;
}

int64_t call_sigsuspend(struct task *t, const uint64_t a[6])
{
	uint64_t set;
	if (a[1] != 8)
		return -EINVAL;
	if (linux_read(&t->p->sys, &set, a[0], 8))
		return -EFAULT;
	t->saved_mask = t->mask;
	t->has_saved = true;
	t->mask = set & ~UNBLOCKABLE;
	set = mask_of(t);
	(void)linux_host_call(&t->sys, SYS_rt_sigsuspend,
	                      (const uint64_t[6]){(uint64_t)(uintptr_t)&set, 8});
	if (t->kept)
		return -EINTR;
	/* only looked around: wait again */
	t->mask = t->saved_mask;
	t->has_saved = false;
	host_mask(mask_of(t));
	return LINUX_RESTART;
}

int64_t call_sigtimedwait(struct task *t, const uint64_t a[6])
{
	uint64_t set;
	if (a[3] != 8)
		return -EINVAL;
	if (linux_read(&t->p->sys, &set, a[0], 8) || a[1] > USER_END - 128 || a[2] > USER_END - 16)
		return -EFAULT;
	int64_t r = linux_host_call(&t->sys, SYS_rt_sigtimedwait,
	                            (const uint64_t[6]){(uint64_t)(uintptr_t)&set, a[1], a[2], 8});
	if (r != LINUX_RESTART || !t->kept)
		return r;
	/* another signal came first; one of the set that waits is taken none the less */
	const struct timespec now = {0, 0};
	int sig = (int)syscall(SYS_rt_sigtimedwait, &set, a[1], &now, sizeof set);
	return sig > 0 ? sig : -EINTR;
}

int64_t call_sigaltstack(struct task *t, const uint64_t a[6])
{
	struct frame_stack s, old = {t->alt.sp, t->alt.flags, 0, t->alt.size};
	bool on = on_alt(t, t->h->x[2]);
	if (on)
		old.flags = SS_ONSTACK;
	if (a[0]) {
		if (linux_read(&t->p->sys, &s, a[0], sizeof s))
			return -EFAULT;
		if (on)
			return -EPERM;
		if (s.flags & ~(uint32_t)(SS_DISABLE | SS_ONSTACK))
			return -EINVAL;
		if (!(s.flags & SS_DISABLE) &&
		    (s.size < ON_STACK_MIN || s.size <= frame_size(t->h)))
			return -ENOMEM;
		t->alt = s.flags & SS_DISABLE ? (struct alt){.flags = SS_DISABLE}
					      : (struct alt){s.sp, s.size, 0};
	}
	return a[1] && linux_write(&t->p->sys, a[1], &old, sizeof old) ? -EFAULT : 0;
}

int64_t call_sigreturn(struct task *t, const uint64_t a[6])
{
	struct frame f;
	struct rv_hart *h = t->h;
	(void)a;
	if (linux_read(&t->p->sys, &f, h->x[2], sizeof f) || !vector_load(t, &f, h->x[2]))
		proc_die(t->p, SIGSEGV);
	memcpy(&h->x[1], f.x, sizeof f.x);
	memcpy(h->f, f.f, sizeof f.f);
	h->fp.flags = f.fcsr & 31;
	h->frm = f.fcsr >> 5 & 7;
	h->npc = f.pc & ~UINT64_C(1);
	h->res_va = UINT64_MAX;
	t->mask = f.mask & ~UNBLOCKABLE;
	if (!(f.stack.flags & SS_DISABLE) && !on_alt(t, h->x[2]))
		t->alt = (struct alt){f.stack.sp, f.stack.size, 0};
	if (!t->kept)
		host_mask(mask_of(t));
	return (int64_t)h->x[10];
}
