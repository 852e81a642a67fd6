/* SPDX-License-Identifier: Apache-2.0 */
/* Multiplication and division. The IR's division is total in just the way that §13.2 asks.
 * Spec: RISC-V Unpriv 20240411 §13 */
#include "isa/riscv/internal.h"

static void op2(struct rv_builder *b, enum ir_op op)
{
	set_rd(b, ir_2(b->ir, op, rs1(b), rs2(b)));
}
static void op2_w(struct rv_builder *b, enum ir_op op)
{
	set_rd_w(b, ir_2(b->ir, op, w(b, rs1(b)), w(b, rs2(b))));
}

SEM(mul) { op2(b, IR_mul); }
SEM(mulh) { op2(b, IR_mulhs); }
SEM(mulhsu) { op2(b, IR_mulhsu); }
SEM(mulhu) { op2(b, IR_mulhu); }
SEM(div) { op2(b, IR_divs); }
SEM(divu) { op2(b, IR_divu); }
SEM(rem) { op2(b, IR_rems); }
SEM(remu) { op2(b, IR_remu); }
SEM(mulw) { op2_w(b, IR_mul); }
SEM(divw) { op2_w(b, IR_divs); }
SEM(divuw) { op2_w(b, IR_divu); }
SEM(remw) { op2_w(b, IR_rems); }
SEM(remuw) { op2_w(b, IR_remu); }
