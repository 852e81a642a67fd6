/* SPDX-License-Identifier: Apache-2.0 */
/* The engine `translate`: the interpreter's loop, which enters generated code at hot blocks. */
#include "engine/translate/mirror.h"
#include <malloc.h>

static struct jit_run *run_of(struct rv_hart *h) { return (struct jit_run *)(void *)h->engine_run; }
_Static_assert(sizeof(struct jit_run) <= sizeof(((struct rv_hart *)0)->engine_run), "engine_run");

/* ---- where control goes ---- */

/* Code or mappings may have changed since the last look. */
static void translate_sync(struct rv_hart *h)
{
	struct translate *t = h->engine;
	if (unlikely(t->fetch_epoch != h->fetch_epoch)) {
		units_verify(h);
		t->fetch_epoch = h->fetch_epoch;
		jit_stack_reset(t->cache, run_of(h));
	}
	if (unlikely(t->map_epoch != h->map_epoch)) {
		jumps_forget(t);
		t->map_epoch = h->map_epoch;
		jit_stack_reset(t->cache, run_of(h));
	}
}

/* Whether others touch the process's memory has changed. No code runs by now, and what the
 * optimizing thread is at was begun under the old rule. */
static void share_sync(struct rv_hart *h)
{
	struct translate *t = h->engine;
	t->alone = !t->alone;
	opt_free(t);
	jit_cache_share(t->cache, !t->alone);
	if (t->alone)
		return;
	units_share(t);
	jit_stack_reset(t->cache, run_of(h));
}

static bool is_alone(const struct rv_hart *h)
{
	return __atomic_load_n(&h->env->alone, __ATOMIC_RELAXED);
}

/* Find the code at h->pc. False: it cannot be fetched; the interpreter meets the fault again. */
static bool place_find(struct rv_hart *h, struct place *p)
{
	bool global;
	*p = (struct place){ .pa2 = 0 };
	if (!rv_fetch(h, h->pc, &p->host, &p->pa)) {
		h->exc = RV_EXC_NONE;
		return false;
	}
	uint8_t first[2] = { 0 };
	bool last = (h->pc & 0xfff) == 0xffe; /* of its page */
	if (last && !rv_code_copy(h, first, p->host, 2)) {
		h->exc = RV_EXC_NONE;
		return false;
	}
	if ((first[0] & 3) == 3) {
		p->reach = REACH_CROSSING | mirror_key(h, h->engine);
		if (!rv_fetch(h, h->pc + 2, &p->host2, &p->pa2)) {
			h->exc = RV_EXC_NONE;
			return false;
		}
		return true;
	}
	p->reach = rv_fetch_region(h, h->pc, &global) | mirror_key(h, h->engine);
	return true;
}

/* The interpreter does not keep instructions across two pages, so these get hot here. */
static bool crossing_is_hot(struct translate *t, uint64_t pa)
{
	uint8_t *heat = &t->crossing_heat[(pa >> 12) % CROSSINGS];
	bool hot = *heat >= min_u64(t->it.hot, UINT8_MAX);
	*heat = (uint8_t)(*heat + !hot);
	return hot;
}

/* The code for h->pc; NULL: there is none (with @make: it cannot be made). */
static struct entry *unit_find(struct rv_hart *h, bool make)
{
	struct place p;
	if (!place_find(h, &p))
		return NULL;
	bool crossing = is_crossing(p.reach);
	struct entry *e = unit_get(h, &p, false);
	if (!e) /* not by way of the interpreter, which would make a block of it first */
		e = share_take(h, &p, false);
	if (!e && (make || (crossing && crossing_is_hot(h->engine, p.pa))))
		e = unit_get(h, &p, true);
	return e;
}

/* In counted time a look around has to come at one and the same instruction on every engine. So
 * generated code stops short of it, and the interpreter goes the rest of the way. It also stops now
 * and then for requests, which it does not see. False: the interpreter has to go now. */
static bool counted_begin(struct rv_hart *h)
{
	enum { MARGIN = 4 * JIT_UNIT_INSNS, /* more than runs between two checks */
	       LONGEST = 1 << 20 };
	if (likely(!vclock_is_counted(h->env->clock)))
		return true;
	uint64_t limit = __atomic_load_n(&h->limit, __ATOMIC_RELAXED);
	if (limit < MARGIN || h->icount >= limit - MARGIN)
		return false;
	run_of(h)->limit = min_u64(limit - MARGIN, h->icount + LONGEST);
	return true;
}

/* ---- why generated code came back ---- */

