/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits at an address of a shared memory, and is notified there, first come first served. Lines
 * are kept here and not by the kernel, as each instance has the memory at another address, the
 * count of those that were notified has to be exact, and a line can be saved: a thread that stands
 * still keeps its place. Spec: the threads proposal of WebAssembly, futex(2) */
#include "wasm/internal.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

enum { WAITS, NOTIFIED }; /* waiter.state */
enum { RESULT_NOTIFIED, RESULT_OTHER, RESULT_TIME };

void lines_init(struct group *g)
{
	for (unsigned i = 0; i < LINES; i++)
		pthread_mutex_init(&g->lines[i].lock, NULL);
}

void lines_fini(struct group *g)
{
	for (unsigned i = 0; i < LINES; i++)
		pthread_mutex_destroy(&g->lines[i].lock);
}

static struct wait_line *line_of(struct group *g, uint64_t at)
{
	return &g->lines[(at * UINT64_C(0x9e3779b97f4a7c15)) >> 58 & (LINES - 1)];
}

/* With the line locked: into its place, which is the last one but for those of a state. */
static void line_enter(struct wait_line *l, struct waiter *me)
{
	struct waiter **p = &l->first;
	while (*p && (*p)->turn < me->turn)
		p = &(*p)->next;
	me->next = *p;
	*p = me;
	me->inside = true;
	__atomic_store_n(&me->state, WAITS, __ATOMIC_RELAXED);
}

/* With the line locked. False: it has been notified, and is in no line. */
static bool line_leave(struct wait_line *l, struct waiter *me)
{
	for (struct waiter **p = &l->first; *p; p = &(*p)->next)
		if (*p == me) {
			*p = me->next;
			return true;
		}
	return false;
}

/* Out of the line, before the time is over or after it; what the wait gives. */
static uint32_t wait_end(struct wasm *w)
{
	struct waiter *me = &w->wait;
	struct wait_line *l = line_of(w->group, me->at);
	pthread_mutex_lock(&l->lock);
	bool was = line_leave(l, me);
	pthread_mutex_unlock(&l->lock);
	me->inside = false;
	return was ? RESULT_TIME : RESULT_NOTIFIED;
}

void wait_forget(struct wasm *w)
{
	if (w->group && w->wait.inside)
		(void)wait_end(w);
}

static uint64_t value_at(const void *p, unsigned bytes)
{
	return bytes == 4 ? __atomic_load_n((const uint32_t *)p, __ATOMIC_SEQ_CST)
			  : __atomic_load_n((const uint64_t *)p, __ATOMIC_SEQ_CST);
}

/* False: another value is there. */
static bool wait_begin(struct wasm *w, const struct place_shared *at, uint64_t want, int64_t ns)
{
	struct waiter *me = &w->wait;
	struct wait_line *l = line_of(w->group, at->at);
	uint64_t now = host_monotonic_ns();
	pthread_mutex_lock(&l->lock);
	bool same = value_at(at->p, at->bytes) == want;
	if (same) {
		me->memory = at->memory;
		me->at = at->at;
		me->end_ns = ns < 0 || now + (uint64_t)ns < now ? UINT64_MAX : now + (uint64_t)ns;
		me->turn = __atomic_add_fetch(&w->group->turns, 1, __ATOMIC_RELAXED);
		line_enter(l, me);
	}
	pthread_mutex_unlock(&l->lock);
	return same;
}

/* Sleep until somebody notifies, a signal comes, or @until at the latest. */
static void sleep_some(struct waiter *me, uint64_t until, uint64_t now)
{
	uint64_t left = until - now;
	const struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};
	(void)syscall(SYS_futex, &me->state, FUTEX_WAIT_PRIVATE, WAITS,
		      until == UINT64_MAX ? NULL : &t, NULL, 0);
}

enum wasm_trap shared_wait(struct wasm *w, const struct place_shared *at, uint64_t want,
			   int64_t ns, uint32_t *ret)
{
	struct waiter *me = &w->wait;
	if (me->inside && (me->at != at->at || me->memory != at->memory))
		wait_forget(w); /* of a state that somebody has made up */
	if (!me->inside && !wait_begin(w, at, want, ns)) {
		*ret = RESULT_OTHER;
		return WASM_OK;
	}
	for (;;) {
		uint64_t now = host_monotonic_ns(), until = me->end_ns;
		bool notified = __atomic_load_n(&me->state, __ATOMIC_ACQUIRE) == NOTIFIED;
		if (notified || now >= until) {
			*ret = wait_end(w);
			return WASM_OK;
		}
		if (w->deadline_ns && now >= w->deadline_ns) {
			(void)wait_end(w);
			return WASM_TRAP_DEADLINE;
		}
		if (wasm_asked(w))
			return WASM_AGAIN; /* its place is kept */
		if (w->deadline_ns && w->deadline_ns < until)
			until = w->deadline_ns;
		sleep_some(me, until, now);
	}
}

uint32_t shared_notify(struct wasm *w, const struct place_shared *at, uint32_t most)
{
	struct wait_line *l = line_of(w->group, at->at);
	uint32_t n = 0;
	pthread_mutex_lock(&l->lock);
	for (struct waiter **p = &l->first; *p && n < most;) {
		struct waiter *u = *p;
		if (u->at != at->at || u->memory != at->memory) {
			p = &u->next;
			continue;
		}
		*p = u->next;
		n++;
		__atomic_store_n(&u->state, NOTIFIED, __ATOMIC_RELEASE);
		/* it leaves by this lock, so it is there until then */
		(void)syscall(SYS_futex, &u->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* ---- state ---- */

void wait_stood(struct wasm *w, uint64_t ns)
{
	if (w->wait.inside && w->wait.end_ns < UINT64_MAX - ns)
		w->wait.end_ns += ns;
}

bool wait_save(const struct wasm *w, struct saved_wait *ret)
{
	const struct waiter *me = &w->wait;
	uint64_t now = host_monotonic_ns();
	if (!me->inside)
		return false;
	*ret = (struct saved_wait){
	    .notified = __atomic_load_n(&me->state, __ATOMIC_ACQUIRE) == NOTIFIED,
	    .memory = me->memory,
	    .at = me->at,
	    .turn = me->turn,
	    .left_ns = me->end_ns == UINT64_MAX ? UINT64_MAX : me->end_ns > now ? me->end_ns - now
										: 0};
	return true;
}

bool wait_load(struct wasm *w, const struct saved_wait *s)
{
	struct waiter *me = &w->wait;
	if (!w->group || s->memory >= w->m->nmemories || !w->memories[s->memory].common)
		return false;
	struct wait_line *l = line_of(w->group, s->at);
	uint64_t now = host_monotonic_ns();
	me->memory = (uint32_t)s->memory;
	me->at = s->at;
	me->turn = s->turn;
	me->end_ns = s->left_ns > UINT64_MAX - now ? UINT64_MAX : now + s->left_ns;
	pthread_mutex_lock(&l->lock);
	line_enter(l, me);
	if (s->notified) {
		(void)line_leave(l, me);
		__atomic_store_n(&me->state, NOTIFIED, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&l->lock);
	if (s->turn > w->group->turns && s->turn < UINT64_MAX / 2)
		w->group->turns = s->turn;
	return true;
}
