/* SPDX-License-Identifier: Apache-2.0 */
/* A thread of the program: a hart on a host thread, and what it comes back for. */
#include "level/process/internal.h"
#include <signal.h>
#include <sys/prctl.h>

int task_new(struct task **ret, struct proc *p, struct lodge_err *e)
{
	struct task *t = host_pages_new(sizeof *t); /* most of it are buffers for long paths */
	if (!t)
		return err_set(e, ENOMEM, "no memory for a thread");
	t->p = p;
	t->sys.proc = &p->sys;
	*ret = t;
	return 0;
}

int task_hart(struct task *t, struct lodge_err *e)
{
	int r = rv_hart_new(&t->h, &t->p->env, 0, e);
	if (r < 0)
		return r;
	t->h->task = t;
	return t->p->engine->attach(t->h, e);
}

void task_free(struct task *t)
{
	if (!t)
		return;
	if (t->h)
		t->p->engine->detach(t->h);
	rv_hart_free(t->h);
	seccomp_inherit(t, NULL);
	host_pages_free(t, sizeof *t);
}

_Noreturn void proc_die(struct proc *p, int sig)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t one;
	debug_ended(p, 0, sig);
	prctl(PR_SET_DUMPABLE, 0); /* a dump of us would be no dump of the program */
	sigemptyset(&one);
	sigaddset(&one, sig);
	sigaction(sig, &dfl, NULL);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	raise(sig);
	_exit(LODGE_EXIT_SIGNAL + sig);
}

/* ---- what harts come back for ---- */

void task_ecall(void *proc, struct rv_hart *h)
{
	(void)proc;
	/* a0 to a5, and a7: psABI 1.0 §1.1, Linux 6.1 arch/riscv/kernel/traps.c */
	const uint64_t a[6] = {h->x[10], h->x[11], h->x[12], h->x[13], h->x[14], h->x[15]};
	struct task *t = h->task;
	if (unlikely(t->back)) {
		report_done(t);
		if (t->kept)
			signals_deliver(t);
		return;
	}
	if (unlikely(t->sys.until_ns) && h->pc != t->until_pc)
		t->sys.until_ns = 0;
	t->calling = true;
	int64_t r = likely(t->p->trace_fd < 0) ? call_run(t, (unsigned)h->x[17], a)
					       : trace_call(t, (unsigned)h->x[17], a);
	t->calling = false;
	if (unlikely(r == LINUX_RESTART)) {
		t->restart = true;
		t->restart_a0 = a[0];
		t->until_pc = h->pc;
	} else {
		h->x[10] = (uint64_t)r;
	}
	if (unlikely(t->p->debug))
		debug_called(t);
	if (unlikely(t->report))
		report_call(t, r);
	if (unlikely(t->kept || t->restart || t->has_saved))
		signals_deliver(t);
}

static int signal_of(const struct rv_hart *h, enum rv_exc cause)
{
	switch ((int)cause) {
	case RV_EXC_ILLEGAL: return SIGILL;
	case RV_EXC_BREAKPOINT: return SIGTRAP;
	case RV_EXC_LOAD_PAGE: case RV_EXC_STORE_PAGE: case RV_EXC_FETCH_PAGE:
	case RV_EXC_LOAD_ACCESS: case RV_EXC_STORE_ACCESS: case RV_EXC_FETCH_ACCESS:
		return h->fault_sig;
	default: return SIGBUS; /* misaligned */
	}
}

void task_exception(void *proc, struct rv_hart *h, enum rv_exc cause, uint64_t tval)
{
	int sig = signal_of(h, cause), code = h->fault_code;
	struct task *t = h->task;
	(void)proc;
	if (t->back) {
		report_done(t);
		return;
	}
	if (unlikely(t->p->debug) && cause == RV_EXC_BREAKPOINT && debug_trap(t))
		return;
	if (sig == SIGILL || sig == SIGTRAP) {
		code = sig == SIGILL ? ILL_ILLOPC : TRAP_BRKPT;
		tval = h->pc;
	}
	signals_fault(t, sig, code, tval);
	if (unlikely(t->p->debug))
		debug_called(t);
}

void task_look(void *proc, struct rv_hart *h)
{
	struct task *t = h->task;
	(void)proc;
	task_stale_take(t);
	if (unlikely(t->p->debug))
		debug_park(t);
	signals_noticed(t);
	bool any = t->kept != 0;
	if (any)
		signals_deliver(t);
	if (unlikely(any && t->p->debug))
		debug_called(t);
	if (unlikely(halt_wanted(t->p)))
		halt_look(t);
}
