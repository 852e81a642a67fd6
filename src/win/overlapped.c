/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked for with an OVERLAPPED: how its end is told, waited for, and called off. */
#include "win/async.h"
#include <limits.h>

static _Atomic(uint32_t) *state_of(const struct overlapped *o)
{
	return (_Atomic(uint32_t) *)(uintptr_t)&o->status;
}

/* Threads that wait for one of these and let themselves be called: each has an event for it. */
struct watcher {
	const struct overlapped *o;
	struct object *event;
	struct watcher *next;
};
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct watcher *first;
	_Atomic(uint32_t) n;
} watchers = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void watchers_tell(const struct overlapped *o)
{
	if (!atomic_load(&watchers.n))
		return;
	pthread_mutex_lock(&watchers.lock);
	for (const struct watcher *w = watchers.first; w; w = w->next)
		if (w->o == o)
			wait_signal(w->event, 1);
	pthread_mutex_unlock(&watchers.lock);
}

static void event_set(handle h, int64_t count)
{
	struct object *event = h ? object_get(h, KIND_EVENT) : NULL;
	if (event)
		wait_signal(event, count);
	object_unref(event);
}

/* An event whose lowest bit is set: the port is not to be told. */
static struct told told_of(const struct overlapped *o)
{
	return (struct told){o->event & ~UINT64_C(1),
			     o->event & 1 ? 0 : (uint64_t)(uintptr_t)o};
}

void status_begin(struct overlapped *o, const struct told *t)
{
	o->n = 0;
	atomic_store(state_of(o), STATUS_PENDING);
	event_set(t->event, 0);
}

void overlapped_begin(struct overlapped *o)
{
	struct told t = told_of(o);
	status_begin(o, &t);
}

void status_end(struct file *f, struct overlapped *o, const struct told *t, uint32_t status,
		uint64_t n, bool at_once)
{
	/* what fails at once has told the caller */
	bool failed = at_once && status >> 30 == 3;
	bool quiet = !t->context || failed || (at_once && f->modes & 1 && !status);
	const struct told was = *t; /* the guest may reuse it once it has a status, */
	struct object *port = quiet ? NULL : f->port; /* and give the file a port */
	uint64_t key = f->port_key;
	if (port)
		object_ref(port);
	o->n = n;
	atomic_store((_Atomic(uint64_t) *)(void *)&o->status, status);
	futex_wake(state_of(o), INT_MAX);
	watchers_tell(o);
	event_set(was.event, 1);
	if (port)
		port_post(port, n, key, was.context, status);
	object_unref(port);
}

void overlapped_end(struct file *f, struct overlapped *o, uint32_t status, uint64_t n, bool at_once)
{
	struct told t = told_of(o);
	status_end(f, o, &t, status, n, at_once);
}

/* ---- functions ---- */

static uint32_t result(const struct overlapped *o, uint32_t *ret_n, uint64_t deadline)
{
	int r = 0;
	while (r != -ETIMEDOUT && deadline && atomic_load(state_of(o)) == STATUS_PENDING)
		r = futex_wait(state_of(o), STATUS_PENDING, deadline);
	uint32_t status = atomic_load(state_of(o));
	*ret_n = (uint32_t)o->n;
	if (status == STATUS_PENDING)
		return fail(deadline ? WAIT_TIMEOUT : ERROR_IO_INCOMPLETE);
	return (int32_t)status < 0 ? fail(error_of_status(status)) : 1;
}

/* The same, by a thread that lets itself be called: then it hears of that. */
static uint32_t result_alertable(const struct overlapped *o, uint32_t *ret_n, uint64_t deadline)
{
	struct object *event = object_new(KIND_EVENT, sizeof *event);
	struct watcher me = {.o = o, .event = event}, **at;
	uint32_t r = WAIT_OBJECT_0;
	if (!event)
		return fail(ERROR_NOT_ENOUGH_MEMORY);
	pthread_mutex_lock(&watchers.lock);
	me.next = watchers.first;
	watchers.first = &me;
	atomic_fetch_add(&watchers.n, 1);
	pthread_mutex_unlock(&watchers.lock);
	while (r == WAIT_OBJECT_0 && atomic_load(state_of(o)) == STATUS_PENDING)
		r = wait_for(&event, 1, false, deadline, true);
	pthread_mutex_lock(&watchers.lock);
	for (at = &watchers.first; *at != &me; at = &(*at)->next)
		;
	*at = me.next;
	atomic_fetch_sub(&watchers.n, 1);
	pthread_mutex_unlock(&watchers.lock);
	object_unref(event);
	return r == WAIT_IO_COMPLETION ? fail(WAIT_IO_COMPLETION)
				       : result(o, ret_n, r == WAIT_TIMEOUT);
}

API(uint32_t, k32_GetOverlappedResult, handle h, const struct overlapped *o, uint32_t *ret_n,
    uint32_t wait)
{
	(void)h;
	return result(o, ret_n, wait ? NEVER : 0);
}

API(uint32_t, k32_GetOverlappedResultEx, handle h, const struct overlapped *o, uint32_t *ret_n,
    uint32_t ms, uint32_t alertable)
{
	(void)h;
	if (!alertable || !ms)
		return result(o, ret_n, ms ? deadline_of_ms(ms) : 0);
	return result_alertable(o, ret_n, deadline_of_ms(ms));
}

API(uint32_t, ws_WSAGetOverlappedResult, uint64_t h, const struct overlapped *o, uint32_t *ret_n,
    uint32_t wait, uint32_t *flags)
{
	(void)h;
	*flags = 0;
	return result(o, ret_n, wait ? NEVER : 0);
}

/* What takes a while: to wait for changes of a folder, for a pipe's or socket's other end. */
API(uint32_t, k32_CancelIoEx, handle h, struct overlapped *o)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	bool any = watch_cancel(f, o, NULL);
	any = async_cancel(f, o, NULL) || any;
	object_unref(&f->o);
	return any ? 1 : fail(ERROR_NOT_FOUND);
}

API(uint32_t, k32_CancelIo, handle h)
{
	struct file *f = object_get(h, KIND_FILE);
	if (!f)
		return 0;
	watch_cancel(f, NULL, thread_self()->object);
	async_cancel(f, NULL, thread_self()->object);
	object_unref(&f->o);
	return 1;
}
