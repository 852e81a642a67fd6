/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that compiles while the program runs. It is made when the first function is hot, gets
 * one function after the other, the hottest first, and ends with the instance, or with the process,
 * which waits for nobody. What it has made is used as soon as it is there: tier_unit_add.
 * docs/decisions/0045 */
#include "wasm/tier.h"
#include <pthread.h>
#include <signal.h>
#include <time.h>

enum { WAITING_MAX = 512, STACK_BYTES = 512 << 10, NAP_NS = 150000, NAPS = 100 };

struct compiler {
	struct tier *t;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* ---- with the lock ---- */
	struct func *waiting[WAITING_MAX];
	uint32_t n; /* of them; atomic, too */
	bool quit, sleeps;
};

/* The one that was called most often, also since it was asked for. */
static struct func *hottest_take(struct compiler *c)
{
	uint32_t best = 0, most = 0;
	for (uint32_t i = 0; i < c->n; i++) {
		uint32_t heat = __atomic_load_n(&c->waiting[i]->heat, __ATOMIC_RELAXED);
		if (heat > most) {
			most = heat;
			best = i;
		}
	}
	struct func *f = c->waiting[best];
	c->waiting[best] = c->waiting[c->n - 1];
	__atomic_store_n(&c->n, c->n - 1, __ATOMIC_RELAXED);
	return f;
}

/* To be woken up costs the program more than to ask does. So when there is nothing to do it is
 * looked now and then whether there is, and only after a while is there somebody to wake up. */
static void work_await(struct compiler *c)
{
	const struct timespec nap = {.tv_nsec = NAP_NS};
	for (unsigned i = 0; i < NAPS && !c->n && !c->quit; i++) {
		pthread_mutex_unlock(&c->lock);
		(void)nanosleep(&nap, NULL);
		pthread_mutex_lock(&c->lock);
	}
	c->sleeps = true;
	while (!c->n && !c->quit)
		pthread_cond_wait(&c->wake, &c->lock);
	c->sleeps = false;
}

static void *compiler_main(void *arg)
{
	struct compiler *c = arg;
	pthread_mutex_lock(&c->lock);
	while (!c->quit) {
		if (!c->n) {
			work_await(c);
			continue;
		}
		struct func *f = hottest_take(c);
		pthread_mutex_unlock(&c->lock);
		tier_compile(c->t, f);
		pthread_mutex_lock(&c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Signals are for the threads of the program. */
static bool thread_start(struct compiler *c)
{
	sigset_t all, had;
	pthread_attr_t a;
	if (pthread_attr_init(&a))
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &had);
	bool ok = !pthread_attr_setstacksize(&a, STACK_BYTES) &&
		  !pthread_create(&c->thread, &a, compiler_main, c);
	pthread_sigmask(SIG_SETMASK, &had, NULL);
	pthread_attr_destroy(&a);
	return ok;
}

/* One that begins with @f. */
static bool compiler_new(struct tier *t, struct func *f)
{
	struct compiler *c = calloc(1, sizeof *c);
	if (!c)
		return false;
	c->t = t;
	c->waiting[c->n++] = f;
	tier_state_set(t, f, TIER_ASKED);
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	if (!thread_start(c)) {
		tier_state_set(t, f, TIER_NONE);
		pthread_cond_destroy(&c->wake);
		pthread_mutex_destroy(&c->lock);
		free(c);
		return false;
	}
	t->compiler = c;
	return true;
}

enum ask compiler_ask(struct tier *t, struct func *f)
{
	/* what it reads is made when @f is interpreted; two may not compile at once */
	if (!f->own || !f->codes)
		return t->compiler ? ASK_LATER : ASK_NOBODY;
	if (!t->compiler && f->ninsns <= t->at_once) {
		t->at_once -= f->ninsns;
		return ASK_NOBODY;
	}
	if (!t->compiler) {
		t->background = compiler_new(t, f); /* if not now, then not later either */
		return t->background ? ASK_TAKEN : ASK_NOBODY;
	}
	struct compiler *c = t->compiler;
	if (__atomic_load_n(&c->n, __ATOMIC_RELAXED) == WAITING_MAX)
		return ASK_LATER;
	tier_state_set(t, f, TIER_ASKED);
	pthread_mutex_lock(&c->lock);
	c->waiting[c->n] = f;
	__atomic_store_n(&c->n, c->n + 1, __ATOMIC_RELAXED);
	if (c->sleeps)
		pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	return ASK_TAKEN;
}

void compiler_free(struct tier *t)
{
	struct compiler *c = take(t->compiler);
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->quit = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
