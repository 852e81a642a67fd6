/* SPDX-License-Identifier: Apache-2.0 */
/* Kinds of objects of thread pools: work, timers, waits, I/O. */
#include "win/threadpool.h"

extern WINAPI uint32_t k32_RegisterWaitForSingleObject(handle *ret, handle h, uint64_t fn,
						       uint64_t arg, uint32_t ms, uint32_t flags);
extern WINAPI uint32_t k32_UnregisterWaitEx(handle h, handle event);
extern WINAPI handle k32_CreateIoCompletionPort(handle file, handle port, uint64_t key,
						uint32_t threads);
extern WINAPI uint32_t k32_GetQueuedCompletionStatus(handle port, uint32_t *ret_n,
						     uint64_t *ret_key, uint64_t *ret_overlapped,
						     uint32_t ms);

enum { IDLE_MS = 3000, EXECUTE_ONCE = 8 };
static WIN_STATE struct {
	struct tp *first; /* timers that are set; tp_lock */
	bool runs;
	_Atomic(uint32_t) changed; /* futex: of the thread that looks after them */
	handle port; /* of all I/O; 0: there has been none */
	bool port_fails;
} kinds;

/* ---- work ---- */

API(struct tp *, k32_CreateThreadpoolWork, uint64_t fn, uint64_t arg,
    const struct tp_environment *env)
{
	return tp_new(TP_WORK, fn, arg, env);
}

API(void, k32_SubmitThreadpoolWork, struct tp *t)
{
	tp_lock();
	(void)tp_submit(t);
	tp_unlock();
}

/* Those that have not begun go first if @cancel. */
static void calls_await(struct tp *t, uint32_t cancel)
{
	tp_lock();
	if (cancel)
		tp_drop(t);
	tp_await(t);
	tp_unlock();
}

API(void, k32_WaitForThreadpoolWorkCallbacks, struct tp *t, uint32_t cancel)
{
	calls_await(t, cancel);
}
API(void, k32_CloseThreadpoolWork, struct tp *t) { tp_close(t); }

API(uint32_t, k32_TrySubmitThreadpoolCallback, uint64_t fn, uint64_t arg,
    const struct tp_environment *env)
{
	struct tp *t = tp_new(TP_SIMPLE, fn, arg, env);
	if (!t)
		return 0;
	tp_lock();
	bool ok = tp_submit(t);
	tp_unref(t); /* it ends with its call, in a group, too */
	tp_unlock();
	return ok;
}

/* ---- timers ---- */

/* Locked: those that are due are submitted; when the next one is. */
static uint64_t timers_look(uint64_t now)
{
	uint64_t next = NEVER;
	for (struct tp **p = &kinds.first; *p;) {
		struct tp *t = *p;
		if (t->due_ns && t->due_ns <= now) {
			(void)tp_submit(t);
			uint64_t late = t->period_ns ? (now - t->due_ns) % t->period_ns : 0;
			t->due_ns = t->period_ns ? now + t->period_ns - late : 0;
		}
		if (!t->due_ns) {
			*p = t->next_timer;
			t->timed = false;
			tp_unref(t);
			continue;
		}
		next = t->due_ns < next ? t->due_ns : next;
		p = &t->next_timer;
	}
	return next;
}

API(uint32_t, tp_timer_thread, uint64_t unused)
{
	(void)unused;
	tp_lock();
	for (;;) {
		uint32_t seen = kinds.changed;
		uint64_t next = timers_look(host_monotonic_ns());
		uint64_t until = next == NEVER ? deadline_of_ms(IDLE_MS) : next;
		tp_unlock();
		int r = futex_wait(&kinds.changed, seen, until);
		tp_lock();
		if (next == NEVER && r == -ETIMEDOUT && !kinds.first)
			break;
	}
	kinds.runs = false;
	tp_unlock();
	return 0;
}

void tp_timer_set(struct tp *t, uint64_t due_ns, uint64_t period_ns)
{
	uint32_t tid;
	due_ns = t->closed ? 0 : due_ns;
	t->due_ns = due_ns;
	t->period_ns = period_ns;
	if (!due_ns && t->timed) {
		struct tp **p = &kinds.first;
		while (*p != t)
			p = &(*p)->next_timer;
		*p = t->next_timer;
		t->timed = false;
		tp_unref(t); /* its owner's is left */
	}
	if (!due_ns)
		return;
	if (!t->timed) {
		tp_ref(t);
		t->timed = true;
		t->next_timer = kinds.first;
		kinds.first = t;
	}
	atomic_fetch_add(&kinds.changed, 1);
	futex_wake(&kinds.changed, 1);
	if (kinds.runs)
		return;
	handle h = thread_make(0, (uint64_t)(uintptr_t)tp_timer_thread, 0, 0, &tid);
	kinds.runs = h != 0;
	if (h)
		object_close(h);
}

