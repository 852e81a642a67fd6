/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of mirrored accesses. The handler belongs to the process, as signals do; it acts on
 * nothing but an access that a unit has written down, in the window of the thread that faults. */
#include "jit/x64/internal.h"
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>

/* What the process has one of. Written once, before the handler can be called. */
static struct {
	pthread_once_t once;
	struct sigaction before[2]; /* SIGSEGV, SIGBUS */
	int error;
} handler = { .once = PTHREAD_ONCE_INIT };
static _Thread_local struct jit_guard *guard;

enum { HWCAP2_FSGSBASE = 2 };
bool jit_mirror_probe(void) { return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE; }

static bool fault_take(const siginfo_t *si, ucontext_t *uc)
{
	struct jit_guard *w = guard;
	if (!w || si->si_code <= 0)
		return false;
	uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
	uint64_t off = rip - (uint64_t)(uintptr_t)w->cache->x;
	uint64_t at = (uint64_t)(uintptr_t)si->si_addr - (w->window - JIT_WINDOW_GUARD);
	if (off >= w->cache->bytes || at >= JIT_WINDOW_SPAN + 2 * JIT_WINDOW_GUARD)
		return false;
	uint32_t to = w->find(w->user, (uint32_t)off);
	if (!to)
		return false;
	w->taken++;
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)(w->cache->x + to);
	return true;
}

static void on_fault(int sig, siginfo_t *si, void *context)
{
	if (fault_take(si, context))
		return;
	const struct sigaction *old = &handler.before[sig == SIGBUS];
	if (old->sa_flags & SA_SIGINFO) {
		old->sa_sigaction(sig, si, context);
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN) {
		old->sa_handler(sig);
	} else {
		struct sigaction dfl = { .sa_handler = SIG_DFL };
		(void)!sigaction(sig, &dfl, NULL);
		if (si->si_code <= 0)
			raise(sig); /* else the instruction faults again */
	}
}

static void install(void)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	sigemptyset(&a.sa_mask);
	/* asked first: the handler reads what was there before */
	if (sigaction(SIGSEGV, NULL, &handler.before[0]) < 0 ||
	    sigaction(SIGBUS, NULL, &handler.before[1]) < 0 || sigaction(SIGSEGV, &a, NULL) < 0 ||
	    sigaction(SIGBUS, &a, NULL) < 0)
		handler.error = errno;
}

int jit_guard_set(struct jit_guard *w, struct lodge_err *e)
{
	pthread_once(&handler.once, install);
	if (handler.error)
		return err_set(e, handler.error, "cannot handle address faults");
	guard = w;
	if (w)
		jit_guard_move(w);
	return 0;
}

void jit_guard_move(const struct jit_guard *w)
{
	__asm__ volatile("wrgsbase %0" : : "r"(w->window));
}
