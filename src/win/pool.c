/* SPDX-License-Identifier: Apache-2.0 */
/* The process's pool of threads: work that is queued, and calls when an object is signaled. A
 * thread that has found nothing to do for a while ends. */
#include "win/internal.h"

enum { IDLE_MS = 3000, EXECUTE_ONCE = 8, THREADS_MAX = 500 };
struct item {
	uint64_t fn, arg; /* of the guest */
	struct item *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct item *first, **end;
	unsigned idle, threads;
	_Atomic(uint32_t) queued; /* futex: how many there have been */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- work ---- */

static struct item *item_take(void)
{
	struct item *i = pool.first;
	if (i && !(pool.first = i->next))
		pool.end = &pool.first;
	return i;
}

/* Wait for work: NULL when there is none for a while. */
static struct item *item_wait(void)
{
	uint64_t until = deadline_of_ms(IDLE_MS);
	pthread_mutex_lock(&pool.lock);
	struct item *i = item_take();
	pool.idle++;
	while (!i && host_monotonic_ns() < until) {
		uint32_t seen = pool.queued;
		pthread_mutex_unlock(&pool.lock);
		futex_wait(&pool.queued, seen, until);
		pthread_mutex_lock(&pool.lock);
		i = item_take();
	}
	pool.idle--;
	pool.threads -= !i;
	pthread_mutex_unlock(&pool.lock);
	return i;
}

API(uint32_t, pool_thread, uint64_t unused)
{
	struct item *i;
	(void)unused;
	while ((i = item_wait())) {
		guest_call4(i->fn, i->arg, 0, 0, 0);
		free(i);
	}
	return 0;
}

/* Under the lock: one more is needed, and counted. */
static bool thread_needed(void)
{
	unsigned n = 0;
	for (const struct item *k = pool.first; k; k = k->next)
		n++;
	if (n <= pool.idle || pool.threads >= THREADS_MAX)
		return false;
	pool.threads++;
	return true;
}

/* A thread of the guest that runs a function of ours. False: last error set. */
static bool thread_begin(WINAPI uint32_t (*fn)(uint64_t), void *arg)
{
	uint32_t tid = 0;
	handle h = thread_make(0, (uint64_t)(uintptr_t)fn, (uint64_t)(uintptr_t)arg, 0, &tid);
	return h && object_close(h);
}

/* Under the lock: nobody shall do it. False: somebody does already. */
static bool item_remove(const struct item *i)
{
	struct item **p = &pool.first;
	while (*p && *p != i)
		p = &(*p)->next;
	if (!*p)
		return false;
	if (!(*p = i->next))
		pool.end = p;
	return true;
}

bool pool_queue(uint64_t fn, uint64_t arg)
{
	struct item *i = malloc(sizeof *i);
	if (!i)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	*i = (struct item){fn, arg, NULL};
	pthread_mutex_lock(&pool.lock);
	if (!pool.first)
		pool.end = &pool.first;
	*pool.end = i;
	pool.end = &i->next;
	bool more = thread_needed();
	pool.queued++;
	pthread_mutex_unlock(&pool.lock);
	futex_wake(&pool.queued, 1);
	if (!more || thread_begin(pool_thread, NULL))
		return true;
	pthread_mutex_lock(&pool.lock);
	/* it waits for one that is busy now */
	bool queued = --pool.threads > 0 || !item_remove(i);
	pthread_mutex_unlock(&pool.lock);
	if (!queued)
		free(i);
	return queued;
}

API(uint32_t, k32_QueueUserWorkItem, uint64_t fn, uint64_t arg, uint32_t flags)
{
	(void)flags;
	return pool_queue(fn, arg);
}

/* ---- calls when something is signaled ---- */

struct registered {
	struct object o;       /* what the handle stands for */
	struct object *wanted; /* a reference */
	struct object *stop;   /* an event; owned reference */
	struct object *told;   /* an event that is set when the last call has ended; may be NULL */
	uint64_t fn, arg;
	uint32_t ms, flags;
	_Atomic(uint32_t) tid; /* who waits; 0: it has ended */
};

static void registered_fini(struct object *o)
{
	struct registered *r = (struct registered *)(void *)o;
	object_unref(r->wanted);
	object_unref(r->stop);
	object_unref(r->told);
}

API(uint32_t, registered_thread, struct registered *r)
{
	struct object *both[] = {r->stop, r->wanted};
	for (;;) {
		uint32_t got = wait_for(both, 2, false, deadline_of_ms(r->ms), true);
		if (got == WAIT_IO_COMPLETION)
			continue;
		if (got == WAIT_OBJECT_0)
			break;
		guest_call4(r->fn, r->arg, got == WAIT_TIMEOUT, 0, 0);
		if (r->flags & EXECUTE_ONCE)
			break;
	}
	atomic_store(&r->tid, 0);
	futex_wake(&r->tid, INT32_MAX);
	if (r->told)
		wait_signal(r->told, 1);
	object_unref(&r->o);
	return 0;
}

static struct object *event_new(void)
{
	struct object *o = object_new(KIND_EVENT, sizeof *o);
	if (o)
		o->manual = true;
	return o;
}

API(uint32_t, k32_RegisterWaitForSingleObject, handle *ret, handle h, uint64_t fn, uint64_t arg,
    uint32_t ms, uint32_t flags)
{
	struct registered *r = object_new(KIND_WAIT, sizeof *r);
	uint32_t tid = 0;
	if (!r)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	r->o.fini = registered_fini;
	if (!(r->wanted = object_get(h, KIND_ANY)) || !(r->stop = event_new())) {
		object_unref(&r->o);
		return 0;
	}
	r->fn = fn;
	r->arg = arg;
	r->ms = ms;
	r->flags = flags;
	r->tid = UINT32_MAX;
	object_ref(&r->o); /* the thread's */
	object_ref(&r->o); /* this function's */
	*ret = object_handle(&r->o, false);
	handle t = *ret ? thread_make(0, (uint64_t)(uintptr_t)registered_thread,
				      (uint64_t)(uintptr_t)r, 0, &tid)
			: 0;
	if (t) { /* unless it has ended already */
		uint32_t none = UINT32_MAX;
		atomic_compare_exchange_strong(&r->tid, &none, tid);
		object_close(t);
	} else {
		object_unref(&r->o);
		object_close(*ret);
	}
	object_unref(&r->o);
	return t != 0;
}

/* @event: HANDLE_BAD: come back when the last call has ended; else it is set then. */
static uint32_t unregister(handle h, handle event)
{
	struct registered *r = object_get(h, KIND_WAIT);
	if (!r)
		return 0;
	object_close(h);
	if (event && event != HANDLE_BAD)
		r->told = object_get(event, KIND_EVENT);
	wait_signal(r->stop, 1);
	uint32_t tid = r->tid, me = thread_self()->tid;
	while (event == HANDLE_BAD && (tid = r->tid) && tid != me)
		futex_wait(&r->tid, tid, NEVER);
	if (!tid && r->told)
		wait_signal(r->told, 1);
	object_unref(&r->o);
	/* a call that runs goes on */
	return tid && !event ? fail(ERROR_IO_PENDING) : 1;
}

API(uint32_t, k32_UnregisterWait, handle h) { return unregister(h, 0); }
API(uint32_t, k32_UnregisterWaitEx, handle h, handle event) { return unregister(h, event); }
