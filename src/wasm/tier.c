/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled tier: functions that are called often, and loops that go round often, through the IR
 * into host code. Calls between the two kinds of code work both ways; a function that cannot be
 * compiled stays where it is. docs/decisions/0031 */
#include "wasm/tier.h"
#include <stdlib.h>
#include <sys/mman.h>

enum {
	HEAT = 40,
	AT_ONCE = 4096, /* instructions: no dearer than a thread */
	HEAT_BACKGROUND = 20, /* nobody waits for it */
	LOOP_HEAT = 40, /* of who is met at a look around */
	CODE_BYTES = 128 << 20,
	STACK_BYTES = 16 << 20,
	STACK_SLACK = 512 << 10, /* for C */
	FUEL = 1 << 8,       /* between two looks at the clock */
	FUEL_KEPT = 1 << 30, /* where a signal ends it */
};

/* ---- what lies before w->base ---- */

size_t tier_front(const struct wasm_module *m)
{
	return align_up(sizeof(struct jit_fn_context) + m->nglobals * sizeof(struct wvalue), 4096);
}

static struct jit_fn_context *context(const struct wasm *w)
{
	return (struct jit_fn_context *)(void *)w->base - 1;
}

struct wvalue *tier_globals(struct wasm *w)
{
	return (struct wvalue *)(void *)context(w) - w->m->nglobals;
}

/* ---- what runs ---- */