API(struct tp *, k32_CreateThreadpoolTimer, uint64_t fn, uint64_t arg,
    const struct tp_environment *env)
{
	return tp_new(TP_TIMER, fn, arg, env);
}

API(void, k32_SetThreadpoolTimer, struct tp *t, const int64_t *due, uint32_t period_ms,
    uint32_t window_ms)
{
	uint64_t at = due ? deadline_of_nt(due) : 0;
	(void)window_ms;
	tp_lock();
	tp_timer_set(t, !due ? 0 : at ? at : 1, (uint64_t)period_ms * 1000000);
	tp_unlock();
}

API(uint32_t, k32_SetThreadpoolTimerEx, struct tp *t, const int64_t *due, uint32_t period_ms,
    uint32_t window_ms)
{
	tp_lock();
	bool was = t->due_ns || t->queued;
	tp_drop(t);
	tp_unlock();
	k32_SetThreadpoolTimer(t, due, period_ms, window_ms);
	return was;
}

API(uint32_t, k32_IsThreadpoolTimerSet, struct tp *t)
{
	tp_lock();
	bool is = t->due_ns != 0;
	tp_unlock();
	return is;
}

API(void, k32_WaitForThreadpoolTimerCallbacks, struct tp *t, uint32_t cancel)
{
	calls_await(t, cancel);
}
API(void, k32_CloseThreadpoolTimer, struct tp *t) { tp_close(t); }

/* ---- waits: each time that one is set it is a registration of its own ---- */

struct tp_turn {
	struct tp *t; /* a reference, until it is over */
	bool over;
	uint32_t refs; /* the object's, whose turn it is, and of who registers it */
	handle made;   /* the registration; 0: not yet, or not any more */
};

/* Locked. What is registered may still call it: that has ended before. */
static void turn_unref(struct tp_turn *w)
{
	if (--w->refs)
		return;
	if (!w->over)
		tp_unref(w->t);
	free(w);
}

API(void, tp_wait_over, struct tp_turn *w, uint8_t timed_out)
{
	tp_lock();
	w->over = true;
	w->t->result = timed_out ? WAIT_TIMEOUT : WAIT_OBJECT_0;
	(void)tp_submit(w->t);
	tp_unref(w->t);
	tp_unlock();
}

/* Locked, which it gives up meanwhile: @made calls nobody from here on. */
static void turn_unregister(handle made)
{
	tp_unlock();
	if (made)
		(void)k32_UnregisterWaitEx(made, HANDLE_BAD);
	tp_lock();
}

/* Locked, which it gives up meanwhile: it is @to's turn, or nobody's. */
static void turn_change(struct tp *t, struct tp_turn *to)
{
	struct tp_turn *w = t->turn;
	t->turn = to;
	if (!w)
		return;
	turn_unregister(w->made); /* none yet: who makes it sees that it is over */
	turn_unref(w);
}

void tp_wait_end(struct tp *t) { turn_change(t, NULL); }

API(struct tp *, k32_CreateThreadpoolWait, uint64_t fn, uint64_t arg,
    const struct tp_environment *env)
{
	return tp_new(TP_WAIT, fn, arg, env);
}

static uint32_t ms_until(const int64_t *timeout)
{
	uint64_t at = deadline_of_nt(timeout), now = host_monotonic_ns();
	if (at == NEVER)
		return INFINITE;
	return at <= now ? 0 : (uint32_t)min_u64((at - now + 999999) / 1000000, INFINITE - 1);
}

/* Locked: with a reference for the caller; NULL: no memory, or it is closed. */
static struct tp_turn *turn_new(struct tp *t)
{
	struct tp_turn *w = t->closed ? NULL : calloc(1, sizeof *w);
	if (!w)
		return NULL;
	tp_ref(t);
	*w = (struct tp_turn){.t = t, .refs = 2};
	return w;
}

/* It may be set again, by its own call or another thread, before the registration is known here:
 * then that one is of no use any more. */
