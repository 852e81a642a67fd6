/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait: one list, and one thread with an epoll(7) that looks at their descriptors.
 * Those of one descriptor and direction end in the order in which they were asked for. */
#include "win/async.h"
#include <signal.h>
#include <sys/epoll.h>

enum { EVENTS_AT_ONCE = 64 };
static WIN_STATE struct {
	pthread_mutex_t lock;
	struct pending *first, **end;
	uint32_t *armed; /* of each descriptor, what epoll looks for; owned */
	int narmed, epoll;
	bool running;
} async = {.lock = PTHREAD_MUTEX_INITIALIZER};

void *pending_new(size_t size, struct file *f, struct overlapped *o)
{
	struct pending *p = calloc(1, size);
	if (!p)
		return NULL;
	p->f = f;
	p->o = o;
	p->thread = thread_self()->object;
	object_ref(&f->o);
	object_ref(p->thread);
	return p;
}

void pending_free(struct pending *p)
{
	if (p->fini)
		p->fini(p);
	object_unref(&p->f->o);
	object_unref(p->on ? &p->on->o : NULL);
	object_unref(p->thread);
	free(p);
}

/* ---- ends: without the lock, for they reach into much else ---- */

void pending_tell(struct pending *p)
{
	uint32_t status = p->result >= 0 && p->more ? STATUS_BUFFER_OVERFLOW
			  : p->result >= 0          ? STATUS_SUCCESS
			  : p->result == -ECANCELED ? STATUS_CANCELLED
						    : status_of((int)-p->result);
	uint64_t n = p->result > 0 ? (uint64_t)p->result : 0;
	if (p->bare || !p->fn) {
		if (p->bare)
			status_end(p->f, p->o, &p->told, status, n, false);
		else
			overlapped_end(p->f, p->o, status, n, false);
		return;
	}
	p->o->n = n;
	p->o->status = status;
	threads_lock();
	struct thread *t = thread_of_object(p->thread);
	if (t)
		apc_queue(t, p->fn, status ? error_of_status(status) : 0, n,
			  (uint64_t)(uintptr_t)p->o);
	threads_unlock();
}

static void ended_tell(struct pending *p)
{
	while (p) {
		struct pending *next = p->next;
		pending_tell(p);
		pending_free(p);
		p = next;
	}
}

/* Out of the list, and to the end of another. */
static struct pending **pending_move(struct pending **at, struct pending **to, int64_t result)
{
	struct pending *p = *at;
	if (!(*at = p->next))
		async.end = at;
	p->result = result;
	p->next = NULL;
	*to = p;
	return &p->next;
}

/* ---- descriptors ---- */

static int fd_of(const struct pending *p) { return p->on ? p->on->fd : p->f->fd; }

/* Under the lock: have epoll look for what is waited for there now. */
static bool fd_arm(int fd)
{
	struct epoll_event e = {.data.fd = fd};
	for (const struct pending *p = async.first; p; p = p->next)
		if (fd_of(p) == fd)
			e.events |= p->events;
	if (fd >= async.narmed) {
		uint32_t *all = realloc(async.armed, (size_t)(fd + 64) * sizeof *all);
		if (!all)
			return false;
		memset(all + async.narmed, 0, (size_t)(fd + 64 - async.narmed) * sizeof *all);
		async.armed = all;
		async.narmed = fd + 64;
	}
	uint32_t was = async.armed[fd];
	async.armed[fd] = e.events;
	return e.events == was || epoll_ctl(async.epoll,
					    !was       ? EPOLL_CTL_ADD
					    : e.events ? EPOLL_CTL_MOD
						       : EPOLL_CTL_DEL,
					    fd, &e) == 0;
}