static void exit_fault(struct rv_hart *h, struct translate *t, struct unit *u, uint32_t back)
{
	struct jit_site_at s = {0};
	enum rv_exc cause = (enum rv_exc)h->exc;
	bool found = jit_site_find(&u->j, back, &s);
	assert(found);
	(void)found;
	h->icount -= s.undo;
	h->pc = u->j.pa + s.off + run_of(h)->delta;
	h->exc = RV_EXC_NONE;
	if (cause == RV_EXC_ILLEGAL && !h->tval) {
		const uint8_t *code = unit_code(u) + s.off;
		h->tval = (code[0] & 3) == 3 ? le32_at(code) : le16_at(code);
	} else if (cause == RV_EXC_BREAKPOINT) {
		h->tval = h->pc;
	}
	rv_trap(h, cause, h->tval);
	jit_stack_reset(t->cache, run_of(h));
}

/* Bring h->pc up to date. False: the interpreter goes on. JIT_LINK: @ret_exit is set. */
static bool exit_take(struct rv_hart *h, struct translate *t, enum jit_exit why,
                      struct unit **ret_from, struct jit_exit_at *ret_exit)
{
	struct jit_run *run = run_of(h);
	uint32_t back = jit_cache_offset(t->cache, run->detail);
	if (why == JIT_JUMP)
		return true;
	struct unit *u = unit_at_code(t, back);
	assert(u);
	*ret_from = u;
	if (why == JIT_FAULT) {
		exit_fault(h, t, u, back);
		return true;
	}
	if (why == JIT_STALE) {
		h->pc = u->j.pa + run->delta;
		return true;
	}
	bool found = jit_exit_find(&u->j, back, ret_exit);
	assert(found);
	(void)found;
	h->pc = ret_exit->pa + run->delta;
	if (why == JIT_LINK || why == JIT_FAR)
		return true;
	t->deopt = why == JIT_DEOPT;
	return false;
}

static void jump_put(struct translate *t, unsigned slot, const struct jit_jump *j)
{
	if (t->njumps < JUMPS_FEW)
		t->jump_used[t->njumps] = (uint16_t)slot;
	if (t->njumps <= JUMPS_FEW)
		t->njumps++;
	t->jumps[slot] = *j;
}

static bool jump_is(const struct jit_jump *j, const struct rv_hart *h, uint64_t va)
{
	return j->code && j->va != va && j->key == h->fctx;
}

/* What is in its place goes to its second one: two that meet in a loop would push each other out
 * again and again. */
static void jump_remember(struct rv_hart *h, struct translate *t, const struct entry *e)
{
	uint64_t mask = *t->jump_mask;
	unsigned slot = jit_jump_index(h->pc, mask);
	const struct jit_jump old = t->jumps[slot];
	if (jump_is(&old, h, h->pc)) {
		unsigned other = jit_jump_index2(old.va, mask);
		t->jumps_lost += other == slot || jump_is(&t->jumps[other], h, old.va);
		if (other != slot)
			jump_put(t, other, &old);
	}
	jump_put(t, slot, &(struct jit_jump){ h->pc, h->fctx, jit_cache_code(t->cache, e->code),
		h->pc - entry_pa(e) });
	if (unlikely(t->jumps_lost > jumps_size(t) / JUMPS_LOST))
		jumps_grow(t);
}

static void far_link(struct rv_hart *h, struct translate *t, const struct jit_exit_at *x,
                     const struct entry *e)
{
	jit_far_link(t->cache, x, &(struct jit_far){ h->fctx, run_of(h)->delta, h->pc - entry_pa(e),
	                                             e->code });
}

static void translate_run(struct rv_hart *h, struct entry *e)
{
	struct translate *t = h->engine;
	struct jit_run *run = run_of(h);
	jit_stack_reset(t->cache, run);
	for (;;) {
		struct jit_exit_at x;
		struct unit *from = NULL;
		if (!counted_begin(h))
			return;
		run->delta = h->pc - entry_pa(e);
		t->entered++;
		mirror_ready(h, t);
		translate_fp_in(h);
		uint64_t before = h->icount;
		enum jit_exit why = jit_enter(t->cache, h, jit_cache_code(t->cache, e->code));
		t->insns += h->icount - before;
		translate_fp_out(h);
		if (!exit_take(h, t, why, &from, &x)) {
			if (why == JIT_LEAVE)
				opt_sample(h, from);
			else if (from->tier)
				opt_deopt(t, from);
			return;
		}
		if (unlikely(h->icount >= __atomic_load_n(&h->limit, __ATOMIC_RELAXED)))
			return;
		translate_sync(h);
		uint64_t clears = t->clears;
		e = unit_find(h, false);
		if (!e)
			return;
		if (clears != t->clears) /* from is gone, and return addresses with it */
			jit_stack_reset(t->cache, run);
		else if (why == JIT_FAR)
			far_link(h, t, &x, e);
		else if (why == JIT_LINK && !from->dead && entry_pa(e) == x.pa &&
		         !is_crossing(from->reach) && entry_unit(e)->reach == from->reach)
			unit_link(t, from, &x, e);
		if (why != JIT_LINK)
			jump_remember(h, t, e);
	}
}

