/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of mirrored accesses. The handler belongs to the process, as signals do; it acts on
 * nothing but an access that a unit has written down, in the window of the thread that faults. */
#include "jit/x64/internal.h"
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <ucontext.h>

/* What the process has one of: the handlers that were there before, of SIGSEGV and SIGBUS. */
static struct {
	pthread_mutex_t lock;
	struct sigaction before[2];
} handler = { .lock = PTHREAD_MUTEX_INITIALIZER };
static _Thread_local struct jit_guard *guard;
static _Thread_local bool passing; /* a fault to the handler before, which may pass it back */

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
	if (old->sa_flags & SA_SIGINFO && !passing) {
		passing = true;
		old->sa_sigaction(sig, si, context);
		passing = false;
	} else if (old->sa_handler != SIG_DFL && old->sa_handler != SIG_IGN && !passing) {
		passing = true;
		old->sa_handler(sig);
		passing = false;
	} else {
		struct sigaction dfl = { .sa_handler = SIG_DFL };
		(void)!sigaction(sig, &dfl, NULL);
		if (si->si_code <= 0)
			raise(sig); /* else the instruction faults again */
	}
}

/* Others may have put theirs in since: this is looked at whenever a thread begins. */
static int install(int sig, struct sigaction *before)
{
	struct sigaction a = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK }, now;
	sigemptyset(&a.sa_mask);
	if (sigaction(sig, NULL, &now) < 0)
		return errno;
	if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault)
		return 0;
	*before = now;
	return sigaction(sig, &a, NULL) < 0 ? errno : 0;
}

int jit_guard_set(struct jit_guard *w, struct lodge_err *e)
{
	int r = 0;
	if (w) {
		pthread_mutex_lock(&handler.lock);
		r = install(SIGSEGV, &handler.before[0]);
		if (!r)
			r = install(SIGBUS, &handler.before[1]);
		pthread_mutex_unlock(&handler.lock);
	}
	if (r)
		return err_set(e, r, "cannot handle address faults");
	passing = false;
	guard = w;
	if (w)
		jit_guard_move(w);
	return 0;
}

void jit_guard_move(const struct jit_guard *w)
{
	__asm__ volatile("wrgsbase %0" : : "r"(w->window));
}
