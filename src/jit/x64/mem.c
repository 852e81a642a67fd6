/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory: the software TLB inline, everything else out of line. */
#include "jit/x64/internal.h"

static unsigned log2_of(unsigned bytes)
{
	return bytes == 1 ? 0 : bytes == 2 ? 1 : bytes == 4 ? 2 : 3;
}

uint8_t *gen_tlb(struct jit_gen *g, unsigned bytes, bool write)
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

void gen_address(struct jit_gen *g, uint32_t v)
{
	gen_take(g, RAX);
	gen_into(g, v, RAX);
	gen_done(g, v, NOREG);
	gen_take(g, RCX);
	gen_take(g, RDX);
}

static void free_all(struct jit_gen *g)
{
	gen_temp_free(g, RAX);
	gen_temp_free(g, RCX);
	gen_temp_free(g, RDX);
}

static const struct place at_rax = { .base = RAX };

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
		gen_address(g, ins(g, v)->a);
		miss = gen_tlb(g, bytes, false);
	}
	uint8_t *touch = g->a.p;
	gen_host_load(g, p, to, bytes, is_signed);
	struct slow *s = gen_slow(g, SLOW_LOAD, miss);
	gen_touch(g, s, p, touch);
	s->bytes = (uint8_t)bytes;
	s->reg = (uint8_t)to;
	s->is_signed = is_signed;
	g->temps = had;
}

struct value gen_value(struct jit_gen *g, uint32_t v)
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
		gen_address(g, i->a);
	}
	struct value v = gen_value(g, i->b);
	if (!g->mirror)
		miss = gen_tlb(g, bytes, true);
	uint8_t *touch = store_host(g, p, bytes, v);
	struct slow *s = gen_slow(g, SLOW_STORE, miss);
	gen_touch(g, s, p, touch);
	s->bytes = (uint8_t)bytes;
	s->reg = (uint8_t)v.reg;
	s->imm_val = v.is_imm;
	s->imm = v.imm;
	s->slot_val = v.is_slot;
	s->slot = v.slot;
	free_all(g);
}

/* ---- helpers: C functions ---- */

/* @to := argument @v of the thunk of calls */
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

void gen_call(struct jit_gen *g, uint32_t n)
{
	const struct ir_ins *i = ins(g, n);
	argument(g, i->a, RAX);
	argument(g, i->b, RDX);
	argument(g, i->c, RCX);
	/* of an IR_each the rest is its key */
	x_storei(&g->a, true, (int32_t)(uint32_t)i->imm, STATE_REG,
	         at(g->c->g.run + offsetof(struct jit_run, detail)));
	gen_thunk_call(g, g->c->t.call, OWN_CALL);
	gen_slow(g, SLOW_SITE, NULL); /* where it comes back with a fault */
	result(g, n);
	gen_forget(g);
}