/* The compiled function that has @pc; NULL: none. */
static struct unit *unit_at(const struct tier *t, uint64_t pc)
{
	uint32_t off = jit_cache_offset(t->cache, pc), lo = 0, hi = tier_units(t);
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (t->units[mid].code.code <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	struct unit *u = lo ? &t->units[lo - 1] : NULL;
	return u && off - u->code.code < u->code.len ? u : NULL;
}

/* @u catches what its instruction @insn has thrown: false: it does not. */
static bool lands(struct wasm *w, const struct unit *u, uint32_t insn, uint64_t sp,
		  struct jit_fn_landing *ret)
{
	const struct wcatch *c = exn_catcher(w, u->catches, u->ncatches, insn);
	const struct jit_fn_door *pad = u->code.pads;
	uint32_t n = c ? u->code.npads : 0;
	while (n && pad->group != c->pad) {
		pad++;
		n--;
	}
	if (!n)
		return false;
	exn_deliver(w, c, jit_fn_frame(sp));
	const uint8_t *code = jit_cache_code(w->tier->cache, u->code.code + pad->code);
	*ret = (struct jit_fn_landing){(uint64_t)(uintptr_t)code, sp};
	return true;
}

static struct jit_fn_landing on_trap(void *self, uint64_t trap, int64_t group, uint64_t pc,
				     uint64_t sp)
{
	struct wasm *w = self;
	const struct tier *t = w->tier;
	struct jit_fn_landing ret = {0, 0};
	for (struct unit *u; (u = unit_at(t, pc)); group = -1) {
		uint32_t off = jit_cache_offset(t->cache, pc) - u->code.code;
		uint32_t insn = group < 0 ? jit_fn_group(&u->code, off) : (uint32_t)group;
		trace_note(w, u->f, insn);
		if (trap == WASM_TRAP_EXCEPTION && lands(w, u, insn, sp, &ret))
			break;
		sp += u->code.frame;
		pc = *(const uint64_t *)(uintptr_t)sp - 1; /* within the call */
		sp += 8;
	}
	return ret;
}

static void fuel_set(const struct wasm *w)
{
	int64_t n = w->slice_max ? w->slice_max : w->deadline_ns ? FUEL : FUEL_KEPT;
	__atomic_store_n(&context(w)->fuel, n, __ATOMIC_SEQ_CST);
}

void tier_interrupt(struct wasm *w)
{
	if (w->tier && w->tier->cache)
		__atomic_store_n(&context(w)->fuel, 0, __ATOMIC_SEQ_CST);
}

static uint64_t on_poll(void *self, const uint64_t *at)
{
	struct wasm *w = self;
	int64_t fuel;
	enum wasm_trap t = slice_next(w, &fuel);
	fuel_set(w);
	if (t || !wasm_asked(w))
		return t;
	return halt(w, (struct spot){NULL, (uint32_t)at[0], at + 1});
}

void tier_walk(const struct wasm *w, const uint64_t *code, const uint32_t *innermost,
	       tier_frame_fn *each, void *user)
{
	const struct tier *t = w->tier;
	for (const struct unit *u; (u = unit_at(t, *code - 1)); innermost = NULL) {
		uint32_t off = jit_cache_offset(t->cache, *code - 1) - u->code.code;
		each(user, u->f, innermost ? *innermost : jit_fn_group(&u->code, off), !innermost);
		code += 1 + u->code.frame / 8;
	}
}

bool tier_stack_is_low(const struct wasm *w)
{
	const uint8_t *here = __builtin_frame_address(0);
	return w->tier && w->tier->stack &&
	       (uintptr_t)here - (uintptr_t)w->tier->stack < STACK_SLACK / 2;
}

static enum wasm_trap interpret(struct wasm *w, struct func *f, union wasm_slot *at,
				const uint64_t *from)
{
	const struct crossing here = {w->crossing, from};
	struct frame *top = w->top;
	enum wasm_trap t = WASM_TRAP_STACK;
	w->crossing = &here;
	if (!tier_stack_is_low(w))
		t = wasm_run(w, f, at, NULL);
	else
		trace_note(w, f, 0);
	w->crossing = here.before;
	w->top = top;
	return t;
}

static enum wasm_trap host_call(struct wasm *w, struct func *f, union wasm_slot *at,
				const uint64_t *from)
{
	enum wasm_trap t;
	while ((t = f->host(f->host_user, w, at)) == WASM_AGAIN)
		if (wasm_asked(w) && (t = halt(w, (struct spot){f, SPOT_BEGIN, from})))
			break;
	if (t)
		trace_note(w, f, 0);
	return t;
}

static void heat_set(struct func *f, uint32_t heat)
{
	__atomic_store_n(&f->heat, heat, __ATOMIC_RELAXED);
}

static uint64_t on_call(void *self, void *callee, void *at, const uint64_t *from)
{
	struct wasm *w = self;
	struct func *f = callee;
	enum wasm_trap t = WASM_OK;
	if (f->host)
		return host_call(w, f, at, from);
	if (!f->own)
		t = func_ready(w, f);
	if (t) {
		trace_note(w, f, 0);
		return t;
	}
	if (tier_warm(w, f))
		return (uint64_t)(uintptr_t)f->compiled;
	if (f->heat != HEAT_NEVER)
		heat_set(f, f->heat - 1); /* the interpreter counts this call as well */
	return interpret(w, f, at, from);
}

/* What waits may be interrupted, and is done again after the instance has stood still. */
static uint64_t on_help(void *self, void *what, void *frame, const uint64_t *from)
{
	struct wasm *w = self;
	enum wasm_trap t;
	(void)tier_units(w->tier); /* as the code has: @what was written before that */
	while ((t = tier_one(w, what, frame)) == WASM_AGAIN) {
		const struct unit *u = unit_at(w->tier, *from - 1);
		uint32_t off = jit_cache_offset(w->tier->cache, *from - 1) - u->code.code;
		if ((t = halt(w, (struct spot){NULL, jit_fn_group(&u->code, off), from})))
			break;
	}
	return t;
}

/* ---- made ---- */

static enum jit_fn_result result_of(const struct wtype *t)
{
	uint32_t type = t->rslots == 1 ? t->values[t->np] : WASM_NONE;
	return t->rslots != 1				? JIT_FN_NONE
	       : type == WASM_F32 || type == WASM_F64 ? JIT_FN_FLOAT
							: JIT_FN_INT;
}

static const struct wtype *type_of(const struct wasm *w, const struct func *f)
{
	return &w->m->types[w->m->funcs[f - w->funcs].type];
}

/* Room for generated code, and the stack that it runs on; when the first function wants some. */
bool tier_begin(struct tier *t)
{
	struct wasm *w = t->w;
	const struct jit_fn_owner o = {
	    .self = w,
	    .call = on_call,
	    .help = on_help,
	    .poll = on_poll,
	    .trapped = on_trap,
	    .callee_code = offsetof(struct func, compiled),
	    .callee_type = offsetof(struct func, type),
	    .table_at = offsetof(struct table, at),
	    .table_n = offsetof(struct table, n),
	    .trap_memory = WASM_TRAP_MEMORY,
	    .trap_stack = WASM_TRAP_STACK,
	    .trap_undefined = WASM_TRAP_UNDEFINED,
	    .trap_null = WASM_TRAP_NULL,
	    .trap_signature = WASM_TRAP_SIGNATURE,
	    .vectors = simd_ops, /* which begin with the function */
	    .vector_step = sizeof simd_ops[0],
	    .records = w->funcs,
	    .tables = w->tables,
	    .counts = w->deadline_ns || w->halted,
	    .exact = w->halted,
	};
	struct jit_fn_context *x = context(w);
	t->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->stack == MAP_FAILED)
		t->stack = NULL;
	if (!t->stack || mprotect(t->stack, 4096, PROT_NONE) < 0 ||
	    jit_fn_cache_new(&t->cache, &o, CODE_BYTES, NULL) < 0 ||
	    jit_gen_new(&t->gen, t->cache, NULL) < 0 || !(t->fn = jit_fn_new()))
		return false;
	jit_fn_context_init(x, &o);
	fuel_set(w);
	x->slots_end = (uint64_t)(uintptr_t)w->stack_end - 8 * JIT_FN_SPARE;
	x->stack_low = (uint64_t)(uintptr_t)t->stack;
	x->stack_len = STACK_BYTES;
	x->stack_limit = x->stack_low + STACK_SLACK;
	t->units = calloc(w->m->nfuncs - w->m->nimported, sizeof *t->units);
	t->states = calloc(w->m->nfuncs, sizeof *t->states);
	if (!t->units || !t->states)
		return false;
	for (uint32_t i = 0; i < w->m->nfuncs; i++)
		w->funcs[i].compiled = jit_fn_stub(t->cache);
	return true;
}

