/* SPDX-License-Identifier: Apache-2.0 */
/* V: what happens is in helpers (vec.h); here is which scalar operands they get and where
 * results in x and f registers go. Spec: RISC-V Unpriv 20240411 §31 */
#include "isa/riscv/internal.h"

static struct ir_val vector(struct rv_builder *b, unsigned op, struct ir_val x, struct ir_val y)
{
	uint64_t high = (uint64_t)op << 32;
	struct ir_val what = b->d ? k(b, high | b->d->word)
	                          : ir_2i(b->ir, IR_or, ir_zext(b->ir, imm(b), 32), high);
	return rv_call(b, RV_HELP_vector, what, x, y);
}

static void vector_V(struct rv_builder *b, unsigned op) { vector(b, op, k(b, 0), k(b, 0)); }
static void vector_X(struct rv_builder *b, unsigned op) { vector(b, op, rs1(b), k(b, 0)); }
static void vector_XX(struct rv_builder *b, unsigned op) { vector(b, op, rs1(b), rs2(b)); }
static void vector_F(struct rv_builder *b, unsigned op)
{
	vector(b, op, rv_reg(b, RV_FILE_F, IR_FIELD_RS1), k(b, 0));
}
static void vector_U(struct rv_builder *b, unsigned op)
{
	vector(b, op, rv_field(b, IR_FIELD_RS1), k(b, 0));
}
static void vector_I(struct rv_builder *b, unsigned op)
{
	vector(b, op, ir_sext(b->ir, rv_field(b, IR_FIELD_RS1), 5), k(b, 0));
}
static void vector_TO_X(struct rv_builder *b, unsigned op)
{
	set_rd(b, vector(b, op, k(b, 0), k(b, 0)));
}
static void vector_TO_F(struct rv_builder *b, unsigned op)
{
	rv_set_reg(b, RV_FILE_F, vector(b, op, k(b, 0), k(b, 0)));
}

#define VEC(name, scalar, vd, vs2, vs1, flags, run, kernel)                                        \
	SEM(name) { vector_##scalar(b, RV_OP_##name); }
#include "isa/riscv/vec.def"

/* rs1 = x0: with rd = x0 vl stays, else it becomes the longest. §31.6.2 */
static void vset(struct rv_builder *b, struct ir_val type)
{
	struct ir_val no_rs1 = ir_2i(b->ir, IR_eq, rv_field(b, IR_FIELD_RS1), 0);
	struct ir_val no_rd = ir_2i(b->ir, IR_eq, rv_field(b, IR_FIELD_RD), 0);
	struct ir_val how = ir_select(b->ir, no_rd, k(b, 1), k(b, 2));
	how = ir_select(b->ir, no_rs1, how, k(b, 0));
	set_rd(b, rv_call(b, RV_HELP_vset, rs1(b), type, how));
}

static struct ir_val type_bits(struct rv_builder *b, uint64_t mask)
{
	return ir_2i(b->ir, IR_and, ir_2i(b->ir, IR_shr, imm(b), 20), mask);
}

SEM(vsetvli) { vset(b, type_bits(b, 0x7ff)); }
SEM(vsetvl) { vset(b, rs2(b)); }
SEM(vsetivli)
{
	set_rd(b, rv_call(b, RV_HELP_vset, rv_field(b, IR_FIELD_RS1), type_bits(b, 0x3ff),
	                  k(b, 0)));
}
