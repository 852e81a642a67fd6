/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of a program: each an instance of its own, which shares memory, and a thread of the host.
 * What is open and the clocks are one for all of them; a lock is held in every call but while it
 * may wait. They end with the program: whoever traps or exits ends all. Spec: wasi-threads */
#include "wasi/internal.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>

enum { STACK_BYTES = 1 << 20, HANDED_MAX = 8 << 20 };

/* ---- one call at a time ---- */

bool call_begin(struct wasi_thread *t, struct wasm *w)
{
	struct wasi *s = t->all;
	bool locks = __atomic_load_n(&s->several, __ATOMIC_RELAXED);
	if (locks)
		pthread_mutex_lock(&s->lock);
	t->w = w;
	s->me = t;
	return locks;
}

void call_end(struct wasi *s, bool locked)
{
	if (locked)
		pthread_mutex_unlock(&s->lock);
}

/* Another thread may close what is waited for, so that the number is another file's: it is waited
 * for by a number that nobody else knows. */
bool away_begin(struct wasi *s, int *fd, struct away *ret)
{
	*ret = (struct away){.me = s->me, .several = s->me->locked, .fd = -1};
	if (!ret->several)
		return true;
	if (fd && *fd >= 0) {
		ret->fd = fcntl(*fd, F_DUPFD_CLOEXEC, 3);
		if (ret->fd < 0)
			return false;
		*fd = ret->fd;
	}
	pthread_mutex_unlock(&s->lock);
	return true;
}

void away_end(struct wasi *s, struct away *a)
{
	int was = errno;
	if (!a->several)
		return;
	if (a->fd >= 0)
		close(a->fd);
	pthread_mutex_lock(&s->lock);
	s->me = a->me;
	errno = was;
}

/* ---- who there is ---- */

int64_t thread_entry(const struct wasm_module *m)
{
	char signature[64];
	int64_t f = wasm_export_find(m, "wasi_thread_start", WASM_FUNC);
	if (f < 0)
		return -1;
	wasm_signature(m, (uint32_t)f, signature);
	return strcmp(signature, "ii:") == 0 ? f : -1;
}

/* A place for one more; 0: there is none. */
static unsigned place_find(const struct wasi *s)
{
	for (unsigned i = 1; i < THREADS_MAX; i++)
		if (!s->threads[i])
			return i;
	return 0;
}

static uint32_t id_new(struct wasi *s)
{
	for (;;) {
		bool used = false;
		s->last_id = s->last_id >= THREAD_ID_MAX ? 1 : s->last_id + 1;
		for (unsigned i = 1; i < THREADS_MAX; i++)
			used |= s->threads[i] && s->threads[i]->id == s->last_id;
		if (!used)
			return s->last_id;
	}
}

/* What the thread that spawns it has compiled, which has no addresses in it. */
static void code_hand_on(const struct wasi *s, struct wasm *to)
{
	autofree uint8_t *p = NULL;
	size_t n;
	if (s->me->w && wasm_code_save(s->me->w, &p, &n) == 0 && n <= HANDED_MAX)
		(void)!wasm_code_load(to, p, n);
}

/* One that a thread has left, with the code that it has made, or a new one. */
static int instance_get(struct wasi *s, struct wasi_thread *t, struct lodge_err *e)
{
	while (s->nspare) {
		t->w = s->spare[--s->nspare];
		if (wasm_thread_again(t->w, t))
			return 0;
		wasm_free(t->w);
	}
	int r = wasm_thread_new(&t->w, s->main.w, t, e);
	if (r == 0)
		code_hand_on(s, t->w);
	return r;
}

int thread_new(struct wasi *s, uint32_t id, struct wasi_thread **ret, struct lodge_err *e)
{
	unsigned place = place_find(s);
	struct wasi_thread *t = place ? calloc(1, sizeof *t) : NULL;
	if (!t)
		return err_set(e, place ? ENOMEM : EAGAIN, "a program has at most %d threads",
			       THREADS_MAX);
	*t = (struct wasi_thread){.all = s, .place = place, .id = id};
	int r = instance_get(s, t, e);
	if (r < 0) {
		free(t);
		return r;
	}
	__atomic_store_n(&s->threads[place], t, __ATOMIC_RELEASE);
	s->running++;
	*ret = t;
	return 0;
}

static void thread_free(struct wasi_thread *t)
{
	struct wasi *s = t->all;
	__atomic_store_n(&s->threads[t->place], NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&s->tids[t->place], 0, __ATOMIC_RELAXED);
	s->running--;
	pthread_cond_broadcast(&s->changed); /* those that stand may have waited for it */
	if (s->nspare < SPARES)
		s->spare[s->nspare++] = t->w;
	else
		wasm_free(t->w);
	free(t);
}

void threads_free(struct wasi *s)
{
	while (s->nspare)
		wasm_free(s->spare[--s->nspare]);
	for (unsigned i = 1; i < THREADS_MAX; i++)
		if (s->threads[i]) {
			wasm_free(s->threads[i]->w);
			free(s->threads[i]);
		}
}