/* A hart that has just been idle wakes up for little, and what that little runs is as soon
 * interpreted as translated: code is made again when it turns out to be more. */
enum { CALM_INSNS = 3000000 };
static bool is_calm(const struct rv_hart *h)
{
	return h->idle_told && h->idle_insns < CALM_INSNS &&
	       h->icount - h->idle_icount < CALM_INSNS;
}

static bool translate_enter(struct rv_hart *h, struct block *b)
{
	struct translate *t = h->engine;
	if (t->deopt) {
		t->deopt = false;
		return false;
	}
	if (unlikely(b->heat <= t->it.hot)) /* right behind a window */
		return false;
	if (t->mirror && (t->mirror->poll_ns != h->poll_ns || t->mirror->always))
		mirror_look(h);
	if (unlikely(sample_near(h, &t->sample)) && sample_block(h, b))
		return false;
	if (!counted_begin(h))
		return false;
	if (unlikely(t->alone != is_alone(h)))
		share_sync(h);
	translate_sync(h);
	opt_take(h);
	struct entry *e = unit_find(h, !is_calm(h));
	if (unlikely(e && h->env->opt_at == 1)) {
		opt_now(h, entry_unit(e));
		e = unit_find(h, true);
	}
	if (!e) {
		b->heat = 0;
		return false;
	}
	translate_run(h, e);
	sample_after(h, &t->sample);
	return true;
}

/* ---- idle harts ---- */

#define TRIM_NS UINT64_C(3000000000)
#define TRIM_MAX_NS UINT64_C(100000000000)

/* Code is quickly made again, and an idle hart needs little of it: all of it goes. Where it was
 * soon there again, it stays for longer and longer: something runs now and then. */
static void translate_idled(struct rv_hart *h)
{
	struct translate *t = h->engine;
	uint64_t now = vclock_ns(h->env->clock), since = now - t->trim_ns;
	uint64_t used = jit_cache_used(t->cache) + t->pool.used + interp_used(&t->it);
	if (used < t->keep_bytes || since < t->trim_wait_ns)
		return;
	t->trim_wait_ns = since < 2 * t->trim_wait_ns ? min_u64(2 * t->trim_wait_ns, TRIM_MAX_NS)
	                                              : TRIM_NS;
	t->trim_ns = now;
	opt_free(t);
	units_clear(t);
	jit_stack_reset(t->cache, run_of(h));
	units_trim(t);
	interp_trim(&t->it);
	(void)malloc_trim(0);
}

/* ---- the engine ---- */

static void translate_detach(struct rv_hart *h)
{
	struct translate *t = h->engine;
	if (!t)
		return;
	h->engine = NULL;
	opt_free(t);
	h->fenced = NULL;
	h->watched = NULL;
	h->idled = NULL;
	mirror_free(t->mirror);
	flat_free(t->flat);
	units_fini(t);
	jit_gen_free(t->gen);
	jit_cache_free(t->cache);
	interp_fini(&t->it);
	host_pages_free(t, sizeof *t);
}

static uint64_t cache_bytes(const struct rv_hart *h)
{
	uint64_t all = h->env->code_bytes ? h->env->code_bytes : CACHE_BYTES;
	return all / (h->env->nharts ? h->env->nharts : 1);
}

/* Make the cache and the generator, for the time that the guest's clock keeps. */
static int cache_make(struct rv_hart *h, struct translate *t, struct lodge_err *e)
{
	struct jit_guest g = translate_guest;
	g.flat = h->env->process != NULL;
	t->alone = g.flat && is_alone(h);
	g.smp = g.flat ? !t->alone : h->env->nharts > 1;
	g.vector_bytes = h->vlenb;
	g.narrow = h->env->narrow;
	t->counted = vclock_is_counted(h->env->clock);
	g.returns_look = t->counted;
	if (t->counted)
		g.limit = g.run + (uint32_t)offsetof(struct jit_run, limit);
	int r = jit_cache_new(&t->cache, &g, cache_bytes(h), e);
	return r ? r : jit_gen_new(&t->gen, t->cache, e);
}

static int translate_prepare(struct rv_hart *h, struct translate *t, struct lodge_err *e)
{
	int r = jit_probe(e);
	if (r == 0)
		r = interp_init(&t->it, h, e);
	if (r == 0)
		r = cache_make(h, t, e);
	if (r == 0 && h->env->process)
		r = flat_new(t, e);
	if (r == 0)
		r = units_init(t, cache_bytes(h), e);
	return r;
}