void tier_helps_moved(struct tier *t)
{
	uint64_t at = (uint64_t)(uintptr_t)t->helps.at;
	__atomic_store_n(&context(t->w)->helps, at, __ATOMIC_RELEASE);
}

const struct help_insn *tier_helps(const struct tier *t)
{
	uint64_t at = __atomic_load_n(&context(t->w)->helps, __ATOMIC_ACQUIRE);
	return (const struct help_insn *)(uintptr_t)at;
}

void tier_state_set(struct tier *t, const struct func *f, enum tier_state s)
{
	__atomic_store_n(&t->states[f - t->w->funcs], (uint8_t)s, __ATOMIC_RELEASE);
}

/* The order matters: who gets into code finds its unit. */
bool tier_unit_add(struct tier *t, const struct unit *u)
{
	const uint8_t *code = jit_cache_code(t->cache, u->code.code);
	if (tier_state(t, u->f) == TIER_MADE)
		return false;
	t->units[t->n] = *u;
	__atomic_store_n(&t->n, t->n + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&u->f->compiled, code, __ATOMIC_RELEASE);
	tier_state_set(t, u->f, TIER_MADE);
	return true;
}

void tier_unit_fini(struct unit *u)
{
	jit_fn_code_fini(&u->code);
	free(u->catches);
}

