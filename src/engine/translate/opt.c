/* SPDX-License-Identifier: Apache-2.0 */
/* The optimizing tier: units that run hot are made again, with a register map of their own, by a
 * second thread of each hart.
 *
 * Heat is sampled: generated code comes back from its checks every so often, and the unit that it
 * comes back from is the one that runs. One request at a time: the thread gets a copy of the guest
 * code and writes only to the second part of the code cache, where nothing else is written; the
 * hart takes the result at its next entry. A unit that is gone by then, or a cache that was
 * cleared, makes it void. */
#include "engine/translate/internal.h"
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

enum state { FREE, ASKED, DONE };
enum { NICER = 5 };     /* so that harts come first on a small host */

struct opt {
	struct jit_gen *gen;    /* whoever has the request uses it */
	uint32_t state;         /* enum state, atomic: who has the rest of this */
	/* the request */
	uint64_t pa, clears;
	unsigned reach, bytes;
	bool force;
	/* when the unit ends in an indirect jump: what follows it in its page, and where units that
	 * have run begin there, as struct range's target */
	unsigned room;          /* bytes of code, beginning with the unit's */
	bool seeds[2 * JIT_UNIT_INSNS];
	uint8_t code[4096];
	/* the result */
	bool made, full;
	unsigned n;
	struct jit_unit j;
	struct range r;
	/* the thread */
	pthread_mutex_t lock;
	pthread_cond_t wake, done;
	pthread_t thread;
	bool sync;              /* there shall be none */
	bool runs, quit;        /* quit: under lock */
};

static uint32_t state_of(const struct opt *o)
{
	return __atomic_load_n(&o->state, __ATOMIC_ACQUIRE);
}
static void state_set(struct opt *o, enum state s)
{
	__atomic_store_n(&o->state, s, __ATOMIC_RELEASE);
}

/* ---- making ---- */

static void make(struct opt *o, unsigned room, const bool *seeds)
{
	memcpy(o->r.code, o->code, room);
	range_scan(&o->r, room, o->pa, seeds);
	o->n = o->r.n;
	(void)range_generate(o->gen, &o->r, o->n, o->reach, true);
	if (!o->n || o->r.bytes < o->bytes || !jit_plan_end(o->gen, o->force))
		return;
	bool again;
	do {
		o->made = range_generate(o->gen, &o->r, o->n, o->reach, false) == o->n &&
		          jit_end(o->gen, &o->j);
		again = !o->made && jit_remake(o->gen);
	} while (again);
	o->full = !o->made && jit_full(o->gen);
}

static void request_make(struct opt *o)
{
	o->made = o->full = false;
	if (o->room > o->bytes)
		make(o, o->room, o->seeds);
	if (!o->made && !o->full)
		make(o, o->bytes, NULL);
}

static void *opt_main(void *opt)
{
	struct opt *o = opt;
	(void)!nice(NICER); /* of this thread; if not, then not */
	pthread_mutex_lock(&o->lock);
	while (!o->quit) {
		if (state_of(o) != ASKED) {
			pthread_cond_wait(&o->wake, &o->lock);
			continue;
		}
		pthread_mutex_unlock(&o->lock);
		request_make(o);
		state_set(o, DONE);
		pthread_mutex_lock(&o->lock);
		pthread_cond_signal(&o->done);
	}
	pthread_mutex_unlock(&o->lock);
	return NULL;
}

/* ---- life ---- */

static bool thread_start(struct opt *o)
{
	sigset_t all, had;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &had);
	o->runs = !pthread_create(&o->thread, NULL, opt_main, o);
	pthread_sigmask(SIG_SETMASK, &had, NULL);
	return o->runs;
}

static void locks_init(struct opt *o)
{
	pthread_mutex_init(&o->lock, NULL);
	pthread_cond_init(&o->wake, NULL);
	pthread_cond_init(&o->done, NULL);
}

static struct opt *opt_get(struct rv_hart *h)
{
	struct translate *t = h->engine;
	if (t->opt)
		return t->opt;
	struct opt *o = calloc(1, sizeof *o);
	if (!o)
		return NULL;
	o->sync = h->env->opt_sync || h->env->opt_at == 1;
	locks_init(o);
	t->opt = o;
	if (jit_gen_new(&o->gen, t->cache, NULL) < 0)
		opt_free(t);
	return t->opt;
}

void opt_free(struct translate *t)
{
	struct opt *o = t->opt;
	if (!o)
		return;
	t->opt = NULL;
	if (o->runs) {
		pthread_mutex_lock(&o->lock);
		o->quit = true;
		pthread_cond_signal(&o->wake);
		pthread_mutex_unlock(&o->lock);
		pthread_join(o->thread, NULL);
	}
	pthread_cond_destroy(&o->wake);
	pthread_cond_destroy(&o->done);
	pthread_mutex_destroy(&o->lock);
	jit_gen_free(o->gen);
	free(o);
}

void opt_fork_begin(struct translate *t)
{
	struct opt *o = t->opt;
	if (!o)
		return;
	pthread_mutex_lock(&o->lock);
	while (o->runs && state_of(o) == ASKED)
		pthread_cond_wait(&o->done, &o->lock);
}

void opt_fork_end(struct translate *t, bool in_child)
{
	struct opt *o = t->opt;
	if (!o)
		return;
	if (!in_child) {
		pthread_mutex_unlock(&o->lock);
		return;
	}
	o->runs = false;
	o->clears = UINT64_MAX; /* what it has made is in no cache of the child's */
	locks_init(o);
}

