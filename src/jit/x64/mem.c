/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: the software TLB inline, everything else out of line. */
#include "jit/x64/internal.h"

static unsigned log2_of(unsigned bytes)
{
	return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

/* rax = address @v. */
static void address(struct jit_gen *g, uint32_t v)
{
	gen_take(g, RAX);
	gen_into(g, v, RAX);
	gen_done(g, v, NOREG);
}

/* rax := host address, by the TLB entry of the address in rax; @write: its write tag. Returns the
 * end of the jump that is taken on a miss, with the guest's address still in rax. rcx and rdx are
 * overwritten. */
static uint8_t *tlb(struct jit_gen *g, unsigned bytes, bool write)
{
	const struct jit_guest *s = &g->c->g;
	struct jit_asm *a = &g->a;
	unsigned shift = 12 - 5;
	asm_vrr(a, 3, 3, true, 0xf0, RCX, 0, RAX);     /* rorx rcx, rax, shift */
	a8(a, shift);
	x_movi(a, RDX, (uint64_t)(int64_t)(-4096 | (int)(bytes - 1)));
	x_alui(a, false, ALU_AND, RCX, (int32_t)((s->tlb_entries - 1) * JIT_TLB_ENTRY));
	x_alu(a, true, ALU_AND, RDX, RAX);
	x_alum(a, true, ALU_OR, RDX, STATE_REG, at(s->dctx));
	asm_rmx(a, true, ALU_CMP << 3 | 3, RDX, STATE_REG, RCX, 0, at(s->tlb + (write ? 8 : 0)));
	uint8_t *miss = x_jcc32(a, CC_NE);
	asm_rmx(a, true, 0x03, RAX, STATE_REG, RCX, 0, at(s->tlb + 16));
	return miss;
}

static void take_all(struct jit_gen *g)
{
	gen_take(g, RCX);
	gen_take(g, RDX);
}
static void free_all(struct jit_gen *g)
{
	gen_temp_free(g, RAX);
	gen_temp_free(g, RCX);
	gen_temp_free(g, RDX);
}

static const struct place at_rax = { RAX, 0, false };

void gen_host_load(struct jit_gen *g, struct place p, unsigned to, unsigned bytes, bool is_signed)
{
	static const unsigned op[4][2] = { { 0x0fb6, 0x0fbe }, { 0x0fb7, 0x0fbf },
		                           { 0x8b, 0x63 }, { 0x8b, 0x8b } };
	unsigned n = log2_of(bytes);
	if (p.mirror && !g->c->g.flat)
		a8(&g->a, SEG_GS);
	if (to >= XMM && n == 3) {
		asm_prm(&g->a, 0xf3, false, 0x0f7e, to - XMM, p.base, p.disp); /* movq */
		return;
	}
	if (to >= XMM) { /* vinsertps to, ones, [], 0 */
		asm_vrm(&g->a, 3, 1, false, 0x21, to - XMM, XMM_ONES, p.base, p.disp);
		a8(&g->a, 0);
		return;
	}
	asm_rm(&g->a, n == 3 || is_signed, op[n][is_signed], to, p.base, p.disp);
}

/* @to may be a temporary that the caller holds: it stays held. */
void gen_load(struct jit_gen *g, uint32_t v, unsigned to, bool is_signed)
{
	unsigned bytes = (unsigned)ins(g, v)->imm, had = g->temps;
	if (to < 16)
		g->temps |= TEMPS & 1u << to;
	struct place p = at_rax;
	uint8_t *miss = NULL;
	if (g->mirror) {
		p = gen_place(g, ins(g, v)->a);
	} else {
		address(g, ins(g, v)->a);
		take_all(g);
		miss = tlb(g, bytes, false);
	}
	uint8_t *touch = g->a.p;
	gen_host_load(g, p, to, bytes, is_signed);
	struct slow *s = gen_slow(g, SLOW_LOAD, miss);
	gen_touch(s, p, touch);
	s->bytes = (uint8_t)bytes;
	s->reg = (uint8_t)to;
	s->is_signed = is_signed;
	g->temps = had;
}

/* The value of a store: a constant, a host register, or a slot in the state. */
struct value {
	int64_t imm;
	int32_t slot;
	unsigned reg;
	bool is_imm, is_slot;
};

static struct value store_value(struct jit_gen *g, uint32_t v)
{
	struct value r = { .reg = NOREG };
	const struct ir_ins *i = ins(g, v);
	if (gen_is_const(g, v, &r.imm) && fits32(r.imm))
		r.is_imm = true;
	else if (i->op == IR_get && gen_home(g, i->imm) != NOREG)
		r.reg = gen_home(g, i->imm);
	else if (i->op == IR_get && gen_fhome(g, i->imm) != NOREG)
		r.reg = XMM + gen_fhome(g, i->imm);
	else if (i->op == IR_get)
		r.slot = at(i->imm), r.is_slot = true;
	else
		g->cannot = true; /* no instruction stores anything else */
	g->uses[v]--;
	return r;
}

/* Returns where the instruction that stores begins. */
static uint8_t *store_host(struct jit_gen *g, struct place p, unsigned bytes, struct value v)
{
	struct jit_asm *a = &g->a;
	unsigned r = v.reg;
	if (v.is_slot) {
		x_load(a, bytes == 8, RCX, STATE_REG, v.slot);
		r = RCX;
	}
	if (r != NOREG && r >= XMM && bytes == 2) {
		asm_prr(a, 0x66, false, 0x0f7e, r - XMM, RCX);
		r = RCX;
	}
	uint8_t *start = a->p;
	if (p.mirror && !g->c->g.flat)
		a8(a, SEG_GS);
	if (v.is_imm) {
		if (bytes == 2)
			a8(a, 0x66);
		asm_rm(a, bytes == 8, bytes == 1 ? 0xc6 : 0xc7, 0, p.base, p.disp);
		for (unsigned n = 0; n < (bytes == 8 ? 4 : bytes); n++)
			a8(a, (uint64_t)v.imm >> 8 * n & 255);
		return start;
	}
	if (r != NOREG && r >= XMM) {
		if (bytes == 8)
			asm_prm(a, 0x66, false, 0x0fd6, r - XMM, p.base, p.disp); /* movq */
		else
			asm_prm(a, 0xf3, false, 0x0f11, r - XMM, p.base, p.disp); /* movss */
		return start;
	}
	if (bytes == 1)
		asm_rm8(a, 0x88, r, p.base, p.disp);
	else
		asm_prm(a, bytes == 2 ? 0x66 : 0, bytes == 8, 0x89, r, p.base, p.disp);
	return start;
}

void gen_store(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	unsigned bytes = (unsigned)i->imm;
	struct place p = at_rax;
	uint8_t *miss = NULL;
	if (g->mirror) {
		p = gen_place(g, i->a);
	} else {
		address(g, i->a);
		take_all(g);
	}
	struct value v = store_value(g, i->b);
	if (!g->mirror)
		miss = tlb(g, bytes, true);
	uint8_t *touch = store_host(g, p, bytes, v);
	struct slow *s = gen_slow(g, SLOW_STORE, miss);
	gen_touch(s, p, touch);
	s->bytes = (uint8_t)bytes;
	s->reg = (uint8_t)v.reg;
	s->imm_val = v.is_imm;
	s->imm = v.imm;
	s->slot_val = v.is_slot;
	s->slot = v.slot;
	free_all(g);
}

/* ---- atomics and helpers: C functions ---- */

/* Where a call with a fault comes back: a site of the instruction. */
static void site_call(struct jit_gen *g, uint32_t thunk, enum own_thunk own)
{
	gen_thunk_call(g, thunk, own);
	gen_slow(g, SLOW_SITE, NULL);
}

/* amoadd and amoswap, the usual ones, inline; nothing else touches memory that is not smp. */
static bool amo_inline(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	unsigned bytes = (unsigned)i->imm & 255, kind = (unsigned)i->imm >> 8;
	bool w = bytes == 8, lock = g->c->g.smp;
	if (i->op != IR_amo || (kind != IR_AMO_add && kind != IR_AMO_swap && kind != IR_AMO_or &&
	                        kind != IR_AMO_and && kind != IR_AMO_xor))
		return false;
	struct jit_asm *a = &g->a;
	/* the loop of compare and exchange has too much on its hands to be taken up elsewhere */
	bool mirror = g->mirror && (!lock || kind == IR_AMO_swap || kind == IR_AMO_add);
	if (!mirror && g->c->g.flat)
		return false;
	if (mirror) {
		gen_place_atomic(g, i->a, bytes);
	} else {
		address(g, i->a);
		take_all(g);
	}
	struct value v = store_value(g, i->b);
	struct slow *s = gen_slow(g, SLOW_ATOMIC, mirror ? NULL : tlb(g, bytes, true));
	s->bytes = (uint8_t)bytes;
	s->host = mirror;
	s->back = a->p;
	/* rdx: operand, then the old value */
	if (v.is_imm)
		x_movi(a, RDX, (uint64_t)v.imm);
	else if (v.is_slot)
		x_load(a, true, RDX, STATE_REG, v.slot);
	else
		x_mov(a, true, RDX, v.reg);
	if (mirror)
		gen_touch_atomic(s, a->p);
	if (kind == IR_AMO_swap && lock) {
		asm_rm(a, w, 0x87, RDX, RAX, 0);
	} else if (kind == IR_AMO_swap) {
		x_load(a, w, RCX, RAX, 0);
		if (mirror)
			gen_touch_atomic(s, a->p);
		x_store(a, w, RDX, RAX, 0);
		x_mov(a, true, RDX, RCX);
	} else if (kind == IR_AMO_add) {
		if (lock)
			a8(a, 0xf0);
		asm_rm(a, w, 0x0fc1, RDX, RAX, 0); /* xadd */
	} else {
		static const uint8_t alu[] = { [IR_AMO_or] = ALU_OR, [IR_AMO_and] = ALU_AND,
			                       [IR_AMO_xor] = ALU_XOR };
		if (!lock) {
			x_load(a, w, RCX, RAX, 0);
			x_alu(a, w, alu[kind], RDX, RCX);
			if (mirror)
				gen_touch_atomic(s, a->p);
			x_store(a, w, RDX, RAX, 0);
			x_mov(a, true, RDX, RCX);
		} else {
			x_push(a, R8);
			x_mov(a, true, RCX, RAX);
			x_load(a, w, RAX, RCX, 0);
			uint8_t *again = a->p;
			x_mov(a, true, R8, RDX);
			x_alu(a, w, alu[kind], R8, RAX);
			a8(a, 0xf0);
			asm_rm(a, w, 0x0fb1, R8, RCX, 0); /* cmpxchg */
			x_jcc_to(a, CC_NE, again);
			x_mov(a, true, RDX, RAX);
			x_pop(a, R8);
		}
	}
	gen_temp_free(g, RAX);
	gen_temp_free(g, RCX);
	if (g->uses[n]) {
		if (!w)
			x_mov(a, false, RDX, RDX);
		g->loc[n] = RDX;
	} else {
		gen_temp_free(g, RDX);
	}
	return true;
}

/* rax, rdx := arguments of the thunks of atomics and calls; rcx too with @c. */
static void argument(struct jit_gen *g, uint32_t v, unsigned to)
{
	gen_take(g, to);
	gen_into(g, v, to);
	gen_done(g, v, NOREG);
}

static void result(struct jit_gen *g, uint32_t n)
{
	free_all(g);
	if (g->uses[n]) {
		gen_take(g, RAX);
		g->loc[n] = RAX;
	}
}

/* The thunk's registers: rax address or a, rdx value or b, rcx expected or c, the rest in detail.
 */
void gen_atomic(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	unsigned bytes = (unsigned)i->imm & 255, kind = (unsigned)i->imm >> 8;
	if (amo_inline(g, n))
		return;
	enum jit_atomic what = i->op == IR_lr   ? JIT_LR
	                       : i->op == IR_sc ? JIT_SC
	                       : i->op == IR_amo ? JIT_AMO
	                                         : JIT_CAS;
	argument(g, i->a, RAX);
	if (i->op == IR_cas)
		argument(g, i->c, RDX);
	else if (i->op != IR_lr)
		argument(g, i->b, RDX);
	if (i->op == IR_cas)
		argument(g, i->b, RCX);
	else
		gen_take(g, RCX);
	if (i->op == IR_lr)
		gen_take(g, RDX);
	x_storei(&g->a, true, (int32_t)(bytes | (unsigned)what << 8 | kind << 16), STATE_REG,
	         at(g->c->g.run + offsetof(struct jit_run, detail)));
	site_call(g, g->c->t.atomic, OWN_ATOMIC);
	result(g, n);
}

void gen_call(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	argument(g, i->a, RAX);
	argument(g, i->b, RDX);
	argument(g, i->c, RCX);
	/* of an IR_each the rest is its key */
	x_storei(&g->a, true, (int32_t)(uint32_t)i->imm, STATE_REG,
	         at(g->c->g.run + offsetof(struct jit_run, detail)));
	site_call(g, g->c->t.call, OWN_CALL);
	result(g, n);
	gen_forget(g);
}
