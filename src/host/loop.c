/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: epoll over the watched descriptors, one eventfd for wake-ups, one timerfd for
 * the earliest timer.
 *
 * One mutex (loop->m) guards every list; it is never held while a callback runs. Lock order: the
 * lock given at registration, then loop->m, so a device may set timers with its own lock held.
 * `current` names what the loop thread is entering or running; freeing off the loop thread waits
 * until it names something else, so after a free nothing touches the object or its lock. */
#include "host/host.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

enum { LOOP_BATCH = 16, ID_WAKE = 0, ID_TIMER = 1, ID_FIRST_WATCH = 2 };

struct loop_watch {
	struct loop *loop;       /* borrowed */
	struct loop_watch *next; /* in loop->watches */
	uint64_t id;             /* never reused: an event in flight finds its watch or nothing */
	int fd;                  /* borrowed */
	bool dead;               /* freed by another thread while we waited for the lock */
	pthread_mutex_t *lock;   /* borrowed */
	loop_fd_fn *fn;
	void *arg;
};

struct loop_timer {
	struct loop *loop;       /* borrowed */
	struct loop_timer *next; /* in loop->timers */
	uint64_t deadline_ns;    /* UINT64_MAX: disarmed */
	uint64_t round;          /* of the last firing: at most one per round */
	bool dead;
	pthread_mutex_t *lock; /* borrowed */
	loop_fn *fn;
	void *arg;
};

struct loop_work {
	struct loop_work *next;
	pthread_mutex_t *lock; /* borrowed */
	loop_fn *fn;
	void *arg;
};

struct loop {
	int epoll, wake, timerfd;
	pthread_mutex_t m;
	pthread_cond_t idle; /* current changed */
	pthread_t thread;    /* valid while running */
	bool running, stop;
	bool cancelled;      /* loop_cancel met the work that is being entered */
	const void *current; /* watch, timer or arg of the work being entered or run */
	uint64_t next_id, round;
	uint64_t armed_ns; /* what the timerfd is set to */
	struct loop_watch *watches;
	struct loop_timer *timers;
	struct loop_work *head, **tail;
	size_t nwork;
};

static void loop_wake(struct loop *l)
{
	uint64_t one = 1;
	/* Fails only when the counter is full, and then the loop wakes anyway. */
	if (write(l->wake, &one, sizeof one) < 0)
		assert(errno == EAGAIN);
}

static int loop_add_fd(struct loop *l, int fd, uint32_t events, uint64_t id)
{
	struct epoll_event ev = { .events = events, .data.u64 = id };
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev);
}

