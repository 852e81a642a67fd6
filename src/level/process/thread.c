/* SPDX-License-Identifier: Apache-2.0 */
/* Threads of the program: each a thread of ours with a hart and an engine. Linux 6.1 kernel/fork.c,
 * kernel/exit.c, fs/exec.c de_thread */
#include "level/process/saved.h"
#include <linux/futex.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { STACK_BYTES = 512 << 10, IDLE_MAX = 16 };

/* ---- who is there ---- */

void task_enlist(struct task *t)
{
	struct proc *p = t->p;
	pthread_mutex_lock(&p->lock);
	if (t->stales != p->stales)
		rv_code_stale(t->h, 0, UINT64_MAX);
	t->next = p->tasks;
	p->tasks = t;
	p->ntasks++;
	if (p->ending)
		rv_hart_request(t->h, RV_REQ_STOP);
	if (p->debug || halt_wanted(p))
		rv_hart_request(t->h, RV_REQ_LOOK);
	pthread_mutex_unlock(&p->lock);
}

/* @t is done with its hart, which waits for another thread, or is freed. Returns whether other
 * threads of the program run. */
static bool task_retire(struct task *t)
{
	struct proc *p = t->p;
	pthread_mutex_lock(&p->lock);
	struct task **at = &p->tasks;
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	bool others = p->tasks, keep = p->nidle < IDLE_MAX;
	if (keep) {
		for (unsigned i = 0; i < t->nstale; i++)
			rv_code_stale(t->h, t->stale[i].lo, t->stale[i].hi);
		t->nstale = 0;
		t->stales = p->stales;
		t->next = p->idle;
		p->idle = t;
		p->nidle++;
	}
	pthread_mutex_unlock(&p->lock);
	if (!keep && others) {
		free(take(t->back));
		task_free(t);
	}
	return others;
}

/* One that has ended, with its hart; NULL: there is none. */
static struct task *task_warm(struct proc *p)
{
	pthread_mutex_lock(&p->lock);
	struct task *t = p->idle;
	if (t) {
		p->idle = t->next;
		p->nidle--;
	}
	pthread_mutex_unlock(&p->lock);
	if (!t)
		return NULL;
	t->has_saved = t->restart = false;
	t->calling = false;
	t->watch = (struct watch){.event = 0};
	t->status = 0;
	free(take(t->back));
	report_drop(take(t->report));
	return t;
}

void tasks_fork_begin(struct task *t) { pthread_mutex_lock(&t->p->lock); }

/* Tasks of threads that are not there. */
static void tasks_forget(const struct task *t, struct task *list, bool idle)
{
	while (list) {
		struct task *one = list;
		bool calm = idle || one->calling;
		list = one->next;
		if (one == t)
			continue;
		t->p->engine->forget(one->h, calm);
		if (!calm)
			continue;
		rv_hart_free(one->h);
		host_pages_free(one, sizeof *one);
	}
}

void tasks_fork_end(struct task *t, bool in_child)
{
	struct proc *p = t->p;
	if (!in_child) {
		pthread_mutex_unlock(&p->lock);
		return;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->left, NULL);
	tasks_forget(t, p->tasks, false);
	tasks_forget(t, p->idle, true);
	t->next = NULL;
	t->tid = gettid();
	p->tasks = t;
	p->ntasks = 1;
	p->idle = NULL;
	p->nidle = 0;
	p->ending = p->heir = NULL;
	p->parked = false;
	proc_alone(p);
}

/* ---- who touches memory ---- */

static void alone_set(struct proc *p, bool alone)
{
	__atomic_store_n(&p->env.alone, alone, __ATOMIC_RELAXED);
}

void task_share(struct task *t)
{
	if (!t->p->env.alone)
		return;
	alone_set(t->p, false);
	rv_hart_request(t->h, RV_REQ_LOOK); /* no more of the code that it has */
}

void task_maps(struct task *t, uint64_t prot, bool shared)
{
	if (!shared)
		return;
	if (!(prot & PROT_WRITE)) {
		t->p->shares_read = true;
		return;
	}
	t->p->shares = true;
	task_share(t);
}

void proc_alone(struct proc *p) { alone_set(p, !p->shares); }

/* ---- code that others have to look at again ---- */

void task_stale_post(struct task *to, uint64_t lo, uint64_t hi)
{
	if (to->nstale == RV_STALE) {
		to->nstale = 1;
		to->stale[0] = (struct rv_range){0, UINT64_MAX};
	} else {
		to->stale[to->nstale++] = (struct rv_range){lo, hi};
	}
	rv_hart_request(to->h, RV_REQ_LOOK);
}

