/* SPDX-License-Identifier: Apache-2.0 */
/* Locks that live in the guest's own memory: critical sections, slim reader/writer locks, condition
 * variables, one-time initialization, waiting for an address, and lists without a lock. */
#include "win/internal.h"
#include <limits.h>

typedef _Atomic(uint32_t) word;

/* ---- critical sections: RTL_CRITICAL_SECTION. The word at LockSemaphore is 0 free, 1 taken,
 * 2 taken and waited for ---- */

struct critical {
	void *debug;
	int32_t lock_count, recursion;
	uint64_t owner;
	word state, unused;
	uint64_t spin;
};

API(void, k32_InitializeCriticalSection, struct critical *c)
{
	*c = (struct critical){.debug = (void *)(intptr_t)-1, .lock_count = -1};
}

API(uint32_t, k32_InitializeCriticalSectionEx, struct critical *c, uint32_t spin, uint32_t flags)
{
	(void)flags;
	k32_InitializeCriticalSection(c);
	c->spin = spin & 0xffffff;
	return 1;
}

API(uint32_t, k32_InitializeCriticalSectionAndSpinCount, struct critical *c, uint32_t spin)
{
	return k32_InitializeCriticalSectionEx(c, spin, 0);
}

API(uint32_t, k32_SetCriticalSectionSpinCount, struct critical *c, uint32_t spin)
{
	uint32_t old = (uint32_t)c->spin;
	c->spin = spin;
	return old;
}

API(void, k32_DeleteCriticalSection, struct critical *c)
{
	*c = (struct critical){.lock_count = -1};
}

static bool critical_try(struct critical *c, uint64_t me)
{
	uint32_t free_word = 0;
	if (c->owner == me) {
		c->recursion++;
		return true;
	}
	if (!atomic_compare_exchange_strong(&c->state, &free_word, 1))
		return false;
	c->owner = me;
	c->recursion = 1;
	c->lock_count = -2;
	return true;
}

API(uint32_t, k32_TryEnterCriticalSection, struct critical *c)
{
	return critical_try(c, thread_self()->tid);
}

API(void, k32_EnterCriticalSection, struct critical *c)
{
	uint64_t me = thread_self()->tid;
	for (int i = 0; i < 50; i++) {
		if (critical_try(c, me))
			return;
		__builtin_ia32_pause();
	}
	while (atomic_exchange(&c->state, 2) != 0)
		futex_wait(&c->state, 2, NEVER);
	c->owner = me;
	c->recursion = 1;
	c->lock_count = -2;
}

API(void, k32_LeaveCriticalSection, struct critical *c)
{
	if (--c->recursion > 0)
		return;
	c->owner = 0;
	c->lock_count = -1;
	if (atomic_exchange(&c->state, 0) == 2)
		futex_wake(&c->state, 1);
}

/* ---- SRW locks: the first word is readers, or WRITER; the second one counts who waits ---- */

#define WRITER 0x80000000u
struct srw {
	word state, waiters;
};

API(void, k32_InitializeSRWLock, struct srw *l)
{
	atomic_store(&l->state, 0);
	atomic_store(&l->waiters, 0);
}

static bool srw_try(struct srw *l, bool shared)
{
	uint32_t s = atomic_load(&l->state);
	do {
		if (shared ? s & WRITER : s)
			return false;
	} while (!atomic_compare_exchange_weak(&l->state, &s, shared ? s + 1 : WRITER));
	return true;
}

static void srw_acquire(struct srw *l, bool shared)
{
	for (int i = 0; i < 50; i++) {
		if (srw_try(l, shared))
			return;
		__builtin_ia32_pause();
	}
	atomic_fetch_add(&l->waiters, 1);
	while (!srw_try(l, shared)) {
		uint32_t s = atomic_load(&l->state);
		if (shared ? s & WRITER : s)
			futex_wait(&l->state, s, NEVER);
	}
	atomic_fetch_sub(&l->waiters, 1);
}

static void srw_release(struct srw *l, uint32_t what)
{
	if (atomic_fetch_sub(&l->state, what) == what && atomic_load(&l->waiters))
		futex_wake(&l->state, INT_MAX);
}

API(void, k32_AcquireSRWLockExclusive, struct srw *l) { srw_acquire(l, false); }
API(void, k32_AcquireSRWLockShared, struct srw *l) { srw_acquire(l, true); }
API(void, k32_ReleaseSRWLockExclusive, struct srw *l) { srw_release(l, WRITER); }
API(void, k32_ReleaseSRWLockShared, struct srw *l) { srw_release(l, 1); }
API(uint8_t, k32_TryAcquireSRWLockExclusive, struct srw *l) { return srw_try(l, false); }
API(uint8_t, k32_TryAcquireSRWLockShared, struct srw *l) { return srw_try(l, true); }

