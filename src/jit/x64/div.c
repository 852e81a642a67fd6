/* SPDX-License-Identifier: Apache-2.0 */
/* What needs fixed registers or vector instructions: products of 128 bits, division with the IR's
 * total results, carry-less products, orcb. */
#include "jit/x64/internal.h"

/* An argument of these is always a guest register or a constant, perhaps cut to 32 bits. */
static void arg_into(struct jit_gen *g, uint32_t v, unsigned to)
{
	gen_into(g, v, to);
	gen_done(g, v, NOREG);
}

void gen_mulh(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	/* into itself: the value is being made in rax or rdx */
	unsigned had = g->temps;
	g->temps |= to < 16 ? TEMPS & 1u << to : 0;
	gen_take(g, RAX);
	gen_take(g, RDX);
	gen_take(g, RCX);
	arg_into(g, i->a, RAX);
	arg_into(g, i->b, RCX);
	if (i->op == IR_mulhsu) { /* unsigned product, less b where a is negative */
		/* keep a's sign and b beside the product */
		x_push(&g->a, RCX);
		x_push(&g->a, RAX);
		asm_rr(&g->a, true, 0xf7, 4, RCX);
		x_pop(&g->a, RAX);
		x_pop(&g->a, RCX);
		x_shi(&g->a, true, SH_SAR, RAX, 63);
		x_alu(&g->a, true, ALU_AND, RCX, RAX);
		x_alu(&g->a, true, ALU_SUB, RDX, RCX);
	} else {
		asm_rr(&g->a, true, 0xf7, i->op == IR_mulhs ? 5 : 4, RCX);
	}
	x_mov(&g->a, true, to, RDX);
	g->temps = had;
}

/* Division by 0 gives -1, remainder the dividend; -1 as a divisor negates without overflow. */
void gen_divide(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	bool w = i->type != IR_I32, is_signed = i->op == IR_divs || i->op == IR_rems;
	bool rest = i->op == IR_rems || i->op == IR_remu;
	unsigned had = g->temps;
	g->temps |= to < 16 ? TEMPS & 1u << to : 0;
	gen_take(g, RAX);
	gen_take(g, RDX);
	gen_take(g, RCX);
	arg_into(g, i->a, RAX);
	arg_into(g, i->b, RCX);
	x_test(&g->a, w, RCX, RCX);
	uint8_t *zero = x_jcc8(&g->a, CC_E), *minus = NULL;
	if (is_signed) {
		x_alui(&g->a, w, ALU_CMP, RCX, -1);
		minus = x_jcc8(&g->a, CC_E);
		asm_rex(&g->a, w, 0, 0, 0, false);
		a8(&g->a, 0x99); /* cdq, cqo */
	} else {
		asm_rr(&g->a, false, 0x31, RDX, RDX);
	}
	asm_rr(&g->a, w, 0xf7, is_signed ? 7 : 6, RCX);
	uint8_t *end = x_jmp8(&g->a), *end2 = NULL;
	x_here8(&g->a, zero);
	if (rest)
		x_mov(&g->a, true, RDX, RAX);
	else
		x_movi(&g->a, RAX, UINT64_MAX);
	if (is_signed) {
		end2 = x_jmp8(&g->a);
		x_here8(&g->a, minus);
		if (rest)
			x_movi(&g->a, RDX, 0);
		else
			asm_rr(&g->a, w, 0xf7, 3, RAX);
		x_here8(&g->a, end2);
	}
	x_here8(&g->a, end);
	x_mov(&g->a, true, to, rest ? RDX : RAX);
	g->temps = had;
}

void gen_vector(struct jit_gen *g, uint32_t v, unsigned to)
{
	const struct ir_ins *i = ins(g, v);
	struct jit_asm *a = &g->a;
	unsigned x = gen_any(g, i->a);
	asm_prr(a, 0x66, true, 0x0f6e, 0, x);          /* movq xmm0, x */
	gen_done(g, i->a, x);
	if (i->op == IR_orcb) {
		asm_prr(a, 0x66, false, 0x0fef, 1, 1); /* pxor xmm1, xmm1 */
		asm_prr(a, 0x66, false, 0x0f74, 0, 1); /* pcmpeqb xmm0, xmm1: ff where 0 */
		asm_prr(a, 0x66, true, 0x0f7e, 0, to);
		asm_rr(a, true, 0xf7, 2, to);          /* not */
		return;
	}
	unsigned y = gen_any(g, i->b);
	asm_prr(a, 0x66, true, 0x0f6e, 1, y);
	gen_done(g, i->b, y);
	asm_prr(a, 0x66, false, 0x0f3a44, 0, 1);       /* pclmulqdq xmm0, xmm1, 0 */
	a8(a, 0);
	if (i->op == IR_clmulh) {
		asm_prr(a, 0x66, false, 0x0f73, 3, 0); /* psrldq xmm0, 8 */
		a8(a, 8);
	}
	asm_prr(a, 0x66, true, 0x0f7e, 0, to);
}