/* Others look before they enter a unit again: whoever learns of this from memory does so later than
 * that limit is 0. */
void task_code_stale(struct task *t, uint64_t lo, uint64_t hi)
{
	rv_code_stale(t->h, lo, hi);
	pthread_mutex_lock(&t->p->lock);
	t->p->stales++;
	for (struct task *to = t->p->tasks; to; to = to->next)
		if (to != t)
			task_stale_post(to, lo, hi);
	pthread_mutex_unlock(&t->p->lock);
}

void code_unshare(struct task *t, bool now)
{
	struct proc *p = t->p;
	pthread_mutex_lock(&p->lock);
	p->unshares |= now;
	if (p->unshares && p->ntasks == 1 && p->env.share) {
		p->engine->unshare(&p->env);
		(void)!p->engine->share(&p->env, NULL); /* for its own children; if not, then not */
		p->unshares = false;
		rv_code_stale(t->h, 0, 0); /* nothing, but what was found there is forgotten */
	}
	pthread_mutex_unlock(&p->lock);
}

void task_stale_take(struct task *t)
{
	pthread_mutex_lock(&t->p->lock);
	for (unsigned i = 0; i < t->nstale; i++)
		rv_code_stale(t->h, t->stale[i].lo, t->stale[i].hi);
	t->nstale = 0;
	pthread_mutex_unlock(&t->p->lock);
}

/* ---- ends ---- */

static void tid_clear(struct proc *p, uint64_t at)
{
	if (!at || linux_write(&p->sys, at, &(uint32_t){0}, 4))
		return;
	syscall(SYS_futex, at, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* The program that @t has begun goes on on the first thread. This one is done with it. */
static void task_move(struct task *t)
{
	struct proc *p = t->p;
	(void)!prctl(PR_GET_NAME, p->name);
	pthread_mutex_lock(&p->lock);
	p->heir = t;
	pthread_cond_broadcast(&p->left);
	pthread_mutex_unlock(&p->lock);
}

/* On the first thread. */
static struct task *task_inherit(struct proc *p)
{
	pthread_mutex_lock(&p->lock);
	while (!p->heir)
		pthread_cond_wait(&p->left, &p->lock);
	struct task *t = p->heir;
	p->heir = NULL;
	p->parked = false;
	t->moves = false;
	t->tid = gettid();
	pthread_mutex_unlock(&p->lock);
	(void)!prctl(PR_SET_NAME, p->name);
	syscall(SYS_set_robust_list, NULL, 24);
	__atomic_fetch_and(&t->h->requests, ~(uint32_t)RV_REQ_STOP, __ATOMIC_SEQ_CST);
	signals_move(t);
	return t;
}

void task_lead(struct task *t)
{
	if (gettid() == getpid() || !t->p->parked)
		return;
	t->moves = true;
	rv_hart_request(t->h, RV_REQ_STOP);
}

/* The program's thread is over. Whoever waits for it finds its hart idle, and whoever ends the
 * others finds no memory of theirs touched any more. Returns whether this thread waits for an
 * heir. */
static bool task_end(struct task *t, bool first)
{
	struct proc *p = t->p;
	int status = t->status;
	uint64_t at = t->clear_tid;
	if (!task_retire(t) && !p->ending) {
		debug_ended(p, status, 0);
		halt_leave(p);
		_exit(status);
	}
	tid_clear(p, at);
	pthread_mutex_lock(&p->lock);
	bool parked = p->parked = p->parked || (first && p->ending);
	p->ntasks--;
	halt_ended(p);
	pthread_cond_broadcast(&p->left);
	pthread_mutex_unlock(&p->lock);
	if (first && !parked) /* it stays until the others are gone, and main must not return */
		syscall(SYS_exit, status);
	return first;
}

void task_run(struct task *t)
{
	struct proc *p = t->p;
	const uint64_t all = UINT64_MAX;
	for (;;) {
		p->engine->run(t->h);
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all);
		signals_end();
		if (t->moves) {
			task_move(t);
			return;
		}
		/* asked now: in a child of fork it is another thread */
		if (!task_end(t, gettid() == getpid()))
			return;
		t = task_inherit(p);
	}
}

int64_t call_exit(struct task *t, const uint64_t a[6])
{
	report_exit(t);
	t->status = (int)a[0];
	rv_hart_request(t->h, RV_REQ_STOP);
	return 0;
}

bool tasks_end_others(struct task *t)
{
	struct proc *p = t->p;
	pthread_mutex_lock(&p->lock);
	if (p->ending) {
		pthread_mutex_unlock(&p->lock);
		return false;
	}
	p->ending = t;
	for (struct task *to = p->tasks; to; to = to->next) {
		if (to == t)
			continue;
		rv_hart_request(to->h, RV_REQ_STOP);
		syscall(SYS_tgkill, getpid(), to->tid, SIGNAL_KICK);
	}
	while (p->ntasks > 1)
		pthread_cond_wait(&p->left, &p->lock);
	p->ending = NULL;
	pthread_mutex_unlock(&p->lock);
	return true;
}

/* ---- beginnings ---- */

struct birth {
	struct task *t, *from;
	const struct clone *c;
	int tid;
	sem_t done;
};

static void *thread_main(void *birth)
{
	struct birth *b = birth;
	struct task *t = b->t;
	const struct clone *c = b->c;
	t->tid = b->tid = gettid();
	uint32_t tid = (uint32_t)t->tid;
	if (c->flags & CLONE_PARENT_SETTID)
		(void)!linux_write(&t->p->sys, c->parent_tid, &tid, sizeof tid);
	if (c->flags & CLONE_CHILD_SETTID)
		(void)!linux_write(&t->p->sys, c->child_tid, &tid, sizeof tid);
	t->clear_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
	signals_task(t, b->from);
	task_enlist(t);
	sem_post(&b->done); /* b is gone */
	task_run(t);
	return NULL;
}

static void registers_copy(struct task *t, const struct task *from, const struct clone *c)
{
	struct rv_hart *h = t->h;
	const struct rv_hart *old = from->h;
	rv_process_next(h, old->npc);
	memcpy(h->x, old->x, sizeof h->x);
	memcpy(h->f, old->f, sizeof h->f);
	h->fp = old->fp;
	h->frm = old->frm;
	memcpy(h->v, old->v, sizeof h->v);
	rv_vector_restore(h, old->vs == 3, old->vl, old->vtype, old->vstart,
	                  (uint64_t)old->vxrm << 1 | old->vxsat);
	h->x[10] = 0;
	if (c->stack)
		h->x[2] = c->stack;
	if (c->flags & CLONE_SETTLS)
		h->x[4] = c->tls;
}

static int host_thread(void *(*run)(void *), void *arg)
{
	pthread_attr_t attr;
	pthread_t id;
	uint64_t all = UINT64_MAX, had;
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, &had, sizeof all);
	int r = pthread_create(&id, &attr, run, arg);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &had, NULL, sizeof had);
	pthread_attr_destroy(&attr);
	return -r;
}

