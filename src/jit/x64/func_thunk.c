/* SPDX-License-Identifier: Apache-2.0 */
/* What functions share: the way in, out by a return or a trap, and calls of the owner's C. */
#include "jit/x64/func.h"
#include <sys/mman.h>

#define CONTEXT(field)                                                                             \
	((int32_t)offsetof(struct jit_fn_context, field) - (int32_t)sizeof(struct jit_fn_context))

static const uint8_t saved[] = {RBX, RBP, R12, R13, R14, R15};
static const uint8_t lost[] = {RSI, RDI, R8, R9, R10, R11};
enum { XMM_BYTES = 16 * FN_FLOATS };

static uint32_t here(const struct jit_cache *c, struct jit_asm *a)
{
	while ((a->p - c->w) % 16)
		a8(a, 0xcc);
	return (uint32_t)(a->p - c->w);
}

static void call_c(struct jit_asm *a, const void *fn)
{
	x_movi(a, RAX, (uint64_t)(uintptr_t)fn);
	asm_rr(a, false, 0xff, 2, RAX);
}

/* rdi: base, rsi: frame, rdx: code; eax 0 or a trap. On functions' stack, if it is not already. */
static void enter_thunk(struct jit_cache *c, struct jit_asm *a, enum jit_fn_result r)
{
	c->ft.enter[r] = here(c, a);
	for (unsigned n = 0; n < countof(saved); n++)
		x_push(a, saved[n]);
	x_mov(a, true, BASE_REG, RDI);
	x_lea(a, STATE_REG, RSI, BIAS);
	x_mov(a, true, RCX, RSP);
	x_mov(a, true, RAX, RSP);
	x_alum(a, true, ALU_SUB, RAX, BASE_REG, CONTEXT(stack_low));
	x_alum(a, true, ALU_CMP, RAX, BASE_REG, CONTEXT(stack_len));
	uint8_t *inside = x_jcc8(a, CC_B);
	x_load(a, true, RSP, BASE_REG, CONTEXT(stack_low));
	x_alum(a, true, ALU_ADD, RSP, BASE_REG, CONTEXT(stack_len));
	x_here8(a, inside);
	x_alui(a, true, ALU_AND, RSP, -16);
	x_push(a, RCX);
	asm_rm(a, false, 0xff, 6, BASE_REG, CONTEXT(entry_sp)); /* push */
	x_store(a, true, RSP, BASE_REG, CONTEXT(entry_sp));
	asm_rr(a, false, 0xff, 2, RDX);
	if (r == JIT_FN_INT)
		x_store(a, true, RAX, STATE_REG, -BIAS);
	else if (r == JIT_FN_FLOAT)
		asm_vrm(a, 1, 3, false, 0x11, 0, 0, STATE_REG, -BIAS);
	x_movi(a, RAX, 0);
}

/* rax: what jit_fn_enter returns; rsp is at the entry's. */
static void out(struct jit_asm *a)
{
	x_pop(a, RCX);
	x_store(a, true, RCX, BASE_REG, CONTEXT(entry_sp));
	x_pop(a, RSP);
	for (unsigned n = countof(saved); n-- > 0;)
		x_pop(a, saved[n]);
	a8(a, 0xc3);
}

/* rax: trap, rcx: group or -1, rdx: pc; rsp is the function's. */
static void unwind(struct jit_cache *c, struct jit_asm *a)
{
	x_mov(a, true, R8, RSP);
	x_mov(a, true, RBX, RAX);
	x_alui(a, true, ALU_AND, RSP, -16);
	x_mov(a, true, RSI, RAX);
	x_movi(a, RDI, (uint64_t)(uintptr_t)c->fn.self);
	x_mov(a, true, RAX, RDX);
	x_mov(a, true, RDX, RCX);
	x_mov(a, true, RCX, RAX);
	call_c(a, (const void *)c->fn.trapped);
	x_test(a, true, RAX, RAX);
	uint8_t *nobody = x_jcc8(a, CC_E);
	x_mov(a, true, RSP, RDX);
	x_load(a, true, STATE_REG, RSP, 0);
	asm_rr(a, false, 0xff, 4, RAX);
	x_here8(a, nobody);
	x_mov(a, true, RAX, RBX);
	x_load(a, true, RSP, BASE_REG, CONTEXT(entry_sp));
	out(a);
}

/* Called by a callee's caller: rax is its record, rbp its frame. */
static void call_thunk(struct jit_cache *c, struct jit_asm *a)
{
	c->ft.call = here(c, a);
	x_alui(a, true, ALU_SUB, RSP, 8);
	x_movi(a, RDI, (uint64_t)(uintptr_t)c->fn.self);
	x_mov(a, true, RSI, RAX);
	x_lea(a, RDX, STATE_REG, -BIAS);
	x_lea(a, RCX, RSP, 8);
	call_c(a, (const void *)c->fn.call);
	x_alui(a, true, ALU_ADD, RSP, 8);
	x_alui(a, true, ALU_CMP, RAX, 255);
	uint8_t *ended = x_jcc8(a, CC_BE);
	asm_rr(a, false, 0xff, 4, RAX);
	x_here8(a, ended);
	x_test(a, true, RAX, RAX);
	uint8_t *trap = x_jcc8(a, CC_NE);
	x_load(a, true, RAX, STATE_REG, -BIAS);
	asm_vrm(a, 1, 3, false, 0x10, 0, 0, STATE_REG, -BIAS);
	a8(a, 0xc3);
	x_here8(a, trap);
	x_pop(a, RDX); /* where the caller is */
	x_alui(a, true, ALU_SUB, RDX, 1);
	x_movi(a, RCX, UINT64_MAX);
	unwind(c, a);
}