API(void, k32_SetThreadpoolWait, struct tp *t, handle h, const int64_t *timeout)
{
	handle made = 0;
	tp_lock();
	tp_ref(t);
	struct tp_turn *w = h ? turn_new(t) : NULL;
	turn_change(t, w);
	tp_unlock();
	bool ok = w && k32_RegisterWaitForSingleObject(
			   &made, h, (uint64_t)(uintptr_t)tp_wait_over, (uint64_t)(uintptr_t)w,
			   ms_until(timeout), EXECUTE_ONCE);
	tp_lock();
	if (w && t->turn == w && ok)
		w->made = made;
	else if (w && t->turn == w)
		tp_wait_end(t);
	else if (ok)
		turn_unregister(made);
	if (w)
		turn_unref(w);
	tp_unref(t);
	tp_unlock();
}

API(void, k32_WaitForThreadpoolWaitCallbacks, struct tp *t, uint32_t cancel)
{
	calls_await(t, cancel);
}

API(void, k32_CloseThreadpoolWait, struct tp *t)
{
	k32_SetThreadpoolWait(t, 0, NULL);
	tp_close(t);
}

/* ---- I/O: files whose requests end in a port that a thread of ours reads ---- */

/* BindIoCompletionCallback has functions for keys, CreateThreadpoolIo objects: those are even and
 * aligned, these are marked. */
enum { IS_FUNCTION = 1 };
struct bound {
	uint64_t fn;
};

API(uint32_t, tp_port_thread, uint64_t unused)
{
	typedef WINAPI void (*bound_fn)(uint32_t error, uint32_t n, uint64_t overlapped);
	(void)unused;
	for (;;) {
		uint64_t key = 0, overlapped = 0;
		uint32_t n = 0;
		bool ok = k32_GetQueuedCompletionStatus(kinds.port, &n, &key, &overlapped,
							INFINITE);
		uint32_t error = ok ? 0 : last_error();
		if (key & IS_FUNCTION) {
			const struct bound *b = (void *)(uintptr_t)(key & ~UINT64_C(1));
			((bound_fn)(uintptr_t)b->fn)(error, n, overlapped);
			continue;
		}
		struct tp *t = (struct tp *)(uintptr_t)key;
		struct tp_done *d = t ? malloc(sizeof *d) : NULL;
		tp_lock();
		if (d && tp_submit(t)) { /* nobody looks before this is unlocked */
			*d = (struct tp_done){overlapped, n, error, NULL};
			*t->end = d;
			t->end = &d->next;
			d = NULL;
		}
		tp_unlock();
		free(d);
	}
	return 0;
}

static bool port_begin(void)
{
	uint32_t tid;
	tp_lock();
	if (!kinds.port && !kinds.port_fails) {
		kinds.port = k32_CreateIoCompletionPort(HANDLE_BAD, 0, 0, 0);
		handle h = kinds.port ? thread_make(0, (uint64_t)(uintptr_t)tp_port_thread, 0, 0,
						    &tid)
				      : 0;
		kinds.port_fails = !h;
		if (h)
			object_close(h);
	}
	bool ok = !kinds.port_fails;
	tp_unlock();
	return ok;
}

API(struct tp *, k32_CreateThreadpoolIo, handle file, uint64_t fn, uint64_t arg,
    const struct tp_environment *env)
{
	struct tp *t = port_begin() ? tp_new(TP_IO, fn, arg, env) : NULL;
	if (t && k32_CreateIoCompletionPort(file, kinds.port, (uint64_t)(uintptr_t)t, 0))
		return t;
	if (t)
		tp_close(t);
	return NULL;
}

/* DEVIATES: what ends without having been announced is told as well, and what was announced is not
 * waited for before it has ended. */
API(void, k32_StartThreadpoolIo, struct tp *t) { (void)t; }
API(void, k32_CancelThreadpoolIo, struct tp *t) { (void)t; }

API(void, k32_WaitForThreadpoolIoCallbacks, struct tp *t, uint32_t cancel)
{
	calls_await(t, cancel);
}

/* The port may still have something for it: it stays, and is small. */
API(void, k32_CloseThreadpoolIo, struct tp *t)
{
	tp_lock();
	tp_ref(t);
	tp_unlock();
	tp_close(t);
}

API(uint32_t, k32_BindIoCompletionCallback, handle file, uint64_t fn, uint32_t flags)
{
	struct bound *b = port_begin() ? malloc(sizeof *b) : NULL;
	(void)flags;
	if (!b)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	b->fn = fn;
	if (k32_CreateIoCompletionPort(file, kinds.port, (uint64_t)(uintptr_t)b | IS_FUNCTION, 0))
		return 1;
	free(b);
	return 0;
}
