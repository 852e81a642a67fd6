/* SPDX-License-Identifier: Apache-2.0 */
/* CreateTimerQueue: timers of thread pools with other functions around them. */
#include "win/threadpool.h"

enum { EXECUTE_ONCE = 8 };
struct timer_queue {
	struct tp *first; /* a reference each; by next_in_group */
};
static WIN_STATE struct timer_queue usual; /* which NULL stands for */

static struct timer_queue *queue_of(struct timer_queue *q) { return q ? q : &usual; }

API(struct timer_queue *, k32_CreateTimerQueue, void)
{
	struct timer_queue *q = calloc(1, sizeof *q);
	return q ? q : (fail(ERROR_NOT_ENOUGH_MEMORY), NULL);
}

static void times_set(struct tp *t, uint32_t due_ms, uint32_t period_ms)
{
	uint64_t due = due_ms == INFINITE ? 0 : deadline_of_ms(due_ms);
	tp_timer_set(t, due, (uint64_t)period_ms * 1000000);
}

API(uint32_t, k32_CreateTimerQueueTimer, struct tp **ret, struct timer_queue *q, uint64_t fn,
    uint64_t arg, uint32_t due_ms, uint32_t period_ms, uint32_t flags)
{
	struct tp *t = tp_new(TP_TIMER, fn, arg, NULL);
	if (!t)
		return 0;
	q = queue_of(q);
	tp_lock();
	t->queue = q;
	t->next_in_group = q->first;
	q->first = t;
	*ret = t;
	times_set(t, due_ms, flags & EXECUTE_ONCE ? 0 : period_ms);
	tp_unlock();
	return 1;
}

API(uint32_t, k32_ChangeTimerQueueTimer, struct timer_queue *q, struct tp *t, uint32_t due_ms,
    uint32_t period_ms)
{
	(void)q;
	tp_lock();
	times_set(t, due_ms, period_ms);
	tp_unlock();
	return 1;
}

/* Locked: it is out of its queue, and ends with its last call: at once if *@ret_busy is false. */
static void timer_end(struct tp *t, bool wait, bool *ret_busy)
{
	struct tp **p = &t->queue->first;
	while (*p && *p != t)
		p = &(*p)->next_in_group;
	if (*p)
		*p = t->next_in_group;
	tp_timer_set(t, 0, 0);
	tp_drop(t);
	if (wait)
		tp_await(t);
	*ret_busy = t->running != 0;
}

/* @event: HANDLE_BAD: come back when the last call has ended; else it is set then. */
API(uint32_t, k32_DeleteTimerQueueTimer, struct timer_queue *q, struct tp *t, handle event)
{
	bool busy;
	(void)q;
	if (!t)
		return fail(ERROR_INVALID_HANDLE);
	struct object *told = event && event != HANDLE_BAD ? object_get(event, KIND_EVENT) : NULL;
	tp_lock();
	timer_end(t, event == HANDLE_BAD, &busy);
	if (busy)
		t->told = told;
	tp_unref(t);
	tp_unlock();
	if (!busy && told) {
		wait_signal(told, 1);
		object_unref(told);
	}
	return busy ? fail(ERROR_IO_PENDING) : 1;
}

API(uint32_t, k32_DeleteTimerQueueEx, struct timer_queue *q, handle event)
{
	bool any = false, busy;
	if (!q)
		return fail(ERROR_INVALID_HANDLE);
	struct object *told = event && event != HANDLE_BAD ? object_get(event, KIND_EVENT) : NULL;
	tp_lock();
	for (struct tp *t; (t = q->first);) {
		/* who wants an event is told when all is over: that is now */
		timer_end(t, event != 0, &busy);
		any |= busy;
		tp_unref(t);
	}
	tp_unlock();
	if (told) {
		wait_signal(told, 1);
		object_unref(told);
	}
	free(q);
	return any ? fail(ERROR_IO_PENDING) : 1;
}

API(uint32_t, k32_DeleteTimerQueue, struct timer_queue *q) { return k32_DeleteTimerQueueEx(q, 0); }

API(uint32_t, k32_CancelTimerQueueTimer, struct timer_queue *q, struct tp *t)
{
	return k32_DeleteTimerQueueTimer(q, t, 0);
}