static void fd_ready(int fd, uint32_t events)
{
	struct pending *ended = NULL, **end = &ended;
	uint32_t waits[2] = {0, 0}; /* directions whose first request is not done yet */
	pthread_mutex_lock(&async.lock);
	for (struct pending **p = &async.first; *p;) {
		struct pending *w = *p;
		uint32_t *before = &waits[(w->events & EPOLLOUT) != 0];
		bool mine = fd_of(w) == fd && events & (w->events | EPOLLERR | EPOLLHUP);
		int64_t r = mine && (w->looks || *before != w->events) ? w->attempt(w) : -EAGAIN;
		if (r == -EAGAIN || r == -EINTR) {
			if (mine && !w->looks)
				*before = w->events;
			p = &w->next;
		} else {
			end = pending_move(p, end, r);
		}
	}
	(void)!fd_arm(fd);
	pthread_mutex_unlock(&async.lock);
	ended_tell(ended);
}

static void *async_thread(void *unused)
{
	struct epoll_event e[EVENTS_AT_ONCE];
	(void)unused;
	for (;;) {
		int n = epoll_wait(async.epoll, e, EVENTS_AT_ONCE, -1);
		for (int i = 0; i < n; i++)
			fd_ready(e[i].data.fd, e[i].events);
	}
	return NULL;
}

/* Under the lock. */
static bool async_run(void)
{
	pthread_t t;
	sigset_t all, before;
	if (async.running)
		return true;
	async.end = &async.first;
	if ((async.epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	async.running = pthread_create(&t, NULL, async_thread, NULL) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (async.running)
		pthread_detach(t);
	else
		close(async.epoll);
	return async.running;
}

int async_start(struct pending *p)
{
	if (p->bare)
		status_begin(p->o, &p->told);
	else if (p->fn)
		p->o->status = STATUS_PENDING, p->o->n = 0;
	else
		overlapped_begin(p->o);
	pthread_mutex_lock(&async.lock);
	bool ok = async_run();
	if (ok) {
		*async.end = p;
		async.end = &p->next;
		if (p->events && !(ok = fd_arm(fd_of(p)))) {
			struct pending **at = &async.first, *gone = NULL;
			while (*at != p)
				at = &(*at)->next;
			(void)pending_move(at, &gone, -ENOMEM);
		}
	}
	pthread_mutex_unlock(&async.lock);
	if (!ok)
		pending_free(p);
	return ok ? 0 : -ENOMEM;
}

static bool cancel(const struct file *f, const struct overlapped *o, const struct object *thread,
		   bool closed)
{
	struct pending *ended = NULL, **end = &ended;
	pthread_mutex_lock(&async.lock);
	for (struct pending **p = &async.first; *p;) {
		struct pending *w = *p;
		bool all = !o && !thread;
		if ((w->f == f || (w->on == f && all)) && (!o || w->o == o) &&
		    (!thread || w->thread == thread) && (closed || !w->looks))
			end = pending_move(p, end, -ECANCELED);
		else
			p = &w->next;
	}
	for (const struct pending *p = ended; p; p = p->next)
		if (fd_of(p) >= 0)
			(void)!fd_arm(fd_of(p));
	pthread_mutex_unlock(&async.lock);
	bool any = ended != NULL;
	ended_tell(ended);
	return any;
}

bool async_cancel(const struct file *f, const struct overlapped *o, const struct object *thread)
{
	return cancel(f, o, thread, false);
}

void async_close(const struct file *f) { (void)cancel(f, NULL, NULL, true); }

void async_look(const struct file *f) { fd_ready(f->fd, ~UINT32_C(0)); }

bool async_finish(const struct file *f, int64_t result)
{
	struct pending *ended = NULL;
	pthread_mutex_lock(&async.lock);
	for (struct pending **p = &async.first; *p; p = &(*p)->next)
		if ((*p)->f == f && !(*p)->events && !(*p)->looks) {
			(void)pending_move(p, &ended, result);
			break;
		}
	pthread_mutex_unlock(&async.lock);
	ended_tell(ended);
	return ended != NULL;
}
