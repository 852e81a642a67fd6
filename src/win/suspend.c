/* SPDX-License-Identifier: Apache-2.0 */
/* Threads stopped and changed from outside: SuspendThread, GetThreadContext, SetThreadContext. A
 * signal stops them, from a timer: timers reach threads of this process alone. A thread in code of
 * ours may hold a lock, so it goes on until it is back in the guest's, or in a call that blocks. */
#include "win/unwind.h"
#include <limits.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>

enum { SUSPEND_SIGNAL_OFF = 5, RETRY_NS = 20000 };
/* How often one has come to stand: who asked for it waits here. */
static WIN_STATE _Atomic(uint32_t) stands;
static int suspend_signal(void) { return SIGRTMIN + SUSPEND_SIGNAL_OFF; }

static void stop_here(struct thread *t, void *context)
{
	int err = errno;
	t->context = context;
	uint32_t n;
	while ((n = atomic_load(&t->suspends))) {
		atomic_store(&t->stopped, 1);
		atomic_fetch_add(&stands, 1);
		futex_wake(&stands, INT_MAX);
		int blocked = t->blocked;
		futex_wait(&t->suspends, n, NEVER);
		t->blocked = blocked;
	}
	atomic_store(&t->stopped, 0);
	t->context = NULL;
	errno = err;
}

void suspended_wait(struct thread *t)
{
	if (atomic_load(&t->suspends))
		stop_here(t, NULL);
}

static void on_suspend(int sig, siginfo_t *si, void *context)
{
	const ucontext_t *uc = context;
	struct thread *t = thread_self();
	(void)sig;
	(void)si;
	if (!t || !atomic_load(&t->suspends) || t->stopped)
		return;
	if ((uint64_t)uc->uc_mcontext.gregs[REG_RIP] < WIN_GUEST_END || atomic_load(&t->blocked))
		stop_here(t, context);
}

void suspend_begin(void)
{
	struct sigaction a = {.sa_sigaction = on_suspend,
			      .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
	sigaction(suspend_signal(), &a, NULL);
}

/* Under threads_lock. */
static bool kick(struct thread *t)
{
	const struct itimerspec now = {.it_value.tv_nsec = 1};
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = suspend_signal()};
	timer_t id;
	ev._sigev_un._tid = (pid_t)t->tid;
	if (!t->timer_made) {
		if (timer_create(CLOCK_MONOTONIC, &ev, &id) < 0)
			return false;
		t->timer = id;
		t->timer_made = true;
	}
	return timer_settime(t->timer, 0, &now, NULL) == 0;
}

void suspend_thread_end(struct thread *t)
{
	if (t->timer_made)
		timer_delete(t->timer);
	t->timer_made = false;
}

/* Until some thread stands that did not when @seen was read, or it is time to ask again: who is
 * asked was in code of ours. Not under threads_lock, which that may want before it can stop. */
static void stand_wait(uint32_t seen)
{
	for (int i = 0; i < 100 && atomic_load(&stands) == seen; i++)
		__builtin_ia32_pause(); /* most of the time it runs beside us */
	if (atomic_load(&stands) == seen)
		futex_wait(&stands, seen, host_monotonic_ns() + RETRY_NS);
}

API(uint32_t, k32_SuspendThread, handle h)
{
	struct object *o = object_get(h, KIND_THREAD);
	uint32_t before = UINT32_MAX;
	if (!o)
		return UINT32_MAX;
	threads_lock();
	struct thread *t = thread_of_object(o);
	if (t == thread_self()) {
		before = atomic_fetch_add(&t->suspends, 1);
		threads_unlock();
		object_unref(o);
		stop_here(t, NULL);
		return before;
	}
	bool standing = !t || t->stopped;
	if (t)
		before = atomic_fetch_add(&t->suspends, 1);
	/* between two tries it may have the lock, which it may want before it can stop */
	uint32_t seen;
	while (!standing && (seen = atomic_load(&stands), kick(t))) {
		threads_unlock();
		stand_wait(seen);
		threads_lock();
		t = thread_of_object(o);
		standing = !t || t->stopped;
	}
	threads_unlock();
	object_unref(o);
	if (before == UINT32_MAX)
		last_error_set(ERROR_ACCESS_DENIED);
	return before;
}

API(uint32_t, k32_ResumeThread, handle h)
{
	struct object *o = object_get(h, KIND_THREAD);
	uint32_t before = 0;
	if (!o)
		return UINT32_MAX;
	if (thread_process(o)) {
		before = child_resume(thread_process(o));
		object_unref(o);
		return before;
	}
	threads_lock();
	struct thread *t = thread_of_object(o);
	if (t && (before = atomic_load(&t->suspends)) > 0) {
		atomic_fetch_sub(&t->suspends, 1);
		futex_wake(&t->suspends, 1);
	}
	threads_unlock();
	object_unref(o);
	return before;
}

API(uint32_t, k32_GetThreadContext, handle h, struct win_context *ret)
{
	struct win_context c = {.flags = 0};
	struct object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	threads_lock();
	struct thread *t = thread_of_object(o);
	bool ok = t && t->stopped;
	if (ok && t->context) {
		context_from(&c, t->context);
	} else if (ok) {
		c.rip = t->start;
		c.rcx = t->argument;
		c.rsp = t->stack_hi - 0x100;
	}
	threads_unlock();
	object_unref(o);
	if (!ok)
		return fail(ERROR_INVALID_PARAMETER);
	uint32_t asked = ret->flags;
	c.flags = asked;
	*ret = c;
	return 1;
}

API(uint32_t, k32_SetThreadContext, handle h, const struct win_context *c)
{
	struct object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	threads_lock();
	struct thread *t = thread_of_object(o);
	ucontext_t *uc = t && t->stopped ? t->context : NULL;
	/* in code of ours it cannot be sent elsewhere */
	bool ok = uc && (uint64_t)uc->uc_mcontext.gregs[REG_RIP] < WIN_GUEST_END;
	if (ok)
		context_to(c, uc);
	threads_unlock();
	object_unref(o);
	return ok ? 1 : fail(ERROR_ACCESS_DENIED);
}