int loop_new(struct loop **ret, struct lodge_err *e)
{
	struct loop *l = calloc(1, sizeof *l);
	if (!l)
		return err_set(e, ENOMEM, "out of memory");
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->timerfd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->next_id = ID_FIRST_WATCH;
	l->armed_ns = UINT64_MAX;
	l->tail = &l->head;
	pthread_mutex_init(&l->m, NULL);
	pthread_cond_init(&l->idle, NULL);
	if (l->epoll < 0 || l->wake < 0 || l->timerfd < 0 ||
	    loop_add_fd(l, l->wake, EPOLLIN, ID_WAKE) < 0 ||
	    loop_add_fd(l, l->timerfd, EPOLLIN, ID_TIMER) < 0) {
		int r = err_sys(e, "making an event loop");
		loop_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	assert(!l->running);
	while (l->head) {
		struct loop_work *w = l->head;
		l->head = w->next;
		free(w);
	}
	const int fds[] = { l->epoll, l->wake, l->timerfd };
	for (size_t i = 0; i < countof(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_cond_destroy(&l->idle);
	pthread_mutex_destroy(&l->m);
	free(l);
}

/* ---- entering and leaving callbacks; l->m is held before and after each ---- */

/* Announce @what, then take its lock. The caller must look again whether it still wants to. */
static void loop_enter(struct loop *l, const void *what, pthread_mutex_t *lock)
{
	l->current = what;
	l->cancelled = false;
	if (!lock)
		return;
	pthread_mutex_unlock(&l->m);
	pthread_mutex_lock(lock);
	pthread_mutex_lock(&l->m);
}

static void loop_leave(struct loop *l, pthread_mutex_t *lock)
{
	if (lock)
		pthread_mutex_unlock(lock);
	l->current = NULL;
	pthread_cond_broadcast(&l->idle);
}

/* Wait until the loop thread has left @what. Nothing to wait for on the loop thread itself. */
static void loop_settle(struct loop *l, const void *what)
{
	if (l->running && pthread_equal(l->thread, pthread_self()))
		return;
	while (l->current == what)
		pthread_cond_wait(&l->idle, &l->m);
}

static void loop_serve_watch(struct loop *l, uint64_t id, uint32_t events)
{
	struct loop_watch *w = l->watches;
	while (w && w->id != id)
		w = w->next;
	if (!w)
		return;
	pthread_mutex_t *lock = w->lock;
	loop_enter(l, w, lock);
	if (!w->dead) {
		pthread_mutex_unlock(&l->m);
		w->fn(w->arg, events); /* may free w */
		pthread_mutex_lock(&l->m);
	}
	loop_leave(l, lock);
}

static struct loop_timer *timer_due(struct loop *l, uint64_t now)
{
	struct loop_timer *due = NULL;
	for (struct loop_timer *t = l->timers; t; t = t->next)
		if (t->deadline_ns <= now && t->round != l->round &&
		    (!due || t->deadline_ns < due->deadline_ns))
			due = t;
	return due;
}

/* Fire what is due, earliest first, each at most once so that a timer that sets itself to the
 * past cannot starve the descriptors. */
static void loop_serve_timers(struct loop *l)
{
	uint64_t now = host_monotonic_ns();
	struct loop_timer *t;
	l->round++;
	while ((t = timer_due(l, now))) {
		pthread_mutex_t *lock = t->lock;
		loop_enter(l, t, lock);
		/* Under its lock: whoever disarmed it before we had the lock is obeyed. */
		t->round = l->round;
		if (!t->dead && t->deadline_ns <= now) {
			t->deadline_ns = UINT64_MAX;
			pthread_mutex_unlock(&l->m);
			t->fn(t->arg); /* may free t */
			pthread_mutex_lock(&l->m);
		}
		loop_leave(l, lock);
	}
}

/* Run what was posted before this call; work that posts work comes round again. */
static void loop_serve_work(struct loop *l)
{
	for (size_t n = l->nwork; n && l->head; n--) {
		struct loop_work w = *l->head;
		free(l->head);
		l->nwork--;
		l->head = w.next;
		if (!l->head)
			l->tail = &l->head;
		loop_enter(l, w.arg, w.lock);
		if (!l->cancelled) {
			pthread_mutex_unlock(&l->m);
			w.fn(w.arg);
			pthread_mutex_lock(&l->m);
		}
		loop_leave(l, w.lock);
	}
}

static void loop_arm(struct loop *l, uint64_t deadline_ns)
{
	struct itimerspec s = { 0 };
	if (deadline_ns != UINT64_MAX) {
		uint64_t at = deadline_ns ? deadline_ns : 1; /* 0 would disarm */
		s.it_value.tv_sec = (time_t)(at / 1000000000u);
		s.it_value.tv_nsec = (long)(at % 1000000000u);
	}
	l->armed_ns = deadline_ns;
	int r = timerfd_settime(l->timerfd, TFD_TIMER_ABSTIME, &s, NULL);
	assert(r == 0);
	(void)r;
}

static void loop_arm_earliest(struct loop *l)
{
	uint64_t at = UINT64_MAX;
	for (struct loop_timer *t = l->timers; t; t = t->next)
		at = min_u64(at, t->deadline_ns);
	if (at != l->armed_ns)
		loop_arm(l, at);
}

static void loop_drain(struct loop *l, int fd)
{
	uint64_t n;
	if (read(fd, &n, sizeof n) < 0)
		assert(errno == EAGAIN || errno == EINTR);
	if (fd == l->timerfd)
		l->armed_ns = UINT64_MAX;
}

void loop_run(struct loop *l)
{
	pthread_mutex_lock(&l->m);
	l->thread = pthread_self();
	l->running = true;
	while (!l->stop) {
		struct epoll_event ev[LOOP_BATCH];
		int timeout = l->head ? 0 : -1;
		loop_arm_earliest(l);
		pthread_mutex_unlock(&l->m);
		int n = epoll_wait(l->epoll, ev, LOOP_BATCH, timeout);
		pthread_mutex_lock(&l->m);
		for (int i = 0; i < n && !l->stop; i++) {
			if (ev[i].data.u64 >= ID_FIRST_WATCH)
				loop_serve_watch(l, ev[i].data.u64, ev[i].events);
			else
				loop_drain(l, ev[i].data.u64 == ID_WAKE ? l->wake : l->timerfd);
		}
		if (!l->stop)
			loop_serve_timers(l);
		if (!l->stop)
			loop_serve_work(l);
	}
	l->stop = false;
	l->running = false;
	pthread_mutex_unlock(&l->m);
}

void loop_stop(struct loop *l)
{
	pthread_mutex_lock(&l->m);
	l->stop = true;
	pthread_mutex_unlock(&l->m);
	loop_wake(l);
}

/* ---- posted work ---- */

int loop_post(struct loop *l, pthread_mutex_t *lock, loop_fn *fn, void *arg)
{
	struct loop_work *w = malloc(sizeof *w);
	if (!w)
		return -ENOMEM;
	*w = (struct loop_work){ NULL, lock, fn, arg };
	pthread_mutex_lock(&l->m);
	bool first = !l->head;
	*l->tail = w;
	l->tail = &w->next;
	l->nwork++;
	pthread_mutex_unlock(&l->m);
	if (first)
		loop_wake(l);
	return 0;
}

void loop_cancel(struct loop *l, void *arg)
{
	pthread_mutex_lock(&l->m);
	for (struct loop_work **p = &l->head; *p;) {
		struct loop_work *w = *p;
		if (w->arg != arg) {
			p = &w->next;
			continue;
		}
		*p = w->next;
		l->nwork--;
		free(w);
	}
	l->tail = &l->head;
	while (*l->tail)
		l->tail = &(*l->tail)->next;
	if (l->current == arg)
		l->cancelled = true;
	loop_settle(l, arg);
	pthread_mutex_unlock(&l->m);
}

/* ---- descriptors ---- */

int loop_watch_new(struct loop_watch **ret, struct loop *l, int fd, uint32_t events,
                   pthread_mutex_t *lock, loop_fd_fn *fn, void *arg, struct lodge_err *e)
{
	struct loop_watch *w = malloc(sizeof *w);
	if (!w)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_lock(&l->m);
	*w = (struct loop_watch){ .loop = l, .next = l->watches, .id = l->next_id++, .fd = fd,
		                  .lock = lock, .fn = fn, .arg = arg };
	int r = loop_add_fd(l, fd, events, w->id);
	if (r < 0) {
		r = err_sys(e, "watching descriptor %d", fd);
		free(w);
	} else {
		l->watches = w;
		*ret = w;
	}
	pthread_mutex_unlock(&l->m);
	return r;
}

int loop_watch_change(struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.u64 = w->id };
	return epoll_ctl(w->loop->epoll, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

void loop_watch_free(struct loop_watch *w)
{
	if (!w)
		return;
	struct loop *l = w->loop;
	pthread_mutex_lock(&l->m);
	for (struct loop_watch **p = &l->watches; *p; p = &(*p)->next) {
		if (*p == w) {
			*p = w->next;
			break;
		}
	}
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL); /* a closed fd is gone already */
	w->dead = true;
	loop_settle(l, w);
	pthread_mutex_unlock(&l->m);
	free(w);
}

/* ---- timers ---- */

int loop_timer_new(struct loop_timer **ret, struct loop *l, pthread_mutex_t *lock, loop_fn *fn,
                   void *arg, struct lodge_err *e)
{
	struct loop_timer *t = malloc(sizeof *t);
	if (!t)
		return err_set(e, ENOMEM, "out of memory");
	pthread_mutex_lock(&l->m);
	*t = (struct loop_timer){ .loop = l, .next = l->timers, .deadline_ns = UINT64_MAX,
		                  .lock = lock, .fn = fn, .arg = arg };
	l->timers = t;
	pthread_mutex_unlock(&l->m);
	*ret = t;
	return 0;
}

void loop_timer_set(struct loop_timer *t, uint64_t deadline_ns)
{
	struct loop *l = t->loop;
	pthread_mutex_lock(&l->m);
	t->deadline_ns = deadline_ns;
	/* A later deadline costs no system call: the loop wakes once for nothing and arms anew. */
	if (deadline_ns < l->armed_ns)
		loop_arm(l, deadline_ns);
	pthread_mutex_unlock(&l->m);
}

void loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	struct loop *l = t->loop;
	pthread_mutex_lock(&l->m);
	for (struct loop_timer **p = &l->timers; *p; p = &(*p)->next) {
		if (*p == t) {
			*p = t->next;
			break;
		}
	}
	t->dead = true;
	loop_settle(l, t);
	pthread_mutex_unlock(&l->m);
	free(t);
}
