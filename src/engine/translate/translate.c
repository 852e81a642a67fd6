/* SPDX-License-Identifier: Apache-2.0 */
/* The engine `translate`: the interpreter's loop, which enters generated code at hot blocks. */
#include "engine/translate/mirror.h"
#include <stdio.h>
static unsigned long cnt[16];

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
		memset(t->jumps, 0, JIT_JUMPS * sizeof *t->jumps);
		t->map_epoch = h->map_epoch;
		jit_stack_reset(t->cache, run_of(h));
	}
}

/* The unit at h->pc; NULL: there is none (with @make: it cannot be made). */
static struct unit *unit_find(struct rv_hart *h, bool make)
{
	const uint8_t *code;
	uint64_t pa;
	if (!rv_fetch(h, h->pc, &code, &pa)) {
		h->exc = RV_EXC_NONE; /* the interpreter meets it again */
		return NULL;
	}
	bool global;
	return unit_get(h, pa, code, rv_fetch_region(h, h->pc, &global) | mirror_key(h, h->engine),
	                make);
}

/* ---- why generated code came back ---- */

static void exit_fault(struct rv_hart *h, struct translate *t, struct unit *u, uint32_t back)
{
	const struct jit_site_at *s = jit_site_find(&u->j, back);
	enum rv_exc cause = (enum rv_exc)h->exc;
	assert(s);
	h->icount -= s->undo;
	h->pc = u->pa + s->off + run_of(h)->delta;
	h->exc = RV_EXC_NONE;
	if (cause == RV_EXC_ILLEGAL && !h->tval) {
		const uint8_t *code = u->code + s->off;
		h->tval = (code[0] & 3) == 3 ? le32_at(code) : le16_at(code);
	} else if (cause == RV_EXC_BREAKPOINT) {
		h->tval = h->pc;
	}
	rv_trap(h, cause, h->tval);
	jit_stack_reset(t->cache, run_of(h));
}

/* Bring h->pc up to date. False: the interpreter goes on. */
static bool exit_take(struct rv_hart *h, struct translate *t, enum jit_exit why,
                      struct unit **ret_from, const struct jit_exit_at **ret_exit)
{
	struct jit_run *run = run_of(h);
	uint32_t back = jit_cache_offset(t->cache, run->detail);
	*ret_exit = NULL;
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
		h->pc = u->pa + run->delta;
		return true;
	}
	const struct jit_exit_at *x = jit_exit_find(&u->j, back);
	assert(x);
	h->pc = x->pa + run->delta;
	if (why == JIT_LINK) {
		*ret_exit = x;
		return true;
	}
	t->deopt = why == JIT_DEOPT;
	return false;
}

static void jump_remember(struct rv_hart *h, struct translate *t, const struct unit *u)
{
	t->jumps[jit_jump_index(h->pc)] = (struct jit_jump){ h->pc, h->fctx,
		jit_cache_code(t->cache, u->j.code), h->pc - u->pa };
}

static void translate_run(struct rv_hart *h, struct unit *u)
{
	struct translate *t = h->engine;
	struct jit_run *run = run_of(h);
	jit_stack_reset(t->cache, run);
	for (;;) {
		const struct jit_exit_at *x;
		struct unit *from = NULL;
		run->delta = h->pc - u->pa;
		t->entries++;
		mirror_ready(h, t);
		translate_fp_in(h);
		enum jit_exit why = jit_enter(t->cache, h, jit_cache_code(t->cache, u->j.code));
		translate_fp_out(h);
		cnt[why]++;
		if (!exit_take(h, t, why, &from, &x))
			return;
		if (unlikely(h->icount >= __atomic_load_n(&h->limit, __ATOMIC_RELAXED)))
			return;
		translate_sync(h);
		u = unit_find(h, false);
		if (!u) {
			cnt[8 + why]++;
			return;
		}
		if (x && !from->dead && u->pa == x->pa && u->reach == from->reach)
			unit_link(t, from, x, u);
		else if (!x)
			jump_remember(h, t, u);
	}
}

