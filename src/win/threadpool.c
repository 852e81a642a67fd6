/* SPDX-License-Identifier: Apache-2.0 */
/* CreateThreadpoolWork and its like: objects whose calls run in threads of the process's pool. A
 * pool of the guest's own is a limit of how many of them run at once. */
#include "win/threadpool.h"

struct tp_pool {
	uint32_t most, running;
	struct waiting *first, **end; /* whose turn comes when another has ended */
};
struct waiting {
	struct tp *t; /* a reference */
	struct waiting *next;
};
struct tp_group {
	struct tp *first;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	_Atomic(uint32_t) changed; /* futex: something has ended */
} state = {.lock = PTHREAD_MUTEX_INITIALIZER};

void tp_lock(void) { pthread_mutex_lock(&state.lock); }
void tp_unlock(void) { pthread_mutex_unlock(&state.lock); }

/* ---- objects ---- */

static void group_leave(struct tp *t)
{
	struct tp **p = t->group ? &t->group->first : NULL;
	while (p && *p && *p != t)
		p = &(*p)->next_in_group;
	if (p && *p)
		*p = t->next_in_group;
	t->group = NULL;
}

struct tp *tp_new(enum tp_kind k, uint64_t fn, uint64_t arg, const struct tp_environment *env)
{
	struct tp *t = calloc(1, sizeof *t);
	if (!t)
		return fail(ERROR_NOT_ENOUGH_MEMORY), NULL;
	t->kind = k;
	t->fn = fn;
	t->arg = arg;
	t->refs = 1;
	t->end = &t->first;
	tp_lock();
	if (env) {
		t->pool = env->pool;
		t->final = env->final;
		t->group = env->group;
	}
	if (t->group) {
		t->cancel = env->cancel;
		t->next_in_group = t->group->first;
		t->group->first = t;
	}
	tp_unlock();
	return t;
}

void tp_ref(struct tp *t) { t->refs++; }

static void done_free(struct tp *t)
{
	for (struct tp_done *d = t->first, *next; d; d = next) {
		next = d->next;
		free(d);
	}
	t->first = NULL;
	t->end = &t->first;
}

void tp_unref(struct tp *t)
{
	if (--t->refs)
		return;
	group_leave(t);
	if (t->told)
		wait_signal(t->told, 1);
	done_free(t);
	object_unref(t->told);
	if (t->queue)
		tp_queue_left(t->queue);
	free(t);
}

/* ---- one call: PTP_CALLBACK_INSTANCE is this, and lives as long as it does ---- */

struct instance {
	struct tp *t;
	bool left; /* DisassociateCurrentThreadFromCallback */
	handle event, mutex, semaphore;
	int32_t semaphore_n;
	void *section;
	uint64_t library;
};

extern WINAPI void k32_LeaveCriticalSection(void *c);
extern WINAPI uint32_t k32_ReleaseMutex(handle h);
extern WINAPI uint32_t k32_ReleaseSemaphore(handle h, int32_t n, int32_t *ret_before);
extern WINAPI uint32_t k32_SetEvent(handle h);
extern WINAPI uint32_t k32_FreeLibrary(uint64_t h);

static void instance_end(struct instance *i)
{
	if (i->section)
		k32_LeaveCriticalSection(i->section);
	if (i->mutex)
		k32_ReleaseMutex(i->mutex);
	if (i->semaphore)
		k32_ReleaseSemaphore(i->semaphore, i->semaphore_n, NULL);
	if (i->event)
		k32_SetEvent(i->event);
	if (i->library)
		k32_FreeLibrary(i->library);
}

/* Locked: a call has ended, or does not count any more. */
static void running_end(struct instance *i)
{
	if (!i->left)
		i->t->running--;
	i->left = true;
	atomic_fetch_add(&state.changed, 1);
	futex_wake(&state.changed, INT32_MAX);
}

/* What the guest's function gets behind the instance and its argument. */
static void guest_run(struct instance *i, const struct tp_done *d, uint32_t result)
{
	typedef WINAPI void (*io_fn)(void *, uint64_t, uint64_t, uint32_t, uint64_t, void *);
	struct tp *t = i->t;
	uint64_t self = (uint64_t)(uintptr_t)t;
	if (t->kind == TP_IO)
		((io_fn)(uintptr_t)t->fn)(i, t->arg, d->overlapped, d->error, d->n, t);
	else if (t->kind == TP_TIMER && t->queue)
		guest_call4(t->fn, t->arg, 1, 0, 0); /* WAITORTIMERCALLBACK */
	else
		guest_call4(t->fn, (uint64_t)(uintptr_t)i, t->arg, self, result);
	if (t->final)
		guest_call4(t->final, (uint64_t)(uintptr_t)i, t->arg, 0, 0);
}

/* Locked on both sides. False: this one was dropped. */
static bool tp_run(struct tp *t)
{
	struct instance i = {.t = t};
	if (t->dropped) {
		t->dropped--;
		return false;
	}
	struct tp_done *d = t->first;
	if (d && !(t->first = d->next))
		t->end = &t->first;
	t->queued--;
	t->running++;
	uint32_t result = t->result;
	tp_unlock();
	guest_run(&i, d, result);
	instance_end(&i);
	free(d);
	tp_lock();
	running_end(&i);
	return true;
}

