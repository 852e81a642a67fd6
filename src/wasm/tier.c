/* SPDX-License-Identifier: Apache-2.0 */
/* The compiled tier: functions that are called often, and loops that go round often, through the IR
 * into host code. Calls between the two kinds of code work both ways; a function that cannot be
 * compiled stays where it is. docs/decisions/0031 */
#include "wasm/tier.h"
#include <stdlib.h>
#include <sys/mman.h>

enum {
	HEAT = 40,
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
	uint32_t off = jit_cache_offset(t->cache, pc), lo = 0, hi = t->n;
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
	f->heat -= f->heat != HEAT_NEVER; /* the interpreter counts this call as well */
	return interpret(w, f, at, from);
}

/* What waits may be interrupted, and is done again after the instance has stood still. */
static uint64_t on_help(void *self, void *what, void *frame, const uint64_t *from)
{
	struct wasm *w = self;
	enum wasm_trap t;
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
	for (uint32_t i = 0; i < w->m->nfuncs; i++)
		w->funcs[i].compiled = jit_fn_stub(t->cache);
	return true;
}

void tier_helps_moved(struct tier *t)
{
	context(t->w)->helps = (uint64_t)(uintptr_t)t->helps.at;
}

bool tier_unit_add(struct tier *t, const struct unit *u)
{
	if (t->n == t->cap) {
		uint32_t cap = t->cap ? 2 * t->cap : 64;
		struct unit *p = realloc(t->units, cap * sizeof *p);
		if (!p)
			return false;
		t->units = p;
		t->cap = cap;
	}
	t->units[t->n++] = *u;
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
	*ret = (struct made){.at = copy_of(f->own, f->ninsns * sizeof *f->own),
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
		ret->at[k].code = f->codes[k];
		k += code_is_double(f->codes[k]);
	}
	return true;
}

static bool compile(struct tier *t, struct func *f)
{
	struct wasm *w = t->w;
	struct made made;
	struct unit u = {.f = f};
	const struct wtype *type = type_of(w, f);
	if ((!t->cache && !tier_begin(t)) ||
	    (!made_again(f, &made) &&
	     func_make(w->m, (uint32_t)(f - w->funcs), &made, false, NULL) < 0))
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
	made_fini(&made);
	if (r == 0 && !tier_unit_add(t, &u))
		r = -ENOMEM;
	if (r < 0)
		tier_unit_fini(&u);
	if (r < 0) {
		t->helps.n = helps;
		t->failed |= r == -ENOSPC;
		return false;
	}
	f->compiled = jit_cache_code(t->cache, u.code.code);
	f->code = &w->tiered;
	free(take(f->codes));
	return true;
}

static bool ready(struct tier *t, struct func *f)
{
	if (!t->failed && compile(t, f))
		return true;
	f->heat = HEAT_NEVER;
	f->code = f->own ? f->own : &t->w->lazy;
	if (f->own)
		super_apply(t->w, f);
	t->failed |= !t->fn; /* the host has no room for any */
	return false;
}

bool tier_warm(struct wasm *w, struct func *f)
{
	struct tier *t = w->tier;
	if (f->code == &w->tiered)
		return true;
	if (!t || f->heat == HEAT_NEVER)
		return false;
	if (++f->heat >= t->heat)
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
	if (!f->own || i >= f->ninsns || f->heat == HEAT_NEVER ||
	    (f->code != &w->tiered && !ready(t, f)))
		return false;
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

void tier_init(struct wasm *w, uint32_t heat)
{
	struct tier *t = calloc(1, sizeof *t);
	if (!t || jit_probe(NULL) < 0) {
		free(t);
		return;
	}
	t->w = w;
	t->heat = heat ? heat : HEAT;
	w->tier = t;
}

void tier_free(struct wasm *w)
{
	struct tier *t = w->tier;
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n; i++)
		tier_unit_fini(&t->units[i]);
	free(t->helps.at);
	free(t->units);
	jit_fn_free(t->fn);
	if (t->gen)
		jit_gen_free(t->gen);
	jit_cache_free(t->cache);
	if (t->stack)
		munmap(t->stack, STACK_BYTES);
	free(t);
	w->tier = NULL;
}