static bool translate_enter(struct rv_hart *h, struct block *b)
{
	struct translate *t = h->engine;
	if (t->deopt) {
		t->deopt = false;
		return false;
	}
	translate_sync(h);
	if (t->mirror && (t->mirror->poll_ns != h->poll_ns || t->mirror->always))
		mirror_look(h);
	struct unit *u = unit_find(h, true);
	if (!u) {
		b->heat = 0;
		return false;
	}
	translate_run(h, u);
	return true;
}

/* ---- the engine ---- */

static void translate_detach(struct rv_hart *h)
{
	struct translate *t = h->engine;
	if (!t)
		return;
	h->engine = NULL;
	FILE *dbg = fopen("/tmp/trdbg", "a"); if (dbg) fprintf(dbg, "made %lu killed %lu clears %lu entries %lu links %lu looks %lu map %u fetch %u used %lu icount %lu\r\n", t->made, t->killed, t->clears, t->entries, t->links, t->looks, h->map_epoch, h->fetch_epoch, (long)jit_cache_used(t->cache), h->icount), fclose(dbg);
	dbg = fopen("/tmp/trdbg", "a"); for (int i = 0; i < 16; i++) fprintf(dbg, "%d: %lu\n", i, cnt[i]); fclose(dbg);
	if (t->cache && t->jumps)
		units_clear(t);
	h->fenced = NULL;
	h->watched = NULL;
	mirror_free(t->mirror);
	free(t->units);
	free(t->jumps);
	jit_gen_free(t->gen);
	jit_cache_free(t->cache);
	interp_fini(&t->it);
	free(t);
}

static int translate_prepare(struct rv_hart *h, struct translate *t, struct lodge_err *e)
{
	struct jit_guest g = translate_guest;
	unsigned n = h->env->nharts ? h->env->nharts : 1;
	g.smp = n > 1;
	int r = jit_probe(e);
	if (r == 0)
		r = interp_init(&t->it, h, e);
	if (r == 0)
		r = jit_cache_new(&t->cache, &g,
		                  (h->env->code_bytes ? h->env->code_bytes : CACHE_BYTES) / n, e);
	if (r == 0)
		r = jit_gen_new(&t->gen, t->cache, e);
	t->jumps = calloc(JIT_JUMPS, sizeof *t->jumps);
	if (r == 0 && !t->jumps)
		r = err_set(e, ENOMEM, "no memory for the translator");
	return r;
}

static int translate_attach(struct rv_hart *h, struct lodge_err *e)
{
	struct translate *t = calloc(1, sizeof *t);
	h->engine = t;
	if (!t)
		return err_set(e, ENOMEM, "no memory for the translator");
	int r = translate_prepare(h, t, e);
	if (r < 0) {
		translate_detach(h);
		return r;
	}
	run_of(h)->jumps = t->jumps;
	jit_stack_reset(t->cache, run_of(h));
	t->map_epoch = h->map_epoch;
	t->fetch_epoch = h->fetch_epoch;
	t->it.hot = h->env->hot ? h->env->hot - 1 : HOT;
	t->it.enter = translate_enter;
	/* without windows it is only slower */
	if (h->env->mirror && jit_mirror_probe())
		(void)!mirror_new(&t->mirror, h, NULL);
	return 0;
}

static void translate_loop(struct rv_hart *h)
{
	const struct translate *t = h->engine;
	if (t->mirror)
		mirror_begin(h);
	interp_run(h);
	if (t->mirror)
		mirror_end(h);
}

static void translate_stats(const struct rv_hart *h, struct engine_stats *ret)
{
	const struct translate *t = h->engine;
	*ret = (struct engine_stats){ .instructions = h->icount, .blocks_made = t->made,
		.cache_flushes = t->clears, .cache_bytes = jit_cache_used(t->cache),
		.tlb_misses = t->misses };
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
	.probe = jit_probe, .attach = translate_attach, .detach = translate_detach, .run = translate_loop,
	.stats = translate_stats,
};