/* Whose turn it is; NULL: nobody's, and one less runs. */
static struct tp *pool_next(struct tp_pool *p)
{
	struct waiting *w = p->first;
	struct tp *t = w ? w->t : NULL;
	if (w && !(p->first = w->next))
		p->end = &p->first;
	p->running -= !w;
	free(w);
	return t;
}

/* An item of the process's pool: @t, and those that have waited for their turn in its own one. */
API(uint32_t, tp_item, struct tp *t)
{
	tp_lock();
	while (t) {
		struct tp_pool *pool = t->pool;
		tp_run(t);
		tp_unref(t);
		t = pool ? pool_next(pool) : NULL;
	}
	tp_unlock();
	return 0;
}

bool tp_submit(struct tp *t)
{
	bool full = t->pool && t->pool->running >= t->pool->most;
	struct waiting *w = full ? malloc(sizeof *w) : NULL;
	if (full && !w)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	tp_ref(t);
	t->queued++;
	if (w) {
		*w = (struct waiting){t, NULL};
		*t->pool->end = w;
		t->pool->end = &w->next;
		return true;
	}
	if (t->pool)
		t->pool->running++;
	if (pool_queue((uint64_t)(uintptr_t)tp_item, (uint64_t)(uintptr_t)t))
		return true;
	if (t->pool)
		t->pool->running--;
	t->queued--;
	tp_unref(t); /* the caller has one */
	return false;
}

void tp_drop(struct tp *t)
{
	t->dropped += t->queued;
	t->queued = 0;
	done_free(t); /* one for each of them */
	atomic_fetch_add(&state.changed, 1);
	futex_wake(&state.changed, INT32_MAX);
}

void tp_await(struct tp *t)
{
	while (t->queued || t->running) {
		uint32_t seen = state.changed;
		tp_unlock();
		futex_wait(&state.changed, seen, NEVER);
		tp_lock();
	}
}

void tp_close(struct tp *t)
{
	tp_lock();
	group_leave(t);
	t->closed = true;
	tp_timer_set(t, 0, 0);
	tp_unref(t);
	tp_unlock();
}

/* ---- pools, groups ---- */

API(struct tp_pool *, k32_CreateThreadpool, void *reserved)
{
	struct tp_pool *p = calloc(1, sizeof *p);
	(void)reserved;
	if (!p)
		return fail(ERROR_NOT_ENOUGH_MEMORY), NULL;
	p->most = 500;
	p->end = &p->first;
	return p;
}

API(void, k32_SetThreadpoolThreadMaximum, struct tp_pool *p, uint32_t most)
{
	p->most = most ? most : 1;
}

API(uint32_t, k32_SetThreadpoolThreadMinimum, struct tp_pool *p, uint32_t least)
{
	p->most = p->most < least ? least : p->most;
	return 1;
}

/* Objects may still have it: it stays, and is small. */
API(void, k32_CloseThreadpool, struct tp_pool *p) { (void)p; }

API(struct tp_group *, k32_CreateThreadpoolCleanupGroup, void)
{
	struct tp_group *g = calloc(1, sizeof *g);
	return g ? g : (fail(ERROR_NOT_ENOUGH_MEMORY), NULL);
}

API(void, k32_CloseThreadpoolCleanupGroup, struct tp_group *g) { free(g); }

API(void, k32_CloseThreadpoolCleanupGroupMembers, struct tp_group *g, uint32_t cancel,
    uint64_t context)
{
	tp_lock();
	for (struct tp *t; (t = g->first);) {
		tp_ref(t);
		group_leave(t);
		t->closed = true; /* its calls cannot set it again */
		tp_timer_set(t, 0, 0);
		if (t->kind == TP_WAIT)
			tp_wait_end(t);
		uint32_t pending = t->queued;
		if (cancel)
			tp_drop(t);
		tp_await(t);
		uint64_t fn = cancel && pending ? t->cancel : 0, arg = t->arg;
		/* of one call there is no owner, and to an I/O more may come from the port */
		if (t->kind != TP_SIMPLE && t->kind != TP_IO)
			tp_unref(t);
		tp_unref(t);
		tp_unlock();
		if (fn)
			guest_call4(fn, arg, context, 0, 0);
		tp_lock();
	}
	tp_unlock();
}

/* ---- what a call may ask for ---- */

API(void, k32_SetEventWhenCallbackReturns, struct instance *i, handle h) { i->event = h; }
API(void, k32_ReleaseMutexWhenCallbackReturns, struct instance *i, handle h) { i->mutex = h; }
API(void, k32_ReleaseSemaphoreWhenCallbackReturns, struct instance *i, handle h, int32_t n)
{
	i->semaphore = h;
	i->semaphore_n = n;
}
API(void, k32_LeaveCriticalSectionWhenCallbackReturns, struct instance *i, void *section)
{
	i->section = section;
}
API(void, k32_FreeLibraryWhenCallbackReturns, struct instance *i, uint64_t library)
{
	i->library = library;
}
API(uint32_t, k32_CallbackMayRunLong, struct instance *i)
{
	(void)i;
	return 1; /* there are threads enough */
}
API(void, k32_DisassociateCurrentThreadFromCallback, struct instance *i)
{
	tp_lock();
	running_end(i);
	tp_unlock();
}