/* ---- a thread's life ---- */

static _Thread_local struct wasi_thread *current; /* what a signal finds */

static enum wasm_trap thread_run(struct wasi_thread *t)
{
	enum wasm_trap r = t->goes_on ? wasm_go_on(t->w) : wasm_start(t->w);
	union wasm_slot at[2] = {{.i64 = t->id}, {.i64 = t->arg}};
	if (r || t->phase == THREAD_MAIN)
		return r;
	t->phase = THREAD_MAIN;
	return wasm_call(t->w, (uint32_t)t->entry, at);
}

static void *thread_main(void *arg)
{
	struct wasi_thread *t = arg;
	struct wasi *s = t->all;
	current = t;
	__atomic_store_n(&s->tids[t->place], gettid(), __ATOMIC_RELAXED);
	enum wasm_trap r = thread_run(t);
	if (r)
		s->c->trapped(s->c->user, t->w, r);
	pthread_mutex_lock(&s->lock);
	current = NULL;
	thread_free(t);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* With the lock held: what was made for @t goes away if it cannot be. */
static int thread_begin(struct wasi_thread *t)
{
	pthread_attr_t a;
	pthread_t id;
	int r = pthread_attr_init(&a);
	if (r)
		return r;
	pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&a, STACK_BYTES);
	r = pthread_create(&id, &a, thread_main, t);
	pthread_attr_destroy(&a);
	if (r)
		thread_free(t);
	return r;
}

/* From now on the lock is taken, also by the call that says so. */
static void several_begin(struct wasi *s)
{
	if (s->several)
		return;
	pthread_mutex_lock(&s->lock);
	__atomic_store_n(&s->several, true, __ATOMIC_RELAXED);
	s->me->locked = true;
}

/* Its number, or a negative error number of preview 1. */
static int32_t spawn(struct wasi *s, uint32_t arg)
{
	struct wasi_thread *t;
	struct lodge_err e;
	int64_t entry = thread_entry(wasm_module_of(s->me->w));
	if (entry < 0 || !s->c->trapped)
		return -W_NOSYS;
	several_begin(s);
	int r = thread_new(s, id_new(s), &t, &e);
	if (r < 0)
		return r == -EAGAIN ? -W_AGAIN : r == -EINVAL ? -W_NOTSUP : -W_NOMEM;
	uint32_t id = t->id;
	t->entry = entry;
	t->arg = arg;
	if (s->standing)
		wasm_interrupt(t->w);
	return thread_begin(t) ? -W_AGAIN : (int32_t)id;
}

enum wasm_trap wasi_thread_spawn(void *user, struct wasm *w, union wasm_slot *at)
{
	struct wasi_thread *t = user;
	struct wasi *s = t->all;
	t->locked = call_begin(t, w);
	at[0].i64 = (uint32_t)spawn(s, at[0].i32);
	enum wasm_trap r = s->exits ? WASM_TRAP_EXIT : WASM_OK;
	call_end(s, t->locked);
	return r;
}

void wasi_attach(struct wasi *s, struct wasm *w) { s->main.w = w; }

/* ---- standing still ---- */

void wasi_kick(struct wasi *s, bool from_outside)
{
	int self = gettid();
	const bool first = self == __atomic_load_n(&s->tids[0], __ATOMIC_RELAXED);
	const struct wasi_thread *me = current ? current : first ? &s->main : NULL;
	if (me && me->w) /* else it is a thread that begins or ends, or none of the program's */
		wasm_interrupt(me->w);
	for (unsigned i = 0; from_outside && i < THREADS_MAX; i++) {
		int tid = __atomic_load_n(&s->tids[i], __ATOMIC_RELAXED);
		if (tid && tid != self)
			(void)syscall(SYS_tgkill, getpid(), tid, s->c->kick);
	}
}

void wasi_gather(struct wasi *s, void (*speak)(void *user), void *user)
{
	pthread_mutex_lock(&s->lock);
	uint64_t round = s->round;
	s->standing++;
	pthread_cond_broadcast(&s->changed);
	while (s->round == round && (s->standing < s->running || s->speaks))
		pthread_cond_wait(&s->changed, &s->lock);
	if (s->round == round) { /* all stand, and nobody speaks for them yet */
		s->speaks = true;
		pthread_mutex_unlock(&s->lock);
		wasi_halted(s);
		speak(user);
		wasi_goes_on(s);
		pthread_mutex_lock(&s->lock);
		s->speaks = false;
		s->standing = 0;
		s->round++;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
}

int wasi_threads_go(struct wasi *s, struct lodge_err *e)
{
	int r = 0;
	pthread_mutex_lock(&s->lock);
	for (unsigned i = 1; r == 0 && i < THREADS_MAX; i++)
		if (s->threads[i] && s->threads[i]->goes_on)
			r = thread_begin(s->threads[i]);
	pthread_mutex_unlock(&s->lock);
	return r ? err_set(e, r, "a thread of the program cannot be made again") : 0;
}