void opt_forget(struct translate *t)
{
	struct opt *o = t->opt;
	if (!o)
		return;
	t->opt = NULL;
	if (state_of(o) == ASKED) /* its thread was at work on it: stays as it is */
		return;
	jit_gen_free(o->gen);
	free(o); /* not its condition: that would wait for the thread that waits for it */
}

/* ---- asking ---- */

static uint64_t *never_slot(struct translate *t, uint64_t pa)
{
	return &t->opt_never[(pa >> 1) % OPT_NEVER];
}

/* What an indirect jump at the end of @u may reach in its page. */
static void request_seeds(struct rv_hart *h, struct opt *o, const struct unit *u)
{
	unsigned room = (unsigned)min_u64(4096 - (u->j.pa & 4095), sizeof o->seeds * 2);
	const uint8_t *code = h->env->process ? (const uint8_t *)(uintptr_t)u->j.pa
	                                      : mem_ptr(h->env->mem, gpa(u->j.pa), room);
	memset(o->seeds, 0, sizeof o->seeds);
	o->room = u->bytes;
	if (code && units_seed(h->engine, u, o->seeds) && room > u->bytes) {
		if (rv_code_copy(h, o->code + u->bytes, code + u->bytes, room - u->bytes))
			o->room = room;
		h->exc = RV_EXC_NONE;
	}
}

/* False: not now. */
static bool request(struct rv_hart *h, struct unit *u, bool force)
{
	struct translate *t = h->engine;
	struct opt *o = opt_get(h);
	if (!o || state_of(o) != FREE)
		return false;
	o->pa = u->j.pa;
	o->reach = u->reach;
	o->bytes = u->bytes;
	o->clears = t->clears;
	o->force = force;
	memcpy(o->code, unit_code(u), u->bytes);
	range_vectors(&o->r, h);
	request_seeds(h, o, u);
	if (!o->runs && (o->sync || !thread_start(o))) {
		request_make(o);
		state_set(o, DONE);
		return true;
	}
	pthread_mutex_lock(&o->lock);
	state_set(o, ASKED);
	pthread_cond_signal(&o->wake);
	pthread_mutex_unlock(&o->lock);
	return true;
}

bool opt_is_never(struct translate *t, uint64_t pa) { return *never_slot(t, pa) == pa; }

/* Another process has made it already. */
static bool taken(struct rv_hart *h, struct unit *u)
{
	struct entry *e = share_take(h, &(struct place){ .pa = u->j.pa, .reach = u->reach }, true);
	if (e)
		unit_replace(h->engine, u, entry_unit(e));
	return e;
}

void opt_sample(struct rv_hart *h, struct unit *u)
{
	struct translate *t = h->engine;
	uint32_t enough = h->env->opt_at ? h->env->opt_at : OPT_AT;
	if (u->tier || u->refused || u->dead || is_crossing(u->reach) || ++u->heat < enough)
		return;
	u->heat = 0;
	if (opt_is_never(t, u->j.pa))
		u->refused = true;
	else if (!taken(h, u))
		(void)request(h, u, false);
}

void opt_deopt(struct translate *t, struct unit *u)
{
	if (u->dead || ++u->bad < OPT_BAD)
		return;
	*never_slot(t, u->j.pa) = u->j.pa;
	unit_drop(t, u);
}

/* ---- taking ---- */

/* The unit that the request was made from, as it is now. */
static struct unit *request_unit(struct rv_hart *h, const struct opt *o)
{
	struct translate *t = h->engine;
	struct entry *e = NULL;
	if (o->clears == t->clears)
		e = unit_get(h, &(struct place){ .pa = o->pa, .reach = o->reach }, false);
	struct unit *u = e ? entry_unit(e) : NULL;
	if (!u || u->j.pa != o->pa || u->tier || u->bytes != o->bytes)
		return NULL;
	return memcmp(unit_code(u), o->code, o->bytes) ? NULL : u;
}

/* NULL: nothing of it is used. */
static struct unit *result_take(struct rv_hart *h, struct opt *o)
{
	struct translate *t = h->engine;
	struct unit *old = request_unit(h, o);
	if (!o->made) {
		if (old)
			old->refused = true;
		return NULL;
	}
	struct unit *u = old ? unit_new(t, o->gen, &o->r, o->n, o->reach, 0, &o->j) : NULL;
	if (!u)
		return NULL;
	u->tier = 1;
	/* what was read behind the old one may have changed since */
	if ((u->bytes != old->bytes && !unit_same(h, u)) || !unit_add(t, u))
		return NULL;
	share_give(h, o->gen, u);
	unit_replace(t, old, u);
	jit_unit_keep(t->cache, &u->j);
	return u;
}

static struct unit *done_take(struct rv_hart *h, struct opt *o)
{
	struct translate *t = h->engine;
	bool full = o->full && o->clears == t->clears && jit_cache_used2(t->cache);
	struct unit *u = result_take(h, o);
	state_set(o, FREE);
	if (full || t->pool.full)
		units_clear(t);
	return u;
}

void opt_take(struct rv_hart *h)
{
	struct opt *o = ((struct translate *)h->engine)->opt;
	if (unlikely(o && state_of(o) == DONE))
		(void)done_take(h, o);
}

void opt_now(struct rv_hart *h, struct unit *u)
{
	struct translate *t = h->engine;
	if (!u->tier && !u->refused && !is_crossing(u->reach) &&
	    *never_slot(t, u->j.pa) != u->j.pa && request(h, u, true))
		(void)done_take(h, t->opt);
}
