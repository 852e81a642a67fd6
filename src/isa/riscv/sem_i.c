/* SPDX-License-Identifier: Apache-2.0 */
/* RV64I and Zifencei. Each meaning is written once, as IR; every engine follows from it.
 * Spec: RISC-V Unpriv 20240411 §2, §4, §6 */
#include "isa/riscv/internal.h"

static void op2(struct rv_builder *b, enum ir_op op)
{
	set_rd(b, ir_2(b->ir, op, rs1(b), rs2(b)));
}
static void op2_imm(struct rv_builder *b, enum ir_op op)
{
	set_rd(b, ir_2(b->ir, op, rs1(b), imm(b)));
}
static void op2_w(struct rv_builder *b, enum ir_op op, struct ir_val y)
{
	set_rd_w(b, ir_2(b->ir, op, w(b, rs1(b)), w(b, y)));
}
static struct ir_val bool_i64(struct rv_builder *b, struct ir_val v)
{
	return ir_zext(b->ir, v, 32);
}
static struct ir_val not_i32(struct rv_builder *b, struct ir_val v)
{
	return ir_2i(b->ir, IR_eq, v, 0);
}

SEM(lui) { set_rd(b, imm(b)); }
SEM(auipc) { set_rd(b, ir_2(b->ir, IR_add, rv_field(b, IR_FIELD_PC), imm(b))); }
SEM(jal)
{
	set_rd(b, rv_field(b, IR_FIELD_NEXT));
	ir_emit(b->ir, (struct ir_ins){ .op = IR_jump,
		.imm = b->d ? b->pc + (uint64_t)(int64_t)b->d->imm : 0 });
}
SEM(jalr)
{
	struct ir_val to = ir_2i(b->ir, IR_and, rv_address(b), ~1ull);
	set_rd(b, rv_field(b, IR_FIELD_NEXT));
	ir_emit(b->ir, (struct ir_ins){ .op = IR_jumpr, .a = to.i });
}
SEM(beq) { rv_branch(b, ir_2(b->ir, IR_eq, rs1(b), rs2(b))); }
SEM(bne) { rv_branch(b, ir_2(b->ir, IR_ne, rs1(b), rs2(b))); }
SEM(blt) { rv_branch(b, ir_2(b->ir, IR_lts, rs1(b), rs2(b))); }
SEM(bge) { rv_branch(b, not_i32(b, ir_2(b->ir, IR_lts, rs1(b), rs2(b)))); }
SEM(bltu) { rv_branch(b, ir_2(b->ir, IR_ltu, rs1(b), rs2(b))); }
SEM(bgeu) { rv_branch(b, not_i32(b, ir_2(b->ir, IR_ltu, rs1(b), rs2(b)))); }

SEM(lb) { set_rd(b, ir_sext(b->ir, ir_load(b->ir, rv_address(b), 1), 8)); }
SEM(lh) { set_rd(b, ir_sext(b->ir, ir_load(b->ir, rv_address(b), 2), 16)); }
SEM(lw) { set_rd(b, ir_sext(b->ir, ir_load(b->ir, rv_address(b), 4), 32)); }
SEM(ld) { set_rd(b, ir_load(b->ir, rv_address(b), 8)); }
SEM(lbu) { set_rd(b, ir_load(b->ir, rv_address(b), 1)); }
SEM(lhu) { set_rd(b, ir_load(b->ir, rv_address(b), 2)); }
SEM(lwu) { set_rd(b, ir_load(b->ir, rv_address(b), 4)); }
SEM(sb) { ir_store(b->ir, rv_address(b), rs2(b), 1); }
SEM(sh) { ir_store(b->ir, rv_address(b), rs2(b), 2); }
SEM(sw) { ir_store(b->ir, rv_address(b), rs2(b), 4); }
SEM(sd) { ir_store(b->ir, rv_address(b), rs2(b), 8); }

SEM(addi) { op2_imm(b, IR_add); }
SEM(slti) { set_rd(b, bool_i64(b, ir_2(b->ir, IR_lts, rs1(b), imm(b)))); }
SEM(sltiu) { set_rd(b, bool_i64(b, ir_2(b->ir, IR_ltu, rs1(b), imm(b)))); }
SEM(xori) { op2_imm(b, IR_xor); }
SEM(ori) { op2_imm(b, IR_or); }
SEM(andi) { op2_imm(b, IR_and); }
SEM(slli) { op2_imm(b, IR_shl); }
SEM(srli) { op2_imm(b, IR_shr); }
SEM(srai) { op2_imm(b, IR_sar); }
SEM(add) { op2(b, IR_add); }
SEM(sub) { op2(b, IR_sub); }
SEM(sll) { op2(b, IR_shl); }
SEM(slt) { set_rd(b, bool_i64(b, ir_2(b->ir, IR_lts, rs1(b), rs2(b)))); }
SEM(sltu) { set_rd(b, bool_i64(b, ir_2(b->ir, IR_ltu, rs1(b), rs2(b)))); }
SEM(xor) { op2(b, IR_xor); }
SEM(srl) { op2(b, IR_shr); }
SEM(sra) { op2(b, IR_sar); }
SEM(or) { op2(b, IR_or); }
SEM(and) { op2(b, IR_and); }
SEM(addiw) { op2_w(b, IR_add, imm(b)); }
SEM(slliw) { op2_w(b, IR_shl, imm(b)); }
SEM(srliw) { op2_w(b, IR_shr, imm(b)); }
SEM(sraiw) { op2_w(b, IR_sar, imm(b)); }
SEM(addw) { op2_w(b, IR_add, rs2(b)); }
SEM(subw) { op2_w(b, IR_sub, rs2(b)); }
SEM(sllw) { op2_w(b, IR_shl, rs2(b)); }
SEM(srlw) { op2_w(b, IR_shr, rs2(b)); }
SEM(sraw) { op2_w(b, IR_sar, rs2(b)); }

/* Loads and stores of one hart are host loads and stores; on a TSO host only store-to-load order
 * needs a barrier: fences that order it are full ones, the others nothing. §17.1 */
SEM(fence)
{
	enum { PRED_WO = 0x50, SUCC_RI = 0xa }; /* bits 27..20: pred, succ, each i o r w */
	if (!b->d || (b->d->word >> 20 & PRED_WO && b->d->word >> 20 & SUCC_RI))
		ir_emit(b->ir, (struct ir_ins){ .op = IR_fence });
}
SEM(fence_i)
{
	rv_call(b, RV_HELP_fence_i, k(b, 0), k(b, 0), k(b, 0));
	rv_end(b);
}
SEM(ecall)
{
	rv_call(b, RV_HELP_ecall, rv_field(b, IR_FIELD_NEXT), k(b, 0), k(b, 0));
	rv_end_npc(b);
}
SEM(ebreak) { ir_guard(b->ir, ir_const(b->ir, IR_I32, 0), RV_EXC_BREAKPOINT); }