/* ---- condition variables: a count of wakes ---- */

struct condition {
	word wakes, waiters;
};

API(void, k32_InitializeConditionVariable, struct condition *c)
{
	atomic_store(&c->wakes, 0);
	atomic_store(&c->waiters, 0);
}

static uint32_t condition_wait(struct condition *c, uint32_t seen, uint32_t ms)
{
	uint64_t deadline = deadline_of_ms(ms);
	int r = 0;
	while (atomic_load(&c->wakes) == seen && r != -ETIMEDOUT)
		r = futex_wait(&c->wakes, seen, deadline);
	atomic_fetch_sub(&c->waiters, 1);
	return atomic_load(&c->wakes) != seen ? 1 : fail(ERROR_TIMEOUT);
}

API(uint32_t, k32_SleepConditionVariableCS, struct condition *c, struct critical *l, uint32_t ms)
{
	atomic_fetch_add(&c->waiters, 1);
	uint32_t seen = atomic_load(&c->wakes);
	k32_LeaveCriticalSection(l);
	uint32_t ok = condition_wait(c, seen, ms);
	k32_EnterCriticalSection(l);
	return ok;
}

API(uint32_t, k32_SleepConditionVariableSRW, struct condition *c, struct srw *l, uint32_t ms,
    uint32_t flags)
{
	bool shared = flags & 1;
	atomic_fetch_add(&c->waiters, 1);
	uint32_t seen = atomic_load(&c->wakes);
	srw_release(l, shared ? 1 : WRITER);
	uint32_t ok = condition_wait(c, seen, ms);
	srw_acquire(l, shared);
	return ok;
}

static void condition_wake(struct condition *c, int n)
{
	if (!atomic_load(&c->waiters))
		return;
	atomic_fetch_add(&c->wakes, 1);
	futex_wake(&c->wakes, n);
}

API(void, k32_WakeConditionVariable, struct condition *c) { condition_wake(c, 1); }
API(void, k32_WakeAllConditionVariable, struct condition *c) { condition_wake(c, INT_MAX); }

/* ---- once: 0 not yet, 1 somebody is at it, 2 with the context above: done ---- */

enum { ONCE_BUSY = 1, ONCE_DONE = 2, ONCE_CHECK_ONLY = 1, ONCE_ASYNC = 2, ONCE_FAILED = 4 };
typedef _Atomic(uint64_t) once;

static word *once_word(once *o) { return (word *)(uintptr_t)o; }

API(uint32_t, k32_InitOnceBeginInitialize, once *o, uint32_t flags, uint32_t *ret_pending,
    uint64_t *ret_context)
{
	for (;;) {
		uint64_t s = atomic_load(o);
		if ((s & 3) == ONCE_DONE) {
			*ret_pending = 0;
			if (ret_context)
				*ret_context = s & ~UINT64_C(3);
			return 1;
		}
		if (flags & ONCE_CHECK_ONLY)
			return fail(ERROR_NOT_FOUND);
		if (s == 0 && atomic_compare_exchange_strong(o, &s, ONCE_BUSY)) {
			*ret_pending = 1;
			return 1;
		}
		if (flags & ONCE_ASYNC) {
			*ret_pending = 1;
			return 1;
		}
		if ((s & 3) == ONCE_BUSY)
			futex_wait(once_word(o), (uint32_t)s, NEVER);
	}
}

API(uint32_t, k32_InitOnceComplete, once *o, uint32_t flags, uint64_t context)
{
	atomic_store(o, flags & ONCE_FAILED ? 0 : context | ONCE_DONE);
	futex_wake(once_word(o), INT_MAX);
	return 1;
}

API(uint32_t, k32_InitOnceExecuteOnce, once *o, uint64_t fn, uint64_t arg, uint64_t *ret_context)
{
	uint32_t pending = 0;
	uint64_t context = 0;
	if (!k32_InitOnceBeginInitialize(o, 0, &pending, ret_context))
		return 0;
	if (!pending)
		return 1;
	uint32_t ok =
	    guest_call4(fn, (uint64_t)(uintptr_t)o, arg, (uint64_t)(uintptr_t)&context, 0);
	k32_InitOnceComplete(o, ok ? 0 : ONCE_FAILED, context);
	if (ok && ret_context)
		*ret_context = context;
	return ok;
}

/* ---- waiting for an address ---- */

enum { BUCKETS = 64 };
struct address_wait {
	uint64_t at;
	word woken;
	struct address_wait *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct address_wait *first;
} buckets[BUCKETS];

static unsigned bucket(uint64_t at) { return (unsigned)(at >> 3 ^ at >> 12) % BUCKETS; }