/* The kind of clock is settled after harts are attached: the first run may find another one. */
static void engine_run(struct rv_hart *h)
{
	struct translate *t = h->engine;
	if (unlikely(t->counted != vclock_is_counted(h->env->clock))) {
		opt_free(t);
		units_clear(t);
		jit_gen_free(take(t->gen));
		jit_cache_free(take(t->cache));
		if (cache_make(h, t, NULL) < 0) /* no memory: interpret */
			t->it.hot = UINT32_MAX;
		else
			jit_stack_reset(t->cache, run_of(h));
		if (t->mirror)
			t->mirror->guard.cache = t->cache;
	}
	if (t->mirror)
		mirror_begin(h);
	if (t->flat && !flat_begin(t->flat))
		t->it.hot = UINT32_MAX; /* interpret */
	interp_run(h);
	if (t->flat)
		flat_end(t->flat);
	if (t->mirror)
		mirror_end(h);
}

static int translate_attach(struct rv_hart *h, struct lodge_err *e)
{
	struct translate *t = host_pages_new(sizeof *t);
	h->engine = t;
	if (!t)
		return err_set(e, ENOMEM, "no memory for the translator");
	int r = translate_prepare(h, t, e);
	if (r < 0) {
		translate_detach(h);
		return r;
	}
	run_of(h)->jumps = t->jumps;
	t->jump_mask = &run_of(h)->jump_mask;
	jumps_begin(t);
	run_of(h)->beyond = JIT_BEYOND;
	jit_stack_reset(t->cache, run_of(h));
	t->map_epoch = h->map_epoch;
	t->fetch_epoch = h->fetch_epoch;
	t->it.hot = h->env->hot ? h->env->hot - 1 : HOT;
	t->it.enter = translate_enter;
	t->it.known = h->env->process ? share_knows : NULL;
	sample_init(h);
	t->keep_bytes = cache_bytes(h) / KEEP_SHARE;
	h->idled = translate_idled;
	/* without windows it is only slower */
	if (h->env->mirror && !t->flat && jit_mirror_probe())
		(void)!mirror_new(&t->mirror, h, NULL);
	return 0;
}

static int translate_fork_begin(struct rv_hart *h, struct lodge_err *e)
{
	struct translate *t = h->engine;
	int r = 0;
	t->fork_copies = !share_fork(h->env) || !units_wipe(t, true);
	if (t->fork_copies)
		r = units_wipe(t, false) ? jit_cache_copy(t->cache, e)
		                         : err_set(e, ENOMEM, "no memory for a child");
	if (r < 0)
		return r;
	opt_fork_begin(t);
	uint32_t back = jit_stack_top(t->cache, run_of(h));
	const struct unit *u = back ? unit_at_code(t, back) : NULL;
	t->fork_keeps = u ? u->j : (struct jit_unit){ .code = 0 };
	return 0;
}

/* Where units are shared the child begins without code, but for that which it is about to come back
 * to: most children run little, or another program, and find there what they need. */
static void translate_fork_end(struct rv_hart *h, bool in_child)
{
	struct translate *t = h->engine;
	opt_fork_end(t, in_child);
	if (in_child)
		interp_forked(&t->it);
	if (t->fork_copies) {
		jit_cache_forked(t->cache, in_child);
	} else if (in_child) {
		jit_cache_renew(t->cache, t->fork_keeps.code ? &t->fork_keeps : NULL, run_of(h));
		units_wiped(t);
	}
}

static void translate_forget(struct rv_hart *h, bool calm)
{
	struct translate *t = h->engine;
	if (!calm) {
		interp_forget(&t->it);
		jit_cache_forget(t->cache);
		return;
	}
	opt_forget(t);
	translate_detach(h);
}

RACY static void translate_stats(const struct rv_hart *h, struct engine_stats *ret)
{
	const struct translate *t = h->engine;
	*ret = (struct engine_stats){ .instructions = h->icount, .blocks_made = t->made,
		.cache_flushes = t->clears, .cache_bytes = jit_cache_used(t->cache),
		.units_taken = t->taken, .entered = t->entered, .tlb_misses = t->misses,
		.units = { t->made - t->made2, t->made2 } };
	sample_stats(t, ret);
	ret->unit_bytes[1] = jit_cache_used2(t->cache);
	ret->unit_bytes[0] = ret->cache_bytes - ret->unit_bytes[1];
	if (t->mirror) {
		ret->mirror_faults = t->mirror->guard.taken;
		ret->mirror_maps = t->mirror->maps;
		ret->mirror_pages = t->mirror->pages;
		ret->mirror_drops = t->mirror->drops;
	}
}

const struct engine engine_translate = {
    .name = "translate",
    .summary = "hot code translated into host code, the rest interpreted",
    .probe = jit_probe,
    .attach = translate_attach,
    .detach = translate_detach,
    .run = engine_run,
    .stats = translate_stats,
    .share = share_new,
    .unshare = share_free,
    .fork_begin = translate_fork_begin,
    .fork_end = translate_fork_end,
    .forget = translate_forget,
};