static void *copy_of(const void *p, size_t n)
{
	void *q = malloc(n + 1);
	return q && n ? memcpy(q, p, n) : q;
}

/* What the interpreter's code of @f was made of. False: it is not known, or there is no memory. */
static bool made_again(const struct func *f, struct made *ret)
{
	if (!f->own || !f->codes)
		return false;
	*ret = (struct made){.at = malloc((f->ninsns + 1) * sizeof *f->own),
			     .n = f->ninsns,
			     .nslots = f->nslots,
			     .nlocals = f->nlocals,
			     .catches = copy_of(f->catches, f->ncatches * sizeof *f->catches),
			     .ncatches = f->ncatches,
			     .references = f->references};
	if (!ret->at || !ret->catches) {
		made_fini(ret);
		return false;
	}
	for (uint32_t k = 0; k < ret->n; k++) {
		/* not f->own[k].go, which super_apply may be changing */
		ret->at[k].code = f->codes[k];
		memcpy(&ret->at[k].d, &f->own[k].d, sizeof ret->at[k] - sizeof ret->at[k].code);
		if (code_is_double(f->codes[k])) {
			k++;
			ret->at[k] = f->own[k];
		}
	}
	return true;
}

static void failed_set(struct tier *t) { __atomic_store_n(&t->failed, true, __ATOMIC_RELAXED); }

static bool compile(struct tier *t, struct func *f)
{
	struct wasm *w = t->w;
	struct made made;
	struct unit u = {.f = f};
	const struct wtype *type = type_of(w, f);
	if (!made_again(f, &made) &&
	    func_make(w->m, (uint32_t)(f - w->funcs), &made, false, NULL) < 0)
		return false;
	/* the file of a module may have changed since the interpreter's code was made */
	if (f->own && (made.n != f->ninsns || made.nslots != f->nslots)) {
		made_fini(&made);
		return false;
	}
	jit_fn_begin(t->fn, (uint64_t)(f - w->funcs) * sizeof *f, made.nslots, f->nparams,
		     made.nlocals, result_of(type), type->rslots > 1 ? type->rslots : 0);
	uint32_t helps = t->helps.n;
	int r = func_lift(w, type, &made, t->fn, &t->helps) ? 0 : -ENOTSUP;
	tier_helps_moved(t);
	if (r == 0)
		r = jit_fn_end(t->fn, t->cache, t->gen, &u.code);
	u.ncatches = made.ncatches;
	u.catches = take(made.catches);
	u.nhelps = t->helps.n;
	made_fini(&made);
	if (r == 0 && !tier_unit_add(t, &u))
		r = -ENOMEM;
	if (r < 0)
		tier_unit_fini(&u);
	if (r < 0) {
		t->helps.n = helps;
		if (r == -ENOSPC)
			failed_set(t);
		return false;
	}
	return true;
}

void tier_compile(struct tier *t, struct func *f)
{
	if (!compile(t, f))
		tier_state_set(t, f, TIER_NEVER);
}

/* @f is hot, and nobody has been asked to compile it: what has become of it. */
static enum tier_state want(struct tier *t, struct func *f)
{
	if (!t->cache && !tier_begin(t))
		failed_set(t); /* the host has no room for any */
	if (__atomic_load_n(&t->failed, __ATOMIC_RELAXED))
		return TIER_NEVER;
	enum ask asked = t->background ? compiler_ask(t, f) : ASK_NOBODY;
	if (asked == ASK_NOBODY)
		tier_compile(t, f);
	return asked == ASK_LATER ? TIER_NONE : tier_state(t, f);
}

/* Has @f, which is hot, code by now? */
static bool ready(struct tier *t, struct func *f)
{
	enum tier_state s = tier_state(t, f);
	if (s == TIER_NONE)
		s = want(t, f);
	if (s == TIER_MADE) {
		f->code = &t->w->tiered;
		free(take(f->codes));
	} else if (s == TIER_NEVER) {
		heat_set(f, HEAT_NEVER);
		f->code = f->own ? f->own : &t->w->lazy;
		if (f->own)
			super_apply(t->w, f);
	}
	return s == TIER_MADE;
}