/* Fuel is below 0: all registers but rax, rcx, rdx stay. rcx: group. */
static void poll_thunk(struct jit_cache *c, struct jit_asm *a)
{
	c->ft.poll = here(c, a);
	x_push(a, RCX);
	for (unsigned n = 0; n < countof(lost); n++)
		x_push(a, lost[n]);
	x_alui(a, true, ALU_SUB, RSP, XMM_BYTES);
	for (unsigned n = 0; n < FN_FLOATS; n++)
		asm_vrm(a, 1, 0, false, 0x11, FN_XMM + n, 0, RSP, 16 * (int32_t)n);
	x_movi(a, RDI, (uint64_t)(uintptr_t)c->fn.self);
	x_lea(a, RSI, RSP, XMM_BYTES + 8 * (int32_t)countof(lost));
	call_c(a, (const void *)c->fn.poll);
	for (unsigned n = 0; n < FN_FLOATS; n++)
		asm_vrm(a, 1, 0, false, 0x10, FN_XMM + n, 0, RSP, 16 * (int32_t)n);
	x_alui(a, true, ALU_ADD, RSP, XMM_BYTES);
	for (unsigned n = countof(lost); n-- > 0;)
		x_pop(a, lost[n]);
	x_pop(a, RCX);
	x_test(a, true, RAX, RAX);
	uint8_t *trap = x_jcc8(a, CC_NE);
	a8(a, 0xc3);
	x_here8(a, trap);
	x_pop(a, RDX);
	x_alui(a, true, ALU_SUB, RDX, 1);
	unwind(c, a);
}

void fn_thunks(struct jit_cache *c, struct jit_asm *a)
{
	for (unsigned r = 0; r < JIT_FN_RESULTS; r++) {
		enter_thunk(c, a, r);
		out(a);
	}
	c->ft.trap = here(c, a);
	x_pop(a, RDX); /* behind the call, which may be the last of its function */
	x_alui(a, true, ALU_SUB, RDX, 1);
	unwind(c, a);
	c->ft.fault = here(c, a);
	x_movi(a, RAX, c->fn.trap_memory);
	x_movi(a, RCX, UINT64_MAX);
	x_load(a, true, RDX, BASE_REG, CONTEXT(fault_pc));
	unwind(c, a);
	call_thunk(c, a);
	poll_thunk(c, a);
}

int jit_fn_cache_new(struct jit_cache **ret, const struct jit_fn_owner *o, uint64_t bytes,
		     struct lodge_err *e)
{
	/* a guest without registers in a state */
	const struct jit_guest none = {.fp_on = UINT32_MAX, .fp_regs = INT32_MAX};
	struct jit_cache *c;
	int r = jit_cache_new(&c, &none, bytes, e);
	if (r < 0)
		return r;
	c->fn = *o;
	struct jit_asm a = asm_at(c->w + align_up(c->used, 16), c->w + c->split);
	fn_thunks(c, &a);
	c->first = c->used = (uint64_t)(a.p - c->w);
	*ret = c;
	return 0;
}

void jit_fn_context_init(struct jit_fn_context *x, const struct jit_fn_owner *o)
{
	x->self = (uint64_t)(uintptr_t)o->self;
	x->records = (uint64_t)(uintptr_t)o->records;
	x->tables = (uint64_t)(uintptr_t)o->tables;
	x->help = (uint64_t)(uintptr_t)o->help;
	x->vectors = (uint64_t)(uintptr_t)o->vectors;
	for (unsigned n = 0; n < 2; n++) {
		x->sign64[n] = 1ull << 63;
		x->abs64[n] = ~x->sign64[n];
		x->sign32[n] = 0x8000000080000000;
		x->abs32[n] = ~x->sign32[n];
	}
}

uint64_t jit_fn_traits(const struct jit_cache *c)
{
	return (uint64_t)c->avx2 | (uint64_t)c->avx512 << 1 | (uint64_t)c->fn.counts << 2 |
	       (uint64_t)c->fn.exact << 3;
}

uint64_t jit_fn_first(const struct jit_cache *c) { return align_up(c->first, 16); }

bool jit_fn_put(struct jit_cache *c, uint64_t first, const uint8_t *code, uint64_t len)
{
	if (c->used != c->first || first != jit_fn_first(c) || len > c->split - first)
		return false;
	(void)!madvise(c->w + first / 4096 * 4096, len, MADV_POPULATE_WRITE);
	memcpy(c->w + first, code, len);
	c->used = first + len;
	return true;
}

const uint8_t *jit_fn_stub(const struct jit_cache *c) { return c->x + c->ft.call; }
uint64_t jit_fn_fault(const struct jit_cache *c) { return (uint64_t)(uintptr_t)c->x + c->ft.fault; }

bool jit_fn_is_entry(const struct jit_cache *c, uint64_t pc)
{
	uint64_t off = pc - (uint64_t)(uintptr_t)c->x;
	return off < c->first;
}

uint64_t jit_fn_enter(struct jit_cache *c, uint64_t base, void *at, const uint8_t *code,
		      enum jit_fn_result r)
{
	uint64_t (*enter)(uint64_t, void *, const uint8_t *);
	const uint8_t *p = c->x + c->ft.enter[r];
	memcpy(&enter, &p, sizeof enter);
	return enter(base, at, code);
}
