/* SPDX-License-Identifier: Apache-2.0 */
/* What can be waited for: events, mutexes, semaphores, timers, threads, processes. One lock covers
 * the state of all, so that waiting for several of them is one look; who has to sleep does so on a
 * futex of the thread's own. */
#include "win/console.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

struct wait_node {
	struct thread *t;
	struct wait_node *next;
};
static WIN_STATE pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
void wait_locked(void) { pthread_mutex_lock(&lock); }
void wait_unlocked(void) { pthread_mutex_unlock(&lock); }

int futex_wait(_Atomic(uint32_t) *at, uint32_t is, uint64_t deadline_ns)
{
	struct timespec ts = {.tv_sec = (time_t)(deadline_ns / 1000000000),
			      .tv_nsec = (long)(deadline_ns % 1000000000)};
	struct thread *t = thread_self();
	if (t)
		atomic_store(&t->blocked, 1);
	long r = syscall(SYS_futex, at, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, is,
			 deadline_ns == NEVER ? NULL : &ts, NULL, FUTEX_BITSET_MATCH_ANY);
	int e = r < 0 ? -errno : 0;
	if (t)
		atomic_store(&t->blocked, 0);
	return e;
}

void futex_wake(_Atomic(uint32_t) *at, int n)
{
	syscall(SYS_futex, at, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
}

uint64_t deadline_of_ms(uint32_t ms)
{
	return ms == INFINITE ? NEVER : host_monotonic_ns() + (uint64_t)ms * 1000000;
}

/* ---- timers: looked at by who waits ---- */

struct timer {
	struct object o;
	uint64_t due_ns, period_ns; /* due 0: not set */
	/* A call when it is due, of the thread that asked for it; fn 0: none. */
	struct thread *t;
	uint64_t fn, arg, call_ns; /* call_ns 0: it was called, and has no period */
	struct timer *next_call;
};

static void timer_look(struct object *o, uint64_t now)
{
	struct timer *t = (struct timer *)(void *)o;
	if (!t->due_ns || now < t->due_ns)
		return;
	o->count = 1;
	t->due_ns = t->period_ns ? now + t->period_ns - (now - t->due_ns) % t->period_ns : 0;
}

/* ---- waiting ---- */

void wait_wake(struct object *o)
{
	for (struct wait_node *w = o->waiters; w; w = w->next) {
		atomic_store(&w->t->wake, 1);
		futex_wake(&w->t->wake, 1);
	}
}

void wait_signal(struct object *o, int64_t count)
{
	pthread_mutex_lock(&lock);
	o->count = count;
	if (count > 0 && o->waiters)
		wait_wake(o);
	pthread_mutex_unlock(&lock);
}

/* The file that is typed into; NULL: it is none. */
static const struct file *typed_into(const struct object *o)
{
	const struct file *f = (const struct file *)(const void *)o;
	return o->kind == KIND_FILE && f->console && f->input ? f : NULL;
}

static bool signaled(struct object *o, const struct thread *t)
{
	const struct file *console = typed_into(o);
	if (console)
		return console_ready(console);
	if (o->kind == KIND_TIMER)
		timer_look(o, host_monotonic_ns());
	return o->kind == KIND_MUTEX ? !o->owner || o->owner == t : o->count > 0;
}

/* Take it. True: it was abandoned. */
static bool consume(struct object *o, struct thread *t)
{
	bool abandoned = o->abandoned;
	if (o->kind == KIND_MUTEX) {
		o->owner = t;
		o->recursion++;
		o->abandoned = false;
		return abandoned;
	}
	if (!o->manual)
		o->count--;
	return false;
}

/* The answer, or WAIT_TIMEOUT: not yet. */
static uint32_t look(struct object **o, uint32_t n, bool all, struct thread *t)
{
	uint32_t answer = WAIT_OBJECT_0;
	for (uint32_t i = 0; i < n; i++) {
		bool is = signaled(o[i], t);
		if (is && !all)
			return (consume(o[i], t) ? WAIT_ABANDONED_0 : WAIT_OBJECT_0) + i;
		if (!is && all)
			return WAIT_TIMEOUT;
	}
	if (!all)
		return WAIT_TIMEOUT;
	for (uint32_t i = 0; i < n; i++)
		if (consume(o[i], t))
			answer = WAIT_ABANDONED_0 + i;
	return answer;
}

static uint64_t next_due(struct object **o, uint32_t n, uint64_t deadline)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct timer *t = (const struct timer *)(void *)o[i];
		if (o[i]->kind == KIND_TIMER && t->due_ns && t->due_ns < deadline)
			deadline = t->due_ns;
	}
	return deadline;
}