bool tier_uses(const struct wasm *w, const struct func *f)
{
	return w->tier && tier_state(w->tier, f) != TIER_NONE;
}

bool tier_warm(struct wasm *w, struct func *f)
{
	struct tier *t = w->tier;
	if (f->code == &w->tiered)
		return true;
	if (!t || f->heat == HEAT_NEVER)
		return false;
	heat_set(f, f->heat + 1);
	if (f->heat >= t->heat)
		return ready(t, f);
	if (f->heat == HEAT_SUPER && f->own)
		super_apply(w, f);
	return false;
}

/* ---- entered ---- */

static enum wasm_trap enter(struct wasm *w, struct func *f, union wasm_slot *at,
			    const uint8_t *code)
{
	struct tier *t = w->tier;
	return (enum wasm_trap)jit_fn_enter(t->cache, (uint64_t)(uintptr_t)w->base, at, code,
					    result_of(type_of(w, f)));
}

enum wasm_trap tier_run(struct wasm *w, struct func *f, union wasm_slot *at)
{
	return enter(w, f, at, f->compiled);
}

static const struct unit *unit_of(const struct tier *t, const struct func *f)
{
	return unit_at(t, (uint64_t)(uintptr_t)f->compiled);
}

bool tier_loop(struct wasm *w, struct func *f, const struct insn *ip, union wasm_slot *at,
	       enum wasm_trap *ret)
{
	struct tier *t = w->tier;
	uint32_t i = (uint32_t)(ip - f->own);
	if (!f->own || i >= f->ninsns || f->heat == HEAT_NEVER)
		return false;
	if (f->code != &w->tiered) {
		heat_set(f, f->heat < HEAT_NEVER - LOOP_HEAT ? f->heat + LOOP_HEAT : f->heat);
		if (!ready(t, f))
			return false;
	}
	const struct unit *u = unit_of(t, f);
	for (uint32_t d = 0; u && d < u->code.ndoors; d++)
		if (u->code.doors[d].group == i) {
			*ret = enter(w, f, at,
				     jit_cache_code(t->cache,
						    u->code.code + u->code.doors[d].code));
			return true;
		}
	return false;
}

bool tier_fault_find(struct wasm *w, uint64_t *pc)
{
	struct tier *t = w->tier;
	if (!t || !t->cache || !unit_at(t, *pc))
		return false;
	context(w)->fault_pc = *pc;
	*pc = jit_fn_fault(t->cache);
	return true;
}

/* ---- the whole ---- */

void tier_init(struct wasm *w, const struct wasm_limits *l)
{
	struct tier *t = calloc(1, sizeof *t);
	if (!t || jit_probe(NULL) < 0) {
		free(t);
		return;
	}
	t->w = w;
	t->background = l->background && !w->second && host_cpus_allowed() > 1;
	t->at_once = l->heat ? 0 : AT_ONCE;
	t->heat = l->heat ? l->heat : t->background ? HEAT_BACKGROUND : HEAT;
	w->tier = t;
}

void tier_stop(struct wasm *w)
{
	if (w->tier)
		compiler_free(w->tier);
}

void tier_free(struct wasm *w)
{
	struct tier *t = w->tier;
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n; i++)
		tier_unit_fini(&t->units[i]);
	while (t->helps.nwas)
		free(t->helps.was[--t->helps.nwas]);
	free(t->helps.at);
	free(t->units);
	free(t->states);
	jit_fn_free(t->fn);
	if (t->gen)
		jit_gen_free(t->gen);
	jit_cache_free(t->cache);
	if (t->stack)
		munmap(t->stack, STACK_BYTES);
	free(t);
	w->tier = NULL;
}