int64_t thread_run(struct task *t, const struct clone *c)
{
	struct birth b = {.from = t, .c = c, .t = task_warm(t->p)};
	int r = b.t ? 0 : task_new(&b.t, t->p, NULL);
	if (r == 0 && !b.t->h) {
		r = task_hart(b.t, NULL);
		if (r == 0)
			rv_process_reset(b.t->h, 0, 0);
	}
	if (r < 0) {
		task_free(b.t);
		return -EAGAIN;
	}
	task_share(t);
	registers_copy(b.t, t, c);
	seccomp_inherit(b.t, t);
	sem_init(&b.done, 0, 0);
	r = host_thread(thread_main, &b);
	while (r == 0 && sem_wait(&b.done) < 0)
		continue;
	sem_destroy(&b.done);
	if (r < 0) {
		task_free(b.t);
		return -EAGAIN;
	}
	return b.tid;
}

/* ---- from a saved state ---- */

struct rebirth {
	struct task *t;
	const struct saved_thread *s;
	const char *comm;
	bool right; /* it has the number that it had */
	sem_t done;
};

static void *thread_again(void *rebirth)
{
	struct rebirth *b = rebirth;
	struct task *t = b->t;
	t->tid = gettid();
	b->right = t->tid == (int)b->s->tid;
	thread_restored(t, b->s, b->comm);
	task_enlist(t);
	sem_post(&b->done); /* b is gone */
	task_run(t);
	return NULL;
}

int thread_go_on(struct proc *p, const struct saved_thread *s, const char *comm,
                 struct lodge_err *e)
{
	struct rebirth b = {.s = s, .comm = comm};
	int r = task_new(&b.t, p, e);
	if (r == 0)
		r = task_hart(b.t, e);
	sem_init(&b.done, 0, 0);
	if (r == 0) {
		r = host_thread(thread_again, &b);
		if (r < 0)
			r = err_set(e, -r, "a thread of the program: %s", strerror(-r));
	}
	while (r == 0 && sem_wait(&b.done) < 0)
		continue;
	sem_destroy(&b.done);
	if (r < 0) {
		task_free(b.t);
		return r;
	}
	return b.right ? 0 : err_set(e, EBUSY, "the number %d of a thread could not be had",
	                             (int)s->tid);
}