/* Both are looked at with the lock held, so that no wake is lost. */
static bool address_is(const volatile void *at, const void *is, uint64_t size)
{
	switch (size) {
	case 1: return *(const volatile uint8_t *)at == *(const uint8_t *)is;
	case 2: return *(const volatile uint16_t *)at == *(const uint16_t *)is;
	case 4: return *(const volatile uint32_t *)at == *(const uint32_t *)is;
	default: return *(const volatile uint64_t *)at == *(const uint64_t *)is;
	}
}

static void address_leave(unsigned b, struct address_wait *w)
{
	pthread_mutex_lock(&buckets[b].lock);
	for (struct address_wait **p = &buckets[b].first; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			break;
		}
	pthread_mutex_unlock(&buckets[b].lock);
}

static uint32_t wait_on(const volatile void *at, const void *is, uint64_t size, uint64_t deadline)
{
	struct address_wait w = {.at = (uint64_t)(uintptr_t)at};
	unsigned b = bucket(w.at);
	int r = 0;
	if (size != 1 && size != 2 && size != 4 && size != 8)
		return fail(ERROR_INVALID_PARAMETER);
	pthread_mutex_lock(&buckets[b].lock);
	if (!address_is(at, is, size)) {
		pthread_mutex_unlock(&buckets[b].lock);
		return 1;
	}
	struct address_wait **p = &buckets[b].first;
	while (*p)
		p = &(*p)->next;
	*p = &w;
	pthread_mutex_unlock(&buckets[b].lock);
	while (!atomic_load(&w.woken) && r != -ETIMEDOUT)
		r = futex_wait(&w.woken, 0, deadline);
	address_leave(b, &w);
	return atomic_load(&w.woken) ? 1 : fail(ERROR_TIMEOUT);
}

API(uint32_t, k32_WaitOnAddress, const volatile void *at, const void *is, uint64_t size,
    uint32_t ms)
{
	return wait_on(at, is, size, deadline_of_ms(ms));
}

API(uint32_t, nt_RtlWaitOnAddress, const volatile void *at, const void *is, uint64_t size,
    const int64_t *timeout)
{
	uint32_t before = last_error();
	uint32_t ok = wait_on(at, is, size, deadline_of_nt(timeout)), error = last_error();
	last_error_set(before);
	return ok                       ? STATUS_SUCCESS
	       : error == ERROR_TIMEOUT ? STATUS_TIMEOUT
					: STATUS_INVALID_PARAMETER;
}

static void address_wake(const void *at, bool all)
{
	uint64_t a = (uint64_t)(uintptr_t)at;
	unsigned b = bucket(a);
	pthread_mutex_lock(&buckets[b].lock);
	for (struct address_wait *w = buckets[b].first; w; w = w->next) {
		if (w->at != a || atomic_load(&w->woken))
			continue;
		atomic_store(&w->woken, 1);
		futex_wake(&w->woken, 1);
		if (!all)
			break;
	}
	pthread_mutex_unlock(&buckets[b].lock);
}

API(void, k32_WakeByAddressSingle, const void *at) { address_wake(at, false); }
API(void, k32_WakeByAddressAll, const void *at) { address_wake(at, true); }

/* ---- lists without a lock: SLIST_HEADER. Ours has one, in its second half ---- */

struct slist {
	void *first;
	word lock;
	uint32_t depth;
};
static_assert(sizeof(struct slist) == 16, "SLIST_HEADER");

static void slist_lock(struct slist *l)
{
	uint32_t is = 0;
	while (!atomic_compare_exchange_weak(&l->lock, &is, 1)) {
		is = 0;
		__builtin_ia32_pause();
	}
}

API(void, k32_InitializeSListHead, struct slist *l)
{
	l->first = NULL;
	atomic_store(&l->lock, 0);
	l->depth = 0;
}

API(void *, k32_InterlockedPushEntrySList, struct slist *l, void **entry)
{
	slist_lock(l);
	void *old = l->first;
	*entry = old;
	l->first = (void *)entry;
	l->depth++;
	atomic_store(&l->lock, 0);
	return old;
}

API(void *, k32_InterlockedPopEntrySList, struct slist *l)
{
	slist_lock(l);
	void **first = l->first;
	if (first) {
		l->first = *first;
		l->depth--;
	}
	atomic_store(&l->lock, 0);
	return (void *)first;
}

API(void *, k32_InterlockedFlushSList, struct slist *l)
{
	slist_lock(l);
	void *first = l->first;
	l->first = NULL;
	l->depth = 0;
	atomic_store(&l->lock, 0);
	return first;
}

API(uint16_t, k32_QueryDepthSList, struct slist *l) { return (uint16_t)l->depth; }
