/* SPDX-License-Identifier: Apache-2.0 */
/* Atomics. All are sequentially consistent on the host, so aq and rl need nothing more.
 * Spec: RISC-V Unpriv 20240411 §14, §16 */
#include "isa/riscv/internal.h"

/* Sign-extend what a word access gave. */
static struct ir_val widen(struct rv_builder *b, struct ir_val v, unsigned bytes)
{
	return bytes == 4 ? ir_sext(b->ir, v, 32) : v;
}

static void load_reserved(struct rv_builder *b, unsigned bytes)
{
	struct ir_val v = ir_emit(b->ir, (struct ir_ins){
		.op = IR_lr, .type = IR_I64, .a = rs1(b).i, .imm = bytes });
	set_rd(b, widen(b, v, bytes));
}

static void store_conditional(struct rv_builder *b, unsigned bytes)
{
	struct ir_val at = rs1(b), v = rs2(b);
	set_rd(b, ir_emit(b->ir, (struct ir_ins){
		.op = IR_sc, .type = IR_I64, .a = at.i, .b = v.i, .imm = bytes }));
}

static void amo(struct rv_builder *b, enum ir_amo kind, unsigned bytes)
{
	struct ir_val at = rs1(b), v = rs2(b);
	struct ir_val old = ir_emit(b->ir, (struct ir_ins){ .op = IR_amo, .type = IR_I64,
		.a = at.i, .b = v.i, .imm = (uint64_t)kind << 8 | bytes });
	set_rd(b, widen(b, old, bytes));
}

static void amocas(struct rv_builder *b, unsigned bytes)
{
	struct ir_val at = rs1(b), v = rs2(b), want = rv_reg(b, RV_FILE_X, IR_FIELD_RD);
	struct ir_val old = ir_emit(b->ir, (struct ir_ins){ .op = IR_cas, .type = IR_I64,
		.a = at.i, .b = want.i, .c = v.i, .imm = bytes });
	set_rd(b, widen(b, old, bytes));
}

SEM(lr_w) { load_reserved(b, 4); }
SEM(lr_d) { load_reserved(b, 8); }
SEM(sc_w) { store_conditional(b, 4); }
SEM(sc_d) { store_conditional(b, 8); }
SEM(amoswap_w) { amo(b, IR_AMO_swap, 4); }
SEM(amoswap_d) { amo(b, IR_AMO_swap, 8); }
SEM(amoadd_w) { amo(b, IR_AMO_add, 4); }
SEM(amoadd_d) { amo(b, IR_AMO_add, 8); }
SEM(amoxor_w) { amo(b, IR_AMO_xor, 4); }
SEM(amoxor_d) { amo(b, IR_AMO_xor, 8); }
SEM(amoand_w) { amo(b, IR_AMO_and, 4); }
SEM(amoand_d) { amo(b, IR_AMO_and, 8); }
SEM(amoor_w) { amo(b, IR_AMO_or, 4); }
SEM(amoor_d) { amo(b, IR_AMO_or, 8); }
SEM(amomin_w) { amo(b, IR_AMO_min, 4); }
SEM(amomin_d) { amo(b, IR_AMO_min, 8); }
SEM(amomax_w) { amo(b, IR_AMO_max, 4); }
SEM(amomax_d) { amo(b, IR_AMO_max, 8); }
SEM(amominu_w) { amo(b, IR_AMO_minu, 4); }
SEM(amominu_d) { amo(b, IR_AMO_minu, 8); }
SEM(amomaxu_w) { amo(b, IR_AMO_maxu, 4); }
SEM(amomaxu_d) { amo(b, IR_AMO_maxu, 8); }
SEM(amocas_w) { amocas(b, 4); }
SEM(amocas_d) { amocas(b, 8); }
SEM(amocas_q)
{
	rv_call(b, RV_HELP_amocas_q, rs1(b), rv_field(b, IR_FIELD_RD), rv_field(b, IR_FIELD_RS2));
}
