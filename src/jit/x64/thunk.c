/* SPDX-License-Identifier: Apache-2.0 */
/* The code that all units share: in and out, and calls of C functions. It stands at the start of
 * the cache. The C side runs on its own stack; generated code's holds return addresses only. */
#include "jit/x64/internal.h"

/* Guest registers that C functions overwrite. Spec: the System V ABI of x86-64 */
static bool is_scratch(int8_t r)
{
	return r == RSI || r == RDI || (r >= R8 && r <= R11);
}

static void spill(const struct jit_cache *c, struct jit_asm *a, bool all)
{
	for (unsigned n = 0; n < SLOTS; n++)
		if (c->home[n] >= 0 && (all || is_scratch(c->home[n])))
			x_store(a, true, (unsigned)c->home[n], STATE_REG, at(8ull * n));
}

static void fill(const struct jit_cache *c, struct jit_asm *a, bool all)
{
	for (unsigned n = 0; n < SLOTS; n++)
		if (c->home[n] >= 0 && (all || is_scratch(c->home[n])))
			x_load(a, true, (unsigned)c->home[n], STATE_REG, at(8ull * n));
}

#define RUN(c, field) at((c)->g.run + offsetof(struct jit_run, field))

static uint32_t here(const struct jit_cache *c, struct jit_asm *a)
{
	while ((a->p - c->w) % 16)
		a8(a, 0xcc);
	return (uint32_t)(a->p - c->w);
}

static const uint8_t saved[] = { RBX, RBP, R12, R13, R14, R15 };

/* rdi: state, rsi: code. After it the C stack is aligned for calls. */
static void make_enter(struct jit_cache *c, struct jit_asm *a)
{
	c->t.enter = here(c, a);
	for (unsigned n = 0; n < countof(saved); n++)
		x_push(a, saved[n]);
	x_alui(a, true, ALU_SUB, RSP, 8);
	x_lea(a, STATE_REG, RDI, BIAS);
	x_store(a, true, RSP, STATE_REG, RUN(c, c_sp));
	x_mov(a, true, RAX, RSI);
	x_load(a, true, COUNT_REG, STATE_REG, at(c->g.count));
	fill(c, a, true);
	x_load(a, true, RSP, STATE_REG, RUN(c, j_sp));
	asm_rr(a, false, 0xff, 4, RAX);
}

/* eax: enum jit_exit */
static uint8_t *make_exit(struct jit_cache *c, struct jit_asm *a, bool full)
{
	here(c, a);
	uint8_t *start = a->p;
	x_store(a, true, RSP, STATE_REG, RUN(c, j_sp));
	x_load(a, true, RSP, STATE_REG, RUN(c, c_sp));
	if (full)
		spill(c, a, true);
	x_store(a, true, COUNT_REG, STATE_REG, at(c->g.count));
	x_alui(a, true, ALU_ADD, RSP, 8);
	for (unsigned n = countof(saved); n-- > 0;)
		x_pop(a, saved[n]);
	a8(a, 0xc3);
	return start;
}

/* Reached by a call whose return address says where. */
static uint32_t make_out(struct jit_cache *c, struct jit_asm *a, enum jit_exit why,
                         const uint8_t *out)
{
	uint32_t off = here(c, a);
	x_pop(a, RAX);
	x_store(a, true, RAX, STATE_REG, RUN(c, detail));
	x_movi(a, RAX, (uint64_t)why);
	x_jmp_to(a, out);
	return off;
}

static void call_c(struct jit_asm *a, const void *fn)
{
	x_movi(a, RAX, (uint64_t)(uintptr_t)fn);
	asm_rr(a, false, 0xff, 2, RAX);
}

/* Around a C function: its arguments are moved by @args. @fault: where to go when exc is set. */
struct around {
	const void *fn;
	void (*args)(struct jit_cache *c, struct jit_asm *a, unsigned bytes);
	unsigned bytes;
	bool all, may_fault;
};

static uint32_t make_call(struct jit_cache *c, struct jit_asm *a, struct around k)
{
	uint32_t off = here(c, a);
	spill(c, a, k.all);
	x_store(a, true, COUNT_REG, STATE_REG, at(c->g.count)); /* clocks may count it */
	x_store(a, true, RSP, STATE_REG, RUN(c, j_sp));
	x_load(a, true, RSP, STATE_REG, RUN(c, c_sp));
	k.args(c, a, k.bytes);
	x_lea(a, RDI, STATE_REG, -BIAS);
	call_c(a, k.fn);
	x_load(a, true, RSP, STATE_REG, RUN(c, j_sp));
	fill(c, a, k.all);
	if (k.may_fault) {
		x_alumi(a, true, ALU_CMP, STATE_REG, at(c->g.exc), -1);
		x_jcc_to(a, CC_NE, c->w + c->t.fault);
	}
	a8(a, 0xc3);
	return off;
}

