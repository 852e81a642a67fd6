/* SPDX-License-Identifier: Apache-2.0 */
/* Bit manipulation and conditional zero. Spec: RISC-V Unpriv 20240411 §28, §12 */
#include "isa/riscv/internal.h"

static void op2(struct rv_builder *b, enum ir_op op)
{
	set_rd(b, ir_2(b->ir, op, rs1(b), rs2(b)));
}
static void op1(struct rv_builder *b, enum ir_op op) { set_rd(b, ir_1(b->ir, op, rs1(b))); }
/* Count instructions on words: the count of an i32 is small and positive. */
static void op1_w(struct rv_builder *b, enum ir_op op)
{
	set_rd_w(b, ir_1(b->ir, op, w(b, rs1(b))));
}
static struct ir_val invert(struct rv_builder *b, struct ir_val v)
{
	return ir_2i(b->ir, IR_xor, v, UINT64_MAX);
}
static void shift_add(struct rv_builder *b, struct ir_val x, unsigned shift)
{
	set_rd(b, ir_2(b->ir, IR_add, ir_2i(b->ir, IR_shl, x, shift), rs2(b)));
}
static struct ir_val rs1_uw(struct rv_builder *b) { return ir_zext(b->ir, rs1(b), 32); }
static void choose(struct rv_builder *b, enum ir_op less, bool smaller)
{
	struct ir_val x = rs1(b), y = rs2(b), lt = ir_2(b->ir, less, x, y);
	set_rd(b, smaller ? ir_select(b->ir, lt, x, y) : ir_select(b->ir, lt, y, x));
}
static void rotate_w(struct rv_builder *b, enum ir_op op, struct ir_val by)
{
	set_rd_w(b, ir_2(b->ir, op, w(b, rs1(b)), w(b, by)));
}
static struct ir_val one_shl(struct rv_builder *b, struct ir_val by)
{
	return ir_2(b->ir, IR_shl, k(b, 1), by);
}

SEM(add_uw) { set_rd(b, ir_2(b->ir, IR_add, rs1_uw(b), rs2(b))); }
SEM(sh1add) { shift_add(b, rs1(b), 1); }
SEM(sh2add) { shift_add(b, rs1(b), 2); }
SEM(sh3add) { shift_add(b, rs1(b), 3); }
SEM(sh1add_uw) { shift_add(b, rs1_uw(b), 1); }
SEM(sh2add_uw) { shift_add(b, rs1_uw(b), 2); }
SEM(sh3add_uw) { shift_add(b, rs1_uw(b), 3); }
SEM(slli_uw) { set_rd(b, ir_2(b->ir, IR_shl, rs1_uw(b), imm(b))); }

SEM(andn) { set_rd(b, ir_2(b->ir, IR_and, rs1(b), invert(b, rs2(b)))); }
SEM(orn) { set_rd(b, ir_2(b->ir, IR_or, rs1(b), invert(b, rs2(b)))); }
SEM(xnor) { set_rd(b, invert(b, ir_2(b->ir, IR_xor, rs1(b), rs2(b)))); }
SEM(clz) { op1(b, IR_clz); }
SEM(ctz) { op1(b, IR_ctz); }
SEM(cpop) { op1(b, IR_popcnt); }
SEM(clzw) { op1_w(b, IR_clz); }
SEM(ctzw) { op1_w(b, IR_ctz); }
SEM(cpopw) { op1_w(b, IR_popcnt); }
SEM(min) { choose(b, IR_lts, true); }
SEM(minu) { choose(b, IR_ltu, true); }
SEM(max) { choose(b, IR_lts, false); }
SEM(maxu) { choose(b, IR_ltu, false); }
SEM(sext_b) { set_rd(b, ir_sext(b->ir, rs1(b), 8)); }
SEM(sext_h) { set_rd(b, ir_sext(b->ir, rs1(b), 16)); }
SEM(zext_h) { set_rd(b, ir_zext(b->ir, rs1(b), 16)); }
SEM(rol) { op2(b, IR_rotl); }
SEM(ror) { op2(b, IR_rotr); }
SEM(rori) { set_rd(b, ir_2(b->ir, IR_rotr, rs1(b), imm(b))); }
SEM(rolw) { rotate_w(b, IR_rotl, rs2(b)); }
SEM(rorw) { rotate_w(b, IR_rotr, rs2(b)); }
SEM(roriw) { rotate_w(b, IR_rotr, imm(b)); }
SEM(orc_b) { op1(b, IR_orcb); }
SEM(rev8) { op1(b, IR_bswap); }

SEM(clmul) { op2(b, IR_clmul); }
SEM(clmulh) { op2(b, IR_clmulh); }
/* Bits 63..126 of the product: its high half shifted up by one, and the top bit of the low half. */
SEM(clmulr)
{
	struct ir_val x = rs1(b), y = rs2(b);
	struct ir_val high = ir_2i(b->ir, IR_shl, ir_2(b->ir, IR_clmulh, x, y), 1);
	set_rd(b, ir_2(b->ir, IR_or, high, ir_2i(b->ir, IR_shr, ir_2(b->ir, IR_clmul, x, y), 63)));
}

SEM(bclr) { set_rd(b, ir_2(b->ir, IR_and, rs1(b), invert(b, one_shl(b, rs2(b))))); }
SEM(bclri) { set_rd(b, ir_2(b->ir, IR_and, rs1(b), invert(b, one_shl(b, imm(b))))); }
SEM(bext) { set_rd(b, ir_2i(b->ir, IR_and, ir_2(b->ir, IR_shr, rs1(b), rs2(b)), 1)); }
SEM(bexti) { set_rd(b, ir_2i(b->ir, IR_and, ir_2(b->ir, IR_shr, rs1(b), imm(b)), 1)); }
SEM(binv) { set_rd(b, ir_2(b->ir, IR_xor, rs1(b), one_shl(b, rs2(b)))); }
SEM(binvi) { set_rd(b, ir_2(b->ir, IR_xor, rs1(b), one_shl(b, imm(b)))); }
SEM(bset) { set_rd(b, ir_2(b->ir, IR_or, rs1(b), one_shl(b, rs2(b)))); }
SEM(bseti) { set_rd(b, ir_2(b->ir, IR_or, rs1(b), one_shl(b, imm(b)))); }

SEM(czero_eqz) { set_rd(b, ir_select(b->ir, ir_2i(b->ir, IR_eq, rs2(b), 0), k(b, 0), rs1(b))); }
SEM(czero_nez) { set_rd(b, ir_select(b->ir, ir_2i(b->ir, IR_eq, rs2(b), 0), rs1(b), k(b, 0))); }
