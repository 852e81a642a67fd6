/* SPDX-License-Identifier: Apache-2.0 */
/* CreateTimerQueue: timers of thread pools with other functions around them. */
#include "win/threadpool.h"

enum { EXECUTE_ONCE = 8 };
struct timer_queue {
	struct tp *first; /* a reference each; by next_in_group */
	uint32_t left;    /* timers that there are still, deleted ones whose calls run, too */
	bool deleted;     /* it goes with the last of them */
	struct object *told; /* set then; a reference */
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
	q->left++;
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

/* Locked. */
static void queue_free(struct timer_queue *q)
{
	if (!q->deleted || q->left)
		return;
	if (q->told)
		wait_signal(q->told, 1);
	object_unref(q->told);
	free(q);
}

void tp_queue_left(struct timer_queue *q)
{
	q->left--;
	queue_free(q);
}

/* Locked: it is out of its queue, and ends with its last call. True: one runs, and @told is set
 * when it has ended; it, a reference or NULL, is set at once else. Who deletes it while another
 * waits for its end, such as its own call, has no reference to give up any more. */
static bool timer_end(struct tp *t, bool wait, struct object *told)
{
	struct tp **p = &t->queue->first;
	bool first = !t->closed;
	while (*p && *p != t)
		p = &(*p)->next_in_group;
	if (*p)
		*p = t->next_in_group;
	t->closed = true;
	tp_timer_set(t, 0, 0);
	tp_drop(t);
	if (wait)
		tp_await(t);
	bool busy = t->running != 0;
	if (busy && told && !t->told) {
		t->told = told;
		told = NULL;
	}
	if (told && !busy)
		wait_signal(told, 1);
	object_unref(told);
	if (first)
		tp_unref(t);
	return busy;
}

static struct object *event_of(handle event)
{
	return event && event != HANDLE_BAD ? object_get(event, KIND_EVENT) : NULL;
}

/* @event: HANDLE_BAD: come back when the last call has ended; else it is set then. */
API(uint32_t, k32_DeleteTimerQueueTimer, struct timer_queue *q, struct tp *t, handle event)
{
	(void)q;
	if (!t)
		return fail(ERROR_INVALID_HANDLE);
	struct object *told = event_of(event);
	tp_lock();
	bool busy = timer_end(t, event == HANDLE_BAD, told);
	tp_unlock();
	return busy ? fail(ERROR_IO_PENDING) : 1;
}

/* @event: as above, of the last call of all of them. */
API(uint32_t, k32_DeleteTimerQueueEx, struct timer_queue *q, handle event)
{
	bool any = false;
	if (!q)
		return fail(ERROR_INVALID_HANDLE);
	struct object *told = event_of(event);
	tp_lock();
	q->told = told;
	q->left++; /* this call's */
	while (q->first)
		any |= timer_end(q->first, event == HANDLE_BAD, NULL);
	q->deleted = true;
	if (!any && told) /* calls that were dropped keep the rest for a while */
		wait_signal(told, 1);
	tp_queue_left(q);
	tp_unlock();
	return any ? fail(ERROR_IO_PENDING) : 1;
}

API(uint32_t, k32_DeleteTimerQueue, struct timer_queue *q) { return k32_DeleteTimerQueueEx(q, 0); }

API(uint32_t, k32_CancelTimerQueueTimer, struct timer_queue *q, struct tp *t)
{
	return k32_DeleteTimerQueueTimer(q, t, 0);
}