static void args_load(struct jit_cache *c, struct jit_asm *a, unsigned bytes)
{
	(void)c;
	x_mov(a, true, RSI, RAX);
	x_movi(a, RDX, bytes);
}
static void args_store(struct jit_cache *c, struct jit_asm *a, unsigned bytes)
{
	(void)c;
	x_mov(a, true, RCX, RDX);
	args_load(c, a, bytes);
}
static void args_atomic(struct jit_cache *c, struct jit_asm *a, unsigned bytes)
{
	(void)bytes;
	x_mov(a, true, R8, RCX);
	x_mov(a, true, RCX, RDX);
	x_mov(a, true, RSI, RAX);
	x_load(a, true, RDX, STATE_REG, RUN(c, detail));
}
static void args_call(struct jit_cache *c, struct jit_asm *a, unsigned bytes)
{
	(void)bytes;
	x_mov(a, true, R8, RCX);
	x_mov(a, true, RCX, RDX);
	x_mov(a, true, RDX, RAX);
	x_load(a, true, RSI, STATE_REG, RUN(c, detail));
}

static struct around around_of(const struct jit_guest *s, enum own_thunk n)
{
	if (n < OWN_STORE)
		return (struct around){ (const void *)s->load, args_load, 1u << n, false, true };
	if (n < OWN_ATOMIC)
		return (struct around){ (const void *)s->store, args_store, 1u << (n - OWN_STORE),
			false, true };
	if (n == OWN_ATOMIC)
		return (struct around){ (const void *)s->atomic, args_atomic, 0, false, true };
	if (n == OWN_FP)
		return (struct around){ (const void *)s->fp, args_call, 0, false, false };
	return (struct around){ (const void *)s->call, args_call, 0, true, true };
}

void thunk_own(struct jit_gen *g, enum own_thunk n)
{
	struct jit_cache *c = g->c;
	struct jit_asm *a = &g->a;
	struct around k = around_of(&c->g, n);
	own_spill(g);
	x_store(a, true, COUNT_REG, STATE_REG, at(c->g.count));
	x_store(a, true, RSP, STATE_REG, RUN(c, j_sp));
	x_load(a, true, RSP, STATE_REG, RUN(c, c_sp));
	k.args(c, a, k.bytes);
	x_lea(a, RDI, STATE_REG, -BIAS);
	call_c(a, k.fn);
	x_load(a, true, RSP, STATE_REG, RUN(c, j_sp));
	if (k.may_fault) {
		x_alumi(a, true, ALU_CMP, STATE_REG, at(c->g.exc), -1);
		x_jcc_to(a, CC_NE, c->w + c->t.fault_own);
	}
	own_fill(g, k.all);
	a8(a, 0xc3);
}

void thunks_make(struct jit_cache *c, struct jit_asm *a)
{
	make_enter(c, a);
	const uint8_t *bare = make_exit(c, a, false);
	c->t.leave_own = make_out(c, a, JIT_LEAVE, bare);
	c->t.deopt_own = make_out(c, a, JIT_DEOPT, bare);
	c->t.fault_own = make_out(c, a, JIT_FAULT, bare);
	const uint8_t *out = make_exit(c, a, true);
	c->t.link = make_out(c, a, JIT_LINK, out);
	c->t.leave = make_out(c, a, JIT_LEAVE, out);
	c->t.deopt = make_out(c, a, JIT_DEOPT, out);
	c->t.fault = make_out(c, a, JIT_FAULT, out);
	c->t.stale = make_out(c, a, JIT_STALE, out);
	c->t.jump = here(c, a);
	x_store(a, true, RAX, STATE_REG, at(c->g.pc));
	x_movi(a, RAX, JIT_JUMP);
	x_jmp_to(a, out);
	c->t.look_up2 = here(c, a);
	thunk_look_up2(c, a);
	c->t.look_up = here(c, a);
	thunk_look_up(c, a);
	c->t.far = here(c, a);
	far_thunk(c, a, out);
	c->t.sentinel = here(c, a); /* a return address of 1 met the mark of the empty stack */
	x_load(a, true, RSP, STATE_REG, RUN(c, j_base));
	x_movi(a, RAX, 0);
	x_jmp_to(a, c->w + c->t.look_up);
	for (unsigned n = 0; n < 4; n++) {
		c->t.load[n] = make_call(c, a, around_of(&c->g, OWN_LOAD + n));
		c->t.store[n] = make_call(c, a, around_of(&c->g, OWN_STORE + n));
	}
	c->t.atomic = make_call(c, a, around_of(&c->g, OWN_ATOMIC));
	c->t.fp = make_call(c, a, around_of(&c->g, OWN_FP));
	c->t.call = make_call(c, a, around_of(&c->g, OWN_CALL));
}
