/* SPDX-License-Identifier: Apache-2.0 */
/* Slots of threads and of fibers: TlsAlloc, FlsAlloc. The first 64 of TLS lie in the TEB, where
 * some compilers look for them. */
#include "win/internal.h"

enum { TEB_SLOTS = 64 };
static WIN_STATE struct {
	pthread_mutex_t lock;
	bool tls[TLS_SLOTS], fls[FLS_SLOTS];
	bool freeing[FLS_SLOTS];              /* FlsFree is at it */
	_Atomic(uint64_t) fls_end[FLS_SLOTS]; /* functions of the guest */
} slots = {.lock = PTHREAD_MUTEX_INITIALIZER};

static uint64_t tls_get(const struct thread *t, uint32_t i)
{
	return i < TEB_SLOTS ? le64_at(t->teb + TEB_TLS + 8 * i) : t->tls[i - TEB_SLOTS];
}

static void tls_set(struct thread *t, uint32_t i, uint64_t v)
{
	if (i < TEB_SLOTS)
		le64_put(t->teb + TEB_TLS + 8 * i, v);
	else
		t->tls[i - TEB_SLOTS] = v;
}

/* The first is the system's, and Rust's library takes 0 for none. */
static uint32_t slot_take(bool *used, uint32_t n)
{
	uint32_t i = 1;
	pthread_mutex_lock(&slots.lock);
	while (i < n && used[i])
		i++;
	if (i < n)
		used[i] = true;
	pthread_mutex_unlock(&slots.lock);
	if (i == n)
		last_error_set(ERROR_NO_MORE_ITEMS);
	return i == n ? UINT32_MAX : i;
}

API(uint32_t, k32_TlsAlloc, void)
{
	uint32_t i = slot_take(slots.tls, TLS_SLOTS);
	if (i != UINT32_MAX)
		tls_set(thread_self(), i, 0);
	return i;
}

API(uint32_t, k32_TlsFree, uint32_t i)
{
	if (i >= TLS_SLOTS || !slots.tls[i])
		return fail(ERROR_INVALID_PARAMETER);
	threads_lock();
	for (struct thread *t = threads_first(); t; t = t->next)
		tls_set(t, i, 0);
	threads_unlock();
	slots.tls[i] = false;
	return 1;
}

API(uint64_t, k32_TlsGetValue, uint32_t i)
{
	if (i >= TLS_SLOTS)
		return fail(ERROR_INVALID_PARAMETER);
	last_error_set(ERROR_SUCCESS);
	return tls_get(thread_self(), i);
}

API(uint32_t, k32_TlsSetValue, uint32_t i, uint64_t v)
{
	if (i >= TLS_SLOTS)
		return fail(ERROR_INVALID_PARAMETER);
	tls_set(thread_self(), i, v);
	return 1;
}

API(uint32_t, k32_FlsAlloc, uint64_t fn)
{
	uint32_t i = slot_take(slots.fls, FLS_SLOTS);
	if (i != UINT32_MAX) {
		slots.fls_end[i] = fn;
		thread_self()->fls[i] = 0;
	}
	return i;
}

uint64_t fls_take(uint64_t *at)
{
	return atomic_exchange((_Atomic(uint64_t) *)at, 0);
}

/* The value that some thread or fiber has there, which it then has no more; 0: none has. None goes
 * from one of them to the other meanwhile. */
static uint64_t value_take(uint32_t i)
{
	uint64_t v = 0;
	threads_lock();
	for (struct thread *t = threads_first(); t && !v; t = t->next)
		v = fls_take(t->fls + i);
	v = v ? v : fibers_take(i);
	threads_unlock();
	return v;
}

API(uint32_t, k32_FlsFree, uint32_t i)
{
	pthread_mutex_lock(&slots.lock);
	bool is = i < FLS_SLOTS && slots.fls[i] && !slots.freeing[i];
	if (is)
		slots.freeing[i] = true;
	pthread_mutex_unlock(&slots.lock);
	if (!is)
		return fail(ERROR_INVALID_PARAMETER);
	uint64_t fn = slots.fls_end[i], v;
	while ((v = value_take(i)))
		if (fn)
			guest_call4(fn, v, 0, 0, 0);
	pthread_mutex_lock(&slots.lock);
	slots.fls_end[i] = 0;
	slots.fls[i] = slots.freeing[i] = false;
	pthread_mutex_unlock(&slots.lock);
	return 1;
}

API(uint64_t, k32_FlsGetValue, uint32_t i)
{
	if (i >= FLS_SLOTS)
		return fail(ERROR_INVALID_PARAMETER);
	last_error_set(ERROR_SUCCESS);
	return thread_self()->fls[i];
}

API(uint32_t, k32_FlsSetValue, uint32_t i, uint64_t v)
{
	if (i >= FLS_SLOTS)
		return fail(ERROR_INVALID_PARAMETER);
	thread_self()->fls[i] = v;
	return 1;
}

void fls_end(uint64_t *fls)
{
	for (uint32_t i = 0; i < FLS_SLOTS; i++) {
		/* the function first: who frees the index meanwhile takes the value, too */
		uint64_t fn = slots.fls_end[i], v = fls[i] ? fls_take(fls + i) : 0;
		if (v && fn)
			guest_call4(fn, v, 0, 0, 0);
	}
}