static void node_add(struct object *o, struct wait_node *w, struct thread *t)
{
	w->t = t;
	w->next = o->waiters;
	o->waiters = w;
}

static void node_remove(struct object *o, struct wait_node *w)
{
	for (struct wait_node **p = &o->waiters; *p; p = &(*p)->next)
		if (*p == w) {
			*p = w->next;
			return;
		}
}

static bool apc_run(struct thread *t);
static uint64_t calls_due(const struct thread *t, uint64_t deadline);

uint32_t wait_for(struct object **o, uint32_t n, bool all, uint64_t deadline, bool alertable)
{
	struct wait_node nodes[MAXIMUM_WAIT_OBJECTS];
	struct thread *t = thread_self();
	uint32_t r;
	for (;;) {
		if (alertable && apc_run(t))
			return WAIT_IO_COMPLETION;
		pthread_mutex_lock(&lock);
		r = n ? look(o, n, all, t) : WAIT_TIMEOUT;
		if (r != WAIT_TIMEOUT || deadline == 0 ||
		    (deadline != NEVER && host_monotonic_ns() >= deadline))
			break;
		atomic_store(&t->wake, alertable && t->apc ? 1 : 0);
		for (uint32_t i = 0; i < n; i++) {
			node_add(o[i], &nodes[i], t);
			if (typed_into(o[i]))
				console_arm(typed_into(o[i]));
		}
		uint64_t until = next_due(o, n, deadline);
		if (alertable)
			until = calls_due(t, until);
		pthread_mutex_unlock(&lock);
		futex_wait(&t->wake, 0, until);
		pthread_mutex_lock(&lock);
		for (uint32_t i = 0; i < n; i++)
			node_remove(o[i], &nodes[i]);
		pthread_mutex_unlock(&lock);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

void mutexes_abandon(struct thread *t)
{
	/* few threads end with one: every named or waited-for mutex knows its owner */
	handles_each(KIND_MUTEX, mutex_abandon, t);
}

void mutex_abandon(struct object *o, void *thread)
{
	pthread_mutex_lock(&lock);
	if (o->owner == thread) {
		o->owner = NULL;
		o->recursion = 0;
		o->abandoned = true;
		wait_wake(o);
	}
	pthread_mutex_unlock(&lock);
}

/* ---- calls to a thread, run when it waits and lets itself be called ---- */

struct apc {
	uint64_t fn, a, b, c;
	const struct timer *of; /* borrowed; NULL: no timer's */
	struct apc *next;
};

/* Under the lock. */
static void apc_add(struct thread *t, const struct apc *what)
{
	struct apc *one = malloc(sizeof *one), **p;
	if (!one)
		return;
	*one = *what;
	for (p = (struct apc **)(void *)&t->apc; *p; p = &(*p)->next)
		continue;
	*p = one;
}

/* Under the lock: those of the timer @of, or (NULL) all. */
static void apcs_drop(struct thread *t, const struct timer *of)
{
	struct apc **p = (struct apc **)(void *)&t->apc;
	while (*p) {
		struct apc *one = *p;
		if (of && one->of != of) {
			p = &one->next;
			continue;
		}
		*p = one->next;
		free(one);
	}
}

static bool apc_waits(const struct thread *t, const struct timer *of)
{
	const struct apc *a = t->apc;
	while (a && a->of != of)
		a = a->next;
	return a != NULL;
}

void apc_queue(struct thread *t, uint64_t fn, uint64_t a, uint64_t b, uint64_t c)
{
	const struct apc one = {.fn = fn, .a = a, .b = b, .c = c};
	pthread_mutex_lock(&lock);
	apc_add(t, &one);
	atomic_store(&t->wake, 1);
	pthread_mutex_unlock(&lock);
	futex_wake(&t->wake, 1);
}

/* ---- calls of timers: their thread looks for them when it lets itself be called ---- */

static uint64_t calls_due(const struct thread *t, uint64_t deadline)
{
	for (const struct timer *m = t->timers; m; m = m->next_call)
		if (m->call_ns && m->call_ns < deadline)
			deadline = m->call_ns;
	return deadline;
}

/* Under the lock: of the timers that call, the one that was due first; NULL: none is, at @now. */
static struct timer *call_first(const struct thread *t, uint64_t now)
{
	struct timer *first = NULL;
	for (struct timer *m = t->timers; m; m = m->next_call)
		if (m->call_ns && m->call_ns <= (first ? first->call_ns - 1 : now))
			first = m;
	return first;
}

/* Under the lock: what is due becomes an APC; it was due at a time of day. A timer has one at most
 * that waits. */
static void calls_look(struct thread *t)
{
	uint64_t now = t->timers ? host_monotonic_ns() : 0;
	for (struct timer *m; (m = call_first(t, now));) {
		uint64_t day = filetime_now() - (now - m->call_ns) / 100;
		const struct apc one = {
		    .fn = m->fn, .a = m->arg, .b = (uint32_t)day, .c = day >> 32, .of = m};
		if (!apc_waits(t, m))
			apc_add(t, &one);
		uint64_t p = m->period_ns;
		m->call_ns = p ? now + p - (now - m->call_ns) % p : 0;
	}
}

/* Under the lock: it calls nobody any more, not even if it was due. */
static void call_drop(struct timer *m)
{
	if (m->t)
		apcs_drop(m->t, m);
	struct timer **p = m->t ? (struct timer **)(void *)&m->t->timers : NULL;
	while (p && *p && *p != m)
		p = &(*p)->next_call;
	if (p && *p)
		*p = m->next_call;
	m->t = NULL;
}

static void timer_fini(struct object *o)
{
	pthread_mutex_lock(&lock);
	call_drop((struct timer *)(void *)o);
	pthread_mutex_unlock(&lock);
}

void calls_drop(struct thread *t)
{
	pthread_mutex_lock(&lock);
	while (t->timers)
		call_drop(t->timers);
	apcs_drop(t, NULL);
	pthread_mutex_unlock(&lock);
}

static bool apc_run(struct thread *t)
{
	bool any = false;
	for (;;) {
		pthread_mutex_lock(&lock);
		calls_look(t);
		struct apc *one = t->apc;
		if (one)
			t->apc = one->next;
		pthread_mutex_unlock(&lock);
		if (!one)
			return any;
		guest_call4(one->fn, one->a, one->b, one->c, 0);
		free(one);
		any = true;
	}
}

API(uint32_t, k32_QueueUserAPC, uint64_t fn, handle h, uint64_t data)
{
	struct object *o = object_get(h, KIND_THREAD);
	if (!o)
		return 0;
	threads_lock();
	struct thread *t = thread_of_object(o);
	if (t)
		apc_queue(t, fn, data, 0, 0);
	threads_unlock();
	object_unref(o);
	return t != NULL;
}

/* ---- the functions that wait ---- */

static uint32_t event_set(handle h, int64_t count);
WINAPI uint32_t k32_ReleaseMutex(handle h);
WINAPI uint32_t k32_ReleaseSemaphore(handle h, int32_t n, int32_t *ret_before);

API(uint32_t, k32_WaitForMultipleObjectsEx, uint32_t n, const handle *h, uint32_t all, uint32_t ms,
    uint32_t alertable)
{
	struct object *o[MAXIMUM_WAIT_OBJECTS];
	uint32_t got = 0, r = WAIT_FAILED;
	if (n == 0 || n > MAXIMUM_WAIT_OBJECTS) {
		last_error_set(ERROR_INVALID_PARAMETER);
		return WAIT_FAILED;
	}
	while (got < n && (o[got] = object_get(h[got], KIND_ANY)))
		got++;
	bool twice = false;
	for (uint32_t i = 0; all && got == n && i < n; i++)
		for (uint32_t k = 0; k < i; k++)
			twice |= o[i] == o[k];
	if (twice)
		last_error_set(ERROR_INVALID_PARAMETER);
	else if (got == n)
		r = wait_for(o, n, all != 0, ms ? deadline_of_ms(ms) : 0, alertable != 0);
	while (got)
		object_unref(o[--got]);
	return r;
}

API(uint32_t, k32_WaitForMultipleObjects, uint32_t n, const handle *h, uint32_t all, uint32_t ms)
{
	return k32_WaitForMultipleObjectsEx(n, h, all, ms, 0);
}

API(uint32_t, k32_WaitForSingleObjectEx, handle h, uint32_t ms, uint32_t alertable)
{
	return k32_WaitForMultipleObjectsEx(1, &h, 0, ms, alertable);
}

API(uint32_t, k32_WaitForSingleObject, handle h, uint32_t ms)
{
	return k32_WaitForMultipleObjectsEx(1, &h, 0, ms, 0);
}

API(uint32_t, k32_SignalObjectAndWait, handle signal, handle h, uint32_t ms, uint32_t alertable)
{
	struct object *o = object_get(signal, KIND_ANY);
	uint32_t kind = o ? o->kind : KIND_ANY, ok = 0;
	object_unref(o);
	if (kind == KIND_EVENT)
		ok = event_set(signal, 1);
	else if (kind == KIND_MUTEX)
		ok = k32_ReleaseMutex(signal);
	else if (kind == KIND_SEMAPHORE)
		ok = k32_ReleaseSemaphore(signal, 1, NULL);
	else
		last_error_set(ERROR_INVALID_HANDLE);
	return ok ? k32_WaitForSingleObjectEx(h, ms, alertable) : WAIT_FAILED;
}

API(uint32_t, k32_SleepEx, uint32_t ms, uint32_t alertable)
{
	if (!ms && !alertable) {
		sched_yield();
		return 0;
	}
	return wait_for(NULL, 0, false, deadline_of_ms(ms), alertable != 0) == WAIT_IO_COMPLETION
		   ? WAIT_IO_COMPLETION
		   : 0;
}

API(void, k32_Sleep, uint32_t ms) { k32_SleepEx(ms, 0); }

uint64_t deadline_of_nt(const int64_t *timeout)
{
	uint64_t now = host_monotonic_ns(), of_day = filetime_now(), left;
	if (!timeout)
		return NEVER;
	left = *timeout <= 0                   ? 0 - (uint64_t)*timeout
	       : (uint64_t)*timeout <= of_day ? 0
					      : (uint64_t)*timeout - of_day;
	return !left ? 0 : left > (NEVER - now) / 100 ? NEVER : now + left * 100;
}

API(uint32_t, nt_NtWaitForSingleObject, handle h, uint32_t alertable, const int64_t *timeout)
{
	struct object *o = object_get(h, KIND_ANY);
	if (!o)
		return STATUS_INVALID_HANDLE;
	uint32_t r = wait_for(&o, 1, false, deadline_of_nt(timeout), (alertable & 255) != 0);
	object_unref(o);
	return r == WAIT_TIMEOUT ? STATUS_TIMEOUT : r;
}

API(uint32_t, nt_NtDelayExecution, uint32_t alertable, const int64_t *timeout)
{
	return wait_for(NULL, 0, false, deadline_of_nt(timeout), (alertable & 255) != 0) ==
		       WAIT_IO_COMPLETION
		   ? WAIT_IO_COMPLETION
		   : STATUS_SUCCESS;
}

/* ---- events, mutexes, semaphores ---- */

static handle named(struct object *o, const char *name, uint32_t limit_error)
{
	bool old = false;
	if (!o)
		return fail(limit_error);
	o = object_name(o, name, &old);
	last_error_set(old ? ERROR_ALREADY_EXISTS : ERROR_SUCCESS);
	uint32_t error = last_error();
	handle h = object_handle(o, false);
	if (h)
		last_error_set(error);
	return h;
}

static handle event_new(bool manual, bool set, const char *name)
{
	struct object *o = object_new(KIND_EVENT, sizeof *o);
	if (o) {
		o->manual = manual;
		o->count = set;
	}
	return named(o, name, ERROR_NOT_ENOUGH_MEMORY);
}

static handle open_named(const char *name, enum kind k)
{
	struct object *o = name ? object_named(name, k) : NULL;
	return o ? object_handle(o, false) : fail(ERROR_FILE_NOT_FOUND);
}

static handle open_named_w(const wide *name, enum kind k)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return open_named(n, k);
}

API(handle, k32_CreateEventA, void *sec, uint32_t manual, uint32_t set, const char *name)
{
	(void)sec;
	return event_new(manual != 0, set != 0, name);
}

API(handle, k32_CreateEventW, void *sec, uint32_t manual, uint32_t set, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_CreateEventA(sec, manual, set, n);
}

API(handle, k32_CreateEventExW, void *sec, const wide *name, uint32_t flags, uint32_t access)
{
	(void)access;
	return k32_CreateEventW(sec, flags & 1, flags & 2, name);
}

API(handle, k32_CreateEventExA, void *sec, const char *name, uint32_t flags, uint32_t access)
{
	(void)access;
	return k32_CreateEventA(sec, flags & 1, flags & 2, name);
}

API(handle, k32_OpenEventA, uint32_t access, uint32_t inherit, const char *name)
{
	(void)access;
	(void)inherit;
	return open_named(name, KIND_EVENT);
}

API(handle, k32_OpenEventW, uint32_t access, uint32_t inherit, const wide *name)
{
	(void)access;
	(void)inherit;
	return open_named_w(name, KIND_EVENT);
}

static uint32_t event_set(handle h, int64_t count)
{
	struct object *o = object_get(h, KIND_EVENT);
	if (!o)
		return 0;
	wait_signal(o, count);
	object_unref(o);
	return 1;
}

API(uint32_t, k32_SetEvent, handle h) { return event_set(h, 1); }
API(uint32_t, k32_ResetEvent, handle h) { return event_set(h, 0); }

/* Wakes who waits now; nobody later. */
API(uint32_t, k32_PulseEvent, handle h)
{
	if (!event_set(h, 1))
		return 0;
	sched_yield();
	return event_set(h, 0);
}

API(handle, k32_CreateMutexA, void *sec, uint32_t own, const char *name)
{
	(void)sec;
	struct object *o = object_new(KIND_MUTEX, sizeof *o);
	if (o && own) {
		o->owner = thread_self();
		o->recursion = 1;
	}
	return named(o, name, ERROR_NOT_ENOUGH_MEMORY);
}

API(handle, k32_CreateMutexW, void *sec, uint32_t own, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_CreateMutexA(sec, own, n);
}

API(handle, k32_CreateMutexExW, void *sec, const wide *name, uint32_t flags, uint32_t access)
{
	(void)access;
	return k32_CreateMutexW(sec, flags & 1, name);
}

API(uint32_t, k32_ReleaseMutex, handle h)
{
	struct object *o = object_get(h, KIND_MUTEX);
	if (!o)
		return 0;
	pthread_mutex_lock(&lock);
	bool mine = o->owner == thread_self();
	if (mine && --o->recursion == 0) {
		o->owner = NULL;
		wait_wake(o);
	}
	pthread_mutex_unlock(&lock);
	object_unref(o);
	return mine ? 1 : fail(ERROR_NOT_OWNER);
}

struct semaphore {
	struct object o;
	int64_t most;
};

API(handle, k32_CreateSemaphoreA, void *sec, int32_t count, int32_t most, const char *name)
{
	(void)sec;
	if (count < 0 || most <= 0 || count > most)
		return fail(ERROR_INVALID_PARAMETER);
	struct semaphore *s = object_new(KIND_SEMAPHORE, sizeof *s);
	if (s) {
		s->o.count = count;
		s->most = most;
	}
	return named(s ? &s->o : NULL, name, ERROR_NOT_ENOUGH_MEMORY);
}

API(handle, k32_CreateSemaphoreW, void *sec, int32_t count, int32_t most, const wide *name)
{
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	return k32_CreateSemaphoreA(sec, count, most, n);
}

API(handle, k32_CreateSemaphoreExW, void *sec, int32_t count, int32_t most, const wide *name,
    uint32_t flags, uint32_t access)
{
	(void)flags;
	(void)access;
	return k32_CreateSemaphoreW(sec, count, most, name);
}

API(uint32_t, k32_ReleaseSemaphore, handle h, int32_t n, int32_t *ret_before)
{
	struct semaphore *s = object_get(h, KIND_SEMAPHORE);
	if (!s)
		return 0;
	pthread_mutex_lock(&lock);
	bool fits = n > 0 && s->o.count + n <= s->most;
	if (fits) {
		if (ret_before)
			*ret_before = (int32_t)s->o.count;
		s->o.count += n;
		wait_wake(&s->o);
	}
	pthread_mutex_unlock(&lock);
	object_unref(&s->o);
	return fits ? 1 : fail(n > 0 ? ERROR_TOO_MANY_POSTS : ERROR_INVALID_PARAMETER);
}

/* ---- waitable timers ---- */

/* They are looked at when the clock interrupts, which it does every half millisecond at the most
 * often. Programs are made for that: one that asks for 20 us a thousand times wants its pause to
 * be short, not as many wake-ups. */
enum { CLOCK_INTERRUPT_NS = 500000 };
static uint64_t next_interrupt(uint64_t due_ns)
{
	uint64_t late = due_ns % CLOCK_INTERRUPT_NS;
	return !late || due_ns > NEVER - CLOCK_INTERRUPT_NS ? due_ns
							    : due_ns - late + CLOCK_INTERRUPT_NS;
}

API(handle, k32_CreateWaitableTimerExW, void *sec, const wide *name, uint32_t flags,
    uint32_t access)
{
	(void)sec;
	(void)access;
	autofree char *n = name ? text_from(name, SIZE_MAX) : NULL;
	struct timer *t = object_new(KIND_TIMER, sizeof *t);
	if (t) {
		t->o.manual = flags & 1;
		t->o.fini = timer_fini;
	}
	return named(t ? &t->o : NULL, n, ERROR_NOT_ENOUGH_MEMORY);
}

API(handle, k32_CreateWaitableTimerW, void *sec, uint32_t manual, const wide *name)
{
	return k32_CreateWaitableTimerExW(sec, name, manual != 0, 0);
}

API(handle, k32_CreateWaitableTimerA, void *sec, uint32_t manual, const char *name)
{
	autofree wide *n = name ? text_wide(name, SIZE_MAX) : NULL;
	return k32_CreateWaitableTimerExW(sec, n, manual != 0, 0);
}

static uint32_t timer_set(handle h, uint64_t due_ns, uint64_t period_ns, uint64_t fn, uint64_t arg)
{
	struct timer *t = object_get(h, KIND_TIMER);
	struct thread *me = thread_self();
	if (!t)
		return 0;
	pthread_mutex_lock(&lock);
	call_drop(t);
	if (due_ns) /* one that is called off stays as it is */
		t->o.count = 0;
	t->due_ns = t->call_ns = due_ns;
	t->period_ns = period_ns;
	if (fn) {
		t->fn = fn;
		t->arg = arg;
		t->t = me;
		t->next_call = me->timers;
		me->timers = t;
	}
	wait_wake(&t->o);
	pthread_mutex_unlock(&lock);
	object_unref(&t->o);
	return 1;
}

API(uint32_t, k32_SetWaitableTimer, handle h, const int64_t *due, int32_t period_ms, uint64_t fn,
    uint64_t arg, uint32_t resume)
{
	(void)resume;
	if (period_ms < 0)
		return fail(ERROR_INVALID_PARAMETER);
	uint64_t at = deadline_of_nt(due);
	return timer_set(h, next_interrupt(at ? at : 1), (uint64_t)period_ms * 1000000, fn, arg);
}

/* The host does not gather wake-ups of one process, so the tolerance is not needed. */
API(uint32_t, k32_SetWaitableTimerEx, handle h, const int64_t *due, int32_t period_ms, uint64_t fn,
    uint64_t arg, const void *reason, uint32_t tolerance_ms)
{
	(void)reason;
	(void)tolerance_ms;
	return k32_SetWaitableTimer(h, due, period_ms, fn, arg, 0);
}

API(uint32_t, k32_CancelWaitableTimer, handle h) { return timer_set(h, 0, 0, 0, 0); }

/* ---- by name ---- */

API(handle, k32_OpenWaitableTimerW, uint32_t access, uint32_t inherit, const wide *name)
{
	(void)access;
	(void)inherit;
	return open_named_w(name, KIND_TIMER);
}

API(handle, k32_OpenMutexW, uint32_t access, uint32_t inherit, const wide *name)
{
	(void)access;
	(void)inherit;
	return open_named_w(name, KIND_MUTEX);
}

API(handle, k32_OpenMutexA, uint32_t access, uint32_t inherit, const char *name)
{
	(void)access;
	(void)inherit;
	return open_named(name, KIND_MUTEX);
}

API(handle, k32_OpenSemaphoreW, uint32_t access, uint32_t inherit, const wide *name)
{
	(void)access;
	(void)inherit;
	return open_named_w(name, KIND_SEMAPHORE);
}

API(handle, k32_OpenSemaphoreA, uint32_t access, uint32_t inherit, const char *name)
{
	(void)access;
	(void)inherit;
	return open_named(name, KIND_SEMAPHORE);
}
